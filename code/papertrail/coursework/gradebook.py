"""nbgrader's part: the release of an assignment, the gradebook, the returned notebook. Nothing here runs a cell.

nbgrader's own autograder would run student code outside of any sandbox. Here its list of steps has no such step:
`Judged` puts in what the sandboxed run gave, and raises where there is none.
"""

import csv
import hashlib
import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import bleach
import nbformat
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import BaseConverter, NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearHiddenTests,
    ClearOutput,
    DeduplicateIds,
    GetGrades,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from nbgrader.utils import is_grade
from sqlalchemy import text
from sqlalchemy.exc import SAWarning
from traitlets.config import Config, PyFileConfigLoader

from .assignment import PROBES, is_mistake, marks, read_assignment
from .course import Course, write
from .formulas import spell_out

AUTHORS_ONLY = "<!-- authors only -->"

# nbgrader calls alembic by its bare name, and an environment's programs need not be on the path.
if (PROGRAMS := str(Path(sys.executable).parent)) not in os.environ.get("PATH", "").split(os.pathsep):
    os.environ["PATH"] = os.pathsep.join([PROGRAMS, os.environ.get("PATH", "")])

Resources = dict[str, Any]  # what nbgrader's steps hand on to one another


class RemoveAuthorsCells(NbGraderPreprocessor):
    """Leaves out of a release what is for authors only: known mistakes, and text marked so."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Drop those cells."""
        nb.cells = [
            cell for cell in nb.cells if not (is_mistake(cell) or cell.source.startswith(AUTHORS_ONLY))
        ]
        return nb, resources


def report_lines(verdicts: list[dict], rule: list[str]) -> str:
    """What a student reads under a graded cell: one line for each probe, and why a failed one failed."""
    score, most = sum(one["points"] for one in verdicts), sum(one["worth"] for one in verdicts)
    lines = [f"{score:g} of {most:g} points"]
    if rule:
        lines.append(
            f"Not counted: this exercise asks you to write it yourself, and your cells use {', '.join(rule)}."
        )
    for one in verdicts:
        head = f"{'pass' if one['passed'] else 'FAIL'}  {one['name']} ({one['points']:g} of {one['worth']:g})"
        lines.append(head if one["passed"] or rule else f"{head}: {one['message']}")
    return "\n".join(lines) + "\n"


class Judged(NbGraderPreprocessor):
    """Puts the verdicts of the sandboxed run under the graded cells. All other outputs are gone already."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Read the result of this student and write its lines.

        Raises:
            FileNotFoundError: this submission was not graded in the sandbox.
        """
        names = resources["nbgrader"]
        course = Course(Path())  # nbgrader's converters run in the course's folder
        result = json.loads(course.result(names["student"], names["assignment"]).read_text())
        resources["papertrail"] = result
        for index, cell in enumerate(nb.cells):
            exercise = marks(cell).get("grade_id", "").removesuffix(PROBES)
            text = result["cell_notes"].get(str(index), "")
            if is_grade(cell) and exercise in result["exercises"]:
                judged = result["exercises"][exercise]
                text += report_lines(judged["verdicts"], judged["rule"])
            if text:
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        return nb, resources


class SaveJudged(SaveAutoGrades):
    """Saves the sandboxed run's scores; a cell that a person grades is left to nbgrader."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Remember the result, then save cell by cell."""
        self.exercises = resources["papertrail"]["exercises"]
        self.changed = resources["papertrail"].get("changed", [])
        return super().preprocess(nb, resources)

    def _add_score(self, cell: NotebookNode, resources: Resources) -> None:
        """Save a cell's score. A person's mark stands; where the answer changed they are asked to look again."""
        name = cell.metadata.nbgrader["grade_id"]
        grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
        by_hand, before = grade.manual_score is not None, grade.auto_score
        if (judged := self.exercises.get(name.removesuffix(PROBES))) is None:
            super()._add_score(cell, resources)
            changed = name in self.changed
        else:
            grade.auto_score = sum(one["points"] for one in judged["verdicts"])
            grade.needs_manual_grade = False
            changed = grade.auto_score != before
        if by_hand:
            grade.needs_manual_grade = changed
        self.gradebook.db.commit()


class MarkPending(NbGraderPreprocessor):
    """Marks the cells that a person has yet to grade, so that a page does not show them as worth nothing."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Ask the gradebook, cell by cell."""
        names = resources["nbgrader"]
        names["so_far"] = False
        with Gradebook(names["db_url"]) as book:
            for cell in filter(is_grade, nb.cells):
                grade = book.find_grade(
                    marks(cell)["grade_id"], names["notebook"], names["assignment"], names["student"]
                )
                cell.metadata.nbgrader["pending"] = bool(grade.needs_manual_grade)
                names["so_far"] |= bool(grade.needs_manual_grade)
        return nb, resources


