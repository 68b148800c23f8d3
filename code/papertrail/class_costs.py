"""What a class of any size costs: arithmetic on measured figures, nothing else. The page is `class_costs_site.py`.

Names carry their units. Records: book/results/coursework/*.json (grading, class_sizes, learner, site) and status.json,
each written by one command that stands in it.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

CLASSES = (30, 300, 30_000)
SHARES_ONLINE = (0.05, 0.1, 0.25, 0.5)  # of a class, at the same time
SECONDS_PER_HOUR = 3_600
IN_ORDER = ("collect", "prepare", "feedback", "export")  # one after the other, before or after the sandboxes
SANDBOXED = ("around_kernel", "kernel")  # as many at a time as there are cores


@dataclass(frozen=True)
class Assumptions:
    """What no measurement gives. The page states each; a reader puts in their own.

    Attributes:
        minutes_per_answer: of a person, for one answer in prose.
        share_online: of a class, with a notebook open at the same time.
    """

    minutes_per_answer: float = 4.0
    share_online: float = 0.1


@dataclass(frozen=True)
class Records:
    """The measured figures: the tables of the records, and the status page's file."""

    grading: dict[str, Any]
    sizes: dict[str, Any]
    learner: dict[str, Any]
    site: dict[str, Any]
    status: dict[str, Any]


def load_records() -> Records:
    """The records of this book.

    Raises:
        FileNotFoundError: one was never made.
    """
    from papertrail.claims import book_folder

    results = book_folder() / "results"

    def read(name: str) -> dict[str, Any]:
        return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))

    tables = [read(f"coursework/{name}")["table"] for name in ("grading", "class_sizes", "learner", "site")]
    grading, sizes, learner, site = tables
    return Records(grading, sizes, learner, site, read("status"))


def at_least(least: float, **given: float) -> None:
    """Refuse numbers below `least`, by name.

    Raises:
        ValueError: a number is smaller, or is none.
    """
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
            raise ValueError(f"{name}: got {value!r}; allowed are numbers from {least:g} up")


def largest(sizes: dict[str, Any], indexed: bool = True) -> dict[str, Any]:
    """The row of the largest class whose growth was measured."""
    return max((row for row in sizes["growth"] if row["indexed"] is indexed), key=lambda row: row["students"])


def parts_cpu_seconds(grading: dict[str, Any], sizes: dict[str, Any], chapter: str) -> dict[str, float]:
    """CPU seconds of one submission by part. The export is a mean over the largest class that was measured."""
    return grading["chapters"][chapter]["cpu_seconds"] | {"export": largest(sizes)["export"]}


def submission_cpu_seconds(grading: dict[str, Any], sizes: dict[str, Any], chapter: str) -> float:
    """CPU seconds of one submission, from the download to the table of grades."""
    return sum(parts_cpu_seconds(grading, sizes, chapter).values())


def course_cpu_seconds(grading: dict[str, Any], sizes: dict[str, Any]) -> float:
    """CPU seconds of one student's submissions to all assignments."""
    return sum(submission_cpu_seconds(grading, sizes, chapter) for chapter in grading["chapters"])


def cpu_hours(students: int, seconds_each: float) -> float:
    """students x seconds / 3,600."""
    at_least(1, students=students)
    at_least(0, seconds_each=seconds_each)
    return students * seconds_each / SECONDS_PER_HOUR


def clock_seconds_each(
    cores: int, parts_seconds: dict[str, float], machines: int = 1
) -> tuple[float, float, float]:
    """What makes up a submission's time by the clock: alone, in the sandboxes, and beside them in the grader's process.

    Submissions are collected and prepared one after the other. Then the sandboxes run on all cores, while one process
    compares what comes out of them and enters it in the gradebook; with several machines, each compares its own. Then
    pages and table are written.

    Args:
        cores: of each machine.
    """
    at_least(1, cores=cores, machines=machines)
    alone = sum(parts_seconds[part] for part in IN_ORDER)
    sandboxes, beside = sum(parts_seconds[part] for part in SANDBOXED), parts_seconds["gradebook"]
    if machines > 1:
        sandboxes += parts_seconds["judge"]
    else:
        beside += parts_seconds["judge"]
    return alone, sandboxes / (cores * machines), beside


def clock_hours(students: int, cores: int, parts_seconds: dict[str, float], machines: int = 1) -> float:
    """Hours by the clock, if all cores do nothing else: at best, since nothing waits for a disk or a network.

    Of the sandboxes and of what is done beside them, the slower decides.
    """
    at_least(1, students=students)
    alone, sandboxes, beside = clock_seconds_each(cores, parts_seconds, machines)
    return students * (alone + max(sandboxes, beside)) / SECONDS_PER_HOUR


