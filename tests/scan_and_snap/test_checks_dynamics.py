"""Each check of chapter 6's theorems comes with a planted fault that flips it."""

from dataclasses import replace

import pytest

from papertrail import claims
from papertrail.scan_and_snap import checks_dynamics as checks
from papertrail.scan_and_snap.expected import Signs, Skewed
from papertrail.scan_and_snap.layer import LemmaOne

ROWS = [
    row
    for row in claims.load()
    if row.chapter == "scan_and_snap" and row.check and row.check.startswith(checks.__name__ + ":")
]


def instead(name, change):
    """A fault: what a function of the check's gives is changed on its way."""
    honest = getattr(checks, name)

    def plant(monkeypatch):
        monkeypatch.setattr(checks, name, lambda *args, **options: change(honest(*args, **options)))

    return plant


def given(name, value):
    """A fault: a function of the check's gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(checks, name, lambda *args, **options: value)


def without_peak_order(found):
    """The fast decoder's signal is the last to be strongest."""
    return [*found[:2], replace(found[2], peak=[99] * len(found[2].peak)), found[3]]


FAULTS = {
    "scan-snap-rows-keep-their-sum": given("measure_lemma_1", LemmaOne(1e-15, 1e-15, 1e-6, 0.1, 5)),
    "scan-snap-distinct-gain-common-loses": given("measure_signs", Signs(0.0, 0.01, 5)),
    "scan-snap-order-of-frequency": given("measure_signs", Signs(0.0, 0.0, 4)),
    "scan-snap-conserved-quantity": instead("drift", lambda found: found * 5),
    "scan-snap-speed-rises-then-falls": instead(
        "measure_speed", lambda s: replace(s, measured=1.05 * s.measured)
    ),
    "scan-snap-relative-gain": instead("measure_gains", lambda g: replace(g, upper=g.chi - 0.01)),
    "scan-snap-growth-law-changes": given("exponents", (2.3, 2.0)),
    "scan-snap-fourth-power": instead("premise", lambda held: held * 0 + 1),
    "scan-snap-training-stops": lambda monkeypatch: monkeypatch.setattr(checks, "fmean", lambda values: 0.0),
    "scan-snap-outside-theorem-2": given(
        "measure_skewed", [Skewed(0.2, 0.1, -0.1, -0.2), Skewed(0.2, 0.5, 0.1, 0.2)]
    ),
    "scan-snap-consequences-of-rates": instead("measure_consequences", without_peak_order),
}


def test_every_check_has_a_planted_fault():
    assert set(FAULTS) == {row.id for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    assert claims.check_function(row)().verdict == row.verdict
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


def test_the_numbers_of_the_conserved_quantity_are_the_worst_of_25_classes():
    numbers = checks.conserved_quantity().numbers
    assert (numbers["forty"], numbers["below"], numbers["classes"]) == ("1.01%", 24, 25)
