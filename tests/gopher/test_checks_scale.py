"""Each check of sizes, tasks and scaling comes with a planted fault that flips it."""

from dataclasses import replace

import pytest

from papertrail import claims
from papertrail.gopher import checks_scale as checks
from papertrail.gopher import published as paper
from papertrail.gopher import scaling, scores
from papertrail.gopher.accounting import measure_hardware, measure_models


def published(name, value):
    """A fault: something else was published."""
    return lambda monkeypatch: monkeypatch.setattr(paper, name, value)


def table(name, change):
    """A fault: a table's rows are others."""
    rows = getattr(paper, name)()
    return lambda monkeypatch: monkeypatch.setattr(paper, name, lambda: tuple(map(change, rows)))


def wider(shape):
    return replace(shape, d_model=shape.d_model + 64)


def equal_questions(row):
    return replace(row, n_questions=1)


def still(row):
    return replace(row, chinchilla=row.gopher + (1.0 if row.task in scores.MATHEMATICS else 7.0))


def flat(row):
    """Every score of a task is 0.6, well above chance and the same at each size."""
    return replace(row, scores=dict.fromkeys(row.scores, (0.6, 0.02)))


ROWS = [row for row in claims.load() if (row.check or "").startswith("papertrail.gopher.checks_scale:")]
FAULTS = {
    "gopher-80-layers": table("gopher_models", wider),
    "gopher-tasks-at-scales": published("GAINS", {"more": (79, 51.2), "some": (57, 37.5), "none": (15, 10.5)}),
    "gopher-152-tasks": published("TASK_COUNTS", {**paper.TASK_COUNTS, "common sense": 5}),
    "architecture-scaling-and-logic": table("mmlu", still),
    "thirteenth-square": table("gopher_models", wider),
    "flops-count-embeddings": published(
        "FLOP_RATIOS", {74: 1.58, 306: 1.32, 552: 1.23, 1143: 1.15, 1593: 1.12, 6796: 1.03}
    ),
    "mmlu-mean-over-subjects": published("MMLU_MEANS", (60.6, 67.6)),
    "gopher-printed-shares": published("GAINS", {"more": (79, 52.0), "some": (57, 37.5), "none": (16, 10.5)}),
    "gopher-scale-is-parameters": lambda monkeypatch: monkeypatch.setattr(
        checks, "measure_models", lambda shapes: measure_models(shapes[-2:-1] * 2)
    ),
    "gopher-energy-measured": published("ENERGY_MWH", 1_151),
    "comprehension-rises-most": table("open_tasks", flat),
    "subjects-told-apart-when-small": table("open_tasks", flat),
}  # fmt: skip


def test_every_check_has_a_planted_fault():
    assert set(FAULTS) == {row.id for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    assert claims.check_function(row)().verdict == row.verdict
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


def test_a_table_with_some_rows_as_the_text_says_is_imprecise(monkeypatch):
    monkeypatch.setitem(paper.FLOP_RATIOS, 74, 1.58)
    assert checks.table_counts_embeddings().verdict == "imprecise"


def test_a_printed_mean_that_is_neither_of_the_two_is_imprecise(monkeypatch):
    monkeypatch.setattr(paper, "MMLU_MEANS", (61.5, 67.6))
    assert checks.mean_over_subjects().verdict == "imprecise"


def test_without_question_counts_both_means_are_one_and_the_printed_one_is_neither(monkeypatch):
    table("mmlu", equal_questions)(monkeypatch)
    found = checks.mean_over_subjects()
    assert found.numbers["plain"] == found.numbers["weighted"] == "60.61" and found.verdict == "imprecise"


def test_a_single_share_that_is_off_is_named_with_its_right_value():
    numbers = checks.printed_shares().numbers
    assert (numbers["printed"], numbers["computed"], numbers["sum"]) == (51.2, "52.0", "99.2")


def test_comprehension_must_be_ahead_in_every_family(monkeypatch):
    """One family of four in which LAMBADA does not rise makes it imprecise."""
    rows = scaling.measure_scaling()
    slow = replace(rows[0].curves[3].fit, slope=0.01)
    curves = (*rows[0].curves[:3], replace(rows[0].curves[3], fit=slow))
    monkeypatch.setattr(scaling, "measure_scaling", lambda: [replace(rows[0], curves=curves), *rows[1:]])
    found = checks.comprehension_rises_most()
    assert found.verdict == "imprecise" and (found.numbers["more"], found.numbers["of"]) == (7, 8)


def test_an_energy_that_is_no_product_would_leave_the_question_open(monkeypatch):
    other = replace(measure_hardware(), energy_mwh=1_300.0)
    monkeypatch.setattr(checks, "measure_hardware", lambda: other)
    assert checks.energy_was_measured().verdict == "not-checkable-here"
