"""Collecting: what replaces what, and that nothing else is left on the disk."""

import csv
import datetime
import os
import struct

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbgrader.utils import parse_utc
from small_assignment import answered, cell_of, content, release
from small_download import (
    LATER,
    NOON,
    ROSTER,
    WORK,
    files_below,
    handed_in,
    member,
    packed,
    small_course,
    stamp,
    take_from,
    work,
)

from papertrail.coursework.collecting import collect
from papertrail.coursework.course import Course
from papertrail.coursework.roster import read_roster
from papertrail.coursework.tables import guarded


@pytest.fixture
def course(tmp_path) -> Course:
    return small_course(tmp_path / "coursework")


@pytest.fixture
def take(course, tmp_path):
    """Collect from a zip of members, or from the bytes of one; gives the rows."""
    return lambda *members, source=None: take_from(course, tmp_path, members, source)


# Sound downloads.


def test_a_zip_a_folder_and_a_file_give_the_same(course, tmp_path):
    folder = tmp_path / "download"
    (folder / "ada").mkdir(parents=True)
    file = folder / "ada" / "ch02.ipynb"
    file.write_bytes(WORK)
    moment = datetime.datetime(*NOON, tzinfo=datetime.UTC).timestamp()
    os.utime(file, (moment, moment))
    (tmp_path / "download.ZIP").write_bytes(packed(("ada/ch02.ipynb", WORK)))
    (tmp_path / "ada.ipynb").write_bytes(WORK)
    os.utime(tmp_path / "ada.ipynb", (moment, moment))
    for source in (folder, tmp_path / "download.ZIP", tmp_path / "ada.ipynb"):
        (row,) = collect(course, "ch02", source)
        assert (row.student, row.status, row.reason) == ("ada", "collected", "")
        assert handed_in(course) == {"ada": WORK} and stamp(course, "ada") == "2026-11-26 12:00:00 UTC\n"
        assert parse_utc(stamp(course, "ada").strip()) == datetime.datetime(*NOON)  # as nbgrader reads it
        course.submitted("ada", "ch02").unlink()


def test_a_time_in_utc_is_preferred_and_an_impossible_one_is_the_earliest(course, take):
    extra = b"\x01\x00\x01\x00!" + struct.pack("<HHBi", 0x5455, 5, 1, 1_795_661_700)
    take((member("ada.ipynb", extra=extra), WORK), (member("bob.ipynb", (1980, 0, 0, 0, 0, 0)), WORK))
    assert (stamp(course, "ada"), stamp(course, "bob")) == (
        "2026-11-26 02:55:00 UTC\n",
        "1980-01-01 00:00:00 UTC\n",
    )


def test_a_canvas_archive_with_archives_of_students(course, take):
    rows = take(
        ("byronada_4711_1_ch02.ipynb", WORK),
        (
            member("noycebob_LATE_4712_2_all.zip", LATER),
            packed(("x/__MACOSX/._a", b""), ("x/any name.ipynb", WORK)),
        ),
    )
    assert [(row.file, row.student, row.status) for row in rows] == [
        ("byronada_4711_1_ch02.ipynb", "ada", "collected"),
        ("noycebob_LATE_4712_2_all.zip/x/any name.ipynb", "bob", "collected"),
    ]
    assert stamp(course, "bob") == "2026-11-27 12:00:00 UTC\n"  # the archive's, which a student cannot set


def test_the_inside_of_a_students_archive_cannot_hand_in_for_another(course, take):
    (row,) = take(("ada.zip", packed(("bob/ch02.ipynb", WORK))))
    assert (row.student, handed_in(course)) == ("ada", {"ada": WORK})


def test_names_in_utf_8_that_do_not_say_so_are_read(course, take):
    name = "Zoë Müller Ørsted_3_assignsubmission_file_/w.ipynb"
    flagless = packed((name, WORK)).replace(b"\x00\x08", b"\x00\x00")
    (row,) = take(source=flagless)
    assert (row.student, row.status, row.file) == ("Zoe-1", "collected", name)


