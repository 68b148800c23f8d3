"""Corpora by their ids on the Hugging Face hub, through the `datasets` library where the reader has installed it."""

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from papertrail.ulmfit.documents import Corpus, CorpusError, Document
from papertrail.ulmfit.plain import wikitext_articles

FORM = "hub:ID[:CONFIG][:SPLIT], as in hub:stanfordnlp/imdb:train"
SPLIT = r"(?:train|validation|test|unsupervised)(?:\[[^\]]*\])?"
NAME = re.compile(
    rf"hub:(?P<id>[\w.-]+(?:/[\w.-]+)?)(?::(?!{SPLIT}$)(?P<config>[\w.-]+))?(?::(?P<split>[\w.-]+(?:\[[^\]]*\])?))?"
)


@dataclass(frozen=True)
class Known:
    """What is known of a data set: which columns, which options, whose texts."""

    licence: str
    labels_made: str
    label: str = "label"
    config: str | None = None
    revision: str | None = None
    articles: bool = False  # rows are lines of articles with ` = Title = ` heads


KNOWN = {
    "Salesforce/wikitext": Known(
        "CC BY-SA 3.0 and GFDL", "none", config="wikitext-103-raw-v1", articles=True
    ),
    "stanfordnlp/imdb": Known(
        "no licence stated; research use, cite Maas et al. 2011",
        "from the reviewers' stars: 4 or fewer of 10 negative, 7 or more positive, the rest left out",
    ),
    "fancyzhx/ag_news": Known("non-commercial research use", "the section of the news the article stood in"),
    # its loader is a script, which newer versions of the library refuse: the converted files lie in a branch
    "CogComp/trec": Known(
        "no licence stated; research use, cite Li and Roth 2002",
        "by hand, the kind of answer that the question asks for",
        label="coarse_label",
        revision="refs/convert/parquet",
    ),
}
OTHER = Known("see the data set's own page", "see the data set's own page")


def load_from_hub(name: str) -> Corpus:
    """A corpus by its hub id; without a split, the training split.

    Raises:
        CorpusError: the name has another form; `datasets` is missing; the hub or the data set cannot be read; there
            is no column `text`.
    """
    asked = NAME.fullmatch(name)
    if asked is None:
        raise CorpusError(f"{name}: expected {FORM}")
    known = KNOWN.get(asked["id"], OTHER)
    options = {"name": asked["config"] or known.config, "revision": known.revision}
    options = {option: value for option, value in options.items() if value is not None}
    split = asked["split"] or "train"
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise CorpusError(
            f"{name}: needs the library `datasets`, which the course does not install ({error}). "
            "To get it: python -m pip install datasets"
        ) from error
    try:
        rows = datasets.load_dataset(asked["id"], split=split, **options)
        features = getattr(rows, "features", None) or {}
        documents = documents_of(rows, known)
    except CorpusError as error:
        raise CorpusError(f"{name}: {error}") from None
    except Exception as error:  # a network, a server and a library stand behind this: whatever fails, say so
        raise CorpusError(
            f"{name}: the hub did not give it ({type(error).__name__}: {error}). Without the hub there are imdb, bbc, "
            "wikipedia, own and file:PATH"
        ) from error
    if not documents:
        raise CorpusError(f"{name}: holds no document")
    made = known.labels_made if any(d.label is not None for d in documents) else "none"
    source = " ".join([asked["id"], *map(str, options.values()), split])
    return Corpus(name, documents, classes_of(documents, features, known), source, known.licence, made)


def documents_of(rows: Iterable[Mapping[str, Any]], known: Known) -> tuple[Document, ...]:
    """Rows become documents; a label below 0 is the library's way to say that there is none.

    Raises:
        CorpusError: a row has no `text`.
    """
    if known.articles:
        return tuple(map(Document, wikitext_articles(text_of(row) for row in rows)))
    found = []
    for row in rows:
        label = row.get(known.label)
        labelled = isinstance(label, int) and label >= 0
        found.append(Document(text_of(row), label if labelled else None))
    return tuple(found)


def text_of(row: Mapping[str, Any]) -> str:
    """The text of a row.

    Raises:
        CorpusError: the row has no column `text`, or no text in it.
    """
    if not isinstance(row.get("text"), str):
        raise CorpusError(f"expected rows with a column text, found the columns {sorted(row)}")
    return row["text"]


def classes_of(documents: Iterable[Document], features: Mapping[str, Any], known: Known) -> tuple[str, ...]:
    """Class names: those the data set gives, or the labels' numbers."""
    labels = {document.label for document in documents if document.label is not None}
    if not labels:
        return ()
    names = getattr(features.get(known.label), "names", None)
    return tuple(names or map(str, range(max(labels) + 1)))
