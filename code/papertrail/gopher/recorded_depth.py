"""What takes too long for a notebook: models of 12, 24 and 48 blocks trained with each norm.

Everything was fixed before the first run: the grid below, the settings in `depth`, and what counts as a difference.
One cell at a time; what is recorded is not run again.

    python -m papertrail.gopher.recorded_depth    run what is missing and record it

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

CHAPTER, NAME, START = "gopher", "depth", "depth_gradients"
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


def settings() -> dict[str, Any]:
    """Whatever the numbers depend on: a record with other settings is not gone on with."""
    return {
        "cells": cells(), "steps": STEPS, "seeds": SEEDS, "vocab": VOCAB, "length": LENGTH, "batch": BATCH,
        "width": WIDTH, "heads": HEADS, "sharpness": SHARPNESS,
    }  # fmt: skip


def load_depth() -> list[DepthTraining]:
    """The recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [DepthTraining(**run) for run in load_record(CHAPTER, NAME)["runs"]]


def load_depth_gradients() -> list[DepthGradients]:
    """The recorded gradients at the start.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [DepthGradients(**result) for result in load_record(CHAPTER, START)["results"]]


def find(
    runs: Sequence[DepthTraining], depth: int, placement: str, norm: str, lr: float, weight_mean: float = 0.0
) -> DepthTraining:
    """The runs of one cell.

    Raises:
        ValueError: there are none.
    """
    for run in runs:
        if (run.depth, run.placement, run.norm, run.lr, run.weight_mean) == (
            depth, placement, norm, lr, weight_mean
        ):  # fmt: skip
            return run
    raise ValueError(
        f"runs: none with depth={depth}, placement={placement!r}, norm={norm!r}, lr={lr}, weight_mean={weight_mean}"
    )


def main() -> int:
    """Run what is not yet recorded, and record each cell as soon as it is done.

    Raises:
        ValueError: what is recorded was made with other settings.
    """
    runs: list[dict[str, Any]] = []
    seconds: list[float] = []
    if (path := results_file(CHAPTER, NAME)).exists():
        record = load_record(CHAPTER, NAME)
        if record["settings"] != settings():
            raise ValueError(f"{path.name}: holds runs with other settings; move it away to start anew")
        runs, seconds = record["runs"], record["seconds_by_cell"]
    for cell in cells()[len(runs) :]:
        begun = time.process_time()
        run = measure_depth_training(**cell, steps=STEPS, seeds=SEEDS)
        runs.append(rounded(asdict(run)))
        seconds.append(round(time.process_time() - begun, 1))
        data = {"settings": settings(), "seconds_by_cell": seconds, "runs": runs}
        save_record(CHAPTER, NAME, COMMAND, data)
        print(cell, [round(loss, 3) for loss in run.final], f"{seconds[-1]} s", flush=True)
    if not results_file(CHAPTER, START).exists():
        gradients = measure_depth_gradients(DEPTHS, seeds=START_SEEDS)
        save_record(CHAPTER, START, COMMAND, {"results": rounded([asdict(result) for result in gradients])})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
