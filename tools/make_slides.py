"""Make slides of the six chapters, in a folder that needs nothing else (`make slides`).

.venv/bin/python tools/make_slides.py [--site FOLDER] [--out FOLDER] [--home ADDRESS]
"""

import argparse
import html
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import yaml

from papertrail.site_citation import load_citation
from papertrail.slides.deck import write_slides

ROOT = Path(__file__).resolve().parent.parent
# Of reveal.js, which sphinx-revealjs carries as files, what slides load.
REVEAL = {
    "dist/reveal.js": "reveal.js",
    "dist/reveal.css": "reveal.css",
    "plugin/notes/notes.js": "notes.js",
    "LICENSE": "LICENSE",
}


OWN = ("papertrail.css", "slides.css", "slides.js", "favicon.svg")


def bring_static(site: Path, static: Path) -> None:
    """Copy what slides load: reveal.js out of its wheel, and the built site's MathJax and own sheets.

    Raises:
        FileNotFoundError: the wheel is not installed, or has other files; or the site is not built.
    """
    if not (site / "_static" / "mathjax").exists():
        raise FileNotFoundError(f"site: {site} is not built; run `make book` first")
    spec = find_spec("sphinx_revealjs")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "sphinx-revealjs, which carries reveal.js, is not installed; `make slides` installs it"
        )
    wheel = Path(spec.submodule_search_locations[0]) / "_static" / "revealjs"
    (static / "reveal").mkdir(parents=True, exist_ok=True)
    for source, target in REVEAL.items():
        shutil.copyfile(wheel / source, static / "reveal" / target)
    for name in OWN:
        shutil.copyfile(site / "_static" / name, static / name)
    shutil.copytree(site / "_static" / "mathjax", static / "mathjax", dirs_exist_ok=True)


INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides of {course}</title>
<link rel="icon" href="static/favicon.svg">
<link rel="stylesheet" href="static/papertrail.css">
<link rel="stylesheet" href="static/slides.css">
</head>
<body class="pt-decks">
<main>
<h1>Slides of {course}</h1>
<ol>
{decks}
</ol>
<p>Arrows turn. <kbd>S</kbd> opens the speaker's notes, <kbd>F</kbd> fills the screen,
<kbd>O</kbd> shows all slides.</p>
<p><a href="{home}/book/index.html">The course</a>. Text CC BY 4.0, code MIT.</p>
</main>
</body>
</html>
"""


def write_index(out: Path, decks: dict[str, tuple[str, int]], course: str, home: str) -> None:
    """Write a page, through a temporary file, that lists the decks.

    Args:
        decks: by file name, each chapter's title and its number of slides.
        home: the site's top folder, as seen from the page.
    """
    lines = (
        f'<li><a href="{name}">{html.escape(title)}</a> ({count} slides)</li>'
        for name, (title, count) in decks.items()
    )
    text = INDEX.format(course=html.escape(course), decks="\n".join(lines), home=html.escape(home))
    draft = out.with_suffix(".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(out)


def home_of(site: Path, out: Path) -> str:
    """Where slides find the site: at the address of PAPERTRAIL_ADDRESS if that is set, else where it was built."""
    address = os.environ.get("PAPERTRAIL_ADDRESS", "").rstrip("/")
    return address or quote(Path(os.path.relpath(site, out)).as_posix())


def chapters(toc: Path) -> list[str]:
    """The numbered chapters' names, such as "book/gopher"."""
    parts = yaml.safe_load(toc.read_text(encoding="utf-8"))["parts"]
    return [page["file"] for part in parts if part.get("numbered") for page in part["chapters"]]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the built site")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "_build" / "slides", help="a folder for the slides"
    )
    parser.add_argument("--home", help="the site's top folder or address, as slides are to link to it")
    options = parser.parse_args(arguments)
    home = options.home or home_of(options.site.resolve(), options.out.resolve())
    try:
        citation = load_citation(ROOT / "CITATION.cff")
        bring_static(options.site, options.out / "static")
        decks = {}
        for name in chapters(ROOT / "_toc.yml"):
            page = options.out / f"{Path(name).name}.html"
            decks[page.name] = write_slides(
                ROOT / f"{name}.ipynb", page, ROOT / "book", "static", citation=citation, home=home
            )
            print(f"{decks[page.name][1]:3} slides: {page}")
        write_index(options.out / "index.html", decks, citation["title"], home)
    except (OSError, ValueError) as error:
        print(f"make_slides.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
