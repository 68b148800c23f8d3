"""Each check on messages, relative positions and depth comes with a planted fault that flips it."""

from dataclasses import replace

import pytest
from torch import nn

from papertrail import claims
from papertrail.gopher import checks_distributed as checks
from papertrail.gopher import checks_norms
from papertrail.gopher.depth import ARMS, DepthGradients, DepthTraining, ShiftedStart
from papertrail.gopher.messages import Messages
from papertrail.gopher.recorded_messages import load_messages
from papertrail.gopher.relative_positions import ShiftCheck, Translation
from papertrail.gopher.sync_batch_norm import LocalStatistics


def measured(name, value):
    """A fault: a measurement or a record that the check reads gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(checks, name, lambda *arguments, **options: value)


def counted(norm, **changes):
    """The recorded tables, but for one norm."""
    return {
        count: Messages(
            [replace(step, **changes) if step.norm == norm else step for step in run.steps], count, "gloo"
        )
        for count, run in load_messages().items()
    }


def trained(rms=1.8, layer=1.8, none=9.0, post=2.7, depths=(12, 24)):
    """Three seeds a cell with these final losses for Pre, and one for Post."""

    def loss(placement, norm):
        return post if placement == "post" else {"LayerNorm": layer, "RMSNorm": rms, "none": none}[norm]

    return [
        DepthTraining([[loss(*arm)] * 10] * 3, *arm, depth, lr, 0.0, 3)
        for depth in depths
        for lr in (0.1, 0.2)
        for arm in ARMS
    ]


def shifted(layer, rms=(0.5, 0.5, 0.5)):
    """What shifted weights change at the start, with each norm."""
    return ShiftedStart({"LayerNorm": list(layer), "RMSNorm": list(rms)}, 6, 0.2, 3)


ROWS = [row for row in claims.load() if (row.check or "").startswith("papertrail.gopher.checks_distributed:")]
FAULTS = {
    "norms-without-batch": lambda monkeypatch: monkeypatch.setattr(checks_norms, "BatchNorm", nn.LayerNorm),
    "rmsnorm-stabilizes-deep": measured("load_depth", trained(none=1.8)),
    "batch-norm-synchronizes": measured("load_messages", counted("BatchNorm", gathers=[2052] * 8)),
    "synchronizing-costs-calls": measured("load_messages", counted("SyncBatchNorm", sums=[2048] * 7)),
    "batch-norm-sends-only-gradients": measured("load_messages", counted("BatchNorm", buffers=[])),
    "rmsnorm-robust-to-shifted-weights": measured("measure_shifted_start", shifted([0.1] * 3)),
    "relative-shift-is-exact": measured("measure_shift", ShiftCheck([0.0], [1e-6], 12, 1)),
    "relative-scores-depend-on-distance": measured("measure_translation", Translation([0.1], [0.5], 7, 9, 1)),
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    assert claims.check_function(row)().verdict == row.verdict
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


def test_norms_that_send_are_not_free_and_a_plain_batch_norm_that_sends_would_bear_the_article_out(
    monkeypatch,
):
    found = checks.norms_without_synchronization()
    assert found.verdict == "imprecise"
    assert found.numbers == {"free": 0, "plain": 0, "synchronized": 16, "layers": 8}
    for norm, changes, verdict in (
        ("RMSNorm", {"sums": [4]}, "wrong"),
        ("SyncBatchNorm", {"sums": [], "gathers": []}, "wrong"),
        ("BatchNorm", {"gathers": [4]}, "holds"),
    ):
        monkeypatch.setattr(checks, "load_messages", lambda n=norm, c=changes: counted(n, **c))
        assert checks.norms_without_synchronization().verdict == verdict
        assert checks.norms_without_batch().verdict == verdict


def test_a_batch_norm_whose_shares_agree_with_the_whole_has_synchronized_somehow(monkeypatch):
    monkeypatch.setattr(checks, "measure_local_statistics", lambda: LocalStatistics([1.0, 0.01], 8, 2, 4))
    assert checks.plain_batch_norm_synchronizes().verdict == "holds"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({}, "holds"), ({"gathers": [2053] * 8}, "wrong"), ({"gradients": [10**4]}, "wrong")],
    ids=["as it is", "bytes", "few gradients"],
)
def test_messages_must_be_those_of_the_formulas_in_bytes_too(changes, verdict, monkeypatch):
    monkeypatch.setattr(checks, "load_messages", lambda: counted("SyncBatchNorm", **changes))
    assert checks.synchronizing_costs_calls().verdict == verdict


@pytest.mark.parametrize(
    ("runs", "verdict", "compared"),
    [
        (trained(), "imprecise", (4, 0, 0)),
        (trained(rms=1.84, layer=1.8), "imprecise", (4, 0, 0)),  # less than 0.05 nats apart
        (trained(layer=2.6), "holds-at-small-scale", (0, 4, 0)),  # LayerNorm fails
        (trained(layer=1.9), "holds-at-small-scale", (0, 4, 0)),
        (trained(rms=1.9), "imprecise", (0, 0, 4)),
        (trained(post=1.9), "imprecise", (8, 0, 0)),  # Post trains, too, and is compared
        (trained(rms=2.6), "wrong", (0, 0, 4)),  # it fails itself
        (trained(none=2.4), "wrong", (4, 0, 0)),  # the net without norms trains as well
    ],
    ids=["same", "close", "layer fails", "layer worse", "rms worse", "post", "rms fails", "none trains"],
)
def test_stable_means_better_than_no_norm_and_the_norms_are_compared_cell_by_cell(
    runs, verdict, compared, monkeypatch
):
    monkeypatch.setattr(checks, "load_depth", lambda: runs)
    found = checks.rmsnorm_stabilizes_depth()
    numbers = found.numbers
    assert found.verdict == verdict
    assert (numbers["same"], numbers["better"], numbers["worse"]) == compared and numbers["cells"] == sum(
        compared
    )


def test_without_norms_the_gradient_at_the_start_must_blow_up(monkeypatch):
    start = [DepthGradients([[size] * 12] * 3, "pre", "none", 12, 3) for size in (90.0, 1.0)]
    monkeypatch.setattr(checks, "load_depth", trained)
    monkeypatch.setattr(checks, "measure_depth_gradients", lambda *arguments, **options: start)
    assert checks.rmsnorm_stabilizes_depth().verdict == "wrong"


@pytest.mark.parametrize(
    ("layer", "rms", "verdict"),
    [(1.8, 2.7, "imprecise"), (2.7, 2.7, "holds-at-small-scale"), (2.7, 1.8, "holds-at-small-scale")],
    ids=["as found", "both fail", "layer fails"],
)
def test_robust_is_the_norm_that_fails_no_more_often(layer, rms, verdict, monkeypatch):
    runs = [
        DepthTraining([[loss] * 10] * 3, "pre", norm, 12, 0.001, 0.2, 3)
        for norm, loss in (("LayerNorm", layer), ("RMSNorm", rms))
    ]
    monkeypatch.setattr(checks, "load_depth", lambda: runs)
    assert checks.robust_to_shifted_weights().verdict == verdict
