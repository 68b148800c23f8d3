"""The Sphinx extension of the course's site: all that its pages are made with, and what keeps them offline.

It needs no torch: pages are built from the committed notebooks and from the ledger's stored numbers.
"""

import functools
import gc
import hashlib
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pybtex.plugin
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

from papertrail import (
    __version__,
    class_costs_site,
    site_api,
    site_citation,
    site_house,
    site_languages,
    site_ledger,
    site_notebooks,
    site_offers,
    site_seeds,
    site_stored,
    site_story,
    site_terms,
    site_timeline,
    site_words,
    speed_claims,
    speed_tables,
)
from papertrail.recorded_page import RecordedDirective
from papertrail.site_search import CHINESE, EnglishAndChineseSearch
from papertrail.site_status import BudgetDirective, StatusDirective
from papertrail.site_weight import keep_pages_offline, lighten, load_what_the_page_needs

BUTTON_HOSTS = ("github.com", "gitlab.com")  # others the theme refuses to build with
log = getLogger(__name__)


class BenchmarkTableDirective(SphinxDirective):
    """What one benchmark's record says of the course's claims about speed: `{benchmark-table} rmsnorm`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table of that benchmark, or that it is not recorded."""
        try:
            path = speed_claims.record_file(self.arguments[0])
        except ValueError as error:
            raise self.error(str(error)) from None
        if path.exists():  # a page that waits for a file which is not there would be read anew by every build
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(speed_tables.page_text(self.arguments[0]))


def mark_chinese_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give the glossary's Chinese terms their language (docutils turns the class into a lang attribute)."""
    for term in doctree.findall(nodes.term):
        if re.search(CHINESE, term.astext()):
            term["classes"].append("language-zh")


def fingerprint(files: Iterable[Path]) -> str:
    """The SHA-256 of what files hold, one after the other in the order of their names."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def note_what_pages_are_made_with(app: Sphinx, config: Config) -> None:
    """Beyond its source a page depends on this code, and on the site's own sheets and scripts, whose addresses carry
    checksums: when the one has changed, a build reads every page anew, and for the other it writes every page anew.
    """
    code, assets = Path(__file__).parent, Path(app.confdir) / "book" / "_assets"
    config.papertrail_code = fingerprint(
        [*code.glob("site*.py"), *code.glob("transl*.py"), code / "claims.py"]
    )
    config.papertrail_assets = fingerprint(assets.iterdir())


def save_work() -> None:
    """Two things that make a cold build a third quicker: pybtex looks for its installed plugins once and not once a
    citation, and Python looks for garbage less often, because a book's trees of nodes are none.

    Raises:
        RuntimeError: pybtex finds its plugins in another way; then look where a build spends its time.
    """
    if not hasattr(pybtex.plugin, "entry_points"):
        raise RuntimeError("pybtex.plugin has no entry_points any more: see save_work in site.py")
    if not hasattr(pybtex.plugin.entry_points, "cache_info"):
        pybtex.plugin.entry_points = functools.cache(pybtex.plugin.entry_points)
    gc.set_threshold(100_000, 50, 100)


def _origin(root: Path) -> str:
    """What git calls origin; "" without git, outside a clone, or without a remote."""
    try:
        command = ["git", "-C", str(root), "remote", "get-url", "origin"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def repository_address(root: Path) -> str | None:
    """The repository's https address: PAPERTRAIL_REPO, else git's remote; None where the theme has no buttons for it.

    Raises:
        ValueError: PAPERTRAIL_REPO is set and is no address of a repository.
    """
    given = os.environ.get("PAPERTRAIL_REPO")
    remote = given or _origin(root)
    match = re.fullmatch(r"(?:https://|git@|ssh://git@)([\w.-]+\.\w+)[:/]([\w./-]+?)(?:\.git)?/?", remote)
    if given and not match:
        raise ValueError(
            f"REPO: got {given!r}; allowed is an address such as https://github.com/name/repository"
        )
    if not match or match[1] not in BUTTON_HOSTS:
        log.info("no launch buttons: %s is not on %s", remote or "the repository", " or ".join(BUTTON_HOSTS))
        return None
    return f"https://{match[1]}/{match[2]}"


def offer_launch_buttons(app: Sphinx, config: Config) -> None:
    """Repository, issue and Binder buttons appear once the repository's address is known, so a fork gets its own."""
    address = repository_address(Path(app.confdir))
    if address:
        config.html_theme_options |= {
            "repository_url": address, "path_to_docs": "", "repository_branch": "main",
            "use_repository_button": True, "use_issues_button": True,
            "launch_buttons": {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"},
        }  # fmt: skip


def keep_one_search(app: Sphinx, config: Config) -> None:
    """On a wide screen the theme would add a bar that holds nothing but a second search button."""
    config.html_theme_options.setdefault("navbar_persistent", [])


def visit_citation(translator: Any, node: nodes.citation) -> None:
    """docutils marks entries with a role that today's accessibility checks no longer accept inside a list."""
    if not isinstance(node.previous_sibling(), nodes.citation):
        translator.body.append('<div role="list" class="citation-list">\n')
    translator.body.append(translator.starttag(node, "div", classes=[node.tagname], role="listitem"))


def depart_citation(translator: Any, node: nodes.citation) -> None:
    """Close the citation, and the list of them after its last one."""
    translator.body.append("</div>\n")
    if not isinstance(node.next_node(descend=False, siblings=True), nodes.citation):
        translator.body.append("</div>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx."""
    save_work()
    app.add_config_value("papertrail_code", "", "env")
    app.add_config_value("papertrail_assets", "", "html")
    app.add_node(nodes.citation, override=True, html=(visit_citation, depart_citation))
    app.add_search_language(EnglishAndChineseSearch)
    app.add_directive("status-table", StatusDirective)
    class_costs_site.register(app)
    site_ledger.register(app)
    site_offers.register(app)
    site_terms.register(app)
    site_timeline.register(app)
    site_api.register(app)
    site_citation.register(app)
    site_house.register(app)
    site_languages.register(app)
    site_notebooks.register(app)
    site_seeds.register(app)
    site_stored.register(app)
    site_story.register(app)
    site_words.register(app)
    app.add_directive("recorded-table", RecordedDirective)
    app.add_directive("benchmark-table", BenchmarkTableDirective)
    app.add_directive("budget-table", BudgetDirective)
    app.connect("config-inited", note_what_pages_are_made_with)
    app.connect("config-inited", keep_pages_offline)
    app.connect("config-inited", keep_one_search)
    app.connect("config-inited", offer_launch_buttons)
    app.connect("doctree-resolved", mark_chinese_terms)
    app.connect("html-page-context", load_what_the_page_needs, priority=900)  # after all scripts were added
    app.connect("build-finished", lighten, priority=900)  # after all sheets were copied
    return {"version": __version__, "parallel_read_safe": False, "parallel_write_safe": False}
