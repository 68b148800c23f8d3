"""Small language models that differ in nothing but their attention: softmax, linear, the delta rule, and a hybrid.

Byte-level models of Pre-LN blocks. "linear" is Katharopoulos et al. 2020 with elu + 1 and its normalizer; "delta" is
the delta rule of Schlag et al. 2021 with unit keys and queries after SiLU and a learned beta (Yang et al. 2024), and
nothing normalized; "hybrid" is "delta" with softmax attention in every fourth layer.

Sizes, rates, steps, seeds and the split were fixed before the first run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from papertrail.experiments import at_least_one, given, processes, progress, seeded
from papertrail.experiments.text import read_text, windows
from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.linear_attention import linear_attention

MIXERS = ("softmax", "linear", "delta", "hybrid")
BYTES, DEPTH, D_MODEL, HEADS, LENGTH, BATCH = 256, 4, 128, 4, 256, 8
STEPS, WARMUP, RATES, SEEDS = 400, 40, (1e-3, 3e-3), 3
EVERY_FOURTH = 4  # of the hybrid's layers, the last of four is softmax
VALID_WINDOWS, PARTS, CURVE = 256, 4, 50  # held-out windows; parts of a window; steps to a point of the curve


class Attention(nn.Module):
    """Causal attention with one of three rules for mixing positions.

    Shapes: (B, T, D) -> (B, T, D).
    """

    def __init__(self, rule: str, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.rule, self.num_heads = rule, num_heads
        self.qkv, self.out = (
            nn.Linear(d_model, 3 * d_model, bias=False),
            nn.Linear(d_model, d_model, bias=False),
        )
        self.beta = nn.Linear(d_model, num_heads) if rule == "delta" else None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        )  # (B, H, T, D / H) each
        if self.rule == "softmax":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif self.rule == "linear":
            mixed = linear_attention(q, k, v)
        else:
            q, k = (F.normalize(F.silu(part), dim=-1) for part in (q, k))
            mixed = delta_rule(q, k, v, given(self.beta)(x).sigmoid().mT)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-LN: attention, then a feed-forward part of four times the width. (B, T, D) -> (B, T, D)."""

    def __init__(self, rule: str, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(d_model), nn.LayerNorm(d_model)])
        self.attention = Attention(rule, d_model, num_heads)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norms[0](x))
        return x + self.feed_forward(self.norms[1](x))


class ByteModel(nn.Module):
    """Bytes and learned positions in, logits of the next byte out.

    Args:
        mixer: one of `MIXERS`.

    Shapes: tokens (B, T) -> (B, T, 256), T at most `length`.

    Raises:
        ValueError: mixer is unknown; a size is below 1; num_heads does not divide d_model.
    """

    def __init__(
        self,
        mixer: str,
        *,
        depth: int = DEPTH,
        d_model: int = D_MODEL,
        num_heads: int = HEADS,
        length: int = LENGTH,
    ) -> None:
        super().__init__()
        if mixer not in MIXERS:
            raise ValueError(f"mixer: got {mixer!r}; allowed are {', '.join(map(repr, MIXERS))}")
        at_least_one(depth=depth, d_model=d_model, num_heads=num_heads, length=length)
        if d_model % num_heads:
            raise ValueError(f"num_heads: got {num_heads}; allowed are divisors of d_model={d_model}")
        self.token, self.position = nn.Embedding(BYTES, d_model), nn.Embedding(length, d_model)
        self.blocks = nn.ModuleList(Block(rule, d_model, num_heads) for rule in rules_of(mixer, depth))
        self.norm, self.head = nn.LayerNorm(d_model), nn.Linear(d_model, BYTES, bias=False)
        for embedding in (self.token, self.position):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def rules_of(mixer: str, depth: int) -> list[str]:
    """The rule of each layer: a hybrid has softmax in every fourth."""
    if mixer != "hybrid":
        return [mixer] * depth
    return ["softmax" if (i + 1) % EVERY_FOURTH == 0 else "delta" for i in range(depth)]


