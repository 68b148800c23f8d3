"""Documents, corpora, and the two ways of taking parts of them: a split without leaks, and a labelled subset."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

import numpy as np

from papertrail.experiments import at_least_one


class CorpusError(RuntimeError):
    """A corpus is missing, damaged, changed or unreadable. The message says what was expected and how to get it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text; its label is the number of a class, or None."""

    text: str
    label: int | None = None


@dataclass(frozen=True)
class Corpus:
    """Documents with where they come from.

    Attributes:
        name: what `load_corpus` was asked for.
        documents: in the order of the source.
        classes: their names, by label; empty where nothing is labelled.
        source: package, file or data set, with version.
        licence: of the package and of the texts.
        labels_made: how the labels were made; "none" where there are none.
    """

    name: str
    documents: tuple[Document, ...]
    classes: tuple[str, ...]
    source: str
    licence: str
    labels_made: str

    @property
    def words(self) -> int:
        """Pieces between white space, all documents together."""
        return sum(len(document.text.split()) for document in self.documents)


def distinct(documents: Iterable[Document]) -> tuple[Document, ...]:
    """Documents without exact repeats of a text; the first of each stays."""
    first: dict[str, Document] = {}
    for document in documents:
        first.setdefault(document.text, document)
    return tuple(first.values())


@dataclass(frozen=True)
class Split:
    """Three parts of a corpus that share no text."""

    test: tuple[Document, ...]
    validation: tuple[Document, ...]
    train: tuple[Document, ...]


def hash_of(text: str) -> str:
    """SHA-256 of a text, whatever its case, white space and line breaks (also those written `<br />`)."""
    return sha256(" ".join(re.sub(r"<br\s*/?>", " ", text).casefold().split()).encode()).hexdigest()


def split_by_hash(documents: Iterable[Document], test: int = 5000, validation: int = 1000) -> Split:
    """Split by the order of the texts' SHA-256: the same parts whatever the order of the documents.

    Texts that differ in case and white space only have one hash and stay together, so none is on two sides. A part
    may be a document or two longer than asked for, where its last text comes more than once.

    Raises:
        ValueError: a size is below 1; too few documents to leave any for training.
    """
    at_least_one(test=test, validation=validation)
    ranked = sorted((hash_of(d.text), d.text, -1 if d.label is None else d.label, d) for d in documents)
    parts: list[list[Document]] = [[], [], []]
    sizes = (test, validation, len(ranked))
    part = 0
    for _, group in groupby(ranked, key=lambda entry: entry[0]):
        while len(parts[part]) >= sizes[part]:
            part += 1
        parts[part].extend(entry[-1] for entry in group)
    if not parts[2]:
        raise ValueError(
            f"documents: got {len(ranked)}; allowed are more than test + validation = {test + validation}"
        )
    return Split(*map(tuple, parts))


def labelled_subset(documents: Sequence[Document], n: int, seed: int) -> tuple[Document, ...]:
    """Draw n documents, as many of each class, in mixed order; the subsets of a seed are not nested.

    Raises:
        ValueError: a document has no label; n is not a multiple of the number of classes; a class has too few.
    """
    at_least_one(n=n)
    by_class: dict[int, list[int]] = {}
    for place, document in enumerate(documents):
        if document.label is None:
            raise ValueError(f"documents: number {place} has no label; allowed are labelled documents")
        by_class.setdefault(document.label, []).append(place)
    if not by_class or n % len(by_class):
        raise ValueError(f"n: got {n}; allowed are multiples of the {len(by_class)} classes of the documents")
    each = n // len(by_class)
    rng = np.random.default_rng(seed)
    drawn: list[int] = []
    for label, places in sorted(by_class.items()):
        if len(places) < each:
            raise ValueError(f"n: got {n}, {each} of each class; class {label} has {len(places)} documents")
        drawn.extend(rng.choice(places, each, replace=False).tolist())
    return tuple(documents[place] for place in rng.permutation(drawn).tolist())
