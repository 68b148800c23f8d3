"""The status page's tables: what was measured, beside what is allowed. Both come from book/results/status.json."""

import json
from datetime import date
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from papertrail import claims


class Budget(NamedTuple):
    """A figure of `measured` by its name, and what it stays under, in the unit."""

    what: str
    name: str
    under: int
    unit: str
    decimals: int


BUDGETS = (
    Budget("CPU time of the slowest notebook", "slowest_notebook", 60, "s", 1),
    Budget("memory of the largest notebook", "largest_notebook", 600, "MiB", 0),
    Budget("CPU time of all notebooks together", "all_notebooks", 360, "s", 0),
    Budget("CPU time of a build from nothing", "cold_build", 12, "s", 1),
    Budget("CPU time of a build after one page changed", "one_page_build", 5, "s", 1),
    Budget("CPU time of a build after nothing changed", "unchanged_build", 3, "s", 1),
    Budget("heaviest page by its own content", "own_content", 150, "kB", 1),
    Budget("heaviest page with all that it loads at first", "first_load", 600, "kB", 0),
)
MOONSHOT = 300  # kB of a first load


def spoken(day: str) -> str:
    """2026-11-26 -> 26 November 2026"""
    parts = date.fromisoformat(day)
    return f"{parts.day} {parts:%B %Y}"


def measured(status: dict[str, Any]) -> dict[str, float]:
    """The figures that have a budget, by the names that BUDGETS uses."""
    notebooks, site = status["notebooks"], status.get("site")
    figures = {
        "slowest_notebook": max(row["cpu_seconds"] for row in notebooks),
        "largest_notebook": max(row["peak_mib"] for row in notebooks),
        "all_notebooks": sum(row["cpu_seconds"] for row in notebooks),
    }
    if site:
        figures |= {f"{kind}_build": seconds for kind, seconds in site["build_cpu_seconds"].items()}
        figures |= {
            "own_content": max(row["own_kb"] for row in site["pages"]),
            "first_load": max(row["first_load_kb"] for row in site["pages"]),
        }
    return figures


def budget_text(status: dict[str, Any]) -> str:
    """The course's figures beside their budgets, each met or missed; then what was measured when, and on what."""
    lines = ["| figure | measured | budget | kept? |", "|---|---|---|---|"]
    figures, missed = measured(status), 0
    for what, name, under, unit, decimals in BUDGETS:
        if name in figures:
            missed += figures[name] >= under
            kept = "met" if figures[name] < under else "**missed**"
            lines.append(
                f"| {what} | {figures[name]:.{decimals}f}\u00a0{unit} | under {under}\u00a0{unit} | {kept} |"
            )
    if "site" not in status:
        return "\n".join([*lines, "", "Builds and pages have not been measured yet: `make status` does."])
    site = status["site"]
    pages = site["pages"]
    light = sum(row["first_load_kb"] < MOONSHOT for row in pages)
    heaviest = max(pages, key=lambda row: row["first_load_kb"])
    count = len(BUDGETS)
    verdict = f"{missed} of {count} budgets are missed." if missed else f"All {count} budgets are met."
    aim = (
        f"The aim beyond the last one is a first load under {MOONSHOT}\u00a0kB. {light} of {len(pages)} pages keep to "
        f"it; the heaviest is `{heaviest['page']}` with {heaviest['first_load_kb']:.0f}\u00a0kB."
    )
    when = (
        f"Builds and pages were measured on {spoken(site['date'])} on {site['machine']}, by `tools/status.py --site`; "
        f"{site['runs']} builds of each kind, of which the middle one counts."
    )
    return "\n".join([*lines, "", verdict, "", aim, "", when])


def status_text(status: dict[str, Any]) -> str:
    """The notebooks of book/results/status.json as a table and a sentence; a number and its unit stay on one line."""
    lines = ["| notebook | CPU time | slowest cell, by the clock | peak memory |", "|---|---|---|---|"]
    lines += [
        f"| []({n['notebook']}) | {n['cpu_seconds']:.1f}\u00a0s | {n['slowest_cell_seconds']:.1f}\u00a0s "
        f"| {n['peak_mib']:.0f}\u00a0MiB |"
        for n in status["notebooks"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in status["versions"].items())
    told = f"Measured on {spoken(status['date'])} on {status['machine']}, by `make status`."
    return "\n".join([*lines, "", f"{told} Versions: {versions}."])


class StatusDirective(SphinxDirective):
    """Run time, peak memory and versions of every notebook."""

    def run(self) -> list[nodes.Node]:
        """The table, read anew whenever the status file changes."""
        path = claims.book_folder() / "results" / "status.json"
        self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(self.text(json.loads(path.read_text(encoding="utf-8"))))

    def text(self, status: dict[str, Any]) -> str:
        """What the directive shows, as Markdown."""
        return status_text(status)


class BudgetDirective(StatusDirective):
    """The figures of the whole course beside their budgets."""

    def text(self, status: dict[str, Any]) -> str:
        """The budgets in the place of the measurements."""
        return budget_text(status)