@dataclass(frozen=True)
class ByteRun:
    """One trained model; losses in nats a byte.

    Attributes:
        train: means of 50 steps.
        valid: on the held-out text.
        by_part: the same in each quarter of the window, first to last.
        parameters: how many.
    """

    train: list[float]
    valid: float
    by_part: list[float]
    parameters: int


def measure_language(
    mixer: str,
    lr: float,
    seed: int,
    *,
    train: str,
    valid: str,
    steps: int = STEPS,
    warmup: int = WARMUP,
    device: str = "cpu",
    **sizes: int,
) -> ByteRun:
    """Train one model on a text file and judge it on another, plain or .gz.

    AdamW (0.9, 0.95), weight decay 0.1 on matrices, clipped at norm 1; the rate rises over `warmup` steps to `lr`, then
    falls along a line to 0. The seed fixes weights and batches, the latter alike for all mixers. Under torchrun each
    process takes an equal part of every batch.

    Raises:
        ValueError: a text is too short; a number is below 1; processes do not divide the batch; four does not
            divide the length; as `ByteModel`.
    """
    at_least_one(steps=steps, warmup=warmup)
    texts = [read_text(Path(path)) for path in (train, valid)]
    length = sizes.get("length", LENGTH)
    if length % PARTS:
        raise ValueError(f"length: got {length}; allowed are multiples of {PARTS}")
    for argument, text in zip(("train", "valid"), texts, strict=True):
        if len(text) < VALID_WINDOWS * length + 1:
            raise ValueError(
                f"{argument}: {len(text)} bytes; allowed are {VALID_WINDOWS * length + 1} or more"
            )
    with seeded(seed):
        model = ByteModel(mixer, **sizes)
        starts = torch.randint(len(texts[0]) - length, (steps, BATCH))
    with processes(device) as (rank, world, own):
        if BATCH % world:
            raise ValueError(f"processes: got {world}; allowed are divisors of the batch of {BATCH}")
        model.to(own)
        curve = _train(
            model, texts[0], starts[:, rank::world], length, lr, warmup, own, f"{mixer}, seed {seed}"
        )
        by_part = held_out_losses(model, texts[1], length, own)
    means = [sum(curve[i : i + CURVE]) / len(curve[i : i + CURVE]) for i in range(0, steps, CURVE)]
    number = sum(p.numel() for p in model.parameters())
    return ByteRun(means, sum(by_part) / len(by_part), by_part, number)


def _train(
    model: ByteModel, text: bytes, starts: Tensor, length: int, lr: float, warmup: int, device: str, what: str
) -> list[float]:
    """Every step's loss, over all processes."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=True)
    steps, losses = len(starts), []
    for step in progress(range(1, steps + 1), what):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warmup, (steps - step) / max(1, steps - warmup))
        tokens = windows(text, starts[step - 1], length).to(device)
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        loss = loss.detach()
        if distributed.is_initialized():
            average([loss, *(given(p.grad) for p in model.parameters())])
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def average(tensors: Sequence[Tensor]) -> None:
    """Give every process the mean over all of them, in place, in one message.

    Shapes: tensors of any shape.
    """
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


@torch.no_grad()
def held_out_losses(model: ByteModel, text: bytes, length: int, device: str = "cpu") -> list[float]:
    """Mean loss in each quarter of 256 windows, side by side from the text's start: [quarter]."""
    tokens = windows(text, torch.arange(VALID_WINDOWS) * length, length)
    found = []
    for part in tokens.split(32):
        part = part.to(device)
        loss = F.cross_entropy(model(part[:, :-1]).flatten(0, 1), part[:, 1:].flatten(), reduction="none")
        found.append(loss.view(len(part), PARTS, -1).mean(-1).double())
    return torch.cat(found).mean(0).tolist()
