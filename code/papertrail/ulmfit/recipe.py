"""The whole recipe on the constructed language: three stages, and the same classifier without one or two of them.

Settings are those of the first trials on three languages (seeds 0 to 2); what the chapter shows is other languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

import torch

from papertrail.experiments import at_least_one, progress, seeded
from papertrail.ulmfit.awd_lstm import AWDLSTM, Dropouts
from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.fine_tuning import (
    MISSING_ROW,
    ULMFIT,
    FineTuningHistory,
    Method,
    error_rate,
    fine_tune,
)
from papertrail.ulmfit.language_model import LanguageModel, LMSettings, LMTraining, perplexity
from papertrail.ulmfit.synthetic import TOPICS, VOCAB_SIZE, Language, make_language

DROPOUTS = Dropouts(0.05, 0.05, 0.1, 0.05, 0.05)
STAGE_1 = LMSettings(
    passes=3, lr=1e-2, batch_size=25, bptt=40, betas=(0.8, 0.99), alpha=0.0, beta=0.0, clip=1.0
)
STAGE_2 = replace(STAGE_1, passes=2, lr=4e-3, factor=2.6)
TARGET_TOPICS, DIALECT = (0, 1, 2, 3), 0.4
EPOCHS, BATCH_SIZE = 15, 10
SCRATCH = Method(0.01, schedule="slanted-triangular")  # the better of two rates tried
STARTS = ("from scratch", "general text only", "general and target text")


@dataclass(frozen=True)
class LanguageStages:
    """Perplexities on both kinds of text, after each stage; and the encoders."""

    general: dict[str, float]
    target: dict[str, float]
    encoders: dict[str, dict[str, torch.Tensor]]  # start -> weights
    language: Language


@dataclass(frozen=True)
class Recipe:
    """Errors of classifiers by start and number of labels, one for each seed."""

    sizes: tuple[int, ...]
    errors: dict[str, list[list[float]]]  # start or method -> [size][seed]
    seeds: int

    def mean(self, start: str, size: int) -> float:
        """The mean error over the seeds."""
        return mean(self.errors[start][self.sizes.index(size)])


def new_model() -> LanguageModel:
    """An untrained language model of the constructed language."""
    return LanguageModel(AWDLSTM(VOCAB_SIZE, 64, 128, 2, DROPOUTS, embedding_std=1.0))


def train_stages(seed: int = 10, *, documents: int = 8000, target_documents: int = 3000) -> LanguageStages:
    """Stages 1 and 2 on the language of a seed; and stage 2's training from new weights, for comparison."""
    at_least_one(documents=documents, target_documents=target_documents)
    language = make_language(seed)
    draws = torch.Generator().manual_seed(seed)
    general, _ = language.documents(documents, range(TOPICS), 0.0, draws)
    target, _ = language.documents(target_documents, TARGET_TOPICS, DIALECT, draws)
    held_out = (
        language.documents(300, range(TOPICS), 0.0, draws)[0].flatten(),
        language.documents(300, TARGET_TOPICS, DIALECT, draws)[0].flatten(),
    )
    with seeded(seed):
        model, fresh = new_model(), new_model()
    found: dict[str, tuple[float, float]] = {}
    encoders = {STARTS[0]: _copy(fresh)}
    LMTraining(model, general.flatten(), replace(STAGE_1, seed=seed)).run()
    found["after stage 1"] = tuple(perplexity(model, text, 25, 40) for text in held_out)
    encoders[STARTS[1]] = _copy(model)
    LMTraining(model, target.flatten(), replace(STAGE_2, seed=seed)).run()
    found["after stage 2"] = tuple(perplexity(model, text, 25, 40) for text in held_out)
    encoders[STARTS[2]] = _copy(model)
    LMTraining(fresh, target.flatten(), replace(STAGE_2, factor=1.0, seed=seed)).run()
    found["target text only"] = tuple(perplexity(fresh, text, 25, 40) for text in held_out)
    return LanguageStages(
        {name: values[0] for name, values in found.items()},
        {name: values[1] for name, values in found.items()},
        encoders,
        language,
    )


def _copy(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.encoder.state_dict().items()}


def classify(
    stages: LanguageStages, start: str, method: str | Method, labels: int, seed: int, test: int = 600
) -> tuple[float, FineTuningHistory]:
    """Fine-tune one classifier on `labels` documents of the target text; its error on others, and its history."""
    draws = torch.Generator().manual_seed(1000 + seed)
    tokens, topics = stages.language.documents(labels + test, TARGET_TOPICS, DIALECT, draws)
    with seeded(seed):
        encoder = new_model().encoder
        encoder.load_state_dict(stages.encoders[start])
        classifier = TextClassifier(encoder, len(TARGET_TOPICS))
    documents, known = tokens.tolist(), topics.tolist()
    history = fine_tune(
        classifier,
        documents[:labels],
        known[:labels],
        method,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        seed=seed,
    )
    return error_rate(classifier, documents[labels:], known[labels:]), history


def measure_recipe(stages: LanguageStages, sizes: Sequence[int] = (20, 40), seeds: int = 5) -> Recipe:
    """Error against labels from each start. ULMFiT's recipe for both pretrained ones; one rate for new weights."""
    at_least_one(seeds=seeds)
    methods = {STARTS[0]: SCRATCH, STARTS[1]: ULMFIT, STARTS[2]: ULMFIT}
    errors = {
        start: [[classify(stages, start, method, n, seed)[0] for seed in range(seeds)] for n in sizes]
        for start, method in progress(methods.items(), "classifiers")
    }
    return Recipe(tuple(sizes), errors, seeds)


def measure_methods(
    stages: LanguageStages,
    methods: Sequence[str] = ("Full", MISSING_ROW, ULMFIT),
    labels: int = 20,
    seeds: int = 5,
) -> Recipe:
    """Error of rows of table 7, and of the row it lacks, after both stages."""
    errors = {
        method: [[classify(stages, STARTS[2], method, labels, seed)[0] for seed in range(seeds)]]
        for method in progress(methods, "methods")
    }
    return Recipe((labels,), errors, seeds)
