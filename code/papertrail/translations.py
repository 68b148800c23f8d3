"""Translated pages and whether they still say what the English ones say (ours).

A page `book/zh/NAME.md` names its English source in its front matter (`translates: book/NAME.md`). Before each of its
blocks stands a mark with the fingerprint of the English block that it translates:

    % en: 1a2b3c4d5e
    这是一段译文。

The site's builder takes these lines out before it reads the page, so they may stand between the items of a list. When
the English block changes, its fingerprint does, and the translation is called stale. The code cells of a notebook are
not translated: the page shows each with a `{cell}` directive, straight from the notebook. What stands in data files
(the timeline, the ledger) is translated in `book/zh/*.yml`, each entry with the fingerprint of its English text.

`python -m papertrail.translations` lists what is missing, stale or left over, and exits with 1 if anything is.
`python -m papertrail.translations skeleton book/errata.md` prints where a new translation starts.
"""

import argparse
import difflib
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from papertrail.claims import Claim, book_folder, load

FOLDER = "zh"  # of the book: where translations stand
CHINESE_PAGES = f"book/{FOLDER}/"
MARK = re.compile(r"% en: ([0-9a-f]{10})")
CELL = re.compile(r"```\{cell\} (\w+) ([\w-]+)")
FENCE = re.compile(r"(`{3,}|:{3,}|\$\$)(.*)")
LEDGER = re.compile(r"```\{ledger\} (\w+)\n(.*?)```", re.DOTALL)
ITEM = re.compile(r"(?:[-*]|\d+\.) ")  # of a list
FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
DATE = re.compile(rf"(\d+) ({'|'.join(MONTHS)}) (\d{{4}})")
ENTRIES = "{glossary}"  # a directive whose entries are blocks of their own


@dataclass(frozen=True)
class Block:
    """A piece of an English page: prose, or a code cell that is shown as it is.

    Attributes:
        text: its source; that of a cell counts for nothing, since pages show the cell itself.
        cell: the id of a code cell, "" for prose.
    """

    text: str
    cell: str = ""

    @property
    def mark(self) -> str:
        """What ties a translation to the block: its fingerprint, or the cell's id."""
        return self.cell or fingerprint(self.text)


@dataclass(frozen=True)
class Translated:
    """A piece of a translated page.

    Attributes:
        mark: the fingerprint of the English block, or the id of the code cell that it shows.
        text: the translation; "" for a cell.
        line: where it stands in its file, from 1.
    """

    mark: str
    text: str
    line: int


@dataclass(frozen=True)
class Fault:
    """What is wrong with a translation.

    Attributes:
        kind: "missing", "stale", "extra" or "malformed".
        place: the file, with the line where there is one.
        detail: what a translator needs to mend it.
    """

    kind: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {self.detail}"


def is_chinese(docname: str) -> bool:
    """Is this page of the Chinese edition? `docname` is its path without a suffix, as Sphinx has it."""
    return docname.startswith(CHINESE_PAGES)


def fingerprint(text: str) -> str:
    """The first ten digits of the SHA-256 of a text, however its lines are broken."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:10]


def is_closing(line: str, opening: str) -> bool:
    """Does this line close the fence that `opening` opened?"""
    stripped = line.strip()
    return len(stripped) >= len(opening) and set(stripped) == {opening[0]}


def markdown_blocks(text: str) -> list[str]:
    """A page cut at its blank lines and items of lists; fences, formulas and what is indented under an item stay whole.

    The entries of a glossary are blocks of their own, and its fence is none.
    """
    blocks: list[str] = []
    lines: list[str] = []
    fence, entries = "", False

    def close() -> None:
        if lines:
            blocks.append("\n".join(lines))
            lines.clear()

    for line in FRONT.sub("", text).splitlines():
        if fence:
            ends = is_closing(line, fence)
            if entries and (ends or not line.strip()):
                close()
            else:
                lines.append(line)
            if ends:
                close()
                fence, entries = "", False
        elif (found := FENCE.match(line)) and not (found[1] == "$$" and found[2].strip()):
            close()
            fence, entries = found[1], found[2].strip() == ENTRIES
            if not entries:
                lines.append(line)
        elif line.strip():
            if ITEM.match(line):
                close()
            lines.append(line)
        else:
            close()
    close()
    return joined(blocks)


def joined(blocks: Sequence[str]) -> list[str]:
    """Blocks with those that are indented taken to the one before, which is a list."""
    found: list[str] = []
    for block in blocks:
        if found and block.startswith("  "):
            found[-1] += f"\n\n{block}"
        else:
            found.append(block)
    return found


def english_blocks(path: Path) -> list[Block]:
    """The blocks of an English page or notebook, in order.

    Raises:
        ValueError: the file is neither Markdown nor a notebook.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [Block(block) for block in markdown_blocks(text)]
    if path.suffix != ".ipynb":
        raise ValueError(f"path: got {path.name}; allowed are pages (.md) and notebooks (.ipynb)")
    found: list[Block] = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            found.append(Block(source, cell["id"]))
        else:
            found += [Block(block) for block in markdown_blocks(source)]
    return found


