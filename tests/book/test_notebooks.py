"""Notebooks as they are stored: executed, clean, described, and unchanged by running them again."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from execute import normalize

NOTEBOOKS = sorted(path.name for path in (Path(__file__).resolve().parents[2] / "book").glob("*.ipynb"))
PICTURES = {"image/png", "image/jpeg", "image/svg+xml"}


@pytest.fixture(params=NOTEBOOKS)
def path(request, book):
    return book / request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def test_every_cell_was_executed_in_order_without_errors_or_warnings(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", cell.source


def test_every_picture_has_its_alternative_text_where_the_site_reads_it(notebook):
    pictures = 0
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if PICTURES & set(output.get("data", {})):
                pictures += 1
                alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
                assert len(alt) > 40 and alt == output.metadata["papertrail"]["alt"], cell.source
    assert pictures


def test_nothing_random_or_bulky_is_stored(notebook, path):
    text = path.read_text(encoding="utf-8")
    assert "widget-view+json" not in text and "widget-state" not in text and "it/s]" not in text
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all("execution" not in cell.metadata for cell in notebook.cells)
    assert path.stat().st_size < 1_000_000


def test_notebooks_install_nothing_and_reach_for_nothing(notebook):
    for cell in code_cells(notebook):
        for word in ("pip ", "conda ", "urllib", "requests.", "wget", "torch.compile", "import tqdm"):
            assert word not in cell.source


def test_a_chapter_is_told_in_the_house_order(notebook, path):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = "\n".join(re.findall(r"^## .*", prose, flags=re.MULTILINE)).lower()
    order = [
        "claim",
        "paper say",
        "by hand",
        "not show here",
        "where did it go",
        "check yourself",
        "exercises",
        "verdict",
    ]
    positions = [text.find(part) for part in order]
    assert -1 not in positions and positions == sorted(positions)


def test_every_exercise_states_difficulty_minutes_points_and_the_mistake_it_catches(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    exercises = text.split("```{exercise}")[1:]
    assert len(exercises) >= 6
    for exercise in exercises:
        body = exercise.split("```")[0]
        assert re.search(r"★+ · \d+ minutes · \d+ points · \*catches: .+\*", body), body[:80]
        assert "You are done when" in body


def test_running_an_unchanged_notebook_again_leaves_no_difference(path, tmp_path, root):
    """The whole of `make execute`: execute, normalize, store; byte for byte, figures included, on one machine."""
    once, twice = tmp_path / "once.ipynb", tmp_path / "twice.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:  # what an editor leaves behind
        cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.99"}
    nbformat.write(notebook, once)
    subprocess.run([sys.executable, root / "tools" / "execute.py", once], check=True, capture_output=True)
    twice.write_bytes(once.read_bytes())
    subprocess.run([sys.executable, root / "tools" / "execute.py", twice], check=True, capture_output=True)
    assert once.read_bytes() == twice.read_bytes()
    assert nbformat.read(once, as_version=4).metadata == nbformat.read(path, as_version=4).metadata


def test_normalizing_refuses_what_a_notebook_wrote_to_stderr():
    cell = nbformat.v4.new_code_cell("noise()")
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="a warning")]
    with pytest.raises(ValueError, match="writes to stderr: 'a warning'"):
        normalize(nbformat.v4.new_notebook(cells=[cell]))


def test_normalizing_drops_widget_models_and_carries_the_alternative_text():
    cell = nbformat.v4.new_code_cell("show()")
    data = {"image/svg+xml": "<svg/>", "application/vnd.jupyter.widget-view+json": {"model_id": "abc"}}
    cell.outputs = [
        nbformat.v4.new_output("display_data", data=data, metadata={"papertrail": {"alt": "A line."}})
    ]
    cell.metadata["execution"] = {"shell.execute_reply": "2026-01-01T00:00:00Z"}
    notebook = nbformat.v4.new_notebook(cells=[cell])
    normalize(notebook)
    assert list(cell.outputs[0].data) == ["image/svg+xml"]
    assert cell.metadata == {"mystnb": {"image": {"alt": "A line."}}}
