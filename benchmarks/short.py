"""Run the short form of every benchmark, one after the other, and print one table (`make bench`). Writes no record.

    .venv/bin/python benchmarks/short.py [--peers FOLDER] [NAME ...]

A short form is a look, and no measurement to hold against a record: few rounds, one size, whatever else the machine is
doing. Names are those of the scripts, without .py; without names all are run.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from papertrail.experiments import progress
from papertrail.speed_claims import SCRIPTS, rows_of
from papertrail.speed_tables import terminal_text

HERE = Path(__file__).resolve().parent
NAMES = [name for name, script in SCRIPTS.items() if script.file]


def cpu_seconds() -> float:
    """CPU time of the scripts that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(name: str, more: list[str], folder: Path) -> str:
    """One script's short form: its rows and its cost, or why there are none."""
    out, before = folder / f"{name}.json", cpu_seconds()
    command = [sys.executable, str(HERE / SCRIPTS[name].file), "--quick", "--out", str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True)
    left_out = [line for line in done.stdout.splitlines() if line.startswith("not there")]
    head = "\n".join([f"\n{SCRIPTS[name].file}, {cpu_seconds() - before:.0f} CPU s", *left_out])
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        return f"{head}\n  ended with code {done.returncode}: {lines[-1]}"
    return f"{head}\n{terminal_text(rows_of(name, json.loads(out.read_text(encoding='utf-8'))))}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"allowed are {', '.join(NAMES)}")
    parser.add_argument(
        "--peers", type=Path, metavar="FOLDER", help="where benchmarks/peers.py put other people's code"
    )
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"NAME: got {', '.join(sorted(unknown))}; allowed are {', '.join(NAMES)}")
    failed = 0
    print("The second thing divided by the first: median, and the range that the quartiles allow.")
    with TemporaryDirectory() as folder:
        for name in progress(given.names or NAMES, "benchmarks"):
            more = ["--peers", str(given.peers)] if given.peers and name == "linear_attention" else []
            text = run(name, more, Path(folder))
            failed += "  ended with code" in text
            print(text, flush=True)
    print(f"\n{cpu_seconds():.0f} CPU s in all. The page 'How fast is it?' has the recorded runs.")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