def useful_cores(parts_seconds: dict[str, float]) -> int:
    """From how many cores of one machine on it is not the sandboxes that everything waits for."""
    _, sandboxes, beside = clock_seconds_each(1, parts_seconds)
    return math.ceil(sandboxes / beside)


def gradebook_bytes_each(sizes: dict[str, Any]) -> float:
    """Bytes that one student's submission to one assignment adds to the gradebook: from the two largest classes."""
    rows = sorted((row for row in sizes["growth"] if row["indexed"]), key=lambda row: row["students"])
    small, large = rows[-2:]
    return (large["gradebook_bytes"] - small["gradebook_bytes"]) / (large["students"] - small["students"])


def files_bytes_each(grading: dict[str, Any]) -> float:
    """Bytes of the files that are kept of one submission: the mean over the chapters."""
    kept = [sum(one["bytes"].values()) for one in grading["chapters"].values()]
    return sum(kept) / len(kept)


def disk_bytes(students: int, assignments: int, files_each: float, gradebook_each: float) -> float:
    """students x assignments x (files + gradebook)."""
    at_least(1, students=students, assignments=assignments)
    at_least(0, files_each=files_each, gradebook_each=gradebook_each)
    return students * assignments * (files_each + gradebook_each)


def downloads(students: int, grading: dict[str, Any]) -> int:
    """In how many parts a class's work has to be collected, by the limits on one download: files, and bytes.

    The bytes are those of the largest chapter's right submission as the course hands it out, with outputs cleared.
    """
    at_least(1, students=students)
    each = max(one["bytes"]["submitted"] for one in grading["chapters"].values())
    limits = grading["limits"]
    return max(math.ceil(students / limits["members"]), math.ceil(students * each / limits["bytes"]))


def online(students: int, share_online: float) -> int:
    """How many of a class are online together, rounded up.

    Raises:
        ValueError: the share is not over 0 and at most 1.
    """
    at_least(1, students=students)
    if not 0 < share_online <= 1:
        raise ValueError(f"share_online: got {share_online!r}; allowed are numbers over 0 and at most 1")
    return math.ceil(round(students * share_online, 6))


def server_peak_mib(learner: dict[str, Any]) -> float:
    """Peak memory of a learner's Jupyter server: the largest of those that were measured."""
    return max(row["server_peak_mib"] for row in learner["rows"])


def kernel_peak_mib(status: dict[str, Any]) -> float:
    """Peak memory of the hungriest notebook's kernel."""
    return max(row["peak_mib"] for row in status["notebooks"])


def learner_peak_mib(learner: dict[str, Any], status: dict[str, Any]) -> float:
    """What one learner with one open notebook may need: a server and the hungriest kernel."""
    return server_peak_mib(learner) + kernel_peak_mib(status)


def next_learner_mib(learner: dict[str, Any]) -> float:
    """What one learner more adds on a machine where others are: the memory that the last one shares with nobody."""
    return max(learner["rows"], key=lambda row: row["learners"])["last_private_mib"]


def hub_gib(students: int, share_online: float, mib_each: float) -> float:
    """students x share x MiB / 1,024."""
    at_least(0, mib_each=mib_each)
    return online(students, share_online) * mib_each / 1_024


def learner_cpu_seconds(status: dict[str, Any]) -> float:
    """CPU seconds of every notebook of the course, run once."""
    return sum(row["cpu_seconds"] for row in status["notebooks"])


def reading_bytes(site: dict[str, Any]) -> int:
    """What one reader of the whole course loads, with a browser that keeps what it has."""
    return sum(row["bytes"] for row in site["pages"])


def reading_cold_bytes(site: dict[str, Any]) -> int:
    """The same with an empty cache before every page."""
    return sum(row["alone_bytes"] for row in site["pages"])


def traffic_gb(students: int, bytes_each: float) -> float:
    """students x bytes / 10^9."""
    at_least(1, students=students)
    return students * bytes_each / 1e9


def marking_hours(students: int, assignments: int, minutes_per_answer: float) -> float:
    """Hours of people: students x assignments x minutes / 60."""
    at_least(1, students=students, assignments=assignments)
    at_least(0, minutes_per_answer=minutes_per_answer)
    return students * assignments * minutes_per_answer / 60
