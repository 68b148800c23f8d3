"""Each of chapter 4's checks comes with a planted fault that flips it."""

import pytest

from papertrail import claims
from papertrail.ulmfit import checks as run
from papertrail.ulmfit import checks_published as checks
from papertrail.ulmfit import published as paper
from papertrail.ulmfit.fine_tuning import MISSING_ROW, ULMFIT
from papertrail.ulmfit.measurements import OneMask, SoftmaxCheck, TiedGroup
from papertrail.ulmfit.recipe import STARTS, Recipe
from papertrail.ulmfit.recorded_recipe import LanguageRun, RecordedRecipe

ROWS = [row for row in claims.load() if row.chapter == "ulmfit" and row.check]


def number(name, key, value):
    """A fault: one published number is another."""
    return lambda monkeypatch: monkeypatch.setitem(getattr(paper, name), key, value)


def published(name, value):
    """A fault: something else was published."""
    return lambda monkeypatch: monkeypatch.setattr(paper, name, value)


def errors(imdb, trec, ag):
    return {"IMDb": imdb, "TREC-6": trec, "AG": ag}


def measured(name, value):
    """A fault: a measurement that the check calls gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(run, name, lambda *arguments: value)


def recorded(scratch=0.4, general=0.3, both=0.1, gain=0.0):
    """Five languages with the same errors from each start, but for half a point each; and what unfreezing gains."""

    def one(language, encoder):
        small = language / 200
        errors = {
            start: [[error + small]] * 4
            for start, error in zip(STARTS, (scratch, general, both), strict=True)
        }
        methods = {ULMFIT: [[0.2 + small]] * 3, MISSING_ROW: [[0.2 + gain + 2 * small]] * 3}
        starts = Recipe((12, 20, 40, 100), errors, 1)
        return LanguageRun(language, encoder, 1, {}, {}, starts, Recipe((12, 20, 40), methods, 1))

    return RecordedRecipe([one(n, encoder) for n in range(5) for encoder in ("lstm", "transformer")])


def shots(ours, scratch, words, sizes=(50, 200)):
    """Recorded runs on reviews: errors of three seeds around these means."""
    kinds = {("general+target", ULMFIT): ours, ("none", "one rate"): scratch, ("none", "bag of words"): words}
    return {}, [
        {"start": start, "method": method, "labels": n, "seed": seed, "error": error + 0.01 * seed}
        for (start, method), error in kinds.items()
        for n in sizes
        for seed in range(3)
    ]


def ways(ours, plain, sizes=(50, 200)):
    """Recorded runs from one encoder: mean errors of ULMFiT's way and of one rate, three seeds."""
    kinds = {ULMFIT: ours, "one rate": plain}
    return {}, [
        {"start": "general+target", "method": m, "labels": n, "seed": seed, "error": error + seed * scale}
        for (m, error), scale in zip(kinds.items(), (0.01, 0.011), strict=True)
        for n in sizes
        for seed in range(3)
    ]


def ladder(gain, seeds=3):
    """The recorded ladder's two last rows on reviews; what unfreezing gains differs a little by seed."""
    rows = [(ULMFIT, 0.3), (MISSING_ROW, 0.3 + gain)]
    return {}, [
        {
            "start": "general+target",
            "method": m,
            "labels": 1000,
            "seed": n,
            "error": error + 0.001 * n * (m == ULMFIT),
        }
        for m, error in rows
        for n in range(seeds)
    ]


def speed(times, worse):
    """A recorded benchmark: how many times faster than one softmax, and with how many times its perplexity."""
    ours, full = "adaptive softmax, tied", "one softmax, tied"
    speeds = [
        {"way": way, "size": [1, 1, 1, words], "words_per_second": [0, value, 0]}
        for words, factor in ((8000, times), (2000, 1.0))  # fewer words are not the question
        for way, value in ((full, 1000), (ours, 1000 * factor))
    ]
    return {"speeds": speeds, "perplexities": {full: [400, 410], ours: [400 * worse, 410]}}


