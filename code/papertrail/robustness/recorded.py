"""Do the ledger's verdicts hold over other seeds? Every check, five times, with all seeds moved."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from papertrail import claims
from papertrail.experiments.registry import Cell, Experiment, Tolerance
from papertrail.robustness.other_seeds import moved_seeds

CHAPTER, NAME = "robustness", "other_seeds"
SHIFTS = 5
STEP = 1_000_000  # no experiment's own seeds, or sums of them, come near it
FAILED = "no verdict"  # of a check that stopped with an error


def chapters() -> list[str]:
    """The ledger's chapters that have a check, in its order."""
    return list(dict.fromkeys(claim.chapter for claim in claims.load() if claim.check))


def cells(seeds: Sequence[int]) -> list[Cell]:
    """Each chapter under each shift of the seeds."""
    return [{"chapter": chapter, "shift": STEP * (seed + 1)} for chapter in chapters() for seed in seeds]


def outcome(claim: claims.Claim, stored: dict[str, Any]) -> dict[str, Any]:
    """A row's verdict now, and whether its sentence is the stored one to the last digit."""
    try:
        (found,) = claims.run([claim], {claim.id: stored})
    except claims.LedgerError as error:
        return {"id": claim.id, "verdict": FAILED, "same": False, "error": str(error)[:200]}
    same = claim.sentence(found.evidence.numbers) == claim.sentence(stored)
    return {"id": claim.id, "verdict": found.evidence.verdict, "same": same}


def verdicts(chapter: str, shift: int) -> list[dict[str, Any]]:
    """A chapter's checked rows with all seeds moved by `shift`; in this process, whose caches must be fresh."""
    stored = claims.load_evidence()
    rows = [claim for claim in claims.load() if claim.chapter == chapter and claim.check]
    with moved_seeds(shift):
        return [outcome(claim, stored[claim.id]) for claim in rows]


def measure(chapter: str, shift: int) -> list[dict[str, Any]]:
    """The same in a process of its own: several rows share measurements, which would be those of the last shift.

    Raises:
        RuntimeError: the process failed; the message ends with what it said.
    """
    command = [sys.executable, "-m", "papertrail.robustness.recorded", chapter, str(shift)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])}: exit {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def compared(result: list[dict[str, Any]]) -> dict[str, str]:
    """Verdicts have to come out again; whether a sentence is the same to its last digit depends on the processor."""
    return {row["id"]: row["verdict"] for row in result}


EXPERIMENTS = (
    Experiment(
        CHAPTER, NAME, "Do the ledger's verdicts hold over five other sets of seeds?", cells, measure, SHIFTS,
        450, 560, Tolerance(), compared=compared,
    ),
)  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(verdicts(sys.argv[1], int(sys.argv[2]))))
