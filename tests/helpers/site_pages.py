"""The pages of the course by their names in the table of contents."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
LISTED = [
    page
    for part in TOC["parts"]
    for chapter in part["chapters"]
    for page in (chapter, *chapter.get("sections", []))
]
FILES = [TOC["root"], *(page["file"] for page in LISTED)]
CHAPTERS = [
    Path(page["file"]).name for part in TOC["parts"] if part.get("numbered") for page in part["chapters"]
]
GENERATED = [
    "search.html",
    "search.html?q=attention",
    "genindex.html",
]  # Sphinx's own, in no table of contents
