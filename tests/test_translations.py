"""Translations: whether they say what the English pages say now, and whether a change of the English is noticed."""

import json
import shutil

import pytest
import yaml

from papertrail import translations
from papertrail.translated_blocks import (
    Block,
    Translated,
    english_blocks,
    fingerprint,
    markdown_blocks,
    pairs,
    translated_blocks,
)
from papertrail.translated_numbers import missing_from
from papertrail.translations import (
    all_faults,
    entry_faults,
    faults_between,
    page_faults,
    row_in_chinese,
    skeleton,
)

ENGLISH = "# One\n\nTwo is here.\n\n- three\n- four\n\nFive.\n"


def translated(*words, english=ENGLISH, marks=None):
    """A translation of a page, a word for each of its blocks."""
    marks = marks or [fingerprint(block) for block in markdown_blocks(english)]
    return "\n".join(f"% en: {mark}\n{word}" for mark, word in zip(marks, words, strict=True))


def kinds(english, text):
    """The kinds of faults between an English page and its translation, in order."""
    blocks = [Block(block) for block in markdown_blocks(english)]
    return [fault.kind for fault in faults_between(blocks, translated_blocks(text), "page.md")]


@pytest.fixture
def small_book(tmp_path, book, monkeypatch):
    """A copy of what translations are checked by, to spoil."""
    folder = tmp_path / "book"
    shutil.copytree(book / "claims", folder / "claims")
    shutil.copytree(book / "zh", folder / "zh")
    for name in ("index.md", "paper_trail.md", "glossary.md", "timeline.yml", "architecture_diagram.ipynb"):
        shutil.copy(book / name, folder / name)
    monkeypatch.setenv("PAPERTRAIL_BOOK", str(folder))
    return folder


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_translation_says_what_the_english_page_says_now(book):
    assert [str(fault) for fault in all_faults(book)] == []
    assert len(translations.translated_pages(book)) >= 4


@pytest.mark.parametrize(("text", "blocks"), [
    ("---\na: 1\n---\n\n# One\n\nTwo\nlines.\n", ["# One", "Two\nlines."]),
    ("Before:\n- a\n- b\n  goes on\n\nAfter.", ["Before:", "- a", "- b\n  goes on", "After."]),
    ("1. a\n\n   more\n2. b", ["1. a\n\n   more", "2. b"]),
    ("**1. Not an item.**\n\n(label)=\n## Heading", ["**1. Not an item.**", "(label)=\n## Heading"]),
    ("Text:\n```{a} b\n\n:c: d\n```\nEnd.", ["Text:", "```{a} b\n\n:c: d\n```", "End."]),
    (":::{a}\nb\n:::\n:::{c}\nd\n:::", [":::{a}\nb\n:::", ":::{c}\nd\n:::"]),
    ("````{a}\n```\nb\n```\n````", ["````{a}\n```\nb\n```\n````"]),
    ("$$\nx\n\ny\n$$\nz", ["$$\nx\n\ny\n$$", "z"]),
    ("```{glossary}\na\nb\n  c\n\nd\ne\n  f\n```\ng", ["a\nb\n  c", "d\ne\n  f", "g"]),
])  # fmt: skip
def test_a_page_is_cut_into_blocks(text, blocks):
    assert markdown_blocks(text) == blocks


def test_a_fingerprint_does_not_depend_on_where_lines_break():
    assert fingerprint("one two\nthree ") == fingerprint("one\ntwo three") != fingerprint("one two four")
    assert len(fingerprint("")) == 10


@pytest.mark.parametrize(("english", "found"), [
    (ENGLISH, []),
    (ENGLISH.replace("Two is here.", "Two\nis  here."), []),
    (ENGLISH.replace("Two is here.", "Two is not here."), ["stale"]),
    (ENGLISH.replace("- four", "- four of them"), ["stale"]),
    (ENGLISH.replace("Five.\n", "Five.\n\nSix.\n"), ["missing"]),
    (ENGLISH.replace("- four\n", ""), ["extra"]),
    (ENGLISH.replace("- three\n- four\n", "- four\n- three\n"), ["missing", "extra"]),
])  # fmt: skip
def test_what_changed_in_english_is_noticed(english, found):
    assert sorted(kinds(english, translated("一", "二", "三", "四", "五"))) == sorted(found)


