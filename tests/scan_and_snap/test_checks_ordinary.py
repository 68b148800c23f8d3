"""Each check of the ordinary layer and of the ties comes with a planted fault that flips it."""

from copy import deepcopy
from dataclasses import replace

import pytest

from papertrail import claims
from papertrail.scan_and_snap import checks_ordinary as checks
from papertrail.scan_and_snap.assumptions import BASELINE, MEASURES, PREDICTIONS, Assumptions
from papertrail.scan_and_snap.recorded_assumptions import load_assumptions
from papertrail.scan_and_snap.ties import LayerTie, WritingTie

RECORDED = load_assumptions()
MOVES = {"+": [0.04, 0.05], "-": [-0.04, -0.05], "0": [0.01, -0.01]}
USUAL = {"distinct": 0.8, "common": -0.2, "order": 0.5, "snap": 0.8, "entropy": -0.2}


def perfect() -> Assumptions:
    """Two seeds in which everything survives and every difference comes as predicted."""
    values = {BASELINE: {measure: [value] * 2 for measure, value in USUAL.items()}}
    for arm, rows in PREDICTIONS.items():
        values[arm] = {m: [USUAL[m] + move for move in MOVES[rows[m][0]]] for m in MEASURES}
    curves = {arm: [[0.6, 0.4]] * 2 for arm in values}
    return Assumptions(values, curves, {arm: [0.0] * 2 for arm in values}, [0, 1])


def altered(arm, *measures, start=None):
    """The recorded runs (or others) in which these measurements of one arm are on the other side of nothing."""
    found = deepcopy(start or RECORDED)
    for measure in measures:
        nothing, _ = MEASURES[measure]
        found.values[arm][measure] = [2 * nothing - value for value in found.values[arm][measure]]
    return found


def recorded(found):
    """A fault: other runs were recorded."""
    return lambda monkeypatch: monkeypatch.setattr(checks, "load_assumptions", lambda: found)


def measured(name, value):
    """A fault: a measurement that the check calls gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(checks, name, lambda: value)


WRITING = WritingTie([1e-15], [1e-15], [1e-15], [0.5])
LAYER = LayerTie([70.0], [1e-16], [1e-15], [1e-16])
ROWS = [
    row for row in claims.load() if (row.check or "").startswith("papertrail.scan_and_snap.checks_ordinary:")
]
FAULTS = {
    "ordinary-layer-keeps-the-signs": recorded(altered(BASELINE, "order")),
    "signs-survive-positions": recorded(perfect()),
    "signs-survive-adam": recorded(altered("Adam", "common", "order", "distinct")),
    "signs-survive-temperature": recorded(perfect()),
    "signs-survive-residual": recorded(perfect()),
    "signs-survive-without-the-norm": recorded(perfect()),
    "slow-attention-brings-the-signs-back": recorded(altered("no norm, slow attention", "common")),
    "layer-is-linear-attention": measured("measure_layer_tie", replace(LAYER, gradients=[1e-6])),
    "training-writes-fast-weights": measured("measure_writing_tie", replace(WRITING, deltas=[1e-6])),
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    assert claims.check_function(row)().verdict == row.verdict
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


@pytest.mark.parametrize(
    "check",
    [checks.positions, checks.adam, checks.temperature, checks.residual, checks.norm_place],
    ids=lambda check: check.__name__,
)
def test_a_row_of_predictions_holds_only_if_all_of_them_came(check, monkeypatch):
    recorded(perfect())(monkeypatch)
    evidence = check()
    assert evidence.verdict == "holds-at-small-scale" and evidence.numbers["missed"] == "none"
    assert evidence.numbers["survive"] == evidence.numbers["right"] == evidence.numbers["cells"]


def test_one_wrong_prediction_makes_it_imprecise_and_most_of_them_wrong(monkeypatch):
    found = perfect()
    found.values["Adam"]["entropy"] = [
        -0.1,
        -0.1,
    ]  # less sparse than the baseline, and still on theory's side
    recorded(found)(monkeypatch)
    evidence = checks.adam()
    assert (evidence.verdict, evidence.numbers["missed"], evidence.numbers["right"]) == (
        "imprecise",
        "entropy, nats",
        4,
    )
    for measures, verdict in ((["common", "order"], "imprecise"), (["common", "order", "snap"], "wrong")):
        recorded(altered("Adam", *measures, start=perfect()))(monkeypatch)
        assert checks.adam().verdict == verdict, measures


def test_the_norms_row_counts_runs(monkeypatch):
    found = perfect()
    found.common["no norm"] = [[0.6, 0.9, 0.5], [0.6, 0.7, 0.5]]
    found.losses["norm before"] = [0.3, 0.0]
    found.values["no norm"]["common"] = [0.2, -0.2]
    recorded(found)(monkeypatch)
    numbers = checks.norm_place().numbers
    assert [numbers[name] for name in ("runs", "lose", "rise", "untrained")] == [4, 3, 1, 1]


def test_slow_attention_must_bring_back_something(monkeypatch):
    recorded(perfect())(monkeypatch)
    assert checks.slow_attention().verdict == "wrong", "nothing was missing"
    recorded(altered("no norm", "common", start=perfect()))(monkeypatch)
    assert checks.slow_attention().verdict == "holds-at-small-scale"


def test_the_baseline_is_imprecise_with_most_signs_and_wrong_with_few(monkeypatch):
    for measures, verdict in ((["order"], "imprecise"), (["order", "snap", "common"], "wrong")):
        recorded(altered(BASELINE, *measures, start=perfect()))(monkeypatch)
        assert checks.ordinary_layer().verdict == verdict


@pytest.mark.parametrize("part", ["after", "gradients", "limit"])
def test_each_part_of_the_layers_identity_counts(part, monkeypatch):
    measured("measure_layer_tie", replace(LAYER, **{part: [1e-9]}))(monkeypatch)
    assert checks.layer_is_linear_attention().verdict == "wrong"


def test_an_identity_of_equal_things_would_prove_nothing(monkeypatch):
    measured("measure_layer_tie", replace(LAYER, before=[1e-16]))(monkeypatch)
    assert checks.layer_is_linear_attention().verdict == "wrong"
    measured("measure_layer_tie", LAYER)(monkeypatch)
    measured("measure_norm_tie", [1e-6])(monkeypatch)
    assert checks.layer_is_linear_attention().verdict == "wrong"


@pytest.mark.parametrize(
    "fault", [{"sums": [1e-9]}, {"second": [0.1]}, {"moved": [0.0]}], ids=["sum", "rank", "still"]
)
def test_each_part_of_the_writing_counts(fault, monkeypatch):
    measured("measure_writing_tie", WRITING)(monkeypatch)
    assert checks.training_writes_fast_weights().verdict == "holds"
    measured("measure_writing_tie", replace(WRITING, **fault))(monkeypatch)
    assert checks.training_writes_fast_weights().verdict == "wrong"
