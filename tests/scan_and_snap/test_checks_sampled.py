"""Each check of the sampled runs comes with a planted fault that flips it."""

from dataclasses import replace

import pytest
import torch

from papertrail import claims
from papertrail.scan_and_snap import checks_sampled as checks
from papertrail.scan_and_snap.measures import attention_in_the_limit
from papertrail.scan_and_snap.recorded_sampled import LongRun, Sweep, load_long_run, load_sweep
from papertrail.scan_and_snap.sampled import official_losses

MODULE = "papertrail.scan_and_snap.checks_sampled:"
ROWS = [row for row in claims.load() if (row.check or "").startswith(MODULE)]


def measured(name, value):
    """A fault: a measurement that the check calls gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(checks, name, lambda *arguments: value)


def changed(change):
    """A fault: the logits of figure 4's runs are others, and attention with them."""

    def plant(monkeypatch):
        def other(run):
            z = change(run.z)
            return replace(run, z=z, c=torch.stack([attention_in_the_limit(run.language, m) for m in z]))

        found = {rates: [other(run) for run in runs] for rates, runs in checks.figure_4().items()}
        monkeypatch.setattr(checks, "figure_4", lambda: found)

    return plant


def exchanged(one, other):
    """A fault: two pairs of rates have each other's runs."""

    def plant(monkeypatch):
        found = dict(checks.figure_4())
        found[one], found[other] = found[other], found[one]
        monkeypatch.setattr(checks, "figure_4", lambda: found)

    return plant


def long(top=0.15, ratio=0.8, moved=(0.1, 0.05, 0.001)):
    """Long runs of two seeds with these ends; what moved from 0 to 100, to 1,000 and to 4,000."""
    times = [0, 100, 1000, 4000]
    each = {method: [[0.06, 0.1, 0.1, value]] * 2 for method, value in (("sgd", top), ("momentum", top))}
    ratios = {method: [[1.0, 0.9, 0.9, ratio]] * 2 for method in each}
    return LongRun(times, each, ratios, {}, {}, {method: [[0.0, *moved]] * 2 for method in each})


def sweep(z, ratio):
    """Entropies that change by `z` from one rate of Z to the next and by `ratio` from one ratio to the next."""
    by_rate = {
        rate: {r: [2.5 + i * z + j * ratio] * 2 for j, r in enumerate(("1", "2", "5", "10"))}
        for i, rate in enumerate(("0.5", "1", "2", "3"))
    }
    return Sweep({"zero": by_rate, "torch": by_rate}, {}, {"zero": [2.9] * 2, "torch": [2.9] * 2})


FAULTS = {
    "syn-small-replayed": measured("official_losses", {t: 2 * loss for t, loss in official_losses().items()}),
    "syn-small-final-row": lambda monkeypatch: monkeypatch.setattr(checks, "OFFICIAL_FINAL", 10),
    "signs-with-samples": changed(lambda z: -z),
    "frequent-tokens-gain-most": changed(lambda z: -z),
    "attention-freezes": measured("load_long_run", long(moved=(0.1, 0.005, 0.001))),
    "rates-set-the-snap": exchanged((1.0, 1.0), (10.0, 1.0)),
    "attention-becomes-sparse": changed(lambda z: 0 * z),
    "no-winner-takes-all": measured("load_long_run", long(top=0.6)),
    "adam-picks-other-tokens": lambda monkeypatch: monkeypatch.setattr(checks, "figure_5", sgd_for_adam),
    "entropy-by-rates": measured("load_sweep", sweep(-0.1, -0.05)),
}


def sgd_for_adam():
    """Adam's three rates, with what SGD does."""
    return dict.fromkeys(((0.1, 0.1), (0.5, 0.5), (1.0, 1.0)), checks.figure_4()[checks.PLAIN])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    assert claims.check_function(row)().verdict == row.verdict
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


