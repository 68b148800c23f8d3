"""Figures and tables of messages and of depth: drawn whole, and telling what the data say."""

from dataclasses import replace

import pytest
from drawn import check_drawing

from papertrail.gopher import depth_drawings, message_drawings
from papertrail.gopher.depth import ARMS, DepthGradients, DepthTraining
from papertrail.gopher.messages import CASES, Messages, StepMessages


def messages(sums: int = 2048) -> Messages:
    def step(norm, kept):
        own = 8 if norm == "SyncBatchNorm" else 0
        buffers = [4000, 96] if norm.endswith("BatchNorm") and kept else []
        return StepMessages(norm, kept, 1, [10**6] * 2, buffers, [2052] * own, [sums] * own, 12.345)

    return Messages([step(*case) for case in CASES], 2, "gloo")


def gradients(rms: float = 1.0) -> list[DepthGradients]:
    def rows(norm, depth):
        size = {"LayerNorm": 1.0, "RMSNorm": rms, "none": 1e5}[norm]
        return [[size * (1 + 0.1 * seed)] * depth for seed in range(4)]

    return [
        DepthGradients(rows(norm, depth), placement, norm, depth, 4)
        for depth in (12, 24)
        for placement, norm in ARMS
    ]


def trained(mean: float = 0.0) -> list[DepthTraining]:
    def loss(placement, norm):
        return 5000.0 if norm == "none" else 2.7 if placement == "post" else 1.8

    return [
        DepthTraining([[loss(*arm) + 0.01 * seed] * 20 for seed in range(3)], *arm, depth, 0.01, shift, 3)
        for depth in (12, 24)
        for shift in (0.0, 0.2)
        for arm in ARMS
        if not (shift and (arm[1] == "none" or depth == 24))
    ]


DRAWINGS = {
    "messages": lambda: message_drawings.draw_messages(messages()),
    "gradients": lambda: depth_drawings.draw_depth_gradients(gradients(), 24),
    "training": lambda: depth_drawings.draw_depth_training(trained(), 0.01),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_whole(name):
    check_drawing(DRAWINGS[name])


def test_the_headline_counts_what_synchronizing_adds():
    fig, alt = message_drawings.draw_messages(messages())
    assert fig._suptitle.get_text() == "To synchronize: 16 calls more, 1.6% more bytes"
    assert "SyncBatchNorm 20 calls and 36.9 kB" in alt and "BatchNorm, alone 2 calls and 0.0 kB" in alt
    assert "2.0 MB in 2 calls" in alt
    fig, _ = message_drawings.draw_messages(messages(sums=20480))
    assert "9.0% more bytes" in fig._suptitle.get_text()


def test_times_are_told_to_two_digits():
    header, rows = message_drawings.table_of_times({4: messages(), 2: messages()})
    assert header == ["norm", "calls", "2 processes (ms)", "4 processes (ms)"]
    assert rows[0] == ["no norm", "2", "12", "12"] and len(rows) == len(CASES)


def test_a_difference_at_the_start_is_said_only_where_it_stands_out():
    fig, alt = depth_drawings.draw_depth_gradients(gradients(), 24)
    assert fig._suptitle.get_text() == "24 blocks, at the start: no difference stands out"
    assert "Pre, first block 1.00 (1.00 to 1.00)" in alt and "median of 4 seeds" in alt
    fig, alt = depth_drawings.draw_depth_gradients(gradients(2.0), 24)
    assert "a difference in 4 of 4 cases" in fig._suptitle.get_text()
    assert "Post, last block 2.00 (2.00 to 2.00)" in alt


def test_the_tables_of_gradients_have_a_row_for_each_depth():
    header, rows = depth_drawings.table_of_gradients(gradients(2.0))
    assert header[1:] == ["Pre, LayerNorm", "Pre, RMSNorm", "Post, LayerNorm", "Post, RMSNorm", "no norm"]
    assert rows[1] == ["24", "1.15 / 1.15", "2.30 / 2.30", "1.15 / 1.15", "2.30 / 2.30", "10^5 / 10^5"]
    header, rows = depth_drawings.table_of_ratios(gradients(2.0))
    assert header == [
        "blocks",
        "Pre, first block",
        "Pre, last block",
        "Post, first block",
        "Post, last block",
    ]
    assert rows[0] == ["12", *["2.00 (2.00 to 2.00)"] * 4]


def test_losses_are_told_by_arm_and_what_is_off_the_page_is_called_so():
    fig, alt = depth_drawings.draw_depth_training(trained(), 0.01)
    assert fig._suptitle.get_text() == "Rate 0.01: Pre fails in 0 of 12 runs, Post in 12"
    assert "Pre, RMSNorm 1.81 at 12, 1.81 at 24" in alt and "no norm above 3 at 12, above 3 at 24" in alt
    assert "Post, LayerNorm 2.71 at 12" in alt and "medians of 3 seeds" in alt


def test_shifted_weights_stand_beside_ordinary_ones():
    runs = [replace(run, losses=[[2.5] * 20] * 3) if run.weight_mean else run for run in trained()]
    header, rows = depth_drawings.table_of_shifted(runs)
    assert header == ["arm", "weights around 0", "weights around 0.2"]
    assert rows[1] == ["Pre, RMSNorm", "1.81 (1.80 to 1.82)", "2.50 (2.50 to 2.50)"] and len(rows) == 4


def test_post_from_smaller_weights_has_both_norms_side_by_side():
    def run(depth, norm, loss):
        losses = [[loss + 0.01 * seed] * 20 for seed in range(3)]
        return DepthTraining(losses, "post", norm, depth, 1e-3, 0.0, 3, "linear")

    runs = [run(depth, *arm) for depth in (12, 24) for arm in (("LayerNorm", 1.7), ("RMSNorm", 1.8))]
    header, rows = depth_drawings.table_of_smaller_start(trained() + runs)
    assert header == ["blocks", "Post, LayerNorm", "Post, RMSNorm"]
    assert rows == [[str(n), "1.71 (1.70 to 1.72)", "1.81 (1.80 to 1.82)"] for n in (12, 24)]
