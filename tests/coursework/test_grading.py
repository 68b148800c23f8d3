"""Grading a class: right rows, nothing lost to an interruption or to one bad submission, the same on a cluster."""

import csv
import io
import json
import os
import shutil
import signal
import threading
import time

import pytest
from small_course import CHAPTER, FORGOT, RIGHT, answered, cell_of, hand_in, make_course, with_cell

from papertrail.coursework import exporting, gradebook, grading, tables
from papertrail.coursework.collecting import collect
from papertrail.coursework.course import Course, write
from papertrail.coursework.sandbox import SandboxError

CLASS = ["ann", "bob", "cem", "dee", "eva"]


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """A course of five with four submissions collected: right, a known mistake, a rule broken, a killed kernel."""
    folder = tmp_path_factory.mktemp("class")
    course = make_course(folder, CLASS)
    forgot = "def mean_square(numbers):\n    return sum(x * x for x in numbers)"
    library = (
        "import statistics\ndef mean_square(numbers):\n    return statistics.fmean(x * x for x in numbers)"
    )
    hand_in(folder / "in", "ann", answered(course))
    hand_in(folder / "in", "bob", answered(course, mean_square=forgot))
    hand_in(folder / "in", "cem", answered(course, mean_square=library))
    hand_in(folder / "in", "dee", with_cell(answered(course), "import os\nos._exit(1)", at=2))
    collect(course, CHAPTER, folder / "in")
    roster = {name: {"first_name": name, "last_name": "Test", "email": ""} for name in CLASS}
    gradebook.enter_students(course, roster)
    return folder


@pytest.fixture(scope="module")
def graded_once(collected, tight, tmp_path_factory):
    """The same course, graded: its folder and the rows."""
    folder = tmp_path_factory.mktemp("graded")
    shutil.copytree(collected, folder, dirs_exist_ok=True)
    return folder, rows(Course(folder / "coursework"), tight)


@pytest.fixture
def course(collected, tmp_path):
    """A copy of the collected course."""
    shutil.copytree(collected, tmp_path, dirs_exist_ok=True)
    return Course(tmp_path / "coursework")


@pytest.fixture
def graded(graded_once, tmp_path):
    """A copy of the graded course."""
    shutil.copytree(graded_once[0], tmp_path, dirs_exist_ok=True)
    return Course(tmp_path / "coursework")


def one_by_one(*students: str):
    """Runs the jobs of the named students only."""

    def run(jobs):
        return grading.local(1)([job for job in jobs if job.student in students])

    return run


def rows(course, tight, run=None, **more) -> dict[str, grading.Row]:
    """Grade what is there; one row for each student."""
    students = grading.students_with_work(course, CHAPTER)
    graded = grading.Grader(course, CHAPTER, tight).grade(students, run or grading.local(2), **more)
    return {row.student: row for row in graded}


def messages(course, student: str, exercise: str) -> list[str]:
    """What a student is told about the failed probes of an exercise."""
    result = grading.read_result(course, CHAPTER, student)
    return [one["message"] for one in result["exercises"][exercise]["verdicts"] if not one["passed"]]


def test_every_row_is_right_and_kept(graded_once, graded, tight):
    first = graded_once[1]
    assert {name: (row.status, row.score) for name, row in first.items()} == {
        "ann": ("graded", 7.0), "bob": ("graded", 4.0), "cem": ("graded", 3.0), "dee": ("graded", 7.0)}  # fmt: skip
    assert messages(graded, "bob", "mean_square") == [FORGOT]
    result = grading.read_result(graded, CHAPTER, "cem")
    assert result["exercises"]["mean_square"]["rule"] == ["statistics.fmean"]
    assert first["dee"].reason == "cell 3 ended its kernel"
    again = rows(graded, tight, run=lambda jobs: iter(()))
    assert {row.status for row in again.values()} == {"unchanged"}
    assert {name: row.score for name, row in again.items()} == {
        name: row.score for name, row in first.items()
    }
    assert again["dee"].reason == first["dee"].reason


def test_the_gradebook_agrees_and_what_a_person_grades_waits(graded):
    scores = gradebook.scores(graded, CHAPTER)
    assert {name: row["score"] for name, row in scores.items()} == {
        "ann": 7,
        "bob": 4,
        "cem": 3,
        "dee": 7,
        "eva": None,
    }
    assert scores["ann"]["by_hand"] and scores["ann"]["max_score"] == 10


def test_an_interruption_loses_nothing(course, tight):
    begun = grading.Grader(course, CHAPTER, tight).grade(["ann", "bob", "cem", "dee"], grading.local(1))
    done = next(begun)
    begun.close()  # what an interrupt from the keyboard does
    assert done.status == "graded"
    waiting = []
    after = rows(course, tight, run=lambda jobs: iter(waiting.extend(jobs) or ()))
    assert {row.student: row.status for row in after.values()} == {done.student: "unchanged"}
    assert {job.student for job in waiting} == {"ann", "bob", "cem", "dee"} - {done.student}


