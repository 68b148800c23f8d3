"""The 1992 programmers: their equations against plain loops, autograd, and linear attention."""

import math

import pytest
import torch

from papertrail.fast_weights.programmers import (
    INTERFACES,
    Programmer,
    advance,
    gradient,
    learn,
    read,
    run,
    slow_units,
    squash,
    start_at_request,
    start_at_zero,
)

D, M, X, N, T = 3, 2, 4, 2, 6


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def programmer(interface, temperature=10.0, count=N, scale=0.3):
    weight = scale * draw(count, slow_units(interface, D, M), X)
    return Programmer(interface, weight, inputs=D, outputs=M, squash=temperature)


def sequences():
    """S's inputs with the step 0 in front, F's inputs, targets."""
    return draw(N, 1 + T, X, seed=1), draw(N, T, D, seed=2), draw(N, T, M, seed=3)


def in_plain_loops(interface, weight, temperature, xs, zs, fast):
    """Eqs. 1, 4 or 5, and 7 for one net, index by index: outputs, and the fast weights after each step."""
    outputs, history = [], [fast]
    for x, z in zip(xs.tolist(), zs.tolist(), strict=True):
        outputs.append([sum(fast[m][d] * z[d] for d in range(D)) for m in range(M)])
        s = [sum(w * v for w, v in zip(row, x, strict=True)) for row in weight.tolist()]
        box = [
            [s[m * D + d] if interface == "units" else s[d] * s[D + m] for d in range(D)] for m in range(M)
        ]
        total = [[fast[m][d] + box[m][d] for d in range(D)] for m in range(M)]
        fast = total if temperature is None else [
            [1 / (1 + math.exp(-temperature * (w - 0.5))) for w in row] for row in total
        ]  # fmt: skip
        history.append(fast)
    return torch.tensor(outputs, dtype=torch.float64), torch.tensor(history, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [10.0, 3.0, None])
