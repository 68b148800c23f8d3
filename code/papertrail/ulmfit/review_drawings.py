"""Tables and figures of the runs on real reviews, live and recorded."""

import math
from statistics import mean

from papertrail.figures import BLUE, GREEN, INK, ORANGE, PURPLE, Drawing, headline, new_figure, styled
from papertrail.ulmfit.corpora import table_of_corpora as corpora
from papertrail.ulmfit.fine_tuning import ULMFIT
from papertrail.ulmfit.measurements import LiveReviews
from papertrail.ulmfit.published_drawings import Interval, Table, draw_ladder
from papertrail.ulmfit.recorded import BUDGET_START, load_runs

MODELS = {
    "general": "general text",
    "general+target": "general text, then reviews",
    "target": "reviews only, new weights",
}
# start, method -> what the figure calls it, and its look
CURVES = {
    ("none", "bag of words"): ("bag of words", INK, ":"),
    ("none", "one rate"): ("new weights", ORANGE, "-"),
    ("general", ULMFIT): ("general text", PURPLE, "--"),
    ("target", ULMFIT): ("reviews only", GREEN, "-."),
    ("general+target", ULMFIT): ("general text, then reviews", BLUE, "-"),
    ("general+target", "one rate"): ("the same, one rate", BLUE, ":"),
}


def table_of_corpora() -> Table:
    """The texts that come in packages, or with the course: size, terms, and how the labels were made."""
    rows = [
        [row.name, row.source, f"{row.documents:,}", f"{row.words:,}", row.licence, row.labels_made]
        for row in corpora()
    ]
    return ["name", "from", "texts", "words", "terms", "labels"], rows


def table_of_language_models() -> Table:
    """Words read and perplexities of the recorded language models, on held-out text."""
    record, _ = load_runs("low_shot")
    rows = []
    for name, said in MODELS.items():
        if (model := record["settings"]["language_models"].get(name)) is None:
            continue
        passes = model["settings"]["passes"]
        on = []
        for text in ("general", "target"):
            after, before = model["perplexity"].get(text), model["perplexity_before"].get(text)
            start = f"{before:.0f} → " if before is not None and name == "general+target" else ""
            on.append("" if after is None else f"{start}{after:.0f}")
        rows.append([said, f"{passes} x {model['words'] / 1e6:.1f} million", *on])
    return ["trained on", "tokens read", "perplexity, general", "perplexity, reviews"], rows


def rough(errors: list[float]) -> str:
    """A mean error as far as it stays the same from processor to processor."""
    return next(
        said
        for limit, said in ((0.25, "under 25%"), (0.4, "25 to 40%"), (1.1, "over 40%"))
        if mean(errors) < limit
    )


def table_of_live(live: LiveReviews) -> Table:
    """Errors of the live run."""
    return ["classifier", f"error, {live.labels} labels, {live.judged} reviews"], [
        ["stored encoder, ULMFiT's stage 3", rough(live.ulmfit)],
        ["bag of words", rough(live.bag_of_words)],
    ]


def errors_by_labels(runs: list[dict], start: str, method: str) -> dict[int, list[float]]:
    """Number of labels -> errors of the seeds."""
    found: dict[int, list[float]] = {}
    for run in runs:
        if (run["start"], run["method"]) == (start, method):
            found.setdefault(run["labels"], []).append(run["error"])
    return dict(sorted(found.items()))


@styled
def draw_low_shot() -> Drawing:
    """Error on the 5,000 held-out reviews against labels: seeds as points over their range, means as lines."""
    record, runs = load_runs("low_shot")
    fig, ax = new_figure(4.0)
    said, labels = [], set()
    for (start, method), (name, color, line) in CURVES.items():
        errors = errors_by_labels(runs, start, method)
        if not errors:
            continue
        labels |= set(errors)
        means = [100 * mean(e) for e in errors.values()]
        ax.plot(list(errors), means, color=color, linestyle=line, label=name)
        for n, values in errors.items():
            ax.plot([n] * len(values), [100 * e for e in values], "o", color=color, markersize=3)
            ax.plot([n, n], [100 * min(values), 100 * max(values)], color=color, linewidth=0.8)
        said.append(f"{name} " + ", ".join(f"{m:.0f}% at {n:,}" for n, m in zip(errors, means, strict=True)))
    ax.set_xscale("log")
    ax.set_xticks(sorted(labels), [f"{n:,}" for n in sorted(labels)])
    ax.minorticks_off()
    ax.set_xlabel("labeled reviews")
    ax.set_ylabel("error (%)")
    ax.axhline(50, color=INK, linewidth=0.8, linestyle=":")
    ax.text(max(labels, default=1), 50.4, "chance", ha="right", color=INK)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), frameon=False, ncols=2)
    headline(fig, _who_leads(runs))
    seeds = max(len(e) for key in CURVES for e in errors_by_labels(runs, *key).values())
    judged = record["settings"]["test"]
    alt = f"Test error on {judged:,} reviews against labels, {seeds} seeds, means: {'; '.join(said)}."
    return fig, alt


