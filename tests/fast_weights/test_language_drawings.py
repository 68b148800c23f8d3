"""The figure and the table of the small language models say what the runs say."""

from math import log

import pytest
from drawn import check_drawing

from papertrail.fast_weights.language_drawings import draw_language, table_of_language
from papertrail.fast_weights.recorded_language import RecordedByteRun, best_rate, load_language, pick


def made(**bits):
    """Runs whose held-out bits at the higher rate are given; one bit more at the lower, seeds 0.1 apart."""
    return [
        RecordedByteRun(
            [3 * log(2), (value + worse) * log(2)], (value + worse + 0.1 * seed) * log(2),
            [value * log(2), 0.0, 0.0, (value - 0.25) * log(2)], 9, mixer, lr, seed,
        )
        for mixer, value in bits.items()
        for lr, worse in ((1e-3, 1.0), (3e-3, 0.0))
        for seed in (0, 1)
    ]  # fmt: skip


RUNS = made(softmax=2.0, linear=2.25, delta=1.5, hybrid=1.75)


@pytest.mark.parametrize("runs", [RUNS, load_language()], ids=["made_up", "recorded"])
def test_the_figure_is_in_order(runs):
    check_drawing(lambda: draw_language(runs))


def test_the_title_names_whoever_ends_lowest():
    assert draw_language(RUNS)[0]._suptitle.get_text() == "In 100 steps the lowest loss: delta rule"
    other = made(softmax=1.0, linear=2.25, delta=1.5, hybrid=1.75)
    assert draw_language(other)[0]._suptitle.get_text().endswith("softmax")
    assert "delta rule 3.00 to 1.50" in draw_language(RUNS)[1]


def test_the_table_has_both_rates_and_the_parts_of_the_better_one():
    header, rows = table_of_language(RUNS)
    assert header == ["attention", "rate 0.001", "rate 0.003", "first quarter", "last quarter"]
    assert rows[0] == ["softmax", "3.05 [3.00, 3.10]", "2.05 [2.00, 2.10]", "2.00", "1.75"]


def test_runs_are_found_by_mixer_and_rate_and_the_better_rate_by_its_mean():
    assert [run.seed for run in pick(RUNS[::-1], "delta", 1e-3)] == [0, 1] and best_rate(
        RUNS, "delta"
    ) == 3e-3
    with pytest.raises(ValueError, match="none with mixer='delta', lr=0.5"):
        pick(RUNS, "delta", 0.5)