def test_what_systems_leave_behind_is_passed_over(course, take, tmp_path):
    names = ["__MACOSX/ada/._ch02.ipynb", "ada/.DS_Store", "ada/.ipynb_checkpoints/ch02.ipynb", "ada/._ch02.ipynb",
             "Thumbs.db", "ada/"]  # fmt: skip
    assert take(*[(name, b"") for name in names]) == []
    assert files_below(course.root) == {"roster.csv", "release/ch02/ch02.ipynb", "reports/ch02-collected.csv"}


# Several files, and later ones.


def test_the_newest_acceptable_file_wins_and_the_last_row_is_the_one_that_matters(course, take):
    rows = take(
        (member("ada/ch02.ipynb"), work("old")),
        (member("ada/b/ch02.ipynb", LATER), work("new")),
        (member("ada/c/ch02.ipynb", (2026, 11, 28, 0, 0, 0)), b"broken"),
        (member("ada/ch02.py", (2026, 11, 29, 0, 0, 0)), b"x"),
        (member("ada/scratch.ipynb", (2026, 11, 29, 0, 0, 0)), work("scratch")),
    )
    assert [(row.file, row.status) for row in rows] == [
        ("ada/ch02.py", "refused"),
        ("ada/scratch.ipynb", "refused"),
        ("ada/ch02.ipynb", "superseded"),
        ("ada/b/ch02.ipynb", "collected"),
        ("ada/c/ch02.ipynb", "refused"),
    ]
    assert handed_in(course) == {"ada": work("new")}
    assert (
        "not a notebook" in rows[0].reason and "is expected" in rows[1].reason and "newer" in rows[2].reason
    )


def test_of_one_time_the_second_attempt_wins(course, take):
    take(("byronada_4711_9_w.ipynb", work("1")), ("byronada_4711_9_w-1.ipynb", work("2")))
    assert handed_in(course) == {"ada": work("2")}


def test_a_file_that_is_named_for_the_chapter_goes_before_others(course, take):
    inside = packed((member("ch01.ipynb", LATER), work("1")), (member("ch02.ipynb"), work("2")))
    rows = take(("ada.zip", inside))
    assert [(row.file, row.status) for row in rows] == [
        ("ada.zip/ch01.ipynb", "superseded"),
        ("ada.zip/ch02.ipynb", "collected"),
    ]
    assert handed_in(course) == {"ada": work("2")}
    rows = take(("bob.zip", packed(("ch01.ipynb", WORK), ("ch02.ipynb", b"broken"))))
    assert [row.status for row in rows] == ["superseded", "refused"]
    assert list(handed_in(course)) == ["ada"]  # another chapter's work is not taken for this one's


def test_later_collections_replace_only_by_newer_acceptable_work(course, take):
    def status(data, time):
        (row,) = take((member("ada.ipynb", time), data))
        return row.status, handed_in(course)["ada"], stamp(course, "ada")[:10]

    first, second = work("first"), work("second")
    assert status(first, NOON) == ("collected", first, "2026-11-26")
    assert status(first, NOON) == ("unchanged", first, "2026-11-26")
    assert status(second, (2026, 11, 25, 0, 0, 0)) == ("superseded", first, "2026-11-26")
    assert status(second, NOON) == ("superseded", first, "2026-11-26")
    assert status(b"broken", LATER) == ("refused", first, "2026-11-26")
    assert status(first, LATER) == ("unchanged", first, "2026-11-26")  # the first time stays
    assert status(second, LATER) == ("collected", second, "2026-11-27")


def test_a_collection_that_was_stopped_half_way_is_completed(course, take):
    take(("ada.ipynb", WORK))
    course.submitted("ada", "ch02").with_name("timestamp.txt").unlink()
    assert take(("ada.ipynb", WORK))[0].status == "collected"
    assert stamp(course, "ada").startswith("2026-11-26")


