"""The ordinary layer against one written the usual way, token by token; its start, its options, its training."""

import pytest
import torch
from torch.nn import functional as F

from papertrail.scan_and_snap import ordinary
from papertrail.scan_and_snap.measures import attention_in_the_limit
from papertrail.scan_and_snap.ordinary import NORMS, Options, OrdinaryAttention, ordinary_language, train
from papertrail.scan_and_snap.setting import DTYPE, make_language, syn_small

SMALL = make_language(4, distinct=3, common=2, targets_per_query=2)
ARMS = {
    "baseline": Options(),
    "positions": Options(positions=True),
    "temperature": Options(temperature=0.5),
    "residual": Options(residual=True),
    "positions_and_residual": Options(positions=True, residual=True),
    "pre": Options(norm="pre"),
    "pre_residual": Options(norm="pre", residual=True),
    "none": Options(norm="none"),
}


def the_usual_way(weights, tokens, options):
    """One sequence at a time, every position with its own vector, torch's attention function."""
    out = []
    for row in tokens:
        x = weights["embeddings"][row]  # (T, D)
        if options.positions:
            x = x + weights["positions"]
        normed = x / x.square().mean(-1, keepdim=True).add(1e-6).sqrt() if options.norm == "pre" else x
        q, k, v = normed[-1:] @ weights["query"], normed[:-1] @ weights["key"], normed[:-1] @ weights["value"]
        scale = 1 / (x.shape[-1] ** 0.5 * options.temperature)
        h = F.scaled_dot_product_attention(q[None], k[None], v[None], scale=scale)[0, 0]
        h = h + x[-1] if options.residual else h
        h = h / h.square().mean().add(1e-6).sqrt() if options.norm == "post" else h
        out.append(h @ weights["output"])
    return torch.stack(out)


@pytest.mark.parametrize("arm", ARMS)
def test_tables_give_the_values_and_gradients_of_attention_over_positions(arm):
    options = ARMS[arm]
    model = OrdinaryAttention(SMALL, (3, 4), options, length=12)
    tokens = torch.stack([SMALL.sample(5, 12, torch.Generator().manual_seed(s))[0] for s in (0, 1)])
    fast, names = model(tokens), list(model.weights)
    for seed in (0, 1):
        alone = {name: w.detach()[seed].requires_grad_() for name, w in model.weights.items()}
        slow = the_usual_way(alone, tokens[seed], options)
        torch.testing.assert_close(fast[seed], slow, rtol=0, atol=1e-12)
        weighing = torch.linspace(-1, 1, slow.numel(), dtype=DTYPE).view_as(slow)
        wanted = torch.autograd.grad((slow * weighing).sum(), list(alone.values()))
        got = torch.autograd.grad(
            (fast[seed] * weighing).sum(), list(model.weights.values()), retain_graph=True
        )
        for name, one, other in zip(names, got, wanted, strict=True):
            torch.testing.assert_close(one[seed], other, rtol=0, atol=1e-11, msg=name)
            assert one[1 - seed].eq(0).all(), "seeds know nothing of each other"


def test_effective_z_is_the_papers_product_of_weights():
    model = OrdinaryAttention(SMALL, (0,), Options(temperature=2.0))
    U, Q, K = (model.weights[name][0] for name in ("embeddings", "query", "key"))
    whole = U @ Q @ K.T @ U.T / 8 / 2  # sqrt(64), temperature
    rows = [SMALL.query_token(0), SMALL.query_token(2)]
    torch.testing.assert_close(model.effective_z()[0], whole[rows][:, : SMALL.num_tokens])


def test_with_positions_attention_averaged_over_positions_is_that_of_the_effective_z():
    model = OrdinaryAttention(SMALL, (0,), Options(positions=True), length=9)
    U, P = model.weights["embeddings"][0], model.weights["positions"][0]
    q = (U[SMALL.query_token(2)] + P[-1]) @ model.weights["query"][0]
    keys = (U[: SMALL.num_tokens, None] + P[None, :-1]) @ model.weights["key"][0]  # (M, 8, D)
    weights = (keys @ q / 8).exp().mean(1)  # of each token, over the places where it may stand
    torch.testing.assert_close(weights / weights.sum(), model.effective_z()[0, 1].softmax(0))


def test_a_seed_starts_alike_with_every_option_and_beside_any_other_seed():
    plain = OrdinaryAttention(SMALL, (7,), Options()).weights
    other = OrdinaryAttention(SMALL, (2, 7), Options(positions=True, residual=True)).weights
    assert set(other) - set(plain) == {"positions"}
    for name, weight in plain.items():
        assert torch.equal(weight[0], other[name][1])
    assert plain["embeddings"].std().item() == pytest.approx(1, rel=0.05)
    assert plain["query"].abs().max().item() == pytest.approx(1 / 8, rel=0.01)


