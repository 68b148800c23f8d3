"""Grade a class: one job per submission, on this machine's cores or on a Dask cluster, resumable, none lost to another.

A job is data in and data out: the cells of a cleaned notebook and the expected values go in, verdicts come out.
Only the cells enter the sandbox.
"""

import concurrent.futures as futures
import datetime
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import nbformat

from . import sandbox
from .assignment import PROBES, marks, read_assignment
from .comparison import Expected, judge, one_line
from .course import Course, write
from .expected import class_seed, read_expected
from .precheck import clean, precheck
from .rules import forbidden_uses

AT_A_TIME = 500  # jobs that wait in memory, about 20 KB each, and 120 KB on the way to another machine
UNREAD = {"SyntaxError", "IndentationError", "TabError"}  # errors of a cell that Python could not read
FORMAT = 2  # of a result; a result of another format is graded again


@dataclass(frozen=True)
class Exercise:
    """What judging one exercise of one submission needs."""

    at: int  # position of the graded cell among `Job.cells`
    solution: str
    probes: list[Expected]
    forbidden: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One submission, ready to be graded anywhere.

    Attributes:
        cells: the sources to run, in order; the graded ones are the grader's own.
        positions: for each of `cells`, its position in the notebook.
        own: the student's code cells.
        digest: what the result depends on; a result with the same digest is not made again.
        by_hand: for each answer that a person grades, a fingerprint of it.
    """

    student: str
    digest: str
    cells: list[str]
    positions: list[int]
    own: list[str]
    exercises: dict[str, Exercise]
    seed: str
    limits: sandbox.Limits
    by_hand: dict[str, str]


@dataclass(frozen=True)
class Row:
    """What became of one student's submission: "graded", "unchanged", "refused" or "failed", and why."""

    student: str
    status: str
    score: float | None = None
    reason: str = ""


