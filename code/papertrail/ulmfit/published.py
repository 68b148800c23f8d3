"""What was published about ULMFiT: its tables, its released scripts, and the test that T5 made of it.

J. Howard and S. Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018 (called "the
paper" here). All errors are in percent. The sentences of the chapter and of the ledger are computed from these
numbers, so that none is typed twice.

Table 1, the data sets: `DATASETS`. Tables 2 and 3, test errors: `TEST_ERRORS`. Table 4, pretraining:
`PRETRAINING`. Table 5, quality of the language model: `LANGUAGE_MODEL`. Table 6, fine-tuning the language model:
`LM_FINE_TUNING`. Table 7, fine-tuning the classifier: `CLASSIFIER_FINE_TUNING`. Tables 4 to 7 are validation
errors, each of one model that reads forward only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise, product

from papertrail.experiments import at_least_one

Errors = Mapping[str, Mapping[str, float]]  # row -> data set -> error in percent

DATASETS = {  # table 1: name -> type, classes, training examples
    "TREC-6": ("question", 6, 5_500),
    "IMDb": ("sentiment", 2, 25_000),
    "Yelp-bi": ("sentiment", 2, 560_000),
    "Yelp-full": ("sentiment", 5, 650_000),
    "AG": ("topic", 4, 120_000),
    "DBpedia": ("topic", 14, 560_000),
}

ULMFIT = "ULMFiT"
TEST_ERRORS: Mapping[str, Mapping[str, float]] = {  # tables 2 and 3: data set -> method -> test error
    "IMDb": {"CoVe": 8.2, "oh-LSTM": 5.9, "Virtual adversarial": 5.9, ULMFIT: 4.6},
    "TREC-6": {"CoVe": 4.2, "TBCNN": 4.0, "LSTM-CNN": 3.9, ULMFIT: 3.6},
    "AG": {"Char-level CNN": 9.51, "CNN": 6.57, "DPCNN": 6.87, ULMFIT: 5.01},
    "DBpedia": {"Char-level CNN": 1.55, "CNN": 0.84, "DPCNN": 0.88, ULMFIT: 0.80},
    "Yelp-bi": {"Char-level CNN": 4.88, "CNN": 2.90, "DPCNN": 2.64, ULMFIT: 2.16},
    "Yelp-full": {"Char-level CNN": 37.95, "CNN": 32.39, "DPCNN": 30.58, ULMFIT: 29.98},
}
DECIMALS = {"IMDb": 1, "TREC-6": 1}  # table 2 rounds to one, table 3 to two
TREC_TEST_QUESTIONS = 500  # section 4.2, which calls the gain there not statistically significant
BOTH_DIRECTIONS = 4.58  # IMDb test error of the ensemble, section 5; one model has 5.30

ABLATED = ("IMDb", "TREC-6", "AG")


def _rows(table: Mapping[str, tuple[float, float, float]]) -> Errors:
    return {row: dict(zip(ABLATED, errors, strict=True)) for row, errors in table.items()}


PRETRAINING = _rows({"without": (5.63, 10.67, 5.52), "with": (5.00, 5.69, 5.38)})
LANGUAGE_MODEL = _rows({"vanilla": (5.98, 7.41, 5.76), "AWD-LSTM": (5.00, 5.69, 5.38)})
LM_FINE_TUNING = _rows(
    {
        "none": (6.99, 6.38, 6.09),
        "Full": (5.86, 6.54, 5.61),
        "Full + discr": (5.55, 6.36, 5.47),
        "Full + discr + stlr": (5.00, 5.69, 5.38),
    }
)
CLASSIFIER_FINE_TUNING = _rows(
    {
        "From scratch": (9.93, 13.36, 6.81),
        "Full": (6.87, 6.86, 5.81),
        "Full + discr": (5.57, 6.21, 5.62),
        "Last": (6.49, 16.09, 8.38),
        "Chain-thaw": (5.39, 6.71, 5.90),
        "Freez": (6.37, 6.86, 5.81),
        "Freez + discr": (5.39, 5.86, 6.04),
        "Freez + stlr": (5.04, 6.02, 5.35),
        "Freez + cos": (5.70, 6.38, 5.29),
        "Freez + discr + stlr": (5.00, 5.69, 5.38),
    }
)
WHOLE_RECIPE = "Freez + discr + stlr"

DISCRIMINATIVE_FACTOR = 2.6  # section 3.2: each layer's rate is that of the layer above, divided by this
CUT_FRACTION, RATIO = 0.1, 32  # section 3.2, of the slanted triangular rates
EMBEDDING, HIDDEN, LAYERS = 400, 1150, 3  # section 4.1, as Merity, Keskar and Socher have it

# How much each parameter group's rate is of the largest, from the group nearest the input to the top. In the
# scripts' language model the embedding is tied to the decoder and they are one group, with half the largest rate.
SCRIPT_LM_RATES = {"LSTM 1": 1 / 6, "LSTM 2": 1 / 3, "LSTM 3": 1.0}
SCRIPT_LM_TIED_RATE = 1 / 2
SCRIPT_CLASSIFIER_FACTOR = 2.6


@dataclass(frozen=True)
class Difference:
    """One setting as the paper has it and as the authors' released scripts have it."""

    what: str
    paper: str
    scripts: str
    where: str  # the files in which the scripts say so
    same: bool


