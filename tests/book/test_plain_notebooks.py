"""The learners' copies: every reference spelled out, answers folded, code untouched, nobody's work overwritten."""

import codecs
import json
import re
import unicodedata

import latexcodec  # noqa: F401  (registers the codec)
import nbformat
import pybtex.database
import pytest
from builder_markup import MARKUP

from papertrail import claims
from papertrail.bibliography import load_works
from papertrail.plain_notebooks import Reading, load_course, main, plain, plain_notebook, verdict


@pytest.fixture(scope="module")
def course(book):
    return load_course(book)


@pytest.fixture
def reading(course):
    return Reading(course, {"first": 1, "second": 2})


@pytest.fixture(scope="module")
def pairs(book, course):
    """Each notebook of the book with its copy."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(book.glob("*.ipynb"))]
    return [(notebook, plain_notebook(notebook, course)) for notebook in found]


def text_of(notebook):
    return "\n\n".join(
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    )


def test_no_markup_of_the_builder_is_left_and_no_answer_lies_open(pairs):
    for notebook, copy in pairs:
        text = text_of(copy)
        assert not (left := MARKUP.findall(text)), left
        folds = text_of(notebook).count("{dropdown}")
        assert text.count("<details><summary>") == text.count("</details>") == folds


def test_code_and_outputs_are_the_book_s_own_and_the_copy_is_a_valid_notebook(pairs):
    for notebook, copy in pairs:
        nbformat.validate(nbformat.from_dict(copy))
        assert [cell for cell in notebook["cells"] if cell["cell_type"] == "code"] == [
            cell for cell in copy["cells"] if cell["cell_type"] == "code"
        ]
        assert len(copy["cells"]) - len(notebook["cells"]) in (0, 1)


def test_every_badge_becomes_its_verdict_and_the_table_has_the_chapter_s_rows(pairs, course):
    for notebook, copy in pairs:
        named = re.findall(r"\{claim\}`([^`]+)`", text_of(notebook))
        shown = re.findall(r"\[\*\*([a-z ]+)\*\*\]\(#Verdict\)", text_of(copy))
        assert shown == [verdict(course.rows[name]) for name in named]
        chapter = re.findall(r"\{ledger\} (\w+)", text_of(notebook))
        rows = [row for row in course.rows.values() if [row.chapter] == chapter]
        assert len(re.findall(r"(?m)^\| \*\*", text_of(copy))) == len(rows)
        assert all(f"| **{verdict(row)}** | " in text_of(copy) for row in rows)


def test_what_a_copy_links_to_lies_beside_it(pairs, book):
    for _, copy in pairs:
        text = text_of(copy)
        for target in re.findall(r"\]\((?!https?:|#)(\S+\.ipynb)", text):
            assert (book / target).exists(), target
        headings = re.findall(r"(?m)^#+ (.+)$", text)
        assert set(re.findall(r"\]\(#(\w+)\)", text)) <= set(headings)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("the {term}`stream <residual connection>`", "the [stream](#Words)"),
        ("{cite:t}`ba2016layernorm` say", "[Ba et al. (2016)](https://arxiv.org/abs/1607.06450) say"),
        ("so {cite:p}`radford2019gpt2`", "so (Radford et al., 2019)"),
        ("exercise {ref}`second`", "exercise 2"),
        ("{doc}`How <where_are_the_norms>`", "[How](where_are_the_norms.ipynb)"),
        ("{doc}`where_are_the_norms`", "[Where does my model put its norms?](where_are_the_norms.ipynb)"),
        (
            "{ref}`the list <model-list>`",
            "[the list](architecture_diagram.ipynb#What-do-the-models-themselves-say?)",
        ),
        ("[slow](benchmarks.md), [x](https://y.org/z.md)", "slow, [x](https://y.org/z.md)"),
        ("```python\nx = '{claim}`y`'\n```\n", "```python\nx = '{claim}`y`'\n```\n"),
        (":::{dropdown} `a<b`\nNo.\n:::\n", "<details><summary><code>a&lt;b</code></summary>\n\nNo.\n\n</details>\n\n"),
        ("```{exercise} Count\n:label: second\n\n★ It.\n```\n", "### Exercise 2: Count\n\n★ It.\n\n"),
    ],
)  # fmt: skip
def test_one_piece_of_markup(reading, written, shown):
    assert plain(written, reading) == shown


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("{claim}`nothing`", "claim: there is none called 'nothing'"),
        ("{term}`nothing`", "term: there is none called 'nothing'"),
        ("{cite:p}`ba2016layernorm, nothing`", "work: there is none called 'nothing'"),
        ("{doc}`nothing`", "notebook: there is none called 'nothing'"),
        ("{ref}`nothing`", "exercise or heading: there is none called 'nothing'"),
        (":::{admonition} Look\nHere.\n:::\n", "directive: 'admonition' is not known"),
    ],
)
def test_a_reference_to_nothing_is_named(reading, written, complaint):
    with pytest.raises(KeyError, match=complaint):
        plain(written, reading)


def decoded(latex):
    """As the site's library decodes it."""
    return unicodedata.normalize("NFC", re.sub(r"[{}]", "", codecs.decode(latex, "ulatex")))


