"""The Sphinx extension of the course's site: the ledger, its badges, tables of what was measured, and what keeps pages
offline.

It needs no torch: pages are built from the committed notebooks and from the ledger's stored numbers.
"""

import functools
import gc
import hashlib
import html
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pybtex.plugin
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.logging import getLogger

from papertrail import (
    __version__,
    claims,
    class_costs_site,
    site_api,
    site_citation,
    site_house,
    site_languages,
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
from papertrail.translated_blocks import FOLDER, is_chinese
from papertrail.translations import row_in_chinese

LEDGER_PAGE = "book/claims"
BUTTON_HOSTS = ("github.com", "gitlab.com")  # others the theme refuses to build with
VERDICT_WORDS = {
    "holds": "holds",
    "holds-at-small-scale": "holds at small scale",
    "imprecise": "imprecise",
    "wrong": "wrong",
    "not-checkable-here": "not checkable here",
}
READ_WORDS = {
    "full-text": "read in full text",
    "secondary": "read in a secondary source",
    "abstract": "abstract read",
    "viewed": "picture viewed",
    "run": "run, not read",
}
log = getLogger(__name__)


def badge(verdict: str) -> str:
    """A verdict as an HTML pill; the word is always there, color only supports it."""
    return f'<span class="pt-badge pt-{verdict}">{VERDICT_WORDS[verdict]}</span>'


def badge_link(row: claims.Claim, address: str, english: bool = True) -> str:
    """A badge that leads to its row. Its name starts with the visible word and goes on with the claim, so that a
    list of links tells one "wrong" from another; the tooltip says the same, so that nothing is read twice.

    Args:
        english: is the page in English? On another the badge says that it is.
    """
    language = "" if english else 'lang="en" '
    name = html.escape(f"{VERDICT_WORDS[row.verdict]}: {row.claim}")
    return (
        f'<a class="pt-badge-link" {language}href="{address}" title="{name}" aria-label="{name}">'
        f"{badge(row.verdict)}</a>"
    )


class claim_reference(nodes.General, nodes.Inline, nodes.Element):
    """Placeholder for a badge, resolved once the page's address is known."""


def note_ledger(env: BuildEnvironment) -> None:
    """The page that is being read is built anew when a row or the evidence of any chapter changes."""
    for path in sorted((claims.book_folder() / "claims").iterdir()):
        env.note_dependency(str(path))


class ClaimRole(SphinxRole):
    """{claim}`id`: the verdict of a ledger row as a badge that links to the row."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """A placeholder, which `resolve_claims` fills once the page's address is known."""
        note_ledger(self.env)
        return [claim_reference("", claim=self.text)], []


def ledger_rows(environment: Any) -> list[claims.Claim]:
    """The rows that `load_ledger` left in Sphinx's environment."""
    return environment.papertrail_claims


def ledger_numbers(environment: Any) -> dict[str, dict[str, Any]]:
    """The stored numbers by row, as `load_ledger` left them in Sphinx's environment."""
    return environment.papertrail_evidence


def resolve_claims(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the badges in, each linked to its row; a row that the ledger does not have is a warning."""
    rows = {claim.id: claim for claim in ledger_rows(app.env)}
    for node in list(doctree.findall(claim_reference)):
        name = node["claim"]
        if name not in rows:
            log.warning("no row of the ledger is called %r", name, location=(docname, node.line))
            node.replace_self(nodes.literal(text=name))
            continue
        address = f"{app.builder.get_relative_uri(docname, LEDGER_PAGE)}#{name}"
        node.replace_self(
            nodes.raw("", badge_link(rows[name], address, not is_chinese(docname)), format="html")
        )


class LedgerDirective(SphinxDirective):
    """The ledger's rows of one chapter, each with a permanent link."""

    required_arguments = 1
    option_spec = {"ids": directives.unchanged, "short": directives.flag}

    def run(self) -> list[nodes.Node]:
        """A card for each row, or with `:short:` a list of them."""
        rows = [claim for claim in ledger_rows(self.env) if claim.chapter == self.arguments[0]]
        if not rows:
            raise self.error(f"the ledger has no chapter {self.arguments[0]!r}")
        note_ledger(self.env)
        if "ids" in self.options:
            rows = self.chosen(rows, self.options["ids"].split())
        if "short" in self.options:
            return self.summary(rows)
        return [node for row in rows for node in self.card(row)]

    def chosen(self, rows: list[claims.Claim], names: list[str]) -> list[claims.Claim]:
        """The rows of these ids, in this order."""
        known = {row.id: row for row in rows}
        if unknown := [name for name in names if name not in known]:
            raise self.error(f"ids: the ledger of {self.arguments[0]} has no row {', '.join(unknown)}")
        return [known[name] for name in names]

    def sentence(self, row: claims.Claim) -> str:
        """What was measured, with the stored numbers filled in."""
        return row.sentence(ledger_numbers(self.env).get(row.id, {})) if row.check else row.says

    def card(self, row: claims.Claim) -> list[nodes.Node]:
        """One row as an article of its own, which the form of the page can hide."""
        attributes = (
            f'id="{row.id}" data-verdict="{row.verdict}" data-kind="{row.kind}" data-chapter="{row.chapter}"'
        )
        opening = (
            f'<article class="pt-claim" {attributes}><header>{badge(row.verdict)} '
            f'<a class="pt-permalink" href="#{row.id}" title="Permanent link to this row"><code>{row.id}</code></a>'
            f"</header>"
        )
        numbers = ", ".join(map(str, row.article))
        where = f"{row.where} (claim {numbers} of the article)" if row.article else "Added by the course"
        sources = "; ".join(f"{{cite:t}}`{s.key}`, {s.at} ({READ_WORDS[s.read]})" for s in row.sources)
        check = self.check_link(row.check) if row.check else f"none: {row.unchecked}"
        text = (
            f"**{row.claim}**\n\n{self.sentence(row)}\n\n"
            f"Where\n: {where}\n\nKind\n: {row.kind}\n\nSources\n: {sources}\n\nCheck\n: {check}\n"
        )
        return [
            nodes.raw("", opening, format="html"),
            *self.parse_text_to_nodes(text),
            nodes.raw("", "</article>", format="html"),
        ]

    def check_link(self, check: str) -> str:
        """A check's name, which leads to its place in the reference of the code where there is one."""
        page, _, anchor = site_api.check_address(check).partition("#")
        if page not in self.env.found_docs:
            return f"`{check}`"
        address = self.env.app.builder.get_relative_uri(LEDGER_PAGE, page)
        return f'<a href="{address}#{anchor}"><code>{check}</code></a>'

    def summary(self, rows: list[claims.Claim]) -> list[nodes.Node]:
        """The rows as a list: each claim, and what was measured; on a page in Chinese what is translated of them."""
        told = (
            [(row.id, *self.in_chinese(row)) for row in rows]
            if is_chinese(self.env.docname)
            else [(row.id, row.claim, self.sentence(row)) for row in rows]
        )
        return self.parse_text_to_nodes(
            "\n".join(f"{{claim}}`{name}` {claim}\n: {says}\n" for name, claim, says in told)
        )

    def in_chinese(self, row: claims.Claim) -> tuple[str, str]:
        """A row's claim and what was measured, in Chinese, or in English and marked as such."""
        path = claims.book_folder() / FOLDER / "ledger.yml"
        if path.exists():
            self.env.note_dependency(str(path))
        return row_in_chinese(row, ledger_numbers(self.env).get(row.id, {}))


def filter_select(field: str, values: list[str]) -> str:
    """One control of the ledger's filter: the rows' `data-<field>` is compared with the chosen value."""
    options = "".join(
        f'<option value="{value}">{VERDICT_WORDS.get(value, value.replace("_", " "))}</option>'
        for value in values
    )
    return (
        f'<label>{field.capitalize()} <select data-filter="{field}"><option value="">all</option>{options}'
        "</select></label>"
    )


def filter_form(rows: list[claims.Claim]) -> str:
    """The ledger's filter. A field whose rows all agree gets no control, since it could not narrow anything."""
    fields = {
        "chapter": list(dict.fromkeys(row.chapter for row in rows)),
        "verdict": [v for v in claims.VERDICTS if any(row.verdict == v for row in rows)],
        "kind": [k for k in claims.KINDS if any(row.kind == k for row in rows)],
    }
    selects = "".join(filter_select(field, values) for field, values in fields.items() if len(values) > 1)
    return (
        f'<form class="pt-filter" hidden>{selects}<output aria-live="polite">{len(rows)} rows</output></form>'
    )


class LedgerFilterDirective(SphinxDirective):
    """Controls that narrow the rows on the page; without scripts they stay hidden and every row is shown."""

    def run(self) -> list[nodes.Node]:
        """The form, whose choices are what the ledger holds."""
        note_ledger(self.env)
        return [nodes.raw("", filter_form(ledger_rows(self.env)), format="html")]


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


def load_ledger(app: Sphinx) -> None:
    """Read the ledger once a build, into Sphinx's environment."""
    environment: Any = app.env
    environment.papertrail_claims = claims.load()
    environment.papertrail_evidence = claims.load_evidence()


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
    app.add_node(claim_reference)
    app.add_node(nodes.citation, override=True, html=(visit_citation, depart_citation))
    app.add_role("claim", ClaimRole())
    app.add_search_language(EnglishAndChineseSearch)
    app.add_directive("ledger", LedgerDirective)
    app.add_directive("ledger-filter", LedgerFilterDirective)
    app.add_directive("status-table", StatusDirective)
    parts = (
        class_costs_site, site_offers, site_terms, site_timeline, site_api, site_citation, site_house,
        site_languages, site_notebooks, site_seeds, site_stored, site_story, site_words,
    )  # fmt: skip
    for part in parts:
        part.register(app)
    app.add_directive("recorded-table", RecordedDirective)
    app.add_directive("benchmark-table", BenchmarkTableDirective)
    app.add_directive("budget-table", BudgetDirective)
    app.connect("config-inited", note_what_pages_are_made_with)
    app.connect("config-inited", keep_pages_offline)
    app.connect("config-inited", keep_one_search)
    app.connect("config-inited", offer_launch_buttons)
    app.connect("builder-inited", load_ledger)
    app.connect("doctree-resolved", resolve_claims)
    app.connect("doctree-resolved", mark_chinese_terms)
    app.connect("html-page-context", load_what_the_page_needs, priority=900)  # after all scripts were added
    app.connect("build-finished", lighten, priority=900)  # after all sheets were copied
    return {"version": __version__, "parallel_read_safe": False, "parallel_write_safe": False}
