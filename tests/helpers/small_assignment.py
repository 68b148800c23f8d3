"""A small assignment: its source as an author writes it, its release as students get it, and what tools do to it."""

import copy
import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from papertrail.coursework.precheck import precheck

BEGIN, END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"


def marked(**given) -> dict:
    """nbgrader's metadata of a cell."""
    flags = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False}
    return {"nbgrader": flags | given}


def source() -> nbformat.NotebookNode:
    """Two exercises with probes, one question for a person, one locked text, one known mistake."""
    cells = [new_markdown_cell("# LayerNorm"), new_code_cell("import torch")]
    cells.append(new_markdown_cell("The rules.", metadata=marked(locked=True, grade_id="rules")))
    for name, points in (("norm", 5), ("scale", 2)):
        solution = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION"
        tests = f"# More checks run later.\n{BEGIN}\n### TRIVIAL 0\nprobe('a', lambda: {name}(1))\n{END}"
        cells.append(new_code_cell(solution, metadata=marked(solution=True, grade_id=name)))
        graded = marked(grade=True, locked=True, grade_id=f"{name}-probes", points=points)
        cells.append(new_code_cell(tests, metadata=graded))
    why = marked(grade=True, solution=True, grade_id="why", points=3)
    cells.append(new_markdown_cell("Because ...", metadata=why))
    cells.append(new_code_cell("### MISTAKE norm: It adds one.\ndef norm(x):\n    return x + 1"))
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def release() -> nbformat.NotebookNode:
    """What nbgrader makes of the source, without its cost. A test compares the two."""
    notebook = copy.deepcopy(source())
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("### MISTAKE")]
    for place, cell in enumerate(notebook.cells):
        cell.id = f"released-{place}"
        if "nbgrader" not in cell.metadata:
            continue
        marks = cell.metadata.nbgrader
        marks.update(cell_type=cell.cell_type, checksum="0" * 32)
        cell.metadata["deletable"] = False
        if marks.solution and cell.cell_type == "code":
            cell.source = cell.source.split("\n")[0] + "\n" + STUB
        if marks.solution and cell.cell_type == "markdown":
            cell.source = "YOUR ANSWER HERE"
        if not marks.solution:
            cell.metadata["editable"] = False
            cell.source = cell.source.split("\n" + BEGIN)[0]
    return notebook


def answered() -> dict:
    """A student's notebook as plain data: the release with right answers, as Jupyter would save it."""
    notebook = json.loads(nbformat.writes(release()))
    cell_of(notebook, "norm")["source"] = ["def norm(x):\n", "    return x"]
    cell_of(notebook, "scale")["source"] = ["def scale(x):\n", "    return x"]
    cell_of(notebook, "why")["source"] = ["Because a < b, and 😀 – naïve."]
    return notebook


def cell_of(notebook: dict, name: str) -> dict:
    """The first cell with an id of nbgrader."""
    return next(
        cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name
    )


def content(notebook: dict) -> bytes:
    """The notebook's file."""
    return json.dumps(notebook).encode()


def own(source: str, kind: str = "markdown", **more) -> dict:
    """A cell that a student added."""
    cell = {"cell_type": kind, "id": "mine", "metadata": {}, "source": source, **more}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def really_released(folder: Path, chapter: str = "ch02") -> nbformat.NotebookNode:
    """The release as nbgrader makes it from the source without its known mistakes."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    notebook = source()
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("### MISTAKE")]
    path = folder / "source" / chapter / f"{chapter}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    config = Config()
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.assignment_id = chapter
    config.GenerateAssignment.no_database = True
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    converter.preprocessors = [step for step in converter.preprocessors if step.__name__ != "SaveCells"]
    converter.start()
    return nbformat.read(folder / "release" / chapter / f"{chapter}.ipynb", as_version=4)


def marks_of(name: str, **change):
    """A change of a notebook: of nbgrader's metadata of one cell."""

    def change_it(notebook):
        cell_of(notebook, name)["metadata"]["nbgrader"].update(change)

    return change_it


RELEASE = release()


def reasons(notebook: dict | bytes) -> list[str]:
    """Why a notebook is refused."""
    return precheck(notebook if isinstance(notebook, bytes) else content(notebook), RELEASE).reasons


def only(notebook: dict | bytes) -> str:
    """The one reason why a notebook is refused. Never is it raised, and never do more reasons follow from one fault."""
    found = reasons(notebook)
    assert len(found) == 1, found
    return found[0]
