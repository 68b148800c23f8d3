"""The whole course as one document to print, put together from the built site's pages.

Ids are unique on a page and not in a book, so each gets its page's name in front, and so does what points to it. A link
to a page that is not in the document leads to the site's address where that is known, and is plain text where not.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import yaml

from papertrail.site_citation import authors_of

# Worked in a notebook, or about a machine: of no use on paper. And the course on paper is the English one.
NOT_ON_PAPER = (
    "book/api/", "book/exercises/", "book/instructors", "book/scaling", "book/status", "book/zh/"
)  # fmt: skip
ARTICLE = re.compile(r'<article class="bd-article">(.*)</article>', re.DOTALL)
HEADING = re.compile(r"<section([^>]*)>\s*(?:<span[^>]*></span>\s*)*<h([12])>(.*?)</h\2>", re.DOTALL)
# A chapter's verdict: its rows, each a badge that links to the ledger, the claim, and what was measured.
VERDICT = re.compile(r'(<section id="[^"]*--verdict">.*?)<dl class="simple myst">(.*?)</dl>', re.DOTALL)
ROW = re.compile(r'<dt>(<a class="pt-badge-link" href="#([^"]+)".*?)</dt><dd>.*?</dd>', re.DOTALL)
HEADER_LINK = re.compile(r'<a class="headerlink"[^>]*>.*?</a>')
ANCHOR = re.compile(r'<a\b([^>]*?)\shref="([^"]*)"([^>]*)>(.*?)</a>', re.DOTALL)
NAMES = re.compile(r'(\s(?:id|for|name|aria-labelledby|aria-describedby)=")([^"]+)"')
WITHIN = re.compile(r'(\sxlink:href="#|url\(#)')
LOADED = re.compile(r'<link [^>]*rel="stylesheet"[^>]*/>|<script>window\.MathJax.*?</script>|'
                    r'<script [^>]*src="[^"]*(?:mathjax/startup|/papertrail)\.js[^"]*"></script>')  # fmt: skip
STYLE = """
.bd-main .bd-content .bd-article h1:first-of-type { display: block; font-size: 20pt; text-align: left; }
.bd-main .bd-content h2 { font-size: 15pt; } .bd-main .bd-content h3 { font-size: 12.5pt; }
html { --pst-font-family-base: "Noto Sans", "Liberation Sans", Arial, sans-serif; }
html { --pst-font-family-heading: var(--pst-font-family-base); }
html, body { font-family: var(--pst-font-family-base); overflow: visible; height: auto; }
.bd-article { break-before: page; } .headerlink { display: none; }
.bd-content, .bd-main { display: block !important; }
.pt-title { height: 235mm; display: flex; flex-direction: column; border-top: 3mm solid var(--pt-blue); }
.pt-title p.pt-name { font-size: 38pt; font-weight: 700; line-height: 1.1; margin: 62mm 0 1.5rem; }
.pt-title p.pt-about { font-size: 16pt; line-height: 1.35; max-width: 140mm; }
.pt-title p.pt-note { font-size: 9pt; max-width: 140mm; margin: 0; } .pt-title p.pt-by { margin: 1.5rem 0 auto; }
.pt-rows { list-style: none; margin: 0; padding: 0; }
.pt-rows li { display: flex; gap: 1em; break-inside: avoid; margin: 0 0 .35rem; line-height: 1.4; }
.pt-rows a.pt-sheet { margin-left: auto; white-space: nowrap; text-decoration: none; }
.pt-rows a.pt-sheet::after { content: attr(data-page); }
.pt-contents { break-before: page; } .pt-contents ol { list-style: none; margin: 0; padding: 0; }
.pt-contents ol ol { margin: 0 0 .4rem 1rem; font-size: 8.5pt; }
.pt-contents a { display: flex; gap: .5em; text-decoration: none; color: inherit !important; line-height: 1.5; }
.pt-contents a::after { content: attr(data-page); margin-left: auto; }
.pt-contents p { font-weight: 600; margin: .6rem 0 .2rem; break-after: avoid; }
"""


@dataclass(frozen=True)
class Part:
    """A part of the contents: its caption, and its pages by the names that `_toc.yml` has."""

    caption: str
    names: tuple[str, ...]


def parts_on_paper(toc: Path) -> list[Part]:
    """The parts of `_toc.yml` without the pages of NOT_ON_PAPER; the root stands before the first.

    Raises:
        ValueError: the file names no root and parts.
    """
    contents = yaml.safe_load(toc.read_text(encoding="utf-8"))
    if not {"root", "parts"} <= set(contents):
        raise ValueError(f"toc: {toc} has {sorted(contents)}, but a root and parts are needed")
    parts = [
        Part(part["caption"], tuple(page["file"] for page in part["chapters"])) for part in contents["parts"]
    ]
    first, *others = parts
    parts = [Part(first.caption, (contents["root"], *first.names)), *others]
    kept = (Part(part.caption, tuple(name for name in part.names if on_paper(name))) for part in parts)
    return [part for part in kept if part.names]


def on_paper(name: str) -> bool:
    """Whether the printed course has the page."""
    return not name.startswith(NOT_ON_PAPER)


def article_of(site: Path, name: str) -> str:
    """What a built page says, without menus.

    Raises:
        ValueError: the page has no article, or several.
    """
    text = (site / f"{name}.html").read_text(encoding="utf-8")
    if len(found := ARTICLE.findall(text)) != 1:
        raise ValueError(f"{name}.html: {len(found)} articles were found instead of one")
    return found[0]


def anchor(name: str, fragment: str = "") -> str:
    """The id, in the whole document, of a page or of an element of it."""
    page = name.replace("/", "-")
    return f"{page}--{fragment}" if fragment else page


def rewrite(text: str, name: str, names: Iterable[str], address: str = "") -> str:
    """An article with ids and links that hold in the whole document.

    Args:
        name: its page, such as "book/gopher".
        names: the pages that the document has.
        address: where the site is published, without a slash at the end; "" where that is not known.
    """
    known = set(names)

    def link(found: re.Match) -> str:
        before, target, after, inside = found.groups()
        if re.match(r"[a-z]+:", target):
            return found.group()
        path, _, fragment = target.partition("#")
        page = normpath(join(dirname(name), path)).removesuffix(".html") if path else name
        if page in known:
            return f'<a{before} href="#{anchor(page, fragment)}"{after}>{inside}</a>'
        if address:
            return f'<a{before} href="{address}/{normpath(join(dirname(name), target))}"{after}>{inside}</a>'
        return f"<span>{inside}</span>"

    prefix = anchor(name, "-").removesuffix("-")
    text = ANCHOR.sub(link, HEADER_LINK.sub("", text))
    text = NAMES.sub(lambda found: found[1] + " ".join(prefix + one for one in found[2].split()) + '"', text)
    return WITHIN.sub(lambda found: found[1] + prefix, text)


def short_verdict(article: str, numbers: Mapping[str, int]) -> str:
    """A chapter whose verdict lists its claims, each with the page of the ledger that says what was measured.

    On the site the verdict repeats the ledger's sentences. In one book they would stand twice.

    Args:
        article: as `rewrite` gives it.
        numbers: as for `contents_list`.
    """

    def line(row: re.Match) -> str:
        page = f'<a class="pt-sheet" href="#{row[2]}" data-page="{numbers.get(row[2], "000")}">page </a>'
        return f"<li><span>{row[1]}</span>{page}</li>"

    def rows(found: re.Match) -> str:
        told = "<p>What was measured for each claim stands in the ledger, on the page at its right.</p>"
        return f'{found[1]}{told}<ul class="pt-rows">{ROW.sub(line, found[2])}</ul>'

    return VERDICT.sub(rows, article, count=1)


def with_answers(article: str, name: str) -> str:
    """An article with a section at its end for what it folds away, so that the contents can name it; if it has folds.

    The site's script fills it when the document is printed.
    """
    end = f'<section class="pt-answers" id="{anchor(name, "answers")}"><h2>Answers</h2></section>'
    return article + end * ("<details" in article)


@dataclass(frozen=True)
class Heading:
    """A heading of a page: its section's id, its level (1 for the page's own, 2 below it), and its plain text."""

    identity: str
    level: int
    title: str


def headings(article: str) -> list[Heading]:
    """The headings of an article, as `rewrite` gives it, down to the second level."""
    found = (
        (re.search(r'\sid="([^"]+)"', tag), int(level), re.sub("<[^>]+>", "", inside))
        for tag, level, inside in HEADING.findall(article)
    )
    return [
        Heading(name[1], level, " ".join(html.unescape(title).split()))
        for name, level, title in found
        if name
    ]


def contents_list(
    parts: Sequence[Part], entries: Mapping[str, Sequence[Heading]], numbers: Mapping[str, int]
) -> str:
    """The table of contents.

    Args:
        entries: each page's headings.
        numbers: the sheet on which an id stands; empty before it is known.
    """
    lines = []
    for part in parts:
        lines.append(f"<p>{html.escape(part.caption)}</p><ol>")
        for name in part.names:
            first, *others = (_entry(heading, numbers) for heading in entries[name])
            lines.append(f"<li>{first}<ol>{''.join(f'<li>{other}</li>' for other in others)}</ol></li>")
        lines.append("</ol>")
    return "\n".join(lines)


def _entry(heading: Heading, numbers: Mapping[str, int]) -> str:
    number = numbers.get(heading.identity, "000")
    return f'<a href="#{heading.identity}" data-page="{number}"><span>{html.escape(heading.title)}</span></a>'


def head_of(pages: Iterable[str], folder: str) -> str:
    """The style sheets that every page loads, and MathJax if one does, as seen from the site's parent folder."""
    heads = [page[: page.index("</head>")] for page in pages]
    lines = dict.fromkeys(line for head in heads for line in LOADED.findall(head))
    return re.sub(r'((?:href|src)=")(?:\.\./)*_static/', rf"\1{folder}/_static/", "\n".join(lines))


