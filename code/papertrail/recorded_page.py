"""The site's table of recorded runs. It reads the records alone: building the site takes no torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from papertrail.claims import book_folder
from papertrail.durations import count, spell


def recorded_text(records: Sequence[dict[str, Any]]) -> str:
    """A row for each experiment's record: what it asks, and what it took, when and with which version."""
    lines = ["| run | what it asks | what it took |", "|---|---|---|"]
    for record in records:
        # a long name may break on a phone, and is copied whole
        name = record["experiment"].replace(".", ".<wbr>").replace("_", "\\_<wbr>")
        parts = [count(len(record["table"]), "cell")]
        parts += [count(len(record["seeds"]), "seed")] if record["seeds"] else []
        parts += [f"{spell(record['cpu_seconds'])} of one core"]
        parts += [f"{record['peak_mib']} MiB"] if record["peak_mib"] else []
        took = f"{', '.join(parts)}; {record['date']}, version {record['code']['papertrail']}"
        lines.append(f"| {name} | {record['question']} | {took} |")
    return "\n".join(lines)


def experiment_files() -> list[Path]:
    """The records of experiments, by chapter and name."""
    files = sorted(book_folder().glob("results/*/*.json"))
    return [path for path in files if '"experiment":' in path.read_text(encoding="utf-8")]


class RecordedDirective(SphinxDirective):
    """Every recorded experiment."""

    def run(self) -> list[nodes.Node]:
        files = experiment_files()
        for path in files:
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(
            recorded_text([json.loads(path.read_text(encoding="utf-8")) for path in files])
        )
