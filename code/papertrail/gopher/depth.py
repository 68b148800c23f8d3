"""RMSNorm against LayerNorm, and against no norm, as a Transformer gets deeper: chapter 2's models, norms exchanged.

Everything that could be tuned was fixed before the first run: text, sizes, rates, steps, seeds, and what counts as
failed. A model and its copy with another norm start from the same weights and read the same batches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from papertrail.experiments import at_least_one, given, progress, seeded
from papertrail.layer_norm_placement.models import Model
from papertrail.layer_norm_placement.placements import one_of

NORMS = ("LayerNorm", "RMSNorm", "none")
ARMS = (("pre", "LayerNorm"), ("pre", "RMSNorm"), ("post", "LayerNorm"), ("post", "RMSNorm"), ("pre", "none"))
VOCAB, LENGTH, BATCH, WIDTH, HEADS = 16, 16, 16, 32, 2
SHARPNESS = 2.0  # deviation of the chain's log probabilities
FAILED = 2.5  # nats; knowing only how often each symbol comes gives 2.69


def chain() -> Tensor:
    """The text's transition probabilities: (V, V), each row a softmax of normal numbers, the same in every run."""
    with seeded(0):
        return (SHARPNESS * torch.randn(VOCAB, VOCAB)).softmax(-1)


def chain_entropy() -> float:
    """Entropy of the next symbol given the one before, in nats: no model of this text gets below."""
    rows = chain().double()
    often = torch.linalg.matrix_power(rows, 200)[0]  # every row is the stationary distribution by then
    return -(often[:, None] * rows * rows.log()).sum().item()


def draw_text(batches: int) -> Tensor:
    """Texts of the chain, first symbol uniform, from torch's generator as it stands: (batches, B, T + 1)."""
    rows = chain()
    symbols = [torch.randint(VOCAB, (batches * BATCH,))]
    for _ in range(LENGTH):
        symbols.append(torch.multinomial(rows[symbols[-1]], 1).squeeze(1))
    return torch.stack(symbols, 1).unflatten(0, (batches, BATCH))


def exchange_norms(module: nn.Module, norm: str) -> None:
    """Put another norm in the place of every nn.LayerNorm in a module; all other weights stay.

    Raises:
        ValueError: norm is not one of `NORMS`.
    """
    one_of("norm", norm, NORMS)
    if norm == "LayerNorm":
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.LayerNorm):
                other = (
                    nn.RMSNorm(list(child.normalized_shape), child.eps)
                    if norm == "RMSNorm"
                    else nn.Identity()
                )
                parent.add_module(name, other)


def shift_weights(model: Model, mean: float) -> None:
    """Add a number to every entry of the stack's matrices."""
    with torch.no_grad():
        for part in model.stack.modules():
            if isinstance(part, nn.Linear):
                part.weight += mean


def build(depth: int, placement: str, norm: str, weight_mean: float = 0.0, start: str = "xavier") -> Model:
    """A causal model of width 32 from torch's generator as it stands.

    Args:
        weight_mean: added to every entry of the stack's matrices, as Zhang & Sennrich 2019 shift the weights of a
            recurrent net in their section 6.1, figure 4.
        start: initial weights of the stack, as in chapter 2's `Stack`.

    Raises:
        ValueError: depth is below 1; placement, norm or start is unknown.
    """
    model = Model(
        "decoder-only", depth, vocab_size=VOCAB, length=LENGTH, d_model=WIDTH, num_heads=HEADS, d_ff=4 * WIDTH,
        placement=placement, start=start,
    )  # fmt: skip
    exchange_norms(model, norm)
    shift_weights(model, weight_mean)
    return model


@dataclass(frozen=True)
class DepthGradients:
    """Frobenius norm of the loss's gradient with respect to each block's W2 at the start, as [seed][block]."""

    norms: list[list[float]]
    placement: str
    norm: str
    depth: int
    seeds: int


def measure_depth_gradients(
    depths: Sequence[int] = (12,), arms: Sequence[tuple[str, str]] = ARMS, seeds: int = 10
) -> list[DepthGradients]:
    """One backward pass over one batch of the chain's text, for every depth and arm (placement, norm).

    Raises:
        ValueError: a number is below 1; a placement or norm is unknown.
    """
    at_least_one(seeds=seeds)
    found = []
    for depth in depths:
        for placement, norm in arms:
            rows = []
            for seed in range(seeds):
                with seeded(seed):
                    model = build(depth, placement, norm)
                    text = draw_text(1)[0]
                loss = _loss(model(text[:, :-1]), text[:, 1:])
                gradients = torch.autograd.grad(loss, model.stack.last_weights())
                rows.append([gradient.norm().item() for gradient in gradients])
            found.append(DepthGradients(rows, placement, norm, depth, seeds))
    return found


