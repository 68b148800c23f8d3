"""The learner's view: the first chapter in JupyterLab, in a real browser, with its figure moving live."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest


def wait_until_up(server, port, log, seconds):
    """Wait until the server listens on the port; a test that went on without it would fail far from the cause."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            pytest.fail(
                f"the server ended with exit status {server.returncode}; its last words:\n{tail(log)}"
            )
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"no server listens on port {port} after {seconds} s; its last words:\n{tail(log)}")


def tail(log):
    return log.read_text(encoding="utf-8", errors="replace")[-1500:] or "(none)"


def stop(server):
    server.terminate()
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(book, tmp_path):
    """A JupyterLab over a copy of the book; gives its address."""
    shutil.copytree(book, tmp_path / "book")
    port, log = free_port(), tmp_path / "server.log"
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(news))
    command = [sys.executable, "-m", "jupyter", "lab", "--allow-root", "--no-browser", f"--port={port}",
               "--ServerApp.token=course", f"--ServerApp.root_dir={tmp_path / 'book'}"]  # fmt: skip
    environment = os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_up(server, port, log, seconds=60)
        yield f"http://127.0.0.1:{port}/lab/tree/architecture_diagram.ipynb?token=course"
    finally:
        stop(server)


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("print('no such option'); raise SystemExit(3)", "exit status 3; its last words:\nno such option"),
        (
            "import time; print('thinking', flush=True); time.sleep(60)",
            "no server listens on port .*\nthinking",
        ),
    ],
)
def test_a_server_that_never_comes_up_fails_with_its_last_words(tmp_path, program, complaint):
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen([sys.executable, "-c", program], stdout=output, stderr=subprocess.STDOUT)
    try:
        with pytest.raises(pytest.fail.Exception, match=complaint):
            wait_until_up(server, free_port(), log, seconds=2)
    finally:
        stop(server)


@pytest.mark.long
def test_the_chapter_runs_and_its_figure_moves_with_the_kernel(chromium, lab):
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(lab)
    page.get_by_text("| Idle").wait_for()  # the kernel is up; before that, the menu's entries do nothing
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        "document.querySelectorAll('.widget-hslider').length === 2"
    )  # the last figure is there
    slider = page.locator(".widget-hslider").first
    slider.scroll_into_view_if_needed()
    name = "document.querySelector('.jupyter-widgets svg[role=img]')?.getAttribute('aria-label')"
    page.wait_for_function(f"{name}.startsWith('15 June 2017')")
    slider.locator(".noUi-handle").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{name}.startsWith('16 October 2017')")
    for trouble in ("error", "stderr"):
        assert page.locator(f"[data-mime-type='application/vnd.jupyter.{trouble}']").count() == 0
    page.close()
