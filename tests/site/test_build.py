"""The build itself: warnings are errors, a fork gets its own launch buttons, and nothing stays half copied."""

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from papertrail import site_weight


@pytest.fixture
def copy(copy_sources, tmp_path):
    return copy_sources(tmp_path)


DANGLING = [
    ("\nSee [nowhere](nowhere.md).\n", "nowhere"),
    ("\n{claim}`no-such-row`\n", "no row of the ledger is called 'no-such-row'"),
    ("\n{cite:p}`nobody1900`\n", "nobody1900"),
    ("\n{term}`no such term`\n", "no such term"),
]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [pytest.param(*case, marks=pytest.mark.long if i else ()) for i, case in enumerate(DANGLING)],
)
def test_a_dangling_reference_fails_the_build(copy, build, text, complaint):
    with (copy / "book" / "errata.md").open("a") as file:
        file.write(text)
    result = build(copy)
    assert result.returncode != 0
    assert complaint in result.stdout + result.stderr


def test_a_known_repository_gets_launch_and_issue_buttons_and_an_unknown_one_none(copy, build, site):
    assert build(copy, PAPERTRAIL_REPO="https://github.com/someone/fork").returncode == 0
    page = (copy / "_build" / "html" / "book" / "architecture_diagram.html").read_text()
    assert (
        "https://mybinder.org/v2/gh/someone/fork/main?urlpath=lab/tree/book/architecture_diagram.ipynb"
        in page
    )
    assert "https://github.com/someone/fork/issues" in page
    if not os.environ.get("PAPERTRAIL_REPO"):
        assert "someone/fork" not in (site / "book" / "architecture_diagram.html").read_text()


def test_a_repository_on_a_host_without_buttons_still_builds(copy, build):
    assert build(copy, PAPERTRAIL_REPO="https://codeberg.org/someone/fork").returncode == 0
    assert "codeberg" not in (copy / "_build" / "html" / "book" / "index.html").read_text()


def test_an_address_that_is_none_fails_the_build_and_says_so(copy, build):
    result = build(copy, PAPERTRAIL_REPO="someone/fork")
    assert result.returncode != 0 and "allowed is an address" in result.stdout + result.stderr


def test_the_errata_page_says_where_a_report_goes_with_and_without_a_known_repository(copy, build):
    """The page names the theme's menu entry, which is there for a known repository; without one git knows more."""
    pages = {}
    for address in ("https://github.com/someone/fork", "https://codeberg.org/someone/fork"):
        assert build(copy, PAPERTRAIL_REPO=address).returncode == 0
        pages[address] = (copy / "_build" / "html" / "book" / "errata.html").read_text()
        assert "git remote get-url origin" in re.sub("<.*?>", "", pages[address])
    known, unknown = pages.values()
    assert "<em>Open issue</em>" in known and 'title="Open an issue"' in known
    assert 'title="Open an issue"' not in unknown


