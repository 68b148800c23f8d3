"""The timeline: its dates against the bibliography, its order, what it refuses, and what a reader gets of it."""

import re

import pytest
import yaml

from papertrail.architecture_diagram.history import REVISIONS
from papertrail.site_timeline import COURSE, Event, chapters_of, in_chinese, in_words, load_events, opening

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
GOOD = {"when": "2017-06", "chapter": "one", "cite": "key", "what": "It began."}


@pytest.fixture
def entries(book):
    """The bibliography: key -> the text of its entry."""
    text = (book / "references.bib").read_text(encoding="utf-8")
    return {
        part.partition(",")[0].strip(): part for part in re.split(r"^@\w+\{", text, flags=re.MULTILINE)[1:]
    }


def posted(entry: str) -> str | None:
    """The month of an arXiv number, "1706.03762" -> "2017-06"."""
    found = re.search(r"(?:eprint *= *\{|arXiv:(?:preprint )?|arXiv preprint arXiv:)(\d\d)(\d\d)\.", entry)
    return found and f"20{found[1]}-{found[2]}"


def test_every_date_is_the_one_of_the_source(entries):
    checked = 0
    for event in load_events():
        entry = entries[event.cite]
        if month := posted(entry):
            assert event.when[:7] == month, event
            checked += 1
            continue
        years = [int(year) for year in re.search(r"year *= *\{([\d-]+)\}", entry)[1].split("--")]
        assert years[0] <= int(event.when[:4]) <= years[-1], event
        if len(event.when) > 4 and (month := re.search(r"month *= *(\w{3})", entry)):
            assert event.when[5:7] == f"{MONTHS.index(month[1]) + 1:02}", event
    assert checked >= 15


def test_days_are_those_of_the_code_and_the_bibliography(entries):
    days = {event.cite: event.when for event in load_events() if len(event.when) == 10}
    assert set(days) == {"schmidhuber1991fki", "tensor2tensor_code"}
    assert "26 March 1991" in entries["schmidhuber1991fki"] and days["schmidhuber1991fki"] == "1991-03-26"
    (moved,) = [one.date for one in REVISIONS if "d5bdfcc8" in one.commits]
    assert days["tensor2tensor_code"] == moved.isoformat()


def test_each_chapter_has_one_turn_and_several_events(root):
    events, chapters = load_events(), chapters_of(root / "_toc.yml")
    assert len(chapters) == 6
    assert sorted(event.chapter for event in events if event.turn) == sorted([COURSE, *chapters])
    assert {event.chapter for event in events} == {COURSE, *chapters}
    assert events[0].when == "1981" and events[-1].when >= "2025"


@pytest.mark.parametrize(
    ("when", "words"), [("1981", ""), ("2015-02", "February"), ("1991-03-06", "6 March")]
)
def test_a_date_in_words(when, words):
    assert in_words(when) == words


@pytest.mark.parametrize(("rows", "says"), [
    ([GOOD | {"when": "2017-13"}], "row 1: when: got '2017-13'; allowed are a year"),
    ([GOOD | {"when": "June 2017"}], "row 1: when: got 'June 2017'"),
    ([GOOD | {"when": "2017-02-30"}], "row 1: when: got '2017-02-30'"),
    ([GOOD, GOOD | {"when": "2016"}], "row 2: 2016 stands after 2017-06"),
    ([GOOD, GOOD | {"when": "2017-05"}], "row 2: 2017-05 stands after 2017-06"),
    ([GOOD | {"wat": "?"}], "row 1: got chapter, cite, wat, what, when; wanted are chapter, cite, what, when"),
    ([{"when": "2017"}], "row 1: got when; wanted"),
    (["2017"], "row 1: got '2017'; wanted"),
])  # fmt: skip
def test_a_row_that_cannot_be_drawn_is_named(tmp_path, rows, says):
    path = tmp_path / "timeline.yml"
    path.write_text(yaml.safe_dump(rows), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(says)):
        load_events(path)


def test_a_day_that_yaml_reads_as_a_date_stays_as_written(tmp_path):
    path = tmp_path / "timeline.yml"
    path.write_text(
        "- {when: 2017-06-12, chapter: one, cite: key, what: It began., turn: true}\n", encoding="utf-8"
    )
    assert load_events(path) == [Event("2017-06-12", "one", "key", "It began.", True)]


def test_a_dot_names_its_chapter_and_the_year_is_seen_once():
    event = Event("2017-06", "one", "key", "It began.")
    text = opening(event, 3, False, "on <this>")
    assert 'aria-label="Chapter 3: on &lt;this&gt;"' in text and 'href="one.html"' in text
    assert "pt-same" in text and ">2017<" in text and "June</time>" in text and "pt-turn" not in text
    assert "pt-same" not in opening(event, 3, True, "one")
    assert "pt-turn" in opening(Event("2017", COURSE, "key", "It began.", True), 0, True, "The whole course")


def test_the_page_shows_every_event_in_order_and_its_lanes_on_a_wide_screen_only(site):
    text = (site / "book/paper_trail.html").read_text(encoding="utf-8")
    assert re.findall(r'<time datetime="([^"]+)"', text) == [event.when for event in load_events()]
    lanes = [int(lane) for lane in re.findall(r"--lane: (\d)", text)]
    assert set(lanes) == set(range(7))
    links = re.findall(r'<a class="pt-dot" href="([^"]+)"', text)
    assert all((site / "book" / link).exists() for link in links) and len(links) == len(lanes)


@pytest.mark.parametrize(("when", "told"), [("1981", ""), ("2015-02", "2月"), ("1991-03-26", "3月26日")])
def test_a_date_is_told_in_chinese(when, told):
    assert in_chinese(when) == told
