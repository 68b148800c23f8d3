"""Where a page first uses a term of the glossary, the word leads there and shows the explanation as a tooltip.

The links are made when the site is built. A notebook in JupyterLab therefore stays free of markup for them, and a new
entry of the glossary is linked from every page at once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_design.dropdown import dropdown_title

from papertrail.site_search import CHINESE
from papertrail.translated_blocks import CHINESE_PAGES, is_chinese

GLOSSARY = "book/glossary"
CHINESE_GLOSSARY = f"{CHINESE_PAGES}glossary"
BEGINNING = re.compile(r"(?<![\w-])\w\w")  # of a word
# Chinese has no spaces, so a name may begin anywhere in it; and its characters do not lengthen an English word.
ANYWHERE = re.compile(r"(?=([\u4e00-\u9fff]{2}|(?<![A-Za-z0-9_-])[A-Za-z][\w-]))")
UNLINKED = {GLOSSARY, CHINESE_GLOSSARY, "book/bibliography"}  # pages that list words
EVERYDAY = {"key", "value", "claim"}  # names that mean something else in most sentences
ALSO = {  # an entry's name -> how the text calls it besides
    "learning-rate warm-up": ("warm-up",),
    "residual connection": ("residual path", "residual stream"),
    "feed-forward network": ("feed-forward",),
    "Xavier initialization": ("Xavier",),
    "bits per byte": ("bits a byte",),
}
ALSO_IN_CHINESE = {"残差连接": ("残差流", "残差"), "学习率预热": ("预热",)}
LONGEST_TERM = 4  # words in italics: more of them are a quoted claim, which stays as it is
LONGEST_CHINESE = 9  # characters
# A title and a link lead elsewhere or nowhere, and a fold's title opens it; what is code, a formula or a heading of a
# table is no prose.
CLOSED = (nodes.title, nodes.reference, nodes.literal, nodes.FixedTextElement, nodes.raw, nodes.math, nodes.math_block,
          nodes.term, nodes.thead, nodes.citation, nodes.caption, nodes.Invisible, pending_xref,
          dropdown_title)  # fmt: skip


@dataclass(frozen=True)
class Term:
    """An entry of the glossary: where it stands on that page, and what it says."""

    anchor: str
    says: str


def names_of(heading: str) -> list[str]:
    """The names in an entry's heading: "BPTT, backpropagation through time" has two, "capacity (of a memory)" one.

    Names by which the text calls it besides come last. In Chinese a single character is no name: it is part of too many
    words.
    """
    if re.search(CHINESE, heading):
        names = [part.strip() for part in re.split(r"[、（）]", heading) if len(part.strip()) > 1]
        return [*names, *(other for name in names for other in ALSO_IN_CHINESE.get(name, ()))]
    parts = [part.strip() for part in re.split(r",|\(", heading.replace(")", ""))]
    names = [part for part in parts if part and not part.startswith("of ") and part not in EVERYDAY]
    return [*names, *(other for name in names for other in ALSO.get(name, ()))]


def pattern_of(name: str) -> str:
    """An expression for a name and its plural. A name without capitals may also start a sentence."""
    if re.search(CHINESE, name):
        return re.escape(name).replace(r"\ ", r"\s*")
    stem, ending = (name[:-1], "(?:y|ies)") if name.endswith("y") else (name, "(?:s|es)?")
    first = re.escape(stem[0])
    if name.islower():
        first = f"[{first}{re.escape(stem[0].upper())}]"
    return first + re.escape(stem[1:]).replace(r"\ ", r"\s+") + ending


def words_of(definition: nodes.definition) -> str:
    """An explanation as plain text, without its citations: as long as they lead nowhere they read as bare keys."""
    plain = definition.deepcopy()
    for citation in [node for node in plain.findall(pending_xref) if node.get("refdomain") == "cite"]:
        citation.parent.remove(citation)
    return re.sub(r"\s+(?=[.,;:])", "", re.sub(r"\s+", " ", plain.astext())).strip()


def read_terms(glossary: nodes.document) -> dict[str, Term]:
    """Each name of a glossary's terms -> its entry: the English ones, and in the Chinese glossary those in both."""
    found: dict[str, Term] = {}
    for item in glossary.findall(nodes.definition_list_item):
        terms = list(item.findall(nodes.term))
        entry = Term(terms[0]["ids"][0], words_of(next(item.findall(nodes.definition))))
        chinese = re.search(CHINESE, terms[0].astext())
        for term in terms if chinese else terms[:1]:
            found |= dict.fromkeys(names_of(term.astext()), entry)
    return found


def is_quotation(words: str) -> bool:
    """Is this text in italics more than a term?"""
    return len(words.split()) > LONGEST_TERM or len(re.findall(CHINESE, words)) > LONGEST_CHINESE


