"""What the ledger calls for chapter 4 where something is run. Each check states its thresholds.

Rows that published numbers decide are in `checks_published`.
"""

from statistics import mean, stdev

from papertrail.claims import Evidence, Numbers
from papertrail.experiments import load_record
from papertrail.ulmfit.fine_tuning import MISSING_ROW, ULMFIT
from papertrail.ulmfit.measurements import measure_one_mask, measure_softmax, measure_tied_group
from papertrail.ulmfit.recipe import STARTS
from papertrail.ulmfit.recorded import load_runs
from papertrail.ulmfit.recorded_recipe import METHOD_SIZES, load_recipe
from papertrail.ulmfit.review_drawings import errors_by_labels

ROUND_OFF = 1e-11  # float64, of probabilities and of nats
T_LIMITS = {3: 4.303, 4: 3.182, 5: 2.776}  # of Student's t, 5% two-sided, by the number of pairs
FLOOR = 0.02  # an error below which there is nothing left to gain


def one_mask() -> Evidence:
    """A layer with DropConnect is a loop with one mask for all steps, and no loop with a mask for each."""
    found = measure_one_mask()
    same = max(found.one_mask) < ROUND_OFF
    apart = min(found.passes[1:] + found.fresh_masks[1:]) > 1e-3
    return Evidence({"steps": len(found.passes)}, "holds" if same and apart else "wrong")


def adaptive_softmax() -> Evidence:
    """All probabilities sum to one, the loss is minus the log of the target's, and fewer rows are multiplied."""
    found = measure_softmax()
    exact = max(found.sum_error, found.loss_error) < ROUND_OFF
    numbers = {"share": f"{found.share:.0%}"}
    return Evidence(numbers, "holds" if exact and found.share < 0.5 else "wrong")


def adaptive_softmax_is_faster() -> Evidence:
    """The recorded benchmark at 8,000 words: twice the speed of one softmax, at a perplexity within 1% of its."""
    record = load_record("ulmfit", "speed")
    ours, full = (f"{kind} softmax, tied" for kind in ("adaptive", "one"))
    median = {
        (one["way"], tuple(one["size"])): one["words_per_second"][1]
        for one in record["speeds"]
        if one["size"][-1] == 8000
    }
    times = [median[ours, size] / median[full, size] for way, size in median if way == full]
    pairs = zip(record["perplexities"][ours], record["perplexities"][full], strict=True)
    ratios = [mine / theirs for mine, theirs in pairs]
    numbers: Numbers = {
        "low": f"{min(times):.1f}",
        "high": f"{max(times):.1f}",
        "seeds": len(ratios),
        "worst": f"{100 * (max(ratios) - 1):.1f}%",
    }
    equal, twice = max(ratios) < 1.01, min(times) >= 2
    return Evidence(numbers, "holds-at-small-scale" if equal and twice else "imprecise" if twice else "wrong")


def tied_embedding() -> Evidence:
    """Stage 2 with the tied embedding in the fastest group and in the slowest: who adapts further."""
    found = measure_tied_group()
    better = sum(top < bottom for top, bottom in zip(found.top, found.bottom, strict=True))
    gains = [
        (before - top) / (before - bottom)
        for before, top, bottom in zip(found.before, found.top, found.bottom, strict=True)
    ]
    numbers: Numbers = {
        "better": better,
        "languages": len(found.top),
        "further": f"{min(gains):.1f}",
        "forgotten": f"{100 * max(abs(factor - 1) for factor in found.forgotten):.0f}%",
    }
    holds = better == len(found.top) and min(gains) > 1.1
    return Evidence(numbers, "holds-at-small-scale" if holds else "imprecise" if better else "wrong")


def _clear(gains: list[float]) -> bool:
    """Whether paired gains are above zero beyond their own spread: a two-sided t test at 5%."""
    if len(gains) not in T_LIMITS:
        return False
    return mean(gains) > T_LIMITS[len(gains)] * stdev(gains) / len(gains) ** 0.5


def _gains(ours: list[float], others: list[float]) -> list[float]:
    """How much lower ours are, pair by pair: the pairs share their documents."""
    return [other - our for our, other in zip(ours, others, strict=True)] if len(ours) == len(others) else []


