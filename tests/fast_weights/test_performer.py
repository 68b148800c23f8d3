"""The Performer's errors are those its paper predicts, and norm decides what the number of features cannot."""

import math

import pytest
import torch

from papertrail.fast_weights.feature_maps import KINDS
from papertrail.fast_weights.performer import (
    ARMS,
    exact_kernel,
    measure_attention_error,
    measure_kernel_error,
    orthogonal_bound,
    orthogonal_error,
    other_printed_bound,
    predicted_error,
)


@pytest.fixture(scope="module")
def kernel():
    return measure_kernel_error()


@pytest.fixture(scope="module")
def attention():
    return measure_attention_error()


def pair(length, cosine=0.25, d=16):
    x, y = torch.zeros(2, d, dtype=torch.float64)
    x[0], y[0], y[1] = 1, cosine, math.sqrt(1 - cosine**2)
    return length * math.sqrt(d) * x, length * math.sqrt(d) * y


@pytest.mark.parametrize("kind", KINDS)
def test_lemma_2_predicts_the_error_of_independent_features(kernel, kind):
    for i in range(len(kernel.lengths)):
        arm = f"{kind} iid"
        off = kernel.measured[arm][i] - kernel.predicted[kind][i]
        assert abs(off) < 5 * kernel.standard_error[arm][i]
        assert abs(kernel.bias[arm][i]) < 5
    assert kernel.standard_error[f"{kind} iid"][0] < 0.02 * kernel.measured[f"{kind} iid"][0]


def test_orthogonal_features_err_as_derived_and_below_theorem_2(kernel):
    arm = "positive orthogonal"
    for i in range(len(kernel.lengths)):
        assert abs(kernel.measured[arm][i] - kernel.orthogonal[i]) < 5 * kernel.standard_error[arm][i]
        assert kernel.orthogonal[i] < kernel.bound[i] < kernel.predicted["positive"][i]
    assert kernel.measured[arm][0] + 2 * kernel.standard_error[arm][0] < kernel.bound[0]
    assert kernel.measured[arm][0] < 0.85 * kernel.measured["positive iid"][0]


def test_theorem_2_holds_at_every_length_and_angle_and_is_tight_for_short_vectors():
    for length in (0.01, 0.05, 0.15, 0.25, 0.5):
        for cosine in (-0.9, -0.25, 0.0, 0.25, 1.0):
            for m in (2, 7, 16):
                x, y = pair(length, cosine)
                exact, iid = orthogonal_error(x, y, m), predicted_error(x, y, m, "positive")
                assert 0 < exact < orthogonal_bound(x, y, m) * (1 + 1e-9) and exact < iid
    x, y = pair(0.02)
    iid = predicted_error(x, y, 16, "positive")
    assert ((iid - orthogonal_error(x, y, 16)) / (iid - orthogonal_bound(x, y, 16))).item() == pytest.approx(
        1, abs=0.02
    )


def test_the_other_printed_theorem_2_promises_a_negative_squared_error(kernel):
    assert kernel.lengths[0] == 0.15 and kernel.other_bound[0] < -0.01
    assert (
        kernel.measured["positive orthogonal"][0]
        > kernel.other_bound[0] + 40 * kernel.standard_error["positive orthogonal"][0]
    )
    assert 0 < kernel.other_bound[1] < 0.8 * kernel.orthogonal[1], "where positive it can be violated too"
    x, y = pair(0.25)
    assert orthogonal_error(x, y, 16) < other_printed_bound(x, y, 16), (
        "and for longer vectors it happens to hold"
    )


def test_lemma_2_at_a_point_worked_by_hand():
    """x = y = (1, 0): SM = e, |x + y|^2 = 4, |x - y| = 0."""
    x = torch.tensor([1.0, 0.0], dtype=torch.float64)
    e = math.e
    assert exact_kernel(x, x).item() == pytest.approx(e)
    assert predicted_error(x, x, 2, "trigonometric").item() == 0, "cos(0) = 1 whatever is drawn"
    assert predicted_error(x, x, 2, "positive").item() == pytest.approx(e**6 * (1 - e**-4) / 2)
    assert predicted_error(x, x, 2, "hyperbolic").item() == pytest.approx(e**6 * (1 - e**-4) ** 2 / 4)
    assert orthogonal_bound(x, x, 2).item() == pytest.approx(e**6 * (1 - e**-4) / 2 - (e - 1 / e) ** 2 / 4)
    assert other_printed_bound(x, x, 2).item() == pytest.approx(e**6 * (1 - e**-4) / 2 - e**2 / 4)
    assert orthogonal_error(x, x, 1).item() == pytest.approx(predicted_error(x, x, 1, "positive").item())
    assert predicted_error(x, -x, 2, "positive").item() == predicted_error(x, -x, 2, "hyperbolic").item() == 0


def test_where_the_kernel_vanishes_trigonometric_features_blow_up_and_positive_ones_vanish():
    far, near = pair(1.0, -0.99), pair(0.5, -0.99)
    assert predicted_error(*far, 16, "trigonometric") > 1e6 * predicted_error(*near, 16, "trigonometric")
    assert predicted_error(*far, 16, "positive") < 1e-6 * predicted_error(*near, 16, "positive")


