"""What grading costs, in CPU seconds, by part and by chapter; its memory, its files, and what a large class changes.

    .venv/bin/python benchmarks/grading.py [--quick] [--record] [--submissions N] [--only chapters|sizes]

Every chapter's assignment with the reference solutions, in courses made for this run in a temporary folder. CPU
seconds count this process and its children; rows are medians. "nbgrader, no sandbox" is nbgrader's own `autograde` on
the same notebook: student code and grader in one kernel with everything in reach, so it is a measure of cost and no
alternative. `--record` writes grading.json (the chapters) and class_sizes.json (classes of 6 to 30,000) in
book/results/coursework/; `--quick` shows in a minute or two that all of it runs.
"""

import argparse
import contextlib
import json
import os
import pickle
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent import futures
from itertools import repeat
from pathlib import Path
from unittest import mock

import class_sizes
import nbformat
import psutil

from papertrail.coursework import collecting, expected, gradebook, grading, sandbox
from papertrail.coursework.archives import MAX_MEMBERS, MAX_TOTAL
from papertrail.coursework.assignment import marks, read_assignment
from papertrail.coursework.course import Course, write
from papertrail.experiments import progress, rounded, save_record

ROOT = Path(__file__).resolve().parent.parent
# Students, and whether the gradebook has its indexes; what says most comes first.
SIZES = [(30, True), (1_000, True), (30_000, True), (30_000, False), (6, True), (120, True), (1_000, False)]
QUICK_SIZES = [(3, True), (150, True), (150, False)]
PACKAGES = ("torch", "nbgrader", "nbclient", "SQLAlchemy")


