"""The benchmarks of what a class costs: the copies in a large class are true copies, and everything runs."""

import gzip
import importlib
import json
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from small_course import CHAPTER, answered, hand_in, make_course

from papertrail.coursework import gradebook, grading
from papertrail.coursework.collecting import collect
from papertrail.coursework.course import write


@pytest.fixture
def benchmark(root, monkeypatch):
    """Gives a module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    monkeypatch.syspath_prepend(str(root / "tools"))
    for name in ("grading", "class_sizes", "learner", "site_weight"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module


@pytest.fixture
def course(tmp_path):
    """A course with one student's marks in the gradebook: 5 of 7 points."""
    course = make_course(tmp_path, ["ann"])
    gradebook.enter_students(course, {"ann": {"first_name": "Ann", "last_name": "T", "email": ""}})
    hand_in(tmp_path / "in", "ann", answered(course))
    collect(course, CHAPTER, tmp_path / "in")
    grading.Grader(course, CHAPTER).prepare("ann", True)
    points = {"mean_square": 4.0, "running_sum": 1.0}
    exercises = {name: {"rule": [], "verdicts": [{"name": "all", "passed": True, "points": earned, "worth": earned,
                                                  "message": ""}]} for name, earned in points.items()}  # fmt: skip
    write(course.result("ann", CHAPTER), json.dumps({"exercises": exercises, "cell_notes": {}, "notes": []}))
    gradebook.record(course, CHAPTER, "ann")
    return course


def test_copies_have_the_marks_of_the_one_they_are_copied_from(benchmark, course):
    names = benchmark("class_sizes").names(3)
    benchmark("class_sizes").copy_rows(course, CHAPTER, "ann", names)
    scores = gradebook.scores(course, CHAPTER)
    assert {name: row["score"] for name, row in scores.items()} == dict.fromkeys(["ann", *names], 5.0)
    assert all(row["by_hand"] for row in scores.values())
    with closing(sqlite3.connect(course.gradebook)) as book:
        rows = {
            table: book.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in gradebook.LOOKED_UP
        }
    assert rows["submitted_assignment"] == rows["submitted_notebook"] == 4
    assert rows["grade"] == 4 * 3


def test_the_gradebook_without_indexes_is_the_one_that_nbgrader_makes(benchmark, course):
    benchmark("class_sizes").drop_indexes(course)
    with closing(sqlite3.connect(course.gradebook)) as book:
        ours = book.execute("SELECT name FROM sqlite_master WHERE name LIKE 'papertrail_%'").fetchall()
    assert ours == []


@pytest.fixture
def tiny_site(tmp_path):
    """Two pages that share a style sheet."""
    (tmp_path / "book" / "exercises").mkdir(parents=True)
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.css").write_text("a {}" * 5_000)
    page = '<link rel="stylesheet" href="/_static/a.css"><link rel="icon" href="data:,"><p>{}</p>'
    for name in ("book/index", "book/one"):
        (tmp_path / f"{name}.html").write_text(page.format(name))
    return tmp_path


def test_a_file_counts_once_for_a_reader_and_again_where_nothing_is_kept(benchmark, tiny_site, monkeypatch):
    module = benchmark("site_weight")
    monkeypatch.setattr(module, "pages", lambda: ["book/index", "book/one"])
    with ThreadPoolExecutor(1) as pool:  # the site's tests may hold a browser open in this thread
        found = pool.submit(module.measure, tiny_site).result()
    first, second = found["pages"]
    sheet = len(gzip.compress(("a {}" * 5_000).encode(), 6))
    assert [row["files"] for row in found["pages"]] == [2, 1]
    assert first["bytes"] == first["alone_bytes"] and second["alone_bytes"] == second["bytes"] + sheet
    assert found["files"] == 3 and found["compressed_bytes"] < found["disk_bytes"]


def test_memory_is_that_of_the_processes_named(benchmark):
    import os

    found = benchmark("learner").memory([os.getpid()])
    twice = benchmark("learner").memory([os.getpid()] * 2)
    assert found["peak"] >= found["resident"] >= found["share"] >= found["private"] > 20
    assert twice["peak"] == pytest.approx(2 * found["peak"], rel=0.05)


@pytest.mark.long
def test_grading_runs_in_its_short_form_and_leaves_no_record(benchmark, monkeypatch, capsys):
    module = benchmark("grading")
    monkeypatch.setattr(module, "save_record", lambda *given, **more: pytest.fail("recorded"))
    monkeypatch.setattr(sys, "argv", ["grading.py", "--quick"])
    assert module.main() == 0
    said = capsys.readouterr().out
    assert "plain_nbgrader: " in said and "students 150, indexed 0" in said


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--quick", "--record"], "too little to be recorded"),
        (["--submissions", "0"], "got 0; allowed are numbers from 1 up"),
    ],
)
def test_grading_refuses_what_cannot_be(benchmark, monkeypatch, capsys, given, says):
    module = benchmark("grading")
    monkeypatch.setattr(module, "save_record", lambda *given, **more: pytest.fail("recorded"))
    monkeypatch.setattr(module, "measure_chapters", lambda *given: pytest.fail("measured"))
    monkeypatch.setattr(sys, "argv", ["grading.py", *given])
    with pytest.raises(SystemExit):
        module.main()
    assert says in capsys.readouterr().err
