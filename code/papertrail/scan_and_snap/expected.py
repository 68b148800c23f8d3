"""Training on infinitely long sequences: the joint dynamics of the decoder and the attention, without sampling noise.

Tian et al. 2023, sections 3 to 5. As T grows a class's sequences all give the same attention (eq. 5), and a step of
gradient descent on all classes at once has no chance left in it. That is the setting of theorems 1 to 4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from papertrail.experiments import at_least_one
from papertrail.scan_and_snap.measures import attention_in_the_limit, mass
from papertrail.scan_and_snap.setting import DTYPE, Language

LEVEL = 0.28  # of all attention, on the common token: reached within 1,000 steps at every ratio that is drawn


@dataclass(frozen=True)
class Trajectory:
    """What training from zero did, at every step from 0 on.

    Attributes:
        z: attention logits, (steps + 1, queries, M).
        signal: f_n^T g_n, the strength of the signal that comes back to class n's own direction, (steps + 1, K).
        loss: mean cross-entropy over classes, (steps + 1,).
        outputs: how many tokens the decoder chooses among.
    """

    language: Language
    lr_y: float
    lr_z: float
    outputs: int
    z: Tensor
    signal: Tensor
    loss: Tensor

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.z) - 1

    def attention(self, step: int) -> Tensor:
        """c(l|n) after so many steps, (K, M) (eq. 5)."""
        return attention_in_the_limit(self.language, self.z[step])

    def unnormalized(self, target: int) -> Tensor:
        """P(l|n) exp(z_ml), the paper's c with a tilde, of one class at every step, (steps + 1, M)."""
        return self.language.probabilities[target] * self.z[:, self.language.queries[target]].exp()

    def moves(self, target: int, tokens: Tensor) -> Tensor:
        """By how much the logits of these tokens, a mask (M,), change in each step, (steps, their number)."""
        return self.z[:, self.language.queries[target]][:, tokens].diff(dim=0)


class Signals(NamedTuple):
    """What one step of training sees in each class, at given Y and z."""

    f: Tensor  # attention divided by its l2 norm, (K, M)
    log_p: Tensor  # of each output: the K targets, then all the others together, (K, K + 1)
    errors: Tensor  # target minus prediction, (K, K + 1)
    g: Tensor  # what Y sends back to each token, (K, M)
    own: Tensor  # f_n^T g_n, (K, 1)

    @property
    def push(self) -> Tensor:
        """Lemma 1's direction for class n's attention logits, diag(f_n) (I - f_n f_n^T) g_n, (K, M)."""
        return self.f * (self.g - self.own * self.f)


def see(language: Language, Y: Tensor, z: Tensor, outputs: int) -> Signals:
    """Attention, prediction and returning signal of every class for T to infinity (Tian et al. 2023, lemma 1, eq. 5).

    Args:
        Y: decoder logits, row = token attended to, (M, K + 1). The last column stands for every output that is
            never a target: starting from zero these stay equal.
        z: attention logits, (queries, M).
    """
    K = language.num_classes
    c = attention_in_the_limit(language, z)
    f = c / c.norm(dim=1, keepdim=True)
    rest = torch.zeros(K + 1, dtype=DTYPE)
    rest[K] = math.log(outputs - K) if outputs > K else -math.inf
    log_p = (f @ Y + rest).log_softmax(1)
    errors = torch.eye(K, K + 1, dtype=DTYPE) - log_p.exp()
    g = errors @ Y.T
    return Signals(f, log_p, errors, g, (f * g).sum(1, keepdim=True))


def above_zero(**numbers: float) -> None:
    """Refuse rates that are not above 0, by name.

    Raises:
        ValueError: a number is 0, negative or no number.
    """
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name}: got {number}; allowed are numbers above 0")


