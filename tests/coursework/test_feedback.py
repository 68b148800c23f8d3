"""The page that comes back: marks and messages, nothing that acts, nothing of the graders'."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

from papertrail.coursework.course import Course
from papertrail.coursework.formulas import as_html, spell_out
from papertrail.coursework.gradebook import TAGS, configuration, harmless_html, report_lines

SOURCES = Path(__file__).resolve().parents[2] / "coursework" / "source"

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


FORMULAS = {
    r"S_{t-1}^\top q_t": "S<sub>t − 1</sub><sup>T</sup>q<sub>t</sub>",
    r"d^{-1/2} \cdot \min\bigl(t^{-1/2},\; t\bigr)": "d<sup>−1/2</sup> · min(t<sup>−1/2</sup>, t)",
    r"\frac{1}{n} \sum_i x_i": "(1/n) ∑<sub>i</sub>x<sub>i</sub>",
    r"\frac{v - \mu}{\sqrt{v + \varepsilon}} + 1": "(v − μ)/(√(v + ε)) + 1",
    r"\ln^2 \dfrac{M t}{K}": "ln<sup>2</sup>((Mt)/K)",
    r"\frac{1}{|c|} \left( I - f \right)": "(1/(|c|)) (I − f)",
    r"t < \mathrm{fan\_in}": "t &lt; fan_in",
    r"\unheard{x}": r"\unheardx",
}


@pytest.mark.parametrize(("formula", "said"), FORMULAS.items())
def test_a_formula_is_spelled_out(formula, said):
    assert as_html(formula) == said


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*/*.ipynb")), ids=lambda path: path.stem)
def test_no_formula_of_an_assignment_comes_back_as_latex(path):
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    pages = [BeautifulSoup(harmless_html(text), "html.parser") for text in texts]
    assert sum(len(page.find_all("span")) for page in pages) > 5
    for page in pages:
        for code in page.find_all(["code", "pre"]):
            code.decompose()
        assert not re.findall(r"[$\\].{0,40}", page.text)


@pytest.mark.parametrize("formula", ["{" * 1900, "x^" * 900, r"\frac" * 300, "x" * 3000, r"\sqrt{" * 300])
def test_a_formula_that_goes_too_far_does_no_harm(formula):
    assert "after" in harmless_html(f"before ${formula}$ after")


def test_code_and_prices_are_no_formulas():
    assert spell_out("`$x$` costs $5 and $6, ```\n$y$\n```") == "`$x$` costs $5 and $6, ```\n$y$\n```"


def test_scores_are_said_without_empty_decimals(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
    notebook.cells[0].metadata["nbgrader"] = {"grade": True, "grade_id": "a", "score": 7.25, "points": 10.0}
    marks = {"assignment": "a", "score": 49.0, "max_score": 55.0, "late_penalty": 1.0, "so_far": False}
    page, _ = HTMLExporter(config=configuration(Course(tmp_path))).from_notebook_node(
        notebook, {"nbgrader": marks}
    )
    text = BeautifulSoup(page, "html.parser").text
    assert text.count("49 of 55 points") == 2
    assert "late: 1 points" in text and "7.25" in text and not re.search(r"\d\.0\b", text)
