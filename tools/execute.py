"""Re-run notebooks in place, on purpose, and store them so that an unchanged notebook leaves no difference in
git.

    .venv/bin/python tools/execute.py [book/NAME.ipynb ...]      (default: every notebook of the book)

Dropped on storing: widget models (their ids are random), timings, and the kernel's version. Carried over: the
alternative text that the drawing code gave each figure, to the place where the site's builder reads it.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from tqdm import tqdm
from traitlets.config import Config

import papertrail  # noqa: F401  (sets the thread policy that the kernel inherits)

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
WIDGET = "application/vnd.jupyter.widget-view+json"
# The kernel and this process talk encrypted; without it, ipykernel warns at every start that they do not.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})


def run(notebook: NotebookNode, *, record_timing: bool = False) -> None:
    """Execute every cell of a notebook, in book/, and put the outputs into it.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error; later cells have not run.
        nbclient.exceptions.CellTimeoutError: a cell ran for more than two minutes.
    """
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", record_timing=record_timing, store_widget_state=False,
        coalesce_streams=True,  # how a long text is cut into pieces is chance
        config=ENCRYPTED, resources={"metadata": {"path": str(BOOK)}},
    ).execute()  # fmt: skip


def normalize(notebook: NotebookNode) -> None:
    """Leave in the notebook only what the same code would store again.

    Raises:
        ValueError: a cell wrote to stderr; the message shows the text and the cell.
    """
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        alt = None
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                raise ValueError(
                    f"a cell writes to stderr: {output.text.strip()[:200]!r}\nin:\n{cell.source}"
                )
            output.get("data", {}).pop(WIDGET, None)
            alt = output.get("metadata", {}).get("papertrail", {}).get("alt", alt)
        if alt:
            cell.metadata["mystnb"] = {"image": {"alt": alt}}
        else:
            cell.metadata.pop("mystnb", None)


def execute(path: Path) -> None:
    """Run one notebook and replace its file; nothing is half written.

    Raises:
        OSError: it cannot be stored, as on a full disk or in a checkout that is read-only.
        what `run` and `normalize` raise. The file is then as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    run(notebook)
    normalize(notebook)
    temporary = path.with_suffix(".ipynb.tmp")
    try:
        nbformat.write(notebook, temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def main(arguments: list[str]) -> int:
    paths = [Path(argument).resolve() for argument in arguments] or sorted(BOOK.glob("*.ipynb"))
    for path in paths:
        if path.suffix != ".ipynb" or not path.exists():
            print(f"execute.py: no such notebook: {path}", file=sys.stderr)
            return 2
    for path in tqdm(paths, desc="notebooks", disable=not sys.stderr.isatty()):
        try:
            execute(path)
        except OSError as error:
            print(f"execute.py: {path.name} is as it was and cannot be stored: {error}", file=sys.stderr)
            return 1
        print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
