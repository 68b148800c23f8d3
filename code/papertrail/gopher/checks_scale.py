"""What the ledger calls for chapter 5's sizes, tasks and scaling. Each check states its thresholds."""

from papertrail.claims import Evidence, Numbers
from papertrail.gopher import published as paper
from papertrail.gopher import scaling, scores
from papertrail.gopher.accounting import (
    count_parameters,
    measure_flop_ratios,
    measure_hardware,
    measure_models,
    sizes,
)

SMALL = 0.5  # a share of the others' gain below which a kind of task counts as not moved


def layers_parameters_tokens() -> Evidence:
    """The 80 layers' parameters by arithmetic against the published 280 billion, and the tokens of all six models."""
    shape = paper.gopher_models()[-1]
    counted = count_parameters(*sizes(shape))
    numbers: Numbers = {
        "layers": shape.n_layers, "counted": f"{counted / 1e9:.1f}", "tokens": f"{paper.TRAINING_TOKENS / 1e9:.0f}",
        "models": len(paper.gopher_models()),
    }  # fmt: skip
    fits = abs(counted - shape.published) <= shape.unit / 2
    return Evidence(numbers, "holds" if fits and shape.n_layers == 80 else "wrong")


def analysis_covers_the_tasks() -> Evidence:
    """Whether the paper's comparison of sizes counts each of its tasks, as a main point should."""
    counts = [count for count, _ in paper.GAINS.values()]
    numbers = {
        "many": counts[0], "some": counts[1], "none": counts[2], "tasks": paper.TASKS,
        "models": len(paper.gopher_models()),
    }  # fmt: skip
    if sum(counts) == paper.TASKS:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if 2 * sum(counts) > paper.TASKS else "wrong")


def number_of_tasks() -> Evidence:
    """The kinds of task added up, and on how many there was an earlier best to compare with."""
    total = sum(paper.TASK_COUNTS.values())
    numbers: Numbers = {
        "total": total, "kinds": len(paper.TASK_COUNTS), "comparable": paper.COMPARABLE, "improved": paper.IMPROVED,
        "share": f"{paper.IMPROVED / paper.COMPARABLE:.0%}",
    }  # fmt: skip
    return Evidence(numbers, "holds" if total == paper.TASKS else "wrong")


def unscalable_tasks_move() -> Evidence:
    """What more data at the same compute gains on MMLU's mathematics, against its other subjects.

    Were it the architecture, or the tasks, that set the limit, data would not move them: it would gain less than half
    of what it gains elsewhere.
    """
    inside, outside = scores.mathematics_gain()
    worse = scores.measure_worse_tasks()
    chance = sum(task.is_chance for task in worse)
    numbers: Numbers = {
        "worse": len(worse), "chance": chance, "inside": f"{inside:.1f}", "outside": f"{outside:.1f}",
        "subjects": len(scores.MATHEMATICS),
    }  # fmt: skip
    return Evidence(numbers, "imprecise" if inside >= SMALL * outside else "holds")


def thirteenth_square() -> Evidence:
    """How many published counts come out with the relative projection, and how many without it."""
    gopher, chinchilla = measure_models(paper.gopher_models()), measure_models(paper.chinchilla_shapes())
    fits = {
        name: sum(m.rounds_to_published(m.parts.total) for m in models)
        for name, models in (("gopher", gopher), ("chinchilla", chinchilla))
    }
    without = sum(m.rounds_to_published(m.without_relative) for m in (*gopher, *chinchilla))
    share = gopher[-1].parts.relative_positions / gopher[-1].parts.total
    numbers: Numbers = {
        **fits, "six": len(gopher), "fifty": len(chinchilla), "without": without, "share": f"{share:.1%}",
        "worst": f"{max(abs(m.error) for m in chinchilla) / 1e6:.2f}",
    }  # fmt: skip
    most = fits["gopher"] == len(gopher) and 4 * fits["chinchilla"] >= 3 * len(chinchilla)
    return Evidence(numbers, "holds" if most and without == 0 else "wrong")


def table_counts_embeddings() -> Evidence:
    """Hoffmann's table A4 recomputed with embeddings, as its text says, and without."""
    rows = measure_flop_ratios()
    as_said = sum(round(row.with_embeddings, 2) == row.printed for row in rows)
    without = sum(round(row.without, 2) == row.printed for row in rows)
    numbers: Numbers = {
        "rows": len(rows), "said": as_said, "without": without,
        "most": f"{max(row.with_embeddings / row.printed for row in rows):.2f}",
    }  # fmt: skip
    return Evidence(numbers, "holds" if as_said == len(rows) else "imprecise" if as_said else "wrong")


