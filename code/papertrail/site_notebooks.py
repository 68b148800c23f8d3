"""The notebooks behind the download buttons: plain copies, since no Jupyter knows the builder's markup."""

from pathlib import Path

from sphinx.application import Sphinx

from papertrail.plain_notebooks import load_course, write_plain


def serve_plain_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Put plain copies where Sphinx laid the book's notebooks. Assignments have no markup and stay as released.

    Raises:
        KeyError: a notebook refers to something that does not exist; the message names both.
    """
    if error is not None or app.builder.format != "html":
        return
    sources, served = Path(app.srcdir), Path(app.outdir) / "_sources"
    course = load_course(sources / "book")
    for copy in sorted(served.rglob("*.ipynb")):
        source = sources / copy.relative_to(served)
        if source.exists():  # else the page is gone, and an earlier build left its notebook
            write_plain(source, copy, course, replace=True)


def register(app: Sphinx) -> None:
    """Add this to a Sphinx application."""
    app.connect("build-finished", serve_plain_notebooks)
