"""A student costs the same in a class of any size: nothing is looked for from end to end, and not all waits at once."""

import sqlite3
from contextlib import closing

import pytest
from small_course import CHAPTER, answered, hand_in, make_course

from papertrail.coursework import gradebook, grading
from papertrail.coursework.collecting import collect
from papertrail.coursework.roster import Student

CLASS = ["ann", "bob", "cem"]


@pytest.fixture
def course(tmp_path):
    """A course whose three students are in the gradebook, and whose work is collected."""
    course = make_course(tmp_path, CLASS, expected=False)
    gradebook.enter_students(
        course, {name: {"first_name": name, "last_name": "T", "email": ""} for name in CLASS}
    )
    for name in CLASS:
        hand_in(tmp_path / "in", name, answered(course))
    collect(course, CHAPTER, tmp_path / "in")
    return course


@pytest.mark.parametrize(("table", "column"), gradebook.LOOKED_UP.items())
def test_the_gradebook_finds_rows_without_reading_a_whole_table(course, table, column):
    with closing(sqlite3.connect(course.gradebook)) as book:
        (plan,) = book.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {column} = 'x'")
    assert f"USING INDEX papertrail_{table}_{column}" in plan[-1]


def test_a_gradebook_of_an_earlier_version_gets_its_indexes_when_students_are_entered(course):
    with closing(sqlite3.connect(course.gradebook)) as book:
        for table, column in gradebook.LOOKED_UP.items():
            book.execute(f"DROP INDEX papertrail_{table}_{column}")
    gradebook.enter_students(course, {"ann": {"first_name": "Ann", "last_name": "T", "email": ""}})
    with closing(sqlite3.connect(course.gradebook)) as book:
        names = {row[0] for row in book.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {f"papertrail_{table}_{column}" for table, column in gradebook.LOOKED_UP.items()} <= names


def test_collecting_reads_each_name_of_the_roster_once_however_many_files_there_are(
    course, tmp_path, monkeypatch
):
    read = []
    names = Student.names
    monkeypatch.setattr(
        Student, "names", property(lambda one: (read.append(one.id), names.fget(one))[1]), raising=True
    )
    for number, name in enumerate(CLASS):
        folder = tmp_path / "moodle" / f"{name.title()} Test_{number}_assignsubmission_file_"
        folder.mkdir(parents=True)
        (folder / "work.ipynb").write_bytes(course.submitted(name, CHAPTER).read_bytes())
    assert [row.status for row in collect(course, CHAPTER, tmp_path / "moodle")] == ["unchanged"] * 3
    assert sorted(read) == CLASS


def test_no_more_jobs_wait_than_are_allowed_and_every_student_has_a_row(course, monkeypatch):
    monkeypatch.setattr(grading, "AT_A_TIME", 2)
    waiting = []

    class Prepared(grading.Grader):
        def __init__(self, course, chapter):
            self.course, self.chapter = course, chapter

        def prepare(self, student, force):
            return grading.Job(student, "", [], [], [], {}, "", None, {})

    def run(jobs):
        waiting.append([job.student for job in jobs])
        return iter([(job, RuntimeError("not run here")) for job in jobs])

    rows = list(Prepared(course, CHAPTER).grade(CLASS, run))
    assert waiting == [["ann", "bob"], ["cem"]]
    assert [(row.student, row.status) for row in rows] == [(name, "failed") for name in CLASS]
