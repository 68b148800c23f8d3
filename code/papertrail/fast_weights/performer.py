"""How well random features estimate the exponential kernel, and attention made of it (Choromanski et al. 2021).

The estimate, its error and the bounds: section 2.4, Lemma 2 and Theorem 2. Attention made of it: Figure 4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

import torch
from torch import Tensor

from papertrail.experiments import at_least_one
from papertrail.fast_weights.feature_maps import KINDS, FavorMap, favor_features, orthogonal_gaussian

ARMS = {  # what is compared: kind of feature, rows orthogonal in blocks or independent
    "trigonometric iid": ("trigonometric", False),
    "trigonometric orthogonal": ("trigonometric", True),
    "positive iid": ("positive", False),
    "positive orthogonal": ("positive", True),
    "hyperbolic orthogonal": ("hyperbolic", True),
}


def exact_kernel(x: Tensor, y: Tensor) -> Tensor:
    """SM(x, y) = exp(x . y), what the features estimate (Choromanski et al. 2021, eq. 6; scaling absorbed).

    Shapes: (..., d), (..., d) -> (...).
    """
    return (x * y).sum(-1).exp()


def predicted_error(x: Tensor, y: Tensor, m: int, kind: str) -> Tensor:
    """Mean squared error of the estimate from m independent vectors (Choromanski et al. 2021, Lemma 2, eq. 8).

    m counts random vectors: "trigonometric" and "hyperbolic" make 2m features of them.

    Shapes: (..., d), (..., d) -> (...).

    Raises:
        ValueError: kind is unknown, or m is below 1.
    """
    at_least_one(m=m)
    kernel, plus, minus = exact_kernel(x, y), (x + y).square().sum(-1), (x - y).square().sum(-1)
    if kind == "trigonometric":
        return plus.exp() / kernel.square() * torch.expm1(-minus).square() / (2 * m)
    positive = plus.exp() * kernel.square() * -torch.expm1(-plus) / m
    if kind == "positive":
        return positive
    if kind == "hyperbolic":
        return -torch.expm1(-plus) / 2 * positive
    raise ValueError(f"kind: got {kind!r}; allowed are {', '.join(map(repr, KINDS))}")


def orthogonal_error(x: Tensor, y: Tensor, m: int) -> Tensor:
    """Mean squared error of m <= d orthogonal positive features, exactly (derived here; Theorem 2 bounds it).

    Two orthogonal rows with chi-distributed lengths sum to a vector of uniform direction whose squared length has
    2d degrees of freedom. So with z = x + y, E exp(w1 . z + w2 . z) is the series of exp(|z|^2) with its k-th
    term times the product over i < k of (d + i) / (d + 2i), and the error is Lemma 2's less
    (1 - 1 / m) exp(-|x|^2 - |y|^2) sum_k |z|^(2k) / k! (1 - that product).

    Shapes: (..., d), (..., d) -> (...).

    Raises:
        ValueError: m is not from 1 to d.
    """
    d = _at_most_d(x, m)
    plus = (x + y).square().sum(-1)
    term, total, product, k = torch.ones_like(plus), torch.zeros_like(plus), 1.0, 0
    while (term > 1e-17 * total).any():
        term, product, k = term * plus / (k + 1), product * (d + k) / (d + 2 * k), k + 1
        total = total + term * (1 - product)
    saved = (1 - 1 / m) * (-(x.square() + y.square()).sum(-1)).exp() * total
    return predicted_error(x, y, m, "positive") - saved


def orthogonal_bound(x: Tensor, y: Tensor, m: int) -> Tensor:
    """At most this is the mean squared error of m orthogonal positive features, m <= d (Theorem 2, eq. 10).

    Lemma 2's error less 2 (m - 1) / (m (d + 2)) (SM - exp(-(|x|^2 + |y|^2) / 2))^2, as arXiv 2009.14794 has it.

    Shapes: (..., d), (..., d) -> (...).

    Raises:
        ValueError: m is not from 1 to d.
    """
    d = _at_most_d(x, m)
    floor = (-(x.square() + y.square()).sum(-1) / 2).exp()
    return (
        predicted_error(x, y, m, "positive")
        - 2 * (m - 1) / (m * (d + 2)) * (exact_kernel(x, y) - floor).square()
    )


def other_printed_bound(x: Tensor, y: Tensor, m: int) -> Tensor:
    """Theorem 2 as another circulating version prints it: Lemma 2's error less (1 - 1 / m) 2 / (d + 2) SM^2.

    It is false: for short vectors it is negative, which no mean squared error can be. (For long ones it happens to
    hold: `orthogonal_error` is then below it.)

    Shapes: (..., d), (..., d) -> (...).

    Raises:
        ValueError: m is not from 1 to d.
    """
    d = _at_most_d(x, m)
    return predicted_error(x, y, m, "positive") - (1 - 1 / m) * 2 / (d + 2) * exact_kernel(x, y).square()


def _at_most_d(x: Tensor, m: int) -> int:
    at_least_one(m=m)
    if m > x.shape[-1]:
        raise ValueError(f"m: got {m}; allowed are integers from 1 to d = {x.shape[-1]}")
    return x.shape[-1]


@dataclass(frozen=True)
class KernelError:
    """Squared error of the estimated exp(x . y) for one pair x, y of each length, beside what the paper predicts.

    Lists run over `lengths`. Squared errors have heavy tails: for long vectors even 20,000 draws tend to miss the
    rare large ones, and then mean and standard error are both too small.
    """

    lengths: list[float]  # |x| = |y|, in units of sqrt(d)
    cosine: float  # of the angle between x and y
    kernel: list[float]  # exp(x . y)
    measured: dict[str, list[float]]  # by arm: mean squared error over the draws
    standard_error: dict[str, list[float]]  # by arm
    bias: dict[str, list[float]]  # by arm: mean estimate less exp(x . y), in standard errors of that mean
    predicted: dict[str, list[float]]  # by kind: Lemma 2
    orthogonal: list[float]  # `orthogonal_error`, for "positive orthogonal"
    bound: list[float]  # Theorem 2, eq. 10, which must be above it
    other_bound: list[float]  # Theorem 2 in its other printed version
    d: int
    draws: int


def measure_kernel_error(
    lengths: Sequence[float] = (0.15, 0.2),
    *,
    cosine: float = 0.25,
    d: int = 16,
    draws: int = 20_000,
    seed: int = 0,
) -> KernelError:
    """Draw m = d random vectors `draws` times and compare the estimates of exp(x . y) with Lemma 2 and Theorem 2.

    Arms: each kind with independent vectors, and "positive orthogonal". Both samplings look alike from every
    direction, so the lengths and the angle of the pair are all that matters.

    Raises:
        ValueError: d or draws is below 2, no lengths are given, or cosine is outside -1 to 1.
    """
    at_least_one(d=d, draws=draws, lengths=len(lengths))
    for argument, value in (("d", d), ("draws", draws)):
        if value < 2:
            raise ValueError(f"{argument}: got {value}; allowed are integers from 2 up")
    if not -1 <= cosine <= 1:
        raise ValueError(f"cosine: got {cosine}; allowed are numbers from -1 to 1")
    generator = torch.Generator().manual_seed(seed)
    directions = torch.zeros(2, d, dtype=torch.float64)
    directions[0, 0], directions[1, 0], directions[1, 1] = 1, cosine, math.sqrt(1 - cosine**2)
    directions *= math.sqrt(d)
    drawn = {
        "iid": torch.randn(draws * d, d, dtype=torch.float64, generator=generator),
        "orthogonal": orthogonal_gaussian(draws * d, d, generator=generator),  # a block for each draw
    }
    arms = [(kind, "iid") for kind in KINDS] + [("positive", "orthogonal")]
    names = [f"{kind} {rows}" for kind, rows in arms]
    measured: dict[str, list[float]] = {name: [] for name in names}
    errors: dict[str, list[float]] = {name: [] for name in names}
    bias: dict[str, list[float]] = {name: [] for name in names}
    for length in lengths:
        pair = length * directions
        for name, (kind, rows) in zip(names, arms, strict=True):
            estimates = _estimates(pair, drawn[rows], kind, draws)
            squares = (estimates - exact_kernel(*pair)).square()
            measured[name].append(squares.mean().item())
            errors[name].append((squares.std() / math.sqrt(draws)).item())
            off = (estimates.mean() - exact_kernel(*pair)) / (estimates.std() / math.sqrt(draws))
            bias[name].append(off.item())
    pairs = [length * directions for length in lengths]
    return KernelError(
        list(lengths),
        cosine,
        [exact_kernel(*pair).item() for pair in pairs],
        measured, errors, bias,
        {kind: [predicted_error(x, y, d, kind).item() for x, y in pairs] for kind in KINDS},
        [orthogonal_error(x, y, d).item() for x, y in pairs],
        [orthogonal_bound(x, y, d).item() for x, y in pairs],
        [other_printed_bound(x, y, d).item() for x, y in pairs],
        d, draws,
    )  # fmt: skip


def _estimates(pair: Tensor, rows: Tensor, kind: str, draws: int) -> Tensor:
    """One estimate of exp(x . y) for each draw: phi(x) . phi(y), summed over that draw's rows alone."""
    x, y = favor_features(pair, rows, kind)  # (draws * d,), or twice as many
    products = x * y * len(rows) / (len(rows) // draws)  # 1/sqrt(m) was meant for the m rows of one draw
    return products.view(-1, draws, len(rows) // draws).sum((0, 2))


@dataclass(frozen=True)
class AttentionError:
    """Squared error of estimated attention over the mean square of exact attention: 1 is what answering 0 gets.

    `errors` and `negative` are by arm (the keys of `ARMS`), then by (scale, features), one number a seed.
    """

    errors: dict[str, dict[tuple[float, int], list[float]]]
    negative: dict[str, dict[tuple[float, int], list[int]]]  # rows whose normalizer is below 0
    power: dict[float, float]  # by scale: mean square of the exact output, mean over seeds
    scales: list[float]  # standard deviation of the entries of q and k
    features: list[int]
    length: int
    d: int
    seeds: int

    def median(self, arm: str, scale: float, features: int) -> float:
        """Median over seeds of the relative error."""
        return median(self.errors[arm][scale, features])

    def mean(self, arm: str, scale: float, features: int) -> float:
        """Mean over seeds of the relative error; one normalizer near 0 can decide it."""
        return mean(self.errors[arm][scale, features])

    def negatives(self, arm: str, scale: float, features: int) -> int:
        """Rows with a negative normalizer, of `length` times `seeds`."""
        return sum(self.negative[arm][scale, features])


def measure_attention_error(
    scales: Sequence[float] = (0.25, 0.5, 0.75, 1.0, 1.5),
    features: Sequence[int] = (16, 64, 256),
    *,
    length: int = 256,
    d: int = 16,
    seeds: int = 15,
) -> AttentionError:
    """softmax(q k^T / sqrt(d)) v without a mask, against its estimates at equal numbers of features.

    q, k ~ scale N(0, 1), v ~ N(0, 1); scale 1 is an ordinary head at initialization. Features see q and k times
    d^(-1/4), so that they estimate exp(q . k / sqrt(d)). The setting of Choromanski et al. 2021, Figure 4 (there
    L = 4096, 15 samples, one norm), with the norm as a second axis.

    Raises:
        ValueError: a size is below 1, a number of features is not even, or no scales or features are given.
    """
    at_least_one(length=length, d=d, seeds=seeds, scales=len(scales), features=len(features))
    for count in features:
        if isinstance(count, bool) or not isinstance(count, int) or count < 2 or count % 2:
            raise ValueError(f"features: got {count!r}; allowed are even integers from 2 up")
    cells = [(scale, count) for scale in scales for count in features]
    errors: dict[str, dict[tuple[float, int], list[float]]] = {
        arm: {cell: [] for cell in cells} for arm in ARMS
    }
    negative: dict[str, dict[tuple[float, int], list[int]]] = {
        arm: {cell: [] for cell in cells} for arm in ARMS
    }
    power: dict[float, list[float]] = {scale: [] for scale in scales}
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        q, k, v = torch.randn(3, length, d, dtype=torch.float64, generator=generator)
        values = torch.cat([v, torch.ones(length, 1, dtype=v.dtype)], dim=-1)  # the ones carry the normalizer
        maps = {
            (arm, count): FavorMap(d, count, kind=kind, orthogonal=orthogonal, seed=1_000_000 + seed)
            for arm, (kind, orthogonal) in ARMS.items()
            for count in features
        }
        for scale in scales:
            x, y = (scale * d**-0.25 * rows for rows in (q, k))
            exact = (x @ y.T).softmax(-1) @ v
            power[scale].append(exact.square().mean().item())
            for (arm, count), phi in maps.items():
                out = phi(x) @ (phi(y).T @ values)  # (length, d + 1)
                estimate, normalizer = out[:, :-1] / out[:, -1:], out[:, -1]
                error = (estimate - exact).square().mean().item() / power[scale][-1]
                errors[arm][scale, count].append(error)
                negative[arm][scale, count].append(int((normalizer < 0).sum()))
    return AttentionError(
        errors, negative, {scale: mean(p) for scale, p in power.items()}, list(scales), list(features),
        length, d, seeds,
    )  # fmt: skip
