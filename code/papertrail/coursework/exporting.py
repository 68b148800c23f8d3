"""Tables for people and learning platforms: a row for every student of the roster, whatever became of their work."""

import csv
from collections.abc import Iterable
from pathlib import Path

from . import gradebook
from .course import Course, write
from .grading import read_result, students_with_work
from .tables import table_text


def read_report(course: Course, chapter: str, step: str) -> dict[str, dict[str, str]]:
    """A step's report, one row (the last) for each student; empty where the step was not taken."""
    path = course.report(chapter, step)
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file) if row.get("student")}


def standing(course: Course, chapter: str, students: Iterable[str]) -> dict[str, tuple[str, str]]:
    """What became of each student's work, and why: graded, refused, failed, collected (not graded yet) or missing."""
    collected, graded = read_report(course, chapter, "collected"), read_report(course, chapter, "graded")
    has_work = set(students_with_work(course, chapter))
    table = {}
    for student in students:
        result, last = read_result(course, chapter, student), graded.get(student, {})
        refused = collected.get(student, {}).get("status") == "refused"
        if last.get("status") in ("refused", "failed"):
            table[student] = last["status"], last["reason"]
        elif result and student in has_work:
            note = f"; a later file was refused: {collected[student]['reason']}" if refused else ""
            table[student] = "graded", ("; ".join(result["notes"]) + note).removeprefix("; ")
        elif refused:
            table[student] = "refused", collected[student]["reason"]
        else:
            table[student] = (
                ("collected", "not graded yet")
                if student in has_work
                else ("missing", "nothing was handed in")
            )
    return table


def as_csv(course: Course, chapter: str, scores: dict[str, dict] | None = None) -> str:
    """Everything that is known about each student's work on a chapter.

    Args:
        scores: as `gradebook.scores` gives them; they are asked for if left out.
    """
    scores = gradebook.scores(course, chapter) if scores is None else scores
    rows: list[list] = [
        [
            "student",
            "last_name",
            "first_name",
            "email",
            "status",
            "score",
            "max_score",
            "to_be_graded_by_hand",
            "late_seconds",
            "penalty",
            "submitted",
            "reason",
        ]
    ]
    states = standing(course, chapter, scores)
    for student, row in scores.items():
        status, reason = states[student]
        graded = status == "graded"
        rows.append(
            [
                student,
                row["last_name"],
                row["first_name"],
                row["email"],
                status,
                f"{row['score']:g}" if graded else "",
                f"{row['max_score']:g}",
                "yes" if graded and row["by_hand"] else "no",
                f"{row['late_seconds']:g}",
                f"{row['penalty']:g}",
                row["timestamp"],
                reason,
            ]
        )
    return table_text(rows)


def as_canvas(
    course: Course, chapter: str, lms_ids: dict[str, str], scores: dict[str, dict] | None = None
) -> str:
    """A gradebook that Canvas imports: a header, the points possible, a row for each student.

    Args:
        lms_ids: the platform's own number of a student, where the roster has it.
        scores: as `gradebook.scores` gives them; they are asked for if left out.
    """
    scores = gradebook.scores(course, chapter) if scores is None else scores
    states = standing(course, chapter, scores)
    most = next((row["max_score"] for row in scores.values()), 0.0)
    rows: list[list] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", chapter],
        ["    Points Possible", "", "", "", "", f"{most:g}"],
    ]
    for student, row in scores.items():
        score = f"{row['score']:g}" if states[student][0] == "graded" else ""
        rows.append(
            [
                f"{row['last_name']}, {row['first_name']}",
                lms_ids.get(student, ""),
                student,
                student,
                "",
                score,
            ]
        )
    return table_text(rows)


def export(course: Course, chapter: str, kind: str, lms_ids: dict[str, str]) -> tuple[Path, list[str]]:
    """Write grades/<chapter>.csv or grades/<chapter>-canvas.csv in the course's folder.

    Returns:
        Its path, and the students whose score is not final: a person has to mark or look again.
    """
    scores = gradebook.scores(course, chapter)  # once: of all that a table takes, this costs most
    text = as_csv(course, chapter, scores) if kind == "csv" else as_canvas(course, chapter, lms_ids, scores)
    path = course.root / "grades" / (f"{chapter}.csv" if kind == "csv" else f"{chapter}-{kind}.csv")
    write(path, text, mode=0o600)
    return path, [name for name, row in scores.items() if row["by_hand"]]
