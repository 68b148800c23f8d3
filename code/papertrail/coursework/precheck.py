"""Judge a submitted notebook before anything runs, and make the copy of it that will run.

Reasons refuse a notebook. Notes do not: they say what will be put back or left out. Both name the cell, by its id in
the assignment or by its position counted from 1, and a reason says what the student can do.
"""

import re
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

import nbformat

from .assignment import marks
from .markup import active_attachment, active_html, active_markdown, without_pictures
from .parsing import AGAIN, Unreadable, read_notebook

MAX_SOURCE = 100_000  # bytes of one cell's text, pictures in Markdown not counted
MAX_TEXT = 1_000_000  # bytes of all texts of a student together: judging them costs time
FLAGS = ("grade", "solution", "task")  # what a cell is; a change of these is no accident
KINDS = {"code": "a code cell", "markdown": "a Markdown cell", "raw": "a raw cell"}
# What nbgrader (with or without the three signs) and this course look for in cells.
DELIMITERS = re.compile(r"(?:BEGIN|END) (?:HIDDEN TESTS|MARK SCHEME)|^### MISTAKE\b", re.MULTILINE)


@dataclass(frozen=True)
class Precheck:
    """What was found about one submitted notebook: reasons that refuse it, and notes that do not."""

    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """May it be graded?"""
        return not self.reasons


