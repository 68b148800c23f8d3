"""How long an all-reduce between two processes of one machine takes, by its size.

    .venv/bin/python benchmarks/message_sizes.py [--record] [--quick]

Chapter 5 says that a message of 2 kB takes about as long as one of a few bytes: waiting is what costs. Two processes
on one machine, PyTorch's gloo. Times are by the clock, since a process that waits computes nothing; so they want two
idle cores, and the order says more than the number. The sizes take turns in every round, and the sums are compared with
those in float64 first. `--record` writes book/results/gopher/message_sizes.json.
"""

import time
from argparse import Namespace
from functools import partial
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, distributed
from torch.multiprocessing import start_processes

from papertrail.benchmarking import Yardstick, alternate, finish, parse, parser, refuse_wrong

SIZES = (4, 512, 2048, 8192, 65_536, 1_048_576, 4_194_304)  # bytes
REPEATS, PROCESSES = 50, 2
COMMAND = "python benchmarks/message_sizes.py --record"


def numbers(size: int, rank: int) -> Tensor:
    """What one process sends: float32, so many bytes."""
    return torch.randn(size // 4, generator=torch.Generator().manual_seed(rank))


def check() -> None:
    """The sum of all processes' numbers against the same in float64.

    Raises:
        WrongResult: it is off by more than round-off.
    """
    for size in SIZES:
        found = numbers(size, distributed.get_rank())
        distributed.all_reduce(found)
        expected = sum(numbers(size, rank).double() for rank in range(PROCESSES))
        refuse_wrong(f"{size} bytes", [found], [expected])


def once(message: Tensor) -> tuple[float]:
    """Microseconds by the clock of one all-reduce: the mean of some, one after the other."""
    distributed.barrier()
    start = time.perf_counter()
    for _ in range(REPEATS):
        distributed.all_reduce(message)
    return ((time.perf_counter() - start) / REPEATS * 1e6,)


def one_of(rank: int, folder: str, given: Namespace) -> None:
    """One process: meet the other, compare, time. The first one tells and keeps what it found."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES)
    try:
        check()
        yardstick = Yardstick()
        ways = {str(size): partial(once, torch.zeros(size // 4)) for size in SIZES}
        found = {size: times for size, (times,) in alternate(ways, given.rounds, yardstick).items()}
    finally:
        distributed.destroy_process_group()
    if rank == 0:
        for size, (low, middle, high) in found.items():
            print(f"{int(size):9,} bytes  {middle:9.1f} µs ({low:.1f} to {high:.1f})", flush=True)
        data = {"microseconds": found, "processes": PROCESSES, "backend": "gloo", "repeats": REPEATS}
        finish(given, ("gopher", "message_sizes"), COMMAND, data, yardstick)


def main() -> int:
    given = parse(parser(__doc__, "a quarter of a minute", rounds=21))
    with TemporaryDirectory() as folder:
        start_processes(one_of, args=(folder, given), nprocs=PROCESSES, start_method="fork")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