def test_an_interrupted_copy_of_mathjax_is_made_whole_by_the_next_build(tmp_path):
    site_weight.bring_mathjax(tmp_path)
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    font, script = (
        next(path for path in whole if path.suffix == ".woff"),
        tmp_path / "mathjax" / "core.js",
    )
    assert script in whole
    font.write_bytes(whole[font][:100])
    script.unlink()
    site_weight.bring_mathjax(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == whole


@pytest.fixture
def theme(tmp_path, monkeypatch):
    """A copy of the theme's templates, for a test to change."""
    origin = Path(find_spec("pydata_sphinx_theme").submodule_search_locations[0])
    part = Path("theme", "pydata_sphinx_theme")
    (tmp_path / part / "static").mkdir(parents=True)
    for name in ("layout.html", "static/webpack-macros.html"):
        shutil.copy(origin / part / name, tmp_path / part / name)
    spec = SimpleNamespace(submodule_search_locations=[tmp_path])
    monkeypatch.setattr(site_weight, "find_spec", lambda name: spec)
    return tmp_path / part


@pytest.mark.parametrize(
    ("drop", "name", "old", "what"),
    [
        (site_weight.drop_icon_script, "static/webpack-macros.html", "fontawesome.js", "its icon script"),
        (
            site_weight.drop_search_scripts,
            "layout.html",
            "pagename == 'search'",
            "the place of its search scripts",
        ),
    ],
)
def test_a_theme_that_loads_its_scripts_in_another_way_stops_the_build(
    theme, tmp_path, drop, name, old, what
):
    drop(tmp_path / "templates")
    text = (theme / name).read_text()
    for changed in (text.replace(old, "other"), text + text):
        (theme / name).write_text(changed)
        with pytest.raises(RuntimeError, match=f"{what} was found [02] times"):
            drop(tmp_path / "templates")


@pytest.fixture
def static(tmp_path, site):
    """The site's sheets as they were shipped, and its icon fonts; the sheets' store is beside it."""
    folder, webfonts = tmp_path / "static", Path("vendor", "fontawesome", "webfonts")
    for name in ("styles", webfonts):
        (folder / name).mkdir(parents=True)
    for path in (site / "_static" / webfonts).glob("*.ttf"):
        shutil.copy(path, folder / webfonts)
    for path in (site.parent / "generated" / "sheets").iterdir():
        shutil.copy(path, folder / ("styles" if path.name == "pydata-sphinx-theme.css" else ".") / path.name)
    return folder


def test_sheets_are_trimmed_from_what_was_shipped_however_often(static, tmp_path):
    """A page that comes later may use a class that an earlier build left out."""
    site_weight.trim_style_sheets(static, tmp_path / "store", {"sd-card"})
    sheet = static / "sphinx-design.min.css"
    assert ".sd-card" in sheet.read_text() and ".sd-badge" not in sheet.read_text()
    site_weight.trim_style_sheets(static, tmp_path / "store", {"sd-badge"})
    assert ".sd-badge" in sheet.read_text() and ".sd-card" not in sheet.read_text()


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("sphinx-design.min.css", None, None, "0 style sheets are called sphinx-design.min.css"),
        ("sphinx-design.min.css", r"\..*", "p{color:red}", "next to nothing of it can be left out"),
        ("styles/pydata-sphinx-theme.css", "fa-brands-400", "brands", "2 icon fonts were found instead of 3"),
        ("styles/pydata-sphinx-theme.css", r"\\f0eb", r"\\efff", "no icon font has the characters efff"),
    ],
)
def test_sheets_that_have_changed_stop_the_build(static, tmp_path, name, old, new, complaint):
    path = static / name
    if old is None:
        path.unlink()
    else:
        path.write_text(re.sub(old, new, path.read_text(), flags=re.DOTALL))
    with pytest.raises(RuntimeError, match=complaint):
        site_weight.trim_style_sheets(static, tmp_path / "store", {"fa-lightbulb"})


def test_a_script_that_an_extension_calls_something_else_stops_the_build():
    page = {"script_files": [], "body": "", "metatags": ""}
    with pytest.raises(RuntimeError, match="index has no script called clipboard.min.js, copybutton.js"):
        site_weight.load_what_the_page_needs(None, "index", "page.html", page, None)


def test_a_later_build_writes_what_changed_and_nothing_else(copy, build):
    """One page; the pages whose badges speak of a row; every page where a style sheet changed."""
    assert build(copy).returncode == 0
    html = copy / "_build" / "html" / "book"

    def written_after(change):
        before = {path: path.stat().st_mtime_ns for path in html.rglob("*.html")}
        change()
        result = build(copy, cold=False)
        assert result.returncode == 0, result.stdout[-1500:] + result.stderr[-1500:]
        return {
            path.relative_to(html).with_suffix("").as_posix()
            for path, time in before.items()
            if path.stat().st_mtime_ns != time
        }

    assert written_after(lambda: None) == set()
    touched = written_after((copy / "book" / "gopher.ipynb").touch)
    assert "gopher" in touched and len(touched) <= 3
    rows, sheet = copy / "book" / "claims" / "gopher.yml", copy / "book" / "_assets" / "papertrail.css"
    assert {"claims", "gopher", "how_to_use"} <= written_after(
        lambda: rows.write_text(f"{rows.read_text()}\n")
    )
    everything = written_after(lambda: sheet.write_text(f"{sheet.read_text()}\n"))
    assert len(everything) == len(list(html.rglob("*.html")))
