"""What chapter 1 reports: margins were chosen from five seeds, and every bound has been seen to fail."""

import math

import pytest
import torch

from papertrail.architecture_diagram.measurements import (
    count_norms,
    measure_annotated_norm,
    measure_order_difference,
    measure_parameter_counts,
    measure_rms_by_depth,
)
from papertrail.architecture_diagram.torch_conventions import (
    measure_torch_agreement,
    measure_torch_conventions,
)

QUICK = [
    (measure_torch_agreement, {"seeds": 1}),
    (measure_order_difference, {"depth": 1, "d_model": 16, "seeds": 2}),
    (measure_rms_by_depth, {"depth": 2, "d_model": 16, "seeds": 2}),
    (measure_annotated_norm, {"d": 16, "seeds": 2, "num_layers": 1}),
    (measure_torch_conventions, {"depths": (1,), "spreads": (0.1,), "seeds": 1}),
    (count_norms, {"num_layers": 1}),
    (measure_parameter_counts, {"vocab_size": 7}),
]


@pytest.mark.parametrize(("measure", "options"), QUICK)
def test_a_measurement_leaves_the_random_state_alone_and_does_not_depend_on_it(measure, options):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(99)
        state = torch.get_rng_state()
        first = measure(**options)
        assert torch.equal(torch.get_rng_state(), state)
        torch.default_generator.manual_seed(100)
        assert measure(**options) == first


def test_orders_part_at_the_second_sublayer_and_go_on_parting():
    result = measure_order_difference()
    assert len(result.with_final_norm) == len(result.without_final_norm) == result.seeds == 5
    for with_norm, without in zip(result.with_final_norm, result.without_final_norm, strict=True):
        assert len(with_norm) == len(without) == 12
        assert with_norm[0] < 1e-6 < 1e-2 < with_norm[1]  # eps, then the skip carries something else
        assert 0.6 < with_norm[-1] < 0.8
        assert without[0] > 0.05 and 1.4 < without[-1] < 2.0
        assert all(a < b for a, b in zip(with_norm, without, strict=True))
    for by_seed in (result.with_final_norm, result.without_final_norm):
        sums = [sum(values) for values in zip(*by_seed, strict=True)]
        assert sums == sorted(sums)


def test_pre_ln_grows_inside_the_lemmas_band_and_post_ln_does_not_grow():
    result = measure_rms_by_depth()
    assert result.lower_bound == [1 + layer / 2 for layer in range(49)]
    assert result.upper_bound == [1 + 3 * layer / 2 for layer in range(49)]
    assert len(result.pre_ln) == result.seeds == 5
    for post, pre, final in zip(result.post_ln, result.pre_ln, result.pre_ln_final_norm, strict=True):
        assert all(abs(rms - 1) < 1e-3 for rms in post[1:])
        assert all(abs(rms - 1) < 1e-3 for rms in final)
        assert 1.0 < (pre[48] ** 2 - pre[0] ** 2) / 48 < 1.5
    means = [sum(seed[layer] ** 2 for seed in result.pre_ln) / 5 for layer in range(49)]
    assert means[0] == pytest.approx(1.0, abs=0.02)
    assert means[1] == pytest.approx(1.5, abs=0.1)  # independent tokens: attention averages them away
    assert means == sorted(means)
    assert 1.1 < (means[24] - means[6]) / 18 < 1.5  # a straight line: the slope of the first half ...
    assert 1.1 < (means[48] - means[24]) / 24 < 1.5  # ... is that of the second
    for mean, low, high in zip(means[1:], result.lower_bound[1:], result.upper_bound[1:], strict=True):
        assert low < mean < high


def test_the_annotated_norm_is_the_norm_times_a_constant_and_its_order_is_not_the_papers():
    result = measure_annotated_norm()
    assert result.expected_ratio == math.sqrt(511 / 512) == pytest.approx(0.99902, abs=1e-5)
    assert result.ratio_error < 1e-5
    assert result.ratio_error < 0.01 * (1 - result.expected_ratio)  # the constant is seen, not lost in eps
    assert len(result.sublayer_difference) == len(result.encoder_difference) == result.seeds == 5
    assert all(0.12 < difference < 0.20 for difference in result.sublayer_difference)
    assert all(0.6 < difference < 0.8 for difference in result.encoder_difference)


def test_the_annotated_constant_follows_the_width():
    result = measure_annotated_norm(d=8, seeds=2, num_layers=1)
    assert result.expected_ratio == math.sqrt(7 / 8)
    assert result.ratio_error < 1e-3


def test_norms_are_30_or_32_and_their_number_follows_from_the_rule():
    found = {count.rule.name: (count.found, count.predicted) for count in count_norms()}
    assert found == {
        "Post-LN": (30, 30),
        "Pre-LN": (32, 32),
        "res-post-norm": (30, 30),
        "sandwich": (62, 62),
        "double norm": (62, 62),
        "no norm": (0, 0),
    }


def test_the_modules_have_as_many_parameters_as_the_formula_says():
    counts = measure_parameter_counts()
    assert len(counts) == 11
    assert all(count.found == count.formula for count in counts)
    by_row = {count.row: count.found for count in counts}
    assert (by_row["base"], by_row["big"]) == (63_045_632, 214_171_648)
    assert {count.row: count.found for count in measure_parameter_counts(37_001)}["base"] == 63_045_632 + 512


def test_how_far_the_orders_part_depends_on_how_the_weights_are_drawn():
    loud, quiet = (measure_order_difference(start=start).with_final_norm for start in ("xavier", "linear"))
    assert min(row[-1] for row in loud) > 0.5
    assert min(row[-1] for row in quiet) > 0.03 and max(row[-1] for row in quiet) < 0.1


@pytest.mark.parametrize(
    ("measure", "options", "message"),
    [
        (measure_order_difference, {"depth": 0}, "depth: got 0; allowed are integers from 1 up"),
        (measure_order_difference, {"seeds": 2.0}, "seeds: got 2.0"),
        (
            measure_order_difference,
            {"start": "kaiming"},
            "start: got 'kaiming'; allowed are xavier and linear",
        ),
        (measure_rms_by_depth, {"seeds": 0}, "seeds: got 0"),
        (measure_annotated_norm, {"num_layers": -1}, "num_layers: got -1"),
        (measure_torch_agreement, {"seeds": 0}, "seeds: got 0"),
        (measure_torch_conventions, {"depths": (0, 1)}, "depths: got 0"),
    ],
)
def test_a_size_that_makes_no_sense_is_named(measure, options, message):
    with pytest.raises(ValueError, match=message):
        measure(**options)