TEMPLATES = Path(__file__).with_name("templates")
TAGS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "b", "i", "code", "pre", "a", "br", "hr",
    "blockquote", "table", "thead", "tbody", "tr", "th", "td", "sub", "sup", "span", "div", "details", "summary", "img",
}  # fmt: skip


def _allowed(tag: str, name: str, value: str) -> bool:
    """May an element have this attribute? Links to pages, and pictures that the text itself holds."""
    if tag == "img":
        return name == "alt" or (name == "src" and re.match(r"data:image/(png|jpeg|gif);", value) is not None)
    return tag == "a" and name == "href" and re.match(r"https?://", value) is not None


def harmless_html(markdown: str) -> str:
    """Markdown as HTML without anything that acts: no scripts, no handlers, no addresses but of pages and pictures."""
    renderer = MarkdownWithMath(IPythonRenderer(escape=False, exclude_anchor_links=True))
    html = renderer.render(spell_out(markdown))
    return bleach.clean(html, tags=TAGS, attributes=_allowed, protocols={"http", "https", "data"}, strip=True)


def late_policy(course: Course) -> Config:
    """What the course's nbgrader_config.py says about late work; nothing else is taken from it.

    Raises:
        ValueError: the file cannot be read as a configuration.
    """
    path = course.root / "nbgrader_config.py"
    if not path.is_file():
        return Config()
    try:
        whole = PyFileConfigLoader(path.name, path=str(course.root.resolve())).load_config()
    except Exception as error:  # whatever an instructor's own lines raise
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from None
    return Config({name: part for name, part in whole.items() if "Late" in name})


def configuration(course: Course) -> Config:
    """nbgrader's settings for this course; `coursework/nbgrader_config.py` says the same to nbgrader's own programs."""
    config = Config()
    config.CourseDirectory.root = str(course.root.resolve())
    config.CourseDirectory.course_id = "papertrail"
    config.CourseDirectory.submitted_directory = "cleaned"
    config.CourseDirectory.db_url = f"sqlite:///{course.gradebook.resolve()}"
    config.ClearSolutions.code_stub = {"python": "raise NotImplementedError()"}
    config.ClearSolutions.text_stub = "*Write your answer here.*"
    config.GenerateAssignment.preprocessors = [
        RemoveAuthorsCells,
        *GenerateAssignment.preprocessors.default_args[0],
    ]
    config.Autograde.create_student = False
    config.Autograde.sanitize_preprocessors = [
        ClearOutput,
        DeduplicateIds,
        OverwriteKernelspec,
        OverwriteCells,
        CheckCellMetadata,
    ]
    config.Autograde.autograde_preprocessors = [Judged, SaveJudged, AssignLatePenalties, CheckCellMetadata]
    config.GenerateFeedback.preprocessors = [GetGrades, MarkPending, ClearHiddenTests]
    config.merge(late_policy(course))
    config.HTMLExporter.filters = {"harmless_html": harmless_html}
    config.HTMLExporter.template_name = "papertrail"
    config.HTMLExporter.extra_template_basedirs = [str(TEMPLATES)]
    return config


class Said(logging.Handler):
    """Keeps what is logged, as text."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.messages.append(record.getMessage())


def convert(kind: type[BaseConverter], course: Course, chapter: str, student: str = "*") -> None:
    """Run one of nbgrader's converters, anew even where it has run before.

    Raises:
        NbGraderException: it failed; the message is what it logged.
    """
    config = configuration(course)
    directory = CourseDirectory(config=config)
    directory.assignment_id, directory.student_id = chapter, student
    converter = kind(coursedir=directory, config=config)
    converter.force = True
    said = Said(logging.ERROR)
    log = logging.getLogger(f"papertrail.nbgrader.{kind.__name__}")
    log.propagate, log.handlers = False, [said]
    converter.log = log
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # of nbgrader's own queries
            converter.start()
    except NbGraderException as error:
        raise NbGraderException("; ".join(said.messages[:3]) or str(error)) from error


def release(course: Course, chapter: str) -> nbformat.NotebookNode:
    """Write the students' notebook of a chapter from its source, enter the assignment in the gradebook, return it.

    The notebook's metadata says which release it is: the first letters of its source's SHA-256. The source has nothing
    secret to hide behind that.

    Raises:
        FileNotFoundError, ValueError: the source notebook is missing or is none.
        NbGraderException: nbgrader does not take it.
    """
    read_assignment(course.source(chapter))
    convert(GenerateAssignment, course, chapter)
    path = course.release(chapter)
    notebook = nbformat.read(path, as_version=4)
    name = hashlib.sha256(course.source(chapter).read_bytes()).hexdigest()[:12]
    notebook.metadata["papertrail"] = {"chapter": chapter, "release": name}
    write(path, nbformat.writes(notebook) + "\n")
    return notebook


def release_of(notebook: nbformat.NotebookNode) -> str:
    """The release that a notebook says it is of; "" if it says nothing. A student may have written anything there."""
    found = notebook.metadata.get("papertrail", {})
    return str(found.get("release", ""))[:12] if isinstance(found, dict) else ""


# Columns that nbgrader looks rows up by, and gives no index: without one, SQLite reads the whole table each time.
LOOKED_UP = {
    "grade": "notebook_id",
    "comment": "notebook_id",
    "submitted_notebook": "assignment_id",
    "submitted_assignment": "student_id",
}


def index(book: Gradebook) -> None:
    """Give the gradebook its missing indexes, so that a student costs the same in a class of any size.

    nbgrader's own programs profit from them too, and need not know of them.
    """
    for table, column in LOOKED_UP.items():
        book.db.execute(text(f"CREATE INDEX IF NOT EXISTS papertrail_{table}_{column} ON {table} ({column})"))
    book.db.commit()


def enter_students(course: Course, students: dict[str, dict[str, str]]) -> None:
    """Enter the roster in the gradebook: id -> first_name, last_name, email. None is ever removed."""
    with Gradebook(f"sqlite:///{course.gradebook.resolve()}", "papertrail") as book:
        index(book)
        for student, names in students.items():
            book.update_or_create_student(student, **names)


def record(course: Course, chapter: str, student: str) -> None:
    """Enter one graded submission: its cleaned notebook and its result lie in the course's folder."""
    convert(Autograde, course, chapter, student)


