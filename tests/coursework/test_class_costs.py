"""What a class costs: the arithmetic by hand, the tables and figures of the page, and the records behind them."""

import copy
import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from sphinx.application import Sphinx

from papertrail import class_costs, class_costs_site
from papertrail.class_costs import Records

PARTS = {"collect": 0.1, "prepare": 0.2, "judge": 0.1, "around_kernel": 0.9, "kernel": 3.0, "gradebook": 0.4,
         "feedback": 0.2}  # fmt: skip
KEPT = {"submitted": 40_000, "cleaned": 40_000, "autograded": 60_000, "feedback": 50_000, "results": 10_000}


def chapter(scale: float) -> dict:
    """One chapter of a made-up record, every part `scale` times as dear as PARTS."""
    return {
        "points_by_machine": 50,
        "cells": 20,
        "cpu_seconds": {part: scale * seconds for part, seconds in PARTS.items()},
        "kernel_range": [2.9 * scale, 3.1 * scale],
        "peak_mib": {"share": 300.0, "resident": 400.0},
        "bytes": KEPT,
    }


def size_row(students: int, indexed: bool, worse: float = 1.0) -> dict:
    """One class of a made-up record."""
    row = {"students": students, "indexed": indexed, "measured": min(students, 10), "collect": 0.1, "enter": 0.001,
           "prepare": 0.2, "gradebook": 0.4 * worse, "feedback": 0.2 * worse, "listing": 0.0002,
           "gradebook_bytes": 100_000 + 5_000 * students}  # fmt: skip
    return row | ({"export": 0.1} if indexed else {})


@pytest.fixture
def records() -> Records:
    """Made-up records whose sums are easy: a submission costs 5 s of CPU time, and one of the second chapter 10 s."""
    grading = {
        "submissions": 3,
        "chapters": {"cheap": chapter(1.0), "dear": chapter(2.0)},
        "limits": {"members": 5_000, "bytes": 500_000_000},
        "other_ways": {"kernel_start": 0.5, "import_torch": 2.0, "plain_nbgrader": 6.0},
        "job_bytes": 100_000,
        "load": [3.2, 8.1],
    }
    sizes = {
        "growth": [
            size_row(30, True),
            size_row(1_000, True),
            size_row(30_000, True),
            size_row(30_000, False, 5.0),
        ]
    }
    learner = {"rows": [
        {"learners": number, "server_alone_mib": 80.0, "server_peak_mib": 100.0, "kernel_idle_mib": 50.0,
         "kernel_peak_mib": 400.0, "last_private_mib": 300.0, "all_resident_mib": 500.0 * number,
         "all_share_mib": 420.0 * number} for number in (1, 2)]}  # fmt: skip
    site = {"files": 10, "disk_bytes": 9_000_000, "compressed_bytes": 3_000_000, "pages": [
        {"page": "book/index", "bytes": 200_000, "alone_bytes": 200_000, "files": 3},
        {"page": "book/cheap", "bytes": 50_000, "alone_bytes": 250_000, "files": 1}]}  # fmt: skip
    status = {"notebooks": [{"notebook": "cheap.ipynb", "cpu_seconds": 20.0, "peak_mib": 412},
                            {"notebook": "dear.ipynb", "cpu_seconds": 40.0, "peak_mib": 300}]}  # fmt: skip
    return Records(grading, sizes, learner, site, status)


@pytest.fixture
def made_up_book(records, tmp_path, monkeypatch):
    """A book with nothing but these records."""
    results = tmp_path / "book" / "results"
    (results / "coursework").mkdir(parents=True)
    (tmp_path / "book" / "claims").mkdir()
    for name, data in (("grading", records.grading), ("class_sizes", records.sizes), ("learner", records.learner),
                       ("site", records.site)):  # fmt: skip
        (results / "coursework" / f"{name}.json").write_text(json.dumps({"table": data}))
    (results / "status.json").write_text(json.dumps(records.status))
    monkeypatch.setenv("PAPERTRAIL_BOOK", str(tmp_path / "book"))
    return tmp_path / "book"


def test_a_submission_is_the_sum_of_its_parts_and_the_export(records):
    each = class_costs.submission_cpu_seconds(records.grading, records.sizes, "cheap")
    assert each == pytest.approx(4.9 + 0.1)
    assert class_costs.course_cpu_seconds(records.grading, records.sizes) == pytest.approx(5.0 + 9.9)


def test_hours_of_computing_and_of_people():
    assert class_costs.cpu_hours(30, 120.0) == 1.0
    assert class_costs.marking_hours(30_000, 6, 4.0) == 12_000.0


