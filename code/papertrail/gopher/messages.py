"""How many messages one training step sends with each norm, counted in real processes under DistributedDataParallel.

    torchrun --nproc_per_node 2 -m papertrail.gopher.messages                    two processes here, over gloo
    torchrun --nproc_per_node 8 -m papertrail.gopher.messages --device cuda      eight GPUs, over NCCL
    torchrun --nnodes 4 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:PORT -m papertrail.gopher.messages
    python -m papertrail.gopher.messages --processes 2                           the same without torchrun, on the CPU

The net is 64-256-...-256 with eight norms of 256 features. What is counted is what a process hands to a collective
(numbers times their size); what then travels depends on the backend's algorithm and on the number of processes.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from papertrail.experiments import given, processes, seeded
from papertrail.gopher.sync_batch_norm import SyncBatchNorm

INPUTS, WIDTH, LAYERS, BATCH = 64, 256, 8, 16
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity, "LayerNorm": nn.LayerNorm, "RMSNorm": nn.RMSNorm, "BatchNorm": nn.BatchNorm1d,
    "SyncBatchNorm": SyncBatchNorm,
}  # fmt: skip
CASES = (
    ("none", True), ("LayerNorm", True), ("RMSNorm", True), ("BatchNorm", True), ("BatchNorm", False),
    ("SyncBatchNorm", True), ("SyncBatchNorm", False),
)  # fmt: skip
FLOAT = 4  # bytes
GATHERS = ("allgather", "reduce_scatter")  # calls whose first argument is the output


@dataclass(frozen=True)
class StepMessages:
    """What one training step hands to collectives, as bytes of each call in order."""

    norm: str
    broadcast_buffers: bool
    parameters: int
    gradients: list[int]  # all-reduces of DDP's buckets
    buffers: list[int]  # DDP's broadcasts of the first process's running statistics
    gathers: list[int]  # the norm's own all-gathers
    sums: list[int]  # the norm's own all-reduces
    milliseconds: float | None = None  # median time of a step, if steps were timed

    @property
    def calls(self) -> int:
        """All collectives of the step."""
        return len(self.gradients + self.buffers + self.gathers + self.sums)

    @property
    def extra_bytes(self) -> int:
        """Whatever is sent beside the gradients."""
        return sum(self.buffers + self.gathers + self.sums)


def network(norm: str) -> nn.Sequential:
    """Eight times linear, norm, ReLU, and a linear map: 64-256-...-256, from torch's generator as it stands.

    Raises:
        ValueError: norm is not one of `NORMS`.
    """
    if norm not in NORMS:
        raise ValueError(f"norm: got {norm!r}; allowed are {', '.join(NORMS)}")
    widths = [INPUTS, *[WIDTH] * LAYERS]
    layers: list[nn.Module] = []
    for width in widths[:-1]:
        layers += [nn.Linear(width, WIDTH), NORMS[norm](WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, WIDTH))


def expected_messages(norm: str, broadcast_buffers: bool = True) -> dict[str, tuple[int, int]]:
    """The same from formulas: for each field of `StepMessages`, how many calls and how many bytes in all.

    For L norms of C features: L (2C + 1) numbers gathered and 2 L C summed by synchronized BatchNorm; 2 L C running
    statistics and L counts (of 8 bytes) broadcast for either BatchNorm; 2 L C parameters, for RMSNorm L C. How many
    buckets DDP makes is its own affair: the number of calls for gradients is left at 0.
    """
    linear = (INPUTS + 1) * WIDTH + LAYERS * (WIDTH + 1) * WIDTH
    own = LAYERS * WIDTH * {"none": 0, "RMSNorm": 1}.get(norm, 2)
    statistics_too = norm in ("BatchNorm", "SyncBatchNorm") and broadcast_buffers
    synchronized = LAYERS if norm == "SyncBatchNorm" else 0
    return {
        "gradients": (0, FLOAT * (linear + own)),
        # one message for the running statistics and one for the counts, which are of another type
        "buffers": (2, LAYERS * (2 * WIDTH * FLOAT + 8)) if statistics_too else (0, 0),
        "gathers": (synchronized, synchronized * (2 * WIDTH + 1) * FLOAT),
        "sums": (synchronized, synchronized * 2 * WIDTH * FLOAT),
    }


def _handed_over(name: str, args: tuple) -> tuple[str, int]:
    """An operator's name without ornaments, and the bytes that go in."""
    name = name.removeprefix("c10d::").strip("_")
    handed = args[1] if name.startswith(GATHERS) else args[0]
    tensors = [handed] if isinstance(handed, Tensor) else handed
    return name, sum(tensor.nbytes for tensor in tensors)


