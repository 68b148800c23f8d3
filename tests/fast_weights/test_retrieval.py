"""What memories hold and whether they can be corrected, untrained and trained."""

import pytest
import torch

from papertrail.fast_weights import retrieval
from papertrail.fast_weights.retrieval import (
    LOGGED,
    LOGGED_SYMBOLS,
    draw_pairs,
    latest,
    measure_recall,
    measure_trained_recall,
    order_blind_loss,
    rank_bound,
    unit_keys,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("symbols, features", [(8, 3), (16, 8), (5, 5), (4, 9)])
def test_the_rank_bound_is_what_the_best_matrix_of_that_rank_misses(symbols, features):
    target = torch.eye(symbols, dtype=torch.float64)[torch.randperm(symbols, generator=generator())]
    U, s, V = torch.linalg.svd(target)
    kept = (torch.arange(symbols) < features).double()
    best = U @ torch.diag(s * kept) @ V
    assert 0.5 * (best - target).square().sum(-1).mean().item() == pytest.approx(
        rank_bound(symbols, features)
    )


def test_pairs_without_replacement_are_permutations_and_with_it_are_not():
    keys, values = draw_pairs(9, 9, 50, False, generator())
    for drawn in (keys, values):
        assert drawn.sort(-1).values.eq(torch.arange(9)).all() and len(drawn.unique(dim=0)) == 50
    keys, values = draw_pairs(9, 18, 50, True, generator())
    assert keys.shape == values.shape == (50, 18) and not torch.equal(keys, values)
    assert keys.min() == 0 and keys.max() == 8


def test_the_latest_value_counts():
    keys, values = (
        torch.tensor([[0, 1, 0, 2, 0], [1, 1, 1, 1, 1]]),
        torch.tensor([[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]]),
    )
    assert latest(keys, values, 4).tolist() == [[0, 3, 1, -1], [-1, 4, -1, -1]]


def test_unit_keys_are_orthonormal_as_long_as_they_can_be():
    keys = unit_keys(24, 16, generator())
    gram = keys @ keys.T
    assert torch.allclose(gram[:16, :16], torch.eye(16, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(gram[16:, 16:], torch.eye(8, dtype=torch.float64), atol=1e-12)
    assert gram[:16, 16:].abs().max() > 0.2


def test_both_rules_are_exact_up_to_the_number_of_rows_and_fail_beyond():
    for symbols in (1, 8, 16):
        assert max(measure_recall(symbols, draws=5).errors.values()) < 1e-13
    over = measure_recall(24, draws=20).errors
    assert 0.6 < over["delta"] < over["sum"] < 1.0


def test_overwriting_is_what_only_the_delta_rule_can_do():
    found = measure_recall(4, 16, draws=20)
    assert found.errors["delta"] < 1e-13 and found.errors["sum"] > 1
    assert (found.length, found.symbols) == (16, 4)


def test_a_smaller_beta_corrects_less():
    errors = [measure_recall(4, 16, draws=20, beta=beta).errors["delta"] for beta in (0.1, 0.5, 0.9, 1.0)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 0.8


def test_an_order_blind_memory_is_best_with_the_average():
    """Two keys, two writes: with one half the same key twice, and then with one half two different values."""
    one_of_two = 0.5 * (1 - 0.5)  # loss of a half-half answer
    expected = (0.5 * 0.5 * one_of_two) / (0.5 * 1 + 0.5 * 2)  # per key that was written
    assert order_blind_loss(2, 2, draws=200_000) == pytest.approx(expected, abs=0.002)
    assert order_blind_loss(5, 1) == 0


def test_training_reaches_the_bound_and_no_more():
    found = measure_trained_recall("sum", symbols=16, steps=300, seeds=2)
    assert found.features == 8 and found.accuracy == pytest.approx([0.5, 0.5], abs=0.07)
    assert all(rank_bound(16, 8) - 1e-5 < loss < 0.27 for loss in found.loss)


def test_softmax_and_enough_features_solve_setting_one():
    assert max(measure_trained_recall("softmax", None, symbols=12, steps=300, seeds=2).loss) < 0.01
    assert max(measure_trained_recall("sum", "dpfp-2", symbols=12, steps=300, seeds=2).loss) < 0.01


def test_seeds_do_not_meet():
    both = measure_trained_recall("delta", symbols=5, length=8, steps=20, seeds=2)
    alone = measure_trained_recall("delta", symbols=5, length=8, steps=20, seeds=1)
    three = measure_trained_recall("delta", symbols=5, length=8, steps=20, seeds=3)
    assert both.loss[0] != both.loss[1] and three.seeds == 3
    assert alone.loss == pytest.approx(both.loss[:1], rel=1e-3)
    assert both.loss == pytest.approx(three.loss[:2], rel=1e-3)


def test_the_models_are_the_functions_of_the_chapter():
    """A memory's answers, beside the same thing by linear_attention and delta_rule."""
    from torch.nn import functional as F

    from papertrail.fast_weights.delta_rule import delta_rule
    from papertrail.fast_weights.feature_maps import elu_plus_one
    from papertrail.fast_weights.linear_attention import linear_attention

    keys, values = (x.unsqueeze(0) for x in draw_pairs(4, 6, 3, True, generator()))
    for rule in ("sum", "delta"):
        models = retrieval._Memories(rule, "elu+1", 4, 5, 1)
        with torch.no_grad():
            found = models.answers(keys, values)[0, 0]  # (S, S)
            v = F.one_hot(values, 4).float()
            written = torch.cat([models.embedding[0][keys[0]], v[0]], dim=-1).unsqueeze(0)
            k = written @ models.w_key[0].T  # (1, 3, 6, 5)
            q = models.embedding[0] @ models.w_query[0].T  # (4, 5)
            for symbol in range(4):
                queries = q[symbol].expand_as(k)
                if rule == "sum":
                    out = linear_attention(queries, k, v, eps=retrieval.TINY)
                else:
                    fq, fk = (elu_plus_one(x) for x in (queries, k))
                    fq, fk = fq / fq.sum(-1, keepdim=True), fk / fk.sum(-1, keepdim=True)
                    beta = (written @ models.w_beta[0].T).squeeze(-1).sigmoid()
                    out = delta_rule(fq, fk, v, beta, form="recurrent")
                torch.testing.assert_close(found[symbol], out[0, 0, -1], rtol=1e-4, atol=1e-5)


def test_the_authors_logged_points_lie_close_to_the_bound_or_above_it():
    for features, losses in LOGGED.values():
        for symbols, loss in zip(LOGGED_SYMBOLS, losses, strict=True):
            assert -0.02 < loss - rank_bound(symbols, features) < 0.05


@pytest.mark.parametrize(
    "message, call",
    [
        ("rule: got 'gate'; allowed are 'sum', 'delta', 'softmax'", lambda: measure_trained_recall("gate")),
        ("symbols: got 0", lambda: measure_trained_recall("sum", symbols=0)),
        ("feature_map: got 'relu'", lambda: measure_trained_recall("sum", "relu")),
        ("beta: got 3; allowed are numbers from 0 to 2", lambda: measure_recall(4, beta=3)),
        ("length: got -2", lambda: measure_recall(4, -2)),
        ("features: got 0", lambda: rank_bound(4, 0)),
        ("draws: got 0", lambda: order_blind_loss(4, 4, draws=0)),
    ],
)
def test_bad_arguments_are_named(message, call):
    with pytest.raises(ValueError) as raised:
        call()
    assert message in str(raised.value)
