"""The ledger on the site: its rows as cards or lists, the badges that lead to them, and the filter of its page (ours).

Verdicts and numbers come from the ledger's files. A page is read anew when one of them changes.
"""

import html
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.logging import getLogger

from papertrail import claims, site_api
from papertrail.translated_blocks import FOLDER, is_chinese
from papertrail.translations import row_in_chinese

LEDGER_PAGE = "book/claims"
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


def load_ledger(app: Sphinx) -> None:
    """Read the ledger once a build, into Sphinx's environment."""
    environment: Any = app.env
    environment.papertrail_claims = claims.load()
    environment.papertrail_evidence = claims.load_evidence()


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


def register(app: Sphinx) -> None:
    """Register the ledger's roles, directives and steps with Sphinx."""
    app.add_node(claim_reference)
    app.add_role("claim", ClaimRole())
    app.add_directive("ledger", LedgerDirective)
    app.add_directive("ledger-filter", LedgerFilterDirective)
    app.connect("builder-inited", load_ledger)
    app.connect("doctree-resolved", resolve_claims)