class Listener(TorchDispatchMode):
    """Writes down every collective that passes PyTorch's dispatcher while it is on: its name and its bytes.

    All of torch.distributed passes there, whoever calls (Python, or DDP's reducer in C++) and whatever the backend.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func.namespace == "c10d":
            self.heard.append(_handed_over(func._schema.name, args))
        return func(*args, **(kwargs or {}))


def _note_bucket(buckets: list[int], bucket: distributed.GradBucket) -> torch.futures.Future[Tensor]:
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

    buckets.append(bucket.buffer().nbytes)
    return allreduce_hook(given(distributed.group.WORLD), bucket)


def count_step(norm: str, broadcast_buffers: bool, device: str = "cpu", timed: int = 0) -> StepMessages:
    """Train the net for a few steps in the process group that exists, and listen to the third.

    Args:
        broadcast_buffers: whether DDP sends the first process's running statistics to all before each step (its
            argument `forward_sync_buffers`, which older versions call broadcast_buffers).
        timed: steps to time afterwards.

    Raises:
        ValueError: norm is not one of `NORMS`.
        RuntimeError: something was sent that is not understood.
    """
    with seeded(0):
        model = network(norm).to(device)
    with seeded(1 + distributed.get_rank()):
        x, y = torch.randn(BATCH, INPUTS).to(device), torch.randn(BATCH, WIDTH).to(device)
    parallel = DistributedDataParallel(model)
    # By the attribute, which every version of torch has: the argument's name is another since 2.13.
    parallel.broadcast_buffers = broadcast_buffers
    buckets: list[int] = []
    parallel.register_comm_hook(buckets, _note_bucket)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        (parallel(x) - y).square().mean().backward()
        optimizer.step()

    for _ in range(2):  # DDP arranges its buckets anew in the second
        step()
    buckets.clear()
    with Listener() as listener:
        step()
    gradients = list(buckets)
    times = []
    for _ in range(timed):
        begun = time.perf_counter()
        step()
        if x.is_cuda:
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - begun))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    middle = statistics.median(times) if times else None
    return StepMessages(
        norm, broadcast_buffers, parameters, gradients, *_sort(listener.heard, gradients), middle
    )


def _sort(heard: list[tuple[str, int]], gradients: list[int]) -> tuple[list[int], list[int], list[int]]:
    """What was heard, as broadcasts, all-gathers, and the all-reduces that are no gradients."""
    by_name: dict[str, list[int]] = {"broadcast": [], "allgather": [], "allreduce": []}
    for name, size in heard:
        if name not in by_name:
            raise RuntimeError(f"a collective was heard that this count does not know: {name}, {size} bytes")
        by_name[name].append(size)
    if Counter(gradients) - Counter(by_name["allreduce"]):
        raise RuntimeError(
            f"buckets of {gradients} bytes, but heard were all-reduces of {by_name['allreduce']}"
        )
    for size in gradients:
        by_name["allreduce"].remove(size)
    return by_name["broadcast"], by_name["allgather"], by_name["allreduce"]


@dataclass(frozen=True)
class Messages:
    """Every case, counted by the first of so many processes."""

    steps: list[StepMessages]
    processes: int
    backend: str

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Messages":
        """From what `dataclasses.asdict` made, by way of JSON."""
        return cls(**stored | {"steps": [StepMessages(**step) for step in stored["steps"]]})

    def find(self, norm: str, broadcast_buffers: bool = True) -> StepMessages:
        """One case.

        Raises:
            ValueError: it is not there.
        """
        for step in self.steps:
            if (step.norm, step.broadcast_buffers) == (norm, broadcast_buffers):
                return step
        raise ValueError(f"norm: none with norm={norm!r}, broadcast_buffers={broadcast_buffers}")


def table_of_messages(messages: Messages) -> tuple[list[str], list[list[str]]]:
    """One row a case: calls and bytes, by what they are for."""

    def cell(sizes: list[int]) -> str:
        return f"{len(sizes)} × {sizes[0]:,} B" if len(set(sizes)) == 1 else _mixed(sizes)

    rows = [
        [
            step.norm + ("" if step.broadcast_buffers else ", buffers kept local"),
            f"{len(step.gradients)}, {sum(step.gradients):,} B",
            *(cell(sizes) for sizes in (step.buffers, step.gathers, step.sums)),
            str(step.calls),
        ]
        for step in messages.steps
    ]
    return ["norm", "gradients", "buffers", "norm's all-gathers", "norm's all-reduces", "calls"], rows


def _mixed(sizes: list[int]) -> str:
    return f"{len(sizes)}, {sum(sizes):,} B" if sizes else "0"


def _count_all(device: str, out: Path | None, timed: int) -> None:
    """Count every case in the group that exists; the first process prints the table and writes the file."""
    steps = [count_step(norm, buffers, device, timed) for norm, buffers in CASES]
    if distributed.get_rank():
        return
    messages = Messages(steps, distributed.get_world_size(), distributed.get_backend())
    header, rows = table_of_messages(messages)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if out is not None:
        temporary = out.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(messages), indent=1) + "\n", encoding="utf-8")
        temporary.replace(out)


def _one_of(rank: int, world: int, meeting: str, out: Path | None, timed: int) -> None:
    """One forked process: meet the others at a file, count, part."""
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    try:
        _count_all("cpu", out, timed)
    finally:
        distributed.destroy_process_group()


def start(world: int, out: Path | None = None, timed: int = 0) -> None:
    """Fork so many processes of this one, which has imported PyTorch and started no thread, and count in them."""
    import torch._dynamo  # noqa: F401  DDP imports it: once here, instead of once in each process
    from torch.multiprocessing import start_processes

    with TemporaryDirectory() as folder:
        arguments = (world, f"{folder}/meeting", out, timed)
        start_processes(_one_of, args=arguments, nprocs=world, start_method="fork")


def measure_messages(processes: int = 2, timed: int = 0, timeout: float = 110.0) -> Messages:
    """Start the processes on this machine, in a program of their own, and wait for their count.

    Args:
        timed: steps to time in each case.
        timeout: seconds until all of them are ended.

    Raises:
        ValueError: fewer than 2 processes.
        RuntimeError: the program failed, or took too long.
    """
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 2:
        raise ValueError(f"processes: got {processes!r}; allowed are integers from 2 up")
    with TemporaryDirectory() as folder:
        out = Path(folder) / "messages.json"
        command = [sys.executable, "-m", "papertrail.gopher.messages", "--processes", str(processes),
                   "--timed", str(timed), "--out", str(out)]  # fmt: skip
        here = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        program = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a group of its own, so that its children can be ended with it
        )
        try:
            _, errors = program.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            hint = "the recorded table is book/results/gopher/messages.json"
            raise RuntimeError(f"{processes} processes: no answer in {timeout:g} seconds; {hint}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            given(program.stderr).close()
        if program.returncode:
            last = next((line for line in reversed(errors.splitlines()) if line.strip()), "no message")
            raise RuntimeError(f"{processes} processes: ended with code {program.returncode}: {last}")
        return Messages.of(json.loads(out.read_text(encoding="utf-8")))


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, in the processes that torchrun started or in new ones."""
    parser = argparse.ArgumentParser(
        prog="python -m papertrail.gopher.messages", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--processes", type=int, help="start so many on this machine, without torchrun")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the net is trained")
    parser.add_argument("--timed", type=int, default=0, help="steps to time in each case")
    parser.add_argument("--out", type=Path, help="a JSON file for the counts")
    options = parser.parse_args(arguments)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if options.processes is not None:
        if options.processes < 2 or world > 1 or options.device != "cpu":
            parser.error("--processes: takes 2 or more, on the CPU, and no torchrun around it")
        start(options.processes, options.out, options.timed)
        return 0
    if world < 2:
        parser.error("one process has nobody to talk to; give --processes 2, or start this under torchrun")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device: got 'cuda', but there is no GPU here")
    with processes(options.device) as (_, _, device):
        _count_all(device, options.out, options.timed)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
