"""A learner's visit: notebooks opened in JupyterLab in a real browser, run through its menu, their figures moved.

    .venv/bin/python tools/trial.py [--python PATH] [--pictures FOLDER] [book/NAME.ipynb ...]

The default is every notebook of the book, each on a copy with its outputs cleared. `--python` names the Python whose
JupyterLab and kernel are tried, for instance that of an environment made as Binder makes it. `--pictures` keeps
screenshots of what the learner saw. Prints a row for each notebook and ends with 1 where a visit found a fault.
"""

import argparse
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from browser import ARGUMENTS, get_browser
from lab_server import serve_lab
from papertrail.plain_notebooks import load_course, write_plain

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
FIRST_RESULT_S = 20.0  # by the clock, from opening a notebook to a first output; the kernel starts meanwhile
FIRST_CPU_S = 12.0  # computing of kernel and server until then: the same on a machine that others use
PEAK_MIB = 600.0  # of a kernel; Binder promises 1 GB for it and the server together
PATIENCE_S = 300.0  # for a whole notebook
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer"


@dataclass
class Visit:
    """What a learner met in one notebook.

    first_result_s: seconds by the clock from opening to the first output of a cell; all_results_s: to the last
        cell's end. first_cpu_s: CPU seconds of kernel and server until the first output.
    kernel_mib, server_mib: peak resident memory in MiB.
    moved: figures that followed both the keyboard and the mouse.
    faults: in words; empty where all is well.
    """

    notebook: str
    first_result_s: float = math.nan
    first_cpu_s: float = math.nan
    all_results_s: float = math.nan
    kernel_mib: float = math.nan
    server_mib: float = math.nan
    moved: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The visit in a line."""
        return (
            f"{self.notebook}: first result {self.first_result_s:.1f} s ({self.first_cpu_s:.1f} s of computing), "
            f"all {self.all_results_s:.1f} s, kernel {self.kernel_mib:.0f} MiB, server {self.server_mib:.0f} MiB, "
            f"{self.moved} figures moved"
        )


class Wire:
    """What the kernel says to a page, with the time at which each word came."""

    def __init__(self, page: Page):
        self.heard: list[tuple[float, str]] = []
        self.trouble: list[str] = []
        page.on("websocket", lambda socket: socket.on("framereceived", self.note))
        page.on("pageerror", lambda error: self.trouble.append(f"script error: {error}"))

    def note(self, frame: str | bytes) -> None:
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        for kind in re.findall(r'"msg_type": ?"(\w+)"', text)[:1]:
            self.heard.append((time.monotonic(), kind))

    def count(self, *kinds: str) -> int:
        return sum(kind in kinds for _, kind in self.heard)

    def first(self, *kinds: str) -> float:
        return next((when for when, kind in self.heard if kind in kinds), math.nan)

    def last(self, *kinds: str) -> float:
        return next((when for when, kind in reversed(self.heard) if kind in kinds), math.nan)


RESULTS = ("stream", "display_data", "execute_result", "error")


def peak_mib(pid: int) -> float:
    """Peak resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def kernel_of(server: int) -> int:
    """The process id of the newest kernel of a server.

    Raises:
        RuntimeError: there is none.
    """
    found = [
        p for p in psutil.Process(server).children(recursive=True) if "ipykernel_launcher" in p.cmdline()
    ]
    if not found:
        raise RuntimeError("the server has no kernel")
    return max(found, key=lambda process: process.create_time()).pid


def choose(page: Page, menu: str, entry: str) -> None:
    """Click an entry of JupyterLab's menu."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    spent = psutil.Process(pid).cpu_times()
    return spent.user + spent.system


def run_all(page: Page, wire: Wire, cells: int, server: int) -> float:
    """Run all cells through the menu, and wait until each has answered or one has failed. Returns the CPU seconds of
    kernel and server until the first output came.

    Raises:
        TimeoutError: the kernel does not start, or the cells do not end within PATIENCE_S.
    """
    page.get_by_text(re.compile(r"\| Idle")).wait_for()  # before that, the menu's entries do nothing
    asked = wire.count("execute_reply")
    choose(page, "Run", "Run All Cells")
    end, first_cpu = time.monotonic() + PATIENCE_S, math.nan
    while wire.count("execute_reply") - asked < cells and not wire.count("error"):
        if time.monotonic() > end:
            raise TimeoutError(f"{wire.count('execute_reply')} of {cells} cells ended in {PATIENCE_S:g} s")
        page.wait_for_timeout(50)
        if math.isnan(first_cpu) and wire.count(*RESULTS):
            first_cpu = cpu_seconds(server) + cpu_seconds(kernel_of(server))
    page.wait_for_timeout(1000)  # what the last cell drew
    return first_cpu


def save(page: Page) -> None:
    """Save the notebook and wait until JupyterLab has done so."""
    with page.expect_response(
        lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url
    ):
        page.keyboard.press("Control+s")


def troubles_in(notebook: nbformat.NotebookNode) -> list[str]:
    """Errors, text on stderr, and code cells that did not run, in a saved notebook."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            found.append(f"cell {number} did not run")
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {number}: {output.ename}: {output.evalue[:200]}")
            elif output.get("name") == "stderr":
                found.append(f"cell {number} writes to stderr: {output.text.strip()[:200]}")
    return found


def scroll_through(page: Page) -> Iterator[int]:
    """Bring each part of the notebook into view, from the top; JupyterLab draws only what is near it."""
    panel = page.locator(PANEL).last
    panel.evaluate("panel => panel.scrollTo(0, 0)")
    at, step = 0, 700
    while True:
        page.wait_for_timeout(250)
        yield at
        at += step
        there = panel.evaluate("(panel, at) => { panel.scrollTo(0, at); return panel.scrollTop }", at)
        if there < at - step:
            return


