"""Run a small random part of what is recorded anew, and hold it against the record."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papertrail.experiments import at_least_one, load_file
from papertrail.experiments.registry import Cell, Experiment, digest

SKIPPED, SAME, DIFFERENT = "skipped", "same", "DIFFERENT"


@dataclass(frozen=True)
class Verdict:
    """What became of one experiment's record."""

    name: str
    verdict: str  # SKIPPED, SAME or DIFFERENT
    says: str
    cell: Cell | None = None


def differences(stored: Any, fresh: Any, relative: float, absolute: float, at: str = "") -> Iterator[str]:
    """Where two results differ by more than |fresh - stored| <= absolute + relative |stored|, one line each.

    Anything that is no number has to be the same.
    """
    if isinstance(stored, dict) and isinstance(fresh, dict):
        for key in sorted({*stored, *fresh}):
            if key not in stored or key not in fresh:
                yield f"{at}.{key}: only {'recorded' if key in stored else 'fresh'}"
            else:
                yield from differences(stored[key], fresh[key], relative, absolute, f"{at}.{key}")
    elif isinstance(stored, list) and isinstance(fresh, list):
        if len(stored) != len(fresh):
            yield f"{at}: {len(stored)} entries recorded, {len(fresh)} fresh"
        for i, pair in enumerate(zip(stored, fresh, strict=False)):
            yield from differences(*pair, relative, absolute, f"{at}[{i}]")
    elif _number(stored) and _number(fresh):
        if stored != fresh and not abs(fresh - stored) <= absolute + relative * abs(stored):
            yield f"{at}: recorded {stored}, fresh {fresh}"
    elif stored != fresh or type(stored) is not type(fresh):
        yield f"{at}: recorded {stored!r:.40}, fresh {fresh!r:.40}"


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def verify(
    experiment: Experiment,
    *,
    draw: random.Random,
    seconds: float = 30.0,
    cells: int = 1,
    inputs: Mapping[str, Path] | None = None,
    device: str = "cpu",
) -> Verdict:
    """Run some of the recorded cells anew that took at most `seconds` of CPU time; the quickest, if none did.

    A cell whose time is not known is taken to have needed its share of the whole. The tolerance is the record's own.

    Raises:
        ValueError: cells is below 1.
    """
    at_least_one(cells=cells)
    name = experiment.full_name
    if not experiment.record.exists():
        return Verdict(name, SKIPPED, "never recorded")
    record = load_file(experiment.chapter, experiment.name)
    tolerance = record["tolerance"]
    if tolerance is None:
        return Verdict(name, SKIPPED, "its numbers are times")
    given = {key: path for key, path in (inputs or {}).items() if key in experiment.inputs}
    if missing := experiment.inputs.keys() - given.keys():
        return Verdict(name, SKIPPED, f"needs --input {', '.join(sorted(missing))}")
    for key, path in given.items():
        if digest(path) != record["settings"]["inputs"][key]["sha256"]:
            return Verdict(name, SKIPPED, f"--input {key}: not the file that was read")
    if not record["table"]:
        return Verdict(name, SKIPPED, "no cell is recorded yet")
    share = record["cpu_seconds"] / len(record["table"])
    took = [share if cpu is None else cpu for cpu, _ in record["seconds"]]
    quick = [i for i, cpu in enumerate(took) if cpu <= max(seconds, min(took))]
    for i in draw.sample(quick, min(cells, len(quick))):
        row = record["table"][i]
        fresh = experiment.run_cell(row["cell"], given, device)
        compared = experiment.compared or (lambda result: result)
        found = list(differences(compared(row["result"]), compared(fresh), **tolerance))
        if found:
            return Verdict(name, DIFFERENT, f"{len(found)} numbers, {found[0]}", row["cell"])
    return Verdict(
        name, SAME, f"{min(cells, len(quick))} of {len(record['table'])} cells, within "
        f"{tolerance['relative']:g} relative, {tolerance['absolute']:g} absolute", row["cell"],
    )  # fmt: skip
