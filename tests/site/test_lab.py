"""The learner's view: notebooks in JupyterLab, in a real browser, run through the menu, with their figures moving."""

import subprocess
import sys

import nbformat
import pytest
import torch

from lab_server import free_port, serve_lab, stop, wait_until_up
from trial import copy_cleared, visit_notebook

# How many figures move in each notebook; the short ones are tried by `make test`.
MOVING = {
    "where_are_the_norms": 0,
    "architecture_diagram": 2,
    "layer_norm_placement": 3,
    "fast_weights": 3,
    "ulmfit": 1,
    "gopher": 3,
    "scan_and_snap": 1,
}
SHORT = ("where_are_the_norms",)


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("print('no such option'); raise SystemExit(3)", "exit status 3; its last words:\nno such option"),
        (
            "import time; print('thinking', flush=True); time.sleep(60)",
            "no server listens on port .*\nthinking",
        ),
    ],
)
def test_a_server_that_never_comes_up_fails_with_its_last_words(tmp_path, program, complaint):
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen([sys.executable, "-c", program], stdout=output, stderr=subprocess.STDOUT)
    try:
        with pytest.raises(RuntimeError, match=complaint):
            wait_until_up(server, free_port(), log, seconds=2)
    finally:
        stop(server)


@pytest.fixture
def visit(chromium, book, tmp_path):
    """Tries a notebook, given by its path in the book, or any other notebook's cells in its place."""

    def visit_(name, cells=None):
        folder = tmp_path / "mes cahiers é"  # a path with a space and a letter beyond ASCII
        copy_cleared([book / name], folder)
        if cells is not None:
            notebook = nbformat.read(folder / name, as_version=4)
            notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
            nbformat.write(notebook, folder / name)
        (scratch := tmp_path / "scratch").mkdir()
        with serve_lab(folder, scratch) as (lab, server):
            return visit_notebook(chromium, lab, server, folder / name, name)

    return visit_


def test_every_notebook_is_tried(book):
    assert set(MOVING) == {path.stem for path in book.glob("*.ipynb")}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SHORT else pytest.mark.long) for name in MOVING]
)
def test_a_notebook_runs_from_the_menu_and_all_its_figures_move(visit, name):
    """No error, nothing on stderr, no question asked, first result and memory within their limits."""
    found = visit(f"{name}.ipynb")
    if (
        torch.version.cuda
    ):  # that build takes more memory by itself; the limit is for Binder, which has the other
        found.faults = [fault for fault in found.faults if not fault.startswith("the kernel took ")]
    assert not found.faults
    assert found.moved == MOVING[name]


STUCK = """from papertrail.figures import moving_figure, new_figure
fig, _ = new_figure()
moving_figure(lambda n: (fig, "always the same"), [("1", 1), ("2", 2), ("3", 3)], name="stuck", question="Move?")"""


@pytest.mark.long
def test_a_visit_finds_what_is_wrong(visit):
    """The trial itself on trial: a figure that stands still, a warning, memory, and then an error."""
    heap = "import numpy\nheap = numpy.ones(2**26)"  # 512 MiB on top of what a kernel takes
    found = visit(
        "where_are_the_norms.ipynb", [STUCK, "import warnings; warnings.warn('old')", heap, "1/0", "2"]
    )
    faults = "\n".join(found.faults)
    for part in (
        "figure 'Move?' does not follow the keyboard",
        "figure 'Move?' does not follow the mouse",
        "cell 1 writes to stderr",
        "UserWarning: old",
        "cell 3: ZeroDivisionError",
        "cell 4 did not run",
        "the kernel took ",
    ):
        assert part in faults
    assert found.moved == 0


@pytest.mark.long
def test_an_assignment_that_is_not_begun_stops_at_its_first_exercise(visit):
    found = visit("exercises/gopher.ipynb")
    first, *others = found.faults
    assert "NotImplementedError" in first and all("did not run" in fault for fault in others)
