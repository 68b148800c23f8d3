"""Run an experiment's cells: in this process, in several of this machine, on a Dask cluster, or under torchrun.

One process writes the record. It does so after each cell, whole, by a new name for a temporary file: a run that is
killed leaves a record of what was done, and one that goes on ends with the same table.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from papertrail.experiments import QUIET, at_least_one, processes
from papertrail.experiments.records import cpu_seconds, header, peak_mib, problems, write_record
from papertrail.experiments.registry import Cell, Experiment, ExperimentError, load

TRIES = 3  # how often in a row processes may die before a single cell is done
PATIENCE = 20.0  # seconds until a scheduler that does not answer is given up
SAME = ("experiment", "settings", "seeds", "device", "versions", "tolerance")  # of all rows in a file


@dataclass(frozen=True)
class Done:
    """One cell that was run: its place in the grid, what it gave, and what it took."""

    index: int
    result: Any
    cpu: float  # seconds, of all processes that shared the cell
    wall: float
    peak_mib: int | None


def run_cell(address: str, index: int, cell: Cell, inputs: Mapping[str, Path], device: str) -> Done:
    """One cell, in whatever process this is called; torch uses one thread there."""
    torch.set_num_threads(1)
    cpu, wall = cpu_seconds(), time.monotonic()
    result = load(address).run_cell(cell, inputs, device)
    return Done(index, result, cpu_seconds() - cpu, time.monotonic() - wall, peak_mib())


class RunFile:
    """The record as it grows.

    Args:
        path: the record.
        head: its header, without what only the run will tell.
        grid: all cells.
        resume: go on with what the file holds.

    Raises:
        ExperimentError: the file is there and `resume` is not given, or it holds other rows than these would be.
    """

    def __init__(self, path: Path, head: dict[str, Any], grid: Sequence[Cell], resume: bool) -> None:
        self.path, self.head, self.grid = path, head, json.loads(json.dumps(list(grid)))
        self.rows: dict[int, tuple[Any, list[float]]] = {}
        self.wall, self.peak, self.begun = 0.0, 0, time.monotonic()
        self.read = self._stamp()
        if path.exists():
            self._take_over(resume)

    def _stamp(self) -> int | None:
        """When the file was last written; None if it is not there."""
        return self.path.stat().st_mtime_ns if self.path.exists() else None

    def check_unchanged(self) -> None:
        """Refuse to go on if another run wrote the file after this one had read it.

        Raises:
            ExperimentError: it did.
        """
        if self._stamp() != self.read:
            raise ExperimentError(f"--out: another run wrote {self.path} in the meantime; begin again")

    def _take_over(self, resume: bool) -> None:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError:
            stored = None
        if stored is None or problems(stored) or "experiment" not in stored:
            raise ExperimentError(f"--out: {self.path} is there, and is no experiment's record")
        count = f"{len(stored['table'])} of {stored['planned']} rows"
        if not resume:
            raise ExperimentError(
                f"--out: {self.path} holds {count}; go on with --resume, name another file, or remove it"
            )
        for key in SAME:
            if stored[key] != self.head[key]:
                raise ExperimentError(
                    f"--resume: {self.path} was made with other {key}: {_difference(stored[key], self.head[key])}"
                )
        places = {json.dumps(cell, sort_keys=True): i for i, cell in enumerate(self.grid)}
        for row, seconds in zip(stored["table"], stored["seconds"], strict=True):
            place = places.get(json.dumps(row["cell"], sort_keys=True))
            if place is None:
                raise ExperimentError(
                    f"--resume: {self.path} holds a cell that this grid lacks: {row['cell']}"
                )
            self.rows[place] = row["result"], seconds
        self.wall, self.peak = stored["wall_seconds"] or 0.0, stored["peak_mib"] or 0
        commits = dict.fromkeys([*stored["code"]["commits"], *self.head["code"]["commits"]])
        self.head["code"] = {**self.head["code"], "commits": list(commits)}

    @property
    def missing(self) -> list[int]:
        """Which cells have no row yet."""
        return [i for i in range(len(self.grid)) if i not in self.rows]

    def add(self, done: Done) -> None:
        """Take in a row, and write the file."""
        self.rows[done.index] = done.result, [round(done.cpu, 2), round(done.wall, 2)]
        self.peak = max(self.peak, done.peak_mib or 0)
        order = sorted(self.rows)
        seconds = [self.rows[i][1] for i in order]
        write_record(
            self.path,
            self.head
            | {
                "cpu_seconds": round(sum(cpu or 0.0 for cpu, _ in seconds), 1),
                "wall_seconds": round(self.wall + time.monotonic() - self.begun, 1),
                "peak_mib": self.peak or None,
                "planned": len(self.grid),
                "seconds": seconds,
                "table": [{"cell": self.grid[i], "result": self.rows[i][0]} for i in order],
            },
        )


def _difference(stored: Any, given: Any) -> str:
    """Where two settings differ, in one line."""
    if isinstance(stored, dict) and isinstance(given, dict):
        keys = [key for key in {**stored, **given} if stored.get(key) != given.get(key)]
        return ", ".join(f"{key}: {stored.get(key)!r:.60}, now {given.get(key)!r:.60}" for key in keys)
    return f"{stored!r:.60}, now {given!r:.60}"


def prepare(
    experiment: Experiment,
    *,
    seeds: int | None = None,
    device: str = "cpu",
    out: Path | None = None,
    resume: bool = False,
    inputs: Mapping[str, Path] | None = None,
) -> RunFile:
    """The file that a run will fill, after everything that can be refused was looked at.

    Raises:
        ExperimentError: a device, a number of seeds or an input is not allowed; as `RunFile`.
    """
    inputs = dict(inputs or {})
    if device.partition(":")[0] not in experiment.devices:
        raise ExperimentError(f"--device: got {device!r}; allowed are {', '.join(experiment.devices)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ExperimentError(f"--device: got {device!r}; there is no GPU here that torch can use")
    if inputs.keys() != experiment.inputs.keys():
        wanted = "; ".join(f"--input {name}=PATH, {what}" for name, what in experiment.inputs.items())
        raise ExperimentError(f"--input: got {', '.join(inputs) or 'none'}; needed: {wanted or 'none'}")
    planned = experiment.seeds if seeds is None else seeds
    try:
        if experiment.seeds or planned:
            at_least_one(seeds=planned)
        if planned and not experiment.seeds:
            raise ValueError(f"seeds: got {planned}; no chance plays a part in {experiment.full_name}")
        settings = experiment.stored_settings(inputs)
    except ValueError as error:
        raise ExperimentError(f"--{error}") from None
    except FileNotFoundError as error:
        raise ExperimentError(f"--input: {error}") from None
    words = [f"python -m papertrail.experiments run {experiment.full_name}"]
    words += [f"--seeds {planned}"] * (planned != experiment.seeds) + [f"--device {device}"] * (
        device != "cpu"
    )
    words += [f"--input {name}={path.name}" for name, path in inputs.items()]
    head = header(
        " ".join(words), seeds=range(planned), device=device, packages=experiment.packages
    ) | {
        "tolerance": asdict(experiment.tolerance) if experiment.tolerance else None,
        "experiment": experiment.full_name,
        "question": experiment.question,
        "settings": settings,
    }  # fmt: skip
    return RunFile(out or experiment.record, head, experiment.cells(range(planned)), resume)


def run_missing(
    address: str,
    file: RunFile,
    *,
    inputs: Mapping[str, Path] | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[Done]:
    """Run what is missing, and give each cell out when it is in the file.

    Args:
        workers: processes of this machine; 1 is this one.
        scheduler: address of a Dask scheduler, whose workers then do the work. They need the course's package, and
            the inputs under the same paths.

    Raises:
        ExperimentError: a cell failed, or processes died three times in a row before one cell was done; what was done
            before is in the file.
    """
    inputs = {name: path.resolve() for name, path in (inputs or {}).items()}
    device = file.head["device"]
    jobs = [(address, index, file.grid[index], inputs, device) for index in file.missing]
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        yield from _jointly(address, file, inputs, device)
        return
    with _alone(file.path):
        file.check_unchanged()
        how = _on_cluster(jobs, scheduler) if scheduler else _here(jobs, workers)
        for done in how:
            file.add(done)
            yield done


def _be_quiet() -> None:
    os.environ[QUIET] = "1"


def _here(jobs: list[tuple], workers: int) -> Iterator[Done]:
    if workers == 1:
        for job in jobs:
            with _named(job):
                done = run_cell(*job)
            yield done
        return
    waiting = {job[1]: job for job in jobs}
    tries = 0
    while tries < TRIES:
        tries += 1
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_be_quiet) as pool:
            running = {pool.submit(run_cell, *job): job for job in waiting.values()}
            try:
                for future in as_completed(running):
                    with _named(running[future]):
                        done = future.result()
                    del waiting[done.index]
                    tries = 0
                    yield done
            except BrokenProcessPool:
                continue  # one died, by a signal or for memory: with it go the others' halves of cells
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return
    raise ExperimentError(
        f"{len(waiting)} cells: processes died {TRIES} times in a row, as for want of memory; try fewer --workers"
    )


def _on_cluster(jobs: list[tuple], scheduler: str) -> Iterator[Done]:
    try:
        from distributed import Client
        from distributed import as_completed as as_they_come
    except ImportError:
        raise ExperimentError("--scheduler: needs the package distributed, which is not here") from None
    try:
        client = Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ExperimentError(f"--scheduler: nobody answers at {scheduler}: {error}") from None
    with client:
        running = {
            client.submit(
                run_cell, *job, key=f"papertrail-{os.urandom(6).hex()}-{job[1]}", pure=False, retries=0
            ): job
            for job in jobs
        }
        for future in as_they_come(running):
            with _named(running[future]):
                done = future.result()
            yield done


def _jointly(address: str, file: RunFile, inputs: Mapping[str, Path], device: str) -> Iterator[Done]:
    """All processes of torchrun share each cell; the first keeps the file."""
    if not load(address).joint:
        raise ExperimentError(
            "torchrun: this experiment's cells each fit one process; run it without, with --workers"
        )
    with processes(device) as (rank, _, own), _alone(file.path) if rank == 0 else nullcontext():
        missing = [file.missing]
        distributed.broadcast_object_list(missing, src=0)  # the first one's, which writes the file
        for index in missing[0]:
            done = run_cell(address, index, file.grid[index], inputs, own)
            shares: list[Any] = [None] * distributed.get_world_size()
            distributed.all_gather_object(shares, (done.cpu, done.peak_mib))
            if rank == 0:
                done = Done(index, done.result, sum(cpu for cpu, _ in shares), done.wall, shares[0][1])
                file.add(done)
                yield done
            distributed.barrier()


@contextmanager
def _named(job: tuple) -> Iterator[None]:
    """An error of a cell, with the cell in it."""
    try:
        yield
    except (BrokenProcessPool, ExperimentError):
        raise
    except Exception as error:
        raise ExperimentError(f"cell {job[2]}: {type(error).__name__}: {error}") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other runs from writing the same file.

    Raises:
        ExperimentError: another run does.
    """
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExperimentError(f"--out: another run is writing {path}") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
