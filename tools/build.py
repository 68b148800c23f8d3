"""Build the site into _build/html with warnings as errors (`make book`), from the committed, executed
notebooks.

.venv/bin/python tools/build.py [--cold]      --cold deletes the old build first
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "_build"


def build(cold: bool) -> int:
    """Run Jupyter Book with warnings as errors, after deleting the old build if `cold`; returns its exit status."""
    if cold:
        shutil.rmtree(OUTPUT, ignore_errors=True)
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        str(ROOT),
        "-W",
        "-n",
        "--keep-going",
        "--quiet",
    ]
    return subprocess.call(
        [str(part) for part in command], cwd=ROOT, env=os.environ | {"PAPERTRAIL_BOOK": str(ROOT / "book")}
    )


def main(arguments: list[str]) -> int:
    if set(arguments) - {"--cold"}:
        print(f"build.py: unknown option {arguments}; known: --cold", file=sys.stderr)
        return 2
    status = build(cold="--cold" in arguments)
    if status == 0:
        print(f"The site stands. Open {(OUTPUT / 'html' / 'index.html').as_uri()} or run `make serve`.")
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
