"""Stage 3 on reviews: what is cut, what is drawn, and what is judged."""

import pytest
import torch

from papertrail.ulmfit import reviews
from papertrail.ulmfit.awd_lstm import AWDLSTM
from papertrail.ulmfit.documents import Document, split_by_hash
from papertrail.ulmfit.fine_tuning import METHODS
from papertrail.ulmfit.text import Vocabulary

GOOD, BAD = "a fine and moving film", "a dull and empty film"
TEXTS = [Document(f"{BAD if i % 2 else GOOD} number {i}", 1 - i % 2) for i in range(400)]


@pytest.fixture
def words(monkeypatch):
    split = split_by_hash(TEXTS, 60, 20)
    monkeypatch.setattr(reviews, "split_reviews", lambda: split)
    return Vocabulary.build([d.text.split() for d in split.train], min_count=3)


def test_a_review_keeps_its_last_words_after_the_mark_of_its_start(words, monkeypatch):
    judged = []
    monkeypatch.setattr(reviews, "fine_tune", lambda *_, **__: None)
    monkeypatch.setattr(
        reviews, "error_rate", lambda _, documents, labels: judged.append((documents, labels)) or 0.0
    )
    long = Document("fine " * 3 + "dull moving " * 150, 1)
    reviews.classify_reviews(AWDLSTM(len(words), 8, 12, 2), words, reviews.ONE_RATE, 10, 0, [long])
    [((ids,), labels)] = judged
    assert len(ids) == 201 and ids[0] == words.bos_id and labels == [1]
    assert words.text(ids[-2:]) == "dull moving" and "fine" not in words.text(ids)


def test_a_classifier_learns_two_kinds_of_review_and_its_subset_depends_on_the_seed(words):
    torch.manual_seed(0)
    encoder = AWDLSTM(len(words), 8, 12, 2, reviews.CLASSIFIER_DROPOUTS, embedding_std=1.0)
    run = reviews.classify_reviews(
        encoder, words, reviews.ONE_RATE, 100, 0, reviews.split_reviews().test, epochs=12
    )
    assert run.error < 0.1
    assert len(run.history.losses) == 12 * -(-100 // 16)
    drawn = [reviews.labelled_subset(reviews.split_reviews().train, 10, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_bag_of_words_is_judged_on_the_same_reviews(words):
    assert reviews.bag_of_words_error(words, 100, 0, reviews.split_reviews().test) < 0.05
    turned = [Document(d.text, 1 - d.label) for d in reviews.split_reviews().test]
    assert reviews.bag_of_words_error(words, 100, 0, turned) > 0.95


def test_the_settings_cover_the_same_numbers_of_labels_and_the_rate_of_new_weights_is_no_row_of_the_table():
    assert reviews.EPOCHS.keys() == reviews.BATCH_SIZES.keys()
    assert reviews.ONE_RATE not in METHODS.values()
