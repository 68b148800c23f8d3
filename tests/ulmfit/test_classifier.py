"""The classifier: pooling, chunks, groups and ensembling, with a plain LSTM in the encoder's place."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from torch import nn

from papertrail.ulmfit.classifier import (
    ClassifierHead,
    DocumentEncoder,
    TextClassifier,
    concat_pool,
    ensemble,
    param_groups,
    reverse_documents,
)

Encoded = namedtuple("Encoded", "raw output state")
LENGTHS = torch.tensor([11, 4, 7])


class SmallEncoder(nn.Module):
    """An embedding and two LSTM layers with the interface of the course's encoder."""

    pad_id, embedding_dim = 0, 6

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.layers = nn.ModuleList([nn.LSTM(6, 8, batch_first=True), nn.LSTM(8, 6, batch_first=True)])

    def forward(self, tokens, state=None):
        states, hidden = [], self.embedding(tokens)
        for i, layer in enumerate(self.layers):
            hidden, after = layer(hidden, None if state is None else state[i])
            states.append(after)
        return Encoded(hidden, 0 * hidden, tuple(states))  # a wrong choice of states shows as zeros

    def detach(self, state):
        return tuple((h.detach(), c.detach()) for h, c in state)

    def groups(self):
        return [list(m.parameters()) for m in (self.embedding, *self.layers)]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return SmallEncoder()


@pytest.fixture
def tokens():
    tokens = torch.randint(1, 20, (3, 11), generator=torch.Generator().manual_seed(1))
    return tokens.where(torch.arange(11) < LENGTHS[:, None], 0)


def test_the_pool_is_last_then_largest_then_mean_by_hand():
    states = torch.tensor([[[1.0, -5], [3, -2], [2, -9]], [[4.0, -1], [-2, -7], [100, 100]]])
    pooled = concat_pool(states, torch.tensor([3, 2]))
    assert pooled.tolist() == pytest.approx(
        np.array([[2, -9, 3, -2, 2, -16 / 3], [-2, -7, 4, -1, 1, -4]]), rel=1e-6
    )


