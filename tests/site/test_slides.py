"""Slides: everything on them fits, can be read from the back of a room, and needs no network."""

import pytest
from site_pages import CHAPTERS

import make_slides
from papertrail.slides.deck import paged
from papertrail.slides.text import blocks, lead_of, points, sentences

LOOK = """() => {
  const slide = Reveal.getCurrentSlide().querySelector(".pt-slide"), edge = slide.getBoundingClientRect(), found = [];
  if (slide.scrollHeight > slide.clientHeight + 1 || slide.scrollWidth > slide.clientWidth + 1) found.push("overflows");
  for (const element of slide.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    const seen = box.width && box.height && getComputedStyle(element).opacity !== "0"
      && !element.closest("mjx-assistive-mml");
    if (seen && (box.bottom > edge.bottom + 1 || box.right > edge.right + 1))
      found.push(`over the edge: ${element.outerHTML.slice(0, 60)}`);
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const size = parseFloat(getComputedStyle(element).fontSize);
    if (seen && own && !element.closest("svg, mjx-container") && size < 24)
      found.push(`${size}: ${element.textContent.slice(0, 40)}`);
  }
  for (const word of slide.querySelectorAll("svg text")) {
    const svg = word.ownerSVGElement, box = svg.viewBox.baseVal;
    if (!word.getClientRects().length) continue;
    const scale = Math.min(svg.clientWidth / box.width, svg.clientHeight / box.height);
    const size = parseFloat(getComputedStyle(word).fontSize) * scale;
    if (size < SMALLEST) found.push(`${size} in a figure: ${word.textContent.slice(0, 40)}`);
  }
  for (const picture of slide.querySelectorAll("svg:not([aria-label])")) found.push("no alternative text");
  return found;
}""".replace("SMALLEST", "14")


@pytest.fixture(scope="module")
def slides(site, tmp_path_factory):
    """The folder of slides."""
    folder = tmp_path_factory.mktemp("slides")
    assert make_slides.main(["--site", str(site), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def show(chromium, slides):
    contexts = []

    def show_(chapter):
        contexts.append(chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True))
        page = contexts[-1].new_page()
        page.problems = []
        page.on("requestfailed", lambda request: page.problems.append(request.url))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(slides.as_uri()) else page.problems.append(request.url)
            ),
        )
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda said: page.problems.append(said.text) if said.type == "error" else None)
        page.goto((slides / f"{chapter}.html").as_uri())
        page.wait_for_function("window.Reveal?.isReady()")
        return page

    yield show_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_slide_fits_and_can_be_read(show, chapter):
    page = show(chapter)
    total, figures = page.evaluate("Reveal.getTotalSlides()"), page.locator("svg[role=img]").count()
    assert 20 < total < 80 and figures > 10
    wrong = {}
    for i in range(total):
        page.evaluate(f"Reveal.slide({i})")
        if found := page.evaluate(LOOK):
            wrong[i + 1] = found
    assert wrong == {} and page.problems == []
    unread = page.evaluate(
        r"""[...document.querySelectorAll('.pt-said')].map(e => e.textContent)
            .filter(text => /\{\w+(:\w+)?\}`|:::/.test(text))"""
    )
    assert unread == []


def test_keys_turn_slides_and_move_figures_and_a_presenter_is_never_stuck(show):
    page = show("layer_norm_placement")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.getIndices().h") == 1
    at = page.evaluate("Reveal.getSlides().findIndex(slide => slide.querySelector('.pt-moving'))")
    page.evaluate(f"Reveal.slide({at})")
    figure = page.locator("section.present .pt-moving")
    figure.locator("label").nth(1).click()
    assert [f.is_visible() for f in figure.locator(".pt-frame").all()][:3] == [False, True, False]
    page.keyboard.press("ArrowRight")
    assert figure.locator(".pt-frame").nth(2).is_visible() and page.evaluate("Reveal.getIndices().h") == at
    page.keyboard.press("PageDown")
    assert page.evaluate("Reveal.getIndices().h") == at + 1
    assert page.locator("mjx-container").count() > 3


