"""Each check of chapter 3 comes with a planted fault that flips it: no check here is unable to fail."""

from dataclasses import replace
from datetime import date

import pytest
import torch

from papertrail import claims
from papertrail.fast_weights import checks
from papertrail.fast_weights.cost import Cost, CostRecord
from papertrail.fast_weights.measurements import Equivalence, FormDifferences, Stability
from papertrail.fast_weights.performer import AttentionError
from papertrail.fast_weights.recorded_language import RecordedByteRun
from papertrail.fast_weights.retrieval import Recall, TrainedRecall
from papertrail.fast_weights.tasks_1992 import FlipFlop

CHAPTER = [row for row in claims.load() if row.chapter == "fast_weights" and row.check]


def patched(name, value):
    """A fault: a measurement that the check calls gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(checks, name, value)


SOUND = Equivalence(1e-15, 1e-6, 0.5, 1e-15, order=0.1, squashed=0.9, whole_request_rank=6, seeds=5)


def equal(**changes):
    return patched("equivalence", lambda: replace(SOUND, **changes))


def flip_flop(solved_at, row=(1.0, -1.0, 0.0), steps=2000):
    weights = torch.tensor([[[0.0] * 3, list(row), [0.0] * 3]] * len(solved_at), dtype=torch.float64)
    return FlipFlop(solved_at, steps, 1.0, "units", 10.0, "request", [None] * len(solved_at), weights, [])


def trained(loss, features=8):
    return TrainedRecall([loss] * 2, [0.5] * 2, "sum", "elu+1", features, 16, 16, 8, 1, 2)


def attention_error(small, large):
    arm = "positive orthogonal"
    errors = {arm: {(0.5, 256): [small], (1.0, 256): [large]}}
    return AttentionError(errors, {}, {}, [0.5, 1.0], [256], 256, 16, 1)


def memory(naive, fused):
    """A record in which peak memory grows by these factors from 1,024 to 4,096."""
    rows = [
        Cost(way, length, [0.0] * 3, [0.0] * 3, factor if length == 4096 else 1.0)
        for way, factor in (("naive softmax", naive), ("fused softmax", fused), ("linear", 4.0))
        for length in (1024, 4096)
    ]
    return lambda: CostRecord(rows, [], [1.0] * 3, 8, 64)


def language(**nats):
    """Recorded byte models: held-out losses by mixer, better at the higher rate, three seeds around them."""
    given = {"softmax": 1.65, "linear": 1.6, "delta": 1.4, "hybrid": 1.45} | nats
    return lambda: [
        RecordedByteRun([2.0] * 8, value + 0.01 * seed + (lr < 2e-3) * 0.02, [value] * 4, 9, mixer, lr, seed)
        for mixer, value in given.items()
        for lr in (1e-3, 3e-3)
        for seed in range(3)
    ]


FAULTS = {
    "fwp-25-years-earlier": patched("TRANSFORMER", date(2016, 6, 12)),
    "fwp-alternative-to-recurrence": patched("flip_flop", lambda *a: flip_flop([5, None, None])),
    "slow-net-programs-fast-net": patched("flip_flop", lambda *a: flip_flop([5, 6], row=(1.0, 1.0, 0.0))),
    "from-to-are-key-value": equal(same=1e-3),
    "fast-input-is-query": equal(projected=1e-15),
    "fast-matrix-is-sum": equal(squashed=0.0),
    "all-operations-differentiable": patched("gradient", lambda state, error, z: state.influence[:, 0, 0]),
    "fwp-equals-linear-transformer": equal(order=0.0, squashed=0.0, whole_request_rank=1),
    "schlag-shows-equivalence": equal(same=1e-3),
    "fwp-numbers-of-1992": patched("flip_flop", lambda *a: flip_flop([250] * 3)),
    "three-forms-one-function": patched(
        "measure_forms", lambda: FormDifferences({"delta": 1e-15}, {"delta": 1e-6}, 10, 1)
    ),
    "normalization-is-extra": patched("measure_normalizer", lambda: 1e-3),
    "performers-approximate-softmax": patched(
        "measure_attention_error", lambda **options: attention_error(0.01, 0.05)
    ),
    "linear-attention-saves-memory": patched("load_costs", memory(16.0, 16.0)),
    "capacity-is-rank": patched("measure_trained_recall", lambda *a, **k: trained(0.1)),
    "delta-rule-stores-more": patched(
        "measure_recall", lambda n: Recall({"sum": 0.0 if n == 16 else 0.5, "delta": 0.0}, n, n, 16, 1)
    ),
    "delta-rule-edits": patched("edited", lambda rule: trained(0.0)),
    "softmax-can-edit": patched("edited", lambda rule: trained(0.0)),
    "delta-rule-stability": patched(
        "measure_stability", lambda sizes, length: Stability({1.4: 10.0, 1.5: 10.0}, length, 1)
    ),
    "softmax-learns-faster-than-delta": patched("load_language", language(softmax=1.3)),
    "some-softmax-helps-the-delta-rule": patched("load_language", language(hybrid=1.3)),
}


def test_every_check_has_a_planted_fault():
    assert set(FAULTS) == {row.id for row in CHAPTER}


@pytest.mark.parametrize("row", CHAPTER, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


@pytest.mark.parametrize(
    ("day", "verdict"),
    [(date(2016, 3, 26), "holds"), (date(2017, 3, 25), "holds"), (date(2001, 1, 1), "wrong")],
)
def test_years_are_counted_whole(day, verdict, monkeypatch):
    monkeypatch.setattr(checks, "TRANSFORMER", day)
    assert checks.years_before().verdict == verdict


def test_a_bound_that_is_undercut_is_no_confirmation(monkeypatch):
    for loss, verdict in ((0.2, "wrong"), (0.2505, "holds-at-small-scale"), (0.3, "wrong")):
        patched("measure_trained_recall", lambda *a, loss=loss, **k: trained(loss))(monkeypatch)
        assert checks.capacity_is_rank().verdict == verdict


def test_the_equivalence_is_wrong_if_either_order_fails(monkeypatch):
    for change in ({"same": 1e-3}, {"shifted": 1e-3}):
        equal(**change)(monkeypatch)
        assert checks.equivalent_to_linear_attention().verdict == "wrong"


def test_1992s_numbers_need_some_seed_that_is_as_quick(monkeypatch):
    for found, verdict in (
        ([None] * 20, "wrong"),
        ([250] * 15 + [None] * 5, "imprecise"),
        ([250] * 100, "holds"),
    ):
        patched("flip_flop", lambda *a, found=found: flip_flop(found))(monkeypatch)
        assert checks.paper_numbers_of_1992().verdict == verdict


def test_performers_would_hold_if_large_inputs_did_no_harm(monkeypatch):
    for small, large, verdict in (
        (0.02, 1.4, "imprecise"),
        (0.02, 0.05, "holds-at-small-scale"),
        (0.5, 0.5, "wrong"),
    ):
        patched("measure_attention_error", lambda s=small, g=large, **o: attention_error(s, g))(monkeypatch)
        assert checks.performers_approximate_softmax().verdict == verdict


@pytest.mark.parametrize(
    ("softmax", "verdict"), [(1.65, "wrong"), (1.39, "holds-at-small-scale"), (1.4, "imprecise")]
)
def test_every_pair_of_rate_and_seed_has_to_agree(softmax, verdict, monkeypatch):
    patched("load_language", language(softmax=softmax))(monkeypatch)
    found = checks.softmax_learns_faster()
    assert found.verdict == verdict and found.numbers["pairs"] == 6
    assert found.numbers["other"] == "2.03", "1.41 nats, at the better rate"
