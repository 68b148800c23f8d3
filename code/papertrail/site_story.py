"""Where "previous" and "next" lead: along the story, and from an assignment back into it.

The table of contents groups pages by kind, so its order would lead from the last chapter into the first assignment.
"""

import html
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx

from papertrail.translated_blocks import is_chinese

LEDGER, EXERCISES = "book/claims", "book/exercises"
START = ("book/paper_trail", "book/how_to_use")  # what comes before the first chapter
Neighbors = dict[str, tuple[str | None, str | None]]


def neighbors(toc: dict[str, Any]) -> Neighbors:
    """Each page of the story, each assignment and each translation -> the page before and the page after it.

    Translations follow one another as the contents list them.

    Args:
        toc: what _toc.yml says.
    """
    parts = toc["parts"]
    pages = [row["file"] for part in parts for row in part["chapters"]]
    chapters = [row["file"] for part in parts if part.get("numbered") for row in part["chapters"]]
    story = [page for page in (toc["root"], *START, *chapters, LEDGER) if page in {toc["root"], *pages}]
    before: list[str | None] = [None, *story]
    after: list[str | None] = [*story[1:], None]
    found = {page: (before[place], after[place]) for place, page in enumerate(story)}
    for chapter in chapters:
        assignment = f"{EXERCISES}/{Path(chapter).name}"
        if assignment in pages:
            found[assignment] = (chapter, found[chapter][1])
    translated = [page for page in pages if is_chinese(page)]
    for place, page in enumerate(translated):
        found[page] = (translated[place - 1] if place else None, (*translated, None)[place + 1])
    return found


def lead_along_the_story(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Replace the two links that the theme shows below a page of the story."""
    build: Any = app
    if not hasattr(build, "papertrail_neighbors"):
        text = (Path(app.srcdir) / "_toc.yml").read_text(encoding="utf-8")
        build.papertrail_neighbors = neighbors(yaml.safe_load(text))
    if page not in build.papertrail_neighbors:
        return
    for name, other in zip(("prev", "next"), build.papertrail_neighbors[page], strict=True):
        title = html.escape(app.env.titles[other].astext()) if other else ""
        context[name] = {"link": app.builder.get_relative_uri(page, other), "title": title} if other else None


def name_the_folds(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give the menu's folds a name: the theme's have an arrow alone, which a screen reader cannot say."""
    original = context.get("generate_toctree_html")
    if original is None:
        return

    def named(*given: Any, **more: Any) -> Any:
        return str(original(*given, **more)).replace(
            "<summary>", '<summary aria-label="Pages below this one">'
        )

    context["generate_toctree_html"] = named


def register(app: Sphinx) -> None:
    """Let every page know where the story goes on, and the menu's folds what they are called."""
    app.connect("html-page-context", name_the_folds, priority=950)  # after the theme has put its own there
    app.connect("html-page-context", lead_along_the_story)
