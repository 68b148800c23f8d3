"""The Transformer of Vaswani et al. 2017 (arXiv 1706.03762), with the place of the norm left to two strings.

Section numbers are the paper's. ("none", "dan") is the published model; ("n", "da") is what the authors' code
built by default from October 2017 on. Initial values are our choice: matrices Xavier normal, biases 0, the
embedding N(0, 1/d_model). Dropout sits where section 5.4 puts it and nowhere else.

Letters in shapes: B batch, S source length, T target length, D d_model, H heads, K d_k, V vocabulary.
A boolean mask says who may attend to what: True = may attend. (torch.nn's attention masks mean the opposite.)
"""

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from papertrail.architecture_diagram.sublayer import Stage, Sublayer


def xavier(module: nn.Module) -> None:
    """Start a module's linear maps Xavier normal, N(0, 2 / (n_in + n_out)), and their biases at 0."""
    for linear in module.children():
        if not isinstance(linear, nn.Linear):
            continue
        nn.init.xavier_normal_(linear.weight)
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)


class MultiHeadAttention(nn.Module):
    """softmax(Q K^T / sqrt(d_k)) V in several heads (sections 3.2.1 and 3.2.2, eq. 1).

    Args:
        d_model: width of the model.
        num_heads: number of heads; divides d_model.
        d_k: width of a head's queries and keys; d_model / num_heads, the width of its values, if not given.
        bias: add biases to the four maps, as torch.nn does and the published model does not.

    Shapes: x (B, T, D), memory (B, S, D) or None for self-attention, mask broadcastable to (B, H, T, S)
        -> (B, T, D).

    Raises:
        ValueError: num_heads does not divide d_model, or the mask is not boolean.
    """

    def __init__(self, d_model: int, num_heads: int, d_k: int | None = None, bias: bool = False) -> None:
        super().__init__()
        if num_heads < 1 or d_model % num_heads:
            raise ValueError(f"num_heads: got {num_heads}; allowed are divisors of d_model={d_model}")
        self.num_heads = num_heads
        self.d_k = d_model // num_heads if d_k is None else d_k
        self.query = nn.Linear(d_model, num_heads * self.d_k, bias=bias)
        self.key = nn.Linear(d_model, num_heads * self.d_k, bias=bias)
        self.value = nn.Linear(d_model, d_model, bias=bias)
        self.output = nn.Linear(d_model, d_model, bias=bias)
        xavier(self)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        if isinstance(mask, Tensor) and mask.dtype != torch.bool:
            raise ValueError(f"mask: got dtype {mask.dtype}; allowed is torch.bool, True = may attend")
        if memory is None:
            memory = x
        q = self.query(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, K)
        k = self.key(memory).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, S, K)
        v = self.value(memory).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, S, D / H)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.d_k)  # (B, H, T, S)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        heads = scores.softmax(dim=-1) @ v  # (B, H, T, D / H)
        return self.output(heads.transpose(1, 2).flatten(-2))  # (B, T, D)


