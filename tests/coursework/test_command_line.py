"""What a person types and reads: results, mistakes in one plain line, and exit statuses."""

import re
from pathlib import Path

import pytest
from small_course import CHAPTER, answered, hand_in, make_course

from papertrail.coursework import grading, sandbox
from papertrail.coursework.__main__ import main, parser

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A course of three with two submissions, one of them right, and no result yet."""
    folder = tmp_path_factory.mktemp("typed")
    course = make_course(folder, ["ann", "bob", "cem"])
    hand_in(folder / "in", "ann", answered(course))
    hand_in(folder / "in", "bob", b"<html></html>")
    return folder


def typed(folder, *words: str) -> int:
    """Type one command."""
    return main(["--course", str(folder / "coursework"), *words])


def test_from_a_folder_to_grades(base, capsys):
    assert typed(base, "collect", CHAPTER, str(base / "in")) == 0
    said = capsys.readouterr().out
    assert re.search(r"ann/sums.ipynb +ann +collected", said) and "1 collected, 1 refused" in said
    assert typed(base, "grade", CHAPTER, "--jobs", "1") == 0
    said = capsys.readouterr()
    assert re.search(r"ann +graded +7", said.out) and said.out.endswith("1 graded\n")
    assert typed(base, "grade", CHAPTER) == 0
    assert re.search(r"ann +unchanged +7", capsys.readouterr().out)
    assert typed(base, "feedback", CHAPTER) == 0
    assert "1 pages in" in capsys.readouterr().out
    for kind, name in (("csv", f"{CHAPTER}.csv"), ("canvas", f"{CHAPTER}-canvas.csv")):
        assert typed(base, "export", CHAPTER, "--format", kind) == 0
        path = Path(capsys.readouterr().out.splitlines()[0])
        assert path.name == name and path.stat().st_mode & 0o077 == 0, "marks are for the instructor's eyes"
    page = base / "coursework" / "feedback" / "ann" / CHAPTER / f"{CHAPTER}.html"
    assert "7 of 10 points so far" in page.read_text() and "not graded yet" in page.read_text()
    marks = base / "marks.csv"
    marks.write_text("student,part,points,comment\nann,why,3,Yes <b>indeed</b>\n")
    assert typed(base, "marks", CHAPTER, str(marks)) == 0 and typed(base, "feedback", CHAPTER) == 0
    page = page.read_text()
    assert (
        "10 of 10 points<" in page
        and "not graded yet" not in page
        and "Yes &lt;b&gt;indeed&lt;/b&gt;" in page
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["collect", CHAPTER, "no/such/folder"], "no/such/folder"),
        (["release", "no_such_chapter"], "no_such_chapter.ipynb does not exist"),
        (["grade", "no_such_chapter"], "run the command 'release no_such_chapter' first"),
        (["grade", CHAPTER, "--student", "cem"], "--student: nothing was collected from 'cem'"),
        (["export", "no_such_chapter"], "run 'release no_such_chapter' first"),
        (["feedback", "no_such_chapter"], "run the command 'release no_such_chapter' first"),
        (["marks", CHAPTER, "no.csv"], "no.csv"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(base, words, why, capsys):
    assert typed(base, *words) == 2
    said = capsys.readouterr().err.strip()
    assert why in said and "\n" not in said and "Traceback" not in said


@pytest.mark.parametrize("chapter", ["../up", "A", "a/b", "", "-x", "a b"])
def test_a_chapters_name_is_a_name(chapter, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["export", chapter])
    assert stopped.value.code == 2
    capsys.readouterr()


def test_numbers_of_jobs_are_numbers(capsys):
    for jobs in ("0", "-1", "two"):
        with pytest.raises(SystemExit):
            main(["grade", CHAPTER, "--jobs", jobs])
        assert "--jobs" in capsys.readouterr().err


def test_a_release_that_leaves_work_behind_is_said(base, capsys):
    source = base / "coursework" / "source" / CHAPTER / f"{CHAPTER}.ipynb"
    before = source.read_text()
    try:
        source.write_text(before.replace("# Sums", "# Sums and more"))
        assert typed(base, "release", CHAPTER) == 0 and capsys.readouterr().err == ""
        source.write_text(before.replace('"points": 3', '"points": 2'))
        assert typed(base, "release", CHAPTER) == 0
        assert "notebooks made from that one will be refused" in capsys.readouterr().err
    finally:
        source.write_text(before)
        typed(base, "release", CHAPTER)


def test_no_course_is_said(tmp_path, capsys):
    assert main(["--course", str(tmp_path / "nothing"), "doctor"]) == 2
    assert "no folder" in capsys.readouterr().err


def test_a_failed_submission_gives_status_1_and_a_row(base, tmp_path, monkeypatch, capsys):
    def broken(job):
        raise sandbox.SandboxError("it broke")

    monkeypatch.setattr(grading, "grade_one", broken)
    assert typed(base, "collect", CHAPTER, str(base / "in")) == 0
    assert typed(base, "grade", CHAPTER, "--force") == 1
    assert re.search(r"ann +failed +it broke", capsys.readouterr().out)
    report = (base / "coursework" / "reports" / f"{CHAPTER}-graded.csv").read_text()
    assert "ann,failed,,it broke" in report


def test_without_a_sandbox_nothing_is_graded(base, monkeypatch, capsys):
    monkeypatch.setitem(sandbox.TOOLS, "no-such-program", "nothing")
    assert typed(base, "grade", CHAPTER, "--force") == 2
    said = capsys.readouterr()
    assert said.err == "grade: the sandbox needs no-such-program (package nothing)\n" and said.out == ""


def test_a_roster_that_lost_a_student_is_said(base, capsys):
    roster = base / "coursework" / "roster.csv"
    before = roster.read_text()
    roster.write_text(
        "".join(line for line in before.splitlines(keepends=True) if not line.startswith("ann"))
    )
    try:
        assert typed(base, "grade", CHAPTER) == 0
        assert "not in the roster, and not graded: ann" in capsys.readouterr().err
    finally:
        roster.write_text(before)


def test_trial_lists_what_is_weak(base, capsys):
    assert typed(base, "trial", CHAPTER) == 0
    said = capsys.readouterr().out
    assert "mean_square: 4 points, 1 known mistakes, 8 of 8 mutants noticed" in said
    source = base / "coursework" / "source" / CHAPTER / f"{CHAPTER}.ipynb"
    before = source.read_text()
    source.write_text(before.replace("### TRIVIAL 1", "### TRIVIAL 0"))
    try:
        assert typed(base, "trial", CHAPTER) == 1
        assert "BAD  the input earns 1, more than 0" in capsys.readouterr().out
    finally:
        source.write_text(before)


def test_help_names_every_command():
    text = parser().format_help()
    for name in ("doctor", "release", "expected", "collect", "grade", "marks", "feedback", "export", "trial"):
        assert re.search(rf"^ +{name} +\w", text, re.MULTILINE), name
    assert "python -m papertrail.coursework" in (ROOT / "book" / "instructors.md").read_text()
