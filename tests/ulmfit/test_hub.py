"""Corpora from the hub, through a stand-in for the library that fetches them."""

import sys

import pytest

from papertrail.ulmfit.corpora import CorpusError, Document, load_corpus

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
