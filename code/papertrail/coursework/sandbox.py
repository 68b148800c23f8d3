"""Run strangers' cells where they can do no harm: no network, no files but their own, and limits on everything.

Two steps, because an instructor may well be root, and root's limits do not hold:

1. Outside, bubblewrap gives the job a small file system in memory of its own, with the students' environment in it,
   under a folder that any user may enter. The job (`job.py`) starts there, and it dies with the grader.
2. Inside, the kernel is started as a user without any rights (when the grader is root), in namespaces of its own,
   with nothing in view but Python, the students' environment, the probes and an empty folder.

There is no way around it: without a working sandbox `run` raises, and nothing is graded.
"""

import errno
import functools
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

NOBODY = 65534
TOOLS = {"bwrap": "bubblewrap", "prlimit": "util-linux", "setpriv": "util-linux"}
PROBES = Path(__file__).with_name("probes.py")
MB = 1_000_000
# System calls that take memory which counts as no process's (memfd_create, memfd_secret, shmget, msgget, semget), and
# the kernel's number for the machine.
UNCOUNTED = {
    "x86_64": (0xC000003E, (319, 447, 29, 68, 64)),
    "aarch64": (0xC00000B7, (279, 447, 194, 186, 190)),
}


NOT_ALLOWED = re.compile(r"Permission denied|not permitted|No permissions", re.IGNORECASE)
HINT = (
    " (This machine may not let ordinary users make namespaces. On Ubuntu 24.04 and later, an administrator sets "
    "kernel.apparmor_restrict_unprivileged_userns to 0; in a container, its host must allow them.)"
)


class SandboxError(RuntimeError):
    """The sandbox is not there, or did not start; the message says what is missing and what to do."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Seconds of CPU count the work done, whatever else the machine does; those by
    the clock are a last resort, which a very busy machine can meet.

    Attributes:
        cell_cpu, cell_wall: seconds for one cell, of CPU time and by the clock.
        whole_wall: seconds by the clock for all of it.
        address_space: bytes that one process may map.
        data: bytes that one process may allocate. Less than `resident`, so that a loop that collects without end
            meets a MemoryError in one check, and does not take the checks after it along.
        resident: bytes in memory for all processes together.
        processes: processes and threads at a time.
        file: bytes of one file. `scratch`: bytes of all files. `runtime`: bytes of the kernel's own folder.
        output: bytes that all cells together may print or show; `message`: bytes of one message.
    """

    cell_cpu: float = 20.0
    cell_wall: float = 90.0
    whole_wall: float = 300.0
    address_space: int = 4000 * MB
    data: int = 1300 * MB
    resident: int = 1500 * MB
    processes: int = 64
    file: int = 64 * MB
    scratch: int = 128 * MB
    runtime: int = 8 * MB
    output: int = 10 * MB
    message: int = 4 * MB


@dataclass(frozen=True)
class Cell:
    """What became of one cell: what its probes sent, how it ended, and the error that it raised: name and text.

    `ended` is "done", "error", "too slow", "killed" (the cell ended its kernel, or the kernel had to be ended)
    or "not run".
    """

    sent: list[dict] = field(default_factory=list)
    ended: str = "not run"
    error: str = ""
    text: str = ""


@dataclass
class Outcome:
    """What became of a run: one `Cell` for each source, notes, and what the student's processes and the job used.

    A note is a pair: the cell it is about (None for all of them), and what happened in plain words.
    """

    cells: list[Cell]
    notes: list[tuple[int | None, str]]
    cpu_seconds: float = 0.0
    resident: int = 0
    job_cpu_seconds: float = 0.0


def students_environment() -> Path:
    """The virtual environment that student code runs in: $PAPERTRAIL_SANDBOX, or .sandbox in the current folder.

    Raises:
        SandboxError: there is none.
    """
    path = Path(os.environ.get("PAPERTRAIL_SANDBOX") or ".sandbox").resolve()
    if not (path / "bin" / "python").exists():
        raise SandboxError(
            f"no environment for student code at {path.name}: `make grading` makes it, "
            "or name one in PAPERTRAIL_SANDBOX"
        )
    return path


def base_of(environment: Path) -> Path:
    """Where the Python lies that a virtual environment stands on."""
    return (environment / "bin" / "python").resolve().parent.parent


def missing_tools() -> list[str]:
    """The programs that the sandbox needs and that are not installed, with the package that brings each."""
    return [f"{tool} (package {package})" for tool, package in TOOLS.items() if shutil.which(tool) is None]


def outer_command(folder: Path, environment: Path) -> list[str]:
    """Step 1: the job's command, seeing everything the grader sees, and over `folder` a small one of its own."""
    base = base_of(environment)
    return [
        "bwrap", "--die-with-parent", "--dev-bind", "/", "/",
        "--size", str(Limits().runtime), "--tmpfs", str(folder),
        "--ro-bind", str(environment), f"{folder}/env",
        "--ro-bind", str(base), f"{folder}/base",
        "--ro-bind", str(PROBES), f"{folder}/probes.py",
        "prlimit", f"--as={2000 * MB}:", "--core=0",  # soft: the kernel sets its own
        sys.executable, "-m", "papertrail.coursework.job", str(folder), str(base),
    ]  # fmt: skip


