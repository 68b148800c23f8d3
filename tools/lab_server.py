"""A JupyterLab of one's own, started over a folder and stopped again."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(server: subprocess.Popen, port: int, log: Path, seconds: float) -> None:
    """Wait until the server listens on the port.

    Raises:
        RuntimeError: it ended, or does not listen in time; the message ends with its last words.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with exit status {server.returncode}; {last_words(log)}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"no server listens on port {port} after {seconds} s; {last_words(log)}")


def last_words(log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace")[-1500:]
    return f"its last words:\n{said or '(none)'}"


def stop(server: subprocess.Popen) -> None:
    """End a server; by force where it does not end within half a minute."""
    server.terminate()
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextlib.contextmanager
def serve_lab(folder: Path, scratch: Path, python: str = sys.executable) -> Iterator[tuple[str, int]]:
    """JupyterLab over a folder, with a stranger's settings; gives its address and its process id.

    Args:
        scratch: an empty folder for its settings and its log.

    Raises:
        RuntimeError: as `wait_until_up`.
    """
    port, log = free_port(), scratch / "server.log"
    settings = scratch / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}  # the one question that needs the network
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(news))
    command = [python, "-m", "jupyter", "lab", "--allow-root", "--no-browser", f"--port={port}",
               "--ServerApp.token=course", f"--ServerApp.root_dir={folder}"]  # fmt: skip
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(scratch / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_up(server, port, log, seconds=60)
        yield f"http://127.0.0.1:{port}/lab", server.pid
    finally:
        stop(server)
