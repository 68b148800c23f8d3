"""Records of long runs: what a chapter draws and nobody wants to wait for, with all that is needed to make it again.

A record is book/results/<chapter>/<name>.json: a header that says what made it, and under "table" what was found.
`HEADER` is the schema of the header; a test holds every record of the course to it.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import papertrail

BEGUN = time.monotonic()  # this process's, or near enough: the module is imported before any work begins
SCHEMA = 1
HEADER: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "command": (str,),  # which makes the record anew, files by their names alone
    "date": (str,),  # on which the run began, or was gone on with
    "machine": (str,),  # its kind
    "device": (str,),
    "code": (dict,),  # {"papertrail": version, "commits": [those that rows were made with]}
    "versions": (dict,),
    "seeds": (list,),  # [] where no chance plays a part
    "cpu_seconds": (int, float),
    "wall_seconds": (int, float, type(None)),  # None: made before it was measured
    "peak_mib": (int, type(None)),  # of the largest process; None: not known
    "tolerance": (dict, type(None)),  # None: times, which come out the same nowhere
    "table": (dict, list),
}
OPTIONAL: dict[str, tuple[type, ...]] = {
    "experiment": (str,),  # its name in `papertrail.experiments`
    "question": (str,),  # what it answers
    "settings": (dict,),  # whatever the numbers depend on beside the cell
    "planned": (int,),  # rows of the whole table
    "seconds": (list,),  # by row, CPU and clock; None where a row is older than the measurement
}


def results_file(chapter: str, name: str) -> Path:
    """Where a recorded run lies: book/results/<chapter>/<name>.json.

    Raises:
        LedgerError: there is no book/ folder here.
    """
    from papertrail.claims import book_folder

    return book_folder() / "results" / chapter / f"{name}.json"


def problems(record: Any) -> list[str]:
    """What is wrong with a record's form: one line a fault, none where it is in order."""
    if not isinstance(record, dict):
        return [f"record: got {type(record).__name__}; allowed is an object"]
    found = [f"{key}: missing" for key in HEADER if key not in record]
    for key, value in record.items():
        kinds = HEADER.get(key) or OPTIONAL.get(key)
        if kinds is None:
            found.append(f"{key}: no such name; allowed are {', '.join([*HEADER, *OPTIONAL])}")
        elif not isinstance(value, kinds) or isinstance(value, bool):
            found.append(f"{key}: got {value!r:.60}; allowed is {' or '.join(k.__name__ for k in kinds)}")
    if found:
        return found
    if record["schema"] != SCHEMA:
        found.append(f"schema: got {record['schema']}; allowed is {SCHEMA}")
    if "/" in record["command"].replace("benchmarks/", ""):
        found.append(f"command: {record['command']!r} names a folder of somebody's machine")
    if not {"papertrail", "commits"} <= record["code"].keys():
        found.append(f"code: got {sorted(record['code'])}; allowed are papertrail and commits")
    if "python" not in record["versions"]:
        found.append("versions: python is missing")
    if record["tolerance"] is not None and record["tolerance"].keys() != {"relative", "absolute"}:
        found.append(f"tolerance: got {sorted(record['tolerance'])}; allowed are absolute and relative")
    if "experiment" in record:
        found += [f"{key}: missing, in an experiment's record" for key in OPTIONAL if key not in record]
        if not isinstance(record["table"], list):
            found.append("table: an experiment's is a list of rows")
        elif not all(isinstance(row, dict) and row.keys() == {"cell", "result"} for row in record["table"]):
            found.append("table: a row is no {cell, result}")
        elif len(record.get("seconds", [])) != len(record["table"]):
            found.append("seconds: there must be one pair for each row")
    return found


def code_version() -> dict[str, Any]:
    """The package's version, and the commit it lies in, with a + if files under code/ differ from it."""
    here = Path(__file__).parent
    commits = []
    try:
        git = ["git", "-C", str(here)]
        commit = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", str(here.parent)], capture_output=True, text=True
        )
        if commit.returncode == 0:
            commits = [commit.stdout.strip() + ("+" if changes.stdout.strip() else "")]
    except FileNotFoundError:
        pass  # no git here, and so no commit
    return {"papertrail": papertrail.__version__, "commits": commits}


def machine_kind(device: str = "cpu") -> str:
    """System, architecture, processor, cores and accelerator: the kind of a machine, and not its name."""
    kind = f"{platform.system()} {platform.machine()}"
    processors = Path("/proc/cpuinfo")
    if processors.exists():
        names = re.findall(r"^model name\s*: (.+)$", processors.read_text(encoding="utf-8"), re.MULTILINE)
        kind += "".join(f", {name}" for name in names[:1])
    kind += f", {os.cpu_count()} cores"
    return f"{kind}, {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else kind


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended; of itself alone where the system tells no more."""
    try:
        import resource
    except ImportError:
        return time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_mib() -> int | None:
    """Peak resident memory of this process, or of the largest of its children that have ended; None where unknown.

    The system's own figure where it has one: `ru_maxrss` begins with what the process that started this one had.
    """
    status = Path("/proc/self/status")
    if status.exists():
        import resource

        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return round(max(int(line.split()[1]), children) / 1024)
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def release(package: str) -> str:
    """A package's version as it gives it itself, if it is imported: torch's names the build, as in 2.13.0+cu130."""
    return str(getattr(sys.modules.get(package), "__version__", None) or version(package))


def header(
    command: str, *, seeds: Sequence[int] = (), device: str = "cpu", packages: Sequence[str] = ("torch",)
) -> dict[str, Any]:
    """What made a record, as far as it is known before the work: time, memory, tolerance and table are not."""
    return {
        "schema": SCHEMA,
        "command": command,
        "date": date.today().isoformat(),
        "machine": machine_kind(device),
        "device": device,
        "code": code_version(),
        "versions": {"python": platform.python_version()}
        | {package: release(package) for package in packages},
        "seeds": list(seeds),
    }


def write_record(path: Path, record: Mapping[str, Any]) -> Path:
    """Put a record into its file, whole or not at all.

    Raises:
        ValueError: it is not in order.
    """
    if found := problems(record):
        raise ValueError("; ".join(found))
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path


def save_record(
    chapter: str,
    name: str,
    command: str,
    data: Mapping[str, Any],
    *,
    seeds: Sequence[int] = (),
    packages: Sequence[str] = ("torch",),
    tolerance: Mapping[str, float] | None = None,
) -> Path:
    """Keep the results of a run that is no experiment of the list: a benchmark's, or a library's.

    Time and memory are those of this process and its children so far.

    Raises:
        ValueError: as `write_record`.
    """
    record = header(command, seeds=seeds, packages=packages) | {
        "cpu_seconds": round(cpu_seconds(), 1),
        "wall_seconds": round(time.monotonic() - BEGUN, 1),
        "peak_mib": peak_mib(),
        "tolerance": dict(tolerance) if tolerance else None,
        "table": dict(data),
    }
    return write_record(results_file(chapter, name), record)


def rounded(value: Any) -> Any:
    """Numbers to four significant digits, wherever they are in dicts and lists: a record stays small enough to read."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def load_file(chapter: str, name: str) -> dict[str, Any]:
    """A whole record, header and table.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    return json.loads(results_file(chapter, name).read_text(encoding="utf-8"))


def load_record(chapter: str, name: str) -> Any:
    """A record's table.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    return load_file(chapter, name)["table"]


def load_results(chapter: str, name: str) -> list[Any]:
    """What an experiment found, by cell of its grid.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    return [row["result"] for row in load_record(chapter, name)]
