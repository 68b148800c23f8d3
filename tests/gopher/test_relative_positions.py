"""Relative positions: the shift against loops and against indexing, and what the scores depend on."""

import math

import pytest
import torch
from torch import nn

from papertrail.architecture_diagram.transformer import sinusoidal_positions
from papertrail.gopher.relative_positions import (
    FORMS,
    RelativeAttention,
    measure_shift,
    measure_translation,
    naive_position_scores,
    shift,
    shifted_position_scores,
    table_of_shift,
)


def by_indexing(q: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """A third way: pick distance i - j out of all products."""
    i, j = torch.tril_indices(len(q), len(q))
    scores = torch.zeros(len(q), len(q), dtype=q.dtype)
    scores[i, j] = (q @ r.T)[i, i - j]
    return scores


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("way", [naive_position_scores, shifted_position_scores], ids=["naive", "shifted"])
def test_both_ways_pick_the_score_of_the_distance(way, length):
    q, r = torch.randn(2, length, 3, dtype=torch.float64)
    torch.testing.assert_close(way(q, r), by_indexing(q, r), rtol=0, atol=1e-12)


def test_the_shift_on_three_rows_by_hand():
    product = torch.tensor([[2.0, 1.0, 0.0], [12.0, 11.0, 10.0], [22.0, 21.0, 20.0]])
    assert shift(product).tolist() == [[0.0, 0.0, 12.0], [11.0, 10.0, 0.0], [22.0, 21.0, 20.0]]


def test_the_table_shows_what_the_shift_computes():
    header, rows = table_of_shift(3)
    assert header[0] == "product" and rows[0][0] == "02 01 00" and rows[2][0] == "22 21 20"
    last = [row[-1] for row in rows]
    assert last == ["00 (·) (12)", "11 10 (·)", "22 21 20", ""]
    assert [row[2] for row in rows] == ["· 02 01", "00 · 12", "11 10 ·", "22 21 20"]


def test_both_forms_agree_in_outputs_and_gradients_at_several_lengths():
    for length in (1, 2, 12):
        result = measure_shift(length, seeds=2)
        assert max(result.outputs + result.gradients) < 1e-12 and len(result.outputs) == 2


def equation(attention: RelativeAttention, x: torch.Tensor) -> torch.Tensor:
    """The paper's equation, pair by pair and head by head, for one sequence."""
    length, d_model = x.shape
    heads, size = attention.content_bias.shape
    u, v = attention.content_bias, attention.position_bias
    w = {name: getattr(attention, name).weight.view(heads, size, d_model)
         for name in ("query", "key", "value", "relative")}  # fmt: skip
    sinusoid = sinusoidal_positions(length, d_model)
    rows = []
    for i in range(length):
        parts = []
        for h in range(heads):
            q = w["query"][h] @ x[i]
            scores = torch.stack([
                (q + u[h]) @ (w["key"][h] @ x[j]) + (q + v[h]) @ (w["relative"][h] @ sinusoid[i - j])
                for j in range(i + 1)
            ])  # fmt: skip
            weights = (scores / math.sqrt(size)).softmax(0)
            parts.append(sum(a * (w["value"][h] @ x[j]) for j, a in enumerate(weights)))
        rows.append(attention.output.weight @ torch.cat(parts))
    return torch.stack(rows)


@pytest.mark.parametrize("form", FORMS)
def test_attention_is_the_papers_equation(form):
    attention = RelativeAttention(6, 2, 4, form).double()
    nn.init.normal_(attention.content_bias)
    nn.init.normal_(attention.position_bias)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    expected = torch.stack([equation(attention, one) for one in x])
    torch.testing.assert_close(attention(x), expected, rtol=0, atol=1e-12)


def test_scores_depend_on_distance_alone_and_those_of_added_positions_do_not():
    result = measure_translation(seeds=3)
    assert max(result.relative) < 1e-12 and min(result.absolute) > 0.1


def test_a_longer_text_than_ever_seen_leaves_its_beginning_unchanged():
    attention = RelativeAttention(8, 2, 4)
    x = torch.randn(1, 300, 8)
    torch.testing.assert_close(attention(x)[:, :20], attention(x[:, :20]), rtol=0, atol=1e-5)


def test_relative_positions_add_one_matrix_and_two_vectors():
    attention = RelativeAttention(8, 3, 4)
    own = attention.relative.weight.numel() + attention.content_bias.numel() + attention.position_bias.numel()
    assert own == 8 * 12 + 2 * 12
    assert sum(p.numel() for p in attention.parameters()) == 5 * 8 * 12 + 2 * 12


def test_what_cannot_be_built_is_named():
    with pytest.raises(ValueError, match="form: got 'fast'; allowed are 'shift', 'naive'"):
        RelativeAttention(8, 2, 4, "fast")
    with pytest.raises(ValueError, match="num_heads: got 0"):
        RelativeAttention(8, 0, 4)
    with pytest.raises(ValueError, match="d_model: got 7; allowed are even widths"):
        RelativeAttention(7, 2, 4)
    for way in (naive_position_scores, shifted_position_scores):
        with pytest.raises(ValueError, match=r"q, r: got \(3, 2\) and \(4, 2\)"):
            way(torch.zeros(3, 2), torch.zeros(4, 2))
