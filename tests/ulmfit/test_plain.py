"""Corpora in files that the reader brings."""

import csv
import gzip

import pytest

from papertrail.ulmfit.corpora import CorpusError, load_corpus


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
    file.write_bytes(gzip.compress(content.encode(), mtime=0) if packed else content.encode())
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
    file.write_bytes(gzip.compress(content.encode(), mtime=0) if packed else content.encode())
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
        ("a.txt.gz", gzip.compress(b"word " * 99, mtime=0)[:-9], "damaged .gz"),
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