def mean_over_subjects() -> Evidence:
    """Gopher's MMLU score as a mean over subjects and over questions, against the printed one (to half a tenth)."""
    *groups, everything = scores.measure_means()
    printed = paper.MMLU_MEANS[0]
    by_question = sum(abs(row.weighted - row.printed) <= 0.05 for row in groups)
    numbers: Numbers = {
        "printed": printed, "plain": f"{everything.plain:.2f}", "weighted": f"{everything.weighted:.2f}",
        "groups": len(groups), "agree": by_question,
    }  # fmt: skip
    if abs(everything.plain - printed) <= 0.05:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "wrong" if abs(everything.weighted - printed) <= 0.05 else "imprecise")


def printed_shares() -> Evidence:
    """The three printed shares of tasks by gain against the counts beside them; a tenth may differ, by cutting off."""
    off = [
        (printed, 100 * count / paper.TASKS)
        for count, printed in paper.GAINS.values()
        if abs(100 * count / paper.TASKS - printed) > 0.1
    ]
    numbers = {
        "shares": len(paper.GAINS), "off": len(off), "printed": off[0][0] if off else 0,
        "computed": f"{off[0][1]:.1f}" if off else "0",
        "sum": f"{sum(printed for _, printed in paper.GAINS.values()):.1f}",
    }  # fmt: skip
    if not off:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if len(off) < len(paper.GAINS) else "wrong")


def scale_means_parameters() -> Evidence:
    """Tokens for each parameter in the smallest and the largest model: a fixed budget of text makes them differ."""
    small, *_, large = measure_models(paper.gopher_models())
    ratio = large.parts.total / small.parts.total
    numbers = {
        "small": f"{small.tokens_per_parameter:,.0f}", "large": f"{large.tokens_per_parameter:.2f}",
        "ratio": f"{ratio:,.0f}", "compute": f"{large.flops / small.flops:,.0f}",
    }  # fmt: skip
    return Evidence(
        numbers, "holds" if small.tokens_per_parameter > 10 * large.tokens_per_parameter else "wrong"
    )


def energy_was_measured() -> Evidence:
    """Whether the quoted energy is chips times hours times an average power, to the last digit that is printed."""
    found = measure_hardware().energy_mwh
    numbers: Numbers = {
        "energy": f"{paper.ENERGY_MWH:,}", "chips": f"{paper.CHIPS:,}", "hours": paper.HOURS,
        "watts": paper.WATTS_PER_CHIP, "product": f"{found:,.1f}",
    }  # fmt: skip
    return Evidence(numbers, "wrong" if round(found) == paper.ENERGY_MWH else "not-checkable-here")


def comprehension_rises_most() -> Evidence:
    """Open models: does each comprehension group rise more than logic and mathematics, clearly, in every family?"""
    found = scaling.measure_scaling()
    present = {row.group.article for row in found} & set(scaling.ARTICLE)
    (logic,) = (row for row in found if row.group.article == "logic and mathematics")
    comprehension = [row for row in found if row.group.article == "comprehension"]
    pairs = [
        (row.curve_of(*scale).fit, logic.curve_of(*scale).fit)
        for row in comprehension
        for scale in scaling.SCALES
    ]
    more = sum(fit.is_clear and fit.slope - fit.limit > other.slope for fit, other in pairs)
    slopes = [100 * fit.slope for fit, _ in pairs]
    logics = [100 * curve.fit.slope for curve in logic.curves]
    numbers: Numbers = {
        "more": more, "of": len(pairs), "low": f"{min(slopes):.0f}", "high": f"{max(slopes):.0f}",
        "least": f"{min(logics):.0f}", "most": f"{max(logics):.0f}",
        "missing": len(scaling.ARTICLE) - len(present), "words": len(scaling.ARTICLE),
    }  # fmt: skip
    if more == len(pairs):
        return Evidence(numbers, "holds-at-small-scale")
    return Evidence(numbers, "imprecise" if 2 * more > len(pairs) else "wrong")


def subjects_can_be_told_apart() -> Evidence:
    """How many of MMLU's subjects the open models answer above chance: half of them would be enough to compare."""
    rows = scaling.measure_above_chance()
    best = max(rows, key=lambda row: row.above)
    smallest = min(rows, key=lambda row: row.model.nominal_params)
    largest = max(rows, key=lambda row: row.model.nominal_params)
    subjects = paper.TASK_COUNTS["MMLU"]
    numbers: Numbers = {
        "best": best.above, "best_size": f"{best.model.nominal_params / 1e9:.0f}", "subjects": subjects,
        "small": smallest.above, "small_size": f"{smallest.model.nominal_params / 1e6:.0f}",
        "large": largest.above, "large_size": f"{largest.model.nominal_params / 1e9:.0f}",
        "gopher": f"{scores.measure_means()[-1].plain:.0f}", "open": f"{100 * max(row.mean for row in rows):.0f}",
        "evaluations": len(rows),
    }  # fmt: skip
    return Evidence(numbers, "holds" if 2 * best.above >= subjects else "wrong")
