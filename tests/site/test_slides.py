"""Slides: everything on them fits, can be read from the back of a room, and needs no network."""

import pytest
from site_pages import CHAPTERS

import make_slides
from papertrail.slides.deck import paged
from papertrail.slides.text import blocks, points, sentences

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
  for (const picture of slide.querySelectorAll("svg:not([aria-label])")) found.push("no alternative text");
  return found;
}"""


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
