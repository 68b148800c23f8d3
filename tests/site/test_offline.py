"""The site as a zip: unpacked, opened as files, with no network."""

import re
import zipfile

import pytest
from site_pages import FILES, GENERATED

import zip_site

PAGES = ["index.html", *(f"{name}.html" for name in FILES), *GENERATED]


@pytest.fixture(scope="module")
def unpacked(site, tmp_path_factory):
    """The folder, in the zip's own, of the unpacked site; its path has a space and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("off line ü")
    zip_site.zip_site(site, folder / "paper-trail.zip")
    with zipfile.ZipFile(folder / "paper-trail.zip") as archive:
        archive.extractall(folder)
    return folder / "paper-trail"


@pytest.fixture
def open_file(chromium, unpacked):
    """Open a page of the unpacked site with the network off; it carries `.requests`, and `.problems` of any kind."""
    contexts = []

    def open_(name, scheme="light"):
        context = chromium.new_context(
            viewport={"width": 1280, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.requests, page.problems = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("requestfailed", lambda request: page.problems.append(request.url))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "console",
            lambda said: page.problems.append(said.text) if said.type in ("error", "warning") else None,
        )
        path, _, query = name.partition("?")
        page.goto(f"{(unpacked / path).as_uri()}{'?' * bool(query)}{query}", wait_until="load")
        if name == "index.html":  # it leads on to the start page
            page.wait_for_url("**/book/index.html")
        page.evaluate("window.MathJax?.startup?.promise.then(() => true)")
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_as_a_file_and_asks_for_nothing_outside(open_file, unpacked, name):
    if not (unpacked / name.split("?")[0]).exists():
        pytest.skip("this build has no such page")
    page = open_file(name, scheme="dark")
    page.wait_for_selector('html[data-theme="dark"]')
    assert page.problems == []
    assert [url for url in page.requests if not url.startswith((unpacked.as_uri(), "data:"))] == []
    images = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)")
    assert images == []


@pytest.mark.parametrize(("word", "page_found"), [("unfreezing", "ulmfit.html"), ("注意力", "glossary.html")])
def test_the_search_finds_without_a_server(open_file, word, page_found):
    page = open_file(f"search.html?q={word}")
    page.wait_for_selector(f'#search-results a[href*="{page_found}"]')
    page.wait_for_selector("#search-results .search-summary:has-text('found')")
    assert page.problems == []


def test_formulas_folds_and_moving_figures_work_as_files(open_file):
    page = open_file("book/layer_norm_placement.html")
    assert page.locator("mjx-container").count() > 20
    fold = page.locator("details.sd-dropdown").first
    fold.locator("summary").click()
    assert fold.locator(".sd-summary-content").is_visible()
    figure = page.locator("fieldset.pt-moving").first
    figure.locator("label").last.click()
    assert (
        figure.locator(".pt-frame").last.is_visible() and not figure.locator(".pt-frame").first.is_visible()
    )


def test_two_zips_are_the_same_to_the_byte_whatever_the_files_dates(site, tmp_path):
    first, second = tmp_path / "a" / "paper-trail.zip", tmp_path / "b" / "paper-trail.zip"
    zip_site.zip_site(site, first)
    (site / "index.html").touch()
    zip_site.zip_site(site, second)
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert (
        names == sorted(names)
        and "paper-trail/index.html" in names
        and not re.search(r"\.map$|\.part", str(names))
    )


def test_without_a_site_the_zip_says_what_to_do_and_leaves_nothing(tmp_path, capsys):
    assert zip_site.main(["--site", str(tmp_path), "--out", str(tmp_path / "out" / "x.zip")]) == 1
    assert "run `make book` first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
