"""Small experiments for the runner's tests: quick cells, some of which end their own process once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import distributed

from papertrail.experiments import processes, seeded
from papertrail.experiments.registry import Experiment, Tolerance

MARKS = "TOY_MARKS"  # environment: a folder in which a cell notes that it began


def draw(size: int, seed: int) -> dict:
    """Numbers that depend on nothing but the cell. Cell (3, 1) kills its process when it first begins."""
    mark = Path(os.environ[MARKS]) / f"{size}-{seed}-{time.monotonic_ns()}-{os.getpid()}"
    first = not list(mark.parent.glob(f"{size}-{seed}-*"))
    mark.touch()
    if (size, seed) == (3, 1) and first and os.environ.get("TOY_KILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("TOY_SLEEP", "0")))
    with seeded(seed):
        return {"numbers": torch.randn(size).tolist(), "what": f"{size} of seed {seed}"}


def shared(size: int, seed: int, device: str = "cpu") -> dict:
    """A sum of squares whose terms are dealt out to the processes."""
    with seeded(seed):
        numbers = torch.randn(8 * size)
    with processes(device) as (rank, world, _):
        total = numbers[rank::world].square().sum()
        if world > 1:
            distributed.all_reduce(total)
    return {"sum": total.item()}


def fails(size: int, seed: int) -> dict:
    raise ZeroDivisionError("as it was meant to")


def cells(seeds) -> list[dict]:
    return [{"size": size, "seed": seed} for size in (1, 2, 3) for seed in seeds]


def toy(name: str, measure, **options) -> Experiment:
    return Experiment("toy", name, "Does it run?", cells, measure, 2, 1, 300, Tolerance(1e-3), **options)


def in_a_process_of_its_own(size: int) -> dict:
    """Half a second of work on 500 MB, none of it in this process."""
    work = "import time\nx = bytearray(500_000_000)\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    return {"size": size}


EXPERIMENTS = (
    Experiment(
        "toy",
        "times",
        "Who did the work?",
        lambda seeds: [{"size": 1}],
        in_a_process_of_its_own,
        0,
        1,
        300,
        None,
    ),
    toy("draw", draw),
    toy("shared", shared, devices=("cpu", "cuda"), joint=True),
    toy("fails", fails),
    toy("reads", draw, inputs={"text": "any text"}),
    toy("dies", lambda size, seed: os.kill(os.getpid(), signal.SIGKILL)),
)
