"""Seeds that leave the caller alone, sizes that are named, and records that are whole or not there."""

import json

import pytest
import torch

import papertrail
from papertrail import claims, experiments
from papertrail.experiments import (
    at_least_one,
    load_file,
    load_record,
    progress,
    results_file,
    rounded,
    save_record,
    seeded,
)


def test_a_seeded_block_repeats_and_puts_the_callers_state_back():
    before = torch.random.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(3):
            draws.append(torch.randn(4))
    assert torch.equal(*draws) and torch.equal(before, torch.random.get_rng_state())
    with seeded(4):
        assert not torch.equal(torch.randn(4), draws[0])


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2", None])
def test_a_size_below_one_is_named(value):
    with pytest.raises(ValueError, match=r"depth: got .*; allowed are integers from 1 up"):
        at_least_one(seeds=2, depth=value)


def test_progress_gives_the_items_and_writes_nothing_outside_a_terminal(capsys):
    assert list(progress(range(3), "things")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def own_book(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "book_folder", lambda: tmp_path)
    return tmp_path


def test_a_record_says_what_made_it_and_is_read_back(own_book):
    path = save_record("some_chapter", "run", "python -m x", {"values": [1, 2]})
    assert path == own_book / "results" / "some_chapter" / "run.json" == results_file("some_chapter", "run")
    assert load_record("some_chapter", "run") == {"values": [1, 2]}
    record = load_file("some_chapter", "run")
    assert record["command"] == "python -m x" and record["code"]["papertrail"] == papertrail.__version__
    assert (
        record["versions"]["torch"] == torch.__version__ and record["peak_mib"] > 10 and record["seeds"] == []
    )
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]


def test_a_record_that_cannot_be_written_leaves_the_old_one(own_book):
    path = save_record("some_chapter", "run", "python -m x", {"values": [1]})
    with pytest.raises(TypeError):
        save_record("some_chapter", "run", "python -m x", {"values": object()})
    assert load_record("some_chapter", "run")["values"] == [1]
    with pytest.raises(ValueError, match="names a folder of somebody's machine"):
        save_record("some_chapter", "run", "python -m x somewhere/text", {"values": [2]})
    assert json.loads(path.read_text())["table"] == {"values": [1]}


def test_a_run_that_was_never_recorded_is_missed(own_book):
    with pytest.raises(FileNotFoundError):
        experiments.load_record("some_chapter", "nothing")


def test_records_are_rounded_so_that_a_person_can_read_them():
    assert rounded({"a": (1.23456, [2, "x"]), "b": 1e-12}) == {"a": [1.235, [2, "x"]], "b": 1e-12}
