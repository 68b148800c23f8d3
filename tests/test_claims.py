"""The ledger as data and as a command: malformed rows are named, and disagreement cannot pass."""

import json
from pathlib import Path

import pytest
import yaml

from papertrail import claims
from papertrail.claims import Claim, Evidence, LedgerError

ROW = {
    "id": "a-row",
    "claim": "Something is so.",
    "article": [7],
    "where": "Preface",
    "sources": [{"key": "someone2020", "at": "section 1", "read": "full-text"}],
    "kind": "history",
    "check": "papertrail.fake_checks:agrees",
    "verdict": "holds",
    "says": "Found {count}.",
}


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """Write rows to a ledger of its own and point the package at it."""
    folder = tmp_path / "claims"
    folder.mkdir()
    monkeypatch.setenv("PAPERTRAIL_BOOK", str(tmp_path))

    def write(*rows, name="chapter"):
        (folder / f"{name}.yml").write_text(yaml.safe_dump(list(rows)), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def checks(monkeypatch):
    """A module of checks whose answers a test can set."""
    import sys
    import types

    module = types.ModuleType("papertrail.fake_checks")
    module.agrees = lambda: Evidence({"count": 3}, "holds")
    monkeypatch.setitem(sys.modules, "papertrail.fake_checks", module)
    return module


def test_a_sound_row_is_read_whole(ledger):
    (row,) = claims.load(ledger(ROW))
    assert (row.id, row.chapter, row.article, row.sources[0].at) == ("a-row", "chapter", (7,), "section 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "A Row"}, r"chapter.yml: A Row: id: only lower-case"),
        ({"claim": " "}, r"a-row: claim: missing"),
        ({"claim": None}, r"a-row: claim: missing"),
        ({"kind": "rumor"}, r"a-row: kind: 'rumor' given, allowed: history, mathematics, experiment"),
        ({"verdict": "true"}, r"a-row: verdict: 'true' given, allowed: holds"),
        ({"article": [61]}, r"a-row: article: \[61\] given, allowed: a list of numbers from 1 to 60"),
        ({"article": [True]}, r"a-row: article"),
        ({"article": "7"}, r"a-row: article"),
        ({"where": None}, r"a-row: where: null exactly where"),
        ({"article": []}, r"a-row: where: null exactly where"),
        ({"sources": []}, r"a-row: sources: missing or empty"),
        ({"sources": [{"key": "k", "at": "", "read": "full-text"}]}, r"a-row: sources: k has no locator"),
        ({"sources": [{"key": "k", "at": "p. 1"}]}, r"a-row: sources: .* needs exactly key, at and read"),
        (
            {"sources": [{"key": "k", "at": "p. 1", "read": "skimmed"}]},
            r"a-row: sources: read: 'skimmed' given",
        ),
        ({"check": None}, r"a-row: check: give either"),
        ({"unchecked": "too hard"}, r"a-row: check: give either"),
        ({"check": "no colon"}, r"a-row: check: 'no colon' is not module:function"),
        ({"check": None, "unchecked": "too hard"}, r"a-row: says: shows numbers \['count'\] but no check"),
        ({"check": 5}, r"a-row: check: 5 is not module:function"),
        ({"check": None, "unchecked": 5, "says": "Lost."}, r"a-row: unchecked: 5 given"),
        ({"says": "Found {"}, r"a-row: says: fields are written \{name\}"),
        ({"says": "Found {}"}, r"a-row: says: fields are written"),
        ({"says": "Found {n!x}"}, r"a-row: says: fields are written"),
        ({"where": ""}, r"a-row: where: expected text or null"),
        ({"sources": [{"key": None, "at": "p. 1", "read": "abstract"}]}, r"a-row: sources: key: None given"),
        ({"color": "red"}, r"a-row: fields: unknown \['color'\]"),
    ],
)
def test_a_malformed_row_is_refused_by_file_row_and_field(ledger, change, message):
    with pytest.raises(LedgerError, match=message):
        claims.load(ledger(ROW | change))


def test_files_that_are_not_lists_of_rows_are_refused(ledger):
    folder = ledger(ROW)
    (folder / "chapter.yml").write_text("a: 1")
    with pytest.raises(LedgerError, match="expected a list of rows, got dict"):
        claims.load(folder)
    (folder / "chapter.yml").write_text("- [unclosed")
    with pytest.raises(LedgerError, match="chapter.yml: not YAML"):
        claims.load(folder)


def test_an_id_may_be_used_once_in_the_whole_ledger(ledger):
    ledger(ROW, name="one")
    with pytest.raises(LedgerError, match="two.yml: a-row: id: already used in one.yml"):
        claims.load(ledger(ROW, name="two"))


def test_evidence_takes_only_known_verdicts():
    with pytest.raises(ValueError, match="verdict: 'yes' given, allowed: holds"):
        Evidence({}, "yes")


def test_a_sentence_names_a_number_that_is_missing(ledger):
    (row,) = claims.load(ledger(ROW))
    assert row.sentence({"count": 3}) == "Found 3."
    with pytest.raises(LedgerError, match="a-row: says: no number is called 'count'"):
        row.sentence({})


