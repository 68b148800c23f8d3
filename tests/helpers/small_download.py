"""A small class with a roster, and the downloads that a learning platform gives of its work."""

import io
import zipfile
from pathlib import Path

import nbformat
from small_assignment import answered, cell_of, content, release

from papertrail.coursework.collecting import Row, collect
from papertrail.coursework.course import Course

ROSTER = """id,first_name,last_name,email,lms_id
ada,Ada,Byron,ada@x.org,4711
bob,Bob,Noyce,bob@x.org,4712
Zoe-1,Zoë,Müller Ørsted,zoe@x.org,
s.2,Kim,Lee,kim2@x.org,
s.3,Kim,Lee,kim3@x.org,
"""
WORK = content(answered())
NOON = (2026, 11, 26, 12, 0, 0)
LATER = (2026, 11, 27, 12, 0, 0)


def work(text: str) -> bytes:
    """A notebook that is accepted, told apart by a comment."""
    notebook = answered()
    cell_of(notebook, "norm")["source"] = f"# {text}\ndef norm(x):\n    return x"
    return content(notebook)


def small_course(root: Path) -> Course:
    """A course with a roster and one release, chapter ch02."""
    course = Course(root)
    course.release("ch02").parent.mkdir(parents=True)
    nbformat.write(release(), course.release("ch02"))
    course.roster.write_text(ROSTER, encoding="utf-8")
    return course


def member(name: str, time=NOON, **change) -> zipfile.ZipInfo:
    """A member's head, with its fields changed."""
    info = zipfile.ZipInfo(name, time)
    info.filename = info.orig_filename = name  # ZipInfo itself would cut and change odd names
    for key, value in change.items():
        setattr(info, key, value)
    return info


def packed(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    """The bytes of a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for info, data in members:
            archive.writestr(member(info) if isinstance(info, str) else info, data)
    return buffer.getvalue()


def take_from(course: Course, folder: Path, members: tuple, source: bytes | None = None) -> list[Row]:
    """Collect from a zip of members, or from bytes that may be one."""
    path = folder / "download.zip"
    path.write_bytes(packed(*members) if source is None else source)
    return collect(course, "ch02", path)


def handed_in(course: Course) -> dict[str, bytes]:
    """All notebooks that lie in the course's submissions, by student."""
    return {path.parent.parent.name: path.read_bytes() for path in course.root.glob("submitted/*/*/*.ipynb")}


def stamp(course: Course, student: str) -> str:
    return course.submitted(student, "ch02").with_name("timestamp.txt").read_text()


def files_below(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
