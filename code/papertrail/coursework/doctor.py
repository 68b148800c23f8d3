"""Is everything here that grading needs, and does the sandbox really isolate? It is tried, not looked up.

Each trial runs in the sandbox and attempts, within bounds, what a hostile submission would. The canaries are this
module's own: a listening socket on the loopback device, a file in the course's folder, forty sleeping processes.
"""

import importlib.util
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psutil

from . import sandbox
from .course import Course, write

LIMITS = replace(sandbox.Limits(), cell_cpu=5.0, processes=40, file=20 * sandbox.MB, whole_wall=120.0)

HEAD = """
from papertrail.coursework.probes import probe, raised
import os, socket, subprocess, sys, time
def tried(name, function):
    probe(name, lambda: raised(function))
"""
NETWORK = """
def connect():
    socket.create_connection(("127.0.0.1", {port}), timeout=3).close()
tried("connect", connect)
"""
FILES = """
def found():
    hits = []
    for folder, folders, files in os.walk("/"):
        if folder in ("/proc", "/dev"):
            folders.clear()
            continue
        hits += [os.path.join(folder, name) for name in folders + files if "{canary}" in name or "papertrail" in name]
    return sorted(hits)
probe("found", found)
probe("read", lambda: raised(lambda: open({path!r}).read()))
def writable():
    places = []
    for place in ("/", "/env", "/usr/lib", "/dev", "/work", "/tmp", "/probes", sys.prefix):
        try:
            open(os.path.join(place, "written"), "w").close()
            places.append(place)
        except OSError:
            pass
    return places
probe("writable", writable)
def fill(place, size, files=1):
    for number in range(files):
        with open(os.path.join(place, str(number)), "wb") as file:
            for _ in range(size):
                file.write(bytes(1_000_000))
tried("one big file", lambda: fill("/tmp", {file_mb} + 1))
tried("shared memory", lambda: fill("/dev/shm", 10, files=4))
"""
PROCESSES = """
def forks():
    children = []
    try:
        for _ in range({tries}):
            child = os.fork()
            if child == 0:
                time.sleep(20)
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return len(children)
probe("forks", forks)
probe("who", lambda: [os.getuid(), len([name for name in os.listdir("/proc") if name.isdigit()])])
probe("rights", lambda: [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0])
tried("memory", lambda: bytearray({memory}))
daemon = subprocess.Popen(["/usr/bin/env", "MARK={canary}", "sleep", "60"], start_new_session=True)
probe("daemon", lambda: daemon.pid)
"""
LOOP = "while True: pass"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: is it well, and what was seen in plain words."""

    what: str
    well: bool
    seen: str


def _answers(outcome: sandbox.Outcome) -> dict[str, Any]:
    """What the probes of all cells sent: the value, or the error's name."""
    return {one["name"]: one.get("value", one.get("error")) for cell in outcome.cells for one in cell.sent}


def _left(canary: str) -> list[int]:
    """Processes on this machine whose command names the canary."""
    left = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        if canary in " ".join(process.info["cmdline"] or []) or canary in str(process.info["environ"] or ""):
            left.append(process.pid)
    return [pid for pid in left if pid != os.getpid()]


def _tools() -> Iterator[Finding]:
    """The programs and packages that grading needs."""
    missing = sandbox.missing_tools()
    yield Finding(
        "programs", not missing, f"missing: {', '.join(missing)}" if missing else "bwrap, prlimit, setpriv"
    )
    packages = [name for name in ("nbgrader", "nbclient", "psutil") if importlib.util.find_spec(name) is None]
    yield Finding(
        "packages",
        not packages,
        f"missing: {', '.join(packages)}; `make grading` installs them" if packages else "nbgrader, nbclient",
    )
    try:
        environment = sandbox.students_environment()
        yield Finding("students' environment", True, f"{environment.name}: {sandbox.python_version()}")
    except sandbox.SandboxError as error:
        yield Finding("students' environment", False, str(error))


def _trials(course: Course) -> Iterator[Finding]:
    """What was tried inside the sandbox."""
    canary = f"canary{uuid.uuid4().hex}"
    path = course.root.resolve() / canary
    with socket.create_server(("127.0.0.1", 0)) as server:
        reached: list[object] = []
        threading.Thread(target=lambda: _accept(server, reached), daemon=True).start()
        write(path, "canary")
        try:
            places = {
                "port": server.getsockname()[1],
                "canary": canary,
                "path": str(path),
                "file_mb": LIMITS.file // 1_000_000,
                "tries": LIMITS.processes + 40,
                "memory": LIMITS.address_space,
            }
            cells = [
                HEAD,
                *(cell.format(**places) for cell in (NETWORK, FILES, PROCESSES)),
                LOOP,
                HEAD + 'probe("after the loop", lambda: 1)',
            ]
            outcome = sandbox.run(cells, "doctor", LIMITS)
        finally:
            path.unlink()
    seen = _answers(outcome)
    yield Finding("a cell runs", "connect" in seen, f"{len(seen)} answers came")
    refused = seen.get("connect") in ("OSError", "ConnectionRefusedError") and not reached
    yield Finding("no network", refused, f"a connection to this machine: {seen.get('connect')}")
    found = [name for name in seen.get("found") or ["nothing was sent"] if not name.startswith("/probes/")]
    hidden = not found and seen.get("read") == "FileNotFoundError"
    yield Finding(
        "the course is out of sight",
        hidden,
        f"visible: {', '.join(found[:3])}" if found else "nothing of it is visible",
    )
    yield Finding(
        "nothing can be changed",
        seen.get("writable") == ["/work", "/tmp"],
        f"writable: {seen.get('writable')}",
    )
    yield Finding(
        "files are limited",
        seen.get("one big file") == "OSError" and seen.get("shared memory") == "OSError",
        f"a file over {LIMITS.file // 1_000_000} MB: {seen.get('one big file')}",
    )
    forks = seen.get("forks")
    held = isinstance(forks, int) and forks < LIMITS.processes
    yield Finding(
        "processes are limited",
        held,
        f"{forks} of {LIMITS.processes + 40} forks went through at a limit of {LIMITS.processes}",
    )
    rights = str(seen.get("rights"))
    who = seen.get("who") or [None, 99]
    unprivileged = set(rights) == {"0"} and (os.geteuid() != 0 or who[0] == sandbox.NOBODY) and who[1] < 10
    yield Finding("no rights", unprivileged, f"capabilities {rights}, {who[1]} processes in view")
    yield Finding(
        "memory is limited",
        seen.get("memory") == "MemoryError",
        f"{LIMITS.address_space // 1_000_000} MB: {seen.get('memory')}",
    )
    stopped = outcome.cells[4].ended == "too slow" and seen.get("after the loop") == 1
    yield Finding(
        "a loop is stopped",
        stopped,
        f"the loop was {outcome.cells[4].ended}, the next cell {outcome.cells[5].ended}",
    )
    left = _left(canary)
    yield Finding("nothing is left behind", "daemon" in seen and not left, f"{len(left)} processes are left")


def _accept(server: socket.socket, reached: list[object]) -> None:
    """Note whoever connects."""
    try:
        reached.append(server.accept()[0])
    except OSError:
        return


def examine(course: Course) -> list[Finding]:
    """Look at everything and try the sandbox; a trial that cannot run is a finding too."""
    findings = list(_tools())
    if all(finding.well for finding in findings):
        try:
            findings += _trials(course)
        except (sandbox.SandboxError, OSError) as error:
            findings.append(Finding("the sandbox starts", False, str(error)))
    return findings
