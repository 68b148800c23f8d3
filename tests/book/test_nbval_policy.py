"""What the notebook check compares: text in full, figures not byte for byte, and a changed number always fails."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import nbformat
import pytest

FIGURE = '<figure class="pt-figure"><svg><path d="{}"/></svg></figure>'
TABLE = "<table><tr><td>{}</td></tr></table>"
BOTH = FIGURE.format("M 1 1.2") + "<p>{}</p>"


def stream(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def display(html):
    return nbformat.v4.new_output("display_data", data={"text/html": html, "text/plain": "x"})


def send(html):
    """A cell that displays this."""
    return f"from IPython.display import display\ndisplay({{'text/html': '''{html}''', 'text/plain': 'x'}}, raw=True)"


CASES = {  # what a cell does, what is stored, and whether that passes
    "the same number": ("print(0.70)", stream("0.7\n"), True),
    "a changed number": ("print(0.71)", stream("0.7\n"), False),
    "a redrawn figure": (send(FIGURE.format("M 1 1.2")), display(FIGURE.format("M 1 1.3")), True),
    "a changed table": (send(TABLE.format(2)), display(TABLE.format(3)), False),
    "a changed text beside a figure": (send(BOTH.format(2)), display(BOTH.format(3)), False),
    "a figure that vanished": ("pass", display(FIGURE.format("M 1 1")), False),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, root):
    """nbval with the book's own policy, once over a notebook with a cell for each case: did it pass?"""
    folder = tmp_path_factory.mktemp("policy")
    notebook = nbformat.v4.new_notebook()
    for count, (source, output, _) in enumerate(CASES.values(), start=1):
        cell = nbformat.v4.new_code_cell(source, execution_count=count)
        cell.outputs = [output]
        notebook.cells.append(cell)
    nbformat.write(notebook, folder / "case.ipynb")
    (folder / "conftest.py").write_text((root / "book" / "conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-c", root / "pyproject.toml",
               "--rootdir", folder, "--junitxml", folder / "report.xml", folder / "case.ipynb"]  # fmt: skip
    subprocess.run([str(part) for part in command], capture_output=True, cwd=folder)
    found = ElementTree.parse(folder / "report.xml").iter("testcase")
    passed = [case.find("failure") is None and case.find("error") is None for case in found]
    return dict(zip(CASES, passed, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_text_is_compared_in_full_and_a_drawing_is_not(case, outcomes):
    assert outcomes[case] == CASES[case][2]
