"""The paper's layer is chapter 3's linear attention and chapter 5's RMSNorm, and its training writes fast weights."""

import math

import pytest
import torch

from papertrail.scan_and_snap import ties
from papertrail.scan_and_snap.setting import DTYPE
from papertrail.scan_and_snap.ties import (
    fast_weights,
    measure_layer_tie,
    measure_norm_tie,
    measure_writing_tie,
    unit,
)

ROUND_OFF = 1e-12


def test_the_memory_of_a_sequence_by_hand():
    """Tokens 0, 1, 1 and query 2, which prefers token 1 by a factor of 3."""
    Z = torch.zeros(3, 3, dtype=DTYPE)
    Z[2, 1], Z[0, 1] = math.log(3), math.log(5)
    read, state = fast_weights(Z, torch.tensor([[0, 1, 1, 2]]))
    assert read[0].tolist() == pytest.approx([1, 6, 0])  # exp(z) once for token 0, twice for token 1
    assert state[0].flatten().tolist() == pytest.approx(
        [1, 10, 0, 1, 2, 0, 1, 6, 0]
    )  # a row for each who may ask
    assert unit(read)[0].tolist() == pytest.approx([1 / 37**0.5, 6 / 37**0.5, 0])


def test_the_norm_makes_softmax_and_linear_attention_one_layer():
    found = measure_layer_tie()
    assert len(found.after) == 5
    assert max(found.after + found.gradients + found.limit) < ROUND_OFF
    assert min(found.before) > 1, "before the norm they are not the same"


def test_without_the_norm_gradients_differ_as_well(monkeypatch):
    monkeypatch.setattr(ties, "unit", lambda x: x)
    assert measure_layer_tie(seeds=1).gradients[0] > 1


def test_training_writes_outer_products_that_either_rule_replays():
    found = measure_writing_tie()
    assert max(found.sums) < ROUND_OFF and max(found.deltas) < ROUND_OFF
    assert max(found.second) < ROUND_OFF, "one sequence, one outer product"
    assert min(found.moved) > 0.3, "and something was learned"


def test_a_batch_of_two_queries_is_no_outer_product():
    """What makes the statement one about single sequences."""
    from papertrail.scan_and_snap.layer import gradients_by_hand
    from papertrail.scan_and_snap.setting import syn_small

    tokens, classes = syn_small().sample(8, 32, torch.Generator().manual_seed(0))
    Y = torch.randn(34, 34, dtype=DTYPE, generator=torch.Generator().manual_seed(1))
    _, dZ = gradients_by_hand(Y, torch.zeros_like(Y), tokens, 32 + classes)
    values = torch.linalg.svdvals(dZ)
    assert values[1] > 0.01 * values[0] and values[2] < 1e-12


def test_the_papers_norm_is_rms_norm_over_the_root_of_the_width():
    assert max(measure_norm_tie()) < ROUND_OFF
    vector = torch.tensor([[3.0, 4.0]], dtype=DTYPE)
    assert unit(vector).flatten().tolist() == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measure_layer_tie(seeds=0), "seeds: got 0"),
        (lambda: measure_layer_tie(batch=0), "batch: got 0"),
        (lambda: measure_layer_tie(length=1), "length: got 1"),
        (lambda: measure_writing_tie(steps=0), "steps: got 0"),
        (lambda: measure_norm_tie(dim=0), "dim: got 0"),
    ],
    ids=["seeds", "batch", "length", "steps", "dim"],
)
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
