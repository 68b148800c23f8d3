"""Make slides of the six chapters, in a folder that needs nothing else (`make slides`).

.venv/bin/python tools/make_slides.py [--site FOLDER] [--out FOLDER]
"""

import argparse
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import yaml

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
    options = parser.parse_args(arguments)
    try:
        bring_static(options.site, options.out / "static")
        for name in chapters(ROOT / "_toc.yml"):
            page = options.out / f"{Path(name).name}.html"
            count = write_slides(ROOT / f"{name}.ipynb", page, ROOT / "book", "static")
            print(f"{count:3} slides: {page}")
    except (OSError, ValueError) as error:
        print(f"make_slides.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
