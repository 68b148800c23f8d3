"""Norms against torch's own, against finite differences, and against values worked out by hand."""

import pytest
import torch
from torch import nn

from papertrail.gopher import normalization
from papertrail.gopher.normalization import BatchNorm, LayerNorm, PartialRMSNorm, RMSNorm, WeightNorm

WIDE = torch.float64


def draw(*shape, seed=0, dtype=WIDE):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def pair(dim=6, eps=1e-3, dtype=WIDE):
    """Ours and torch's RMSNorm with the same random gain."""
    ours, torchs = RMSNorm(dim, eps).to(dtype), nn.RMSNorm(dim, eps=eps, dtype=dtype)
    with torch.no_grad():
        ours.weight.copy_(draw(dim, seed=9))
        torchs.weight.copy_(ours.weight)
    return ours, torchs


def values_and_gradients(norm, x, d_out):
    x = x.detach().requires_grad_()
    out = norm(x)
    return [out, *torch.autograd.grad(out, (x, norm.weight), d_out)]


LAYOUTS = {
    "rows": lambda: draw(5, 6),
    "sequences": lambda: draw(2, 3, 6),
    "one-vector": lambda: draw(6),
    "transposed": lambda: draw(6, 5).T,
    "permuted": lambda: draw(2, 6, 3).transpose(1, 2),
    "every-second": lambda: draw(8, 12)[::2, ::2],
    "expanded": lambda: draw(1, 6).expand(4, 6),
    "empty": lambda: draw(0, 6),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rms_norm_and_its_gradients_are_those_of_torch(layout):
    x = LAYOUTS[layout]()
    ours, torchs = pair()
    d_out = draw(*x.shape, seed=3)
    for a, b in zip(
        values_and_gradients(ours, x, d_out), values_and_gradients(torchs, x, d_out), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_a_gradient_that_is_not_contiguous_is_read_rightly():
    x = draw(5, 6).requires_grad_()
    ours, torchs = pair()
    for make in (lambda y: y.sum(), lambda y: (y.T @ draw(5, 5, seed=4)).square().sum()):
        grads = [torch.autograd.grad(make(norm(x)), (x, norm.weight)) for norm in (ours, torchs)]
        for a, b in zip(*grads, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_first_and_second_derivatives_pass_finite_differences(eps):
    def norm(x, weight):
        return normalization._RMSNorm.apply(x, weight, eps)

    inputs = draw(4, 5).requires_grad_(), draw(5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(norm, inputs)
    assert torch.autograd.gradgradcheck(norm, inputs)


def test_the_first_derivative_is_the_same_with_and_without_a_graph():
    norm, _ = pair()
    x, d_out = draw(5, 6).requires_grad_(), draw(5, 6, seed=2)
    found = [
        torch.autograd.grad(norm(x), (x, norm.weight), d_out, create_graph=graph) for graph in (False, True)
    ]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_dtype_and_is_computed_in_float32(dtype):
    ours, _ = pair(64, dtype=dtype)
    exact, _ = pair(64, dtype=WIDE)
    with torch.no_grad():
        exact.weight.copy_(ours.weight)
    x, d_out = draw(7, 64).to(dtype), draw(7, 64, seed=1).to(dtype)
    found, wanted = (
        values_and_gradients(ours, x, d_out),
        values_and_gradients(exact, x.double(), d_out.double()),
    )
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == dtype
        torch.testing.assert_close(a.double(), b, rtol=2 * torch.finfo(dtype).eps, atol=1e-3)


def test_float16_does_not_overflow_where_its_squares_would():
    out = RMSNorm(4)(torch.full((1, 4), 300.0, dtype=torch.float16))  # 300^2 is beyond float16
    assert out.tolist() == [[1.0] * 4]


def test_the_root_mean_square_of_three_and_four():
    norm = RMSNorm(2, eps=0.0).double()
    root = 12.5**0.5
    assert norm(torch.tensor([3.0, 4.0], dtype=WIDE)).tolist() == pytest.approx([3 / root, 4 / root])
    assert RMSNorm(2, eps=12.5).double()(torch.tensor([3.0, 4.0], dtype=WIDE)).tolist() == pytest.approx(
        [0.6, 0.8]
    )


def test_partial_rms_norm_looks_at_the_first_entries_only():
    norm = PartialRMSNorm(33, p=0.0625, eps=0.0).double()
    assert norm.k == 3, "33 times 6.25% is 2.06, and the paper rounds up"
    x = draw(4, 33)
    other = x.clone()
    other[:, 3:] = draw(4, 30, seed=1)
    root = (x[:, :3] ** 2).sum(1, keepdim=True).div(3).sqrt()
    torch.testing.assert_close(norm(x), x / root)
    torch.testing.assert_close(norm(other), other / root)
    full = PartialRMSNorm(33, p=1.0).double()
    torch.testing.assert_close(full(x), nn.RMSNorm(33, eps=1e-6, dtype=WIDE)(x))


def test_layer_norm_is_that_of_torch():
    ours, torchs = LayerNorm(6).double(), nn.LayerNorm(6, dtype=WIDE)
    with torch.no_grad():
        for a, b, seed in ((ours.weight, torchs.weight, 1), (ours.bias, torchs.bias, 2)):
            a.copy_(draw(6, seed=seed))
            b.copy_(a)
    torch.testing.assert_close(ours(draw(2, 3, 6) + 5), torchs(draw(2, 3, 6) + 5))


def test_weight_norm_starts_as_the_layer_it_is_made_from_and_ignores_the_length_of_v():
    linear = nn.Linear(4, 3).double()
    ours = WeightNorm(linear)
    x = draw(5, 4)
    torch.testing.assert_close(ours(x), linear(x))
    with torch.no_grad():
        ours.v[1] *= 7
    torch.testing.assert_close(ours(x), linear(x))
    with torch.no_grad():
        ours.g[1] *= 2
    torch.testing.assert_close((ours(x) - ours.bias)[:, 1], 2 * (linear(x) - linear.bias)[:, 1])
    torchs = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3).double(), dim=0)
    torch.testing.assert_close(WeightNorm(torchs)(x), torchs(x))
    assert WeightNorm(nn.Linear(4, 3, bias=False)).bias is None


def test_batch_norm_is_that_of_torch_on_the_real_positions_in_training_and_in_evaluation():
    ours, torchs = BatchNorm(5).double(), nn.BatchNorm1d(5, dtype=WIDE)
    with torch.no_grad():
        for a, b, seed in ((ours.weight, torchs.weight, 1), (ours.bias, torchs.bias, 2)):
            a.copy_(draw(5, seed=seed))
            b.copy_(a)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    for step in range(3):
        x = draw(2, 3, 5, seed=step) * 3 + 1
        x[~mask] = 1e6  # padding
        torch.testing.assert_close(ours(x, mask)[mask], torchs(x[mask]))
        torch.testing.assert_close(ours.running_mean, torchs.running_mean)
        torch.testing.assert_close(ours.running_var, torchs.running_var)
        rows = draw(2, 3, 5, seed=step + 10)
        torch.testing.assert_close(ours(rows).flatten(0, 1), torchs(rows.flatten(0, 1)))
    ours.eval(), torchs.eval()
    x = draw(1, 1, 5)
    torch.testing.assert_close(ours(x)[0], torchs(x[0]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RMSNorm(0), "dim: got 0"),
        (lambda: RMSNorm(4, eps=-1.0), "eps: got -1.0"),
        (lambda: RMSNorm(16)(torch.zeros(2, 8)), "last axis is 8.*RMSNorm.*dim=16"),
        (lambda: LayerNorm(16)(torch.zeros(2, 8)), "last axis is 8.*LayerNorm.*dim=16"),
        (lambda: PartialRMSNorm(16, p=0.0), "p: got 0.0"),
        (lambda: PartialRMSNorm(16, p=1.5), "p: got 1.5"),
        (lambda: BatchNorm(4)(torch.zeros(2, 4)), r"x: got shape \(2, 4\)"),
        (lambda: BatchNorm(4)(torch.zeros(1, 1, 4)), "1 real positions"),
        (lambda: BatchNorm(4)(torch.zeros(2, 3, 4), torch.ones(2, 3)), "mask: got torch.float32"),
        (lambda: BatchNorm(4)(torch.zeros(2, 3, 4), torch.ones(3, 2) > 0), r"mask: .*\(3, 2\)"),
        (lambda: WeightNorm(zeroed()), "row of zeros"),
    ],
    ids=[
        "dim", "eps", "rms-width", "layer-width", "no-share", "share-above-one", "two-axes", "one-position",
        "mask-dtype", "mask-shape", "zero-row",
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def zeroed():
    linear = nn.Linear(3, 2)
    nn.init.zeros_(linear.weight)
    return linear


def test_integers_are_refused():
    with pytest.raises(TypeError, match="x: got torch.int64"):
        RMSNorm(4)(torch.ones(2, 4, dtype=torch.long))


def test_a_module_shows_its_width_and_eps():
    assert repr(RMSNorm(8)) == "RMSNorm(8, eps=1e-06)"
