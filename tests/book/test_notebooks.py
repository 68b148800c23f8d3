"""Notebooks as they are stored: executed, clean, described, and unchanged by running them again."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from execute import normalize

BOOK = Path(__file__).resolve().parents[2] / "book"
NOTEBOOKS = sorted(path.name for path in BOOK.glob("*.ipynb"))
SPEC = importlib.util.spec_from_file_location("notebook_policy", BOOK / "conftest.py")
POLICY = importlib.util.module_from_spec(SPEC)  # book/conftest.py knows what a drawing looks like in HTML
SPEC.loader.exec_module(POLICY)
PICTURES = {"image/png", "image/jpeg", "image/svg+xml"}


# A chapter has a package of its own name; the other notebooks are pages that run.
CHAPTERS = [name for name in NOTEBOOKS if (BOOK.parent / "code" / "papertrail" / Path(name).stem).is_dir()]


@pytest.fixture(params=CHAPTERS)
def chapter(request, book):
    return nbformat.read(book / request.param, as_version=4)


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
    assert path.stat().st_size < 1_250_000  # as text; tests/site holds the compressed page to 150 KB


def test_notebooks_install_nothing_and_reach_for_nothing(notebook):
    for cell in code_cells(notebook):
        for word in ("pip ", "conda ", "urllib", "requests.", "wget", "torch.compile", "import tqdm"):
            assert word not in cell.source


def sections(notebook):
    """The chapter as (heading, code cells) pairs; one cell of text may open several sections."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found += [
                (heading.lower(), []) for heading in re.findall(r"^## (.*)", cell.source, flags=re.MULTILINE)
            ]
        elif found and cell.source.strip():
            found[-1][1].append(cell)
    return found


def runs_an_experiment(cell):
    """It calls a `measure_*` function and shows what came out."""
    return bool(re.search(r"\bmeasure_\w+\(", cell.source)) and bool(cell.outputs)


def moves_a_figure(cell):
    return "moving_figure(" in cell.source


NAMED_SECTIONS = (
    "claim", "paper say", "by hand", "not show here", "where did it go", "check yourself", "exercises", "verdict",
)  # fmt: skip


def departures_from_the_house_order(notebook):
    """What a chapter lacks, or tells too early; empty for a chapter in the house's order.

    Most sections are known by a phrase of their heading. *Run it* and *Move it* have a question of their own as
    heading, so they are known by what they do: between the case by hand and what does not show, one section runs
    an experiment, and a later one moves a figure.
    """
    told = sections(notebook)
    place = {part: [i for i, (heading, _) in enumerate(told) if part in heading] for part in NAMED_SECTIONS}
    if missing := [part for part in NAMED_SECTIONS if not place[part]]:
        return [f"no section on: {part}" for part in missing]
    first = [place[part][0] for part in NAMED_SECTIONS]
    if first != sorted(first):
        return ["the sections stand in another order"]
    between = range(place["by hand"][0] + 1, place["not show here"][0])
    running = [i for i in between if any(map(runs_an_experiment, told[i][1]))]
    moving = [i for i in between if any(map(moves_a_figure, told[i][1]))]
    if not running:
        return ["no section runs an experiment"]
    if not moving or moving[-1] <= running[0]:
        return ["no section moves a figure after an experiment"]
    return []


def test_a_chapter_is_told_in_the_house_order(chapter):
    assert departures_from_the_house_order(chapter) == []


def without(notebook, unwanted):
    """A copy whose cells are all but the unwanted ones."""
    kept = [cell for cell in notebook.cells if cell.cell_type == "markdown" or not unwanted(cell)]
    return nbformat.v4.new_notebook(cells=kept)


def at_headings(cell):
    """A cell of text as one cell for each heading that it holds; a cell of code as it is."""
    if cell.cell_type != "markdown":
        return [cell]
    parts = re.split(r"(?m)^(?=## )", cell.source)
    return [nbformat.v4.new_markdown_cell(part) for part in parts if part.strip()]