def digest_of(content: bytes, fingerprint: str) -> str:
    """What a result depends on: the submission, the expected values, the limits, the format of results."""
    parts = [content, fingerprint.encode(), repr(sandbox.Limits()).encode(), str(FORMAT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


# Given jobs, it gives each back as it comes ready, with its result or with what went wrong.
Runner = Callable[[list[Job]], Iterator[tuple[Job, dict | BaseException]]]


def make_job(student: str, notebook: nbformat.NotebookNode, digest: str, seed: str, expected: dict,
             graded: dict[str, str], limits: sandbox.Limits) -> Job:  # fmt: skip
    """The job for a cleaned notebook.

    Args:
        expected: as `read_expected` gives it.
        graded: for each exercise, the source of its graded cell, hidden part included.
    """
    cells: list[str] = []
    positions: list[int] = []
    own: list[str] = []
    at: dict[str, int] = {}
    solutions: dict[str, str] = {}
    by_hand = {
        marks(cell)["grade_id"]: hashlib.sha256(cell.source.encode()).hexdigest()
        for cell in notebook.cells
        if marks(cell).get("grade") and marks(cell).get("solution")
    }
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        name, source = marks(cell).get("grade_id", ""), cell.source
        if (exercise := name.removesuffix(PROBES)) in graded and name != exercise:
            source, at[exercise] = graded[exercise], len(cells)
        elif not marks(cell).get("locked"):
            own.append(source)
            solutions[name] = source
        cells.append(source)
        positions.append(position)
    exercises = {name: Exercise(at[name], solutions.get(name, ""), one["probes"], one["forbidden"])
                 for name, one in expected["exercises"].items()}  # fmt: skip
    return Job(student, digest, cells, positions, own, exercises, seed, limits, by_hand)


def _stopped(job: Job, outcome: sandbox.Outcome) -> Iterator[tuple[int, str, list[str]]]:
    """The student's own cells that an error stopped: position, a sentence for the page, and one for the table.

    Without it, an import that fails reads as ten functions that do not exist. The table names answers alone.
    """
    answers = {exercise.solution: name for name, exercise in job.exercises.items()}
    for at, cell in enumerate(outcome.cells):
        if cell.ended != "error" or job.cells[at] not in job.own:
            continue
        error, text, position = one_line(cell.error, 60), one_line(cell.text, 200), job.positions[at]
        rest = (
            "Nothing of it has run"
            if error in UNREAD
            else "What stands below the line that failed has not run"
        )
        name = answers.get(job.cells[at])
        yield (
            position,
            f"This cell stopped with {error}{f': {text}' if text else ''}. {rest}.\n",
            [f"cell {position + 1} ({name}) stopped with {error}"] if name else [],
        )


def grade_one(job: Job) -> dict:
    """Run one submission in the sandbox and judge it; returns the result, ready for JSON.

    Raises:
        sandbox.SandboxError: the sandbox does not work here, or broke down.
    """
    outcome = sandbox.run(job.cells, job.seed, job.limits)
    exercises: dict[str, dict[str, Any]] = {}
    for name, exercise in job.exercises.items():
        others = [source for source in job.own if source is not exercise.solution]
        rule = forbidden_uses(exercise.solution, others, exercise.forbidden)
        verdicts = judge(outcome.cells[exercise.at].sent, exercise.probes)
        exercises[name] = {"rule": rule, "verdicts": [
            {"name": probe.name, "passed": verdict.passed and not rule, "points": 0.0 if rule else verdict.points,
             "worth": probe.points, "message": verdict.message}
            for probe, verdict in zip(exercise.probes, verdicts, strict=True)]}  # fmt: skip
    notes: list[str] = []
    cell_notes: dict[str, str] = {}
    for at, why in outcome.notes:
        if at is None:
            notes.append(why)
            continue
        cell_notes[str(job.positions[at])] = (
            f"This cell {why}. It was left out, and the others ran without it.\n"
        )
        notes.append(f"cell {job.positions[at] + 1} {why}")
    slow = [job.positions[at] for at, cell in enumerate(outcome.cells) if cell.ended == "too slow"]
    for position in slow:
        cell_notes[str(position)] = "This cell took too long and was interrupted.\n"
        notes.append(f"cell {position + 1} took too long and was interrupted")
    for position, about, reason in _stopped(job, outcome):
        cell_notes[str(position)] = about
        notes += reason
    score = sum(one["points"] for exercise in exercises.values() for one in exercise["verdicts"])
    return {
        "student": job.student,
        "digest": job.digest,
        "by_hand": job.by_hand,
        "score": score,
        "exercises": exercises,
        "notes": notes,
        "cell_notes": cell_notes,
        "cpu_seconds": round(outcome.cpu_seconds, 2),
        "resident_mb": outcome.resident // 1_000_000,
        "graded": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def read_result(course: Course, chapter: str, student: str) -> dict | None:
    """The stored result of a student, or None where there is none that can be read."""
    try:
        return json.loads(course.result(student, chapter).read_text())
    except (OSError, ValueError):
        return None


def students_with_work(course: Course, chapter: str) -> list[str]:
    """The students whose submission was collected, sorted."""
    return sorted(
        path.parent.parent.name for path in (course.root / "submitted").glob(f"*/{chapter}/{chapter}.ipynb")
    )


class Grader:
    """What grading one chapter of one course needs, read once.

    Raises:
        FileNotFoundError, ValueError: the release or the expected values are missing or out of date.
    """

    def __init__(self, course: Course, chapter: str, limits: sandbox.Limits | None = None):
        self.course, self.chapter, self.limits = course, chapter, limits or sandbox.Limits()
        if not course.release(chapter).is_file():
            raise FileNotFoundError(f"no release of {chapter}: run the command 'release {chapter}' first")
        self.release = nbformat.read(course.release(chapter), as_version=4)
        self.expected = read_expected(course, chapter)
        self.seed = class_seed(course, chapter)
        self.graded = {one.name: one.graded for one in read_assignment(course.source(chapter)).exercises}

    def prepare(self, student: str, force: bool) -> Job | Row:
        """The job of a submission, or the row that says why there is nothing to do."""
        path = self.course.submitted(student, self.chapter)
        if path.is_symlink() or path.parent.is_symlink():
            return Row(student, "refused", reason="the submission is a link to another file")
        content = path.read_bytes()
        if reasons := precheck(content, self.release).reasons:
            return Row(student, "refused", reason="; ".join(reasons))
        digest = digest_of(content, self.expected["fingerprint"])
        known = read_result(self.course, self.chapter, student)
        if known and known.get("digest") == digest and not force:
            return Row(student, "unchanged", known["score"], "; ".join(known["notes"]))
        notebook = clean(content, self.release)
        cleaned = self.course.root / "cleaned" / student / self.chapter
        write(cleaned / f"{self.chapter}.ipynb", nbformat.writes(notebook))
        if (stamp := path.with_name("timestamp.txt")).is_file():
            write(cleaned / "timestamp.txt", stamp.read_bytes())
        return make_job(student, notebook, digest, self.seed, self.expected, self.graded, self.limits)

    def grade(self, students: list[str], run: Runner, force: bool = False) -> Iterator[Row]:
        """Grade submissions as they come ready; each is stored and entered before its row is given.

        Args:
            students: whose; as `students_with_work` gives them.
            run: `local(...)` or `on_cluster(...)`; called once for each `AT_A_TIME` students.
            force: grade again what was graded already.
        """
        for start in range(0, len(students), AT_A_TIME):
            yield from self._grade_some(students[start : start + AT_A_TIME], run, force)

    def _grade_some(self, students: list[str], run: Runner, force: bool) -> Iterator[Row]:
        """Grade as many submissions as may wait in memory together."""
        from . import gradebook

        waiting: list[Job] = []
        for student in students:
            try:
                prepared = self.prepare(student, force)
            except OSError as error:
                prepared = Row(
                    student, "failed", reason=f"the submission could not be read: {error.strerror}"
                )
            if isinstance(prepared, Job):
                waiting.append(prepared)
            else:
                yield prepared
        for job, result in run(waiting):
            if isinstance(result, BaseException):
                yield Row(job.student, "failed", reason=f"{result}" or type(result).__name__)
                continue
            path = self.course.result(job.student, self.chapter)
            before = (read_result(self.course, self.chapter, job.student) or {}).get("by_hand", {})
            result["changed"] = [
                name for name, print_of in job.by_hand.items() if before.get(name) != print_of
            ]
            # Its digest comes last: if this is stopped before the gradebook has the marks, they are made again.
            write(path, json.dumps(result | {"digest": ""}, indent=1) + "\n", mode=0o600)
            try:
                gradebook.record(self.course, self.chapter, job.student)
            except Exception as error:
                path.unlink()
                yield Row(job.student, "failed", reason=f"the gradebook did not take it: {error}")
                continue
            write(path, json.dumps(result, indent=1) + "\n", mode=0o600)
            yield Row(job.student, "graded", result["score"], "; ".join(result["notes"]))


def local(workers: int) -> Runner:
    """Run jobs on this machine, `workers` at a time."""

    def run(jobs: list[Job]) -> Iterator[tuple[Job, dict | BaseException]]:
        pool = futures.ThreadPoolExecutor(workers)  # a thread waits for a process; the process does the work
        running = {pool.submit(grade_one, job): job for job in jobs}
        try:
            for done in futures.as_completed(running):
                yield running[done], done.exception() or done.result()
        finally:
            pool.shutdown(cancel_futures=True)

    return run


def on_cluster(address: str, retries: int = 2, timeout: float = 20.0) -> Runner:
    """Run jobs on the Dask cluster whose scheduler is at `address`; a job whose worker died runs again elsewhere.

    Every worker's machine needs the grading packages, bubblewrap and the students' environment.
    """

    def run(jobs: list[Job]) -> Iterator[tuple[Job, dict | BaseException]]:
        try:
            from distributed import Client, as_completed
        except ImportError:
            raise RuntimeError(
                "--scheduler needs the package distributed; `make grading` installs it"
            ) from None

        with Client(address, timeout=timeout) as client:
            running = {client.submit(grade_one, job, key=f"grade-{job.student}-{job.digest[:16]}-{os.urandom(4).hex()}",
                                     retries=retries, pure=False): job for job in jobs}  # fmt: skip
            for done in as_completed(running):
                yield running[done], done.exception() or done.result()

    return run


def rows_of(rows: list[Row]) -> list[list[str]]:
    """The rows as a table of text, header first."""
    table = [list(asdict(Row("", "")))]
    for row in sorted(rows, key=lambda row: row.student):
        table.append([row.student, row.status, "" if row.score is None else f"{row.score:g}", row.reason])
    return table
