"""The page that comes back: marks and messages, nothing that acts, nothing of the graders'."""

import re

import pytest
from bs4 import BeautifulSoup

from papertrail.coursework.gradebook import TAGS, harmless_html, report_lines

ACTIVE = [
    "<script>alert(1)</script>", "<SCRIPT SRC=x></SCRIPT>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>", "[x](javascript:alert(1))",
    "<iframe src=x></iframe>", "<object data=x></object>",
    "<math href='javascript:alert(1)'>x</math>", "<form action=x><input></form>", "<style>@import 'x'</style>",
    "<meta http-equiv=refresh content='0;url=x'>", "<base href=x>", "<div style='background:url(x)'>y</div>",
    "<a href='vbscript:x'>y</a>", "<a href='data:text/html,x'>y</a>", "![x](javascript:x)",
    "<details ontoggle=alert(1) open>x</details>",
    "<link rel=stylesheet href=x>",
    "<<script>script>alert(1)</script>", "<img src='data:text/html,<script>'>", 
    "<video><source onerror=alert(1)></video>", "![x](https://example.org/counter.png)",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "<a href='&#106;avascript:alert(1)'>x</a>",
]  # fmt: skip


@pytest.mark.parametrize("markdown", ACTIVE)
def test_nothing_that_acts_comes_through(markdown):
    page = BeautifulSoup(harmless_html(f"before {markdown} after"), "html.parser")
    assert "before" in page.text
    for element in page.find_all(True):
        assert element.name in TAGS
        assert set(element.attrs) <= {"href", "src", "alt"}
        assert re.match(r"https?://|$", element.get("href", ""))
        assert re.match(r"data:image/(png|jpeg|gif);|$", element.get("src", ""))


def test_ordinary_text_comes_through():
    page = harmless_html(
        "# A title\n\n- one\n- **two** and `code` with a < b\n\n$x < y$\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    for part in (
        "<h1>A title</h1>",
        "<li>one</li>",
        "<strong>two</strong>",
        "<code>code</code>",
        "a &lt; b",
        "<td>1</td>",
    ):
        assert part in page
    picture = "data:image/png;base64,iVBORw0KGgo="
    assert f'src="{picture}"' in harmless_html(f"![a plot]({picture})")
    assert '<a href="https://example.org">x</a>' in harmless_html("[x](https://example.org)")


def verdict(name: str, passed: bool, points: float, worth: float, message: str = "") -> dict:
    """One judged probe."""
    return {"name": name, "passed": passed, "points": points, "worth": worth, "message": message}


def test_lines_say_what_passed_and_why_the_rest_failed():
    lines = report_lines(
        [verdict("a batch", True, 2.0, 2.0), verdict("one row", False, 0.0, 1.5, "The sum is off.")], []
    )
    assert lines == "2 of 3.5 points\npass  a batch (2 of 2)\nFAIL  one row (0 of 1.5): The sum is off.\n"


def test_a_broken_rule_is_said_once():
    lines = report_lines([verdict("a batch", False, 0.0, 2.0, "Right, but not yours.")], ["F.layer_norm"])
    assert "write it yourself" in lines and "F.layer_norm" in lines and "Right, but" not in lines
