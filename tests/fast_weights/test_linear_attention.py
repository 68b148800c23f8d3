"""The three forms are one function, and it is what the papers say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from papertrail.fast_weights.chunks import spans
from papertrail.fast_weights.linear_attention import LinearState, linear_attention

F64 = torch.float64


def made(*shape, seed=0, dtype=F64, positive=False):
    x = torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return (x.abs() + 0.1 if positive else x).to(dtype)


def inputs(B=2, H=2, T=37, D=5, M=3, dtype=F64, positive=False):
    q, k = (made(B, H, T, D, seed=seed, dtype=dtype, positive=positive) for seed in (1, 2))
    return q, k, made(B, H, T, M, seed=3, dtype=dtype)


def far(ours, reference):
    """Largest difference over the largest entry."""
    return ((ours - reference).abs().max() / reference.abs().max().clamp(min=1e-300)).item()


def values_and_gradients(function, tensors, **options):
    """Outputs, last state, and gradients of a random projection of all of them."""
    tensors = [x.clone().requires_grad_() for x in tensors]
    *inputs, S, z = tensors
    normalize = options.get("normalize", True)
    state = LinearState(S, z) if normalize else S
    out, last = function(*inputs, state=state, return_state=True, **options)
    results = [out, *(last if normalize else [last])]
    loss = sum((x * made(*x.shape, seed=9)).sum() for x in results)
    used = tensors if normalize else tensors[:-1]
    return [x.detach() for x in results] + list(torch.autograd.grad(loss, used))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 2), st.integers(1, 3), st.integers(1, 40), st.integers(1, 6), st.integers(1, 6),
    st.sampled_from([1, 2, 7, 16, 64]), st.booleans(), st.sampled_from([0.0, 1e-3]),
)  # fmt: skip
def test_the_three_forms_agree_in_values_and_in_every_gradient(B, H, T, D, M, size, normalize, eps):
    tensors = [*inputs(B, H, T, D, M), made(B, H, D, M, seed=4), made(B, H, D, seed=5, positive=True)]
    first, *others = (
        values_and_gradients(
            linear_attention, tensors, form=form, chunk_size=size, normalize=normalize, eps=eps
        )
        for form in ("recurrent", "parallel", "chunk")
    )
    for other in others:
        for ours, reference in zip(other, first, strict=True):
            torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("size", [1, 7, 16, 64, 128])
@pytest.mark.parametrize("normalize", [True, False])
def test_every_chunk_size_gives_the_function_of_the_paper(size, normalize):
    q, k, v = inputs(T=64)
    phi = [torch.where(x > 0, x + 1, x.exp()) for x in (q, k)]  # eq. 7, written out
    weights = torch.einsum("bhtd,bhsd->bhts", *phi) * torch.ones(64, 64, dtype=F64).tril()
    expected = torch.einsum("bhts,bhsm->bhtm", weights, v)  # eqs. 8 and 9
    if normalize:
        expected = expected / weights.sum(-1, keepdim=True)
    assert far(linear_attention(q, k, v, normalize=normalize, chunk_size=size), expected) < 1e-13


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
def test_the_gradients_are_those_of_finite_differences(form):
    q, k, v = inputs(1, 1, 5, 2, 3)
    tensors = [q, k, v, made(1, 1, 2, 3, seed=4), made(1, 1, 2, seed=5, positive=True)]

    def run(q, k, v, S, z):
        out, state = linear_attention(
            q, k, v, form=form, chunk_size=2, state=LinearState(S, z), return_state=True
        )
        return out, *state

    assert torch.autograd.gradcheck(run, [x.requires_grad_() for x in tensors])


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
@pytest.mark.parametrize("normalize", [True, False])
def test_no_output_depends_on_a_later_position(form, normalize):
    tensors = [x.requires_grad_() for x in inputs(1, 1, 9, 3, 2)]
    out = linear_attention(*tensors, form=form, chunk_size=4, normalize=normalize)
    for t in range(9):
        for gradient in torch.autograd.grad(out[:, :, t].sum(), tensors, retain_graph=True):
            assert not gradient[:, :, t + 1 :].any()
    (values,) = torch.autograd.grad(out[:, :, 3].sum(), tensors[2:])
    assert values[:, :, :4].abs().amin() > 0  # and on every earlier one, its own included


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("at", [1, 16, 20, 36])
def test_a_sequence_can_be_cut_anywhere_if_the_state_is_carried_over(form, normalize, at):
    q, k, v = inputs()
    options = {"form": form, "normalize": normalize, "chunk_size": 16, "return_state": True}
    whole, last = linear_attention(q, k, v, **options)
    first, state = linear_attention(*(x[:, :, :at] for x in (q, k, v)), **options)
    second, final = linear_attention(*(x[:, :, at:] for x in (q, k, v)), state=state, **options)
    assert far(torch.cat([first, second], dim=2), whole) < 1e-13
    for ours, reference in zip(final, last, strict=True):
        assert far(ours, reference) < 1e-13


def test_the_normalizer_is_one_more_value_that_is_always_one():
    q, k, v = inputs(positive=True)
    options = {"feature_map": None, "normalize": False}
    both = linear_attention(q, k, torch.cat([v, torch.ones_like(v[..., :1])], -1), **options)
    assert far(both[..., :-1] / both[..., -1:], linear_attention(q, k, v, feature_map=None)) < 1e-14
    _, S = linear_attention(
        q, k, torch.cat([v, torch.ones_like(v[..., :1])], -1), return_state=True, **options
    )
    _, state = linear_attention(q, k, v, feature_map=None, return_state=True)
    assert torch.equal(S[..., :-1], state.S) or far(S[..., :-1], state.S) < 1e-14
    assert far(S[..., -1], state.z) < 1e-14


def test_the_state_does_not_mind_the_order_of_what_was_written():
    q, k, v = inputs()
    order = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    _, one = linear_attention(q, k, v, return_state=True)
    _, other = linear_attention(q, k[:, :, order], v[:, :, order], return_state=True)
    assert far(one.S, other.S) < 1e-14 and far(one.z, other.z) < 1e-14


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
@pytest.mark.parametrize("normalize", [True, False])
def test_without_a_mask_every_position_reads_the_same_state(form, normalize):
    q, k, v = inputs(positive=True)
    S, z = made(2, 2, 5, 3, seed=4), made(2, 2, 5, seed=5, positive=True)
    out, last = linear_attention(
        q, k, v, feature_map=None, causal=False, form=form, normalize=normalize, eps=0.5,
        state=LinearState(S, z) if normalize else S, return_state=True,
    )  # fmt: skip
    weights = q @ k.mT
    expected = weights @ v + q @ S
    if normalize:
        expected = expected / (
            weights.sum(-1, keepdim=True) + (q * z.unsqueeze(2)).sum(-1, keepdim=True) + 0.5
        )
    assert far(out, expected) < 1e-13
    assert far(last.S if normalize else last, S + k.mT @ v) < 1e-13


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
def test_one_position_answers_its_own_value_and_none_answers_nothing(form):
    q, k, v = inputs(T=1)
    assert far(linear_attention(q, k, v, form=form), v) < 1e-14
    out, state = linear_attention(*(x[:, :, :0] for x in (q, k, v)), form=form, return_state=True)
    assert out.shape == (2, 2, 0, 3) and state.S.shape == (2, 2, 5, 3) and not state.S.any()


def test_strides_do_not_matter():
    q, k, v = inputs(T=40)
    sequence_first = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    every_second = [x.repeat_interleave(2, dim=-1)[..., ::2] for x in (q, k, v)]
    head_shared = k[:, :1].expand_as(k)
    for tensors in (sequence_first, every_second):
        assert not tensors[0].is_contiguous()
        for form in ("recurrent", "parallel", "chunk"):
            assert far(linear_attention(*tensors, form=form), linear_attention(q, k, v)) < 1e-14
    state = LinearState(made(2, 2, 3, 5).transpose(2, 3), made(5, 2, 2, positive=True).permute(1, 2, 0))
    plain = LinearState(*(x.contiguous() for x in state))
    assert torch.equal(linear_attention(q, k, v, state=state), linear_attention(q, k, v, state=plain))
    assert far(linear_attention(q, head_shared, v), linear_attention(q, head_shared.contiguous(), v)) < 1e-14


def test_an_expanded_gradient_arrives_whole():
    q, k, v = (x.requires_grad_() for x in inputs())
    ours = torch.autograd.grad(
        linear_attention(q, k, v).sum(), [q, k, v]
    )  # sum's gradient is one number, expanded
    reference = torch.autograd.grad(linear_attention(q, k, v, form="parallel").sum(), [q, k, v])
    for one, other in zip(ours, reference, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
def test_the_state_that_is_given_is_left_alone(form):
    q, k, v = inputs()
    state = LinearState(made(2, 2, 5, 3), made(2, 2, 5))
    before = [x.clone() for x in state]
    linear_attention(q, k, v, form=form, state=state)
    assert all(torch.equal(x, y) for x, y in zip(state, before, strict=True))


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
def test_float32_and_bfloat16_keep_their_precision(form):
    exact = linear_attention(*inputs(T=200), form="recurrent")
    single = linear_attention(*inputs(T=200, dtype=torch.float32), form=form, chunk_size=64)
    half, state = linear_attention(*inputs(T=200, dtype=torch.bfloat16), form=form, return_state=True)
    assert single.dtype == torch.float32 and far(single.double(), exact) < 2e-6
    assert half.dtype == torch.bfloat16 and far(half.double(), exact) < 2e-2
    assert state.S.dtype == state.z.dtype == torch.float32
    tensors = [x.requires_grad_() for x in inputs(dtype=torch.bfloat16)]
    for gradient in torch.autograd.grad(linear_attention(*tensors, form=form).sum(), tensors):
        assert gradient.dtype == torch.bfloat16 and gradient.isfinite().all()


def test_the_chunk_form_cannot_be_differentiated_twice_and_says_so():
    q, k, v = (x.requires_grad_() for x in inputs())
    (gradient,) = torch.autograd.grad(linear_attention(q, k, v).square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_callable_may_widen_the_features():
    q, k, v = inputs()
    out, state = linear_attention(
        q, k, v, feature_map=lambda x: torch.cat([x, -x], -1).relu(), return_state=True
    )
    assert state.S.shape == (2, 2, 10, 3) and out.shape == v.shape


def test_spans_cover_every_position_once():
    assert spans(0, 4) == []
    for length in range(1, 12):
        assert [i for at in spans(length, 4) for i in range(length)[at]] == list(range(length))


Q, K, V = (torch.zeros(2, 3, 4, n) for n in (5, 5, 6))
S0, Z0 = torch.zeros(2, 3, 5, 6), torch.zeros(2, 3, 5)
ONE_NAN = torch.zeros(2, 3, 4, 5).index_put((torch.tensor(0),) * 4, torch.tensor(torch.nan))


def start(S, z, **options):
    return linear_attention(Q, K, V, state=LinearState(S, z), **options)


WRONG = {
    "q: has shape (3, 4, 5)": lambda: linear_attention(Q[0], K[0], V[0]),
    "k: has shape (2, 3, 4, 6)": lambda: linear_attention(Q, V, V),
    "v: has shape (2, 3, 3, 6)": lambda: linear_attention(Q, K, V[:, :, 1:]),
    "v: has shape (3, 4, 6)": lambda: linear_attention(Q, K, V[0]),
    "v: has dtype torch.float64, but q has torch.float32": lambda: linear_attention(Q, K, V.double()),
    "q: has dtype torch.int64; allowed are torch.float64": lambda: linear_attention(Q.long(), K, V),
    "k: got list": lambda: linear_attention(Q, [1.0], V),
    "k: lies on meta": lambda: linear_attention(Q, K.to("meta"), V),
    "form: got 'fast'; allowed are 'recurrent', 'parallel', 'chunk'": lambda: linear_attention(Q, K, V, form="fast"),
    "chunk_size: got 0": lambda: linear_attention(Q, K, V, chunk_size=0),
    "chunk_size: got 2.5": lambda: linear_attention(Q, K, V, chunk_size=2.5),
    "eps: got -1": lambda: linear_attention(Q, K, V, eps=-1),
    "eps: got nan": lambda: linear_attention(Q, K, V, eps=float("nan")),
    "feature_map: got 'softmax'": lambda: linear_attention(Q, K, V, feature_map="softmax"),
    "feature_map: made torch.float32 of (2, 3, 5)": lambda: linear_attention(Q, K, V, feature_map=lambda x: x.sum(2)),
    "feature_map: made None": lambda: linear_attention(Q, K, V, feature_map=lambda x: None),
    "state: got Tensor; with normalize=True allowed is": lambda: linear_attention(Q, K, V, state=S0),
    "state: got LinearState; allowed is a tensor of shape": lambda: start(S0, Z0, normalize=False),
    "state.z: has shape (2, 3, 6); allowed is (2, 3, 5)": lambda: start(S0, torch.zeros(2, 3, 6)),
    "state.S: has dtype torch.float64; the state is kept in torch.float": lambda: start(S0.double(), Z0),
    "state.S: lies on meta": lambda: start(S0.to("meta"), Z0),
    "q: 1 of 120 entries are NaN": lambda: linear_attention(ONE_NAN, K, V, check=True),
    "v: 144 of 144 entries are NaN or infinite": lambda: linear_attention(Q, K, V / 0, check=True),
    "state.S: 180 of 180": lambda: start(S0 + torch.inf, Z0, check=True),
    "the normalizer is 0 at 24 positions": lambda: linear_attention(Q, K, V, feature_map=None, check=True),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_bad_input_is_named_with_what_is_allowed(message):
    with pytest.raises((TypeError, ValueError)) as raised:
        WRONG[message]()
    assert message in str(raised.value)


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_normalizer_of_zero_is_found_wherever_it_is(form, causal):
    q, k, v = inputs(T=100, dtype=torch.float32, positive=True)
    k[:, :, : 3 if causal else 100] = 0
    options = {"feature_map": None, "form": form, "causal": causal, "check": True}
    with pytest.raises(ValueError, match=f"is 0 at {4 * (3 if causal else 100)} positions"):
        linear_attention(q, k, v, **options)
    start = LinearState(torch.zeros(2, 2, 5, 3), torch.ones(2, 2, 5))
    assert linear_attention(q, k, v, state=start, **options).isfinite().all()


def test_without_check_nan_spreads_and_with_it_good_input_passes():
    q, k, v = inputs()
    assert torch.equal(linear_attention(q, k, v, check=True), linear_attention(q, k, v))
    k[0, 0, 5, 0] = torch.nan
    out = linear_attention(q, k, v)
    assert out[0, 0, 5:].isnan().all() and out[0, 0, :5].isfinite().all() and out[1].isfinite().all()
