"""The page on what a class costs: its tables with the arithmetic filled in, and single figures for its sentences.

A number with a tilde was worked out from measured ones; a number without was measured.
"""

import math
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from papertrail import claims, class_costs
from papertrail.class_costs import CLASSES, SHARES_ONLINE, Assumptions, Records

KB, MB, GB = 1e3, 1e6, 1e9
GROUPS = {
    "2 cores": (2, 1),
    "16 cores": (16, 1),
    "4 machines of 16 cores": (16, 4),
}  # cores of each, machines
ASSUMED = Assumptions()


def number(value: float, digits: int = 2) -> str:
    """A number to so many significant digits, with commas and never with an exponent: 3,456 is "3,500" to two.

    Raises:
        ValueError: the value is infinite or no number.
    """
    if not math.isfinite(value):
        raise ValueError(f"value: got {value!r}; allowed are finite numbers")
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")  # first, since 9.96 has one place less once it is 10
    places = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(places, 0)}f}"


def with_unit(value: float, unit: str, digits: int = 2) -> str:
    """A number and its unit, which stay on one line."""
    return f"{number(value, digits)}\u00a0{unit}"


def size(bytes_: float, digits: int = 2) -> str:
    """Bytes in the unit that suits them, powers of ten."""
    for unit, worth in (("TB", 1e12), ("GB", GB), ("MB", MB)):
        if bytes_ >= worth:
            return with_unit(bytes_ / worth, unit, digits)
    return with_unit(bytes_ / KB, "kB", digits)


def hours(value: float) -> str:
    """Hours, or minutes where they are fewer than two hours."""
    return with_unit(value, "h") if value >= 2 else with_unit(60 * value, "min")


def about(text: str) -> str:
    """The mark of a figure that was worked out."""
    return f"~{text}".replace("~", "\\~")


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def chapter_link(chapter: str) -> str:
    """A chapter's assignment, by its title."""
    return f"[](exercises/{chapter}.ipynb)"


def by_cost(records: Records) -> list[str]:
    """The chapters, the dearest first."""
    grading = records.grading
    return sorted(
        grading["chapters"],
        key=lambda name: -class_costs.submission_cpu_seconds(grading, records.sizes, name),
    )


def assignments_text(records: Records) -> str:
    """One submission of each chapter: seconds in all, of those the student's kernel, and memory."""
    rows = []
    for name in by_cost(records):
        one = records.grading["chapters"][name]
        whole = class_costs.submission_cpu_seconds(records.grading, records.sizes, name)
        rows.append(
            [chapter_link(name), with_unit(whole, "s"), with_unit(one["cpu_seconds"]["kernel"], "s"),
             with_unit(one["peak_mib"]["share"], "MiB", 3)]
        )  # fmt: skip
    return table(
        ["assignment", "CPU time of one submission", "of that, the student's kernel", "peak memory"], rows
    )


def parts_text(records: Records) -> str:
    """One submission of the dearest and of the cheapest assignment, by part."""
    names = by_cost(records)
    dear, cheap = (
        class_costs.parts_cpu_seconds(records.grading, records.sizes, name) for name in (names[0], names[-1])
    )
    words = {
        "collect": "find whose file it is, check it, keep it",
        "prepare": "check it again, and clean it",
        "judge": "compare its values",
        "around_kernel": "the process around the kernel",
        "kernel": "the student's kernel",
        "gradebook": "enter the marks in the gradebook",
        "feedback": "write the student's page",
        "export": "the row in the table of grades",
    }
    rows = [
        [what, *(with_unit(1000 * parts[part], "ms") for parts in (dear, cheap))]
        for part, what in words.items()
    ]
    rows.append(["**in all**", *(with_unit(1000 * sum(parts.values()), "ms") for parts in (dear, cheap))])
    return table(["part", chapter_link(names[0]), chapter_link(names[-1])], rows)


