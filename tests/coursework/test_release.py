"""What students get is made from the source alone, holds nothing of the answers, and is what the site shows."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from small_course import CHAPTER, make_course

from papertrail.coursework import gradebook
from papertrail.coursework.assignment import is_mistake, marks, read_assignment
from papertrail.coursework.course import Course

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "coursework" / "source").glob("*/*.ipynb"))


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Every chapter's release, made anew in another folder by the command: name -> bytes of the site's copy."""
    folder = tmp_path_factory.mktemp("release")
    made = {}
    for source in SOURCES:
        target = folder / "course" / "source" / source.stem / source.name
        target.parent.mkdir(parents=True)
        target.write_bytes(source.read_bytes())
        command = [sys.executable, "-m", "papertrail.coursework", "--course", "course", "release", source.stem,
                   "--book", "site"]  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True,
                       env=os.environ | {"PYTHONPATH": str(ROOT / "code")})  # fmt: skip
        made[source.stem] = (folder / "site" / source.name).read_bytes()
    return made


def test_there_are_assignments():
    assert SOURCES


@pytest.mark.parametrize("chapter", [path.stem for path in SOURCES])
def test_the_sites_copy_is_what_the_source_gives(chapter, released):
    committed = ROOT / "book" / "exercises" / f"{chapter}.ipynb"
    assert committed.read_bytes() == released[chapter], (
        f"run: python -m papertrail.coursework release {chapter}"
    )


@pytest.mark.parametrize("chapter", [path.stem for path in SOURCES])
def test_students_get_no_answer(chapter, released):
    assignment = read_assignment(ROOT / "coursework" / "source" / chapter / f"{chapter}.ipynb")
    notebook = nbformat.reads(released[chapter].decode(), as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells)
    everything = released[chapter].decode()
    for word in (
        "BEGIN SOLUTION",
        "HIDDEN TESTS",
        "MISTAKE",
        "TRIVIAL",
        "authors only",
        "papertrail.coursework",
    ):
        assert word not in everything, word
    for exercise in assignment.exercises:
        inside = exercise.solution.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0]
        lines = [line.strip() for line in inside.splitlines() if len(line.strip()) > 25]
        assert lines and not [line for line in lines if line in text]
        probes = [line.strip() for line in exercise.graded.splitlines() if "probe(" in line]
        assert probes and not [line for line in probes if line in everything]
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells)


@pytest.mark.parametrize("chapter", [path.stem for path in SOURCES])
def test_students_get_everything_else(chapter, released):
    assignment = read_assignment(ROOT / "coursework" / "source" / chapter / f"{chapter}.ipynb")
    notebook = nbformat.reads(released[chapter].decode(), as_version=4)
    kept = [cell for cell in assignment.notebook.cells
            if not is_mistake(cell) and not cell.source.startswith(gradebook.AUTHORS_ONLY)]  # fmt: skip
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in kept]
    for cell, source in zip(notebook.cells, kept, strict=True):
        if not marks(source).get("solution") and not marks(source).get("grade"):
            assert cell.source == source.source
        if marks(source).get("solution") and cell.cell_type == "code":
            assert "raise NotImplementedError()" in cell.source
    points = sum(marks(cell).get("points", 0) for cell in notebook.cells)
    assert points == assignment.max_score


def test_each_chapters_assignment_is_as_the_course_promises():
    for source in SOURCES:
        assignment = read_assignment(source)
        assert len(assignment.exercises) >= 4 and assignment.by_hand
        assert all(6 <= exercise.points <= 10 for exercise in assignment.exercises)
        text = "\n".join(cell.source for cell in assignment.notebook.cells if cell.cell_type == "markdown")
        assert (
            text.count("minutes ·") >= len(assignment.exercises)
            and text.count("<summary>Hint</summary>") >= 4
        )


def test_a_release_says_which_one_it_is(tmp_path):
    course = make_course(tmp_path, ["ann"], expected=False)
    notebook = nbformat.read(course.release(CHAPTER), as_version=4)
    first = gradebook.release_of(notebook)
    assert len(first) == 12
    source = course.source(CHAPTER)
    source.write_text(source.read_text().replace("# Sums", "# More sums"))
    assert gradebook.release_of(gradebook.release(course, CHAPTER)) != first
    notebook.metadata["papertrail"] = ["not", "a", "name"]
    assert gradebook.release_of(notebook) == ""


def test_a_source_that_is_none_is_refused_and_nothing_is_written(tmp_path):
    course = Course(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        gradebook.release(course, CHAPTER)
    course.source(CHAPTER).parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), course.source(CHAPTER))
    with pytest.raises(ValueError, match="no graded cell"):
        gradebook.release(course, CHAPTER)
    assert not course.release(CHAPTER).exists() and not course.gradebook.exists()
