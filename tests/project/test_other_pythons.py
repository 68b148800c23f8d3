"""The newer Pythons found on this machine: the lock installs there, and all that needs no torch passes there.

With torch, the workflow's matrix runs everything on each of them.
"""

import os
import subprocess
import sys

import pytest


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_the_lock_installs_and_the_ledger_passes(root, tmp_path, find_python, version):
    python = find_python(version)
    if not python:
        pytest.skip(f"no python{version} that runs, neither on the path nor among pyenv's versions")
    environment = tmp_path / "env"
    subprocess.run([python, "-m", "venv", environment], check=True)
    inside = environment / "bin" / "python"
    lock = ["--require-hashes", "--requirement", "requirements/test.lock"]
    subprocess.run([inside, "-m", "pip", "install", "--quiet", *lock], cwd=root, check=True)
    subprocess.run([inside, "-m", "compileall", "-q", "code", "tools", "tests"], cwd=root, check=True)
    needs_torch = "tests/test_claims.py::test_the_command_works_as_people_type_it"
    tests = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_claims.py",
        "--deselect",
        needs_torch,
    ]
    source = os.environ | {"PYTHONPATH": str(root / "code")}
    result = subprocess.run([inside, *tests], cwd=root, env=source, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-1500:]


def script(path, *lines):
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_python_is_found_behind_a_shim_that_runs_nothing(find_python, monkeypatch, tmp_path):
    shim = script(
        tmp_path / "shims" / "python3.99", "echo 'pyenv: python3.99: command not found' >&2", "exit 127"
    )
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert find_python("3.99") is None
    real = script(tmp_path / "pyenv/versions/3.99.1/bin/python3.99", f'exec "{sys.executable}" "$@"')
    assert find_python("3.99") == str(real)