def _who_leads(runs: list[dict]) -> str:
    """The figure's title: up to how many labels a bag of words has the lowest mean error, and what has it then."""
    curves = {key: errors_by_labels(runs, *key) for key in CURVES}
    sizes = sorted(curves["none", "bag of words"])
    leaders = [min(CURVES, key=lambda key: mean(curves[key].get(n, [math.inf]))) for n in sizes]
    words = [leader == ("none", "bag of words") for leader in leaders]
    if all(words):
        return "Reading reviews first helps; a bag of words is ahead"
    first = words.index(False)
    who = "new weights" if leaders[first][0] == "none" else "pretraining"
    if not first:
        return f"With {sizes[0]:,} labels {who} can be ahead"
    return f"To {sizes[first - 1]:,} labels a bag of words leads, then {who}"


def labels_worth(error: float, others: dict[int, float]) -> float:
    """At how many labels a curve (labels -> mean error) reaches an error, between two points in log labels.

    Infinite where it never does, 0 where its first point is lower already.
    """
    sizes = sorted(others)
    if others[sizes[0]] < error:
        return 0.0
    for few, many in zip(sizes, sizes[1:], strict=False):
        if others[many] <= error:
            share = (others[few] - error) / (others[few] - others[many])
            return few * (many / few) ** share
    return math.inf


def table_of_label_worth() -> Table:
    """How many labels new weights need for the error that each pretrained start has with fewer."""
    _, runs = load_runs("low_shot")
    scratch = {n: mean(e) for n, e in errors_by_labels(runs, "none", "one rate").items()}
    low, high = f"under {min(scratch):,}", f"over {max(scratch):,}"
    curves = {key: errors_by_labels(runs, *key) for key in CURVES if key[0] != "none"}
    curves = {key: errors for key, errors in curves.items() if errors}
    rows = []
    for n in scratch:
        row = [f"{n:,}"]
        for errors in curves.values():
            if n not in errors:
                row.append("")
                continue
            worth = labels_worth(mean(errors[n]), scratch)
            row.append({0: low, math.inf: high}.get(worth, f"{worth:,.0f}"))
        rows.append(row)
    return ["labels", *(CURVES[key][0] for key in curves)], rows


def spread(errors: list[float]) -> str:
    """Mean and range in percent: "37.9 (37.1 to 38.6)"."""
    low, high = 100 * min(errors), 100 * max(errors)
    return f"{100 * mean(errors):.1f} ({low:.1f} to {high:.1f})"


def table_of_budgets() -> Table:
    """Error against how often stage 2 read the reviews: none, one pass, three."""
    (record, runs), (shorter, few) = load_runs("low_shot"), load_runs("budget")
    models, one = record["settings"]["language_models"], shorter["settings"]["language_models"][BUDGET_START]
    three = models["general+target"]
    tokens = [0.0, *(model["words"] * model["settings"]["passes"] / 1e6 for model in (one, three))]
    perplexities = [
        three["perplexity_before"]["target"],
        one["perplexity"]["target"],
        three["perplexity"]["target"],
    ]
    starts = [("general", runs), (BUDGET_START, few), ("general+target", runs)]
    sizes = sorted({run["labels"] for run in few})
    rows = []
    for (start, found), read, perplexity in zip(starts, tokens, perplexities, strict=True):
        by_method = [errors_by_labels(found, start, method) for method in (ULMFIT, "one rate")]
        cells = [spread(errors[n]) if n in errors else "" for errors in by_method for n in sizes]
        rows.append([f"{read:.1f}", f"{perplexity:.0f}", *cells])
    names = [f"{n} labels, {name}" for name in ("ULMFiT", "one rate") for n in sizes]
    return ["million tokens of reviews read", "perplexity, reviews", *names], rows


def our_ladder() -> dict[str, Interval]:
    """Table 7's rows on our reviews: mean, lowest and highest error of the recorded seeds, in percent."""
    _, runs = load_runs("ladder")
    found: dict[str, list[float]] = {}
    for run in runs:
        row = "From scratch" if run["method"] == "regular" else run["method"]
        found.setdefault(row, []).append(100 * run["error"])
    return {row: (mean(errors), min(errors), max(errors)) for row, errors in found.items()}


def draw_our_ladder() -> Drawing:
    """Table 7 beside the same rows, and the one that it lacks, on our reviews."""
    _, runs = load_runs("ladder")
    labels, seeds = runs[0]["labels"], len({run["seed"] for run in runs})
    return draw_ladder(our_ladder(), f"{labels:,} IMDb labels, {seeds} seeds, mean and range")
