"""Scan and Snap's findings on an ordinary attention layer, with the paper's assumptions removed one by one.

The findings are those of Tian et al. 2023, sections 4 to 6; the measurements and the arms are ours.

Five measurements of one trained model (`MEASURES`), all from the change of its effective z, so that attention starts
at P(l|n) in every run, whatever the random weights. Each removal (`ARMS`) is compared with the baseline seed by seed:
same start, same sequences. A difference counts when it has the same sign in all seeds; otherwise the outcome is "0".

The predictions below were committed before the first run of any arm, the baseline's included, and are not touched
afterwards: a wrong one is a result. (One reason has since lost half a sentence about the paper's figure 5 that the
figure does not bear out; its sign stands.) One arm came later, with its prediction again before its run: "no norm, slow
attention" asks whether the missing norm was missed for the decoder's speed that it brings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from papertrail.experiments import at_least_one
from papertrail.scan_and_snap.measures import attention_in_the_limit, entropy, mass, rank_correlation
from papertrail.scan_and_snap.ordinary import Options, Trained, ordinary_language, train
from papertrail.scan_and_snap.setting import Language

BASELINE = "baseline"
ARMS = {
    BASELINE: Options(),
    "positions": Options(positions=True),
    "Adam": Options(optimizer="adam"),
    "temperature 1/2": Options(temperature=0.5),
    "temperature 2": Options(temperature=2.0),
    "residual": Options(residual=True),
    "norm before": Options(norm="pre"),
    "no norm": Options(norm="none"),
    "no norm, slow attention": Options(norm="none", attention_rate=0.01),
}
REMOVALS = tuple(arm for arm in ARMS if arm != BASELINE)

# measurement -> what would be nothing, and on which side of it the theory puts the value
MEASURES = {
    "distinct": (0.5, "+"),  # share of distinct tokens whose logit gains on the mean of the common ones
    "common": (0.0, "-"),  # change of the common tokens' attention
    "order": (0.0, "+"),  # rank correlation of the distinct tokens' gains with P(l|n)
    "snap": (0.5, "+"),  # share of attention's path that lies in the first half of training
    "entropy": (0.0, "-"),  # change of attention's entropy, in nats
}

# Theory's side of nothing in every arm, the baseline included: predicted to survive everywhere.
SURVIVES = {arm: dict.fromkeys(MEASURES, True) for arm in ARMS}

# Difference from the baseline: its sign, and why.
PREDICTIONS = {
    "positions": {
        "distinct": ("0", "A position adds the same to every token's logit, on average."),
        "common": ("-", "The query's vector carries its position as well: it is longer, and writes further."),
        "order": ("0", "Positions know nothing of a token's frequency."),
        "snap": ("0", "Attention stops with the loss, and positions hardly change when that is."),
        "entropy": ("-", "Further gone is sparser."),
    },
    "Adam": {
        "distinct": ("0", "The sign of a gradient is the one thing that Adam keeps."),
        "common": ("-", "Steps do not shrink with the gradient, so logits go on for longer."),
        "order": ("-", "Adam evens out the sizes of gradients, and the order is one of sizes."),
        "snap": ("-", "It begins slower and stops later."),
        "entropy": ("-", "Further gone is sparser."),
    },
    "temperature 1/2": {
        "distinct": ("0", "A factor changes no sign."),
        "common": ("-", "A factor of 2 in the logits is one of 4 in their speed, at the same decoder."),
        "order": ("0", "A factor changes no order."),
        "snap": ("0", "When the loss is gone depends on the decoder."),
        "entropy": ("-", "Section 6 of the paper: faster attention beside the same decoder ends sparser."),
    },
    "temperature 2": {
        "distinct": ("0", "A factor changes no sign."),
        "common": ("+", "A quarter of the speed: less mass is lost before the loss is gone."),
        "order": ("0", "A factor changes no order."),
        "snap": ("0", "When the loss is gone depends on the decoder."),
        "entropy": ("+", "Section 6 of the paper, the other way around."),
    },
    "residual": {
        "distinct": ("0", "The query's vector is the same for all tokens that it attends to."),
        "common": ("-", "The query's embedding fills most of the normalized vector: the decoder learns slower."),
        "order": ("0", "The gain still goes with the token's share."),
        "snap": ("-", "The loss falls later, so attention stops later."),
        "entropy": ("-", "A slower decoder beside the same attention ends sparser, as in section 6."),
    },
    "norm before": {
        "distinct": ("0", "Common tokens get no signal on average, distinct ones do, with or without a norm."),
        "common": ("-", "What attention brings is a small mean of many vectors: the decoder learns slower."),
        "order": ("0", "The gain still goes with the token's share."),
        "snap": ("-", "The loss falls later, so attention stops later."),
        "entropy": ("-", "A slower decoder beside the same attention ends sparser."),
    },
    "no norm": {
        "distinct": ("0", "Common tokens get no signal on average, distinct ones do, with or without a norm."),
        "common": ("-", "As with the norm before: standard embeddings have a norm near 1 anyway."),
        "order": ("0", "The gain still goes with the token's share."),
        "snap": ("-", "The loss falls later, so attention stops later."),
        "entropy": ("-", "A slower decoder beside the same attention ends sparser."),
    },
    "no norm, slow attention": {
        "distinct": ("0", "The decoder knows the tokens before attention moves: assumption (c) is back."),
        "common": ("+", "A hundredth of the rate is more than the missing norm took from the decoder."),
        "order": ("0", "The gain goes with the token's share again."),
        "snap": ("-", "The loss falls later than with a norm."),
        "entropy": ("+", "Less far gone is less sparse."),
    },
}  # fmt: skip


def measurements(language: Language, gains: Tensor) -> dict[str, float]:
    """The five measurements of one run.

    Args:
        gains: effective z minus its value at the start, at equal distances in time, (looks, Q, M).

    Returns:
        A number for each of `MEASURES`; those by class are means over classes.
    """
    c = torch.stack([attention_in_the_limit(language, z) for z in gains])  # (looks, K, M), the first is P
    common = language.common
    ahead, order = [], []
    for target, query in enumerate(language.queries):
        gain, own = gains[-1, query], language.distinct(target)
        ahead.append((gain[own] > gain[common].mean()).double().mean().item())
        order.append(rank_correlation(gain[own], language.probabilities[target, own]).item())
    moved = (c[1:] - c[:-1]).abs().sum((1, 2))  # the way from look to look
    return {
        "distinct": fmean(ahead),
        "common": (mass(c[-1], common) - mass(c[0], common)).mean().item(),
        "order": fmean(order),
        "snap": (moved[: len(moved) // 2].sum() / moved.sum()).item(),
        "entropy": (entropy(c[-1]) - entropy(c[0])).mean().item(),
    }


def sign(values: Sequence[float]) -> str:
    """ "+" or "-" where all values have that sign, "0" where they do not agree."""
    if all(value > 0 for value in values):
        return "+"
    return "-" if all(value < 0 for value in values) else "0"


@dataclass(frozen=True)
class Assumptions:
    """What was measured, by arm.

    Attributes:
        values: by arm and measurement, one for each seed.
        common: by arm, for each seed: the common tokens' attention at each look, mean over classes.
        losses: by arm, for each seed: mean loss of the last ten steps, in nats.
        steps: after which steps it was looked.
    """

    values: dict[str, dict[str, list[float]]]
    common: dict[str, list[list[float]]]
    losses: dict[str, list[float]]
    steps: list[int]

    @property
    def seeds(self) -> int:
        """How many seeds each arm has."""
        return len(self.losses[BASELINE])

    def differences(self, arm: str, measure: str) -> list[float]:
        """The arm's value minus the baseline's, seed by seed."""
        pairs = zip(self.values[arm][measure], self.values[BASELINE][measure], strict=True)
        return [value - usual for value, usual in pairs]

    def observed(self, arm: str, measure: str) -> str:
        """The sign of the difference: "+", "-", or "0" where seeds do not agree."""
        return sign(self.differences(arm, measure))

    def survives(self, arm: str, measure: str) -> bool:
        """Whether every seed is on the side of nothing where the theory puts it."""
        nothing, side = MEASURES[measure]
        return sign([value - nothing for value in self.values[arm][measure]]) == side

    def rises_first(self, arm: str, by: float = 0.2) -> int:
        """In how many seeds the common tokens' attention at some look was that much above its start."""
        return sum(max(curve) - curve[0] > by for curve in self.common[arm])

    def as_predicted(self, arm: str) -> list[str]:
        """The measurements whose difference came out as predicted."""
        return [m for m, (expected, _) in PREDICTIONS[arm].items() if self.observed(arm, m) == expected]


