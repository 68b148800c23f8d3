"""The pre-check: each reason to refuse a notebook, what is noted, and the clean copy."""

import json

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_assignment import (
    RELEASE,
    answered,
    cell_of,
    content,
    marks_of,
    only,
    own,
    really_released,
    reasons,
    release,
)

from papertrail.coursework.precheck import MAX_SOURCE, clean, precheck

IDS = ["rules", "norm", "norm-probes", "scale", "scale-probes", "why"]


def index(notebook: dict, name: str) -> int:
    return notebook["cells"].index(cell_of(notebook, name))


def test_the_small_release_is_what_nbgrader_makes(tmp_path):
    real, small = really_released(tmp_path), release()
    for cell in (*real.cells, *small.cells):
        cell.id = "same"
        cell.metadata.get("nbgrader", {}).pop("checksum", None)
    assert real.cells == small.cells and real.metadata == small.metadata


def test_an_answered_and_an_untouched_notebook_pass():
    for notebook in (answered(), json.loads(nbformat.writes(RELEASE))):
        verdict = precheck(content(notebook), RELEASE)
        assert (verdict.reasons, verdict.notes, verdict.accepted) == ([], [], True)


# Files that are no notebook of this format.

WHOLE = content(answered())
FILES = {
    "empty": (b"", "empty"),
    "blank": (b" \n\0", "empty"),
    "too large": (b"{" + b" " * 5_000_000, "at most 5 MB"),
    "zip": (b"PK\x03\x04rest", "zip archive"),
    "pdf": (b"%PDF-1.7", "PDF"),
    "gzip": (b"\x1f\x8b\x08rest", "compressed"),
    "utf-16": (WHOLE.decode().encode("utf-16"), "UTF-16"),
    "latin-1": ("{'ä'}".encode("latin-1"), "not in UTF-8"),
    "web page": (b"\n <!DOCTYPE html><html>", "web page"),
    "python": (b"import torch", "not JSON"),
    "cut off": (WHOLE[: len(WHOLE) // 2], "breaks off in line 1"),
    "cut off in a text": (b'{"cells": "abc\\n', "breaks off"),
    "cut off by one": (WHOLE[:-1], "breaks off"),
    "damaged": (b'{"cells": [}', "not valid JSON"),
    "merge": (b'{\n<<<<<<< HEAD\n"cells": []}', "merge conflict"),
    "a list": (b"[1]", "no notebook"),
    "deep": (b'{"a":' * 100_000, "nested too deeply"),
    "deep list": (b"[" * 100_000, "nested too deeply"),
    "no format": (b"{}", "states no format"),
    "format true": (b'{"nbformat": true}', "states no format"),
    "huge format": (b'{"nbformat": ' + b"9" * 10_000 + b"}", "states no format"),
    "old": (b'{"nbformat": 3, "worksheets": []}', "old format 3"),
    "new": (b'{"nbformat": 5, "cells": []}', "newer than format 4"),
    "no cells": (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}', "no cells"),
    "cells no list": (b'{"nbformat": 4, "cells": {}}', "no cells"),
    "cell no object": (b'{"nbformat": 4, "cells": [1]}', "Cell 1 is no cell"),
    "many cells": (b'{"nbformat": 4, "cells": [' + b"1," * 500 + b"1]}", "501 cells; at most 500"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_notebook_is_refused_with_one_reason(name):
    file, says = FILES[name]
    assert says in only(file)


def changed_cell(**change):
    def change_it(notebook):
        notebook["cells"][1].update(change)

    return change_it


def delete(name):
    return lambda notebook: notebook["cells"].remove(cell_of(notebook, name))


def add(*args, **kwargs):
    return lambda notebook: notebook["cells"].append(own(*args, **kwargs))


def answer(text, name="why"):
    return lambda notebook: cell_of(notebook, name).update(source=text)


def duplicate(notebook):
    notebook["cells"].insert(index(notebook, "norm") + 1, dict(cell_of(notebook, "norm")))


def swap(notebook):
    cells, a, b = notebook["cells"], index(notebook, "norm"), index(notebook, "scale")
    cells[a], cells[b] = cells[b], cells[a]


def strip(notebook):
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def rename_all(notebook):
    for cell in notebook["cells"]:
        if marks := cell["metadata"].get("nbgrader"):
            marks["grade_id"] = f"other-{marks['grade_id']}"


def retype(name, kind):
    def change_it(notebook):
        cell = cell_of(notebook, name)
        cell["cell_type"] = kind
        if kind == "code":
            cell |= {"outputs": [], "execution_count": None}

    return change_it


def delete_all_but_norm(notebook):
    for name in IDS:
        if name != "norm":
            delete(name)(notebook)


def language(key, **value):
    return lambda notebook: notebook["metadata"].update({key: value})


NAN = float("nan")
CHANGES = {
    "unknown cell type": (changed_cell(cell_type="heading"), ["Cell 2 is of no known type"]),
    "source no text": (changed_cell(source=7), ["Cell 2", "source"]),
    "source in a dict": (changed_cell(source={"a": 1}), ["Cell 2", "source"]),
    "metadata no object": (changed_cell(metadata=[]), ["Cell 2", "metadata"]),
    "no source": (lambda notebook: notebook["cells"][1].pop("source"), ["Cell 2"]),
    "attachments no object": (add("text", attachments=[1]), ["Cell 9", "attachments"]),
    "surrogate": (answer("half \ud83d"), ["Cell 8", "half of a character"]),
    "nan in marks": (marks_of("norm-probes", points=NAN), ["Cell 5", "not finite"]),
    "huge number in marks": (marks_of("norm-probes", points=10**4000), ["Cell 5", "not finite"]),
    "deep marks": (marks_of("norm", deep=json.loads("[" * 100 + "]" * 100)), ["Cell 4", "nested too deeply"]),
    "language r": (language("kernelspec", name="ir", language="R"), ["another language ('r')", "Python"]),
    "language julia": (language("language_info", name="julia"), ["another language ('julia')"]),
    "missing": (delete("norm-probes"), [
        "Missing cell: 'norm-probes'. Look under 'LayerNorm'.", "Download the notebook again"]),
    "missing many": (delete_all_but_norm, ["Missing cells: 'rules', 'norm-probes', 'scale'"]),
    "duplicated": (duplicate, ["'norm' is there 2 times (cells 4, 5)", "Merge"]),
    "moved": (swap, ["Moved cells: 'norm-probes', 'norm' must stand earlier"]),
    "stripped": (strip, ["The marks", "gone from the whole notebook"]),
    "another assignment": (rename_all, ["another assignment", "'norm-probes'"]),
    "code to markdown": (retype("norm", "markdown"), ["'norm' was a code cell and is now a Markdown cell"]),
    "markdown to code": (retype("why", "code"), ["'why' was a Markdown cell and is now a code cell"]),
    "code to raw": (retype("norm-probes", "raw"), ["'norm-probes' was a code cell and is now a raw cell"]),
    "points": (marks_of("norm-probes", points=500), ["'norm-probes' has other settings than it was given (points)"]),
    "points as text": (marks_of("norm-probes", points="5"), ["(points)"]),
    "points added": (marks_of("norm", points=1), ["'norm'", "(points)"]),
    "no longer graded": (marks_of("norm-probes", grade=False), ["(grade)"]),
    "grade of another type": (marks_of("norm-probes", grade=1), ["(grade)"]),
    "solution": (marks_of("norm-probes", solution=True), ["(solution)"]),
    "task": (marks_of("rules", task=True), ["'rules'", "(task)"]),
    "graded cell added": (add("1", "code", metadata={"nbgrader": {"grade": True, "grade_id": "mine", "points": 9}}),
                          ["Cell 9 ('mine') is marked as graded"]),
    "hidden tests": (add("### BEGIN HIDDEN TESTS\n1", "code"), ["Cell 9", "'BEGIN HIDDEN TESTS'"]),
    "hidden tests in an answer": (answer("def norm(x):\n    # END HIDDEN TESTS", "norm"), ["'norm' holds 'END HIDDEN"]),
    "hidden tests in text": (answer("BEGIN HIDDEN TESTS"), ["'why' holds 'BEGIN HIDDEN TESTS'"]),
    "mark scheme": (answer("### BEGIN MARK SCHEME"), ["'why' holds 'BEGIN MARK SCHEME'"]),
    "mistake": (add("x\n### MISTAKE norm: haha\n", "code"), ["Cell 9", "### MISTAKE"]),
    "long code": (answer("#" * (MAX_SOURCE + 1), "norm"), ["'norm' holds 100 kB", "at most 100 kB"]),
    "long in all": (
        lambda notebook: notebook["cells"].extend([own("x" * MAX_SOURCE) for _ in range(11)]),
        ["The notebook holds 1100 kB of text; at most 1000 kB"],
    ),
    "strange element": (
        add("<b\x1b[31m\u202e:ScRipt onclick=x>", "raw"),
        ["Cell 9 holds active content: <script>, onclick= in <b??31m?:script>."],
    ),
    "long text": (add("é" * (MAX_SOURCE // 2 + 1)), ["Cell 9 holds 100 kB"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_notebook_is_refused_with_one_reason_that_names_the_cell(name):
    change, says = CHANGES[name]
    notebook = answered()
    change(notebook)
    reason = only(notebook)
    assert all(part in reason for part in says), reason


def test_notes_say_what_is_put_back_and_what_is_dropped():
    notebook = answered()
    cell_of(notebook, "norm-probes")["source"] = "assert True  # BEGIN HIDDEN TESTS <script>"
    cell_of(notebook, "rules")["source"] = "<script>No rules.</script>"
    cell_of(notebook, "scale-probes")["source"] += ["\r\n"]
    notebook["cells"].append(own("x", "code", metadata={"nbgrader": {"solution": True, "grade_id": "ch01"}}))
    notebook["cells"].append(own("x", "code", metadata={"nbgrader": 7}))
    verdict = precheck(content(notebook), RELEASE)
    assert verdict.reasons == []
    put_back, foreign, odd = verdict.notes
    assert "Edits in 'rules', 'norm-probes' are dropped" in put_back
    assert foreign.startswith("Cell 9 carries marks") and odd.startswith("Cell 10 carries marks")


def test_several_faults_give_each_a_reason():
    notebook = answered()
    delete("scale-probes")(notebook)
    marks_of("norm-probes", points=50)(notebook)
    answer("<script>")(notebook)
    assert len(reasons(notebook)) == 3


def test_the_clean_copy_has_the_answers_in_the_frame_of_the_release():
    notebook = answered()
    notebook["metadata"] = {"kernelspec": {"name": "evil", "display_name": "evil"}, "title": "mine"}
    cell_of(notebook, "norm-probes")["source"] = "assert True"
    cell_of(notebook, "norm-probes")["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "pass"}
    ]
    cell_of(notebook, "norm")["metadata"]["tags"] = ["skip-execution"]
    cell_of(notebook, "rules")["attachments"] = {"x.png": {"image/png": "AA"}}
    mine = own(
        "x = 1",
        "code",
        metadata={"tags": ["skip-execution"], "nbgrader": {"solution": True, "grade_id": "z"}},
    )
    notebook["cells"].insert(0, mine | {"id": "released-3"})
    notebook["cells"].insert(4, own("![p](attachment:p.png)", attachments={"p.png": {"image/png": "AA"}}))
    cleaned = clean(content(notebook), RELEASE)
    nbformat.validate(cleaned)
    assert cleaned.metadata == RELEASE.metadata and (cleaned.nbformat, cleaned.nbformat_minor) == (4, 5)
    assert [cell.source for cell in cleaned.cells] == [
        "x = 1", "# LayerNorm", "import torch", "The rules.", "![p](attachment:p.png)", "def norm(x):\n    return x",
        "# More checks run later.", "def scale(x):\n    return x", "# More checks run later.",
        "Because a < b, and 😀 – naïve.",
    ]  # fmt: skip
    assert cleaned.cells[0].metadata == {} and "attachments" not in cleaned.cells[3]
    assert cleaned.cells[4].attachments == {"p.png": {"image/png": "AA"}}
    marked = [cell for cell in cleaned.cells if cell.metadata]
    assert [cell.metadata for cell in marked] == [cell.metadata for cell in RELEASE.cells if cell.metadata]
    assert all(
        cell.outputs == [] and cell.execution_count is None for cell in cleaned.cells if "outputs" in cell
    )
    ids = [cell.id for cell in cleaned.cells]
    assert len(set(ids)) == len(ids) and ids[5] == "released-3"
    assert release() == RELEASE  # the copy shares nothing that was changed


def test_an_id_of_the_release_is_never_given_twice():
    odd = release()
    odd.cells[3].id, odd.cells[4].id = "cell-1", "cell-10"
    ids = [cell.id for cell in clean(content(answered()), odd).cells]
    assert len(set(ids)) == len(ids) and ids[3:5] == ["cell-1", "cell-10"]


def test_a_refused_notebook_is_not_cleaned():
    with pytest.raises(ValueError, match="refused: The file is empty"):
        clean(b"", RELEASE)


# Whatever comes, there are reasons and nothing is raised.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MARKS = st.dictionaries(st.sampled_from(["grade_id", "grade", "points", "solution"]), JSON)
FIELDS = st.dictionaries(
    st.sampled_from(["cell_type", "source", "metadata", "id", "attachments", "outputs"]),
    JSON | st.sampled_from(["code", "markdown", "raw", ["a", "b"]]) | st.fixed_dictionaries({"nbgrader": JSON | MARKS}),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=300) | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())
)
def test_no_bytes_and_no_json_raise(file):
    assert reasons(file)


@settings(max_examples=80, deadline=None)
@given(st.lists(FIELDS | JSON, min_size=1, max_size=4), JSON)
def test_no_cells_and_no_metadata_raise(cells, metadata):
    file = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    assert reasons(json.dumps(file).encode())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(range(8)), FIELDS)
def test_no_changed_cell_raises_and_an_accepted_one_can_be_cleaned(place, change):
    notebook = answered()
    notebook["cells"][place].update(change)
    file = json.dumps(notebook).encode()
    if precheck(file, RELEASE).accepted:
        nbformat.writes(clean(file, RELEASE)).encode()


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_that_jupyter_cannot_open_is_not_sent_there_first(encoding):
    (reason,) = precheck(WHOLE.decode().replace("#", "é").encode(encoding), RELEASE).reasons
    assert "UTF-8" in reason and reason.index("text editor") < reason.index("Jupyter")
