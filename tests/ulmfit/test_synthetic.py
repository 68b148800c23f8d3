"""The constructed language: what its words follow, what the topic decides, and what it does not."""

import pytest
import torch

from papertrail.ulmfit.synthetic import (
    CONTENT_WORDS,
    DIALECT_WORDS,
    DOCUMENT_LENGTH,
    FUNCTION_WORDS,
    TOPICS,
    VOCAB_SIZE,
    make_language,
)
from papertrail.ulmfit.text import SPECIALS

FIRST_CONTENT = len(SPECIALS) + FUNCTION_WORDS
A_TOPICS = CONTENT_WORDS + DIALECT_WORDS


def drawn(topics=range(TOPICS), dialect=0.0, n=2000, language=3, seed=0):
    return make_language(language).documents(n, topics, dialect, torch.Generator().manual_seed(seed))


def test_the_chain_of_function_words_is_one_of_probabilities_and_far_from_uniform():
    rows = make_language(3).transitions
    assert rows.shape == (FUNCTION_WORDS, FUNCTION_WORDS) and bool((rows > 0).all())
    torch.testing.assert_close(rows.sum(1), torch.ones(FUNCTION_WORDS, dtype=torch.float64))
    # the largest of 30 numbers from a Dirichlet distribution with parameter 0.1 is about a half
    assert 0.35 < rows.max(1).values.mean() < 0.65


def test_a_document_is_its_mark_and_words_of_the_vocabulary():
    tokens, labels = drawn()
    assert tokens.shape == (2000, DOCUMENT_LENGTH) and labels.shape == (2000,)
    assert bool((tokens[:, 0] == SPECIALS.index("xxbos")).all())
    assert tokens[:, 1:].min() == len(SPECIALS) and tokens.max() < VOCAB_SIZE
    assert torch.bincount(labels).shape == (TOPICS,) and torch.bincount(labels).min() > 280  # 333 is the mean


def test_a_content_word_stands_behind_a_function_word_alone_half_of_the_time():
    tokens, _ = drawn(dialect=0.4)
    content = tokens[:, 1:] >= FIRST_CONTENT
    assert not content[:, 0].any() and not (content[:, 1:] & content[:, :-1]).any()
    after_function = content[:, 1:][~content[:, :-1]]
    assert 0.49 < after_function.double().mean() < 0.51  # about 53,000 of them


def test_function_words_follow_the_chain_as_if_no_content_word_stood_between():
    tokens, _ = drawn()
    seen = torch.zeros(FUNCTION_WORDS, FUNCTION_WORDS, dtype=torch.float64)
    for document in tokens[:, 1:].tolist():
        words = [word - len(SPECIALS) for word in document if word < FIRST_CONTENT]
        for one, other in zip(words, words[1:], strict=False):
            seen[one, other] += 1
    often = seen.sum(1) > 1000
    assert often.sum() >= 10
    shares = (seen / seen.sum(1, keepdim=True))[often]
    assert (shares - make_language(3).transitions[often]).abs().max() < 0.05


def test_nine_content_words_in_ten_and_a_few_by_chance_are_of_the_documents_topic():
    tokens, labels = drawn(topics=(4, 1, 5))
    content = tokens >= FIRST_CONTENT
    topic = (tokens - FIRST_CONTENT) // A_TOPICS
    own = topic == torch.tensor([4, 1, 5])[labels][:, None]
    assert set(topic[content].unique().tolist()) == {1, 4, 5}
    assert abs(own[content].double().mean() - (0.9 + 0.1 / 3)) < 0.01  # about 26,000 words


def test_the_dialect_is_absent_from_general_text_and_takes_its_share_of_the_target_text():
    def strange(dialect):
        tokens, _ = drawn(dialect=dialect)
        content = tokens[tokens >= FIRST_CONTENT]
        return ((content - FIRST_CONTENT) % A_TOPICS >= CONTENT_WORDS).double().mean()

    assert strange(0.0) == 0 and strange(1.0) == 1
    assert abs(strange(0.4) - 0.4) < 0.015


def test_common_content_words_are_distributed_by_zipfs_law():
    tokens, _ = drawn(n=4000)
    rank = (tokens[tokens >= FIRST_CONTENT] - FIRST_CONTENT) % A_TOPICS
    counts = torch.bincount(rank, minlength=CONTENT_WORDS).double()
    expected = torch.tensor([1 / (i + 1) ** 0.8 for i in range(CONTENT_WORDS)], dtype=torch.float64)
    torch.testing.assert_close(
        counts / counts.sum(), expected / expected.sum(), rtol=0.15, atol=0
    )  # 400 or more of each


def test_counts_of_function_words_say_nothing_of_the_topic():
    tokens, labels = drawn(topics=(0, 1), n=6000)
    counts = torch.stack(
        [
            torch.bincount(words[(words >= len(SPECIALS)) & (words < FIRST_CONTENT)], minlength=FIRST_CONTENT)
            for words in (tokens[labels == topic] for topic in (0, 1))
        ]
    ).double()
    shares = counts / counts.sum(1, keepdim=True)
    assert (shares[0] - shares[1]).abs().max() < 0.01
    assert shares.max() > 0.05


def test_a_seed_fixes_a_language_and_other_seeds_give_others():
    before = torch.get_rng_state()
    assert torch.equal(make_language(5).transitions, make_language(5).transitions)
    assert torch.equal(torch.get_rng_state(), before)
    assert (make_language(5).transitions - make_language(6).transitions).abs().max() > 0.1
    assert torch.equal(drawn(n=50)[0], drawn(n=50)[0])
    assert not torch.equal(drawn(n=50)[0], drawn(n=50, seed=1)[0])
    assert not torch.equal(drawn(n=50)[0], drawn(n=50, language=4)[0])


BAD = [
    (lambda: drawn(n=0), "n: got 0"),
    (lambda: drawn(topics=()), r"topics: got \(\); allowed are different numbers from 0 to 5"),
    (lambda: drawn(topics=(1, 1)), r"topics: got \(1, 1\)"),
    (lambda: drawn(topics=(6,)), r"topics: got \(6,\)"),
    (lambda: drawn(dialect=1.5), "dialect: got 1.5; allowed are numbers from 0 to 1"),
    (lambda: drawn(dialect=-0.1), "dialect: got -0.1"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
