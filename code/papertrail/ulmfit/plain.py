"""Corpora in plain files that the reader brings: text with or without articles, and tables with labels."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path

from papertrail.ulmfit.documents import CorpusError, Document

# WikiText's ` = Title = `, alone between blank lines; sections are ` = = Name = = `, and tables hold other `=`
TITLE = re.compile(r"[ \t]*= [^=\s].* =\s*")
KINDS = (".txt", ".txt.gz", ".csv", ".csv.gz")
LONGEST_FIELD = 2**31 - 1  # beyond that, Windows refuses

Parts = tuple[tuple[Document, ...], tuple[str, ...]]  # documents, and the names of their classes


def read_file(path: Path) -> Parts:
    """Documents and class names of a .txt or .csv file, or of either with .gz behind.

    Raises:
        CorpusError: no such file, another kind of file, or one that cannot be read as what its name says.
    """
    if not path.name.endswith(KINDS):
        raise CorpusError(f"{path}: expected a file whose name ends in {', '.join(KINDS)}")
    unpack = gzip.open if path.suffix == ".gz" else open
    try:
        with unpack(path, "rt", encoding="utf-8-sig", newline="") as file:
            if ".csv" in path.suffixes[-2:]:
                documents, classes = from_table(file)
            else:
                documents, classes = tuple(map(Document, documents_of(file))), ()
    except (CorpusError, csv.Error) as error:
        raise CorpusError(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: expected text in UTF-8, and it is not") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorpusError(f"{path}: a damaged .gz file ({error})") from error
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror})") from error
    if not documents:
        raise CorpusError(f"{path}: holds no document")
    return documents, classes


def documents_of(lines: Iterable[str]) -> list[str]:
    """Texts: WikiText articles if there is a title line; else blocks between blank lines; else lines."""
    lines = [line.strip() for line in lines]
    articles = wikitext_articles(lines)
    if TITLE.fullmatch(articles[0].split("\n", 1)[0] if articles else "") or len(articles) > 1:
        return articles
    blocks = re.split(r"\n{2,}", "\n".join(lines).strip())
    found = blocks if len(blocks) > 1 else blocks[0].split("\n")
    return [text for text in found if text]


def wikitext_articles(lines: Iterable[str]) -> list[str]:
    """Articles, each from its title line to the next; text before the first title is an article of its own."""
    articles: list[list[str]] = [[]]
    before = ""
    for line, after in pairwise(chain(lines, [""])):
        if TITLE.fullmatch(line) and not before.strip() and not after.strip():
            articles.append([])
        if line.strip():
            articles[-1].append(line.strip())
        before = line
    return ["\n".join(article) for article in articles if article]


@contextmanager
def long_fields() -> Iterator[None]:
    """Let the csv module read fields of any length, then put the caller's limit back."""
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def from_table(lines: Iterable[str]) -> Parts:
    """Documents and classes of a table with a column `text` and perhaps a column `label`, named in its first line.

    Classes are the distinct labels in order, of numbers if all are numbers; an empty label means none.

    Raises:
        CorpusError: no column `text`; a row has too few or too many fields.
        csv.Error: it is not a table.
    """
    texts, labels = [], []
    with long_fields():
        rows = csv.reader(lines, strict=True)
        columns = next(rows, [])
        if "text" not in columns:
            raise CorpusError(f"expected a first line that names a column text, found {columns[:9]}")
        text, label = columns.index("text"), columns.index("label") if "label" in columns else None
        for row in filter(None, rows):  # an empty line is an empty row
            if len(row) != len(columns):
                raise CorpusError(
                    f"line {rows.line_num}: {len(row)} fields, where the first line has {len(columns)}"
                )
            texts.append(row[text])
            labels.append("" if label is None else row[label].strip())
    classes = set(labels) - {""}
    numeric = all(re.fullmatch(r"-?[0-9]+", name) for name in classes)
    ordered = sorted(classes, key=int) if numeric else sorted(classes)
    number_of = {name: number for number, name in enumerate(ordered)}
    documents = (Document(text, number_of.get(name)) for text, name in zip(texts, labels, strict=True))
    return tuple(documents), tuple(ordered)
