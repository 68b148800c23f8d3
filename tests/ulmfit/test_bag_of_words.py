"""The bag of words: features and optimum recomputed in numpy, from the definitions and one matrix."""

import math

import numpy as np
import pytest
import torch

from papertrail.ulmfit.bag_of_words import BagOfWords

DOCUMENTS = [[0, 1, 1, 2], [1, 3, 3, 3], [4, 0], [2, 2, 4, 1], [3, 0, 0], [4, 4, 1, 0]]
LABELS = [0, 1, 2, 2, 1, 0]


def tf_idf(documents, vocab_size):
    """The definition on a full matrix of counts, with the training documents' own frequencies."""
    counts = np.array([[list(d).count(word) for word in range(vocab_size)] for d in documents], dtype=float)
    frequency = (counts > 0).sum(0)
    weights = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * (
        1 + np.log((1 + len(documents)) / (1 + frequency))
    )
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_the_gradient_worked_out_by_hand_vanishes_at_the_fitted_weights(strength):
    model = BagOfWords(6).fit(DOCUMENTS, LABELS, 3, strength)  # word 5 is never seen
    x, w, b = tf_idf(DOCUMENTS, 6), model.weight.numpy(), model.bias.numpy()
    scores = np.exp(x @ w + b)
    error = scores / scores.sum(1, keepdims=True) - np.eye(3)[LABELS]
    assert np.abs(x.T @ error + strength * w).max() < 1e-5
    assert np.abs(error.sum(0)).max() < 1e-5
    assert np.abs(w).max() > 0.01 and not w[5].any()


def test_a_stronger_penalty_gives_smaller_weights():
    sizes = [BagOfWords(6).fit(DOCUMENTS, LABELS, 3, strength).weight.norm() for strength in (0.1, 1.0, 10.0)]
    assert sizes[0] > 1.5 * sizes[1] > 1.5**2 * sizes[2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_separates_documents_that_one_word_tells_apart(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = [i % 2 for i in range(250)]
    documents = [torch.randint(2, 50, (20,), generator=generator) for _ in labels]
    for document, label in zip(documents, labels, strict=True):
        document[[7, 15]] = label
    model = BagOfWords(50).fit(documents[:150], labels[:150], 2)
    assert model.predict(documents[150:]).tolist() == labels[150:]


def test_what_no_training_document_holds_changes_nothing():
    model = BagOfWords(9).fit(DOCUMENTS, LABELS, 3)
    assert model.predict([[0, 1, 8, 8], []]).tolist() == [
        model.predict([[0, 1]]).item(),
        model.bias.argmax().item(),
    ]
    # an unseen word must not shrink the others through the length of the vector
    assert torch.equal(model._features(model._counts([[0, 8]]))[2], torch.tensor([1.0, 0.0]).double())


def test_the_order_of_words_does_not_matter():
    model = BagOfWords(6).fit([d[::-1] for d in DOCUMENTS], LABELS, 3)
    assert torch.allclose(model.weight, BagOfWords(6).fit(DOCUMENTS, LABELS, 3).weight, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"documents": DOCUMENTS[1:]}, "labels: got 6 for 5 documents; allowed is one for each of 1 or more"),
        ({"documents": [], "labels": []}, "labels: got 0 for 0 documents"),
        ({"labels": [0, 1, 2, 3, 0, 0]}, "labels: got 0 to 3; allowed are integers from 0 to 2"),
        ({"labels": [-1, 1, 2, 0, 0, 0]}, "labels: got -1 to 2; allowed are integers from 0 to 2"),
        ({"labels": [0, 1, 1, 0, 0, 0]}, "labels: class 2 has no document"),
        ({"classes": 0}, "classes: got 0; allowed are integers from 1 up"),
        ({"strength": 0}, "strength: got 0; allowed are numbers above 0"),
        ({"strength": math.nan}, "strength: got nan; allowed are numbers above 0"),
        ({"documents": [[6], *DOCUMENTS[1:]]}, "documents: document 0 has id 6; allowed are integers from 0 to 5"),
        ({"documents": [*DOCUMENTS[1:], [2, -3]]}, "documents: document 5 has id -3; allowed are integers from 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_named(change, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        BagOfWords(6).fit(**{"documents": DOCUMENTS, "labels": LABELS, "classes": 3} | change)


def test_a_vocabulary_below_one_and_a_missing_fit_are_named():
    with pytest.raises(ValueError, match="^vocab_size: got 0"):
        BagOfWords(0)
    with pytest.raises(ValueError, match="^predict: this BagOfWords has not been fitted"):
        BagOfWords(6).predict([[0]])


def test_a_fit_that_stops_early_says_so(monkeypatch):
    real = torch.optim.LBFGS
    monkeypatch.setattr(
        torch.optim, "LBFGS", lambda parameters, **options: real(parameters, **options | {"max_iter": 1})
    )
    with pytest.raises(RuntimeError, match="the fit stopped at a gradient of .*try a larger strength"):
        BagOfWords(6).fit(DOCUMENTS, LABELS, 3)
