"""A file is written whole or not at all, and the course's rooms do not overlap."""

import os
import stat
from pathlib import Path

import pytest

from papertrail.coursework.course import Course, write


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("content", "held"), [("é\n", "é\n".encode()), (b"\0\xff", b"\0\xff"), ("", b"")])
def test_a_file_is_written_with_its_folders(tmp_path, content, held):
    path = tmp_path / "a" / "b" / "file"
    write(path, content)
    assert path.read_bytes() == held
    assert os.listdir(path.parent) == ["file"]


def test_the_mode_is_the_one_asked_for_whatever_was_there_and_whatever_the_mask(tmp_path):
    path, before = tmp_path / "file", os.umask(0o077)
    try:
        write(path, "a")
        assert mode(path) == 0o644
        write(path, "b", mode=0o600)
        assert mode(path) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("step", ["chmod", "replace", "fdopen"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, error):
    def fail(*_, **__):
        raise error

    path = tmp_path / "file"
    write(path, "old", mode=0o600)
    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setattr(os, step, fail)
        write(path, "new")
    assert path.read_text() == "old" and mode(path) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_text_that_no_file_can_hold_leaves_the_old_file(tmp_path):
    write(tmp_path / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path / "file", "half a pair: \ud800")
    assert (tmp_path / "file").read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_an_interruption_after_the_renaming_is_reported_as_what_it_is(tmp_path, monkeypatch):
    renamed = os.replace

    def interrupted(*names):
        renamed(*names)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "other").write_text("other's")
    (tmp_path / "file").symlink_to(tmp_path / "other")
    write(tmp_path / "file", "new")
    assert (tmp_path / "other").read_text() == "other's"
    assert not (tmp_path / "file").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_a_folder_in_the_way_is_an_error_without_leftovers(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):
        write(tmp_path / "file", "new")
    assert os.listdir(tmp_path) == ["file"]


def test_every_file_of_the_course_has_a_place_of_its_own():
    course = Course(Path("root"))
    students = [(student, chapter) for student in ("ann", "bob") for chapter in ("one", "two")]
    places = [
        getattr(course, room)(*names) for room in ("submitted", "result", "feedback") for names in students
    ]
    places += [
        getattr(course, room)(chapter)
        for room in ("source", "release", "expected")
        for chapter in ("one", "two")
    ]
    places += [
        course.report("one", "graded"),
        course.report("one", "collected"),
        course.report("two", "graded"),
    ]
    places += [course.roster, course.gradebook, course.secret]
    assert len(set(places)) == len(places)
    assert all(place.is_relative_to(course.root) for place in places)
