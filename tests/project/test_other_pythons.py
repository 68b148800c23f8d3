"""The newer Pythons found on this machine: the lock installs there, and all that needs no torch passes there.

With torch, the workflow's matrix runs everything on each of them.
"""

import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.long


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_the_lock_installs_and_the_ledger_passes(root, tmp_path, version):
    python = shutil.which(f"python{version}")
    works = python and subprocess.run([python, "--version"], capture_output=True).returncode == 0
    if not works:
        pytest.skip(f"no python{version} on this machine")
    environment = tmp_path / "env"
    subprocess.run([python, "-m", "venv", environment], check=True)
    inside = environment / "bin" / "python"
    install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--requirement",
        "requirements/test.lock",
    ]
    subprocess.run([inside, *install], cwd=root, check=True)
    subprocess.run([inside, "-m", "compileall", "-q", "code", "tools", "tests"], cwd=root, check=True)
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_claims.py"]
    source = os.environ | {"PYTHONPATH": str(root / "code")}
    result = subprocess.run([inside, *tests], cwd=root, env=source, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-1500:]
