"""What takes too long for a notebook: the recipe on five constructed languages, for an LSTM and for a Transformer.

Everything was fixed before the first run, on other languages (seeds 0 to 2): texts, rates, epochs, and that the last
epoch counts. A seed is a language.

    python -m papertrail.experiments run ulmfit.recipe
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from papertrail.experiments import load_results
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.ulmfit.fine_tuning import METHODS, MISSING_ROW, ULMFIT
from papertrail.ulmfit.recipe import (
    BATCH_SIZE,
    DOCUMENTS,
    ENCODERS,
    EPOCHS,
    SCRATCH,
    STARTS,
    TARGET_DOCUMENTS,
    TEST,
    Recipe,
    measure_methods,
    measure_recipe,
    new_model,
    train_stages,
)
from papertrail.ulmfit.runs import number_of_parameters

CHAPTER, NAME = "ulmfit", "recipe"
FIRST, LANGUAGES = 10, 5  # the first language's seed, and how many
SIZES = (12, 20, 40, 100)  # labels, from each start
METHOD_SIZES = (12, 20, 40)  # labels, by each method: with 100 there is nothing left to win
SEEDS = 5  # of labels and heads
OTHERS = ("Full", MISSING_ROW)  # beside ULMFiT's own row


@dataclass(frozen=True)
class LanguageRun:
    """One encoder on one language."""

    language: int
    encoder: str
    parameters: int  # of the encoder
    general: dict[str, float]  # perplexities, as in `LanguageStages`
    target: dict[str, float]
    starts: Recipe
    methods: Recipe  # after both stages


@dataclass(frozen=True)
class RecordedRecipe:
    """All languages and encoders."""

    runs: list[LanguageRun]

    def of(self, encoder: str) -> list[LanguageRun]:
        """One encoder's runs.

        Raises:
            ValueError: there are none.
        """
        if not (runs := [run for run in self.runs if run.encoder == encoder]):
            raise ValueError(
                f"encoder: got {encoder!r}; recorded are {sorted({r.encoder for r in self.runs})}"
            )
        return runs

    def errors(self, encoder: str, arm: str, size: int) -> list[float]:
        """A start's or a method's error with `size` labels: for each language the mean over its label seeds."""
        return [(run.starts if arm in STARTS else run.methods).mean(arm, size) for run in self.of(encoder)]

    def gains(self, encoder: str, size: int, one: str = ULMFIT, other: str = MISSING_ROW) -> list[float]:
        """How much lower the error of `one` method is than that of the `other`, for each language."""
        pairs = zip(self.errors(encoder, one, size), self.errors(encoder, other, size), strict=True)
        return [theirs - ours for ours, theirs in pairs]


def measure_language(language: int, encoder: str) -> LanguageRun:
    """All three stages on one language: errors by start, and by method after both language-model stages."""
    stages = train_stages(language, encoder)
    starts = measure_recipe(stages, SIZES, SEEDS)
    others = measure_methods(stages, OTHERS, METHOD_SIZES, SEEDS)
    # ULMFiT's row is the same classifiers as those from the last start
    ours = {ULMFIT: [starts.errors[STARTS[-1]][SIZES.index(size)] for size in METHOD_SIZES]}
    return LanguageRun(
        language,
        encoder,
        number_of_parameters(new_model(encoder).encoder),
        stages.general,
        stages.target,
        starts,
        Recipe(METHOD_SIZES, others.errors | ours, SEEDS),
    )


def settings() -> dict[str, Any]:
    """Whatever the numbers depend on, beside the cell."""
    return {
        "sizes": SIZES,
        "method_sizes": METHOD_SIZES,
        "label_seeds": SEEDS,
        "documents": [DOCUMENTS, TARGET_DOCUMENTS, TEST],
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "methods": {"new weights": asdict(SCRATCH)} | {m: asdict(METHODS[m]) for m in (*OTHERS, ULMFIT)},
        "stages": {name: [asdict(kind.stage_1), asdict(kind.stage_2)] for name, kind in ENCODERS.items()},
    }


def load_recipe() -> RecordedRecipe:
    """The recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return RecordedRecipe([_run(stored) for stored in load_results(CHAPTER, NAME)])


def _run(stored: dict[str, Any]) -> LanguageRun:
    recipes = {
        key: Recipe(tuple(stored[key]["sizes"]), stored[key]["errors"], stored[key]["seeds"])
        for key in ("starts", "methods")
    }
    return LanguageRun(**stored | recipes)


def cells(seeds: Sequence[int]) -> list[Cell]:
    """Every language with both encoders."""
    return [{"language": FIRST + seed, "encoder": encoder} for seed in seeds for encoder in ENCODERS]


EXPERIMENTS = (
    Experiment(
        CHAPTER, NAME, "What does each stage and trick gain on constructed languages, for an LSTM and a Transformer?",
        cells, measure_language, LANGUAGES, 1084, 600, Tolerance(0.1, 0.03), settings,
    ),
)  # fmt: skip
