"""The page that a student gets back, in a browser: a phone shows all of it without moving the page sideways."""

from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from papertrail.coursework.course import Course
from papertrail.coursework.gradebook import configuration

EXERCISES = sorted(Path(__file__).resolve().parents[2].glob("book/exercises/*.ipynb"))


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_a_returned_notebook_fits_a_phone(path, chromium, tmp_path):
    marks = {"assignment": path.stem, "score": 1.5, "max_score": 55.0, "late_penalty": 0, "so_far": True}
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if (own := cell.metadata.get("nbgrader", {})).get("grade"):
            own |= {"score": 0.5, "pending": False}
    exporter = HTMLExporter(config=configuration(Course(tmp_path)))
    html, _ = exporter.from_notebook_node(notebook, {"nbgrader": marks})
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    try:
        page.set_content(html)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        page.close()
