"""Schedules and unfreezing plans: against numbers worked out by hand, and against exact fractions."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papertrail.ulmfit.schedules import (
    SCHEDULES,
    circular,
    constant,
    cosine,
    discriminative_lrs,
    published_slanted_triangular,
    rates_over_time,
    schedule_rates,
    slanted_triangular,
    unfreezing_plan,
    warmup_linear,
)

BY_HAND = {0: 0.0003125, 50: 0.00515625, 100: 0.01, 550: 0.00515625, 1000: 0.0003125}  # T = 1000, peak 0.01
SOME = settings(deadline=None, derandomize=True, database=None, max_examples=60)


def exact_triangle(step, total, cut_frac, ratio):
    """Eq. 3 in exact fractions, as printed, as a share of the highest rate."""
    share = Fraction(str(cut_frac))
    cut = math.floor(total * share)
    p = Fraction(step, cut) if step < cut else 1 - (step - cut) / (cut * (1 / share - 1))
    return (1 + p * (ratio - 1)) / ratio


@pytest.mark.parametrize("step", BY_HAND)
def test_the_slanted_triangle_has_the_values_worked_out_by_hand(step):
    for form in (slanted_triangular, published_slanted_triangular):
        assert form(step, 1000, 0.01) == pytest.approx(BY_HAND[step], rel=1e-12)


@SOME
@given(
    st.integers(1, 60), st.sampled_from([0.02, 0.1, 0.25, 0.29, 0.5]), st.sampled_from([2, 8, 32]), st.data()
)
def test_both_forms_are_the_printed_fractions_where_the_cut_is_whole(hundreds, cut_frac, ratio, data):
    total = 100 * hundreds
    step = data.draw(st.integers(0, total))
    expected = float(exact_triangle(step, total, cut_frac, ratio))
    for form in (slanted_triangular, published_slanted_triangular):
        assert form(step, total, 1.0, cut_frac, ratio) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@SOME
@given(st.integers(1, 400), st.floats(0.01, 0.99), st.floats(1.01, 100), st.floats(1e-6, 10), st.data())
def test_the_slanted_triangle_stays_between_its_lowest_and_its_highest_rate(total, cut_frac, ratio, lr, data):
    step = data.draw(st.integers(0, total))
    rate = slanted_triangular(step, total, lr, cut_frac, ratio)
    assert lr / ratio * (1 - 1e-9) <= rate <= lr * (1 + 1e-9)


@SOME
@given(st.integers(1, 400), st.sampled_from([0.05, 0.1, 0.3, 0.9]))
def test_the_peak_is_at_the_cut_and_the_sides_never_turn(total, cut_frac):
    cut = math.floor(Fraction(str(cut_frac)) * total)
    rates = [slanted_triangular(step, total, 0.01, cut_frac) for step in range(total + 1)]
    assert rates[cut] == max(rates) == pytest.approx(0.01, rel=1e-12)
    assert rates[: cut + 1] == sorted(rates[: cut + 1])
    assert rates[cut:] == sorted(rates[cut:], reverse=True)


def test_as_printed_nineteen_steps_end_below_zero_and_the_guard_holds_the_lowest_rate():
    p = 1 - Fraction(17, 9)  # cut = 1, t = 18
    expected = float((1 + p * 31) / 32) * 0.01
    assert expected < -0.008
    assert published_slanted_triangular(18, 19, 0.01) == pytest.approx(expected, rel=1e-12)
    assert slanted_triangular(18, 19, 0.01) == pytest.approx(0.01 / 32, rel=1e-12)


def test_as_printed_nine_steps_divide_by_zero_and_the_guard_falls_from_the_peak():
    with pytest.raises(ZeroDivisionError):
        published_slanted_triangular(0, 9, 0.01)
    assert slanted_triangular(0, 9, 0.01) == pytest.approx(0.01)
    assert slanted_triangular(3, 9, 3.2) == pytest.approx((1 + 31 * 2 / 3) / 10, rel=1e-12)
    assert slanted_triangular(9, 9, 3.2) == pytest.approx(0.1, rel=1e-12)


def test_the_scripts_triangle_peaks_at_a_third_and_ends_at_an_eighth():
    assert [circular(step, 9, 0.8) for step in (0, 3, 6, 9)] == pytest.approx(
        [0.1, 0.8, 0.45, 0.1], rel=1e-12
    )
    assert circular(8, 64, 0.8, cut_div=8) == pytest.approx(0.8, rel=1e-12)
    assert circular(0, 2, 0.8) == pytest.approx(0.8, rel=1e-12)  # no step left to rise in
    assert min(circular(step, 19, 0.01, 32, 10) for step in range(20)) == pytest.approx(0.01 / 32, rel=1e-12)


def test_the_cosine_the_constant_and_the_warm_up_have_known_points():
    root = math.sqrt(2)
    assert [cosine(step, 8, 4.0) for step in (0, 2, 4, 8)] == pytest.approx([4, 2 + root, 2, 0], abs=1e-12)
    assert {constant(step, 5, 0.3) for step in range(6)} == {0.3}
    points = [warmup_linear(step, 100, 1.0, 0.06) for step in (0, 3, 6, 53, 100)]
    assert points == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-12)
    assert warmup_linear(0, 100, 1.0, 0.002) == 0 and warmup_linear(1, 100, 1.0, 0.002) < 1


@SOME
@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 300), st.floats(1e-6, 10), st.data())
def test_no_schedule_is_ever_negative_or_above_its_peak(name, total, lr, data):
    rate = SCHEDULES[name](data.draw(st.integers(0, total)), total, lr)
    assert 0 <= rate <= lr * (1 + 1e-9)


def test_four_groups_have_the_rates_of_the_paper():
    assert discriminative_lrs(1.0, 4) == pytest.approx([0.0569, 0.148, 0.385, 1.0], rel=2e-3)
    assert discriminative_lrs(0.01, 3) == pytest.approx([0.01 / 6.76, 0.01 / 2.6, 0.01], rel=1e-12)
    assert discriminative_lrs(0.5, 3, factor=1) == [0.5, 0.5, 0.5]
    assert discriminative_lrs(0.5, 1) == [0.5]


PLANS = {  # four groups, seven epochs; 1 where a group trains
    "full": "1111 1111 1111 1111 1111 1111 1111",
    "last": "0001 0001 0001 0001 0001 0001 0001",
    "gradual": "0001 0011 0111 1111 1111 1111 1111",
    "chain-thaw": "0001 1000 0100 0010 1111 1111 1111",
    "scripts": "0001 0011 1111 1111 1111 1111 1111",
}


def written(plan):
    return " ".join("".join("1" if on else "0" for on in epoch) for epoch in plan)


@pytest.mark.parametrize("method", PLANS)
def test_each_method_trains_these_groups_in_each_epoch(method):
    assert written(unfreezing_plan(method, 4, 7)) == PLANS[method]
    assert written(unfreezing_plan(method, 4, 3)) == " ".join(PLANS[method].split()[:3])  # cut, not squeezed


@pytest.mark.parametrize(
    ("method", "expected"), [("gradual", "1 1"), ("chain-thaw", "1 1"), ("scripts", "1 1"), ("last", "1 1")]
)
def test_a_single_group_always_trains(method, expected):
    assert written(unfreezing_plan(method, 1, 2)) == expected


def test_one_curve_runs_over_the_whole_run_and_late_groups_join_it_where_it_stands():
    table = rates_over_time("gradual", "slanted-triangular", 0.01, 3, epochs=4, steps_per_epoch=25)
    assert len(table.rates) == 100 and table.epochs_at() == [0, 25, 50, 75]
    assert table.rates[10] == pytest.approx([0, 0, 0.01])
    share = float(exact_triangle(25, 100, 0.1, 32))
    assert table.rates[24][1] == 0.0
    assert table.rates[25] == pytest.approx([0, 0.01 * share / 2.6, 0.01 * share], rel=1e-9)
    share = float(exact_triangle(99, 100, 0.1, 32))
    assert table.rates[99] == pytest.approx([0.01 * share / 6.76, 0.01 * share / 2.6, 0.01 * share], rel=1e-9)


def test_a_restart_starts_a_new_triangle_whenever_the_training_groups_change():
    table = rates_over_time("gradual", "slanted-triangular", 0.01, 2, 4, 20, factor=1, restart=True)
    assert table.rates[0] == pytest.approx([0, 0.01 / 32])
    assert table.rates[2] == pytest.approx([0, 0.01])
    assert table.rates[20] == pytest.approx([0.01 / 32] * 2)  # epochs 2 to 4 are one phase of 60 steps
    assert table.rates[26] == pytest.approx([0.01] * 2)
    assert table.rates[40][0] > table.rates[60][0] > 0.01 / 32
    full = rates_over_time("full", "cosine", 0.01, 2, 4, 20, restart=True)
    assert full == rates_over_time("full", "cosine", 0.01, 2, 4, 20)


def test_the_scripts_peak_at_a_third_while_unfreezing_and_at_an_eighth_at_the_end():
    table = rates_over_time(
        "scripts", "scripts", 0.8, 4, epochs=4, steps_per_epoch=24, factor=1, restart=True
    )
    top = [row[-1] for row in table.rates]
    assert [step for step in range(96) if top[step] == pytest.approx(0.8)] == [8, 24 + 8, 48 + 6]
    assert [top[0], top[24], top[48]] == pytest.approx([0.1] * 3)
    assert sum(rate > 0 for rate in table.rates[24]) == 2


def test_peaks_can_be_given_by_hand_as_chain_thaw_needs_them():
    plan = unfreezing_plan("chain-thaw", 3, 4)
    table = schedule_rates(plan, [1e-4, 1e-4, 1e-3], "constant", steps_per_epoch=1)
    assert table.rates == [[0, 0, 1e-3], [1e-4, 0, 0], [0, 1e-4, 0], [1e-4, 1e-4, 1e-3]]


TRIANGLE = {"step": 1, "total_steps": 10, "lr_max": 0.01}


@pytest.mark.parametrize(
    ("call", "wrong", "says"),
    [
        (slanted_triangular, {"step": -1}, r"step: got -1; allowed are integers from 0 to total_steps \(10\)"),
        (published_slanted_triangular, {"step": 11}, r"step: got 11; allowed .* \(10\)"),
        (cosine, {"step": 1.0}, "step: got 1.0; allowed"),
        (constant, {"step": True}, "step: got True; allowed"),
        (circular, {"total_steps": 0}, "total_steps: got 0; allowed are integers from 1 up"),
        (warmup_linear, {"lr_max": 0}, "lr_max: got 0; allowed are numbers above 0"),
        (cosine, {"lr_max": math.nan}, "lr_max: got nan; allowed are numbers above 0"),
        (constant, {"lr_max": math.inf}, "lr_max: got inf; allowed"),
        (slanted_triangular, {"cut_frac": 0}, "cut_frac: got 0; allowed are numbers between 0 and 1, both excluded"),
        (published_slanted_triangular, {"cut_frac": 1.0}, "cut_frac: got 1.0; allowed"),
        (slanted_triangular, {"ratio": 0.5}, "ratio: got 0.5; allowed are numbers above 1"),
        (published_slanted_triangular, {"ratio": 1}, "ratio: got 1; allowed are numbers above 1"),
        (circular, {"div": 1}, "div: got 1; allowed are numbers above 1"),
        (circular, {"cut_div": 1}, "cut_div: got 1; allowed are integers from 2 up"),
        (circular, {"cut_div": 2.5}, "cut_div: got 2.5; allowed are integers from 2 up"),
        (warmup_linear, {"warmup": "6%"}, "warmup: got '6%'; allowed are numbers between 0 and 1"),
    ],
)  # fmt: skip
def test_a_schedule_names_what_it_cannot_use(call, wrong, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        call(**TRIANGLE | wrong)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: discriminative_lrs(0, 3), "lr: got 0; allowed are numbers above 0"),
        (lambda: discriminative_lrs(0.1, 0), "num_groups: got 0; allowed are integers from 1 up"),
        (lambda: discriminative_lrs(0.1, 3, factor=-2.6), "factor: got -2.6; allowed are numbers above 0"),
        (lambda: unfreezing_plan("thaw", 3, 4), "method: got 'thaw'; allowed are full, last, gradual, chain-thaw"),
        (lambda: unfreezing_plan("full", 3, 1.5), "epochs: got 1.5; allowed are integers from 1 up"),
        (lambda: rates_over_time("full", "stlr", 0.1, 3, 1, 1), "schedule: got 'stlr'; allowed are slanted-"),
        (lambda: rates_over_time("full", "cosine", 0.1, 3, 1, 0), "steps_per_epoch: got 0; allowed"),
        (lambda: schedule_rates([], [0.1], "cosine", 1), "plan: is empty"),
        (lambda: schedule_rates([(True,)], [0.1, 0.2], "cosine", 1), "plan: an epoch has 1 groups, .* 2 peaks"),
    ],
)  # fmt: skip
def test_a_plan_names_what_it_cannot_use(call, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        call()