def pick(results: Sequence[DepthGradients], depth: int, placement: str, norm: str) -> DepthGradients:
    """One arm at one depth.

    Raises:
        ValueError: it is not there.
    """
    for result in results:
        if (result.depth, result.placement, result.norm) == (depth, placement, norm):
            return result
    raise ValueError(f"results: none with depth={depth}, placement={placement!r}, norm={norm!r}")


@dataclass(frozen=True)
class NormRatio:
    """RMSNorm's gradient over LayerNorm's in one block: mean of the logarithm over seeds, and its standard error.

    A seed gives both norms the same weights and text, so the comparison is within seeds.
    """

    log_ratio: float
    error: float
    depth: int
    placement: str
    block: str  # "first" or "last"

    @property
    def stands_out(self) -> bool:
        """Whether it is more than three standard errors from 0."""
        return abs(self.log_ratio) > 3 * self.error


def norm_ratios(results: Sequence[DepthGradients]) -> list[NormRatio]:
    """The two norms compared at every depth, for both placements, in the first and in the last block."""
    found = []
    for depth in sorted({result.depth for result in results}):
        for placement in ("pre", "post"):
            layer, rms = (pick(results, depth, placement, norm).norms for norm in ("LayerNorm", "RMSNorm"))
            for block, at in (("first", 0), ("last", -1)):
                logs = [math.log(b[at] / a[at]) for a, b in zip(layer, rms, strict=True)]
                error = stdev(logs) / len(logs) ** 0.5
                found.append(NormRatio(fmean(logs), error, depth, placement, block))
    return found


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


@dataclass(frozen=True)
class DepthTraining:
    """Losses in nats as [seed][step]; None from the step on at which a loss is no finite number."""

    losses: list[list[float | None]]
    placement: str
    norm: str
    depth: int
    lr: float
    weight_mean: float
    seeds: int
    start: str = "xavier"

    @property
    def final(self) -> list[float]:
        """By seed, the mean loss of the last ten steps; infinite where the run broke down."""
        return [
            math.inf if None in row else sum(map(given, row[-10:])) / len(row[-10:]) for row in self.losses
        ]

    @property
    def failed(self) -> int:
        """Seeds whose final loss is above 2.5 nats, or not finite."""
        return sum(not loss < FAILED for loss in self.final)


def measure_depth_training(
    depth: int,
    placement: str,
    norm: str,
    lr: float,
    *,
    steps: int = 100,
    seeds: int = 3,
    weight_mean: float = 0.0,
    start: str = "xavier",
) -> DepthTraining:
    """Train with Adam (torch's defaults, constant rate, no clipping), one seed after the other.

    Raises:
        ValueError: a number is below 1; lr is not positive; placement, norm or start is unknown.
    """
    at_least_one(depth=depth, steps=steps, seeds=seeds)
    if lr <= 0:
        raise ValueError(f"lr: got {lr}; allowed are positive rates")
    losses: list[list[float | None]] = []
    for seed in progress(range(seeds), f"{placement}, {norm}, {depth} blocks, rate {lr:g}"):
        with seeded(seed):
            model = build(depth, placement, norm, weight_mean, start)
            text = draw_text(steps)
        optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
        row: list[float | None] = []
        for batch in text:
            loss = _loss(model(batch[:, :-1]), batch[:, 1:])
            if not math.isfinite(loss.item()):
                break  # the weights are lost, and every later loss with them
            row.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(row + [None] * (steps - len(row)))
    return DepthTraining(losses, placement, norm, depth, lr, weight_mean, seeds, start)


@dataclass(frozen=True)
class ShiftedStart:
    """By norm and seed: how much the outputs at the start change when the matrices' entries get 0.2 more, relative."""

    changes: dict[str, list[float]]
    depth: int
    weight_mean: float
    seeds: int


def measure_shifted_start(depth: int = 6, weight_mean: float = 0.2, seeds: int = 3) -> ShiftedStart:
    """Pre with each norm, from the same weights around 0 and around `weight_mean`, in float64.

    The shift adds multiples of (1, ..., 1) to what is written, and reads the sum of what is read. LayerNorm takes the
    first away and makes the second 0: of Zhang & Sennrich's table 1, the column of re-centered weights.

    Raises:
        ValueError: depth or seeds is below 1.
    """
    at_least_one(depth=depth, seeds=seeds)
    changes: dict[str, list[float]] = {"LayerNorm": [], "RMSNorm": []}
    for norm, found in changes.items():
        for seed in range(seeds):
            logits = []
            for mean in (0.0, weight_mean):
                with seeded(seed), torch.no_grad():
                    model = build(depth, "pre", norm).double()
                    shift_weights(model, mean)  # in float64: W + 0.2 in float32 is another W
                    logits.append(model(draw_text(1)[0, :, :-1]))
            found.append(((logits[1] - logits[0]).abs().max() / logits[0].abs().max()).item())
    return ShiftedStart(changes, depth, weight_mean, seeds)
