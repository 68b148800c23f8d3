"""Where a page first uses a term of the glossary, the word leads there and shows the explanation as a tooltip.

The links are made when the site is built. A notebook in JupyterLab therefore stays free of markup for them, and a new
entry of the glossary is linked from every page at once.
"""

import re
from dataclasses import dataclass

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_design.dropdown import dropdown_title

GLOSSARY = "book/glossary"
UNLINKED = {GLOSSARY, "book/bibliography"}  # pages that list words
EVERYDAY = {"key", "value", "claim"}  # names that mean something else in most sentences
ALSO = {  # an entry's name -> how the text calls it besides
    "learning-rate warm-up": ("warm-up",),
    "residual connection": ("residual path", "residual stream"),
    "feed-forward network": ("feed-forward",),
    "Xavier initialization": ("Xavier",),
    "bits per byte": ("bits a byte",),
}
LONGEST_TERM = 4  # words in italics: more of them are a quoted claim, which stays as it is
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

    Names by which the text calls it besides come last.
    """
    parts = [part.strip() for part in re.split(r",|\(", heading.replace(")", ""))]
    names = [part for part in parts if part and not part.startswith("of ") and part not in EVERYDAY]
    return [*names, *(other for name in names for other in ALSO.get(name, ()))]


def pattern_of(name: str) -> str:
    """An expression for a name and its plural. A name without capitals may also start a sentence."""
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
    """Each name of a glossary's English terms -> its entry."""
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        term = next(item.findall(nodes.term))
        entry = Term(term["ids"][0], words_of(next(item.findall(nodes.definition))))
        found |= dict.fromkeys(names_of(term.astext()), entry)
    return found


def open_text(node: nodes.Text) -> bool:
    """May a word of this text become a link?"""
    parent = node.parent
    while parent is not None:
        quoted = isinstance(parent, nodes.emphasis) and len(parent.astext().split()) > LONGEST_TERM
        if quoted or isinstance(parent, CLOSED):
            return False
        parent = parent.parent
    return True


def anchors_above(text: nodes.Text, address: str) -> set[str]:
    """The entry that this text leads to by a link that the page's author wrote; it counts as a use."""
    parent, found = text.parent, set()
    while parent is not None:
        if isinstance(parent, nodes.reference) and parent.get("refuri", "").startswith(f"{address}#"):
            found.add(parent["refuri"].partition("#")[2])
        parent = parent.parent
    return found


def link_first_uses(page: nodes.document, terms: dict[str, Term], address: str) -> set[str]:
    """Make the first use of each entry a link; `address` is the glossary's as seen from the page.

    Returns:
        The anchors that the page now leads to.
    """
    if not terms:
        return set()
    names = sorted(terms, key=len, reverse=True)  # "synchronized BatchNorm" before "BatchNorm"
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(f'({pattern_of(name)})' for name in names)})(?![\w-])")
    linked: set[str] = set()
    for text in list(page.findall(nodes.Text)):
        linked |= anchors_above(text, address)
        if not open_text(text):
            continue
        words, pieces, start = text.astext(), [], 0
        for match in pattern.finditer(words):
            term = terms[names[match.lastindex - 1]]
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


def terms_of(env: BuildEnvironment) -> dict[str, Term]:
    """The names of the book's glossary; none where there is no glossary."""
    return read_terms(env.get_doctree(GLOSSARY)) if GLOSSARY in env.found_docs else {}


def note_glossary(app: Sphinx, docname: str, source: list[str]) -> None:
    """A page is built anew when the glossary changes."""
    if GLOSSARY in app.env.found_docs and docname not in UNLINKED:
        app.env.note_dependency(app.env.doc2path(GLOSSARY))


def link_terms(app: Sphinx, page: nodes.document, docname: str) -> None:
    if docname in UNLINKED:
        return
    if app.env.papertrail_terms is None:
        app.env.papertrail_terms = terms_of(app.env)
    if app.env.papertrail_terms:
        link_first_uses(page, app.env.papertrail_terms, app.builder.get_relative_uri(docname, GLOSSARY))


def forget_terms(app: Sphinx, env: BuildEnvironment) -> None:
    """The environment outlives a build, its glossary may not."""
    env.papertrail_terms = None


def register(app: Sphinx) -> None:
    app.connect("source-read", note_glossary)
    app.connect("env-updated", forget_terms)
    app.connect("doctree-resolved", link_terms, priority=800)  # after badges and citations have become links
