"""Tokens, vocabularies, and embeddings carried from one vocabulary to another."""

import random
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from papertrail.ulmfit.text import SPECIALS, Vocabulary, clean, match_embeddings, tokenize


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("A film, at last!", "a film , at last !"),
        ("I don't think it's bad.", "i do n't think it 's bad ."),
        ("I did n't ; it 's WikiText", "i did n't ; it 's wikitext"),
        ("We’re “fine”, can’t you see", "we 're \" fine \" , ca n't you see"),
        ("He'll say I'm what they'd've", "he 'll say i 'm what they 'd 've"),
        ("one<br /><br>two&amp;three &quot;x&quot;", 'one two & three " x "'),
        ("a <i>very</i> old a<b", "a very old a < b"),
        ("cost 1,000.50 in the 1980s, 7/10", "cost 1,000.50 in the 1980s , 7 / 10"),
        ("well @-@ known for 1 @,@ 000 at 2 @.@ 5 <unk>s", "well - known for 1,000 at 2.5 xxunk s"),
        (" = Valkyria = \n\n = = Plot = = \n It began . x = y", "valkyria plot it began . x = y"),
        ("=====\nend", "end"),
        ("= 5 apples", "= 5 apples"),
        ("well... no -- yes", "well ... no -- yes"),
        ("  \t\n ", ""),
        ("_under_ score", "_ under _ score"),
        ("naïve Ærø", "naïve ærø"),
    ],
)
def test_text_becomes_words_and_signs(text, tokens):
    assert tokenize(text) == tokens.split()


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("It is GREAT, I say", "it is xxup great , i say"),
        ("DON'T! I'LL go: 'OK'", "xxup do n't ! i 'll go : ' xxup ok '"),
        ("B2B McDONALD A1", "b2b mcdonald a1"),
        ("ÉTÉ Été", "xxup été été"),
        ("sooooo good", "s xxrep 5 o good"),
        ("soooooon", "s xxrep 6 o n"),
        ("sooo good!!!", "sooo good ! ! !"),
        ("what!!!!", "what xxrep 4 !"),
        ("NOOOOO oOoO", "xxup n xxrep 5 o xxrep 4 o"),
        ("10000000", "10000000"),
        ("very very very good", "very very very good"),
        ("a very very very  very\nvery good", "a xxwrep 5 very good"),
        ("NO NO no no", "xxwrep 4 xxup no"),
        ("no, no, no, no", "no , no , no , no"),
        ("7 7 7 7 7", "7 7 7 7 7"),
        ("<unk> <unk> <unk> <unk>", "xxunk xxunk xxunk xxunk"),
        ("the the the therapy", "the the the therapy"),
    ],
)
def test_capitals_elongation_and_repetition_are_kept_as_extra_tokens(text, tokens):
    assert tokenize(text) == tokens.split()


def test_a_document_starts_with_xxbos_when_asked():
    assert tokenize("So it goes", bos=True) == ["xxbos", "so", "it", "goes"]
    assert tokenize("", bos=True) == ["xxbos"]