FAULTS = {
    "dropconnect-is-one-mask": measured("measure_one_mask", OneMask([0.0, 0.1], [0.0, 0.1], [0.0, 0.0])),
    "adaptive-softmax-is-exact": measured("measure_softmax", SoftmaxCheck(1e-3, 1e-15, 0.2)),
    "tied-embedding-learns-fast": measured(
        "measure_tied_group", TiedGroup([50.0] * 2, [44.0] * 2, [41.0] * 2, [1.0] * 2)
    ),
    "pretraining-helps-here": measured("load_recipe", recorded(scratch=0.1)),
    "stage-two-helps-here": measured("load_recipe", recorded(general=0.1)),
    "unfreezing-helps-here": measured("load_recipe", recorded(gain=0.1)),
    "adaptive-softmax-twice-as-fast": measured("load_record", speed(1.9, 1.0)),
    "unfreezing-helps-on-reviews": measured("load_runs", ladder(0.1)),
    "fine-tuning-beats-one-rate-on-reviews": measured("load_runs", ways(0.2, 0.3)),
    "pretraining-helps-on-reviews": measured("load_runs", shots(0.3, 0.3, 0.3)),
    "ulmfit-a-year-after": lambda monkeypatch: monkeypatch.setattr(checks, "ARXIV", (2018, 6)),
    "ulmfit-state-of-the-art": number("DATASETS", "WMT", ("translation", 0, 4_500_000)),
    "transformers-fine-tune-all-at-once": number("T5_GRADUAL", "GLUE", 83.29),
    "unfreezing-is-a-key-part": number("CLASSIFIER_FINE_TUNING", "Full", errors(6.87, 6.87, 5.82)),
    "unfreezing-was-isolated": number("CLASSIFIER_FINE_TUNING", "Full + discr + stlr", errors(5.1, 5.8, 5.4)),
    "ulmfit-is-the-best-row": number("CLASSIFIER_FINE_TUNING", paper.WHOLE_RECIPE, errors(5.00, 5.69, 5.28)),
    "ulmfit-stated-reductions": number("STATED", ("Yelp-full", "DPCNN"), (2.1, 1)),
    "ulmfit-majority-of-datasets": number("TEST_ERRORS", "TREC-6", {"LSTM-CNN": 3.9, "ULMFiT": 3.1}),
    "ulmfit-hundred-times-fewer-labels": published("ABSTRACT_TIMES", 101),
    "ulmfit-poster-factors": published("POSTER_TIMES", {"IMDb": 100, "AG": 50}),
    "ulmfit-paper-and-scripts": published(
        "paper_against_scripts", lambda: (paper.Difference("batch", "64", "64", "train_clas.py", same=True),)
    ),
    "discriminative-factor": published("SCRIPT_LM_RATES", {"1": 2.6**-2, "2": 1 / 2.6, "3": 1.0}),
    "printed-schedule-stays-positive": lambda monkeypatch: monkeypatch.setattr(
        checks, "published_slanted_triangular", lambda *arguments: 0.01
    ),
    "rates-by-layer-help-bert": number("BERT_BY_LAYER_DECAY", 0.95, 5.30),
    "awd-lstm-parameters": published("count_parameters", lambda vocabulary: 800 * vocabulary + 20_211_600),
}


def test_every_check_has_a_planted_fault():
    assert set(FAULTS) == {row.id for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    assert claims.check_function(row)().verdict == row.verdict
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


def test_a_pretrained_start_must_win_on_every_language_and_by_half(monkeypatch):
    for scratch, verdict in ((0.4, "holds-at-small-scale"), (0.15, "imprecise"), (0.05, "wrong")):
        monkeypatch.setattr(run, "load_recipe", lambda scratch=scratch: recorded(scratch=scratch))
        assert run.pretraining_here().verdict == verdict


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [(0.1, "holds-at-small-scale"), (-0.1, "wrong"), (-0.01, "wrong"), (0.0, "holds-at-small-scale")],
)
def test_unfreezing_helps_where_every_open_case_is_clearly_above_zero(gain, verdict, monkeypatch):
    # the five languages differ by half a point each in what unfreezing gains: at 0 the mean is one point
    monkeypatch.setattr(run, "load_recipe", lambda: recorded(gain=gain))
    assert run.unfreezing_here().verdict == verdict


