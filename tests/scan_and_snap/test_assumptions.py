"""The five measurements on cases worked out by hand; the comparison; the record against a fresh run."""

import math

import pytest
import torch

from papertrail.scan_and_snap.assumptions import (
    ARMS,
    BASELINE,
    MEASURES,
    PREDICTIONS,
    REMOVALS,
    SURVIVES,
    Assumptions,
    measure_assumptions,
    measurements,
    sign,
)
from papertrail.scan_and_snap.recorded_assumptions import load_assumptions
from papertrail.scan_and_snap.setting import DTYPE, make_language

# one query for both targets; token 0 common, 1 to 3 the first target's, 4 to 6 the second's: weights 1; 1/2, 3/4, 1
PAIR = make_language(2, distinct=3, common=1, targets_per_query=2, lowest=0.5)


def gains(*looks):
    return torch.tensor([[look] for look in looks], dtype=DTYPE)  # (looks, 1 query, 7)


def test_the_measurements_of_a_run_worked_out_by_hand():
    still = [0.0] * 7
    end = [math.log(0.5), 0.0, 0.0, math.log(2), math.log(4), -1.0, -1.0]
    found = measurements(PAIR, gains(still, end, end))
    # first target: weights 1, .5, .75, 1 of 3.25 become .5, .5, .75, 2 of 3.75
    # second target: 1, .5, .75, 1 of 3.25 become .5, 2, .75 / e, 1 / e
    second = 0.5 + 2 + 1.75 / math.e
    assert found["common"] == pytest.approx((0.5 / 3.75 + 0.5 / second) / 2 - 1 / 3.25)
    assert found["distinct"] == pytest.approx((1 + 1 / 3) / 2), "-1 is below the common token's ln(1/2)"
    assert found["snap"] == 1.0
    shares = [[0.5 / 3.75, 0.5 / 3.75, 0.75 / 3.75, 2 / 3.75],
              [0.5 / second, 2 / second, 0.75 / math.e / second, 1 / math.e / second],
              [1 / 3.25, 0.5 / 3.25, 0.75 / 3.25, 1 / 3.25]]  # fmt: skip
    first, other, start = (-sum(p * math.log(p) for p in row) for row in shares)
    assert found["entropy"] == pytest.approx((first + other) / 2 - start)


def test_gains_of_a_constant_are_none():
    found = measurements(PAIR, gains([0.0] * 7, [1.0] * 7, [0.0, 0, 1, 2, 0, 1, 2]))
    assert found["snap"] < 1e-12, "a constant moves no attention"
    assert found["order"] == pytest.approx(1) and found["distinct"] == pytest.approx(2 / 3)


def test_the_way_counts_there_and_back():
    away = [0.0, 1, 0, 0, 0, 0, 0]
    found = measurements(PAIR, gains([0.0] * 7, away, [0.0] * 7))
    assert found["snap"] == pytest.approx(0.5) and found["common"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.1, 0.2], "+"), ([-0.1, -0.2], "-"), ([0.1, -0.2], "0"), ([0.0, 0.2], "0"), ([0.0, -0.2], "0")],
    ids=["up", "down", "both", "none_and_up", "none_and_down"],
)
def test_a_sign_counts_where_all_seeds_have_it(values, expected):
    assert sign(values) == expected


def made(**arms):
    """Two seeds: the baseline on the theory's side, and each arm's common mass as given."""
    usual = {"distinct": [0.9, 0.9], "common": [-0.3, -0.2], "order": [0.5, 0.5], "snap": [0.9, 0.9],
             "entropy": [-0.1, -0.1]}  # fmt: skip
    values = {BASELINE: usual} | {arm: usual | {"common": common} for arm, common in arms.items()}
    curves = {arm: [[0.6, 0.9, 0.3], [0.6, 0.7, 0.3]] for arm in values}
    return Assumptions(values, curves, {arm: [0.0, 0.0] for arm in values}, [0, 5, 10])


def test_differences_are_taken_seed_by_seed():
    found = made(Adam=[-0.25, -0.15], positions=[-0.25, -0.25], residual=[0.1, -0.5])
    assert found.seeds == 2
    assert found.observed("Adam", "common") == "+", "though the ranges overlap"
    assert found.observed("positions", "common") == "0"
    assert found.survives("Adam", "common") and not found.survives("residual", "common")
    assert found.as_predicted("Adam") == ["distinct"], "0 as said; the others were to differ"
    assert found.rises_first("Adam") == 1 and found.rises_first("Adam", by=0.05) == 2


def test_survival_is_asked_of_the_theorys_side():
    found = made()
    assert all(found.survives(BASELINE, measure) for measure in MEASURES)
    for measure, (nothing, side) in MEASURES.items():
        found.values[BASELINE][measure][1] = nothing + (-0.1 if side == "+" else 0.1)
        assert not found.survives(BASELINE, measure)


def test_there_is_a_prediction_with_a_reason_for_everything_measured():
    assert set(PREDICTIONS) == set(REMOVALS) == set(ARMS) - {BASELINE} and set(SURVIVES) == set(ARMS)
    for rows in PREDICTIONS.values():
        assert set(rows) == set(MEASURES)
        assert all(expected in "+-0" and why.endswith(".") for expected, why in rows.values())


def test_the_record_is_whole():
    found = load_assumptions()
    assert found.seeds == 5 and set(found.values) == set(found.common) == set(found.losses) == set(ARMS)
    for arm in ARMS:
        assert all(len(found.values[arm][measure]) == 5 for measure in MEASURES)
        assert all(len(curve) == len(found.steps) == 61 for curve in found.common[arm])
        for curve, change in zip(found.common[arm], found.values[arm]["common"], strict=True):
            assert curve[-1] - curve[0] == pytest.approx(change, abs=2e-4)


def test_a_fresh_run_of_one_seed_gives_the_recorded_numbers():
    arms = (BASELINE, "Adam")
    fresh, found = measure_assumptions(arms, seeds=1), load_assumptions()
    for arm in arms:
        for measure in MEASURES:
            assert fresh.values[arm][measure][0] == pytest.approx(found.values[arm][measure][0], abs=0.01)
        assert fresh.losses[arm][0] == pytest.approx(found.losses[arm][0], rel=0.02)
    for measure in ("common", "entropy", "snap"):
        assert sign(fresh.differences("Adam", measure)) == found.observed("Adam", measure)


def test_the_record_bears_out_what_the_chapter_says():
    found = load_assumptions()
    for arm in (BASELINE, "positions", "Adam", "temperature 2", "residual", "no norm, slow attention"):
        assert all(found.survives(arm, measure) for measure in MEASURES), arm
    assert not found.survives("temperature 1/2", "order")
    for arm in ("norm before", "no norm"):
        assert [m for m in MEASURES if found.survives(arm, m)] == ["snap", "entropy"]
        assert found.rises_first(arm) >= 4
    assert all(loss < 0.02 for arm in ARMS if "norm" not in arm for loss in found.losses[arm]), "they trained"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measure_assumptions(seeds=0), "seeds: got 0"),
        (lambda: measure_assumptions(("dropout",)), "arms: got 'dropout'"),
    ],
    ids=["seeds", "arm"],
)
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
