"""Our functions against other people's: their stored outputs, and the checks that their own tests make.

The sizes and tolerances are those of the tests of fast-transformers (2ad36b9), flash-linear-attention (bc3b101) and
google-research/performer; the code is ours.
"""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.feature_maps import FavorMap
from papertrail.fast_weights.linear_attention import linear_attention

STORED = json.loads((Path(__file__).parent / "fixtures" / "flash_linear_attention.json").read_text())
B, H, T, D, M = STORED["shape"]
FORMS = ["recurrent", "parallel", "chunk"]


def wave(speed, *shape):
    """Inputs by formula: no random generator that a later version could change."""
    return torch.sin(speed * torch.arange(torch.Size(shape).numel(), dtype=torch.float64)).reshape(shape)


def stored(name, *shape):
    return torch.tensor(STORED[name], dtype=torch.float64).reshape(shape)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_stored_outputs_agree_among_themselves():
    difference = stored("delta_recurrence", B, H, T, M) - stored("delta_chunkwise", B, H, T, M)
    assert 0 < difference.abs().max() < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_the_delta_rule_is_flash_linear_attentions(form):
    q, k, v = wave(1.3, B, H, T, D), normalize(wave(0.7, B, H, T, D), dim=-1), wave(2.1, B, H, T, M)
    beta = (1 + wave(0.9, B, H, T)) / 2
    out, S = delta_rule(
        q * D**-0.5, k, v, beta, form=form, chunk_size=32, return_state=True
    )  # theirs scales q
    for name in ("delta_recurrence", "delta_chunkwise"):
        assert (out - stored(name, B, H, T, M)).abs().max() < 2e-6
    assert (S - stored("delta_state", B, H, D, M)).abs().max() < 2e-6


@pytest.mark.parametrize("form", FORMS)
def test_linear_attention_is_flash_linear_attentions(form):
    q, k, v = wave(1.3, B, H, T, D), normalize(wave(0.7, B, H, T, D), dim=-1), wave(2.1, B, H, T, M)
    options = {"feature_map": None, "form": form}
    positive = linear_attention(q.abs() + 0.1, k.abs() + 0.1, v, eps=1e-10, **options)
    assert (positive - stored("linear_normalized", B, H, T, M)).abs().max() < 2e-6
    plain, S = linear_attention(q, k, v, normalize=False, return_state=True, **options)
    assert (plain - stored("linear_unnormalized", B, H, T, M)).abs().max() < 1e-5
    assert (S - stored("linear_state", B, H, D, M)).abs().max() < 1e-5


@pytest.mark.parametrize("E, V", [(10, 256), (77, 31), (255, 129)])
def test_fast_transformers_causal_product(E, V):
    """Their test: N=10, H=10, L=100, features in [10, 256), largest relative error below 1e-5, gradients included."""
    q, k, v = (random(10, 10, 100, n, seed=seed).abs() for seed, n in enumerate((E, E, V)))
    ours, theirs = ([x.clone().requires_grad_() for x in (q, k, v)] for _ in range(2))
    out = linear_attention(*ours, feature_map=None, normalize=False)
    weights = torch.einsum("nhle,nhse->nhls", *theirs[:2]) * torch.ones(100, 100).tril()
    reference = torch.einsum("nhls,nhsm->nhlm", weights, theirs[2])
    out.sum().backward()
    reference.sum().backward()
    assert ((out - reference) / reference).abs().max() < 1e-5
    for one, other in zip(ours, theirs, strict=True):
        assert ((one.grad - other.grad) / other.grad).abs().max() < 1e-5


def test_fast_transformers_normalized_attention():
    """Their test: N=2, H=4, L=S=100, absolute error below 5e-4, gradients included; their feature map is elu + 1."""
    tensors = [random(2, 4, 100, 32, seed=seed) for seed in range(3)]
    ours, theirs = ([x.clone().requires_grad_() for x in tensors] for _ in range(2))
    out = linear_attention(*ours, eps=1e-6)
    q, k = (torch.nn.functional.elu(x) + 1 for x in theirs[:2])
    weights = torch.einsum("nhle,nhse->nhls", q, k).tril()
    reference = torch.einsum("nhls,nhsm->nhlm", weights / (weights.sum(-1, keepdim=True) + 1e-6), theirs[2])
    out.sum().backward()
    reference.sum().backward()
    assert (out - reference).abs().max() < 5e-4
    for one, other in zip(ours, theirs, strict=True):
        assert (one.grad - other.grad).abs().max() < 5e-4