def test_a_stale_block_is_shown_with_its_old_mark_and_its_new_text():
    english = [Block("Now.")]
    (fault,) = faults_between(english, translated_blocks("\n% en: 0123456789\n旧"), "page.md")
    assert str(fault) == f"page.md:2: stale: 0123456789 is now {fingerprint('Now.')}:\nNow."


def test_a_mark_without_a_translation_is_missing():
    assert kinds(ENGLISH, translated("一", "", "三", "四", "五")) == ["missing"]


def test_a_block_left_in_english_is_missing():
    texts = ["# Errata and changes", "$$\nx = y\n$$", "```{moving} fast_weights sums\n```", "# ResiDual"]
    blocks = [Block(text) for text in texts]
    same = [Translated(block.mark, block.text, line) for line, block in enumerate(blocks, 1)]
    found = [str(fault) for fault in translations.differences(blocks, same, "zh/x.md")]
    assert found == [f"zh/x.md:1: missing: {blocks[0].mark} is still in English: # Errata and changes"]


def test_a_number_that_differs_names_its_block(small_book):
    edit(small_book / "zh" / "index.md", "2017 年 10 月 16 日", "2017 年 10 月 17 日")
    found = [str(fault) for fault in page_faults(small_book / "zh" / "index.md")]
    assert len(found) == 1
    assert "differs: number 16 is missing; number 17 is not in English" in found[0]


