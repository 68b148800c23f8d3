"""Plain text out of Wikipedia's markup: a small cleaner that keeps the prose and drops the rest."""

import html
import re

APART = re.compile(  # comments, and elements that hold no prose
    r"<!--.*?-->"
    r"|<ref\b[^<>]*/>"
    r"|<(ref|math|gallery|timeline|imagemap|source|syntaxhighlight|code|score|table|div)\b[^<>]*>.*?</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
HELD_APART = re.compile(r"^(?:file|image|category|media|[a-z]{2,3}(?:-[a-z]+)*) *:", re.IGNORECASE)
OUTSIDE_LINK = re.compile(r"\[(?:https?:)?//[^\s\]]*\s*([^\]\n]*)\]")
HEADING = re.compile(r"^=+\s*(.*?)\s*=+\s*$")
AFTER_THE_PROSE = {"see also", "references", "notes", "footnotes", "external links", "further reading",
                   "bibliography", "sources", "citations", "works cited", "notes and references"}  # fmt: skip
LEFT_EMPTY = re.compile(r"\((?:[\s,;:]|or|and)*\)")


def without_nested(text: str, opening: str, closing: str) -> str:
    """Text without what stands between a pair of marks, nested or not; where one mark is missing, only marks go."""
    marks = re.compile(f"({re.escape(opening)}|{re.escape(closing)})")
    levels: list[list[str]] = [[]]
    for piece in marks.split(text):
        if piece == opening:
            levels.append([])
        elif piece == closing:
            if len(levels) > 1:
                levels.pop()
        else:
            levels[-1].append(piece)
    return "".join(piece for level in levels for piece in level)


def links_read(text: str) -> str:
    """Inside links become the words they show; pictures, categories and other languages' links go, also nested."""
    levels: list[list[str]] = [[]]
    for piece in re.split(r"(\[\[|\]\])", text):
        if piece == "[[":
            levels.append([])
        elif piece == "]]" and len(levels) > 1:
            inside = "".join(levels.pop())
            if not HELD_APART.match(inside):
                levels[-1].append(inside.rpartition("|")[2])
        elif piece != "]]":
            levels[-1].append(piece)
    return "".join(piece for level in levels for piece in level)


def plain_text(markup: str) -> str:
    """The prose of an article, one paragraph a line.

    Templates, tables, references, formulas, pictures and headings go, and so does all that follows "See also",
    "References" and the like. Links keep the words they show; list items stay, without their marks.
    """
    text = APART.sub(" ", markup)
    text = without_nested(text, "{{", "}}")
    text = without_nested(text, "{|", "|}")
    text = OUTSIDE_LINK.sub(r"\1", links_read(text))
    text = TAG.sub(" ", re.sub(r"'{2,}", "", text))
    text = html.unescape(re.sub(r"__[A-Z]+__", "", text))
    lines = []
    dropped = False
    for line in text.split("\n"):
        heading = HEADING.match(line.strip())
        if heading:
            dropped = heading[1].strip().lower() in AFTER_THE_PROSE
            continue
        line = " ".join(LEFT_EMPTY.sub("", line.lstrip("*#:; \t")).split())
        if line and not dropped and not line.startswith(("|", "!")):
            lines.append(line.replace(" ,", ",").replace(" .", "."))
    return "\n".join(lines)
