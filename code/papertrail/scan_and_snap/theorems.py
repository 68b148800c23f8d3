"""Theorems 1, 3 and 4 of Tian et al. 2023, as formulas and as measured along the expected dynamics.

Theorem 1 says how fast the signal from the decoder grows and fades, theorem 3 how the distinct tokens of a class share
what is gained, theorem 4 that the growth changes its law: a power of t before the snap, a power of ln t after.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from papertrail.experiments import at_least_one
from papertrail.scan_and_snap.expected import Trajectory, above_zero, measure_expected, shared_query
from papertrail.scan_and_snap.measures import entropy
from papertrail.scan_and_snap.setting import DTYPE


def snap_times(classes: int, tokens: int, lr_y: float) -> tuple[float, float]:
    """t0' = K ln M / eta_Y, until which the speed rises, and t0 = 2 K ln M / eta_Y, from which it falls (theorem 4)."""
    before = classes * math.log(tokens) / lr_y
    return before, 2 * before


def decoder_speed(t: Tensor, classes: int, tokens: int, lr_y: float) -> Tensor:
    """The speed gamma(t) of theorem 1, when each class's decoder learns alone: (M-1)^2 h / (M - 1 + exp(M h)).

    Here (M - 1) h is the target's logit and -h every other's, with h' = (eta_Y / K) / (M - 1 + exp(M h)) and h(0) = 0.
    The equation integrates to (M - 1) h + exp(M h) / M = eta_Y t / K + 1 / M, which Newton's method solves for M h.

    Shapes: t of any shape, in steps of training -> the same.
    """
    M, target = tokens, lr_y * t / classes + 1 / tokens
    x = torch.minimum(
        M * target, (M * target).log().clamp_min(1.0) + 1
    )  # M h, from above: there Newton is monotone
    for _ in range(60):
        x = x - ((M - 1) * x / M + x.exp() / M - target) / ((M - 1) / M + x.exp() / M)
    return (M - 1) ** 2 * (x / M) / (M - 1 + x.exp())


def early_speed(t: Tensor, classes: int, lr_y: float) -> Tensor:
    """Theorem 1's law while t is below t0': eta_Y t / K.

    Shapes: t of any shape, in steps of training -> the same.
    """
    return lr_y * t / classes


def late_speed(t: Tensor, classes: int, tokens: int, lr_y: float) -> Tensor:
    """Theorem 1's law from t0 on, with theorem 4's logarithm: K ln(M eta_Y t / K) / (eta_Y t).

    Shapes: t of any shape, in steps of training -> the same.
    """
    return classes * (tokens * lr_y * t / classes).log() / (lr_y * t)


def growth_law(t: Tensor, classes: int, tokens: int, lr_y: float, lr_z: float) -> tuple[Tensor, Tensor]:
    """Theorem 4's B(t) with C0 = 1, its law before t0' and its law from t0 on (eq. 14).

    Returns:
        With s = 2 (M-1)^2 / M^2: (1/4) ln(1 + s / K eta_Y eta_Z t^2), and (1/4) ln(1 + s K eta_Z / eta_Y
        ln^2(M eta_Y t / K)), both at every t.

    Shapes: t of any shape, in steps of training -> the same, twice.
    """
    K, M = classes, tokens
    shrink = (M - 1) ** 2 / M**2
    early = 1 + 2 * shrink / K * lr_y * lr_z * t**2
    late = 1 + 2 * K * shrink * lr_z / lr_y * (M * lr_y * t / K).log() ** 2
    return early.log() / 4, late.log() / 4


@dataclass(frozen=True)
class Growth:
    """Figure 3 for one decoder rate: the growth factor chi = exp(2 B) integrated, and by theorem 4's two laws.

    Shapes: t, chi, early, late (points,).
    """

    lr_y: float
    t: Tensor
    chi: Tensor
    early: Tensor
    late: Tensor
    snap: tuple[float, float]  # t0' and t0


