"""What grading one submission costs, in CPU seconds, by part; and what the parts would cost in other ways.

    .venv/bin/python benchmarks/grading.py [submissions]        (default: 6; run by hand, on a quiet machine)

Chapter 1's assignment with the reference solutions, in a course made for this run in a temporary folder. The rows are
medians. "nbgrader, no sandbox" is nbgrader's own `autograde` on the same notebooks: one process for each, student code
and grader in one kernel with everything in reach, so it is a measure of cost and no alternative.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from papertrail.coursework import expected, gradebook, grading, sandbox
from papertrail.coursework.assignment import marks, read_assignment
from papertrail.coursework.comparison import judge
from papertrail.coursework.course import Course, write

ROOT = Path(__file__).resolve().parent.parent
CHAPTER = "architecture_diagram"
RESULT = {"score": 0.0, "notes": [], "cell_notes": {}, "exercises": {}}


def children() -> float:
    """CPU seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def used() -> float:
    """CPU seconds of this process and of its ended children."""
    return time.process_time() + children()


def make(folder: Path, submissions: int) -> tuple[Course, list[str]]:
    """A course with right submissions."""
    course = Course(folder / "coursework")
    shutil.copytree(ROOT / "coursework" / "source", course.root / "source")
    gradebook.release(course, CHAPTER)
    expected.make_expected(course, CHAPTER)
    solutions = {one.name: one.solution for one in read_assignment(course.source(CHAPTER)).exercises}
    notebook = nbformat.read(course.release(CHAPTER), as_version=4)
    for cell in notebook.cells:
        if marks(cell).get("grade_id") in solutions:
            cell.source = solutions[marks(cell)["grade_id"]]
    students = [f"s{number:02d}" for number in range(submissions)]
    for student in students:
        write(course.submitted(student, CHAPTER), nbformat.writes(notebook))
    gradebook.enter_students(
        course, {one: {"first_name": one, "last_name": "", "email": ""} for one in students}
    )
    return course, students


def plain_nbgrader(folder: Path, course: Course, student: str) -> None:
    """nbgrader's own autograde of one student, as its manual says, in a folder without this course's settings."""
    root = folder / "plain"
    if not root.exists():
        shutil.copytree(course.root, root, ignore=shutil.ignore_patterns("cleaned", "autograded"))
    command = [sys.executable, "-m", "nbgrader", "autograde", CHAPTER, "--student", student, "--force"]
    subprocess.run(
        command,
        cwd=root,
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "code")},
    )


def main() -> int:
    submissions = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    os.environ.setdefault("PAPERTRAIL_SANDBOX", str(ROOT / ".sandbox"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        course, students = make(folder, submissions)
        grader = grading.Grader(course, CHAPTER)
        parts: dict[str, list[float]] = {}
        walls: list[float] = []
        for student in students:  # one after the other, and the ways in turn
            start, at = time.perf_counter(), used()
            job = grader.prepare(student, force=True)
            prepared = used() - at
            outcome = sandbox.run(job.cells, job.seed, job.limits)
            verdicts = {
                name: judge(outcome.cells[one.at].sent, one.probes) for name, one in job.exercises.items()
            }
            if sum(verdict.points for found in verdicts.values() for verdict in found) != 50:
                raise RuntimeError("the reference solutions did not earn every point")
            write(
                course.result(student, CHAPTER),
                json.dumps(RESULT | {"student": student, "digest": job.digest}),
            )
            at = used()
            gradebook.record(course, CHAPTER, student)
            recorded = used() - at
            walls.append(time.perf_counter() - start)
            empty, torch = sandbox.run(["1"], "s"), sandbox.run(["import torch"], "s")
            at = used()
            plain_nbgrader(folder, course, student)
            plain = used() - at
            for part, seconds in (
                ("pre-check and cleaning", prepared),
                ("the job around the kernel", outcome.job_cpu_seconds),
                ("the student's kernel, all of it", outcome.cpu_seconds),
                ("  of that: the kernel's start", empty.cpu_seconds),
                ("  of that: importing torch", torch.cpu_seconds - empty.cpu_seconds),
                ("the gradebook", recorded),
                ("a submission in all", prepared + outcome.job_cpu_seconds + outcome.cpu_seconds + recorded),
                ("nbgrader's own autograde, no sandbox", plain),
            ):
                parts.setdefault(part, []).append(seconds)
    print(f"{submissions} submissions, {sandbox.python_version()}, load {os.getloadavg()[0]:.1f}; medians")
    for part, seconds in parts.items():
        print(f"{statistics.median(seconds):6.2f} CPU s  {part}")
    print(f"{statistics.median(walls):6.2f} s by the clock for one")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
