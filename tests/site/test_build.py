"""The build itself: warnings are errors, and a fork gets its own launch buttons."""

import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def copy(root, tmp_path):
    """What a build reads, in a folder of its own."""
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, tmp_path / name)
    shutil.copytree(root / "book", tmp_path / "book")
    shutil.copytree(root / "tools", tmp_path / "tools")
    return tmp_path


def build(folder, **environment):
    return subprocess.run(
        [sys.executable, folder / "tools" / "build.py", "--cold"], cwd=folder, capture_output=True, text=True,
        env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("page", "text", "complaint"),
    [
        ("errata.md", "\nSee [nowhere](nowhere.md).\n", "nowhere"),
        ("errata.md", "\n{claim}`no-such-row`\n", "no row of the ledger is called 'no-such-row'"),
        ("errata.md", "\n{cite:p}`nobody1900`\n", "nobody1900"),
        ("errata.md", "\n{term}`no such term`\n", "no such term"),
    ],
)
def test_a_dangling_reference_fails_the_build(copy, page, text, complaint):
    with (copy / "book" / page).open("a") as file:
        file.write(text)
    result = build(copy)
    assert result.returncode != 0
    assert complaint in result.stdout + result.stderr


def test_a_known_repository_gets_launch_and_issue_buttons_and_an_unknown_one_none(copy, site):
    assert build(copy, PAPERTRAIL_REPO="https://github.com/someone/fork").returncode == 0
    page = (copy / "_build" / "html" / "book" / "architecture_diagram.html").read_text()
    assert (
        "https://mybinder.org/v2/gh/someone/fork/main?urlpath=lab/tree/book/architecture_diagram.ipynb"
        in page
    )
    assert "https://github.com/someone/fork/issues" in page
    if not os.environ.get("PAPERTRAIL_REPO"):
        assert "someone/fork" not in (site / "book" / "architecture_diagram.html").read_text()


def test_a_repository_on_a_host_without_buttons_still_builds(copy):
    assert build(copy, PAPERTRAIL_REPO="https://codeberg.org/someone/fork").returncode == 0
    assert "codeberg" not in (copy / "_build" / "html" / "book" / "index.html").read_text()


def test_an_address_that_is_none_fails_the_build_and_says_so(copy):
    result = build(copy, PAPERTRAIL_REPO="someone/fork")
    assert result.returncode != 0 and "allowed is an address" in result.stdout + result.stderr
