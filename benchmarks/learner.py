"""What one learner needs of a machine's memory: the Jupyter server and a kernel, alone and beside others.

    .venv/bin/python benchmarks/learner.py [--learners N] [--notebook NAME] [--record]      (default: 3, chapter 1)

Each learner gets a server as Binder starts one (`jupyter lab --no-browser`) and one kernel, in which all cells of the
notebook run. Memory is read from Linux: the peak of a process is its VmHWM; its share is its PSS, in which a page
that n processes have in common counts as one n-th for each; private is what no other process has, so with two
learners or more it is what one more would add. Other programs that use the same libraries make shares smaller.
`--record` writes book/results/coursework/learner.json.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil
from jupyter_client import BlockingKernelClient

from papertrail.experiments import progress, save_record

ROOT = Path(__file__).resolve().parent.parent
GRADERS = ("formgrader", "validate_assignment", "assignment_list", "course_list")  # no learner has these
MIB = 1024


def memory(pids: list[int]) -> dict[str, float]:
    """MiB of some processes together: `peak` (sum of VmHWM), `resident` (sum of RSS), `share` (sum of PSS),
    `private` (what no other process shares).
    """
    fields = {
        "peak": ("VmHWM",),
        "resident": ("VmRSS",),
        "share": ("Pss",),
        "private": ("Private_Clean", "Private_Dirty"),
    }
    total = dict.fromkeys(fields, 0.0)
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text() + Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = {line.split(":")[0]: line.split() for line in lines.splitlines() if line.endswith(" kB")}
        for name, wanted in fields.items():
            total[name] += sum(int(found[field][1]) for field in wanted) / MIB
    return total


def ask(address: str, body: dict | None = None) -> dict | list:
    """One request to a server's interface, answered with JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Authorization": "token course"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


class Learner:
    """A server of one's own with one kernel, in a fresh folder."""

    def __init__(self, folder: Path, port: int):
        self.runtime = folder / "runtime"
        self.runtime.mkdir(parents=True)
        command = [sys.executable, "-m", "jupyter", "lab", "--allow-root", "--no-browser", f"--port={port}",
                   "--ServerApp.port_retries=0", "--ServerApp.token=course",
                   f"--ServerApp.root_dir={ROOT / 'book'}"]  # fmt: skip
        wanted = {f"nbgrader.server_extensions.{name}": False for name in GRADERS}
        command.append(f"--ServerApp.jpserver_extensions={wanted}")
        environment = os.environ | {"JUPYTER_RUNTIME_DIR": str(self.runtime)}
        self.server = subprocess.Popen(
            command,
            env=environment,
            stdout=(folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.address = f"http://127.0.0.1:{port}/api"
        self.kernel = 0
        self.wait()

    def wait(self) -> None:
        """Until the server answers.

        Raises:
            RuntimeError: it ended, or said nothing for two minutes.
        """
        for _ in range(240):
            with contextlib.suppress(OSError):
                ask(f"{self.address}/status")
                return
            if self.server.poll() is not None:
                break
            time.sleep(0.5)
        raise RuntimeError("the Jupyter server did not start")

    def open_kernel(self) -> None:
        """Start the kernel."""
        started = ask(f"{self.address}/kernels", {"name": "python3"})
        (self.kernel,) = (
            one.pid
            for one in psutil.Process(self.server.pid).children()
            if "ipykernel_launcher" in one.cmdline()
        )
        self.client = BlockingKernelClient(connection_file=str(self.runtime / f"kernel-{started['id']}.json"))
        self.client.load_connection_file()
        self.client.hb_channel.time_to_dead = 60.0  # seconds; on a busy machine the first beat takes long
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, notebook: Path) -> None:
        """Run all code cells.

        Raises:
            RuntimeError: one of them failed.
        """
        for cell in nbformat.read(notebook, as_version=4).cells:
            if cell.cell_type == "code":
                reply = self.client.execute_interactive(
                    cell.source, timeout=300, output_hook=lambda message: None
                )
                if reply["content"]["status"] != "ok":
                    raise RuntimeError(f"{notebook.name}: {reply['content']['ename']}")

    def close(self) -> None:
        """End the kernel's channels, the server, and with it the kernel."""
        if self.kernel:
            self.client.stop_channels()
        if self.server.poll() is None:
            os.killpg(self.server.pid, signal.SIGTERM)
            self.server.wait(30)


def measure(learners: int, notebook: Path) -> dict:
    """Bring one learner after the other onto this machine; returns what each step took."""
    rows, people = [], []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for number in progress(range(learners), "learners"):
            one = Learner(Path(folder) / str(number), 18_800 + number)
            stack.callback(one.close)
            alone = memory([one.server.pid])
            one.open_kernel()
            idle = memory([one.kernel])
            one.run(notebook)
            people.append(one)
            together = memory([pid for person in people for pid in (person.server.pid, person.kernel)])
            rows.append(
                {
                    "learners": number + 1,
                    "server_alone_mib": alone["resident"],
                    "server_peak_mib": memory([one.server.pid])["peak"],
                    "kernel_idle_mib": idle["resident"],
                    "kernel_peak_mib": memory([one.kernel])["peak"],
                    "last_private_mib": memory([one.server.pid, one.kernel])["private"],
                    "all_resident_mib": together["resident"],
                    "all_share_mib": together["share"],
                }
            )
    return {"notebook": notebook.name, "rows": [{k: round(v, 1) for k, v in row.items()} for row in rows]}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--learners", type=int, default=3)
    options.add_argument("--notebook", default="architecture_diagram")
    options.add_argument("--record", action="store_true")
    given = options.parse_args()
    found = measure(given.learners, ROOT / "book" / f"{given.notebook}.ipynb")
    for row in found["rows"]:
        print(", ".join(f"{key} {value:g}" for key, value in row.items()))
    if given.record:
        command = "python benchmarks/learner.py --record"
        packages = ("torch", "jupyterlab", "jupyter-server", "ipykernel")
        print(save_record("coursework", "learner", command, found, packages=packages))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
