"""The built site as a reader meets it: in a real browser, light and dark, wide and narrow, scripts on and off."""

import gzip
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from site_pages import FILES, GENERATED

from papertrail import claims

CHAPTER_PAGES = [name for name in FILES if not name.startswith("book/api/") or name == "book/api/index"]
PAGES = [f"{name}.html" for name in CHAPTER_PAGES]
EVERY_PAGE = [f"{name}.html" for name in FILES]


@pytest.fixture(params=[*EVERY_PAGE, *GENERATED])
def any_page(request, site):
    """Every page of the contents, and those that Sphinx adds where this build has them."""
    if request.param in GENERATED and not (site / request.param.split("?")[0]).exists():
        pytest.skip("this build has no such page")
    return request.param


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_it_is(open_page, name):
    page = open_page(name)
    assert page.locator("article h1").count() == 1
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if name.startswith("book/zh/") else "en")
    assert len(page.locator('meta[name="description"]').get_attribute("content")) > 40
    assert page.locator('link[rel~="icon"]').count() == 1


def test_a_page_stands_alone_without_errors_or_other_hosts(open_page, address, any_page):
    page = open_page(any_page, until="networkidle")
    if page.locator(
        'script[src*="mathjax/startup.js"]'
    ).count():  # it may start, and complain, after the network is idle
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise.then(() => true)")
    assert page.problems == []
    assert [url for url in page.requests if not url.startswith((address, "data:"))] == []
    failed = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)")
    assert failed == []


# In the dark a page differs in its colors alone.
RULES = {"light": None, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}


