"""Matching: whose file is whose, and the roster that it is matched with."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_download import small_course

from papertrail.coursework.course import Course
from papertrail.coursework.matching import Register, Unmatched, owner
from papertrail.coursework.roster import Student, is_safe, read_roster


@pytest.fixture
def course(tmp_path) -> Course:
    return small_course(tmp_path / "coursework")


LAYOUTS = {
    "ada/ch02.ipynb": "ada",
    "ada/x/y/ch02.ipynb": "ada",
    "submissions/ada/ch02/ch02.ipynb": "ada",
    "ADA/CH02.ipynb": "ada",
    "ada/ch02 (1).ipynb": "ada",
    "ada/ch02-Copy1.ipynb": "ada",
    "ada/my_ch02_final.ipynb": "ada",
    "ada.ipynb": "ada",
    "ada (2).ipynb": "ada",
    "ada_ch02.ipynb": "ada",
    "ada_ch02-1.ipynb": "ada",
    "Zoe-1.ipynb": "Zoe-1",
    "zoe-1_ch02.ipynb": "Zoe-1",
    "s.2_ch02.ipynb": "s.2",
    "byronada_4711_99_work.ipynb": "ada",
    "byronada_LATE_4711_99_my_work-2.ipynb": "ada",
    "renamed_LATE_4711_99_work.ipynb": "ada",
    "mullerrstedzoe_5_6_x.ipynb": None,
    "müllerørstedzoë_5_6_x.ipynb": "Zoe-1",
    "mullerørstedzoe_5_6_x.ipynb": "Zoe-1",
    "leekim_5_6_x.ipynb": None,
    "byronada_5_6_x.ipynb": None,
    "Ada Byron_12_assignsubmission_file_/work.ipynb": "ada",
    "Ada Byron_12_assignsubmission_file/work.ipynb": "ada",
    "Ada Byron_12_assignsubmission_file_work.ipynb": "ada",
    "ch02/Ada Byron_12_assignsubmission_file_/a/work.ipynb": "ada",
    "Zoe\u0308 Mu\u0308ller Ørsted_12_assignsubmission_file_/w.ipynb": "Zoe-1",
    "Byron Ada_12_assignsubmission_file_/work.ipynb": "ada",
    "Somebody_4712_assignsubmission_file_/work.ipynb": "bob",
    "Ada Byron_4712_assignsubmission_file_/work.ipynb": None,
    "Kim Lee_12_assignsubmission_file_/work.ipynb": None,
    "ada/bob/ch02.ipynb": None,
    "ada/bob_ch02.ipynb": None,
    "nobody/ch02.ipynb": None,
    "ch02.ipynb": None,
    "adam_ch02.ipynb": None,
    "xada.ipynb": None,
}


@pytest.mark.parametrize("path", LAYOUTS)
def test_a_file_is_matched_to_its_student_or_to_nobody(course, path):
    register = Register(read_roster(course).values())
    if LAYOUTS[path]:
        student, problem = owner(path, "ch02", register)
        assert (student.id, problem) == (LAYOUTS[path], "")
    else:
        with pytest.raises(Unmatched, match="unknown|ambiguous"):
            owner(path, "ch02", register)


def test_reasons_say_who_fits_and_what_to_do(course):
    register = Register(read_roster(course).values())
    for path, says in (
        (
            "Kim Lee_12_assignsubmission_file_/w.ipynb",
            r"ambiguous: the name fits s.2, s.3; rename it to <id>_ch02",
        ),
        ("leekim_5_6_x.ipynb", "ambiguous: the name fits s.2, s.3"),
        ("byronada_5_6_x.ipynb", "the name fits ada, but 5 is not that student's lms_id"),
        ("x.ipynb", "unknown student: .* rename it to <id>_ch02.ipynb"),
    ):
        with pytest.raises(Unmatched, match=says):
            owner(path, "ch02", register)
    assert "ch02.ipynb is expected" in owner("ada/scratch.ipynb", "ch02", register)[1]


def test_an_id_that_ends_like_a_copy_is_not_taken_for_one():
    register = Register(Student(name, "", "", "") for name in ("s", "s-1"))
    assert [owner(f"{name}.ipynb", "ch02", register)[0].id for name in ("s", "s-1", "s (1)")] == [
        "s",
        "s-1",
        "s",
    ]


HEAD = "id,first_name,last_name,email\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,first_name,email\na,b,c", "missing column last_name; got id, first_name, email, needed are"),
        ("id;first_name;last_name;email\na;b;c;d", "missing column id, first_name"),
        ("", "missing column .* got none"),
        (HEAD, "has no students"),
        (HEAD + "ada,,,\nADA,,,", "line 3: id 'ada' is already in line 2"),
        (HEAD.replace("email", "email,lms_id") + "a,,,,7\nb,,,,7", "line 3: lms_id '7' is already in line 2"),
        *[(HEAD + f"{name},A,B,c", "line 2: id .*an id starts with") for name in
          ("../x", "a/b", ".", "..", "-a", "a b", "é", "x" * 65, "CON", "nul.txt", "a.", '""', "a\\b", "com1")],
        (HEAD + '"a\n', "after line 1: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_roster_that_cannot_be_taken(course, text, says):
    course.roster.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"roster: .*{says}"):
        read_roster(course)


def test_a_roster_that_is_missing_or_in_another_encoding(course):
    course.roster.write_bytes(HEAD.encode() + "a,Zoë,B,c".encode("latin-1"))
    with pytest.raises(ValueError, match="not in UTF-8; save it as 'CSV UTF-8'"):
        read_roster(course)
    course.roster.unlink()
    with pytest.raises(FileNotFoundError, match="roster: .*columns id, first_name, last_name, email"):
        read_roster(course)


def test_a_roster_from_a_spreadsheet_is_read(course):
    text = '\ufeffid , first_name,last_name,email,group\r\n a1 ,Zoë,"van, der",x@y\r\n\r\n,,,,\r\nb.2,B,C\r\n'
    course.roster.write_text(text, encoding="utf-8", newline="")
    assert read_roster(course) == {
        "a1": Student("a1", "Zoë", "van, der", "x@y"),
        "b.2": Student("b.2", "B", "C", ""),
    }


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9._-]{1,66}", fullmatch=True))
def test_a_safe_name_stays_in_its_folder(name):
    if is_safe(name):
        assert os.path.basename(os.path.normpath(os.path.join("root", name))) == name and name not in (
            ".",
            "..",
        )
