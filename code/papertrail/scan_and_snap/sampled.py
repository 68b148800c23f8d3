"""Training as the authors run it, on sampled sequences: figures 4, 5 and 6 of Tian et al. 2023 replayed.

Settings of the official runs (scan_snap/figure_4.log and figure_6.log): sequences of 128 tokens with the query, batches
of 128, momentum 0.9, 100 iterations, Y and Z with a rate each. All runs of a call learn side by side, and runs of one
seed see the same sequences, so that rates are compared on equal data.

Attention without positions sees how often each token stands in the sequence and nothing else. So a sequence is kept as
its counts: weights count * exp(z) are what the softmax over 127 positions gives, up to a factor which the norm divides
out. `tests` hold this against the layer itself, values and gradients.

Letters in shapes: R runs, B sequences, M contextual tokens, Q queries, K targets, V the vocabulary, T recorded moments.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one
from papertrail.scan_and_snap.measures import attention_in_the_limit, entropy, mass, rank_correlation
from papertrail.scan_and_snap.setting import DTYPE, Language, make_language, syn_small

LENGTH, BATCH, MOMENTUM, STEPS = 128, 128, 0.9, 100
BETAS, EPS = (0.9, 0.999), 1e-8  # torch's defaults for Adam, which the official runs keep
METHODS, STARTS = ("sgd", "momentum", "adam"), ("zero", "torch")
SEEDS = (0, 1, 2, 3, 4)

Rates = tuple[float, float]  # of Y and of Z
FIGURE_4: tuple[Rates, ...] = (
    (1.0, 1.0),
    (10.0, 1.0),
    (0.5, 0.5),
    (5.0, 0.5),
)  # the first has an official log
SLOW_DECODER: Rates = (0.5, 1.0)  # beside (1, 1): the same rate of Z, a smaller one of Y
FIGURE_5: tuple[Rates, ...] = ((0.1, 0.1), (0.5, 0.5), (1.0, 1.0))  # of Adam
FIGURE_6_RATES, FIGURE_6_RATIOS = (0.5, 1.0, 2.0, 3.0), (1, 2, 5, 10)
OFFICIAL = Path(__file__).parent / "tables" / "official_figure_4.csv"


@dataclass(frozen=True)
class Replay:
    """One run, with what was read off at each recorded moment.

    Attributes:
        rates: of Y and of Z.
        times: iterations at which the rest was read, before the update of that iteration.
        losses: of every iteration's batch.
        z: attention logits, (T, Q, M).
        c: attention in the limit of long sequences (eq. 5), (T, K, M).
    """

    language: Language
    rates: Rates
    seed: int
    times: tuple[int, ...]
    losses: list[float]
    z: Tensor
    c: Tensor

    def at(self, time: int) -> int:
        """The place of an iteration among the recorded ones.

        Raises:
            ValueError: it was not recorded.
        """
        if time not in self.times:
            raise ValueError(f"time: got {time}; recorded are {', '.join(map(str, self.times))}")
        return self.times.index(time)

    @property
    def common(self) -> Tensor:
        """Attention on all common tokens together, (T, K)."""
        return mass(self.c, self.language.common)

    @property
    def entropies(self) -> Tensor:
        """Entropy of the attention over all tokens, (T, K), in nats."""
        return entropy(self.c)

    @property
    def distinct(self) -> Tensor:
        """Attention on each of a class's own tokens, the rarest first, (T, K, tokens)."""
        return torch.stack(
            [self.c[:, n, self.language.distinct(n)] for n in range(self.language.num_classes)], 1
        )

    @property
    def distinct_z(self) -> Tensor:
        """Logits of each class's own tokens, the rarest first, (T, K, tokens)."""
        language = self.language
        rows = [self.z[:, language.queries[n], language.distinct(n)] for n in range(language.num_classes)]
        return torch.stack(rows, 1)

    @property
    def asymmetry(self) -> float:
        """How much more attention one class leaves on common tokens than the other, at the end."""
        return (self.common[-1].max() - self.common[-1].min()).item()

    def moved(self, since: int, until: int) -> float:
        """The attention that changed its place between two iterations (total variation), mean of the classes.

        Raises:
            ValueError: an iteration was not recorded.
        """
        return ((self.c[self.at(until)] - self.c[self.at(since)]).abs().sum(-1) / 2).mean().item()

    @property
    def half_time(self) -> int:
        """The first recorded iteration at which half of the common mass's whole change is over."""
        return next(time for time in self.times if self.way(time) >= 0.5)

    def way(self, time: int) -> float:
        """The share of the whole change of the common tokens' mass that is over at an iteration; mean of the classes.

        Raises:
            ValueError: the iteration was not recorded.
        """
        start, now, end = self.common[[0, self.at(time), -1]].mean(1).tolist()
        return (now - start) / (end - start)


