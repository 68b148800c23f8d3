"""Figures and tables of the sampled runs follow their data."""

import zlib
from dataclasses import replace

import pytest
import torch
from drawn import check_drawing

from papertrail.figures import moving_html
from papertrail.scan_and_snap import sampled_drawings as drawings
from papertrail.scan_and_snap.measures import attention_in_the_limit
from papertrail.scan_and_snap.recorded_sampled import LongRun, ManySeeds, Sweep
from papertrail.scan_and_snap.sampled import Replay
from papertrail.scan_and_snap.setting import DTYPE, syn_small

LANGUAGE = syn_small()


def run(seed=0, rates=(1.0, 1.0), rarest=-0.1, most=1.0, common=-0.4):
    """A run whose logits grow evenly up to iteration 50 and then stand still."""
    end = torch.full((2, 30), common, dtype=DTYPE)
    for n in (0, 1):
        end[n, LANGUAGE.distinct(n)] = torch.linspace(rarest, most + 0.01 * seed, 10, dtype=DTYPE)
        end[n, LANGUAGE.distinct(1 - n)] = 0
    z = torch.stack([end * min(time, 50) / 50 for time in range(101)])
    c = torch.stack([attention_in_the_limit(LANGUAGE, moment) for moment in z])
    return Replay(
        LANGUAGE, rates, seed, tuple(range(101)), [3.5 * 0.9**t + 0.02 * seed for t in range(100)], z, c
    )


RUNS = [run(0), run(1)]
ADAM = {(0.1, 0.1): [run(0, (0.1, 0.1), 1.5, -0.2, 0.0)], (1.0, 1.0): [run(0, (1.0, 1.0), 5.0, 4.5, 0.0)]}
OFFICIAL = {0: 3.5, 10: 1.22, 20: 0.1}
MANY = ManySeeds([0, 10, 20], [3.4, 1.0, 0.2], [3.5, 1.2, 0.4], [3.6, 1.4, 0.6], [0.1, 0.2], [0.0, 0.1], {})
LONG = LongRun([0, 100, 4000], {"sgd": [[0.06, 0.11, 0.13]], "momentum": [[0.06, 0.2, 0.17]]}, {}, {}, {}, {})


def sweep(change=0.0):
    ratios = {"1": [2.5, 2.6], "2": [2.7, 2.7], "10": [2.8 + change, 2.8 + change]}
    entropy = {start: {"0.5": ratios, "1": ratios} for start in ("zero", "torch")}
    return Sweep(entropy, entropy, {"zero": [2.9, 2.9], "torch": [2.89, 2.91]})


