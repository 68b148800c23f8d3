"""The course as one PDF: its bookmarks, links and fonts."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from pypdf import PdfReader
from site_pages import FILES

import make_pdf
from papertrail import paper

CITATION = {
    "title": "T & Co",
    "abstract": "A.",
    "authors": [{"name": "N"}],
    "version": "1",
    "date-released": "2026-01-02",
}
SMALL = [
    paper.Part("Start", ("book/index",)),
    paper.Part("Reference", ("book/glossary", "book/errata")),
]


def print_in_a_thread(site, out):
    """Make the PDF of three pages; other tests may hold a browser open in this thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(make_pdf.make_pdf, site, out, SMALL).result()


@pytest.fixture(scope="module")
def small(site, tmp_path_factory):
    """A PDF of three pages of the site."""
    out = tmp_path_factory.mktemp("pdf") / "small.pdf"
    if not subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True).stdout:
        pytest.skip("no font for Chinese here; the error that says so has a test of its own")
    print_in_a_thread(site, out)
    return PdfReader(out)


def titles(outline):
    return [
        title for entry in outline for title in (titles(entry) if isinstance(entry, list) else [entry.title])
    ]


def test_it_says_what_it_is(small):
    catalog = small.trailer["/Root"]
    assert small.metadata.title == "The Transformer Paper Trail" and small.metadata.author
    assert "claims" in small.metadata.subject and "Mozilla" not in small.metadata.creator
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    cover = " ".join(small.pages[0].extract_text().split())
    assert small.metadata.subject in cover and "Text CC BY 4.0" in cover and "Chinese edition" in cover
    assert catalog["/Lang"] == "en" and catalog["/MarkInfo"]["/Marked"] and "/StructTreeRoot" in catalog
    assert catalog["/PageMode"] == "/UseOutlines"


def test_bookmarks_and_contents_lead_to_the_sheet_where_the_heading_stands(small):
    entries = [entry for part in small.outline for entry in (part if isinstance(part, list) else [part])]
    assert titles(small.outline)[:3] == [
        "The Transformer Paper Trail",
        "What is this course?",
        "What did we find?",
    ]
    assert {"Glossary", "Normalization", "Errata and changes"} <= set(titles(small.outline))
    texts = [" ".join(page.extract_text().split()) for page in small.pages]
    contents = texts[1]
    for entry in entries:
        sheet = small.get_destination_page_number(entry)
        assert entry.title in texts[sheet]
        assert re.search(rf"{re.escape(entry.title)}\s*{sheet + 1}\b", contents), entry.title


def test_links_within_it_resolve_and_pages_that_it_lacks_are_not_linked(small):
    known, within = set(small.named_destinations), 0
    for page in small.pages:
        for note in page.get("/Annots", []):
            note = note.get_object()
            address = note.get("/A", {}).get("/URI", "")
            assert address.startswith(("https://", "http://")) or not address
            if not address:
                within += 1
                assert str(note.get("/Dest")) in known
    assert within >= 15


def test_chinese_terms_are_text_and_every_font_comes_along(small):
    text = "".join(page.extract_text() for page in small.pages)
    assert "注意力头" in text and "warm-up" in text
    for page in small.pages:
        for font in page["/Resources"]["/Font"].values():
            inner = font.get("/DescendantFonts", [font])[0].get_object()
            embedded = {"/FontFile", "/FontFile2", "/FontFile3"} & set(inner.get("/FontDescriptor", {}))
            assert embedded or font["/Subtype"] == "/Type3", font.get("/BaseFont")


