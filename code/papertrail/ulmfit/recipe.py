"""The whole recipe on the constructed language: three stages, and the same classifier without one or two of them.

Settings were chosen on three languages (seeds 0 to 2); what the chapter shows is other languages (from seed 10 on).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import torch
from torch import nn

from papertrail.experiments import at_least_one, progress, seeded
from papertrail.ulmfit.awd_lstm import AWDLSTM, Dropouts
from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.fine_tuning import (
    MISSING_ROW,
    ULMFIT,
    FineTuningHistory,
    Method,
    class_probabilities,
    fine_tune,
)
from papertrail.ulmfit.language_model import LanguageModel, LMSettings, LMTraining, perplexity
from papertrail.ulmfit.synthetic import DOCUMENT_LENGTH, TOPICS, VOCAB_SIZE, Language, make_language
from papertrail.ulmfit.transformer import TransformerEncoder

STAGE_1 = LMSettings(
    passes=3, lr=1e-2, batch_size=25, bptt=DOCUMENT_LENGTH, betas=(0.8, 0.99), alpha=0.0, beta=0.0, clip=1.0
)
STAGE_2 = replace(STAGE_1, passes=2, lr=4e-3, factor=2.6)
TARGET_TOPICS, DIALECT = (0, 1, 2, 3), 0.4
DOCUMENTS, TARGET_DOCUMENTS, TEST = 6000, 2000, 400
EPOCHS, BATCH_SIZE = 15, 10
SCRATCH = Method(0.01, schedule="slanted-triangular")  # the better of two rates tried
STARTS = ("from scratch", "general text only", "general and target text")


def new_lstm() -> AWDLSTM:
    """Two layers of 64 features, whose memory starts out long: forget gates begin near sigmoid(2) = 0.88.

    With the published start, near 0.5, a state forgets the topic within a few words, and learning to keep it takes
    many times the text (the remedy: Gers et al. 2000; Jozefowicz et al. 2015).
    """
    encoder = AWDLSTM(VOCAB_SIZE, 64, 64, 2, Dropouts(0.05, 0.05, 0.1, 0.05, 0.05), embedding_std=1.0)
    with torch.no_grad():
        layers: list[Any] = list(encoder.layers)
        for layer in layers:
            layer.bias_ih[layer.hidden_dim : 2 * layer.hidden_dim] += 2  # gates: input, forget, cell, output
    return encoder


def new_transformer() -> TransformerEncoder:
    """Two blocks of 64 features, with about as many parameters as the LSTM."""
    return TransformerEncoder(VOCAB_SIZE, 64, num_heads=4, hidden_dim=128, num_layers=2, dropout=0.0)


@dataclass(frozen=True)
class EncoderKind:
    """How an encoder is made, and how it learns in stages 1 and 2."""

    new: Callable[[], nn.Module]
    stage_1: LMSettings
    stage_2: LMSettings


ENCODERS = {
    "lstm": EncoderKind(new_lstm, STAGE_1, STAGE_2),
    "transformer": EncoderKind(new_transformer, replace(STAGE_1, lr=3e-3), replace(STAGE_2, lr=3e-3)),
}


def new_model(encoder: str = "lstm") -> LanguageModel:
    """An untrained language model of the constructed language.

    Raises:
        ValueError: an unknown encoder.
    """
    if encoder not in ENCODERS:
        raise ValueError(f"encoder: got {encoder!r}; allowed are {', '.join(ENCODERS)}")
    return LanguageModel(ENCODERS[encoder].new())


@dataclass(frozen=True)
class LanguageStages:
    """Perplexities on both kinds of text, after each stage; and the encoders."""

    general: dict[str, float]
    target: dict[str, float]
    encoders: dict[str, dict[str, torch.Tensor]]  # start -> weights by name, of any shape
    language: Language
    encoder: str  # its kind, as in ENCODERS


@dataclass(frozen=True)
class Recipe:
    """Errors of classifiers by start or method and number of labels, one for each seed."""

    sizes: tuple[int, ...]
    errors: dict[str, list[list[float]]]  # start or method -> [size][seed]
    seeds: int

    def mean(self, start: str, size: int) -> float:
        """The mean error over the seeds."""
        return mean(self.errors[start][self.sizes.index(size)])


def train_stages(
    seed: int = 10,
    encoder: str = "lstm",
    *,
    documents: int = DOCUMENTS,
    target_documents: int = TARGET_DOCUMENTS,
) -> LanguageStages:
    """Stages 1 and 2 on the language of a seed; and stage 2's training from new weights, for comparison.

    Raises:
        ValueError: an unknown encoder, or a number of documents below 1.
    """
    at_least_one(documents=documents, target_documents=target_documents)
    with seeded(seed):
        model, fresh = new_model(encoder), new_model(encoder)
    stage_1, stage_2 = (
        replace(stage, seed=seed) for stage in (ENCODERS[encoder].stage_1, ENCODERS[encoder].stage_2)
    )
    language, draws = make_language(seed), torch.Generator().manual_seed(seed)
    general, _ = language.documents(documents, range(TOPICS), 0.0, draws)
    target, _ = language.documents(target_documents, TARGET_TOPICS, DIALECT, draws)
    held_out = (
        language.documents(300, range(TOPICS), 0.0, draws)[0].flatten(),
        language.documents(300, TARGET_TOPICS, DIALECT, draws)[0].flatten(),
    )

    def judged(model: LanguageModel) -> list[float]:
        return [perplexity(model, text, 25, DOCUMENT_LENGTH) for text in held_out]

    found: dict[str, list[float]] = {}
    encoders = {STARTS[0]: _copy(fresh)}
    LMTraining(model, general.flatten(), stage_1).run()
    found["after stage 1"], encoders[STARTS[1]] = judged(model), _copy(model)
    LMTraining(model, target.flatten(), stage_2).run()
    found["after stage 2"], encoders[STARTS[2]] = judged(model), _copy(model)
    LMTraining(fresh, target.flatten(), replace(stage_2, factor=1.0)).run()
    found["target text only"] = judged(fresh)
    general_text, target_text = ({name: values[i] for name, values in found.items()} for i in (0, 1))
    return LanguageStages(general_text, target_text, encoders, language, encoder)


def _copy(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.encoder.state_dict().items()}


def classify(
    stages: LanguageStages, start: str, method: str | Method, labels: int, seed: int, test: int = TEST
) -> tuple[float, FineTuningHistory]:
    """Fine-tune one classifier on `labels` documents of the target text; its error on others, and its history.

    Every topic has as many labeled documents; they are other ones for each language and seed.

    Raises:
        ValueError: `labels` is not a multiple of the number of topics.
    """
    at_least_one(labels=labels)
    if labels % len(TARGET_TOPICS):
        raise ValueError(f"labels: got {labels}; allowed are multiples of the {len(TARGET_TOPICS)} topics")
    draws = torch.Generator().manual_seed(100_000 + 1000 * stages.language.seed + seed)
    pool = 3 * labels + 40  # each topic's share is in it, but for a chance below one in a million
    tokens, topics = stages.language.documents(pool + test, TARGET_TOPICS, DIALECT, draws)
    each = [
        (topics[:pool] == topic).nonzero().flatten()[: labels // len(TARGET_TOPICS)]
        for topic in range(len(TARGET_TOPICS))
    ]
    drawn = torch.cat(each)
    with seeded(seed):
        encoder = new_model(stages.encoder).encoder
        encoder.load_state_dict(stages.encoders[start])
        classifier = TextClassifier(encoder, len(TARGET_TOPICS))
    history = fine_tune(
        classifier,
        list(tokens[drawn]),
        topics[drawn].tolist(),
        method,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        seed=seed,
    )
    best = class_probabilities(classifier, list(tokens[pool:]), batch_size=test).argmax(-1)
    return (best != topics[pool:]).float().mean().item(), history


def _errors(
    stages: LanguageStages, arms: Mapping[str, tuple[str, str | Method]], sizes: Sequence[int], seeds: int
) -> Recipe:
    """Errors of arms, each a start and a method; a seed fixes the documents and the head, whatever the arm."""
    at_least_one(seeds=seeds)
    errors = {
        arm: [[classify(stages, start, method, n, seed)[0] for seed in range(seeds)] for n in sizes]
        for arm, (start, method) in progress(arms.items(), "classifiers")
    }
    return Recipe(tuple(sizes), errors, seeds)


def measure_recipe(stages: LanguageStages, sizes: Sequence[int] = (20, 40), seeds: int = 3) -> Recipe:
    """Error against labels from each start. ULMFiT's recipe for both pretrained ones; one rate for new weights."""
    methods: tuple[str | Method, ...] = (SCRATCH, ULMFIT, ULMFIT)
    arms: dict[str, tuple[str, str | Method]] = {
        start: (start, method) for start, method in zip(STARTS, methods, strict=True)
    }
    return _errors(stages, arms, sizes, seeds)


def measure_methods(
    stages: LanguageStages,
    methods: Sequence[str] = ("Full", MISSING_ROW, ULMFIT),
    sizes: Sequence[int] = (20,),
    seeds: int = 3,
) -> Recipe:
    """Error of rows of table 7, and of the row it lacks, after both stages."""
    return _errors(stages, {method: (STARTS[2], method) for method in methods}, sizes, seeds)
