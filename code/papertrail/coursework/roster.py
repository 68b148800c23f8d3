"""The class: who may hand in, and under which names their files come."""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass

from .course import Course

COLUMNS = ("id", "first_name", "last_name", "email")
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Names that Windows keeps for devices, with any ending.
RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Student:
    """One row of the roster. `lms_id` is the number that the learning platform gives, or "" where none is stated."""

    id: str
    first_name: str
    last_name: str
    email: str
    lms_id: str = ""

    @property
    def names(self) -> frozenset[str]:
        """The full name in both orders, as `plain_name` has it; empty for a student without names."""
        first, last = plain_name(self.first_name), plain_name(self.last_name)
        return frozenset({first + last, last + first} - {""})


def plain_name(name: str) -> str:
    """A name without case, accents, spaces and signs: platforms differ in what they leave of them."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", name).casefold() if letter.isalnum())


def is_safe(name: str) -> bool:
    """May this be the name of a folder, on every system and without leaving the course's folder?"""
    return SAFE.fullmatch(name) is not None and not name.endswith(".") and RESERVED.fullmatch(name) is None


def _student(row: dict, line: int) -> Student:
    """One row, checked."""
    values = {key: (row.get(key) or "").strip() for key in (*COLUMNS, "lms_id")}
    if not is_safe(values["id"]):
        raise ValueError(
            f"roster: line {line}: id {values['id']!r}: an id starts with a letter or digit, has only letters of "
            "English, digits and . _ - , at most 64 of them, does not end with a dot, and is no name that Windows "
            "reserves (CON, NUL, ...)"
        )
    return Student(**values)


def read_roster(course: Course) -> dict[str, Student]:
    """The students of a course by their ids, in the order of its roster.

    Raises:
        FileNotFoundError: there is no roster.
        ValueError: a column is missing, an id is twice there (case does not count) or cannot name a folder, the
            file is not UTF-8, or nobody is in it. The message names the line.
    """
    if not course.roster.is_file():
        raise FileNotFoundError(
            f"roster: {course.roster} does not exist; it is a CSV file with the columns {', '.join(COLUMNS)}"
        )
    try:
        text = course.roster.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"roster: {course.roster.name} is not in UTF-8; save it as 'CSV UTF-8'") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        reader.fieldnames = [(name or "").strip() for name in reader.fieldnames or ()]
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ValueError(f"roster: after line {reader.line_num}: {error}") from None
    if missing := [name for name in COLUMNS if name not in reader.fieldnames]:
        raise ValueError(
            f"roster: missing column {', '.join(missing)}; got {', '.join(reader.fieldnames) or 'none'}, "
            f"needed are {', '.join(COLUMNS)}, separated by commas (lms_id may be added)"
        )
    students: dict[str, Student] = {}
    seen: dict[tuple[str, str], int] = {}
    for line, row in rows:
        if not any(isinstance(value, str) and value.strip() for value in row.values()):
            continue
        student = _student(row, line)
        for kind, value in (("id", student.id.lower()), ("lms_id", student.lms_id)):
            if value and (first := seen.setdefault((kind, value), line)) != line:
                raise ValueError(
                    f"roster: line {line}: {kind} {value!r} is already in line {first}; each may be there once"
                )
        students[student.id] = student
    if not students:
        raise ValueError(f"roster: {course.roster.name} has no students")
    return students
