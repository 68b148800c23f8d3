"""The site's tests, tested: each line damages the built site in one way, and the named test must notice."""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

FOREIGN = '<script src="https://example.org/x.js"></script></head>'
PALE = '<p style="color:#ddd;background:#fff">pale</p><article class="bd-article'
WIDE = '<div style="width:900px">wide</div><article class="bd-article'
LONG = ">No vocabulary fits every printed count of the whole table of the paper<"
MATHJAX = '<script src="../_static/mathjax/startup.js"></script></head>'
SHUT = "<style>details .sd-summary-content { display: none !important; }</style></head>"


def loading(script):
    return f'<script src="../_static/{script}"></script></head>'


DAMAGE = [
    ("book/index.html", "</head>", FOREIGN, "stands_alone and index"),
    ("book/index.html", "</head>", FOREIGN, "another_host"),
    ("book/errata.html", "</head>", "<script>null.x</script></head>", "stands_alone and errata"),
    ("search.html", "</head>", FOREIGN, "stands_alone and search"),
    ("genindex.html", "</head>", "<script>null.x</script></head>", "stands_alone and genindex"),
    ("genindex.html", '<article class="bd-article', PALE, "axe and genindex and light"),
    ("searchindex.js", r'"\u9884\u70ed":', '"x":', "chinese_terms_by"),
    ("book/index.html", 'aria-label="wrong: ', 'aria-label="', "named_by and index.html"),
    ("book/index.html", 'aria-label="wrong: The', 'aria-label="wrong: A', "named_by and index"),
    ("_static/papertrail.css", "#pst-header:not(:has(*))", "#none", "empty_bar"),
    ("_static/papertrail.js", "wanted.scrollIntoView()", "0", "narrowed"),
    ("book/errata.html", 'lang="en"', "", "what_it_is and errata"),
    ("book/status.html", '<article class="bd-article', PALE, "axe and status and light"),
    ("book/status.html", '<article class="bd-article', WIDE, "sideways and status"),
    (
        "_static/papertrail.css",
        "display: block !important",
        "display: none !important",
        "own_named and index and True",
    ),
    ("book/architecture_diagram.html", "font-size: 9.5px", "font-size: 7px", "nine_pixels and architecture"),
    ("book/architecture_diagram.html", ">No vocabulary fits all<", LONG, "runs_over and architecture"),
    ("_static/papertrail.js", "row.hidden = ", "row.x = ", "narrowed"),
    ("book/claims.html", '<form class="pt-filter" hidden>', '<form class="pt-filter">', "no_dead_control"),
    ("_static/papertrail.js", "// The site", "//" + " " * 5000 + "The site", "five_kilobytes"),
    ("book/index.html", '<input type="radio"', '<input type="checkbox"', "arrow_keys"),
    ("book/index.html", "claims.html#figure-is-wrong", "claims.html#nowhere", "internal_link"),
    ("book/index.html", 'class="pt-moving"', 'class="pt-still"', "first_page"),
    ("book/claims.html", 'id="picture-credit"', "", "permanent_link"),
    ("book/glossary.html", 'lang="zh"', "", "chinese"),
    ("book/errata.html", "<h1", "<h2", "contents_was_built"),
    ("book/errata.html", "</body>", '<p id="a"></p><p id="a"></p></body>', "ids_on"),
    ("_static/papertrail.css", "/* Colors", '@import "https://example.org/a.css"; /* Colors', "style_sheet"),
    ("book/errata.html", "</head>", MATHJAX, "mathjax and errata"),
    ("_static/papertrail.js", "numeric ? ", "!numeric ? ", "sortable"),
    ("_static/papertrail.js", "formula.tabIndex = 0", "formula.tabIndex = -1", "wider_than_a_phone"),
    ("book/errata.html", "</head>", loading("scripts/fontawesome.js"), "first_load_is_light"),
    ("book/errata.html", "</head>", loading("nowhere.js"), "asks_for_is_there"),
    ("book/errata.html", "</head>", loading("doctools.js"), "asked_for_twice"),
    ("book/glossary.html", '"a11y/assistive-mml"', '"input/tex"', "set_and_said"),
    (
        "_static/styles/pydata-sphinx-theme.css",
        r'content:"\f0c9"',
        r'content:"\f0ca"',
        "its_outline and errata",
    ),
    ("_static/scripts/pydata-sphinx-theme.js", "showModal", "showNothing", "search_dialog"),
    ("_static/scripts/pydata-sphinx-theme.js", '".theme-switch-button"', '".no-button"', "colors_can"),
    (
        "_static/scripts/pydata-sphinx-theme.js",
        '".primary-toggle"',
        '".no-toggle"',
        "on_a_phone and contents_open",
    ),
    ("book/architecture_diagram.html", 'data-bs-toggle="dropdown"', "", "download_menu"),
    ("_static/copybutton.js", "new ClipboardJS", "new Object", "code_can_be_copied"),
    ("book/architecture_diagram.html", "</head>", SHUT, "folds_open"),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "test"), DAMAGE, ids=[f"{d[3]}-{i}" for i, d in enumerate(DAMAGE)]
)
def test_a_damaged_site_is_noticed(root, site, tmp_path, file, old, new, test):
    shutil.copytree(site, tmp_path / "html")
    path = tmp_path / "html" / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"the damage no longer fits {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    tests = [root / "tests" / "site" / name for name in ("test_site.py", "test_links.py", "test_weight.py")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-k",
        test,
        *map(str, tests),
    ]
    environment = os.environ | {"PAPERTRAIL_SITE": str(tmp_path / "html")}
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert result.returncode == 1, result.stdout[-1500:]
