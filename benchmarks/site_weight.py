"""What the built site weighs: all of it, and the pages that a reader of the whole course loads, in a real browser.

    .venv/bin/python benchmarks/site_weight.py [--record]      (after `make book`)

Bytes are those that a server sends which compresses text with gzip, as static hosts do, without the heads of answers.
A page's bytes are the files that the browser asks for on a wide screen: the first page with an empty cache, the others
after it. `--record` writes book/results/coursework/site.json.
"""

import argparse
import functools
import gzip
import http.server
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Page, sync_playwright

from papertrail.experiments import save_record

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
TEXT = {".html", ".css", ".js", ".svg", ".json", ".txt", ".ipynb", ".map", ".inv", ".xml"}
sys.path.insert(0, str(ROOT / "tools"))

from browser import ARGUMENTS, get_browser  # noqa: E402


def sent_bytes(path: Path) -> int:
    """Bytes that a static host sends for a file: text compressed, all else as it is."""
    return len(gzip.compress(path.read_bytes(), 6)) if path.suffix in TEXT else path.stat().st_size


def pages() -> list[str]:
    """A reader's way through the course: the start, each chapter, and each chapter's assignment."""
    chapters = sorted(path.stem for path in (ROOT / "coursework" / "source").iterdir() if path.is_dir())
    return [
        "book/index",
        *(f"book/{one}" for one in chapters),
        *(f"book/exercises/{one}" for one in chapters),
    ]


def page_weight(page: Page, address: str, site: Path, known: set[Path]) -> dict:
    """Bytes and files that a page adds to the browser's cache, and its bytes where the cache is empty.

    Args:
        known: the files in the cache; the page's are added.
    """
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address, wait_until="networkidle")
    files = {site / unquote(urlsplit(url).path).lstrip("/") for url in asked if url.startswith("http")}
    files = {path for path in files if path.is_file()}
    new = files - known
    known |= new
    return {"bytes": sum(map(sent_bytes, new)), "files": len(new), "alone_bytes": sum(map(sent_bytes, files))}


def measure(site: Path) -> dict:
    """The whole site, and the pages one after the other."""
    files = [path for path in site.rglob("*") if path.is_file()]
    found = {
        "files": len(files),
        "disk_bytes": sum(path.stat().st_size for path in files),
        "compressed_bytes": sum(map(sent_bytes, files)),
        "pages": [],
    }
    handler = functools.partial(QuietHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known: set[Path] = set()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=get_browser(), args=ARGUMENTS)
        for name in pages():
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            address = f"http://127.0.0.1:{server.server_address[1]}/{name}.html"
            found["pages"].append({"page": name, **page_weight(page, address, site, known)})
            page.close()
        browser.close()
    server.shutdown()
    return found


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A server that does not report each request."""

    def log_message(self, *arguments):
        """Say nothing."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the page's record")
    given = parser.parse_args()
    if not (SITE / "index.html").is_file():
        parser.error("no site at _build/html: run `make book` first")
    found = measure(SITE)
    print(
        f"{found['files']} files, {found['disk_bytes'] / 1e6:.1f} MB, "
        f"compressed {found['compressed_bytes'] / 1e6:.1f} MB"
    )
    for row in found["pages"]:
        print(f"{row['bytes'] / 1e3:7.1f} kB in {row['files']:2} files  {row['page']}")
    if given.record:
        command = ".venv/bin/python benchmarks/site_weight.py --record"
        print(
            save_record("coursework", "site", command, found, packages=("jupyter-book", "sphinx-book-theme"))
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
