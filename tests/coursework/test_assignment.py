"""A source notebook is read whole, or refused with a message that says which cell needs what."""

import copy
import json

import nbformat
import pytest
import small_assignment
from nbformat.v4 import new_code_cell, new_markdown_cell

from papertrail.coursework.assignment import is_mistake, marks, read_assignment

GRADED = "# More checks run later.\n### BEGIN HIDDEN TESTS\n{}\n### END HIDDEN TESTS"


@pytest.fixture
def read(tmp_path):
    """Reads a notebook from a file."""

    def read(notebook: nbformat.NotebookNode):
        (tmp_path / "ch.ipynb").write_text(json.dumps(notebook))
        return read_assignment(tmp_path / "ch.ipynb")

    return read


@pytest.fixture
def source():
    return copy.deepcopy(small_assignment.source())


def cell(notebook, name):
    return next(one for one in notebook.cells if marks(one).get("grade_id") == name)


def test_a_source_is_read(read, source):
    hidden = "### TRIVIAL 0.5\n### FORBID torch.nn.LayerNorm torch.layer_norm\n### FORBID torch.var\nprobe()"
    cell(source, "norm-probes").source = GRADED.format(hidden)
    found = read(source)
    norm, scale = found.exercises
    assert (found.chapter, found.by_hand, found.max_score) == ("ch", {"why": 3.0}, 10.0)
    assert (norm.name, norm.points, norm.trivial) == ("norm", 5.0, 0.5)
    assert norm.forbidden == ("torch.nn.LayerNorm", "torch.layer_norm", "torch.var")
    assert norm.solution == cell(source, "norm").source and norm.graded == cell(source, "norm-probes").source
    (mistake,) = norm.mistakes
    assert mistake.says == "It adds one." and mistake.code.endswith("return x + 1")
    assert (scale.name, scale.points, scale.mistakes, scale.forbidden) == ("scale", 2.0, (), ())


def test_a_task_is_graded_by_hand(read, source):
    task = {"grade": False, "solution": False, "locked": True, "task": True, "grade_id": "draw", "points": 4}
    source.cells.append(new_markdown_cell("Draw it.", metadata={"nbgrader": task}))
    assert read(source).by_hand == {"why": 3.0, "draw": 4.0}


def test_code_that_a_person_grades_needs_no_probes(read, source):
    source.cells.append(
        new_code_cell(
            "", metadata=small_assignment.marked(grade=True, solution=True, grade_id="essay", points=1)
        )
    )
    assert read(source).by_hand["essay"] == 1.0


@pytest.mark.parametrize(
    "odd",
    [{}, [], None, "text", 3, {"nbgrader": None}, {"nbgrader": []}, {"nbgrader": "x"}, {"nbgrader": {}}],
)
def test_a_cell_with_odd_metadata_is_none_of_nbgraders(odd):
    assert marks(nbformat.NotebookNode(cell_type="code", source="", metadata=odd)) == {}
    assert marks(nbformat.NotebookNode(cell_type="code", source="")) == {}


@pytest.mark.parametrize(
    "odd", [{"nbgrader": None}, {"nbgrader": [1]}, {"nbgrader": {"grade": True}}, {"tags": []}]
)
def test_a_source_with_odd_metadata_is_read(read, source, odd):
    source.cells.insert(0, new_markdown_cell("Text.", metadata=odd))
    source.metadata["nbgrader"] = odd
    assert len(read(source).exercises) == 2


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("### MISTAKE norm: why\nx = 1", True), ("### MISTAKE my-norm_2: why: so\n\nx", True),
        ("### MISTAKE norm: why\n", True), ("x = 1", False), ("# MISTAKE norm: why\nx", False),
        ("### MISTAKE norm:\nx", False), ("### MISTAKE norm: why", False),
    ],
)  # fmt: skip
def test_what_a_known_mistake_looks_like(text, yes):
    assert is_mistake(new_code_cell(text)) is yes
    assert not is_mistake(new_markdown_cell(text))


def marked(name: str, **changes):
    def change(notebook):
        cell(notebook, name).metadata.nbgrader.update(changes)

    return change


def hidden(text: str):
    def change(notebook):
        cell(notebook, "norm-probes").source = text

    return change


def rule(*lines: str):
    return hidden(GRADED.format("\n".join(lines)))


def added(text: str, **metadata):
    return lambda notebook: notebook.cells.append(new_code_cell(text, metadata=metadata))


def solution_last(notebook):
    notebook.cells.append(notebook.cells.pop(notebook.cells.index(cell(notebook, "norm"))))


def twice(notebook):
    notebook.cells.append(new_markdown_cell("", metadata=cell(notebook, "rules").metadata))


def no_probes(notebook):
    notebook.cells = notebook.cells[:2]


def as_markdown(name: str):
    def change(notebook):
        cell(notebook, name).cell_type = "markdown"

    return change


