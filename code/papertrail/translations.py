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
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from papertrail.claims import Claim, book_folder, load
from papertrail.translated_blocks import (
    FOLDER,
    ITEM,
    MARK,
    Block,
    Translated,
    english_blocks,
    fingerprint,
    front_matter,
    matcher,
    pairs,
    translated_blocks,
)
from papertrail.translated_numbers import missing_from, prose

TEXTS = ("claim", "says", "what")  # the fields of an entry that are translated
LEDGER = re.compile(r"```\{ledger\} (\w+)\n(.*?)```", re.DOTALL)
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
SENTENCE = re.compile(r"[A-Za-z]+(?: [A-Za-z]+){2}")  # three words: enough to say that a text is English
LISTED = re.compile(r"(?<=\d), (?=\d)")  # the comma between numbers that a check lists
DATE = re.compile(rf"(\d+) ({'|'.join(MONTHS)}) (\d{{4}})")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a translation.

    Attributes:
        kind: "missing", "stale", "extra", "differs" or "malformed".
        place: the file, with the line where there is one.
        detail: what a translator needs to mend it.
    """

    kind: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {self.detail}"


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
    name = f"{FOLDER}/{page.name}"  # its English source is often called the same
    try:
        source = source_of(page)
    except ValueError as error:
        return [Fault("malformed", name, str(error))]
    english, translated = english_blocks(source), translated_blocks(page.read_text(encoding="utf-8"))
    return [*faults_between(english, translated, name), *differences(english, translated, name)]


def differences(english: Sequence[Block], translated: Sequence[Translated], name: str) -> Iterator[Fault]:
    """Blocks left in English, and numbers, code and references that a block and its translation do not share."""
    for block, one in pairs(english, translated):
        if one.text == block.text and SENTENCE.search(prose(block.text)):
            yield Fault("missing", f"{name}:{one.line}", f"{one.mark} is still in English: {block.text[:80]}")
        elif not block.cell and (lost := missing_from(block.text, one.text)):
            yield Fault("differs", f"{name}:{one.line}", f"{'; '.join(lost)}, in: {block.text[:80]}")


def place_of(source: Path) -> str:
    """A page's path from the folder that the book is in: "book/exercises/gopher.ipynb"."""
    book = next((folder for folder in source.parents if (folder / "claims").is_dir()), source.parent)
    return source.relative_to(book.parent).as_posix()


def skeleton(source: Path) -> str:
    """A translation of a page before anything is translated: its blocks with their marks, its cells as they are shown.

    Args:
        source: the English page, in the book's folder.
    """
    name = source.stem
    lines = ["---", f"translates: {place_of(source)}"]
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
        elif lost := missing_from(text, " ".join(str(entries[key].get(field, "")) for field in TEXTS)):
            yield Fault("differs", f"{name}, {key}", "; ".join(lost))
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
    says = LISTED.sub("、", says.replace("; ", "；"))
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
    found += entry_faults(english_events(book), load_entries(book, "timeline"), f"{FOLDER}/timeline.yml")
    entries, shown = load_entries(book, "ledger"), rows_shown(book)
    rows = {key: text for key, text in english_rows(book).items() if key in shown or key in entries}
    return [*found, *entry_faults(rows, entries, f"{FOLDER}/ledger.yml")]


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