def test_stopping_between_the_files_leaves_no_wrong_time(course, take, monkeypatch):
    from papertrail.coursework import collecting

    take(("ada.ipynb", work("old")))
    whole = collecting.write

    def stopped(path, data, **more):
        if path.name == "timestamp.txt":
            raise KeyboardInterrupt
        whole(path, data, **more)

    monkeypatch.setattr(collecting, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        take((member("ada.ipynb", LATER), work("new")))
    assert files_below(course.root / "submitted") == {"ada/ch02/ch02.ipynb"}


def test_notes_of_the_precheck_stand_in_the_row(course, take):
    notebook = answered()
    cell_of(notebook, "norm-probes")["source"] = "assert True"
    (row,) = take(("ada.ipynb", content(notebook)))
    assert row.status == "collected" and "Edits in 'norm-probes' are dropped" in row.reason


# What an instructor gives.


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("nothing", FileNotFoundError, "does not exist; give a folder, a .zip or an .ipynb"),
        ("a.tar", ValueError, "neither a folder nor a .zip or .ipynb"),
    ],
)
def test_a_source_that_cannot_be_taken(course, tmp_path, name, error, says):
    (tmp_path / "a.tar").touch()
    with pytest.raises(error, match=says):
        collect(course, "ch02", tmp_path / name)


def test_a_chapter_that_cannot_be_taken(course, tmp_path):
    for chapter in ("../x", "", "a/b", "-x", "con"):
        with pytest.raises(ValueError, match="chapter: .* cannot name a folder"):
            collect(course, chapter, tmp_path)
    with pytest.raises(FileNotFoundError, match="make the release of ch09 first"):
        collect(course, "ch09", tmp_path)


def test_the_table_holds_every_row_and_no_formula(course, take):
    rows = take(("=cmd|x.ipynb", WORK), ("ada.ipynb", WORK), ('-1, "x".txt', b""))
    with course.report("ch02", "collected").open(newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    assert table[0] == ["file", "student", "status", "reason"] and len(table) == len(rows) + 1 == 4
    assert [line[0] for line in table[1:]] == ['\'-1, "x".txt', "'=cmd|x.ipynb", "ada.ipynb"]
    for start in "=+-@\t\r\n":
        assert guarded(start + "x") == f"'{start}x"
    assert guarded("a=1") == "a=1"
    assert guarded(-1.5) == "-1.5" and guarded(None) == "" and guarded("-1+cmd()") == "'-1+cmd()"


def test_what_was_said_of_others_stays_in_the_table(course, take):
    take(("ada.ipynb", WORK), ("bob.ipynb", b"<html>"))
    take(("ada.ipynb", WORK))
    with course.report("ch02", "collected").open(newline="", encoding="utf-8") as file:
        table = {row["student"]: row["status"] for row in csv.DictReader(file)}
    assert table == {"ada": "unchanged", "bob": "refused"}
    lines = course.roster.read_text().splitlines(keepends=True)
    course.roster.write_text("".join(line for line in lines if not line.startswith("bob")))
    take(("ada.ipynb", WORK))
    assert "bob" not in course.report("ch02", "collected").read_text(), "who left the roster leaves the table"


# Whatever the names are, nothing is written outside of the course, and only under ids of the roster.

PARTS = st.sampled_from(
    ["ada", "bob", "..", ".", "", "C:", "\\", "ch02", "\0", "/etc", "x" * 300, "é\u202e", "\ud7ff"]
)
NAMES = st.lists(PARTS | st.text(max_size=5), min_size=1, max_size=4).map("/".join).map(
    lambda name: "".join(letter for letter in name if not 0xD800 <= ord(letter) < 0xE000) + ".ipynb"
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_nothing_is_written_outside_of_the_course_whatever_the_names(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("fuzz")
    course = Course(folder / "deep" / "coursework")
    course.release("ch02").parent.mkdir(parents=True)
    nbformat.write(release(), course.release("ch02"))
    course.roster.write_text(ROSTER, encoding="utf-8")
    (folder / "download.zip").write_bytes(packed(*[(name, WORK) for name in names]))
    before = files_below(folder)
    rows = collect(course, "ch02", folder / "download.zip")
    ids = {row.student for row in rows if row.status == "collected"}
    written = {f"submitted/{one}/ch02/{name}" for one in ids for name in ("ch02.ipynb", "timestamp.txt")}
    new = {f"deep/coursework/{name}" for name in written | {"reports/ch02-collected.csv"}}
    assert files_below(folder) - before == new and ids <= set(read_roster(course))
    assert all(row.file.isprintable() for row in rows)