def read(
    language: Language, trained: Trained
) -> tuple[list[dict[str, float]], list[list[float]], list[float]]:
    """For each seed: the measurements, the common tokens' attention at each look, and the loss at the end."""
    curves = [
        [mass(attention_in_the_limit(language, z), language.common).mean().item() for z in gains]
        for gains in trained.gains
    ]
    values = [measurements(language, gains) for gains in trained.gains]
    return values, curves, trained.losses[:, -10:].mean(1).tolist()


def measure_assumptions(arms: Sequence[str] = tuple(ARMS), *, seeds: int = 5) -> Assumptions:
    """Train every arm with the same seeds, and measure.

    Raises:
        ValueError: an arm is unknown, or `seeds` is below 1.
    """
    at_least_one(seeds=seeds)
    for arm in arms:
        if arm not in ARMS:
            raise ValueError(f"arms: got {arm!r}; allowed are {', '.join(ARMS)}")
    language = ordinary_language()
    values, common, losses, steps = {}, {}, {}, []
    for arm in arms:
        trained = train(language, ARMS[arm], range(seeds))
        rows, common[arm], losses[arm] = read(language, trained)
        values[arm] = {measure: [row[measure] for row in rows] for measure in MEASURES}
        steps = trained.steps
    return Assumptions(values, common, losses, steps)
