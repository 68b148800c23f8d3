"""What the chapters' experiments share: seeds, processes, checked sizes, progress, and records of long runs."""

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed
from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str) -> Iterable[T]:
    """A progress bar in a terminal, and nothing anywhere else: a stored output must not hold one."""
    return tqdm(items, desc=what, leave=False, disable=not sys.stderr.isatty())


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


def at_least_one(**numbers: int) -> None:
    """Refuse sizes and seed counts below 1, by name.

    Raises:
        ValueError: a number is not an integer of at least 1.
    """
    for argument, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{argument}: got {value!r}; allowed are integers from 1 up")


def results_file(chapter: str, name: str) -> Path:
    """Where a recorded run lies: book/results/<chapter>/<name>.json.

    Raises:
        LedgerError: there is no book/ folder here.
    """
    from papertrail.claims import book_folder

    return book_folder() / "results" / chapter / f"{name}.json"


def save_record(
    chapter: str, name: str, command: str, data: dict[str, Any], *, packages: Sequence[str] = ("torch",)
) -> Path:
    """Keep the results of a long run with what made them: command, day, machine, versions, time and memory.

    Time and memory are those of this process so far. The file is replaced whole or not at all.

    Raises:
        ValueError: `data` has a name that the record uses itself.
    """
    import resource

    record: dict[str, Any] = {
        "command": command,
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, one thread",
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in packages},
        "cpu_seconds": round(time.process_time(), 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if clash := record.keys() & data.keys():
        raise ValueError(f"data: has {sorted(clash)}, which the record fills in itself")
    path = results_file(chapter, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record | data, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def rounded(value: Any) -> Any:
    """Numbers to four significant digits, wherever they are in dicts and lists: a record stays small enough to read."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def load_record(chapter: str, name: str) -> dict[str, Any]:
    """A recorded run.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    return json.loads(results_file(chapter, name).read_text(encoding="utf-8"))
