"""The published table of invariances, a test for each cell, and what eps and growth do."""

import pytest
import torch

from papertrail.gopher.invariances import (
    PUBLISHED,
    WAYS,
    Invariances,
    changed,
    measure_eps,
    measure_gradient_sizes,
    measure_invariances,
    measure_mean_shift,
    measure_signs,
    normed,
    table_of_eps,
    table_of_invariances,
    table_of_signs,
)

TABLE = """
BatchNorm   yes no  yes yes yes no
WeightNorm  yes no  yes no  no  no
LayerNorm   yes yes no  yes no  yes
RMSNorm     yes no  no  yes no  yes
pRMSNorm    yes no  no  yes no  yes
"""  # Zhang & Sennrich 2019, Table 1, typed a second time
CELLS = [
    (norm, way, word == "yes")
    for norm, *words in map(str.split, TABLE.strip().splitlines())
    for way, word in zip(WAYS, words, strict=True)
]


@pytest.fixture(scope="module")
def measured():
    return measure_invariances()


@pytest.mark.parametrize(
    ("norm", "way", "says"), CELLS, ids=[f"{n}-{w.replace(' ', '-')}" for n, w, _ in CELLS]
)
def test_a_cell_is_as_published(norm, way, says, measured):
    assert PUBLISHED[norm][WAYS.index(way)] is says
    if says:
        assert measured.largest[norm][way] < 1e-12
    else:
        assert measured.least[norm][way] > 0.2


def test_thirty_cells_agree_and_a_blurred_one_does_not(measured):
    assert measured.agreeing == len(CELLS) == 30
    measured.largest["RMSNorm"][WAYS[0]], before = 1e-3, measured.largest["RMSNorm"][WAYS[0]]
    assert measured.invariant("RMSNorm", WAYS[0]) is None and measured.agreeing == 29
    assert table_of_invariances(measured)[1][3][1] == "unclear (published: same)"
    measured.largest["RMSNorm"][WAYS[0]] = before


def test_the_table_says_where_it_differs():
    cells = {norm: dict.fromkeys(WAYS, 0.0) for norm in PUBLISHED}
    header, rows = table_of_invariances(Invariances(cells, cells, 1))
    assert header[1:] == list(WAYS)
    assert rows[2] == [
        "LayerNorm", "same", "same", "same (published: changes)", "same", "same (published: changes)", "same",
    ]  # fmt: skip


def test_the_changes_are_the_ones_that_their_names_say():
    x, weight = torch.ones(3, 2), torch.ones(4, 2)

    def new(way):
        return changed(WAYS[way], x, weight, torch.Generator().manual_seed(0))

    assert torch.equal(new(0)[1], 3.7 * weight) and torch.equal(new(3)[0], 3.7 * x)
    assert new(2)[1].tolist() == [[1, 1], [pytest.approx(3.7)] * 2, [1, 1], [1, 1]]
    assert new(5)[0].tolist() == [[1, 1], [pytest.approx(3.7)] * 2, [1, 1]]
    for moved, same in ((new(1)[1], new(1)[0]), (new(4)[0], new(4)[1])):
        assert torch.equal(moved[0], moved[2]) and moved[0, 0] != moved[0, 1] != 1 and (same == 1).all()


@pytest.mark.parametrize(("call", "message"), [
    (lambda: normed("GroupNorm", 3), "name: got 'GroupNorm'"),
    (lambda: changed("turned", torch.ones(2, 2), torch.ones(2, 2), torch.Generator()), "way: got 'turned'"),
    (lambda: measure_invariances(seeds=0), "seeds: got 0"),
    (lambda: measure_mean_shift(dim=0), "dim: got 0"),
], ids=["norm", "way", "seeds", "dim"])  # fmt: skip
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_eps_spoils_the_invariance_of_small_activations_as_the_formula_says():
    result = measure_eps()
    assert result.measured == pytest.approx(result.predicted, rel=1e-6)
    assert result.measured[0] == pytest.approx(0.5e-5 * (1 - 3.7**-2), rel=1e-3), "to first order in eps"
    assert result.measured[0] < 1e-5 < 0.01 < result.measured[1] * 1 < result.measured[2] < result.measured[3]
    assert result.measured[3] == pytest.approx(2.7, rel=0.02), (
        "eps is nearly everything: the output grows with x"
    )
    assert table_of_eps(result)[1][3] == ["0.0001", "3"]


def test_gradients_shrink_as_weights_grow_and_do_not_see_the_datas_scale():
    result = measure_gradient_sizes((1.0, 2.0, 8.0))
    assert result.weights == pytest.approx([1, 1 / 2, 1 / 8], rel=1e-12)
    assert max(result.data) < 1e-12 and result.along < 1e-12


def test_the_two_norms_agree_exactly_where_the_mean_is_zero_and_nowhere_else():
    result = measure_mean_shift()
    assert result.difference[0] < 1e-12
    assert result.difference[1] > 0.05
    assert all(
        later > 1.5 * earlier
        for earlier, later in zip(result.difference[1:], result.difference[2:], strict=False)
    )


def test_a_batch_of_two_keeps_only_signs():
    draws = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).tolist()
    for (a, b), out in zip(draws, measure_signs(draws), strict=True):
        assert out == pytest.approx([1.0, -1.0] if a > b else [-1.0, 1.0])
    header, rows = table_of_signs()
    assert rows[1] == ["100, 100.5", "100.25", "0.25", "−1, +1"] and rows[2][3] == "+1, −1"
