"""Durations are told in the unit that fits."""

import pytest

from papertrail.durations import spell


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (725, "12 min"), (5999, "100 min"), (7824, "2.2 h")],
)
def test_a_duration(seconds, said):
    assert spell(seconds) == said
