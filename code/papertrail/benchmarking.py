"""How the course measures speed: several ways in turn, a yardstick in the same loop, and float64 before anything.

A benchmark in benchmarks/ compares each way with a float64 reference (`refuse_wrong`), measures them in alternating
rounds of one process (`alternate`), and keeps quartiles. Times are CPU seconds of one thread. The yardstick is a matrix
product: a round in which it is slow was disturbed, and does not count.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch
from torch import Tensor

from papertrail.experiments import at_least_one, rounded, save_record

SLOW = 0.85  # of the best yardstick seen in the run; a round below it was disturbed
TOLERANCE = 1e-4  # of the largest entry, for float32 against float64
Numbers = Sequence[float]


class WrongResult(RuntimeError):
    """What is to be timed computes something else."""


def quartiles(values: Numbers) -> list[float]:
    """Lower quartile, median, upper quartile; one value is all three.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("values: got none; at least one is needed")
    return quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3


def measure_gemm(size: int = 512, repeats: int = 10) -> float:
    """The yardstick: float32 operations a CPU second of a square matrix product, in GFLOP/s.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(size=size, repeats=repeats)
    a, b = torch.randn(2, size, size, generator=torch.Generator().manual_seed(0)).unbind(0)
    torch.mm(a, b)
    start = time.process_time()
    for _ in range(repeats):
        torch.mm(a, b)
    return repeats * 2 * size**3 / (time.process_time() - start) / 1e9


class Yardstick:
    """What the machine did during a run: the matrix products of all rounds, and how many rounds they spoiled.

    Attributes:
        values: GFLOP/s, in order.
        rounds: rounds measured so far, over all sizes.
        set_aside: of these, rounds that do not count because the yardstick was slow.
        kept_slow: slow rounds that count all the same, because most of their size's rounds were slow.
    """

    def __init__(self, measure: Callable[[], float] = measure_gemm) -> None:
        self._measure = measure
        self._load = os.getloadavg()[0]
        self.values: list[float] = []
        self.rounds = self.set_aside = self.kept_slow = 0

    def measure(self) -> float:
        """One more matrix product."""
        self.values.append(self._measure())
        return self.values[-1]

    def judge(self, speeds: Numbers) -> list[bool]:
        """Which of these rounds count: those within 15% of the best product of the run so far.

        Where fewer than half of them would be left, all count, and the record says so.
        """
        quiet = [speed >= SLOW * max(self.values) for speed in speeds]
        slow = quiet.count(False)
        self.rounds += len(quiet)
        if 2 * slow > len(quiet):
            self.kept_slow += slow
            return [True] * len(quiet)
        self.set_aside += slow
        return quiet

    def fields(self) -> dict[str, Any]:
        """What a record says of it: `gemm` (quartiles, GFLOP/s), `load` (before and after) and `rounds_judged`."""
        judged = {"rounds": self.rounds, "set_aside": self.set_aside, "kept_though_slow": self.kept_slow}
        load = [self._load, os.getloadavg()[0]]
        return {"gemm": quartiles(self.values), "load": load, "rounds_judged": judged}

    def sentence(self) -> str:
        """The same for a terminal."""
        low, middle, high = quartiles(self.values)
        said = f"matrix product {middle:.1f} GFLOP/s ({low:.1f} to {high:.1f}), best {max(self.values):.1f}; "
        said += f"of {self.rounds} rounds {self.set_aside} were disturbed and set aside"
        return said + (f", {self.kept_slow} disturbed ones had to be kept" if self.kept_slow else "")


def alternate(
    ways: Mapping[str, Callable[[], Numbers]], rounds: int, yardstick: Yardstick | None = None
) -> dict[str, list[list[float]]]:
    """Measure several ways in turn, round by round, after one round that does not count.

    Args:
        ways: by name, a function that does its work once and returns what it measured: one number or several.
        yardstick: the run's; without one the rounds are judged among themselves.

    Returns:
        By way, the quartiles of each of its numbers, over the rounds that count.

    Raises:
        ValueError: `rounds` is below 1, or there are no ways.
    """
    at_least_one(rounds=rounds)
    if not ways:
        raise ValueError("ways: got none; at least one is needed")
    yardstick = yardstick or Yardstick()
    found: dict[str, list[Numbers]] = {name: [] for name in ways}
    speeds = []
    for turn in range(rounds + 1):
        speed = yardstick.measure()
        for name, way in ways.items():
            numbers = way()
            if turn:
                found[name].append(numbers)
        if turn:
            speeds.append(speed)
    counts = yardstick.judge(speeds)
    kept = {
        name: [row for row, count in zip(rows, counts, strict=True) if count] for name, rows in found.items()
    }
    return {name: [quartiles(column) for column in zip(*rows, strict=True)] for name, rows in kept.items()}


def with_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], d_out: Tensor, *, of: int | None = None
) -> list[Tensor]:
    """The value of a function, and the gradients that `d_out` gives its inputs.

    Args:
        inputs: leaves that require gradients.
        of: take the gradients of so many inputs only, the first ones.

    Shapes: inputs of any shape, d_out of any shape, the value's -> any shape: the value, then the
        gradients, each shaped as its input.
    """
    out = function(*inputs)
    return [out, *torch.autograd.grad(out, inputs[:of], d_out)]


def largest_error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, relative to the largest entry of the tensor that it is in.

    Shapes: found and expected of any shape, alike pair by pair.

    Raises:
        ValueError: there are more tensors of one than of the other, or none.
    """
    if not found or len(found) != len(expected):
        raise ValueError(f"found, expected: got {len(found)} and {len(expected)} tensors; they must match")
    pairs = zip(found, expected, strict=True)
    return max(((a.double() - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def refuse_wrong(name: str, found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Compare values (and gradients) with those of a float64 reference: what is wrong is not timed.

    Shapes: found and expected of any shape, alike pair by pair.

    Raises:
        WrongResult: the largest error is above 1e-4 of the largest entry, or is no number.
    """
    off = largest_error(found, expected)
    if not off <= TOLERANCE:
        raise WrongResult(f"{name}: off by {off:.1e} of the largest entry; not timed")
    return off


def parser(doc: str, full: str, rounds: int, quick_rounds: int = 5) -> argparse.ArgumentParser:
    """The options that every benchmark has.

    Args:
        doc: the script's docstring.
        full: how long the full form takes, such as "ten minutes of one core".
        rounds, quick_rounds: what `--rounds` is for the full form, and for `--quick`.
    """
    summary = doc.splitlines()[0]
    options = argparse.ArgumentParser(description=summary, epilog=f"The full form takes {full}.")
    options.add_argument("--record", action="store_true", help="the full form, kept in book/results/")
    options.add_argument("--quick", action="store_true", help="a short form, as `make bench` runs it")
    options.add_argument("--out", type=Path, metavar="FILE", help="write the numbers to this file as well")
    options.add_argument(
        "--rounds", type=int, help=f"measured rounds (default: {rounds}; {quick_rounds} for --quick)"
    )
    options.set_defaults(usual_rounds=(quick_rounds, rounds))
    return options


def parse(options: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read a benchmark's options and give torch one thread. What would be recorded must be the full form."""
    given = options.parse_args(arguments)
    if given.quick and given.record:
        options.error("--quick measures too little to be recorded")
    if given.rounds is not None and given.rounds < 1:
        options.error(f"--rounds: got {given.rounds}; allowed are integers from 1 up")
    given.rounds = given.rounds or given.usual_rounds[not given.quick]
    torch.set_num_threads(1)
    return given


def finish(
    given: argparse.Namespace,
    where: tuple[str, str],
    command: str,
    data: dict[str, Any],
    yardstick: Yardstick,
) -> int:
    """Print what the yardstick said, and keep the numbers where the options say.

    Args:
        where: chapter and name of the record.
        command: what makes the record.

    Returns:
        The script's exit status.
    """
    print(yardstick.sentence())
    data = rounded(data | yardstick.fields())
    if given.out:
        temporary = given.out.with_suffix(".tmp")
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        temporary.replace(given.out)
    if given.record:
        print(save_record(*where, command, data))
    return 0
