"""Pages cut into the blocks that a translation is checked by (ours): the English ones, and those of a translated page.

`papertrail.translations` says what they are for.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = "zh"  # of the book: where translations stand
CHINESE_PAGES = f"book/{FOLDER}/"
MARK = re.compile(r"% en: ([0-9a-f]{10})")
CELL = re.compile(r"```\{cell\} (\w+) ([\w-]+)")
FENCE = re.compile(r"(`{3,}|:{3,}|\$\$)(.*)")
ITEM = re.compile(r"(?:[-*]|\d+\.) ")  # of a list
FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
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
