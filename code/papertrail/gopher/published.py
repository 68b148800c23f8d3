"""What was published about Gopher's size, cost and scores: tables with their sources, and the printed sentences.

J. W. Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021 ("Rae" here), and
J. Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022 ("Hoffmann"), by the same group, which
prints Gopher's scores task by task. Scores are percent, unless a docstring says otherwise.

The tables are CSV files in `tables/`. Each row names its source by a key that `tables/sources.csv` explains. The
scores of open models are not Gopher's: Rae's own tables by model size were not found.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

TABLES = Path(__file__).parent / "tables"
Row = TypeVar("Row")

# Sizes and budget (Rae, sections 3.1 to 3.4 and table A27; Hoffmann, appendix F).
VOCABULARY, CONTEXT, TRAINING_TOKENS = 32_000, 2_048, 300_000_000_000
GOPHER_FLOPS = 6.31e23  # with rematerialization; Hoffmann's appendix F prints 6.3e23 and recounts 5.76e23
CHIPS, HOURS, WATTS_PER_CHIP = 4_096, 920, 283  # the watts are an average of the chip type, not of this run
ENERGY_MWH = 1_066  # quoted for Gopher by Luccioni et al. 2022, table 4
STATE_TIB, CORE_GIB = 2.5, 16  # parameters and Adam's state; memory of one TPUv3 core (Rae, section 3.3)
PEAK_FLOPS = 123e12  # of a TPUv3 chip in bfloat16; from memory, but Chowdhery's 32.5% follows with it
STEPS_PER_SECOND, SEQUENCES_PER_STEP, PALM_UTILIZATION = (
    0.0152,
    3_072,
    0.325,
)  # Chowdhery et al. 2022, table 3

# Hoffmann, table A4: FLOPs of appendix F over 6ND, by the parameters (in millions) that table A9 prints.
FLOP_RATIOS = {74: 1.03, 306: 1.10, 552: 1.08, 1143: 1.04, 1593: 1.03, 6796: 0.99}

# The tasks (Rae; 20, 3, 3, 57 and 62 also in Hoffmann's table 5; fact checking and common sense: their sum is
# certain, how it splits is not).
TASK_COUNTS = {
    "language modeling": 20, "reading comprehension": 3, "fact checking": 3, "question answering": 3,
    "common sense": 4, "MMLU": 57, "BIG-bench": 62,
}  # fmt: skip
TASKS, COMPARABLE, IMPROVED = 152, 124, 100  # evaluated; with an earlier best to compare; better than that

# Rae, section 4.3: 280B against the best of the models up to 7.1B, in relative improvement, with the printed shares.
GAINS = {"more than 25%": (79, 51.2), "up to 25%": (57, 37.5), "none": (16, 10.5)}
FIGURE_OF_SPEECH = (16.8, 52.7)  # from the best smaller model to Gopher, "a 314% increase"
FIGURE_OF_SPEECH_INCREASE = 314
WORSE_WITH_SIZE = ("abstract_algebra", "temporal_sequences", "high_school_mathematics")

# Means as printed for (Gopher, Chinchilla): Hoffmann's table 6 and section 4.2.4, and the MMLU authors' README.
MMLU_MEANS = (60.0, 67.6)
MMLU_IN_ABSTRACT = 67.5  # Chinchilla's, in the abstract of the same paper
BIGBENCH_MEANS = (54.4, 65.1)
NATURAL_QUESTIONS_IN_TEXT = 21.0  # Gopher, 5-shot, Hoffmann's section 4.2.6; its table 9 has another number
MMLU_CHANCE = 25.0


class TableError(ValueError):
    """A published table cannot be read as it should be; the message names file, line and column."""


@dataclass(frozen=True)
class ModelShape:
    """One model of Rae's table 1 or Hoffmann's table A9. `model` ends in the printed size: "44M", "Gopher 280B"."""

    model: str
    n_layers: int
    d_model: int
    n_heads: int
    key_size: int
    ffw_size: int
    source: str

    @property
    def published(self) -> float:
        """The printed number of parameters."""
        return float(self.model.split()[-1][:-1]) * self._factor

    @property
    def unit(self) -> float:
        """What the last printed digit stands for: a million in "44M", a hundred million in "1.4B"."""
        decimals = len(self.model.split()[-1][:-1].partition(".")[2])
        return self._factor / 10**decimals

    @property
    def _factor(self) -> float:
        return {"M": 1e6, "B": 1e9}[self.model[-1]]


@dataclass(frozen=True)
class TaskScore:
    """Gopher 280B and Chinchilla 70B on one task: accuracy in percent, MMLU at 5 shots."""

    task: str
    group: str
    gopher: float
    chinchilla: float
    n_questions: int  # 0 where it is not known
    source: str

    @property
    def gain(self) -> float:
        """Points that Chinchilla has more than Gopher, from 4 times fewer parameters and 4.7 times the tokens."""
        return round(self.chinchilla - self.gopher, 2)


@dataclass(frozen=True)
class OtherScore:
    """A score outside MMLU and BIG-bench, or a mean; None where the source has none."""

    task: str
    group: str
    setting: str
    metric: str
    gopher: float
    gpt3: float | None
    mt_nlg: float | None
    chinchilla: float
    source: str


@dataclass(frozen=True)
class PileScore:
    """Bits per byte on one part of the Pile; less is better."""

    subset: str
    gopher: float
    chinchilla: float
    jurassic1: float | None
    source: str


@dataclass(frozen=True)
class OpenModel:
    """One evaluated open model at one number of shots. All Pythia models have read 300 billion tokens."""

    run: str
    family: str
    nominal_params: float
    non_embedding_params: float | None  # known for Pythia
    shots: int
    file: str
    source: str


@dataclass(frozen=True)
class OpenTask:
    """One task's scores: run -> (accuracy, standard error), both from 0 to 1; and what guessing gives."""

    task: str
    category: str
    chance: float
    scores: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class BatchSizeErrors:
    """ImageNet error of a ResNet-50 by the number of images that one GPU normalizes over."""

    images: int
    batch_norm: float
    group_norm: float
    source: str


