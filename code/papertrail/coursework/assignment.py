"""What a source notebook of an assignment holds: exercises, graded cells, known mistakes, rules.

A source notebook is an nbgrader notebook. For an exercise `norm` it has a solution cell with the id `norm`, a
graded cell with the id `norm-probes`, and, anywhere after them, cells with known mistakes:

    ### MISTAKE norm: The variance is divided by n - 1. LayerNorm divides by n.
    def layer_norm(...): ...

In the graded cell's hidden part, two comments state the exercise's rules:

    ### TRIVIAL 1                      at most one point for a stub, zeros, the input or NaN
    ### FORBID torch.nn.LayerNorm      names that would do the job and are not allowed
"""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

BEGIN, END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
PROBES = "-probes"
MISTAKE = re.compile(r"\A### MISTAKE (?P<exercise>[\w-]+): (?P<says>.+)\n")


@dataclass(frozen=True)
class Mistake:
    """A plausible wrong answer: the cell that replaces the solution, and what a student who gave it is told."""

    says: str
    code: str


@dataclass(frozen=True)
class Exercise:
    """One auto-graded exercise of a source notebook.

    Attributes:
        name: the solution cell's id; the graded cell's is this with "-probes".
        points: what the graded cell is worth.
        solution: the solution cell's source, with its solution.
        graded: the graded cell's source, with its probes.
        mistakes: the known wrong answers.
        trivial: the most that a trivial answer may earn.
        forbidden: dotted names that a student may not use.
    """

    name: str
    points: float
    solution: str
    graded: str
    mistakes: tuple[Mistake, ...]
    trivial: float
    forbidden: tuple[str, ...]


@dataclass(frozen=True)
class Assignment:
    """A source notebook, read: its notebook, its auto-graded exercises and the ids of what a person grades."""

    chapter: str
    notebook: nbformat.NotebookNode
    exercises: tuple[Exercise, ...]
    by_hand: dict[str, float]

    @property
    def max_score(self) -> float:
        """Points of the whole assignment, those given by hand included."""
        return sum(exercise.points for exercise in self.exercises) + sum(self.by_hand.values())


def marks(cell: nbformat.NotebookNode) -> dict:
    """nbgrader's metadata of a cell; empty for a cell that is none of its own."""
    found = cell.metadata.get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def is_mistake(cell: nbformat.NotebookNode) -> bool:
    """Is this one of the source's cells with a known wrong answer?"""
    return cell.cell_type == "code" and MISTAKE.match(cell.source) is not None


def _hidden(source: str) -> str:
    """The part of a graded cell that students do not get."""
    start, end = source.find(BEGIN), source.find(END)
    return source[start + len(BEGIN) : end] if 0 <= start < end else ""


def _lines(hidden: str, word: str) -> list[str]:
    """What follows `### WORD` in the hidden part, one entry for each such line."""
    return re.findall(rf"^### {word} (.+)$", hidden, flags=re.MULTILINE)


def read_assignment(path: Path) -> Assignment:
    """Read a source notebook.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a source notebook; the message names the cell and what is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"source notebook: {path} does not exist")
    notebook = nbformat.read(path, as_version=4)
    cells = {marks(cell)["grade_id"]: cell for cell in notebook.cells if "grade_id" in marks(cell)}
    mistakes: dict[str, list[Mistake]] = {}
    for cell in filter(is_mistake, notebook.cells):
        head = MISTAKE.match(cell.source)
        mistakes.setdefault(head["exercise"], []).append(Mistake(head["says"], cell.source))
    exercises, by_hand = [], {}
    for name, cell in cells.items():
        if not marks(cell).get("grade"):
            continue
        points = float(marks(cell)["points"])
        if marks(cell).get("solution"):
            by_hand[name] = points
            continue
        exercise = name.removesuffix(PROBES)
        if exercise == name or exercise not in cells or not _hidden(cell.source):
            raise ValueError(
                f"{path.name}: the graded cell {name!r} needs an id that ends in {PROBES!r}, a solution cell with "
                f"the id before that, and a hidden part between {BEGIN!r} and {END!r}"
            )
        hidden = _hidden(cell.source)
        if len(trivial := _lines(hidden, "TRIVIAL")) != 1:
            raise ValueError(f"{path.name}: the graded cell {name!r} needs one line '### TRIVIAL points', got {len(trivial)}")
        forbidden = tuple(word for line in _lines(hidden, "FORBID") for word in line.split())
        exercises.append(Exercise(exercise, points, cells[exercise].source, cell.source,
                                  tuple(mistakes.pop(exercise, ())), float(trivial[0]), forbidden))  # fmt: skip
    if mistakes:
        raise ValueError(f"{path.name}: mistakes for exercises that do not exist: {', '.join(sorted(mistakes))}")
    if not exercises:
        raise ValueError(f"{path.name}: no graded cell with probes")
    return Assignment(path.stem, notebook, tuple(exercises), by_hand)