def test_norm_decides_where_the_number_of_features_cannot(attention):
    arm = "positive orthogonal"
    assert attention.median(arm, 0.5, 16) > 4 * attention.median(arm, 0.5, 256)
    assert attention.median(arm, 1.0, 16) < 3 * attention.median(arm, 1.0, 256)
    assert attention.median(arm, 0.5, 16) < attention.median(arm, 1.0, 256) / 2, "few, short beat many, long"
    for m in attention.features:
        row = [attention.median(arm, scale, m) for scale in (0.25, 0.5, 0.75, 1.0)]
        assert all(later > 2 * earlier for earlier, later in zip(row[:2], row[1:3], strict=True))
        assert row[3] > 1.5 * row[2]


def test_at_unit_inputs_every_estimate_is_worse_than_answering_zero(attention):
    for arm in ARMS:
        for m in attention.features:
            for scale in (1.0, 1.5):
                assert attention.median(arm, scale, m) > 1.1
    positive = max(attention.median(arm, 1.0, m) for arm in ARMS if "trig" not in arm for m in (16, 64, 256))
    assert attention.median("trigonometric orthogonal", 1.0, 256) > 20 * positive


def test_trigonometric_orthogonal_features_are_the_most_accurate_at_small_norms(attention):
    for scale in (0.25, 0.5):
        best, *others = sorted(ARMS, key=lambda arm: attention.median(arm, scale, 256))
        assert best == "trigonometric orthogonal"
        assert attention.median(others[0], scale, 256) > 1.5 * attention.median(best, scale, 256)


def test_orthogonality_helps_trigonometric_features_and_hardly_positive_ones(attention):
    for m in (64, 256):
        gain = {
            kind: attention.median(f"{kind} iid", 0.5, m) / attention.median(f"{kind} orthogonal", 0.5, m)
            for kind in ("positive", "trigonometric")
        }
        assert gain["trigonometric"] > 1.8 and 0.7 < gain["positive"] < 1.6


def test_only_trigonometric_features_have_negative_normalizers(attention):
    for (kind, _), arm in zip(ARMS.values(), ARMS, strict=True):
        for m in attention.features:
            if kind != "trigonometric":
                assert all(attention.negatives(arm, scale, m) == 0 for scale in attention.scales)
            else:
                assert attention.negatives(arm, 1.5, m) > 0.4 * attention.length * attention.seeds
                assert attention.negatives(arm, 0.25, m) == 0


def test_the_attention_measured_is_the_one_described():
    result = measure_attention_error((0.5,), (8,), length=6, d=4, seeds=2)
    powers = []
    for seed in range(2):
        q, k, v = torch.randn(3, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        out = torch.nn.functional.scaled_dot_product_attention(0.5 * q[None], 0.5 * k[None], v[None])
        powers.append(out.square().mean().item())
    assert result.power[0.5] == pytest.approx(sum(powers) / 2, rel=1e-12)
    many = measure_attention_error((0.25,), (64, 4096), length=6, d=4, seeds=3)
    assert all(many.median(arm, 0.25, 4096) < 0.01 for arm in ARMS), "with many features all arms converge"
    assert many.mean("positive iid", 0.25, 64) == pytest.approx(
        sum(many.errors["positive iid"][0.25, 64]) / 3
    )


def test_measuring_leaves_the_callers_seeds_alone_and_repeats_itself():
    before = torch.get_rng_state()
    one, two = (measure_attention_error((0.5,), (4,), length=4, d=2, seeds=2) for _ in range(2))
    assert one == two
    assert measure_kernel_error(draws=10) == measure_kernel_error(draws=10)
    assert torch.equal(before, torch.get_rng_state())


X = torch.zeros(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: predicted_error(X, X, 0, "positive"), "m: got 0"),
        (lambda: predicted_error(X, X, 2, "relu"), "kind: got 'relu'; allowed are 'positive'"),
        (lambda: orthogonal_bound(X, X, 5), "m: got 5; allowed are integers from 1 to d = 4"),
        (lambda: orthogonal_error(X, X, 5), "m: got 5; allowed are integers from 1 to d = 4"),
        (lambda: other_printed_bound(X, X, 0), "m: got 0"),
        (lambda: measure_kernel_error(d=1), "d: got 1; allowed are integers from 2"),
        (lambda: measure_kernel_error(draws=1), "draws: got 1; allowed are integers from 2"),
        (lambda: measure_kernel_error(draws=9.5), "draws: got 9.5"),
        (lambda: measure_kernel_error(()), "lengths: got 0"),
        (lambda: measure_kernel_error(cosine=1.5), "cosine: got 1.5; allowed are numbers from -1 to 1"),
        (lambda: measure_attention_error(seeds=0), "seeds: got 0"),
        (lambda: measure_attention_error(scales=()), "scales: got 0"),
        (lambda: measure_attention_error(features=()), "features: got 0"),
        (
            lambda: measure_attention_error(features=(3,), seeds=1),
            "features: got 3; allowed are even integers",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
