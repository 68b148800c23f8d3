"""What the ledger calls for chapter 4 where something is run. Each check states its thresholds.

Rows that published numbers decide are in `checks_published`.
"""

from statistics import mean, stdev

from papertrail.claims import Evidence
from papertrail.ulmfit.fine_tuning import ULMFIT
from papertrail.ulmfit.measurements import measure_one_mask, measure_softmax, measure_tied_group
from papertrail.ulmfit.recipe import STARTS
from papertrail.ulmfit.recorded import load_runs
from papertrail.ulmfit.recorded_recipe import METHOD_SIZES, load_recipe
from papertrail.ulmfit.review_drawings import errors_by_labels

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


def _clearly_below(ours: list[float], others: list[float]) -> bool:
    """Whether a mean is lower by more than two standard errors of the difference of the means."""
    if min(len(ours), len(others)) < 3:
        return False
    spread = (stdev(ours) ** 2 / len(ours) + stdev(others) ** 2 / len(others)) ** 0.5
    return mean(others) - mean(ours) > 2 * spread


def pretraining_on_reviews() -> Evidence:
    """The recorded runs: at how many numbers of labels does the whole recipe beat new weights, and bag of words."""
    _, runs = load_runs("low-shot")
    ours = errors_by_labels(runs, "general+target", ULMFIT)
    scratch, words = (
        errors_by_labels(runs, "none", "one rate"),
        errors_by_labels(runs, "none", "bag of words"),
    )
    sizes = [n for n, errors in ours.items() if len(errors) >= 3 and len(scratch.get(n, [])) >= 3]
    over_scratch = [n for n in sizes if _clearly_below(ours[n], scratch[n])]
    over_words = [n for n in sizes if _clearly_below(ours[n], words[n])]
    numbers = {
        "sizes": ", ".join(f"{n:,}" for n in sizes),
        "scratch": len(over_scratch),
        "words": len(over_words),
        "of": len(sizes),
    }
    if sizes and len(over_scratch) == len(over_words) == len(sizes):
        return Evidence(numbers, "holds-at-small-scale")
    return Evidence(numbers, "imprecise" if over_scratch else "wrong")


def pretraining_here() -> Evidence:
    """The recorded recipe: the whole of it with 20 labels against new weights with 40, on each language."""
    record, (few, many) = load_recipe(), (20, 40)
    ours, theirs = record.errors("lstm", STARTS[2], few), record.errors("lstm", STARTS[0], many)
    better = sum(a < b for a, b in zip(ours, theirs, strict=True))
    numbers = {
        "languages": len(ours), "few": few, "many": many, "better": better,
        "ours": f"{mean(ours):.0%}", "theirs": f"{mean(theirs):.0%}",
    }  # fmt: skip
    holds = better == len(ours) and mean(ours) < mean(theirs) / 2
    return Evidence(numbers, "holds-at-small-scale" if holds else "imprecise" if better else "wrong")


def stage_two_here() -> Evidence:
    """The recorded recipe with 20 labels, with and without the middle stage."""
    record, labels = load_recipe(), 20
    ours, theirs = record.errors("lstm", STARTS[2], labels), record.errors("lstm", STARTS[1], labels)
    better = sum(a < b for a, b in zip(ours, theirs, strict=True))
    numbers = {
        "languages": len(ours), "labels": labels, "better": better,
        "ours": f"{mean(ours):.0%}", "theirs": f"{mean(theirs):.0%}",
    }  # fmt: skip
    holds = better >= 0.8 * len(ours) and _clearly_below(ours, theirs)
    return Evidence(numbers, "holds-at-small-scale" if holds else "imprecise" if better else "wrong")


def unfreezing_here() -> Evidence:
    """The row that table 7 lacks: what unfreezing gains over it, in points, by encoder and number of labels."""
    record = load_recipe()
    cases = [(encoder, size) for encoder in ("lstm", "transformer") for size in METHOD_SIZES]
    gains = [[100 * gain for gain in record.gains(*case)] for case in cases]
    clear = [g for g in gains if abs(mean(g)) > 2 * stdev(g) / len(g) ** 0.5]
    helps = [g for g in clear if mean(g) > 0]
    numbers = {
        "languages": len(gains[0]), "sizes": ", ".join(map(str, METHOD_SIZES)), "clear": len(clear), "of": len(cases),
        "low": f"{min(map(mean, gains)):.1f}".replace("-", "−"),
        "high": f"{max(map(mean, gains)):.1f}".replace("-", "−"),
    }  # fmt: skip
    if len(helps) == len(cases):
        return Evidence(numbers, "holds-at-small-scale")
    return Evidence(numbers, "imprecise" if len(helps) > len(cases) / 2 else "wrong")
