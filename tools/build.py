"""Build the site into _build/html with warnings as errors (`make book`), from the committed, executed
notebooks.

.venv/bin/python tools/build.py [--cold]      --cold deletes the old build first
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "_build"
# Where JupyterLab is installed too, jsonschema finds this package of its and compiles 38 grammars on every start, for
# a check that no build makes: a second of CPU time, a third of a build that has nothing to do.
START = "import sys; sys.modules['rfc3987_syntax'] = None; from jupyter_book.cli.main import main; main()"


def build(cold: bool) -> int:
    """Run Jupyter Book with warnings as errors, after deleting the old build if `cold`; returns its exit status."""
    if cold:
        shutil.rmtree(OUTPUT, ignore_errors=True)
    try:
        OUTPUT.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=OUTPUT):
            pass
    except OSError as error:
        print(f"build.py: {OUTPUT} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    command = [sys.executable, "-c", START, "build", str(ROOT), "-W", "-n", "--keep-going", "--quiet"]
    return subprocess.call(command, cwd=ROOT, env=os.environ | {"PAPERTRAIL_BOOK": str(ROOT / "book")})


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
