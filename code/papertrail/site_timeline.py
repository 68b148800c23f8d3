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

WHEN = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
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
    return book_folder() / "timeline.yml"


def in_words(when: str) -> str:
    """ "1991-03-26" -> "26 March", "2015-02" -> "February", "1981" -> "": what follows the year."""
    _, month, day = WHEN.fullmatch(when).groups()
    return " ".join(
        part for part in ((day or "").lstrip("0"), MONTHS[int(month) - 1] if month else "") if part
    )


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
    match = WHEN.fullmatch(when)
    try:
        datetime.date(*(int(part or 1) for part in match.groups()))
    except (AttributeError, ValueError):
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


def opening(event: Event, lane: int, new_year: bool, title: str) -> str:
    """The item's date and its dot, which leads to the chapter; lane 0 is the course's own."""
    year, rest = event.when[:4], in_words(event.when)
    shown = f'<span class="pt-year{"" if new_year else " pt-same"}">{year}</span>'
    name = f"Chapter {lane}: {title}" if lane else title
    classes = "pt-event pt-turn" if event.turn else "pt-event"
    return (
        f'<li class="{classes}" style="--lane: {lane}"><time datetime="{event.when}">{shown} {rest}</time>'
        f'<a class="pt-dot" href="{event.chapter}.html" title="{html.escape(name)}" aria-label="{html.escape(name)}">'
        f'{lane or "★"}</a><div class="pt-what">'
    )


class TimelineDirective(SphinxDirective):
    """`{timeline}`: the events of book/timeline.yml as a list that is drawn."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(timeline_file()))
        toc = Path(self.env.srcdir) / "_toc.yml"
        self.env.note_dependency(str(toc))
        try:
            return self.drawn(load_events(), chapters_of(toc))
        except ValueError as error:
            raise self.error(str(error)) from None

    def drawn(self, events: Sequence[Event], chapters: Sequence[str]) -> list[nodes.Node]:
        found: list[nodes.Node] = [raw(f'<ol class="pt-trail" style="--lanes: {len(chapters)}">')]
        year = ""
        for event in events:
            if event.chapter not in (COURSE, *chapters):
                raise ValueError(
                    f"chapter: got {event.chapter!r}; allowed are {', '.join((COURSE, *chapters))}"
                )
            lane = 0 if event.chapter == COURSE else chapters.index(event.chapter) + 1
            title = "The whole course" if not lane else event.chapter.replace("_", " ")
            found.append(raw(opening(event, lane, event.when[:4] != year, title)))
            found += self.parse_text_to_nodes(f"{event.what} {{cite:p}}`{event.cite}`")
            found.append(raw("</div></li>"))
            year = event.when[:4]
        return [*found, raw("</ol>")]


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def register(app: Sphinx) -> None:
    app.add_directive("timeline", TimelineDirective)
