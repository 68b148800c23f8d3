"""A small course for the tests of grading: two exercises without torch, one question for a person, a class."""

import copy
import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from papertrail.coursework import gradebook
from papertrail.coursework.course import Course, write
from papertrail.coursework.expected import make_expected

CHAPTER = "sums"
RIGHT = {
    "mean_square": "def mean_square(numbers):\n    return sum(x * x for x in numbers) / len(numbers)",
    "running_sum": "def running_sum(numbers):\n    total, sums = 0, []\n    for x in numbers:\n        total += x\n"
                   "        sums.append(total)\n    return sums",
}  # fmt: skip
FORGOT = "The sum is not divided by how many numbers there are."
PROBES = {
    "mean_square": """### TRIVIAL 0
### FORBID statistics.fmean
from papertrail.coursework.probes import draw_int, probe
numbers = [draw_int(n, -9, 9) for n in range(5)]
probe("five numbers", lambda: mean_square(numbers), points=3, says="Is every number squared?")
probe("one number", lambda: mean_square([draw_int("one", 2, 9)]), points=1)""",
    "running_sum": """### TRIVIAL 1
from papertrail.coursework.probes import draw_int, probe
probe("four numbers", lambda: running_sum([draw_int(n, 1, 9) for n in range(4)]), points=2)
probe("an empty list", lambda: [running_sum([]), draw_int("empty", 0, 9)], points=1)""",
}


def marked(**given) -> dict:
    """nbgrader's metadata of a cell."""
    return {
        "nbgrader": {
            "schema_version": 3,
            "grade": False,
            "solution": False,
            "locked": False,
            "task": False,
            **given,
        }
    }


def source() -> nbformat.NotebookNode:
    """The source notebook."""
    cells = [new_markdown_cell("# Sums", id="title"), new_code_cell("import math", id="imports")]
    for name, points in (("mean_square", 4), ("running_sum", 3)):
        head, body = RIGHT[name].split("\n", 1)
        cells += [
            new_code_cell(f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION", id=name.replace("_", "-"),
                          metadata=marked(solution=True, grade_id=name)),
            new_code_cell(f"# More checks run later.\n### BEGIN HIDDEN TESTS\n{PROBES[name]}\n### END HIDDEN TESTS",
                          id=f"{name.replace('_', '-')}-probes",
                          metadata=marked(grade=True, locked=True, grade_id=f"{name}-probes", points=points)),
        ]  # fmt: skip
    cells.append(new_markdown_cell("### BEGIN SOLUTION\nmodel answer\n### END SOLUTION", id="why",
                                   metadata=marked(grade=True, solution=True, grade_id="why", points=3)))  # fmt: skip
    forgot = f"### MISTAKE mean_square: {FORGOT}\ndef mean_square(numbers):\n    return sum(x * x for x in numbers)"
    cells.append(new_code_cell(forgot, id="forgot"))
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def make_course(folder: Path, students: list[str], expected: bool = True) -> Course:
    """A course folder with a roster, a release, and (unless told otherwise) expected values from the sandbox."""
    course = Course(folder / "coursework")
    write(course.source(CHAPTER), nbformat.writes(source()))
    rows = [f"{name},{name.title()},Test,{name}@example.org" for name in students]
    write(course.roster, "\n".join(["id,first_name,last_name,email", *rows]) + "\n")
    gradebook.release(course, CHAPTER)
    if expected:
        make_expected(course, CHAPTER)
    return course


def answered(course: Course, **answers: str) -> dict:
    """A student's notebook as plain data: the release with right answers, or with the given sources of cells."""
    notebook = json.loads(course.release(CHAPTER).read_text())
    for name, answer in (RIGHT | {"why": "Because."} | answers).items():
        cell_of(notebook, name)["source"] = answer
    return notebook


def cell_of(notebook: dict, name: str) -> dict:
    """The first cell with an id of nbgrader's."""
    return next(
        cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name
    )


def with_cell(notebook: dict, code: str, at: int = 1) -> dict:
    """The notebook with one more code cell of the student's own before position `at`."""
    more = copy.deepcopy(notebook)
    cell = {
        "cell_type": "code",
        "id": f"own-{at}",
        "metadata": {},
        "source": code,
        "outputs": [],
        "execution_count": None,
    }
    more["cells"].insert(at, cell)
    return more


def hand_in(folder: Path, student: str, notebook: dict | bytes) -> Path:
    """Write a file as a learning platform hands it out."""
    path = folder / student / f"{CHAPTER}.ipynb"
    write(path, notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode())
    return path
