"""The pencil case, worked out by hand here a second time."""

import pytest

from papertrail.fast_weights.by_hand import KEYS, WRITES, measure_writes


def test_the_sum_rule_adds_whatever_comes():
    memories = [moment.memory for moment in measure_writes("sum")]
    assert memories[:3] == [[[1, 2], [0, 0]], [[1, 2], [3, 0]], [[1, 3], [3, 0]]]
    assert [pytest.approx(row) for row in memories[3]] == [[1.6, 3.6], [3.8, 0.8]]
    assert [pytest.approx(row) for row in memories[4]] == [[1.6, 3.6], [6.8, 0.8]]


def test_the_delta_rule_writes_the_difference_along_the_key():
    memories = [moment.memory for moment in measure_writes("delta")]
    assert memories[2] == [[0, 1], [3, 0]]
    heard = (0.6 * 0 + 0.8 * 3, 0.6 * 1 + 0.8 * 0)
    missing = (1 - heard[0], 1 - heard[1])
    expected = [[0 + 0.6 * missing[0], 1 + 0.6 * missing[1]], [3 + 0.8 * missing[0], 0 + 0.8 * missing[1]]]
    assert [pytest.approx(row) for row in memories[3]] == expected
    assert [pytest.approx(row) for row in memories[4]] == [expected[0], [3, 0]]


def test_errors_are_distances_from_what_was_written_last():
    delta, summed = measure_writes("delta"), measure_writes("sum")
    assert summed[2].errors == {"a": pytest.approx(5**0.5), "b": 0}
    assert delta[3].errors["c"] == pytest.approx(0, abs=1e-12) and delta[3].errors["a"] > 0.5
    assert [set(moment.reads) for moment in delta] == [{"a"}, {"a", "b"}, {"a", "b"}, set("abc"), set("abc")]
    assert delta[4].latest == {"a": [0, 1], "b": [3, 0], "c": [1, 1]}


def test_the_keys_are_unit_vectors():
    assert all(sum(x * x for x in key) == pytest.approx(1) for key in KEYS.values())
    assert len(measure_writes("sum")) == len(WRITES) == 5


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="rule: got 'gate'; allowed are 'sum' and 'delta'"):
        measure_writes("gate")
