"""What a step of grading costs a student in classes of different sizes; `grading.py` records it.

Small classes are real: every file is collected, entered and given back. In the large ones the other students' rows are
copies of one that was entered, which is all that the measured student's own rows meet.
"""

import os
import shutil
import sqlite3
import statistics
import time
import uuid
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from nbgrader.api import Gradebook

from papertrail.coursework import collecting, exporting, gradebook, grading
from papertrail.coursework.course import Course, write
from papertrail.experiments import progress

DOWNLOADED = (
    300  # files in the download of a large class: enough for their cost to stand out from the roster's
)
LARGE = 120  # students; in a larger class a sample is real
SAMPLE = 10  # students of a large class whose own cost is measured
STEPS = ("collect", "prepare", "gradebook", "feedback", "export")


def cpu(work: Callable, *given) -> float:
    """CPU seconds of one call, in this process."""
    start = time.process_time()
    work(*given)
    return time.process_time() - start


def names(number: int, width: int = 5) -> list[str]:
    """The ids of an invented class."""
    return [f"x{at:0{width}d}" for at in range(number)]


def enroll(course: Course, students: list[str]) -> None:
    """Write the roster."""
    rows = [f"{one},First{one},Last{one},{one}@example.org,{at + 100}" for at, one in enumerate(students)]
    write(course.roster, "\n".join(["id,first_name,last_name,email,lms_id", *rows]) + "\n")


def download(course: Course, chapter: str, students: list[str], notebook: bytes) -> Path:
    """A zip as Moodle gives it."""
    path = course.root / "download.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, one in enumerate(students):
            name = f"First{one} Last{one}_{at + 1_000_000}_assignsubmission_file_/{chapter}.ipynb"
            archive.writestr(name, notebook)
    return path


def copy_rows(course: Course, chapter: str, pattern: str, students: list[str]) -> None:
    """Enter students whose submissions are copies of one that was graded: straight into the tables."""
    with closing(sqlite3.connect(course.gradebook)) as book:
        book.row_factory = sqlite3.Row

        def rows(table: str, column: str, value: str) -> list[dict]:
            return [dict(row) for row in book.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,))]

        def put(table: str, row: dict, **changed) -> str:
            row = row | changed
            marks = ", ".join("?" * len(row))
            book.execute(
                f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({marks})", [*row.values()]
            )
            return row["id"]

        (student,) = rows("student", "id", pattern)
        (work,) = rows("submitted_assignment", "student_id", pattern)
        (sheet,) = rows("submitted_notebook", "assignment_id", work["id"])
        cells = [
            (table, row) for table in ("grade", "comment") for row in rows(table, "notebook_id", sheet["id"])
        ]
        for one in students:
            put("student", student, id=one)
            work_id = put("submitted_assignment", work, id=uuid.uuid4().hex, student_id=one)
            sheet_id = put("submitted_notebook", sheet, id=uuid.uuid4().hex, assignment_id=work_id)
            for table, row in cells:
                put(table, row, id=uuid.uuid4().hex, notebook_id=sheet_id)
        book.commit()


def drop_indexes(course: Course) -> None:
    """The gradebook as nbgrader makes it."""
    with closing(sqlite3.connect(course.gradebook)) as book:
        for table, column in gradebook.LOOKED_UP.items():
            book.execute(f"DROP INDEX IF EXISTS papertrail_{table}_{column}")
        book.commit()


def listing_seconds(course: Course, chapter: str) -> float:
    """CPU seconds of the query behind the formgrader's list of submissions."""
    with Gradebook(f"sqlite:///{course.gradebook.resolve()}", "papertrail") as book:
        return cpu(book.notebook_submission_dicts, chapter, chapter)


def one_class(
    empty: Course, chapter: str, size: int, notebook: bytes, result: str, indexed: bool = True
) -> dict:
    """CPU seconds for each student in a class of `size`: medians over those who are measured, export as a mean.

    Args:
        empty: a course with source, release and expected values, and nobody in it; left as it is.
        notebook, result: what a student hands in, and what the sandbox gave for it.
        indexed: False for the gradebook as nbgrader makes it; then the export is left out.
    """
    course = Course(empty.root.with_name(f"class-{size}"))
    shutil.copytree(empty.root, course.root)
    everyone = names(size)
    measured = everyone[:SAMPLE] if size > LARGE else everyone
    enroll(course, everyone)
    row: dict = {"students": size, "indexed": indexed, "measured": len(measured)}
    # Reading the roster costs the same for one file as for all, so it is shared out over the class.
    roster = cpu(collecting.collect, course, chapter, download(course, chapter, [], notebook))
    files = everyone[:DOWNLOADED]
    whole = cpu(collecting.collect, course, chapter, download(course, chapter, files, notebook))
    row["collect"] = (whole - roster) / len(files) + roster / size
    enter = {one: {"first_name": one, "last_name": "", "email": ""} for one in measured}
    row["enter"] = cpu(gradebook.enter_students, course, enter) / len(measured)
    grader = grading.Grader(course, chapter)
    row["prepare"] = statistics.median(cpu(grader.prepare, one, True) for one in measured)
    for one in measured:
        write(course.result(one, chapter), result.replace('"STUDENT"', f'"{one}"'))
    gradebook.record(course, chapter, everyone[0])
    if others := everyone[len(measured) :]:
        copy_rows(course, chapter, everyone[0], others)
    if not indexed:
        drop_indexes(course)
    row["gradebook"] = statistics.median(cpu(gradebook.record, course, chapter, one) for one in measured)
    row["feedback"] = statistics.median(
        cpu(gradebook.write_feedback, course, chapter, one) for one in measured
    )
    if indexed:
        row["export"] = cpu(exporting.export, course, chapter, "csv", {}) / size
    row["listing"] = listing_seconds(course, chapter) / size
    row["gradebook_bytes"] = os.path.getsize(course.gradebook)
    shutil.rmtree(course.root)
    return row


def growth(
    empty: Course,
    chapter: str,
    sizes: list[tuple[int, bool]],
    notebook: bytes,
    result: str,
    keep: Callable[[list[dict]], None],
) -> list[dict]:
    """A row for each size, smallest first; the first class of all is not counted, because it pays for imports.

    Args:
        keep: called with the rows so far after each class, so that a run that is stopped has not been for nothing.
    """
    one_class(empty, chapter, 3, notebook, result)
    rows: list[dict] = []
    for size, indexed in progress(sizes, "class sizes"):
        rows.append(one_class(empty, chapter, size, notebook, result, indexed))
        rows.sort(key=lambda row: (not row["indexed"], row["students"]))
        keep(rows)
    return rows