@dataclass(frozen=True)
class NormResult:
    """A row of the RMSNorm paper's tables; quality as printed ("26.6/27.7"), None where there is no number."""

    task: str
    framework: str
    norm: str
    quality: str
    time: float | None
    unit: str
    time_saved: float | None  # percent of LayerNorm's time, as printed
    source: str


def _lines(name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """A table's rows with their line numbers.

    Raises:
        TableError: a row has another number of cells than the header.
    """
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            if None in row or None in row.values():
                raise TableError(f"{name}: line {line}: has more or fewer cells than the header")
            yield line, row


KEYS = {  # the columns that tell rows apart, where the first alone does not
    "gopher280b_other.csv": ("task", "setting"),
    "rmsnorm_results.csv": ("task", "framework", "norm"),
}


def _read(name: str, make: Callable[[dict[str, str]], Row], expected: int, what: str) -> tuple[Row, ...]:
    """A whole table, each row by `make`, with its key and its number of rows checked.

    Raises:
        TableError: a cell is no number, a source is unknown, a row repeats, or the row count is not `expected`.
    """
    known = sources()
    found: dict[object, Row] = {}
    for line, row in _lines(name):
        try:
            made = make(row)
        except ValueError as error:
            raise TableError(f"{name}: line {line}: {error}") from None
        if "source" in row and row["source"] not in known:
            raise TableError(f"{name}: line {line}: source: {row['source']!r} is not in sources.csv")
        key = tuple(row[column] for column in KEYS.get(name, list(row)[:1]))
        if key in found:
            raise TableError(f"{name}: line {line}: {', '.join(key)} is there already")
        found[key] = made
    if len(found) != expected:
        raise TableError(f"{name}: has {len(found)} rows, but there are {expected} {what}")
    return tuple(found.values())


def _number(row: dict[str, str], column: str, low: float = 0.0, high: float = 100.0) -> float:
    try:
        value = float(row[column])
    except ValueError:
        raise ValueError(f"{column}: {row[column]!r} is no number") from None
    if not low <= value <= high:
        raise ValueError(f"{column}: got {value:g}; allowed is {low:g} to {high:g}")
    return value


def _count(row: dict[str, str], column: str) -> int:
    if not row[column].isdecimal() or int(row[column]) < 1:
        raise ValueError(f"{column}: got {row[column]!r}; allowed are integers from 1 up")
    return int(row[column])


def _optional(row: dict[str, str], column: str) -> float | None:
    return _number(row, column) if row[column] else None


def sources() -> dict[str, str]:
    """What each source key of the tables stands for, and how that place was read."""
    return {row["key"]: row["source"] for _, row in _lines("sources.csv")}


SHAPE = ("n_layers", "d_model", "n_heads", "key_size", "ffw_size")


def _shape(row: dict[str, str]) -> ModelShape:
    return ModelShape(
        model=row["model"], source=row["source"], **{column: _count(row, column) for column in SHAPE}
    )


def gopher_models() -> tuple[ModelShape, ...]:
    """Gopher's six models, smallest first (Rae, table 1)."""
    return _read("gopher_models.csv", _shape, 6, "Gopher models")


def chinchilla_shapes() -> tuple[ModelShape, ...]:
    """The fifty models of Hoffmann's table A9, smallest first."""
    return _read("chinchilla_shapes.csv", _shape, 50, "shapes in Hoffmann's table A9")


def mmlu() -> tuple[TaskScore, ...]:
    """The 57 subjects of MMLU: Hoffmann's table A6, grouped and counted as the benchmark's authors do."""

    def make(row: dict[str, str]) -> TaskScore:
        scores = (_number(row, "gopher"), _number(row, "chinchilla"))
        return TaskScore(row["task"], row["group"], *scores, _count(row, "n_questions"), row["source"])

    return _read("gopher280b_mmlu.csv", make, TASK_COUNTS["MMLU"], "subjects in MMLU")


def bigbench() -> tuple[TaskScore, ...]:
    """The 62 tasks of BIG-bench in Hoffmann's table A7."""

    def make(row: dict[str, str]) -> TaskScore:
        scores = (_number(row, "gopher"), _number(row, "chinchilla"))
        return TaskScore(row["task"], "BIG-bench", *scores, 0, row["source"])

    return _read("gopher280b_bigbench.csv", make, TASK_COUNTS["BIG-bench"], "tasks of BIG-bench")


def other_scores() -> tuple[OtherScore, ...]:
    """Reading, common sense, question answering, and the printed means (Hoffmann, tables 6 to 9; MMLU's README)."""

    def make(row: dict[str, str]) -> OtherScore:
        others = (_optional(row, "gpt3"), _optional(row, "mt_nlg"))
        return OtherScore(
            row["task"], row["group"], row["setting"], row["metric"], _number(row, "gopher"), *others,
            _number(row, "chinchilla"), row["source"],
        )  # fmt: skip

    return _read("gopher280b_other.csv", make, 27, "other scores")


def pile() -> tuple[PileScore, ...]:
    """Bits per byte on 19 parts of the Pile (Hoffmann, table A5)."""

    def make(row: dict[str, str]) -> PileScore:
        bits = (_number(row, "gopher", high=8.0), _number(row, "chinchilla", high=8.0))
        return PileScore(row["subset"], *bits, _optional(row, "jurassic1"), row["source"])

    return _read("gopher280b_pile.csv", make, 19, "parts of the Pile")


def batch_size_errors() -> tuple[BatchSizeErrors, ...]:
    """Wu & He 2018: error in percent of BatchNorm and GroupNorm at 32 down to 2 images per GPU."""

    def make(row: dict[str, str]) -> BatchSizeErrors:
        errors = (_number(row, "bn_error"), _number(row, "gn_error"))
        return BatchSizeErrors(_count(row, "images_per_gpu"), *errors, row["source"])

    return _read("groupnorm_batch_size.csv", make, 5, "batch sizes")


def rmsnorm_results() -> tuple[NormResult, ...]:
    """Zhang & Sennrich 2019, tables 2 to 10: quality and time of each norm."""

    def make(row: dict[str, str]) -> NormResult:
        time = _number(row, "time", high=1e4) if row["time"] else None
        saved = _number(row, "time_saved_pct", low=-100.0) if row["time_saved_pct"] else None
        return NormResult(
            row["task"],
            row["framework"],
            row["norm"],
            row["quality"],
            time,
            row["unit"],
            saved,
            row["source"],
        )

    return _read("rmsnorm_results.csv", make, 34, "rows on RMSNorm")


FAMILIES = ("Pythia", "OPT", "BLOOM")


def open_models() -> tuple[OpenModel, ...]:
    """The 29 evaluations of 21 open models (Pythia's repository): Pythia at 0 and 5 shots, OPT and BLOOM at 0."""

    def make(row: dict[str, str]) -> OpenModel:
        if row["family"] not in FAMILIES:
            raise ValueError(f"family: got {row['family']!r}; allowed are {', '.join(FAMILIES)}")
        inner = row["non_embedding_params"]
        return OpenModel(
            row["run"], row["family"], float(_count(row, "nominal_params")), float(inner) if inner else None,
            int(_number(row, "shots")), row["file"], row["source"],
        )  # fmt: skip

    return _read("open_models.csv", make, 29, "evaluations of open models")


def open_tasks() -> tuple[OpenTask, ...]:
    """65 tasks, each with a score and a standard error for each of the 29 evaluations."""
    runs = [model.run for model in open_models()]

    def make(row: dict[str, str]) -> OpenTask:
        if list(row)[3:] != runs:
            raise ValueError("header: the columns are not the runs of open_models.csv")
        scores = {}
        for run in runs:
            pair = dict(zip(("score", "error"), row[run].split(), strict=True))
            scores[run] = (_number(pair, "score", high=1.0), _number(pair, "error", 1e-4, 0.1))
        return OpenTask(row["task"], row["category"], _number(row, "chance", high=1.0), scores)

    return _read("open_model_scores.csv", make, 65, "tasks of the open models")
