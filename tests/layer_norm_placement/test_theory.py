"""The curves that figures draw beside measurements are the papers', and agree with simulation."""

import math

import pytest
import torch
from torch.nn import functional as F

from papertrail.experiments import seeded
from papertrail.layer_norm_placement.measurements import measure_jacobian
from papertrail.layer_norm_placement.theory import (
    layer_norm_jacobian,
    post_ln_distance,
    pre_ln_distance,
    slope,
)


@pytest.mark.parametrize("k", [1, 4, 20])
def test_a_sum_of_independent_parts_moves_as_the_formula_says(k):
    with seeded(k):
        parts = torch.randn(k + 1, 200_000, dtype=torch.float64)
    before, after = parts[:k].sum(0) / k**0.5, parts.sum(0) / (k + 1) ** 0.5
    assert (after - before).abs().mean().item() == pytest.approx(pre_ln_distance(k), rel=0.01)


@pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
def test_a_post_ln_step_moves_as_the_formula_says(variance):
    with seeded(1):
        x, f = torch.randn(2, 200_000, dtype=torch.float64)
    after = (x + variance**0.5 * f) / (1 + variance) ** 0.5
    assert (after - x).abs().mean().item() == pytest.approx(post_ln_distance(variance), rel=0.01)


def test_pre_lns_distance_falls_like_one_over_the_root_and_post_lns_does_not_fall():
    assert slope([100, 10_000], [pre_ln_distance(k) for k in (100, 10_000)]) == pytest.approx(-0.5, abs=0.01)
    assert post_ln_distance(0.0) == 0 and post_ln_distance() == pytest.approx(
        math.sqrt(2 / math.pi) * math.sqrt(2 - math.sqrt(2))
    )


def test_the_norms_jacobian_is_autograds_and_stretches_by_root_d_over_length():
    result = measure_jacobian()
    assert result.error < 1e-12
    assert result.largest == pytest.approx([1.0] * 5, abs=1e-9)


def test_a_longer_input_lets_less_gradient_through():
    with seeded(0):
        x = torch.randn(16, dtype=torch.float64)
    short, long = (torch.linalg.matrix_norm(layer_norm_jacobian(c * x), 2) for c in (1.0, 7.0))
    assert short / long == pytest.approx(7.0)
    assert (F.layer_norm(x + 1e-6, (16,), eps=0) - F.layer_norm(x, (16,), eps=0)).abs().max() < 1e-5


def test_a_power_law_has_its_exponent_as_slope():
    assert slope([1, 2, 4, 8], [3 * x**-0.5 for x in (1, 2, 4, 8)]) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pre_ln_distance(0), "term: got 0"),
        (lambda: post_ln_distance(-1.0), "branch_variance: got -1.0"),
        (lambda: layer_norm_jacobian(torch.ones(4)), "x: got shape"),
        (lambda: layer_norm_jacobian(torch.zeros(2, 2)), "x: got shape"),
        (lambda: slope([1], [1.0]), "xs, ys: got"),
        (lambda: slope([1, 1], [1.0, 2.0]), "xs, ys: got"),
        (lambda: slope([1, 2], [1.0, 0.0]), "xs, ys: got"),
        (lambda: slope([1, 2], [1.0]), "xs, ys: got"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
