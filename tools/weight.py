"""Weigh the built site: what a browser asks for when it opens each page for the first time.

    .venv/bin/python tools/weight.py [page ...]      every request of these pages; without any, a line for every page

Text counts as a static host sends it, compressed with gzip; fonts and pictures are compressed already.
"""

import contextlib
import functools
import gzip
import http.server
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, sync_playwright
from tqdm import tqdm

from browser import ARGUMENTS, get_browser

ROOT = Path(__file__).resolve().parent.parent
COMPRESSED = (".woff", ".woff2", ".png", ".jpg", ".webp")
# A page has loaded once its formulas are set, since only then are their fonts asked for.
SETTLED = "async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; gives its address."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Request:
    """One request of a page: its address, the host's answer (None: no answer), and bytes, plain and as sent."""

    address: str
    status: int | None
    plain: int
    sent: int


def compressed(name: str, content: bytes) -> int:
    """Bytes that a static host sends for a file."""
    return len(content) if name.endswith(COMPRESSED) else len(gzip.compress(content, 6))


def first_load(browser: Browser, address: str, site: Path, page: str) -> list[Request]:
    """Every request of a page that is opened with an empty cache, until its formulas are set and it falls silent.

    Raises:
        playwright.sync_api.Error: the page does not load, or does not settle in half a minute.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        tab, asked = context.new_page(), []
        tab.on("request", lambda request: asked.append(request))
        tab.goto(f"{address}/{page}", wait_until="networkidle")
        tab.evaluate(SETTLED)
        tab.wait_for_load_state("networkidle")
        answers = [
            (request.url, request.response()) for request in asked if not request.url.startswith("data:")
        ]
    finally:
        context.close()
    found = []
    for url, answer in answers:
        path = site / unquote(urlsplit(url).path).lstrip("/")
        content = path.read_bytes() if url.startswith(address) and path.is_file() else b""
        found.append(
            Request(
                url.removeprefix(address),
                answer and answer.status,
                len(content),
                compressed(path.name, content),
            )
        )
    return found


def pages_of(site: Path) -> list[str]:
    """The site's pages, but for those that only lead on to another."""
    names = (
        path.relative_to(site).as_posix()
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    )
    return [name for name in names if name != "index.html"]


def kind_of(request: Request, page: str) -> str:
    """What a request is for, in a word."""
    path = urlsplit(request.address).path
    if path == f"/{page}":
        return "page"
    if "/mathjax/" in path:
        return "formulas"
    kinds = {".js": "scripts", ".css": "style sheets", ".woff": "icons", ".woff2": "icons"}
    return kinds.get(Path(path).suffix, "pictures")


@contextlib.contextmanager
def a_browser(site: Path) -> Iterator[tuple[Browser, str]]:
    """A browser, and the address at which it finds the site."""
    executable = get_browser()
    with serve(site) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser, address
        browser.close()


def weigh(site: Path) -> list[dict]:
    """A row for each page, in bytes as sent: `own` (the page itself with its pictures), `first_load` and `kinds`."""
    rows = []
    with a_browser(site) as (browser, address):
        for page in tqdm(pages_of(site), desc="pages", disable=not sys.stderr.isatty()):
            kinds: dict[str, int] = {}
            for request in first_load(browser, address, site, page):
                kind = kind_of(request, page)
                kinds[kind] = kinds.get(kind, 0) + request.sent
            own = kinds["page"] + kinds.get("pictures", 0)
            rows.append({"page": page, "own": own, "first_load": sum(kinds.values()), "kinds": kinds})
    return rows


def main(arguments: list[str]) -> int:
    site = ROOT / "_build" / "html"
    if unknown := [name for name in arguments if not (site / name).is_file()]:
        print(f"weight.py: the built site has no page called {', '.join(unknown)}", file=sys.stderr)
        return 2
    if not arguments:
        for row in weigh(site):
            kinds = ", ".join(f"{kind} {sent / 1000:.0f}" for kind, sent in row["kinds"].items())
            print(f"{row['first_load'] / 1000:6.0f} KB  {row['page']}: {kinds}")
        return 0
    with a_browser(site) as (browser, address):
        for page in arguments:
            requests = first_load(browser, address, site, page)
            print(f"{page}: {sum(request.sent for request in requests)} bytes in {len(requests)} requests")
            for request in sorted(requests, key=lambda request: -request.sent):
                print(f"{request.sent:8d} {request.plain:8d} {request.status} {request.address}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