PRETRAIN, FINETUNE, CLASSIFY = "pretrain_lm.py", "finetune_lm.py", "train_clas.py"


def paper_against_scripts() -> tuple[Difference, ...]:
    """The paper beside the scripts that its authors released: fastai/fastai1, courses/dl2/imdb_scripts.

    Read at commit 15bc02c61673400178fbdaf3417485755c299561; `old/fastai` of the same commit holds the library.
    """
    return (
        Difference("Adam's betas", "0.7 and 0.99", "0.8 and 0.99", f"{PRETRAIN}, {FINETUNE}, {CLASSIFY}", same=False),
        Difference(
            "dropout of the language model",
            "one set for everything: layers 0.4, RNN layers 0.3, input 0.4, embedding 0.05, weights 0.5",
            "input 0.25, output 0.1, weights 0.2, embedding 0.02, hidden 0.15; half of these in pretraining",
            f"{FINETUNE}, {PRETRAIN}", same=False,
        ),
        Difference(
            "dropout of the classifier", "the same set",
            "input 0.4, weights 0.5, embedding 0.05, hidden 0.3, head 0.4 and 0.1", CLASSIFY, same=True,
        ),
        Difference(
            "rates by layer, language model", "divided by 2.6 for each layer down",
            "lr/6, lr/3 and lr for the three LSTM layers, lr/2 for the tied embedding and decoder",
            FINETUNE, same=False,
        ),
        Difference(
            "rates by layer, classifier", "divided by 2.6 for each layer down",
            "the same, in five groups: embedding, three LSTM layers, head", CLASSIFY, same=True,
        ),
        Difference(
            "slanted triangle, classifier", "peak after 1/10 of the run, ratio 32",
            "ratio 8; peak after 1/3 of the run while unfreezing, after 1/8 at the end", CLASSIFY, same=False,
        ),
        Difference(
            "gradual unfreezing", "one more layer each epoch",
            "the head, then the head and the top LSTM layer, then everything", CLASSIFY, same=False,
        ),
        Difference(
            "shape of the schedule", "rises in a line to the cut, falls in a line to the end",
            "the same triangle, where a tenth of the run is whole", "old/fastai/sgdr.py", same=True,
        ),
        Difference(
            "what is not in the paper", "nothing",
            "activation penalties (alpha 2, beta 1), gradients clipped at 0.3 and 25, weight decay 1e-7 and 1e-6, "
            "no slanted triangle from scratch",
            f"{PRETRAIN}, {FINETUNE}, {CLASSIFY}", same=False,
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class LowShot:
    """A statement of section 5 and Figure 3 on 100 labels, compared with training from scratch."""

    dataset: str
    unlabeled: int | None  # texts of the task beside the labeled ones; None: some, and no number is given
    times: int | None  # as good as so many times as many labels; None: the paper gives no factor
    comment: str = ""

    @property
    def says(self) -> str:
        """The statement in words."""
        return self.comment or f"as good as {self.times} times as many from scratch"


LOW_SHOT_LABELS = 100
LOW_SHOT = (
    LowShot("IMDb", 0, 10),
    LowShot("AG", 0, 20),
    LowShot("TREC-6", 0, None, "much better than from scratch"),
    LowShot("IMDb", 50_000, 100),
    LowShot("AG", 100_000, 50),
    LowShot("TREC-6", None, None, "about as good as without unlabeled text"),
)
ABSTRACT_TIMES = 100  # what the abstract says, without naming a data set
POSTER_TIMES = {"IMDb": 50, "AG": 100}  # the conference poster, with unlabeled text


@dataclass(frozen=True)
class Perplexity:
    """AWD-LSTM as published: Merity, Keskar and Socher 2018, tables 1 and 2."""

    corpus: str
    vocabulary: int
    parameters: float  # in millions, as printed
    validation: float
    test: float


AWD_LSTM = (
    Perplexity("Penn Treebank", 10_000, 24, 60.0, 57.3),
    Perplexity("WikiText-2", 33_278, 33, 68.6, 65.8),
)

# Sun, Qiu, Xu and Huang 2019, table 4: IMDb test error of BERT by the factor between layers' rates (top: 2e-5).
BERT_BY_LAYER_DECAY = {1.0: 5.42, 0.95: 5.40, 0.85: 5.65}

# Raffel et al. 2020: table 10, and the standard deviation of ten runs of the first row from table 1.
T5_TASKS = ("GLUE", "CNNDM", "SQuAD", "SGLUE", "EnDe", "EnFr", "EnRo")
T5_ALL_AT_ONCE = dict(zip(T5_TASKS, (83.28, 19.24, 80.88, 71.36, 26.98, 39.82, 27.65), strict=True))
T5_GRADUAL = dict(zip(T5_TASKS, (82.50, 18.95, 79.17, 70.79, 26.71, 39.02, 26.93), strict=True))
T5_DEVIATION = dict(zip(T5_TASKS, (0.235, 0.065, 0.343, 0.416, 0.112, 0.090, 0.108), strict=True))
T5_RUNS = 10


@dataclass(frozen=True)
class Reduction:
    """A relative reduction of the error that section 4.2 states, beside what tables 2 and 3 give."""

    dataset: str
    against: str
    stated: float  # percent
    decimals: int  # with which it is stated
    recomputed: float
    lowest: float  # the tables' numbers are rounded: the least and the most that they allow
    highest: float

    @property
    def agrees(self) -> bool:
        """Some pair of errors that rounds to the tables' gives a reduction that rounds to what is stated."""
        half = 0.5 * 10**-self.decimals
        return self.lowest <= self.stated + half and self.stated - half <= self.highest


STATED = {  # section 4.2: (data set, against) -> percent, and with how many decimals
    ("IMDb", "CoVe"): (43.9, 1),
    ("IMDb", "oh-LSTM"): (22.0, 0),
    ("AG", "CNN"): (23.7, 1),
    ("DBpedia", "CNN"): (4.8, 1),
    ("Yelp-bi", "DPCNN"): (18.2, 1),
    ("Yelp-full", "DPCNN"): (2.0, 1),
}


def _reduction(before: float, after: float) -> float:
    return 100 * (1 - after / before)


def relative_reductions() -> list[Reduction]:
    """The six reductions that section 4.2 states, recomputed from tables 2 and 3 and their rounding."""
    found = []
    for (dataset, against), (stated, decimals) in STATED.items():
        before, after = TEST_ERRORS[dataset][against], TEST_ERRORS[dataset][ULMFIT]
        half = 0.5 * 10 ** -DECIMALS.get(dataset, 2)
        found.append(
            Reduction(
                dataset, against, stated, decimals, recomputed=_reduction(before, after),
                lowest=_reduction(before - half, after + half), highest=_reduction(before + half, after - half),
            )
        )  # fmt: skip
    return found


def best_before(dataset: str) -> tuple[str, float]:
    """The best method but ULMFiT in tables 2 and 3, the first of equals, with its test error.

    Raises:
        ValueError: the tables have no such data set.
    """
    if dataset not in TEST_ERRORS:
        raise ValueError(f"dataset: got {dataset!r}; allowed are {', '.join(TEST_ERRORS)}")
    others = {method: error for method, error in TEST_ERRORS[dataset].items() if method != ULMFIT}
    method = min(others, key=others.__getitem__)
    return method, others[method]


@dataclass(frozen=True)
class Majority:
    """Which data sets a range of reductions covers; `reductions` are percents over the best method before."""

    reductions: Mapping[str, float]
    covered: tuple[str, ...]

    @property
    def is_majority(self) -> bool:
        """Whether more than half of the sets are in the abstract's range."""
        return 2 * len(self.covered) > len(self.reductions)


def majority_of_datasets(low: int = 18, high: int = 24) -> Majority:
    """The abstract's "18-24 % on the majority of datasets": which of the six sets are in that range, in whole percent.

    Raises:
        ValueError: the range is empty.
    """
    if low > high:
        raise ValueError(f"low: got {low} with high={high}; allowed are numbers up to high")
    reductions = {name: _reduction(best_before(name)[1], TEST_ERRORS[name][ULMFIT]) for name in TEST_ERRORS}
    return Majority(
        reductions, tuple(name for name, value in reductions.items() if low <= round(value) <= high)
    )


def gain_of(row: str, over: str, table: Errors = CLASSIFIER_FINE_TUNING) -> dict[str, float]:
    """How many points of error less `row` has than `over`, by data set; negative where it has more.

    Raises:
        ValueError: the table has no such row.
    """
    for name, given in (("row", row), ("over", over)):
        if given not in table:
            raise ValueError(f"{name}: got {given!r}; allowed are {', '.join(table)}")
    return {dataset: round(table[over][dataset] - table[row][dataset], 2) for dataset in table[row]}


def best_row(dataset: str, table: Errors = CLASSIFIER_FINE_TUNING) -> str:
    """The row with the lowest error on a data set, the first of equals.

    Raises:
        ValueError: the table has no such data set.
    """
    known = next(iter(table.values()))
    if dataset not in known:
        raise ValueError(f"dataset: got {dataset!r}; allowed are {', '.join(known)}")
    return min(table, key=lambda row: table[row][dataset])


UNFREEZING, BY_LAYER, SCHEDULE = ("Full", "Freez"), ("", "discr"), ("", "stlr")


def _name(*parts: str) -> str:
    return " + ".join(filter(None, parts))


def missing_rows() -> list[str]:
    """Combinations of unfreezing, rates by layer and slanted triangle that table 7 does not have."""
    rows = [_name(*parts) for parts in product(UNFREEZING, BY_LAYER, SCHEDULE)]
    return [row for row in rows if row not in CLASSIFIER_FINE_TUNING]


def missing_row() -> str:
    """The one of them that has all of the recipe but gradual unfreezing: what would isolate unfreezing."""
    (row,) = (row for row in missing_rows() if row == _name(UNFREEZING[0], BY_LAYER[1], SCHEDULE[1]))
    return row


def pairs_of(part: str) -> list[tuple[str, str]]:
    """All pairs of rows, in table 7 or not, that have the same other parts: one with this part, one without.

    Raises:
        ValueError: there is no such part.
    """
    levels = (UNFREEZING, BY_LAYER, SCHEDULE)
    axis = next((i for i, (_, used) in enumerate(levels) if used == part), None)
    if axis is None:
        raise ValueError(f"part: got {part!r}; allowed are {', '.join(used for _, used in levels)}")
    return [
        (_name(*parts), _name(*parts[:axis], levels[axis][0], *parts[axis + 1 :]))
        for parts in product(*levels)
        if parts[axis] == part
    ]


def isolated_gains(part: str) -> dict[tuple[str, str], dict[str, float]]:
    """What a part of the recipe gains in each pair of table 7's rows that differ in it: (with, without) -> gains.

    Not in it alone: rows with "discr" start from a largest rate of 0.01 and the others from 0.001, and all rows
    but the whole recipe are stopped early.

    Raises:
        ValueError: there is no such part.
    """
    return {pair: gain_of(*pair) for pair in pairs_of(part) if CLASSIFIER_FINE_TUNING.keys() >= {*pair}}


def t5_losses() -> dict[str, float]:
    """How many points T5 loses by gradual unfreezing, by task (Raffel et al. 2020, table 10)."""
    return {task: round(T5_ALL_AT_ONCE[task] - T5_GRADUAL[task], 2) for task in T5_TASKS}


def t5_beyond(deviations: float = 2.0) -> list[str]:
    """The tasks whose loss exceeds so many deviations of T5's baseline runs (at two, that paper's bold ends)."""
    return [task for task, loss in t5_losses().items() if loss > deviations * T5_DEVIATION[task]]


def count_parameters(
    vocabulary: int, emb: int = EMBEDDING, hidden: int = HIDDEN, layers: int = LAYERS, tied: bool = True
) -> int:
    """Trainable parameters of the AWD-LSTM language model (Merity, Keskar and Socher 2018, section 5).

    A layer from n to m units has 4 m (n + m) weights and, as cuDNN and PyTorch count, 8 m biases. The last layer
    has the embedding's size, so that the decoder can be the embedding; the decoder's bias is always its own.

    Raises:
        ValueError: a size is below 1.
    """
    at_least_one(vocabulary=vocabulary, emb=emb, hidden=hidden, layers=layers)
    recurrent = sum(4 * m * (n + m) + 8 * m for n, m in pairwise([emb, *[hidden] * (layers - 1), emb]))
    return recurrent + vocabulary * emb * (1 if tied else 2) + vocabulary