def test_by_the_clock_the_slower_of_sandboxes_and_gradebook_decides():
    parts = {"collect": 1.0, "prepare": 1.0, "feedback": 0.5, "export": 0.5, "gradebook": 1.0, "judge": 1.0,
             "around_kernel": 1.0, "kernel": 7.0}  # fmt: skip
    assert class_costs.clock_hours(3_600, 1, parts) == pytest.approx(3.0 + 8.0)
    assert class_costs.clock_hours(3_600, 2, parts) == pytest.approx(3.0 + 4.0)
    assert class_costs.clock_hours(3_600, 4, parts) == class_costs.clock_hours(3_600, 400, parts) == 5.0
    assert class_costs.useful_cores(parts) == 4


def test_several_machines_compare_for_themselves_and_leave_the_gradebook():
    parts = {"collect": 1.0, "prepare": 1.0, "feedback": 0.5, "export": 0.5, "gradebook": 1.0, "judge": 1.0,
             "around_kernel": 1.0, "kernel": 7.0}  # fmt: skip
    assert class_costs.clock_hours(3_600, 2, parts, machines=3) == pytest.approx(3.0 + 9.0 / 6)
    assert class_costs.clock_hours(3_600, 2, parts, machines=90) == pytest.approx(3.0 + 1.0)


def test_disk_is_files_and_gradebook_of_every_submission(records):
    files = class_costs.files_bytes_each(records.grading)
    book = class_costs.gradebook_bytes_each(records.sizes)
    assert (files, book) == (200_000, 5_000)
    assert class_costs.disk_bytes(30, 6, files, book) == 30 * 6 * 205_000


@pytest.mark.parametrize(("students", "members", "bytes_", "parts"), [
    (30, 5_000, 500_000_000, 1), (5_000, 5_000, 500_000_000, 1), (5_001, 5_000, 500_000_000, 2),
    (30_000, 5_000, 500_000_000, 6), (30_000, 5_000, 100_000_000, 12),
])  # fmt: skip
def test_a_download_has_a_limit_on_files_and_one_on_bytes(records, students, members, bytes_, parts):
    records.grading["limits"] = {"members": members, "bytes": bytes_}
    assert class_costs.downloads(students, records.grading) == parts


def test_a_hub_needs_a_server_and_the_hungriest_kernel_for_each_who_is_online(records):
    each = class_costs.learner_peak_mib(records.learner, records.status)
    assert each == 512
    assert [class_costs.online(n, 0.1) for n in (30, 300, 30_000, 31, 1)] == [3, 30, 3_000, 4, 1]
    assert class_costs.hub_gib(300, 0.1, each) == 15.0
    assert class_costs.next_learner_mib(records.learner) == 300.0


def test_traffic_is_what_a_reader_loads_once_with_and_without_a_cache(records):
    assert class_costs.reading_bytes(records.site) == 250_000
    assert class_costs.reading_cold_bytes(records.site) == 450_000
    assert class_costs.traffic_gb(30_000, 250_000) == 7.5