def test_a_sentence_of_a_notebook_and_a_lost_cell_are_noticed(small_book):
    page = small_book / "zh" / "architecture_diagram.md"
    edit(page, "```{cell} architecture_diagram cell-10\n```\n", "")
    notebook = json.loads((small_book / "architecture_diagram.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][2]["source"] = ["## What does the paper really say?\n"]
    (small_book / "architecture_diagram.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    found = page_faults(page)
    assert any(fault.kind == "missing" and "cell-10" in fault.detail for fault in found)
    assert any(fault.kind == "stale" and "really say" in fault.detail for fault in found)


@pytest.mark.parametrize(("english", "chinese", "lost"), [
    ("280 billion in 12 layers", "12 层，2800 亿", []),
    ("65 million", "65 百万（6500 万）", []),
    ("four months after 16 October 2017", "2017 年 10 月 16 日之后四个月", []),
    ("ten of ten, or 10", "十次里十次，即 10 次", []),
    ("six layers", "6 层", []),
    ("six layers", "五层", ["number 6 is missing"]),
    ("12 layers", "13 层", ["number 12 is missing", "number 13 is not in English"]),
    ("50,000 reviews", "5,000 条", ["number 50000 is missing", "number 5000 is not in English"]),
    ("0.7 of it", "7% 左右", ["number 0.7 is missing", "number 7 is not in English"]),
    ("In May", "六月", ["number 5 is missing"]),
    ("`a` {cite:p}`b`", "`a` {cite:p}`c`", ["{cite:p}`b` is missing", "{cite:p}`c` is not in English"]),
    ("{low} to {high}", "{low} 到 {hihg}", ["{high} is missing", "{hihg} is not in English"]),
    ("$x^2$ in [1](two_3.md)", "[1](../two_3.md) 里的 $x^2$", []),
    ("$x^2$", "$x^3$", ["$x^2$ is missing", "$x^3$ is not in English"]),
    ("```{a} b 4\n:ids: c-5\n```", "```{a} b 4\n:ids: c-6\n```", []),
])  # fmt: skip
def test_numbers_code_and_references_are_compared_by_value(english, chinese, lost):
    assert missing_from(english, chinese) == lost


def test_entries_of_a_data_file_are_checked_by_their_keys():
    english = {"a": "One.", "b": "Two.", "c": "Three."}
    entries = {"a": {"en": fingerprint("One.")}, "b": {"en": "0123456789"}, "d": {"en": ""}}
    entries["c"] = {"en": fingerprint("Three."), "what": "四。"}
    found = [(fault.kind, fault.place) for fault in entry_faults(english, entries, "x.yml")]
    assert found == [("stale", "x.yml, b"), ("differs", "x.yml, c"), ("extra", "x.yml, d")]
    assert [fault.kind for fault in entry_faults({"e": "Five."}, {}, "x.yml")] == ["missing"]


def test_a_changed_row_and_a_changed_event_are_noticed(small_book):
    edit(
        small_book / "claims" / "architecture_diagram.yml",
        "The difference is slight.",
        "The difference is small.",
    )
    edit(small_book / "timeline.yml", "Chinchilla: more tokens", "Chinchilla: many more tokens")
    found = {(fault.kind, fault.place) for fault in all_faults(small_book)}
    assert found == {
        ("stale", "zh/ledger.yml, difference-is-slight"),
        ("stale", "zh/timeline.yml, hoffmann2022chinchilla"),
    }


def test_a_row_is_told_in_chinese_with_its_numbers_or_in_english_and_marked(book):
    rows = {row.id: row for row in translations.load(book / "claims")}
    claim, says = row_in_chinese(
        rows["figure-is-wrong"], {"first": "15 June 2017", "moved": "16 October 2017", "days": 99}
    )
    assert claim == "Transformer 的原图画错了。" and "2017 年 6 月 15 日" in says and "晚了 99 天" in says
    listed = {"misled": 2, "models": 3, "examples": "A; B, in 2, 3 and 4"}
    assert "A；B, in 2、3 and 4。" in row_in_chinese(rows["norm-names-tell-the-place"], listed)[1]
    entries = translations.load_entries(book, "ledger")
    other = next(row for row in rows.values() if row.id not in entries and not row.check)
    assert row_in_chinese(other, {}) == tuple(
        f"[{text}]{{.language-en}}" for text in (other.claim, other.says)
    )


def test_the_names_of_the_glossary_are_those_of_the_english_one(book):
    english = english_blocks(book / "glossary.md")
    chinese = translated_blocks((book / "zh" / "glossary.md").read_text(encoding="utf-8"))
    entries = [
        (block.text.split("\n")[1::-1], one.text.split("\n")[:2])
        for block, one in pairs(english, chinese)
        if "\n  " in block.text
    ]
    assert len(entries) > 100 and [pair for pair in entries if pair[0] != pair[1]] == []


def test_the_start_of_a_translation_has_every_block_in_order(root):
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    names = [row["file"] for part in toc["parts"] for row in part["chapters"] if "/zh/" not in row["file"]]
    for name in [toc["root"], *names]:
        path = next(p for end in (".md", ".ipynb") if (p := root / f"{name}{end}").exists())
        text = skeleton(path)
        assert f"translates: {path.relative_to(root)}" in text
        assert list(faults_between(english_blocks(path), translated_blocks(text), name)) == [], name


def test_a_page_that_names_no_english_page_says_what_is_allowed(small_book):
    edit(small_book / "zh" / "index.md", "translates: book/index.md", "translates: book/nowhere.md")
    (fault,) = page_faults(small_book / "zh" / "index.md")
    assert str(fault) == (
        "zh/index.md: malformed: index.md: translates: got 'book/nowhere.md'; allowed is a page such as book/index.md"
    )


def test_the_command_lists_faults_and_fails_or_prints_a_start(small_book, capsys):
    assert translations.main([]) == 0
    assert "4 translated pages are up to date" in capsys.readouterr().out
    edit(small_book / "index.md", "## Who is it for?", "## Who is it not for?")
    assert translations.main([]) == 1
    assert "stale" in (told := capsys.readouterr().out) and "## Who is it not for?" in told
    assert translations.main(["skeleton", str(small_book / "paper_trail.md")]) == 0
    assert capsys.readouterr().out.startswith("---\ntranslates: book/paper_trail.md\nmyst:\n")
    with pytest.raises(SystemExit):
        translations.main(["skeleton", str(small_book / "nowhere.md")])
    assert "allowed is an English page" in capsys.readouterr().err
