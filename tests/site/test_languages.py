"""Both editions of the translated pages, as a reader, a browser and a screen reader meet them."""

import re
from pathlib import Path
from posixpath import join, normpath

import pytest
from site_pages import FILES

from papertrail.site_languages import drop_marks
from papertrail.translated_blocks import is_chinese
from papertrail.translations import source_of

ROOT = Path(__file__).resolve().parents[2]
CHINESE = [name for name in FILES if is_chinese(name)]
SOURCES = {
    name: source_of(ROOT / f"{name}.md").relative_to(ROOT).with_suffix("").as_posix() for name in CHINESE
}


def page(site, name):
    return (site / f"{name}.html").read_text(encoding="utf-8")


def test_every_translation_stands_in_the_contents(book):
    assert sorted(CHINESE) == sorted(f"book/zh/{path.stem}" for path in (book / "zh").glob("*.md"))


@pytest.mark.parametrize("name", CHINESE)
def test_both_editions_lead_to_one_another_at_the_top(open_page, name):
    editions = {name: ("English", "en", SOURCES[name]), SOURCES[name]: ("中文", "zh-CN", name)}
    for own, (word, code, other) in editions.items():
        shown = open_page(f"{own}.html", width=390)
        link = shown.locator("article .pt-edition a")
        assert link.count() == 1 and link.inner_text() == word and link.is_visible()
        assert link.get_attribute("lang") == link.get_attribute("hreflang") == code
        assert link.bounding_box()["y"] < 500
        alternate = {
            tag.get_attribute("hreflang"): normpath(join(own, "..", tag.get_attribute("href")))
            for tag in shown.locator('head link[rel="alternate"][hreflang]').all()
        }
        assert alternate == {"en": f"{SOURCES[name]}.html", "zh-CN": f"{name}.html"}
        link.click()
        shown.wait_for_url(f"**/{other}.html")


def test_other_pages_have_no_other_edition(site):
    text = page(site, "book/errata")
    assert "pt-edition" not in text and 'rel="alternate" hreflang' not in text


@pytest.mark.parametrize("name", CHINESE)
def test_a_page_in_chinese_says_so_and_shows_no_marks(site, name):
    text = page(site, name)
    assert re.search(r'<html lang="zh-CN"', text)
    for english in ("Contents", "Search", "previous page", "Copyright", "Skip to"):
        assert not re.search(rf">\s*{english}|(?:title|aria-label|placeholder)=\"{english}", text), english
    assert not re.search(r"en: [0-9a-f]{10}", text)
    assert not re.search("。\\s[\u4e00-\u9fff]", text)


@pytest.mark.parametrize("name", CHINESE)
def test_around_a_page_in_chinese_the_theme_speaks_chinese(open_page, name):
    """Buttons, menu and footer: what is in English says so, but for the course's name."""
    found = open_page(f"{name}.html").evaluate(
        r"""() => {
            const outside = (element) => !element.closest('article, script, style, noscript, [lang=en]');
            const names = [...document.body.querySelectorAll('[title], [aria-label], [placeholder]')]
                .filter(outside)
                .flatMap((e) => ['title', 'aria-label', 'placeholder'].map((a) => e.getAttribute(a) || ''));
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode())
                if (outside(walker.currentNode.parentElement)) names.push(walker.currentNode.textContent.trim());
            return names;
        }"""
    )
    assert sum("目录" in one for one in found) >= 3
    ours = {"The Transformer Paper Trail", "Ctrl", "PDF", "Transformer", "ULMFiT", "CC BY"}
    words = re.compile("|".join(sorted(ours, key=len, reverse=True)))
    assert [one for one in found if re.search("[A-Za-z]{4}", words.sub("", one))] == []


