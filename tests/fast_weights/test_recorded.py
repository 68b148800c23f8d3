"""The recorded runs of chapter 3: as fixed, as the chapter tells them, and what a fresh run gives."""

from statistics import median

import pytest

from papertrail.fast_weights import recorded
from papertrail.fast_weights.cost import load_costs
from papertrail.fast_weights.cost_drawings import growth, measured_crossover, peak_share
from papertrail.fast_weights.recorded import load_capacity, load_editing
from papertrail.fast_weights.retrieval import measure_trained_recall, order_blind_loss, rank_bound


def find(runs, rule, feature_map, symbols=None):
    (run,) = [
        r for r in runs if (r.rule, r.feature_map) == (rule, feature_map) and symbols in (None, r.symbols)
    ]
    return run


def test_the_grid_is_whole():
    capacity = load_capacity()
    assert {(r.rule, r.feature_map, r.symbols) for r in capacity} == {
        (rule, feature_map, symbols)
        for rule, feature_map in [*(("sum", m) for m in recorded.MAPS), ("softmax", None)]
        for symbols in recorded.SYMBOLS
    }
    assert all(len(r.loss) == r.seeds == 5 and r.steps == 600 for r in capacity)
    assert all(len(r.loss) == r.seeds == 5 and r.steps == 800 for r in load_editing())


def test_no_trained_sum_undercuts_the_bound_and_elu_lies_on_it():
    for run in load_capacity():
        if run.rule == "sum":
            assert min(run.loss) > rank_bound(run.symbols, run.features) - 1e-4
            if run.feature_map == "elu+1" and run.symbols > run.features:
                bound = rank_bound(run.symbols, run.features)
                assert median(run.loss) < bound + 1e-3
                assert max(run.loss) < bound + 0.5 / run.symbols + 1e-3, "one key more is missed"
        else:
            assert max(run.loss) < 1e-3


def test_dpfp_1_fails_in_some_seeds_although_there_is_space():
    run = find(load_capacity(), "sum", "dpfp-1", 16)
    assert run.features == 16 and max(run.loss) > 0.05


def test_only_the_delta_rule_edits_and_with_elu_in_every_seed():
    runs, blind = load_editing(), order_blind_loss(8, 16)
    assert max(find(runs, "delta", "elu+1").loss) < 1e-3
    assert max(find(runs, "delta", "dpfp-1").loss) > 0.05 and min(find(runs, "delta", "dpfp-1").loss) < 1e-3
    for run in runs:
        if run.rule != "delta":
            assert min(run.loss) > blind - 0.01


def test_a_fresh_run_agrees_with_the_record():
    run = find(load_editing(), "delta", "elu+1")
    fresh = measure_trained_recall("delta", symbols=run.symbols, length=run.length, steps=300, seeds=1)
    assert fresh.accuracy[0] > 0.99 and run.accuracy[0] > 0.99
    bound = find(load_capacity(), "sum", "elu+1", 24)
    fresh = measure_trained_recall("sum", symbols=24, steps=300, seeds=1)
    assert fresh.loss[0] == pytest.approx(bound.loss[0], abs=0.02)


def test_the_costs_bear_out_what_the_chapter_says():
    record = load_costs()
    ours = record.row("linear, map excluded", 4096)
    for peer, times in (
        ("fast-transformers, as shipped", 2.0),
        ("fla naive chunk", 2.0),
        ("fused softmax", 8.0),
    ):
        assert record.row(peer, 4096).both[1] > times * ours.both[1], peer
    assert record.row("fla naive chunk, delta", 4096).both[1] > 4 * record.row("delta", 4096).both[1]
    assert ours.extra_mib < 1.35 * 4 * 8 * 4096 * 64 * 4 / 2**20
    assert growth(record, "linear, map excluded", 1024, 16384) < 1.15
    assert growth(record, "fused softmax", 4096, 16384) > 1.7
    at, measured = measured_crossover(record, "linear")
    assert measured and 64 < at < 1000
    assert not measured_crossover(record, "cumulative sum")[1]
    assert 0.2 < peak_share(record) < 1
