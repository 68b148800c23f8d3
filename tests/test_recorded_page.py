"""The table of recorded runs has every record, and says what stands in it."""

import subprocess
import sys

from papertrail.experiments.registry import addresses
from papertrail.recorded_page import experiment_files, recorded_text

RECORD = {
    "experiment": "some_chapter.some_run", "question": "Why?", "table": [{}] * 3, "seeds": [0, 1], "cpu_seconds": 720.0,
    "peak_mib": 300, "date": "2026-01-02", "code": {"papertrail": "0.8.0", "commits": []},
}  # fmt: skip


def test_a_row_says_what_the_record_says():
    *_, row = recorded_text([RECORD]).splitlines()
    plain = row.replace("<wbr>", "").replace("\\", "")
    assert plain == (
        "| some_chapter.some_run | Why? | 3 cells, 2 seeds, 12 min of one core, 300 MiB; 2026-01-02, version 0.8.0 |"
    )


def test_one_is_one_and_what_is_not_known_is_left_out():
    row = recorded_text([RECORD | {"table": [{}], "seeds": [0], "peak_mib": None}]).splitlines()[-1]
    assert "| 1 cell, 1 seed, 12 min of one core; 2026-01-02" in row
    assert "| 3 cells, 12 min of one core," in recorded_text(
        [RECORD | {"seeds": []}]
    )  # measured, nothing drawn


def test_every_experiment_is_in_it():
    names = {f"{path.parent.name}.{path.stem}" for path in experiment_files()}
    assert names == set(addresses())


def test_the_site_is_built_without_torch():
    code = "import sys, papertrail.site; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