def test_without_a_chinese_font_it_names_what_is_missing_and_writes_nothing(site, tmp_path, monkeypatch):
    fonts = tmp_path / "fonts.conf"
    folders = f"<dir>/usr/share/fonts/truetype/dejavu</dir><cachedir>{tmp_path}</cachedir>"
    fonts.write_text(f'<?xml version="1.0"?><fontconfig>{folders}</fontconfig>')
    monkeypatch.setitem(os.environ, "FONTCONFIG_FILE", str(fonts))
    with pytest.raises(RuntimeError, match=r"no installed font has .*[\u4e00-\u9fff].*Noto Sans CJK"):
        print_in_a_thread(site, tmp_path / "out" / "x.pdf")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_link_to_nowhere_is_named(site, tmp_path):
    (tmp_path / "html" / "book").mkdir(parents=True)
    page = '<head></head><article class="bd-article"><section id="a"><h1>A</h1><a href="#no">b</a></section></article>'
    (tmp_path / "html" / "book" / "a.html").write_text(page)
    with pytest.raises(ValueError, match="lead nowhere: book-a--no"):
        paper.whole_course(tmp_path / "html", [paper.Part("One", ("book/a",))], citation=CITATION)


def test_links_to_pages_that_are_left_out_lead_to_the_site_where_its_address_is_known():
    text = '<a class="x" href="exercises/b.html#c">d</a> <a href="a.html#e">f</a> <a href="https://example.org">g</a>'
    plain = paper.rewrite(text, "book/a", ["book/a"])
    assert plain == '<span>d</span> <a href="#book-a--e">f</a> <a href="https://example.org">g</a>'
    assert 'href="https://a.b/book/exercises/b.html#c"' in paper.rewrite(
        text, "book/a", ["book/a"], "https://a.b"
    )


def test_the_cover_says_what_by_whom_and_when_and_where_the_site_is_if_that_is_known():
    text = paper.cover(CITATION, "https://a.b")
    assert all(
        said in text for said in ("T &amp; Co", "A.", "N<br>", "Version 1, 2026-01-02", 'href="https://a.b"')
    )
    assert "<a " not in paper.cover(CITATION)


def test_a_chapters_verdict_gives_the_ledgers_page_in_place_of_the_ledgers_sentence():
    row = '<dt><a class="pt-badge-link" href="#book-claims--x">holds</a> It is so.</dt><dd><p>Measured: 3.</p></dd>'
    other = f'<section id="book-a--by-hand"><dl class="simple myst">{row}</dl></section>'
    page = f'{other}<section id="book-a--verdict"><p>Yes.</p><dl class="simple myst">{row}</dl></section>'
    short = paper.short_verdict(page, {"book-claims--x": 217})
    assert short.startswith(other) and short.count("Measured") == 1
    assert 'href="#book-claims--x" data-page="217"' in short and short.count("It is so.") == 2
    assert paper.short_verdict(other, {}) == other


def test_only_an_article_with_folds_gets_a_section_for_answers():
    assert paper.with_answers("<p>a</p>", "book/a") == "<p>a</p>"
    folded = paper.with_answers("<details></details>", "book/a")
    assert paper.headings(folded) == [paper.Heading("book-a--answers", 2, "Answers")]


@pytest.mark.long
def test_the_whole_course_has_every_chapter_in_order(site, root, tmp_path):
    parts = paper.parts_on_paper(root / "_toc.yml")
    names = [name for part in parts for name in part.names]
    assert names == [name for name in FILES if paper.on_paper(name)] and len(names) >= 14
    make_pdf.make_pdf(site, tmp_path / "course.pdf", parts)
    reader = PdfReader(tmp_path / "course.pdf")
    chapters = [entry.title for entry in reader.outline if not isinstance(entry, list)]
    assert [title[0] for title in chapters if re.match(r"\d\. ", title)] == list("123456")
    assert len(chapters) == len(names) and 150 < len(reader.pages) < 400
    assert titles(reader.outline).count("Answers") == 6
    texts = [" ".join(page.extract_text().split()) for page in reader.pages]
    assert [number for number, text in enumerate(texts, 1) if len(text) < 350] == []  # nearly blank
    row = next(text for text in texts if "What was measured for each claim stands in the ledger" in text)
    claim, sheet = re.search(r"right\. \w+ (.{20,200}?)\.? page (\d+)", row).groups()
    assert claim in texts[int(sheet) - 1] and "Sources" in texts[int(sheet) - 1]
    assert (tmp_path / "course.pdf").stat().st_size < 20e6
