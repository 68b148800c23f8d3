"""What a source notebook of an assignment holds: exercises, graded cells, known mistakes, rules.

A source notebook is an nbgrader notebook. For an exercise `norm` it has a solution cell with the id `norm`, a
graded cell with the id `norm-probes`, and, anywhere after them, cells with known mistakes:

    ### MISTAKE norm: The variance is divided by n - 1. LayerNorm divides by n.
    def layer_norm(...): ...

Students do not get these. In the graded cell's hidden part, two comments state the exercise's rules:

    ### TRIVIAL 1                      at most one point for a stub, zeros, the input or NaN
    ### FORBID torch.nn.LayerNorm      names that would do the job and are not allowed
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

BEGIN, END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
PROBES = "-probes"
MISTAKE = re.compile(r"\A### MISTAKE (?P<exercise>[\w-]+): (?P<says>.+)\n")
MEANT_AS_MISTAKE = re.compile(r"^[ \t]*#+[ \t]*MISTAKE\b", re.MULTILINE | re.IGNORECASE)
NAME = re.compile(r"[\w.-]+")  # of a graded cell
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


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
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def is_mistake(cell: nbformat.NotebookNode) -> bool:
    """Is this one of the source's cells with a known wrong answer?"""
    return cell.cell_type == "code" and MISTAKE.match(cell.source) is not None


def _read(path: Path) -> nbformat.NotebookNode:
    """The notebook in a file, with cells that have a type and a source."""
    if not path.is_file():
        raise FileNotFoundError(f"source notebook: {path} does not exist")
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises many kinds for what is no notebook
        raise ValueError(f"{path.name}: this is not a notebook ({type(error).__name__})") from None
    if not isinstance(notebook.get("cells"), list):
        raise ValueError(f"{path.name}: this is not a notebook (it has no list of cells)")
    for at, cell in enumerate(notebook.cells, start=1):
        whole = isinstance(cell, dict) and {"cell_type", "source", "metadata"} <= cell.keys()
        if not whole or not isinstance(cell.source, str):
            raise ValueError(f"{path.name}: cell {at} needs a type, a source and metadata")
    return notebook


def _cells(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    """nbgrader's cells by their ids, in their order."""
    cells: dict[str, nbformat.NotebookNode] = {}
    for at, cell in enumerate(notebook.cells, start=1):
        if "grade_id" not in marks(cell):
            continue
        name = marks(cell)["grade_id"]
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"cell {at}: its id is {name!r}; an id has only letters, digits and . _ -")
        if name in cells:
            raise ValueError(f"cell {at}: its id {name!r} is another cell's already")
        if is_mistake(cell):
            raise ValueError(
                f"cell {at} with the id {name!r}: a known mistake is no cell of nbgrader's; remove its marks"
            )
        cells[name] = cell
    return cells


def _mistakes(notebook: nbformat.NotebookNode) -> dict[str, list[Mistake]]:
    """The known mistakes by exercise."""
    mistakes: dict[str, list[Mistake]] = {}
    for at, cell in enumerate(notebook.cells, start=1):
        head = MISTAKE.match(cell.source) if is_mistake(cell) else None
        if head is None:
            if cell.cell_type == "code" and MEANT_AS_MISTAKE.search(cell.source):  # students would get it
                raise ValueError(
                    f"cell {at}: a known mistake starts with one line '### MISTAKE exercise: what is wrong'"
                )
            continue
        found = mistakes.setdefault(head["exercise"], [])
        if head["says"] in [mistake.says for mistake in found]:
            raise ValueError(
                f"cell {at}: another mistake of {head['exercise']!r} says the same: {head['says']}"
            )
        found.append(Mistake(head["says"], cell.source))
    return mistakes


def _points(cell: nbformat.NotebookNode) -> float:
    """What a cell is worth."""
    points = marks(cell).get("points")
    if isinstance(points, bool) or not isinstance(points, (int, float)) or not 0 <= points < math.inf:
        raise ValueError(
            f"the cell {marks(cell)['grade_id']!r} needs points, a number from 0 up, got {points!r}"
        )
    return float(points)


def _hidden(source: str) -> str:
    """The part of a graded cell that students do not get."""
    once = source.count(BEGIN) == source.count(END) == 1
    return source[source.find(BEGIN) + len(BEGIN) : source.find(END)] if once else ""


def _lines(hidden: str, word: str) -> list[str]:
    """What follows `### WORD` in the hidden part, one entry for each such line."""
    return re.findall(rf"^### {word} (.+)$", hidden, flags=re.MULTILINE)


def _trivial(name: str, hidden: str, points: float) -> float:
    """The most that a trivial answer may earn."""
    found = _lines(hidden, "TRIVIAL")
    try:
        (text,) = found
        if 0 <= (most := float(text)) <= points:
            return most
    except ValueError:
        pass
    raise ValueError(
        f"the graded cell {name!r} needs one line '### TRIVIAL points' with a number from 0 to {points:g}, got {found}"
    )


def _exercise(name: str, cells: dict[str, nbformat.NotebookNode], mistakes: list[Mistake]) -> Exercise:
    """The exercise of a graded cell."""
    order, cell, exercise = list(cells), cells[name], name.removesuffix(PROBES)
    answer = cells.get(exercise)
    hidden = _hidden(cell.source)
    if (
        answer is None
        or order.index(exercise) > order.index(name)
        or answer.cell_type != "code"
        or not marks(answer).get("solution")
        or marks(answer).get("grade")
    ):
        raise ValueError(
            f"the graded cell {name!r} needs an id that ends in {PROBES!r}, and before it an ungraded solution cell "
            f"with the same id without {PROBES!r}"
        )
    if not hidden or cell.cell_type != "code":
        raise ValueError(
            f"the graded cell {name!r} needs code with one hidden part, between {BEGIN!r} and {END!r}"
        )
    forbidden = tuple(word for line in _lines(hidden, "FORBID") for word in line.split())
    if wrong := [word for word in forbidden if not DOTTED.fullmatch(word)]:
        raise ValueError(f"the graded cell {name!r}: '### FORBID' takes dotted names, got {', '.join(wrong)}")
    points = _points(cell)
    trivial = _trivial(name, hidden, points)
    return Exercise(exercise, points, answer.source, cell.source, tuple(mistakes), trivial, forbidden)


def read_assignment(path: Path) -> Assignment:
    """Read a source notebook.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a source notebook; the message names the cell and what is missing.
    """
    path = Path(path)
    notebook = _read(path)
    try:
        cells, mistakes = _cells(notebook), _mistakes(notebook)
        exercises, by_hand = [], {}
        for name, cell in cells.items():
            if marks(cell).get("task") or (marks(cell).get("grade") and marks(cell).get("solution")):
                by_hand[name] = _points(cell)
            elif marks(cell).get("grade"):
                exercises.append(_exercise(name, cells, mistakes.pop(name.removesuffix(PROBES), [])))
        if mistakes:
            raise ValueError(f"mistakes for exercises that do not exist: {', '.join(sorted(mistakes))}")
        if not exercises:
            raise ValueError("no graded cell with probes")
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return Assignment(path.stem, notebook, tuple(exercises), by_hand)
