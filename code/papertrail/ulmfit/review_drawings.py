"""Tables and figures of the runs on real reviews, live and recorded."""

from statistics import mean

from papertrail.figures import BLUE, GREEN, INK, ORANGE, PURPLE, Drawing, headline, new_figure, styled
from papertrail.ulmfit.corpora import table_of_corpora as corpora
from papertrail.ulmfit.fine_tuning import ULMFIT
from papertrail.ulmfit.measurements import LiveReviews
from papertrail.ulmfit.recorded import load_runs

Table = tuple[list[str], list[list[str]]]

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
    record, _ = load_runs("low-shot")
    rows = []
    for name, said in MODELS.items():
        if (model := record["language_models"].get(name)) is None:
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
    """Error on the 5,000 held-out reviews against labels: seeds as points, means as lines."""
    record, runs = load_runs("low-shot")
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
        said.append(f"{name} " + ", ".join(f"{m:.0f}% at {n:,}" for n, m in zip(errors, means, strict=True)))
    ax.set_xscale("log")
    ax.set_xticks(sorted(labels), [f"{n:,}" for n in sorted(labels)])
    ax.minorticks_off()
    ax.set_xlabel("labeled reviews")
    ax.set_ylabel("error (%)")
    ax.axhline(50, color=INK, linewidth=0.8, linestyle=":")
    ax.text(max(labels, default=1), 50.4, "chance", ha="right", color=INK)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), frameon=False, ncols=2)
    headline(fig, "Reading reviews first helps; a bag of words is ahead")
    seeds = max(len(e) for key in CURVES for e in errors_by_labels(runs, *key).values())
    judged = record["settings"]["test"]
    alt = f"Test error on {judged:,} reviews against labels, {seeds} seeds, means: {'; '.join(said)}."
    return fig, alt
