"""Which changes of weights and data a norm does not notice: the table of Zhang & Sennrich 2019, Table 1, measured.

One linear layer without bias, a = x W^T, and a norm of it. Letters in shapes: B cases, D inputs, H units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from papertrail.experiments import at_least_one
from papertrail.gopher.normalization import BatchNorm, LayerNorm, PartialRMSNorm, RMSNorm, WeightNorm

WIDE = torch.float64
YES, NO = 1e-10, 0.1  # a relative change below the first is none, one above the second is clear
FACTOR = 3.7  # of every re-scaling
WAYS = (
    "weights re-scaled", "weights re-centered", "one row of weights re-scaled",
    "data re-scaled", "data re-centered", "one case re-scaled",
)  # fmt: skip
PUBLISHED = {  # Zhang & Sennrich 2019, Table 1: is the norm's output invariant?
    "BatchNorm": (True, False, True, True, True, False),
    "WeightNorm": (True, False, True, False, False, False),
    "LayerNorm": (True, True, False, True, False, True),
    "RMSNorm": (True, False, False, True, False, True),
    "pRMSNorm": (True, False, False, True, False, True),
}
Normed = Callable[[Tensor, Tensor], Tensor]  # of data x (B, D) and weights W (H, D) -> (B, H)


def normed(name: str, units: int, eps: float = 0.0) -> Normed:
    """A linear layer and its norm as one function of data and weights, float64, gains 1 and biases 0.

    Raises:
        ValueError: the name is not in `PUBLISHED`.
    """
    if name not in PUBLISHED:
        raise ValueError(f"name: got {name!r}; allowed are {', '.join(map(repr, PUBLISHED))}")
    if name == "WeightNorm":

        def by_weight(x: Tensor, weight: Tensor) -> Tensor:
            linear = nn.Linear(x.shape[1], units, bias=False, dtype=WIDE)
            linear.weight = nn.Parameter(weight)
            layer = WeightNorm(linear)
            nn.init.ones_(layer.g)  # the length is a parameter of its own, and stays when v changes
            return layer(x)

        return by_weight
    makers = {"BatchNorm": BatchNorm, "LayerNorm": LayerNorm, "RMSNorm": RMSNorm, "pRMSNorm": PartialRMSNorm}
    norm = makers[name](units, eps=eps).double()
    if name == "BatchNorm":
        return lambda x, weight: norm((x @ weight.T).unsqueeze(0)).squeeze(0)
    return lambda x, weight: norm(x @ weight.T)


def changed(way: str, x: Tensor, weight: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Data and weights after one of `WAYS`. Re-centering adds one random vector to every row.

    Shapes: x (B, D), weight (H, D) -> (B, D), (H, D).

    Raises:
        ValueError: the way is not in `WAYS`.
    """
    if way not in WAYS:
        raise ValueError(f"way: got {way!r}; allowed are {', '.join(map(repr, WAYS))}")
    shift = torch.randn(x.shape[1], dtype=x.dtype, generator=generator)
    one_row, one_case = weight.clone(), x.clone()
    one_row[1] *= FACTOR
    one_case[1] *= FACTOR
    return {
        WAYS[0]: (x, FACTOR * weight), WAYS[1]: (x, weight + shift), WAYS[2]: (x, one_row),
        WAYS[3]: (FACTOR * x, weight), WAYS[4]: (x + shift, weight), WAYS[5]: (one_case, weight),
    }[way]  # fmt: skip


