"""The ordinary layer with every assumption removed, all seeds, which takes too long for a notebook.

python -m papertrail.experiments run scan_and_snap.assumptions
"""

from collections.abc import Sequence

from papertrail.experiments import load_results
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.scan_and_snap.assumptions import Assumptions, measure_assumptions

CHAPTER, NAME, SEEDS = "scan_and_snap", "assumptions", 5


def cells(seeds: Sequence[int]) -> list[Cell]:
    """One: all variants share their languages."""
    return [{"seeds": len(seeds)}]


def load_assumptions() -> Assumptions:
    """The recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    (found,) = load_results(CHAPTER, NAME)
    return Assumptions(**found)


EXPERIMENTS = (
    Experiment(
        CHAPTER, NAME, "Which of the paper's findings survive without its assumptions?",
        cells, lambda seeds: measure_assumptions(seeds=seeds), SEEDS, 26, 350, Tolerance(0.02, 0.02),
    ),
)  # fmt: skip
