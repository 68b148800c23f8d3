"""A disk that is full, a run that is killed, a checkout that is read-only: nothing is half written, and it is said."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import nbformat
import pytest

import execute
from papertrail import claims

ROOT = Path(__file__).resolve().parents[2]


def toy(path, *cells):
    """A notebook with these code cells, and a stored output that a lost run must not take away."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    for cell in notebook.cells:
        cell.outputs = [nbformat.v4.new_output("stream", text="stored\n")]
    nbformat.write(notebook, path)
    return path.read_bytes()


def on_a_full_disk(function, *arguments):
    """Call in a process that cannot make a file longer than 20 kB; what the system says is then EFBIG."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        function(*arguments)
    except OSError as error:
        os._exit(error.errno)
    os._exit(0)


def big(path):
    """Store a notebook as if its cells had printed 100 kB."""
    execute.run = lambda notebook: notebook.cells[0].outputs[0].update(text="x" * 100_000)
    execute.execute(path)


def record(folder):
    """Store the ledger's evidence with a number of 100 kB."""
    outcome = claims.Outcome(claims.load(folder)[0], claims.Evidence({"n": "x" * 100_000}, "holds"), None)
    claims._record([outcome], folder / "evidence.json")


def outcome_of(function, *arguments):
    process = get_context("fork").Process(target=on_a_full_disk, args=(function, *arguments))
    process.start()
    process.join(60)
    return process.exitcode


def test_a_notebook_that_does_not_fit_on_the_disk_stays_as_it_was(tmp_path):
    path = tmp_path / "toy.ipynb"
    before = toy(path, "1")
    assert outcome_of(big, path) == 27  # EFBIG
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_evidence_that_does_not_fit_on_the_disk_stays_as_it_was(tmp_path, book):
    folder = tmp_path / "claims"
    folder.mkdir()
    shutil.copy(book / "claims" / "gopher.yml", folder)
    (folder / "evidence.json").write_text("{}\n")
    assert outcome_of(record, folder) == 27
    assert (folder / "evidence.json").read_text() == "{}\n" and len(list(folder.iterdir())) == 2


KILLED = """
import sys, time
sys.path.insert(0, {tools!r})
import execute

def half(notebook, path):
    open(path, "w").write("half a note")
    open({sign!r}, "w").close()
    time.sleep(60)

if {storing}:
    execute.nbformat.write = half
execute.main([{path!r}])
"""


@pytest.mark.parametrize("storing", [False, True], ids=["while-a-cell-runs", "while-it-is-stored"])
def test_a_run_that_is_killed_leaves_the_notebook_as_it_was(tmp_path, storing):
    path, sign = tmp_path / "toy.ipynb", tmp_path / "begun"
    before = toy(path, "1" if storing else f"open({str(sign)!r}, 'w').close()\nimport time\ntime.sleep(60)")
    script = KILLED.format(tools=str(ROOT / "tools"), sign=str(sign), storing=storing, path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    try:
        for _ in range(600):
            if sign.exists():
                break
            time.sleep(0.1)
        else:
            pytest.fail("nothing began within a minute")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    assert path.read_bytes() == before
    assert path.with_suffix(".ipynb.tmp").exists() is storing


def read_only(command):
    """Run a command where the checkout cannot be written, but temporary files can."""
    sandbox = shutil.which("bwrap")
    if sandbox is None:
        pytest.skip("no bubblewrap here")
    places = ["--bind", "/", "/", "--ro-bind", ROOT, ROOT, "--dev", "/dev", "--proc", "/proc"]
    return subprocess.run(
        [sandbox, *map(str, places), "--", *command], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize(("command", "code", "says"), [
    (["-m", "papertrail.claims", "norm-between-residual-blocks"], 0, "1 checks run, 0 disagree"),
    (["-m", "papertrail.claims", "--record", "norm-between-residual-blocks"], 2, "Read-only file system"),
    (["tools/build.py"], 1, "build.py: "),
], ids=["read", "record", "build"])  # fmt: skip
def test_a_read_only_checkout_can_be_read_and_says_what_it_cannot_write(command, code, says):
    evidence = (ROOT / "book" / "claims" / "evidence.json").read_bytes()
    done = read_only([sys.executable, *command])
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr
    if code:
        assert "Read-only file system" in done.stderr and "Traceback" not in done.stderr
    assert (ROOT / "book" / "claims" / "evidence.json").read_bytes() == evidence
    json.loads(evidence)
