"""A trial takes no reference for granted: what is wrong with an assignment is said before a student meets it."""

import nbformat
import pytest
from small_course import CHAPTER, PROBES, RIGHT, source

from papertrail.coursework.assignment import read_assignment
from papertrail.coursework.trial import Trial, stub


def on_trial(folder, old: str = "", new: str = "") -> Trial:
    """The first exercise of the small course, with one text of its source changed."""
    notebook = source()
    found = 0
    for cell in notebook.cells:
        found += old in cell.source
        cell.source = cell.source.replace(old, new) if old else cell.source
    assert found or not old
    path = folder / f"{CHAPTER}.ipynb"
    nbformat.write(notebook, path)
    assignment = read_assignment(path)
    return Trial(assignment, assignment.exercises[0])


def test_the_reference_earns_everything_and_the_stub_nothing(tmp_path):
    trial = on_trial(tmp_path)
    assert trial.score(RIGHT["mean_square"]) == trial.exercise.points == 4
    answers = trial.trivial_answers()
    assert set(answers) == {"the stub", "zeros", "ones", "NaN", "the input", "nothing"}
    assert {trial.score(code) for code in answers.values()} == {0}
    assert "raise NotImplementedError()" in stub(trial.exercise.solution)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("points=3, says", "points=2, says", "worth 3 points and its cell 4"),
        ("/ len(numbers)", "/ missing", "the reference solution stops in five numbers: NameError"),
        ("/ len(numbers)", "* float('nan')", "nobody could pass five numbers, one number"),
        ('"one number"', '"five numbers"', "two probes have one name"),
    ],
)
def test_a_reference_that_cannot_serve_is_refused(tmp_path, old, new, why):
    assert old in RIGHT["mean_square"] + PROBES["mean_square"]
    with pytest.raises(RuntimeError, match=why):
        on_trial(tmp_path, old, new)


def test_endless_answers_cost_a_second_a_probe(tmp_path):
    trial = on_trial(tmp_path)
    assert trial.score("def mean_square(numbers):\n    while True:\n        pass") == 0
    assert trial.score("while True:\n    pass") == 0
