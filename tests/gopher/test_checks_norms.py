"""Each check of chapter 5's norms comes with a planted fault that flips it."""

from dataclasses import replace

import pytest

from papertrail import claims
from papertrail.gopher import checks_norms as checks
from papertrail.gopher.group_size import GroupSizes
from papertrail.gopher.invariances import WAYS, Invariances, MeanShift, measure_invariances
from papertrail.gopher.norm_speed import LAYER, TORCH, WRITTEN, NormSpeed
from papertrail.gopher.rewriting import Rewriting


def measured(name, value):
    """A fault: a measurement that the check calls gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(checks, name, lambda *arguments: value)


def groups(small, layer=0.06):
    """Recorded runs with these errors at groups of 2 and 4, and 5% from 8 on."""
    sizes = {2: small, 4: small, 8: [0.05] * 3, 16: [0.05] * 3}
    return GroupSizes(sizes, sizes, {"LayerNorm": [layer] * 3, "RMSNorm": [layer] * 3, "none": [0.1] * 3}, 3)


def speed(torchs, written):
    """A benchmark in which LayerNorm takes 1 ms, fused or written out."""
    times = {LAYER: 1.0, TORCH: torchs, WRITTEN[0]: written, WRITTEN[1]: 1.0}
    shape = {way: {"both": [t, t, t], "forward": [t, t, t]} for way, t in times.items()}
    return NormSpeed({checks.LARGE: shape}, {}, {}, [])


def one_cell_off():
    found = measure_invariances(seeds=1)
    largest = {norm: dict(ways) for norm, ways in found.largest.items()}
    largest["LayerNorm"][WAYS[0]] = 0.5
    return Invariances(largest, found.least, 1)


REWRITTEN = Rewriting([1e-15], [0.4], [1e-17], 0, 24)
ROWS = [row for row in claims.load() if (row.check or "").startswith("papertrail.gopher.checks_norms:")]
FAULTS = {
    "norms-with-small-batches": measured("load_group_sizes", groups([0.06, 0.3, 0.3])),
    "norm-invariances": measured("measure_invariances", one_cell_off()),
    "rms-is-layer-without-centering": measured("measure_mean_shift", MeanShift([0.0, 0.1], [1e-6, 0.1], 5)),
    "pre-ln-is-pre-rmsnorm": measured("measure_rewriting", replace(REWRITTEN, difference=[1e-9])),
    "rmsnorm-seven-to-sixty-four": measured("load_speed", speed(5.0, 1.1)),
    "batch-of-two-leaves-signs": measured("measure_signs", [[-1.0, 1.0]] * 100),
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    assert claims.check_function(row)().verdict == row.verdict
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


def test_rmsnorm_that_notices_other_cases_would_refute_the_claim(monkeypatch):
    monkeypatch.setattr(checks, "RMSNorm", checks.BatchNorm)
    assert checks.batch_dependence().verdict == "wrong"


def test_batch_norm_must_be_clearly_behind_in_every_seed(monkeypatch):
    for small, verdict in (([0.09, 0.3, 0.3], "holds-at-small-scale"), ([0.07, 0.3, 0.3], "wrong")):
        monkeypatch.setattr(checks, "load_group_sizes", lambda small=small: groups(small))
        assert checks.small_batches().verdict == verdict
    assert checks.small_batches().numbers["from"] == "8"


def test_each_part_of_the_rewriting_counts(monkeypatch):
    for fault in ({"uncentered": [1e-15]}, {"norms_left": 1}):
        monkeypatch.setattr(checks, "measure_rewriting", lambda fault=fault: replace(REWRITTEN, **fault))
        assert checks.pre_rms_norm().verdict == "wrong"


def test_the_range_holds_only_if_the_paper_spans_it_and_torch_is_faster(monkeypatch):
    times = {"a": (100, 93, 90), "b": (100, 36, 30)}
    monkeypatch.setattr(checks, "load_speed", lambda: speed(0.5, 0.7))
    assert checks.faster().verdict == "imprecise", "pRMSNorm, not RMSNorm, saves 64%"
    monkeypatch.setattr(checks, "PAPER_TIMES", times)
    monkeypatch.setattr(checks, "saved", lambda name: tuple(100 - t for t in times[name][1:]))
    assert checks.faster().verdict == "holds"
    monkeypatch.setattr(checks, "load_speed", lambda: speed(2.0, 0.7))
    assert checks.faster().verdict == "imprecise"


def test_the_papers_two_ends_are_two_norms(monkeypatch):
    monkeypatch.setattr(checks, "load_speed", lambda: speed(5.0, 0.7))
    numbers = checks.faster().numbers
    assert (numbers["least"], numbers["most"], numbers["partial"]) == ("7", "41", "64")
    assert numbers["saved_low"] == "30" and numbers["slower"] == "5.0"
