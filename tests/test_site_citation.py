"""How the course is cited: one file, of the version that is there."""

import re

import pytest
from pybtex.database import parse_string

from papertrail import __version__
from papertrail.site_citation import as_bibtex, as_sentence, load_citation

MADE_UP = {
    "title": "A Course",
    "authors": [{"name": "One"}, {"name": "Two"}],
    "version": "1.2",
    "date-released": "2026-03-04",
}


def test_the_file_is_of_this_version_and_of_the_day_on_record(root, book):
    citation = load_citation(root / "CITATION.cff")
    assert citation["version"] == __version__
    year, month, day = str(citation["date-released"]).split("-")
    months = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
              "November", "December")  # fmt: skip
    written = f"{int(day)} {months[int(month) - 1]} {year}"
    rows = (book / "errata.md").read_text(encoding="utf-8").splitlines()
    assert any(__version__ in row and written in row for row in rows), written


def test_the_entry_is_one_that_bibtex_reads():
    (entry,) = parse_string(as_bibtex(MADE_UP, "https://example.org/course"), "bibtex").entries.values()
    assert dict(entry.fields.items()) == {
        "title": "{A Course}",
        "year": "2026",
        "month": "3",
        "note": "Version 1.2",
        "url": "https://example.org/course",
    }
    assert "url" not in as_bibtex(MADE_UP)


def test_the_sentence_has_the_same():
    assert as_sentence(MADE_UP) == "One and Two (2026). A Course, version 1.2."
    assert as_sentence(MADE_UP, "https://example.org").endswith("1.2. https://example.org")


def test_a_file_without_a_version_is_refused(tmp_path):
    path = tmp_path / "CITATION.cff"
    path.write_text("title: A\nauthors: [{name: One}]\ndate-released: 2026-01-01\n")
    with pytest.raises(ValueError, match=r"CITATION\.cff: version is missing"):
        load_citation(path)


def test_the_page_offers_the_entry_and_a_button_that_copies_it(site):
    text = (site / "book/paper_trail.html").read_text(encoding="utf-8")
    assert re.search(r"@misc\{papertrail2026|papertrail2026", text)
    assert "executablebooks" not in text.partition('id="how-do-i-cite-this"')[2]
    assert "clipboard" in text, "the script of the copy button"