def measure_growth(
    rates: Sequence[float] = (0.5, 1.0, 2.0, 5.0), *, classes: int = 10, tokens: int = 1000, lr_z: float = 0.5,
    until: float = 1000.0, points: int = 600,
) -> list[Growth]:  # fmt: skip
    """Redo the paper's figure 3: integrate the decoder's h and the common token's z_0 together, with C0 = 1.

    Theorem 4's premise is z_0' = -eta_Z gamma exp(4 z_0) / C0 with B = -z_0, one common token and one query. Runge and
    Kutta's method of fourth order, in steps that grow with t.

    Raises:
        ValueError: a number of classes or points is below 1, or of tokens below 2; `lr_z` is not above 0; `until` does
            not come after the first point, at 0.1.
    """
    at_least_one(classes=classes, points=points)
    above_zero(lr_z=lr_z)
    if tokens < 2:
        raise ValueError(f"tokens: got {tokens}; allowed are integers from 2 up")
    if not 0.1 < until < math.inf:
        raise ValueError(f"until: got {until}; allowed are numbers above 0.1")
    M, rate = tokens, torch.tensor(list(rates), dtype=DTYPE)

    def slope(state: Tensor) -> Tensor:
        x, z = state  # M h and z_0, each (rates,)
        gamma = (M - 1) ** 2 * (x / M) / (M - 1 + x.exp())
        return torch.stack([M * rate / classes / (M - 1 + x.exp()), -lr_z * gamma * (4 * z).exp()])

    t = torch.cat([torch.zeros(1, dtype=DTYPE), torch.logspace(-1, math.log10(until), points, dtype=DTYPE)])
    state = torch.zeros(2, len(rate), dtype=DTYPE)
    z = [state[1]]
    for dt in t.diff().tolist():
        a = slope(state)
        b = slope(state + dt / 2 * a)
        c = slope(state + dt / 2 * b)
        d = slope(state + dt * c)
        state = state + dt / 6 * (a + 2 * b + 2 * c + d)
        z.append(state[1])
    chi = (-2 * torch.stack(z)).exp()  # (points + 1, rates)
    found = []
    for i, lr_y in enumerate(rates):
        early, late = ((2 * law).exp() for law in growth_law(t[1:], classes, M, lr_y, lr_z))
        snap = snap_times(classes, M, lr_y)
        found.append(Growth(lr_y, t[1:], chi[1:, i], early, late, snap))
    return found


@dataclass(frozen=True)
class Speed:
    """The signal's speed along a trajectory beside theorem 1, at every step from 1 on.

    Shapes: t, measured, formula, early, late (steps,).
    """

    t: Tensor
    measured: Tensor
    formula: Tensor
    early: Tensor
    late: Tensor
    snap: tuple[float, float]


def measure_speed(trajectory: Trajectory) -> Speed:
    """gamma(t) read off the trained decoder, mean over classes.

    Where classes are orthogonal f_n^T g_n = M h (1 - p), which is gamma M / (M - 1).
    """
    K, M, lr_y = trajectory.language.num_classes, trajectory.outputs, trajectory.lr_y
    t = torch.arange(1, trajectory.steps + 1, dtype=DTYPE)
    measured = trajectory.signal[1:].mean(1) * (M - 1) / M
    return Speed(
        t, measured, decoder_speed(t, K, M, lr_y), early_speed(t, K, lr_y), late_speed(t, K, M, lr_y),
        snap_times(K, M, lr_y),
    )  # fmt: skip


@dataclass(frozen=True)
class Gains:
    """Theorem 3 along a trajectory, one class.

    Attributes:
        B: eta_Z times the integral of xi, (steps + 1,), as all the class's distinct tokens give it together.
        chi: the dominant token's growth factor exp(2 (z - z(0))), (steps + 1,).
        lower, upper: theorem 3's bounds exp(2 f(0)^2 B) and exp(2 B), (steps + 1,).
        worst: largest relative error of r(t) = r(0) exp(2 (z_l(t) - z_l(0))) at the end, l the dominant token and l'
            any other distinct one.
    """

    B: Tensor
    chi: Tensor
    lower: Tensor
    upper: Tensor
    worst: float


