"""The entries of book/references.bib, without the site's libraries: who, when, what, and where to read it."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

ACCENTS = {
    '"': "\u0308",
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    "~": "\u0303",
    "v": "\u030c",
    "c": "\u0327",
}
LETTERS = {r"\L": "Ł", r"\l": "ł", r"\o": "ø", r"\O": "Ø", r"\ss": "ß", r"\&": "&", r"\_": "_", r"\%": "%"}


@dataclass(frozen=True)
class Work:
    """One cited work, its text without LaTeX."""

    key: str
    authors: tuple[str, ...]  # family names, or a body's whole name; "others" for those left out
    year: str
    title: str
    address: str | None  # where it can be read

    @property
    def who(self) -> str:
        """The authors as a sentence names them: one, two, or the first "et al."."""
        if len(self.authors) > 2:
            return f"{self.authors[0]} et al."
        return " and ".join(self.authors).replace(" and others", " et al.")

    def cited(self, *, in_text: bool) -> str:
        """As a Markdown link where there is an address: "Ba et al. (2016)" in a text, else "Ba et al., 2016"."""
        label = f"{self.who} ({self.year})" if in_text else f"{self.who}, {self.year}"
        return f"[{label}]({self.address})" if self.address else label


def load_works(path: Path) -> dict[str, Work]:
    """Every entry of a BibTeX file by its key.

    Raises:
        ValueError: an entry has no author or title; the message names the entry and the field.
    """
    text = re.sub(r"(?m)^%.*$", "", path.read_text(encoding="utf-8"))
    entries = re.split(r"(?m)^@\w+\{", text)[1:]
    return {work.key: work for work in map(_work, entries)}


def _work(entry: str) -> Work:
    key, _, rest = entry.partition(",")
    fields = _fields(rest)
    for name in ("author", "title"):
        if name not in fields:
            raise ValueError(f"references.bib: {key.strip()}: has no {name}")
    authors = tuple(_family(name) for name in re.split(r"\s+and\s+", fields["author"]))
    year, title = plain_latex(fields.get("year", "n.d.")), plain_latex(fields["title"])
    return Work(key.strip(), authors, year, title, _address(fields))


def _fields(text: str) -> dict[str, str]:
    """The fields of an entry whose values stand in braces, outermost braces taken away."""
    found, at = {}, 0
    while match := re.compile(r"(\w+)\s*=\s*\{").search(text, at):
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        found[match[1]] = text[match.end() : at - 1]
    return found


def _family(name: str) -> str:
    """ "Ba, Jimmy Lei" and "Jimmy Lei Ba" -> "Ba"; a name in braces is one word."""
    if name.strip().startswith("{"):
        return plain_latex(name)
    family = name.partition(",")[0] if "," in name else name.split()[-1]
    return plain_latex(family)


def _address(fields: dict[str, str]) -> str | None:
    if "url" in fields:
        return fields["url"].replace(r"\_", "_")
    if "eprint" in fields and fields.get("archivePrefix", "").lower() == "arxiv":
        return f"https://arxiv.org/abs/{fields['eprint']}"
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    for name in ("note", "journal"):
        if number := re.fullmatch(r"(?:arXiv preprint )?arXiv:(\d+\.\d+)", fields.get(name, "")):
            return f"https://arxiv.org/abs/{number[1]}"
    found = re.search(r"\\url\{([^}]*)\}", fields.get("howpublished", ""))
    return found[1].replace(r"\_", "_") if found else None


def plain_latex(text: str) -> str:
    """Text without LaTeX: accents composed, braces gone, dashes as characters."""
    text = re.sub(r"\\([\"'`^~]|[vc](?=[\s{]))\s*\{?\\?([A-Za-z])\}?", _accented, text)
    for code, letter in LETTERS.items():
        text = re.sub(
            rf"{re.escape(code)}(?![A-Za-z])\s*" if code[-1].isalpha() else re.escape(code), letter, text
        )
    text = (
        text.replace("``", "\u201c")
        .replace("''", "\u201d")
        .replace("---", "\u2014")
        .replace("--", "\u2013")
        .replace("~", "\u00a0")
    )
    return re.sub(r"\s+", " ", re.sub(r"[{}]", "", text)).strip()


def _accented(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", match[2] + ACCENTS[match[1]])
