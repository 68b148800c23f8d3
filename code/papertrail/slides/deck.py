"""From a chapter's notebook to its slides.

The rule. A heading starts a slide, with the first sentence under it. A figure is a slide with the sentence before
it (a moving one brings its own question). At the end of a section come its points: formulas, the claims that the
section judges with their verdicts, bold beginnings. A question of "Check yourself" is a slide with its options. Small
tables are shown, exercises by their titles, and of the verdicts those that are not plain "holds". All other text goes
to the speaker notes of the slide it belongs to. The last slide leads back to the chapter, and says how to cite it.
"""

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import SlidesExporter

from papertrail import claims
from papertrail.site_citation import as_sentence
from papertrail.site_ledger import VERDICT_WORDS
from papertrail.slides.text import LEAD_LETTERS, Block, Roles, blocks, lead_of, plain, points, sentences

TEMPLATES = Path(__file__).parent
LINE, LINES = 62, 11  # characters on a line of points, and lines that fit under a heading
TABLE_ROWS, TABLE_LETTERS = 7, 80  # of a table that is read from the back: rows, and letters side by side
STEPS = 100  # letters of a moving figure's steps that fit in two lines above it
TALL, TALL_MOVING = 0.85, 0.72  # a figure that is higher than this share of its width stands beside the text


@dataclass
class Slide:
    """One slide: a title, Markdown beneath it, at most one picture or table as HTML, and Markdown for the speaker."""

    title: str
    text: str = ""
    picture: str = ""
    notes: list[str] = field(default_factory=list)


def pictures_of(cell: nbformat.NotebookNode) -> list[str]:
    """The figures and small tables among a cell's outputs, as HTML."""
    faces = ["".join(output.get("data", {}).get("text/html", "")) for output in cell.get("outputs", [])]
    return [face for face in faces if "<svg" in face or ("<table" in face and fits(face))]


def fits(table: str) -> bool:
    """Whether a table is small enough to be read from the back of a room."""
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("<tr>")[1:]]
    width = sum(max(map(len, column)) for column in zip(*rows, strict=True))
    return len(rows) <= TABLE_ROWS + 1 and width <= TABLE_LETTERS


def shape_of(picture: str) -> str:
    """The class that says how a picture is laid out: beside, below, or none."""
    if not picture:
        return "pt-words"
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture)
    tall = box and float(box[2]) / float(box[1]) > (TALL_MOVING if "pt-moving" in picture else TALL)
    steps = sum(map(len, re.findall(r"<label[^>]*>(.*?)</label>", picture)))
    return "pt-beside" if tall or steps > STEPS else "pt-below"


def room_for(line: str) -> int:
    """How many lines of a slide a point or a formula takes."""
    return 3 if line.startswith("$$") else 1 + len(plain(line)) // LINE


def paged(lines: Sequence[str]) -> list[list[str]]:
    """Points, parted so that each slide's fit under its heading, and none is much fuller than the others."""
    needs = [room_for(line) for line in lines]

    def fill(room: int) -> list[list[str]]:
        pages: list[list[str]] = []
        left = 0
        for line, need in zip(lines, needs, strict=True):
            if not pages or left < need:
                pages.append([])
                left = room
            pages[-1].append(line)
            left -= need
        return pages

    fewest = len(fill(LINES))
    return next(fill(room) for room in range(1, LINES + 1) if len(fill(room)) == fewest)


def as_list(lead: str, lines: Sequence[str]) -> str:
    """A sentence, formulas and points as Markdown."""
    formulas = [line for line in lines if line.startswith("$$")]
    listed = "\n".join(f"- {line}" for line in lines if line not in formulas)
    return "\n\n".join(part for part in (lead, *formulas, listed) if part)


