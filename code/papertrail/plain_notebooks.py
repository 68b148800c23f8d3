"""The book's notebooks in Markdown that any Jupyter shows: for learners, who read them where no site is built.

    .venv/bin/python -m papertrail.plain_notebooks FOLDER [--replace]

The book is written for the site's builder, whose badges, citations, glossary links, folds and exercises are bare
markup anywhere else: JupyterLab would show the answers of each self-check unfolded. This writes every notebook of
the book to FOLDER with those parts spelled out. Code and outputs stay as they are. A notebook that is already there
is kept, since it may hold somebody's work; with --replace it is written anew.
"""

import argparse
import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from papertrail import claims
from papertrail.bibliography import Work, load_works

ROLE = re.compile(r"\{(claim|term|cite:t|cite:p|doc|ref)\}`([^`]+)`")
FENCE = re.compile(r"(?m)^(?P<bar>`{3,}|:{3,})(?P<head>[^\n]*)\n(?P<body>.*?)^(?P=bar)[ \t]*$\n?", re.DOTALL)
OPTION = re.compile(r"\A:(\w+):[ \t]*(.*)\n?", re.MULTILINE)
PAGE_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[\w/]+\.md(?:#[\w-]+)?\)")
LANGUAGE = re.compile(r"\[([^\]]+)\]\{\.language-\w+\}")
LABEL = re.compile(r"^\(([\w-]+)\)=[ \t]*\n", re.MULTILINE)
DIRECTIVE = re.compile(r"\{(\w+)\}\s*(.*)")


@dataclass
class Course:
    """What the notebooks' markup refers to."""

    rows: Mapping[str, claims.Claim]
    evidence: Mapping[str, Mapping[str, Any]]
    works: Mapping[str, Work]
    terms: Mapping[str, str]  # the glossary: a term in lower case -> what it means
    titles: Mapping[str, str]  # a notebook's name -> its title
    places: Mapping[str, tuple[str, str]]  # a label -> the file of a notebook, and the heading in it


@dataclass
class Reading:
    """What one notebook has referred to so far."""

    course: Course
    exercises: dict[str, int] = field(default_factory=dict)  # label -> number
    words: dict[str, str] = field(default_factory=dict)  # term -> what it means
    cited: dict[str, Work] = field(default_factory=dict)


def load_course(book: Path) -> Course:
    """The ledger, the bibliography and the glossary of a book/ folder.

    Raises:
        LedgerError, ValueError: a row or an entry is malformed.
    """
    rows = {row.id: row for row in claims.load(book / "claims")}
    glossary = load_terms((book / "glossary.md").read_text(encoding="utf-8"))
    titles, places = load_places(book)
    return Course(
        rows,
        claims.load_evidence(book / "claims"),
        load_works(book / "references.bib"),
        glossary,
        titles,
        places,
    )


def load_places(book: Path) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """The titles of the book's notebooks by name, and the headings that have a label, by label."""
    titles: dict[str, str] = {}
    places: dict[str, tuple[str, str]] = {}
    for path in sorted([*book.glob("*.ipynb"), *book.glob("exercises/*.ipynb")]):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        if title := re.search(r"(?m)^# (.+)$", text):
            titles[str(path.relative_to(book).with_suffix(""))] = title[1]
        for label, heading in re.findall(LABEL.pattern + r"\s*#+ (.+)", text, re.MULTILINE):
            places[label] = (path.name, heading)
    return titles, places


def load_terms(page: str) -> dict[str, str]:
    """The glossary page's terms, in lower case, with what each means. Terms in two languages share a meaning."""
    found: dict[str, str] = {}
    for block in re.findall(r"(?ms)^```\{glossary\}\n(.*?)^```", page):
        for entry in re.split(r"\n\s*\n", block.strip()):
            lines = entry.splitlines()
            meaning = " ".join(line.strip() for line in lines if line.startswith(" "))
            found |= {line.strip().lower(): meaning for line in lines if not line.startswith(" ")}
    return found


def plain(text: str, reading: Reading) -> str:
    """The text of one cell without the builder's markup.

    Raises:
        KeyError: it refers to a claim, a term, a work or an exercise that does not exist, or to a directive that
            is not known here; the message names it.
    """
    parts, at = [], 0
    for block in FENCE.finditer(text):
        parts.append(_plain_line(text[at : block.start()], reading))
        parts.append(_plain_block(block, reading))
        at = block.end()
    return "".join(parts) + _plain_line(text[at:], reading)


def _plain_line(text: str, reading: Reading) -> str:
    """Text outside of blocks. Links to pages that are no notebooks, and the marks of a language, leave their text."""
    text = ROLE.sub(lambda role: ROLES[role[1]](role[2], reading), text)
    text = LABEL.sub("", text)
    return LANGUAGE.sub(r"\1", PAGE_LINK.sub(r"\1", text))


def _plain_block(block: re.Match[str], reading: Reading) -> str:
    directive = DIRECTIVE.match(block["head"])
    if not directive:
        return block[0]  # a listing
    name, title = directive.groups()
    if name not in DIRECTIVES:
        raise KeyError(f"directive: {name!r} is not known to papertrail.plain_notebooks")
    options, body = {}, block["body"]
    while option := OPTION.match(body):
        options[option[1]] = option[2].strip()
        body = body[option.end() :]
    return DIRECTIVES[name](_plain_line(title, reading), options, body.strip(), reading)


def _claim(name: str, reading: Reading) -> str:
    return f"[**{verdict(_look_up(reading.course.rows, name, 'claim'))}**](#Verdict)"


def verdict(row: claims.Claim) -> str:
    """A verdict in words."""
    return row.verdict.replace("-", " ")


def _term(text: str, reading: Reading) -> str:
    shown, name = _target(text)
    reading.words[name] = _look_up(reading.course.terms, name.lower(), "term")
    return f"[{shown}](#Words)"


def _cite(text: str, reading: Reading, *, in_text: bool) -> str:
    works = [_look_up(reading.course.works, key.strip(), "work") for key in text.split(",")]
    reading.cited |= {work.key: work for work in works}
    if in_text:
        return ", ".join(work.cited(in_text=True) for work in works)
    return f"({'; '.join(work.cited(in_text=False) for work in works)})"


def _doc(text: str, reading: Reading) -> str:
    shown, target = _target(text)
    title = _look_up(reading.course.titles, target, "notebook")
    return f"[{title if shown == target else shown}]({target}.ipynb)"


def _ref(text: str, reading: Reading) -> str:
    """An exercise of this notebook by its number; a heading by its name, as a link."""
    shown, label = _target(text)
    if label in reading.exercises:
        return str(reading.exercises[label])
    file, heading = _look_up(reading.course.places, label, "exercise or heading")
    return f"[{heading if shown == label else shown}]({file}#{heading.replace(' ', '-')})"


def _target(text: str) -> tuple[str, str]:
    """ "shown <name>" -> (shown, name); "name" -> (name, name)."""
    both = re.fullmatch(r"(.+?)\s*<(.+)>", text)
    return (both[1], both[2]) if both else (text, text)


def _look_up(known: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in known:
        raise KeyError(f"{kind}: there is none called {name!r}")
    return known[name]


def _dropdown(title: str, options: Mapping[str, str], body: str, reading: Reading) -> str:
    summary = re.sub(r"`([^`]+)`", lambda code: f"<code>{html.escape(code[1])}</code>", title)
    return f"<details><summary>{summary}</summary>\n\n{plain(body, reading)}\n\n</details>\n\n"


def _exercise(title: str, options: Mapping[str, str], body: str, reading: Reading) -> str:
    number = reading.exercises[options["label"]]
    return f"### Exercise {number}: {title}\n\n{plain(body, reading)}\n\n"


def _ledger(chapter: str, options: Mapping[str, str], body: str, reading: Reading) -> str:
    rows = [row for row in reading.course.rows.values() if row.chapter == chapter]
    lines = ["| verdict | claim | what was found |", "|---|---|---|"]
    for row in rows:
        found = row.sentence(reading.course.evidence.get(row.id, {})) if row.check else row.says
        claim, found = (_plain_line(text, reading).replace("|", r"\|") for text in (row.claim, found))
        lines.append(f"| **{verdict(row)}** | {claim} | {found} |")
    return "\n".join(lines) + "\n\n"


ROLES: Mapping[str, Callable[[str, Reading], str]] = {
    "claim": _claim,
    "term": _term,
    "cite:t": lambda text, reading: _cite(text, reading, in_text=True),
    "cite:p": lambda text, reading: _cite(text, reading, in_text=False),
    "doc": _doc,
    "ref": _ref,
}
DIRECTIVES = {"dropdown": _dropdown, "exercise": _exercise, "ledger": _ledger}


def plain_notebook(notebook: dict[str, Any], course: Course) -> dict[str, Any]:
    """A notebook (nbformat 4, as JSON) whose text needs no builder. At its end it explains its words and names its
    sources. A notebook without the builder's markup comes back as it is.

    Raises:
        KeyError: as `plain`.
    """
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    is_text = [cell["cell_type"] == "markdown" for cell in notebook["cells"]]
    everything = "\n\n".join(text for text, said in zip(texts, is_text, strict=True) if said)
    labels = re.findall(r"(?m)^`{3,}\{exercise\}.*\n:label: (\S+)", everything)
    reading = Reading(course, {label: number for number, label in enumerate(labels, start=1)})
    cells = [
        cell | {"source": plain(text, reading).splitlines(keepends=True)} if said else cell
        for cell, text, said in zip(notebook["cells"], texts, is_text, strict=True)
    ]
    if appendix := _appendix(reading):
        cells.append(
            {
                "cell_type": "markdown",
                "id": "words-and-sources",
                "metadata": {},
                "source": appendix.splitlines(True),
            }
        )
    return notebook | {"cells": cells}


def _appendix(reading: Reading) -> str:
    parts = []
    if reading.words:
        lines = [
            f"- **{word}**: {_plain_line(text, reading)}" for word, text in sorted(reading.words.items())
        ]
        parts.append("## Words\n\n" + "\n".join(lines))
    if reading.cited:
        works = sorted(reading.cited.values(), key=lambda work: (work.who.lower(), work.year))
        lines = [f"- {work.cited(in_text=True)}. *{work.title}*" for work in works]
        parts.append("## Sources\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _made_from(copy: Path) -> str | None:
    """What a copy remembers of its source; None where it remembers nothing or is no notebook any more."""
    try:
        return json.loads(copy.read_text(encoding="utf-8"))["metadata"]["papertrail"]["made_from"]
    except (ValueError, KeyError, TypeError):
        return None


def write_plain(path: Path, target: Path, course: Course, *, replace: bool) -> str:
    """Write one notebook of the book to `target` and say in a line what was done; nothing is half written.

    The copy remembers in its metadata what it was made from, so that a later call can say that it is old. A notebook
    without the builder's markup, as all assignments are, is copied byte for byte.

    Raises:
        KeyError: as `plain`; the message names the notebook too.
    """
    text = path.read_text(encoding="utf-8")
    made_from = hashlib.sha256(text.encode()).hexdigest()[:16]
    if target.exists() and not replace:
        if _made_from(target) in (None, made_from):
            return f"{target}: kept as it is"
        return (
            f"{target}: kept as it is, though the course's notebook has changed; rename it to get the new one"
        )
    notebook = json.loads(text)
    try:
        made = plain_notebook(notebook, course)
    except KeyError as error:
        raise KeyError(f"{path.name}: {error.args[0]}") from None
    if made["cells"] != notebook["cells"]:
        made["metadata"] = made["metadata"] | {"papertrail": {"made_from": made_from}}
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)
    return f"{target}: written"


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m papertrail.plain_notebooks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--replace", action="store_true", help="write notebooks anew that are already there")
    given = parser.parse_args(arguments)
    book = claims.book_folder()
    course = load_course(book)
    for path in sorted([*book.glob("*.ipynb"), *book.glob("exercises/*.ipynb")]):
        target = given.folder / path.relative_to(book)
        print(write_plain(path, target, course, replace=given.replace))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