@pytest.mark.parametrize("interface", INTERFACES)
def test_a_passage_is_what_the_papers_equations_give_index_by_index(interface, temperature):
    net, (x, z, _) = programmer(interface, temperature), sequences()
    start = draw(N, M, D, seed=4)
    passage = run(net, x[:, 1:], z, start=start)
    for n in range(N):
        outputs, history = in_plain_loops(
            interface, net.weight[n], temperature, x[n, 1:], z[n], start[n].tolist()
        )
        torch.testing.assert_close(passage.outputs[n], outputs, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(passage.fast[n], history, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("order", "diagonal"), [("write-read", 0), ("read-write", -1)])
def test_from_to_without_squashing_is_unnormalized_causal_linear_attention(order, diagonal):
    """The 1992 order, read then write, masks the diagonal as well. One S is shared by the whole batch."""
    batch, steps = 4, 64
    net = programmer("from-to", None, count=1, scale=1.0)
    x, q = draw(batch, steps, X, seed=5), draw(batch, steps, D, seed=6)
    k, v = torch.einsum("btx,ux->btu", x, net.weight[0]).split([D, M], dim=-1)
    scores = torch.einsum("btd,bsd->bts", q, k).tril(diagonal)
    attention = torch.einsum("bts,bsm->btm", scores, v)
    outputs = run(net, x, q, order=order).outputs
    assert (outputs - attention).abs().max() < 1e-12 * attention.abs().max()
    for pattern, expected in zip(net.patterns(x), (k, v), strict=True):
        torch.testing.assert_close(pattern, expected)


def test_squashing_or_the_other_order_is_not_linear_attention():
    x, q = draw(N, 16, X, seed=5), draw(N, 16, D, seed=6)
    plain = run(programmer("from-to", None), x, q).outputs
    for net, order in ((programmer("from-to"), "read-write"), (programmer("from-to", None), "write-read")):
        assert (run(net, x, q, order=order).outputs - plain).abs().max() > 0.1 * plain.abs().max()


def test_a_step_reads_before_it_writes():
    net = programmer("units")
    x, z = draw(N, 1, X), draw(N, 1, D)
    start = draw(N, M, D, seed=1)
    after = squash(start, net.request(x[:, 0]), 10.0)
    assert torch.equal(run(net, x, z, start=start).outputs[:, 0], read(start, z[:, 0]))
    assert torch.equal(run(net, x, z, start=start, order="write-read").outputs[:, 0], read(after, z[:, 0]))


def test_squashed_weights_stay_between_zero_and_one_and_a_half_stays_a_half():
    fast, request = draw(1000), 0.3 * draw(1000, seed=1)
    squashed = squash(fast, request, 10.0)
    assert 0 < squashed.min() < 0.01 and 0.99 < squashed.max() <= 1  # the double nearest to it may be 1
    half = torch.tensor([0.5], dtype=torch.float64)
    assert squash(half, torch.zeros_like(half), 10.0) == half
    assert torch.equal(squash(fast, request, None), fast + request)


@pytest.mark.parametrize("temperature", [10.0, None])
@pytest.mark.parametrize("start", ["request", "zero"])
@pytest.mark.parametrize("interface", INTERFACES)
def test_the_forward_gradient_is_that_of_back_propagation_through_the_whole_sequence(
    interface, start, temperature
):
    net, (x, z, targets) = programmer(interface, temperature), sequences()
    net.weight.requires_grad_()
    begin = net.request(x[:, 0]) if start == "request" else None
    error = run(net, x[:, 1:], z, start=begin).outputs - targets
    (0.5 * error.square().sum()).backward()

    total = torch.zeros_like(net.weight)
    with torch.no_grad():
        state = start_at_request(net, x[:, 0]) if start == "request" else start_at_zero(net)
        for t in range(T):
            total += gradient(state, read(state.fast, z[:, t]) - targets[:, t], z[:, t])
            state = advance(net, state, x[:, t + 1])
    torch.testing.assert_close(total, net.weight.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("interface", INTERFACES)
def test_on_line_learning_steps_down_the_gradient_at_the_weights_that_each_request_was_made_with(interface):
    """Each step's gradient by autograd: one shift of all weights of S that there were, the error of the last step."""
    lr, net, (x, z, targets) = 0.3, programmer(interface), sequences()
    untouched = net.weight.clone()
    learned = learn(net, start_at_request(net, x[:, 0]), x[:, 1:], targets, lr=lr, z=z)

    weights = [net.weight]  # the weights that the request of step 0, 1, ... is made with
    for t in range(T):
        shift = torch.zeros_like(net.weight, requires_grad=True)
        fast = None
        for step, weight in enumerate(weights):
            then = Programmer(interface, weight + shift, inputs=D, outputs=M)
            request = then.request(x[:, step])
            fast = request if step == 0 else squash(fast, request, 10.0)
        error = read(fast, z[:, t]) - targets[:, t]
        (0.5 * error.square().sum()).backward()
        torch.testing.assert_close(learned.errors[:, t], error.detach(), rtol=1e-10, atol=1e-10)
        weights.append(weights[-1] - lr * shift.grad)
    torch.testing.assert_close(learned.net.weight, weights[-1], rtol=1e-10, atol=1e-10)
    assert (learned.net.weight - untouched).abs().max() > 0.01
    assert torch.equal(net.weight, untouched), "the programmer that came in is left as it was"


def test_learning_in_two_parts_is_learning_in_one():
    net, (x, z, targets) = programmer("from-to"), sequences()
    x = x[:, 1:]
    whole = learn(net, start_at_zero(net), x, targets, lr=0.1, z=z)
    first = learn(net, start_at_zero(net), x[:, :4], targets[:, :4], lr=0.1, z=z[:, :4])
    second = learn(first.net, first.state, x[:, 4:], targets[:, 4:], lr=0.1, z=z[:, 4:])
    assert torch.equal(second.net.weight, whole.net.weight)
    assert torch.equal(torch.cat([first.errors, second.errors], 1), whole.errors)


def test_only_units_needs_an_output_of_s_for_every_fast_weight():
    assert slow_units("units", 30, 20) == 600
    assert slow_units("from-to", 30, 20) == 50


X_T = torch.zeros(N, T, X, dtype=torch.float64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: slow_units("outer", D, M), "interface: got 'outer'; allowed are 'units', 'from-to'"),
        (lambda: slow_units("units", 0, M), "inputs: got 0"),
        (lambda: programmer("units", 0.0), "squash: got 0.0; allowed are a positive temperature"),
        (lambda: programmer("units", math.nan), "squash: got nan"),
        (
            lambda: Programmer("from-to", draw(N, 6, X), inputs=D, outputs=M),
            r"weight: got shape \(2, 6, 4\); allowed is \(N, 5, X\)",
        ),
        (lambda: programmer("units").patterns(X_T), "interface: got 'units'; only 'from-to'"),
        (
            lambda: run(programmer("units"), X_T, draw(N, T, D), order="both"),
            "order: got 'both'; allowed are 'read-write'",
        ),
        (lambda: run(programmer("units"), X_T), r"z: got shape \(2, 6, 4\); allowed is \(2, 6, 3\)"),
        (lambda: run(programmer("units"), X_T[:, :, 1:]), r"x: got shape .*allowed is \(2, T, 4\)"),
        (lambda: run(programmer("units"), X_T[:1], draw(1, T, D)), r"x: got shape \(1, 6, 4\)"),
        (
            lambda: run(programmer("units"), X_T, draw(N, T, D), start=draw(N, D, M)),
            r"start: got shape \(2, 3, 2\); allowed is \(2, 2, 3\)",
        ),
        (
            lambda: learn(programmer("units"), None, X_T, draw(N, T, M), lr=0.0, z=draw(N, T, D)),
            "lr: got 0.0; allowed are positive numbers",
        ),
        (
            lambda: learn(programmer("units"), None, X_T, draw(N, T, D), lr=1.0, z=draw(N, T, D)),
            r"targets: got shape \(2, 6, 3\); allowed is \(2, 6, 2\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
