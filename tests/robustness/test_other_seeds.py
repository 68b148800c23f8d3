"""All seeds moved: what moves, what does not, and what is said of a row whose check fails."""

import numpy as np
import pytest
import torch

from papertrail import claims
from papertrail.experiments import load_file, seeded
from papertrail.robustness import recorded
from papertrail.robustness.other_seeds import moved_seeds

WAYS = {
    "a generator": lambda seed: torch.randn(4, generator=torch.Generator().manual_seed(seed)),
    "a generator of a device": lambda seed: torch.randn(
        4, generator=torch.Generator("cpu").manual_seed(seed)
    ),
    "torch's own": lambda seed: (torch.manual_seed(seed), torch.randn(4))[1],
    "numpy's": lambda seed: torch.from_numpy(np.random.default_rng(seed).normal(size=4)),
}


def in_a_block(seed):
    with seeded(seed):
        return torch.randn(4)


WAYS["a seeded block"] = in_a_block


@pytest.mark.parametrize("way", WAYS)
def test_every_source_of_random_numbers_starts_from_the_moved_seed(way):
    with torch.random.fork_rng(devices=[]):
        expected, before = WAYS[way](12), WAYS[way](2)
        with moved_seeds(10):
            moved = WAYS[way](2)
        assert torch.equal(moved, expected) and not torch.equal(moved, before)
        assert torch.equal(WAYS[way](2), before), "and nothing stays moved"


def test_by_nothing_nothing_moves():
    expected = WAYS["a generator"](3)
    with moved_seeds(0):
        assert torch.equal(WAYS["a generator"](3), expected)


def test_a_negative_shift_is_refused():
    with pytest.raises(ValueError, match="shift: got -1; allowed are 0 and more"), moved_seeds(-1):
        pass


@pytest.fixture
def row():
    return next(claim for claim in claims.load() if claim.id == "difference-is-slight")


def test_a_rows_verdict_and_whether_its_numbers_moved(row, monkeypatch):
    stored = claims.load_evidence()[row.id]
    monkeypatch.setattr(claims, "check_function", lambda claim: lambda: claims.Evidence(stored, "wrong"))
    assert recorded.outcome(row, stored) == {"id": row.id, "verdict": "wrong", "same": True}
    other = stored | {"high": stored["high"] + 1}
    monkeypatch.setattr(claims, "check_function", lambda claim: lambda: claims.Evidence(other, "holds"))
    assert recorded.outcome(row, stored) == {"id": row.id, "verdict": "holds", "same": False}


def test_a_check_that_fails_is_no_verdict(row, monkeypatch):
    monkeypatch.setattr(claims, "check_function", lambda claim: lambda: 1 / 0)
    found = recorded.outcome(row, claims.load_evidence()[row.id])
    assert found["verdict"] == recorded.FAILED and "ZeroDivisionError" in found["error"]


def test_the_grid_has_every_chapter_with_shifts_that_meet_no_seed():
    grid = recorded.cells(range(5))
    assert len(grid) == 5 * len(recorded.chapters()) == 30
    assert {cell["shift"] for cell in grid} == {1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000}


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match=r"exit 1: [\s\S]*shift: got -5"):
        recorded.measure("gopher", -5)


def test_one_row_can_be_tried_alone_and_a_row_of_another_chapter_is_refused(row, monkeypatch):
    stored = claims.load_evidence()[row.id]
    monkeypatch.setattr(
        claims, "check_function", lambda claim: lambda: claims.Evidence(stored, claim.verdict)
    )
    found = recorded.verdicts(row.chapter, recorded.STEP, row.id)
    assert found == [{"id": row.id, "verdict": row.verdict, "same": True}]
    with pytest.raises(ValueError, match=f"ids: got {row.id}; allowed are "):
        recorded.verdicts("gopher", recorded.STEP, row.id)


def test_what_is_compared_is_the_verdict():
    rows = [{"id": "a", "verdict": "holds", "same": True}, {"id": "b", "verdict": "wrong", "same": False}]
    assert recorded.compared(rows) == {"a": "holds", "b": "wrong"}


def test_nearly_every_row_with_a_check_was_tried():
    """A row that was added since may be missing; the page says how many are."""
    tried = {row["id"] for cell in load_file("robustness", "other_seeds")["table"] for row in cell["result"]}
    rows = {claim.id for claim in claims.load() if claim.check}
    assert len(rows & tried) >= 0.95 * len(rows)
