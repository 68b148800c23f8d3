"""The long experiments: what there is, run one, hold a part of the records against a fresh run.

    python -m papertrail.experiments list
    python -m papertrail.experiments run NAME [--seeds N] [--device D] [--out FILE] [--resume]
    python -m papertrail.experiments verify [NAME ...]

A run goes over the cells of a grid, in local processes, on a Dask cluster (--scheduler), or under torchrun:

    dask scheduler; dask worker ADDRESS --nworkers 2 --nthreads 1      (in shells of their own, on any machines)
    torchrun --nproc-per-node 2 -m papertrail.experiments run NAME     (where the list says that cells can be shared)

The exit status is 0, or 1 where something failed or differs, 2 for a mistake in the command, 130 if stopped from the
keyboard.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from papertrail.durations import count, spell
from papertrail.experiments import load_file
from papertrail.experiments.registry import Experiment, ExperimentError, address_of, addresses, load
from papertrail.experiments.runner import RunFile, prepare, run_missing
from papertrail.experiments.verify import DIFFERENT, verify


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pairs(texts: Sequence[str]) -> dict[str, Path]:
    """NAME=PATH, as a dict.

    Raises:
        ExperimentError: a text is not of that form.
    """
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise ExperimentError(f"--input: got {text!r}; allowed is NAME=PATH")
        found[name] = Path(path)
    return found


def state(experiment: Experiment) -> str:
    """Whether it is recorded."""
    if not experiment.record.exists():
        return "not recorded"
    record = load_file(experiment.chapter, experiment.name)
    done, planned = len(record["table"]), record["planned"]
    return f"recorded {record['date']}" + (f", {done} of {planned} cells" if done < planned else "")


def show_list() -> None:
    """Every experiment in four lines."""
    for name, address in addresses().items():
        one = load(address)
        cells = len(one.cells(range(one.seeds)))
        print(f"{name}\n    {one.question}\n    {count(cells, 'cell')}, {spell(one.cpu_seconds)} of one core, "
              f"{one.peak_mib} MiB a process; {' or '.join(one.devices)}{', shared under torchrun' * one.joint}; "
              f"{state(one)}")  # fmt: skip
        for given, what in one.inputs.items():
            print(f"    --input {given}=PATH  {what}")


def expected_share(experiment: Experiment, file: RunFile) -> float:
    """How much of the planned grid's work is to be done: by seeds, and by cells that are missing."""
    planned = experiment.cells(range(experiment.seeds))
    seeds = 1.0
    if len(planned) == len(file.grid) and experiment.seeds:  # they learn side by side, in each cell
        seeds = len(file.head["seeds"]) / experiment.seeds
    return seeds * len(file.missing) / len(planned)


def announce(experiment: Experiment, file: RunFile, workers: int, scheduler: str | None) -> None:
    """The grid and what it will take, before the first cell."""
    grid, missing = file.grid, file.missing
    axes = {
        key: list(dict.fromkeys(str(c.get(key)) for c in grid)) for key in {k: 0 for c in grid for k in c}
    }
    print(f"{experiment.full_name}: {experiment.question}")
    for key, values in axes.items():
        print(f"    {key}: {', '.join(values)}")
    seconds = experiment.cpu_seconds * expected_share(experiment, file)
    where = f"{spell(seconds / workers)} in {count(workers, 'process')}"
    if scheduler:
        where = f"dealt out by {scheduler}"
    print(f"    {count(len(grid), 'cell')}, {len(missing)} to run; expected {spell(seconds)} of one core, {where}, "
          f"{experiment.peak_mib} MiB in each process")  # fmt: skip
    print(f"    into {file.path}", flush=True)


