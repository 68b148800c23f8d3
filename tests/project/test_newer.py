"""Trying other releases: which pins are behind, which steps are taken, and that a failing step ends it."""

import json
import subprocess
import sys

import pytest
import yaml

import build
import newer


def test_pins_are_the_direct_ones_of_both_files():
    pins = newer.pinned()
    assert {"torch", "jupyter-book", "pyyaml", "mypy", "playwright"} <= set(pins)
    assert pins["torch"] == "2.13.0" and len(pins) >= 25


def test_only_direct_pins_that_are_behind_are_listed(monkeypatch):
    rows = [{"name": "PyYAML", "latest_version": "7.0"}, {"name": "torch", "latest_version": "2.15.0"},
            {"name": "some-dependency", "latest_version": "9"}]  # fmt: skip
    done = subprocess.CompletedProcess([], 0, json.dumps(rows), "")
    monkeypatch.setattr(newer.subprocess, "run", lambda *given, **named: done)
    assert newer.outdated() == ["pyyaml==7.0", "torch==2.15.0"]


@pytest.mark.parametrize("given", [[], ["torch"], ["no-such-package==1"], ["--help"], ["torch==2.14.1", "x"]])
def test_what_cannot_be_tried_is_refused(given, capsys, monkeypatch):
    monkeypatch.setattr(newer.subprocess, "call", lambda *given, **named: pytest.fail("it ran"))
    assert newer.main(given) == 2
    said = capsys.readouterr().err
    assert "NAME==VERSION" in said and "torch" in said


@pytest.mark.parametrize("failing", [None, "tools/install.py", "pytest"])
def test_steps_are_taken_in_order_up_to_the_first_that_fails(failing, monkeypatch, capsys):
    taken = []

    def call(command, **named):
        taken.append(command)
        return 3 if failing in command else 0

    monkeypatch.setattr(newer.subprocess, "call", call)
    assert newer.main(["torch==2.14.1"]) == (3 if failing else 0)
    words = [" ".join(command) for command in taken]
    assert "venv --clear" in words[0] and words[0].startswith(sys.executable)
    if failing == "tools/install.py":
        assert len(words) == 2 and "exit 3" in capsys.readouterr().err
    else:
        assert words[2].endswith("pip install --quiet torch==2.14.1") and "pytest" in words[-1]
        assert all(word.startswith(str(newer.PLACE)) for word in words[1:])


def test_its_environment_outlives_a_cold_build():
    assert not newer.PLACE.is_relative_to(build.OUTPUT)


def test_the_weekly_workflow_tries_what_is_behind_and_torchs_neighbors(root):
    jobs = yaml.safe_load((root / ".github/workflows/weekly.yml").read_text(encoding="utf-8"))["jobs"]
    said = json.dumps(jobs)
    assert "tools/newer.py --outdated" in said and "matrix.release" in said
    neighbors = jobs["torch"]["strategy"]["matrix"]["release"]
    assert (
        all(one.startswith("torch==") for one in neighbors)
        and f"torch=={newer.pinned()['torch']}" not in neighbors
    )
    assert not jobs["newer"]["strategy"]["fail-fast"] and not jobs["torch"]["strategy"]["fail-fast"]


def test_every_folder_of_tests_that_is_run_is_there(root):
    assert [name for name in newer.TESTS if not (root / name).exists()] == []
