"""What the ledger calls for chapter 4 where a published number decides. Each check states its thresholds."""

from statistics import mean

from papertrail.claims import Evidence, Numbers
from papertrail.ulmfit import published as paper
from papertrail.ulmfit.schedules import published_slanted_triangular

TRANSFORMER, ARXIV, CONFERENCE = (2017, 6), (2018, 1), (2018, 7)  # year and month of first appearance
CLASSIFICATION = {"question", "sentiment", "topic"}  # the types of table 1, all of them text classification
FIRST_LENGTH, LAST_LENGTH = 10, 1000  # run lengths for which the printed schedule is evaluated


def _months(start: tuple[int, int], end: tuple[int, int]) -> int:
    return 12 * (end[0] - start[0]) + end[1] - start[1]


def a_year_after() -> Evidence:
    """Months from the Transformer paper on arXiv to this one on arXiv, and to its conference."""
    arxiv, conference = _months(TRANSFORMER, ARXIV), _months(TRANSFORMER, CONFERENCE)
    numbers = {"arxiv": arxiv, "conference": conference}
    if 11 <= arxiv <= 13:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if 11 <= conference <= 13 else "wrong")


def state_of_the_art() -> Evidence:
    """On how many sets of tables 2 and 3 ULMFiT has the lowest error, and which kinds of task they are."""
    best = [
        name
        for name, errors in paper.TEST_ERRORS.items()
        if errors[paper.ULMFIT] < paper.best_before(name)[1]
    ]
    kinds = {kind for kind, _, _ in paper.DATASETS.values()}
    trec = paper.best_before("TREC-6")[1] - paper.TEST_ERRORS["TREC-6"][paper.ULMFIT]
    numbers: Numbers = {
        "best": len(best), "sets": len(paper.TEST_ERRORS), "kinds": len(kinds),
        "questions": f"{trec * paper.TREC_TEST_QUESTIONS / 100:.1f}", "test": paper.TREC_TEST_QUESTIONS,
    }  # fmt: skip
    if len(best) < len(paper.TEST_ERRORS):
        return Evidence(numbers, "wrong")
    return Evidence(numbers, "imprecise" if kinds <= CLASSIFICATION else "holds")


def all_layers_at_once() -> Evidence:
    """T5's test of gradual unfreezing: on how many tasks it loses, and on how many beyond two deviations."""
    losses, beyond = paper.t5_losses(), paper.t5_beyond(2.0)
    worse = sum(loss > 0 for loss in losses.values())
    numbers = {"worse": worse, "tasks": len(losses), "beyond": len(beyond), "runs": paper.T5_RUNS}
    return Evidence(
        numbers, "holds" if worse == len(losses) and 2 * len(beyond) > len(losses) else "imprecise"
    )


def unfreezing_is_a_key_part() -> Evidence:
    """What table 7 has of each part wherever rows differ in it: a key part gains in three comparisons of four."""
    gains = {
        part: [gain for pair in paper.isolated_gains(part).values() for gain in pair.values()]
        for part in ("Freez", "discr", "stlr")
    }
    numbers: Numbers = {
        f"{name}_{what}": value
        for name, part in (("unfreezing", "Freez"), ("rates", "discr"), ("schedule", "stlr"))
        for what, value in (
            ("helps", sum(gain > 0 for gain in gains[part])),
            ("of", len(gains[part])),
            ("mean", f"{mean(gains[part]):.2f}"),
        )
    }
    helps = sum(gain > 0 for gain in gains["Freez"])
    if 4 * helps >= 3 * len(gains["Freez"]):
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if helps else "wrong")


def isolated_with_everything_on() -> Evidence:
    """Whether table 7 has the whole recipe without unfreezing, which is what unfreezing must be compared with."""
    missing = paper.missing_rows()
    whole = [row for row in missing if row.startswith("Full") and "discr" in row and "stlr" in row]
    return Evidence({"missing": len(missing)}, "wrong" if whole else "holds")


def recipe_is_the_best_row() -> Evidence:
    """On how many sets of table 7 the whole recipe has the lowest error, and how far behind it is elsewhere."""
    table, whole = paper.CLASSIFIER_FINE_TUNING, paper.WHOLE_RECIPE
    behind = {
        name: round(table[whole][name] - table[paper.best_row(name)][name], 2) for name in paper.ABLATED
    }
    first = sum(points == 0 for points in behind.values())
    worst = max(behind, key=behind.__getitem__)
    ahead = sum(table[row][worst] < table[whole][worst] for row in table)
    numbers: Numbers = {
        "first": first, "sets": len(behind), "worst": worst, "ahead": ahead, "behind": f"{behind[worst]:.2f}",
    }  # fmt: skip
    if first == len(behind):
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if first else "wrong")


def reductions_follow_from_the_tables() -> Evidence:
    """The six relative reductions of section 4.2, recomputed within the rounding of tables 2 and 3."""
    found = paper.relative_reductions()
    agree = sum(reduction.agrees for reduction in found)
    return Evidence({"agree": agree, "stated": len(found)}, "holds" if agree == len(found) else "imprecise")