def pretraining_on_reviews() -> Evidence:
    """The recorded runs: at how many numbers of labels does the whole recipe beat new weights, and bag of words."""
    _, runs = load_runs("low_shot")
    ours = errors_by_labels(runs, "general+target", ULMFIT)
    scratch, words = (
        errors_by_labels(runs, "none", "one rate"),
        errors_by_labels(runs, "none", "bag of words"),
    )
    sizes = [n for n, errors in ours.items() if len(errors) >= 3 and len(scratch.get(n, [])) >= 3]
    over_scratch = [n for n in sizes if _clear(_gains(ours[n], scratch[n]))]
    over_words = [n for n in sizes if _clear(_gains(ours[n], words.get(n, [])))]
    numbers: Numbers = {
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
    numbers: Numbers = {
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
    numbers: Numbers = {
        "languages": len(ours), "labels": labels, "better": better,
        "ours": f"{mean(ours):.0%}", "theirs": f"{mean(theirs):.0%}",
    }  # fmt: skip
    holds = _clear(_gains(ours, theirs))
    return Evidence(numbers, "holds-at-small-scale" if holds else "imprecise" if better else "wrong")


def unfreezing_here() -> Evidence:
    """The row that table 7 lacks: what unfreezing gains over it, in points, by encoder and number of labels."""
    record = load_recipe()
    cases = [(encoder, size) for encoder in ("lstm", "transformer") for size in METHOD_SIZES]
    open_cases = [
        case
        for case in cases
        if max(mean(record.errors(case[0], m, case[1])) for m in (ULMFIT, MISSING_ROW)) > FLOOR
    ]
    gains = [[100 * gain for gain in record.gains(*case)] for case in open_cases]
    helps = sum(_clear(g) for g in gains)
    numbers: Numbers = {
        "languages": len(record.of("lstm")),
        "sizes": ", ".join(map(str, METHOD_SIZES)),
        "limit": f"{FLOOR:.0%}",
        "floor": len(cases) - len(open_cases),
        "of": len(cases),
        "open": len(open_cases),
        "helps": helps,
        "hurts": sum(_clear([-gain for gain in g]) for g in gains),
        "low": f"{min(map(mean, gains), default=0):.1f}".replace("-", "−"),
        "high": f"{max(map(mean, gains), default=0):.1f}".replace("-", "−"),
    }
    if gains and helps == len(gains):
        return Evidence(numbers, "holds-at-small-scale")
    return Evidence(numbers, "imprecise" if helps or not gains else "wrong")


def fine_tuning_on_reviews() -> Evidence:
    """The recorded runs on one pretrained encoder: ULMFiT's way of fine-tuning against one rate, pair by pair."""
    _, runs = load_runs("low_shot")
    ours, plain = (errors_by_labels(runs, "general+target", method) for method in (ULMFIT, "one rate"))
    gains = {n: [100 * gain for gain in _gains(ours[n], plain[n])] for n in ours}
    better = sum(gain > 0 for found in gains.values() for gain in found)
    losses = [-mean(found) for found in gains.values()]
    numbers: Numbers = {
        "pairs": sum(map(len, gains.values())),
        "better": better,
        "sizes": ", ".join(f"{n:,}" for n in gains),
        "least": f"{min(losses):.1f}".replace("-", "−"),
        "most": f"{max(losses):.1f}".replace("-", "−"),
    }
    clear = [_clear(found) for found in gains.values()]
    return Evidence(numbers, "holds-at-small-scale" if all(clear) else "imprecise" if any(clear) else "wrong")


def unfreezing_on_reviews() -> Evidence:
    """The recorded ladder on real reviews: what unfreezing gains over the row that table 7 lacks, seed by seed."""
    _, runs = load_runs("ladder")
    (labels,) = {run["labels"] for run in runs}
    ours, missing = (errors_by_labels(runs, "general+target", row)[labels] for row in (ULMFIT, MISSING_ROW))
    gains = [100 * gain for gain in _gains(ours, missing)]
    numbers: Numbers = {
        "labels": f"{labels:,}",
        "seeds": len(gains),
        "with": f"{mean(ours):.1%}",
        "without": f"{mean(missing):.1%}",
        "gain": f"{mean(gains):+.1f}".replace("-", "−"),
    }
    return Evidence(numbers, "holds-at-small-scale" if _clear(gains) else "wrong")
