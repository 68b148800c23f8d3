"""Which submissions are alike: renaming hides nothing, another way is another way, and nobody is alike by a stub."""

import csv

import pytest
from small_course import CHAPTER, RIGHT, answered, hand_in, make_course

from papertrail.coursework import likeness
from papertrail.coursework.__main__ import main
from papertrail.coursework.collecting import collect
from papertrail.coursework.likeness import REFERENCE, alike, code_tokens, fingerprints

LONG = """def running_sum(numbers):
    # adds up
    total, sums = 0, []
    for place, number in enumerate(numbers):
        if number == 0 and place > 0:
            sums.append(sums[place - 1])
            continue
        total = total + number
        sums.append(total)
    assert len(sums) == len(numbers), 'as many'
    return sums
"""
RENAMED = (
    LONG.replace("total", "acc")
    .replace("place", "i")
    .replace("sums", "out")
    .replace("# adds up", '"""Mine."""')
    .replace("as many", "no")
    .replace("    ", "  ")
)
OTHER = """from itertools import accumulate
def running_sum(numbers):
    values = list(numbers)
    if not values:
        return values
    result = [values[0]]
    while len(result) < len(values):
        head = result[-1]
        result.extend([head + values[len(result)]])
    return result if len(result) > 1 else list(accumulate(values, initial=None))
"""
ESSAY = (
    "The mean is what the numbers share when they are added and divided, and a square is never below it: "
    + (" ".join(f"reason{at} holds" for at in range(30)))
)


def prints(code: str) -> dict:
    return {"running_sum": fingerprints(code_tokens(code, frozenset({"running_sum", "numbers"})))}


def test_names_comments_texts_and_layout_do_not_count_and_what_is_behind_a_dot_does():
    assert alike(prints(LONG), prints(RENAMED))[0] > 0.9
    assert alike(prints(LONG), prints(OTHER))[0] < 0.2
    assert code_tokens("x = y  # z") == code_tokens("a=b")
    assert code_tokens("x.mean()") != code_tokens("x.sum()")


@pytest.mark.parametrize("code", ["def f(:\n", "'''", "x = (", "\t x\n y", "", "%pip install x\n!ls"])
def test_no_cell_makes_it_raise(code):
    code_tokens(code)


def test_a_short_part_says_nothing():
    code = "x = sum(numbers) / len(numbers) + 1"
    assert prints(code)["running_sum"]
    assert alike(prints(code), prints(code)) == (0.0, [])


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Six students: a copy with other names, another way, the reference lengthened, an empty one, a broken file."""
    folder = tmp_path_factory.mktemp("alike")
    course = make_course(folder, ["ann", "bob", "cem", "dee", "eva", "fay"], expected=False)
    for student, code, why in (("ann", LONG, ESSAY), ("bob", RENAMED, "No."), ("cem", OTHER, ESSAY)):
        hand_in(folder / "in", student, answered(course, running_sum=code, why=why))
    stub = course.release(CHAPTER).read_bytes()
    hand_in(folder / "in", "dee", stub)
    hand_in(folder / "in", "fay", stub)
    collect(course, CHAPTER, folder / "in")
    course.submitted("eva", CHAPTER).parent.mkdir(parents=True)
    course.submitted("eva", CHAPTER).write_bytes(b"no notebook")
    return course


def test_a_copy_with_other_names_comes_first_and_the_report_has_it(course):
    pairs, usual = likeness.compare(course, CHAPTER)
    first = pairs[0]
    assert {first.student, first.other} == {"ann", "bob"} and first.alike > 0.9 > 0.3 > usual
    assert first.parts == ["running_sum"]
    assert {one for pair in pairs for one in (pair.student, pair.other)} == {
        REFERENCE,
        "ann",
        "bob",
        "cem",
        "dee",
        "fay",
    }
    with course.report(CHAPTER, "likeness").open() as file:
        rows = {frozenset((row["student"], row["other"])): row["parts"] for row in csv.DictReader(file)}
    assert rows == {frozenset(("ann", "bob")): "running_sum", frozenset(("ann", "cem")): "why"}


def test_nobody_is_alike_by_what_was_handed_out(course, monkeypatch):
    monkeypatch.setattr(likeness, "LEAST", 1)
    pairs, _ = likeness.compare(course, CHAPTER)
    assert [pair.alike for pair in pairs if {pair.student, pair.other} == {"dee", "fay"}] == [0]


def test_the_reference_is_one_of_the_class(course, monkeypatch):
    monkeypatch.setattr(likeness, "LEAST", len(fingerprints(code_tokens(RIGHT["running_sum"]))) // 2)
    hand = course.submitted("dee", CHAPTER)
    before = hand.read_bytes()
    try:
        hand_in(hand.parent.parent.parent, "dee/sums", answered(course))
        pairs, _ = likeness.compare(course, CHAPTER)
    finally:
        hand.write_bytes(before)
    assert any({pair.student, pair.other} == {REFERENCE, "dee"} and pair.alike == 1 for pair in pairs)


def test_the_command_shows_the_most_alike_and_what_is_usual(course, capsys):
    assert main(["--course", str(course.root), "alike", CHAPTER, "--most", "1"]) == 0
    printed = capsys.readouterr().out
    assert "ann" in printed and "bob" in printed and "cem" not in printed and "half of all pairs" in printed


@pytest.mark.parametrize("most", [2, 3])
def test_a_class_that_is_too_large_is_refused_and_not_left_to_run_for_hours(course, monkeypatch, most):
    monkeypatch.setattr(likeness, "MOST", most)
    assert main(["--course", str(course.root), "alike", CHAPTER]) == 2


def test_without_a_release_it_is_said_what_to_do(course, capsys):
    assert main(["--course", str(course.root), "alike", "other"]) == 2
    assert "release other" in capsys.readouterr().err
