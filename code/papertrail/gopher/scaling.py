"""Score against size, task by task, in open models: what rises, what does not, and what cannot be asked.

These are not Gopher's models. Pythia (Biderman et al. 2023) has read as many tokens as Gopher, 300 billion, at each
size. Four of Gopher's five smaller models, all but 44M, lie between its smallest size and its largest. OPT and BLOOM
are beside it. The scores are the files in Pythia's repository: 65 tasks, with a standard error each.

The fit, chosen before any was made: a line in log10 of the nominal number of parameters, by least squares weighted
with the inverse squared standard errors. The slope's error is multiplied by sqrt(chi^2 / degrees of freedom) where
that exceeds 1, since scores do not lie on lines; a slope is clear where a two-sided t test at 5% says so. All sizes
answer the same questions, so their errors are not independent. That makes the stated error, if anything, too large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10, sqrt
from statistics import mean

from papertrail.gopher import published as paper
from papertrail.gopher.published import OpenModel, OpenTask
from papertrail.gopher.scores import MATHEMATICS

T_LIMITS = {3: 3.182, 6: 2.447}  # two-sided 5%, by degrees of freedom: five and eight sizes
NOISE = 2.0  # standard errors above chance
LOGIC = ("logiqa", "mmlu_formal_logic", *(f"mmlu_{task}" for task in MATHEMATICS))
SCALES = [("Pythia", 0), ("Pythia", 5), ("OPT", 0), ("BLOOM", 0)]


@dataclass(frozen=True)
class Group:
    """Tasks that are drawn and fitted together; `article` is the article's word for them, if it has one."""

    name: str
    article: str | None
    tasks: tuple[OpenTask, ...]


RULES = (  # name, the article's word, categories of the table, the same in Gopher's published scores
    ("cloze (LAMBADA)", "comprehension", "reading comprehension / cloze"),
    ("questions with a passage (SciQ)", "comprehension", "science QA (with support passage)"),
    ("science questions (ARC)", None, "science QA"),
    ("physical common sense (PIQA)", None, "common sense (physical)"),
    ("pronouns (WinoGrande, WSC)", None, "common sense (coreference)"),
    ("logic and mathematics", "logic and mathematics", "logical reasoning"),
    ("MMLU STEM, no mathematics", None, "MMLU / STEM"),
    ("MMLU humanities, no logic", None, "MMLU / humanities"),
    ("MMLU social sciences", None, "MMLU / social sciences"),
    ("MMLU other", None, "MMLU / other"),
)
ARTICLE = ("comprehension", "fact checking", "identifying toxic language", "logic and mathematics")


def groups() -> list[Group]:
    """The 65 tasks in ten groups: each task in one. Logic and mathematics take their subjects out of MMLU's groups."""
    tasks = paper.open_tasks()
    found = []
    for name, article, category in RULES:
        if article == "logic and mathematics":
            chosen = tuple(task for task in tasks if task.task in LOGIC)
        else:
            chosen = tuple(task for task in tasks if task.category == category and task.task not in LOGIC)
        found.append(Group(name, article, chosen))
    return found


def models_of(family: str, shots: int) -> list[OpenModel]:
    """The evaluated models of a family at a number of shots, smallest first.

    Raises:
        ValueError: there are none.
    """
    found = [model for model in paper.open_models() if (model.family, model.shots) == (family, shots)]
    if not found:
        known = ", ".join(f"{name} at {n}" for name, n in SCALES)
        raise ValueError(f"family: got {family!r} at {shots} shots; allowed are {known}")
    return sorted(found, key=lambda model: model.nominal_params)


@dataclass(frozen=True)
class Fit:
    """A weighted line through scores: points of score (from 0 to 1) for ten times the parameters."""

    slope: float
    error: float  # of the slope, multiplied where the points scatter more than their own errors
    intercept: float  # at one parameter
    chi2: float  # per degree of freedom
    points: int

    @property
    def limit(self) -> float:
        """Half the width of the 95% interval."""
        return T_LIMITS[self.points - 2] * self.error

    @property
    def is_clear(self) -> bool:
        """Above zero by a two-sided t test at 5%."""
        return self.slope > self.limit

    def at(self, parameters: float) -> float:
        """The line's score, from 0 to 1, at a number of parameters."""
        return self.intercept + self.slope * log10(parameters)