def children() -> float:
    """CPU seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def used() -> float:
    """CPU seconds of this process and of its ended children."""
    return time.process_time() + children()


def chapters() -> list[str]:
    """The chapters that have an assignment."""
    return sorted(path.name for path in (ROOT / "coursework" / "source").iterdir() if path.is_dir())


def make(folder: Path, chapter: str) -> tuple[Course, bytes]:
    """A course with nobody in it, and a right submission of the chapter as a student saves it."""
    course = Course(folder / chapter)
    shutil.copytree(ROOT / "coursework" / "source" / chapter, course.root / "source" / chapter)
    gradebook.release(course, chapter)
    expected.make_expected(course, chapter)
    solutions = {one.name: one.solution for one in read_assignment(course.source(chapter)).exercises}
    notebook = nbformat.read(course.release(chapter), as_version=4)
    for cell in notebook.cells:
        if marks(cell).get("grade_id") in solutions:
            cell.source = solutions[marks(cell)["grade_id"]]
    return course, nbformat.writes(notebook).encode()


def plain_nbgrader(folder: Path, course: Course, chapter: str, student: str) -> None:
    """nbgrader's own autograde of one student, as its manual says, in a folder without this course's settings."""
    root = folder / "plain"
    if not root.exists():
        shutil.copytree(course.root, root, ignore=shutil.ignore_patterns("cleaned", "autograded"))
    command = [sys.executable, "-m", "nbgrader", "autograde", chapter, "--student", student, "--force"]
    command += ["--Execute.timeout=600", "--Execute.startup_timeout=600"]
    subprocess.run(
        command,
        cwd=root,
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "code")},
    )


def graded(course: Course, chapter: str, student: str) -> tuple[dict[str, float], float]:
    """Grade one collected submission as the command does; CPU seconds by part, and its points.

    Raises:
        RuntimeError: the reference solutions did not earn every point.
    """
    grader = grading.Grader(course, chapter)
    start = time.process_time()
    job = grader.prepare(student, True)
    seconds = {"prepare": time.process_time() - start}
    outcomes: list[sandbox.Outcome] = []
    run = sandbox.run
    with mock.patch.object(sandbox, "run", lambda *given: outcomes.append(run(*given)) or outcomes[0]):
        start = time.process_time()
        result = grading.grade_one(job)
        seconds["judge"] = time.process_time() - start
    seconds |= {"around_kernel": outcomes[0].job_cpu_seconds, "kernel": outcomes[0].cpu_seconds}
    worth = sum(one["worth"] for exercise in result["exercises"].values() for one in exercise["verdicts"])
    if result["score"] != worth:
        raise RuntimeError(f"{chapter}: the reference solutions earned {result['score']} of {worth}")
    write(course.result(student, chapter), json.dumps(result | {"changed": [*job.by_hand]}, indent=1) + "\n")
    return seconds, worth


@contextlib.contextmanager
def peak_mib() -> Iterator[dict[str, float]]:
    """Peak memory of this process's children in a block: all of them together, every 20 ms, in MiB.

    `share` counts a page that several processes have in common once, and `resident` once for each of them.
    """
    peak, over = {"share": 0.0, "resident": 0.0}, threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            share = resident = 0
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found = process.memory_full_info()
                    share, resident = share + found.pss, resident + found.rss
            peak["share"] = max(peak["share"], share / 2**20)
            peak["resident"] = max(peak["resident"], resident / 2**20)

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def kept_bytes(course: Course, chapter: str, student: str) -> dict[str, int]:
    """Bytes of the files that stay of one submission, by folder."""
    places = {
        name: course.root / name / student / chapter
        for name in ("submitted", "cleaned", "autograded", "feedback")
    }
    found = {name: sum(one.stat().st_size for one in place.iterdir()) for name, place in places.items()}
    return found | {"results": course.result(student, chapter).stat().st_size}


def one_chapter(folder: Path, chapter: str, submissions: int) -> dict:
    """Everything about one submission of a chapter; its course stays in the folder."""
    course, notebook = make(folder, chapter)
    students = class_sizes.names(submissions + 1)
    class_sizes.enroll(course, students)
    gradebook.enter_students(
        course, {one: {"first_name": one, "last_name": "", "email": ""} for one in students}
    )
    parts: dict[str, list[float]] = defaultdict(list)
    peak: dict[str, float] = {}
    for student in students:
        download = class_sizes.download(course, chapter, [student], notebook)
        found = {"collect": class_sizes.cpu(collecting.collect, course, chapter, download)}
        first = student == students[0]  # it also pays for what is imported once, and for being watched
        with peak_mib() if first else contextlib.nullcontext() as watched:
            seconds, points = graded(course, chapter, student)
        peak = watched or peak
        found |= seconds
        found["gradebook"] = class_sizes.cpu(gradebook.record, course, chapter, student)
        found["feedback"] = class_sizes.cpu(gradebook.write_feedback, course, chapter, student)
        for part, value in found.items():
            if not first or part in ("kernel", "around_kernel"):  # these two are new processes each time
                parts[part].append(value)
    return {
        "points_by_machine": points,
        "cells": len(grading.Grader(course, chapter).prepare(students[0], True).cells),
        "cpu_seconds": {part: statistics.median(values) for part, values in parts.items()},
        "kernel_range": [min(parts["kernel"]), max(parts["kernel"])],
        "peak_mib": peak,
        "bytes": kept_bytes(course, chapter, students[0]),
    }


def other_ways(folder: Path, course: Course, chapter: str, submissions: int) -> dict[str, float]:
    """What the parts of a kernel cost by themselves, and nbgrader's own way: medians of CPU seconds."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in progress(range(submissions), "other ways"):
        empty, torch = sandbox.run(["1"], "s"), sandbox.run(["import torch"], "s")
        found["kernel_start"].append(empty.cpu_seconds)
        found["import_torch"].append(torch.cpu_seconds - empty.cpu_seconds)
        at = used()
        plain_nbgrader(folder, course, chapter, "x00000")
        found["plain_nbgrader"].append(used() - at)
    return {name: statistics.median(values) for name, values in found.items()}


