"""Feature maps are the papers' equations: values, gradients, sizes, and the distributions of what is drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from papertrail.experiments import seeded
from papertrail.fast_weights.feature_maps import (
    KINDS,
    FavorMap,
    dpfp,
    elu_plus_one,
    favor_features,
    orthogonal_gaussian,
    resolve,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-15), (torch.float32, 2e-7), (torch.bfloat16, 8e-3)]
)
def test_elu_plus_one_has_the_values_and_gradients_of_elu_and_one(dtype, tolerance):
    x = torch.cat([4 * normal(1000), torch.tensor([0.0, 1e-9, -1e-9, 300.0, -30.0])]).to(dtype)
    weights = normal(len(x), seed=1).to(dtype)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, expected = elu_plus_one(mine), F.elu(theirs) + 1
    assert out.dtype == dtype and torch.allclose(out, expected, rtol=tolerance, atol=tolerance)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(mine.grad, theirs.grad, rtol=tolerance, atol=tolerance)


def test_elu_plus_one_passes_gradcheck_twice_away_from_zero():
    x = normal(40)
    x = (x + 0.1 * x.sign()).requires_grad_()
    assert torch.autograd.gradcheck(elu_plus_one, x) and torch.autograd.gradgradcheck(elu_plus_one, x)


def test_elu_plus_one_stays_positive_and_exact_where_float32_elu_and_one_is_zero():
    x = torch.tensor([-20.0, -60.0, 1e30, -1e30], requires_grad=True)
    y = elu_plus_one(x)
    assert (F.elu(x) + 1)[0] == 0, "the trap"
    assert torch.allclose(y[:2], torch.tensor([-20.0, -60.0]).exp(), rtol=1e-6, atol=0)
    y.sum().backward()
    assert torch.equal(x.grad[:2], y[:2]) and x.grad[2:].tolist() == [1, 0]


def test_elu_plus_one_reads_any_strides_and_leaves_its_input_alone():
    x = normal(6, 8, 4)
    for view in (x.transpose(0, 2), x[:, ::3], x[0, 0].expand(5, 4), x[:, :, :0]):
        before = view.clone()
        assert torch.allclose(elu_plus_one(view), F.elu(view) + 1, rtol=1e-15, atol=1e-15)
        assert torch.equal(view, before)


def test_elu_plus_one_keeps_nothing_but_its_output():
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        y = elu_plus_one(normal(5).requires_grad_())
    assert len(saved) == 1 and torch.equal(saved[0], y)


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_dpfp_is_equation_36_looped_over_its_indices(d):
    k = normal(7, d)
    r = torch.cat([k, -k], -1).clamp(min=0)
    for nu in range(1, 2 * d):
        slow = torch.stack(
            [r[:, i] * r[:, (i + j) % (2 * d)] for j in range(1, nu + 1) for i in range(2 * d)]
        )
        assert dpfp(k, nu).shape == (7, 2 * d * nu) and torch.equal(dpfp(k, nu), slow.T)


def test_past_nu_of_d_minus_one_dpfp_adds_zeros_and_repetitions_only():
    d = 5
    blocks = dpfp(normal(100, d), 2 * d - 1).unflatten(-1, (2 * d - 1, 2 * d))  # (100, nu, 2d)
    assert all((blocks[:, j - 1] > 0).any() for j in range(1, d))
    assert (blocks[:, d - 1] == 0).all()
    for j in range(d + 1, 2 * d):
        assert torch.equal(blocks[:, j - 1], blocks[:, 2 * d - j - 1].roll(2 * d - j, dims=-1))


def test_dpfp_passes_gradcheck_away_from_zero():
    x = normal(3, 4)
    assert torch.autograd.gradcheck(lambda x: dpfp(x, 2), (x + 0.1 * x.sign()).requires_grad_())


def test_a_block_is_orthogonal_and_two_blocks_are_not():
    for m, d in ((16, 16), (5, 8), (40, 16), (3, 1)):
        rows = orthogonal_gaussian(m, d, generator=torch.Generator().manual_seed(0))
        assert rows.shape == (m, d)
        for block in rows.split(d):
            gram = block @ block.T
            assert (gram - gram.diag().diag()).abs().max() < 1e-10
    assert (orthogonal_gaussian(32, 16)[:16] @ orthogonal_gaussian(32, 16)[16:].T).abs().max() > 0.1


def test_each_orthogonal_row_alone_is_standard_normal():
    """20,000 blocks: every entry's mean, variance and fourth moment, and the row's squared length, chi-squared."""
    d, draws = 4, 20_000
    w = orthogonal_gaussian(draws * d, d, generator=torch.Generator().manual_seed(0)).view(draws, d, d)
    error = draws**-0.5
    assert w.mean(0).abs().max() < 5 * error
    assert (w.square().mean(0) - 1).abs().max() < 5 * 2**0.5 * error
    assert (w.pow(4).mean(0) - 3).abs().max() < 5 * 96**0.5 * error
    squared = w.square().sum(-1)
    assert (squared.mean(0) - d).abs().max() < 5 * (2 * d) ** 0.5 * error
    assert (squared.var(0) / (2 * d) - 1).abs().max() < 0.1, "a fixed length of sqrt(d) would have variance 0"


def test_orthogonal_rows_come_from_the_given_generator_in_the_given_dtype():
    one, two = (orthogonal_gaussian(6, 4, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and one.dtype == torch.float64
    low = orthogonal_gaussian(6, 4, generator=torch.Generator().manual_seed(3), dtype=torch.bfloat16)
    assert torch.equal(low, one.bfloat16())
    with seeded(0):
        before = torch.get_rng_state()
        orthogonal_gaussian(6, 4, generator=torch.Generator().manual_seed(3))
        assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orthogonal", [False, True])
def test_favor_estimates_are_unbiased(kind, orthogonal):
    m, d, draws = 4, 4, 20_000
    x, y = 0.4 * normal(2, d, seed=2)
    generator = torch.Generator().manual_seed(1)
    rows = orthogonal_gaussian(draws * d, d, generator=generator) if orthogonal else normal(draws * d, d)
    # favor_features divides by the root of all rows; undone here, for m rows belong to one draw
    products = favor_features(x, rows, kind) * favor_features(y, rows, kind) * draws
    estimates = products.view(-1, draws, m).sum((0, 2))
    off = (estimates.mean() - (x @ y).exp()) / (estimates.std() / draws**0.5)
    assert abs(off) < 5 and estimates.std() < 2


@pytest.mark.parametrize("kind", KINDS)
def test_favor_features_are_the_formulas_at_a_point(kind):
    x, w = torch.tensor([[0.5, -1.0]]), torch.tensor([[1.0, 2.0], [-0.3, 0.4], [0.0, 1.0]])
    wx, half = torch.tensor([-1.5, -0.55, -1.0]), torch.tensor(0.625)
    expected = {
        "positive": (wx - half).exp() / 3**0.5,
        "hyperbolic": torch.cat([(wx - half).exp(), (-wx - half).exp()]) / 6**0.5,
        "trigonometric": half.exp() * torch.cat([wx.cos(), wx.sin()]) / 3**0.5,
    }[kind]
    assert torch.allclose(favor_features(x, w, kind)[0], expected, rtol=1e-6)
    assert (favor_features(x, w, kind) > 0).all() or kind == "trigonometric"


@pytest.mark.parametrize("kind", KINDS)
def test_a_favor_map_is_fixed_follows_the_dtype_and_has_the_size_asked_for(kind):
    phi = FavorMap(8, 24, kind=kind, seed=5)
    x = normal(3, 2, 8)
    assert phi(x).shape == (3, 2, 24) and torch.equal(phi(x), FavorMap(8, 24, kind=kind, seed=5)(x))
    assert not torch.equal(phi(x), FavorMap(8, 24, kind=kind, seed=6)(x))
    assert phi(x.float()).dtype == torch.float32 and torch.allclose(
        phi(x.float()).double(), phi(x), rtol=1e-5, atol=1e-4
    )
    rows = len(phi.projection)
    assert rows == (24 if kind == "positive" else 12)
    off_diagonal = (phi.projection[:8] @ phi.projection[:8].T).fill_diagonal_(0).abs().max()
    assert off_diagonal < 1e-10
    iid = FavorMap(8, 24, kind=kind, orthogonal=False).projection[:8]
    assert iid.shape == (8, 8) and (iid @ iid.T).fill_diagonal_(0).abs().max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_favor_map_looks_at_one_position_at_a_time(kind):
    phi, x = FavorMap(8, 24, kind=kind), normal(6, 8)
    longer = torch.cat([x, 100 * normal(1, 8, seed=9)])
    assert torch.equal(phi(longer)[:6], phi(x)) or torch.allclose(phi(longer)[:6], phi(x), rtol=1e-13)


def test_names_resolve_to_their_maps():
    x = normal(3, 4)
    assert resolve(None)(x) is x and resolve("elu+1") is elu_plus_one and resolve(torch.relu) is torch.relu
    for nu in (1, 3, 7):
        assert torch.equal(resolve(f"dpfp-{nu}")(x), dpfp(x, nu))
    phi = FavorMap(4, 8)
    assert resolve(phi) is phi


@settings(max_examples=40)
@given(
    st.one_of(
        st.text(max_size=12),
        st.integers(),
        st.sampled_from(["dpfp-0", "dpfp-01", "dpfp-1 ", "dpfp-1\n", "dpfp-²"]),
    )
)
def test_any_other_name_is_refused_with_what_is_allowed(name):
    with pytest.raises(ValueError, match="feature_map: got .*allowed are 'elu.1', 'dpfp-1'"):
        resolve(name)


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(-3, 20))
def test_dpfp_takes_every_nu_up_to_its_largest_and_no_other(d, nu):
    if 1 <= nu <= 2 * d - 1:
        assert dpfp(torch.ones(d), nu).shape == (2 * d * nu,)
    else:
        with pytest.raises(
            ValueError, match=rf"nu: got {nu}; allowed are integers from 1 to 2 d - 1 = {2 * d - 1}"
        ):
            dpfp(torch.ones(d), nu)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: elu_plus_one(torch.arange(3)), "x: got dtype torch.int64; allowed are floating"),
        (lambda: dpfp(torch.ones(4), True), "nu: got True"),
        (lambda: dpfp(torch.ones(4), 1.0), "nu: got 1.0"),
        (lambda: resolve("dpfp-8")(torch.ones(4)), "nu: got 8; allowed are integers from 1 to 2 d - 1 = 7"),
        (lambda: orthogonal_gaussian(0, 4), "m: got 0"),
        (lambda: orthogonal_gaussian(4, 0), "d: got 0"),
        (lambda: favor_features(torch.ones(4), torch.ones(2, 4), "relu"), "kind: got 'relu'; allowed are 'pos"),
        (lambda: favor_features(torch.ones(4), torch.ones(2, 3)), r"projection: got shape \(2, 3\).*d = 4"),
        (lambda: favor_features(torch.ones(4), torch.ones(4)), r"projection: got shape \(4,\)"),
        (lambda: favor_features(torch.ones(4), torch.ones(0, 4)), r"projection: got shape \(0, 4\)"),
        (lambda: FavorMap(4, 8)(torch.ones(5)), r"projection: got shape \(8, 4\).*d = 5"),
        (lambda: FavorMap(4, 7, kind="hyperbolic"), "num_features: got 7; allowed with kind='hyperbolic' are even"),
        (lambda: FavorMap(4, 8, kind="sin"), "kind: got 'sin'"),
        (lambda: FavorMap(0, 8), "d: got 0"),
        (lambda: FavorMap(4, 0), "num_features: got 0"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
