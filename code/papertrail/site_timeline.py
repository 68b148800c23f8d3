"""The course on one page: a timeline drawn from book/timeline.yml, one lane for each chapter.

The drawing is the list itself: dots, lanes and dates are the items' own boxes, so it reads in order aloud, grows with
the letters, and prints.
"""

import datetime
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from papertrail.claims import book_folder
from papertrail.translated_blocks import CHINESE_PAGES, FOLDER, is_chinese
from papertrail.translations import MONTHS, load_entries

WHEN = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")
COURSE = "index"  # the "chapter" of what belongs to the whole course


@dataclass(frozen=True)
class Event:
    """One line of the timeline.

    Attributes:
        when: a year, a month or a day: "1981", "2015-02", "1991-03-26".
        chapter: the notebook that tells it, or "index" for the course itself.
        cite: a key of references.bib.
        what: what happened, a sentence in Markdown.
        turn: does its chapter turn on it?
    """

    when: str
    chapter: str
    cite: str
    what: str
    turn: bool = False


def timeline_file() -> Path:
    """Where the events stand."""
    return book_folder() / "timeline.yml"


def in_words(when: str) -> str:
    """ "1991-03-26" -> "26 March", "2015-02" -> "February", "1981" -> "": what follows the year."""
    _, month, day = (*when.split("-"), "", "")[:3]
    return " ".join(part for part in (day.lstrip("0"), MONTHS[int(month) - 1] if month else "") if part)


def in_chinese(when: str) -> str:
    """ "1991-03-26" -> "3月26日", "2015-02" -> "2月", "1981" -> "": what follows the year in Chinese."""
    parts = when.split("-")[1:]
    return "".join(f"{int(part)}{unit}" for part, unit in zip(parts, "月日", strict=False))


def event_of(row: dict, place: str) -> Event:
    """An event from a row of the file.

    Raises:
        ValueError: naming the row and what is wrong with it.
    """
    known = {field.name for field in fields(Event)}
    wanted = known - {"turn"}
    if not isinstance(row, dict) or not wanted <= set(row) <= known:
        found = ", ".join(row) if isinstance(row, dict) else repr(row)
        raise ValueError(
            f"{place}: got {found}; wanted are {', '.join(sorted(wanted))}, and turn if it is one"
        )
    when = str(row["when"])
    try:
        if (match := WHEN.fullmatch(when)) is None:
            raise ValueError
        year, month, day = (int(part or 1) for part in match.groups())
        datetime.date(year, month, day)
    except ValueError:
        raise ValueError(
            f"{place}: when: got {when!r}; allowed are a year, year-month or year-month-day"
        ) from None
    return Event(when, row["chapter"], row["cite"], row["what"], row.get("turn", False))


def load_events(path: Path | None = None) -> list[Event]:
    """The timeline's events, in order.

    Raises:
        ValueError: a row is not in order of time or not as `Event` wants it.
    """
    path = path or timeline_file()
    rows = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    events = [event_of(row, f"{path.name}, row {number}") for number, row in enumerate(rows, 1)]
    for number, (one, other) in enumerate(zip(events, events[1:], strict=False), 2):
        if other.when < one.when[: len(other.when)]:
            raise ValueError(f"{path.name}, row {number}: {other.when} stands after {one.when}")
    return events


def chapters_of(toc: Path) -> list[str]:
    """The numbered chapters of a table of contents, by the names of their notebooks."""
    parts = yaml.safe_load(toc.read_text(encoding="utf-8"))["parts"]
    return [Path(row["file"]).name for part in parts if part.get("numbered") for row in part["chapters"]]


def opening(event: Event, lane: int, new_year: bool, title: str, chinese_from: str | None = None) -> str:
    """The item's date and its dot, which leads to the chapter; lane 0 is the course's own.

    Args:
        chinese_from: on a page in Chinese the way from there to the chapter's page, such as "../"; None in English.
    """
    year, chinese = event.when[:4], chinese_from is not None
    rest = in_chinese(event.when) if chinese else in_words(event.when)
    shown = f'<span class="pt-year{"" if new_year else " pt-same"}">{year}</span>'
    name = f"Chapter {lane}: {title}" if lane else title
    if chinese:
        name = f"第 {lane} 章" if lane else "整门课"
    name = html.escape(name)
    classes = "pt-event pt-turn" if event.turn else "pt-event"
    return (
        f'<li class="{classes}" style="--lane: {lane}"><time datetime="{event.when}">{shown} {rest}</time>'
        f'<a class="pt-dot" href="{chinese_from or ""}{event.chapter}.html" title="{name}" aria-label="{name}">'
        f'{lane or "★"}</a><div class="pt-what">'
    )


class TimelineDirective(SphinxDirective):
    """`{timeline}`: the events of book/timeline.yml as a list that is drawn."""

    def run(self) -> list[nodes.Node]:
        """The timeline, read anew whenever the events or the table of contents change."""
        self.env.note_dependency(str(timeline_file()))
        toc = Path(self.env.srcdir) / "_toc.yml"
        self.env.note_dependency(str(toc))
        if is_chinese(self.env.docname):
            self.env.note_dependency(str(book_folder() / FOLDER / "timeline.yml"))
        try:
            return self.drawn(load_events(), chapters_of(toc))
        except ValueError as error:
            raise self.error(str(error)) from None

    def drawn(self, events: Sequence[Event], chapters: Sequence[str]) -> list[nodes.Node]:
        """The events as a list of HTML, a lane for each chapter.

        Raises:
            ValueError: an event belongs to no chapter.
        """
        found: list[nodes.Node] = [raw(f'<ol class="pt-trail" style="--lanes: {len(chapters)}">')]
        year = ""
        for event in events:
            if event.chapter not in (COURSE, *chapters):
                raise ValueError(
                    f"chapter: got {event.chapter!r}; allowed are {', '.join((COURSE, *chapters))}"
                )
            lane = 0 if event.chapter == COURSE else chapters.index(event.chapter) + 1
            title = "The whole course" if not lane else event.chapter.replace("_", " ")
            found.append(raw(opening(event, lane, event.when[:4] != year, title, self.way_to(event.chapter))))
            found += self.parse_text_to_nodes(f"{self.told(event)} {{cite:p}}`{event.cite}`")
            found.append(raw("</div></li>"))
            year = event.when[:4]
        return [*found, raw("</ol>")]

    def way_to(self, chapter: str) -> str | None:
        """On a page in Chinese: the way to the chapter's Chinese page, or to its English one; None in English."""
        if not is_chinese(self.env.docname):
            return None
        return "" if f"{CHINESE_PAGES}{chapter}" in self.env.found_docs else "../"

    def told(self, event: Event) -> str:
        """What happened, in the page's language; where that is not translated, in English and marked as such."""
        if not is_chinese(self.env.docname):
            return event.what
        entry = load_entries(book_folder(), "timeline").get(event.cite)
        return entry["what"] if entry else f"[{event.what}]{{.language-en}}"


def raw(text: str) -> nodes.raw:
    """HTML as it is."""
    return nodes.raw("", text, format="html")


def register(app: Sphinx) -> None:
    """Let pages show the timeline."""
    app.add_directive("timeline", TimelineDirective)
