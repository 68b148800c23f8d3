"""The page on speed: it shows every record, every claim has one script, and every record's command can be typed."""

import json
import re
from importlib.util import find_spec

import pytest

from papertrail import speed_claims
from papertrail.speed_claims import (
    CLAIMS,
    SCRIPTS,
    Row,
    SpeedClaim,
    attention,
    memory,
    read_record,
    record_file,
    rows_of,
)
from papertrail.speed_tables import page_text, record_sentence, say, say_quartiles, say_target, table_text

# files of benchmarks/ that measure no claim of a page: what a class costs has a page of its own
OTHERS = {"class_sizes.py", "grading.py", "learner.py", "peers.py", "short.py", "site_weight.py"}
COSTS = {
    "heads": 1, "dim": 64,
    "costs": [
        {"way": way, "length": length, "both": [t, 2 * t, 3 * t], "extra_mib": mib}
        for way, length, t, mib in (("a", 64, 1.0, 2.0), ("a", 128, 2.0, None), ("b", 64, 4.0, 3.0))
    ],
}  # fmt: skip


def row(first=(1.0, 2.0, 4.0), second=(6.0, 8.0, 12.0), target=None):
    return Row(
        SpeedClaim("rmsnorm", "ours", "theirs", lambda record: None, "ms", target), "here", first, second
    )


@pytest.fixture
def page(book):
    return (book / "benchmarks.md").read_text(encoding="utf-8")


@pytest.fixture
def records(book):
    """Every record of a benchmark: its command names a file of benchmarks/. What grading costs has its own page."""
    found = {
        path: json.loads(path.read_text(encoding="utf-8")) for path in (book / "results").rglob("*.json")
    }
    commands = {
        path: one["command"] for path, one in found.items() if " benchmarks/" in one.get("command", "")
    }
    return {path: found[path] for path, one in commands.items() if path.parent.name != "coursework"}


def shown(text):
    """The scripts whose tables a page shows."""
    return re.findall(r"^```\{benchmark-table\} (\w+)$", text, flags=re.MULTILINE)


def test_the_page_shows_every_script_once(page):
    assert sorted(shown(page)) == sorted(SCRIPTS)


def test_every_record_of_a_benchmark_is_shown_with_its_own_command(records, page):
    assert records
    by_file = {record_file(name): name for name in SCRIPTS}
    for path, record in records.items():
        name = by_file[path]
        assert name in shown(page) and SCRIPTS[name].command == record["command"]


def test_every_command_names_something_that_is_there(root):
    for script in SCRIPTS.values():
        if script.file:
            assert (root / "benchmarks" / script.file).exists()
        else:
            _, flag, module, *_ = script.command.split()
            assert flag == "-m" and find_spec(module)
        assert (root / "book" / script.page).exists()


def test_every_file_of_benchmarks_measures_a_claim_or_is_named_here(root):
    files = {path.name for path in (root / "benchmarks").glob("*.py")}
    assert files == {script.file for script in SCRIPTS.values() if script.file} | OTHERS
    assert {claim.script for claim in CLAIMS} == set(SCRIPTS)


def test_what_a_script_records_is_what_the_page_reads(script):
    for name, one in SCRIPTS.items():
        if one.file:
            assert one.command == script(name).COMMAND


def test_no_claim_stands_twice():
    pairs = [(claim.first, claim.second, claim.unit) for claim in CLAIMS]
    at_two_sizes = {pair for pair in pairs if pairs.count(pair) > 1}
    assert at_two_sizes == {
        ("ours, elu + 1", "torch's fused softmax", "ms"), ("nn.LayerNorm", "our RMSNorm", "ms"),
    }  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_record_has_every_row_of_its_script(name):
    if not record_file(name).exists():
        assert page_text(name).startswith("Not recorded yet. `python ")
        return
    record = read_record(name)
    rows = rows_of(name, record)
    assert [one.claim for one in rows] == [claim for claim in CLAIMS if claim.script == name]
    text = page_text(name)
    assert text.count("\n| ") == len(rows) and f"Made by `{SCRIPTS[name].command}`" in text
    assert re.search(r"Recorded on \d+ \w+ \d{4}: \w+ \w+", text)


def test_the_ratio_is_of_the_medians_and_its_range_the_widest():
    assert row().ratio == (1.5, 4.0, 12.0)


@pytest.mark.parametrize(
    ("target", "reached", "words"),
    [
        (None, None, "none set"),
        (("at least", 4), True, "at least 4: **reached**"),
        (("at least", 4.1), False, "at least 4.1: **missed**"),
        (("at most", 4), True, "at most 4: **reached**"),
        (("at most", 3.95), False, "at most 3.95: **missed**"),
    ],
)
def test_a_target_is_reached_or_missed_by_the_medians(target, reached, words):
    one = row(target=target)
    assert one.reached is reached and say_target(one) == words


def test_a_row_says_both_numbers_their_ratio_and_where():
    assert table_text([row()]).splitlines()[2] == (
        "| ours: 2.0 (1.0 to 4.0)\u00a0ms | theirs: 8.0 (6.0 to 12.0)\u00a0ms | here | 4.0 (1.5 to 12.0) | none set |"
    )


def test_numbers_have_as_many_digits_as_mean_something():
    assert [say(x) for x in (0.347, 1.0, 10.09, 41.6, 1234.5)] == ["0.35", "1.0", "10.1", "42", "1,234"]
    assert say_quartiles((2.0, 2.0, 2.0)) == "2.0"


def test_two_ways_are_compared_where_both_were_measured():
    assert attention("a", "b", 64)(COSTS) == ("64 positions", (1e3, 2e3, 3e3), (4e3, 8e3, 12e3))
    assert attention("a", "b", 128)(COSTS)[0] == "64 positions"
    assert attention("a", "c", 64)(COSTS) is None


def test_memory_is_compared_with_another_way_or_with_the_tensors_that_must_be_there():
    assert memory("a", "b", 64)(COSTS)[1:] == ((2.0,) * 3, (3.0,) * 3)
    assert memory(None, "b", 64)(COSTS)[1] == (4 * 64 * 64 * 4 / 2**20,) * 3
    assert memory("a", "a", 128)(COSTS) is None, "it was not weighed there"


def test_the_sentence_says_how_many_rounds_were_set_aside():
    record = {
        "date": "2026-01-02", "machine": "Linux x86_64, one thread", "versions": {"torch": "2"}, "gemm": [90, 95, 99],
        "rounds_judged": {"rounds": 10, "set_aside": 3, "kept_though_slow": 2},
    }  # fmt: skip
    text = record_sentence("rmsnorm", record)
    assert "Recorded on 2 January 2026: Linux x86_64, one thread; torch 2." in text
    assert (
        "95 GFLOP/s (90 to 99). Rounds set aside because they were disturbed: 3 of 10; "
        "disturbed and kept all the same: 2."
    ) in text
    del record["rounds_judged"]
    assert "made before disturbed rounds were set aside" in record_sentence("rmsnorm", record)
    del record["gemm"]
    assert "No yardstick was run." in record_sentence("rmsnorm", record)


def test_a_claim_without_a_record_says_how_to_make_one(monkeypatch, tmp_path):
    monkeypatch.setattr(speed_claims, "book_folder", lambda: tmp_path)
    assert page_text("rmsnorm").startswith(
        "Not recorded yet. `python benchmarks/rmsnorm.py --record` makes the record"
    )


def test_an_unknown_script_is_named():
    with pytest.raises(ValueError, match="name: got 'nothing'; allowed are linear_attention, "):
        record_file("nothing")
