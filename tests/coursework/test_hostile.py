"""A whole class hands in what breaks, cheats and spies: each gets what it earned, and nothing else happens."""

import contextlib
import csv
import hashlib
import io
import os
import re
import shutil
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest
from hostile import World
from hostile_class import CASES, CATEGORIES, write_folder, write_zip
from hostile_course import CANARIES, make_course
from small_course import CHAPTER

from papertrail.coursework import grading, probes, sandbox
from papertrail.coursework.__main__ import main
from papertrail.coursework.sandbox import MB

MADE_BY_GRADING = (
    "cleaned",
    "submitted",
    "results",
    "reports",
    "feedback",
    "autograded",
    "grades",
    "gradebook.db",
)
BY_STUDENT = {case.student: case for case in CASES}
FIRST_DAY = [case.student for case in CASES if not case.zipped]


@dataclass
class Graded:
    """What grading the class left: the tables of both days, and what was looked at before and after."""

    world: World
    days: list[dict[str, list[dict[str, str]]]]
    said: str
    before: dict
    after: dict
    reached: list[str]
    processes: list[str]
    canary_lives: bool
    left: list[str]

    def back(self, student: str) -> dict[str, str]:
        """Every text that goes back to a student, or stands in what is made for them."""
        course = self.world.course
        paths = {
            "result": course.result(student, CHAPTER),
            "page": course.feedback(student, CHAPTER),
            "autograded": course.root / "autograded" / student / CHAPTER / f"{CHAPTER}.ipynb",
        }
        return {name: path.read_text() for name, path in paths.items() if path.is_file()}


def run(world: World, *arguments: str) -> str:
    """One command, as an instructor types it; returns what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(["--course", str(world.course.root), *arguments])
    assert status in (0, 1), said.getvalue()  # 1: a submission failed; its own test says which
    return said.getvalue()


def table(path: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of a table by student."""
    rows: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["student"], []).append(row)
    return rows


def looked_at(world: World) -> dict[str, object]:
    """What no submission may change: the course but for what grading makes, the environment, the probes, the home."""
    found: dict[str, object] = {}
    for path in [Path(probes.__file__), *world.course.root.rglob("*"), *world.home.rglob("*")]:
        if path.is_file() and not path.name.startswith("gradebook.db"):
            inside = path.is_relative_to(world.course.root) and path.relative_to(world.course.root).parts[0]
            if inside not in MADE_BY_GRADING:
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    for place, _, names in os.walk(world.environment):
        for name in names:
            status = os.lstat(os.path.join(place, name))
            found[os.path.join(place, name)] = status.st_size, status.st_mtime_ns
    return found


def markers(world: World, folders: list[Path]) -> list[str]:
    """Files that carry the class's marker in their names, where attacks tried to put them."""
    site = list(world.environment.glob("lib/*/site-packages"))
    base = sandbox.base_of(world.environment)
    places = [*folders, *site, *base.glob("lib/python*"), world.environment, world.home, world.course.root]
    places += [Path(probes.__file__).parent, world.environment / "bin"]
    places += map(
        Path, ("/", "/usr", "/usr/bin", "/usr/lib", "/etc", "/dev", "/root", "/home", "/var/tmp", "/opt")
    )
    found = [str(path) for place in places if os.access(place, os.R_OK) and place.is_dir()
             for path in place.iterdir() if world.marker in path.name]  # fmt: skip
    for path in found:  # a hole in the sandbox shall do no harm that lasts
        Path(path).unlink(missing_ok=True)
    return found


def processes(*marks: str) -> list[str]:
    """Command lines of processes, other than this one, that carry one of the marks there or in their environment."""
    found = []
    for one in psutil.process_iter(["pid", "cmdline", "environ"]):
        text = f"{one.info['cmdline']} {one.info['environ']}"
        if one.info["pid"] != os.getpid() and any(mark in text for mark in marks):
            found.append(str(one.info["cmdline"]))
    return found


@pytest.fixture(scope="module")
def graded(tight):
    """The class, graded once by the commands: a folder on the first day, an archive on the second."""
    temporary = Path(tempfile.mkdtemp(prefix="h-"))  # a short name, as those of unix sockets have to be
    temporary.chmod(0o755)  # what keeps submissions out shall be the sandbox
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(temporary))
            yield grade_class(temporary, tight, patch)
    finally:
        shutil.rmtree(temporary)


def grade_class(temporary: Path, tight: sandbox.Limits, patch: pytest.MonkeyPatch) -> Graded:
    """Make the course and its class, hand everything in, grade it, and look around before and after."""
    limits = replace(tight, cell_cpu=1.5, cell_wall=6.0, whole_wall=90.0, resident=300 * MB)
    home = temporary / "home"
    home.mkdir()
    (home / "notes.txt").write_text(CANARIES["home"])
    patch.setenv("HOME", str(home))
    patch.setenv("GRADER_TOKEN", CANARIES["variable"])
    course = make_course(temporary, list(BY_STUDENT))
    world = World(course, home, temporary, sandbox.students_environment())
    days, said = [], ""
    world.open()
    try:
        write_folder(temporary / "first-day", world)
        with warnings.catch_warnings(action="ignore"):  # of two members with one name: so it is meant
            write_zip(temporary / "second-day.zip", world)
        before = looked_at(world)
        patch.setattr(grading.sandbox, "Limits", lambda: limits)
        for download in ("first-day", "second-day.zip"):
            said += run(world, "collect", CHAPTER, str(temporary / download))
            said += run(world, "grade", CHAPTER, "--jobs", "2")
            said += run(world, "feedback", CHAPTER) + run(world, "export", CHAPTER)
            days.append(table(course.root / "grades" / f"{CHAPTER}.csv"))
        lives, reached = world.canary.poll() is None, world.reached()
    finally:
        world.close()
    time.sleep(0.5)
    left = [path.name for path in temporary.glob("pt-*")] + markers(world, [temporary])
    return Graded(world, days, said, before, looked_at(world), reached, processes(world.marker, str(temporary)),
                  lives, left)  # fmt: skip