def test_no_question_has_its_answer_on_the_slide(show):
    page = show("ulmfit")
    shown = page.evaluate(
        """[...document.querySelectorAll('section')]
            .filter(s => s.querySelector('h2')?.textContent.startsWith('Check yourself'))
            .map(s => s.querySelector('.pt-said').textContent)"""
    )
    assert len(shown) >= 3 and not any("Right." in text for text in shown)
    notes = page.evaluate("[...document.querySelectorAll('aside.notes')].map(e => e.textContent).join()")
    assert "Right." in notes


def test_the_first_slide_names_the_course_and_the_last_leads_back_and_cites(show, slides, site):
    page = show("gopher")
    first, last = page.locator(".slides > section").first, page.locator(".slides > section").last
    assert "The Transformer Paper Trail" in first.text_content()
    said = " ".join(last.text_content().split())
    assert "To cite: The Transformer Paper Trail's authors (20" in said and "CC BY 4.0" in said
    chapter, decks = (
        page.evaluate("link => link.href", link) for link in last.locator("li a").element_handles()
    )
    assert chapter == (site / "book" / "gopher.html").as_uri() and (site / "book" / "gopher.html").exists()
    page.goto(decks)
    links = page.locator("ol a")
    assert [link.get_attribute("href") for link in links.all()] == [f"{name}.html" for name in CHAPTERS]
    assert page.problems == []


def test_slides_link_to_the_sites_address_where_that_is_known(tmp_path, monkeypatch):
    assert make_slides.home_of(tmp_path / "a b", tmp_path / "slides") == "../a%20b"
    monkeypatch.setenv("PAPERTRAIL_ADDRESS", "https://a.b/")
    assert make_slides.home_of(tmp_path, tmp_path) == "https://a.b"


def test_a_sentence_of_few_words_is_never_alone():
    said = ["The weights.", "Everything above starts from Xavier's.", "Then the rates:"]
    assert lead_of(said, last=False) == "The weights. Everything above starts from Xavier's."
    assert lead_of(said, last=True) == "Everything above starts from Xavier's. Then the rates:"
    assert lead_of([said[0], "Long " * 40], last=False) == said[0] and lead_of([], last=True) == ""
    (block,) = blocks("**The task** (section 3). A sequence is drawn: that is all:")
    assert points(block) == ["**The task** (section 3). A sequence is drawn: that is all."]


def test_no_slide_begins_with_a_sentence_that_looks_back_or_is_said_again(show):
    page = show("ulmfit")
    later = "[...document.querySelectorAll('.pt-said')].filter(e => e.textContent.includes('An empty cell')).length"
    assert page.evaluate(later) == 0
    page = show("architecture_diagram")
    doubled = """[...document.querySelectorAll('.pt-said')].filter(e => {
      const lead = e.querySelector(':scope > p')?.textContent.trim();
      return lead && [...e.querySelectorAll('li')].some(item => item.textContent.includes(lead));
    }).map(e => e.textContent)"""
    assert page.evaluate(doubled) == []


def test_sentences_end_where_they_end():
    text = "Xiong et al. (2020) train both. It is 0.5 *for two. Not cut* here. Is it? Yes."
    assert sentences(text) == [
        "Xiong et al. (2020) train both.",
        "It is 0.5 *for two. Not cut* here.",
        "Is it?",
        "Yes.",
    ]


def test_a_point_is_the_ledgers_claim_or_a_bold_beginning_with_its_sentence():
    first, second, third = blocks(
        "**The shift.** One product does it. More.\n\n- *It holds* {claim}`row`\n\n**You will**"
    )
    assert points(first) == ["**The shift.** One product does it."]
    assert points(second) == ["{row}`row`"] and points(third) == []


def test_a_fence_without_an_end_is_named():
    with pytest.raises(ValueError, match="never closed"):
        list(blocks(":::{dropdown} Open\ntext"))


def test_points_are_spread_over_slides_evenly():
    assert [len(page) for page in paged(["one line"] * 12)] == [6, 6]


def test_an_unbuilt_site_is_named(tmp_path, capsys):
    assert make_slides.main(["--site", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "run `make book` first" in capsys.readouterr().err
