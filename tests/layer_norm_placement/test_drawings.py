"""Figures say what was measured: titles and alternative texts follow the data, and nothing leaves the frame."""

import re
from dataclasses import replace

import pytest
from drawn import check_drawing

from papertrail.layer_norm_placement import drawings, language_drawings
from papertrail.layer_norm_placement.language import LanguageRun, WarmUpRun
from papertrail.layer_norm_placement.measurements import (
    Amplification,
    GradientProfile,
    RepresentationDistance,
)
from papertrail.layer_norm_placement.placements import PLACEMENTS
from papertrail.layer_norm_placement.recorded import DepthFrame
from papertrail.layer_norm_placement.training import TrainingRuns


def profile(placement, depth, last=1.0, first=0.5, shape="encoder"):
    rows = [[first + (last - first) * i / (depth - 1) for i in range(depth)]] * 2
    return GradientProfile({"encoder": rows, "decoder": rows}, shape, placement, depth, "xavier", 2)


def run(placement, final, lr=1e-2, warmup=0, start="xavier", steps=120):
    losses = [[3.5 + (final - 3.5) * i / (steps // 5 - 1) for i in range(steps // 5)]] * 2
    losses = [row[:-2] + [final] * 2 for row in losses]
    cosines = [[0.5, 0.9, 1.0 if placement == "post" else 0.0]] * 2
    return TrainingRuns(losses, cosines, [0, 1, 60], placement, 6, lr, warmup, start, 2)


def grid(stuck=("post",)):
    runs = [
        run(p, 3.5 if p in stuck and lr == 1e-2 and not w else 0.01, lr, w)
        for p in PLACEMENTS for lr in (1e-3, 3e-3, 1e-2) for w in (0, 60)
    ]  # fmt: skip
    return runs + [run(p, 0.02, 1e-2, 0, "linear") for p in PLACEMENTS]


def distance():
    rows = {
        p: [[0.5 / (k + 1) ** 0.5 for k in range(7)]] * 2
        for p in ("post", "pre", "sandwich", "dual-residual")
    }
    return RepresentationDistance(rows, 4, 8, "xavier", 2)


def amplification():
    rows = {
        p: [[c * 2**i for i in range(3)]] * 2 for p, c in (("post", 2.0), ("pre", 0.5), ("deepnorm", 0.1))
    }
    return Amplification(rows, [2, 4, 8], 1e-3, "xavier", 2)


def frame():
    five = ("post", "pre", "sandwich", "deepnorm", "dual-residual")
    return DepthFrame(6, "linear", {p: profile(p, 6) for p in five}, {p: run(p, 0.1) for p in five})


DRAWN = {
    "last": lambda: drawings.draw_last_gradient(
        [profile("post", d) for d in (6, 24)], [profile("pre", d, 2 / d**0.5) for d in (6, 24)]
    ),
    "profiles": lambda: drawings.draw_gradient_profiles(
        [profile(p, 12) for p in ("post", "pre", "dual-residual")]
    ),
    "rate": lambda: drawings.draw_rate(grid(), 1e-2),
    "tokens": lambda: drawings.draw_token_collapse(run("post", 3.5), run("pre", 0.1)),
    "distance": lambda: drawings.draw_representation_distance(distance()),
    "amplification": lambda: drawings.draw_amplification(amplification()),
    "depth": lambda: drawings.draw_depth(frame()),
} | {placement: lambda placement=placement: drawings.draw_placement(placement) for placement in PLACEMENTS}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_words_stays_in_its_frame_and_leaves_the_readers_style_alone(name):
    check_drawing(DRAWN[name])


def test_the_exponents_in_title_and_text_are_those_of_the_data():
    fig, alt = DRAWN["last"]()
    assert "exponent -0.50 where" in alt and "−0.50" in fig.axes[0].get_title(loc="left")
    assert "exponent 0.00." in alt
    fig, alt = DRAWN["amplification"]()
    assert "Post-LN +1.00" in alt and "ends at 1.5, and Pre-LN at 2.0." in alt, "0.5 times log 8 over log 2"
    assert "Post-LN +1.00" in alt and fig.axes[0].get_title(loc="left").endswith("exponent 1.0")
    assert "k^−" in DRAWN["distance"]()[0].axes[0].get_title(loc="left")


def test_the_rate_figure_counts_who_is_stuck():
    fig, alt = drawings.draw_rate(grid(), 1e-2)
    assert fig.axes[0].get_title(loc="left") == "Rate 0.01: Post-LN is stuck in 2 of 2 runs"
    assert "Post-LN ends at 3.5 (2 of 2 stuck)" in alt and "Pre-LN ends at 0.01;" in alt
    fig, alt = drawings.draw_rate(grid(stuck=()), 1e-2)
    assert fig.axes[0].get_title(loc="left") == "Rate 0.01: every arm trains" and "stuck" not in alt


def test_the_token_figure_claims_what_its_runs_show():
    assert "make all tokens one" in DRAWN["tokens"]()[0].axes[0].get_title(loc="left")
    part = replace(run("post", 3.5), cosines=[[0.5, 0.9, 0.6]] * 2)
    assert "make all tokens one" not in drawings.draw_token_collapse(part, run("pre", 0.1))[0].axes[
        0
    ].get_title(loc="left")


def test_the_depth_frame_says_its_setting_and_its_ratio():
    fig, alt = drawings.draw_depth(frame())
    assert fig.get_suptitle().startswith("6 layers, linear: Post-LN's last to first is 2.0 to 1")
    assert "Post-LN ratio 2.0, final loss 0.1" in alt
    assert len(fig.legends[0].get_texts()) == 5


def test_tables_show_medians_and_who_is_stuck():
    header, rows = drawings.table_of_finals(grid())
    assert header == [
        "placement",
        "0.001",
        "0.001, warm-up",
        "0.003",
        "0.003, warm-up",
        "0.01",
        "0.01, warm-up",
    ]
    assert rows[0] == ["Post-LN", "0.010", "0.010", "0.010", "0.010", "3.500 (2 stuck)", "0.010"]
    assert [row[0] for row in rows] == list(drawings.NAMES.values())
    gradients = {"xavier": profile("post", 4, 2.0), "linear": profile("post", 4, 0.5)}
    header, rows = drawings.table_of_starts(
        gradients, {s: distance() for s in gradients}, {s: amplification() for s in gradients}, grid()
    )
    assert rows[3] == ["Post-LN: amplification at 8 layers (exponent)", "8.0 (1.0)", "8.0 (1.0)"]
    assert rows[4][1:] == ["2.0 (1.0)", "2.0 (1.0)"]
    assert header == ["effect", "xavier", "linear"] and [row[1:] for row in rows[:2]] == [
        ["4.0", "1.0"],
        ["3.5", "0.02"],
    ]
    assert rows[2][1] == "-0.50"


def test_ratios_and_slopes_are_tabled():
    header, rows = drawings.table_of_ratios([replace(frame(), start="xavier"), frame()])
    assert header == ["layers", "Post-LN", "Pre-LN", "sandwich", "DeepNorm", "ResiDual"]
    assert rows == [["6", *["2.0 (1.15)"] * 5]], "the fifth root of 2"
    header, rows = drawings.table_of_slopes(distance())
    assert header == ["placement", "exponent of k", "over seeds"]
    assert rows[0] == ["Post-LN", "-0.50", "-0.50 to -0.50"] and len(rows) == 4


def test_the_language_table_shows_mean_and_range_in_bits():
    from math import log

    runs = [LanguageRun("post", 1e-3, seed, [], bits * log(2)) for seed, bits in enumerate((2.0, 2.5, 3.0))]
    header, rows = language_drawings.table_of_language(runs)
    assert header == ["placement", "rate 0.001"] and rows == [["Post-LN", "2.500 [2.000, 3.000]"]]
    header, rows = language_drawings.table_of_language([*runs, LanguageRun("pre", 5e-4, 0, [], log(2))])
    assert rows == [
        ["Post-LN", "not run", "2.500 [2.000, 3.000]"],
        ["Pre-LN", "1.000 [1.000, 1.000]", "not run"],
    ]


def test_the_warm_up_table_shows_what_it_gains_from_seed_to_seed():
    from math import log

    runs = [
        WarmUpRun(placement, 1e-3, seed, [], (2.0 + 0.5 * seed - gain * (warmup > 0)) * log(2), warmup)
        for placement, gain in (("post", 0.0), ("pre", 0.25), ("dual-residual", -0.125), ("deepnorm", 0.5))
        for warmup in (0, 100)
        for seed in (0, 1)
    ]
    header, rows = language_drawings.table_of_warm_up(runs)
    assert header == ["placement", "no warm-up", "100 steps of it", "gain, by seed"]
    assert rows[0] == ["Post-LN", "2.250 [2.000, 2.500]", "2.250 [2.000, 2.500]", "+0.000 to +0.000"]
    assert [row[3] for row in rows[1:]] == ["+0.250 to +0.250", "−0.125 to −0.125", "+0.500 to +0.500"]


def test_every_placement_has_a_name_and_its_own_picture():
    assert set(drawings.NAMES) == set(PLACEMENTS)
    words = {drawings.draw_placement(p)[1] for p in PLACEMENTS}
    assert len(words) == len(PLACEMENTS)
    assert re.search("running sum", drawings.draw_placement("dual-residual")[1])
    assert re.search("after scale", drawings.draw_placement("deepnorm")[1])


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.553, "0.55"), (1.27, "1.3"), (9.97, "10"), (90.4, "90"), (3127.0, "3,100")]
)
def test_ratios_are_written_without_an_exponent(ratio, text):
    assert drawings._plain(ratio) == text
