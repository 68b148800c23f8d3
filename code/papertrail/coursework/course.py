"""Where an instructor's files lie: one folder, the course, with a room for each step."""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

EXERCISES = Path("book") / "exercises"  # the student notebooks that the site shows


@dataclass(frozen=True)
class Course:
    """The folder `coursework/` (or another), with what is written by hand and what is generated.

    By hand: source/<chapter>/<chapter>.ipynb and roster.csv. The commands make everything else, and git ignores it.
    """

    root: Path

    def source(self, chapter: str) -> Path:
        """The notebook that an author writes: solutions, probes, known mistakes."""
        return self.root / "source" / chapter / f"{chapter}.ipynb"

    def release(self, chapter: str) -> Path:
        """The notebook that students get."""
        return self.root / "release" / chapter / f"{chapter}.ipynb"

    def expected(self, chapter: str) -> Path:
        """What the reference solution's probes send, and each known mistake's."""
        return self.root / "expected" / f"{chapter}.json"

    def submitted(self, student: str, chapter: str) -> Path:
        """The notebook that a student handed in."""
        return self.root / "submitted" / student / chapter / f"{chapter}.ipynb"

    def result(self, student: str, chapter: str) -> Path:
        """What grading one submission gave."""
        return self.root / "results" / chapter / f"{student}.json"

    def report(self, chapter: str, step: str) -> Path:
        """The table of one step over the class: who was refused or failed, and why."""
        return self.root / "reports" / f"{chapter}-{step}.csv"

    def feedback(self, student: str, chapter: str) -> Path:
        """The page that a student gets back."""
        return self.root / "feedback" / student / chapter / f"{chapter}.html"

    @property
    def roster(self) -> Path:
        """Who is in the class: a table with the columns id, first_name, last_name, email."""
        return self.root / "roster.csv"

    @property
    def gradebook(self) -> Path:
        """nbgrader's database."""
        return self.root / "gradebook.db"

    @property
    def secret(self) -> Path:
        """The class's own seed, from which the seeds of all probes are made."""
        return self.root / "secret"


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all: to a temporary file beside it, then renamed over it. Makes its folder.

    A link at `path` is replaced, not followed. The file has `mode`, whatever the one before had.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # stopped right after it was renamed
            os.unlink(name)
        raise