def measure_expected(
    language: Language, lr_y: float, lr_z: float, steps: int, *, outputs: int | None = None
) -> Trajectory:
    """Train Y and z from zero by plain gradient descent on the mean loss of all classes, for T to infinity.

    A step adds lr_y times the mean of f_n (target - prediction)^T to Y, and lr_z times the mean of
    diag(f_n) (I - f_n f_n^T) g_n to the row of class n's query, with f_n = c_n / |c_n| and g_n = Y (target -
    prediction): Tian et al. 2023, lemma 1 with the attention of eq. 5.

    Args:
        outputs: how many tokens the decoder chooses among. By default the M contextual tokens, for the paper has one
            vocabulary for what is read and what is predicted; K leaves the targets alone.

    Raises:
        ValueError: `steps` is below 1, a rate is not positive, or there are fewer outputs than targets.
    """
    at_least_one(steps=steps)
    above_zero(lr_y=lr_y, lr_z=lr_z)
    K, M = language.probabilities.shape
    outputs = M if outputs is None else outputs
    if outputs < K:
        raise ValueError(f"outputs: got {outputs}; allowed are numbers from {K} up, one for each target")
    counts = torch.tensor([1.0] * K + [max(outputs - K, 1)], dtype=DTYPE)  # how many outputs share a column
    queries = torch.tensor(language.queries)
    Y, z = torch.zeros(M, K + 1, dtype=DTYPE), torch.zeros(language.num_queries, M, dtype=DTYPE)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    for step in range(steps + 1):
        seen = see(language, Y, z, outputs)
        history.append((z, seen.own[:, 0], -seen.log_p.diagonal().mean()))
        if step < steps:
            Y = Y + lr_y / K * seen.f.T @ (seen.errors / counts)
            z = z + lr_z / K * torch.zeros_like(z).index_add(0, queries, seen.push)
    return Trajectory(
        language, lr_y, lr_z, outputs, *(torch.stack(rows) for rows in zip(*history, strict=True))
    )


def drift(trajectory: Trajectory, target: int) -> Tensor:
    """How far what lemma 4 conserves has moved from where it began, at every step, (steps + 1,).

    For two distinct tokens of a class, lemma 4 gives dz_l/dt = xi f_l^2, so 1/c_l^2 - 1/c_l'^2 (of the unnormalized
    attention) stays. The drift is the largest change of this difference over all pairs of the class's distinct
    tokens, as a share of the difference that the two most unlike tokens began with.

    Raises:
        ValueError: the class has no two distinct tokens of unlike probability.
    """
    own = trajectory.language.distinct(target)
    inverse = trajectory.unnormalized(target)[:, own] ** -2
    began = inverse[0].max() - inverse[0].min() if own.any() else torch.tensor(0.0)
    if not began > 0:
        raise ValueError(f"target: class {target} has no two distinct tokens of unlike probability")
    change = inverse - inverse[0]
    return (change.max(1).values - change.min(1).values) / began


@dataclass(frozen=True)
class Signs:
    """Whether theorem 2's signs and the order of its gains held along a trajectory.

    Attributes:
        losing: share of the moves (token x step, the first step left out) in which a distinct token did not gain.
        gaining: share of the moves in which a common token did not lose.
        ordered: in how many classes the distinct tokens' z have the order of their P at every step.
    """

    losing: float
    gaining: float
    ordered: int

    @property
    def hold(self) -> bool:
        """Whether no move went against the theorem."""
        return self.losing == 0 and self.gaining == 0


def measure_signs(trajectory: Trajectory) -> Signs:
    """Count the moves against theorem 2, and the classes whose distinct tokens stay in the order of P (theorem 3).

    The first step moves no attention, for Y is zero.
    """
    language, ordered = trajectory.language, 0
    gains, losses = [], []
    for n in range(language.num_classes):
        own = language.distinct(n)
        gains.append(trajectory.moves(n, own)[1:].flatten())
        losses.append(trajectory.moves(n, language.common)[1:].flatten())
        rising = language.probabilities[n, own].argsort()
        z = trajectory.z[2:, language.queries[n]][:, own][:, rising]
        ordered += bool((z.diff(dim=1) > 0).all())
    losing, gaining = (
        (sign * torch.cat(moves) <= 0).double().mean().item() for sign, moves in ((1, gains), (-1, losses))
    )
    return Signs(losing, gaining, ordered)


@dataclass(frozen=True)
class Drift:
    """The conserved quantity's drift by how many times faster the decoder's rate is: each the largest over classes.

    After as many steps a faster decoder's attention has moved less, and less movement alone is less drift. So it is
    also taken where attention has come equally far.
    """

    ratio: float
    worst: list[float]  # after all steps, for each seed
    alike: list[float]  # where the common token's attention is down to LEVEL, for each seed
    steps: int


def measure_drift(
    ratios: Sequence[float] = (1.0, 40.0, 160.0),
    *,
    lr_z: float = 0.2,
    steps: int = 1000,
    seeds: int = 3,
) -> list[Drift]:
    """Train the same random languages with a decoder at several multiples of the attention's rate.

    Raises:
        ValueError: a number of steps or seeds is below 1, or a rate is not above 0.
    """
    at_least_one(steps=steps, seeds=seeds)
    above_zero(lr_z=lr_z, ratios=min(ratios, default=1.0))
    found = []
    for ratio in ratios:
        runs = [measure_expected(shared_query(seed), ratio * lr_z, lr_z, steps) for seed in range(seeds)]
        found.append(
            Drift(ratio, [worst_drift(run, steps) for run in runs], [worst_drift(run) for run in runs], steps)
        )
    return found


