"""What takes too long for a notebook: models of 12, 24 and 48 blocks trained with each norm.

Everything was fixed before the first run: the grid below, the settings in `depth`, and what counts as a difference.

    python -m papertrail.experiments run NAME    gopher.depth, .depth_post or .depth_gradients

With Xavier's weights Post fails in every cell of that grid, so that it compares nothing. A second grid, fixed after the
first had been seen and before its own first run, trains Post from nn.Linear's smaller weights.

The gradients at the start were first looked at with three seeds, then with ten for 48 blocks; in Post-LN three were
too few. Ten are recorded for all depths, and called different from three standard errors on.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from papertrail.experiments import load_results
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.gopher.depth import (
    ARMS,
    BATCH,
    FAILED,
    HEADS,
    LENGTH,
    SHARPNESS,
    VOCAB,
    WIDTH,
    DepthGradients,
    DepthTraining,
    measure_depth_gradients,
    measure_depth_training,
)

CHAPTER, NAME, SECOND, START = "gopher", "depth", "depth_post", "depth_gradients"
DEPTHS, RATES, STEPS, SEEDS, START_SEEDS = (12, 24, 48), (1e-3, 1e-2), 100, 3, 10
SHIFTED_DEPTH, SHIFTED_RATE, WEIGHT_MEAN = 12, 1e-3, 0.2
APART = 0.05  # nats between mean final losses, from which two norms count as different


def cells(seeds: Sequence[int]) -> list[Cell]:
    """The grid: every depth, rate and arm, then the arms with a norm from shifted weights."""
    grid = [
        {
            "depth": depth,
            "placement": placement,
            "norm": norm,
            "lr": lr,
            "weight_mean": 0.0,
            "seeds": len(seeds),
        }
        for depth in DEPTHS
        for lr in RATES
        for placement, norm in ARMS
    ]
    shifted = [
        {
            "depth": SHIFTED_DEPTH,
            "placement": placement,
            "norm": norm,
            "lr": SHIFTED_RATE,
            "weight_mean": WEIGHT_MEAN,
            "seeds": len(seeds),
        }
        for placement, norm in ARMS
        if norm != "none"
    ]
    return grid + shifted


def second_cells(seeds: Sequence[int]) -> list[Cell]:
    """The second grid: Post with each norm, from smaller weights, at the lower rate."""
    return [
        {
            "depth": depth,
            "placement": "post",
            "norm": norm,
            "lr": RATES[0],
            "weight_mean": 0.0,
            "start": "linear",
            "seeds": len(seeds),
        }
        for depth in DEPTHS
        for norm in ("LayerNorm", "RMSNorm")
    ]


def start_cells(seeds: Sequence[int]) -> list[Cell]:
    """Gradients at the start, by depth and arm."""
    return [
        {"depth": depth, "placement": placement, "norm": norm, "seeds": len(seeds)}
        for depth in DEPTHS
        for placement, norm in ARMS
    ]


def measure_start(depth: int, placement: str, norm: str, seeds: int) -> DepthGradients:
    """One of them."""
    (found,) = measure_depth_gradients((depth,), ((placement, norm),), seeds)
    return found


def settings(**own: Any) -> dict[str, Any]:
    """What all cells of a grid share."""
    return {
        "vocab": VOCAB, "length": LENGTH, "batch": BATCH, "width": WIDTH, "heads": HEADS, "sharpness": SHARPNESS,
    } | own  # fmt: skip


def load_depth() -> list[DepthTraining]:
    """The recorded runs, both grids.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [DepthTraining(**run) for name in (NAME, SECOND) for run in load_results(CHAPTER, name)]


def load_depth_gradients() -> list[DepthGradients]:
    """The recorded gradients at the start.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [DepthGradients(**result) for result in load_results(CHAPTER, START)]


def find(
    runs: Sequence[DepthTraining], depth: int, placement: str, norm: str, lr: float, start: str = "xavier"
) -> DepthTraining:
    """The runs of one cell, weights not shifted.

    Raises:
        ValueError: there are none.
    """
    for run in runs:
        if not run.weight_mean and (run.depth, run.placement, run.norm, run.lr, run.start) == (
            depth, placement, norm, lr, start
        ):  # fmt: skip
            return run
    raise ValueError(
        f"runs: none with depth={depth}, placement={placement!r}, norm={norm!r}, lr={lr}, start={start!r}"
    )


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """How many seeds failed, and the final losses of those that did not: a run that blows up is noise."""
    run = DepthTraining(**result)
    return {"failed": run.failed, "final": [loss if loss < FAILED else None for loss in run.final]}


def _training(name: str, question: str, grid: Any, cpu_seconds: float) -> Experiment:
    measure = partial(measure_depth_training, steps=STEPS)
    return Experiment(
        CHAPTER, name, question, grid, measure, SEEDS, cpu_seconds, 390, Tolerance(0.05, 0.05),
        lambda: settings(steps=STEPS), compared=compared,
    )  # fmt: skip


EXPERIMENTS = (
    _training(NAME, "Does RMSNorm train as LayerNorm does, in 12 to 48 blocks?", cells, 750),
    _training(SECOND, "Does it in Post-LN, from weights small enough to train?", second_cells, 162),
    Experiment(
        CHAPTER, START, "How do the first gradients differ between the norms, by depth?",
        start_cells, measure_start, START_SEEDS, 28, 330, Tolerance(0.02), settings,
    ),
)  # fmt: skip
