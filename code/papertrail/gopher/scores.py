"""Gopher 280B's scores, task by task, beside Chinchilla's: means of two kinds, what data moved, what does not add up.

Scores are Hoffmann et al. 2022's; Chinchilla has 70 billion parameters, 1.4 trillion tokens and Gopher's compute.
Everything here is arithmetic on published numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean

from papertrail.gopher import published as paper
from papertrail.gopher.published import TaskScore

Table = tuple[list[str], list[list[str]]]

GROUPS = ("humanities", "social sciences", "STEM", "other")
MATHEMATICS = (
    "abstract_algebra", "college_mathematics", "elementary_mathematics", "high_school_mathematics",
    "high_school_statistics",
)  # fmt: skip
NOISE = 2.0  # standard errors


def plain_mean(scores: Sequence[float]) -> float:
    """The mean over tasks: each counts once.

    Raises:
        ValueError: there are no scores.
    """
    if not scores:
        raise ValueError("scores: is empty; at least one score is needed")
    return mean(scores)


def weighted_mean(scores: Sequence[float], questions: Sequence[int]) -> float:
    """The mean over questions: each task counts as often as it has questions.

    Raises:
        ValueError: the lengths differ, or there are no questions.
    """
    if len(scores) != len(questions):
        raise ValueError(
            f"questions: {len(questions)} given for {len(scores)} scores; allowed is one for each"
        )
    if sum(questions) < 1 or min(questions) < 0:
        raise ValueError(f"questions: got {list(questions)}; allowed are counts from 0 up, not all of them 0")
    return sum(score * n for score, n in zip(scores, questions, strict=True)) / sum(questions)


def standard_error(score: float, questions: int) -> float:
    """The standard error of a percentage of right answers, in points, from the number of questions alone.

    Raises:
        ValueError: the score is no percentage, or there are no questions.
    """
    if not 0 <= score <= 100:
        raise ValueError(f"score: got {score}; allowed is 0 to 100")
    if questions < 1:
        raise ValueError(f"questions: got {questions}; allowed are integers from 1 up")
    return sqrt(score * (100 - score) / questions)


@dataclass(frozen=True)
class GroupMean:
    """One group of MMLU's subjects: its means over subjects and over questions, and what the benchmark's README has."""

    group: str  # "all" for the 57 together
    subjects: int
    questions: int
    plain: float
    weighted: float
    printed: float


def measure_means(model: str = "gopher") -> list[GroupMean]:
    """Both means of Gopher's or Chinchilla's MMLU scores, for the four groups and for all subjects.

    Raises:
        ValueError: there is no such model.
    """
    if model not in ("gopher", "chinchilla"):
        raise ValueError(f"model: got {model!r}; allowed are gopher, chinchilla")
    printed = {row.task: getattr(row, model) for row in paper.other_scores() if row.source == "mmlu-readme"}
    found = []
    for group in (*GROUPS, "all"):
        rows = [row for row in paper.mmlu() if group in (row.group, "all")]
        scores, questions = [getattr(row, model) for row in rows], [row.n_questions for row in rows]
        name = "all 57 subjects" if group == "all" else group
        found.append(
            GroupMean(
                group, len(rows), sum(questions), plain_mean(scores), weighted_mean(scores, questions),
                printed[f"MMLU {name} (question-weighted)"],
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class DataGain:
    """Chinchilla against Gopher on one benchmark, at the same compute."""

    benchmark: str
    better: int
    equal: int
    worse: tuple[str, ...]
    mean: float  # points, over tasks
    largest: tuple[TaskScore, ...]
    smallest: tuple[TaskScore, ...]


def measure_data_gain(most: int = 5) -> list[DataGain]:
    """On how many tasks of MMLU and BIG-bench a smaller model with more data is ahead, and where most and least."""
    found = []
    for name, rows in (("MMLU", paper.mmlu()), ("BIG-bench", paper.bigbench())):
        ordered = sorted(rows, key=lambda row: -row.gain)
        worse = tuple(row.task for row in ordered if row.gain < 0)
        equal = sum(row.gain == 0 for row in rows)
        found.append(
            DataGain(
                name, len(rows) - equal - len(worse), equal, worse, mean(row.gain for row in rows),
                tuple(ordered[:most]), tuple(ordered[-most:]),
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class WorseTask:
    """A task on which Gopher is said to be worse than smaller models, and what chance and noise would give."""

    task: str
    gopher: float
    chinchilla: float
    error: float | None  # a standard error in points, where the number of questions is known

    @property
    def is_chance(self) -> bool:
        """Within two standard errors of guessing among four answers."""
        return self.error is not None and abs(self.gopher - paper.MMLU_CHANCE) <= NOISE * self.error


def measure_worse_tasks() -> list[WorseTask]:
    """The three tasks of Rae et al. 2021, section 4.3, that get worse with size."""
    rows = {row.task: row for row in (*paper.mmlu(), *paper.bigbench())}
    found = []
    for task in paper.WORSE_WITH_SIZE:
        row = rows[task]
        error = standard_error(row.gopher, row.n_questions) if row.n_questions else None
        found.append(WorseTask(task, row.gopher, row.chinchilla, error))
    return found


def mathematics_gain() -> tuple[float, float]:
    """Points by which Chinchilla leads on MMLU's five mathematical subjects, and on its others; means over subjects."""
    rows = paper.mmlu()
    inside = [row.gain for row in rows if row.task in MATHEMATICS]
    return mean(inside), mean(row.gain for row in rows if row.task not in MATHEMATICS)