def open_text(node: nodes.Text) -> bool:
    """May a word of this text become a link?"""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, CLOSED) or (
            isinstance(parent, nodes.emphasis) and is_quotation(parent.astext())
        ):
            return False
        parent = parent.parent
    return True


def by_beginning(terms: dict[str, Term]) -> dict[str, list[tuple[re.Pattern[str], Term]]]:
    """Expressions for the names, by their first two letters; of names that begin alike the longer one comes first."""
    found: dict[str, list[tuple[re.Pattern[str], Term]]] = {}
    for name in sorted(terms, key=len, reverse=True):  # "synchronized BatchNorm" before "BatchNorm"
        end = "" if re.search(CHINESE, name[-1]) else r"(?![A-Za-z0-9_-])"
        whole = re.compile(pattern_of(name) + end)
        found.setdefault(name[:2].lower(), []).append((whole, terms[name]))
    return found


def uses_in(
    words: str, candidates: dict[str, list[tuple[re.Pattern[str], Term]]], chinese: bool = False
) -> Iterator[tuple[re.Match[str], Term]]:
    """The names in a text from left to right. One expression for all names would be tried at every letter."""
    end = 0
    for start in (ANYWHERE if chinese else BEGINNING).finditer(words):
        if start.start() < end:
            continue
        for whole, term in candidates.get((start[1] if chinese else start[0]).lower(), ()):
            if match := whole.match(words, start.start()):
                end = match.end()
                yield match, term
                break


def anchors_above(text: nodes.Text, address: str) -> set[str]:
    """The entry that this text leads to by a link that the page's author wrote; it counts as a use."""
    parent, found = text.parent, set()
    while parent is not None:
        if isinstance(parent, nodes.reference) and parent.get("refuri", "").startswith(f"{address}#"):
            found.add(parent["refuri"].partition("#")[2])
        parent = parent.parent
    return found


def link_first_uses(
    page: nodes.document, terms: dict[str, Term], address: str, chinese: bool = False
) -> set[str]:
    """Make the first use of each entry a link; `address` is the glossary's as seen from the page.

    Args:
        chinese: is the page in Chinese, so that a name may begin in the middle of a text without spaces?

    Returns:
        The anchors that the page now leads to.
    """
    if not terms:
        return set()
    candidates = by_beginning(terms)
    linked: set[str] = set()
    for text in list(page.findall(nodes.Text)):
        linked |= anchors_above(text, address)
        if not open_text(text):
            continue
        words, pieces, start = text.astext(), [], 0
        for match, term in uses_in(words, candidates, chinese):
            if term.anchor in linked:
                continue
            linked.add(term.anchor)
            link = nodes.reference(
                "", match[0], refuri=f"{address}#{term.anchor}", internal=True, reftitle=term.says
            )
            link["classes"].append("pt-term")
            pieces += [nodes.Text(words[start : match.start()]), link]
            start = match.end()
        if pieces:
            text.parent.replace(text, [*(p for p in pieces if p.astext()), nodes.Text(words[start:])])
    return linked


def glossary_of(docname: str) -> str:
    """The glossary in the language of a page."""
    return CHINESE_GLOSSARY if is_chinese(docname) else GLOSSARY


def terms_of(env: BuildEnvironment, glossary: str) -> dict[str, Term]:
    """The names of a glossary of the book; none where there is no such page."""
    return read_terms(env.get_doctree(glossary)) if glossary in env.found_docs else {}


def note_glossary(app: Sphinx, docname: str, source: list[str]) -> None:
    """A page is built anew when the glossary changes."""
    if glossary_of(docname) in app.env.found_docs and docname not in UNLINKED:
        app.env.note_dependency(app.env.doc2path(glossary_of(docname)))


def link_terms(app: Sphinx, page: nodes.document, docname: str) -> None:
    """Make the first uses of terms on a finished page links."""
    if docname in UNLINKED:
        return
    environment: Any = app.env
    glossary = glossary_of(docname)
    if glossary not in environment.papertrail_terms:
        environment.papertrail_terms[glossary] = terms_of(app.env, glossary)
    if terms := environment.papertrail_terms[glossary]:
        address = app.builder.get_relative_uri(docname, glossary)
        link_first_uses(page, terms, address, is_chinese(docname))


def forget_terms(app: Sphinx, env: Any) -> None:
    """The environment outlives a build, its glossaries may not."""
    env.papertrail_terms = {}


def register(app: Sphinx) -> None:
    """Link the terms of every page."""
    app.connect("source-read", note_glossary)
    app.connect("env-updated", forget_terms)
    app.connect("doctree-resolved", link_terms, priority=800)  # after badges and citations have become links
