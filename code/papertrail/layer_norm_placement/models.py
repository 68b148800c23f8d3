"""The chapter's models: tokens in, logits out, with the placement as an argument.

Embeddings of tokens and of learned positions are N(0, 1), their sum is divided by sqrt(2), and the output map
is a matrix of its own, N(0, 1 / d_model): a stack is fed vectors of unit size, and gives logits of unit size.
"""

from typing import Any

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram.transformer import causal_mask
from papertrail.experiments import at_least_one
from papertrail.layer_norm_placement.placements import Stack, deepnorm_pair, one_of

SHAPES = ("encoder", "decoder-only", "encoder-decoder")


class Embedding(nn.Module):
    """Token plus position, over sqrt(2).

    Shapes: tokens (B, T) -> (B, T, D).

    Raises:
        ValueError: more tokens than positions.
    """

    def __init__(self, vocab_size: int, length: int, d_model: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocab_size, d_model), nn.Embedding(length, d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] > self.position.num_embeddings:
            raise ValueError(
                f"tokens: length {tokens.shape[1]}; allowed are up to {self.position.num_embeddings}"
            )
        return (self.token(tokens) + self.position.weight[: tokens.shape[1]]) / 2**0.5


class Model(nn.Module):
    """One of three shapes around the same blocks.

    Args:
        shape: "encoder" (every position sees every position), "decoder-only" (positions see what came
            before), or "encoder-decoder" (a causal stack that attends to an encoder's output).
        depth: blocks in each stack.
        vocab_size, length: number of tokens, and the longest input.
        d_model, num_heads, d_ff, placement, **options: as in `Stack`; DeepNorm's constants are those of the
            shape, unless given.

    Shapes: tokens (B, T), source (B, S) for the encoder-decoder only -> logits (B, T, V).

    Raises:
        ValueError: shape is unknown; a size is below 1; a source is missing or not wanted; as `Stack`.
    """

    def __init__(
        self,
        shape: str,
        depth: int,
        *,
        vocab_size: int,
        length: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        placement: str = "pre",
        **options: Any,
    ) -> None:
        super().__init__()
        one_of("shape", shape, SHAPES)
        at_least_one(depth=depth, vocab_size=vocab_size, length=length, d_model=d_model)
        sizes = (depth, d_model, num_heads, d_ff, placement)
        self.shape = shape
        self.embedding = Embedding(vocab_size, length, d_model)
        self.source_embedding: Embedding | None = None
        self.encoder: Stack | None = None
        constants: list[dict[str, Any]] = [{}, {}]
        if shape == "encoder-decoder":
            if placement == "deepnorm":
                pairs = deepnorm_pair(depth, depth)
                constants = [dict(zip(("alpha", "beta"), pair, strict=True)) for pair in pairs]
            self.source_embedding = Embedding(vocab_size, length, d_model)
            self.encoder = Stack(*sizes, **constants[0] | options)
        self.stack = Stack(*sizes, cross=shape == "encoder-decoder", **constants[1] | options)
        self.head = nn.Linear(d_model, vocab_size, bias=False)
        nn.init.normal_(self.head.weight, std=d_model**-0.5)

    @property
    def stacks(self) -> dict[str, Stack]:
        """The stacks by name, in the order in which they run."""
        if self.encoder is not None:
            return {"encoder": self.encoder, "decoder": self.stack}
        return {"encoder" if self.shape == "encoder" else "decoder": self.stack}

    def states(self, tokens: Tensor, source: Tensor | None = None) -> Tensor:
        """What the output map reads: (B, T) -> (B, T, D).

        Raises:
            ValueError: a source is given to a model of one stack, or missing for one of two.
        """
        if (source is None) is (self.encoder is not None):
            raise ValueError(f"source: {'missing' if source is None else 'given'}, with shape={self.shape!r}")
        inputs = {}
        if self.shape != "encoder":
            inputs["mask"] = causal_mask(tokens.shape[1], tokens.device)
        if self.encoder is not None and self.source_embedding is not None:
            inputs["memory"] = self.encoder(self.source_embedding(source))
        return self.stack(self.embedding(tokens), **inputs)

    def forward(self, tokens: Tensor, source: Tensor | None = None) -> Tensor:
        return self.head(self.states(tokens, source))


def zero_queries_and_keys(model: nn.Module) -> None:
    """W_Q = W_K = 0, so that attention starts as a mean over positions (Xiong et al. 2020, section 3.3)."""
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith((".query", ".key")):
                module.weight.zero_()