def drawing(figure: Locator) -> str | None:
    """The alternative text of a figure's picture; each frame has its own."""
    return figure.locator("svg[role=img]").first.get_attribute("aria-label")


def changes(page: Page, figure: Locator, before: str | None) -> bool:
    """Does the figure's picture become another within 20 s?"""
    for _ in range(200):
        if drawing(figure) != before:
            return True
        page.wait_for_timeout(100)
    return False


def move(page: Page, figure: Locator) -> list[str]:
    """Move one figure by keyboard and by mouse; returns what it did not follow."""
    figure.scroll_into_view_if_needed()
    handle, faults = figure.locator(".noUi-handle").first, []
    before = drawing(figure)
    handle.focus()
    page.keyboard.press("ArrowRight")
    if not changes(page, figure, before):
        faults.append("does not follow the keyboard")
    before, rail = drawing(figure), figure.locator(".noUi-target").first.bounding_box()
    if rail is None:
        return [*faults, "has a slider that is not in sight"]
    handle.hover()
    page.mouse.down()
    page.mouse.move(rail["x"] + rail["width"], rail["y"] + rail["height"] / 2, steps=5)
    page.mouse.up()
    if not changes(page, figure, before):
        faults.append("does not follow the mouse")
    return faults


QUESTIONS = """() => [...document.querySelectorAll(".widget-vbox:has(.widget-hslider)")]
    .filter(figure => figure.checkVisibility()).map(figure => figure.querySelector("b").textContent)"""


def move_all(page: Page, visit: Visit) -> None:
    """Move every figure of the notebook once, and note those that do not follow."""
    seen = set()
    for _ in scroll_through(page):
        for question in page.evaluate(QUESTIONS):
            if question in seen:
                continue
            seen.add(question)
            # by its question: scrolling takes other figures out of the page and brings more in
            figure = page.locator(".widget-vbox:has(.widget-hslider)").filter(has_text=question)
            if faults := move(page, figure):
                visit.faults += [f"the figure {question!r} {fault}" for fault in faults]
            else:
                visit.moved += 1


def photograph(page: Page, pictures: Path, name: str) -> None:
    """Screenshots of the whole notebook, part by part."""
    folder = pictures / name
    folder.mkdir(parents=True, exist_ok=True)
    for at in scroll_through(page):
        page.screenshot(path=folder / f"{at:06d}.png")


def visit_notebook(
    browser: Browser, lab: str, server: int, path: Path, name: str, pictures: Path | None = None
) -> Visit:
    """Open a notebook, run it, look at what came, and move its figures.

    Args:
        path: the file, whose outputs are empty. name: the same from the server's folder.

    Raises:
        TimeoutError: as `run_all`; playwright's own where JupyterLab shows no notebook.
    """
    visit = Visit(name)
    cells = sum(
        c.cell_type == "code" and bool(c.source.strip()) for c in nbformat.read(path, as_version=4).cells
    )
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    wire, start = Wire(page), time.monotonic()
    page.goto(f"{lab}/tree/{name}?token=course&reset")
    visit.first_cpu_s = run_all(page, wire, cells, server)
    visit.first_result_s = wire.first(*RESULTS) - start
    visit.all_results_s = wire.last("execute_reply") - start
    save(page)
    visit.faults += troubles_in(nbformat.read(path, as_version=4))
    move_all(page, visit)
    kernel = kernel_of(server)
    visit.kernel_mib, visit.server_mib = peak_mib(kernel), peak_mib(server)
    if dialogs := page.locator(".jp-Dialog, .Toastify__toast--error").all_inner_texts():
        visit.faults.append(f"JupyterLab asks or complains: {dialogs}")
    visit.faults += wire.trouble
    if visit.first_cpu_s > FIRST_CPU_S:
        visit.faults.append(f"the first result took {visit.first_cpu_s:.0f} s of computing")
    if visit.kernel_mib > PEAK_MIB:
        visit.faults.append(f"the kernel took {visit.kernel_mib:.0f} MiB")
    if pictures:
        photograph(page, pictures, path.stem)
    save(page)
    page.close()
    psutil.Process(kernel).kill()
    return visit


def copy_cleared(paths: list[Path], folder: Path) -> None:
    """Notebooks of the book as learners get them, in a folder, with their outputs cleared."""
    course = load_course(BOOK)
    for path in paths:
        target = folder / path.relative_to(BOOK)
        write_plain(path, target, course, replace=True)
        notebook = nbformat.read(target, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, target)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args(arguments)
    paths = [path.resolve() for path in given.notebooks] or sorted(BOOK.glob("*.ipynb"))
    faults = 0
    executable = get_browser()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        scratch = Path(name)
        copy_cleared(paths, scratch / "book")
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        for number, path in enumerate(paths):
            place = path.relative_to(BOOK)
            (own := scratch / str(number)).mkdir()
            with serve_lab(scratch / "book", own, given.python) as (lab, server):
                visit = visit_notebook(
                    browser, lab, server, scratch / "book" / place, str(place), given.pictures
                )
            if visit.first_result_s > FIRST_RESULT_S:
                visit.faults.append(f"the first result came after {visit.first_result_s:.0f} s")
            print(visit.line(), *visit.faults, sep="\n  ", flush=True)
            faults += len(visit.faults)
        browser.close()
    return bool(faults)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