def run(options: argparse.Namespace) -> int:
    """Run one experiment.

    Raises:
        ExperimentError: an option is not allowed, or the experiment cannot run here.
    """
    address = address_of(options.name)
    experiment, inputs = load(address), pairs(options.input)
    if options.workers is not None and options.workers < 1:
        raise ExperimentError(f"--workers: got {options.workers}; allowed are integers from 1 up")
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    file = prepare(experiment, seeds=options.seeds, device=options.device, out=options.out,
                   resume=options.resume, inputs=inputs)  # fmt: skip
    alone = experiment.tolerance is None or options.device != "cpu" or world > 1
    if alone and (options.workers or 1) > 1:
        why = "where times count, on a GPU, and under torchrun"
        raise ExperimentError(f"--workers: got {options.workers}; allowed is 1 {why}")
    workers = 1 if alone else options.workers or cores()
    workers = max(1, min(workers, len(file.missing)))
    if rank == 0:
        announce(experiment, file, workers, options.scheduler)
    if not file.missing and world == 1:
        print("nothing is missing")
        return 0
    bar = tqdm(total=len(file.grid), initial=len(file.rows), desc=experiment.name, unit="cell",
               disable=rank > 0 or not sys.stderr.isatty())  # fmt: skip
    with bar:
        for done in run_missing(address, file, inputs=inputs, workers=workers, scheduler=options.scheduler):
            bar.update()
            if bar.disable:
                words = ", ".join(f"{k} {v}" for k, v in file.grid[done.index].items())
                print(f"{len(file.rows)}/{len(file.grid)}  {words}: {done.cpu:.1f} s of CPU", flush=True)
    if rank == 0:
        print(f"{file.path}: {len(file.rows)} rows")
    return 0


def check(options: argparse.Namespace) -> int:
    """Hold a random part of the records against a fresh run.

    Raises:
        ExperimentError: an option is not allowed, or a record cannot be verified here.
    """
    if options.cells < 1:
        raise ExperimentError(f"--cells: got {options.cells}; allowed are integers from 1 up")
    draw = random.Random(options.draw)
    inputs, failed = pairs(options.input), 0
    for name in options.names or addresses():
        experiment = load(address_of(name))
        found = verify(experiment, draw=draw, seconds=options.seconds, cells=options.cells, inputs=inputs)
        failed += found.verdict == DIFFERENT
        print(
            f"{found.verdict:9}  {name}: {found.says}{f'; last {found.cell}' if found.cell else ''}",
            flush=True,
        )
    return int(failed > 0)


def parser() -> argparse.ArgumentParser:
    """The options of list, run and verify."""
    top = argparse.ArgumentParser(
        prog="python -m papertrail.experiments", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, with costs, inputs and state")
    one = commands.add_parser("run", help="run one, and record it")
    one.add_argument("name", metavar="NAME", help="as the list has it, or module:name for one of your own")
    one.add_argument("--seeds", type=int, help="how many (default: as planned)")
    one.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:1")
    one.add_argument("--out", type=Path, help="the record (default: the book's)")
    one.add_argument("--resume", action="store_true", help="go on with what the record holds")
    one.add_argument(
        "--workers", type=int, help="local processes (default: one for each core; 1 where times count)"
    )
    one.add_argument(
        "--scheduler", metavar="ADDRESS", help="run on this Dask cluster; workers with one thread each"
    )
    other = commands.add_parser("verify", help="run a small random part anew and compare")
    other.add_argument("names", metavar="NAME", nargs="*", help="which (default: all)")
    other.add_argument("--cells", type=int, default=1, help="of each (default: 1)")
    other.add_argument(
        "--seconds", type=float, default=30.0, help="cells that took at most this long (default: 30)"
    )
    other.add_argument(
        "--draw", type=int, default=None, help="seed of the choice (default: another each time)"
    )
    for command in (one, other):
        command.add_argument(
            "--input", action="append", default=[], metavar="NAME=PATH", help="a file that it reads"
        )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0, 1 where a record differs or a run fails, or 2 for an option that is not allowed."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "list":
            show_list()
            return 0
        return run(options) if options.command == "run" else check(options)
    except ExperimentError as error:
        print(f"papertrail.experiments: {error}", file=sys.stderr)
        return 2 if str(error).startswith(("--", "NAME", "input", "torchrun")) else 1
    except KeyboardInterrupt:
        print("stopped" + "; --resume goes on" * (options.command == "run"), file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
