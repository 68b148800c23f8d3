"""What a page loads at first: little, all of it there, all from here; and what the trimming must not break."""

import io
import re
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont
from playwright.sync_api import expect

from weight import first_load, pages_of, weigh

ROOT = Path(__file__).resolve().parents[2]
FIRST_LOAD = {
    True: 450_000,
    False: 150_000,
}  # bytes, with formulas and without; the course's budget is 600,000
INDEX = 25_000  # what the search page may load more: its index holds two languages
CLEAR = "rgba(0, 0, 0, 0)"
# Every character that the icon font draws on a page, before and behind an element.
ICONS = """() => [...document.querySelectorAll('*')].flatMap(element => ['::before', '::after'].flatMap(where => {
    const style = getComputedStyle(element, where);
    return style.fontFamily.includes('Font Awesome') && !['none', 'normal', '""'].includes(style.content)
        ? [style.content] : [];
}))"""


@pytest.fixture(scope="module")
def loads(chromium, address, site):
    """Page -> the requests of its first load."""
    return {page: first_load(chromium, address, site, page) for page in pages_of(site)}


def test_every_page_of_the_contents_is_weighed(loads):
    files = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text())
    assert {f"{name}.html" for name in files} <= set(loads) and "search.html" in loads


def test_a_first_load_is_light(loads):
    sums = {page: sum(request.sent for request in requests) for page, requests in loads.items()}
    formulas = {page: any("/mathjax/" in r.address for r in requests) for page, requests in loads.items()}
    allowed = {page: FIRST_LOAD[formulas[page]] + INDEX * (page == "search.html") for page in sums}
    assert {page: sent for page, sent in sums.items() if sent > allowed[page]} == {}
    assert min(sums.values()) > 20_000  # something was weighed


def test_everything_that_a_page_asks_for_is_there_and_comes_from_here(loads):
    wrong = [
        (page, request.status, request.address)
        for page, requests in loads.items()
        for request in requests
        if request.status != 200 or not request.address.startswith("/")
    ]
    assert wrong == []


def test_nothing_is_asked_for_twice(loads):
    """A part of MathJax that is asked for early must be the one that MathJax then takes."""
    for page, requests in loads.items():
        paths = [urlsplit(request.address).path for request in requests]
        assert sorted(paths) == sorted(set(paths)), page


def test_the_weights_of_the_status_page_are_those_of_the_requests(loads, site, monkeypatch):
    monkeypatch.setattr("weight.pages_of", lambda folder: ["book/errata.html"])
    requests = loads["book/errata.html"]
    monkeypatch.setattr("weight.first_load", lambda *arguments: requests)
    monkeypatch.setattr("weight.a_browser", lambda folder: nullcontext((None, "")))
    [row] = weigh(site)
    assert row["first_load"] == sum(request.sent for request in requests) == sum(row["kinds"].values())
    assert set(row["kinds"]) >= {"page", "style sheets", "scripts", "icons"}
    assert 0 < row["own"] == row["kinds"]["page"] + row["kinds"].get("pictures", 0) < row["first_load"]


def test_formulas_are_set_and_said(open_page):
    page = open_page("book/glossary.html", until="networkidle")
    formulas, written = page.locator("mjx-container"), page.locator("article .math")
    expect(formulas).to_have_count(written.count())
    assert page.locator("mjx-container mjx-assistive-mml math").count() == formulas.count() > 0
    assert page.locator("mjx-container mjx-merror").count() == 0


def drawn(font):
    """The characters for which a font has an outline."""
    glyphs, shapes = font.getGlyphSet(), set()
    for code, name in font.getBestCmap().items():
        pen = RecordingPen()
        glyphs[name].draw(pen)
        if pen.value:
            shapes.add(chr(code))
    return shapes


@pytest.mark.parametrize(
    "name", ["book/errata.html", "book/exercises/gopher.html", "search.html?q=attention"]
)
def test_every_icon_of_a_page_has_its_outline(open_page, name, site):
    font = site / "_static" / "vendor" / "fontawesome" / "webfonts" / "fa-solid-900.woff"
    has = drawn(TTFont(io.BytesIO(font.read_bytes())))
    shown = {sign for content in open_page(name).evaluate(ICONS) for sign in content.strip('"')}
    assert len(shown) > 5 and shown <= has
    assert font.stat().st_size < 8_000


def test_the_search_dialog_opens_by_keys_and_leads_to_results(open_page):
    page = open_page("book/errata.html", until="networkidle")
    page.keyboard.press("Control+k")
    dialog = page.locator("#pst-search-dialog")
    expect(dialog).to_be_visible()
    page.keyboard.type("warm-up")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=warm-up*")
    page.locator("#search-results li a").first.wait_for()
    assert page.problems == []


def test_the_download_menu_opens_over_the_page(open_page):
    page = open_page("book/architecture_diagram.html", until="networkidle")
    menu = page.locator(".dropdown-download-buttons")
    expect(menu.locator(".dropdown-menu")).to_be_hidden()
    menu.locator("button").first.click()
    expect(menu.locator(".dropdown-menu")).to_be_visible()
    assert menu.locator(".dropdown-menu").evaluate("menu => getComputedStyle(menu).position") == "absolute"
    assert menu.locator(".dropdown-menu").evaluate("menu => getComputedStyle(menu).backgroundColor") != CLEAR


def test_the_colors_can_be_switched_and_stay(open_page):
    page = open_page("book/errata.html", until="networkidle")
    button = page.locator("button.theme-switch-button:visible")
    seen = set()
    for _ in range(3):
        button.click()
        seen.add(page.locator("html").get_attribute("data-mode"))
    assert seen == {"auto", "light", "dark"}
    while page.locator("html").get_attribute("data-mode") != "dark":
        button.click()
    page.reload()
    page.wait_for_selector('html[data-theme="dark"]')


def test_the_contents_open_and_close_on_a_phone(open_page):
    page = open_page("book/errata.html", width=390, until="networkidle")
    link = page.locator(".bd-sidebar-primary a", has_text="Glossary").first
    expect(link).not_to_be_in_viewport()
    page.locator("button.primary-toggle").click()
    expect(link).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#pst-primary-sidebar-modal")).to_be_hidden()


def test_code_can_be_copied(open_page):
    page = open_page("book/how_to_use.html", until="networkidle")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = page.locator("div.highlight").first
    block.hover()
    block.locator("button.copybtn").click()
    expect(block.locator("button.copybtn")).to_have_class(re.compile("success"))
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() and copied.strip() in block.locator("pre").inner_text()


def test_folds_open(open_page):
    page = open_page("book/architecture_diagram.html", until="networkidle")
    fold = page.locator("details.sd-dropdown").first
    expect(fold.locator(".sd-summary-content")).to_be_hidden()
    fold.locator("summary").click()
    expect(fold.locator(".sd-summary-content")).to_be_visible()