@pytest.mark.parametrize(("kind", "bound"), [("positive", 1e-3), ("trigonometric", 1e-4)])
def test_fast_transformers_many_random_features(kind, bound):
    """Their test: 32,000 dimensions, x and y 0.15 times N(0, 1), 100 rows of 32: mean squared error of exp(x.y)."""
    x, y = (0.15 * random(100, 32, seed=seed) for seed in range(2))
    phi = FavorMap(32, 32_000, kind=kind)
    assert (phi(x) @ phi(y).T - (x @ y.T).exp()).square().mean() < bound


def test_performers_noncausal_softmax():
    """Their test: L = 10,000, d = 8, 1,000 features, N(0, 1) inputs: largest absolute error below 0.5."""
    q, k, v = (random(1, 1, 10_000, 8, seed=seed) for seed in range(3))
    exact = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    scale = 8**-0.25
    estimate = linear_attention(scale * q, scale * k, v, feature_map=FavorMap(8, 1000), causal=False)
    assert (estimate - exact).abs().max() < 0.5


def test_fast_transformers_recurrent_is_causal():
    """Their test: N=10, L=100, H=4, E=25, M=64."""
    q, k, v = (random(10, 4, 100, n, seed=seed) for seed, n in enumerate((25, 25, 64)))
    outs = [linear_attention(q, k, v, form=form) for form in FORMS]
    assert all((out - outs[0]).abs().max() < 1e-5 for out in outs)


def test_fast_transformers_padding_cannot_be_seen_from_before():
    """Their test: values of 1e9 beyond a sequence's end must leave its outputs below 1 (theirs uses a length mask)."""
    q, k, v = (random(2, 4, 100, 25, seed=seed) for seed in range(3))
    v = torch.cat([v.clamp(-0.9, 0.9)[:, :, :60], torch.full_like(v[:, :, 60:], 1e9)], dim=2)
    assert linear_attention(q, k, v)[:, :, :60].abs().max() < 1


@pytest.mark.parametrize("shape", [(1, 2, 128, 64), (2, 4, 256, 60)])
@pytest.mark.parametrize("normalized", [True, False])
def test_flash_linear_attentions_bound_for_its_chunk_form(shape, normalized):
    """Their test: root mean square error over root mean square below 1e-3."""
    q, k, v = (random(*shape, seed=seed).abs() for seed in range(3))
    one, other = (
        linear_attention(q, k, v, feature_map=None, normalize=normalized, form=form)
        for form in ("recurrent", "chunk")
    )
    assert (one - other).square().mean().sqrt() / one.square().mean().sqrt() < 1e-6  # theirs: 1e-3


@pytest.mark.parametrize("length", [63, 100, 1000, 1024])
@pytest.mark.parametrize("size", [16, 32, 64])
def test_flash_linear_attentions_bound_for_its_delta_chunks(length, size):
    """Their test: 0.006 for outputs and 0.008 for gradients in half precision; L2 keys, beta by a sigmoid."""
    q, k, v = (random(1, 1, length, 32, seed=seed) for seed in range(3))
    k, beta = normalize(k, dim=-1), random(1, 1, length, seed=4).sigmoid()
    results = []
    for form in ("recurrent", "chunk"):
        tensors = [x.clone().requires_grad_() for x in (q, k, v, beta)]
        out = delta_rule(*tensors, form=form, chunk_size=size)
        results.append([out.detach(), *torch.autograd.grad(out.sum(), tensors)])
    for one, other in zip(*results, strict=True):
        assert (one - other).square().mean().sqrt() / one.square().mean().sqrt() < 1e-5