@pytest.mark.parametrize("filling", [1e30, float("nan"), float("inf"), -float("inf")])
def test_whatever_stands_in_the_padding_changes_neither_the_pool_nor_its_gradient(filling):
    clean = torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(2))
    padding = (torch.arange(11) >= LENGTHS[:, None])[..., None]
    weight = torch.randn(3, 15, generator=torch.Generator().manual_seed(3))
    results = []
    for states in (clean, clean.masked_fill(padding, filling)):
        states.requires_grad_()
        pooled = concat_pool(states, LENGTHS)
        (pooled * weight).sum().backward()
        results.append((pooled.detach(), states.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert not results[1][1].masked_select(padding).any()


@pytest.mark.parametrize("bptt", [1, 2, 4, 10, 11, 70])
def test_chunks_give_the_states_of_one_pass_over_the_whole_document(encoder, tokens, bptt):
    whole, _ = encoder.layers[1](encoder.layers[0](encoder.embedding(tokens))[0])
    states, lengths = DocumentEncoder(encoder, bptt)(tokens, LENGTHS)
    assert torch.allclose(states, whole, atol=1e-6) and lengths.tolist() == LENGTHS.tolist()


@pytest.mark.parametrize("bptt", [3, 4, 70])
def test_only_the_last_steps_of_each_document_are_kept_where_a_limit_is_set(encoder, tokens, bptt):
    whole, _ = encoder.layers[1](encoder.layers[0](encoder.embedding(tokens))[0])
    states, lengths = DocumentEncoder(encoder, bptt, max_steps=5)(tokens, LENGTHS)
    assert lengths.tolist() == [5, 4, 5] and states.shape == (3, 5, 6)
    for row, (kept, start) in enumerate([(5, 6), (4, 0), (5, 2)]):
        assert torch.allclose(states[row, :kept], whole[row, start : start + kept], atol=1e-6)


def gradient(encoder, tokens, bptt, step, **options):
    """Gradient of one step's state with respect to every step's embedding: (B, T)."""
    found = {}

    def keep(module, args, output):
        output.retain_grad()
        found.setdefault("rows", []).append(output)

    handle = encoder.embedding.register_forward_hook(keep)
    states, _ = DocumentEncoder(encoder, bptt, **options)(tokens, torch.full((len(tokens),), tokens.shape[1]))
    handle.remove()
    states[:, step].sum().backward()
    return torch.cat([torch.zeros(r.shape) if r.grad is None else r.grad for r in found["rows"]], 1).norm(
        dim=2
    )


def test_no_gradient_crosses_a_cut_but_every_chunk_has_one_through_its_own_states(encoder, tokens):
    late = gradient(encoder, tokens, 4, step=9)  # chunks 0-3, 4-7, 8-10
    assert not late[:, :8].any() and not late[:, 10:].any() and (late[:, 8:10] > 0).all()
    early = gradient(encoder, tokens, 4, step=2)
    assert (early[:, :3] > 0).all() and not early[:, 3:].any()


def test_the_gradient_is_whole_where_the_document_fits_into_one_chunk(encoder, tokens):
    whole, _ = encoder.layers[1](encoder.layers[0](encoder.embedding(tokens))[0])
    expected = torch.autograd.grad(whole[:, 9].sum(), encoder.embedding.weight)[0]
    encoder.zero_grad()
    assert (gradient(encoder, tokens, 11, step=9)[:, :10] > 0).all()
    assert torch.allclose(encoder.embedding.weight.grad, expected, atol=1e-6)
    encoder.zero_grad()
    gradient(encoder, tokens, 4, step=9)
    assert not torch.allclose(encoder.embedding.weight.grad, expected, atol=1e-3)


def test_steps_before_the_limit_feed_the_state_without_keeping_a_graph(encoder, tokens):
    graphs = []
    handle = encoder.layers[1].register_forward_hook(
        lambda module, args, output: graphs.append(output[0].requires_grad)
    )
    DocumentEncoder(encoder, 4, max_steps=2)(tokens, torch.tensor([11, 11, 11]))
    handle.remove()
    assert graphs == [False, False, True]


@pytest.mark.parametrize("more", [1, 9])
def test_more_padding_or_longer_neighbors_do_not_change_a_document_in_eval_mode(encoder, tokens, more):
    model = TextClassifier(encoder, 3, bptt=4).eval()
    expected = model(tokens, LENGTHS)
    padded = torch.nn.functional.pad(tokens, (0, more), value=13)
    assert torch.allclose(model(padded, LENGTHS), expected, atol=1e-6)
    alone = torch.cat([model(tokens[i : i + 1, :n], LENGTHS[i : i + 1]) for i, n in enumerate(LENGTHS)])
    assert torch.allclose(alone, expected, atol=1e-6)


def test_the_head_is_batch_normalization_linear_relu_twice():
    torch.manual_seed(0)
    head = ClassifierHead(9, 4, hidden=5, dropouts=(0.0, 0.0))
    x = torch.randn(8, 9) * 3 + 1

    def normalized(h):
        return (h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt()

    first, second = (m for m in head.layers if isinstance(m, nn.Linear))
    hidden = (normalized(x) @ first.weight.T + first.bias).clamp(min=0)
    assert torch.allclose(head(x), normalized(hidden) @ second.weight.T + second.bias, atol=1e-5)
    assert first.weight.shape == (5, 9) and second.weight.shape == (4, 5)


def test_both_dropouts_of_the_head_are_the_scripts_and_are_used():
    torch.manual_seed(0)
    head = ClassifierHead(2000, 2, hidden=2000)
    seen = []
    for module in head.layers:
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(
                lambda m, args, out: seen.append((out[args[0] != 0] == 0).float().mean())
            )
    head(torch.randn(10, 2000))
    assert [round(float(share), 2) for share in seen] == [0.4, 0.1]


def test_the_classifier_learns_a_word_that_may_stand_in_any_chunk(encoder):
    torch.manual_seed(0)
    tokens = torch.randint(1, 20, (24, 9))
    labels = torch.arange(24) % 2
    tokens[torch.arange(24), torch.randint(0, 9, (24,))] = 18 + labels
    tokens = torch.where((tokens >= 18) & (tokens != 18 + labels[:, None]), 1, tokens)
    model = TextClassifier(encoder, 2, head_dropouts=(0.0, 0.0), bptt=4)
    optimizer = torch.optim.Adam(param_groups(model.groups(), [0.01] * 4))
    lengths = torch.full((24,), 9)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens, lengths), labels).backward()
        optimizer.step()
    assert (model(tokens, lengths).argmax(1) == labels).all()


def test_the_groups_go_from_the_embedding_to_the_head_and_hold_everything_once(encoder):
    model = TextClassifier(encoder, 3)
    groups = model.groups()
    assert groups[0] == [encoder.embedding.weight] and len(groups) == 4
    assert [p.shape for p in groups[-1]] == [p.shape for p in model.head.parameters()]
    everything = [id(p) for group in groups for p in group]
    assert sorted(everything) == sorted(id(p) for p in model.parameters())


def test_a_frozen_group_never_moves_not_even_by_an_old_gradient_or_an_optimizer_s_momentum(encoder, tokens):
    model = TextClassifier(encoder, 3)
    optimizer = torch.optim.Adam(param_groups(model.groups(), [0.1] * 4))
    labels = torch.tensor([0, 1, 2])
    for mask in ([True] * 4, [False, False, False, True], [True, False, False, False]):
        nn.functional.cross_entropy(model(tokens, LENGTHS), labels).backward()  # of the mask before
        model.set_trainable(mask)
        before = [[p.detach().clone() for p in group] for group in model.groups()]
        nn.functional.cross_entropy(model(tokens, LENGTHS), labels).backward()
        optimizer.step()
        for trains, group, old in zip(mask, model.groups(), before, strict=True):
            moved = [not torch.equal(p, o) for p, o in zip(group, old, strict=True)]
            assert all(moved) if trains else not any(moved)
    assert model.training and all(module.training for module in model.modules())


def test_each_document_is_reversed_within_its_length():
    tokens = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0], [5, 6, 7, 0]])
    reversed_ = reverse_documents(tokens, torch.tensor([4, 2, 3]))
    assert reversed_.tolist() == [[8, 7, 6, 5], [6, 5, 0, 0], [7, 6, 5, 0]]


