"""The build itself: warnings are errors, a fork gets its own launch buttons, and nothing stays half copied."""

import os
import re
from types import SimpleNamespace

import pytest

from papertrail import site as extension


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
    extension.bring_mathjax(tmp_path)
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    font, script = (
        next(path for path in whole if path.suffix == ".woff"),
        tmp_path / "mathjax" / "tex-chtml.js",
    )
    assert script in whole
    font.write_bytes(whole[font][:100])
    script.unlink()
    extension.bring_mathjax(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == whole


def test_a_theme_that_renames_its_icon_script_stops_the_build(tmp_path, monkeypatch):
    folder = tmp_path / "theme" / "pydata_sphinx_theme" / "static"
    folder.mkdir(parents=True)
    (folder / "webpack-macros.html").write_text("<script defer src='icons.js'></script>")
    monkeypatch.setattr(
        extension, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[tmp_path])
    )
    with pytest.raises(RuntimeError, match="its icon script was not found once"):
        extension.drop_icon_script(tmp_path / "templates")
