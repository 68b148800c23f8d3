"""A Pre-LN model and its Pre-RMSNorm rewriting are one function, and each step of the rewriting is needed."""

import pytest
import torch
from torch import nn

from papertrail.gopher.normalization import RMSNorm
from papertrail.gopher.rewriting import center_outputs, measure_rewriting, to_pre_rms_norm
from papertrail.layer_norm_placement.models import Model

SIZES = {"vocab_size": 7, "length": 5, "d_model": 8, "num_heads": 2, "d_ff": 12}


def test_twenty_four_layers_give_the_same_outputs():
    result = measure_rewriting()
    assert max(result.difference) < 1e-12
    assert max(result.path_mean) < 1e-12
    assert min(result.uncentered) > 0.01, "without centering it is another function"
    assert result.norms_left == 0 and result.depth == 24 and len(result.difference) == 3


@pytest.mark.parametrize("shape", ["encoder", "decoder-only"])
def test_the_original_is_left_alone_and_all_its_norms_are_replaced(shape):
    model = Model(shape, 2, **SIZES).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    new = to_pre_rms_norm(model)
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    norms = [module for module in new.modules() if isinstance(module, (nn.LayerNorm, RMSNorm))]
    assert len(norms) == 5 and all(isinstance(norm, RMSNorm) and norm.eps == 1e-6 for norm in norms)


def test_a_centered_layer_writes_vectors_of_mean_zero_and_moves_by_that_mean_only():
    linear = nn.Linear(3, 4).double()
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = linear(x).detach()
    center_outputs(linear)
    torch.testing.assert_close(linear(x), before - before.mean(-1, keepdim=True))


@pytest.mark.parametrize(("shape", "placement"), [("decoder-only", "post"), ("encoder-decoder", "pre")])
def test_only_a_pre_ln_model_of_one_stack_can_be_rewritten(shape, placement):
    model = Model(shape, 1, placement=placement, **SIZES)
    with pytest.raises(ValueError, match=f"model: a {shape} with placement '{placement}'"):
        to_pre_rms_norm(model)