DRAWN = {
    "losses": lambda: drawings.draw_losses(RUNS, OFFICIAL, MANY),
    "rows": lambda: drawings.draw_rows(RUNS),
    "scan-start": lambda: drawings.draw_scan(RUNS, 0),
    "scan-end": lambda: drawings.draw_scan(RUNS, 100),
    "adam": lambda: drawings.draw_adam(RUNS, ADAM),
    "sweep": lambda: drawings.draw_sweep(sweep()),
    "long": lambda: drawings.draw_long_run(LONG),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_words_stays_in_its_frame_and_leaves_the_readers_style_alone(name):
    check_drawing(DRAWN[name])


def test_the_loss_figure_counts_what_falls_outside_either_range():
    assert drawings.places_outside(RUNS, OFFICIAL, MANY) == ([20], [20])
    fig, alt = DRAWN["losses"]()
    assert fig.get_suptitle() == "2 of 3 official losses lie among 2 seeds'"
    assert "outside the range of 2 seeds at 1 of 3" in alt


def test_a_printed_loss_is_compared_to_the_digits_that_are_kept():
    exact = [replace(RUNS[0], losses=[3.52636] * 100)]
    assert (
        drawings.places_outside(exact, {0: 3.526}, ManySeeds([0], [3.52636], [3.5], [3.6], [], [], {}))[0]
        == []
    )
    assert drawings.places_outside(exact, {0: 3.528}, ManySeeds([0], [3.53], [3.5], [3.6], [], [], {})) == (
        [0],
        [0],
    )


def test_the_rows_name_the_top_tokens_shares_and_the_common_ones():
    fig, alt = DRAWN["rows"]()
    first, last = (RUNS[0].distinct[i, 0, -1] + RUNS[1].distinct[i, 0, -1] for i in (0, -1))
    assert fig.get_suptitle() == f"The top distinct token goes from {50 * first:.1f}% to {50 * last:.1f}%"
    assert "0: 64.5, 6.5, 0.6;" in alt


@pytest.mark.parametrize(("time", "title"), [
    (0, "attention is frequency"), (20, "scanning, 45% of the way"), (50, "snapped, 2 of 10 left behind"),
], ids=["start", "scanning", "snapped"])  # fmt: skip
def test_each_frame_says_how_far_it_is(time, title):
    way = f"{drawings._way(RUNS, time):.0%}"
    assert (
        drawings.draw_scan(RUNS, time)[0].get_suptitle() == f"Iteration {time}: {title.replace('45%', way)}"
    )


def test_a_frame_counts_the_tokens_with_more_attention_than_at_the_start():
    assert "0 of 10 have more than at the start; 0% of" in drawings.draw_scan(RUNS, 0)[1]
    grown = sum((r.distinct[-1, 0] > r.distinct[0, 0]).sum() for r in RUNS[:1])
    assert f"{grown} of 10 have more than at the start; 100% of" in drawings.draw_scan(RUNS, 100)[1]


def test_the_moving_figure_is_small_and_has_a_frame_for_each_time():
    frames = [(f"{time}", time) for time in drawings.SCAN_TIMES[:2]]
    page = moving_html(
        lambda time: drawings.draw_scan(RUNS, time), frames, name="scan-time", question="When?"
    )
    each = len(zlib.compress(page.encode())) / 2
    assert each * len(drawings.SCAN_TIMES) < 60_000 and 2 <= len(drawings.SCAN_TIMES) <= 12


def test_adams_figure_says_it_only_where_every_order_is_turned():
    fig, alt = DRAWN["adam"]()
    assert fig.get_suptitle() == "Adam turns the order around"
    assert "SGD, 1: logits 1.00 to 1.00" in alt and "Adam, 0.1: logits −1.00 to −1.00" in alt
    same = drawings.draw_adam(RUNS, {(0.1, 0.1): RUNS})[0]
    assert same.get_suptitle() == "Not every Adam run turns the order around"


def test_the_sweeps_figure_names_the_lowest_entropies_and_the_medians():
    fig, alt = DRAWN["sweep"]()
    assert fig.get_suptitle() == "Entropy falls to 2.5 from zero, 2.5 from torch's start"
    assert "zero, 0.5: 2.55, 2.70, 2.80; zero, 1:" in alt and "torch, 1: 2.55" in alt


def test_the_long_runs_figure_names_both_ends():
    fig, alt = DRAWN["long"]()
    assert fig.get_suptitle() == "After 4,000 steps the top token has 13% or 17%"
    assert "SGD with momentum: 20.0 at 100, 17.0 at 4,000" in alt


def test_the_tables_say_what_the_runs_did():
    header, rows = drawings.table_of_rates({(1.0, 1.0): RUNS, (0.5, 2.0): RUNS})
    assert [row[0] for row in rows] == ["1, 1", "0.5, 2"] and len(header) == len(rows[0])
    nats = (RUNS[0].entropies[-1].mean() + RUNS[1].entropies[-1].mean()) / 2
    assert rows[0][1] == f"{RUNS[0].half_time}" and rows[0][3] == f"{nats:.2f}"
    assert float(rows[0][4]) == pytest.approx(nats.exp().item(), abs=0.06)
    header, rows = drawings.table_of_moves({(1.0, 1.0): RUNS})
    assert (
        rows[0][1] == "−\u2060−"
        and rows[0][10] == "+\u2060+"
        and rows[0][-1] == "all"
        and len(header) == len(rows[0])
    )
    mixed = [run(0, rarest=0.1), run(1, rarest=-0.1)]
    assert drawings.table_of_moves({(1.0, 1.0): mixed})[1][0][1][0] == "·"
    assert drawings.table_of_moves({(1.0, 1.0): [run(common=0.1)]})[1][0][-1] == "0%"


def test_the_table_of_adam_has_the_choice_of_most_cases():
    _, rows = drawings.table_of_adam(RUNS, ADAM)
    assert rows[0] == ["SGD with momentum, 1", "8, 9, 10", "4 of 4", "1.0"]
    top = [sorted(1 + n for n in ADAM[(0.1, 0.1)][0].distinct[-1, 0].topk(3).indices.tolist())]
    assert rows[1] == ["Adam, 0.1", ", ".join(map(str, top[0])), "2 of 2", "−1.0"]