def translated_blocks(text: str) -> list[Translated]:
    """The marked blocks of a translated page, and the cells that it shows, in order."""
    found: list[Translated] = []
    mark, start, lines = "", 0, list[str]()

    def close() -> None:
        if mark:
            found.append(Translated(mark, "\n".join(lines).strip(), start))

    for number, line in enumerate(text.splitlines(), 1):
        if is_mark := MARK.fullmatch(line):
            close()
            mark, start, lines = is_mark[1], number, []
        elif cell := CELL.fullmatch(line):
            close()
            found.append(Translated(cell[2], "", number))
            mark = ""
        else:
            lines.append(line)
    close()
    return found


def front_matter(text: str) -> dict[str, Any]:
    """What a page says about itself between its first two lines of dashes; {} where it says nothing."""
    found = FRONT.match(text)
    return (yaml.safe_load(found[1]) or {}) if found else {}


def source_of(page: Path) -> Path:
    """The English file that a translated page names, which is beside the book's folder.

    Raises:
        ValueError: it names none, or one that is not there.
    """
    named = front_matter(page.read_text(encoding="utf-8")).get("translates")
    source = page.parents[2] / str(named)
    if not named or not source.is_file():
        raise ValueError(
            f"{page.name}: translates: got {named!r}; allowed is a page such as book/{page.stem}.md"
        )
    return source


def translated_pages(book: Path) -> list[Path]:
    """The translated pages of a book, by name."""
    return sorted((book / FOLDER).glob("*.md"))


def pairs(english: Sequence[Block], translated: Sequence[Translated]) -> list[tuple[Block, Translated]]:
    """The blocks that belong together, in order, by their marks."""
    return [
        (english[one + step], translated[other + step])
        for one, other, length in matcher(english, translated).get_matching_blocks()
        for step in range(length)
    ]


def matcher(english: Sequence[Block], translated: Sequence[Translated]) -> difflib.SequenceMatcher:
    """The comparison of two pages by their marks."""
    marks = [block.mark for block in english], [block.mark for block in translated]
    return difflib.SequenceMatcher(None, *marks, autojunk=False)


def faults_between(english: Sequence[Block], translated: Sequence[Translated], name: str) -> Iterator[Fault]:
    """What keeps a translation from saying what the English page says now, block by block.

    Args:
        name: the translated page's, for the places of its faults.
    """
    for what, start, end, first, last in matcher(english, translated).get_opcodes():
        if what == "equal":
            continue
        new, old = english[start:end], translated[first:last]
        for block, one in zip(new, old, strict=False):
            yield Fault("stale", f"{name}:{one.line}", f"{one.mark} is now {block.mark}:\n{block.text}")
        line = translated[first].line if first < len(translated) else 0
        for block in new[len(old) :]:
            yield Fault("missing", f"{name}:{line}" if line else name, f"{block.mark}:\n{block.text}")
        for one in old[len(new) :]:
            yield Fault("extra", f"{name}:{one.line}", f"{one.mark} stands nowhere in the English page")
    for one in translated:
        if not one.text and MARK.fullmatch(f"% en: {one.mark}"):
            yield Fault("missing", f"{name}:{one.line}", "there is a mark and no translation behind it")


def page_faults(page: Path) -> list[Fault]:
    """What is wrong with one translated page."""
    try:
        source = source_of(page)
    except ValueError as error:
        return [Fault("malformed", page.name, str(error))]
    translated = translated_blocks(page.read_text(encoding="utf-8"))
    return list(faults_between(english_blocks(source), translated, page.name))


def skeleton(source: Path) -> str:
    """A translation of a page before anything is translated: its blocks with their marks, its cells as they are shown.

    Args:
        source: the English page, in the book's folder.
    """
    name = source.stem
    lines = ["---", f"translates: {source.parent.name}/{source.name}"]
    described = front_matter(source.read_text(encoding="utf-8")) if source.suffix == ".md" else {}
    if described:
        lines += yaml.safe_dump(described, allow_unicode=True, sort_keys=False, width=1000).splitlines()
    lines += ["---", ""]
    before = ""
    for block in english_blocks(source):
        if block.cell:
            lines += [f"```{{cell}} {name} {block.cell}", "```", ""]
            continue
        if ITEM.match(block.text) and ITEM.match(before):
            lines.pop()  # a blank line would set a list's items apart
        lines += [f"% en: {block.mark}", block.text, ""]
        before = block.text
    return "\n".join(lines)


