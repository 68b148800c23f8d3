"""The records behind the page on what a class costs: whole, of one making, and what the page says of them holds."""

import json

import pytest

from papertrail import class_costs, class_costs_site
from papertrail.class_costs import Records
from papertrail.coursework.assignment import read_assignment

PARTS = {"collect", "prepare", "judge", "around_kernel", "kernel", "gradebook", "feedback"}
KEPT = {"submitted", "cleaned", "autograded", "feedback", "results"}


@pytest.fixture(scope="module")
def recorded(book) -> Records:
    """The tables of the records that the page is drawn from."""
    return class_costs.load_records()


@pytest.fixture(scope="module")
def headers(book) -> list[dict]:
    """The records whole."""
    paths = (
        book / "results" / "coursework" / f"{name}.json"
        for name in ("grading", "class_sizes", "learner", "site")
    )
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def test_every_assignment_was_measured_whole(recorded, root):
    sources = {path.name for path in (root / "coursework" / "source").iterdir() if path.is_dir()}
    assert set(recorded.grading["chapters"]) == sources
    for name, one in recorded.grading["chapters"].items():
        assert set(one["cpu_seconds"]) == PARTS, name
        assert set(one["bytes"]) == KEPT, name
        assert min(*one["cpu_seconds"].values(), *one["bytes"].values()) > 0, name
        low, high = one["kernel_range"]
        assert low <= one["cpu_seconds"]["kernel"] <= high, name
        assert 0 < one["peak_mib"]["share"] <= one["peak_mib"]["resident"] < 1_500, name
        exercises = read_assignment(root / "coursework" / "source" / name / f"{name}.ipynb").exercises
        assert one["points_by_machine"] == sum(exercise.points for exercise in exercises), name


def test_the_limits_on_a_download_are_the_ones_in_force(recorded):
    from papertrail.coursework.archives import MAX_MEMBERS, MAX_TOTAL

    assert recorded.grading["limits"] == {"members": MAX_MEMBERS, "bytes": MAX_TOTAL}


def test_the_largest_class_of_the_page_was_measured_with_and_without_indexes(recorded):
    rows = {(row["students"], row["indexed"]): row for row in recorded.sizes["growth"]}
    most = class_costs.CLASSES[-1]
    assert {(30, True), (1_000, True), (most, True), (most, False)} <= set(rows)
    for step in ("collect", "gradebook", "feedback", "export"):
        large, small = rows[most, True][step], rows[1_000, True][step]
        assert large < 3 * small, f"{step}: a student of {most} costs {large / small:.1f} times one of 1,000"
    assert rows[most, False]["feedback"] > 3 * rows[most, True]["feedback"]


def test_a_learner_fits_into_what_binder_gives(recorded):
    assert len(recorded.learner["rows"]) >= 2, "one learner alone shares nothing"
    assert class_costs.learner_peak_mib(recorded.learner, recorded.status) < 1_024


def test_the_site_was_weighed_page_by_page(recorded, root):
    chapters = sorted(path.name for path in (root / "coursework" / "source").iterdir() if path.is_dir())
    pages = [
        "book/index",
        *(f"book/{one}" for one in chapters),
        *(f"book/exercises/{one}" for one in chapters),
    ]
    assert [row["page"] for row in recorded.site["pages"]] == pages
    for row in recorded.site["pages"]:
        assert 0 < row["bytes"] <= row["alone_bytes"] < 1_500_000, row
    assert 0 < recorded.site["compressed_bytes"] < recorded.site["disk_bytes"]


def test_records_name_the_script_that_made_them(headers, root):
    scripts = [record["command"].split()[1] for record in headers]
    assert scripts == [f"benchmarks/{name}.py" for name in ("grading", "grading", "learner", "site_weight")]
    assert all(
        (root / script).is_file() and "--record" in one["command"]
        for script, one in zip(scripts, headers, strict=True)
    )
    assert headers[0]["versions"]["nbgrader"] == headers[1]["versions"]["nbgrader"]


def test_every_table_and_figure_can_be_drawn_from_the_records(recorded):
    for name, draw in class_costs_site.TABLES.items():
        assert len(draw(recorded).splitlines()) >= 4, name
    assert all(class_costs_site.figures(recorded).values())
