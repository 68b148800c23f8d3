"""The status page's file: it lists every notebook, its budgets are kept, and it was measured with today's pins.

Nothing is timed here. The numbers are those that `make status` measured; test_binder measures memory again.
"""

import copy
import json
import re
import tomllib

import pytest

from papertrail.site_status import budget_text
from status import PACKAGES

CPU_SECONDS, CELL_SECONDS, PEAK_MIB = 60, 30, 600  # for one chapter
COURSE_SECONDS = 360  # for the six together


@pytest.fixture
def status(book):
    return json.loads((book / "results" / "status.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins(root):
    text = "".join(
        (root / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-dev.txt")
    )
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE))


def over_budget(status):
    """What is over its budget, in words; empty where all is well."""
    found = []
    for row in status["notebooks"]:
        for key, most in (
            ("cpu_seconds", CPU_SECONDS),
            ("slowest_cell_seconds", CELL_SECONDS),
            ("peak_mib", PEAK_MIB),
        ):
            if not 0 < row[key] < most:
                found.append(f"{row['notebook']}: {key} is {row[key]}, allowed is under {most}")
    course = sum(row["cpu_seconds"] for row in status["notebooks"])
    if course >= COURSE_SECONDS:
        found.append(f"the course: cpu_seconds add up to {course}, allowed is under {COURSE_SECONDS}")
    return found


def stale(status, pins):
    """The versions that are not the pinned ones, in words. torch's CPU build counts as its version."""
    recorded = {name: version for name, version in status["versions"].items() if name != "python"}
    return [
        f"{name}: measured with {version}, pinned is {pins.get(name)}"
        for name, version in recorded.items()
        if version.removesuffix("+cpu") != pins.get(name)
    ]


def test_every_notebook_of_the_book_is_listed_once(status, book):
    listed = [row["notebook"] for row in status["notebooks"]]
    assert listed == sorted(path.name for path in book.glob("*.ipynb")), "run `make status`"


def test_every_chapter_and_the_course_keep_to_their_budgets(status):
    assert over_budget(status) == []


def test_the_figures_were_measured_with_the_versions_that_are_pinned(status, pins, root):
    assert set(status["versions"]) == {"python", *PACKAGES}
    assert stale(status, pins) == [], "run `make status`"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    assert tuple(map(int, status["versions"]["python"].split(".")[:2])) >= oldest


@pytest.mark.parametrize(
    ("key", "value"),
    [("cpu_seconds", 60), ("slowest_cell_seconds", 30.1), ("peak_mib", 600), ("peak_mib", 0)],
)
def test_a_chapter_over_its_budget_is_named(status, key, value):
    status["notebooks"][0][key] = value
    assert [line.split(", allowed")[0] for line in over_budget(status)] == [
        f"{status['notebooks'][0]['notebook']}: {key} is {value}"
    ]


def test_seven_slow_chapters_are_too_much_together(status):
    status["notebooks"] = [status["notebooks"][0] | {"cpu_seconds": 55} for _ in range(7)]
    assert over_budget(status) == ["the course: cpu_seconds add up to 385, allowed is under 360"]


@pytest.mark.parametrize(("package", "version"), [("torch", "2.12.0+cpu"), ("numpy", "2.4.5")])
def test_figures_of_another_version_are_noticed(status, pins, package, version):
    old = copy.deepcopy(status)
    old["versions"][package] = version
    assert [line.split(":")[0] for line in stale(old, pins)] == [package]


MEASURED = {
    "notebooks": [{"cpu_seconds": 50.0, "peak_mib": 500}, {"cpu_seconds": 20.5, "peak_mib": 599}],
    "site": {
        "date": "2026-11-27",
        "machine": "a machine",
        "runs": 3,
        "build_cpu_seconds": {"cold": 11.9, "one_page": 4.9, "unchanged": 2.9},
        "pages": [
            {"page": "book/a.html", "own_kb": 149.9, "first_load_kb": 412.4},
            {"page": "book/b.html", "own_kb": 9.1, "first_load_kb": 99.0},
        ],
    },
}


def words(text):
    return text.replace("\u00a0", " ")


def test_the_page_shows_each_figure_beside_its_budget():
    text = words(budget_text(MEASURED))
    for row in (
        "| CPU time of the slowest notebook | 50.0 s | under 60 s | met |",
        "| memory of the largest notebook | 599 MiB | under 600 MiB | met |",
        "| CPU time of all notebooks together | 70 s | under 360 s | met |",
        "| CPU time of a build from nothing | 11.9 s | under 12 s | met |",
        "| CPU time of a build after one page changed | 4.9 s | under 5 s | met |",
        "| CPU time of a build after nothing changed | 2.9 s | under 3 s | met |",
        "| heaviest page by its own content | 149.9 kB | under 150 kB | met |",
        "| heaviest page with all that it loads at first | 412 kB | under 600 kB | met |",
    ):
        assert row in text, row
    assert "All 8 budgets are met." in text and "27 November 2026 on a machine" in text
    assert "1 of 2 pages keep to it; the heaviest is `book/a.html` with 412 kB." in text


def test_the_page_says_what_is_missed():
    slow = copy.deepcopy(MEASURED)
    slow["site"]["build_cpu_seconds"]["cold"] = 12.0
    slow["notebooks"][1]["peak_mib"] = 600
    text = words(budget_text(slow))
    assert (
        "| 12.0 s | under 12 s | **missed** |" in text and "| 600 MiB | under 600 MiB | **missed** |" in text
    )
    assert "2 of 8 budgets are missed." in text and "All 8" not in text


def test_a_site_that_was_never_measured_is_not_called_met():
    text = budget_text({"notebooks": MEASURED["notebooks"]})
    assert "have not been measured yet" in text and "budgets are met" not in text and "build from" not in text
