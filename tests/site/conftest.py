"""A local server for the built site, and a real browser whose every request is recorded."""

import functools
import http.server
import threading

import pytest
from playwright.sync_api import sync_playwright

from browser import ARGUMENTS, get_browser


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address(site):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=get_browser(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, address):
    """Open a page of the book; the page carries `.requests` (addresses) and `.problems` (console and script errors)."""
    contexts = []

    def open_(name, *, width=1280, scheme="light", scripts=True, until="load"):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.requests, page.problems = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "console", lambda message: page.problems.append(message.text) if message.type == "error" else None
        )
        page.goto(f"{address}/{name}", wait_until=until)
        return page

    yield open_
    for context in contexts:
        context.close()
