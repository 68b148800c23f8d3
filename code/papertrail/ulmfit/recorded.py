"""The recorded runs on real reviews. Settings, split and seeds were fixed before the first of them.

The language models, in an empty folder that holds WikiText-2's training text as `wikitext2_train.txt.gz`:

    python -m papertrail.ulmfit pretrain --corpus bbc --corpus wikipedia \
        --corpus file:wikitext2_train.txt.gz --out runs/general
    python -m papertrail.ulmfit finetune --from runs/general --corpus imdb --out runs/general+target
    python -m papertrail.ulmfit finetune --corpus imdb --factor 1 --out runs/target
    python -m papertrail.ulmfit finetune --from runs/general --corpus imdb --passes 1 --out runs/general+target-1
    python -m papertrail.ulmfit export --from runs/general+target --out book/results/ulmfit/encoder.pt

Then the classifiers, `low_shot`, `ladder` and `budget`:

    python -m papertrail.experiments run ulmfit.low_shot --input models=runs

A run that is killed goes on with --resume; a cluster's machines need the folder under the same path.
"""  # fmt: skip

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from papertrail.experiments import load_file, seeded
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.ulmfit.fine_tuning import METHODS, ULMFIT, Method
from papertrail.ulmfit.reviews import (
    BATCH_SIZES,
    CLASSIFIER_DROPOUTS,
    EPOCHS,
    HEAD_DROPOUTS,
    LAST_WORDS,
    ONE_RATE,
    TEST,
    VALIDATION,
    bag_of_words_error,
    classify_reviews,
    split_reviews,
)
from papertrail.ulmfit.runs import ModelSizes, carried_over, load_model
from papertrail.ulmfit.text import Vocabulary

CHAPTER, SEEDS = "ulmfit", 3
REGULAR = Method(0.001)  # the scripts' "regular schedule" for new weights
# start, method; the names are those of the record
LOW_SHOT = (
    ("none", "one rate"),
    ("general", ULMFIT),
    ("general+target", ULMFIT),
    ("general+target", "one rate"),
    ("target", ULMFIT),
)
LADDER_LABELS = 1000
# stage 2 for one pass in place of three; none at all is "general" of the low-shot runs
BUDGET_START, BUDGET_LABELS = "general+target-1", (50, 200)
MODELS = {
    "low_shot": ("general", "general+target", "target"),
    "ladder": ("general", "general+target"),
    "budget": (BUDGET_START,),
}


def low_shot_cells(seeds: Sequence[int]) -> list[Cell]:
    """Every start and way of fine-tuning by number of labels, the quickest first, and a bag of words."""
    ways = (*LOW_SHOT, ("none", "bag of words"))
    return [_cell(*way, labels, seed) for labels in EPOCHS for seed in seeds for way in ways]


def ladder_cells(seeds: Sequence[int]) -> list[Cell]:
    """Every row of the paper's table 7, and the one it lacks."""
    ways = (("none", "regular"), *(("general+target", method) for method in METHODS))
    return [_cell(*way, LADDER_LABELS, seed) for seed in seeds for way in ways]


def budget_cells(seeds: Sequence[int]) -> list[Cell]:
    """One pass of stage 2, at the fewest labels."""
    ways = ((BUDGET_START, ULMFIT), (BUDGET_START, "one rate"))
    return [_cell(*way, labels, seed) for labels in BUDGET_LABELS for seed in seeds for way in ways]


def _cell(start: str, method: str, labels: int, seed: int) -> Cell:
    """start: "none", or the name of a language model's folder."""
    return {"start": start, "method": method, "labels": labels, "seed": seed}


def shared_settings() -> dict[str, Any]:
    """What all runs share."""
    return {
        "test": TEST,
        "validation": VALIDATION,
        "last_words": LAST_WORDS,
        "epochs": {str(n): e for n, e in EPOCHS.items()},
        "batch_sizes": {str(n): b for n, b in BATCH_SIZES.items()},
        "dropouts": asdict(CLASSIFIER_DROPOUTS),
        "head_dropouts": list(HEAD_DROPOUTS),
        "one_rate": asdict(ONE_RATE),
    }


def settings_of(experiment: str) -> Callable[[str], dict[str, Any]]:
    """What all runs of an experiment share, and what its language models were made of."""

    def settings(models: str) -> dict[str, Any]:
        return shared_settings() | {"language_models": language_models(experiment, Path(models))}

    return settings


def language_models(experiment: str, folder: Path) -> dict[str, Any]:
    """By name, what the records of the language models say.

    Raises:
        FileNotFoundError: one is not there, or not finished.
    """
    kept = ("corpora", "corpus", "words", "settings", "perplexity_before", "perplexity", "text", "vocabulary")
    models = {}
    for name in MODELS[experiment]:
        if not (folder / name / "model.pt").exists():
            raise FileNotFoundError(f"{folder / name}: there is no finished language model")
        record = json.loads((folder / name / "run.json").read_text(encoding="utf-8"))
        models[name] = {key: record[key] for key in kept if key in record}
    return models


def measure_run(start: str, method: str, labels: int, seed: int, *, models: str) -> dict[str, float | None]:
    """Train one classifier and judge it on the held-out test reviews: its error, and its last training loss.

    Args:
        models: the folder that the language models' folders lie in.
    """
    judged = split_reviews().test
    folder = Path(models)
    target = Vocabulary.load(folder / "general+target" / "vocabulary.txt")
    if method == "bag of words":
        return {"error": bag_of_words_error(target, labels, seed, judged), "last_loss": None}
    if start == "none":
        with seeded(seed):
            model, vocabulary = ModelSizes(dropouts=CLASSIFIER_DROPOUTS).build(len(target)), target
    else:
        model, vocabulary, record = load_model(folder / start, CLASSIFIER_DROPOUTS)
    if start == "general":  # stage 2 was left out, but not its vocabulary
        sizes = ModelSizes.of(record["sizes"])
        model = carried_over(model, vocabulary, target, sizes, CLASSIFIER_DROPOUTS)
        vocabulary = target
    chosen = {"one rate": ONE_RATE, "regular": REGULAR}.get(method, method)
    done = classify_reviews(model.encoder, vocabulary, chosen, labels, seed, judged)
    losses = done.history.losses[-len(done.history.losses) // 4 :]
    return {"error": done.error, "last_loss": sum(losses) / len(losses)}


def load_runs(experiment: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A record, and its finished runs.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    record = load_file(CHAPTER, experiment)
    return record, [row["cell"] | row["result"] for row in record["table"]]


def _experiment(name: str, question: str, cells: Any, cpu_seconds: float) -> Experiment:
    return Experiment(
        CHAPTER, name, question, cells, measure_run, SEEDS, cpu_seconds, 900, Tolerance(0.0, 0.02),
        settings_of(name), {"models": "the folder of the language models, as `papertrail.ulmfit.recorded` says"},
    )  # fmt: skip


EXPERIMENTS = (
    _experiment("low_shot", "What is pretraining worth in labels, on real reviews?", low_shot_cells, 7800),
    _experiment("ladder", "Which of ULMFiT's tricks helps, on real reviews?", ladder_cells, 4100),
    _experiment("budget", "Does one pass of stage 2 do as well as three?", budget_cells, 690),
)
