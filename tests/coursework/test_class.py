"""A class of thirty goes from a platform's archive to a table of grades, one command a step; every row is right."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from class_of_thirty import CHAPTER, hand_out, make_class

ROOT = Path(__file__).resolve().parents[2]


def command(folder: Path, *arguments: str) -> str:
    """Run one command in the folder as a person would; returns what it printed."""
    done = subprocess.run([sys.executable, "-m", "papertrail.coursework", *arguments], cwd=folder, capture_output=True,
                          text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "code")})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    """The class, graded: its folder, the submissions, the rows of the table."""
    folder = tmp_path_factory.mktemp("thirty")
    course = folder / "coursework"
    shutil.copytree(ROOT / "coursework" / "source", course / "source")
    command(folder, "release", CHAPTER)
    submissions = make_class(course / "release" / CHAPTER / f"{CHAPTER}.ipynb")
    archive = hand_out(submissions, folder)
    shutil.copy(folder / "roster.csv", course / "roster.csv")
    for arguments in (["expected", CHAPTER], ["collect", CHAPTER, str(archive)], ["grade", CHAPTER, "--jobs", "2"],
                      ["feedback", CHAPTER], ["export", CHAPTER]):  # fmt: skip
        command(folder, *arguments)
    with (course / "grades" / f"{CHAPTER}.csv").open(newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    return folder, submissions, rows


def test_they_are_thirty_of_five_kinds(thirty):
    _, submissions, rows = thirty
    assert len(submissions) == len(rows) == 30
    assert {one.kind for one in submissions} == {"right", "partly right", "wrong", "hostile", "broken"}


def test_every_row_is_right(thirty):
    _, submissions, rows = thirty
    wrong = []
    for one in submissions:
        row = rows[one.student]
        due = "" if one.score is None else f"{one.score:g}"
        if (row["status"], row["score"]) != (one.status, due) or one.reason.lower() not in row[
            "reason"
        ].lower():
            wrong.append((one, dict(row)))
    assert not wrong


def test_who_made_a_known_mistake_is_told_which(thirty):
    folder, submissions, _ = thirty
    told = 0
    for one in submissions:
        if one.kind == "partly right" and ": " in one.about:
            page = (
                folder / "coursework" / "feedback" / one.student / CHAPTER / f"{CHAPTER}.html"
            ).read_text()
            assert one.about.split(": ", 1)[1][:40] in page, one
            told += 1
    assert told == 6


def test_pages_hold_nothing_of_others_and_nothing_active(thirty):
    folder, submissions, _ = thirty
    pages = {
        path.parent.parent.name: path.read_text()
        for path in (folder / "coursework" / "feedback").glob("*/*/*.html")
    }
    assert set(pages) == {one.student for one in submissions if one.status == "graded"}
    for student, page in pages.items():
        assert re.findall(r"\bs\d\d\b|Number\d\d", page.replace(student, "")) == []
        assert not re.search(
            r"<script|<iframe|<object|<embed|<form|\bon\w+\s*=\s*[\"']|javascript:", page, re.IGNORECASE
        )
        assert "default-src 'none'" in page and "HIDDEN" not in page and "PAPERTRAIL_SEED" not in page


def test_what_waits_for_a_person_is_marked(thirty):
    _, submissions, rows = thirty
    waiting = {name for name, row in rows.items() if row["to_be_graded_by_hand"] == "yes"}
    assert "s01" in waiting
    untouched = next(one.student for one in submissions if one.about == "handed in untouched")
    assert untouched not in waiting, "an empty answer needs no person"
