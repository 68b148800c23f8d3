"""The chapter's measured claims over four times as many seeds as the page shows."""

import pytest
import torch

from papertrail.architecture_diagram import measurements, torch_conventions

pytestmark = pytest.mark.long
SEEDS = 20


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_layers_equal_torchs_over_many_seeds(dtype, tolerance):
    rows = torch_conventions.measure_torch_agreement(dtype, seeds=SEEDS).rows
    assert max(max(row.forward, row.gradient) for row in rows) < tolerance


def test_the_two_orders_part_over_many_seeds():
    result = measurements.measure_order_difference(seeds=SEEDS)
    quiet = measurements.measure_order_difference(seeds=SEEDS, start="linear")
    assert min(row[-1] for row in result.with_final_norm) > 0.5
    assert max(row[-1] for row in quiet.with_final_norm) < 0.1
    assert max(row[0] for row in result.with_final_norm) < 1e-6


def test_pre_ln_grows_inside_the_band_over_many_seeds():
    result = measurements.measure_rms_by_depth(seeds=SEEDS)
    mean = sum(row[-1] ** 2 for row in result.pre_ln) / SEEDS
    assert result.lower_bound[-1] < mean < result.upper_bound[-1]
    assert min(row[-1] ** 2 for row in result.pre_ln) > 10


def test_torch_leaves_pre_ln_unnormalized_over_many_seeds():
    result = torch_conventions.measure_torch_conventions(seeds=SEEDS)
    sizes = result.rms_without_norm
    assert all(later > 1.2 * earlier for earlier, later in zip(sizes, sizes[1:], strict=False))
    assert result.extra_norm_difference[0] < 1e-5 < 0.05 < result.extra_norm_difference[3]