def count_tokens(tokens: Tensor, num_tokens: int) -> Tensor:
    """How often each contextual token stands before the query: (B, T) -> (B, M)."""
    counts = torch.zeros(len(tokens), num_tokens, dtype=DTYPE)
    return counts.scatter_add_(1, tokens[:, :-1], torch.ones_like(tokens[:, :-1], dtype=DTYPE))


def logits_of_counts(Y: Tensor, Z: Tensor, counts: Tensor, queries: Tensor) -> Tensor:
    """The layer's logits (eq. 1 and 2) from the counts of tokens.

    Args:
        Y: decoder, (R, M, V).
        Z: attention logits, (R, Q, M).
        counts: (R, B, M).
        queries: which query each sequence ends with, from 0, (R, B).

    Returns:
        (R, B, V).
    """
    shifted = (Z - Z.detach().amax(2, keepdim=True)).exp()  # (R, Q, M)
    chosen = F.one_hot(queries, Z.shape[1]).to(Z.dtype)  # (R, B, Q)
    weights = counts * (chosen @ shifted)  # the softmax's denominator would cancel in the next line
    return F.normalize(weights, dim=2, eps=0.0) @ Y


def _start(language: Language, runs: int, seeds: Sequence[int], start: str) -> tuple[Tensor, Tensor]:
    """Y (R, M, V) and Z (R, Q, M): zeros, or as torch's nn.Linear(V, V) without bias begins."""
    M, Q, V = language.num_tokens, language.num_queries, language.vocabulary
    Y, Z = torch.zeros(runs, M, V, dtype=DTYPE), torch.zeros(runs, Q, M, dtype=DTYPE)
    if start == "torch":
        each = runs // len(seeds)
        for i, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(10_000 + seed)  # apart from the sequences' generator
            for weights in (Y, Z):
                drawn = torch.rand(weights.shape[1:], dtype=DTYPE, generator=generator)
                weights[i * each : (i + 1) * each] = (2 * drawn - 1) * V**-0.5
    return Y.requires_grad_(), Z.requires_grad_()


class _Steps:
    """SGD, SGD with momentum, or Adam, with a rate for each run (torch.optim has one for all)."""

    def __init__(self, weights: Tensor, rates: Sequence[float], method: str) -> None:
        self.weights, self.method, self.count = weights, method, 0
        self.rates = torch.tensor(rates, dtype=DTYPE)[:, None, None]
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """One update of the weights, in place."""
        self.count += 1
        move = gradient
        if self.method == "momentum":
            move = self.first.mul_(MOMENTUM).add_(gradient)
        elif self.method == "adam":
            self.first.lerp_(gradient, 1 - BETAS[0])
            self.second.lerp_(gradient.square(), 1 - BETAS[1])
            deviation = (self.second / (1 - BETAS[1] ** self.count)).sqrt_().add_(EPS)
            move = self.first / (1 - BETAS[0] ** self.count) / deviation
        self.weights -= self.rates * move


