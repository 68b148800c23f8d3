"""The built site on a local server, and a real browser whose every request is recorded."""

import os
import shutil
import subprocess
import sys

import pytest
from playwright.sync_api import sync_playwright

from browser import ARGUMENTS, get_browser
from weight import serve


@pytest.fixture(scope="session")
def address(site):
    with serve(site) as address:
        yield address


@pytest.fixture(scope="session")
def copy_sources(root):
    """A function that copies what a build reads into a folder."""

    def copy_(folder):
        for name in ("_config.yml", "_toc.yml", "CITATION.cff"):
            shutil.copy(root / name, folder / name)
        shutil.copytree(root / "book", folder / "book")
        shutil.copytree(root / "tools", folder / "tools")
        return folder

    return copy_


@pytest.fixture(scope="session")
def build():
    """A function that builds such a copy cold, or goes on from the last build."""

    def build_(folder, cold=True, **environment):
        command = [sys.executable, folder / "tools" / "build.py", *["--cold"] * cold]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=os.environ | environment
        )

    return build_


COMPLAINTS = ("error", "warning")  # kinds of the console's messages

SECOND_CHAPTER = """
- {id: second-holds, claim: One., article: [], where: null, kind: history, unchecked: made up, verdict: holds,
   says: Made up., sources: [{key: vaswani2017attention, at: abstract, read: abstract}]}
- {id: second-wrong, claim: Two., article: [], where: null, kind: history, unchecked: made up, verdict: wrong,
   says: Made up., sources: [{key: vaswani2017attention, at: abstract, read: abstract}]}
"""


@pytest.fixture(scope="session")
def two_chapters(copy_sources, build, tmp_path_factory):
    """The address of a site whose ledger has the rows of one chapter more."""
    folder = copy_sources(tmp_path_factory.mktemp("two"))
    (folder / "book" / "claims" / "second_chapter.yml").write_text(SECOND_CHAPTER)
    with (folder / "book" / "claims.md").open("a") as page:
        page.write("\n## A second chapter\n\n```{ledger} second_chapter\n```\n")
    result = build(folder)
    assert result.returncode == 0, result.stdout[-1500:] + result.stderr[-1500:]
    with serve(folder / "_build" / "html") as address:
        yield address


@pytest.fixture(scope="session")
def chromium():
    executable = get_browser()  # before the driver starts: looking for a browser may start one of its own
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, address):
    """A page of the book, which carries `.requests` (addresses) and `.problems` (of the console, and of scripts)."""
    contexts = []

    def open_(name, *, at=address, width=1280, scheme="light", scripts=True, until="load"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.requests, page.problems = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda said: page.problems.append(said.text) if said.type in COMPLAINTS else None)
        page.goto(f"{at}/{name}", wait_until=until)
        return page

    yield open_
    for context in contexts:
        context.close()
