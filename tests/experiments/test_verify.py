"""Verification runs a part anew, and notices a number that is off by more than the record's tolerance."""

import json
import random
from dataclasses import replace

import pytest

from papertrail import claims
from papertrail.experiments.__main__ import main
from papertrail.experiments.registry import addresses, load
from papertrail.experiments.verify import DIFFERENT, SAME, SKIPPED, differences, verify


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A recorded toy: the experiment and its file."""
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("TOY_MARKS", str(tmp_path / "marks"))
    monkeypatch.setattr(claims, "book_folder", lambda: tmp_path)
    assert main(["run", "toy_experiments:draw", "--workers", "1"]) == 0
    experiment = load("toy_experiments:draw")
    return experiment, experiment.record


def change(path, **own):
    record = json.loads(path.read_text())
    for key, value in own.items():
        record[key] = value(record[key])
    path.write_text(json.dumps(record))


def off(by: float):
    """All numbers of a table, off by a factor."""

    def changed(table):
        for row in table:
            row["result"]["numbers"] = [x * (1 + by) for x in row["result"]["numbers"]]
        return table

    return changed


def test_what_is_recorded_comes_out_again(toy):
    found = verify(toy[0], draw=random.Random(0), cells=3)
    assert found.verdict == SAME and found.says == "3 of 6 cells, within 0.001 relative, 0 absolute"


@pytest.mark.parametrize(("by", "verdict"), [(0.0005, SAME), (0.002, DIFFERENT)])
def test_the_records_own_tolerance_decides(toy, by, verdict):
    change(toy[1], table=off(by))
    assert verify(toy[0], draw=random.Random(1)).verdict == verdict


def test_a_wider_tolerance_in_the_file_lets_more_through(toy):
    change(toy[1], table=off(0.002), tolerance=lambda _: {"relative": 0.01, "absolute": 0.0})
    assert verify(toy[0], draw=random.Random(1)).verdict == SAME


def test_only_quick_cells_are_run_again(toy):
    seconds = [[99.0, 99.0]] * 4 + [[1.0, 1.0], [None, None]]
    change(toy[1], seconds=lambda _: seconds)
    change(toy[1], cpu_seconds=lambda _: 600.0)
    for seed in range(5):
        assert verify(toy[0], draw=random.Random(seed)).cell == {"size": 3, "seed": 0}
    change(toy[1], seconds=lambda _: [[None, None]] * 6, cpu_seconds=lambda _: 600.0)
    assert verify(toy[0], draw=random.Random(0), seconds=30, cells=9).says.startswith("6 of 6"), (
        "all are alike"
    )
    change(toy[1], seconds=lambda _: [[None, None]] * 5 + [[5.0, 5.0]])
    found = verify(toy[0], draw=random.Random(0), seconds=30, cells=9)
    assert found.says.startswith("1 of 6 cells"), "one of unknown time is taken to need its share, 100 s"
    change(toy[1], seconds=lambda _: seconds)
    found = verify(toy[0], draw=random.Random(0), seconds=0.1, cells=9)
    assert found.says.startswith("1 of 6 cells"), "the quickest, where none is quick"


def test_what_cannot_be_compared_is_skipped_in_words(toy, tmp_path):
    def says(experiment, **given):
        found = verify(experiment, draw=random.Random(0), **given)
        assert found.verdict == SKIPPED
        return found.says

    assert says(load("toy_experiments:shared")) == "never recorded"
    change(toy[1], tolerance=lambda _: None)
    assert says(toy[0]) == "its numbers are times"
    change(
        toy[1], table=lambda _: [], seconds=lambda _: [], tolerance=lambda _: {"relative": 0, "absolute": 0}
    )
    assert says(toy[0]) == "no cell is recorded yet"
    text = tmp_path / "text"
    text.write_text("a")
    assert main(["run", "toy_experiments:reads", "--workers", "1", "--input", f"text={text}"]) == 1, (
        "draw takes no text"
    )
    reads = load("toy_experiments:reads")
    change(toy[1], tolerance=lambda _: {"relative": 0, "absolute": 0},
           settings=lambda _: {"inputs": {"text": {"name": "text", "sha256": "0"}}})  # fmt: skip
    toy[1].rename(reads.record)
    assert says(reads) == "needs --input text"
    assert says(reads, inputs={"text": text}) == "--input text: not the file that was read"


def test_no_cell_at_all_cannot_be_asked_for(toy, capsys):
    assert main(["verify", "toy_experiments:draw", "--cells", "0"]) == 2
    assert "--cells: got 0; allowed are integers from 1 up" in capsys.readouterr().err


def test_the_command_fails_where_a_number_differs(toy, capsys):
    assert main(["verify", "toy_experiments:draw", "--draw", "1"]) == 0
    change(toy[1], table=off(0.1))
    assert main(["verify", "toy_experiments:draw", "--draw", "1"]) == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_only_what_is_to_be_compared_is(toy):
    change(toy[1], table=off(0.5))
    words = replace(toy[0], compared=lambda result: result["what"])
    assert verify(words, draw=random.Random(1)).verdict == SAME
    numbers = replace(toy[0], compared=lambda result: result["numbers"])
    assert verify(numbers, draw=random.Random(1)).verdict == DIFFERENT


@pytest.mark.parametrize(
    ("stored", "fresh", "said"),
    [
        ({"a": 1}, {"b": 1}, [".a: only recorded", ".b: only fresh"]),
        ([1, 2], [1], [": 2 entries recorded, 1 fresh"]),
        ({"a": [1.0, 2.0]}, {"a": [1.05, 2.3]}, [".a[1]: recorded 2.0, fresh 2.3"]),
        ("x", "y", [": recorded 'x', fresh 'y'"]),
        (None, 1.0, [": recorded None, fresh 1.0"]),
        (True, 1, [": recorded True, fresh 1"]),
        (1.0, float("nan"), [": recorded 1.0, fresh nan"]),
        (float("inf"), float("inf"), []),
        (0.0, 0.005, []),
        (0.0, -0.02, [": recorded 0.0, fresh -0.02"]),
    ],
)
def test_what_counts_as_different(stored, fresh, said):
    assert list(differences(stored, fresh, relative=0.1, absolute=0.01)) == said


@pytest.mark.parametrize("name", ["gopher.depth_gradients", "fast_weights.retrieval"])
def test_a_cell_of_a_real_record_comes_out_again(name):
    found = verify(load(addresses()[name]), draw=random.Random(0))
    assert found.verdict == SAME, found
