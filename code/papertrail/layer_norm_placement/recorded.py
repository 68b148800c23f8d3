"""What takes too long for a notebook: training over rates, initial weights and depths, for every placement.

The grid was fixed before its first run. The chapter draws the record, and runs a part of it live.

    python -m papertrail.experiments run layer_norm_placement.training
    python -m papertrail.experiments run layer_norm_placement.depth
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from papertrail.experiments import load_results
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.layer_norm_placement.measurements import GradientProfile, measure_gradients
from papertrail.layer_norm_placement.placements import PLACEMENTS, STARTS
from papertrail.layer_norm_placement.training import (
    BATCH,
    LENGTH,
    VOCAB,
    WIDTH,
    TrainingRuns,
    measure_training,
)

CHAPTER = "layer_norm_placement"
RATES, WARMUPS = (1e-3, 3e-3, 1e-2), (0, 60)
DEPTHS, DEPTH_RATE, DEPTH_PLACEMENTS = (
    (2, 6, 12, 24),
    3e-3,
    ("post", "pre", "sandwich", "deepnorm", "dual-residual"),
)
DEPTH_STARTS = ("xavier", "linear")
COSINE_STEPS = (0, 1, 3, 5, 10, 20, 60, 120)
SEEDS = 5


@dataclass(frozen=True)
class DepthFrame:
    """One setting of the chapter's moving figure: by placement, decoder gradients and training without warm-up."""

    depth: int
    start: str
    gradients: dict[str, GradientProfile]
    training: dict[str, TrainingRuns]


def measure_depth(
    depth: int,
    start: str = "xavier",
    *,
    placements: Sequence[str] = DEPTH_PLACEMENTS,
    seeds: int = SEEDS,
    steps: int = 120,
) -> DepthFrame:
    """Gradients at initialization in an encoder-decoder, and training of a causal model at rate 3e-3.

    Raises:
        ValueError: as `measure_gradients` and `measure_training`.
    """
    gradients = {
        p: measure_gradients("encoder-decoder", p, depth, seeds=seeds, start=start) for p in placements
    }
    training = {
        p: measure_training(p, depth, lr=DEPTH_RATE, seeds=seeds, start=start, steps=steps)
        for p in placements
    }
    return DepthFrame(depth, start, gradients, training)


def load_training() -> list[TrainingRuns]:
    """The recorded runs of depth 6: every placement, rate, warm-up and start.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [TrainingRuns(**run) for run in load_results(CHAPTER, "training")]


def find(
    runs: Sequence[TrainingRuns], placement: str, lr: float, warmup: int = 0, start: str = "xavier"
) -> TrainingRuns:
    """The runs of one setting.

    Raises:
        ValueError: there are none.
    """
    for run in runs:
        if (run.placement, run.lr, run.warmup, run.start) == (placement, lr, warmup, start):
            return run
    raise ValueError(f"runs: none with placement={placement!r}, lr={lr}, warmup={warmup}, start={start!r}")


def load_depths() -> list[DepthFrame]:
    """The recorded frames of the moving figure.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [
        DepthFrame(
            frame["depth"],
            frame["start"],
            {p: GradientProfile(**row) for p, row in frame["gradients"].items()},
            {p: TrainingRuns(**row) for p, row in frame["training"].items()},
        )
        for frame in load_results(CHAPTER, "depth")
    ]


def training_cells(seeds: Sequence[int]) -> list[Cell]:
    """Every placement, rate and warm-up from Xavier's weights; then the other starts, at the highest rate."""
    grid = [(p, lr, warmup, "xavier") for p in PLACEMENTS for lr in RATES for warmup in WARMUPS]
    grid += [(p, RATES[-1], 0, start) for p in PLACEMENTS for start in STARTS if start != "xavier"]
    names = ("placement", "lr", "warmup", "start")
    return [dict(zip(names, one, strict=True)) | {"seeds": len(seeds)} for one in grid]


def depth_cells(seeds: Sequence[int]) -> list[Cell]:
    """Every depth from both starts."""
    return [{"depth": d, "start": start, "seeds": len(seeds)} for d in DEPTHS for start in DEPTH_STARTS]


def settings() -> dict:
    """What all cells share."""
    return {"vocab": VOCAB, "length": LENGTH, "batch": BATCH, "d_model": WIDTH}


EXPERIMENTS = (
    Experiment(
        CHAPTER, "training", "At which rates, and from which weights, does a placement need warm-up?",
        training_cells, partial(measure_training, cosine_steps=COSINE_STEPS), SEEDS, 313, 350,
        Tolerance(0.02, 0.02), lambda: settings() | {"cosine_steps": COSINE_STEPS},
    ),
    Experiment(
        CHAPTER, "depth", "What moves with depth: gradients at the start, and training without warm-up?",
        depth_cells, measure_depth, SEEDS, 761, 600, Tolerance(0.02, 0.02),
        lambda: settings() | {"lr": DEPTH_RATE, "placements": DEPTH_PLACEMENTS},
    ),
)  # fmt: skip
