"""Measure every notebook and rewrite book/results/status.json (`make status`); nothing else writes it."""

import json
import os
import platform
import sys
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell
from tqdm import tqdm

from execute import BOOK, run

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


def main() -> int:
    paths = sorted(BOOK.glob("*.ipynb"))
    rows = [measure(path) for path in tqdm(paths, desc="notebooks", disable=not sys.stderr.isatty())]
    status = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, one thread",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "notebooks": rows,
    }
    target = BOOK / "results" / "status.json"
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(status, indent=1) + "\n", encoding="utf-8")
    temporary.replace(target)
    print(target.relative_to(BOOK.parent))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
