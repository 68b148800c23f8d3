"""Whose file is it? Read from names that learning platforms and people give to files.

Layouts that are known, for a student with the id `ada`, the number 4711 on the platform and the name Ada Byron:

    ada/ch02.ipynb, ada/anything/ch02.ipynb              a folder for each student
    ada.ipynb, ada_ch02.ipynb, ada.zip, ada_ch02.zip     a file for each
    byronada_LATE_4711_99_work.ipynb                     Canvas; LATE may be absent
    Ada Byron_123_assignsubmission_file_/work.ipynb      Moodle, with or without a folder for each student

Any of them may lie in further folders.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from .roster import Student, plain_name

CANVAS = re.compile(r"(?P<who>[^_]+)_(?:LATE_)?(?P<number>\d+)_\d+_(?P<rest>.+)", re.IGNORECASE)
MOODLE = re.compile(r"(?P<who>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+(?P<rest>_.*)?", re.IGNORECASE)
# What browsers, Jupyter, Canvas and file managers add to the name of a copy.
COPY = re.compile(r"(?:[ _-]?\(\d+\)|-Copy\d*|[ _-]copy(?: \d+)?|-\d+)$", re.IGNORECASE)


class Unmatched(ValueError):
    """A file has no owner, or more than one could be. The message says why."""


def original_name(stem: str) -> str:
    """A file's name without its ending and without what was added to it as a copy."""
    return COPY.sub("", stem)


def is_named(path: str, chapter: str) -> bool:
    """Does a file have the name of a chapter's notebook, alone or as a part set off by a sign?"""
    name = rf"(?:^|[^A-Za-z0-9]){re.escape(chapter)}(?:$|[^A-Za-z0-9])"
    return re.search(name, PurePosixPath(path).stem, re.IGNORECASE) is not None


class Register:
    """The students of a class by id, by the platform's number and by name: a look-up costs the same in any class."""

    def __init__(self, students: Iterable[Student]) -> None:
        self.ids: dict[str, list[Student]] = {}
        self.numbers: dict[str, list[Student]] = {}
        self.names: dict[str, list[Student]] = {}
        for one in students:
            self.ids.setdefault(one.id.lower(), []).append(one)
            if one.lms_id:
                self.numbers.setdefault(one.lms_id, []).append(one)
            for name in one.names:
                self.names.setdefault(name, []).append(one)


def _by_id(parts: Sequence[str], chapter: str, register: Register) -> list[Student]:
    """Students whose id is a folder, or the file's name alone or before the chapter's."""
    stem, ending = PurePosixPath(parts[-1]).stem, f"_{chapter}".lower()
    # The name as it stands goes first: `s-1` may be an id, and not a copy of `s`.
    for name in (stem.lower(), original_name(stem).lower()):
        found = [*register.ids.get(name, ())]
        if name.endswith(ending):
            found += register.ids.get(name.removesuffix(ending), ())
        if found:
            break
    return [*found, *(one for part in parts[:-1] for one in register.ids.get(part.lower(), ()))]


def _by_platform(part: str, register: Register) -> list[Student]:
    """Students that a name made by Canvas or Moodle points to; none where it was made by neither.

    Canvas's number is a person's: it decides where the roster has it. Moodle's may be a participant's of one course,
    another number than the roster's: there the name decides, and the number for a name that is nobody's.

    Raises:
        Unmatched: the name fits a student who has another number on Canvas.
    """
    moodle = MOODLE.fullmatch(part)
    found = moodle or CANVAS.fullmatch(part)
    if not found:
        return []
    by_number = register.numbers.get(found["number"], [])
    by_name = register.names.get(plain_name(found["who"]), [])
    if moodle:
        return [one for one in by_number if one in by_name] or [*by_number, *by_name]
    without_number = [one for one in by_name if not one.lms_id]
    if by_name and not by_number and not without_number:
        raise Unmatched(
            f"unknown student: the name fits {by_name[0].id}, but {found['number'][:20]} is not that student's lms_id"
        )
    return by_number or without_number


def owner(path: str, chapter: str, register: Register) -> tuple[Student, str]:
    """Whose file has the path `path` (with slashes) in a download, and why it is not taken for work ("" if it is).

    In a student's folder, a notebook has to be named after the chapter: other notebooks may lie there.

    Raises:
        Unmatched: nobody of the roster fits, or several do.
    """
    parts = PurePosixPath(path).parts
    by_platform = [one for part in parts for one in _by_platform(part, register)]
    fits = {one.id: one for one in (*_by_id(parts, chapter, register), *by_platform)}
    rename = f"rename it to <id>_{chapter}.ipynb"
    if not fits:
        raise Unmatched(f"unknown student: no id, number or full name of the roster is in the name; {rename}")
    if len(fits) > 1:
        raise Unmatched(f"ambiguous: the name fits {', '.join(sorted(fits)[:5])}; {rename}")
    (student,) = fits.values()
    stem = PurePosixPath(path).stem
    alone = student.id.lower() in (stem.lower(), original_name(stem).lower())
    if not path.lower().endswith(".ipynb") or by_platform or alone or is_named(path, chapter):
        return student, ""
    return student, f"another notebook: in a student's folder, {chapter}.ipynb is expected"