def with_figures_first(notebook):
    """A copy whose moving figures have a section of their own, between the case by hand and the first experiment."""
    moved = without(notebook, moves_a_figure)
    moved.cells = [part for cell in moved.cells for part in at_headings(cell)]
    figures = [cell for cell in code_cells(notebook) if moves_a_figure(cell)]
    told = iter(enumerate(moved.cells))
    next(i for i, cell in told if re.search(r"(?im)^## .*by hand", cell.source))
    after = next(i for i, cell in told if cell.source.startswith("## "))
    moved.cells[after:after] = [nbformat.v4.new_markdown_cell("## What moves?"), *figures]
    return moved


def with_heading(notebook, old, new):
    copy = nbformat.reads(nbformat.writes(notebook), as_version=4)
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(
                rf"^## (.*{old}.*)$", f"## {new}", cell.source, flags=re.MULTILINE | re.IGNORECASE
            )
    return copy


@pytest.mark.parametrize(
    ("damage", "departure"),
    [
        (lambda n: without(n, runs_an_experiment), "no section runs an experiment"),
        (lambda n: without(n, moves_a_figure), "no section moves a figure after an experiment"),
        (with_figures_first, "no section moves a figure after an experiment"),
        (lambda n: with_heading(n, "verdict", "The end"), "no section on: verdict"),
        (lambda n: with_heading(n, "by hand", "What happens by hand, and the exercises?"), "another order"),
    ],
)
def test_a_chapter_that_lacks_a_section_or_tells_it_too_early_is_noticed(chapter, damage, departure):
    (found,) = departures_from_the_house_order(damage(chapter))
    assert departure in found


def test_every_exercise_states_difficulty_minutes_points_and_the_mistake_it_catches(chapter):
    text = "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    exercises = text.split("```{exercise}")[1:]
    assert len(exercises) >= 6
    for exercise in exercises:
        body = exercise.split("```")[0]
        assert re.search(r"★+ · \d+ minutes · \d+ points · \*catches: .+\*", body), body[:80]
        assert "You are done when" in body


def portable(notebook):
    """What a chapter stores that is the same on every machine: all of it, with the drawings blanked out.

    Drawings differ in the last digits of coordinates, because the curves behind them come from floating-point
    sums that another processor adds in another order. Their alternative texts, and everything printed, are
    rounded so that they do not differ, and stay in.
    """
    copy = nbformat.reads(nbformat.writes(notebook), as_version=4)
    for cell in code_cells(copy):
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/svg+xml" in data:
                data["image/svg+xml"] = "DRAWING"
            if "text/html" in data:
                data["text/html"] = re.sub(POLICY.FIGURE, "DRAWING", data["text/html"])
    return copy


def test_only_drawings_are_blanked_out(chapter):
    blank = portable(chapter)
    text = nbformat.writes(blank)
    assert "DRAWING" in text and "<svg" not in text
    for before, after in zip(code_cells(chapter), code_cells(blank), strict=True):
        assert [output.get("text") for output in before.outputs] == [
            output.get("text") for output in after.outputs
        ]
        assert [output.get("metadata") for output in before.outputs] == [
            o.get("metadata") for o in after.outputs
        ]
    assert text.count("<table") == nbformat.writes(chapter).count("<table") > 0


RERUN = [pytest.param(n, marks=pytest.mark.long) if n in CHAPTERS else n for n in NOTEBOOKS]


@pytest.mark.parametrize("name", RERUN)
def test_running_an_unchanged_notebook_again_leaves_no_difference(name, book, tmp_path, root):
    """The whole of `make execute`: execute, normalize, store. On one machine, byte for byte, figures included;
    beside the committed notebook, which another machine may have stored, all but the drawings.

    In `make test` a short page stands for all; nbval runs every notebook there, and compares what it prints.
    """
    path = book / name
    once, twice = tmp_path / "once.ipynb", tmp_path / "twice.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:  # what an editor leaves behind
        cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.99"}
    nbformat.write(notebook, once)
    subprocess.run([sys.executable, root / "tools" / "execute.py", once], check=True, capture_output=True)
    assert portable(nbformat.read(once, as_version=4)) == portable(nbformat.read(path, as_version=4))
    twice.write_bytes(once.read_bytes())
    subprocess.run([sys.executable, root / "tools" / "execute.py", twice], check=True, capture_output=True)
    assert once.read_bytes() == twice.read_bytes()


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
