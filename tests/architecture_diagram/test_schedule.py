"""The learning rate: against the formula typed again, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papertrail.architecture_diagram.schedule import SCHEDULES, noam_lr

BY_NAME = {schedule.name: schedule for schedule in SCHEDULES}


def test_the_peaks_are_those_of_the_paper_and_of_version_two():
    assert noam_lr(4000, 512) == pytest.approx(1 / math.sqrt(512 * 4000), rel=1e-12)
    assert noam_lr(4000, 512) == pytest.approx(6.99e-4, abs=5e-7)
    assert BY_NAME["transformer_base_v2"].rate(8000) == pytest.approx(9.88e-4, abs=5e-7)


def test_small_numbers_by_hand():
    assert noam_lr(1, 4, warmup=4) == pytest.approx(0.5 * 1 / 8, rel=1e-12)  # warming up: step / warmup^1.5
    assert noam_lr(4, 4, warmup=4) == pytest.approx(0.5 * 1 / 2, rel=1e-12)  # the two branches meet
    assert noam_lr(16, 4, warmup=4) == pytest.approx(0.5 * 1 / 4, rel=1e-12)  # decaying: 1 / sqrt(step)


@settings(deadline=None, derandomize=True, database=None)
@given(st.integers(1, 10**6), st.integers(1, 8192), st.integers(1, 20_000))
def test_the_rate_rises_in_a_line_and_falls_as_the_root(step, d_model, warmup):
    peak = 1 / math.sqrt(d_model * warmup)
    share = step / warmup if step <= warmup else math.sqrt(warmup / step)
    assert noam_lr(step, d_model, warmup) == pytest.approx(peak * share, rel=1e-12)


def test_every_setting_is_a_multiple_of_the_formula():
    assert [(s.name, s.factor, s.warmup) for s in SCHEDULES] == [
        ("transformer_base_v1", 1.0, 4000),
        ("transformer_base_v2", 2.0, 8000),
        ("transformer_base_v3", 2.0, 8000),
    ]
    for step in (1, 4000, 8000, 100_000):
        assert BY_NAME["transformer_base_v1"].rate(step) == noam_lr(step, 512)
        assert BY_NAME["transformer_base_v2"].rate(step, 1024) == 2.0 * noam_lr(step, 1024, 8000)


@pytest.mark.parametrize("step", [1, 100, 7999, 8000, 8001, 300_000])
def test_version_three_is_a_product_of_four_factors(step):
    """constant * linear_warmup * rsqrt_decay * rsqrt_hidden_size, each written out."""
    product = 2.0 * min(1.0, step / 8000) / math.sqrt(max(step, 8000)) / math.sqrt(512)
    assert BY_NAME["transformer_base_v3"].rate(step) == pytest.approx(product, rel=1e-12)


@pytest.mark.parametrize("argument", ["step", "d_model", "warmup"])
@pytest.mark.parametrize("wrong", [True, 1.0, "1", None, np.float64(3.0), np.True_])
def test_what_is_not_an_integer_is_refused_by_name(argument, wrong):
    with pytest.raises(TypeError, match=f"^{argument}: got .*integers from 1 up"):
        noam_lr(**{"step": 1, "d_model": 512, "warmup": 4000, argument: wrong})


@pytest.mark.parametrize("argument", ["step", "d_model", "warmup"])
@pytest.mark.parametrize("wrong", [0, -1])
def test_what_is_not_positive_is_refused_by_name(argument, wrong):
    with pytest.raises(ValueError, match=f"^{argument}: got {wrong}; allowed are integers from 1 up"):
        noam_lr(**{"step": 1, "d_model": 512, "warmup": 4000, argument: wrong})


def test_numpy_integers_are_integers():
    assert noam_lr(np.int64(7), np.int32(512)) == noam_lr(7, 512)
    assert isinstance(noam_lr(np.int64(7), np.int32(512)), float)
