"""Invented submissions that break, cheat, spy or destroy, and what the grader has to make of each: the frame.

Every one is bounded: few processes, little memory, short sleeps, this machine only, targets that the test itself sets
up. What they write are marker files, so that a hole in the sandbox does no harm that lasts.
"""

import itertools
import json
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hostile_course import CANARY
from small_course import answered, with_cell

from papertrail.coursework.course import Course
from papertrail.coursework.probes import draw_int

WRONG = {
    "mean_square": "def mean_square(numbers):\n    return -1.5",
    "running_sum": "def running_sum(numbers):\n    return [-1.5]",
}
TELL = "def mean_square(numbers):\n    raise RuntimeError(f'saw {seen}')"  # reports what an attack reached: 3 points


def public_answers() -> tuple[float, float, list[int]]:
    """The right answers for the seed that everybody knows."""
    five, one = [draw_int(n, -9, 9) for n in range(5)], draw_int("one", 2, 9)
    return (
        sum(x * x for x in five) / 5,
        one * one,
        list(itertools.accumulate(draw_int(n, 1, 9) for n in range(4))),
    )


@dataclass
class World:
    """What the attacks aim at: a course, a home, listeners on this machine. All of it is the test's own."""

    course: Course
    home: Path
    sockets: Path
    environment: Path
    marker: str = field(default_factory=lambda: f"mark{secrets.token_hex(6)}")
    listeners: dict[str, socket.socket] = field(default_factory=dict)
    canary: subprocess.Popen | None = None

    def open(self) -> None:
        """Start a process that must live on, and a listener of each kind; `reached` says who came."""
        self.canary = subprocess.Popen(
            [sys.executable, "-c", f"import time; time.sleep(900)  # {self.marker}"]
        )
        kinds = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 0)),
            "path": (socket.AF_UNIX, socket.SOCK_STREAM, str(self.sockets / "canary.sock")),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.marker}"),
        }
        for name, (family, kind, address) in kinds.items():
            one = self.listeners[name] = socket.socket(family, kind)
            one.bind(address)
            one.setblocking(False)
            if kind == socket.SOCK_STREAM:
                one.listen()

    def reached(self) -> list[str]:
        """The listeners that something connected to, or sent something."""
        found = []
        for name, one in self.listeners.items():
            try:
                if one.type == socket.SOCK_STREAM:
                    one.accept()[0].close()
                else:
                    one.recv(1)
                found.append(name)
            except BlockingIOError:
                pass
        return found

    def close(self) -> None:
        """End what `open` began."""
        self.canary.kill()
        self.canary.wait()
        for one in self.listeners.values():
            one.close()

    def fill(self, code: str) -> str:
        """An attack with the places that it aims at. An attacker is taken to know them all."""
        ports = {name: self.listeners[name].getsockname()[1] for name in ("tcp", "udp")}
        half = len(CANARY) // 2  # in two halves, so that the code is not itself what it looks for
        known = {
            "COURSE": str(self.course.root), "HOME": str(self.home), "SOCKET": str(self.sockets / "canary.sock"),
            "ENVIRONMENT": str(self.environment), "MARKER": self.marker, "PORTS": ports,
            "PUBLIC": public_answers(), "CANARY_PROCESS": self.canary.pid, "CANARY": (CANARY[:half], CANARY[half:]),
        }  # fmt: skip
        used = {name: value for name, value in known.items() if re.search(rf"\b{name}\b", code)}
        return "".join(f"{name} = {value!r}\n" for name, value in used.items()) + code


@dataclass(frozen=True)
class Case:
    """One submission, and what it has earned.

    Attributes:
        name: short; with the category's first word, the student's id.
        base: the score that the work has really earned; None where no score may be given.
        says: a part of the reason in the table of grades.
        told: a part of the page that the student gets back.
        cell: an own cell before the first exercise. `after`: one at the end.
        answers: sources of answers; those left out are right.
        edit: changes the notebook, or gives the file's bytes.
        place: where the file lies in the download; "{id}" is the student's.
        zipped: handed in with the archive of the second day, and not in the folder of the first.
        status: in the table of grades.
    """

    name: str
    base: float | None
    says: str = ""
    told: str = ""
    cell: str = ""
    after: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    edit: Callable[[dict], dict | bytes | None] | None = None
    place: str = "{id}/sums.ipynb"
    zipped: bool = False
    status: str = "graded"
    category: str = ""

    @property
    def student(self) -> str:
        """The id of the student who hands it in."""
        return f"{self.category.split()[0]}-{self.name}"

    def content(self, world: World) -> bytes:
        """The bytes of the file."""
        notebook = answered(world.course, **{name: world.fill(code) for name, code in self.answers.items()})
        if self.cell:
            notebook = with_cell(notebook, world.fill(self.cell), 2)
        if self.after:
            notebook = with_cell(notebook, world.fill(self.after), len(notebook["cells"]))
        made = self.edit(notebook) if self.edit else None
        made = notebook if made is None else made
        return made if isinstance(made, bytes) else json.dumps(made).encode()


def refused(name: str, says: str, edit: Callable | None = None, **more) -> Case:
    """A submission that is not taken at all."""
    return Case(name, None, says, edit=edit, status="refused", **more)


def cheat(name: str, cell: str = "", base: float = 0, **more) -> Case:
    """A submission with wrong answers that tries to score all the same."""
    more["answers"] = WRONG | more.get("answers", {})
    return Case(name, base, cell=cell, **more)


def spy(name: str, cell: str, told: str, **more) -> Case:
    """A submission whose first cell tries something, and whose first answer tells in an error text what it `seen`."""
    return Case(name, 3, told=told, cell=cell, answers={"mean_square": TELL}, **more)
