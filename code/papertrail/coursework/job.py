"""One submission's run: start a kernel in the sandbox, feed it the cells, keep what its probes send.

    python -m papertrail.coursework.job FOLDER BASE < job.json > outcome.json

Started by `sandbox.run` inside the first step of the sandbox. Whatever the kernel says is data: only messages of
probes are kept, all others are counted and dropped.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

# Notebooks are not validated here (the grader has done that), and this optional part of the validator costs two
# seconds of CPU to import: more than everything else in this process.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # Python's own way to refuse an import

import nbformat
import psutil
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, DeadKernelError
from nbformat import NotebookNode

from .probes import MIME
from .sandbox import NOBODY, Cell, Limits, Outcome, call_filter, inner_command

STEP = 0.2  # seconds between two looks at what the kernel uses
GRACE = 5.0  # seconds by the clock between the request to stop and the end of the kernel
ANSWERS = 200  # probe messages that are kept for one cell
RESTARTS = 3
KEPT = ("name", "value", "error", "text", "points", "tolerance", "says")


class Client(NotebookClient):
    """A notebook client that keeps the messages of probes and nothing else."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self.shown = 0
        self.sent: list[dict] = []
        self.error = self.text = ""

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> None:
        """Take a probe's message, note an error, count the rest; a malformed message is dropped.

        Raises:
            CellExecutionComplete: the kernel is idle, so the cell is done; this is how nbclient is told.
        """
        kind, content = msg.get("msg_type"), msg.get("content")
        if not isinstance(content, dict):
            return
        if kind == "status" and content.get("execution_state") == "idle":
            raise CellExecutionComplete
        if kind == "error":
            self.error, self.text = str(content.get("ename"))[:60], str(content.get("evalue"))[:200]
        elif kind == "display_data" and isinstance(content.get("data"), dict):
            answer = content["data"].get(MIME)
            if isinstance(answer, dict) and len(self.sent) < ANSWERS and self.shown <= self.limits.output:
                self.sent.append({key: answer[key] for key in KEPT if key in answer})
        if kind in (
            "stream",
            "display_data",
            "execute_result",
            "error",
            "update_display_data",
            "comm_open",
            "comm_msg",
        ):
            self.shown += len(str(content))


class Watch:
    """Looks at what the kernel's processes use, and interrupts or ends them when it is too much."""

    def __init__(self, client: Client, manager: AsyncKernelManager, limits: Limits, deadline: float) -> None:
        self.client, self.manager, self.limits, self.deadline = client, manager, limits, deadline
        started: Any = manager.provisioner  # a LocalProvisioner, whose process runs by now
        self.process = psutil.Process(started.process.pid)
        self.peak, self.cpu, self.before, self.why, self.ended = 0, 0.0, 0.0, "", False
        self.began = time.monotonic()
        self.asked: float | None = None

    def usage(self) -> tuple[float, int]:
        """CPU seconds and resident bytes of all processes."""
        cpu, resident = 0.0, 0
        with contextlib.suppress(psutil.Error):
            for process in [self.process, *self.process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    cpu += times.user + times.system
                    resident += process.memory_info().rss
        return cpu, resident

    def next_cell(self) -> None:
        """A new cell begins: its clocks start at zero."""
        self.before, self.began, self.asked, self.why = self.cpu, time.monotonic(), None, ""

    async def look(self) -> None:
        """Look, until cancelled."""
        while not self.ended:
            await asyncio.sleep(STEP)
            await self.look_once()

    async def look_once(self) -> None:
        """Look, and act on what is too much."""
        cpu, resident = self.usage()
        self.peak, self.cpu = max(self.peak, resident), max(self.cpu, cpu)
        wall, limits = time.monotonic() - self.began, self.limits
        if time.monotonic() > self.deadline:
            await self.end("was running when the time for all cells was over")
        elif resident > limits.resident:
            await self.end(f"used more than {limits.resident // 1_000_000} MB of memory")
        elif self.client.shown > limits.output:
            await self.end(f"printed or showed more than {limits.output // 1_000_000} MB")
        elif self.asked is not None and time.monotonic() - self.asked > GRACE:
            await self.end(f"{self.why}, and could not be interrupted")
        elif self.asked is None and (cpu - self.before > limits.cell_cpu or wall > limits.cell_wall):
            slow = (
                f"{limits.cell_cpu:g} s of computing"
                if wall <= limits.cell_wall
                else f"{limits.cell_wall:g} s"
            )
            self.why, self.asked = f"took longer than {slow}", time.monotonic()
            await self.manager.interrupt_kernel()

    async def end(self, why: str) -> None:
        """End the kernel and all its processes."""
        self.why, self.ended = why, True
        await self.manager.signal_kernel(9)


def filled_pipe(content: bytes) -> int:
    """A file descriptor from which `content` can be read, once."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(content)
    return reading


def why_not(run: Path, base: Path, limits: Limits) -> str:
    """What the sandbox says when it shall start nothing but `true`; "" if that works. Nothing of a student's runs."""
    calls = filled_pipe(call_filter())
    argv = inner_command(run, base, "", limits, calls)
    command = [*argv[: argv.index("/env/bin/python")], "/usr/bin/true"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=60, pass_fds=(calls,))
    finally:
        os.close(calls)
    return tried.stderr.strip() if tried.returncode else ""


@contextlib.asynccontextmanager
async def kernel(
    folder: Path, base: Path, seed: str, limits: Limits, deadline: float
) -> AsyncIterator[tuple[Client, "Watch"]]:
    """A client with a fresh kernel in the sandbox, and the watch over it; both are gone afterwards.

    Raises:
        RuntimeError: the kernel does not start; the message is what the sandbox said.
    """
    specs = folder / "kernels" / "boxed"
    specs.mkdir(parents=True, exist_ok=True)
    # A new folder for each kernel: what an earlier one left behind, or leaves while it dies, is in no one's way.
    run = Path(tempfile.mkdtemp(dir=folder, prefix="run"))
    calls = filled_pipe(call_filter())
    argv = inner_command(run, base, seed, limits, calls)
    spec = {"argv": argv, "display_name": "boxed", "language": "python", "interrupt_mode": "message"}
    (specs / "kernel.json").write_text(json.dumps(spec))
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, limits.message)  # a larger message never reaches this process's memory
    manager = AsyncKernelManager(
        kernel_name="boxed", kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs.parent)]),
        transport="ipc", ip=str(run / "k"), connection_file=str(run / "kernel.json"), context=context,
    )  # fmt: skip
    manager.write_connection_file()
    if os.geteuid() == 0:
        for path in (run, run / "kernel.json"):
            os.chown(path, NOBODY, NOBODY)
    run.chmod(0o700)
    client = Client(
        nbformat.v4.new_notebook(),
        km=manager,
        limits=limits,
        timeout=None,
        allow_errors=True,
        startup_timeout=90,
    )
    await client.async_start_new_kernel(stdout=DEVNULL, stderr=DEVNULL, pass_fds=(calls,))
    os.close(calls)
    watching = None
    try:
        watch = Watch(client, manager, limits, deadline)
        watching = asyncio.create_task(watch.look())
        try:
            await client.async_start_new_kernel_client()
        except RuntimeError as error:
            raise RuntimeError(why_not(run, base, limits) or str(error)) from None
        yield client, watch
    finally:
        if watching:
            watching.cancel()
        with contextlib.suppress(Exception):
            if client.kc is not None:
                client.kc.stop_channels()
        with contextlib.suppress(Exception):
            await manager.shutdown_kernel(now=True)
        context.destroy(linger=0)
        shutil.rmtree(run, ignore_errors=True)


