"""What honest tools do to a notebook: it passes, and its clean copy is the student's work."""

import base64
import json

import nbformat
import pytest
from small_assignment import (
    RELEASE,
    answered,
    cell_of,
    marks_of,
    own,
    reasons,
)

from papertrail.coursework.precheck import clean, precheck

IDS = ["rules", "norm", "norm-probes", "scale", "scale-probes", "why"]
NAN = float("nan")


def index(notebook: dict, name: str) -> int:
    return notebook["cells"].index(cell_of(notebook, name))


def windows_lines(notebook):
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace("\n", "\r\n")


def colab(notebook):
    notebook["nbformat_minor"] = 0
    notebook["metadata"] |= {
        "colab": {"provenance": []},
        "language_info": {"name": "python"},
        "accelerator": "GPU",
    }
    for place, cell in enumerate(notebook["cells"]):
        cell.pop("id")
        cell["metadata"] |= {
            "id": f"x{place}",
            "outputId": "y",
            "colab": {"base_uri": "https://localhost:8080/"},
        }
        cell["metadata"]["executionInfo"] = {"user": {"displayName": "Ünï", "userId": "1"}, "elapsed": 3}


def colab_picture(notebook):
    picture = base64.b64encode(b"x" * 500_000).decode()
    cell_of(notebook, "why")["source"] = f"![p](data:image/png;base64,{picture})\n\n<b>see above</b>"


def vscode(notebook):
    notebook["metadata"] = {"language_info": {"name": "python", "version": "3.12"}, "vscode": {"x": 1},
                            "kernelspec": {"name": "venv", "display_name": ".venv", "language": "python"}}  # fmt: skip
    for place, cell in enumerate(notebook["cells"]):
        cell["id"] = f"#VSC-{place}"
        cell["metadata"]["vscode"] = {"languageId": "python"}


def classic(notebook):
    notebook["nbformat_minor"] = 2
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"] |= {
            "collapsed": True,
            "scrolled": "auto",
            "trusted": True,
            "run_control": {"marked": False},
        }


def big_outputs(notebook):
    picture = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * 3_000_000}}
    cell_of(notebook, "norm") | {"outputs": [picture]}
    cell_of(notebook, "norm")["outputs"] = [picture]


def no_outputs(notebook):
    for cell in notebook["cells"]:
        cell.pop("outputs", None)
        cell.pop("execution_count", None)


def outputs_on_text(notebook):
    cell_of(notebook, "why").update(outputs=[], execution_count=None)  # after a change of type and back


def split(notebook):
    notebook["cells"].insert(index(notebook, "norm") + 1, own("y = 1", "code"))


def added(notebook):
    for place in (3, 0):
        notebook["cells"].insert(place, own("I tried <br> this", "markdown"))
        notebook["cells"].insert(place, own("a<b", "code"))


def unmarked_deleted(notebook):
    del notebook["cells"][:2]


def odd_outputs(notebook):
    cell_of(notebook, "norm")["outputs"] = [
        {"output_type": "future", "data": NAN, "big": 10**4000, "s": "\ud83d"}
    ]


def no_kernel(notebook):
    notebook["metadata"] = {}


def odd_kernel(notebook):
    notebook["metadata"] = {
        "kernelspec": {"name": "my env (3.11)", "display_name": "Größe 😀"},
        "widgets": [NAN],
    }


def future_minor(notebook):
    notebook["nbformat_minor"] = 9
    notebook["cells"][0]["novel"] = {"field": 1}


def inert_marks(notebook):
    notebook["cells"][0]["metadata"]["nbgrader"] = {}


def other_bookkeeping(notebook):
    marks_of("norm", checksum="f" * 32, locked=True, schema_version=2, cell_type="raw", more=1)(notebook)


def points_as_float(notebook):
    marks_of("norm-probes", points=5.0)(notebook)


def odd_metadata(notebook):
    notebook["cells"][1]["metadata"] = {"tags": "no list", "collapsed": "yes", "score": NAN}


def attached_nothing(notebook):
    cell_of(notebook, "why")["attachments"] = {}


TOOLS = [windows_lines, colab, colab_picture, vscode, classic, big_outputs, no_outputs, outputs_on_text, split, added,
         unmarked_deleted, odd_outputs, no_kernel, odd_kernel, future_minor, inert_marks, other_bookkeeping,
         points_as_float, odd_metadata, attached_nothing]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_what_honest_tools_do_passes_and_is_cleaned(tool):
    notebook = answered()
    tool(notebook)
    verdict = precheck(json.dumps(notebook).encode(), RELEASE)
    assert (verdict.reasons, verdict.notes) == ([], [])
    cleaned = clean(json.dumps(notebook).encode(), RELEASE)
    nbformat.validate(cleaned)
    assert [cell.metadata.nbgrader.grade_id for cell in cleaned.cells if "nbgrader" in cell.metadata] == IDS
    assert (
        next(cell.source for cell in cleaned.cells if cell.id == "released-3") == "def norm(x):\n    return x"
    )


def test_a_byte_order_mark_indentation_and_windows_line_ends_pass():
    text = json.dumps(answered(), indent=1, ensure_ascii=False).replace("\n", "\r\n")
    assert reasons(b"\xef\xbb\xbf" + text.encode()) == []