def cover(citation: Mapping[str, Any], address: str = "") -> str:
    """The first page: what this is, by whom, when, under which licences, and what it lacks.

    Args:
        citation: as `site_citation.load_citation` gives it.
        address: as for `rewrite`.
    """
    said = {key: html.escape(str(citation[key])) for key in ("title", "version", "date-released")}
    people = html.escape(authors_of(dict(citation)))
    link = f'<br><a href="{address}">{html.escape(address)}</a>' if address else ""
    return f"""<div class="pt-title"><p class="pt-name">{said["title"]}</p>
<p class="pt-about">{html.escape(citation.get("abstract", ""))}</p>
<p class="pt-by">{people}<br>Version {said["version"]}, {said["date-released"]}{link}</p>
<p class="pt-note">Printed from the course's site. There the figures move, folds open, and every chapter is a notebook
that runs. The Chinese edition, assignments, the pages for instructors, the status page and the API reference are on the
site alone.<br>Text CC BY 4.0, code MIT.</p></div>"""


def whole_course(
    site: Path,
    parts: Sequence[Part],
    *,
    citation: Mapping[str, Any],
    address: str = "",
    numbers: Mapping[str, int] | None = None,
) -> str:
    """The course as one page of HTML, to be written into the site's parent folder.

    Args:
        site: the folder of the built site.
        citation: as for `cover`.
        numbers: as for `contents_list`.

    Raises:
        ValueError: a page has no article, or a link within the document leads nowhere; the message has the links.
    """
    names = [name for part in parts for name in part.names]
    articles = {
        name: with_answers(
            short_verdict(rewrite(article_of(site, name), name, names, address), numbers or {}), name
        )
        for name in names
    }
    body = "\n".join(
        f'<article class="bd-article" id="{anchor(name)}">{text}</article>' for name, text in articles.items()
    )
    ids = set(re.findall(r'\sid="([^"]+)"', body))
    if lost := sorted(set(re.findall(r'href="#([^"]+)"', body)) - ids):
        raise ValueError(f"links of the printed course lead nowhere: {', '.join(lost[:5])}")
    head = head_of(((site / f"{name}.html").read_text(encoding="utf-8") for name in names), site.name)
    entries = {name: headings(articles[name]) for name in names}
    title = html.escape(citation["title"])
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{title}</title>
{head}<style>{STYLE}</style></head>
<body><main class="bd-main"><div class="bd-content">
{cover(citation, address)}
<nav class="pt-contents" aria-label="Contents"><h1>Contents</h1>{contents_list(parts, entries, numbers or {})}</nav>
{body}
</div></main></body></html>
"""
