"""Each check of chapter 1 comes with a planted fault that flips it: no check here is unable to fail."""

from dataclasses import replace

import pytest

from papertrail import claims
from papertrail.architecture_diagram import (
    accounting,
    checks,
    history,
    measurements,
    torch_conventions,
    transformer,
    zoo,
)
from papertrail.architecture_diagram.sublayer import Rule

CHAPTER = [row for row in claims.load() if row.chapter == "architecture_diagram" and row.check]


def revised(index, **changes):
    """The history with one revision changed."""

    def plant(monkeypatch):
        revisions = list(history.REVISIONS)
        revisions[index] = replace(revisions[index], **changes)
        monkeypatch.setattr(history, "REVISIONS", tuple(revisions))

    return plant


def position(commit, default=True):
    return next(i for i, r in enumerate(history.REVISIONS) if commit in r.commits and r.is_default is default)


def swapped_traces(monkeypatch):
    """Trace every rule as if its norm stood on the other side."""
    other = {Rule("none", "dan"): Rule("n", "da"), Rule("n", "da"): Rule("none", "dan")}
    real = measurements.trace_rule
    monkeypatch.setattr(checks, "trace_rule", lambda rule: real(other.get(rule, rule)))


def forgotten_relu(monkeypatch):
    """A feed-forward without its nonlinearity no longer equals torch's."""
    monkeypatch.setattr(transformer.FeedForward, "forward", lambda self, x: self.contract(self.expand(x)))


def one_order_twice(monkeypatch):
    """Both orders are the published one, so nothing differs and nothing grows."""
    monkeypatch.setattr(measurements, "PRE_LN", measurements.PUBLISHED)


def measured(function, **changes):
    """A measurement of torch whose result is changed before the check sees it."""

    def plant(monkeypatch):
        real = getattr(torch_conventions, function)
        monkeypatch.setattr(checks, function, lambda *args: replace(real(*args), **changes))

    return plant


def never_moved(monkeypatch):
    monkeypatch.setattr(
        history,
        "REVISIONS",
        tuple(replace(r, preprocess="none", postprocess="dan") for r in history.REVISIONS),
    )


def another_vocabulary(monkeypatch):
    """If the big row had been printed as 218 million, one vocabulary would do."""
    rows = tuple(
        replace(row, printed_millions=218) if row is accounting.BIG else row for row in accounting.TABLE_3
    )
    big = rows[-1]
    monkeypatch.setattr(accounting, "TABLE_3", rows)
    monkeypatch.setattr(accounting, "BIG", big)


def every_name_honest(monkeypatch):
    """Each norm is called by its place, so that a name is never misleading."""
    honest = [
        replace(model, norms=tuple((f"{kind} {place}", kind, place) for _, kind, place in model.norms))
        for model in zoo.load_zoo()
    ]
    monkeypatch.setattr(checks, "load_zoo", lambda: honest)


def inspected(function, **changes):
    """A trace of torch's stacks whose reports are changed before the check sees them."""

    def plant(monkeypatch):
        real = getattr(torch_conventions, function)
        rows = [replace(row, report=altered(row.report, **changes)) for row in real()]
        monkeypatch.setattr(checks, function, lambda: rows)

    return plant


def altered(report, **changes):
    return replace(report, stacks=tuple(replace(stack, **changes) for stack in report.stacks))


def annotated_as_published(monkeypatch):
    monkeypatch.setattr(checks, "trace_annotated", lambda: measurements.trace_rule(measurements.PUBLISHED))


# A second fault for checks that hear two witnesses: the trace alone is wrong, and the numbers are right.
TRACE_FAULTS = {
    "annotated-is-pre-ln": annotated_as_published,
    "torch-transformer-extra-norms": inspected("trace_torch", final_norm=False),
    "torch-pre-ln-unnormalized": inspected("trace_torch", final_norm=True),
}
FAULTS = {
    "norm-names-tell-the-place": every_name_honest,
    "first-code-agreed": revised(0, preprocess="n", postprocess="da"),
    "code-changed-in-2017": never_moved,
    "linked-commit-moved-default": revised(position("f5c9b17e"), preprocess="n", postprocess="da"),
    "figure-is-a-useful-summary": forgotten_relu,
    "norm-between-residual-blocks": swapped_traces,
    "figure-differs-from-updated-code": never_moved,
    "difference-is-slight": one_order_twice,
    "drawn-variant-is-post-ln": swapped_traces,
    "figure-is-wrong": revised(0, preprocess="n", postprocess="da"),
    "annotated-is-pre-ln": lambda monkeypatch: monkeypatch.setattr(
        measurements, "_annotated_norm", measurements._normalize
    ),
    "pre-ln-needs-final-norm": one_order_twice,
    "torch-transformer-extra-norms": measured("measure_torch_conventions", norms_in_torch_transformer=30),
    "torch-pre-ln-unnormalized": measured("measure_torch_conventions", rms_without_norm=[1.0] * 4),
    "table-3-one-vocabulary": another_vocabulary,
    "schedule-peaks-at-warmup": lambda monkeypatch: monkeypatch.setattr(
        checks, "noam_lr", lambda step, width: 1 / step
    ),
}


def test_every_check_has_a_planted_fault():
    assert set(FAULTS) == {row.id for row in CHAPTER}


@pytest.mark.parametrize("row", CHAPTER, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


@pytest.mark.parametrize("row", [row for row in CHAPTER if row.id in TRACE_FAULTS], ids=lambda row: row.id)
def test_a_fault_in_the_trace_alone_flips_the_check(row, monkeypatch):
    TRACE_FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict
