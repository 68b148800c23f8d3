"""Downloads: hostile and broken members, links and pipes, limits; each has its row and the rest is collected."""

import io
import os
import stat
import struct
import subprocess
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_download import WORK, files_below, handed_in, member, packed, small_course, take_from, work

from papertrail.coursework import archives
from papertrail.coursework.archives import BadArchive, Budget, find
from papertrail.coursework.collecting import collect
from papertrail.coursework.course import Course


@pytest.fixture
def course(tmp_path) -> Course:
    return small_course(tmp_path / "coursework")


@pytest.fixture
def take(course, tmp_path):
    """Collect from a zip of members, or from the bytes of one; gives the rows."""
    return lambda *members, source=None: take_from(course, tmp_path, members, source)


LONG = "x" * 256
MEMBERS = {
    "absolute": (member("/ada.ipynb"), WORK, "absolute path"),
    "upwards": (member("../ada/ch02.ipynb"), WORK, "'..'"),
    "upwards inside": (member("ada/../../ch02.ipynb"), WORK, "'..'"),
    "dot": (member("./ada.ipynb"), WORK, "'.'"),
    "empty part": (member("ada//ch02.ipynb"), WORK, "empty part"),
    "backslash": (member("ada\\ch02.ipynb"), WORK, "backslash"),
    "drive": (member("C:ada.ipynb"), WORK, "drive letter"),
    "control": (member("ada\n.ipynb"), WORK, "control character"),
    "nul": (member("ada.ipynb\0.txt"), WORK, "control character"),
    "long": (member(f"ada/{LONG}/ch02.ipynb"), WORK, "255 bytes"),
    "link": (member("ada.ipynb", external_attr=(stat.S_IFLNK | 0o777) << 16), b"/etc/passwd", "symbolic link"),
    "pipe": (member("ada.ipynb", external_attr=(stat.S_IFIFO | 0o777) << 16), WORK, "special file"),
    "device": (member("ada.ipynb", external_attr=(stat.S_IFCHR | 0o777) << 16), WORK, "special file"),
    "large": (member("ada.ipynb", compress_type=zipfile.ZIP_DEFLATED), b" " * 6_000_000, "larger than 5 MB"),
    "large archive": (member("ada.zip", compress_type=zipfile.ZIP_DEFLATED), b" " * 21_000_000, "larger than 20 MB"),
    "bzip2": (member("ada.ipynb", compress_type=zipfile.ZIP_BZIP2), WORK, "compressed in a way"),
    "no notebook": (member("ada/photo.png"), b"x", "not a notebook"),
    "no zip inside": (member("ada.zip"), b"PK\x03\x04", "not a zip"),
    "zip in a zip in a zip": (member("ada.zip"), packed(("b.zip", packed(("x", WORK)))), "in a student's archive"),
    "upwards in a zip in a zip": (member("ada.zip"), packed(("../../../ch02.ipynb", WORK)), "'..'"),
    "many in a zip in a zip": (member("ada.zip"), packed(*[(f"{i}.txt", b"") for i in range(201)]), "201 members"),
    "unknown": (member("eve.ipynb"), WORK, "unknown student"),
    "ambiguous": (member("ada/bob.ipynb"), WORK, "ambiguous"),
    "refused": (member("ada.ipynb"), b"<html>", "web page"),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMBERS)
def test_a_bad_member_is_refused_leaves_nothing_and_stops_nothing(course, take, tmp_path, name):
    info, data, says = MEMBERS[name]
    before = files_below(tmp_path)
    rows = take((info, data), ("Zoe-1.ipynb", WORK))
    (bad,) = [row for row in rows if row.student != "Zoe-1"]
    assert bad.status == "refused" and says in bad.reason, bad
    assert bad.file.isprintable()
    left = {"coursework/submitted/Zoe-1/ch02/" + name for name in ("ch02.ipynb", "timestamp.txt")}
    assert files_below(tmp_path) - before == left | {"download.zip", "coursework/reports/ch02-collected.csv"}


def test_members_of_one_name_are_all_refused(course, take):
    with pytest.warns(UserWarning, match="Duplicate name"):
        source = packed(("ada.ipynb", work("1")), ("ada.ipynb", work("2")))
    assert [(row.status, "several members" in row.reason) for row in take(source=source)] == [
        ("refused", True)
    ] * 2
    assert handed_in(course) == {}


def test_an_encrypted_member_a_wrong_sum_and_a_lying_size_are_refused(course, take):
    whole = packed(("ada.ipynb", WORK), ("bob.ipynb", WORK))
    encrypted = bytearray(whole)
    central = encrypted.index(b"PK\x01\x02")
    encrypted[central + 8] |= 1
    damaged = whole.replace(b"LayerNorm", b"LayerWorm", 1)
    lying = bytearray(
        packed(
            (member("ada.ipynb", compress_type=zipfile.ZIP_DEFLATED), b" " * 6_000_000), ("bob.ipynb", WORK)
        )
    )
    central = lying.index(b"PK\x01\x02")
    lying[central + 24 : central + 28] = struct.pack("<I", 100)
    for source, says in ((encrypted, "without a password"), (damaged, "damaged"), (lying, "damaged")):
        rows = {row.student: row for row in take(source=bytes(source))}
        assert rows["ada"].status == "refused" and says in rows["ada"].reason
        assert rows["bob"].status in ("collected", "unchanged") and "ada" not in handed_in(course)


@pytest.mark.parametrize("source", [b"", b"PK", b"<html>", WORK, packed(("ada.ipynb", WORK))[:-30]])
def test_a_download_that_is_no_zip_gives_one_clear_error(course, take, source):
    with pytest.raises(ValueError, match="source: download.zip: not a zip, or a part of it is missing"):
        take(source=source)
    assert "submitted" not in os.listdir(course.root)


