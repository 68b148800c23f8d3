"""The learner's view: the first chapter in JupyterLab, in a real browser, with its figure moving live."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.long


@pytest.fixture
def lab(book, tmp_path):
    """A JupyterLab over a copy of the book; gives its address."""
    shutil.copytree(book, tmp_path / "book")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(news))
    command = [sys.executable, "-m", "jupyter", "lab", "--allow-root", "--no-browser", f"--port={port}",
               "--ServerApp.token=course", f"--ServerApp.root_dir={tmp_path / 'book'}"]  # fmt: skip
    environment = os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(120):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.5)
    yield f"http://127.0.0.1:{port}/lab/tree/architecture_diagram.ipynb?token=course"
    server.terminate()
    server.wait(timeout=30)


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