def call_filter() -> bytes:
    """A seccomp program for bubblewrap: the calls in `UNCOUNTED`, and those of another machine, fail with EPERM."""
    machine, calls = UNCOUNTED[platform.machine()]
    load, equal, at_least, give, allow, refuse = 0x20, 0x15, 0x35, 0x06, 0x7FFF0000, 0x50000 | errno.EPERM
    steps = [
        (load, 0, 0, 4),
        (equal, 1, 0, machine),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),
        (at_least, len(calls) + 1, 0, 0x40000000),
    ]  # numbers from here on are of a second kind (x32)
    steps += [(equal, len(calls) - at, 0, call) for at, call in enumerate(calls)]
    steps += [(give, 0, 0, allow), (give, 0, 0, refuse)]
    return b"".join(
        struct.pack("=HBBI", *step) for step in steps
    )  # operation, jump if true, if false, number


def inner_command(run: Path, base: Path, seed: str, limits: Limits, calls: int) -> list[str]:
    """Step 2: the kernel's command. `{connection_file}` is for Jupyter to fill in.

    Args:
        run: the one folder outside that the kernel can write to, in the job's own folder.
        base: where the Python of the students' environment lies.
        seed: of the probes' draws.
        limits: what it may use.
        calls: an open file with `call_filter()` in it.
    """
    folder = run.parent
    unprivileged = [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
        "--inh-caps=-all", "--bounding-set=-all",
    ]  # fmt: skip
    system = ["--ro-bind", "/usr/bin", "/usr/bin", "--ro-bind", "/usr/lib", "/usr/lib"]
    if Path("/usr/lib64").exists():
        system += ["--ro-bind", "/usr/lib64", "/usr/lib64"]
    for link, target in (("/bin", "usr/bin"), ("/lib", "usr/lib"), ("/lib64", "usr/lib64")):
        system += ["--symlink", target, link]
    package = "/probes/papertrail/coursework"
    variables = {
        "PATH": "/env/bin:/usr/bin", "HOME": "/tmp", "USER": "student", "LOGNAME": "student", "LANG": "C.UTF-8",
        "IPYTHONDIR": "/tmp/ipython", "MPLCONFIGDIR": "/tmp/matplotlib", "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "/probes", "PAPERTRAIL_SEED": seed,
    }  # fmt: skip
    variables |= {
        name: value for name, value in os.environ.items() if name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    }
    return [
        "env", "-i", f"PATH={os.environ.get('PATH', os.defpath)}",  # inside, bubblewrap's own variables are in view
        *(unprivileged if os.geteuid() == 0 else []),
        "bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--seccomp", str(calls),
        "--die-with-parent", "--new-session", "--clearenv",
        *system,
        "--proc", "/proc", "--dev", "/dev", "--size", str(16 * MB), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
        "--size", str(limits.scratch // 2), "--tmpfs", "/tmp", "--size", str(limits.scratch // 2), "--tmpfs", "/work",
        "--ro-bind", f"{folder}/env", "/env", "--ro-bind", f"{folder}/base", str(base),
        "--ro-bind", f"{folder}/probes.py", f"{package}/probes.py",
        "--bind", str(run), str(run),
        *(part for name, value in variables.items() for part in ("--setenv", name, value)),
        "--chdir", "/work", "--remount-ro", "/",
        "prlimit", f"--as={limits.address_space}", f"--data={limits.data}", f"--nproc={limits.processes}",
        f"--fsize={limits.file}", f"--cpu={int(limits.whole_wall)}", "--core=0", "--nofile=256",
        "/env/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}",
    ]  # fmt: skip


def ready() -> Path:
    """The students' environment, where everything that the sandbox needs is here; nothing is started.

    Raises:
        SandboxError: something is missing.
    """
    if missing := missing_tools():
        raise SandboxError(f"the sandbox needs {', '.join(missing)}")
    if platform.machine() not in UNCOUNTED:
        raise SandboxError(f"the sandbox does not know this kind of machine ({platform.machine()})")
    return students_environment()


def run(cells: list[str], seed: str, limits: Limits | None = None) -> Outcome:
    """Execute code cells, one after the other, in one fresh kernel in a sandbox.

    A cell that ends its kernel, or cannot be interrupted, is left out, and the others run again without it.

    Args:
        cells: sources, untrusted.
        seed: what the probes' draws are made from.
        limits: what it may use; `Limits()` if left out.

    Raises:
        SandboxError: the sandbox cannot start here. Nothing has run.
    """
    limits = limits or Limits()
    environment = ready()
    folder = Path(tempfile.mkdtemp(prefix="pt-"))
    job = json.dumps({"cells": cells, "seed": seed, "limits": asdict(limits)})
    try:
        folder.chmod(0o755)  # the kernel's user passes through it; what is inside is guarded by itself
        process = subprocess.run(
            outer_command(folder, environment), input=job, capture_output=True, text=True,
            timeout=limits.whole_wall + 120,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SandboxError("the job did not end by itself and was stopped") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if process.returncode:
        said = (process.stderr.strip().splitlines() or [f"exit {process.returncode}"])[-1]
        raise SandboxError(f"the sandbox did not run: {said}{HINT if NOT_ALLOWED.search(said) else ''}")
    return read_outcome(json.loads(process.stdout))


def read_outcome(data: dict) -> Outcome:
    """An outcome from the dictionary that a job prints."""
    return Outcome(**(data | {"cells": [Cell(**cell) for cell in data["cells"]]}))


@functools.cache
def python_version() -> str:
    """The Python and torch of the students' environment, in words."""
    script = "import sys, importlib.metadata as m; print('Python', sys.version.split()[0], 'torch', m.version('torch'))"
    return subprocess.run(
        [students_environment() / "bin" / "python", "-c", script], capture_output=True, text=True
    ).stdout.strip()
