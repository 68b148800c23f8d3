"""Links to the glossary: which words become one, and which must not."""

import re
from pathlib import Path

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from sphinx.addnodes import pending_xref
from sphinx_design.dropdown import dropdown_title

from papertrail.site_terms import ALSO, EVERYDAY, Term, link_first_uses, names_of, read_terms

BOOK_NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "book").glob("*.ipynb"))
TERMS = {
    "synchronized BatchNorm": Term("sync", "Over all."),
    "BatchNorm": Term("batch", "Over a batch."),
    "delta rule": Term("delta", "Write what is missing."),
    "query": Term("query", "What is asked."),
    "LayerNorm": Term("layer", "By its own deviation."),
    "layer normalization": Term("layer", "By its own deviation."),
}


def linked(text: str, terms=TERMS) -> list[tuple[str, str]]:
    """The links of a page: their words and anchors, in order."""
    page = publish_doctree(text, settings_overrides={"report_level": 5})
    before = page.astext()
    anchors = link_first_uses(page, terms, "glossary.html")
    assert page.astext() == before, "the words stay as they were"
    found = [
        (one.astext(), one["refuri"].partition("#")[2])
        for one in page.findall(nodes.reference)
        if "pt-term" in one["classes"]
    ]
    assert {anchor for _, anchor in found} <= anchors
    return found


@pytest.mark.parametrize(("text", "found"), [
    ("A delta rule, and the delta rule.", [("delta rule", "delta")]),
    ("Delta rules and queries.", [("Delta rules", "delta"), ("queries", "query")]),
    ("Layer normalization, then LayerNorm.", [("Layer normalization", "layer")]),
    ("Synchronized BatchNorm.", [("BatchNorm", "batch")]),  # a name with capitals is written as it is
    ("A synchronized BatchNorm, and BatchNorm.", [("synchronized BatchNorm", "sync"), ("BatchNorm", "batch")]),
    ("The delta\nrule over a line's end.", [("delta\nrule", "delta")]),
    ("Pre-LayerNorm, LayerNorms-to-be and mylayer normalization.", []),
    ("``LayerNorm`` and `LayerNorm <https://example.org>`_\n\n::\n\n    LayerNorm", []),
    ("LayerNorm\n=========\n\nText of LayerNorm.", [("LayerNorm", "layer")]),
    ("*The delta rule stores more.* Then the delta rule.", [("delta rule", "delta")]),
    ("`The rule <glossary.html#delta>`_, the delta rule.", []),
    ("BatchNorm, `the rule <glossary.html#delta>`_.", [("BatchNorm", "batch")]),
    ("*The delta rule*", [("delta rule", "delta")]),
])  # fmt: skip
def test_the_first_use_of_a_term_leads_to_the_glossary_and_nothing_else_does(text, found):
    assert linked(text) == found


CHINESE_TERMS = {
    "层归一化": Term("layer", "按自己的标准差。"),
    "LayerNorm": Term("layer", "按自己的标准差。"),
    "归一化的位置": Term("place", "在哪里。"),
    "Delta 规则": Term("delta", "写入缺少的部分。"),
    "预热": Term("warm", "学习率往上升。"),
}


@pytest.mark.parametrize(("text", "found"), [
    ("用层归一化，再用层归一化。", [("层归一化", "layer")]),
    ("它叫LayerNorm吗？", [("LayerNorm", "layer")]),
    ("MyLayerNorm 和 LayerNormX 都不是。", []),
    ("先预热，归一化的位置再说；Delta规则。", [("预热", "warm"), ("归一化的位置", "place"), ("Delta规则", "delta")]),
    ("*归一化的位置决定梯度是否消失。*", []),
    ("*层归一化*", [("层归一化", "layer")]),
])  # fmt: skip
def test_in_chinese_a_name_may_begin_anywhere(text, found):
    page = publish_doctree(text, settings_overrides={"report_level": 5})
    link_first_uses(page, CHINESE_TERMS, "glossary.html", chinese=True)
    links = [node for node in page.findall(nodes.reference) if "pt-term" in node["classes"]]
    assert [(one.astext(), one["refuri"].partition("#")[2]) for one in links] == found


def test_a_claim_in_italics_stays_a_quotation():
    assert linked("*The delta rule stores more.*") == []


def test_the_title_of_a_fold_leads_nowhere_since_it_opens_the_fold():
    page = publish_doctree("LayerNorm.")
    (paragraph,) = page.findall(nodes.paragraph)
    page.replace(paragraph, dropdown_title("", "", *paragraph.children))
    assert link_first_uses(page, TERMS, "glossary.html") == set()


def test_without_terms_a_page_stays_as_it_is():
    assert linked("LayerNorm.", {}) == []


@pytest.mark.parametrize(("heading", "names"), [
    ("BPTT, backpropagation through time", ["BPTT", "backpropagation through time"]),
    ("capacity (of a memory)", ["capacity"]),
    ("random features (FAVOR+)", ["random features", "FAVOR+"]),
    ("group size, of statistics", ["group size"]),
    ("key, query, value", ["query"]),
    ("residual connection", ["residual connection", "residual path", "residual stream"]),
    ("键、查询、值", ["查询"]),
    ("丢弃连接（DropConnect）", ["丢弃连接", "DropConnect"]),
    ("学习率预热", ["学习率预热", "预热"]),
])  # fmt: skip
def test_a_heading_of_the_glossary_gives_its_names(heading, names):
    assert names_of(heading) == names


def test_an_entry_is_read_with_its_anchor_and_its_text():
    (entry,) = publish_doctree("delta rule\n  Write what\n  is missing.").findall(nodes.definition_list_item)
    entry.children[0]["ids"] = ["term-delta-rule"]
    assert read_terms(entry.document) == {"delta rule": Term("term-delta-rule", "Write what is missing.")}


def test_an_explanation_is_told_without_its_citations():
    (entry,) = publish_doctree("LayerNorm\n  By its deviation .").findall(nodes.definition_list_item)
    (paragraph,) = entry.findall(nodes.paragraph)
    cited = pending_xref("", nodes.inline("", "ba2016layernorm"), refdomain="cite", reftype="p")
    paragraph.children[:] = [nodes.Text("By its deviation "), cited, nodes.Text(".")]
    cited.parent = paragraph
    entry.children[0]["ids"] = ["term"]
    assert read_terms(entry.document)["LayerNorm"].says == "By its deviation."


def test_every_other_name_belongs_to_an_entry(book):
    glossary = (book / "glossary.md").read_text(encoding="utf-8")
    headings = re.findall(r"^(\S.*)\n\S.*\n  ", glossary, re.MULTILINE)
    assert set(ALSO) <= set(headings)
    assert {name for heading in headings for name in heading.split(", ")} >= EVERYDAY


def test_pages_lead_to_entries_that_are_there(site):
    """On the built site: every chapter explains its terms, once each, and no page links the glossary to itself."""
    entries = set(
        re.findall(r'<dt id="(term-[^"]+)"', (site / "book/glossary.html").read_text(encoding="utf-8"))
    )
    for page in sorted((site / "book").glob("*.html")):
        text = page.read_text(encoding="utf-8")
        found = re.findall(r'<a class="pt-term[^>]*href="glossary\.html#([^"]+)" title="[^"]{20,}', text)
        assert len(found) == len(set(found)) == text.count('class="pt-term'), page.stem
        assert set(found) <= entries
        if page.with_suffix(".ipynb").name in {path.name for path in BOOK_NOTEBOOKS}:
            assert len(found) >= 6, page.stem
    assert "pt-term" not in (site / "book/glossary.html").read_text(encoding="utf-8")
