"""What takes too long for a notebook: the recipe on five constructed languages, for an LSTM and for a Transformer.

Everything was fixed before the first run, on other languages (seeds 0 to 2): texts, rates, epochs, and that the last
epoch counts. One language and encoder at a time; what is recorded is not run again.

    python -m papertrail.ulmfit.recorded_recipe    run what is missing and record it
"""

import json
import time
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from papertrail.experiments import load_record, results_file, rounded, save_record
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
LANGUAGES = (10, 11, 12, 13, 14)
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
    cpu_seconds: float


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
    begun = time.process_time()
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
        round(time.process_time() - begun, 1),
    )


def settings() -> dict[str, Any]:
    """Whatever the numbers depend on: a record with other settings is not gone on with."""
    made = {
        "languages": LANGUAGES,
        "sizes": SIZES,
        "method_sizes": METHOD_SIZES,
        "label_seeds": SEEDS,
        "documents": [DOCUMENTS, TARGET_DOCUMENTS, TEST],
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "methods": {"new weights": asdict(SCRATCH)} | {m: asdict(METHODS[m]) for m in (*OTHERS, ULMFIT)},
        "stages": {name: [asdict(kind.stage_1), asdict(kind.stage_2)] for name, kind in ENCODERS.items()},
    }
    return json.loads(json.dumps(made))  # tuples become lists, as they will be when read back


def load_recipe() -> RecordedRecipe:
    """The recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return RecordedRecipe([_run(stored) for stored in load_record(CHAPTER, NAME)["runs"]])


def _run(stored: dict[str, Any]) -> LanguageRun:
    recipes = {
        key: Recipe(tuple(stored[key]["sizes"]), stored[key]["errors"], stored[key]["seeds"])
        for key in ("starts", "methods")
    }
    return LanguageRun(**stored | recipes)


def main() -> int:
    """Run what is not yet recorded, and record each language and encoder as soon as it is done.

    Raises:
        ValueError: what is recorded was made with other settings.
    """
    runs: list[dict[str, Any]] = []
    if (path := results_file(CHAPTER, NAME)).exists():
        record = load_record(CHAPTER, NAME)
        if record["settings"] != settings():
            raise ValueError(f"{path.name}: holds runs with other settings; move it away to start anew")
        runs = record["runs"]
    done = {(run["language"], run["encoder"]) for run in runs}
    for language in LANGUAGES:
        for encoder in ENCODERS:
            if (language, encoder) in done:
                continue
            run = measure_language(language, encoder)
            runs.append(rounded(asdict(run)))
            command = "python -m papertrail.ulmfit.recorded_recipe"
            save_record(CHAPTER, NAME, command, {"settings": settings(), "runs": runs})
            means = {size: round(mean(run.starts.errors[STARTS[-1]][i]), 3) for i, size in enumerate(SIZES)}
            print(f"language {language}, {encoder}: {STARTS[-1]}, errors by labels {means}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
