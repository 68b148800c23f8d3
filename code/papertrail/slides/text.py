"""A chapter's Markdown, cut into blocks and shortened by rule for slides.

Nothing is rewritten: a slide has whole sentences of the page, bold beginnings, or claims with their verdicts.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pybtex.database import parse_file

from papertrail.claims import Claim
from papertrail.site_ledger import badge

FENCE = re.compile(r"^(:{3,}|`{3,})\s*\{(\w+)\}\s*(.*)$")
ITEM = re.compile(r"^\s*(?:[-*]|\d+\.)\s+")
ROLE = re.compile(r"\s?\{(?:(cite:p)\}`[^`]*`|([\w:]+)\}`([^`]*)`)")
LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
# A full stop that ends a sentence: not after these, and the next word begins like a sentence.
ABBREVIATION = re.compile(
    r"(?:\bal|\beqs?|\bfigs?|\bvs|\bno|\bapprox|\be\.g|\bi\.e|\b[A-Z]|^\W*\d+)\.$", re.IGNORECASE
)
END = re.compile(r"[.?!]['\"”’*)]*(?=\s+[A-Z0-9\"“*(`$\[{<]|\s*$)")
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
CLAIM = re.compile(r"\{claim\}`([\w-]+)`")
FEW_WORDS = 6  # a bold beginning with fewer says little alone
# Of a sentence that leads to something: with fewer words it needs its neighbor, and with more letters there is no room.
FEW_LEAD_WORDS, LEAD_LETTERS = 7, 130
FEW_POINT_WORDS = 3  # so does a point's sentence with fewer words outside parentheses


@dataclass(frozen=True)
class Block:
    """A piece of a page: its kind (heading, paragraph, item, formula, fold, exercise, ledger, other) and its source."""

    kind: str
    text: str
    title: str = ""  # of a heading, a fold or an exercise
    level: int = 0  # of a heading


def blocks(source: str) -> Iterator[Block]:
    """Cut a Markdown cell into blocks.

    Raises:
        ValueError: a fence is opened and not closed.
    """
    lines, at = source.split("\n"), 0
    while at < len(lines):
        line = lines[at]
        if fence := FENCE.match(line):
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip() == fence[1]), None)
            if end is None:
                raise ValueError(f"cell: the fence {line!r} is never closed")
            kind = {"dropdown": "fold", "exercise": "exercise", "ledger": "ledger"}.get(fence[2], "other")
            yield Block(kind, "\n".join(lines[at + 1 : end]), fence[3])
            at = end + 1
        elif heading := re.match(r"^(#+) (.*)$", line):
            yield Block("heading", line, heading[2], len(heading[1]))
            at += 1
        elif line.startswith("$$"):
            end = at if line.rstrip().endswith("$$") and len(line) > 4 else lines.index("$$", at + 1)
            yield Block("formula", "\n".join(lines[at : end + 1]))
            at = end + 1
        elif not line.strip() or re.match(r"^\([\w-]+\)=$", line):
            at += 1
        else:
            end = at + 1
            while end < len(lines) and lines[end].strip() and not _starts(lines[end]):
                end += 1
            kind = "item" if ITEM.match(line) else "other" if line.startswith("|") else "paragraph"
            yield Block(kind, "\n".join(lines[at:end]))
            at = end


def _starts(line: str) -> bool:
    return bool(FENCE.match(line) or ITEM.match(line) or line.startswith(("#", "$$")))


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; emphasis and code are never cut through."""
    text, found, start = " ".join(ITEM.sub("", text).split()), [], 0
    for end in END.finditer(text):
        sentence = text[start : end.end()].strip()
        whole = all(sentence.count(mark) % 2 == 0 for mark in ("*", "`", "$"))
        if whole and not ABBREVIATION.search(sentence):
            found.append(sentence)
            start = end.end()
    return found + [text[start:].strip()] * bool(text[start:].strip())


def plain(text: str) -> str:
    """Markdown without marks of emphasis, code and formulas."""
    return re.sub(r"<[^>]+>|[*$`]", "", text)


def lead_of(said: Sequence[str], last: bool) -> str:
    """The first sentence, or the last one. One of few words brings its neighbor along, if both are short enough."""
    if not said:
        return ""
    lead, neighbor = (said[-1], said[-2:-1]) if last else (said[0], said[1:2])
    both = " ".join([*neighbor, lead] if last else [lead, *neighbor])
    return both if len(lead.split()) < FEW_LEAD_WORDS and len(plain(both)) <= LEAD_LETTERS else lead


def _telling(said: Sequence[str]) -> str:
    """The first sentence, and the second where it is hardly more than a place in parentheses. No colon ends it."""
    words = re.sub(r"\([^)]*\)", "", said[0]).strip(" .").split()
    text = " ".join(said[: 2 if len(words) < FEW_POINT_WORDS else 1])
    return f"{text[:-1]}." if text.endswith(":") else text


def points(block: Block) -> list[str]:
    """What of a paragraph or a list item stands on a slide: its claims, as the ledger says them, or its bold beginning.

    A beginning of a few words says little, so the sentence after it comes along.
    """
    text = " ".join(ITEM.sub("", block.text).split())
    if claims := CLAIM.findall(text):
        return [f"{{row}}`{name}`" for name in claims]
    bold = BOLD.match(text)
    rest = text[bold.end() :].lstrip(" :,.") if bold else ""
    if bold is None or not rest:  # no beginning, or one that heads a list
        return []
    said = bold[1].strip().rstrip(":")
    return [f"**{said}**" if len(said.split()) >= FEW_WORDS else f"**{said}** {_telling(sentences(rest))}"]


class Roles:
    """Turns the site's roles into what a slide shows: citations in brackets go, the rest becomes words or a badge.

    Args:
        rows: the ledger's rows.
        bibliography: the BibTeX file that names authors and years.
    """

    def __init__(self, rows: Sequence[Claim], bibliography: Path) -> None:
        self.rows = {row.id: row for row in rows}
        self.entries = parse_file(str(bibliography)).entries

    def resolve(self, text: str) -> str:
        """Markdown without roles and links.

        Raises:
            ValueError: a role that is not known here, or a citation of nothing in the bibliography.
        """
        return LINK.sub(r"\1", ROLE.sub(self._one, text))

    def _one(self, found: re.Match) -> str:
        if found[1]:
            return ""
        space = " " if found.group()[0] == " " else ""
        return space + self._words(found[2], found[3])

    def _words(self, role: str, given: str) -> str:
        if role in ("claim", "row"):
            row = self.rows[given]
            return (f"{row.claim} " if role == "row" else "") + badge(row.verdict)
        if role == "verdict":
            return badge(given)
        if role == "cite:t":
            return ", ".join(self._name(key.strip()) for key in given.split(","))
        if role in ("term", "doc", "ref"):
            return re.sub(r"\s*<[^>]*>$", "", given)
        raise ValueError(
            f"role: {{{role}}} is not known to the slides; say in slides/text.py what it becomes"
        )

    def _name(self, key: str) -> str:
        if key not in self.entries:
            raise ValueError(f"citation: {key!r} is not in the bibliography")
        entry = self.entries[key]
        people = [str(" ".join(person.last_names) or person) for person in entry.persons.get("author", [])]
        who = f"{people[0]} et al." if len(people) > 2 else " and ".join(people) or key
        return html.escape(f"{who.replace('{', '').replace('}', '')} ({entry.fields.get('year', 'no year')})")
