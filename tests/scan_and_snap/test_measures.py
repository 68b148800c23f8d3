"""Attention in the limit, against numbers worked out by hand."""

import math

import pytest
import torch

from papertrail.scan_and_snap.measures import attention_in_the_limit, entropy, mass, rank_correlation
from papertrail.scan_and_snap.setting import DTYPE, make_language, syn_small


def test_without_logits_attention_is_the_share_of_the_token_in_the_sequence():
    language = syn_small()
    c = attention_in_the_limit(language, torch.zeros(2, 30, dtype=DTYPE))
    assert torch.allclose(c, language.probabilities)
    assert mass(c, language.common).tolist() == pytest.approx([10 / 15.5] * 2)


def test_logits_multiply_the_share_and_each_class_reads_its_own_query():
    language = make_language(2, distinct=1, common=1, lowest=1.0)  # one half each: common, own
    z = torch.tensor([[0.0, math.log(3), 5.0], [0.0, 7.0, math.log(9)]], dtype=DTYPE)
    expected = torch.tensor([[0.25, 0.75, 0.0], [0.1, 0.0, 0.9]], dtype=DTYPE)
    assert torch.allclose(attention_in_the_limit(language, z), expected)


def test_two_classes_of_one_query_read_the_same_row():
    language = make_language(2, distinct=1, common=1, targets_per_query=2, lowest=1.0)
    z = torch.tensor([[0.0, math.log(3), math.log(9)]], dtype=DTYPE)
    expected = torch.tensor([[0.25, 0.75, 0.0], [0.1, 0.0, 0.9]], dtype=DTYPE)
    assert torch.allclose(attention_in_the_limit(language, z), expected)


def test_logits_too_large_for_exp_are_no_trouble():
    language = make_language(1, distinct=2, common=1, lowest=1.0)
    c = attention_in_the_limit(language, torch.tensor([[0.0, 2000.0, 2000.0]], dtype=DTYPE))
    assert c.tolist() == [[0.0, 0.5, 0.5]]


def test_the_logits_of_another_classs_tokens_do_not_matter_however_large():
    language = make_language(2, distinct=1, common=1, targets_per_query=2, lowest=1.0)
    c = attention_in_the_limit(language, torch.tensor([[0.0, 0.0, 5000.0]], dtype=DTYPE))
    assert c.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


def test_entropy_is_the_log_of_the_number_of_equal_shares_and_zero_for_one():
    rows = torch.tensor([[0.25] * 4, [1.0, 0.0, 0.0, 0.0]], dtype=DTYPE)
    assert entropy(rows).tolist() == pytest.approx([math.log(4), 0.0])


def test_logits_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"z: got shape \(2, 29\); it must be \(2, 30\)"):
        attention_in_the_limit(syn_small(), torch.zeros(2, 29))


@pytest.mark.parametrize(
    ("order", "expected"),
    # one swap: 1 - 6 (1 + 1) / (4 * 15)
    [([1.0, 2.0, 5.0, 9.0], 1.0), ([9.0, 5.0, 2.0, 1.0], -1.0), ([2.0, 1.0, 5.0, 9.0], 0.8)],
    ids=["same", "turned", "one-swap"],
)
def test_rank_correlation_is_spearmans(order, expected):
    found = rank_correlation(torch.tensor([order]), torch.tensor([[0.1, 0.2, 0.3, 0.9]]))
    assert found.tolist() == pytest.approx([expected])