@pytest.mark.parametrize(("work", "says"), [
    (lambda: class_costs.cpu_hours(0, 1.0), "students: got 0; allowed are numbers from 1 up"),
    (lambda: class_costs.clock_hours(1, 0, {}), "cores: got 0"),
    (lambda: class_costs.marking_hours(1, 1, -1), "minutes_per_answer: got -1; allowed are numbers from 0 up"),
    (lambda: class_costs.online(30, 0), "share_online: got 0; allowed are numbers over 0 and at most 1"),
    (lambda: class_costs.online(30, 1.5), "share_online: got 1.5"),
    (lambda: class_costs.traffic_gb(True, 1.0), "students: got True"),
    (lambda: class_costs.cpu_hours(1, float("nan")), "seconds_each: got nan"),
    (lambda: class_costs_site.number(float("inf")), "value: got inf"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(work, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        work()


@pytest.mark.parametrize(("value", "digits", "text"), [
    (3_456, 2, "3,500"), (0.0456, 2, "0.046"), (9.96, 2, "10"), (0, 2, "0"), (2_000.4, 3, "2,000"), (29.96, 3, "30.0"),
    (12_345_678, 2, "12,000,000"), (1.0, 2, "1.0"),
])  # fmt: skip
def test_numbers_are_written_out(value, digits, text):
    assert class_costs_site.number(value, digits) == text


def cells(text: str) -> list[list[str]]:
    """The rows of a Markdown table, heads left out."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.replace("\u00a0", " ").replace("\\~", "~") for cell in row] for row in rows[2:]]


def test_the_dearest_assignment_comes_first(records):
    rows = cells(class_costs_site.assignments_text(records))
    assert [row[0] for row in rows] == ["[](exercises/dear.ipynb)", "[](exercises/cheap.ipynb)"]
    assert rows[1][1:] == ["5.0 s", "3.0 s", "300 MiB"]


def test_the_arithmetic_that_is_shown_is_right_and_marked_as_worked_out(records):
    rows = cells(class_costs_site.grading_text(records))
    assert rows[0] == ["30", "30 × 5.00 s = ~2.5 min", "30 × 9.90 s = ~5.0 min", "30 × 14.9 s = ~7.4 min"]
    assert rows[2][0] == "30,000" and rows[2][1] == "30,000 × 5.00 s = ~42 h"
    assert cells(class_costs_site.people_text(records))[1] == ["300", "300 × 4 min = ~20 h", "~40 h"]
    assert cells(class_costs_site.disk_text(records))[0] == ["30", "30 × 2 × (200 kB + 5.0 kB)", "~12 MB"]
    assert cells(class_costs_site.site_text(records))[2][1] == "30,000 × 250 kB = ~7.5 GB"
    hub = cells(class_costs_site.hub_text(records))[1]
    assert hub == ["300", "15: ~7.5 GiB", "30: ~15 GiB", "75: ~38 GiB", "150: ~75 GiB"]


def test_what_was_not_run_says_so(records):
    last = cells(class_costs_site.growth_text(records))[-1]
    assert last == ["30,000, no indexes", "100 ms", "2,000 ms", "1,000 ms", "not run"]
    known = class_costs_site.figures(records)
    assert (known["plain_gradebook"], known["plain_feedback"]) == ("5.0", "5.0")


@pytest.mark.parametrize(("part", "change"), [
    ("grading", lambda r: r.grading["chapters"]["cheap"]["cpu_seconds"].update(kernel=30.0)),
    ("clock", lambda r: r.grading["chapters"]["dear"]["cpu_seconds"].update(gradebook=9.0)),
    ("disk", lambda r: r.grading["chapters"]["dear"]["bytes"].update(feedback=900_000)),
    ("hub", lambda r: r.status["notebooks"][1].update(peak_mib=900)),
    ("site", lambda r: r.site["pages"][1].update(bytes=500_000)),
    ("growth", lambda r: r.sizes["growth"][0].update(collect=0.7)),
    ("learners", lambda r: r.learner["rows"][0].update(server_peak_mib=123.0)),
    ("parts", lambda r: r.sizes["growth"][2].update(export=0.5)),
    ("assignments", lambda r: r.grading["chapters"]["dear"]["peak_mib"].update(share=345.0)),
    *[("summary", change) for change in (
        lambda r: r.grading["chapters"]["cheap"]["cpu_seconds"].update(kernel=30.0),
        lambda r: r.status["notebooks"][0].update(cpu_seconds=400.0),
        lambda r: r.site["pages"][1].update(bytes=500_000))],
])  # fmt: skip
def test_a_table_changes_with_its_record(records, part, change):
    changed = copy.deepcopy(records)
    change(changed)
    assert class_costs_site.TABLES[part](records) != class_costs_site.TABLES[part](changed)


def test_the_share_and_the_minutes_are_the_ones_that_are_stated(records, monkeypatch):
    monkeypatch.setattr(
        class_costs_site, "ASSUMED", replace(class_costs_site.ASSUMED, minutes_per_answer=2.0)
    )
    assert cells(class_costs_site.people_text(records))[1] == ["300", "300 × 2 min = ~10 h", "~20 h"]
    assert "people at 2 min an answer" in class_costs_site.summary_text(records)


def built(folder, text: str) -> tuple[str, str]:
    """A page of one text, built by Sphinx with the directive and the role: its HTML and the warnings."""
    (folder / "source").mkdir()
    (folder / "source" / "index.md").write_text(text)
    warnings = StringIO()
    settings = {
        "extensions": ["myst_parser"],
        "html_theme": "basic",
        "suppress_warnings": ["myst.xref_missing"],
    }
    app = Sphinx(folder / "source", None, folder / "out", folder / "trees", "html", settings, status=None,
                 warning=warnings)  # fmt: skip
    class_costs_site.register(app)
    app.build()
    return (folder / "out" / "index.html").read_text(), re.sub(r"\x1b\[[0-9;]*m", "", warnings.getvalue())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_directive_and_the_role_put_the_records_on_a_page(made_up_book, tmp_path):
    page, warnings = built(
        tmp_path, "# T\n\n```{class-cost} people\n```\n\nIt costs {cost}`cheapest` and {cost}`learner`.\n"
    )
    assert warnings == ""
    assert "300 × 4 min = ~20\u00a0h" in page
    assert "It costs 5.0\u00a0s and ~512\u00a0MiB." in page


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("text", "says"), [
    ("```{class-cost} nonsense\n```", "class-cost: got 'nonsense'; allowed are summary, assignments"),
    ("{cost}`nonsense`", "cost: got 'nonsense'; allowed are cheapest"),
])  # fmt: skip
def test_a_table_or_a_figure_that_is_not_there_is_named(made_up_book, tmp_path, text, says):
    assert says in built(tmp_path, f"# T\n\n{text}\n")[1]


def test_the_page_shows_every_table_and_names_only_figures_that_are_there(book, records):
    text = (book / "scaling.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\{class-cost\} (\w+)", text)) == set(class_costs_site.TABLES)
    assert set(re.findall(r"\{cost\}`(\w+)`", text)) <= set(class_costs_site.figures(records))
