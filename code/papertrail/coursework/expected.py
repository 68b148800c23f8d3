"""What the right answers are, for one class: the source notebook run in the sandbox with the class's own seed."""

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict
from pathlib import Path

from . import sandbox
from .assignment import Assignment, Exercise, is_mistake, marks, read_assignment
from .comparison import Expected
from .course import Course, write
from .trial import check_points, expected_of


def class_seed(course: Course, chapter: str) -> str:
    """The seed of a chapter's probes for this class, from the class's secret, which is made if there is none yet."""
    if not course.secret.exists():
        write(course.secret, secrets.token_hex(32) + "\n", mode=0o600)
    secret = course.secret.read_text().strip()
    return hmac.new(secret.encode(), chapter.encode(), "sha256").hexdigest()[:32]


def fingerprint(course: Course, chapter: str) -> str:
    """What the expected values depend on: the source notebook and the class's seed."""
    return hashlib.sha256(
        course.source(chapter).read_bytes() + class_seed(course, chapter).encode()
    ).hexdigest()


def _cells(assignment: Assignment) -> tuple[list[str], dict[tuple[str, str | None], int]]:
    """The cells to run, and at which position the probes of an exercise answer for the reference or a mistake."""
    cells: list[str] = []
    where: dict[tuple[str, str | None], int] = {}
    exercises = {exercise.name: exercise for exercise in assignment.exercises}
    graded = {f"{name}-probes": exercise for name, exercise in exercises.items()}
    for cell in assignment.notebook.cells:
        if cell.cell_type != "code" or is_mistake(cell):
            continue
        cells.append(cell.source)
        if exercise := graded.get(marks(cell).get("grade_id", "")):
            where[exercise.name, None] = len(cells) - 1
            for mistake in exercise.mistakes:
                cells += [mistake.code, exercise.graded]
                where[exercise.name, mistake.says] = len(cells) - 1
            cells.append(exercise.solution)
    return cells, where


def _probes(exercise: Exercise, sent: dict[str | None, list[dict]]) -> list[Expected]:
    """The expected probes of one exercise."""
    check_points(exercise, sent[None])
    mistakes = {
        says: {one["name"]: one for one in answers} for says, answers in sent.items() if says is not None
    }
    return expected_of(sent[None], mistakes)


def make_expected(course: Course, chapter: str) -> Path:
    """Run the source notebook in the sandbox and write what its probes send.

    Raises:
        FileNotFoundError, ValueError: the source notebook is missing or is none.
        RuntimeError: the reference solution stops, or the points of its probes do not add up.
        sandbox.SandboxError: the sandbox does not work here.
    """
    assignment = read_assignment(course.source(chapter))
    cells, where = _cells(assignment)
    print_of = fingerprint(course, chapter)
    outcome = sandbox.run(cells, class_seed(course, chapter))
    if outcome.notes:
        raise RuntimeError(f"the source notebook: {outcome.notes[0][1]}")
    exercises = {}
    for exercise in assignment.exercises:
        says = [None, *(mistake.says for mistake in exercise.mistakes)]
        sent = {one: outcome.cells[where[exercise.name, one]].sent for one in says}
        probes = [asdict(probe) for probe in _probes(exercise, sent)]
        exercises[exercise.name] = {
            "points": exercise.points,
            "forbidden": exercise.forbidden,
            "probes": probes,
        }
    content = {
        "chapter": chapter,
        "fingerprint": print_of,
        "made_with": sandbox.python_version(),
        "exercises": exercises,
    }
    write(course.expected(chapter), json.dumps(content, indent=1) + "\n", mode=0o600)
    return course.expected(chapter)


def read_expected(course: Course, chapter: str) -> dict:
    """The expected values of a chapter, with each probe as an `Expected`.

    Raises:
        FileNotFoundError: they were not made yet.
        ValueError: the source notebook or the class's secret has changed since.
    """
    path = course.expected(chapter)
    if not path.is_file():
        raise FileNotFoundError(
            f"no expected values for {chapter}: run the command 'expected {chapter}' first"
        )
    content = json.loads(path.read_text())
    if content["fingerprint"] != fingerprint(course, chapter):
        raise ValueError(
            f"the source notebook of {chapter} or the class's secret has changed: run 'expected {chapter}' again"
        )
    for exercise in content["exercises"].values():
        exercise["probes"] = [Expected(**probe) for probe in exercise["probes"]]
        exercise["forbidden"] = tuple(exercise["forbidden"])
    return content