def majority_of_datasets() -> Evidence:
    """The abstract's 18 to 24% on the majority of the sets: how many are in that range."""
    found = paper.majority_of_datasets()
    others = sorted(round(value) for name, value in found.reductions.items() if name not in found.covered)
    numbers: Numbers = {
        "covered": len(found.covered), "sets": len(found.reductions), "names": ", ".join(found.covered),
        "others": ", ".join(f"{value}%" for value in others),
    }  # fmt: skip
    if found.is_majority:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if found.covered else "wrong")


def a_hundred_times_fewer_labels() -> Evidence:
    """The abstract's factor against the factors that section 5 gives, by set and by unlabeled text."""
    factors = [statement.times for statement in paper.LOW_SHOT if statement.times is not None]
    reach = [statement for statement in paper.LOW_SHOT if (statement.times or 0) >= paper.ABSTRACT_TIMES]
    numbers: Numbers = {
        "factors": ", ".join(map(str, sorted(factors))),
        "abstract": paper.ABSTRACT_TIMES, "labels": paper.LOW_SHOT_LABELS, "reach": len(reach),
        "unlabeled": f"{max((statement.unlabeled or 0 for statement in reach), default=0):,}",
    }  # fmt: skip
    if len(reach) == len(paper.LOW_SHOT):
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if reach else "wrong")


def poster_factors() -> Evidence:
    """The poster's two factors with unlabeled text against those of section 5."""
    text = {s.dataset: s.times for s in paper.LOW_SHOT if s.unlabeled and s.times}
    numbers = {"imdb": text["IMDb"], "ag": text["AG"]}
    return Evidence(numbers, "holds" if text == paper.POSTER_TIMES else "wrong")


def released_scripts_agree() -> Evidence:
    """How many of the settings that we compared are the same in the paper and in the released scripts."""
    rows = paper.paper_against_scripts()
    same = sum(row.same for row in rows)
    numbers = {"same": same, "settings": len(rows)}
    if same == len(rows):
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if same else "wrong")


def rates_by_layer_in_the_scripts() -> Evidence:
    """The factor between neighboring layers in the scripts against the paper's, and the tied embedding's rate."""
    lowest, middle, top = paper.SCRIPT_LM_RATES.values()
    factor = paper.DISCRIMINATIVE_FACTOR
    formula = factor ** -len(paper.SCRIPT_LM_RATES)  # the embedding lies that many layers below the top one
    numbers: Numbers = {
        "upper": f"{top / middle:g}", "lower": f"{middle / lowest:g}", "factor": factor,
        "tied": f"{paper.SCRIPT_LM_TIED_RATE:.2f}", "formula": f"{formula:.2f}",
    }  # fmt: skip
    model = all(abs(found - factor) < 0.05 for found in (top / middle, middle / lowest))
    classifier = factor == paper.SCRIPT_CLASSIFIER_FACTOR
    if model and classifier:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if model or classifier else "wrong")


def printed_schedule_stays_positive() -> Evidence:
    """The printed formula's rate at the last update, in units of the largest rate, for every run length in a range."""
    last = {
        length: published_slanted_triangular(length - 1, length, 1.0, paper.CUT_FRACTION, paper.RATIO)
        for length in range(FIRST_LENGTH, LAST_LENGTH + 1)
    }
    negative = [length for length, rate in last.items() if rate < 0]
    numbers: Numbers = {
        "negative": len(negative), "lengths": len(last), "first": FIRST_LENGTH, "last": f"{LAST_LENGTH:,}",
        "longest": max(negative, default=0), "worst": f"{min(last.values()):.2f}".replace("-", "−"),
    }  # fmt: skip
    if not negative:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if len(negative) < len(last) / 2 else "wrong")


def rates_by_layer_help_bert() -> Evidence:
    """BERT on IMDb by the factor between layers' rates: a gain of at least a tenth of a point would be one."""
    one_rate = paper.BERT_BY_LAYER_DECAY[1.0]
    by_layer = {decay: error for decay, error in paper.BERT_BY_LAYER_DECAY.items() if decay != 1.0}
    best = min(by_layer, key=by_layer.__getitem__)
    strongest = min(by_layer)
    numbers: Numbers = {
        "one": f"{one_rate:.2f}", "best": f"{by_layer[best]:.2f}", "decay": best,
        "strong": f"{by_layer[strongest]:.2f}", "strongest": strongest,
    }  # fmt: skip
    gain = round(one_rate - by_layer[best], 2)
    return Evidence(numbers, "holds" if gain >= 0.1 else "imprecise" if gain > 0 else "wrong")


def parameters_are_counted() -> Evidence:
    """AWD-LSTM's parameters by arithmetic against the two published counts; less than a million off is enough."""
    counted = [paper.count_parameters(model.vocabulary) / 1e6 for model in paper.AWD_LSTM]
    numbers = {name: f"{count:.1f}" for name, count in zip(("ptb", "wikitext"), counted, strict=True)}
    off = [abs(count - model.parameters) for count, model in zip(counted, paper.AWD_LSTM, strict=True)]
    return Evidence(numbers, "holds" if max(off) < 1 else "wrong")
