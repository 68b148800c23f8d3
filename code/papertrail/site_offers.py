"""What a site may offer beside its pages: the course as a PDF and as a zip, and slides of its chapters.

A plain build has none of them and links to none. `make offers` makes them, names their folder in PAPERTRAIL_OFFERS, and
builds again: then they are copied into the site, and the links appear.
"""

import html
import os
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

WHAT = {
    ".pdf": "The whole course as a PDF",
    ".zip": "The site as a zip, to unpack and open without a network",
}
SLIDES = "slides"


def offers_of(folder: Path) -> list[str]:
    """The paths, within the folder, of what the site offers: files for the start page, and slides.

    Raises:
        ValueError: the folder is not there, or offers nothing.
    """
    found = [path.name for path in folder.glob("paper-trail*") if path.suffix in WHAT]
    found += [f"{SLIDES}/{path.name}" for path in (folder / SLIDES).glob("*.html") if path.stem != "index"]
    if not found:
        raise ValueError(f"PAPERTRAIL_OFFERS: {folder} has no PDF, no zip and no slides; run `make offers`")
    return sorted(found)


def read_offers(app: Sphinx, config: Config) -> None:
    """Keep what the site offers, with sizes, among its settings: pages are read anew when it changes."""
    folder = Path(os.environ.get("PAPERTRAIL_OFFERS", ""))
    names = offers_of(folder) if os.environ.get("PAPERTRAIL_OFFERS") else []
    config.papertrail_offers = [[name, (folder / name).stat().st_size] for name in names]


def clear_offers(app: Sphinx, error: Exception | None) -> None:
    """Take away what an earlier build offered, before style sheets are trimmed to the pages."""
    site = Path(app.outdir)
    shutil.rmtree(site / SLIDES, ignore_errors=True)
    for suffix in WHAT:
        for path in site.glob(f"paper-trail*{suffix}"):
            path.unlink()


def bring_offers(app: Sphinx, error: Exception | None) -> None:
    """Copy into the site what it offers."""
    if error is None and app.builder.format == "html" and app.config.papertrail_offers:
        folder, site = Path(os.environ["PAPERTRAIL_OFFERS"]), Path(app.outdir)
        for name, _ in app.config.papertrail_offers:
            if "/" not in name:
                shutil.copyfile(folder / name, site / name)
        if (folder / SLIDES).exists():
            shutil.copytree(folder / SLIDES, site / SLIDES)


class OffersDirective(SphinxDirective):
    """`{offers} files` or `{offers} slides`: a list of links, or nothing where this build offers none."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The links, each with its size; none where the build offers nothing of the kind."""
        up = "../" * self.env.docname.count("/")
        wanted = [(name, size) for name, size in self.env.config.papertrail_offers
                  if name.startswith(f"{SLIDES}/") == (self.arguments[0] == SLIDES)]  # fmt: skip
        order = (Path(self.env.app.confdir) / "_toc.yml").read_text(encoding="utf-8")
        wanted.sort(key=lambda offer: order.find(Path(offer[0]).stem))
        items = "".join(
            f'<li><a href="{up}{name}">{html.escape(_words(name, size))}</a></li>' for name, size in wanted
        )
        return [nodes.raw("", f'<ul class="pt-offers">{items}</ul>', format="html")] if items else []


def _words(name: str, size: int) -> str:
    path = Path(name)
    if path.suffix in WHAT:
        return f"{WHAT[path.suffix]} ({size / 1e6:.0f} MB)"
    return f"Slides: {path.stem.replace('_', ' ')}"


def link_slides(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Under the title of a chapter that has slides: a link to them."""
    name = f"{SLIDES}/{page.split('/')[-1]}.html"
    if page.count("/") == 1 and name in [offer for offer, _ in app.config.papertrail_offers]:
        link = f'<p class="pt-offers"><a href="../{name}">Slides of this chapter</a></p>'
        context["body"] = re.sub("</h1>", f"</h1>\n{link}", context["body"], count=1)


def register(app: Sphinx) -> None:
    """Add all this to a Sphinx application."""
    app.add_config_value("papertrail_offers", [], "env")
    app.add_directive("offers", OffersDirective)
    app.connect("config-inited", read_offers)
    app.connect("html-page-context", link_slides)
    app.connect("build-finished", clear_offers, priority=100)
    app.connect("build-finished", bring_offers, priority=950)  # after style sheets were trimmed
