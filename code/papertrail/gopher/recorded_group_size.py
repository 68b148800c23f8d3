"""The group-size experiment with all its seeds, which takes too long for a notebook.

python -m papertrail.experiments run gopher.group_size
"""

from collections.abc import Sequence
from typing import Any

from papertrail.experiments import load_results
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.gopher.group_size import EPOCHS, GROUPS, GroupSizes, measure_group_sizes

CHAPTER, NAME, SEEDS = "gopher", "group_size", 5


def cells(seeds: Sequence[int]) -> list[Cell]:
    """One: the seeds of all groups learn side by side."""
    return [{"seeds": len(seeds)}]


def measure(seeds: int) -> GroupSizes:
    """All groups."""
    return measure_group_sizes(GROUPS, seeds=seeds, epochs=EPOCHS)


def settings() -> dict[str, Any]:
    """What the numbers depend on."""
    return {"groups": GROUPS, "epochs": EPOCHS}


def load_group_sizes() -> GroupSizes:
    """The recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    (found,) = load_results(CHAPTER, NAME)
    evaluated, batched = (
        {int(g): errors for g, errors in found[part].items()} for part in ("evaluated", "batched")
    )
    return GroupSizes(evaluated, batched, found["others"], found["seeds"])


EXPERIMENTS = (
    Experiment(
        CHAPTER, NAME, "How many cases does a batch norm need for its statistics?",
        cells, measure, SEEDS, 21, 330, Tolerance(0.1, 0.02), settings,
    ),
)  # fmt: skip
