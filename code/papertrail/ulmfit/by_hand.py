"""The recipe's four formulas on numbers small enough for a pencil, by the chapter's own functions."""

import math

import torch

from papertrail.ulmfit.awd_lstm import AWDLSTM, NO_DROPOUT
from papertrail.ulmfit.classifier import concat_pool
from papertrail.ulmfit.fine_tuning import group_names
from papertrail.ulmfit.language_model import LanguageModel, perplexity
from papertrail.ulmfit.schedules import discriminative_lrs, slanted_triangular, unfreezing_plan

UPDATES, HIGHEST = 20, 32.0  # with a ratio of 32 the lowest rate is then 1
STATES = ((1.0, -1.0), (3.0, 0.0), (2.0, 4.0))  # three words, two features
PROBABILITIES = (0.5, 0.25, 0.125, 0.125)  # of four words, whatever came before
TEXT = (0, 1, 0, 3, 2)

Table = tuple[list[str], list[list[str]]]


def table_of_triangle(steps: tuple[int, ...] = (0, 1, 2, 11, 20)) -> Table:
    """The slanted triangle over 20 updates, its highest rate called 32."""
    rates = [slanted_triangular(step, UPDATES, HIGHEST) for step in steps]
    return ["update", *map(str, steps)], [["rate", *(f"{rate:g}" for rate in rates)]]


def table_of_groups(num_groups: int = 5, epochs: int = 5) -> Table:
    """Each group's highest rate, the head's called 1, and the epochs in which gradual unfreezing trains it."""
    plan = unfreezing_plan("gradual", num_groups, epochs)
    rows = []
    for i, (name, rate) in enumerate(
        zip(group_names(num_groups), discriminative_lrs(1.0, num_groups), strict=True)
    ):
        marks = ["trains" if epoch[i] else "frozen" for epoch in plan]
        rows.append([name, f"{rate:.3f}", *marks])
    return ["group", "rate", *(f"epoch {i + 1}" for i in range(epochs))], rows[::-1]


def table_of_pooling(shown: tuple[int, ...] = (3, 2)) -> Table:
    """A document of three words as one vector, and the same rows when the third is only padding."""
    states = torch.tensor([STATES])
    rows = []
    for length in shown:
        pooled = concat_pool(states, torch.tensor([length]))[0].tolist()
        rows.append(
            [str(length), *(f"({a:g}, {b:g})" for a, b in zip(pooled[::2], pooled[1::2], strict=True))]
        )
    return ["words", "last", "maximum", "mean"], rows


def unigram_model() -> LanguageModel:
    """A language model that has learned nothing but the four words' frequencies: all its weights but the bias are 0."""
    model = LanguageModel(AWDLSTM(len(PROBABILITIES), 2, 2, 1, NO_DROPOUT), cutoffs=None)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.softmax.bias.copy_(torch.tensor(PROBABILITIES).log())
    return model


def table_of_perplexity() -> Table:
    """What the model gives each word after the first, and the perplexity: the inverse of the geometric mean."""
    found = perplexity(unigram_model(), torch.tensor(TEXT), batch_size=1)
    factors = [PROBABILITIES[word] for word in TEXT[1:]]
    product = math.prod(factors)
    return ["probabilities", "product", "perplexity"], [
        [" ".join(f"{p:g}" for p in factors), f"1/{1 / product:g}", f"{found:.2f}"]
    ]