def _listed(names: list[str], most: int = 8) -> str:
    """Names for a sentence, in quotes, the first ones of many."""
    shown = ", ".join(repr(name[:64]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _cells(count: int) -> str:
    return "cell" if count == 1 else "cells"


def _grade_id(cell: nbformat.NotebookNode) -> str:
    """The id that nbgrader gave a cell; "" for a cell that is none of its own."""
    found = marks(cell).get("grade_id", "")
    return found if isinstance(found, str) else ""


def _graded(release: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    """The marked cells of the release, by id, in their order."""
    return {_grade_id(cell): cell for cell in release.cells if _grade_id(cell)}


def _is_restored(cell: nbformat.NotebookNode) -> bool:
    """Is a cell of the release put back as it was? So are locked ones and tests; answers are the student's."""
    return not marks(cell).get("solution") and bool(marks(cell).get("locked") or marks(cell).get("grade"))


def _changed(given: dict, right: dict) -> list[str]:
    """Which of the marks that decide what a cell is, and is worth, were changed."""
    changed = [flag for flag in FLAGS if given.get(flag, False) is not bool(right.get(flag, False))]
    points, worth = given.get("points"), right.get("points")
    same = points == worth and isinstance(points, bool) == isinstance(worth, bool)
    return changed if same else [*changed, "points"]


def _sections(release: nbformat.NotebookNode) -> dict[str, str]:
    """For each marked cell of the release, the heading that it stands under: students see headings, and no ids."""
    found, heading = {}, ""
    for cell in release.cells:
        first = cell.source.split("\n", 1)[0] if cell.cell_type == "markdown" else ""
        heading = first.lstrip("#").strip() if first.startswith("#") else heading
        if _grade_id(cell):
            found[_grade_id(cell)] = heading
    return found


def _under(names: list[str], sections: dict[str, str]) -> str:
    """Where cells stand, as a sentence; "" where the release has no headings."""
    found = list(dict.fromkeys(sections[name] for name in names if sections.get(name)))
    return f" Look under {_listed(found, 3)}." if found else ""


def _identity(
    notebook: nbformat.NotebookNode, asked: dict[str, nbformat.NotebookNode], sections: dict[str, str]
) -> list[str]:
    """Reasons about which marked cells there are: none at all, missing, duplicated, moved."""
    found = [name for cell in notebook.cells if (name := _grade_id(cell)) in asked]
    if not found:
        foreign = [name for cell in notebook.cells if (name := _grade_id(cell))]
        if foreign:
            return [f"This is the notebook of another assignment: it has none of the cells {_listed(list(asked))}. "
                    "Hand in the notebook of this one."]  # fmt: skip
        return [f"The marks that say which cell answers what are gone from the whole notebook. {AGAIN}"]
    reasons = []
    if missing := [name for name in asked if name not in found]:
        reasons.append(
            f"Missing {_cells(len(missing))}: {_listed(missing)}.{_under(missing, sections)} {AGAIN}"
        )
    counts = Counter(found)
    for name in [name for name in asked if counts[name] > 1]:
        places = [str(place) for place, cell in enumerate(notebook.cells, 1) if _grade_id(cell) == name]
        reasons.append(
            f"The cell {name!r} is there {counts[name]} times (cells {', '.join(places[:8])}), as after copying or "
            f"splitting it. Join them into one (select them, then Edit > Merge Selected Cells). If that fails: {AGAIN}"
        )
    order, furthest, moved = list(asked), -1, []
    for name in dict.fromkeys(found):
        if order.index(name) < furthest:
            moved.append(name)
        furthest = max(furthest, order.index(name))
    if moved:
        reasons.append(
            f"Moved {_cells(len(moved))}: {_listed(moved)} must stand earlier, as in the original."
            f"{_under(moved, sections)} Move them back up."
        )
    return reasons


def _retyped_and_edited(
    notebook: nbformat.NotebookNode, asked: dict[str, nbformat.NotebookNode]
) -> tuple[list[str], list[str]]:
    """Reasons about marked cells whose type, flags or points changed, and notes about texts that are put back."""
    reasons, restored = [], []
    for cell in notebook.cells:
        if (name := _grade_id(cell)) not in asked:
            continue
        original = asked[name]
        if cell.cell_type != original.cell_type:
            reasons.append(
                f"The cell {name!r} was {KINDS[original.cell_type]} and is now {KINDS[cell.cell_type]}. "
                "Change its type back (the list in the toolbar)."
            )
        elif changed := _changed(marks(cell), marks(original)):
            reasons.append(
                f"The cell {name!r} has other settings than it was given ({', '.join(changed)}). {AGAIN}"
            )
        elif _is_restored(original) and cell.source.rstrip() != original.source.rstrip():
            restored.append(name)
    if not restored:
        return reasons, []
    names = _listed(list(dict.fromkeys(restored)))
    return reasons, [f"Edits in {names} are dropped: these cells are put back as they were."]


def _foreign(
    notebook: nbformat.NotebookNode, asked: dict[str, nbformat.NotebookNode]
) -> tuple[list[str], list[str]]:
    """Reasons and notes about marks on cells that are none of the assignment's, as after pasting from another one."""
    reasons, notes = [], []
    for place, cell in enumerate(notebook.cells, 1):
        if "nbgrader" not in cell.metadata or _grade_id(cell) in asked:
            continue
        given = marks(cell)
        if given.get("grade") or given.get("task") or "points" in given:
            reasons.append(
                f"Cell {place} ({_grade_id(cell)[:64]!r}) is marked as graded, but is none of this assignment's. "
                "Copy its text into a new cell and delete it."
            )
        elif given or not isinstance(cell.metadata["nbgrader"], dict):
            notes.append(
                f"Cell {place} carries marks of nbgrader that this assignment does not have: they are dropped."
            )
    return reasons, notes


def _size(cell: nbformat.NotebookNode) -> int:
    """The bytes of a cell's text, without the pictures in it."""
    return len((cell.source if cell.cell_type == "code" else without_pictures(cell.source)).encode())


def _texts(notebook: nbformat.NotebookNode, asked: dict[str, nbformat.NotebookNode]) -> list[str]:
    """Reasons about the texts that are the student's: answers, and cells that are none of the assignment's."""
    theirs = {}
    for place, cell in enumerate(notebook.cells, 1):
        name = _grade_id(cell)
        if name not in asked or not _is_restored(asked[name]):  # what is put back is neither seen nor run
            theirs[place] = f"The cell {name!r}" if name in asked else f"Cell {place}", cell
    if (size := sum(_size(cell) for _, cell in theirs.values())) > MAX_TEXT:
        return [
            f"The notebook holds {size // 1000} kB of text; at most {MAX_TEXT // 1000} kB are taken. "
            "Delete what does not belong to the answers."
        ]
    return [reason for name, cell in theirs.values() for reason in _text(cell, name)]


def _text(cell: nbformat.NotebookNode, place: str) -> list[str]:
    """Reasons about the text of a cell that is the student's."""
    reasons = []
    if (size := _size(cell)) > MAX_SOURCE:
        # Judged no further: what is refused anyway need not cost time.
        return [
            f"{place} holds {size // 1000} kB of text; at most {MAX_SOURCE // 1000} kB are taken. Shorten it."
        ]
    if found := DELIMITERS.search(cell.source):
        reasons.append(
            f"{place} holds {found[0]!r}, which only an instructor's notebook may hold. Delete that line."
        )
    active = []
    if cell.cell_type != "code":
        active += active_html(cell.source) if cell.cell_type == "raw" else active_markdown(cell.source)
        for bundle in cell.get("attachments", {}).values():
            for kind, data in bundle.items():
                active += active_attachment(kind, data)
    if active:
        reasons.append(
            f"{place} holds active content: {', '.join(active[:5])}. Delete it, or show it as code between backticks."
        )
    return reasons


def _inspected(
    content: bytes, release: nbformat.NotebookNode
) -> tuple[Precheck, nbformat.NotebookNode | None]:
    """The verdict, and the notebook as it was read."""
    try:
        notebook = read_notebook(content)
    except Unreadable as error:
        return Precheck([str(error)]), None
    asked = _graded(release)
    reasons = _identity(notebook, asked, _sections(release))
    edited_reasons, notes = _retyped_and_edited(notebook, asked)
    reasons += edited_reasons
    if any(_grade_id(cell) in asked for cell in notebook.cells):
        # Otherwise one clear reason stands already, and not one for each cell.
        foreign_reasons, foreign_notes = _foreign(notebook, asked)
        reasons += foreign_reasons
        notes += foreign_notes
    reasons += _texts(notebook, asked)
    return Precheck(list(dict.fromkeys(reasons)), notes), notebook


def precheck(content: bytes, release: nbformat.NotebookNode) -> Precheck:
    """Judge a submitted notebook. Nothing in it is run, and whatever it holds, nothing is raised.

    Args:
        content: the bytes of the submitted file, whatever they are.
        release: the notebook that students got.
    """
    return _inspected(content, release)[0]


def clean(content: bytes, release: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook that will be run: the student's answers and own cells, in place, in the frame of the release.

    Of the student's file only cell order, cell types, texts and attached pictures are kept. Locked and graded cells
    have the release's text; marked cells and the notebook have the release's metadata, all others none. Outputs and
    execution counts are cleared. Cells have unique ids: the release's where they are marked.

    Raises:
        ValueError: the notebook is refused by `precheck`; the message holds its reasons.
    """
    verdict, notebook = _inspected(content, release)
    if not verdict.accepted or notebook is None:
        raise ValueError("this notebook is refused: " + " ".join(verdict.reasons))
    asked = _graded(release)
    taken = {cell.get("id") for cell in asked.values()}
    for place, cell in enumerate(notebook.cells, 1):
        original = asked.get(_grade_id(cell))
        if original is None:
            cell.metadata = nbformat.NotebookNode()
            cell.id = next(
                new
                for tail in ("", *map(str, range(len(taken) + 1)))
                if (new := f"cell-{place}{tail}") not in taken
            )
            taken.add(cell.id)
            continue
        cell.metadata = deepcopy(original.metadata)
        cell.id = original.get("id", cell.id)
        if _is_restored(original):
            cell.source = original.source
            cell.pop("attachments", None)
            if "attachments" in original:
                cell.attachments = deepcopy(original.attachments)
    notebook.metadata = deepcopy(release.metadata)
    return notebook
