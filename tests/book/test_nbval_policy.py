"""What the notebook check compares: text in full, figures not byte for byte, and a changed number always fails."""

import subprocess
import sys

import nbformat
import pytest


@pytest.fixture
def check(tmp_path, root):
    """Run nbval, with the book's own policy, over one cell whose stored outputs are given."""

    def run(source, *outputs):
        cell = nbformat.v4.new_code_cell(source, execution_count=1)
        cell.outputs = list(outputs)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "case.ipynb")
        (tmp_path / "conftest.py").write_text((root / "book" / "conftest.py").read_text())
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", root / "pyproject.toml",
                   "--rootdir", tmp_path, tmp_path / "case.ipynb"]  # fmt: skip
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, cwd=tmp_path
        ).returncode

    return run


def stream(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def display(data):
    return nbformat.v4.new_output("display_data", data=data)


def test_a_changed_printed_number_fails(check):
    assert check("print(0.70)", stream("0.7\n")) == 0
    assert check("print(0.71)", stream("0.7\n")) == 1


def test_a_changed_table_fails_and_a_redrawn_figure_does_not(check):
    send = (
        "from IPython.display import display\ndisplay({{'text/html': '''{}''', 'text/plain': 'x'}}, raw=True)"
    )
    figure = '<figure class="pt-figure"><svg><path d="{}"/></svg></figure>'
    assert (
        check(
            send.format(figure.format("M 1 1.2")),
            display({"text/html": figure.format("M 1 1.3"), "text/plain": "x"}),
        )
        == 0
    )
    table = "<table><tr><td>{}</td></tr></table>"
    assert (
        check(send.format(table.format(2)), display({"text/html": table.format(3), "text/plain": "x"})) == 1
    )
    both = figure.format("M 1 1.2") + "<p>{}</p>"
    assert check(send.format(both.format(2)), display({"text/html": both.format(3), "text/plain": "x"})) == 1


def test_a_figure_that_vanishes_fails(check):
    figure = '<figure class="pt-figure"><svg/></figure>'
    assert check("pass", display({"text/html": figure, "text/plain": "x"})) == 1