def measure_gains(trajectory: Trajectory, target: int = 0) -> Gains:
    """How much the class's dominant token gains on its others, beside eqs. 11 and 12.

    xi is read off all distinct tokens: the sum of their moves over the sum of their f^2, for each moves by xi f^2.
    """
    own = trajectory.language.distinct(target)
    c = trajectory.unnormalized(target)
    f = c / c.norm(dim=1, keepdim=True)  # the normalizer of eq. 5 cancels
    moved = trajectory.moves(target, own).sum(1) / f[:-1, own].square().sum(1)
    B = torch.cat([torch.zeros(1, dtype=DTYPE), moved.cumsum(0)])
    best = trajectory.language.probabilities[target, own].argmax()
    chi = (2 * trajectory.z[:, trajectory.language.queries[target]][:, own][:, best]).exp()
    r = (c[:, own][:, best, None] / c[:, own]) ** 2 - 1  # (steps + 1, distinct)
    others = r[0] > 0
    errors = (r[-1, others] / (r[0, others] * chi[-1]) - 1).abs().tolist()
    return Gains(B, chi, (2 * f[0, own][best] ** 2 * B).exp(), (2 * B).exp(), max(errors, default=0.0))


def premise(trajectory: Trajectory, target: int = 0) -> Tensor:
    """xi / (gamma exp(4 z_0)) at every step from 1 on: theorem 4 takes it for a constant, 1 / C0.

    One common token, which is token 0; xi as in `measure_gains`, and gamma the class's own signal. Shape (steps - 1,).
    """
    K, M = trajectory.language.num_classes, trajectory.outputs
    xi = measure_gains(trajectory, target).B.diff()[1:] * K / trajectory.lr_z
    gamma = trajectory.signal[1:-1, target] * (M - 1) / M
    return xi / (gamma * (4 * trajectory.z[1:-1, trajectory.language.queries[target], 0]).exp())


def exponents(trajectory: Trajectory) -> tuple[float, float]:
    """How exp(-4 z_0) grows: its power of t over the doubling up to t0', its power of ln t over the last two doublings.

    Token 0 is the one common token. Theorem 4 says exp(4 B) = C0 + a t^2 before t0' and C0 + b ln^2(M eta_Y t / K)
    after t0, so that the second power is 2 where C0 is small beside what was gained.
    """
    K, M, lr_y, steps = (
        trajectory.language.num_classes, trajectory.outputs, trajectory.lr_y, trajectory.steps,
    )  # fmt: skip
    begin, grown = max(2, round(snap_times(K, M, lr_y)[0])), -4 * trajectory.z[:, 0, 0]
    before = (grown[begin] - grown[begin // 2]) / math.log(begin / (begin // 2))
    early, late = (math.log(math.log(M * lr_y * t / K)) for t in (steps // 4, steps))
    return before.item(), ((grown[-1] - grown[steps // 4]) / (late - early)).item()


@dataclass(frozen=True)
class Consequence:
    """Section 6's consequences: when the signal was strongest and how sparse attention was in the end, by rates.

    Attributes:
        peak: step of the strongest signal, for each seed.
        entropy: of the attention rows after the last step, mean over classes, in nats, for each seed.
        common: attention on the common token after the last step, mean over classes, for each seed.
    """

    lr_y: float
    lr_z: float
    peak: list[int]
    entropy: list[float]
    common: list[float]


def measure_consequences(
    rates: Sequence[tuple[float, float]] = ((0.5, 0.2), (2.0, 0.2), (8.0, 0.2), (8.0, 0.8)), *, seeds: int = 3,
    steps: int = 400,
) -> list[Consequence]:  # fmt: skip
    """Train the same languages with several pairs of rates (eta_Y, eta_Z) and see when it snaps and how sparsely.

    Raises:
        ValueError: a number of seeds or steps is below 1.
    """
    at_least_one(seeds=seeds, steps=steps)
    found = []
    for lr_y, lr_z in rates:
        runs = [measure_expected(shared_query(seed), lr_y, lr_z, steps) for seed in range(seeds)]
        found.append(
            Consequence(
                lr_y, lr_z,
                [int(run.signal.mean(1).argmax()) for run in runs],
                [entropy(run.attention(-1)).mean().item() for run in runs],
                [run.attention(-1)[:, 0].mean().item() for run in runs],
            )
        )  # fmt: skip
    return found
