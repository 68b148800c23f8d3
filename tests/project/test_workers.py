"""How pytest-xdist shares out the tests: files whole, the long tables of independent checks case by case."""

import os
import subprocess
import sys

import pytest

CASES = """
import os, pytest

@pytest.mark.parametrize("case", range(6))
def test_case(case, request):
    with open(request.config.rootpath / "workers", "a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], file=file)
"""


@pytest.mark.parametrize(
    ("file", "workers"), [("project/test_mutations.py", 2), ("project/test_plain.py", 1)]
)
def test_only_the_long_tables_are_spread_over_workers(root, tmp_path, file, workers):
    path = tmp_path / "tests" / file
    path.parent.mkdir(parents=True)
    path.write_text(CASES, encoding="utf-8")
    policy = (root / "tests" / "conftest.py").read_text(encoding="utf-8")
    (tmp_path / "tests" / "conftest.py").write_text(policy, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the other plugins take seconds and play no part
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-p", "no:cacheprovider",
               "-n", "2", "--dist", "loadfile"]  # fmt: skip
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0 and "6 passed" in result.stdout, result.stdout[-1500:]
    assert len(set((tmp_path / "workers").read_text().split())) == workers
