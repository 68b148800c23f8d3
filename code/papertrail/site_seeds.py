"""Which of the ledger's verdicts changed when every seed was another: a table from the recorded trial."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from papertrail import claims
from papertrail.site_status import spoken

RECORD = ("results", "robustness", "other_seeds.json")
Found = dict[str, list[Mapping[str, Any]]]


def by_row(table: Sequence[Mapping[str, Any]]) -> Found:
    """The trial's cells -> each row of the ledger with what came out, in the order of the shifts."""
    found: Found = defaultdict(list)
    for cell in sorted(table, key=lambda cell: cell["cell"]["shift"]):
        for row in cell["result"]:
            found[row["id"]].append(row)
    return dict(found)


def seeds_text(rows: Sequence[claims.Claim], record: Mapping[str, Any]) -> str:
    """How many verdicts held in every trial, and each that did not beside what came out instead."""
    found = by_row(record["table"])
    tried = [row for row in rows if row.id in found]
    fixed = sum(all(one["same"] for one in found[row.id]) for row in tried)
    moved = [row for row in tried if any(one["verdict"] != row.verdict for one in found[row.id])]
    times = len({cell["cell"]["shift"] for cell in record["table"]})
    lines = [
        f"Each of {len(tried)} checks ran {times} times more, with every seed moved. {fixed} rows said the same to the "
        f"last digit: most of them draw no random number. Of the other {len(tried) - fixed}, "
        f"{len(tried) - fixed - len(moved)} gave other numbers and the same verdict every time. "
        + ("No verdict changed." if not moved else "In the rest the verdict changed at least once:")
    ]
    if moved:
        lines += ["", f"| row | verdict | with other seeds, of {times} |", "|---|---|---|"]
    for row in moved:
        others = [one["verdict"].replace("-", " ") for one in found[row.id] if one["verdict"] != row.verdict]
        told = ", ".join(f"{others.count(one)} × {one}" for one in dict.fromkeys(others))
        link = f'<a href="claims.html#{row.id}"><code>{row.id}</code></a>'
        lines.append(f"| {link} | {row.verdict.replace('-', ' ')} | {told} |")
    if late := sum(1 for row in rows if row.check and row.id not in found):
        lines += ["", f"{late} rows are newer than this trial."]
    command = record["command"]
    return "\n".join([*lines, "", f"Recorded on {spoken(record['date'])} by `{command}`."])


class OtherSeedsDirective(SphinxDirective):
    """`{other-seeds}`: the trial's outcome in a paragraph and a table."""

    def run(self) -> list[nodes.Node]:
        """The table, or that it has not been tried; read anew whenever the record or the ledger changes."""
        path = claims.book_folder().joinpath(*RECORD)
        if not path.exists():
            return self.parse_text_to_nodes("This has not been tried yet.")
        environment: Any = self.env
        environment.note_dependency(str(path))
        for rows in sorted((claims.book_folder() / "claims").glob("*.yml")):
            self.env.note_dependency(str(rows))
        return self.parse_text_to_nodes(
            seeds_text(environment.papertrail_claims, json.loads(path.read_text(encoding="utf-8")))
        )


def register(app: Sphinx) -> None:
    """Let pages show the table."""
    app.add_directive("other-seeds", OtherSeedsDirective)