@pytest.mark.parametrize("scheme", RULES)
def test_axe_finds_nothing_serious(open_page, any_page, scheme):
    page = open_page(any_page, scheme=scheme, until="networkidle")
    # the theme's script chooses the colors; on a loaded machine a long page is idle before it has run
    page.wait_for_selector(f'html[data-theme="{scheme}"]')
    found = Axe().run(page, options=RULES[scheme]).response["violations"]
    serious = [
        (v["id"], v["impact"], [node["html"][:120] for node in v["nodes"][:3]])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_nothing_sticks_out_sideways_on_a_phone(open_page, any_page):
    page = open_page(any_page, width=390, until="networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_the_sign_behind_a_heading_takes_no_line_of_its_own(open_page, name):
    page = open_page(name)
    alone = page.evaluate(
        """() => [...document.querySelectorAll(".bd-article :is(h1, h2, h3, h4) > .headerlink")].filter((sign) => {
            const words = document.createRange();
            words.setStart(sign.parentElement, 0);
            words.setEndBefore(sign);
            return sign.getBoundingClientRect().top >= [...words.getClientRects()].at(-1).bottom - 2;
        }).map((sign) => sign.parentElement.textContent)"""
    )
    assert alone == []


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_on_a_phone_short_words_of_code_stay_whole_and_no_row_of_a_table_is_a_screen_tall(open_page, name):
    page = open_page(name, width=390, until="networkidle")
    parted = page.evaluate(
        """() => [...document.querySelectorAll(".bd-article :not(pre) > code")].flatMap((code) => {
            const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT), words = document.createRange();
            const found = [];
            for (let text = texts.nextNode(); text; text = texts.nextNode()) {
                for (const word of text.textContent.matchAll(/\\S+/g)) {
                    words.setStart(text, word.index);
                    words.setEnd(text, word.index + word[0].length);
                    const tops = [...words.getClientRects()].map((box) => Math.round(box.top));
                    if (word[0].length <= 24 && new Set(tops).size > 1) found.push(word[0]);
                }
            }
            return found;
        })"""
    )
    assert parted == []
    assert (
        page.evaluate(
            "Math.max(0, ...[...document.querySelectorAll('.bd-article tr')].map(r => r.clientHeight))"
        )
        < 500
    )


def test_a_formula_wider_than_a_phone_can_be_reached_and_scrolled_by_keys(open_page):
    page = open_page("book/exercises/layer_norm_placement.html", width=390, until="networkidle")
    page.wait_for_selector("mjx-container[display][tabindex]")
    wide = page.evaluate(
        "[...document.querySelectorAll('mjx-container[display]')].map(f => [f.scrollWidth > f.clientWidth, f.tabIndex])"
    )
    assert {index for scrolls, index in wide if scrolls} == {0}
    assert all(index == -1 for scrolls, index in wide if not scrolls)


@pytest.mark.parametrize("name", PAGES)
def test_text_in_figures_is_at_least_nine_pixels_on_a_phone(open_page, name):
    page = open_page(name, width=390)
    page.evaluate(
        "document.querySelectorAll('.pt-figure').forEach(f => f.style.setProperty('display', 'block', 'important'))"
    )
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('.pt-figure svg')]
            .flatMap(svg => [...svg.querySelectorAll('text')].map(text =>
                parseFloat(getComputedStyle(text).fontSize)
                    * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""
    )
    assert all(size >= 9 for size in sizes), min(sizes)
    assert len(sizes) > 200 or name != "book/architecture_diagram.html"  # two moving figures and three others


@pytest.mark.parametrize("name", PAGES)
def test_no_text_of_a_figure_runs_over_its_edge(open_page, name):
    page = open_page(name)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.pt-figure')].flatMap(figure => {
            figure.style.setProperty('display', 'block', 'important');
            const svg = figure.querySelector('svg'), edge = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1
                    || box.bottom > edge.bottom + 1;
            }).map(text => text.textContent);
        })"""
    )
    assert cut == []


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("name", PAGES)
def test_every_control_of_a_moving_figure_shows_its_own_named_frame(open_page, name, scripts):
    page = open_page(name, scripts=scripts)
    figures = page.locator("fieldset.pt-moving")
    for i in range(figures.count()):
        figure = figures.nth(i)
        assert figure.locator("legend").inner_text().strip()
        labels, frames = figure.locator("label"), figure.locator(".pt-frame")
        assert labels.count() == frames.count() >= 2
        seen = set()
        for step in range(labels.count()):
            if step:  # the first frame must be there before anyone touches it
                labels.nth(step).click()
            shown = [k for k in range(frames.count()) if frames.nth(k).is_visible()]
            assert shown == [step]
            svg = frames.nth(step).locator("svg")
            assert svg.get_attribute("role") == "img" and len(svg.get_attribute("aria-label")) > 20
            seen.add((svg.get_attribute("aria-label"), svg.inner_html().replace(f"-{step}-", "-")))
        assert len(seen) == labels.count()


def test_a_moving_figure_is_operated_by_arrow_keys(open_page):
    page = open_page("book/index.html")
    figure = page.locator("fieldset.pt-moving").first
    figure.locator("input").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    frames = figure.locator(".pt-frame")
    assert [k for k in range(frames.count()) if frames.nth(k).is_visible()] == [2]


def test_the_first_page_offers_a_moving_figure_and_the_chapters(site):
    text = (site / "book" / "index.html").read_text()
    assert 'class="pt-moving"' in text and 'href="architecture_diagram.html"' in text


def test_the_ledger_can_be_narrowed_and_its_links_always_open_their_row(open_page):
    page = open_page("book/claims.html")
    rows = page.locator(".pt-claim")
    total = rows.count()
    page.locator('select[data-filter="verdict"]').select_option("wrong")
    shown = [row for row in rows.all() if row.is_visible()]
    assert 0 < len(shown) < total
    assert all(row.get_attribute("data-verdict") == "wrong" for row in shown)
    assert f"{len(shown)} of {total}" in page.locator(".pt-filter output").inner_text()
    hidden = next(row for row in rows.all() if not row.is_visible()).get_attribute("id")
    page.evaluate(f"location.hash = '{hidden}'")
    page.wait_for_function(f"!document.getElementById('{hidden}').hidden")
    page.wait_for_function(f"Math.abs(document.getElementById('{hidden}').getBoundingClientRect().top) < 200")


def test_with_several_chapters_the_ledger_can_be_narrowed_to_one(open_page, two_chapters):
    page = open_page("book/claims.html", at=two_chapters)
    rows, sections = page.locator(".pt-claim"), page.locator("section:has(> .pt-claim)")
    page.locator('select[data-filter="chapter"]').select_option(label="second chapter")
    shown = [row.get_attribute("id") for row in rows.all() if row.is_visible()]
    assert shown == ["second-holds", "second-wrong"]
    *others, own = [part.is_visible() for part in sections.all()]
    assert own and others and not any(others)  # no heading without rows
    assert f"2 of {rows.count()}" in page.locator(".pt-filter output").inner_text()
    page.locator('select[data-filter="verdict"]').select_option("wrong")
    assert [row.get_attribute("id") for row in rows.all() if row.is_visible()] == ["second-wrong"]
    page.locator('select[data-filter="kind"]').select_option("mathematics")
    assert not any(row.is_visible() for row in rows.all()) and page.locator(".pt-filter").is_visible()
    page.locator('.bd-sidebar-secondary a[href="#heading-preface-and-the-figure"]').click()
    everything = f"'{rows.count()} of'"
    page.wait_for_function(
        f"document.querySelector('.pt-filter output').textContent.startsWith({everything})"
    )
    assert all(part.is_visible() for part in sections.all())


def test_without_scripts_several_chapters_show_every_row_and_no_dead_control(open_page, two_chapters):
    page = open_page("book/claims.html", at=two_chapters, scripts=False)
    assert all(row.is_visible() for row in page.locator(".pt-claim").all())
    assert not page.locator(".pt-filter").is_visible()


def test_the_ledger_offers_a_choice_of_chapter_only_where_there_are_several(open_page):
    page = open_page("book/claims.html")
    chapters = {row.get_attribute("data-chapter") for row in page.locator(".pt-claim").all()}
    offered = page.locator('select[data-filter="chapter"] option').count()
    assert offered == (len(chapters) + 1 if len(chapters) > 1 else 0)


def test_without_scripts_the_ledger_shows_every_row_and_no_dead_control(open_page):
    page = open_page("book/claims.html", scripts=False)
    assert all(row.is_visible() for row in page.locator(".pt-claim").all())
    assert not page.locator(".pt-filter").is_visible()


def test_the_kind_filter_and_a_link_in_the_address_work_too(open_page):
    page = open_page("book/claims.html#picture-credit")
    rows = page.locator(".pt-claim")
    page.locator('select[data-filter="kind"]').select_option("mathematics")
    assert {row.get_attribute("data-kind") for row in rows.all() if row.is_visible()} == {"mathematics"}


def test_badges_link_to_their_rows_and_rows_say_how_sources_were_read(site):
    index = (site / "book" / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'class="pt-badge-link" href="claims.html#([\w-]+)"', index)) >= {"figure-is-wrong"}
    assert 'href="claims.html"' not in "".join(re.findall(r'class="pt-badge-link" href="[^"]*"', index))
    ledger = (site / "book" / "claims.html").read_text(encoding="utf-8")
    for row in ledger.split('<article class="pt-claim"')[1:]:
        assert re.search(
            r"\((read in full text|read in a secondary source|abstract read|picture viewed|run, not read)\)",
            row,
        )


@pytest.mark.parametrize("name", PAGES)
def test_a_badge_is_named_by_its_verdict_and_its_claim(open_page, name):
    claim_of = {row.id: row.claim for row in claims.load()}
    page = open_page(name)
    for badge in page.locator(".pt-badge-link").all():
        claim = claim_of[badge.get_attribute("href").split("#")[1]]
        assert badge.get_attribute("aria-label") == f"{badge.inner_text().strip()}: {claim}"
    # Off by default in axe: the name of a control contains the words that one sees on it.
    found = Axe().run(page, context="article", options={"runOnly": ["label-content-name-mismatch"]}).response
    assert found["violations"] == []


TABLE = """<div class="pt-scroll pt-tall" tabindex="0" role="region" aria-label="Table: task, score">
<table class="table pt-table pt-sortable"><thead><tr><th scope="col">task</th><th scope="col">score</th></tr></thead>
<tbody><tr><td>b</td><td>1,234</td></tr><tr><td>a</td><td></td></tr><tr><td>d</td><td>−5.0</td></tr>
<tr><td>c</td><td>+9.5%</td></tr></tbody></table></div>"""


def test_a_sortable_table_is_sorted_by_keyboard_and_says_which_way(open_page):
    page = open_page("book/errata.html")
    page.evaluate("html => document.querySelector('article').insertAdjacentHTML('beforeend', html)", TABLE)
    assert page.locator(".pt-sortable button").count() == 0
    page.add_script_tag(url="../_static/papertrail.js")

    def shown():
        return "".join(page.locator(".pt-sortable tbody tr td:first-child").all_inner_texts())

    headings = page.locator(".pt-sortable th")
    assert shown() == "badc" and headings.nth(1).get_attribute("aria-sort") is None
    headings.nth(1).locator("button").focus()
    page.keyboard.press("Enter")
    assert shown() == "dcba" and headings.nth(1).get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert shown() == "bcda" and headings.nth(1).get_attribute("aria-sort") == "descending"
    headings.nth(0).locator("button").click()
    assert shown() == "abcd" and headings.nth(0).get_attribute("aria-sort") == "ascending"
    assert headings.nth(1).get_attribute("aria-sort") is None
    found = Axe().run(page, context=".pt-scroll").response["violations"]
    assert [violation["id"] for violation in found] == []


def test_our_own_script_stays_under_eight_kilobytes(site):
    ours = list((site / "_static").glob("papertrail*.js"))
    assert [path.name for path in ours] == ["papertrail.js"]
    assert ours[0].stat().st_size < 8_000


@pytest.mark.parametrize("name", PAGES)
def test_a_pages_own_content_is_light(site, name):
    """Own content at most 150 KB compressed, each moving figure at most 30 KB."""
    text = (site / name).read_text(encoding="utf-8")
    assert len(gzip.compress(text.encode())) <= 150_000
    for part in text.split('<fieldset class="pt-moving">')[1:]:
        assert len(gzip.compress(part.split("</fieldset>")[0].encode())) <= 30_000


@pytest.mark.parametrize("name", PAGES)
def test_only_pages_with_formulas_load_mathjax(site, name):
    text = (site / name).read_text(encoding="utf-8")
    assert ("mathjax/startup.js" in text) is ('class="math ' in text)


@pytest.mark.parametrize("width", [390, 800, 1000, 1280])
def test_one_button_for_the_search_is_in_sight_and_no_empty_bar(open_page, width):
    page = open_page("book/errata.html", width=width)
    buttons = page.locator("button.search-button, button.search-button__button").all()
    assert sum(button.is_visible() for button in buttons) == 1
    assert page.locator("#pst-header").evaluate("bar => getComputedStyle(bar).display") == "none"


@pytest.mark.parametrize("word", ["归一化", "层归一化", "预热", "残差", "崩溃", "网络", "学习率"])
def test_the_search_finds_chinese_terms_by_their_parts(open_page, word):
    page = open_page(f"search.html?q={word}")
    page.locator("#search-results li a").first.wait_for()
    found = page.locator("#search-results li a").evaluate_all(
        "links => links.map(a => a.getAttribute('href'))"
    )
    assert any(address.startswith("book/glossary.html") for address in found)


@pytest.mark.parametrize(
    ("query", "page"),
    [("warmup", "layer_norm_placement"), ("preln", "layer_norm_placement"), ("finetuning", "ulmfit")],
)
def test_the_search_finds_a_compound_written_as_one_word(open_page, query, page):
    found = open_page(f"search.html?q={query}")
    found.locator(f'#search-results li a[href^="book/{page}.html"]').first.wait_for()


def test_the_search_still_tells_words_apart(open_page):
    page = open_page("search.html?q=热预")  # the characters of a term, in an order that no page has
    page.get_by_text("did not match any documents").wait_for()
    assert page.locator("#search-results li a").count() == 0


def test_chinese_terms_carry_their_language(site):
    text = (site / "book" / "glossary.html").read_text(encoding="utf-8")
    assert text.count('lang="zh"') >= 20
