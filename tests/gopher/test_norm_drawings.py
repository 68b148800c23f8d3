"""Figures and tables of the norms follow their data."""

from dataclasses import replace
from math import inf

import pytest
from drawn import check_drawing

from papertrail.gopher import norm_drawings as drawings
from papertrail.gopher.group_size import GroupSizes
from papertrail.gopher.invariances import MeanShift
from papertrail.gopher.norm_speed import LAYER, OURS, TORCH, WRITTEN, read_speed

SHAPES = ((512, 512), (8192, 1024))


def sizes():
    evaluated = {g: [e, e + 0.01] for g, e in ((2, 0.8), (4, 0.2), (8, 0.07), (16, 0.05), (64, 0.05))}
    batched = {g: [e + 0.05 for e in errors] for g, errors in evaluated.items()}
    return GroupSizes(
        evaluated, batched, {"LayerNorm": [0.06, 0.065], "RMSNorm": [0.06] * 2, "none": [0.1] * 2}, 2
    )


def speed():
    times = {LAYER: 2.0, OURS: 1.5, TORCH: 11.0, WRITTEN[0]: 12.0, WRITTEN[1]: 16.0, "nn.BatchNorm1d": 2.5}

    ways = {way: {"forward": [t / 3] * 3, "both": [t] * 3} for way, t in times.items()}
    shapes = [{"rows": n, "dim": d, "ways": ways, "fresh": [0.6] * 3, "reused": [0.1] * 3} for n, d in SHAPES]
    return read_speed({"shapes": shapes, "gemm": [90.0] * 3})


DRAWN = {
    "groups": lambda: drawings.draw_group_sizes(sizes()),
    "group-2": lambda: drawings.draw_group(sizes(), 2),
    "group-64": lambda: drawings.draw_group(sizes(), 64),
    "speed": lambda: drawings.draw_norm_speed(speed(), SHAPES[1]),
    "shift": lambda: drawings.draw_mean_shift(MeanShift([0.0, 0.1, 1.0], [1e-15, 0.1, 1.5], 5)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_words_stays_in_its_frame_and_leaves_the_readers_style_alone(name):
    check_drawing(DRAWN[name])


def test_the_group_figure_says_who_loses_and_where():
    fig, alt = DRAWN["groups"]()
    assert fig.get_suptitle() == "With groups of 2 BatchNorm loses: 80% against 6%"
    assert "2: 80.5, 4: 20.5" in alt and "LayerNorm 6.2, RMSNorm 6.0, no norm 10.0" in alt
    assert "2: 34.7 and 24.1" in alt
    good = replace(sizes(), evaluated={2: [0.05] * 2, 4: [0.05] * 2})
    assert (
        drawings.draw_group_sizes(good)[0].get_suptitle() == "With groups of 2 BatchNorm wins: 5% against 6%"
    )


@pytest.mark.parametrize(("errors", "says"), [
    ([0.3, 0.2], "BatchNorm is behind by 19 points"),
    ([0.065, 0.067], "BatchNorm is just behind"),
    ([0.05, 0.05], "BatchNorm is ahead in every seed"),
    ([0.05, 0.07], "too close to call"),
], ids=["behind", "just", "ahead", "close"])  # fmt: skip
def test_a_frame_of_the_moving_figure_says_how_far_behind(errors, says):
    fig, alt = drawings.draw_group(replace(sizes(), evaluated={8: errors}), 8)
    assert fig.get_suptitle() == f"Groups of 8: {says}"
    assert "BatchNorm, running" in alt and "BatchNorm, groups 12.5" in alt


def test_the_crossing_is_the_smallest_group_from_which_it_holds():
    assert drawings.crossing(sizes()) == 16
    assert drawings.crossing(sizes(), "none") == 8
    assert drawings.crossing(replace(sizes(), evaluated={8: [0.05] * 2, 16: [0.5] * 2, 64: [0.05] * 2})) == 64
    assert drawings.crossing(replace(sizes(), evaluated={64: [0.5] * 2})) == inf


def test_the_speed_figure_names_the_ratio_and_the_price_of_fresh_memory():
    fig, alt = DRAWN["speed"]()
    assert fig.get_suptitle() == "torch's RMSNorm takes 5.5 times LayerNorm's time"
    assert "our RMSNorm 1.5; nn.LayerNorm 2;" in alt and alt.endswith("fresh tensors of that size cost 1.")


def test_the_speed_table_has_the_four_ratios():
    header, rows = drawings.table_of_speed(speed())
    assert rows[1] == ["[8,192, 1,024]", "5.5", "0.8", "7.3", "25%"] and len(header) == 5


def test_the_shift_figure_claims_equality_only_where_it_was_found():
    assert "0 at 0, 0.10 at 0.1, 1.50 at 1" in DRAWN["shift"]()[1]
    fig, _ = drawings.draw_mean_shift(MeanShift([0.0, 0.1], [0.01, 0.1], 5))
    assert fig.get_suptitle() == "The two norms differ even at mean 0"


def test_the_papers_two_ends_are_in_its_table():
    _, rows = drawings.table_of_paper_times()
    assert rows[0] == ["Transformer, TensorFlow (table 4)", "6.9%", "9.3%"]
    assert rows[-1] == ["Order embeddings, Theano (table 8)", "40.8%", "63.9%"] and len(rows) == 7
