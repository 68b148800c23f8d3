"""Find what would act in a reader's browser: scripts and their kin in the texts of a notebook.

Pages for students are sanitised too. This is the earlier of two guards, and the one that tells the student.
"""

import base64
import binascii
import html
import re
from html.parser import HTMLParser

from nbconvert.filters.markdown_mistune import markdown2html_mistune

# Elements that run, load, send, restyle the page, or switch the browser to other rules of parsing, where
# harmless-looking text can turn into one of the others.
ACTIVE = frozenset(
    ("script", "iframe", "frame", "frameset", "object", "embed", "applet", "portal", "form", "base", "link", "meta",
     "style", "svg", "math", "noscript", "noembed", "noframes", "template", "title", "textarea", "xmp", "plaintext")
)  # fmt: skip
LINKS = frozenset(
    ("href", "src", "action", "formaction", "xlink:href", "data", "poster", "background", "srcset", "ping", "cite")
)  # fmt: skip
IMAGE = re.compile(r"data:image/(?:png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]*")
PICTURES = re.compile(r"image/(?:png|jpe?g|gif|webp|bmp|svg\+xml)")
MAX_ENVIRONMENTS = 200  # of `\begin{` in one cell: the time that rendering takes grows with their square


def _squeezed(text: str) -> str:
    """As a browser reads the start of an address: no white space, no control characters, lower case."""
    return re.sub(r"[\x00-\x20\\]", "", html.unescape(text)).lower()


def _active_link(element: str, address: str) -> bool:
    """Would following or loading this address run something?"""
    address = _squeezed(address)
    if address.startswith("data:"):
        return not address.startswith("data:image/") or (
            address.startswith("data:image/svg") and element != "img"
        )
    return address.startswith(("javascript:", "vbscript:"))


class _Finder(HTMLParser):
    """Collects the active parts of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, None] = {}  # a set that keeps its order

    def set_cdata_mode(self, elem: str, **_: object) -> None:
        """Look inside scripts and styles as well."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if (local := tag.rpartition(":")[2]) in ACTIVE:
            self.found[f"<{local}>"] = None
        shown = re.sub(r"[^\w:-]", "?", tag[:20])  # a name can hold anything, and a report shows it
        for name, value in attrs:
            if value is not None and re.fullmatch(r"on[a-z]+", name):
                self.found[f"{name[:30]}= in <{shown}>"] = None
            elif name in LINKS and value and _active_link(tag, value):
                self.found[f"an active address ({name}) in <{shown}>"] = None


def active_html(text: str) -> list[str]:
    """The active parts of HTML, in words; empty where there are none.

    Comments count as text, since browsers and parsers differ in where one ends. A last tag that is never closed
    is closed here, since on a page the text behind it would close it.
    """
    finder = _Finder()
    finder.feed(re.sub(r"<[!?]|--!?>", " ", text) + ">\">'>")
    finder.close()
    return list(finder.found)


def without_pictures(text: str) -> str:
    """A text without the pictures that it carries as base64: Colab stores pasted pictures so."""
    return IMAGE.sub("data:image/png;base64,", text)


def active_markdown(text: str) -> list[str]:
    """The active parts of what a Markdown cell shows, in words.

    It is rendered as for the pages that students get, so that code in backticks and fences is only text, and
    `[a](javascript:...)` is a link. What cannot be rendered is judged as HTML.
    """
    text = without_pictures(text)
    if "<" not in text and not re.search("script:|data:", _squeezed(text)):
        return []
    if text.count("\\begin{") > MAX_ENVIRONMENTS:
        return active_html(text)
    try:
        rendered = markdown2html_mistune(text)
    except Exception:  # a renderer that fails on a text says nothing about it
        return active_html(text)
    return active_html(rendered)


def active_attachment(kind: str, data: object) -> list[str]:
    """The active parts of one attachment of the media type `kind`. Only pictures may be attached."""
    if not PICTURES.fullmatch(kind.lower()):
        return [f"an attachment that is no picture ({kind[:40]!r})"]
    if "svg" not in kind.lower():
        return []
    text = data if isinstance(data, str) else "".join(map(str, data)) if isinstance(data, list) else str(data)
    if "<" not in text:
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return ["a drawing (SVG) that cannot be read"]
    return [part for part in active_html(text) if part not in ("<svg>", "<style>", "<title>")]
