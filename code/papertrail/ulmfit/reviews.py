"""Stage 3 on real film reviews: how far a pretrained encoder helps, by the number of labels.

The split is by a hash of the text. 5,000 reviews are for the last test and 1,000 for validation: neither part is seen
by the language models, and the vocabulary is built without them. The corpus has no list of films, so reviews of one
film may stand on both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from papertrail.experiments import seeded
from papertrail.ulmfit.awd_lstm import AWDLSTM, Dropouts
from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.classifier_runs import labelled, share_wrong_by_bag_of_words
from papertrail.ulmfit.corpora import Document, Split, labelled_subset, load_corpus, split_by_hash
from papertrail.ulmfit.fine_tuning import FineTuningHistory, Method, error_rate, fine_tune
from papertrail.ulmfit.text import Vocabulary

TEST, VALIDATION = 5000, 1000
LAST_WORDS = 200  # of a review: what it ends with
CLASSIFIER_DROPOUTS = Dropouts().times(0.5)  # half of the paper's, for a much smaller model
HEAD_DROPOUTS = (0.2, 0.1)
ONE_RATE = Method(0.003, schedule="slanted-triangular")  # what new weights are trained with
EPOCHS = {50: 20, 200: 15, 1000: 8, 5000: 4}
BATCH_SIZES = {50: 16, 200: 16, 1000: 32, 5000: 32}


@cache
def split_reviews() -> Split:
    """The reviews in their three parts.

    Raises:
        CorpusError: the package that carries them is missing, or changed.
    """
    return split_by_hash(load_corpus("imdb").documents, TEST, VALIDATION)


@dataclass(frozen=True)
class ReviewRun:
    """One classifier: its errors on the reviews it was judged on, and its training."""

    error: float
    history: FineTuningHistory


def classify_reviews(
    encoder: AWDLSTM,
    vocabulary: Vocabulary,
    method: str | Method,
    labels: int,
    seed: int,
    judged: Sequence[Document],
    epochs: int | None = None,
) -> ReviewRun:
    """Fine-tune a classifier in place on `labels` reviews, as many of each kind, and judge it on others."""
    train = labelled(labelled_subset(split_reviews().train, labels, seed), vocabulary, LAST_WORDS)
    others = labelled(judged, vocabulary, LAST_WORDS)
    with seeded(seed):
        classifier = TextClassifier(encoder, 2, head_dropouts=HEAD_DROPOUTS)
    nearest = min(EPOCHS, key=lambda n: abs(n - labels))
    history = fine_tune(
        classifier,
        train.documents,
        train.labels,
        method,
        epochs=epochs or EPOCHS[nearest],
        batch_size=BATCH_SIZES[nearest],
        seed=seed,
    )
    return ReviewRun(error_rate(classifier, others.documents, others.labels), history)


def bag_of_words_error(vocabulary: Vocabulary, labels: int, seed: int, judged: Sequence[Document]) -> float:
    """The error of tf-idf and logistic regression on the same words of the same reviews."""
    train = labelled_subset(split_reviews().train, labels, seed)
    known, unseen = (labelled(documents, vocabulary, LAST_WORDS) for documents in (train, judged))
    return share_wrong_by_bag_of_words(known, unseen, len(vocabulary), 2)