def by_hand(options, steps):
    """Training on the gradients of the usual way: losses, and z after it and before."""
    model = OrdinaryAttention(SMALL, (5,), options, length=ordinary.LENGTH)
    weights = {name: w.detach()[0].clone().requires_grad_() for name, w in model.weights.items()}
    slow = [weights["query"], weights["key"]]
    rest = [w for name, w in weights.items() if name not in ("query", "key")]
    if options.optimizer == "adam":
        optimizer = torch.optim.Adam(weights.values(), lr=1e-3)
    else:
        groups = [{"params": rest}, {"params": slow, "lr": 0.01 * options.attention_rate}]
        optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9)
    generator, losses = torch.Generator().manual_seed(1005), []
    for _ in range(steps):
        tokens, classes = SMALL.sample(ordinary.BATCH, ordinary.LENGTH, generator)
        targets = torch.tensor([SMALL.target_token(n) for n in classes.tolist()])
        loss = F.cross_entropy(the_usual_way(weights, tokens, options), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    start, rows = SMALL.num_tokens, slice(SMALL.num_tokens, SMALL.num_tokens + 2)
    U = weights["embeddings"].detach()
    return losses, U[rows] @ weights["query"] @ weights["key"].T @ U[:start].T / 8, model.effective_z()[0]


@pytest.mark.parametrize(
    "options",
    [Options(), Options(optimizer="adam"), Options(attention_rate=0.1)],
    ids=["sgd", "adam", "slow"],
)
def test_training_is_torchs_own_and_measures_from_the_start(options):
    losses, end, start = by_hand(options, 2)
    trained = train(SMALL, options, (4, 5), steps=2, every=1)
    assert trained.steps == [0, 1, 2] and trained.gains.shape == (2, 3, 2, 14)
    assert trained.losses[1].tolist() == pytest.approx(losses, abs=1e-10)
    torch.testing.assert_close(trained.gains[1, -1], end - start, rtol=0, atol=1e-10)
    assert trained.gains[:, 0].eq(0).all()


def test_without_the_norm_the_decoders_inputs_are_a_sixth_as_large_at_the_start(monkeypatch):
    """Of the ordinary language, as the chapter says: 1 with the norm, and about 1 with the residual alone."""
    sizes, language = {}, ordinary_language()
    for name, options in (("post", Options()), ("none", Options(norm="none"))):
        model = OrdinaryAttention(language, (0, 1, 2), options)
        same = torch.eye(ordinary.WIDTH, dtype=DTYPE).expand(3, -1, -1)
        monkeypatch.setitem(model.weights, "output", same)  # what the decoder reads is what comes out
        tokens = [language.sample(64, 64, torch.Generator().manual_seed(seed))[0] for seed in range(3)]
        sizes[name] = model(torch.stack(tokens)).square().mean().sqrt().item()
    assert sizes["post"] == pytest.approx(1, rel=1e-3)
    assert sizes["none"] == pytest.approx(1 / 6, rel=0.1)


def test_without_the_norm_a_query_can_end_on_one_common_token_as_the_chapter_says():
    language = ordinary_language()
    gains = train(language, Options(norm="none"), (1,)).gains[0, -1]
    best = attention_in_the_limit(language, gains).max(1)
    assert best.values.max() > 0.999 and language.common[best.indices[best.values.argmax()]]


def test_the_language_leaves_a_choice_to_attention():
    language = ordinary_language()
    assert language.queries == (0, 0, 1, 1) and language.vocabulary == 56
    assert syn_small().queries == (0, 1), "the paper's own small example does not"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Options(optimizer="adamw"), "optimizer: got 'adamw'"),
        (lambda: Options(norm="sandwich"), f"norm: got 'sandwich'; allowed are {', '.join(NORMS)}"),
        (lambda: Options(temperature=0.0), "temperature: got 0.0"),
        (lambda: Options(attention_rate=-1.0), "attention_rate: got -1.0"),
        (lambda: Options(positions=True, norm="pre"), "positions: got True"),
        (lambda: OrdinaryAttention(SMALL, (), Options()), "length, seeds: got 64, "),
        (lambda: OrdinaryAttention(SMALL, (0,), Options(), length=1), "length, seeds: got 1"),
        (lambda: train(SMALL, Options(), (0,), steps=0), "steps: got 0"),
        (lambda: train(SMALL, Options(), (0,), steps=3, every=2), "every: got 2"),
    ],
    ids=["optimizer", "norm", "temperature", "rate", "both", "no_seed", "length", "steps", "every"],
)
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
