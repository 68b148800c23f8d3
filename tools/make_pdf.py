"""Print the built site as one PDF, with bookmarks, links and page numbers (`make pdf`).

.venv/bin/python tools/make_pdf.py [--site FOLDER] [--out FILE]
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Fit

from browser import ARGUMENTS, get_browser
from papertrail import __version__
from papertrail.paper import Heading, Part, headings, parts_on_paper, whole_course
from papertrail.site_citation import authors_of, load_citation

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
# Characters that every font of the page draws as the same empty box: none of the installed fonts has them.
MISSING = """() => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d", { willReadFrequently: true });
  [canvas.width, canvas.height] = [40, 40];
  const drawn = (sign) => {
    pen.clearRect(0, 0, 40, 40);
    pen.font = "24px " + getComputedStyle(document.body).fontFamily;
    pen.fillText(sign, 4, 30);
    return pen.getImageData(0, 0, 40, 40).data.join();
  };
  const box = drawn("\\u{10fffd}"), signs = new Set(document.querySelector("main").textContent);
  return [...signs].filter((sign) => sign > "\\x7f" && /[^\\s\\p{C}\\p{M}]/u.test(sign) && drawn(sign) === box);
}"""


def print_page(browser: Browser, page: Path, out: Path) -> None:
    """Print a page whose formulas have been set.

    Raises:
        RuntimeError: no installed font has some of its characters, or a file that it loads is missing.
    """
    context = browser.new_context()
    tab, failed = context.new_page(), []
    tab.set_default_timeout(300_000)
    tab.on("requestfailed", lambda request: failed.append(request.url))
    tab.goto(page.as_uri(), wait_until="load")
    tab.evaluate("window.MathJax?.startup?.promise.then(() => document.fonts.ready).then(() => true)")
    if missing := tab.evaluate(MISSING):
        raise RuntimeError(
            f"no installed font has {''.join(missing[:20])} ({len(missing)} characters). For Chinese install one like "
            "Noto Sans CJK or WenQuanYi Zen Hei (on Debian and Ubuntu: fonts-noto-cjk or fonts-wqy-zenhei)"
        )
    if failed:
        raise RuntimeError(
            f"{page.name} loads what is not there: {', '.join(failed[:5])}; build the site first"
        )
    tab.pdf(path=out, prefer_css_page_size=True, print_background=True, tagged=True)
    context.close()


def sheets(pdf: Path) -> dict[str, int]:
    """The sheet, counted from 1, on which each id that a link leads to stands."""
    reader = PdfReader(pdf)
    places = reader.named_destinations.items()
    found = {name.lstrip("/"): reader.get_destination_page_number(place) for name, place in places}
    return {name: place + 1 for name, place in found.items() if place is not None}


def add_bookmarks(pdf: Path, entries: list[Heading], citation: dict[str, Any]) -> None:
    """Give the PDF an outline (the browser's own doubles a title here and there), and say what it is and by whom."""
    writer = PdfWriter(clone_from=pdf)
    reader = PdfReader(pdf)
    chapter = None
    for entry in entries:
        place = reader.named_destinations[f"/{entry.identity}"]
        fit = Fit.xyz(left=None, top=float(str(place["/Top"])), zoom=None)
        page = reader.get_destination_page_number(place)
        made = writer.add_outline_item(
            title=entry.title, page_number=page, parent=chapter if entry.level > 1 else None, fit=fit
        )
        chapter = made if entry.level == 1 else chapter
    writer.page_mode = "/UseOutlines"
    viewing = writer.create_viewer_preferences()
    viewing.display_doctitle = True  # type: ignore[assignment]  # pypdf makes this property as it is loaded
    about = {"/Author": authors_of(citation), "/Subject": str(citation.get("abstract", ""))}
    writer.add_metadata({**about, "/Creator": f"{citation['title']} {citation['version']}"})
    writer.write(pdf)


def make_pdf(site: Path, out: Path, parts: list[Part]) -> None:
    """Print the pages twice: the first time tells on which sheet each section starts.

    Raises:
        RuntimeError: as `print_page`; or the second time sections start elsewhere.
        ValueError: as `whole_course` and `load_citation`.
    """
    citation = load_citation(ROOT / "CITATION.cff")
    page, draft = site.parent / "whole.html", out.with_suffix(".part")
    address = os.environ.get("PAPERTRAIL_ADDRESS", "").rstrip("/")
    out.parent.mkdir(parents=True, exist_ok=True)
    executable = get_browser()
    numbers: dict[str, int] = {}
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
            for _ in range(2):
                text = whole_course(site, parts, citation=citation, address=address, numbers=numbers)
                page.write_text(text, encoding="utf-8")
                print_page(browser, page, draft)
                before, numbers = numbers, sheets(draft)
            browser.close()
        if before != numbers:
            raise RuntimeError("the contents changed where sections start; try again, or widen their numbers")
        add_bookmarks(draft, headings(text), citation)
        draft.replace(out)
    finally:
        page.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=SITE, help="the built site")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / f"paper-trail-{__version__}.pdf")
    options = parser.parse_args(arguments)
    try:
        make_pdf(options.site.resolve(), options.out.resolve(), parts_on_paper(ROOT / "_toc.yml"))
    except (RuntimeError, ValueError, OSError) as error:
        print(f"make_pdf.py: {error}", file=sys.stderr)
        return 1
    print(f"The course on paper: {options.out} ({options.out.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
