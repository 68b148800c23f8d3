"""Costs: what can be counted exactly, and that what is timed is what it says."""

import pytest
import torch

from papertrail.benchmarking import Yardstick
from papertrail.fast_weights import cost
from papertrail.fast_weights.cost import (
    WAYS,
    cache_bytes,
    crossover,
    linear_flops,
    make_inputs,
    measure_decoding,
    measure_memory,
    measure_time,
    state_bytes,
)
from papertrail.fast_weights.linear_attention import linear_attention


def without_map(q, k, v):
    return linear_attention(q, k, v, feature_map=None)


def test_the_two_softmaxes_are_one_function():
    q, k, v = (x.detach().double() for x in make_inputs(40, 2, 8))
    torch.testing.assert_close(WAYS["naive softmax"](q, k, v), WAYS["fused softmax"](q, k, v))


def test_inputs_are_positive_where_a_normalizer_needs_it_and_reproducible():
    q, k, v = make_inputs(10, 2, 4)
    assert q.min() > 0.09 and k.min() > 0.09 and v.min() < 0
    assert all(torch.equal(a, b) for a, b in zip(make_inputs(10, 2, 4), (q, k, v), strict=True))
    assert all(x.requires_grad and x.shape == (1, 2, 10, 4) for x in (q, k, v))


def test_every_way_is_timed_forward_and_backward_in_quartiles():
    found = measure_time(WAYS, 32, heads=1, dim=8, rounds=3)
    assert [row.way for row in found] == list(WAYS)
    for row in found:
        assert row.forward == sorted(row.forward) and row.both == sorted(row.both)
        assert row.forward[0] > 0 and row.forward[1] < row.both[1] and row.length == 32


def test_a_way_that_wants_the_sequence_first_gets_it():
    shapes = []

    def attention(q, k, v):
        shapes.append((q.shape, q.is_contiguous()))
        return q * k * v

    attention.sequence_first = True
    yardstick = Yardstick(lambda: 1.0)
    measure_time({"theirs": attention}, 6, heads=2, dim=3, rounds=2, yardstick=yardstick)
    assert set(shapes) == {((1, 6, 2, 3), True)}
    assert len(shapes) == len(yardstick.values) == 3, "one round is not measured"


def test_one_round_has_no_spread():
    (row,) = measure_time({"linear": cost.linear}, 16, heads=1, dim=8, rounds=1)
    assert row.both[0] == row.both[1] == row.both[2] > 0


def test_chunks_need_little_more_memory_than_outputs_and_gradients():
    """The floor is four tensors of q's size. Chunks stay near it, the matrix of naive softmax does not."""
    floor = 4 * 4 * 2048 * 64 * 4 / 2**20
    ours = measure_memory(without_map, 2048, heads=4, dim=64)
    naive = measure_memory(WAYS["naive softmax"], 2048, heads=4, dim=64)
    assert ours < 2 * floor < 4 * floor < naive


def test_the_count_of_operations_is_linear_and_agrees_with_a_count_by_hand():
    assert (
        linear_flops(1, heads=1) == 24_576
    )  # 2 x 64 x 64 for each of read and write, twice 64 x 64 within the chunk
    assert linear_flops(1000, heads=3) == 3000 * linear_flops(1, heads=1)
    assert linear_flops(1, heads=1, backward=True) == 24_576 + 5 * 64 * 64 + 10 * 64 * 64


def test_bytes_of_cache_and_state():
    assert cache_bytes(1000, heads=2, dim=4, size=2) == 1000 * 2 * (4 + 4) * 2
    assert cache_bytes(10, heads=1, dim=4, value_dim=6) == 10 * (4 + 6) * 4
    assert state_bytes(heads=2, features=8, value_dim=4) == 2 * 8 * (4 + 1) * 4
    assert state_bytes(heads=2, features=8, value_dim=4, normalize=False, size=2) == 2 * 8 * 4 * 2
    _, state = linear_attention(*(torch.ones(1, 2, 5, 8) for _ in range(3)), return_state=True)
    assert sum(x.numel() * 4 for x in state) == state_bytes(heads=2, features=8, value_dim=8)


def test_decoding_keeps_a_growing_cache_and_a_fixed_state():
    short, long = (
        measure_decoding(64, heads=2, dim=8, tokens=3),
        measure_decoding(128, heads=2, dim=8, tokens=3),
    )
    assert long.cache_bytes == 2 * short.cache_bytes and long.state_bytes == short.state_bytes
    assert min(short.cached, short.fixed, long.cached, long.fixed) > 0


def test_the_crossover_of_two_power_laws_is_where_they_meet():
    lengths = [64, 128, 256, 512, 1024]
    line, square = [100.0 * n for n in lengths], [0.5 * n * n for n in lengths]
    assert crossover(lengths, line, square) == pytest.approx(200)
    assert crossover(lengths, square, line) is None
    assert crossover(lengths, [1.0] * 5, [2.0] * 5) == 64
    assert crossover([1, 2, 4], [2.0, 0.5, 3.0], [1.0, 1.0, 1.0]) is None
    wavy = crossover([1, 2, 4, 8], [0.5, 2.0, 0.5, 0.25], [1.0] * 4)
    assert 2 < wavy < 4  # the last time it gets ahead, not the first


@pytest.mark.parametrize(
    "message, call",
    [
        ("lengths: 0 given", lambda: crossover([], [], [])),
        ("lengths: 2 given with 1", lambda: crossover([1, 2], [1.0], [1.0, 2.0])),
        ("length: got 0", lambda: measure_time(WAYS, 0)),
        ("tokens: got 0", lambda: measure_decoding(4, tokens=0)),
        ("features: got 0", lambda: state_bytes(heads=1, features=0, value_dim=1)),
        ("length: got True", lambda: cache_bytes(True, heads=1, dim=1)),
    ],
)
def test_bad_arguments_are_named(message, call):
    with pytest.raises(ValueError) as raised:
        call()
    assert message in str(raised.value)
