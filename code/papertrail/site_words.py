"""Words of code in running text: short ones stay on one line.

A browser may part a word after each hyphen, and on a phone anywhere, so that long names fit. For `--no-network` that
is wrong, and no style sheet can tell a short word from a long one. So each short word gets a class here.
"""

import html
import re
from typing import Any

from sphinx.application import Sphinx

LONGEST = 24  # characters; at 390 px such a word fills two thirds of a line
WHOLE = "pt-whole"
# Sphinx writes each word of a literal as a span of its own; code in raw HTML, as outputs and tables have it, is bare.
LITERAL = re.compile(r'<span class="pre">([^<>\s]+)</span>')
BARE = re.compile(r"(?<!<pre>)<code>([^<>]+)</code>")


def is_short(word: str) -> bool:
    """Has a word of HTML at most `LONGEST` characters?"""
    return len(html.unescape(word)) <= LONGEST


def keep_short_words_whole(body: str) -> str:
    """Give the class `pt-whole` to each word of code, in a page's HTML, that has at most `LONGEST` characters."""

    def literal(found: re.Match[str]) -> str:
        return f'<span class="pre {WHOLE}">{found[1]}</span>' if is_short(found[1]) else found[0]

    def word(found: re.Match[str]) -> str:
        return f'<span class="{WHOLE}">{found[0]}</span>' if is_short(found[0]) else found[0]

    def bare(found: re.Match[str]) -> str:
        return "<code>" + re.sub(r"\S+", word, found[1]) + "</code>"

    return BARE.sub(bare, LITERAL.sub(literal, body))


def mark_words(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mark the short words of a page that is about to be written."""
    context["body"] = keep_short_words_whole(context.get("body", ""))


def register(app: Sphinx) -> None:
    """Add this to a Sphinx application."""
    app.connect("html-page-context", mark_words)
