"""The long experiments by name: every one that a chapter declares in `EXPERIMENTS` of a module named `recorded*`.

Nothing here knows a chapter. One's own goes by `module:NAME`, if that module has an `EXPERIMENTS` too.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import papertrail
from papertrail.experiments.records import results_file, rounded

Cell = dict[str, Any]


class ExperimentError(Exception):
    """What cannot be run as it was asked for; the message says what is allowed."""


def no_settings(**inputs: str) -> dict[str, Any]:
    """Of an experiment whose cells say everything."""
    return {}


@dataclass(frozen=True)
class Tolerance:
    """How near a number has to come to the recorded one when it is run anew: absolute + relative * |recorded|.

    On the machine that made it, a number comes out the same to its last digit. Elsewhere rounding differs, and
    training makes more of the difference with each step.
    """

    relative: float = 0.0
    absolute: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """A grid of cells, each measured alone, and what it costs.

    Attributes:
        chapter, name: the record is book/results/<chapter>/<name>.json.
        question: what it answers.
        cells: seeds -> the grid, one dict of the arguments of `measure` for each cell, in the table's order.
        measure: one cell -> a dataclass, dict or list of JSON's values. It also gets the inputs' paths by name, and
            `device` where there is more than one to choose.
        seeds: how many were planned, 0 where no chance plays a part; the grid's seeds are 0, 1, ...
        cpu_seconds: of one core for the whole grid, as measured once.
        peak_mib: of one process.
        tolerance: of numbers run anew; None where they are times.
        settings: whatever else the numbers depend on; called with the inputs' paths by name. Rows of other settings
            never get into the same file.
        inputs: files or folders that it reads, by name: what they are.
        devices: where it can run.
        compared: what of a result has to come out again; all of it, if left out. A run that breaks down ends in numbers
            that no two processors share.
        joint: whether several processes under torchrun can share a cell. They call `measure` with the same cell.
        packages: whose versions the record states, beside Python's.
    """

    chapter: str
    name: str
    question: str
    cells: Callable[[Sequence[int]], list[Cell]]
    measure: Callable[..., Any]
    seeds: int
    cpu_seconds: float
    peak_mib: int
    tolerance: Tolerance | None
    settings: Callable[..., Mapping[str, Any]] = no_settings
    inputs: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    compared: Callable[[Any], Any] | None = None
    joint: bool = False
    packages: tuple[str, ...] = ("torch",)

    @property
    def full_name(self) -> str:
        """As the command line has it: chapter.name."""
        return f"{self.chapter}.{self.name}"

    @property
    def record(self) -> Path:
        """Its file in the book."""
        return results_file(self.chapter, self.name)

    def stored_settings(self, inputs: Mapping[str, Path]) -> dict[str, Any]:
        """Settings as they will be read back, with the inputs' digests."""
        settings = dict(self.settings(**{name: str(path) for name, path in inputs.items()}))
        if inputs:
            settings["inputs"] = {name: {"name": p.name, "sha256": digest(p)} for name, p in inputs.items()}
        return json.loads(json.dumps(settings))

    def run_cell(self, cell: Cell, inputs: Mapping[str, Path], device: str) -> Any:
        """One cell's result, as the record will hold it."""
        given: dict[str, Any] = {name: str(path) for name, path in inputs.items()}
        if len(self.devices) > 1:
            given["device"] = device
        found = self.measure(**cell, **given)
        if is_dataclass(found) and not isinstance(found, type):
            found = asdict(found)
        return json.loads(json.dumps(rounded(found)))


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder.

    Raises:
        ExperimentError: there is no such file or folder.
    """
    if not path.exists():
        raise ExperimentError(f"input: {path} is not there")
    total = hashlib.sha256()
    for one in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        total.update(f"{one.relative_to(path)}".encode() if path.is_dir() else b"")
        total.update(one.read_bytes())
    return total.hexdigest()


def addresses() -> dict[str, str]:
    """Every experiment of the chapters: its name, and where it is declared, as module:name."""
    found = {}
    for path in Path(papertrail.__path__[0]).glob("*/recorded*.py"):  # most chapters are namespace packages
        where = f"papertrail.{path.parent.name}.{path.stem}"
        for one in getattr(importlib.import_module(where), "EXPERIMENTS", ()):
            found[one.full_name] = f"{where}:{one.name}"
    return dict(sorted(found.items()))


def load(address: str) -> Experiment:
    """The experiment at module:name.

    Raises:
        ExperimentError: there is no such module, or no such experiment in it.
    """
    module, _, name = address.partition(":")
    try:
        declared = {one.name: one for one in importlib.import_module(module).EXPERIMENTS}
    except (ImportError, AttributeError) as error:
        raise ExperimentError(f"NAME: {address!r} cannot be loaded: {error}") from None
    if name not in declared:
        raise ExperimentError(f"NAME: {module} has no {name!r}; it has {', '.join(declared)}")
    return declared[name]


def address_of(name: str) -> str:
    """Where an experiment is declared, by its name in the list, the name's last part, or module:name.

    Raises:
        ExperimentError: there is none, or more than one.
    """
    if ":" in name:
        load(name)
        return name
    known = addresses()
    hits = [full for full in known if name in (full, full.partition(".")[2])]
    if len(hits) != 1:
        said = f"stands for {' and '.join(hits)}" if hits else "is not among " + ", ".join(known)
        raise ExperimentError(f"NAME: {name!r} {said}")
    return known[hits[0]]
