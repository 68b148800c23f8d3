"""A norm is what behaves like one; what only looks like one is not."""

import adversaries
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from papertrail.architecture_diagram.norms import find_norms
from papertrail.architecture_diagram.recording import record

WIDTH = adversaries.D


class Apply(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x) + 0


def norms_of(f, x=None):
    x = torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(0)) if x is None else x
    return find_norms(record(Apply(f), (x,), {}))


NORMS = {
    "layer_norm": (lambda x: F.layer_norm(x, (WIDTH,)), "layernorm"),
    "rms_norm": (lambda x: F.rms_norm(x, (WIDTH,)), "rmsnorm"),
    "rms by norm": (lambda x: x / (x.norm(dim=-1, keepdim=True) * WIDTH**-0.5 + 1e-8), "rmsnorm"),
    "rms by sum": (lambda x: x * ((x * x).sum(-1, keepdim=True) / WIDTH + 1e-6).rsqrt(), "rmsnorm"),
    "rms by reciprocal": (
        lambda x: x * x.square().mean(-1, keepdim=True).add(1e-6).sqrt().reciprocal(),
        "rmsnorm",
    ),
    "layer by moments": (
        lambda x: (
            (x - x.mean(-1, keepdim=True))
            / (x.square().mean(-1, keepdim=True) - x.mean(-1, keepdim=True).square() + 1e-6).sqrt()
        ),
        "layernorm",
    ),
    "layer of double": (lambda x: F.layer_norm(x.double(), (WIDTH,)).float(), "layernorm"),
    "in place": (lambda x: x.clone().mul_(x.square().mean(-1, keepdim=True).add_(1e-6).rsqrt_()), "rmsnorm"),
}
OTHERS = {
    "softmax": lambda x: x.softmax(-1),
    "softmax by hand": lambda x: x.exp() / x.exp().sum(-1, keepdim=True),
    "sign": lambda x: x / x.abs().clamp(min=1e-9),
    "centering": lambda x: x - x.mean(-1, keepdim=True),
    "share of the sum": lambda x: x / x.abs().sum() * 0 + x,
    "gate by mean": lambda x: x * x.mean(-1, keepdim=True).sigmoid(),
    "scaled by size": lambda x: x * x.square().mean(-1, keepdim=True),
    "squash": lambda x: torch.tanh(x),
    "one-sided": lambda x: x.relu() * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt(),
    "without sign": lambda x: x.abs() * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt(),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_found_and_told_from_the_other_kind(name):
    f, kind = NORMS[name]
    assert [norm.kind for norm in norms_of(f)] == [kind]


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_norm_is_not_taken_for_one(name):
    assert norms_of(OTHERS[name]) == []


def test_the_source_is_the_value_that_is_normalized_and_not_what_it_was_made_from():
    (norm,) = norms_of(lambda x: F.rms_norm(3 * x, (WIDTH,)))
    assert norm.source.op == "mul" and norm.how == "arithmetic"


def test_a_centering_belongs_to_the_norm_that_follows_it():
    (norm,) = norms_of(adversaries.InlineLayerNorm())
    assert norm.source.op == "input" and norm.kind == "layernorm"
