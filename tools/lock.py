"""Resolve the direct pins into locks with hashes: requirements/*.lock (`make lock`).

One resolution is made for everything (`test`), and the others are cut to fit it, so that no two locks
disagree. torch stands apart, in two variants, because its CPU build has another version (`2.13.0+cpu`) and
other dependencies.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
OLDEST = "3.11"


def pins(*files: str) -> list[str]:
    """The lines `name==version` of requirement files, in order."""
    lines = [line.strip() for file in files for line in (ROOT / file).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def with_old_hashes(new: str, old: str, pin: str) -> str:
    """The lock `new`, whose entry for `pin` also takes the hashes that the lock `old` holds for that pin.

    A machine that sees one wheel of torch's CPU build must not narrow a lock that was made where more are seen.
    """
    entry = re.compile(rf"^{re.escape(pin)}(?: \\\n    --hash=\S+)+$", re.MULTILINE)
    hashes = {
        found
        for lock in (new, old)
        for text in entry.findall(lock)
        for found in re.findall(r"--hash=\S+", text)
    }
    return entry.sub(lambda _: " \\\n    ".join([pin, *sorted(hashes)]), new)


def resolve(requirements: list[str], name: str, *options: str, widen: str | None = None) -> None:
    """Write requirements/<name>.lock; the pin `widen` keeps the hashes that the old lock holds for it.

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
        if widen:
            text = with_old_hashes(text, (LOCKS / f"{name}.lock").read_text(), widen)
        target.write_text(
            f"# Written by `make lock` from the pins in requirements*.txt. Do not edit.\n{text}"
        )
        target.replace(LOCKS / f"{name}.lock")
    print(f"requirements/{name}.lock", flush=True)


def main() -> int:
    everything = pins("requirements.txt", "requirements-dev.txt")
    torch = next(pin for pin in everything if pin.startswith("torch=="))
    exact = ["--universal", "--constraint", "requirements.txt"]
    resolve([pin for pin in everything if pin != torch], "test", "--universal")
    fitted = [*exact, "--constraint", "requirements/test.lock"]
    resolve(pins("requirements/book.in"), "book", *fitted)
    resolve(pins("requirements/learn.in"), "learn", *fitted)
    resolve([torch], "torch", *fitted)
    folder = os.environ.get("PIP_FIND_LINKS")
    if folder and any(re.match(r"torch-.*\+cpu-", wheel.name) for wheel in Path(folder).glob("torch-*.whl")):
        cpu, fit = f"{torch}+cpu", ["--constraint", "requirements/test.lock"]
        resolve([cpu], "torch-cpu", "--find-links", folder, *fit, widen=cpu)
    else:
        print("torch-cpu.lock kept: PIP_FIND_LINKS names no folder with torch's CPU wheel", flush=True)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (subprocess.CalledProcessError, ValueError) as error:
        raise SystemExit(f"lock.py: {error}") from None