def fit_line(parameters: Sequence[float], scores: Sequence[float], errors: Sequence[float]) -> Fit:
    """Weighted least squares of score against log10 of size, the slope's error scaled by chi^2 (never down).

    Raises:
        ValueError: the lengths differ, there are not five or eight points, or an error is not above 0.
    """
    if not len(parameters) == len(scores) == len(errors):
        raise ValueError(
            f"scores: {len(parameters)} sizes, {len(scores)} scores and {len(errors)} errors given; "
            f"allowed are equal numbers"
        )
    if len(scores) - 2 not in T_LIMITS:
        allowed = " or ".join(str(degrees + 2) for degrees in T_LIMITS)
        raise ValueError(f"scores: {len(scores)} points given; allowed are {allowed}")
    if min(errors) <= 0:
        raise ValueError(f"errors: got {min(errors)}; allowed are numbers above 0")
    weights = [error**-2 for error in errors]
    xs = [log10(value) for value in parameters]
    total = sum(weights)
    x_mean = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
    y_mean = sum(w * y for w, y in zip(weights, scores, strict=True)) / total
    spread = sum(w * (x - x_mean) ** 2 for w, x in zip(weights, xs, strict=True))
    slope = sum(w * (x - x_mean) * y for w, x, y in zip(weights, xs, scores, strict=True)) / spread
    intercept = y_mean - slope * x_mean
    chi2 = sum(w * (y - intercept - slope * x) ** 2 for w, x, y in zip(weights, xs, scores, strict=True))
    chi2 /= len(xs) - 2
    return Fit(slope, sqrt(max(1.0, chi2) / spread), intercept, chi2, len(xs))


@dataclass(frozen=True)
class Curve:
    """A group's mean score at each size of one family, with standard errors, and the line through it."""

    family: str
    shots: int
    parameters: tuple[float, ...]
    scores: tuple[float, ...]
    errors: tuple[float, ...]
    fit: Fit


def curve(tasks: Sequence[OpenTask], family: str, shots: int) -> Curve:
    """The plain mean over tasks at each size. Its error takes the tasks' errors as independent.

    Raises:
        ValueError: there are no tasks, or no such models.
    """
    if not tasks:
        raise ValueError("tasks: is empty; at least one task is needed")
    models = models_of(family, shots)
    pairs = [[task.scores[model.run] for task in tasks] for model in models]
    scores = tuple(mean(score for score, _ in row) for row in pairs)
    errors = tuple(sqrt(sum(error**2 for _, error in row)) / len(row) for row in pairs)
    sizes = tuple(model.nominal_params for model in models)
    return Curve(family, shots, sizes, scores, errors, fit_line(sizes, scores, errors))


@dataclass(frozen=True)
class GroupScaling:
    """One group in every family, and how many of its single tasks rise clearly in Pythia at 0 shots."""

    group: Group
    chance: float
    curves: tuple[Curve, ...]
    clear_tasks: int

    def curve_of(self, family: str, shots: int) -> Curve:
        """The curve of one family at a number of shots."""
        return next(c for c in self.curves if (c.family, c.shots) == (family, shots))


def measure_scaling() -> list[GroupScaling]:
    """Fit each of the ten groups in each family; and each single task in Pythia at 0 shots."""
    found = []
    for group in groups():
        single = [curve([task], "Pythia", 0).fit for task in group.tasks]
        curves = tuple(curve(group.tasks, family, shots) for family, shots in SCALES)
        chance = mean(task.chance for task in group.tasks)
        found.append(GroupScaling(group, chance, curves, sum(fit.is_clear for fit in single)))
    return found


@dataclass(frozen=True)
class AboveChance:
    """How many of MMLU's 57 subjects a model answers better than by guessing."""

    model: OpenModel
    above: int  # by more than two standard errors
    below: int
    mean: float
    best: float


def measure_above_chance() -> list[AboveChance]:
    """For each evaluation of an open model: subjects of MMLU more than two standard errors from chance."""
    subjects = [task for task in paper.open_tasks() if task.category.startswith("MMLU")]
    found = []
    for model in paper.open_models():
        pairs = [task.scores[model.run] for task in subjects]
        chance = subjects[0].chance
        above = sum(score - chance > NOISE * error for score, error in pairs)
        below = sum(chance - score > NOISE * error for score, error in pairs)
        values = [score for score, _ in pairs]
        found.append(AboveChance(model, above, below, mean(values), max(values)))
    return found


def gopher_score(name: str) -> float | None:
    """Gopher 280B's published score on a group's tasks, from 0 to 1; None where it has none or not for all of them.

    Its evaluation is its own: other prompts, MMLU at 5 shots, plain means over the same subjects.
    """
    others = {(row.task, row.setting): row.gopher / 100 for row in paper.other_scores()}
    known = {"cloze (LAMBADA)": ("LAMBADA", "0-shot"), "physical common sense (PIQA)": ("PIQA", "0-shot")}
    if name in known:
        return others[known[name]]
    subjects = {f"mmlu_{row.task}": row.gopher / 100 for row in paper.mmlu()}
    tasks = next(group.tasks for group in groups() if group.name == name)
    if all(task.task in subjects for task in tasks):
        return mean(subjects[task.task] for task in tasks)
    return None