def measure_chapters(submissions: int, names: list[str]) -> dict:
    """One submission of each chapter, two chapters at a time; the other ways are tried with the first."""
    found: dict = {"submissions": submissions, "limits": {"members": MAX_MEMBERS, "bytes": MAX_TOTAL}}
    with tempfile.TemporaryDirectory() as place, futures.ProcessPoolExecutor(2) as pool:
        folder = Path(place)
        running = pool.map(one_chapter, repeat(folder), names, repeat(submissions))
        found["chapters"] = dict(zip(names, progress(running, "chapters"), strict=True))
        course = Course(folder / names[0])
        found["other_ways"] = other_ways(folder, course, names[0], submissions)
        job = grading.Grader(course, names[0]).prepare("x00000", True)
        found["job_bytes"] = len(pickle.dumps(job))
    return found


def measure_sizes(sizes: list[tuple[int, bool]], chapter: str, keep: Callable[[dict], None]) -> dict:
    """A student's share in classes of several sizes; what is measured is handed to `keep` after each."""
    with tempfile.TemporaryDirectory() as place:
        course, notebook = make(Path(place), chapter)
        student = "x00000"
        class_sizes.enroll(course, [student])
        empty = Course(Path(shutil.copytree(course.root, Path(place) / "empty" / "course")))
        collecting.collect(course, chapter, class_sizes.download(course, chapter, [student], notebook))
        graded(course, chapter, student)
        result = course.result(student, chapter).read_text().replace(f'"{student}"', '"STUDENT"')
        found: dict = {"chapter": chapter}
        found["growth"] = class_sizes.growth(
            empty, chapter, sizes, notebook, result, lambda rows: keep(found | {"growth": rows})
        )
        return found


def report(found: dict) -> None:
    """Print what was measured."""
    for name, one in found.get("chapters", {}).items():
        parts = ", ".join(f"{part} {value:.2f}" for part, value in one["cpu_seconds"].items())
        whole = sum(one["cpu_seconds"].values())
        print(f"{name}: {whole:.2f} CPU s ({parts}), {one['peak_mib']['share']:.0f} MiB")
    for name, seconds in found.get("other_ways", {}).items():
        print(f"{name}: {seconds:.2f} CPU s")
    for row in found.get("growth", []):
        print(", ".join(f"{name} {value:.4g}" for name, value in row.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--submissions", type=int, default=5, metavar="N", help="of each chapter (default: 5)"
    )
    parser.add_argument("--only", choices=("chapters", "sizes"), help="one half of it")
    parser.add_argument("--quick", action="store_true", help="one chapter, small classes: does it run?")
    parser.add_argument("--record", action="store_true", help="write the page's records")
    given = parser.parse_args()
    if given.quick and given.record:
        parser.error("--quick measures too little to be recorded")
    if given.submissions < 1:
        parser.error(f"--submissions: got {given.submissions}; allowed are numbers from 1 up")
    os.environ["PAPERTRAIL_SANDBOX"] = os.path.abspath(
        os.environ.get("PAPERTRAIL_SANDBOX") or ROOT / ".sandbox"
    )
    names = chapters()[:1] if given.quick else chapters()
    many = 1 if given.quick else given.submissions
    for half, name in (("chapters", "grading"), ("sizes", "class_sizes")):
        if given.only not in (None, half):
            continue
        load = os.getloadavg()[0]
        more = f" --submissions {many}" if half == "chapters" and many != 5 else ""
        command = f"python benchmarks/grading.py --record --only {half}{more}"

        def keep(found: dict, name: str = name, load: float = load, command: str = command) -> None:
            if given.record:
                found = found | {"load": [load, os.getloadavg()[0]], "sandbox": sandbox.python_version()}
                save_record("coursework", name, command, rounded(found), packages=PACKAGES)

        if half == "chapters":
            found = measure_chapters(many, names)
        else:
            found = measure_sizes(QUICK_SIZES if given.quick else SIZES, names[0], keep)
        report(found)
        keep(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
