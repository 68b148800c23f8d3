"""Means of two kinds, what data moved, and the numbers that do not add up: recomputed here from the tables."""

from fractions import Fraction

import numpy as np
import pytest

from papertrail.gopher import published as paper
from papertrail.gopher import scores


def test_two_kinds_of_mean_by_hand():
    """80% of 100 questions and 40% of 900: 60 over tasks, 44 over questions."""
    assert scores.plain_mean([80, 40]) == 60
    assert scores.weighted_mean([80, 40], [100, 900]) == 44
    assert scores.weighted_mean([80, 40], [5, 5]) == scores.plain_mean([80, 40])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: scores.plain_mean([]), "scores: is empty"),
        (lambda: scores.weighted_mean([1, 2], [1]), "questions: 1 given for 2 scores"),
        (lambda: scores.weighted_mean([1, 2], [0, 0]), r"questions: got \[0, 0\]; allowed are counts"),
        (lambda: scores.weighted_mean([1, 2], [3, -1]), r"questions: got \[3, -1\]"),
        (lambda: scores.standard_error(101, 5), "score: got 101; allowed is 0 to 100"),
        (lambda: scores.standard_error(50, 0), "questions: got 0; allowed are integers from 1"),
        (lambda: scores.measure_means("gpt"), "model: got 'gpt'; allowed are gopher, chinchilla"),
    ],
    ids=["empty", "lengths", "zero", "negative", "percentage", "none", "model"],
)
def test_a_wrong_argument_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_gophers_mean_is_over_questions():
    *groups, everything = scores.measure_means()
    assert round(everything.plain, 2) == 60.61 and round(everything.weighted, 2) == 60.01
    assert [round(row.weighted, 1) for row in groups] == [56.2, 71.9, 47.4, 66.1]
    assert [round(row.plain, 1) for row in groups] == [65.8, 71.2, 47.6, 63.5]
    rows = paper.mmlu()
    expected = np.average([row.gopher for row in rows], weights=[row.n_questions for row in rows])
    assert everything.weighted == pytest.approx(expected)
    by = {"plain": lambda row: -row.plain, "weighted": lambda row: -row.weighted}
    order = {name: [row.group for row in sorted(groups, key=key)] for name, key in by.items()}
    assert order["plain"].index("humanities") == 1 and order["weighted"].index("humanities") == 2


@pytest.mark.parametrize("model", ["gopher", "chinchilla"])
def test_every_printed_group_mean_is_the_mean_over_questions(model):
    *groups, _ = scores.measure_means(model)
    assert all(abs(row.weighted - row.printed) <= 0.05 for row in groups)


def test_two_subjects_are_half_of_the_humanities():
    questions = {row.task: row.n_questions for row in paper.mmlu() if row.group == "humanities"}
    assert 2 * (questions["professional_law"] + questions["moral_scenarios"]) > sum(questions.values())


def test_chinchilla_is_better_on_51_subjects_and_58_tasks():
    mmlu, bigbench = scores.measure_data_gain()
    assert (mmlu.better, mmlu.equal, len(mmlu.worse)) == (51, 2, 4)
    assert (bigbench.better, bigbench.equal, len(bigbench.worse)) == (58, 0, 4)
    assert [row.task for row in bigbench.largest][:2] == ["odd_one_out", "metaphor_boolean"]
    assert bigbench.smallest[-1].task == "dark_humor_detection" and bigbench.smallest[-1].gain == -16.9
    assert mmlu.mean == pytest.approx((3855.7 - 3454.9) / 57)


def test_data_moves_mathematics_less_than_the_rest_but_it_does():
    """The five by hand: 25.0 to 31.0, 37.0 to 32.0, 33.6 to 41.5, 23.7 to 31.9, 50.0 to 58.8."""
    inside, outside = scores.mathematics_gain()
    assert inside == pytest.approx((6.0 - 5.0 + 7.9 + 8.2 + 8.8) / 5)
    assert outside == pytest.approx((400.8 - 25.9) / 52)


def test_two_of_the_three_tasks_that_got_worse_are_at_chance():
    algebra, sequences, school = scores.measure_worse_tasks()
    assert round(algebra.error, 1) == 4.3 and round(school.error, 1) == 2.6
    assert algebra.is_chance and school.is_chance
    assert sequences.error is None and not sequences.is_chance


def test_the_mismatches_are_those_of_the_papers():
    found = {row.what: (row.printed, row.recomputed) for row in scores.measure_mismatches()}
    assert found["Chinchilla's BIG-bench mean"] == ("65.1%", "64.52%")
    assert found["Gopher, Natural Questions, 5-shot"] == ("21%", "24.5%")
    assert found["tasks that gain more than 25%"] == ("51.2%", f"{float(100 * Fraction(79, 152)):.1f}%")
    assert found["figure_of_speech_detection, increase"] == ("314%", "214%")
    assert found["Chinchilla's MMLU mean"][1] == "67.56% by question, 67.64% by subject"


def test_gophers_own_bigbench_mean_agrees():
    assert round(scores.plain_mean([row.gopher for row in paper.bigbench()]), 1) == paper.BIGBENCH_MEANS[0]


def test_the_tables_hold_every_task_and_write_signs_for_readers():
    for table, rows in (
        (scores.table_of_mmlu(), 57),
        (scores.table_of_bigbench(), 62),
        (scores.table_of_others(), 19),
        (scores.table_of_pile(), 19),
    ):
        header, body = table
        assert len(body) == rows and all(len(row) == len(header) for row in body)
        assert not any(
            "-" in cell and cell[1:2].isdigit() for row in body for cell in row if cell[0:1] == "-"
        )
    mmlu = {row[0]: row for row in scores.table_of_mmlu()[1]}
    assert mmlu["college mathematics"] == [
        "college mathematics",
        "STEM",
        "100",
        "37.0",
        "4.8",
        "32.0",
        "−5.0",
    ]
    others = [row for row in scores.table_of_others()[1] if row[0] == "SIQA"]
    assert others == [["SIQA", "common sense", "0-shot", "50.6", "", "", "51.3"]]
    assert scores.table_of_pile()[1][0] == ["pile cc", "0.691", "0.667", "0.669"]
    assert scores.table_of_tasks()[1][-1] == ["together", "152"]
    assert scores.table_of_means()[1][0] == ["humanities", "13", "4,705", "65.8", "56.2", "56.2"]
    assert len(scores.table_of_mismatches()[1]) == 5