@dataclass(frozen=True)
class Mismatch:
    """A printed number beside what the same paper's other numbers give; both as text, with their units."""

    what: str
    printed: str
    recomputed: str
    where: str


def measure_mismatches() -> list[Mismatch]:
    """Numbers in the two papers that do not agree with each other, each recomputed."""
    means = {row.group: row for row in measure_means("chinchilla")}
    bigbench = plain_mean([row.chinchilla for row in paper.bigbench()])
    table9 = next(
        row.gopher for row in paper.other_scores()
        if row.task == "Natural Questions (dev)" and row.setting == "5-shot"
    )  # fmt: skip
    many, printed_share = paper.GAINS["more than 25%"]
    before, after = paper.FIGURE_OF_SPEECH
    return [
        Mismatch(
            "Chinchilla's MMLU mean", f"{paper.MMLU_IN_ABSTRACT}% and {paper.MMLU_MEANS[1]}%",
            f"{means['all'].weighted:.2f}% by question, {means['all'].plain:.2f}% by subject",
            "Hoffmann: abstract, table 6; table A6",
        ),
        Mismatch(
            "Chinchilla's BIG-bench mean", f"{paper.BIGBENCH_MEANS[1]}%", f"{bigbench:.2f}%",
            "Hoffmann: section 4.2.4; table A7",
        ),
        Mismatch(
            "Gopher, Natural Questions, 5-shot", f"{paper.NATURAL_QUESTIONS_IN_TEXT:.0f}%", f"{table9}%",
            "Hoffmann: section 4.2.6; table 9",
        ),
        Mismatch(
            "tasks that gain more than 25%", f"{printed_share}%", f"{100 * many / paper.TASKS:.1f}%",
            "Rae: section 4.3, shares; counts",
        ),
        Mismatch(
            "figure_of_speech_detection, increase", f"{paper.FIGURE_OF_SPEECH_INCREASE}%",
            f"{100 * (after / before - 1):.0f}%", "Rae: section 4.3, in words; its two scores",
        ),
    ]  # fmt: skip


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def table_of_mmlu() -> Table:
    """The 57 subjects: group, questions, both scores, the standard error of Gopher's, and what Chinchilla has more."""
    rows = [
        [row.task.replace("_", " "), row.group, f"{row.n_questions:,}", f"{row.gopher:.1f}",
         f"{standard_error(row.gopher, row.n_questions):.1f}", f"{row.chinchilla:.1f}", _signed(row.gain)]
        for row in paper.mmlu()
    ]  # fmt: skip
    return ["subject", "group", "questions", "Gopher (%)", "±", "Chinchilla (%)", "difference"], rows


def table_of_bigbench() -> Table:
    """The 62 tasks of BIG-bench: both scores, and what Chinchilla has more."""
    rows = [
        [row.task.replace("_", " "), f"{row.gopher:.1f}", f"{row.chinchilla:.1f}", _signed(row.gain)]
        for row in paper.bigbench()
    ]
    return ["task", "Gopher (%)", "Chinchilla (%)", "difference"], rows


def table_of_others() -> Table:
    """Reading, common sense, question answering: four models. An empty cell: the paper has no such number."""

    def cell(score: float | None) -> str:
        return "" if score is None else f"{score:.1f}"

    rows = [
        [row.task, row.group.partition(" (")[0], row.setting, cell(row.gopher), cell(row.gpt3), cell(row.mt_nlg),
         cell(row.chinchilla)]
        for row in paper.other_scores() if row.metric in ("acc", "EM") and "MMLU" not in row.task
        and "BIG-bench" not in row.task
    ]  # fmt: skip
    return ["task", "group", "setting", "Gopher", "GPT-3", "MT-NLG", "Chinchilla"], rows


def table_of_pile() -> Table:
    """Bits per byte on 19 parts of the Pile, lower is better. An empty cell: the paper has no such number."""
    rows = [
        [row.subset.replace("_", " "), f"{row.gopher:.3f}", f"{row.chinchilla:.3f}",
         "" if row.jurassic1 is None else f"{row.jurassic1:.3f}"]
        for row in paper.pile()
    ]  # fmt: skip
    return ["part of the Pile", "Gopher", "Chinchilla", "Jurassic-1"], rows


def table_of_means() -> Table:
    """Gopher's MMLU means by group: over subjects, over questions, and as the benchmark's authors print them."""
    rows = [
        [row.group, str(row.subjects), f"{row.questions:,}", f"{row.plain:.1f}", f"{row.weighted:.1f}",
         f"{row.printed:.1f}"]
        for row in measure_means()
    ]  # fmt: skip
    return ["group", "subjects", "questions", "mean over subjects", "mean over questions", "printed"], rows


def table_of_mismatches() -> Table:
    """The numbers that do not agree, for whoever wants to check."""
    rows = [[m.what, m.printed, m.recomputed, m.where] for m in measure_mismatches()]
    return ["number", "printed", "recomputed", "where: printed; from which"], rows


def table_of_tasks() -> Table:
    """The 152 tasks by kind (Rae et al. 2021)."""
    rows = [[kind, str(count)] for kind, count in paper.TASK_COUNTS.items()]
    return ["kind", "tasks"], [*rows, ["together", str(sum(paper.TASK_COUNTS.values()))]]