@given(st.text(alphabet="xpadunkbosXUPRE <>@=&'\n.", max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_can_forge_padding_or_a_document_start(text):
    assert not {"xxpad", "xxbos"} & set(tokenize(text))


def test_special_tokens_in_a_text_are_cut():
    assert tokenize("xxpad xxbos-xxrep Xxup") == ["xx", "pad", "xx", "bos", "-", "xx", "rep", "xx", "up"]
    assert tokenize("xxpads") == ["xxpads"]


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_tokens_hold_no_white_space_and_nothing_is_upper_case_that_can_be_lowered(text):
    for token in tokenize(text):
        assert token and not re.search(r"\s", token) and token == token.lower()


@pytest.mark.parametrize(
    "text", ["= " * 60_000 + "x", "a " * 60_000 + "ab", "<" * 120_000, "@-" * 60_000, " " * 120_000 + "n't"]
)
def test_long_runs_of_one_sign_are_read_in_linear_steps(text):
    """With a pattern that backtracks, each of these would run for minutes; the test would not end."""
    tokenize(text)


def test_cleaning_leaves_words_and_their_case_alone():
    assert clean("A &lt;br&gt; Film") == "A   Film"


DOCUMENTS = [["b", "b", "b", "a", "a", "a", "xxbos", "c"], ["d"] * 4 + ["xxpad"] * 9 + ["c"]]


def test_a_vocabulary_is_ordered_by_frequency_and_then_by_the_word():
    assert Vocabulary.build(DOCUMENTS, min_count=3).words == (*SPECIALS, "d", "a", "b")
    assert Vocabulary.build(DOCUMENTS, min_count=1).words == (*SPECIALS, "d", "a", "b", "c")
    assert Vocabulary.build(iter(DOCUMENTS), max_size=8, min_count=1).words == (*SPECIALS, "d", "a")
    assert Vocabulary.build(DOCUMENTS[::-1]) == Vocabulary.build(DOCUMENTS)


def test_numbers_and_words_go_both_ways_and_unknown_words_are_unknown():
    vocabulary = Vocabulary.build(DOCUMENTS)
    assert len(vocabulary) == 9 and "d" in vocabulary and "c" not in vocabulary
    assert vocabulary.ids(["xxbos", "b", "c", "d", "xxpad"]) == [2, 8, 0, 6, 1]
    assert vocabulary.text([2, 8, 0, 6]) == "xxbos b xxunk d"
    assert [vocabulary.words[i] for i in (vocabulary.unknown_id, vocabulary.pad_id, vocabulary.bos_id)] == [
        "xxunk", "xxpad", "xxbos",
    ]  # fmt: skip
    assert vocabulary.text(torch.tensor([6])) == "d"
    for wrong in (-1, 9):
        with pytest.raises(ValueError, match=rf"ids: got {wrong}; allowed are integers from 0 to 8"):
            vocabulary.text([wrong])


def test_a_vocabulary_says_what_it_cannot_be_built_from():
    with pytest.raises(ValueError, match="max_size: got 6; allowed are integers above 6"):
        Vocabulary.build(DOCUMENTS, max_size=6)
    with pytest.raises(ValueError, match="min_count: got 0"):
        Vocabulary.build(DOCUMENTS, min_count=0)
    with pytest.raises(ValueError, match="documents: no word comes 99 times"):
        Vocabulary.build(DOCUMENTS, min_count=99)
    with pytest.raises(ValueError, match="'a' comes more than once"):
        Vocabulary([*SPECIALS, "a", "b", "a"])
    with pytest.raises(ValueError, match="words: begin with"):
        Vocabulary(["a", *SPECIALS])
    for word in ("", "a b", " a", "a\n"):
        with pytest.raises(ValueError, match="words without white space"):
            Vocabulary([*SPECIALS, word])


def test_a_saved_vocabulary_comes_back_and_nothing_else_is_left(tmp_path):
    vocabulary = Vocabulary([*SPECIALS, "naïve", "#", "日本", "'s"])
    file = tmp_path / "words.txt"
    file.write_text("old")
    vocabulary.save(file)
    assert Vocabulary.load(file) == vocabulary and Vocabulary.load(str(file)).digest == vocabulary.digest
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text(encoding="utf-8").split("\n")[1:] == [*vocabulary.words, ""]


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda data: data[:-3], "damaged"),
        (lambda data: data[: data.rindex(b"b")], "not a vocabulary|damaged"),
        (lambda data: data.replace(b"\nb\n", b"\nc\n"), "damaged"),
        (lambda data: data.replace(b"\nb\n", b"\na\n"), "more than once"),
        (lambda data: data.split(b"\n", 1)[1], "not a vocabulary"),
        (lambda data: data.replace(b"\nb\n", b"\n\xff\n"), "not a vocabulary"),
        (lambda data: b"", "not a vocabulary"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, damage, said):
    file = tmp_path / "words.txt"
    Vocabulary.build(DOCUMENTS).save(file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=f"words.txt.*({said})"):
        Vocabulary.load(file)
    with pytest.raises(FileNotFoundError):
        Vocabulary.load(tmp_path / "none.txt")


def test_the_digest_tells_vocabularies_apart():
    words = [*SPECIALS, *"abcd"]
    digests = {Vocabulary(order).digest for order in (words, words[:-1], [*words[:-2], "d", "c"])}
    assert len(digests) == 3 and all(re.fullmatch("[0-9a-f]{16}", digest) for digest in digests)


def test_known_words_keep_their_embedding_and_new_ones_get_the_mean():
    old, new = Vocabulary([*SPECIALS, "a", "b", "c"]), Vocabulary([*SPECIALS, "c", "z", "a"])
    weight = torch.arange(27, dtype=torch.float64).reshape(9, 3).requires_grad_()
    found = match_embeddings(weight, old, new)
    expected = [[3 * i, 3 * i + 1, 3 * i + 2] for i in (*range(6), 8)] + [[12, 13, 14], [18, 19, 20]]
    assert found.tolist() == expected and not found.requires_grad
    found.zero_()
    assert weight[8].tolist() == [24, 25, 26]
    assert match_embeddings(weight.half(), old, new).dtype == torch.float16


def test_a_weight_of_another_vocabulary_is_refused():
    old = Vocabulary([*SPECIALS, "a"])
    for shape in ((6, 2), (7,), (7, 2, 2)):
        with pytest.raises(ValueError, match=r"weight: has shape .*allowed is \(7, E\)"):
            match_embeddings(torch.zeros(shape), old, old)


def test_counts_from_shuffled_documents_agree_with_a_plain_count():
    rng = random.Random(0)
    document = rng.choices([f"w{i}" for i in range(30)], weights=range(1, 31), k=2000)
    vocabulary = Vocabulary.build([document[:700], document[700:]], min_count=1)
    counts = [document.count(word) for word in vocabulary.words[6:]]
    assert counts == sorted(counts, reverse=True) and sum(counts) == 2000
