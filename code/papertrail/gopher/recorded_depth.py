"""What takes too long for a notebook: models of 12, 24 and 48 blocks trained with each norm.

Everything was fixed before the first run: the grid below, the settings in `depth`, and what counts as a difference.
One cell at a time; what is recorded is not run again.

    python -m papertrail.gopher.recorded_depth    run what is missing and record it

With Xavier's weights Post fails in every cell of that grid, so that it compares nothing. A second grid, fixed after the
first had been seen and before its own first run, trains Post from nn.Linear's smaller weights.

The gradients at the start were first looked at with three seeds, then with ten for 48 blocks; in Post-LN three were
too few. Ten are recorded for all depths, and called different from three standard errors on.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from papertrail.experiments import load_record, results_file, rounded, save_record
from papertrail.gopher.depth import (
    ARMS,
    BATCH,
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
COMMAND = "python -m papertrail.gopher.recorded_depth"
DEPTHS, RATES, STEPS, SEEDS, START_SEEDS = (12, 24, 48), (1e-3, 1e-2), 100, 3, 10
SHIFTED_DEPTH, SHIFTED_RATE, WEIGHT_MEAN = 12, 1e-3, 0.2
APART = 0.05  # nats between mean final losses, from which two norms count as different


def cells() -> list[dict[str, Any]]:
    """The grid: every depth, rate and arm, then the arms with a norm from shifted weights."""
    grid = [
        {"depth": depth, "placement": placement, "norm": norm, "lr": lr, "weight_mean": 0.0}
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
        }
        for placement, norm in ARMS
        if norm != "none"
    ]
    return grid + shifted


def second_cells() -> list[dict[str, Any]]:
    """The second grid: Post with each norm, from smaller weights, at the lower rate."""
    return [
        {
            "depth": depth,
            "placement": "post",
            "norm": norm,
            "lr": RATES[0],
            "weight_mean": 0.0,
            "start": "linear",
        }
        for depth in DEPTHS
        for norm in ("LayerNorm", "RMSNorm")
    ]


def settings(grid: list[dict[str, Any]]) -> dict[str, Any]:
    """Whatever the numbers depend on: a record with other settings is not gone on with."""
    return {
        "cells": grid, "steps": STEPS, "seeds": SEEDS, "vocab": VOCAB, "length": LENGTH, "batch": BATCH,
        "width": WIDTH, "heads": HEADS, "sharpness": SHARPNESS,
    }  # fmt: skip


def load_depth() -> list[DepthTraining]:
    """The recorded runs, both grids.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [DepthTraining(**run) for name in (NAME, SECOND) for run in load_record(CHAPTER, name)["runs"]]


def load_depth_gradients() -> list[DepthGradients]:
    """The recorded gradients at the start.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [DepthGradients(**result) for result in load_record(CHAPTER, START)["results"]]


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


def record(name: str, grid: list[dict[str, Any]]) -> None:
    """Run the cells of a grid that its file does not hold, and save the file after each.

    Raises:
        ValueError: what is recorded was made with other settings.
    """
    runs: list[dict[str, Any]] = []
    seconds: list[float] = []
    if (path := results_file(CHAPTER, name)).exists():
        stored = load_record(CHAPTER, name)
        if stored["settings"] != settings(grid):
            raise ValueError(f"{path.name}: holds runs with other settings; move it away to start anew")
        runs, seconds = stored["runs"], stored["seconds_by_cell"]
    for cell in grid[len(runs) :]:
        begun = time.process_time()
        run = measure_depth_training(**cell, steps=STEPS, seeds=SEEDS)
        runs.append(rounded(asdict(run)))
        seconds.append(round(time.process_time() - begun, 1))
        save_record(
            CHAPTER, name, COMMAND, {"settings": settings(grid), "seconds_by_cell": seconds, "runs": runs}
        )
        print(cell, [round(loss, 3) for loss in run.final], f"{seconds[-1]} s", flush=True)


def main() -> int:
    """Run what is not yet recorded: two grids of training, and gradients at the start.

    Raises:
        ValueError: what is recorded was made with other settings.
    """
    record(NAME, cells())
    record(SECOND, second_cells())
    if not results_file(CHAPTER, START).exists():
        gradients = measure_depth_gradients(DEPTHS, seeds=START_SEEDS)
        save_record(CHAPTER, START, COMMAND, {"results": rounded([asdict(result) for result in gradients])})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
