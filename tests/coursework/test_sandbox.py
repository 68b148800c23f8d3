"""The sandbox holds: what a cell may not do it cannot do, and what it did is gone afterwards."""

import os
import socket
import tempfile
from dataclasses import replace

import psutil
import pytest

from papertrail.coursework import sandbox

PROBE = "from papertrail.coursework.probes import draw, probe, raised\nimport os, sys, subprocess, time\n"


def sent(outcome: sandbox.Outcome) -> dict[str, object]:
    """What all probes sent: value or error by name."""
    return {one["name"]: one.get("value", one.get("error")) for cell in outcome.cells for one in cell.sent}


def test_values_come_out_and_cells_share_one_kernel(tight):
    outcome = sandbox.run(
        [PROBE + "x = 3", "probe('x', lambda: x + 1)", "1 / 0", "probe('y', lambda: 1 / 0)"], "s", tight
    )
    assert [cell.ended for cell in outcome.cells] == ["done", "done", "error", "done"]
    assert outcome.cells[2].error == "ZeroDivisionError"
    assert sent(outcome) == {"x": 4, "y": "ZeroDivisionError"}
    assert outcome.notes == [] and outcome.cpu_seconds > 0 and outcome.resident > 10_000_000


def test_the_seed_decides_what_is_drawn(tight):
    cells = [
        PROBE + "from papertrail.coursework.probes import draw_int",
        "probe('n', lambda: draw_int('n', 0, 10**12))",
    ]
    first, again, other = (sent(sandbox.run(cells, seed, tight))["n"] for seed in ("a", "a", "b"))
    assert first == again != other


def test_the_environment_has_torch_and_no_chapter(tight):
    look = """
import importlib
for name in ("papertrail.architecture_diagram", "papertrail.claims", "papertrail.coursework.comparison", "nbgrader"):
    probe(name, lambda: raised(lambda: importlib.import_module(name)))
probe("torch", lambda: importlib.import_module("torch").ones(2))
probe("names", lambda: sorted(os.environ))
"""
    seen = sent(sandbox.run([PROBE, look], "s", replace(sandbox.Limits(), cell_cpu=30.0)))
    assert seen.pop("torch") == [1.0, 1.0]
    names = seen.pop("names")
    assert set(seen.values()) == {"ModuleNotFoundError"} and len(seen) == 4
    assert "PAPERTRAIL_SANDBOX" not in names and "HOME" in names


@pytest.mark.parametrize(
    "killer", ["os._exit(3)", "os.kill(os.getpid(), 9)", "import ctypes; ctypes.string_at(0)"]
)
def test_a_cell_that_ends_its_kernel_loses_itself_only(killer, tight):
    outcome = sandbox.run([PROBE + "x = 1", killer, "probe('x', lambda: x)"], "s", tight)
    assert [cell.ended for cell in outcome.cells] == ["done", "killed", "done"]
    assert outcome.notes == [[1, "ended its kernel"]] and sent(outcome) == {"x": 1}


def test_many_killers_end_the_attempts(tight):
    outcome = sandbox.run([PROBE, *["os._exit(1)"] * 6, "probe('x', lambda: 1)"], "s", tight)
    assert len(outcome.notes) == 4 and outcome.cells[-1].ended == "not run"


def test_loops_are_stopped(tight):
    stubborn = """
while True:
    try:
        while True:
            pass
    except BaseException:
        continue
"""
    quick = replace(tight, cell_cpu=1.0)
    outcome = sandbox.run(
        [PROBE, "while True: pass", "probe('x', lambda: 1)", stubborn, "probe('y', lambda: 2)"], "s", quick
    )
    assert outcome.cells[1].ended == "too slow"
    assert outcome.cells[3].ended in ("killed", "too slow")
    assert sent(outcome) == {"x": 1, "y": 2}


def test_sleep_counts_by_the_clock(tight):
    outcome = sandbox.run(
        ["import time; time.sleep(1000)", PROBE + "probe('x', lambda: 1)"], "s", replace(tight, cell_wall=2.0)
    )
    assert outcome.cells[0].ended == "too slow" and sent(outcome) == {"x": 1}


def test_all_cells_together_have_a_limit(tight):
    outcome = sandbox.run([PROBE, *["time.sleep(3)"] * 9], "s", replace(tight, whole_wall=8.0))
    assert outcome.cells[1].ended == "done" and outcome.cells[-1].ended == "not run"
    assert outcome.notes[-1] == [None, "all cells together took longer than 8 s"]


