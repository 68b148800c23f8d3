"""What the ledger calls for the ordinary layer and for the ties to other chapters. Each check states its thresholds."""

from collections.abc import Sequence
from statistics import median

from papertrail.claims import Evidence, Numbers
from papertrail.scan_and_snap.assumptions import BASELINE, MEASURES, SURVIVES, Assumptions
from papertrail.scan_and_snap.ordinary_drawings import NAMES
from papertrail.scan_and_snap.recorded_assumptions import load_assumptions
from papertrail.scan_and_snap.ties import measure_layer_tie, measure_norm_tie, measure_writing_tie

ROUND_OFF = 1e-12  # float64, of values of order 1


def _surviving(found: Assumptions, arm: str) -> int:
    """How many of the theory's signs every seed shows."""
    return sum(found.survives(arm, measure) for measure in MEASURES)


def _common(found: Assumptions, arm: str) -> str:
    """Median change of the common tokens' attention, in points."""
    return f"{100 * median(found.values[arm]['common']):.0f}".replace("-", "−")


def predictions(*arms: str) -> Evidence:
    """Two kinds of prediction for each measurement: that the theory's sign survives, and the difference's sign.

    Holds if all came; wrong if fewer than half did, or if fewer than half of the signs survive; imprecise otherwise.
    """
    found = load_assumptions()
    cells = len(arms) * len(MEASURES)
    kept = sum(found.survives(arm, m) == SURVIVES[arm][m] for arm in arms for m in MEASURES)
    right = sum(len(found.as_predicted(arm)) for arm in arms)
    missed = [NAMES[m] for m in MEASURES if any(m not in found.as_predicted(arm) for arm in arms)]
    numbers: Numbers = {
        "survive": sum(_surviving(found, arm) for arm in arms), "right": right, "cells": cells, "seeds": found.seeds,
        "missed": "; ".join(missed) or "none", "usual": _common(found, BASELINE),
        "common": " and ".join(_common(found, arm) for arm in arms),
    }  # fmt: skip
    if kept == right == cells:
        return Evidence(numbers, "holds-at-small-scale")
    return Evidence(numbers, "wrong" if kept + right < cells or kept < cells / 2 else "imprecise")


def positions() -> Evidence:
    """As `predictions`, for learned position embeddings."""
    return predictions("positions")


def adam() -> Evidence:
    """As `predictions`, for Adam in place of SGD."""
    return predictions("Adam")


def temperature() -> Evidence:
    """As `predictions`, for logits twice as large and half as large."""
    return predictions("temperature 1/2", "temperature 2")


def residual() -> Evidence:
    """As `predictions`, for the query's embedding added before the norm."""
    return predictions("residual")


def norm_place() -> Evidence:
    """As `predictions`, for a norm before attention and for none; and what common tokens' attention does there."""
    arms = ("norm before", "no norm")
    evidence, found = predictions(*arms), load_assumptions()
    changes = [change for arm in arms for change in found.values[arm]["common"]]
    numbers = {
        "runs": len(changes), "lose": sum(change < 0 for change in changes),
        "rise": sum(found.rises_first(arm) for arm in arms),
        "untrained": sum(loss > 0.1 for arm in arms for loss in found.losses[arm]),
    }  # fmt: skip
    return Evidence({**evidence.numbers, **numbers}, evidence.verdict)


def _all_survive(arm: str, *, also: Sequence[str] = ()) -> Evidence:
    """Holds if each of the theory's signs is there in every seed; imprecise if more than half are; wrong otherwise."""
    found = load_assumptions()
    survive, of = _surviving(found, arm), len(MEASURES)
    values = found.values[arm]
    numbers: dict[str, float | int | str] = {
        "survive": survive, "of": of, "seeds": found.seeds, "common": _common(found, arm),
        "order": f"{median(values['order']):.2f}", "snap": f"{median(values['snap']):.0%}",
    }  # fmt: skip
    numbers |= {other.replace(" ", "_"): _surviving(found, other) for other in also}
    good = survive == of
    return Evidence(numbers, "holds-at-small-scale" if good else "imprecise" if survive > of / 2 else "wrong")


def ordinary_layer() -> Evidence:
    """The baseline, no assumption of the paper's met but SGD and the place of the norm."""
    return _all_survive(BASELINE)


def slow_attention() -> Evidence:
    """No norm, and attention's weights learn at a hundredth of the rate, beside no norm alone.

    As `_all_survive`; and wrong if without a norm as many signs survive at the usual rate.
    """
    evidence, found = _all_survive("no norm, slow attention", also=("no norm",)), load_assumptions()
    helps = _surviving(found, "no norm, slow attention") > _surviving(found, "no norm")
    return evidence if helps else Evidence(evidence.numbers, "wrong")


def layer_is_linear_attention() -> Evidence:
    """Outputs, gradients, the limit and RMSNorm equal to round-off after the norm; clearly different before it."""
    found, norms = measure_layer_tie(), measure_norm_tie()
    equal = max(found.after + found.gradients + found.limit + norms) < ROUND_OFF
    numbers: Numbers = {"seeds": len(found.after), "apart": f"{min(found.before):.0f}"}
    return Evidence(numbers, "holds" if equal and min(found.before) > 1 else "wrong")


def training_writes_fast_weights() -> Evidence:
    """Y and Z replayed by both rules equal to round-off, each step's gradient an outer product, and both moved."""
    found = measure_writing_tie()
    equal = max(found.sums + found.deltas + found.second) < ROUND_OFF
    numbers: Numbers = {"seeds": len(found.sums), "moved": f"{min(found.moved):.1f}"}
    return Evidence(numbers, "holds" if equal and min(found.moved) > 0.1 else "wrong")
