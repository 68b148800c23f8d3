"""The sampled runs that take too long for a notebook: many seeds, many steps, and the sweep of figure 6.

    python -m papertrail.experiments run NAME    scan_and_snap.figure_4, .figure_6 or .long_run

Fixed before the first run: rates 1 and 1, the moments, and the official settings of both figures. The 40 seeds of
figure 4 were added after the official losses had been seen to lie above those of the first five, and its longer
sequences after the rarest token had been seen to lose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from papertrail.experiments import load_results
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.scan_and_snap.sampled import (
    FIGURE_4,
    SEEDS,
    STARTS,
    Replay,
    measure_figure_4,
    measure_figure_6,
    official_losses,
    train,
)
from papertrail.scan_and_snap.setting import syn_small

CHAPTER = "scan_and_snap"
MOMENTS = (0, 100, 200, 500, 1000, 2000, 4000)
MANY_SEEDS = 40
LENGTHS = (128, 512)


@dataclass(frozen=True)
class LongRun:
    """Runs far beyond the paper's 100 iterations, by method ("sgd" without momentum, "momentum").

    Attributes:
        times: iterations.
        top: the largest attention on one token, the larger of the classes' two; [method][seed][time].
        ratio: the second-largest over the largest, in the class where it is smallest.
        tokens: exp of the entropy over all tokens, mean of the classes.
        common: attention on the common tokens, mean of the classes.
        moved: attention that changed its place since the moment before.
    """

    times: list[int]
    top: dict[str, list[list[float]]]
    ratio: dict[str, list[list[float]]]
    tokens: dict[str, list[list[float]]]
    common: dict[str, list[list[float]]]
    moved: dict[str, list[list[float]]]


@dataclass(frozen=True)
class ManySeeds:
    """The losses of figure 4's run at rates 1 and 1, at the iterations that the official log prints.

    Attributes:
        late: each seed's geometric mean loss from iteration 60 on.
        asymmetry: how much more attention one class leaves on common tokens than the other.
        rarest: by the length of sequences, the final logit of the rarest distinct token, in both classes of five seeds.
    """

    iterations: list[int]
    lowest: list[float]
    middle: list[float]
    highest: list[float]
    late: list[float]
    asymmetry: list[float]
    rarest: dict[str, list[float]]


@dataclass(frozen=True)
class Sweep:
    """Figure 6's sweep: [start][rate of Z][ratio][seed], both keys written as text.

    Attributes:
        entropy: of attention in the limit after 100 iterations, mean of the classes.
        common: attention on the common tokens.
        before: the entropy at iteration 0, by start, for each seed.
    """

    entropy: dict[str, dict[str, dict[str, list[float]]]]
    common: dict[str, dict[str, dict[str, list[float]]]]
    before: dict[str, list[float]]


def measure_long_run(seeds: Sequence[int], moments: Sequence[int]) -> LongRun:
    """Rates 1 and 1, with and without momentum, on the same sequences."""
    parts: dict[str, dict[str, list[list[float]]]] = {
        name: {} for name in ("top", "ratio", "tokens", "common", "moved")
    }
    for method in ("sgd", "momentum"):
        runs = train(syn_small(), FIGURE_4[:1], seeds, steps=moments[-1], method=method, times=moments)
        two = [run.c.topk(2).values for run in runs]  # (T, K, 2)
        parts["top"][method] = [best[..., 0].amax(1).tolist() for best in two]
        parts["ratio"][method] = [(best[..., 1] / best[..., 0]).amin(1).tolist() for best in two]
        parts["tokens"][method] = [run.entropies.exp().mean(1).tolist() for run in runs]
        parts["common"][method] = [run.common.mean(1).tolist() for run in runs]
        parts["moved"][method] = [_moved(run) for run in runs]
    return LongRun(list(moments), **parts)


def _moved(run: Replay) -> list[float]:
    return [0.0, *(run.moved(a, b) for a, b in zip(run.times, run.times[1:], strict=False))]


def measure_many_seeds(seeds: int) -> ManySeeds:
    """The official run's losses have 40 seeds of ours to stand among."""
    (runs,) = measure_figure_4(FIGURE_4[:1], range(seeds)).values()
    at = list(official_losses())
    losses = torch.tensor([[run.losses[time] for time in at] for run in runs])
    late = losses[:, [time >= 60 for time in at]].log().mean(1).exp()
    ends = (losses.amin(0).tolist(), losses.median(0).values.tolist(), losses.amax(0).tolist())
    rarest = {}
    for length in LENGTHS:
        longer = train(syn_small(), FIGURE_4[:1], SEEDS[:seeds], length=length, times=())
        rarest[f"{length}"] = [value for run in longer for value in run.distinct_z[-1, :, 0].tolist()]
    return ManySeeds(at, *ends, late.tolist(), [run.asymmetry for run in runs], rarest)


def measure_sweep(seeds: Sequence[int]) -> Sweep:
    """The sweep from zero and from torch's own initialization."""
    found: dict[str, dict[str, dict[str, dict[str, list[float]]]]] = {"entropy": {}, "common": {}}
    before = {}
    for start in STARTS:
        for (rate_y, rate), runs in measure_figure_6(start, seeds=seeds).items():
            before[start] = [run.entropies[0].mean().item() for run in runs]
            for name, values in (("entropy", "entropies"), ("common", "common")):
                place = found[name].setdefault(start, {}).setdefault(f"{rate:g}", {})
                place[f"{rate_y / rate:g}"] = [getattr(run, values)[-1].mean().item() for run in runs]
    return Sweep(found["entropy"], found["common"], before)


def _load(name: str, kind: type) -> Any:
    (found,) = load_results(CHAPTER, name)
    return kind(**found)


def load_long_run() -> LongRun:
    """The recorded long runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return _load("long_run", LongRun)


def load_many_seeds() -> ManySeeds:
    """The recorded losses of 40 seeds.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return _load("figure_4", ManySeeds)


def load_sweep() -> Sweep:
    """The recorded sweep of figure 6.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    return _load("figure_6", Sweep)


def cells(seeds: Sequence[int]) -> list[Cell]:
    """One: the seeds of each of these learn side by side."""
    return [{"seeds": len(seeds)}]


EXPERIMENTS = (
    Experiment(
        CHAPTER, "figure_4", "Do the official run's losses lie among those of forty seeds of ours?",
        cells, measure_many_seeds, MANY_SEEDS, 9, 280, Tolerance(0.02, 0.02), lambda: {"lengths": LENGTHS},
    ),
    Experiment(
        CHAPTER, "figure_6", "How do the two rates decide how sparse attention gets?",
        cells, lambda seeds: measure_sweep(range(seeds)), 5, 6, 300, Tolerance(0.02, 0.02),
        lambda: {"starts": STARTS},
    ),
    Experiment(
        CHAPTER, "long_run", "Does attention stop moving, far beyond the paper's 100 iterations?",
        cells, lambda seeds: measure_long_run(range(seeds), MOMENTS), 5, 60, 450, Tolerance(0.02, 0.02),
        lambda: {"moments": MOMENTS},
    ),
)  # fmt: skip