def test_where_both_errors_are_under_two_percent_there_is_nothing_to_gain(monkeypatch):
    found = recorded()
    for one in found.runs:
        one.methods.errors[ULMFIT][2], one.methods.errors[MISSING_ROW][2] = [0.001], [0.015]
    monkeypatch.setattr(run, "load_recipe", lambda: found)
    numbers = run.unfreezing_here().numbers
    assert (numbers["floor"], numbers["open"], numbers["of"]) == (2, 4, 6)


def test_a_gain_counts_where_it_stands_out_of_its_own_spread():
    assert run._clear([0.01, 0.012, 0.011]) and not run._clear([0.01, 0.05, -0.02])
    assert not run._clear([0.02, 0.024]) and not run._clear([-0.01] * 3)  # two pairs are too few


@pytest.mark.parametrize(
    ("times", "worse", "verdict"),
    [(2.1, 1.009, "holds-at-small-scale"), (2.1, 1.02, "imprecise"), (1.9, 1.0, "wrong")],
)
def test_a_softmax_is_twice_as_fast_only_at_the_same_perplexity(times, worse, verdict, monkeypatch):
    monkeypatch.setattr(run, "load_record", lambda chapter, name: speed(times, worse))
    assert run.adaptive_softmax_is_faster().verdict == verdict


@pytest.mark.parametrize(
    ("gain", "seeds", "verdict"),
    [(0.01, 3, "holds-at-small-scale"), (0.001, 3, "wrong"), (-0.01, 3, "wrong"), (0.01, 2, "wrong")],
)
def test_unfreezing_on_reviews_must_stand_out_of_the_spread_of_its_seeds(gain, seeds, verdict, monkeypatch):
    monkeypatch.setattr(run, "load_runs", lambda experiment: ladder(gain, seeds))
    assert run.unfreezing_on_reviews().verdict == verdict


@pytest.mark.parametrize(
    ("ours", "plain", "verdict"),
    [(0.2, 0.3, "holds-at-small-scale"), (0.3, 0.2, "wrong"), (0.3, 0.3, "wrong")],
)
def test_fine_tuning_on_reviews_must_beat_one_rate_at_every_number_of_labels(
    ours, plain, verdict, monkeypatch
):
    monkeypatch.setattr(run, "load_runs", lambda experiment: ways(ours, plain))
    assert run.fine_tuning_on_reviews().verdict == verdict


def test_fine_tuning_on_reviews_that_wins_at_one_number_of_labels_only_is_half_true(monkeypatch):
    few, many = ways(0.2, 0.3, sizes=(50,))[1], ways(0.3, 0.2, sizes=(200,))[1]
    monkeypatch.setattr(run, "load_runs", lambda experiment: ({}, few + many))
    found = run.fine_tuning_on_reviews()
    assert (found.verdict, found.numbers["better"], found.numbers["pairs"]) == ("imprecise", 3, 6)


@pytest.mark.parametrize(
    ("ours", "scratch", "words", "verdict"),
    [(0.2, 0.4, 0.3, "holds-at-small-scale"), (0.25, 0.4, 0.24, "imprecise"), (0.4, 0.3, 0.5, "wrong")],
)
def test_pretraining_on_reviews_must_beat_new_weights_and_bag_of_words(
    ours, scratch, words, verdict, monkeypatch
):
    monkeypatch.setattr(run, "load_runs", lambda experiment: shots(ours, scratch, words))
    assert run.pretraining_on_reviews().verdict == verdict
    monkeypatch.setattr(run, "load_runs", lambda experiment: shots(ours, scratch, words, sizes=()))
    assert run.pretraining_on_reviews().verdict == "wrong"


