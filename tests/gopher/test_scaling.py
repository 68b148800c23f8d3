"""Slopes and their errors against independent fits, the groups, and what is above chance."""

import numpy as np
import pytest

from papertrail.gopher import published as paper
from papertrail.gopher import scaling

SIZES = [70e6, 160e6, 410e6, 1e9, 1.4e9, 2.8e9, 6.9e9, 12e9]


def test_the_slope_is_numpys_weighted_fit_and_so_is_its_unscaled_error():
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.01, 0.05, 8)
    scores = 0.1 + 0.08 * np.log10(SIZES) + 0.3 * errors * rng.standard_normal(8)
    coefficients, covariance = np.polyfit(np.log10(SIZES), scores, 1, w=1 / errors, cov="unscaled")
    fit = scaling.fit_line(SIZES, scores, errors)
    assert fit.chi2 < 1
    assert fit.slope == pytest.approx(coefficients[0]) and fit.intercept == pytest.approx(coefficients[1])
    assert fit.error == pytest.approx(covariance[0, 0] ** 0.5)
    assert fit.at(1e9) == pytest.approx(np.polyval(coefficients, 9))


def test_where_points_scatter_more_than_their_errors_the_slopes_error_grows_with_them():
    scores = [0.1, 0.3, 0.2, 0.4, 0.3, 0.5, 0.4, 0.6]
    errors = [0.01] * 8
    _, covariance = np.polyfit(np.log10(SIZES), scores, 1, w=[100] * 8, cov=True)  # scaled by chi^2
    fit = scaling.fit_line(SIZES, scores, errors)
    assert fit.chi2 > 1 and fit.error == pytest.approx(covariance[0, 0] ** 0.5)


def test_a_flat_line_within_its_errors_is_not_clear_and_a_steep_one_is():
    errors = [0.02] * 8
    wobble = [0.01, -0.01] * 4
    flat = scaling.fit_line(SIZES, [0.25 + w for w in wobble], errors)
    steep = scaling.fit_line(
        SIZES, [0.25 + w + 0.1 * np.log10(s / 7e7) for w, s in zip(wobble, SIZES, strict=True)], errors
    )
    falling = scaling.fit_line(
        SIZES, [0.5 + w - 0.1 * np.log10(s / 7e7) for w, s in zip(wobble, SIZES, strict=True)], errors
    )
    assert not flat.is_clear and steep.is_clear and not falling.is_clear
    assert steep.limit == pytest.approx(2.447 * steep.error)


def test_the_95_percent_interval_holds_the_slope_about_95_times_of_100():
    """Simulated scores with known errors; five sizes have a wider interval than eight."""
    rng = np.random.default_rng(1)
    for count in (5, 8):
        inside = 0
        for _ in range(400):
            scores = 0.05 * np.log10(SIZES[:count]) + 0.02 * rng.standard_normal(count)
            fit = scaling.fit_line(SIZES[:count], scores, [0.02] * count)
            inside += abs(fit.slope - 0.05) <= fit.limit
        assert 0.93 <= inside / 400 <= 1.0  # never scaled down, so rather too wide than too narrow


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parameters": SIZES[:7]}, "7 sizes, 8 scores and 8 errors"),
        ({"errors": [0.0] + [0.1] * 7}, r"errors: got 0.0; allowed are numbers above 0"),
        (
            {"parameters": SIZES[:6], "scores": [0.1] * 6, "errors": [0.1] * 6},
            "6 points given; allowed are 5 or 8",
        ),
    ],
    ids=["lengths", "error", "points"],
)
def test_what_cannot_be_fitted_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        scaling.fit_line(**({"parameters": SIZES, "scores": [0.1] * 8, "errors": [0.1] * 8} | change))


def test_unknown_models_and_an_empty_group_are_named():
    with pytest.raises(ValueError, match="got 'Gopher' at 0 shots; allowed are Pythia at 0"):
        scaling.models_of("Gopher", 0)
    with pytest.raises(ValueError, match="tasks: is empty"):
        scaling.curve([], "Pythia", 0)


