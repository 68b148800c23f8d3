"""What waiting threads cost on busy cores: small matrix products with one thread, two passive ones, two spinning ones.

    .venv/bin/python benchmarks/threads.py [--record] [--quick]

Before you start says that waiting threads made small kernels many times slower on shared cores, and the course sets
`OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE`. Here one process for each setting does the same training steps of a small
net, in turn, while a loop of Python keeps every core busy: here the load is part of the measurement. Times of one step
are in CPU seconds and by the clock. Each process compares its net with float64 first. `--record` writes
book/results/project/threads.json.
"""

import os
import subprocess
import sys
import time
from functools import partial

import torch
from torch import nn

from papertrail.benchmarking import Yardstick, alternate, finish, parse, parser, refuse_wrong, with_gradients

SETTINGS = {
    "one thread": {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    "two threads, passive": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
    "two threads, spinning": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "ACTIVE"},
}
STEPS, BATCH, WIDTH = 10, 64, 256
COMMAND = "python benchmarks/threads.py --record"


def serve() -> int:
    """One setting's process: it compares, then does as many steps as each line says, and prints milliseconds of one."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, WIDTH, generator=generator)
    weights = [torch.randn(WIDTH, WIDTH, generator=generator) / WIDTH**0.5 for _ in range(4)]

    def net(*weights: torch.Tensor) -> torch.Tensor:
        hidden = x.to(weights[0].dtype)
        for weight in weights:
            hidden = nn.functional.gelu(hidden @ weight)
        return hidden

    single, double = ([w.to(t).requires_grad_() for w in weights] for t in (torch.float32, torch.float64))
    ones = torch.ones(BATCH, WIDTH)
    expected = with_gradients(net, double, ones.double())
    refuse_wrong(os.environ["OMP_NUM_THREADS"] + " threads", with_gradients(net, single, ones), expected)
    print("ready", flush=True)
    for line in sys.stdin:
        steps = int(line)
        cpu, clock = time.process_time(), time.perf_counter()
        for _ in range(steps):
            with_gradients(net, single, ones)
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
        print(cpu / steps * 1e3, clock / steps * 1e3, flush=True)
    return 0


def once(process: subprocess.Popen) -> list[float]:
    """Milliseconds of CPU and by the clock of one step, from a process that waits for a line."""
    process.stdin.write(f"{STEPS}\n")
    process.stdin.flush()
    return [float(number) for number in process.stdout.readline().split()]


def measure(rounds: int, yardstick: Yardstick) -> dict[str, dict[str, list[float]]]:
    """Quartiles of milliseconds, by setting, while every core is busy.

    Raises:
        RuntimeError: a process ended before it was ready.
    """
    command = [sys.executable, __file__, "--serve"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started: list[subprocess.Popen] = []
    try:
        for setting in SETTINGS.values():
            started.append(subprocess.Popen(command, env=os.environ | setting, **pipes))
        for name, process in zip(SETTINGS, started, strict=True):
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"{name}: its process ended with code {process.wait()}")
        ways = {name: partial(once, process) for name, process in zip(SETTINGS, started, strict=True)}
        for _ in range(os.cpu_count() or 1):
            started.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
        found = alternate(ways, rounds, yardstick)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return {name: {"cpu": cpu, "clock": clock} for name, (cpu, clock) in found.items()}


def main() -> int:
    if sys.argv[1:] == ["--serve"]:
        return serve()
    given = parse(parser(__doc__, "two minutes of every core", rounds=11, quick_rounds=3))
    yardstick = Yardstick()
    data = {"settings": measure(given.rounds, yardstick), "cores": os.cpu_count(), "steps": STEPS}
    for name, times in data["settings"].items():
        (low, cpu, high), clock = times["cpu"], times["clock"][1]
        print(
            f"{name:22} {cpu:8.2f} ms of CPU a step ({low:.2f} to {high:.2f}), {clock:8.2f} ms by the clock"
        )
    return finish(given, ("project", "threads"), COMMAND, data, yardstick)


if __name__ == "__main__":
    raise SystemExit(main())
