"""The schedules' figures say what the schedules give, and a frame of the moving figure says who learns at what rate."""

import math
from dataclasses import replace

import pytest
from drawn import check_drawing

from papertrail.figures import to_svg
from papertrail.ulmfit.fine_tuning import FineTuningHistory
from papertrail.ulmfit.schedule_drawings import (
    alt_unfreezing,
    draw_published_goes_negative,
    draw_schedules,
    draw_unfreezing,
)
from papertrail.ulmfit.schedules import rates_over_time

NAMES = ["embedding", "LSTM 1", "LSTM 2", "LSTM 3", "head"]


def history(method="gradual", groups=4, epochs=6, steps=40, schedule="slanted-triangular", **options):
    table = rates_over_time(method, schedule, 0.01, groups, epochs, steps, **options)
    losses = [0.2 + math.exp(-i / 60) + 0.1 * math.sin(i) for i in range(len(table.rates))]
    return FineTuningHistory(method, NAMES[-groups:], table.rates, losses, table.epochs_at())


RUNS = {
    "gradual": history(),
    "five groups, restarted": history("scripts", 5, 9, 60, "scripts", restart=True),
    "chain-thaw": history("chain-thaw", 3, 4, 5, "constant", factor=1),
    "one step": FineTuningHistory("full", ["head"], [[0.01]], [0.7], [0]),
}


def words(drawing):
    fig, _ = drawing
    return [text.get_text() for ax in fig.axes for text in ax.texts]


@pytest.mark.parametrize("draw", [draw_schedules, draw_published_goes_negative])
def test_figures_of_schedules_keep_to_the_rules(draw):
    check_drawing(draw)


@pytest.mark.parametrize("name", ["five groups, restarted", "chain-thaw", "one step"])
def test_frames_keep_to_the_rules(name):
    run = RUNS[name]
    check_drawing(lambda: draw_unfreezing(run, len(run.losses) // 3))


def test_the_schedules_figure_gives_every_start_peak_and_end():
    _, alt = draw_schedules()
    assert "slanted triangle: starts at 0.0312, peaks at 10% of the run, ends at 0.0312" in alt
    assert "warm-up, then linear: starts at 0, peaks at 10% of the run, ends at 0" in alt
    assert "the scripts' triangle: starts at 0.125, peaks at 33% of the run, ends at 0.125" in alt
    assert "cosine: starts at 1, peaks at 0% of the run, ends at 0" in alt


def test_the_printed_formula_is_drawn_below_zero_and_the_others_are_not():
    fig, alt = draw_published_goes_negative()
    printed, guarded, scripts = (line.get_ydata() for line in fig.axes[0].lines[:3])
    assert min(printed) == pytest.approx((1 - 8 / 9 * 31) / 32) and min(guarded) == pytest.approx(1 / 32)
    assert min(scripts) == pytest.approx(1 / 32) and min(scripts[1:]) > 1.5 / 32
    assert "negative from step 11 on" in alt and "as printed −0.83" in alt and "with p ≥ 0 0.031" in alt
    assert fig._suptitle.get_text() == "As printed, a run of 19 steps ends at −0.83 of its peak"
    assert "never negative" in draw_published_goes_negative(20)[1]


def test_a_frame_names_the_frozen_groups_and_writes_the_others_rates():
    run = RUNS["gradual"]
    assert words(draw_unfreezing(run, 24)) == [" frozen", " frozen", " frozen", " 0.01"]
    rate = (1 + (1 - (80 - 24) / 216) * 31) / 32 * 0.01  # step 80 of 240: epoch 3 begins, three groups learn
    expected = [f" {rate / 2.6**2:.4f}", f" {rate / 2.6:.4f}", f" {rate:.4f}"]
    assert words(draw_unfreezing(run, 80)) == [" frozen", *expected]
    fig, _ = draw_unfreezing(run, 80)
    assert fig._suptitle.get_text() == "Epoch 3, step 80: 3 of 4 groups learn"
    assert sum(bool(patch.get_hatch()) for patch in fig.axes[0].patches) == 1


def test_a_frozen_group_has_no_line_and_a_late_one_starts_where_it_is_unfrozen():
    curves = draw_unfreezing(RUNS["gradual"], 0)[0].axes[1].lines
    for line, begins in zip(curves[:4], (120, 80, 40, 0), strict=True):
        drawn = [x for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True) if not math.isnan(y)]
        assert drawn[0] == begins and drawn[-1] == 239
    assert max(curves[3].get_ydata()) == pytest.approx(0.01)  # thinning keeps the peak


def test_the_cursor_and_the_words_follow_the_step():
    run = replace(RUNS["gradual"], losses=[2.0] * 120 + [0.5] * 120)
    fig, alt = draw_unfreezing(run, 199)
    for ax in fig.axes[1:]:
        upright = [line.get_xdata()[0] for line in ax.lines if list(line.get_ydata()) == [0, 1]]
        assert upright == [199]
    assert alt == alt_unfreezing(run, 199)
    assert alt.startswith(
        "Gradual, step 199 of 240, epoch 5 of 6. Learning rates from the top: head 0.0022, LSTM 3 "
    )
    assert alt.endswith("Training loss near this step 0.50, at the start 2.00, at the end 0.50.")
    assert "LSTM 1 frozen" in alt_unfreezing(run, 60).replace("embedding", "LSTM 1")


def test_a_log_axis_writes_its_ticks_out():
    fig, _ = draw_unfreezing(RUNS["gradual"], 100)
    labels = [label.get_text() for label in fig.axes[1].get_yticklabels()]
    assert labels == ["0.0001", "0.001", "0.01"]


@pytest.mark.parametrize(("name", "step"), [("gradual", 0), ("five groups, restarted", 30)])
def test_a_frame_stays_small(name, step):
    size = len(to_svg(*draw_unfreezing(RUNS[name], step), prefix="unfreezing-0").encode())
    assert size < (15_000 if name == "gradual" else 18_000)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"group_names": []}, "group_names: got 0; allowed are 1 to 5"),
        ({"losses": [1.0]}, "losses: got 1; allowed are 240, one for each step"),
        ({"losses": [math.nan] * 240}, "losses: allowed are finite numbers from 0 up, not all of them 0"),
        ({"losses": [0.0] * 240}, "losses: allowed are finite"),
        ({"group_names": ["a", "b"]}, "rates: a step has 4 groups; allowed are 2"),
        ({"rates": [[0.0] * 4] * 240}, "rates: all are 0"),
        ({"epochs_at": [1, 2]}, r"epochs_at: got \[1, 2\]; allowed are rising steps that start at 0"),
        ({"epochs_at": [0, 240]}, r"epochs_at: got \[0, 240\]"),
        ({"epochs_at": [0, 9, 9]}, r"epochs_at: got \[0, 9, 9\]"),
    ],
)  # fmt: skip
def test_a_history_that_does_not_fit_together_is_named(change, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        alt_unfreezing(replace(RUNS["gradual"], **change), 0)


@pytest.mark.parametrize("step", [-1, 240])
def test_a_step_outside_the_run_is_named(step):
    for what in (draw_unfreezing, alt_unfreezing):
        with pytest.raises(ValueError, match=f"^step: got {step}; allowed are 0 to 239"):
            what(RUNS["gradual"], step)
