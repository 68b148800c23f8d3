"""What the ledger calls for chapter 4 where something is run. Each check states its thresholds.

Rows that published numbers decide are in `checks_published`.
"""

from papertrail.claims import Evidence
from papertrail.ulmfit.measurements import measure_one_mask, measure_softmax, measure_tied_group

ROUND_OFF = 1e-11  # float64, of probabilities and of nats


def one_mask() -> Evidence:
    """Two passes of a layer with DropConnect: equal at the first step, apart at every later one."""
    gaps = measure_one_mask()
    later = min(gaps[1:])
    holds = gaps[0] == 0 and later > 1e-3
    return Evidence({"first": f"{gaps[0]:g}", "steps": len(gaps) - 1}, "holds" if holds else "wrong")


def adaptive_softmax() -> Evidence:
    """All probabilities sum to one, the loss is minus the log of the target's, and fewer rows are multiplied."""
    found = measure_softmax()
    exact = max(found.sum_error, found.loss_error) < ROUND_OFF
    numbers = {"share": f"{found.share:.0%}"}
    return Evidence(numbers, "holds" if exact and found.share < 0.5 else "wrong")


def tied_embedding() -> Evidence:
    """Stage 2 with the tied embedding in the fastest group and in the slowest: who adapts further."""
    found = measure_tied_group()
    better = sum(top < bottom for top, bottom in zip(found.top, found.bottom, strict=True))
    gains = [
        (before - top) / (before - bottom)
        for before, top, bottom in zip(found.before, found.top, found.bottom, strict=True)
    ]
    numbers = {"better": better, "languages": len(found.top), "further": f"{min(gains):.1f}"}
    holds = better == len(found.top) and min(gains) > 1.1
    return Evidence(numbers, "holds-at-small-scale" if holds else "imprecise" if better else "wrong")