@pytest.mark.parametrize(
    ("arxiv", "conference", "verdict"),
    [((2018, 1), (2018, 7), "imprecise"), ((2018, 5), (2018, 7), "holds"), ((2018, 1), (2018, 8), "wrong")],
)
def test_a_year_is_eleven_to_thirteen_months(arxiv, conference, verdict, monkeypatch):
    monkeypatch.setattr(checks, "ARXIV", arxiv)
    monkeypatch.setattr(checks, "CONFERENCE", conference)
    assert checks.a_year_after().verdict == verdict


def test_a_single_set_with_a_lower_error_elsewhere_refutes_the_state_of_the_art(monkeypatch):
    monkeypatch.setitem(paper.TEST_ERRORS, "AG", {"CNN": 5.01, "ULMFiT": 5.01})
    assert checks.state_of_the_art().verdict == "wrong"


@pytest.mark.parametrize(
    ("full", "with_rates", "verdict"),
    [
        (errors(6.37, 6.86, 5.81), errors(5.39, 5.86, 6.04), "wrong"),  # unfreezing gains nothing anywhere
        (errors(6.38, 6.86, 5.81), errors(5.39, 5.86, 6.04), "imprecise"),  # in one comparison of six
        (errors(6.38, 6.87, 5.82), errors(5.40, 5.87, 6.00), "holds"),  # in five of six
    ],
)
def test_a_key_part_gains_in_three_comparisons_of_four(full, with_rates, verdict, monkeypatch):
    monkeypatch.setitem(paper.CLASSIFIER_FINE_TUNING, "Full", full)
    monkeypatch.setitem(paper.CLASSIFIER_FINE_TUNING, "Full + discr", with_rates)
    assert checks.unfreezing_is_a_key_part().verdict == verdict


def test_the_other_missing_row_would_not_isolate_unfreezing_with_everything_on(monkeypatch):
    monkeypatch.setitem(paper.CLASSIFIER_FINE_TUNING, "Full + stlr", errors(5.5, 6.2, 5.5))
    found = checks.isolated_with_everything_on()
    assert found.verdict == "wrong" and found.numbers["missing"] == 1


def test_rates_by_layer_are_wrong_only_if_neither_model_has_the_factor(monkeypatch):
    monkeypatch.setattr(paper, "SCRIPT_CLASSIFIER_FACTOR", 2.0)
    assert checks.rates_by_layer_in_the_scripts().verdict == "wrong"


def test_the_printed_schedule_is_negative_in_short_runs_as_counted_by_hand():
    """T = 19 and cut = 1: p = 1 - 17 / 9 at the last update, hence a rate of (1 - 31 * 8 / 9) / 32."""
    found = checks.printed_schedule_stays_positive().numbers
    assert found["worst"] == f"{(1 - 31 * 8 / 9) / 32:.2f}".replace("-", "−")
    by_hand = 0
    for cut in range(1, 101):
        for beyond in range(
            10
        ):  # T = 10 cut + beyond; the last update is beyond - 1 steps past a fall of 9 cut
            past = (beyond - 1) / (9 * cut)
            by_hand += past * 31 > 1 and 10 * cut + beyond <= 1000
    assert found["negative"] == by_hand
    assert found["lengths"] == 991 and found["longest"] == 279  # cut = 27: 8 / 243 is the last above 1 / 31


def test_the_schedule_holds_at_no_run_length_or_fails_at_most(monkeypatch):
    monkeypatch.setattr(checks, "published_slanted_triangular", lambda step, *rest: -0.1)
    assert checks.printed_schedule_stays_positive().verdict == "wrong"


def test_a_smaller_gain_than_a_tenth_of_a_point_is_none_to_speak_of(monkeypatch):
    for error, verdict in ((5.43, "wrong"), (5.35, "imprecise"), (5.32, "holds")):
        monkeypatch.setitem(paper.BERT_BY_LAYER_DECAY, 0.95, error)
        assert checks.rates_by_layer_help_bert().verdict == verdict


def test_on_ag_two_rows_are_ahead_of_the_whole_recipe():
    numbers = checks.recipe_is_the_best_row().numbers
    assert (numbers["worst"], numbers["ahead"], numbers["behind"]) == ("AG", 2, "0.09")