@pytest.mark.parametrize(("source", "read"), [
    ("一。\n2017 年。\n《二》（三。）\n四？\n`a` 五。\n", "一。2017 年。《二》（三。）四？`a` 五。\n"),
    ("一。\n- 二。\n- 三。\n", "一。\n- 二。\n- 三。\n"),
    ("1. 一。\n2. 二。\n", "1. 一。\n2. 二。\n"),
    (":::{dropdown} 一？\n二。\n三。\n:::\n", ":::{dropdown} 一？\n二。三。\n:::\n"),
    ("% en: 0123456789\n一（二）\nTerm\n  三。\n", "一（二）\nTerm\n  三。\n"),
])  # fmt: skip
def test_lines_that_end_with_a_sentence_are_joined(source, read):
    given = [source]
    drop_marks(None, "book/zh/index", given)
    assert given == [read]


@pytest.mark.parametrize("name", CHINESE)
def test_what_stays_english_there_is_marked(open_page, name):
    """Every run of English words stands in an element that says so."""
    shown = open_page(f"{name}.html")
    runs = shown.evaluate(
        r"""() => {
            const walker = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT);
            const found = [];
            while (walker.nextNode()) {
                const parent = walker.currentNode.parentElement;
                const quiet = 'code, pre, mjx-container, .math, .bibtex-citation, script, style';
                if (parent.closest('[lang]').lang === 'en' || parent.closest(quiet)) continue;
                found.push(...(walker.currentNode.textContent.match(/[a-z]+(?: [a-z]+){3,}/gi) || []));
            }
            return found;
        }"""
    )
    assert runs == []
    for badge in shown.locator(".pt-badge-link").all():
        assert badge.get_attribute("lang") == "en"


def test_badges_in_english_pages_need_no_language(site):
    assert 'class="pt-badge-link" lang' not in page(site, "book/index")


def test_chinese_titles_in_the_menu_of_contents_are_marked(open_page):
    shown = open_page("book/errata.html")
    links = shown.locator(".bd-sidebar-primary a", has_text=re.compile("[\u4e00-\u9fff]"))
    assert links.count() == len(CHINESE)
    assert {link.get_attribute("lang") for link in links.all()} == {"zh-CN"}
    assert shown.locator('.caption-text[lang="zh-CN"]').inner_text() == "中文"


def test_a_chapter_in_chinese_shows_the_cells_of_its_notebook(site):
    def drawn(name):
        text = page(site, name)
        article = text[text.index('<article class="bd-article">') : text.index("</article>")]
        cells = re.findall(r'<div class="cell_output docutils container">(.*?)</svg>', article, re.DOTALL)
        return (
            len(cells),
            article.count("<svg"),
            article.count('class="table pt-table"'),
            article.count("cell_input"),
        )

    assert drawn("book/zh/architecture_diagram") == drawn("book/architecture_diagram")
    assert drawn("book/architecture_diagram")[3] == 18


def test_the_timeline_leads_to_chapters_that_are_there_and_tells_dates_in_chinese(site):
    text = page(site, "book/zh/paper_trail")
    leads = set(re.findall(r'class="pt-dot" href="([^"]+)"', text))
    assert {"architecture_diagram.html", "../gopher.html", "index.html"} <= leads
    assert "1991</span> 3月26日</time>" in text and " March</time>" not in text


@pytest.mark.parametrize("name", [name for name in CHINESE if not name.endswith("glossary")])
def test_first_uses_of_terms_lead_to_the_chinese_glossary(site, name):
    entries = set(re.findall(r'<dt id="(term-[^"]+)"', page(site, "book/zh/glossary")))
    assert entries and entries <= set(re.findall(r'id="(term-[^"]+)"', page(site, "book/glossary")))
    found = re.findall(
        r'<a class="pt-term[^>]*href="glossary\.html#([^"]+)" title="[^"]{6,}', page(site, name)
    )
    assert len(found) >= page(site, SOURCES[name]).count('class="pt-term') // 2 > 0
    assert len(found) == len(set(found)) and set(found) <= entries


@pytest.mark.parametrize(("word", "name"), [
    ("手算", "architecture_diagram"), ("两个字符串", "architecture_diagram"), ("论文寻踪", "index"),
    ("转折点", "paper_trail"), ("灾难性遗忘", "glossary"),
])  # fmt: skip
def test_the_search_finds_what_chinese_pages_say(open_page, word, name):
    open_page(f"search.html?q={word}").locator(
        f'#search-results li a[href^="book/zh/{name}.html"]'
    ).first.wait_for()
