"""Pages on paper: what a browser prints of them."""

import pytest
from site_pages import FILES

PAGES = [f"{name}.html" for name in FILES]
WIDTH = 665  # CSS pixels between the margins of an A4 sheet


@pytest.fixture
def printed(open_page):
    """A function that opens a page with dark colors, and shows it as it prints."""

    def open_(name):
        page = open_page(name, width=WIDTH, scheme="dark", until="load")
        page.evaluate("window.MathJax?.startup?.promise.then(() => true)")
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        return page

    return open_


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_light_whole_and_without_controls(printed, name):
    page = printed(name)
    dark = page.evaluate(
        """() => [...document.querySelectorAll("body, .bd-article *")].filter(element => {
            const [r, g, b, a = 1] = getComputedStyle(element).backgroundColor.match(/[\\d.]+/g).map(Number);
            return a > 0.5 && element.getClientRects().length && !element.closest("svg, .pt-dot")
                && r + g + b < 500;
        }).map(element => element.className)"""
    )
    assert dark == []
    wide = page.evaluate(
        """limit => [...document.querySelectorAll(".bd-article *")].filter(element =>
            !element.closest("mjx-container, svg") && element.getBoundingClientRect().right > limit + 1
        ).map(element => [element.tagName, element.className, element.textContent.slice(0, 40)])""",
        WIDTH,
    )
    assert wide == []
    formulas = "[...document.querySelectorAll('mjx-container')].map(f => f.getBoundingClientRect().right)"
    assert max(page.evaluate(formulas), default=0) <= WIDTH + 1
    controls = page.locator(
        "button, select, nav.bd-docs-nav, .bd-sidebar-primary, .prev-next-area, .headerlink"
    )
    # the headings of a sortable table are buttons, and print as the words that they are
    shown = [
        c.evaluate("e => !e.closest('th') && e.outerHTML.slice(0, 80)")
        for c in controls.all()
        if c.is_visible()
    ]
    assert [control for control in shown if control] == []


@pytest.mark.parametrize("name", [name for name in PAGES if "/" in name])
def test_no_question_prints_its_answer_beneath_it_and_none_is_lost(printed, name):
    page = printed(name)
    folds = page.locator(".bd-article details")
    assert all(not child.is_visible() for child in page.locator(".bd-article details > :not(summary)").all())
    options = [text.strip() for text in folds.locator("summary").all_text_contents()]
    held = page.locator(".pt-answers dd")
    assert held.count() == len(options)
    assert all(answer.is_visible() and len(answer.inner_text()) > 10 for answer in held.all())
    if options and options[0] != "Hint":
        assert [text.strip() for text in held.locator("> em:first-child").all_text_contents()] == options


def test_an_option_stands_beside_its_circle(printed):
    page = printed("book/gopher.html")
    left = "element => element.getBoundingClientRect().left"
    gaps = [
        option.locator(".sd-summary-text").evaluate(left) - option.evaluate(left)
        for option in page.locator("details.sd-dropdown > summary").all()
    ]
    assert len(gaps) > 10 and min(gaps) > 8


def test_what_belongs_together_stays_on_one_sheet(printed):
    page = printed("book/gopher.html")
    torn = "list => list.map(element => [element.querySelectorAll('tr').length, getComputedStyle(element).breakInside])"
    tables = page.eval_on_selector_all(".bd-article table", torn)
    assert {inside for rows, inside in tables if rows <= 13} == {"avoid"}
    assert {inside for rows, inside in tables if rows > 13} == {"auto"}
    leads = page.eval_on_selector_all(".bd-article p:has(+ div.cell .pt-figure)", torn)
    assert len(leads) > 5 and {inside for _, inside in leads} == {"avoid"}


def test_a_page_in_chinese_speaks_chinese_on_paper(printed):
    page = printed("book/zh/architecture_diagram.html")
    assert page.locator(".pt-answers > h2").inner_text() == "答案"
    notes = page.locator("details + .pt-paper-only a")
    assert set(notes.all_inner_texts()) == {"答案在本章末尾。"}
    assert page.locator(notes.first.get_attribute("href")).count() == 1
    moving = page.locator(".pt-moving").first.evaluate(
        "element => getComputedStyle(element.querySelector('legend'), '::after').content"
    )
    assert "印出" in moving and "moves" not in moving


@pytest.mark.parametrize("name", ["book/index.html", "book/gopher.html"])
def test_a_moving_figure_prints_its_first_and_last_step_under_their_names(printed, name):
    page = printed(name)
    for figure in page.locator("fieldset.pt-moving").all():
        frames, labels = figure.locator(".pt-frame"), figure.locator("> label").all_text_contents()
        shown = [k for k in range(frames.count()) if frames.nth(k).is_visible()]
        assert shown == [0, frames.count() - 1]
        assert figure.locator(".pt-step").all_text_contents() == [labels[0], labels[-1]]
        note = figure.evaluate(
            "element => getComputedStyle(element.querySelector('legend'), '::after').content"
        )
        assert "moves on the site" in note


def settled(page, look):
    """What a page looks like once its scripts have done their work: twice the same, half a second apart."""
    now = None
    for _ in range(60):
        before, now = now, page.evaluate(look)
        if now == before:
            break
        page.wait_for_timeout(500)
    return now


@pytest.mark.parametrize("name", ["book/layer_norm_placement.html", "book/exercises/gopher.html"])
def test_after_printing_the_page_is_what_it_was(open_page, name):
    page = open_page(name, scheme="dark", until="networkidle")
    # classes may stay, since they matter on paper alone; tabindex is set by the theme, and formulas are drawn by
    # MathJax, each at a time of its own
    look = r"""(() => {
        const article = document.querySelector('article').cloneNode(true);
        for (const formula of article.querySelectorAll('.math')) formula.replaceChildren();
        return article.innerHTML.replace(/ (class|tabindex)="[^"]*"/g, '') + document.documentElement.dataset.theme;
    })()"""
    before = settled(page, look)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(look) != before
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert settled(page, look) == before