def _drawn(cases: int, inputs: int, units: int, seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(cases, inputs, dtype=WIDE, generator=generator)
    return x, torch.randn(units, inputs, dtype=WIDE, generator=generator), generator


def _relative(new: Tensor, old: Tensor) -> float:
    return ((new - old).abs().max() / old.abs().max()).item()


@dataclass(frozen=True)
class Invariances:
    """By norm and by way: the largest change of the output, relative to the largest output, over the seeds.

    `least` holds the smallest over the seeds: a change must be clear in each of them.
    """

    largest: dict[str, dict[str, float]]
    least: dict[str, dict[str, float]]
    seeds: int

    def invariant(self, norm: str, way: str) -> bool | None:
        """What was measured: True, False, or None where it is neither clear."""
        if self.largest[norm][way] < YES:
            return True
        return False if self.least[norm][way] > NO else None

    @property
    def agreeing(self) -> int:
        """Cells that say what was published."""
        return sum(
            self.invariant(norm, way) is says
            for norm, row in PUBLISHED.items()
            for way, says in zip(WAYS, row, strict=True)
        )


def measure_invariances(*, cases: int = 64, inputs: int = 20, units: int = 48, seeds: int = 5) -> Invariances:
    """Every norm under every change, eps = 0.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(cases=cases, inputs=inputs, units=units, seeds=seeds)
    found: dict[str, dict[str, list[float]]] = {norm: {way: [] for way in WAYS} for norm in PUBLISHED}
    for seed in range(seeds):
        x, weight, generator = _drawn(cases, inputs, units, seed)
        for way in WAYS:
            new = changed(way, x, weight, generator)
            for norm, ways in found.items():
                layer = normed(norm, units)
                ways[way].append(_relative(layer(*new), layer(x, weight)))
    pick = {f: {n: {w: f(v) for w, v in ways.items()} for n, ways in found.items()} for f in (max, min)}
    return Invariances(pick[max], pick[min], seeds)


@dataclass(frozen=True)
class EpsError:
    """By the root mean square of what is normalized: how much re-scaling it changes RMSNorm's output.

    Relative to the output's largest entry; `predicted` is |f(c s) / f(s) - 1| with f(s) = s / sqrt(s^2 + eps).
    """

    scales: list[float]
    measured: list[float]
    predicted: list[float]
    eps: float


def measure_eps(
    scales: Sequence[float] = (1.0, 1e-2, 1e-3, 1e-4), *, eps: float = 1e-5, dim: int = 20
) -> EpsError:
    """RMSNorm is invariant to re-scaling only as far as eps is small beside the mean square."""
    norm = RMSNorm(dim, eps).double()
    x, _, _ = _drawn(64, dim, 1, seed=0)
    x /= x.square().mean(-1, keepdim=True).sqrt()
    measured = [_relative(norm(FACTOR * scale * x), norm(scale * x)) for scale in scales]

    def size(scale: float) -> float:
        return scale / (scale**2 + eps) ** 0.5

    predicted = [abs(size(FACTOR * scale) / size(scale) - 1) for scale in scales]
    return EpsError(list(scales), measured, predicted, eps)


@dataclass(frozen=True)
class GradientSizes:
    """The gradient of a loss with respect to W, for RMSNorm, as W or the data grow (section 4.2, eqs. 8 to 10).

    Attributes:
        weights: |dL/dW| at each factor on W, relative to the first.
        data: |dL/dW - dL/dW at the first| at each factor on the data, relative to |dL/dW|.
        along: the largest |<W, dL/dW>| over |W| |dL/dW|: 0 means that a step cannot shorten W.
    """

    factors: list[float]
    weights: list[float]
    data: list[float]
    along: float


def measure_gradient_sizes(factors: Sequence[float] = (1.0, 2.0, 4.0)) -> GradientSizes:
    """A random linear loss of RMSNorm(x W^T), eps = 0, float64.

    Raises:
        ValueError: there is no factor.
    """
    if not factors:
        raise ValueError("factors: is empty; allowed are one or more numbers")
    x, start, generator = _drawn(64, 20, 48, seed=0)
    direction = torch.randn(64, 48, dtype=WIDE, generator=generator)
    layer = normed("RMSNorm", 48)

    def gradient(data: Tensor, weight: Tensor) -> Tensor:
        weight = weight.clone().requires_grad_()
        return torch.autograd.grad((layer(data, weight) * direction).sum(), weight)[0]

    by_weights = [gradient(x, factor * start) for factor in factors]
    by_data = [gradient(factor * x, start) for factor in factors]
    first = by_data[0].norm()
    along = max(((g * start).sum() / (g.norm() * start.norm())).abs().item() for g in by_weights)
    return GradientSizes(
        list(factors),
        [(g.norm() / by_weights[0].norm()).item() for g in by_weights],
        [((g - by_data[0]).norm() / first).item() for g in by_data],
        along,
    )


@dataclass(frozen=True)
class MeanShift:
    """How far RMSNorm and LayerNorm differ as the input's mean grows."""

    mean_over_std: list[float]
    difference: list[float]  # largest |RMSNorm - LayerNorm| over the batch and the seeds, no unit
    seeds: int


def measure_mean_shift(
    shifts: Sequence[float] = (0.0, 0.1, 0.3, 1.0, 3.0), *, dim: int = 256, seeds: int = 5
) -> MeanShift:
    """Compare the two norms on vectors of unit variance and growing mean (Zhang & Sennrich 2019, section 4).

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(dim=dim, seeds=seeds)
    rms, layer = RMSNorm(dim).double(), nn.LayerNorm(dim, eps=1e-6, dtype=WIDE)
    worst = [0.0] * len(shifts)
    for seed in range(seeds):
        x, _, _ = _drawn(64, dim, 1, seed)
        x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, unbiased=False)
        for i, shift in enumerate(shifts):
            worst[i] = max(worst[i], (rms(x + shift) - layer(x + shift)).abs().max().item())
    return MeanShift(list(shifts), worst, seeds)


def measure_signs(
    pairs: Sequence[tuple[float, float]] = ((3.0, 7.0), (100.0, 100.5), (-2.0, -9.0)),
) -> list[list[float]]:
    """What BatchNorm makes of a batch of two, for each pair of numbers: mean m, deviation |a - b| / 2, so -1 and +1."""
    norm = BatchNorm(1, eps=0.0).double()
    return [norm(torch.tensor(pair, dtype=WIDE).view(1, 2, 1)).flatten().tolist() for pair in pairs]


def table_of_invariances(result: Invariances) -> tuple[list[str], list[list[str]]]:
    """A row for each norm; where the measurement and the published table differ, the cell says so."""
    rows = []
    for norm, published in PUBLISHED.items():
        row = [norm]
        for way, says in zip(WAYS, published, strict=True):
            found = result.invariant(norm, way)
            word = "unclear" if found is None else "same" if found else "changes"
            row.append(word if found is says else f"{word} (published: {'same' if says else 'changes'})")
        rows.append(row)
    return ["norm", *WAYS], rows


def table_of_signs(
    pairs: Sequence[tuple[float, float]] = ((3.0, 7.0), (100.0, 100.5), (-2.0, -9.0)),
) -> tuple[list[str], list[list[str]]]:
    """Pairs of numbers, and what BatchNorm leaves of them when they are its whole batch."""
    rows = [
        [f"{a:g}, {b:g}".replace("-", "−"), f"{(a + b) / 2:g}".replace("-", "−"), f"{abs(a - b) / 2:g}",
         ", ".join(f"{value:+.0f}" for value in out).replace("-", "−")]
        for (a, b), out in zip(pairs, measure_signs(pairs), strict=True)
    ]  # fmt: skip
    return ["batch of two", "mean", "standard deviation", "after BatchNorm"], rows


def table_of_eps(result: EpsError) -> tuple[list[str], list[list[str]]]:
    """How much re-scaling changes RMSNorm's output, by the size of what it normalizes."""
    rows = [
        [f"{scale:g}", f"{value:.1g}"] for scale, value in zip(result.scales, result.measured, strict=True)
    ]
    return ["root mean square", f"relative change, times {FACTOR:g}, eps {result.eps:g}"], rows
