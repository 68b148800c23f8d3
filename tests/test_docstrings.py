"""The reference of the code: what is read out of a source file, and what becomes of it on the page."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
import yaml

from papertrail import claims
from papertrail.docstrings import parse_docstring, read_module, read_package, signature_of
from papertrail.site_api import PACKAGE, check_address, docstring_html, text_html

SOURCE = '''"""A module."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, overload


@dataclass(frozen=True)
class Point:
    """A point."""

    kind: ClassVar[str] = "p"
    x: float
    y: float = 0.0

    @property
    def norm(self) -> float:
        """Its length."""

    def moved(self, by: float, *, twice: bool = False) -> "Point":
        """Another point."""

    def _hidden(self): ...


class Row(NamedTuple):
    """A row."""

    name: str


class Layer(Base):
    """A layer."""

    def __init__(self, width: int, *, bias: bool = True) -> None: ...


class Plain:
    """Nothing to give."""


@overload
def f(x: int) -> int: ...


def f(x, *rest, scale=1, **more) -> int:
    """Compute."""


def _private(): ...
'''


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "made_up.py"
    path.write_text(SOURCE)
    return read_module(path, "made_up")


def test_public_names_come_in_order_with_the_signatures_that_one_would_write(module):
    assert [(one.kind, one.name, one.signature) for one in module.members] == [
        ("class", "Point", "Point(x: float, y: float=0.0)"),
        ("property", "Point.norm", "norm: float"),
        ("method", "Point.moved", "moved(by: float, *, twice: bool=False) -> 'Point'"),
        ("class", "Row", "Row(name: str)"),
        ("class", "Layer", "Layer(width: int, *, bias: bool=True)"),
        ("class", "Plain", "Plain"),
        ("function", "f", "f(x, *rest, scale=1, **more) -> int"),
    ]


def test_a_method_without_arguments_loses_self_alone():
    (node,) = ast.parse("def f(self) -> int: ...").body
    assert signature_of(node, method=True) == "f() -> int"
    (node,) = ast.parse("def f(selfish, x): ...").body
    assert signature_of(node, method=True) == "f(selfish, x)"


def test_a_docstring_is_taken_apart():
    found = parse_docstring(
        """First line,
        second line.

            code = 1
            more = 2

        Args:
            x, y: (B, T), both: of one
                shape.
            **more: the rest.

        Returns:
            the sum, in nats

        Raises:
            ValueError: too small.

        After the sections.
        """
    )
    assert found.paragraphs == [
        "First line, second line.",
        "    code = 1\n    more = 2",
        "After the sections.",
    ]
    assert found.sections == {
        "Args": [("x, y", "(B, T), both: of one shape."), ("**more", "the rest.")],
        "Returns": [("", "the sum, in nats")],
        "Raises": [("ValueError", "too small.")],
    }


def test_no_docstring_is_an_empty_one():
    assert parse_docstring(None).paragraphs == [] and parse_docstring("").sections == {}


def test_text_is_escaped_and_code_is_marked():
    assert text_html("a < b & `x <- y`") == "a &lt; b &amp; <code>x &lt;- y</code>"
    html = docstring_html(parse_docstring("Sum.\n\n    a < b\n\nRaises:\n    ValueError: `n` < 1."))
    assert html == (
        '<p>Sum.</p><pre tabindex="0">a &lt; b</pre><p class="pt-api-section">Raises</p>'
        "<ul><li><code>ValueError</code>: <code>n</code> &lt; 1.</li></ul>"
    )


def test_a_check_of_the_ledger_has_an_address():
    assert check_address("papertrail.gopher.checks_norms:small") == "book/api/gopher#checks_norms.small"


@pytest.mark.parametrize("chapter", ["fast_weights", "gopher"])
def test_names_read_from_the_source_are_those_of_the_imported_module(chapter):
    for module in read_package(PACKAGE / chapter):
        imported = importlib.import_module(f"papertrail.{chapter}.{module.name}")
        for member in module.members:
            found = imported
            for part in member.name.split("."):
                found = getattr(found, part)
            if member.kind == "function":
                assert found.__module__ == imported.__name__


def pages_of_reference(root):
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    rows = [row for part in toc["parts"] for row in part["chapters"] if row["file"] == "book/api/index"]
    return {Path(one["file"]).name for one in rows[0]["sections"]}


def test_every_package_has_a_page_or_is_left_out_for_a_reason(root):
    small = {"robustness", "slides"}  # each behind one command, which describes it
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert packages - small == pages_of_reference(root) - {"shared"}


def test_every_check_of_the_ledger_leads_to_the_reference(site):
    ledger = (site / "book/claims.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="(api/\w+\.html)#([\w.]+)"><code>papertrail', ledger)
    assert len(links) == sum(1 for claim in claims.load() if claim.check)
    pages = {page: (site / "book" / page).read_text(encoding="utf-8") for page, _ in links}
    assert [link for link in links if f'id="{link[1]}"' not in pages[link[0]]] == []


def test_the_reference_does_not_fill_the_search(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    reference = {
        number for number, name in enumerate(index["docnames"]) if re.match("book/api/(?!index)", name)
    }
    assert len(reference) >= 9
    places = [[one] if isinstance(one, int) else one for one in index["terms"].values()]
    assert [place for place in places if reference & set(place)] == []
