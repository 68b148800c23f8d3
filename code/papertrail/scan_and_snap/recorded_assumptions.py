"""The ordinary layer with every assumption removed, all seeds, which takes too long for a notebook.

python -m papertrail.scan_and_snap.recorded_assumptions    run it and record it (a minute of one core)
python -m papertrail.scan_and_snap.recorded_assumptions --seeds 10    with another number of seeds
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, fields

from papertrail.experiments import load_record, results_file, rounded, save_record
from papertrail.scan_and_snap.assumptions import Assumptions, measure_assumptions

CHAPTER, NAME, SEEDS = "scan_and_snap", "assumptions", 5
COMMAND = "python -m papertrail.scan_and_snap.recorded_assumptions"


def load_assumptions() -> Assumptions:
    """The recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    record = load_record(CHAPTER, NAME)
    return Assumptions(**{field.name: record[field.name] for field in fields(Assumptions)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and record.

    Raises:
        ValueError: `--seeds` is below 1.
    """
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many, from 0 up (default: {SEEDS})")
    seeds = parser.parse_args(arguments).seeds
    results_file(CHAPTER, NAME)  # before the run: without book/ there is nowhere to record it
    found = measure_assumptions(seeds=seeds)
    command = COMMAND if seeds == SEEDS else f"{COMMAND} --seeds {seeds}"
    print(save_record(CHAPTER, NAME, command, rounded(asdict(found))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