def load_entries(book: Path, name: str) -> dict[str, dict[str, str]]:
    """The translated entries of a data file, by their English key: `book/zh/<name>.yml`; {} without that file."""
    path = book / FOLDER / f"{name}.yml"
    return _read_entries(path, path.stat().st_mtime_ns) if path.exists() else {}


@lru_cache(maxsize=4)
def _read_entries(path: Path, date: int) -> dict[str, dict[str, str]]:
    """The entries of a file as they were at that date."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def entry_faults(english: Mapping[str, str], entries: Mapping[str, Mapping], name: str) -> Iterator[Fault]:
    """What is wrong with the translated entries of a data file.

    Args:
        english: key -> the English text.
        entries: key -> a mapping with the fingerprint `en`.
        name: the file's.
    """
    for key, text in english.items():
        mark = fingerprint(text)
        if key not in entries:
            yield Fault("missing", f"{name}, {key}", f"{mark}: {text}")
        elif str(entries[key].get("en")) != mark:
            yield Fault("stale", f"{name}, {key}", f"{entries[key].get('en')} is now {mark}: {text}")
    for key in entries:
        if key not in english:
            yield Fault("extra", f"{name}, {key}", "there is no such entry in English")


def english_events(book: Path) -> dict[str, str]:
    """The timeline's sentences by what they cite."""
    rows = yaml.safe_load((book / "timeline.yml").read_text(encoding="utf-8"))
    return {row["cite"]: row["what"] for row in rows}


def english_rows(book: Path) -> dict[str, str]:
    """Each row of the ledger by its id: the claim and what its check says, before numbers are filled in."""
    return {row.id: f"{row.claim} {row.says}" for row in load(book / "claims")}


def row_in_chinese(row: Claim, numbers: Mapping[str, Any]) -> tuple[str, str]:
    """A row's claim and what was measured, from `book/zh/ledger.yml`; in English and marked as such where it is not
    translated. Both are Markdown.

    Args:
        numbers: the stored numbers of the row's check.
    """
    entry = load_entries(book_folder(), "ledger").get(row.id)
    row_there = replace(row, says=entry["says"]) if entry else row
    says = row_there.sentence(dict(numbers)) if row.check else row_there.says
    if not entry:
        return f"[{row.claim}]{{.language-en}}", f"[{says}]{{.language-en}}"
    return entry["claim"], DATE.sub(lambda d: f"{d[3]} 年 {MONTHS.index(d[2]) + 1} 月 {d[1]} 日", says)


def rows_shown(book: Path) -> set[str]:
    """The ids of the ledger's rows that translated pages show."""
    chapters: dict[str, list[str]] = {}
    for row in load(book / "claims"):
        chapters.setdefault(row.chapter, []).append(row.id)
    found: set[str] = set()
    for page in translated_pages(book):
        for chapter, options in LEDGER.findall(page.read_text(encoding="utf-8")):
            chosen = re.search(r"^:ids: (.*)$", options, re.MULTILINE)
            found |= set(chosen[1].split() if chosen else chapters.get(chapter, []))
    return found


def all_faults(book: Path) -> list[Fault]:
    """What is wrong with the translations of a book."""
    found = [fault for page in translated_pages(book) for fault in page_faults(page)]
    found += entry_faults(english_events(book), load_entries(book, "timeline"), "timeline.yml")
    entries, shown = load_entries(book, "ledger"), rows_shown(book)
    rows = {key: text for key, text in english_rows(book).items() if key in shown or key in entries}
    return [*found, *entry_faults(rows, entries, "ledger.yml")]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 1 where something is missing, stale or left over."""
    parser = argparse.ArgumentParser(
        prog="papertrail.translations", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("command", nargs="?", choices=["check", "skeleton"], default="check")
    parser.add_argument("page", nargs="?", type=Path, help="an English page, for skeleton")
    given = parser.parse_args(arguments)
    if given.command == "skeleton":
        if given.page is None or not given.page.is_file():
            parser.error(f"page: got {given.page}; allowed is an English page such as book/errata.md")
        print(skeleton(given.page.resolve()))
        return 0
    book = book_folder()
    faults = all_faults(book)
    print("\n".join(map(str, faults)) or f"{len(translated_pages(book))} translated pages are up to date")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