class Deck:
    """Collects the slides of one chapter, cell by cell."""

    def __init__(self, rows: Sequence[claims.Claim], roles: Roles) -> None:
        self.rows, self.roles = rows, roles
        self.slides: list[Slide] = []
        self.title = ""
        self.pending: list[Block] = []
        self.points: list[str] = []  # of the section, in the order of the page
        self.opened = True  # whether the heading has its slide

    def read(self, notebook: nbformat.NotebookNode) -> list[Slide]:
        """The slides of a notebook.

        Raises:
            ValueError: a cell's Markdown is malformed, see `blocks`.
        """
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                for block in blocks(cell.source):
                    self._heading(
                        block
                    ) if block.kind == "heading" and block.level <= 2 else self.pending.append(block)
            else:
                for picture in pictures_of(cell):
                    self._picture(picture)
        self._close()
        return self.slides

    def _heading(self, block: Block) -> None:
        self._close()
        self.title, self.opened = block.title, False

    def _take(self) -> tuple[str, bool, list[str]]:
        """What waits: a sentence that leads to the slide, whether it opens the section, and all of it for the speaker.

        A sentence after the section's first list or table does not open it.
        """
        words = [block for block in self.pending if block.kind in ("paragraph", "item", "formula")]
        listed = next((i for i, block in enumerate(self.pending) if block.kind in ("item", "other")), None)
        opening, said = _said(self.pending[:listed]), _said(self.pending)
        lead = lead_of(said, last=True) if self.opened else lead_of(opening or said, last=False)
        for block in words:
            self.points += [block.text] if block.kind == "formula" else points(block)
        self.pending = []
        return lead, bool(opening), [block.text for block in words]

    def _add(self, text: str, picture: str = "", notes: Sequence[str] = ()) -> None:
        self.slides.append(Slide(self.title, text, picture, list(notes)))
        self.opened = True

    def _picture(self, picture: str) -> None:
        lead, _, notes = self._take()
        figure = "<svg" in picture and (
            "pt-moving" in picture or len(plain(self.roles.resolve(lead))) > LEAD_LETTERS
        )
        self._add("" if figure else lead, picture, notes)  # a long lead would make the figure small

    def _close(self) -> None:
        """The end of a section: its points become slides, and what is left goes to the speaker."""
        first = not self.slides
        if any(block.kind == "fold" for block in self.pending):
            self._questions()
        exercises = [block.title for block in self.pending if block.kind == "exercise"]
        ledger = any(block.kind == "ledger" for block in self.pending)
        lead, opens, notes = self._take()
        lead = "" if self.opened else lead
        listed = [self.roles.resolve(line) for line in dict.fromkeys(exercises or self.points)]
        self.points = []
        said = plain(self.roles.resolve(lead))
        if listed and (not opens or "{claim}" in lead or any(said in plain(line) for line in listed)):
            lead = ""  # a point says it better, or it looks back at what is not on the slide
        if ledger:
            self._verdict(lead, notes)
        elif listed and not first:
            for page in paged(listed):
                self._add(as_list(lead, page), notes=notes)
                lead, notes = "", []
        elif lead:
            self._add(lead, notes=notes)
        elif self.slides:
            self.slides[-1].notes += notes
        self.opened = True

    def _questions(self) -> None:
        starts = [i for i, block in enumerate(self.pending) if re.match(r"\*\*\d+\. ", block.text)]
        for start, end in zip(starts, [*starts[1:], len(self.pending)], strict=True):
            self._question(self.pending[start:end])
        self.pending = []

    def _question(self, asked: Sequence[Block]) -> None:
        folds = [block for block in asked if block.kind == "fold"]
        options = "\n".join(f"- {fold.title}" for fold in folds)
        notes = [f"- *{fold.title}* {fold.text}" for fold in folds]
        self._add(f"{asked[0].text.strip('*')}\n\n{options}", notes=notes)

    def _verdict(self, lead: str, notes: Sequence[str]) -> None:
        counts = Counter(row.verdict for row in self.rows)
        listed = [f"{counts[verdict]} {{verdict}}`{verdict}`" for verdict in VERDICT_WORDS if counts[verdict]]
        self._add(as_list(lead, listed), notes=notes)
        doubted = [f"{{row}}`{row.id}`" for row in self.rows if row.verdict in ("wrong", "imprecise")]
        for page in paged([self.roles.resolve(line) for line in doubted]):
            self._add(as_list("", page))


