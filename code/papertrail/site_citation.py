"""How to cite the course: CITATION.cff as a sentence and as an entry that can be copied."""

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def load_citation(path: Path) -> dict[str, Any]:
    """What CITATION.cff says of the course.

    Raises:
        ValueError: a field is missing that an entry needs.
    """
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    wanted = ("title", "authors", "version", "date-released")
    if missing := [name for name in wanted if not found.get(name)]:
        raise ValueError(f"{path.name}: {', '.join(missing)} is missing")
    return found


def authors_of(citation: dict[str, Any]) -> str:
    return " and ".join(author["name"] for author in citation["authors"])


def as_bibtex(citation: dict[str, Any], address: str = "") -> str:
    """A BibTeX entry; braces keep the title's capitals and the authors' group in one piece."""
    year, month = str(citation["date-released"]).split("-")[:2]
    rows = {
        "author": f"{{{authors_of(citation)}}}",
        "title": f"{{{citation['title']}}}",
        "year": year,
        "month": str(int(month)),
        "note": f"Version {citation['version']}",
        **({"url": address} if address else {}),
    }
    inside = ",\n".join(f"  {name} = {{{value}}}" for name, value in rows.items())
    return f"@misc{{papertrail{year},\n{inside}\n}}"


def as_sentence(citation: dict[str, Any], address: str = "") -> str:
    """The same for a list of references."""
    year = str(citation["date-released"])[:4]
    end = f" {address}" if address else ""
    return f"{authors_of(citation)} ({year}). {citation['title']}, version {citation['version']}.{end}"


class CitationDirective(SphinxDirective):
    """`{citation-text}`: the sentence, then the entry with a button that copies it."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir) / "CITATION.cff"
        if not path.exists():
            raise self.error("CITATION.cff is not there")
        self.env.note_dependency(str(path))
        try:
            citation = load_citation(path)
        except ValueError as error:
            raise self.error(str(error)) from None
        # what the theme is told by itself is the address of the program that builds the book
        buttons = self.config.html_theme_options
        address = buttons["repository_url"] if buttons.get("use_repository_button") else ""
        entry = nodes.literal_block(text=as_bibtex(citation, address), language="bibtex")
        return [nodes.paragraph(text=as_sentence(citation, address)), entry]


def register(app: Sphinx) -> None:
    app.add_directive("citation-text", CitationDirective)
