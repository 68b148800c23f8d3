"""The delta rule's three forms are one function, and it corrects what it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from papertrail.fast_weights.delta_rule import _inverse, delta_rule
from papertrail.fast_weights.linear_attention import linear_attention

F64 = torch.float64
FORMS = ["recurrent", "parallel", "chunk"]


def made(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def inputs(B=2, H=2, T=37, D=5, M=3, dtype=F64):
    q, k, v = made(B, H, T, D, seed=1), normalize(made(B, H, T, D, seed=2), dim=-1), made(B, H, T, M, seed=3)
    return [x.to(dtype) for x in (q, k, v, made(B, H, T, seed=4).sigmoid())]


def far(ours, reference):
    return ((ours - reference).abs().max() / reference.abs().max().clamp(min=1e-300)).item()


def values_and_gradients(tensors, **options):
    tensors = [x.clone().requires_grad_() for x in tensors]
    *inputs, state = tensors
    out, last = delta_rule(*inputs, state=state, return_state=True, **options)
    loss = (out * made(*out.shape, seed=8)).sum() + (last * made(*last.shape, seed=9)).sum()
    return [out.detach(), last.detach(), *torch.autograd.grad(loss, tensors)]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 2), st.integers(1, 3), st.integers(1, 70), st.integers(1, 6), st.integers(1, 6),
    st.sampled_from([1, 2, 7, 16, 48, 64, 66]),
)  # fmt: skip
def test_the_three_forms_agree_in_values_and_in_every_gradient(B, H, T, D, M, size):
    tensors = [*inputs(B, H, T, D, M), made(B, H, D, M, seed=5)]
    first, *others = (values_and_gradients(tensors, form=form, chunk_size=size) for form in FORMS)
    for other in others:
        for ours, reference in zip(other, first, strict=True):
            torch.testing.assert_close(ours, reference, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_the_papers_equations_one_after_the_other(form):
    q, k, v, beta = inputs(1, 1, 20)
    W, expected = torch.zeros(3, 5, dtype=F64), []  # the paper's fast weights: values by keys
    for t in range(20):
        key, value, b = k[0, 0, t], v[0, 0, t], beta[0, 0, t]
        recalled = W @ key  # eq. 20
        new = b * value + (1 - b) * recalled  # eq. 22
        W = W + torch.outer(new, key) - torch.outer(recalled, key)  # eq. 23
        expected.append(W @ q[0, 0, t])  # eq. 25
    out, S = delta_rule(q, k, v, beta, form=form, chunk_size=8, return_state=True)
    assert far(out[0, 0], torch.stack(expected)) < 1e-13 and far(S[0, 0], W.T) < 1e-13


@pytest.mark.parametrize("form", FORMS)
def test_a_write_is_a_step_of_gradient_descent_on_the_error(form):
    q, k, v, beta = inputs(1, 1, 1)
    S = made(1, 1, 5, 3, seed=6).requires_grad_()
    loss = 0.5 * (v[0, 0, 0] - S[0, 0].T @ k[0, 0, 0]).square().sum()
    (gradient,) = torch.autograd.grad(loss, S)
    _, after = delta_rule(q, k, v, beta, form=form, state=S, return_state=True)
    assert far(after, S - beta * gradient) < 1e-14


@pytest.mark.parametrize("form", FORMS)
def test_the_gradients_are_those_of_finite_differences(form):
    tensors = [x.requires_grad_() for x in (*inputs(1, 1, 5, 2, 3), made(1, 1, 2, 3, seed=5))]

    def run(*given):
        return delta_rule(*given[:-1], form=form, chunk_size=2, state=given[-1], return_state=True)

    assert torch.autograd.gradcheck(run, tensors)


@pytest.mark.parametrize("form", FORMS)
def test_beta_zero_writes_nothing(form):
    q, k, v, beta = inputs()
    S = made(2, 2, 5, 3, seed=5)
    out, last = delta_rule(q, k, v, 0 * beta, form=form, state=S, return_state=True)
    assert torch.equal(last, S) and far(out, q @ S) < 1e-14
    assert not delta_rule(q, k, v, 0 * beta, form=form).any()


@pytest.mark.parametrize("form", FORMS)
def test_beta_one_and_a_unit_key_replace_what_was_there(form):
    _, k, v, beta = inputs()
    S = made(2, 2, 5, 3, seed=5)
    out = delta_rule(k, k, v, torch.ones_like(beta), form=form, chunk_size=8, state=S)
    assert far(out, v) < 1e-13  # reading a key right after it was written


@pytest.mark.parametrize("form", FORMS)
def test_with_orthonormal_keys_it_is_the_sum_rule(form):
    basis = torch.linalg.qr(made(12, 12)).Q
    k, v, q = basis[None, None], made(1, 1, 12, 4, seed=3), made(1, 1, 12, 12, seed=1)
    delta = delta_rule(q, k, v, torch.ones(1, 1, 12, dtype=F64), form=form, chunk_size=5)
    assert far(delta, linear_attention(q, k, v, feature_map=None, normalize=False)) < 1e-13


def test_the_order_of_writes_matters():
    q, k, v, beta = inputs()
    flipped = [x.flip(2) for x in (q, k, v, beta)]
    _, one = delta_rule(q, k, v, beta, return_state=True)
    _, other = delta_rule(*flipped, return_state=True)
    assert far(one, other) > 0.1


@pytest.mark.parametrize("form", FORMS)
def test_no_output_depends_on_a_later_position(form):
    tensors = [x.requires_grad_() for x in inputs(1, 1, 9)]
    out = delta_rule(*tensors, form=form, chunk_size=4)
    for t in range(9):
        for gradient in torch.autograd.grad(out[:, :, t].sum(), tensors, retain_graph=True):
            assert not gradient[:, :, t + 1 :].any()
    (values,) = torch.autograd.grad(out[:, :, 3].sum(), tensors[2:3])
    assert values[:, :, :4].abs().amin() > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at", [1, 16, 20, 36])
def test_a_sequence_can_be_cut_anywhere_if_the_state_is_carried_over(form, at):
    tensors, options = inputs(), {"form": form, "chunk_size": 16, "return_state": True}
    whole, last = delta_rule(*tensors, **options)
    first, state = delta_rule(*(x[:, :, :at] for x in tensors), **options)
    second, final = delta_rule(*(x[:, :, at:] for x in tensors), state=state, **options)
    assert far(torch.cat([first, second], dim=2), whole) < 1e-12 and far(final, last) < 1e-12


@pytest.mark.parametrize(
    "length, bounded", [(0.5, True), (1.0, True), (2**0.5, True), (1.5, False), (2.0, False)]
)
def test_the_memory_stays_bounded_up_to_beta_times_the_squared_key_of_two(length, bounded):
    q, k, v, beta = inputs(1, 1, 256, 8, 4)
    out = delta_rule(q, length * k, v, torch.ones_like(beta))
    assert (out.abs().max() < 1e3) == bounded


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 64, 96, 128])
def test_the_inverse_by_halves_is_the_inverse(size):
    overlap = made(3, size, size).tril(-1) / size**0.5
    identity = torch.eye(size, dtype=F64)
    assert far((overlap + identity) @ _inverse(overlap), identity.expand(3, size, size)) < 1e-12


def test_equal_keys_do_not_cancel_in_float32():
    k = normalize(torch.ones(1, 1, 128, 8), dim=-1)
    v = made(1, 1, 128, 4, dtype=torch.float32)
    beta = torch.ones(1, 1, 128)
    assert far(delta_rule(k, k, v, beta, chunk_size=128), v) < 1e-5  # each write replaces the one before


@pytest.mark.parametrize("form", FORMS)
def test_float32_and_bfloat16_keep_their_precision(form):
    exact = delta_rule(*inputs(T=200), form="recurrent")
    single = delta_rule(*inputs(T=200, dtype=torch.float32), form=form)
    half, state = delta_rule(*inputs(T=200, dtype=torch.bfloat16), form=form, return_state=True)
    assert single.dtype == torch.float32 and far(single.double(), exact) < 1e-5
    assert half.dtype == torch.bfloat16 and far(half.double(), exact) < 5e-2 and state.dtype == torch.float32
    tensors = [x.requires_grad_() for x in inputs(dtype=torch.bfloat16)]
    for gradient in torch.autograd.grad(delta_rule(*tensors, form=form).sum(), tensors):
        assert gradient.dtype == torch.bfloat16 and gradient.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_short_and_strided_sequences_work(form):
    q, k, v, beta = inputs(T=1)
    expected = beta[..., None] * v * (q * k).sum(-1, keepdim=True)
    assert far(delta_rule(q, k, v, beta, form=form), expected) < 1e-14
    out, S = delta_rule(*(x[:, :, :0] for x in (q, k, v, beta)), form=form, return_state=True)
    assert out.shape == (2, 2, 0, 3) and S.shape == (2, 2, 5, 3) and not S.any()
    plain = inputs(T=40)
    strided = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in plain]
    one, other = (
        values_and_gradients([*tensors, made(2, 2, 3, 5).mT], form=form) for tensors in (plain, strided)
    )
    for ours, reference in zip(one, other, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_the_state_that_is_given_is_left_alone(form):
    S = made(2, 2, 5, 3)
    before = S.clone()
    delta_rule(*inputs(), form=form, state=S)
    assert torch.equal(S, before)


Q, K, V, BETA = (
    torch.zeros(2, 3, 4, 5),
    torch.zeros(2, 3, 4, 5),
    torch.zeros(2, 3, 4, 6),
    torch.zeros(2, 3, 4),
)
WRONG = {
    "(2, 3, 4, 1); with q of (2, 3, 4, 5) it must be (2, 3, 4)": lambda: delta_rule(Q, K, V, BETA[..., None]),
    "beta: got float": lambda: delta_rule(Q, K, V, 0.5),
    "beta: has dtype torch.float64": lambda: delta_rule(Q, K, V, BETA.double()),
    "k: has shape (2, 3, 4, 6)": lambda: delta_rule(Q, V, V, BETA),
    "form: got 'wy'": lambda: delta_rule(Q, K, V, BETA, form="wy"),
    "chunk_size: got -1": lambda: delta_rule(Q, K, V, BETA, chunk_size=-1),
    "state: has shape (5, 6); allowed is (2, 3, 5, 6)": lambda: delta_rule(Q, K, V, BETA, state=torch.zeros(5, 6)),
    "state: got tuple": lambda: delta_rule(Q, K, V, BETA, state=(1, 2)),
    "beta: 24 of 24 entries are NaN": lambda: delta_rule(Q, K, V, BETA / 0, check=True),
    "state: 180 of 180": lambda: delta_rule(Q, K, V, BETA, state=torch.full((2, 3, 5, 6), torch.nan), check=True),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_bad_input_is_named_with_what_is_allowed(message):
    with pytest.raises((TypeError, ValueError)) as raised:
        WRONG[message]()
    assert message in str(raised.value)