def _batches(language: Language, length: int, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
    """Counts (S, B, M) and classes (S, B): the next batch of each seed."""
    drawn = [language.sample(BATCH, length, generator) for generator in generators]
    counts = torch.stack([count_tokens(tokens, language.num_tokens) for tokens, _ in drawn])
    return counts, torch.stack([classes for _, classes in drawn])


def train(
    language: Language, rates: Sequence[Rates], seeds: Sequence[int] = SEEDS, *, steps: int = STEPS,
    method: str = "momentum", start: str = "zero", length: int = LENGTH, times: Sequence[int] | None = None,
) -> list[Replay]:  # fmt: skip
    """Train every pair of rates with every seed; all runs of one seed see the same sequences.

    Args:
        method: "sgd", "momentum" or "adam", for Y and Z alike.
        start: "zero" as in the theory, or "torch" for nn.Linear's own initialization.
        length: tokens of a sequence, the query included.
        times: the iterations to record, by default all; `steps` itself is after the last update.

    Returns:
        The runs, seed by seed, in the order of `rates` within a seed.

    Raises:
        ValueError: a number is below 1, `method` or `start` is unknown, or `times` leave 0 to `steps`.
    """
    at_least_one(steps=steps, seeds=len(seeds), rates=len(rates))
    for name, value, allowed in (("method", method, METHODS), ("start", start, STARTS)):
        if value not in allowed:
            raise ValueError(f"{name}: got {value!r}; allowed are {', '.join(map(repr, allowed))}")
    times = tuple(range(steps + 1)) if times is None else tuple(sorted({0, *times, steps}))
    if not 0 <= times[0] <= times[-1] <= steps:
        raise ValueError(f"times: got {times[0]} to {times[-1]}; allowed are 0 to steps, {steps}")
    pairs = [(seed, pair) for seed in seeds for pair in rates]
    Y, Z = _start(language, len(pairs), seeds, start)
    of_y, of_z = (_Steps(weights, [pair[i] for _, pair in pairs], method) for i, weights in enumerate((Y, Z)))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    queries = torch.tensor(language.queries)
    targets = torch.tensor([language.target_token(n) for n in range(language.num_classes)])
    losses, kept = [], []
    for time in range(steps):
        if time in times:
            kept.append(Z.detach().clone())
        counts, classes = (
            part.repeat_interleave(len(rates), 0) for part in _batches(language, length, generators)
        )
        logits = logits_of_counts(Y, Z, counts, queries[classes])
        loss = F.cross_entropy(logits.transpose(1, 2), targets[classes], reduction="none").mean(1)  # (R,)
        for optimizer, gradient in zip((of_y, of_z), torch.autograd.grad(loss.sum(), (Y, Z)), strict=True):
            optimizer.step(gradient)
        losses.append(loss.detach())
    z = torch.stack([*kept, Z.detach()], 1)  # (R, T, Q, M)
    each = torch.stack(losses, 1).tolist()
    return [
        Replay(
            language, pair, seed, times, each[i], z[i],
            torch.stack([attention_in_the_limit(language, moment) for moment in z[i]]),
        )
        for i, (seed, pair) in enumerate(pairs)
    ]  # fmt: skip


def by_rates(replays: Sequence[Replay]) -> dict[Rates, list[Replay]]:
    """The runs of each pair of rates, one for each seed."""
    found: dict[Rates, list[Replay]] = {}
    for replay in replays:
        found.setdefault(replay.rates, []).append(replay)
    return found


def measure_figure_4(
    rates: Sequence[Rates] = FIGURE_4, seeds: Sequence[int] = SEEDS, *, steps: int = STEPS
) -> dict[Rates, list[Replay]]:
    """The paper's figure 4: two classes with a query each, 10 common and 10 distinct tokens, momentum, from zero.

    Raises:
        ValueError: as `train`.
    """
    return by_rates(train(syn_small(), rates, seeds, steps=steps))


def measure_figure_5(
    rates: Sequence[Rates] = FIGURE_5, seeds: Sequence[int] = SEEDS, *, steps: int = STEPS
) -> dict[Rates, list[Replay]]:
    """The paper's figure 5: the same with Adam.

    Raises:
        ValueError: as `train`.
    """
    return by_rates(train(syn_small(), rates, seeds, steps=steps, method="adam"))


def measure_figure_6(
    start: str, rates_z: Sequence[float] = FIGURE_6_RATES, ratios: Sequence[int] = FIGURE_6_RATIOS,
    seeds: Sequence[int] = SEEDS, *, steps: int = STEPS,
) -> dict[Rates, list[Replay]]:  # fmt: skip
    """The first panel of the paper's figure 6: one query for two targets, rates of Z, and multiples of them for Y.

    Args:
        start: "zero" as in the theory, or "torch" as the official sweep has it (`zero_init=false`).

    Raises:
        ValueError: as `train`.
    """
    pairs = [(ratio * rate, rate) for rate in rates_z for ratio in ratios]
    language = make_language(2, distinct=10, common=10, targets_per_query=2)
    return by_rates(train(language, pairs, seeds, steps=steps, start=start, times=(0, steps)))


@dataclass(frozen=True)
class Moves:
    """Which way the logits went in the runs of one pair of rates, over all seeds and classes.

    Attributes:
        gained: for each distinct token, the rarest first, the share of cases in which its logit is above 0 at the end.
        grew: the same for its attention, above its start.
        common_lost: the share of cases in which a common token's logit is below 0 at the end.
        order: rank correlation of the distinct tokens' logits with their frequency, case by case.
        shares_order: the same of their attention.
        top: the distinct tokens with the largest attention, three of each case, numbered by frequency from 0.
    """

    gained: list[float]
    grew: list[float]
    common_lost: float
    order: list[float]
    shares_order: list[float]
    top: list[tuple[int, ...]]


def measure_moves(runs: Sequence[Replay]) -> Moves:
    """Signs and order at the end of runs from zero (theorem 2, and the rank order behind theorem 3)."""
    z = torch.cat([run.distinct_z[-1] for run in runs])  # (seeds * K, tokens)
    shares, first = (torch.cat([run.distinct[i] for run in runs]) for i in (-1, 0))
    common = torch.cat([run.z[-1][:, run.language.common] for run in runs])
    return Moves(
        (z > 0).to(DTYPE).mean(0).tolist(), (shares > first).to(DTYPE).mean(0).tolist(),
        (common < 0).to(DTYPE).mean().item(),
        rank_correlation(z, first).tolist(), rank_correlation(shares, first).tolist(),
        [tuple(sorted(row)) for row in shares.topk(3).indices.tolist()],
    )  # fmt: skip


def official_losses() -> dict[int, float]:
    """The losses that the authors' run of figure 4 prints (rates 1 and 1, their seed 2), by iteration."""
    with OFFICIAL.open(encoding="utf-8", newline="") as file:
        return {int(row["iteration"]): float(row["loss"]) for row in csv.DictReader(file)}
