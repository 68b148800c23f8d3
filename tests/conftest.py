"""Shared fixtures: where things are, which Pythons there are, and how the tests are shared out among workers."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
# Long tables of checks that need nothing from one another.
INDEPENDENT = (
    "tests/project/test_mutations.py",
    "tests/project/test_other_pythons.py",
    "tests/site/test_site_mutations.py",
)


class CasesApart(LoadFileScheduling):
    """A file's tests stay on one worker (notebook cells share a kernel), but the long tables are dealt out by case."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return nodeid if file in INDEPENDENT else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return CasesApart(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Every test starts from the same random state: one that forgot to seed cannot fail now and then."""
    torch.manual_seed(20170612)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def book(root) -> Path:
    return root / "book"


@pytest.fixture(scope="session")
def site(root) -> Path:
    """The built site (or PAPERTRAIL_SITE). `make test` builds it cold first; alone, `make book` makes it."""
    folder = Path(os.environ.get("PAPERTRAIL_SITE") or root / "_build" / "html")
    assert (folder / "index.html").exists(), "no site at _build/html: run `make book` first"
    return folder


@pytest.fixture(scope="session")
def script(root) -> Callable[[str], ModuleType]:
    """Loads a script of benchmarks/ as a module."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", root / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and forked processes look it up
        spec.loader.exec_module(module)
        return module

    return load


def pythons(version: str) -> Iterator[str]:
    """Where a Python may be: on the path, and among pyenv's, whose shims on the path may run nothing."""
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")))


@pytest.fixture(scope="session")
def find_python() -> Callable[[str], str | None]:
    """Gives the path of a Python ("3.12") that runs and can make environments, or None."""

    def find(version: str) -> str | None:
        for python in pythons(version):
            if subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0:
                return python
        return None

    return find
