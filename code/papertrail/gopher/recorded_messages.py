"""The table of messages for 2 and 4 processes, with the time of a step on the machine that recorded it.

    python -m papertrail.experiments run gopher.messages

Counts depend on nothing but the net and PyTorch's rules; times depend on everything.
"""

from collections.abc import Sequence

from papertrail.experiments import load_results
from papertrail.experiments.registry import Cell, Experiment
from papertrail.gopher.messages import Messages, measure_messages

CHAPTER, NAME = "gopher", "messages"
PROCESSES, TIMED = (2, 4), 50


def cells(seeds: Sequence[int]) -> list[Cell]:
    """One for each number of processes; no seed plays a part."""
    return [{"processes": processes} for processes in PROCESSES]


def measure(processes: int) -> Messages:
    """Count and time."""
    return measure_messages(processes, timed=TIMED, timeout=600)


def load_messages() -> dict[int, Messages]:
    """The recorded tables by number of processes.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    runs = [Messages.of(run) for run in load_results(CHAPTER, NAME)]
    return {run.processes: run for run in runs}


EXPERIMENTS = (
    Experiment(
        CHAPTER, NAME, "How many messages does each norm send, and what does a step take?",
        cells, measure, 0, 62, 230, None, lambda: {"timed_steps": TIMED},
    ),
)  # fmt: skip