def grading_text(records: Records) -> str:
    """CPU hours of three classes, for an assignment and for the course."""
    names, grading = by_cost(records), records.grading
    course = class_costs.course_cpu_seconds(grading, records.sizes)
    rows = []
    cheap, dear = (
        class_costs.submission_cpu_seconds(grading, records.sizes, name) for name in (names[-1], names[0])
    )
    for students in CLASSES:
        found = [(seconds, class_costs.cpu_hours(students, seconds)) for seconds in (cheap, dear, course)]
        rows.append(
            [
                f"{students:,}",
                *(f"{students:,} × {with_unit(each, 's', 3)} = {about(hours(all_))}" for each, all_ in found),
            ]
        )
    count = len(grading["chapters"])
    return table(["students", "the cheapest assignment", "the dearest", f"all {count}"], rows)


def clock_text(records: Records) -> str:
    """Hours by the clock for the course, on machines of three kinds."""
    parts, rows, lines = course_parts(records), [], []
    for students in CLASSES:
        found = (
            class_costs.clock_hours(students, cores, parts, machines) for cores, machines in GROUPS.values()
        )
        rows.append([f"{students:,}", *(about(hours(one)) for one in found)])
    for name, (cores, machines) in GROUPS.items():
        alone, sandboxes, beside = class_costs.clock_seconds_each(cores, parts, machines)
        lines.append(
            f"- {name}: students × ({with_unit(alone, 's', 3)} + the larger of {with_unit(sandboxes, 's', 3)} "
            f"and {with_unit(beside, 's', 3)})"
        )
    return "\n".join([table(["students", *GROUPS], rows), "", *lines])


def course_parts(records: Records) -> dict[str, float]:
    """CPU seconds by part of one student's submissions to all assignments."""
    parts = [
        class_costs.parts_cpu_seconds(records.grading, records.sizes, name)
        for name in records.grading["chapters"]
    ]
    return {part: sum(one[part] for one in parts) for part in parts[0]}


def growth_text(records: Records) -> str:
    """What a student costs in classes of different sizes, with the gradebook's indexes and without."""
    steps = ("collect", "gradebook", "feedback", "export")
    rows = []
    for row in records.sizes["growth"]:
        cells = [with_unit(1000 * row[step], "ms") if step in row else "not run" for step in steps]
        rows.append([f"{row['students']:,}" + ("" if row["indexed"] else ", no indexes"), *cells])
    return table(["students", "collect", "gradebook", "page", "table of grades"], rows)


def disk_text(records: Records) -> str:
    """What stays of the course on the instructor's disk."""
    grading, count = records.grading, len(records.grading["chapters"])
    files, book = class_costs.files_bytes_each(grading), class_costs.gradebook_bytes_each(records.sizes)
    rows = [
        [f"{students:,}", f"{students:,} × {count} × ({size(files, 3)} + {size(book)})",
         about(size(class_costs.disk_bytes(students, count, files, book)))] for students in CLASSES
    ]  # fmt: skip
    return table(["students", f"students × {count} assignments × (files + gradebook)", "disk"], rows)


def learners_text(records: Records) -> str:
    """Memory of learners on one machine, one after the other."""
    rows = [
        [f"{row['learners']}", with_unit(row["server_peak_mib"], "MiB", 3), with_unit(row["kernel_peak_mib"], "MiB", 3),
         with_unit(row["all_resident_mib"], "MiB", 3), with_unit(row["last_private_mib"], "MiB", 3)]
        for row in records.learner["rows"]
    ]  # fmt: skip
    heads = [
        "learners",
        "peak of the last one's server",
        "and kernel",
        "all processes, summed",
        "the last one's own, shared with nobody",
    ]
    return table(heads, rows)


def hub_text(records: Records) -> str:
    """Memory of a hub by the share of the class that is online."""
    each = class_costs.learner_peak_mib(records.learner, records.status)
    rows = []
    for students in CLASSES:
        found = [
            f"{class_costs.online(students, share):,}: "
            + about(with_unit(class_costs.hub_gib(students, share, each), "GiB"))
            for share in SHARES_ONLINE
        ]
        rows.append([f"{students:,}", *found])
    return table(["students", *(f"{share:.0%} online" for share in SHARES_ONLINE)], rows)