def test_changed_work_is_graded_again_and_force_grades_all(graded, tight, tmp_path):
    time.sleep(1.1)  # a timestamp has whole seconds
    hand_in(tmp_path / "in", "bob", answered(graded))
    collect(graded, CHAPTER, tmp_path / "in")
    after = rows(graded, tight)
    assert after["bob"].status == "graded" and after["bob"].score == 7 and after["ann"].status == "unchanged"
    forced = []
    rows(graded, tight, run=lambda jobs: iter(forced.extend(jobs) or ()), force=True)
    assert len(forced) == 4


def test_a_mark_by_hand_survives_a_new_grading(graded, tight, tmp_path):
    table = tmp_path / "marks.csv"
    table.write_text("student,part,points,comment\nann,why,2.5,Short and right\n")
    assert gradebook.enter_marks(graded, CHAPTER, table) == 1
    rows(graded, tight, run=one_by_one("ann"), force=True)
    row = gradebook.scores(graded, CHAPTER)["ann"]
    assert row["score"] == 9.5 and not row["by_hand"], "the answer is the same: nobody has to look again"
    time.sleep(1.1)
    hand_in(tmp_path / "in", "ann", answered(graded, why="Because of something else."))
    collect(graded, CHAPTER, tmp_path / "in")
    rows(graded, tight, run=one_by_one("ann"))
    row = gradebook.scores(graded, CHAPTER)["ann"]
    assert row["score"] == 9.5 and row["by_hand"], (
        "the answer changed: the mark stands, and is looked at again"
    )


def test_one_that_breaks_down_is_listed_and_the_others_are_graded(course, tight, monkeypatch):
    def broken(job):
        if job.student == "bob":
            raise SandboxError("the job did not end by itself and was stopped")
        return {
            "student": job.student,
            "digest": job.digest,
            "score": 0.0,
            "exercises": {},
            "notes": [],
            "cell_notes": {},
        }

    monkeypatch.setattr(grading, "grade_one", broken)
    monkeypatch.setattr(gradebook, "record", lambda *_: None)
    after = rows(course, tight)
    assert after["bob"].status == "failed" and "stopped" in after["bob"].reason
    assert grading.read_result(course, CHAPTER, "bob") is None, "so that it is graded next time"
    assert [after[name].status for name in ("ann", "cem", "dee")] == ["graded"] * 3


def test_a_gradebook_that_does_not_take_it_loses_only_that_one(course, tight, monkeypatch):
    real = gradebook.record

    def broken(course, chapter, student):
        if student == "ann":
            raise RuntimeError("database is locked")
        real(course, chapter, student)

    monkeypatch.setattr(gradebook, "record", broken)
    after = rows(course, tight, run=one_by_one("ann", "bob"))
    assert after["ann"].status == "failed" and "database is locked" in after["ann"].reason
    assert grading.read_result(course, CHAPTER, "ann") is None, "so that it is graded again"
    assert after["bob"].status == "graded"


def test_what_lies_there_unasked_is_looked_at_too(course, tight, tmp_path):
    path = course.submitted("eva", CHAPTER)
    write(path, b"not a notebook")
    secret = tmp_path / "elsewhere.ipynb"
    secret.write_bytes(course.submitted("ann", CHAPTER).read_bytes())
    course.submitted("bob", CHAPTER).unlink()
    course.submitted("bob", CHAPTER).symlink_to(secret)
    after = rows(course, tight, run=lambda jobs: iter(()))
    assert after["eva"].status == "refused" and after["bob"].status == "refused"
    assert after["bob"].reason == "the submission is a link to another file"


def test_old_expected_values_are_not_used(course, tight):
    source = course.source(CHAPTER)
    source.write_text(source.read_text().replace("Is every number squared?", "Are they squared?"))
    with pytest.raises(ValueError, match="run 'expected sums' again"):
        grading.Grader(course, CHAPTER, tight)
    course.expected(CHAPTER).unlink()
    with pytest.raises(FileNotFoundError, match="run the command 'expected sums' first"):
        grading.Grader(course, CHAPTER, tight)
    course.release(CHAPTER).unlink()
    with pytest.raises(FileNotFoundError, match="run the command 'release sums' first"):
        grading.Grader(course, CHAPTER, tight)


def test_a_class_has_a_secret_of_its_own_and_values_of_another_are_of_no_use(course, tight, tmp_path):
    other = make_course(tmp_path / "other", ["ann"])
    assert course.secret.read_text() != other.secret.read_text()
    assert course.secret.stat().st_mode & 0o077 == 0 and course.expected(CHAPTER).stat().st_mode & 0o077 == 0
    values = [json.loads(one.expected(CHAPTER).read_text())["exercises"]["running_sum"]["probes"][0]["value"]
              for one in (course, other)]  # fmt: skip
    assert values[0] != values[1]
    known = f"def running_sum(numbers):\n    return {values[1]} if numbers else []"
    hand_in(tmp_path / "in", "eva", answered(course, running_sum=known))
    collect(course, CHAPTER, tmp_path / "in")
    assert rows(course, tight, run=one_by_one("eva"))["eva"].score == 5, (
        "of 7: the empty list and the other exercise"
    )