def test_the_bibliography_is_read_as_the_site_reads_it(book):
    works = load_works(book / "references.bib")
    entries = pybtex.database.parse_file(book / "references.bib").entries
    assert set(works) == set(entries)
    for key, entry in entries.items():
        people = entry.persons["author"]
        assert works[key].year == decoded(entry.fields.get("year", "n.d."))
        assert works[key].title == decoded(entry.fields["title"])
        assert [" ".join(decoded(name) for name in p.prelast_names + p.last_names) for p in people] == [
            *works[key].authors
        ]
        assert not re.search(r"[\\{}]", works[key].cited(in_text=True) + works[key].title)


def test_an_entry_without_an_author_is_named(tmp_path):
    (tmp_path / "a.bib").write_text("@misc{some2020, title = {A title}, year = {2020}}")
    with pytest.raises(ValueError, match="some2020: has no author"):
        load_works(tmp_path / "a.bib")


def test_copies_are_made_once_and_kept_with_what_their_owner_wrote(tmp_path, book, monkeypatch, capsys):
    monkeypatch.setenv("PAPERTRAIL_BOOK", str(book))
    assert main([str(tmp_path / "lab")]) == 0
    copy, assignment = tmp_path / "lab" / "gopher.ipynb", tmp_path / "lab" / "exercises" / "gopher.ipynb"
    assert assignment.read_bytes() == (book / "exercises" / "gopher.ipynb").read_bytes()
    mine, old = json.loads(copy.read_text()), tmp_path / "lab" / "ulmfit.ipynb"
    mine["cells"][0]["source"] = ["mine"]
    copy.write_text(json.dumps(mine))
    old.write_text(re.sub(r'"made_from": "\w+"', '"made_from": "another"', old.read_text()))
    assignment.write_text("half a noteb")
    capsys.readouterr()
    assert main([str(tmp_path / "lab")]) == 0
    said = {line.split(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "changed" in said[str(old)] and said[str(copy)].endswith("kept as it is")
    assert json.loads(copy.read_text())["cells"][0]["source"] == ["mine"]
    assert assignment.read_text() == "half a noteb"
    assert main([str(tmp_path / "lab"), "--replace"]) == 0
    assert json.loads(copy.read_text())["cells"][0]["source"] != ["mine"]
    assert not list(tmp_path.rglob("*.tmp"))


def test_where_it_replaces_the_book_itself_a_second_call_changes_nothing(tmp_path, book, monkeypatch):
    """As on Binder, whose launch buttons open the book's own files."""
    folder = tmp_path / "book"
    for part in ("claims", "exercises"):
        (folder / part).mkdir(parents=True)
    for name in ("glossary.md", "references.bib", "gopher.ipynb", "exercises/gopher.ipynb"):
        (folder / name).write_bytes((book / name).read_bytes())
    for path in (book / "claims").iterdir():
        (folder / "claims" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("PAPERTRAIL_BOOK", str(folder))
    assert claims.book_folder() == folder
    assert main([str(folder), "--replace"]) == 0
    once = (folder / "gopher.ipynb").read_bytes()
    assert once != (book / "gopher.ipynb").read_bytes()
    assert main([str(folder), "--replace"]) == 0
    assert (folder / "gopher.ipynb").read_bytes() == once