def row_of(graded: Graded, student: str) -> dict[str, str]:
    """The row of a student in the table of the day on which the work came."""
    (row,) = graded.days[BY_STUDENT[student].zipped][student]
    return row


def test_every_category_has_four_cases_or_more_and_no_name_is_used_twice():
    assert len(CATEGORIES) == 11 and len(CASES) >= 48 and len(BY_STUDENT) == len(CASES)
    assert {
        name: count for name, count in Counter(case.category for case in CASES).items() if count < 4
    } == {}
    assert {case.category for case in CASES} == set(CATEGORIES)


@pytest.mark.parametrize("student", BY_STUDENT)
def test_each_gets_what_it_earned_and_is_told_why(student, graded):
    case, row = BY_STUDENT[student], row_of(graded, student)
    assert (row["status"], row["score"]) == (case.status, "" if case.base is None else f"{case.base:g}"), row
    assert case.says in row["reason"]
    page = graded.back(student).get("page", "")
    assert case.told in page
    assert bool(page) == (case.status == "graded")


def test_every_student_of_the_roster_has_one_row_with_a_reason_where_there_is_no_score(graded):
    for day in graded.days:
        assert day.keys() == BY_STUDENT.keys()
        for student, rows in day.items():
            assert len(rows) == 1, student
            assert rows[0]["score"] or rows[0]["reason"], student


def test_a_page_says_for_each_lost_point_why(graded):
    for case in CASES:
        if case.base is not None and case.base < 7:
            page = graded.back(case.student)["page"]
            assert re.search(r"FAIL  .*: \w+|Not counted: ", page), case.student


def test_the_second_day_changes_nothing_of_the_first(graded):
    first, second = graded.days
    for student in FIRST_DAY:
        assert (first[student][0]["score"], first[student][0]["submitted"]) == (
            second[student][0]["score"], second[student][0]["submitted"])  # fmt: skip


def test_a_refusal_of_the_first_day_is_still_known_on_the_second(graded):
    refused = [student for student in FIRST_DAY if BY_STUDENT[student].status == "refused"]
    assert [student for student in refused if graded.days[1][student][0]["status"] != "refused"] == []


@pytest.mark.parametrize("student", BY_STUDENT)
def test_nothing_secret_comes_back(student, graded):
    course = graded.world.course
    secrets = CANARIES | {"secret": course.secret.read_text().strip()}
    # Inputs of hidden tests are not safe from a cell that is given them; nbgrader keeps them in its own notebooks.
    known = {("tampering-tells-inputs", "page"), ("tampering-tells-inputs", "result")}
    for place, text in graded.back(student).items():
        for kind, canary in secrets.items():
            if kind == "hidden" and (place == "autograded" or (student, place) in known):
                continue
            assert canary not in text, f"{kind} in {place}"
        others = [one for one in BY_STUDENT if one != student and f"{one}@example.org" in text]
        assert others == [], place


def test_nothing_secret_is_printed_or_stands_in_a_table(graded):
    texts = [
        path.read_text()
        for name in ("reports", "grades")
        for path in (graded.world.course.root / name).iterdir()
    ]
    secret = graded.world.course.secret.read_text().strip()
    for kind, canary in (CANARIES | {"secret": secret}).items():
        seen = [text for text in [graded.said, *texts] if canary in text]
        assert seen == [], kind


def test_the_course_the_environment_and_the_home_are_as_they_were(graded):
    assert len(graded.before) > 1000
    assert graded.after == graded.before


def test_nothing_is_left_on_the_machine(graded):
    assert graded.left == []
    assert graded.processes == []


def test_nobody_reached_the_network_or_another_process(graded):
    assert graded.reached == []
    assert graded.canary_lives


class Page(HTMLParser):
    """Collects what could act in a page, or load something from elsewhere."""

    def __init__(self, text: str):
        super().__init__()
        self.active: list[str] = []
        self.policy: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Look at one element."""
        given = dict(attrs)
        if tag in ("script", "iframe", "object", "embed", "form", "base", "link", "svg", "math"):
            self.active.append(tag)
        for name, value in attrs:
            value = (value or "").strip().lower()
            loads = name in ("src", "srcset", "action", "style") and not value.startswith("data:image/")
            leads = name == "href" and not value.startswith(("#", "https://", "http://"))
            if name.startswith("on") or loads or leads:
                self.active.append(f"{tag} {name}={value}")
        if tag == "meta" and given.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = given["content"]
        elif tag == "meta" and "http-equiv" in given:
            self.active.append("meta")

    handle_startendtag = handle_starttag


@pytest.mark.parametrize("student", [case.student for case in CASES if case.base is not None])
def test_a_page_can_do_nothing(student, graded):
    page = Page(graded.back(student)["page"])
    assert page.active == []
    assert "default-src 'none'" in page.policy and "script-src" not in page.policy
