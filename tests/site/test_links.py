"""Every page of the table of contents was built, and every internal link and anchor leads somewhere."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

LOADING = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("use", "href"),
}


class Page(HTMLParser):
    """What a page offers (ids) and what it points to (tag, attribute, address)."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.headings = set(), [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        self.headings += tag == "h1"
        for name in ("href", "src"):
            if values.get(name):
                self.links.append((tag, name, values[name], values.get("rel", "")))


@pytest.fixture(scope="module")
def pages(site):
    return {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


def test_every_page_of_the_contents_was_built_with_a_heading(root, site, pages):
    text = (root / "_toc.yml").read_text()
    files = re.findall(r"(?:root|file): (\S+)", text)
    assert len(files) >= 8
    for name in files:
        assert pages[site / f"{name}.html"].headings >= 1, name


def test_every_internal_link_and_anchor_resolves(pages):
    broken = []
    for path, page in pages.items():
        for tag, _, address, _ in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            lost = parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
            if not target.exists() or lost:
                broken.append((path.name, tag, address))
    assert broken == []


def test_no_page_loads_anything_from_another_host(pages):
    foreign = [
        (path.name, tag, address)
        for path, page in pages.items()
        for tag, attribute, address, rel in page.links
        if (tag, attribute) in LOADING and urlsplit(address).netloc and rel not in ("canonical",)
    ]
    assert foreign == []


def test_no_style_sheet_loads_anything_from_another_host(site):
    foreign = [
        (path.name, address)
        for path in site.rglob("*.css")
        for address in re.findall(
            r"url\(\s*['\"]?((?:https?:)?//[^'\")]+)", path.read_text(encoding="utf-8", errors="ignore")
        )
    ]
    foreign += [
        path.name
        for path in site.rglob("*.css")
        if re.search(r"@import\s+['\"]?(https?:)?//", path.read_text(errors="ignore"))
    ]
    assert foreign == []


def test_ids_on_a_page_are_unique(pages):
    for path in pages:
        ids = re.findall(r'\sid="([^"]+)"', path.read_text(encoding="utf-8"))
        doubled = {name for name, count in Counter(ids).items() if count > 1}
        assert doubled <= {"exercise-content"}, (
            path.name,
            sorted(doubled)[:5],
        )  # that one is sphinx-exercise's


def test_every_row_of_the_ledger_has_its_permanent_link(site, pages):
    from papertrail import claims

    ids = pages[Path(site / "book" / "claims.html")].ids
    assert {row.id for row in claims.load()} <= ids
