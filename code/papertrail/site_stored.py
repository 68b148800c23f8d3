"""What a chapter's notebook stores, shown on another page: a moving figure, or a cell with its outputs."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from papertrail.claims import book_folder


@lru_cache(maxsize=2)
def _read_cells(path: Path, date: int) -> list[dict[str, Any]]:
    """A notebook's cells as they were at that date."""
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def cells_of(path: Path) -> list[dict[str, Any]]:
    """A notebook's cells; a notebook that has not changed is read once."""
    return _read_cells(path, path.stat().st_mtime_ns)


def face_of(output: dict[str, Any]) -> str:
    """An output as HTML; "" where it has none."""
    return "".join(output.get("data", {}).get("text/html", []))


class StoredDirective(SphinxDirective):
    """What the two directives share: a notebook by its chapter's name, and the language of what it stores."""

    required_arguments = 2

    def notebook(self) -> Path:
        """The notebook that the first argument names; the page is built anew when it changes."""
        path = book_folder() / f"{self.arguments[0]}.ipynb"
        if not path.exists():
            raise self.error(f"there is no notebook called {path.name}")
        self.env.note_dependency(str(path))
        return path

    def in_english(self, *children: nodes.Node, classes: tuple[str, ...] = ()) -> nodes.container:
        """A box around what is in English (docutils turns the class into a lang attribute)."""
        return nodes.container("", *children, classes=[*classes, "language-en"])


class MovingDirective(StoredDirective):
    """A moving figure of a chapter's notebook: `{moving} chapter figure-name`."""

    def run(self) -> list[nodes.Node]:
        """The figure as its notebook stores it."""
        path, name = self.notebook(), self.arguments[1]
        for cell in cells_of(path):
            for output in cell.get("outputs", []):
                if f'name="{name}"' in (face := face_of(output)):
                    return [self.in_english(nodes.raw("", face, format="html"))]
        raise self.error(f"{path.name} stores no moving figure called {name!r}")


class CellDirective(StoredDirective):
    """A code cell of a chapter's notebook with its stored outputs: `{cell} chapter cell-id`.

    A translated page is made with it, so that code, figures and tables exist once.
    """

    def run(self) -> list[nodes.Node]:
        """The cell in the form that the notebook's own page gives it."""
        path, name = self.notebook(), self.arguments[1]
        for cell in cells_of(path):
            if cell.get("id") == name and cell["cell_type"] == "code":
                return [self.shown(cell)]
        raise self.error(f"{path.name} has no code cell called {name!r}")

    def shown(self, cell: dict[str, Any]) -> nodes.container:
        """The cell's code, and what it printed and drew."""
        code = "".join(cell["source"])
        entry = nodes.container(
            "", nodes.literal_block(code, code, language="python"), classes=["cell_input"]
        )
        outputs = [self.output(one) for one in cell["outputs"]]
        exits = [nodes.container("", *outputs, classes=["cell_output"])] if outputs else []
        return self.in_english(entry, *exits, classes=("cell",))

    def output(self, output: dict[str, Any]) -> nodes.Node:
        """One output: HTML as it is, or printed text."""
        if face := face_of(output):
            return nodes.container("", nodes.raw("", face, format="html"), classes=["output", "text_html"])
        text = "".join(output.get("text", output.get("data", {}).get("text/plain", []))).rstrip("\n")
        return nodes.literal_block(text, text, language="none", classes=["output", "stream"])


def register(app: Sphinx) -> None:
    """Let pages show what notebooks store."""
    app.add_directive("moving", MovingDirective)
    app.add_directive("cell", CellDirective)
