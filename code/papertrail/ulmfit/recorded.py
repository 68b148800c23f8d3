"""The recorded runs on real reviews. Settings, split and seeds were fixed before the first of them.

The language models, in an empty folder that holds WikiText-2's training text as `wikitext2_train.txt.gz`:

    python -m papertrail.ulmfit pretrain --corpus bbc --corpus wikipedia \
        --corpus file:wikitext2_train.txt.gz --out runs/general
    python -m papertrail.ulmfit finetune --from runs/general --corpus imdb --out runs/general+target
    python -m papertrail.ulmfit finetune --corpus imdb --factor 1 --out runs/target
    python -m papertrail.ulmfit finetune --from runs/general --corpus imdb --passes 1 --out runs/general+target-1
    python -m papertrail.ulmfit export --from runs/general+target --out book/results/ulmfit/encoder.pt

Then the classifiers. Each is a file of its own, so that a run which is killed goes on where it stopped, and several
processes can share the work (`--share 0/2` and `--share 1/2`); `--collect` puts them into book/results/ulmfit/.

    python -m papertrail.ulmfit.recorded low-shot --runs runs
    python -m papertrail.ulmfit.recorded ladder --runs runs
    python -m papertrail.ulmfit.recorded budget --runs runs
    python -m papertrail.ulmfit.recorded low-shot --runs runs --collect
"""  # fmt: skip

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from papertrail.experiments import load_record, progress, rounded, save_record, seeded
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
from papertrail.ulmfit.runs import ModelSizes, carried_over, load_model, write_json
from papertrail.ulmfit.text import Vocabulary

SEEDS = (0, 1, 2)
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
    "low-shot": ("general", "general+target", "target"),
    "ladder": ("general", "general+target"),
    "budget": (BUDGET_START,),
}


@dataclass(frozen=True)
class Run:
    """One classifier of the recorded runs."""

    start: str  # "none", or the name of a language model's folder
    method: str
    labels: int
    seed: int

    @property
    def name(self) -> str:
        return "-".join(map(str, (self.start, self.method, self.labels, self.seed))).replace(" ", "_")


def runs_of(experiment: str) -> Iterator[Run]:
    """What an experiment consists of, the quickest first."""
    if experiment == "low-shot":
        for labels in EPOCHS:
            for seed in SEEDS:
                for start, method in LOW_SHOT:
                    yield Run(start, method, labels, seed)
                yield Run("none", "bag of words", labels, seed)
    if experiment == "ladder":
        for seed in SEEDS:
            yield Run("none", "regular", LADDER_LABELS, seed)
            for method in METHODS:
                yield Run("general+target", method, LADDER_LABELS, seed)
    if experiment == "budget":
        for labels in BUDGET_LABELS:
            for seed in SEEDS:
                for method in (ULMFIT, "one rate"):
                    yield Run(BUDGET_START, method, labels, seed)


def settings() -> dict[str, Any]:
    """What all runs share: a record of other settings is not added to."""
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


def make(run: Run, folder: Path) -> dict[str, Any]:
    """Train and judge one classifier on the held-out test reviews."""
    judged = split_reviews().test
    target = Vocabulary.load(folder / "general+target" / "vocabulary.txt")
    began = time.process_time()
    if run.method == "bag of words":
        error, last = bag_of_words_error(target, run.labels, run.seed, judged), None
    else:
        if run.start == "none":
            with seeded(run.seed):
                model, vocabulary = ModelSizes(dropouts=CLASSIFIER_DROPOUTS).build(len(target)), target
        else:
            model, vocabulary, record = load_model(folder / run.start, CLASSIFIER_DROPOUTS)
        if run.start == "general":  # stage 2 was left out, but not its vocabulary
            sizes = ModelSizes.of(record["sizes"])
            model = carried_over(model, vocabulary, target, sizes, CLASSIFIER_DROPOUTS)
            vocabulary = target
        method = {"one rate": ONE_RATE, "regular": REGULAR}.get(run.method, run.method)
        done = classify_reviews(model.encoder, vocabulary, method, run.labels, run.seed, judged)
        losses = done.history.losses[-len(done.history.losses) // 4 :]
        error, last = done.error, sum(losses) / len(losses)
    return {**asdict(run), "error": error, "last_loss": last, "cpu": time.process_time() - began}


def make_all(experiment: str, folder: Path, share: tuple[int, int]) -> None:
    """Make what is not there yet of this process's share."""
    out = folder / experiment
    out.mkdir(parents=True, exist_ok=True)
    here = out / "settings.json"
    if here.exists() and json.loads(here.read_text()) != settings():
        raise SystemExit(f"{here}: made with other settings; name another folder for --runs")
    write_json(settings(), here)
    wanted = [run for i, run in enumerate(runs_of(experiment)) if i % share[1] == share[0]]
    for run in progress(wanted, experiment):
        path = out / f"{run.name}.json"
        if path.exists():
            continue
        if run.start != "none" and not (folder / run.start / "model.pt").exists():
            print(f"{run.name}: left out for now, {folder / run.start} has no finished language model")
            continue
        write_json(rounded(make(run, folder)), path)


def collect(experiment: str, folder: Path) -> Path:
    """Put the finished runs of an experiment, and the language models' records, into the course."""
    found = []
    for run in runs_of(experiment):
        path = folder / experiment / f"{run.name}.json"
        if path.exists():
            found.append(json.loads(path.read_text(encoding="utf-8")))
    models = {}
    for name in MODELS[experiment]:
        path = folder / name / "run.json"
        if not (folder / name / "model.pt").exists():
            continue  # not yet trained
        record = json.loads(path.read_text(encoding="utf-8"))
        models[name] = {key: record[key] for key in ("corpora", "corpus", "words", "settings", "perplexity_before",
                                                     "perplexity", "text", "vocabulary") if key in record}  # fmt: skip
    return save_record(
        "ulmfit",
        experiment.replace("-", "_"),
        f"python -m papertrail.ulmfit.recorded {experiment} --runs runs",
        {
            "settings": settings(),
            "language_models": models,
            "runs": found,
            "planned": len(list(runs_of(experiment))),
            "runs_cpu_seconds": round(sum(run.get("cpu", 0.0) for run in found)),
        },
    )


def load_runs(experiment: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A record, and its finished runs.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    record = load_record("ulmfit", experiment.replace("-", "_"))
    return record, record["runs"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m papertrail.ulmfit.recorded")
    parser.add_argument("experiment", choices=tuple(MODELS))
    parser.add_argument("--runs", type=Path, required=True, help="folder with the language models' folders")
    parser.add_argument("--share", default="0/1", help="which part of the work, as 0/2")
    parser.add_argument(
        "--collect", action="store_true", help="write what is finished into book/results/ulmfit/"
    )
    args = parser.parse_args(arguments)
    if args.collect:
        print(collect(args.experiment, args.runs))
    else:
        part, of = map(int, args.share.split("/"))
        make_all(args.experiment, args.runs, (part, of))


if __name__ == "__main__":
    main()
