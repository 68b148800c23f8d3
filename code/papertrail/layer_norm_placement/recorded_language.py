"""Language models on real text: the grids of chapter 2's three comparisons.

    python -m papertrail.experiments run NAME --input train=TRAIN --input valid=VALID

NAME is layer_norm_placement.language, .language_longer or .warm_up. TRAIN and VALID are text files, plain or .gz; the
recorded runs read WikiText-2 (Merity et al. 2016).
"""

from collections.abc import Callable, Sequence
from typing import Any

from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.layer_norm_placement.language import (
    ARMS,
    BATCH,
    D_MODEL,
    DEPTH,
    HEADS,
    LENGTH,
    LONGER_ARMS,
    LONGER_SEEDS,
    LONGER_STEPS,
    LONGER_WARMUP,
    RATES,
    SEEDS,
    STEPS,
    WARMUP,
    WIDE,
    WIDE_ARMS,
    WIDE_RATE,
    WIDE_SEEDS,
    WIDE_STEPS,
    WIDE_WARMUPS,
    measure_language,
)

CHAPTER = "layer_norm_placement"
TEXTS = {"train": "text to train on", "valid": "text to judge on"}


def cells(seeds: Sequence[int]) -> list[Cell]:
    """Every placement at both rates, seed by seed."""
    return [{"placement": p, "lr": lr, "seed": seed} for seed in seeds for p in ARMS for lr in RATES]


def longer_cells(seeds: Sequence[int]) -> list[Cell]:
    """Fewer arms, four times the steps."""
    steps = {"steps": LONGER_STEPS, "warmup": LONGER_WARMUP}
    return [{"placement": p, "lr": lr, "seed": seed, **steps} for seed in seeds for p, lr in LONGER_ARMS]


def warm_up_cells(seeds: Sequence[int]) -> list[Cell]:
    """Twice the width, one rate, each placement with and without warm-up."""
    shared = {"lr": WIDE_RATE, "d_model": WIDE, "steps": WIDE_STEPS}
    return [
        {"placement": p, "warmup": warmup, "seed": seed, **shared}
        for seed in seeds for p in WIDE_ARMS for warmup in WIDE_WARMUPS
    ]  # fmt: skip


def settings(**own: Any) -> Callable[..., dict[str, Any]]:
    """What all cells of a grid share."""
    shared = {"depth": DEPTH, "heads": HEADS, "length": LENGTH, "batch": BATCH}
    return lambda **inputs: shared | own


EXPERIMENTS = (
    Experiment(
        CHAPTER, "language", "Which placement ends up better on real text, all with warm-up?",
        cells, measure_language, len(SEEDS), 1750, 525, Tolerance(relative=0.02),
        settings(d_model=D_MODEL, steps=STEPS, warmup=WARMUP), TEXTS,
    ),
    Experiment(
        CHAPTER, "language_longer", "Does Post-LN's gap to Pre-LN close with four times the steps?",
        longer_cells, measure_language, len(LONGER_SEEDS), 2400, 525, Tolerance(relative=0.02),
        settings(d_model=D_MODEL), TEXTS,
    ),
    Experiment(
        CHAPTER, "warm_up", "At 12 layers of width 128 on real text, which placements need warm-up, or gain by it?",
        warm_up_cells, measure_language, len(WIDE_SEEDS), 2400, 700, Tolerance(relative=0.02), settings(), TEXTS,
    ),
)  # fmt: skip
