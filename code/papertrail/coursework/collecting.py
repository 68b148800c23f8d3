"""Take in what a class handed in: find whose file is whose, judge it, and put the accepted ones in their places."""

import csv
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from .archives import Found, find, shown
from .course import Course, write
from .matching import Register, Unmatched, is_named, owner
from .precheck import precheck
from .roster import is_safe, read_roster
from .tables import table_text

HEADER = ("file", "student", "status", "reason")
TIME = "%Y-%m-%d %H:%M:%S UTC"  # as nbgrader reads it


@dataclass(frozen=True)
class Row:
    """What became of one file: collected, unchanged, superseded or refused, and why."""

    file: str
    student: str
    status: str
    reason: str = ""


def table(rows: list[Row]) -> str:
    """Rows as CSV."""
    return table_text([list(HEADER),
                       *([row.file, row.student, row.status, row.reason] for row in rows)])  # fmt: skip


def _stored(notebook: Path) -> tuple[bytes | None, datetime | None]:
    """What was collected before: its bytes and its time, each None where there is none."""
    stamp = notebook.with_name("timestamp.txt")
    content = notebook.read_bytes() if notebook.is_file() else None
    try:
        return content, datetime.strptime(stamp.read_text("utf-8").strip(), TIME).replace(tzinfo=UTC)
    except (OSError, ValueError):
        return content, None


def _place(notebook: Path, found: Found) -> None:
    """Put a submission and its time where grading finds them.

    The time goes first and comes last: if this is stopped between, a notebook without a time is left, which the next
    collection completes, and never one with the time of another.
    """
    stamp = notebook.with_name("timestamp.txt")
    stamp.unlink(missing_ok=True)
    write(notebook, found.content)
    write(stamp, found.time.strftime(TIME) + "\n")


def _decide(found: Found, notebook: Path, release: nbformat.NotebookNode) -> tuple[str, str]:
    """Take a student's file if it is newer than what is there and acceptable; its status and the reason."""
    content, time = _stored(notebook)
    if time is not None and content == found.content:
        return "unchanged", "this very file was collected before"  # the time at which it first came stays
    if time is not None and content is not None and found.time <= time:
        return "superseded", f"not newer than the one collected, of {time.strftime(TIME)}"
    verdict = precheck(found.content, release)
    if not verdict.accepted:
        return "refused", " ".join(verdict.reasons)
    _place(notebook, found)
    return "collected", " ".join(verdict.notes)


def _settle(files: list[Found], student: str, notebook: Path, release: nbformat.NotebookNode) -> list[Row]:
    """Decide over all files of one student: the newest acceptable one is taken. Rows go from the oldest file on.

    Files that are no notebook or have another name come first: a student's last row is the one that matters.
    """
    chapter = notebook.stem
    named = any(is_named(found.name, chapter) for found in files if not found.problem)

    def newness(found: Found) -> tuple:
        work = found.is_work and (not named or is_named(found.name, chapter))
        # Of one time, a second attempt ("work-1") comes after a first ("work").
        return work, found.time, found.inner_time, len(found.name), found.name

    rows, taken = [], False
    for found in sorted(files, key=newness, reverse=True):
        if found.problem:
            status, reason = "refused", found.problem
        elif named and not is_named(found.name, chapter):
            status, reason = "superseded", f"another file of this student is named {chapter}"
        elif taken:
            status, reason = "superseded", "a newer file of this student was taken"
        else:
            status, reason = _decide(found, notebook, release)
            taken = status in ("collected", "unchanged")
        rows.append(Row(shown(found.name), student, status, reason))
    return rows[::-1]


def _earlier(course: Course, chapter: str, others: Collection[str]) -> list[Row]:
    """What earlier collections said of other students: of those on the roster of whom this download holds nothing."""
    path = course.report(chapter, "collected")
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [Row(*(row[name] for name in HEADER)) for row in csv.DictReader(file)]
    return [row for row in rows if row.student in others]


def collect(course: Course, chapter: str, source: Path) -> list[Row]:
    """Take in the submissions of one chapter from a download, and write the table of what became of each file.

    A file is stored as it was handed in; `precheck.clean` makes the copy that may be run. A refused file leaves
    nothing behind and replaces nothing. Of several files of one student, the newest acceptable one is taken.

    Args:
        course: where the roster and the release lie, and where submissions go.
        chapter: the name of the assignment.
        source: a folder, a .zip or a single .ipynb.

    Returns:
        One row for each file that was found: those without an owner first, then by student, from old to new.

    Raises:
        FileNotFoundError: there is no such source, no roster, or no release of the chapter.
        ValueError: the chapter's name, the roster or the source as a whole is unsound; the message says how.
    """
    if not is_safe(chapter):
        raise ValueError(f"chapter: {chapter!r} cannot name a folder; a name has letters, digits and . _ -")
    students = read_roster(course)
    register = Register(students.values())
    if not course.release(chapter).is_file():
        raise FileNotFoundError(
            f"chapter: {course.release(chapter)} does not exist; make the release of {chapter} first"
        )
    release = nbformat.read(course.release(chapter), as_version=4)
    rows: list[Row] = []
    theirs: dict[str, list[Found]] = {}
    for found in find(Path(source)):
        try:
            student, problem = owner(found.owner_path, chapter, register)
        except Unmatched as error:
            rows.append(Row(shown(found.name), "", "refused", found.problem or str(error)))
        else:
            found = replace(found, problem=found.problem or problem)
            theirs.setdefault(student.id, []).append(found)
    rows.sort(key=lambda row: row.file)
    for name, files in sorted(theirs.items()):
        rows += _settle(files, name, course.submitted(name, chapter), release)
    write(
        course.report(chapter, "collected"),
        table([*_earlier(course, chapter, students.keys() - theirs.keys()), *rows]),
    )
    return rows
