"""What takes too long for a notebook: trained memories over sizes, feature maps and rules, five seeds each.

Everything was fixed before the first run: sizes, maps, steps, rate, seeds, and that the last step counts.

    python -m papertrail.experiments run fast_weights.retrieval
"""

from collections.abc import Sequence

from papertrail.experiments import load_record
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.fast_weights.retrieval import TrainedRecall, measure_trained_recall

CHAPTER, NAME = "fast_weights", "retrieval"
SYMBOLS = (4, 8, 12, 16, 24, 32)
MAPS = ("elu+1", "dpfp-1", "dpfp-2")
EDIT_SYMBOLS, EDIT_LENGTH, EDIT_STEPS = 8, 16, 800
SEEDS = 5


def load_capacity() -> list[TrainedRecall]:
    """Setting 1, every key written once: the recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return _load(edited=False)


def load_editing() -> list[TrainedRecall]:
    """Setting 2, keys drawn with replacement: the recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return _load(edited=True)


def _load(edited: bool) -> list[TrainedRecall]:
    rows = load_record(CHAPTER, NAME)
    return [TrainedRecall(**row["result"]) for row in rows if ("length" in row["cell"]) is edited]


def cells(seeds: Sequence[int]) -> list[Cell]:
    """Setting 1 over sizes, then setting 2 over rules."""

    def one(rule: str, feature_map: str | None, **sizes: int) -> Cell:
        return {"rule": rule, "feature_map": feature_map, **sizes, "seeds": len(seeds)}

    ways: list[tuple[str, str | None]] = [("sum", feature_map) for feature_map in MAPS] + [("softmax", None)]
    capacity = [one(rule, feature_map, symbols=symbols) for rule, feature_map in ways for symbols in SYMBOLS]
    ways = [(rule, feature_map) for rule in ("sum", "delta") for feature_map in MAPS] + [("softmax", None)]
    sizes = {"symbols": EDIT_SYMBOLS, "length": EDIT_LENGTH, "steps": EDIT_STEPS}
    return capacity + [one(rule, feature_map, **sizes) for rule, feature_map in ways]


EXPERIMENTS = (
    Experiment(
        CHAPTER, NAME, "How much does a trained memory hold, and can it be corrected?",
        cells, measure_trained_recall, SEEDS, 105, 340, Tolerance(0.05, 0.01),
    ),
)  # fmt: skip