def site_text(records: Records) -> str:
    """Traffic of three classes that read everything once."""
    warm, cold = class_costs.reading_bytes(records.site), class_costs.reading_cold_bytes(records.site)
    rows = []
    for students in CLASSES:
        found = [(each, GB * class_costs.traffic_gb(students, each)) for each in (warm, cold)]
        rows.append(
            [
                f"{students:,}",
                *(f"{students:,} × {size(each, 3)} = {about(size(all_))}" for each, all_ in found),
            ]
        )
    return table(["students", "the browser keeps what it has", "it forgets everything after each page"], rows)


def people_text(records: Records) -> str:
    """Hours of people for the answers in prose."""
    minutes, count = ASSUMED.minutes_per_answer, len(records.grading["chapters"])
    rows = []
    for students in CLASSES:
        one, all_ = (class_costs.marking_hours(students, many, minutes) for many in (1, count))
        rows.append(
            [f"{students:,}", f"{students:,} × {minutes:g} min = {about(hours(one))}", about(hours(all_))]
        )
    return table(["students", "one assignment", f"all {count}"], rows)


def summary_text(records: Records) -> str:
    """The whole course for three classes, a line for each kind of cost."""
    grading, count = records.grading, len(records.grading["chapters"])
    files, book = class_costs.files_bytes_each(grading), class_costs.gradebook_bytes_each(records.sizes)
    mib = class_costs.learner_peak_mib(records.learner, records.status)
    grading_seconds = class_costs.course_cpu_seconds(grading, records.sizes)
    running_seconds = class_costs.learner_cpu_seconds(records.status)
    reading = class_costs.reading_bytes(records.site)
    share, minutes = ASSUMED.share_online, ASSUMED.minutes_per_answer
    rows = [
        [
            "grading, CPU time",
            *(hours(class_costs.cpu_hours(students, grading_seconds)) for students in CLASSES),
        ],
        [
            f"marking prose, people at {minutes:g} min an answer",
            *(hours(class_costs.marking_hours(students, count, minutes)) for students in CLASSES),
        ],
        [
            "grader's disk",
            *(size(class_costs.disk_bytes(students, count, files, book)) for students in CLASSES),
        ],
        [
            f"memory of a hub, {share:.0%} of the class online",
            *(with_unit(class_costs.hub_gib(students, share, mib), "GiB") for students in CLASSES),
        ],
        [
            "learners' notebooks, each run once, CPU time",
            *(hours(class_costs.cpu_hours(students, running_seconds)) for students in CLASSES),
        ],
        [
            "traffic of the site",
            *(size(GB * class_costs.traffic_gb(students, reading)) for students in CLASSES),
        ],
    ]
    heads = [f"the whole course, {count} assignments", *(f"{students:,} students" for students in CLASSES)]
    return table(heads, [[what, *map(about, found)] for what, *found in rows])


TABLES = {
    "summary": summary_text,
    "assignments": assignments_text,
    "parts": parts_text,
    "grading": grading_text,
    "clock": clock_text,
    "growth": growth_text,
    "disk": disk_text,
    "learners": learners_text,
    "hub": hub_text,
    "site": site_text,
    "people": people_text,
}


