"""Stage 3 as a run: from an encoder to a classifier's error, recorded, and taken up again after it was killed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from papertrail.ulmfit.awd_lstm import AWDLSTM, Dropouts
from papertrail.ulmfit.bag_of_words import BagOfWords
from papertrail.ulmfit.documents import Document
from papertrail.ulmfit.fine_tuning import ClassifierTraining, error_rate
from papertrail.ulmfit.runs import (
    RunError,
    as_stored,
    load_encoder,
    load_model,
    read_record,
    read_tensors,
    refuse_other,
    save_atomically,
    write_json,
)
from papertrail.ulmfit.text import Vocabulary, tokenize


@dataclass(frozen=True)
class Labelled:
    """Documents as numbers of words, and their classes."""

    documents: list[list[int]]
    labels: list[int]


def labelled(documents: Sequence[Document], vocabulary: Vocabulary, max_words: int | None = None) -> Labelled:
    """Documents as numbers: xxbos, then the last `max_words` words of each (all, for None).

    Raises:
        RunError: a document has no label.
    """
    labels = [document.label for document in documents if document.label is not None]
    if len(labels) < len(documents):
        raise RunError("classify: a document has no label; allowed are corpora whose documents all have one")
    kept = slice(None if max_words is None else -max_words, None)
    ids = [[vocabulary.bos_id, *vocabulary.ids(tokenize(document.text)[kept])] for document in documents]
    return Labelled(ids, labels)


def load_start(start: Path, dropouts: Dropouts) -> tuple[AWDLSTM, Vocabulary]:
    """The encoder and the words of a finished run's folder, or of an exported file (.pt).

    Raises:
        RunError: as `load_encoder` and `load_model`.
    """
    if start.suffix == ".pt":
        return load_encoder(start, dropouts)
    model, vocabulary, _ = load_model(start, dropouts)
    return model.encoder, vocabulary


def judged_error(error: float, documents: int) -> dict[str, float]:
    """An error rate and its standard error, sqrt(e (1 - e) / n): that of n independent documents."""
    return {"error": round(error, 5), "standard_error": round(math.sqrt(error * (1 - error) / documents), 5)}


def share_wrong_by_bag_of_words(train: Labelled, judged: Labelled, vocab_size: int, classes: int) -> float:
    """The error rate of words without order, fitted on the same labels: tf-idf and logistic regression."""
    bag = BagOfWords(vocab_size).fit(train.documents, train.labels, classes)
    wrong = bag.predict(judged.documents) != torch.tensor(judged.labels)
    return wrong.double().mean().item()


def bag_of_words_error(train: Labelled, judged: Labelled, vocab_size: int, classes: int) -> dict[str, float]:
    """What words without order make of the same labels, for a record."""
    return judged_error(share_wrong_by_bag_of_words(train, judged, vocab_size, classes), len(judged.labels))


def run_classifier(
    training: ClassifierTraining,
    judged: Labelled,
    made: dict[str, Any],
    out: Path | None = None,
    *,
    every: int = 20,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> dict[str, Any]:
    """Train a classifier, or go on where the checkpoint beside `out` stands; returns the record.

    Args:
        made: how; a run under the same name that was made in another way is refused.
        out: the record's file; without one, nothing is kept.
        every: updates between checkpoints.
        on_step: told after each piece of work: updates made, updates in all, latest loss (nats a document).

    Raises:
        RunError: `out` or its checkpoint belongs to another run.
    """
    made = as_stored(made)
    if out is not None and out.exists():
        earlier = read_record(out, "error")
        refuse_other(made, earlier, out)
        return earlier
    checkpoint = None if out is None else out.with_suffix(".checkpoint.pt")
    if checkpoint is not None and checkpoint.exists():
        stored = read_tensors(checkpoint)
        refuse_other(made, stored["made"], checkpoint)
        training.load_state_dict(stored["training"])
    while training.step < training.steps:
        losses = training.run(every)
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            save_atomically({"made": made, "training": training.state_dict()}, checkpoint)
        on_step(training.step, training.steps, losses[-1])
    error = error_rate(training.classifier, judged.documents, judged.labels)
    last = training.losses[-training.table.steps_per_epoch :]
    record = {
        **made,
        **judged_error(error, len(judged.labels)),
        "loss": round(sum(last) / len(last), 4),  # nats a document, with dropout, in the last epoch
    }
    if out is not None and checkpoint is not None:
        write_json(record, out)
        checkpoint.unlink()
    return record
