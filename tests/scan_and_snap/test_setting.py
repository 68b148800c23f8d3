"""The language of chapter 6 is the paper's: its printed probabilities, its kinds of tokens, its sequences."""

import pytest
import torch

from papertrail.scan_and_snap.setting import Language, make_language, syn_small

# What the authors' run of figure 4 prints for either class, to four digits.
PRINTED = [0.0645] * 10 + [0.0065, 0.0129, 0.0194, 0.0258, 0.0323, 0.0387, 0.0452, 0.0516, 0.0581, 0.0645]


def test_the_small_language_has_the_probabilities_that_the_official_run_prints():
    language = syn_small()
    for target, tokens in ((0, [*range(20)]), (1, [*range(10), *range(20, 30)])):
        assert [round(p, 4) for p in language.probabilities[target, tokens].tolist()] == PRINTED
    assert language.vocabulary == 34


def test_common_tokens_occur_with_both_targets_and_distinct_ones_with_one():
    language = syn_small()
    assert language.common.nonzero().flatten().tolist() == [*range(10)]
    assert language.distinct(0).nonzero().flatten().tolist() == [*range(10, 20)]
    assert language.distinct(1).nonzero().flatten().tolist() == [*range(20, 30)]


def test_targets_may_share_a_query():
    language = make_language(6, distinct=2, common=1, targets_per_query=3)
    assert language.queries == (0, 0, 0, 1, 1, 1)
    assert (language.num_queries, language.query_token(5), language.target_token(0)) == (2, 14, 15)


def test_sequences_end_with_their_query_and_hold_only_their_tokens_as_often_as_said():
    language = syn_small()
    tokens, classes = language.sample(400, 129, torch.Generator().manual_seed(0))
    assert tokens.shape == (400, 129) and set(classes.tolist()) == {0, 1}
    assert torch.equal(tokens[:, -1], 30 + classes)
    for target in (0, 1):
        counts = torch.bincount(tokens[classes == target, :-1].flatten(), minlength=30).double()
        assert (counts / counts.sum() - language.probabilities[target]).abs().max() < 0.005


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Language([[0.5, 0.5]], (0,)), "probabilities: got a list; .*tensor"),
        (lambda: Language(torch.tensor([[0.5, 0.4]]), (0,)), "probabilities: .*sum to 0.9"),
        (lambda: Language(torch.tensor([[1.5, -0.5]]), (0,)), "probabilities"),
        (lambda: Language(torch.tensor([[0.5, 0.5]]), (1,)), "queries"),
        (lambda: Language(torch.tensor([[0.5, 0.5]]), (0, 0)), "queries"),
        (lambda: make_language(3, distinct=1, common=1, targets_per_query=2), "targets_per_query"),
        (lambda: make_language(2, distinct=0, common=1), "distinct"),
        (lambda: make_language(2, distinct=2, common=1, lowest=0.0), "lowest"),
        (lambda: syn_small().sample(0, 5, torch.Generator()), "batch"),
        (lambda: syn_small().sample(1, 1, torch.Generator()), "length"),
    ],
    ids=[
        "list",
        "no_sum",
        "negative",
        "gap",
        "too_many",
        "no_divisor",
        "none",
        "zero",
        "empty_batch",
        "no_context",
    ],
)
def test_bad_input_is_refused_by_name(make, named):
    with pytest.raises(ValueError, match=named):
        make()
