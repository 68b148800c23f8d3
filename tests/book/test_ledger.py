"""The course's own ledger: sources resolve, claims are covered, checks are run, and none of them cannot fail."""

import importlib.util
import re

import pytest

from papertrail import claims

ROWS = claims.load()
CHECKED = [row for row in ROWS if row.check]


def bib_keys(book):
    return re.findall(
        r"^@\w+\{([^,\s]+),", (book / "references.bib").read_text(encoding="utf-8"), flags=re.MULTILINE
    )


def cited_in_pages(book):
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*book.glob("*.md"), *book.glob("*.ipynb")])
    return {
        key.strip() for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text) for key in group.split(",")
    }


def test_every_bibliography_key_is_unique_resolves_and_is_used(book):
    keys = bib_keys(book)
    used = cited_in_pages(book) | {source.key for row in ROWS for source in row.sources}
    assert len(set(keys)) == len(keys)
    assert set(keys) == used


def test_the_claims_of_heading_preface_and_the_first_four_items_have_a_row_each():
    covered = {number for row in ROWS for number in row.article}
    assert covered >= set(range(1, 61))


def test_every_badge_in_a_page_names_a_row(book):
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*book.glob("*.md"), *book.glob("*.ipynb")])
    assert set(re.findall(r"\{claim\}`([^`]+)`", text)) <= {row.id for row in ROWS}


def test_no_number_of_a_checked_sentence_is_typed_by_hand():
    """A digit in `says` outside a field is allowed only in names: commits, sections, years, widths and the like."""
    allowed = r"Lemma 2|Figure 1|July 2025|; 1 with|both give 1|chapter 1's list|since 20\d\d|of 2024|of 2020|elu\+1"
    for row in CHECKED:
        bare = re.sub(allowed, "", re.sub(r"\{\w+\}", "", row.says))
        assert not re.search(r"\d", bare), f"{row.id}: {bare}"


@pytest.mark.parametrize("row", CHECKED, ids=lambda row: row.id)
def test_a_fresh_run_agrees_with_the_stored_row(row):
    (outcome,) = claims.run([row], claims.load_evidence())
    assert outcome.problems == []


def test_every_chapter_keeps_a_planted_fault_for_each_of_its_checks(root):
    """tests/<chapter>/test_checks*.py flip each check by a fault of its own, listed in FAULTS."""
    for chapter in {row.chapter for row in CHECKED}:
        faults = []
        for path in sorted((root / "tests" / chapter).glob("test_checks*.py")):
            spec = importlib.util.spec_from_file_location(f"faults_of_{chapter}_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            faults += getattr(module, "FAULTS", [])
        assert sorted(faults) == sorted(row.id for row in CHECKED if row.chapter == chapter), chapter


@pytest.mark.parametrize("row", CHECKED[:1], ids=lambda row: row.id)
def test_a_deliberately_wrong_verdict_is_caught(row):
    from dataclasses import replace

    evidence = claims.Evidence(claims.load_evidence()[row.id], row.verdict)
    other = next(verdict for verdict in claims.VERDICTS if verdict != row.verdict)
    honest = claims.Outcome(row, evidence, evidence.numbers)
    lie = claims.Outcome(replace(row, verdict=other), evidence, evidence.numbers)
    assert honest.problems == [] and len(lie.problems) == 1 and "verdict" in lie.problems[0]
