"""What the make targets call: refusals in plain words, and the choices that need no network to test."""

import subprocess
import sys
from pathlib import Path

import pytest

import browser
import build
import install
from papertrail.site import repository_address


def test_the_installer_names_the_sets_it_knows(capsys):
    assert install.main(["everything"]) == 2
    assert "expected one of book, learn, test, got everything" in capsys.readouterr().err


def test_the_installer_refuses_to_touch_the_system(monkeypatch, capsys):
    monkeypatch.setattr(install, "pip", lambda *arguments: pytest.fail("pip was called"))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert install.main(["book"]) == 2
    assert "outside a virtual environment" in capsys.readouterr().err


@pytest.mark.parametrize(("found", "lock"), [(0, "torch-cpu"), (1, "torch")])
def test_the_cpu_build_of_torch_is_taken_where_there_is_one(monkeypatch, capsys, found, lock):
    asked = []
    answer = subprocess.CompletedProcess([], found, stderr="ERROR: no such wheel\n")
    monkeypatch.setattr(install.subprocess, "run", lambda *a, **k: answer)
    monkeypatch.setattr(install, "pip", lambda *arguments: asked.append(arguments) or 0)
    assert install.main(["learn"]) == 0
    assert f"requirements/{lock}.lock" in asked[0] and "requirements/learn.lock" in asked[0]
    assert "--require-hashes" in asked[0] and len(asked) == 2
    assert ("no such wheel" in capsys.readouterr().out) is bool(found)


def test_a_failed_step_stops_the_installation(monkeypatch):
    calls = []
    monkeypatch.setattr(install, "torch_lock", lambda: "torch")
    monkeypatch.setattr(install, "pip", lambda *arguments: calls.append(arguments) or 3)
    assert install.main(["test"]) == 3 and len(calls) == 1


def test_the_builder_refuses_unknown_options(capsys):
    assert build.main(["--warm"]) == 2
    assert "known: --cold" in capsys.readouterr().err


def test_without_any_browser_the_tests_fail_and_say_what_was_tried(monkeypatch):
    monkeypatch.setattr(browser, "system_browser", lambda: None)
    monkeypatch.setattr(browser, "playwright_browser", lambda: None)
    monkeypatch.setattr(
        browser.subprocess, "run", lambda command, **k: subprocess.CompletedProcess(command, 9)
    )
    with pytest.raises(RuntimeError, match="no Chromium found and none could be installed; tried: .*exit 9"):
        browser.get_browser()


def test_a_browser_named_by_hand_is_preferred(monkeypatch):
    monkeypatch.setenv("PAPERTRAIL_BROWSER", "/opt/browser")
    assert browser.get_browser() == "/opt/browser"


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/someone/paper-trail.git", "https://github.com/someone/paper-trail"),
        ("git@github.com:someone/paper-trail.git", "https://github.com/someone/paper-trail"),
        ("ssh://git@gitlab.com/group/sub/paper.trail", "https://gitlab.com/group/sub/paper.trail"),
        ("https://codeberg.org/someone/paper-trail", None),
        ("https://github.com/someone/paper-trail/", "https://github.com/someone/paper-trail"),
    ],
)
def test_a_repositorys_address_is_read_from_its_remote(monkeypatch, remote, address):
    monkeypatch.setenv("PAPERTRAIL_REPO", remote)
    assert repository_address(Path(".")) == address


def test_an_address_given_by_hand_must_be_one(monkeypatch):
    monkeypatch.setenv("PAPERTRAIL_REPO", "someone/fork")
    with pytest.raises(ValueError, match="REPO: got 'someone/fork'; allowed is an address"):
        repository_address(Path("."))


def test_without_a_remote_there_is_no_address(monkeypatch, tmp_path):
    monkeypatch.delenv("PAPERTRAIL_REPO", raising=False)
    assert repository_address(tmp_path) is None


def test_an_unknown_notebook_is_refused(root):
    command = [sys.executable, root / "tools" / "execute.py", "book/nowhere.ipynb"]
    result = subprocess.run([str(part) for part in command], cwd=root, capture_output=True, text=True)
    assert result.returncode == 2 and "no such notebook" in result.stderr


def test_every_make_target_is_explained_and_short(root):
    text = (root / "Makefile").read_text()
    listed = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    for target in (
        "book",
        "test",
        "prove",
        "serve",
        "lab",
        "execute",
        "claims",
        "status",
        "lock",
        "clean",
        "help",
    ):
        assert f"make {target} " in listed
    for rule in text.split("\n\n"):
        assert len([line for line in rule.splitlines() if line.startswith("\t")]) <= 4


def test_the_readmes_picture_is_drawn_by_the_code_that_stands_here():
    """Compared by its words and shapes, not byte for byte: coordinates differ between machines in the last digit."""
    import re

    from picture import PICTURE, picture

    def skeleton(svg):
        return re.sub(r"-?\d+(\.\d+)?", "0", svg)

    assert skeleton(PICTURE.read_text(encoding="utf-8")) == skeleton(picture())
