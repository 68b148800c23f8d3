"""Attention exchanged in a small language model, on real text: chapter 3's one trained comparison.

    python -m papertrail.experiments run fast_weights.language --input train=TRAIN --input valid=VALID

Two text files, plain or .gz; the recorded run read WikiText-2 (Merity et al. 2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from papertrail.experiments import load_record
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.fast_weights.language import (
    BATCH,
    BYTES,
    D_MODEL,
    DEPTH,
    HEADS,
    LENGTH,
    MIXERS,
    RATES,
    SEEDS,
    STEPS,
    VALID_WINDOWS,
    WARMUP,
    ByteRun,
    measure_language,
)

CHAPTER, NAME = "fast_weights", "language"


@dataclass(frozen=True)
class RecordedByteRun(ByteRun):
    """One cell of the grid with its result."""

    mixer: str
    lr: float
    seed: int


def cells(seeds: Sequence[int]) -> list[Cell]:
    """Every mixer at both rates, seed by seed."""
    return [{"mixer": mixer, "lr": lr, "seed": seed} for seed in seeds for mixer in MIXERS for lr in RATES]


def settings(**inputs: str) -> dict:
    """What all cells share."""
    return {
        "bytes": BYTES, "depth": DEPTH, "d_model": D_MODEL, "heads": HEADS, "length": LENGTH, "batch": BATCH,
        "steps": STEPS, "warmup": WARMUP, "valid_windows": VALID_WINDOWS,
    }  # fmt: skip


def load_language() -> list[RecordedByteRun]:
    """The recorded models.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [RecordedByteRun(**row["cell"], **row["result"]) for row in load_record(CHAPTER, NAME)]


def pick(runs: Sequence[RecordedByteRun], mixer: str, lr: float) -> list[RecordedByteRun]:
    """One mixer's runs at one rate, by seed.

    Raises:
        ValueError: there are none.
    """
    if not (found := [run for run in runs if (run.mixer, run.lr) == (mixer, lr)]):
        raise ValueError(f"runs: none with mixer={mixer!r}, lr={lr}")
    return sorted(found, key=lambda run: run.seed)


def best_rate(runs: Sequence[RecordedByteRun], mixer: str) -> float:
    """The rate at which a mixer's held-out loss is lowest, in the mean of its seeds."""
    rates = {run.lr for run in runs if run.mixer == mixer}
    return min(rates, key=lambda lr: fmean(run.valid for run in pick(runs, mixer, lr)))


EXPERIMENTS = (
    Experiment(
        CHAPTER, NAME, "What does a small language model lose with linear attention, and does a hybrid get it back?",
        cells, measure_language, SEEDS, 2000, 600, Tolerance(relative=0.02), settings,
        {"train": "text to train on", "valid": "text to judge on"}, ("cpu", "cuda"), joint=True,
    ),
)  # fmt: skip