@pytest.mark.parametrize(("factor", "verdict"), [
    (1.0, "holds"), (1.25, "wrong"),
], ids=["as-printed", "a-quarter-higher"])  # fmt: skip
def test_the_official_run_holds_with_a_tenth_outside_at_most(factor, verdict, monkeypatch):
    shifted = {t: factor**2 * loss for t, loss in official_losses().items()}
    monkeypatch.setattr(checks, "official_losses", lambda: shifted)
    found = checks.official_run()
    assert found.verdict == verdict and 0.5 < float(found.numbers["together"]) < 1


def test_the_final_row_is_final_only_if_it_is_the_last(monkeypatch):
    monkeypatch.setattr(checks, "OFFICIAL_FINAL", checks.STEPS)
    assert checks.official_final_row().verdict == "holds"


def test_signs_hold_only_if_every_token_of_every_run_has_its_own(monkeypatch):
    language = checks.figure_4()[checks.PLAIN][0].language
    right = torch.where(language.common, -1.0, 1.0).double()
    changed(lambda z: (z.abs() + 1e-3) * right)(monkeypatch)
    assert checks.signs_with_samples().verdict == "holds"
    wrong = right.clone()
    wrong[19] = -1.0  # the most frequent token of the first class
    changed(lambda z: (z.abs() + 1e-3) * wrong)(monkeypatch)
    assert checks.signs_with_samples().verdict == "wrong"


@pytest.mark.parametrize(("moved", "verdict"), [
    ((0.1, 0.005, 0.001), "holds"), ((0.1, 0.05, 0.001), "imprecise"), ((0.1, 0.05, 0.2), "wrong"),
], ids=["frozen", "slower", "faster"])  # fmt: skip
def test_attention_is_frozen_if_nothing_moves_and_decelerates_if_ever_less_does(moved, verdict, monkeypatch):
    monkeypatch.setattr(checks, "load_long_run", lambda: long(moved=moved))
    assert checks.snap_and_after().verdict == verdict


@pytest.mark.parametrize("pair", [
    ((1.0, 1.0), (0.5, 1.0)), ((1.0, 1.0), (0.5, 0.5)), ((10.0, 1.0), (5.0, 0.5)),
], ids=["slower-decoder", "both-up", "both-up-fast-decoder"])  # fmt: skip
def test_each_consequence_counts(pair, monkeypatch):
    exchanged(*pair)(monkeypatch)
    assert checks.rates_and_sparsity().verdict == "wrong"


def test_an_order_is_kept_where_the_one_is_below_the_other_seed_by_seed():
    assert checks._kept([1.0, 2.0, 3.0], [2.0, 2.0, 3.5]) == 2


def test_attention_is_sparse_with_half_of_the_tokens_gone_at_all_rates(monkeypatch):
    changed(lambda z: 40 * z)(monkeypatch)
    assert checks.becomes_sparse().verdict == "holds"


@pytest.mark.parametrize(("top", "ratio", "verdict"), [
    (0.4, 0.4, "holds"), (0.6, 0.4, "wrong"), (0.4, 0.3, "wrong"),
], ids=["shared", "half", "far-ahead"])  # fmt: skip
def test_a_winner_has_half_or_three_times_the_second(top, ratio, verdict, monkeypatch):
    monkeypatch.setattr(checks, "load_long_run", lambda: long(top, ratio))
    assert checks.no_winner().verdict == verdict


@pytest.mark.parametrize(("z", "ratio", "verdict"), [
    (-0.1, 0.05, "holds"), (-0.1, 0.0, "wrong"), (0.1, 0.05, "wrong"),
], ids=["both", "no-rise", "no-fall"])  # fmt: skip
def test_the_sweep_needs_both_statements(z, ratio, verdict, monkeypatch):
    monkeypatch.setattr(checks, "load_sweep", lambda: sweep(z, ratio))
    assert checks.sweep_of_rates().verdict == verdict


def test_the_stored_records_are_what_the_rows_read():
    numbers = checks.sweep_of_rates().numbers
    assert numbers["cases"] == 2 * len(load_sweep().entropy["zero"]) * 5 == 40
    assert checks.no_winner().numbers["last"] == f"{load_long_run().times[-1]:,}"