@pytest.mark.parametrize(
    ("greedy", "why"),
    [
        ("blocks = [bytearray(b'x' * 10**8) for _ in range(9)]", "more than 500 MB of memory"),
        ("for _ in range(100): print('x' * 100_000, flush=True)\ntime.sleep(5)", "more than 2 MB"),
        ("greedy = 'x = bytearray(b\"x\" * 120_000_000); import time; time.sleep(30)'\n"
         "children = [subprocess.Popen([sys.executable, '-c', greedy])"
         " for _ in range(8)]\ntime.sleep(10)", "more than 500 MB of memory"),
    ],
)  # fmt: skip
def test_memory_and_output_are_limited(greedy, why, tight):
    outcome = sandbox.run([PROBE, greedy, "probe('x', lambda: 1)"], "s", tight)
    assert outcome.cells[1].ended == "killed" and why in outcome.notes[0][1]
    assert sent(outcome) == {"x": 1}


def test_a_loop_that_collects_without_end_costs_its_own_check_and_not_those_behind_it(tight):
    grow = "def grow():\n    kept = []\n    while True:\n        kept.append(b'x' * 10**4)"
    cell = f"{grow}\nprobe('grow', grow)\nprobe('x', lambda: 1)"
    outcome = sandbox.run([PROBE, cell], "s", replace(tight, data=300 * sandbox.MB))
    assert outcome.notes == [] and outcome.cells[1].ended == "done"
    grown, after = outcome.cells[1].sent
    assert grown["error"] == "MemoryError" and after["value"] == 1


def test_one_process_meets_its_own_limit_before_that_of_all():
    limits = sandbox.Limits()
    assert limits.data < limits.resident < limits.address_space


def test_a_message_too_large_for_the_grader_is_dropped(tight):
    outcome = sandbox.run([PROBE, "print('x' * 50_000_000)", "probe('x', lambda: 1)"], "s", tight)
    assert sent(outcome) == {"x": 1}


def test_forged_messages_are_only_data(tight):
    forge = """
from IPython.display import publish_display_data
for answer in ([], "text", None, {"name": 3}, {"name": "x", "value": 1, "expected": 2}, {"name": ["x"]}):
    publish_display_data({"application/vnd.papertrail.probe+json": answer})
print('{"cells": []}', flush=True)
os.write(1, b'{"cells": []}')
os.write(2, b'{"cells": []}')
for n in range(500):
    publish_display_data({"application/vnd.papertrail.probe+json": {"name": "many"}})
"""
    outcome = sandbox.run([PROBE, forge], "s", tight)
    assert {"name": "x", "value": 1} in outcome.cells[1].sent
    assert len(outcome.cells[1].sent) == 200, "as many as are kept"


def test_nothing_is_left_behind(tight, monkeypatch):
    mark = f"mark{os.getpid()}"
    own = tempfile.mkdtemp(prefix="own-")  # other workers' jobs have their folders in the common one
    os.chmod(own, 0o755)
    monkeypatch.setattr(tempfile, "tempdir", own)
    daemon = f"subprocess.Popen(['/usr/bin/env', 'M={mark}', 'sleep', '300'], start_new_session=True)"
    daemon += "\nopen('/tmp/left', 'w').write('x')"
    outcome = sandbox.run([PROBE, daemon, "probe('there', lambda: os.path.exists('/tmp/left'))"], "s", tight)
    assert sent(outcome) == {"there": True}
    assert os.listdir(own) == []
    os.rmdir(own)
    left = [
        one.pid
        for one in psutil.process_iter(["environ", "cmdline"])
        if mark in f"{one.info['environ']}{one.info['cmdline']}"
    ]
    assert left == [] or left == [os.getpid()]


def test_no_network_not_even_this_machine(tight):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        look = f"import socket\ndef call(): socket.create_connection(('127.0.0.1', {port}), 3)\n"
        look += "probe('c', lambda: raised(call))\n"
        look += "probe('devices', lambda: [name for _, name in socket.if_nameindex()])"
        seen = sent(sandbox.run([PROBE, look], "s", tight))
    assert seen["c"] in ("ConnectionRefusedError", "OSError") and seen["devices"] == ["lo"]


def test_the_job_names_what_is_missing(tight, monkeypatch):
    monkeypatch.setitem(sandbox.TOOLS, "no-such-program", "nothing")
    with pytest.raises(sandbox.SandboxError, match=r"needs no-such-program \(package nothing\)"):
        sandbox.run(["1"], "s", tight)


def test_without_the_students_environment_nothing_runs(tight, monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERTRAIL_SANDBOX", str(tmp_path))
    with pytest.raises(sandbox.SandboxError, match="no environment for student code"):
        sandbox.run(["1"], "s", tight)


def test_a_sandbox_that_does_not_start_is_an_error_and_no_result(tight, monkeypatch):
    real = sandbox.outer_command
    monkeypatch.setattr(sandbox, "outer_command", lambda *a: ["bwrap", "--no-such-option", *real(*a)[1:]])
    with pytest.raises(sandbox.SandboxError, match="did not run"):
        sandbox.run(["1"], "s", tight)
