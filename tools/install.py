"""Install one of the locked sets into the virtual environment that runs this file. Standard library only.

    .venv/bin/python tools/install.py book|learn|grading|test
    .sandbox/bin/python tools/install.py sandbox

`sandbox` is `learn` without the course's own package: student code is graded in it, and the course's functions
would be the answers there. All but `book` need torch, which has two locks: requirements/torch-cpu.lock (the CPU
build, whose version is `2.13.0+cpu`) and requirements/torch.lock (the build on the package index, which on Linux
brings its CUDA packages).
The CPU build is taken where pip can see it: from a folder or an index named in pip's own configuration.
"""

import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = ("book", "learn", "grading", "test", "sandbox")


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


def without_the_cpu_build(said: str) -> str:
    """What happens now, why (`said` is pip's own explanation), and where the smaller build is described."""
    reason = (said.strip().splitlines() or ["pip gave no reason"])[-1]
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
    return status or pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
