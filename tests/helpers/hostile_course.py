"""The small course with canaries in everything that a submission must not see."""

import json
import secrets
from pathlib import Path

import nbformat
import small_course
from small_course import CHAPTER, cell_of

from papertrail.coursework import gradebook
from papertrail.coursework.course import Course, write
from papertrail.coursework.expected import make_expected

CANARY = "papertrail-canary-"
KINDS = ("expected", "solution", "mistake", "hidden", "work", "home", "variable")
CANARIES = {kind: f"{CANARY}{kind}-{secrets.token_hex(8)}" for kind in KINDS}


def make_course(folder: Path, students: list[str]) -> Course:
    """A course folder, ready for submissions, with a canary in each of its secrets."""
    course = Course(folder / "coursework")
    notebook = small_course.source()
    cell_of(notebook, "why").source = f"### BEGIN SOLUTION\n{CANARIES['solution']}\n### END SOLUTION"
    notebook.cells[-1].source += f"  # {CANARIES['mistake']}"
    hidden = cell_of(notebook, "mean_square-probes")
    hidden.source = hidden.source.replace("\nprobe(", f"\n# {CANARIES['hidden']}\nprobe(", 1)
    write(course.source(CHAPTER), nbformat.writes(notebook))
    rows = [f"{name},{name.title()},Test,{name}@example.org" for name in students]
    write(course.roster, "\n".join(["id,first_name,last_name,email", *rows]) + "\n")
    gradebook.release(course, CHAPTER)
    # A secret that stays: with one drawn anew, a cheat that knows another class's values is right once in eight.
    write(course.secret, "5eed" * 16 + "\n", mode=0o600)
    make_expected(course, CHAPTER)
    expected = json.loads(course.expected(CHAPTER).read_text())
    write(course.expected(CHAPTER), json.dumps(expected | {"canary": CANARIES["expected"]}), mode=0o600)
    return course
