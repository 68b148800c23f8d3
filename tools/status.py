"""Measure every notebook, the site's builds and its pages, and rewrite book/results/status.json; nothing else does.

.venv/bin/python tools/status.py [--site]     (`make status`; with --site the notebooks' figures stay as they are)
"""

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell
from tqdm import tqdm

from execute import BOOK, run
from weight import weigh

ROOT = BOOK.parent
TARGET = BOOK / "results" / "status.json"
RUNS = 3  # builds of each kind
PACKAGES = ("torch", "numpy", "matplotlib", "ipywidgets", "ipykernel", "jupyter-book", "nbval")
# Peak memory is asked of the system: ru_maxrss begins with what the process that started the kernel had.
PROBE = (
    "import resource as _r; _u = _r.getrusage(_r.RUSAGE_SELF); "
    "_m = next(line for line in open('/proc/self/status') if 'VmHWM' in line).split()[1]; "
    "print(_u.ru_utime + _u.ru_stime, int(_m) / 1024)"
)


def measure(path: Path) -> dict:
    """One row of the status file. Its keys are read by the status page and by tests/project/test_status.py:

    cpu_seconds: CPU time of the whole kernel, from its start to its last cell.
    slowest_cell_seconds: by the clock, not CPU time: how long a reader waits for the slowest cell.
    peak_mib: peak resident memory of the kernel.

    Raises:
        what `execute.run` raises.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell(PROBE))
    run(notebook, record_timing=True)
    cpu, peak = map(float, notebook.cells[-1].outputs[0].text.split())
    return {
        "notebook": path.name,
        "cpu_seconds": round(cpu, 1),
        "slowest_cell_seconds": round(max(map(waited, notebook.cells)), 1),
        "peak_mib": round(peak),
    }


def waited(cell: nbformat.NotebookNode) -> float:
    """Seconds by the clock from a cell's start to its end, and 0 for text and for cells that did not run."""
    times = cell.metadata.get("execution", {})
    if "iopub.execute_input" not in times or "shell.execute_reply" not in times:
        return 0.0
    start, end = (datetime.fromisoformat(times[k]) for k in ("iopub.execute_input", "shell.execute_reply"))
    return (end - start).total_seconds()


def machine() -> str:
    """The kind of machine, without its name."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, one thread"


def measure_notebooks() -> dict[str, Any]:
    """The status file's part on notebooks: date, machine, versions, and a row for each."""
    paths = sorted(BOOK.glob("*.ipynb"))
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "notebooks": [
            measure(path) for path in tqdm(paths, desc="notebooks", disable=not sys.stderr.isatty())
        ],
    }


def build(folder: Path, *options: str) -> float:
    """CPU seconds of a build of a copy, of all its processes.

    Raises:
        RuntimeError: the build fails; the message ends with its last words.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, str(folder / "tools" / "build.py"), *options]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        raise RuntimeError(f"the build failed:\n{(result.stdout + result.stderr)[-1500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def build_three_ways(folder: Path) -> dict[str, float]:
    """CPU seconds of a build from nothing, of one after the largest page was touched, and of one after nothing was.

    Raises:
        RuntimeError: a build fails.
    """
    page = max((folder / "book").glob("*.ipynb"), key=lambda path: path.stat().st_size)
    cold = build(folder, "--cold")
    page.touch()
    return {"cold": cold, "one_page": build(folder), "unchanged": build(folder)}


def measure_site() -> dict[str, Any]:
    """The status file's part on the site, measured on a copy of the book. Read by `papertrail.site_status`:

    build_cpu_seconds: the middle one of RUNS builds of each kind.
    pages: of each page, KB (1000 bytes) as a static host sends them: its own content, and all of its first load.

    Raises:
        RuntimeError: a build fails, or there is no browser.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("_config.yml", "_toc.yml"):
            shutil.copy(ROOT / file, folder / file)
        for part in ("book", "tools"):
            shutil.copytree(ROOT / part, folder / part)
        turns = tqdm(range(RUNS), desc="builds", disable=not sys.stderr.isatty())
        builds = [build_three_ways(folder) for _ in turns]
        rows = weigh(folder / "_build" / "html")
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "runs": RUNS,
        "build_cpu_seconds": {
            kind: round(statistics.median(each[kind] for each in builds), 1) for kind in builds[0]
        },
        "pages": [
            {"page": row["page"], "own_kb": round(row["own"] / 1000, 1)}
            | {"first_load_kb": round(row["first_load"] / 1000, 1)}
            for row in rows
        ],
    }


def main(arguments: list[str]) -> int:
    if set(arguments) - {"--site"}:
        print(f"status.py: unknown option {arguments}; known: --site", file=sys.stderr)
        return 2
    status = json.loads(TARGET.read_text(encoding="utf-8")) if arguments else measure_notebooks()
    status["site"] = measure_site()
    temporary = TARGET.with_suffix(".tmp")
    temporary.write_text(json.dumps(status, indent=1) + "\n", encoding="utf-8")
    temporary.replace(TARGET)
    print(TARGET.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