def test_each_of_the_65_tasks_is_in_one_group_and_a_group_has_one_chance_level():
    found = scaling.groups()
    tasks = [task.task for group in found for task in group.tasks]
    assert len(tasks) == len(set(tasks)) == 65
    assert [len(group.tasks) for group in found] == [1, 1, 2, 1, 2, 7, 13, 12, 12, 14]
    assert all(len({task.chance for task in group.tasks}) == 1 for group in found)
    logic = next(group for group in found if group.article == "logic and mathematics")
    assert {task.task for task in logic.tasks} == {
        "logiqa", "mmlu_formal_logic", "mmlu_abstract_algebra", "mmlu_college_mathematics",
        "mmlu_elementary_mathematics", "mmlu_high_school_mathematics", "mmlu_high_school_statistics",
    }  # fmt: skip


def test_no_task_checks_facts_or_finds_toxic_language():
    words = {group.article for group in scaling.groups()} - {None}
    assert set(scaling.ARTICLE) - words == {"fact checking", "identifying toxic language"}
    names = " ".join(task.task for task in paper.open_tasks())
    assert not any(word in names for word in ("fever", "toxic", "civil"))  # global_facts asks for facts


def test_models_come_smallest_first_and_a_curve_has_their_scores():
    models = scaling.models_of("Pythia", 0)
    assert [model.nominal_params for model in models] == SIZES
    (lambada,) = scaling.groups()[0].tasks
    curve = scaling.curve([lambada], "Pythia", 0)
    assert curve.scores[0] == 0.1846 and curve.scores[-1] == 0.7046
    assert curve.errors[0] == pytest.approx(0.0054)


def test_a_groups_score_is_the_mean_and_its_error_that_of_independent_tasks():
    easy_and_hard = scaling.groups()[2].tasks
    curve = scaling.curve(easy_and_hard, "OPT", 0)
    assert curve.scores[0] == pytest.approx((0.1894 + 0.4352) / 2)
    assert curve.errors[0] == pytest.approx((0.0115**2 + 0.0102**2) ** 0.5 / 2)


def test_comprehension_rises_in_every_family_and_no_single_logic_task_clearly():
    by_name = {row.group.name: row for row in scaling.measure_scaling()}
    cloze, logic = by_name["cloze (LAMBADA)"], by_name["logic and mathematics"]
    assert all(curve.fit.is_clear and curve.fit.slope > 0.1 for curve in cloze.curves)
    assert cloze.clear_tasks == 1 and logic.clear_tasks == 0
    assert all(curve.fit.slope < 0.04 for curve in logic.curves)
    assert logic.chance == 0.25 and max(max(curve.scores) for curve in logic.curves) < 0.28


def test_subjects_above_chance_are_few_and_most_in_the_largest_pythia_with_examples():
    counts = {row.model.run: row for row in scaling.measure_above_chance()}
    assert counts["Pythia-12b-5"].above == 19 and counts["Pythia-70m-5"].above == 4
    assert counts["OPT-66b-0"].above == 11
    assert max(counts.values(), key=lambda row: row.above).model.run == "Pythia-12b-5"
    assert counts["BLOOM-560m-0"].below == 7  # below chance too: letters are not drawn by lot
    assert max(row.mean for row in counts.values()) < 0.30


def test_gophers_own_score_is_there_only_where_it_was_published_for_all_tasks_of_a_group():
    found = {group.name: scaling.gopher_score(group.name) for group in scaling.groups()}
    assert found["cloze (LAMBADA)"] == 0.745 and found["physical common sense (PIQA)"] == 0.818
    assert found["MMLU social sciences"] == pytest.approx(0.71175)
    assert [name for name, score in found.items() if score is None] == [
        "questions with a passage (SciQ)", "science questions (ARC)", "pronouns (WinoGrande, WSC)",
        "logic and mathematics",
    ]  # fmt: skip
