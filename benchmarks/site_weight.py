"""What the built site sends to a reader of the whole course: every page of it, in a real browser, and all files.

    .venv/bin/python benchmarks/site_weight.py [--record]      (after `make book`)

Pages are weighed as `tools/weight.py` does: text compressed, without the heads of answers. They are opened in the
order of a reader. A page's `bytes` are those that no earlier page has brought, `alone_bytes` all that it asks for.
`--record` writes book/results/coursework/site.json.
"""

import argparse
import sys
from pathlib import Path

from papertrail.experiments import progress, save_record

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
sys.path.insert(0, str(ROOT / "tools"))

from weight import a_browser, compressed, first_load  # noqa: E402


def pages() -> list[str]:
    """A reader's way through the course: the start, each chapter, and each chapter's assignment."""
    chapters = sorted(path.name for path in (ROOT / "coursework" / "source").iterdir() if path.is_dir())
    return [
        "book/index",
        *(f"book/{one}" for one in chapters),
        *(f"book/exercises/{one}" for one in chapters),
    ]


def measure(site: Path) -> dict:
    """The whole site, and the pages one after the other."""
    files = [path for path in site.rglob("*") if path.is_file()]
    rows, known = [], set()
    with a_browser(site) as (browser, address):
        for name in progress(pages(), "pages"):
            asked = {one.address: one.sent for one in first_load(browser, address, site, f"{name}.html")}
            new = asked.keys() - known
            rows.append(
                {
                    "page": name,
                    "bytes": sum(asked[one] for one in new),
                    "files": len(new),
                    "alone_bytes": sum(asked.values()),
                }
            )
            known |= new
    return {
        "files": len(files),
        "disk_bytes": sum(path.stat().st_size for path in files),
        "compressed_bytes": sum(compressed(path.name, path.read_bytes()) for path in files),
        "pages": rows,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the page's record")
    given = parser.parse_args()
    if not (SITE / "index.html").is_file():
        parser.error("no site at _build/html: run `make book` first")
    found = measure(SITE)
    disk, sent = found["disk_bytes"] / 1e6, found["compressed_bytes"] / 1e6
    print(f"{found['files']} files, {disk:.1f} MB, compressed {sent:.1f} MB")
    for row in found["pages"]:
        print(f"{row['bytes'] / 1e3:7.1f} kB in {row['files']:2} files  {row['page']}")
    if given.record:
        command = "python benchmarks/site_weight.py --record"
        packages = ("torch", "jupyter-book", "sphinx-book-theme")
        print(save_record("coursework", "site", command, found, packages=packages))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