def worst_drift(trajectory: Trajectory, step: int | None = None) -> float:
    """The largest drift over classes at a step; without one, where the common token is down to `LEVEL`.

    Raises:
        ValueError: the common token's attention never falls that far.
    """
    if step is None:
        step = step_at(trajectory, LEVEL)
    return max(drift(trajectory, n)[step].item() for n in range(trajectory.language.num_classes))


def step_at(trajectory: Trajectory, level: float) -> int:
    """The first step at which the common tokens' attention, in the mean over classes, is at most `level`.

    Raises:
        ValueError: there is none.
    """
    common = trajectory.language.common
    for step in range(trajectory.steps + 1):
        if mass(trajectory.attention(step), common).mean() <= level:
            return step
    raise ValueError(
        f"level: got {level}; the common tokens' attention never falls so far in {trajectory.steps} steps"
    )


def orthogonality(language: Language) -> float:
    """K times the largest eigenvalue of F^T F - I at the start: assumption 2 asks for less than 1, in size."""
    f = language.probabilities / language.probabilities.norm(dim=1, keepdim=True)
    gram = f @ f.T - torch.eye(language.num_classes, dtype=DTYPE)
    return language.num_classes * torch.linalg.eigvalsh(gram).abs().max().item()


def shared_query(
    seed: int, *, classes: int = 5, distinct: int = 4, share: float = 0.4, common: int = 1
) -> Language:
    """Classes of one query with random distinct tokens: with one common token, theorem 4's kind of language.

    In every class the common tokens have `share` of the sequence and the distinct ones the rest. Within either kind
    the weights are drawn evenly between 0.2 and 1, anew for each class, so several common tokens are unequal.

    Raises:
        ValueError: a count is below 1, or `share` is not between 0 and 1.
    """
    at_least_one(classes=classes, distinct=distinct, common=common)
    if not 0 < share < 1:
        raise ValueError(f"share: got {share}; allowed are numbers between 0 and 1")
    draw = torch.Generator().manual_seed(seed)

    def weights(tokens: int, total: float) -> Tensor:
        drawn = 0.2 + 0.8 * torch.rand(classes, tokens, dtype=DTYPE, generator=draw)
        return total * drawn / drawn.sum(1, keepdim=True)  # (classes, tokens)

    own = torch.block_diag(*weights(distinct, 1 - share)[:, None])
    return Language(torch.cat([weights(common, share), own], 1), (0,) * classes)


@dataclass(frozen=True)
class Skewed:
    """A second common token that is `ratio` times as frequent in class 2 as in class 1: does it lose?

    Attributes:
        threshold: the ratio f_2 / f_1 below which lemma 4 lets it gain.
        ratio: its f_2 / f_1 at the start.
        first: its first move; positive where it gains.
        end: its logit after the last step.
    """

    threshold: float
    ratio: float
    first: float
    end: float


def measure_skewed(
    ratios: Sequence[float] = (1.0, 0.5, 0.2, 0.1, 0.05), *, lr_y: float = 8.0, lr_z: float = 0.2, steps: int = 100
) -> list[Skewed]:  # fmt: skip
    """Two classes of one query, two common tokens, of which the second is rarer and rarer in class 2.

    Theorem 2 promises a loss to a single common token only. By lemma 4 with two classes, a token moves as
    rho (f_1^2 + f_2^2) - 2 f_1 f_2 with rho = f_1^T f_2 over all tokens, so it gains where f_2 / f_1 is below
    rho / (1 + sqrt(1 - rho^2)): then it is more like a distinct token than like a common one.
    """
    found = []
    for ratio in ratios:
        rare = 0.3 * ratio
        P = torch.tensor([[0.3, 0.3, 0.4, 0.0], [0.3, rare, 0.0, 0.7 - rare]], dtype=DTYPE)
        run = measure_expected(Language(P, (0, 0)), lr_y, lr_z, steps)
        f = P / P.norm(dim=1, keepdim=True)
        rho = (f[0] @ f[1]).item()
        found.append(
            Skewed(
                rho / (1 + math.sqrt(1 - rho**2)), (f[1, 1] / f[0, 1]).item(),
                run.z[2, 0, 1].item(), run.z[-1, 0, 1].item(),
            )
        )  # fmt: skip
    return found
