"""Submissions that are odd as files: notebooks cut up by hand, and what is no notebook at all."""

import copy
import json

from hostile import WRONG, Case, cheat, refused
from small_course import cell_of

SCRIPT = "<script>document.title = 'papertrail'</script>"


def _markdown(text: str):
    """An edit: one more Markdown cell."""

    def edit(notebook: dict) -> None:
        notebook["cells"].append({"cell_type": "markdown", "id": "more", "metadata": {}, "source": text})

    return edit


def _forge_outputs(notebook: dict) -> None:
    """Outputs as if all were right, with active content."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["execution_count"] = 1
            cell["outputs"] = [
                {"output_type": "stream", "name": "stdout", "text": "4 of 4 points\npass  five numbers (3 of 3)\n"},
                {"output_type": "display_data", "metadata": {}, "data": {"text/html": SCRIPT}},
                {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": "4.0"}},
            ]  # fmt: skip


def _delete(notebook: dict) -> None:
    notebook["cells"].remove(cell_of(notebook, "mean_square-probes"))


def _duplicate(notebook: dict) -> None:
    notebook["cells"].append(copy.deepcopy(cell_of(notebook, "running_sum-probes")))


def _reorder(notebook: dict) -> None:
    notebook["cells"].insert(1, notebook["cells"].pop(5))


def _retype(notebook: dict) -> None:
    cell = cell_of(notebook, "mean_square-probes")
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]


def _points(notebook: dict) -> None:
    cell_of(notebook, "mean_square-probes")["metadata"]["nbgrader"]["points"] = 1000


def _more_graded(notebook: dict) -> None:
    cell = copy.deepcopy(cell_of(notebook, "running_sum-probes"))
    cell["metadata"]["nbgrader"].update(grade_id="bonus-probes", points=50)
    notebook["cells"].append(cell)


def _strip(notebook: dict) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def _kernel(language: str):
    def edit(notebook: dict) -> None:
        notebook["metadata"]["kernelspec"] = {
            "name": "sandbox-free",
            "display_name": "x",
            "language": language,
        }

    return edit


def _repeat_ids(notebook: dict) -> None:
    for cell in notebook["cells"]:
        cell["id"] = "same"


def _edit_locked(notebook: dict) -> None:
    for name in ("mean_square-probes", "running_sum-probes"):
        cell_of(notebook, name)["source"] = "probe = lambda *rest, **more: 7.0\nprint('7 of 7 points')"


def _huge_metadata(notebook: dict) -> None:
    notebook["metadata"]["celltoolbar"] = "x" * 1_500_000
    notebook["metadata"]["nbgrader"] = {"points": 1000}
    for cell in notebook["cells"]:
        cell["metadata"]["scrolled"] = [[{"deep": ["x"] * 500}]] * 5


SURGERY = (
    cheat("outputs", told="0 of 4 points", edit=_forge_outputs),
    refused("deleted", "Missing cell", _delete),
    refused("duplicated", "is there 2 times", _duplicate),
    refused("moved", "must stand earlier", _reorder),
    refused("retyped", "was a code cell and is now a Markdown cell", _retype),
    refused("points", "other settings than it was given (points)", _points, answers=WRONG),
    refused("bonus", "is none of this assignment's", _more_graded),
    refused("stripped", "are gone from the whole notebook", _strip),
    refused("language", "for another language", _kernel("julia")),
    Case("kernel", 7, edit=_kernel("python")),
    refused("script", "active content", _markdown(SCRIPT)),
    refused("handler", "active content", _markdown("<img src=x onerror=alert(1)>"), zipped=True),
    refused("frame", "active content", _markdown("<iframe src='https://papertrail-canary.invalid'></iframe>")),
    refused("address", "active content", _markdown("[here](javascript:alert(1))"), zipped=True),
    Case("picture", 7, edit=_markdown("![x](https://papertrail-canary.invalid/x.png) [a link](https://example.org)")),
    Case("script-in-code", 3, told="&lt;script&gt;",
         cell=f"# </pre>{SCRIPT}<img src=x onerror=alert(1)>\nprint({SCRIPT!r})",
         answers={"mean_square": f"def mean_square(numbers):\n    raise RuntimeError({SCRIPT!r})"}),
    refused("styles", "active content: <style>", _markdown("<style>body{display:none}</style>")),
    refused("data-link", "active content", _markdown("[x](data:text/html,x)")),
    Case("formula", 7, edit=_markdown("$\\href{javascript:alert(1)}{x}$")),
    Case("same-ids", 7, edit=_repeat_ids),
    refused("delimiters", "only an instructor's notebook may hold",
            cell="### BEGIN HIDDEN TESTS\nprobe = None\n### END HIDDEN TESTS"),
    refused("mistakes", "only an instructor's notebook may hold",
            cell="### MISTAKE mean_square: x\nmean_square = None"),
    Case("history", 7, after="print(In)\n%history\nprint(get_ipython().history_manager.input_hist_raw)\nIn"),
    cheat("locked", edit=_edit_locked),
    Case("metadata", 7, edit=_huge_metadata),
)  # fmt: skip


def _future(notebook: dict) -> None:
    notebook["nbformat"] = 7


def _cut(notebook: dict) -> bytes:
    return json.dumps(notebook).encode()[:2000]


FILES = (
    refused("truncated", "breaks off", _cut),
    refused("empty", "The file is empty", lambda _: b""),
    refused("latin", "not in UTF-8", lambda notebook: json.dumps(notebook).encode().replace(b"Sums", b"Sums \xe9\xff")),
    refused("page", "is a web page", lambda _: b"<!doctype html><title>Sign in</title>"),
    refused("future", "in format 7", _future),
    refused("large", "larger than 5 MB", lambda notebook: json.dumps(notebook).encode() + b" " * 50_000_000),
    refused("link", "a symbolic link"),
    refused("folder", "not a notebook", place="{id}/sums.ipynb/inner.txt"),
    refused("climbs", "a path with an empty part, '.' or '..'", place="../../{id}/sums.ipynb", zipped=True),
    refused("absolute", "an absolute path", place="/tmp/{id}/sums.ipynb", zipped=True),
    refused("bomb", "larger than 5 MB", lambda _: b"0" * 60_000_000, zipped=True),
    refused("double", "a name that several members of the zip have", zipped=True),
    refused("zip-link", "a symbolic link", lambda _: b"/etc/passwd", zipped=True),
    Case("unknown", None, "nothing was handed in", place="somebody-else/sums.ipynb", zipped=True, status="missing"),
    Case("late-in", 7, zipped=True),
)  # fmt: skip
