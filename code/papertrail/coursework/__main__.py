"""Assign, collect, grade, return.

    python -m papertrail.coursework doctor
    python -m papertrail.coursework release CH
    python -m papertrail.coursework expected CH
    python -m papertrail.coursework collect CH FOLDER_OR_ZIP
    python -m papertrail.coursework grade CH
    python -m papertrail.coursework marks CH FILE.csv
    python -m papertrail.coursework feedback CH
    python -m papertrail.coursework export CH --format csv|canvas
    python -m papertrail.coursework alike CH
    python -m papertrail.coursework trial CH

The exit status is 0, or 1 where something failed and is listed, or 2 for a mistake in the command or in the course's
files, or 130 where it was stopped from the keyboard.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from .course import EXERCISES, Course, write

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Mistake(Exception):
    """Something that the person who typed the command can mend; the message says what."""


def say_table(rows: list[list[str]]) -> None:
    """Print rows as columns, the header first."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def say_counts(counts: Counter) -> None:
    """One line: how many of each."""
    print(", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "nothing to do")


def graded_cells(course: Course, chapter: str) -> list[tuple] | None:
    """The ids and points of a release's marked cells, in order; None where there is no release yet."""
    import nbformat

    from .assignment import marks

    if not course.release(chapter).is_file():
        return None
    cells = nbformat.read(course.release(chapter), as_version=4).cells
    return [(marks(cell).get("grade_id"), marks(cell).get("points")) for cell in cells if marks(cell)]


def release(course: Course, options: argparse.Namespace) -> int:
    """Write the students' notebook, enter it in the gradebook, and put the copy that the site shows in its place."""
    from . import gradebook

    before = graded_cells(course, options.chapter)
    gradebook.release(course, options.chapter)
    if before not in (None, graded_cells(course, options.chapter)):
        print(
            "graded cells or points differ from the last release: notebooks made from that one will be refused",
            file=sys.stderr,
        )
    print(f"students' notebook: {course.release(options.chapter)}")
    book = Path(options.book) if options.book else course.root.resolve().parent / EXERCISES
    if options.book or book.parent.is_dir():
        target = book / f"{options.chapter}.ipynb"
        write(target, course.release(options.chapter).read_bytes())
        print(f"the site's copy: {os.path.relpath(target)}")
    return 0


def expected(course: Course, options: argparse.Namespace) -> int:
    """Run the reference solutions in the sandbox and keep what their probes send."""
    from .expected import make_expected, read_expected

    path = make_expected(course, options.chapter)
    exercises = read_expected(course, options.chapter)["exercises"]
    say_table(
        [
            ["exercise", "points", "probes"],
            *([name, f"{one['points']:g}", str(len(one["probes"]))] for name, one in exercises.items()),
        ]
    )
    print(f"expected values: {path} (never give this file away)")
    return 0


def collect(course: Course, options: argparse.Namespace) -> int:
    """Take submissions in from a folder, a zip archive or one notebook."""
    from . import collecting

    rows = collecting.collect(course, options.chapter, Path(options.source))
    say_table(
        [
            ["file", "student", "status", "reason"],
            *([row.file, row.student, row.status, row.reason] for row in rows),
        ]
    )
    say_counts(Counter(row.status for row in rows))
    return 0


def grade(course: Course, options: argparse.Namespace) -> int:
    """Grade what was collected and not graded yet.

    Raises:
        Mistake: nothing was collected from a student who was asked for.
    """
    from . import gradebook, grading
    from .collecting import read_roster
    from .sandbox import Limits, ready
    from .tables import table_text

    if not options.scheduler:
        ready()  # no sandbox, no grading: better said once than in every row
    grader = grading.Grader(course, options.chapter, Limits())
    roster = read_roster(course)
    gradebook.enter_students(
        course,
        {
            one.id: {"first_name": one.first_name, "last_name": one.last_name, "email": one.email}
            for one in roster.values()
        },
    )
    found = options.student or grading.students_with_work(course, options.chapter)
    if unknown := [one for one in found if one not in roster]:
        print(f"not in the roster, and not graded: {', '.join(unknown)}", file=sys.stderr)
    students = [one for one in found if one in roster]
    for student in students:
        if not course.submitted(student, options.chapter).is_file():
            raise Mistake(f"--student: nothing was collected from {student!r} for {options.chapter}")
    run = grading.on_cluster(options.scheduler) if options.scheduler else grading.local(options.jobs)
    rows: list[grading.Row] = []
    report = course.report(options.chapter, "graded")
    try:
        with tqdm(total=len(students), unit="submission", disable=None) as bar:
            for row in grader.grade(students, run, options.force):
                rows.append(row)
                bar.update()
    finally:
        table = grading.rows_of(rows)
        write(report, table_text(table), mode=0o600)
    say_table(table)
    say_counts(Counter(row.status for row in rows))
    return int(any(row.status == "failed" for row in rows))


def marks(course: Course, options: argparse.Namespace) -> int:
    """Enter marks that a person gave, from a table with the columns student, part, points and, if wanted, comment."""
    from . import gradebook

    print(f"{gradebook.enter_marks(course, options.chapter, Path(options.file))} marks entered")
    return 0


def feedback(course: Course, options: argparse.Namespace) -> int:
    """Write the pages that students get back.

    Raises:
        Mistake: the chapter has no release.
    """
    from . import gradebook, grading

    students = [
        one
        for one in grading.students_with_work(course, options.chapter)
        if grading.read_result(course, options.chapter, one)
    ]
    if not course.release(options.chapter).is_file():
        raise Mistake(f"no release of {options.chapter}: run the command 'release {options.chapter}' first")
    failed = {}
    for student in tqdm(students, unit="page", disable=None):
        try:
            gradebook.write_feedback(course, options.chapter, student)
        except Exception as error:
            failed[student] = f"{type(error).__name__}: {error}"
    print(f"{len(students) - len(failed)} pages in {course.root / 'feedback'}")
    for student, why in failed.items():
        print(f"failed: {student}: {why}")
    return int(bool(failed))


def export(course: Course, options: argparse.Namespace) -> int:
    """Write the table of grades."""
    from . import exporting
    from .collecting import read_roster

    lms_ids = {one.id: one.lms_id for one in read_roster(course).values()}
    path, waiting = exporting.export(course, options.chapter, options.format, lms_ids)
    print(path)
    if waiting:
        print(f"not final, a person has to mark or look again: {', '.join(waiting)}")
    return 0


def alike(course: Course, options: argparse.Namespace) -> int:
    """Show which submissions are more alike than the others, for a person to look at."""
    from . import likeness

    pairs, usual = likeness.compare(course, options.chapter)
    rows = [
        [one.student, one.other, f"{one.alike:.0%}", " ".join(one.parts)] for one in pairs[: options.most]
    ]
    say_table([likeness.HEADER, *rows])
    print(f"half of all pairs are alike to {usual:.0%} or less; {course.report(options.chapter, 'likeness')}")
    return 0


def doctor(course: Course, options: argparse.Namespace) -> int:
    """Is everything needed here, and does the sandbox isolate? It is tried."""
    from .doctor import examine

    findings = examine(course)
    for finding in findings:
        print(f"{'ok ' if finding.well else 'BAD'}  {finding.what}: {finding.seen}")
    return int(not all(finding.well for finding in findings))


def trial(course: Course, options: argparse.Namespace) -> int:
    """Put a chapter's graders on trial: reference, trivial answers, known mistakes, mutants."""
    from .assignment import read_assignment
    from .trial import Trial

    assignment = read_assignment(course.source(options.chapter))
    bad = 0
    for exercise in tqdm(assignment.exercises, unit="exercise", disable=None):
        on_trial = Trial(assignment, exercise)
        survivors, total = on_trial.surviving()
        print(
            f"\n{exercise.name}: {exercise.points:g} points, {len(exercise.mistakes)} known mistakes, "
            f"{total - len(survivors)} of {total} mutants noticed"
        )
        for mutant in survivors:
            print(f"  survives: {mutant}")
        for name, code in on_trial.trivial_answers().items():
            if (score := on_trial.score(code)) > exercise.trivial:
                bad += 1
                print(f"  BAD  {name} earns {score:g}, more than {exercise.trivial:g}")
        for wrong in exercise.mistakes:
            verdicts = on_trial.judge(wrong.code)
            told = wrong.says in {verdict.message for verdict in verdicts}
            if all(verdict.passed for verdict in verdicts) or not told:
                bad += 1
                print(f"  BAD  not {'told' if not told else 'rejected'}: {wrong.says}")
    return int(bad > 0)


def positive(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def chapter_name(text: str) -> str:
    """A chapter's name, which is also the name of folders.

    Raises:
        ArgumentTypeError: it has other characters than lower-case letters, digits and _.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        raise argparse.ArgumentTypeError(
            f"expected a chapter's name such as architecture_diagram, got {text!r}"
        )
    return text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m papertrail.coursework",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "--course", default="coursework", metavar="FOLDER", help="the course's folder (default: coursework)"
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(function: Callable[..., int], with_chapter: bool = True) -> argparse.ArgumentParser:
        says = function.__doc__ or ""
        one = commands.add_parser(function.__name__, help=says.partition("\n")[0], description=says)
        one.set_defaults(function=function)
        if with_chapter:
            one.add_argument(
                "chapter", type=chapter_name, metavar="CH", help="the chapter, such as architecture_diagram"
            )
        return one

    command(doctor, with_chapter=False)
    command(release).add_argument(
        "--book", metavar="FOLDER", help="where the site's copy goes (default: book/exercises)"
    )
    command(expected)
    command(collect).add_argument("source", metavar="FOLDER_OR_ZIP", help="what the learning platform gave")
    one = command(grade)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    one.add_argument(
        "--jobs",
        type=positive,
        default=cores,
        metavar="N",
        help=f"submissions at a time (default: {cores}, the cores here)",
    )
    one.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler, such as tcp://10.0.0.5:8786, instead of this machine",
    )
    one.add_argument("--student", action="append", metavar="ID", help="only this student; may be given again")
    one.add_argument("--force", action="store_true", help="grade again what is graded already")
    command(marks).add_argument("file", metavar="FILE", help="a CSV file: student, part, points, comment")
    command(feedback)
    command(export).add_argument(
        "--format",
        choices=("csv", "canvas"),
        default="csv",
        help="csv: everything; canvas: for an import there",
    )
    command(alike).add_argument(
        "--most", type=positive, default=20, metavar="N", help="pairs to show (default: 20)"
    )
    command(trial)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = parser().parse_args(arguments)
    course = Course(Path(options.course))
    if not course.root.is_dir():
        print(f"--course: no folder {options.course!r} here", file=sys.stderr)
        return 2
    # nbgrader changes the current folder while other submissions start: from here on, this path may not hang on it.
    os.environ["PAPERTRAIL_SANDBOX"] = os.path.abspath(os.environ.get("PAPERTRAIL_SANDBOX") or ".sandbox")
    from .sandbox import SandboxError

    try:
        return options.function(course, options)
    except (Mistake, SandboxError, ValueError, OSError, RuntimeError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.command}: stopped; the same command goes on from what is done", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
