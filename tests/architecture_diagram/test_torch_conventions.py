"""Chapter 1 beside torch.nn: equal where it must be, and different where torch differs from the paper."""

import pytest
import torch
from torch.nn import functional as F

from papertrail.architecture_diagram import sublayer, torch_conventions
from papertrail.architecture_diagram.sublayer import Rule
from papertrail.architecture_diagram.torch_conventions import (
    measure_torch_agreement,
    measure_torch_conventions,
)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_layers_agree_with_torch_forward_and_backward(dtype, bound):
    result = measure_torch_agreement(dtype, seeds=3)
    assert [(row.layer, row.norm_first) for row in result.rows] == [
        ("encoder", False),
        ("encoder", True),
        ("decoder", False),
        ("decoder", True),
    ]
    assert result.worst < bound
    assert result.worst > 0  # other kernels, other round-off: zero would mean that nothing was compared
    assert result.worst == max(value for row in result.rows for value in (row.forward, row.gradient))


def test_layers_do_not_agree_with_torch_when_the_order_is_swapped(monkeypatch):
    monkeypatch.setattr(torch_conventions, "PUBLISHED", Rule("n", "da"))
    result = measure_torch_agreement(seeds=1)
    for row in result.rows:
        assert (row.forward > 0.1) == (not row.norm_first)
        assert (row.gradient > 0.1) == (not row.norm_first)


def test_layers_that_ignore_their_gains_and_biases_do_not_pass_for_torchs(monkeypatch):
    def forward(self, value, x=None):
        for letter, step in zip(self.letters, self.steps, strict=True):
            if letter == "n":
                value = F.layer_norm(value, value.shape[-1:], 1 + 0 * step.weight, 0 * step.bias, step.eps)
            else:
                value = step(value, x) if letter == "a" else step(value)
        return value

    monkeypatch.setattr(sublayer.Stage, "forward", forward)
    assert all(row.forward > 0.01 for row in measure_torch_agreement(seeds=1).rows)


def test_torch_leaves_a_pre_ln_encoder_unnormalized_unless_asked():
    result = measure_torch_conventions()
    assert result.depths == [1, 6, 12, 24]
    assert result.rms_without_norm == sorted(result.rms_without_norm)
    assert result.rms_without_norm[0] > 1.1 and result.rms_without_norm[-1] > 3.5
    assert all(abs(rms - 1) < 1e-3 for rms in result.rms_with_norm)


def test_torchs_extra_norm_does_nothing_at_first_and_something_once_gains_move():
    result = measure_torch_conventions()
    assert (result.norms_in_torch_transformer, result.norms_in_published_model) == (32, 30)
    assert result.spreads[0] == 0.0
    assert result.extra_norm_difference[0] < 1e-4  # eps and float32
    assert result.extra_norm_difference[1] > 0.01
    for spread, difference in zip(result.spreads[1:], result.extra_norm_difference[1:], strict=True):
        assert 1.5 * spread < difference < 4 * spread