SPLIT = "### BEGIN HIDDEN TESTS\n### TRIVIAL 0\n### END HIDDEN TESTS\n" * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (marked("norm-probes", grade_id="norm2-probes"), "graded cell 'norm2-probes' .* and before it an ungraded"),
        (marked("norm-probes", grade_id="norm2"), "graded cell 'norm2' needs an id that ends in '-probes'"),
        (marked("norm", solution=False), "graded cell 'norm-probes' .* an ungraded solution cell"),
        (marked("norm", grade=True, points=1), "graded cell 'norm-probes' .* an ungraded solution cell"),
        (as_markdown("norm"), "graded cell 'norm-probes' .* an ungraded solution cell"),
        (solution_last, "graded cell 'norm-probes' .* before it"),
        (as_markdown("norm-probes"), "graded cell 'norm-probes' needs code with one hidden part"),
        (hidden("probe()"), "graded cell 'norm-probes' needs code with one hidden part"),
        (hidden("### END HIDDEN TESTS\n### TRIVIAL 0\n### BEGIN HIDDEN TESTS"), "graded cell 'norm-probes' .* hidden"),
        (hidden("### BEGIN HIDDEN TESTS\n### TRIVIAL 0"), "graded cell 'norm-probes' needs code with one hidden part"),
        (hidden(SPLIT), "graded cell 'norm-probes' needs code with one hidden part"),
        (rule("probe()"), r"graded cell 'norm-probes' needs one line '### TRIVIAL points' .* from 0 to 5, got \[\]"),
        (rule("### TRIVIAL 0", "### TRIVIAL 1"), r"graded cell 'norm-probes' .* got \['0', '1'\]"),
        (rule("### TRIVIAL one"), r"graded cell 'norm-probes' .* got \['one'\]"),
        (rule("### TRIVIAL nan"), r"graded cell 'norm-probes' .* got \['nan'\]"),
        (rule("### TRIVIAL -1"), r"graded cell 'norm-probes' .* got \['-1'\]"),
        (rule("### TRIVIAL 6"), r"graded cell 'norm-probes' .* got \['6'\]"),
        (rule("### TRIVIAL 0", "### FORBID a, b"), "graded cell 'norm-probes': '### FORBID' takes .* got a,$"),
        (rule("### TRIVIAL 0", "### FORBID torch..a 3"), "graded cell 'norm-probes': '### FORBID' .* got torch..a, 3"),
        (marked("norm-probes", points=None), "the cell 'norm-probes' needs points, a number from 0 up, got None"),
        (marked("norm-probes", points="5"), "the cell 'norm-probes' needs points, .* got '5'"),
        (marked("norm-probes", points=True), "the cell 'norm-probes' needs points, .* got True"),
        (marked("norm-probes", points=-1), "the cell 'norm-probes' needs points, .* got -1"),
        (marked("norm-probes", points=float("nan")), "the cell 'norm-probes' needs points, .* got nan"),
        (marked("why", points=float("inf")), "the cell 'why' needs points, .* got inf"),
        (marked("rules", grade_id=["a"]), r"cell 3: its id is \['a'\]"),
        (marked("rules", grade_id=None), "cell 3: its id is None"),
        (marked("rules", grade_id="../a"), "cell 3: its id is '../a'"),
        (marked("rules", grade_id=""), "cell 3: its id is ''"),
        (twice, "cell 10: its id 'rules' is another cell's already"),
        (added("### MISTAKE nrom: Why.\nx"), "mistakes for exercises that do not exist: nrom"),
        (added("### MISTAKE norm: It adds one.\nx"), "cell 10: another mistake of 'norm' says the same: It adds one."),
        (added("### MISTAKE norm: Why."), "cell 10: a known mistake starts with one line"),
        (added("\n### MISTAKE norm: Why.\nx"), "cell 10: a known mistake starts with"),
        (added("###MISTAKE norm: Why.\nx"), "cell 10: a known mistake starts with"),
        (added("### Mistake norm: Why.\nx"), "cell 10: a known mistake starts with"),
        (added("### MISTAKE norm - Why.\nx"), "cell 10: a known mistake starts with"),
        (added("### MISTAKE norm: Why.\nx", nbgrader={"grade_id": "m"}), "cell 10 with the id 'm': a known mistake"),
        (no_probes, "no graded cell with probes"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_with_the_cell(read, source, change, message):
    change(source)
    with pytest.raises(ValueError, match=message) as error:
        read(source)
    assert str(error.value).startswith("ch.ipynb: ")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"not json", b"[]", b"{}", b"null", b"\xff\xfe", b'{"nbformat": 4}',
        b'{"nbformat": 99, "nbformat_minor": 0, "cells": []}',
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": {}}', b"[" * 100_000,
        b'{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [3]}',
        b'{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [{"cell_type": "code"}]}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    (tmp_path / "ch.ipynb").write_bytes(content)
    with pytest.raises(ValueError, match=r"^ch.ipynb: "):
        read_assignment(tmp_path / "ch.ipynb")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({}, "no list of cells"), ("", "no list of cells"),
        ([{"cell_type": "code", "source": 3, "metadata": {}}], "cell 1 needs a type"),
        ([{"cell_type": "code", "source": None, "metadata": {}, "outputs": []}], "cell 1 needs a type"),
    ],
)  # fmt: skip
def test_cells_that_are_none_are_named(tmp_path, cells, message):
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    (tmp_path / "ch.ipynb").write_text(json.dumps(notebook))
    with pytest.raises(ValueError, match=message):
        read_assignment(tmp_path / "ch.ipynb")


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "ch.ipynb", tmp_path):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            read_assignment(path)
