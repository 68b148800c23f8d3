"""What the download button of a notebook's page serves: text that any Jupyter shows; assignments as released."""

import re

import nbformat
import pytest
from builder_markup import MARKUP
from site_pages import FILES, ROOT

NOTEBOOKS = [name for name in FILES if (ROOT / f"{name}.ipynb").exists()]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_download_button_serves_a_notebook_without_the_builder_s_markup(site, name):
    page = (site / f"{name}.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^"]+)"[^>]*\sclass="[^"]*btn-download-source-button', page)
    (link,) = links
    served = (site / name).parent / link
    notebook = nbformat.read(served, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not MARKUP.findall(cell.source), cell.source[:200]
    source = ROOT / f"{name}.ipynb"
    if name.startswith("book/exercises/"):
        assert served.read_bytes() == source.read_bytes()
    else:
        code = [cell for cell in nbformat.read(source, as_version=4).cells if cell.cell_type == "code"]
        assert [cell for cell in notebook.cells if cell.cell_type == "code"] == code