def write_feedback(course: Course, chapter: str, student: str = "*") -> None:
    """Write the page that a student gets back (all students', if none is named)."""
    convert(GenerateFeedback, course, chapter, student)


def scores(course: Course, chapter: str) -> dict[str, dict]:
    """For each student in the gradebook: names, score, what is still to be graded by a person, lateness.

    A student without a submission has the score None.

    Raises:
        ValueError: the chapter was never released here.
    """
    with Gradebook(f"sqlite:///{course.gradebook.resolve()}", "papertrail") as book:
        try:
            most = book.find_assignment(chapter).max_score
        except MissingEntry:
            raise ValueError(
                f"the gradebook has no assignment {chapter}: run 'release {chapter}' first"
            ) from None
        table = {}
        for student in book.students:
            row = {
                "first_name": student.first_name or "",
                "last_name": student.last_name or "",
                "email": student.email or "",
                "score": None,
                "max_score": most,
                "by_hand": False,
                "late_seconds": 0,
                "penalty": 0.0,
                "timestamp": "",
            }
            try:
                submission = book.find_submission(chapter, student.id)
            except MissingEntry:
                pass
            else:
                penalty = submission.late_submission_penalty
                row |= {
                    "score": max(0.0, submission.score - penalty),
                    "by_hand": submission.needs_manual_grade,
                    "late_seconds": submission.total_seconds_late,
                    "penalty": penalty,
                    "timestamp": str(submission.timestamp or ""),
                }
            table[student.id] = row
    return table


def enter_marks(course: Course, chapter: str, path: Path) -> int:
    """Enter marks given by hand: a CSV table with the columns student, part, points, comment (may be left out).

    All of it is checked before any of it is entered. Returns how many marks were entered.

    Raises:
        ValueError: a column is missing, or a row names an unknown student or part, or points outside what the part is
            worth; the message gives the line.
    """
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := {"student", "part", "points"} - set(reader.fieldnames or ()):
            raise ValueError(
                f"{path}: no column {', '.join(sorted(missing))}; the columns are student, part, points, comment"
            )
        rows = list(reader)
    with Gradebook(f"sqlite:///{course.gradebook.resolve()}", "papertrail") as book:
        marks_to_enter = []
        for line, row in enumerate(rows, start=2):
            try:
                grade = book.find_grade(row["part"], chapter, chapter, row["student"])
            except MissingEntry:
                raise ValueError(
                    f"{path}, line {line}: no part {row['part']!r} of a graded submission of {row['student']!r}"
                ) from None
            try:
                points = float(row["points"])
            except ValueError:
                points = float("nan")
            if not 0 <= points <= grade.max_score:
                raise ValueError(
                    f"{path}, line {line}: points must be from 0 to {grade.max_score:g}, got {row['points']!r}"
                )
            marks_to_enter.append((grade, points, row))
        for grade, points, row in marks_to_enter:
            grade.manual_score, grade.needs_manual_grade = points, False
            if row.get("comment"):
                comment = book.find_comment(
                    row["part"].removesuffix(PROBES), chapter, chapter, row["student"]
                )
                comment.manual_comment = row["comment"]
        book.db.commit()
    return len(rows)