def test_the_ensemble_is_the_mean_of_two_distributions():
    both = ensemble(torch.tensor([[0.2, 0.8], [1.0, 0.0]]), torch.tensor([[0.6, 0.4], [0.5, 0.5]]))
    assert both.tolist() == pytest.approx(np.array([[0.4, 0.6], [0.75, 0.25]]), rel=1e-6)


TWO = torch.tensor([[0.5, 0.5]])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda e: concat_pool(torch.zeros(2, 3), torch.ones(2)), r"states: got shape \(2, 3\); allowed are three"),
        (lambda e: concat_pool(torch.zeros(2, 3, 1), torch.ones(2)), r"lengths: got shape \(2,\) of torch.float32"),
        (lambda e: concat_pool(torch.zeros(2, 3, 1), torch.tensor([1])), r"lengths: got shape \(1,\) .* 2 documents"),
        (lambda e: concat_pool(torch.zeros(2, 3, 1), torch.tensor([0, 3])), "lengths: got 0 to 3; allowed .* 1 to 3"),
        (lambda e: concat_pool(torch.zeros(2, 3, 1), torch.tensor([1, 4])), "lengths: got 1 to 4; allowed .* 1 to 3"),
        (lambda e: DocumentEncoder(e, 0), "bptt: got 0; allowed are integers from 1 up"),
        (lambda e: DocumentEncoder(e, max_steps=0), "max_steps: got 0; allowed are integers from 1 up"),
        (lambda e: DocumentEncoder(e)(torch.zeros(4).long(), torch.ones(1)), r"tokens: got shape \(4,\)"),
        (lambda e: DocumentEncoder(e)(torch.zeros(1, 4), torch.tensor([4])), "tokens: got .* of torch.float32"),
        (lambda e: DocumentEncoder(e)(torch.zeros(0, 4).long(), torch.zeros(0).long()), "lengths: got .* 0 documents"),
        (lambda e: ClassifierHead(6, 1), "num_classes: got 1; allowed are integers from 2 up"),
        (lambda e: ClassifierHead(6, 2, hidden=0), "hidden: got 0; allowed are integers from 1 up"),
        (lambda e: ClassifierHead(6, 2, dropouts=(0.4, 1.0)), r"dropouts: got \(0.4, 1.0\); allowed are two numbers"),
        (lambda e: ClassifierHead(6, 2)(torch.zeros(1, 6)), "pooled: got 1 document; allowed are 2 or more"),
        (lambda e: TextClassifier(e, 2).set_trainable([True] * 3), "mask: got 3 entries; allowed are 4"),
        (lambda e: param_groups(e.groups(), [0.1]), "lrs: got 1 rates; allowed are 3, one for each group"),
        (lambda e: param_groups(e.groups(), [0.1, -0.1, 0.1]), "lrs: got -0.1 for group 1; allowed .* from 0 up"),
        (lambda e: param_groups([e.groups()[0], []], [0.1, 0.1]), "groups: group 1 is empty"),
        (lambda e: param_groups([*e.groups(), e.groups()[0]], [0.1] * 4), "groups: group 3 repeats a parameter"),
        (lambda e: ensemble(TWO, TWO.T), r"backward: got shape \(2, 1\); allowed is that of forward, \(1, 2\)"),
        (lambda e: ensemble(TWO, 3 * TWO), "backward: got rows that are no probabilities"),
        (lambda e: ensemble(torch.tensor([[2.0, -1.0]]), TWO), "forward: got rows that are no probabilities"),
        (lambda e: reverse_documents(torch.ones(1, 2).long(), torch.tensor([3])), "lengths: got 3 to 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(encoder, call, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        call(encoder)