async def one_pass(
    cells: list[str],
    left_out: set[int],
    outcome: Outcome,
    start: AbstractAsyncContextManager[tuple[Client, Watch]],
) -> tuple[int | None, str]:
    """Run the cells that are not left out, into `outcome`; returns the cell that ended the kernel, with the reason."""
    async with start as (client, watch):
        try:
            for index, source in enumerate(cells):
                if index in left_out or not source.strip():
                    continue
                client.sent, client.error, client.text = [], "", ""
                watch.next_cell()
                client.nb.cells = [nbformat.v4.new_code_cell(source)]
                try:
                    await client.async_execute_cell(client.nb.cells[0], 0)
                    await watch.look_once()
                    if watch.ended:
                        raise DeadKernelError
                except DeadKernelError:
                    outcome.cells[index] = Cell(client.sent, "killed", client.error, client.text)
                    return index, watch.why or "ended its kernel"
                except Exception:
                    # What came is no message, or holds what no text can hold. That is no reason to fail the job.
                    outcome.cells[index] = Cell(client.sent, "killed", client.error, client.text)
                    return index, watch.why or "sent what is no message of a notebook"
                ended = "too slow" if watch.asked is not None else "error" if client.error else "done"
                outcome.cells[index] = Cell(client.sent, ended, client.error, client.text)
            return None, ""
        finally:
            outcome.cpu_seconds += watch.cpu
            outcome.resident = max(outcome.resident, watch.peak)


async def execute(cells: list[str], seed: str, limits: Limits, folder: Path, base: Path) -> Outcome:
    """Run the cells; one that ends its kernel is left out of a new run of the others, up to RESTARTS times."""
    outcome = Outcome([Cell() for _ in cells], [])
    left_out: set[int] = set()
    deadline = time.monotonic() + limits.whole_wall
    for _ in range(RESTARTS + 1):
        guilty, why = await one_pass(cells, left_out, outcome, kernel(folder, base, seed, limits, deadline))
        if guilty is None:
            break
        outcome.notes.append((guilty, why))
        if time.monotonic() > deadline:
            outcome.notes.append((None, f"all cells together took longer than {limits.whole_wall:g} s"))
            break
        slow = {index for index, cell in enumerate(outcome.cells) if cell.ended == "too slow"}
        left_out |= {guilty, *slow}
    return outcome


def main() -> int:
    """Read the job from standard input, run it, and write the outcome to standard output."""
    folder, base = map(Path, sys.argv[1:3])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing else may write where the outcome goes
    job = json.load(sys.stdin)
    outcome = asyncio.run(execute(job["cells"], job["seed"], Limits(**job["limits"]), folder, base))
    outcome.job_cpu_seconds = time.process_time()
    json.dump(asdict(outcome), out)
    out.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