class FeedForward(nn.Module):
    """max(0, x W1 + b1) W2 + b2 at every position (section 3.3, eq. 2).

    Shapes: (..., d_model) -> (..., d_model).
    """

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)
        xavier(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(torch.relu(self.expand(x)))


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each inside the rule (section 3.1).

    Shapes: x (B, S, D), mask broadcastable to (B, H, S, S) -> (B, S, D).
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        preprocess: str = "none",
        postprocess: str = "dan",
        *,
        d_k: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        rule = functools.partial(
            Sublayer,
            preprocess=preprocess,
            postprocess=postprocess,
            d_model=d_model,
            dropout=dropout,
            eps=eps,
        )
        self.self_attention = rule(MultiHeadAttention(d_model, num_heads, d_k, bias))
        self.feed_forward = rule(FeedForward(d_model, d_ff))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.self_attention(x, mask=mask)
        return self.feed_forward(x)


class DecoderLayer(nn.Module):
    """Masked self-attention, attention to the memory, feed-forward, each inside the rule (section 3.1).

    Shapes: x (B, T, D), memory (B, S, D), mask broadcastable to (B, H, T, T), memory_mask to (B, H, T, S)
        -> (B, T, D).
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        preprocess: str = "none",
        postprocess: str = "dan",
        *,
        d_k: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        rule = functools.partial(
            Sublayer,
            preprocess=preprocess,
            postprocess=postprocess,
            d_model=d_model,
            dropout=dropout,
            eps=eps,
        )
        self.self_attention = rule(MultiHeadAttention(d_model, num_heads, d_k, bias))
        self.cross_attention = rule(MultiHeadAttention(d_model, num_heads, d_k, bias))
        self.feed_forward = rule(FeedForward(d_model, d_ff))

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        x = self.self_attention(x, mask=mask)
        x = self.cross_attention(x, memory, mask=memory_mask)
        return self.feed_forward(x)


class Encoder(nn.Module):
    """A stack of encoder layers, then the preprocess string once more: the final norm, or nothing.

    Vaswani et al. 2017, section 3.1; the last step is tensor2tensor's, commit `f5c9b17e`.

    Args:
        num_layers: N.
        d_model, num_heads, d_ff, preprocess, postprocess, d_k, dropout: as in EncoderLayer.

    Shapes: x (B, S, D), mask broadcastable to (B, H, S, S) -> (B, S, D).
    """

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        preprocess: str = "none",
        postprocess: str = "dan",
        *,
        d_k: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff, preprocess, postprocess, d_k=d_k, dropout=dropout)
            for _ in range(num_layers)
        )
        self.final = Stage(preprocess, d_model=d_model, dropout=dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return self.final(x)


class Decoder(nn.Module):
    """A stack of decoder layers, then the preprocess string once more; arguments as in Encoder.

    Shapes: x (B, T, D), memory (B, S, D), mask broadcastable to (B, H, T, T), memory_mask to (B, H, T, S)
        -> (B, T, D).
    """

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        preprocess: str = "none",
        postprocess: str = "dan",
        *,
        d_k: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(d_model, num_heads, d_ff, preprocess, postprocess, d_k=d_k, dropout=dropout)
            for _ in range(num_layers)
        )
        self.final = Stage(preprocess, d_model=d_model, dropout=dropout)

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
        return self.final(x)


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """Position t may attend to positions up to t (section 3.2.3).

    Shapes: -> (T, T) bool, True on and below the diagonal.
    """
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def sinusoidal_positions(length: int, d_model: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i / d_model)), PE(pos, 2i + 1) = cos of the same (section 3.5).

    Shapes: -> (T, D), float64.

    Raises:
        ValueError: d_model is odd, so a sine would lack its cosine.
    """
    if d_model % 2:
        raise ValueError(f"d_model: got {d_model}; allowed are even widths, half sines and half cosines")
    position = torch.arange(length, dtype=torch.float64)[:, None]  # (T, 1)
    angle = position / 10000.0 ** (torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)  # (T, D / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)  # (T, D): sine and cosine take turns


class Transformer(nn.Module):
    """The encoder-decoder of Figure 1, up to the logits before the softmax.

    Args:
        vocab_size: rows of the one embedding shared by source, target and pre-softmax map (section 3.4).
        d_model, num_heads, d_ff, num_layers: sizes as in Table 3.
        d_k: width of a head's queries and keys; d_model / num_heads if not given.
        preprocess, postprocess: the rule around every sub-layer; both stacks end in a norm exactly when
            `preprocess` has the letter n.
        dropout: on each sub-layer's output and on the sums of embedding and position (section 5.4).

    Shapes: source (B, S) and target (B, T) token ids, source_mask (B, S) bool, True at real tokens and False
        at padding -> logits (B, T, V).

    Raises:
        ValueError: num_heads does not divide d_model; d_model is odd; a string is not in the language of
            `sublayer`; source_mask has the wrong dtype or shape, or a row without True.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        d_model: int,
        num_heads: int,
        d_ff: int,
        num_layers: int,
        d_k: int | None = None,
        preprocess: str = "none",
        postprocess: str = "dan",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers: got {num_layers}; allowed are integers from 1 up")
        if d_model % 2:
            raise ValueError(f"d_model: got {d_model}; allowed are even widths, for the sines and cosines")
        shape = (num_layers, d_model, num_heads, d_ff, preprocess, postprocess)
        self.d_model = d_model
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(*shape, d_k=d_k, dropout=dropout)
        self.decoder = Decoder(*shape, d_k=d_k, dropout=dropout)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)  # unit size after the factor sqrt(d_model)

    @classmethod
    def base(cls, vocab_size: int, *, preprocess: str = "none", postprocess: str = "dan") -> "Transformer":
        """The base model of Table 3."""
        sizes: dict[str, Any] = {"d_model": 512, "num_heads": 8, "d_ff": 2048, "num_layers": 6}
        return cls(vocab_size, **sizes, dropout=0.1, preprocess=preprocess, postprocess=postprocess)

    @classmethod
    def big(cls, vocab_size: int, *, preprocess: str = "none", postprocess: str = "dan") -> "Transformer":
        """The big model of Table 3."""
        sizes: dict[str, Any] = {"d_model": 1024, "num_heads": 16, "d_ff": 4096, "num_layers": 6}
        return cls(vocab_size, **sizes, dropout=0.3, preprocess=preprocess, postprocess=postprocess)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embedding times sqrt(d_model), plus positions, then dropout (sections 3.4, 3.5 and 5.4).

        Shapes: tokens (B, T) -> (B, T, D).
        """
        scaled = self.embedding(tokens) * math.sqrt(self.d_model)  # (B, T, D)
        return self.dropout(scaled + sinusoidal_positions(tokens.shape[1], self.d_model).to(scaled))

    def forward(self, source: Tensor, target: Tensor, source_mask: Tensor | None = None) -> Tensor:
        if source.dim() != 2 or target.dim() != 2 or len(source) != len(target):
            raise ValueError(
                f"source, target: got shapes {tuple(source.shape)} and {tuple(target.shape)}; "
                "allowed are (batch, length), with the same batch"
            )
        if source_mask is not None:
            if source_mask.dtype != torch.bool or source_mask.shape != source.shape:
                raise ValueError(
                    f"source_mask: got {source_mask.dtype} of shape {tuple(source_mask.shape)}; "
                    f"allowed is torch.bool of the source's shape {tuple(source.shape)}, True at real tokens"
                )
            if not source_mask.any(dim=1).all():  # a softmax over nothing is nan, everywhere downstream
                raise ValueError("source_mask: got a row without True; every source needs a real token")
            source_mask = source_mask[:, None, None, :]  # (B, 1, 1, S): for all heads and all queries
        causal = causal_mask(target.shape[1], target.device)  # (T, T)
        memory = self.encoder(self.embed(source), source_mask)  # (B, S, D)
        x = self.decoder(self.embed(target), memory, causal, source_mask)  # (B, T, D)
        return F.linear(x, self.embedding.weight)  # (B, T, V), the same matrix as the embedding's
