"""The one-layer model: logits by hand and from weights, and Lemma 1 against automatic differentiation."""

import math

import pytest
import torch
from torch.nn import functional as F

from papertrail.scan_and_snap.layer import attended, forward, from_weights, gradients_by_hand
from papertrail.scan_and_snap.setting import DTYPE, make_language, syn_small


@pytest.fixture
def case():
    """A batch over both queries of the small language, at weights whose rows do not sum to zero."""
    language, draw = syn_small(), torch.Generator().manual_seed(0)
    tokens, classes = language.sample(16, 9, draw)
    targets = classes + language.target_token(0)
    Y, Z = torch.randn(2, language.vocabulary, language.vocabulary, dtype=DTYPE, generator=draw)
    return Y, Z, tokens, targets


def test_logits_of_a_sequence_worked_out_by_hand():
    """Sequence 0 0 1 and query 2: softmax(0, 0, ln 1.5) = 2/7, 2/7, 3/7, so c = (4/7, 3/7) and f = (4/5, 3/5)."""
    Z = torch.zeros(4, 4, dtype=DTYPE)
    Z[2, 1] = math.log(1.5)
    Z[1] = Z[3] = 7.0  # rows of other queries do not matter
    Y = torch.zeros(4, 4, dtype=DTYPE)
    Y[0, 3], Y[1, 3], Y[1, 2] = 10.0, 5.0, 100.0
    tokens = torch.tensor([[0, 0, 1, 2]])
    assert attended(Z, tokens).flatten().tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert forward(Y, Z, tokens).flatten().tolist() == pytest.approx([0, 0, 60, 11])
    # with the residual the query's one-hot joins before the norm: |(4/7, 3/7, 1)| = sqrt(74)/7
    assert forward(Y, Z, tokens, residual=True)[0, 3].item() == pytest.approx(55 / math.sqrt(74))


def test_the_query_does_not_attend_to_itself():
    language = make_language(2, distinct=1, common=1)
    tokens, _ = language.sample(8, 5, torch.Generator().manual_seed(0))
    Z = torch.full((language.vocabulary, language.vocabulary), 0.0, dtype=DTYPE)
    Z[:, language.num_tokens :] = 50.0
    c = attended(Z, tokens)
    assert c[:, language.num_tokens :].abs().max() == 0
    assert torch.allclose(c.sum(1), torch.ones(8, dtype=DTYPE))


def test_lemma_1_is_what_automatic_differentiation_gives(case):
    Y, Z, tokens, targets = case
    Y.requires_grad_(), Z.requires_grad_()
    F.cross_entropy(forward(Y, Z, tokens), targets).backward()
    dY, dZ = gradients_by_hand(Y.detach(), Z.detach(), tokens, targets)
    assert Y.grad.abs().max() > 0.01 and Z.grad.abs().max() > 0.001
    assert (dY - Y.grad).abs().max() < 1e-12
    assert (dZ - Z.grad).abs().max() < 1e-12


def test_rows_of_both_gradients_sum_to_zero(case):
    dY, dZ = gradients_by_hand(*case)
    for gradient in (dY, dZ):
        assert gradient.sum(1).abs().max() < 1e-15
    assert dY.sum(0).abs().max() > 0.01  # it is the rows that keep their sum, not the columns


def test_only_the_row_of_the_batchs_own_query_moves(case):
    Y, Z, tokens, targets = case
    own = tokens[:, -1] == 30
    _, dZ = gradients_by_hand(Y, Z, tokens[own], targets[own])
    assert dZ[30].abs().max() > 0.001
    assert dZ[torch.arange(34) != 30].abs().max() == 0


def test_the_layers_weights_enter_only_through_Y_and_Z():
    """Attention written with W_Q, W_K and W_V on embedded tokens, one sequence at a time."""
    V, d = 7, 5
    draw = torch.Generator().manual_seed(1)
    U = torch.randn(V, d, dtype=DTYPE, generator=draw)
    W_Q, W_K, W_V = torch.randn(3, d, d, dtype=DTYPE, generator=draw)
    tokens = torch.tensor([[0, 3, 3, 1, 6], [2, 2, 4, 0, 5]])
    expected = []
    for sequence in tokens.tolist():
        query = U[sequence[-1]] @ W_Q
        keys = [U[token] @ W_K for token in sequence[:-1]]
        b = torch.stack([query @ key for key in keys]).div(math.sqrt(d)).softmax(0)
        mixed = sum(
            weight * F.one_hot(torch.tensor(t), V) for weight, t in zip(b, sequence[:-1], strict=True)
        )
        expected.append(U @ W_V @ (U.T @ (mixed / mixed.square().sum().sqrt())))
    assert torch.allclose(forward(*from_weights(U, W_Q, W_K, W_V), tokens), torch.stack(expected))


@pytest.mark.parametrize("shape", [(4,), (3, 1)], ids=["no_batch", "no_context"])
def test_tokens_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"tokens: got shape \("):
        attended(torch.zeros(5, 5), torch.zeros(shape, dtype=torch.long))