def test_there_are_limits_over_all_files(course, take, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(BadArchive, match="3 members; at most 2"):
        take(*[(f"{i}.ipynb", b"") for i in range(3)])
    for name in "abc":
        (tmp_path / "many").mkdir(exist_ok=True)
        (tmp_path / "many" / name).touch()
    with pytest.raises(BadArchive, match="more than 2 files"):
        collect(course, "ch02", tmp_path / "many")
    monkeypatch.setattr(archives, "MAX_TOTAL", len(WORK) + 10)
    rows = take(("ada.ipynb", WORK), ("bob.ipynb", WORK))
    assert [(row.student, row.status) for row in rows] == [("ada", "collected"), ("bob", "refused")]
    assert "collect it in parts" in rows[1].reason


def test_a_students_archive_has_its_own_limit_and_counts_for_all(course, take, monkeypatch):
    inside = packed(("a/ch02.ipynb", WORK), ("b/ch02.ipynb", WORK))
    monkeypatch.setattr(archives, "MAX_INNER_BYTES", len(inside) + 1)
    monkeypatch.setattr(archives, "MAX_TOTAL", 5 * len(WORK))
    rows = take(("ada.zip", inside), ("bob.zip", inside))
    assert [row.status for row in rows if row.student == "ada"] == ["superseded", "collected"]
    (other,) = [row for row in rows if row.student == "bob"]
    assert other.file == "bob.zip" and "the download holds more than" in other.reason


def test_what_is_read_from_a_students_archive_is_limited(course, take, monkeypatch):
    small = {"compress_type": zipfile.ZIP_DEFLATED}
    inside = packed(*[(member(f"{name}/ch02.ipynb", **small), WORK) for name in "abc"])
    monkeypatch.setattr(archives, "MAX_INNER_BYTES", 2 * len(WORK))
    rows = {row.file: row for row in take(("ada.zip", inside), ("bob.ipynb", WORK))}
    assert "the archive holds more than" in rows["ada.zip/c/ch02.ipynb"].reason
    assert rows["ada.zip/b/ch02.ipynb"].status == rows["bob.ipynb"].status == "collected"


def test_a_budget_reads_no_more_than_a_byte_beyond_its_limit():
    stream = io.BytesIO(b"x" * 100)
    with pytest.raises(ValueError, match="larger than"):
        Budget(1000, "all").read(stream, 10)
    assert stream.tell() == 11


def test_links_pipes_and_what_may_not_be_read_in_a_folder(course, tmp_path):
    secret, folder = tmp_path / "secret", tmp_path / "download"
    (secret / "ada").mkdir(parents=True)
    (secret / "ada" / "ch02.ipynb").write_bytes(WORK)
    (folder / "bob").mkdir(parents=True)
    (folder / "bob" / "ch02.ipynb").symlink_to(secret / "ada" / "ch02.ipynb")
    (folder / "ada").symlink_to(secret / "ada", target_is_directory=True)
    os.mkfifo(folder / "s.2.ipynb")
    os.link(secret / "ada" / "ch02.ipynb", folder / "Zoe-1.ipynb")
    (folder / os.fsdecode(b"s.3_\xff.ipynb")).write_bytes(WORK)
    rows = {row.file: (row.status, row.reason) for row in collect(course, "ch02", folder)}
    assert rows["bob/ch02.ipynb"] == rows["ada"] == ("refused", "a symbolic link, not a file")
    assert rows["s.2.ipynb"][0] == "refused" and "special file" in rows["s.2.ipynb"][1]
    assert rows["s.3_\\udcff.ipynb"] == ("refused", "a control character or a broken character in its name")
    assert list(handed_in(course)) == ["Zoe-1"] and len(rows) == 5
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ValueError, match="is a link"):
        collect(course, "ch02", tmp_path / "link")


def test_a_file_that_becomes_a_link_after_it_was_looked_at_is_not_followed(course, tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(WORK)
    (tmp_path / "ada.ipynb").write_bytes(WORK)
    whole = archives.name_problem

    def exchange(name):
        (tmp_path / "ada.ipynb").unlink()
        (tmp_path / "ada.ipynb").symlink_to(tmp_path / "secret")
        return whole(name)

    plain = os.lstat(tmp_path / "ada.ipynb")
    monkeypatch.setattr(archives, "name_problem", exchange)
    monkeypatch.setattr(archives.os, "lstat", lambda path: plain)
    (found,) = find(tmp_path / "ada.ipynb")
    monkeypatch.undo()
    assert "cannot be read" in found.problem and found.content == b""


def test_a_very_deep_folder_is_walked(course, tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            here, last = os.open("d", os.O_RDONLY, dir_fd=here), here
            os.close(last)
    finally:
        os.close(here)
    (folder / "ada.ipynb").write_bytes(WORK)
    try:
        assert [row.status for row in collect(course, "ch02", folder)] == ["collected"]
    finally:
        subprocess.run(["rm", "-r", folder], check=True)  # too deep for pytest's own cleaning


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_archive_gives_rows_or_one_clear_error(tmp_path_factory, data):
    whole = bytearray(
        packed(
            (member("ada.ipynb", compress_type=zipfile.ZIP_DEFLATED), b"{}"), ("bob.zip", packed(("a", b"")))
        )
    )
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.zip"
    path.write_bytes(whole)
    try:
        assert all(isinstance(found.problem, str) for found in find(path))
    except BadArchive as error:
        assert str(error).startswith("source: x.zip: ")