def _said(found: Sequence[Block]) -> list[str]:
    """The sentences of the paragraphs among these blocks, without those that point to a place on the page."""
    paragraphs = [block.text for block in found if block.kind == "paragraph"]
    return [one for text in paragraphs for one in sentences(text) if "{ref}" not in one]


def last_slide(title: str, chapter: str, citation: Mapping[str, Any], home: str) -> Slide:
    """Where the chapter is on the site, how to cite the course, and under which licences it is.

    Args:
        title: the chapter's.
        chapter: its name, such as "gopher".
        citation: as `site_citation.load_citation` gives it.
        home: the site's top folder, as seen from the slides' page, without a slash at the end.
    """
    link = f'<a href="{html.escape(home)}/book/{chapter}.html">{title}</a>'
    lines = (
        f"The chapter, with its text, code, exercises and answers: {link}",
        '<a href="index.html">Slides of the other chapters</a>',
        f"To cite: {as_sentence(dict(citation))}",
        "Text CC BY 4.0, code MIT",
    )
    return Slide("Where is the rest?", as_list("", lines))


def as_notebook(slides: Sequence[Slide], roles: Roles, title: str) -> nbformat.NotebookNode:
    """Slides as a notebook that nbconvert's exporter of slides understands.

    Raises:
        ValueError: as `Roles.resolve`.
    """
    notebook = nbformat.v4.new_notebook(metadata={"title": title})
    for i, slide in enumerate(slides):
        level = "#" if i == 0 else "##"
        source = roles.resolve(f"{level} {slide.title}\n\n{slide.text}")
        kind = "pt-first" if i == 0 else shape_of(slide.picture)
        cells = [(source, "slide")] + [(roles.resolve("\n\n".join(slide.notes)), "notes")] * bool(slide.notes)
        for said, role in cells:
            metadata = {
                "slideshow": {"slide_type": role},
                "shape": kind,
                "picture": slide.picture if role == "slide" else "",
            }
            notebook.cells.append(
                nbformat.v4.new_markdown_cell(said, metadata=metadata, id=f"slide-{i}-{role}")
            )
    return notebook


def write_slides(
    notebook: Path, out: Path, book: Path, static: str, *, citation: Mapping[str, Any], home: str
) -> tuple[str, int]:
    """Write a chapter's slides as one HTML page, through a temporary file; returns its title and how many there are.

    Args:
        notebook: the chapter, executed.
        out: the page.
        book: the folder with the ledger's rows and the bibliography.
        static: where the page finds style sheets, reveal.js and MathJax, relative to itself.
        citation, home: as for `last_slide`.

    Raises:
        ValueError: as `Deck.read` and `Roles.resolve`.
    """
    rows = claims.load(book / "claims")
    roles = Roles(rows, book / "references.bib")
    deck = Deck([row for row in rows if row.chapter == notebook.stem], roles)
    slides = deck.read(nbformat.read(notebook, as_version=4))
    slides.append(last_slide(slides[0].title, notebook.stem, citation, home))
    slides[0].text += f"\n\n{citation['title']}"
    exporter = SlidesExporter(
        extra_template_basedirs=[str(TEMPLATES)],
        template_name="template",
        reveal_url_prefix=f"{static}/reveal",
    )
    made = as_notebook(slides, roles, slides[0].title)
    page, _ = exporter.from_notebook_node(made, resources={"static": static})
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_suffix(".part")
    draft.write_text(page, encoding="utf-8")
    draft.replace(out)
    return slides[0].title, len(slides)
