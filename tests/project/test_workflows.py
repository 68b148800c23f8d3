"""Workflows against GitHub's schema, and against the targets and files that they call."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


def valid(path):
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        str(path),
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_fits_the_schema(path):
    result = valid(path)
    assert result.returncode == 0, result.stdout


def test_the_schema_check_can_fail(tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on", "runs-in"))
    assert valid(broken).returncode == 1


def test_the_four_promises_have_a_workflow():
    text = {path.stem: path.read_text() for path in WORKFLOWS}
    assert set(text) == {"test", "pages", "weekly"}
    matrix = yaml.safe_load(text["test"])["jobs"]
    assert matrix["course"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    systems = matrix["elsewhere"]["strategy"]["matrix"]["system"]
    assert any(s.startswith("macos") for s in systems) and any(s.startswith("windows") for s in systems)
    assert "make test" in text["test"] and "make book" in text["pages"] and "make prove" in text["weekly"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_only_what_exists_and_asks_for_little(path, root):
    text = path.read_text()
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?!,)", text)) <= targets
    for name in re.findall(r"\b(?:tests|tools)/[\w/.]+", text):
        assert (root / name).exists(), name
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"actions/[\w-]+@v\d+", action)


def test_unit_tests_elsewhere_take_in_every_chapter_and_every_shared_module(root):
    steps = yaml.safe_load((FOLDER / "test.yml").read_text(encoding="utf-8"))["jobs"]["elsewhere"]["steps"]
    command = next(line for line in steps[-1]["run"].splitlines() if " -m pytest " in line)
    assert " -m pytest tests " in command
    assert set(re.findall(r"--ignore=(\S+)", command)) == {"tests/project", "tests/book", "tests/site"}


def test_the_weekly_run_brings_the_pythons_that_the_long_checks_look_for():
    steps = yaml.safe_load((FOLDER / "weekly.yml").read_text(encoding="utf-8"))["jobs"]["prove"]["steps"]
    setup = next(step for step in steps if "setup-python" in step.get("uses", ""))
    assert setup["with"]["python-version"].split() == ["3.13", "3.12", "3.11"]


def test_ci_runs_the_readmes_test_command(root):
    script = (root / ".ci" / "run").read_text()
    assert "exec make test" in script and "make test" in (root / "README.md").read_text()