def test_the_command_agrees_after_recording_and_shows_each_kind_of_disagreement(ledger, checks, capsys):
    folder = ledger(ROW)
    assert claims.main([]) == 1
    assert "no evidence is recorded" in capsys.readouterr().out
    assert claims.main(["--record"]) == 0
    assert json.loads((folder / "evidence.json").read_text()) == {"a-row": {"count": 3}}
    assert claims.main([]) == 0
    assert "Found 3." not in capsys.readouterr().out, "a table of all rows stays a table"
    assert claims.main(["a-row"]) == 0
    out = capsys.readouterr().out
    assert "agrees" in out and "Found 3." in out, "a row asked for by name is shown with its sentence"

    checks.agrees = lambda: Evidence({"count": 4}, "holds")
    assert claims.main([]) == 1
    assert "stored 'Found 3.', now 'Found 4.'" in capsys.readouterr().out

    checks.agrees = lambda: Evidence({"count": 3}, "wrong")
    assert claims.main([]) == 1
    assert "the ledger says holds, the check wrong" in capsys.readouterr().out
    assert claims.main(["--record"]) == 1, "recording numbers must not hide a wrong verdict"


def test_recording_one_row_keeps_the_others_and_drops_rows_that_are_gone(ledger, checks):
    folder = ledger(ROW, ROW | {"id": "another"})
    (folder / "evidence.json").write_text('{"another": {"count": 9}, "gone": {"count": 1}}')
    claims.main(["--record", "a-row"])
    assert json.loads((folder / "evidence.json").read_text()) == {
        "a-row": {"count": 3},
        "another": {"count": 9},
    }
    assert sorted(path.name for path in folder.iterdir()) == ["chapter.yml", "evidence.json"]


def test_a_row_without_a_check_is_listed_as_not_run(ledger, capsys):
    ledger(ROW | {"check": None, "unchecked": "the letter is lost", "says": "Lost."})
    assert claims.main([]) == 0
    assert "not run" in capsys.readouterr().out


def test_an_unknown_row_is_refused_with_those_it_may_have_meant(ledger, checks, capsys):
    ledger(ROW, ROW | {"id": "figure-is-wrong"}, ROW | {"id": "picture-credit"})
    with pytest.raises(SystemExit):
        claims.main(["figure-is-rong", "zzz"])
    told = capsys.readouterr().err
    assert "no such row: figure-is-rong (did you mean figure-is-wrong?), zzz; " in told
    assert "--list` shows them all" in told and "picture-credit" not in told


def test_the_rows_can_be_listed_without_running_a_check(ledger, checks, capsys):
    ledger(ROW, ROW | {"id": "another-row", "verdict": "wrong"})
    checks.agrees = lambda: pytest.fail("a check was run")
    assert claims.main(["--list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["a-row", "holds", *ROW["claim"].split()],
        ["another-row", "wrong", *ROW["claim"].split()],
    ]


@pytest.mark.parametrize("check", ["papertrail.nowhere:f", "papertrail.claims:nothing"])
def test_a_check_that_does_not_exist_is_named(ledger, check):
    (row,) = claims.load(ledger(ROW | {"check": check}))
    with pytest.raises(LedgerError, match="a-row: check: "):
        claims.check_function(row)


def test_a_check_that_fails_or_returns_no_evidence_is_named_with_its_row(ledger, checks):
    (row,) = claims.load(ledger(ROW))
    checks.agrees = lambda: 1 / 0
    with pytest.raises(LedgerError, match=r"a-row: check: failed with ZeroDivisionError"):
        list(claims.run([row], {}))
    checks.agrees = lambda: True
    with pytest.raises(LedgerError, match=r"a-row: check: returned True, not Evidence"):
        list(claims.run([row], {}))


def test_a_folder_without_a_ledger_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERTRAIL_BOOK", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="set PAPERTRAIL_BOOK"):
        claims.book_folder()


def test_the_ledger_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, papertrail.claims, papertrail.site\n"
        "assert 'torch' not in sys.modules\n"
        "print(len(papertrail.claims.load()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0 and int(result.stdout) > 0, result.stderr


def test_the_command_works_as_people_type_it(ledger):
    import os
    import subprocess
    import sys

    def typed(*arguments, **environment):
        command = [sys.executable, "-m", "papertrail.claims", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)

    real = str(Path(__file__).resolve().parents[1] / "book")
    good = typed("schedule-peaks-at-warmup", PAPERTRAIL_BOOK=real)
    assert good.returncode == 0 and "1 checks run, 0 disagree" in good.stdout, good.stderr
    ledger(ROW | {"kind": "rumor"})
    bad = typed()
    assert bad.returncode == 2 and "a-row: kind" in bad.stderr and "Traceback" not in bad.stderr


def test_rows_are_immutable():
    (row, *_) = claims.load()
    assert isinstance(row, Claim)
    with pytest.raises(AttributeError):
        row.verdict = "holds"