def test_the_table_has_everyone_with_a_reason(graded, tight, tmp_path):
    course = graded
    write(tmp_path / "more" / "eva.ipynb", b"<html>")
    collect(course, CHAPTER, tmp_path / "more")
    found = rows(course, tight)
    write(course.report(CHAPTER, "graded"), tables.table_text(grading.rows_of(list(found.values()))))
    table = {row["student"]: row for row in csv.DictReader(io.StringIO(exporting.as_csv(course, CHAPTER)))}
    assert list(table) == CLASS
    assert table["ann"]["status"] == "graded" and table["ann"]["score"] == "7"
    assert table["ann"]["to_be_graded_by_hand"] == "yes"
    assert table["eva"]["status"] == "refused" and table["eva"]["score"] == "" and table["eva"]["reason"]
    canvas = list(csv.reader(io.StringIO(exporting.as_canvas(course, CHAPTER, {"ann": "4711"}))))
    assert (
        canvas[0][-1] == CHAPTER
        and canvas[1][-1] == "10"
        and ["Test, ann", "4711", "ann", "ann", "", "7"] in canvas
    )
    assert [row[-1] for row in canvas if row[0] == "Test, eva"] == [""]


@pytest.fixture
def cluster():
    """Two workers of one thread each, in processes of their own."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


def test_a_cluster_gives_the_same_even_when_a_worker_dies(graded_once, course, tight, cluster):
    victim = next(iter(cluster.workers.values())).process.pid

    def kill_soon():
        time.sleep(1.5)  # both workers are at their first submissions then
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill_soon)
    killer.start()
    on_cluster = rows(course, tight, run=grading.on_cluster(cluster.scheduler_address))
    killer.join()
    assert victim not in [worker.process.pid for worker in cluster.workers.values() if worker.process]
    folder, here = graded_once
    assert on_cluster == here
    for name in on_cluster:
        local = grading.read_result(Course(folder / "coursework"), CHAPTER, name)
        assert grading.read_result(course, CHAPTER, name)["exercises"] == local["exercises"]


def test_no_cluster_at_that_address_is_said(course, tight):
    with pytest.raises(OSError, match="127.0.0.1:9"):
        rows(course, tight, run=grading.on_cluster("tcp://127.0.0.1:9", timeout=1))


def test_names_in_the_gradebook_do_not_run_in_a_spreadsheet(course, tight):
    gradebook.enter_students(course, {"ann": {"first_name": "=cmd()", "last_name": "+1+1", "email": "@x"}})
    table = next(csv.DictReader(io.StringIO(exporting.as_csv(course, CHAPTER))))
    assert (table["first_name"], table["last_name"], table["email"]) == ("'=cmd()", "'+1+1", "'@x")


def test_marks_are_checked_before_any_is_entered(graded, tmp_path):
    table = tmp_path / "marks.csv"
    for text, why in (
        ("student,points\nann,1\n", "no column part"),
        (
            "student,part,points\nann,why,1\neva,why,1\n",
            "line 3: no part 'why' of a graded submission of 'eva'",
        ),
        ("student,part,points\nann,why,1\nbob,why,4\n", "line 3: points must be from 0 to 3, got '4'"),
        ("student,part,points\nann,why,nan\n", "points must be from 0 to 3, got 'nan'"),
    ):
        table.write_text(text)
        with pytest.raises(ValueError, match=why):
            gradebook.enter_marks(graded, CHAPTER, table)
    assert gradebook.scores(graded, CHAPTER)["ann"]["score"] == 7, "nothing of a bad table is entered"


def test_only_the_answers_cell_is_under_the_rule(course, tight, tmp_path):
    compare = "import statistics\nassert statistics.fmean([1, 3]) == 2"
    notebook = with_cell(answered(course), compare, at=3)
    assert cell_of(notebook, "mean_square")["source"] == RIGHT["mean_square"]
    hand_in(tmp_path / "in", "eva", notebook)
    collect(course, CHAPTER, tmp_path / "in")
    assert rows(course, tight, run=one_by_one("eva"))["eva"].score == 7


def test_a_cell_that_an_error_stopped_is_named_with_the_error(course, tight, tmp_path):
    time.sleep(1.1)  # a timestamp has whole seconds
    hand_in(tmp_path / "in", "ann", answered(course, running_sum="from my_helpers import running_sum"))
    typo = with_cell(answered(course, mean_square="def mean_square(:\n    pass"), "1 / 0")
    hand_in(tmp_path / "in", "bob", typo)
    collect(course, CHAPTER, tmp_path / "in")
    after = rows(course, tight)
    assert after["ann"].score == 4
    assert after["ann"].reason == "cell 5 (running_sum) stopped with ModuleNotFoundError"
    (note,) = grading.read_result(course, CHAPTER, "ann")["cell_notes"].values()
    assert "ModuleNotFoundError: No module named 'my_helpers'. What stands below" in note
    assert (
        after["bob"].reason == "cell 4 (mean_square) stopped with SyntaxError"
    )  # and not the student's own 1 / 0
    notes = grading.read_result(course, CHAPTER, "bob")["cell_notes"]
    assert "ZeroDivisionError: division by zero" in notes["1"] and "Nothing of it has run" in notes["3"]
