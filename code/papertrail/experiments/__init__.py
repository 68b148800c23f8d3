"""What the chapters' experiments share: seeds, processes, checked sizes, progress, and records of long runs.

    python -m papertrail.experiments list | run NAME | verify

runs the long ones; `registry` says what such an experiment is.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed
from tqdm import tqdm

from papertrail.experiments.records import (
    load_file,
    load_record,
    load_results,
    results_file,
    rounded,
    save_record,
)

__all__ = [
    "at_least_one",
    "given",
    "load_file",
    "load_record",
    "load_results",
    "processes",
    "progress",
    "results_file",
    "rounded",
    "save_record",
    "seeded",
]
QUIET = "PAPERTRAIL_NO_PROGRESS"  # set in the processes of a fan-out, whose bars would write over one another

T = TypeVar("T")


def progress(items: Iterable[T], what: str) -> Iterable[T]:
    """A progress bar in a terminal, and nothing anywhere else: a stored output must not hold one."""
    return tqdm(items, desc=what, leave=False, disable=QUIET in os.environ or not sys.stderr.isatty())


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator for a block, then put the caller's state back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also reseed any GPU
        yield


@contextmanager
def processes(device: str) -> Iterator[tuple[int, int, str]]:
    """This process's rank, how many there are, and its device: as `torchrun` says, or 0 of 1.

    A process group that exists already is used, and left as it is.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield 0, 1, device
        return
    if device == "cuda":  # one GPU for each process of a machine
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    begun = not distributed.is_initialized()
    if begun:
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield distributed.get_rank(), world, device
    finally:
        if begun:
            distributed.destroy_process_group()


def given(value: T | None) -> T:
    """A value that may be None in general, where it cannot be.

    Raises:
        ValueError: it is None.
    """
    if value is None:
        raise ValueError("value: got None, where there is always one")
    return value


def at_least_one(**numbers: int) -> None:
    """Refuse sizes and seed counts below 1, by name.

    Raises:
        ValueError: a number is not an integer of at least 1.
    """
    for argument, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{argument}: got {value!r}; allowed are integers from 1 up")