def figures(records: Records) -> dict[str, str]:
    """The figures that stand in the page's sentences, by name."""
    grading, learner, status, site = records.grading, records.learner, records.status, records.site
    names, big = by_cost(records), class_costs.largest(records.sizes)
    plain = class_costs.largest(records.sizes, indexed=False)
    count, most = len(grading["chapters"]), CLASSES[-1]
    people = class_costs.marking_hours(most, count, ASSUMED.minutes_per_answer)
    machine = class_costs.cpu_hours(most, class_costs.course_cpu_seconds(grading, records.sizes))
    first, *later = (row["bytes"] for row in site["pages"])
    cold = [row["alone_bytes"] for row in site["pages"]]
    return {
        "submissions": f"{grading['submissions']}",
        "load": " to ".join(dict.fromkeys(f"{load:.0f}" for load in grading["load"])),
        "cheapest": with_unit(class_costs.submission_cpu_seconds(grading, records.sizes, names[-1]), "s"),
        "dearest": with_unit(class_costs.submission_cpu_seconds(grading, records.sizes, names[0]), "s"),
        "start": with_unit(grading["other_ways"]["kernel_start"], "s"),
        "torch": with_unit(grading["other_ways"]["import_torch"], "s"),
        "plain": with_unit(grading["other_ways"]["plain_nbgrader"], "s"),
        "sandbox_mib": with_unit(max(one["peak_mib"]["share"] for one in grading["chapters"].values()), "MiB", 3),
        "people_per_machine_hour": about(number(people / machine)),
        "useful_cores": about(f"{class_costs.useful_cores(course_parts(records))}"),
        "largest_class": f"{big['students']:,}",
        "largest_measured": f"{big['measured']}",
        "plain_gradebook": number(plain["gradebook"] / big["gradebook"]),
        "plain_feedback": number(plain["feedback"] / big["feedback"]),
        "listing": with_unit(big["listing"] * big["students"], "s"),
        "members": f"{grading['limits']['members']:,}",
        "download_bytes": size(grading["limits"]["bytes"], 3),
        "downloads": about(f"{class_costs.downloads(most, grading)}"),
        "submitted": size(max(one["bytes"]["submitted"] for one in grading["chapters"].values())),
        "job": size(grading["job_bytes"]),
        "page_kb": size(max(one["bytes"]["feedback"] for one in grading["chapters"].values())),
        "server": with_unit(class_costs.server_peak_mib(learner), "MiB", 3),
        "kernel": with_unit(class_costs.kernel_peak_mib(status), "MiB", 3),
        "smallest_kernel": with_unit(min(row["peak_mib"] for row in status["notebooks"]), "MiB", 3),
        "learner": about(with_unit(class_costs.learner_peak_mib(learner, status), "MiB", 3)),
        "next_learner": about(with_unit(class_costs.next_learner_mib(learner), "MiB", 3)),
        "minutes": f"{ASSUMED.minutes_per_answer:g}",
        "site_files": f"{site['files']:,}",
        "site_disk": size(site["disk_bytes"]),
        "first_page": size(first, 3),
        "later_page": size(sorted(later)[len(later) // 2]),
        "heaviest_page": size(max(cold), 3),
        "reading": size(class_costs.reading_bytes(site)),
        "reading_pages": f"{len(site['pages'])}",
        "learner_cpu": with_unit(class_costs.learner_cpu_seconds(status), "s", 3),
    }  # fmt: skip


class ClassCostDirective(SphinxDirective):
    """A table of the page on what a class costs, worked out from the records: `{class-cost} NAME`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table of that name."""
        name = self.arguments[0]
        if name not in TABLES:
            raise self.error(f"class-cost: got {name!r}; allowed are {', '.join(TABLES)}")
        note_records(self.env)
        return self.parse_text_to_nodes(TABLES[name](class_costs.load_records()))


class CostRole(SphinxRole):
    """{cost}`name`: one figure of the records, with its unit."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The figure of that name, as text."""
        known = figures(class_costs.load_records())
        note_records(self.env)
        if self.text not in known:
            message = self.inliner.reporter.error(
                f"cost: got {self.text!r}; allowed are {', '.join(sorted(known))}"
            )
            return [nodes.literal(text=self.text)], [message]
        return [nodes.Text(known[self.text].replace("\\~", "~"))], []


def note_records(env: Any) -> None:
    """A page is built again when a record changes."""
    results = claims.book_folder() / "results"
    for path in (*(results / "coursework").glob("*.json"), results / "status.json"):
        env.note_dependency(str(path))


def register(app: Sphinx) -> None:
    """Make the directive and the role known."""
    app.add_directive("class-cost", ClassCostDirective)
    app.add_role("cost", CostRole())
