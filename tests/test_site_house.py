"""The picture of the house: it shows the imports that are there, and the imports are those that the house allows."""

import ast
import re

import pytest

from papertrail.site_house import SHARED, alt_text, draw_house, imported, listed, read_house, room_of
from papertrail.site_timeline import chapters_of


@pytest.mark.parametrize(("module", "room"), [
    ("papertrail.gopher.depth", "gopher"),
    ("papertrail.claims", "claims"),
    ("papertrail.site_terms", "site"),
    ("papertrail.class_costs_site", "site"),
    ("papertrail", None),
    ("torch.nn", None),
])  # fmt: skip
def test_a_module_is_in_its_room(module, room):
    assert room_of(module) == room


def test_every_way_to_import_is_seen():
    text = "import papertrail.one\nfrom papertrail import two, three\n"
    text += "def f():\n    from papertrail.four.deep import x\n"
    assert imported(ast.parse(text + "import torch\nfrom . import near\n")) == {
        "papertrail.one", "papertrail.two", "papertrail.three", "papertrail.four.deep",
    }  # fmt: skip


@pytest.fixture
def house(tmp_path):
    """Two chapters, of which the second uses the first, and one shared module."""
    package = tmp_path / "papertrail"
    for name, text in {
        "__init__.py": "import papertrail.two.deep",
        "claims.py": "",
        "one/__init__.py": "",
        "one/idea.py": "from papertrail import claims\nfrom papertrail.one import other",
        "two/deep.py": "from papertrail.one.idea import x",
    }.items():
        path = package / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return read_house(package)


def test_the_house_is_read_from_the_files(house):
    uses, sizes = house
    assert uses == {"claims": set(), "one": {"claims"}, "two": {"one"}}
    assert sizes == {"claims": 1, "one": 2, "two": 1}


def test_every_use_is_a_line_and_every_room_a_box(house):
    uses, sizes = house
    sizes = dict.fromkeys(SHARED, 2) | sizes
    text = draw_house(uses, sizes, ["one", "two"])
    assert text.count('<path d="M') == 2, "a line for each use"
    assert text.count("<rect") == 2 + len(SHARED)
    assert "1 module<" in text and "2 modules<" in text
    assert draw_house(uses | {"two": set()}, sizes, ["one", "two"]).count('<path d="M') == 1


def test_the_picture_is_told_in_words(house):
    text = alt_text(house[0], ["one", "two"])
    assert "one uses claims. two uses one. figures uses none of the others." in text
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_what_chapters_share_knows_no_chapter(root):
    """The house's rule: arrows run from the chapters to what they share, and never back."""
    uses, _ = read_house()
    chapters = chapters_of(root / "_toc.yml")
    assert [
        (room, other) for room in uses if room not in chapters for other in uses[room] if other in chapters
    ] == []
    for place, chapter in enumerate(chapters):
        assert not uses[chapter] & set(chapters[place + 1 :]), "a chapter may build on an earlier one"


def test_the_page_shows_the_house_of_the_day(site, root):
    text = (site / "book/how_made.html").read_text(encoding="utf-8")
    found = re.search(r'aria-label="(Which package uses which\.[^"]+)"', text)
    assert found[1] == alt_text(read_house()[0], chapters_of(root / "_toc.yml"))
