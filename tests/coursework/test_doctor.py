"""The doctor says "ok" of a sandbox that holds, and "BAD" of each of nine that were broken on purpose."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from papertrail.coursework import doctor, sandbox
from papertrail.coursework.course import Course

ROOT = Path(__file__).resolve().parents[2]
ALL_BUT_NET = '"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"'

BREAKS = [  # what is broken, what in sandbox.py is replaced by what, and the finding that must turn bad
    ("the network is left open", '"--unshare-all"', ALL_BUT_NET, "no network"),
    (
        "other folders are in view",
        '"--proc", "/proc", "--dev"',
        '"--ro-bind", "/tmp", "/host", "--proc", "/proc", "--dev"',
        "the course is out of sight",
    ),
    (
        "the root can be written",
        '"--chdir", "/work", "--remount-ro", "/",',
        '"--chdir", "/work",',
        "nothing can be changed",
    ),
    ("files may be of any size", 'f"--fsize={limits.file}"', '"--core=0"', "files are limited"),
    (
        "shared memory may be of any size",
        '"--size", str(16 * MB), "--tmpfs", "/dev/shm"',
        '"--tmpfs", "/dev/shm"',
        "files are limited",
    ),
    ("any number of processes", 'f"--nproc={limits.processes}"', '"--core=0"', "processes are limited"),
    ("root stays root", "unprivileged if os.geteuid() == 0 else []", "[]", "processes are limited"),
    (
        "memory without limit",
        'f"--as={limits.address_space}", f"--nproc',
        '"--as=unlimited", f"--nproc',
        "memory is limited",
    ),
    ("processes of the machine in view", '"--proc", "/proc",', '"--bind", "/proc", "/proc",', "no rights"),
]


def examined(code: Path, folder: Path) -> tuple[int, dict[str, tuple[bool, str]]]:
    """Run the doctor with the package in `code`; its exit status and its findings by name."""
    (folder / "course").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "papertrail.coursework", "--course", str(folder / "course"), "doctor"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(code)},
        cwd=folder,
    )
    findings = {}
    for line in done.stdout.splitlines():
        state, _, rest = line.partition("  ")
        name, _, seen = rest.strip().partition(": ")
        findings[name] = state.strip() == "ok", seen
    return done.returncode, findings


def test_this_machine_can_grade(tmp_path):
    status, findings = examined(ROOT / "code", tmp_path)
    assert status == 0 and len(findings) == 13 and all(well for well, _ in findings.values()), findings


ALWAYS = (
    "the network is left open",
    "other folders are in view",
    "root stays root",
)  # the rest in `make prove`


@pytest.mark.parametrize(
    ("broken", "old", "new", "finding"),
    [pytest.param(*one, id=one[0], marks=() if one[0] in ALWAYS else pytest.mark.long) for one in BREAKS],
)
def test_a_broken_sandbox_is_found(broken, old, new, finding, tmp_path):
    if broken == "root stays root" and os.geteuid() != 0:
        pytest.skip("only root can stay root")
    shutil.copytree(
        ROOT / "code" / "papertrail" / "coursework", tmp_path / "code" / "papertrail" / "coursework"
    )
    (tmp_path / "code" / "papertrail" / "__init__.py").write_text("")
    path = tmp_path / "code" / "papertrail" / "coursework" / "sandbox.py"
    text = path.read_text()
    assert text.count(old) == 1, "the break fits the code no more"
    path.write_text(
        text.replace(old, new).replace("NOBODY = 65534", "NOBODY = 0" if new == "[]" else "NOBODY = 65534")
    )
    status, findings = examined(tmp_path / "code", tmp_path)
    assert status == 1 and not findings[finding][0], findings


def test_a_missing_program_stops_before_any_trial(monkeypatch, tmp_path):
    monkeypatch.setitem(sandbox.TOOLS, "no-such-program", "nothing")
    findings = doctor.examine(Course(tmp_path))
    assert [finding.what for finding in findings if not finding.well] == ["programs"] and len(findings) == 3


def test_a_sandbox_that_does_not_start_is_a_finding(monkeypatch, tmp_path):
    real = sandbox.outer_command
    monkeypatch.setattr(sandbox, "outer_command", lambda *a: ["bwrap", "--no-such-option", *real(*a)[1:]])
    findings = doctor.examine(Course(tmp_path))
    assert findings[-1].what == "the sandbox starts" and not findings[-1].well
    assert not list(tmp_path.iterdir()), "the canary is gone"
