"""Figures say what was measured: titles and alternative texts follow the data, and nothing leaves the frame."""

from dataclasses import replace

import pytest
import torch
from drawn import check_drawing

from papertrail.fast_weights import cost_drawings, drawings, drawings_1992
from papertrail.fast_weights.cost import Cost, CostRecord, Decoding
from papertrail.fast_weights.measurements import Equivalence, FormDifferences, Stability
from papertrail.fast_weights.performer import measure_kernel_error
from papertrail.fast_weights.retrieval import Recall, TrainedRecall
from papertrail.fast_weights.tasks_1992 import FlipFlop, Parking, Trace

LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
PER_POSITION = {  # seconds for each position; softmax takes 2e-8 for each pair
    "linear": 4e-6, "delta": 8e-6, "linear, map excluded": 3e-6, "fast-transformers, native": 6e-6,
    "fast-transformers, as shipped": 9e-6, "fla naive chunk": 9e-6, "fla naive chunk, our layout": 8e-6,
    "performer-pytorch": 2e-4,
}  # fmt: skip


def three(seconds):
    return [0.9 * seconds, seconds, 1.1 * seconds]


def record():
    costs = []
    for n in LENGTHS:
        rows = {way: slope * n for way, slope in PER_POSITION.items()} | {"fused softmax": 2e-8 * n * n}
        if n <= 4096:
            rows |= {"naive softmax": 8e-8 * n * n, "fla naive chunk, delta": 4e-5 * n}
        if n <= 1024:
            rows |= {"cumulative sum": 4e-4 * n, "delta, step by step": 1e-4 * n}
        weights = {
            "naive softmax": n * n / 1e4,
            "linear": n / 124.12,
            "delta": n / 60,
            "fused softmax": n / 100,
        }
        costs += [Cost(way, n, three(t / 3), three(t), weights.get(way)) for way, t in rows.items()]
    decoding = [Decoding(n, 1e-7 * n, 3e-5, 2048 * n, 66_560) for n in (256, 1024, 4096, 16384)]
    return CostRecord(costs, decoding, [80.0, 90.0, 95.0], 8, 64)


def capacity():
    features = {"elu+1": 8, "dpfp-1": 16, "dpfp-2": 32, None: None}
    return [
        TrainedRecall([0.1, 0.2], [0.5, 0.4], "softmax" if m is None else "sum", m, n, s, s, 8, 600, 2)
        for m, n in features.items() for s in (4, 8, 12, 16, 24, 32)
    ]  # fmt: skip


def editing():
    return [
        TrainedRecall([0.001, 0.002] if rule == "delta" else [0.2, 0.21], [1.0, 1.0], rule, m, 8, 8, 16, 8, 800, 2)
        for rule, m in (("sum", "elu+1"), ("delta", "elu+1"), ("delta", "dpfp-1"), ("softmax", None))
    ]  # fmt: skip


def flip_flop(interface, solved):
    return FlipFlop(solved, 4000, 1.0, interface, 10.0, "request", [None] * len(solved), torch.zeros(1), [])


def trace():
    fast = torch.zeros(13, 3, dtype=torch.float64)
    fast[2:5, 1] = 0.98
    outputs, targets = (torch.zeros(12, dtype=torch.float64) for _ in range(2))
    outputs[4] = targets[4] = 1.0
    return Trace("CACCBABCBABC", fast, outputs, targets)


def recalls(lengths=None):
    if lengths:
        return [Recall({"sum": 0.4 * i, "delta": 0.0}, 4, n, 16, 9) for i, n in enumerate(lengths)]
    return [Recall({"sum": 0.03 * i, "delta": 0.02 * i}, n, n, 16, 9) for i, n in enumerate((4, 8, 16, 32))]


DRAWN = {
    "writes": lambda: drawings.draw_writes(5),
    "recall": lambda: drawings.draw_recall(recalls(), recalls((4, 8, 16))),
    "capacity": lambda: drawings.draw_capacity(capacity()),
    "editing": lambda: drawings.draw_editing(editing(), 0.185),
    "flip-flop": lambda: drawings_1992.draw_flip_flop(
        [flip_flop("units", 10 * [20, 290, 700, None]), flip_flop("from-to", 10 * [900, 1200, 700, 3000])],
        (300, 800),
    ),
    "passing": lambda: drawings_1992.draw_passing(trace(), 5),
    "cost": lambda: cost_drawings.draw_cost(record()),
    "memory": lambda: cost_drawings.draw_memory(record()),
    "short": lambda: cost_drawings.draw_length(record(), 64),
    "long": lambda: cost_drawings.draw_length(record(), 16384),
    "crossovers": lambda: cost_drawings.draw_crossovers(record()),
    "decoding": lambda: cost_drawings.draw_decoding(record()),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_words_stays_in_its_frame_and_leaves_the_readers_style_alone(name):
    check_drawing(DRAWN[name])


def title(fig, i=0):
    return fig.axes[i].get_title(loc="left")


def test_the_writes_figure_holds_both_matrices_and_every_error():
    fig, alt = DRAWN["writes"]()
    assert fig.get_suptitle() == "write 5: b → 3, 0"
    assert "sum rule: matrix 1.6 3.6; 6.8 0.8, errors by key a 3.05, b 3.88, c 5.69" in alt
    assert "delta rule: matrix −0.84 1.24; 3 0, errors by key a 0.87, b 0, c 0.93" in alt
    assert {text.get_text() for text in fig.axes[1].texts} == {"−0.84", "1.24", "3", "0"} or any(
        {"−0.84", "1.24"} <= {text.get_text() for text in ax.texts} for ax in fig.axes
    )


def test_the_flip_flop_figure_counts_who_is_as_quick_as_the_paper():
    fig, alt = DRAWN["flip-flop"]()
    assert fig.get_suptitle() == "As quick as the paper: about 20 and 10 of 40 seeds"
    assert "about 20 within the paper's 300 steps, 30 within 4000" in alt
    assert "about 10 within the paper's 800 steps, 40 within 4000" in alt


def test_the_passing_figure_shows_what_was_read_and_hides_what_comes():
    fig, alt = DRAWN["passing"]()
    assert fig.get_suptitle() == "Step 5 reads B: B's line is at 1.0, the answer is 1.0"
    assert "0.00, 0.98, 0.00" in alt and "wanted 1" in alt and "is at 0.00" in alt
    assert len(fig.axes[0].patches) == 15, "three squares for each of five steps"


def test_the_cost_figures_name_the_crossover_and_the_winner():
    fig, alt = DRAWN["cost"]()
    assert title(fig) == "At 4,096 positions linear is 20 times as fast"
    assert "from about 200 positions" in alt
    assert DRAWN["short"]()[0].get_suptitle() == "T = 64: linear is 3.1 times as slow"
    assert DRAWN["long"]()[0].get_suptitle() == "T = 16,384: linear is 81.9 times as fast"
    assert "naive softmax not measured" in DRAWN["long"]()[1]
    assert "naive softmax 0.33 ms" in DRAWN["short"]()[1]


def test_crossovers_that_were_not_reached_are_marked_as_extrapolated():
    found = {way: cost_drawings.measured_crossover(record(), way) for way in cost_drawings.AGAINST}
    assert found["linear"][0] == pytest.approx(200) and found["linear"][1]
    assert found["performer-pytorch"] == (pytest.approx(10_000), True)
    assert found["cumulative sum"] == (pytest.approx(20_000), False)
    assert found["delta, step by step"] == (pytest.approx(5_000), False)
    fig, alt = DRAWN["crossovers"]()
    assert "cumulative sum 20,000 (extrapolated)" in alt and "performer-pytorch 10,000." not in alt
    assert fig.get_suptitle().endswith("100 times apart")  # 20,000 over 150, to one digit
    hollow = [line for line in fig.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert len(hollow) == 2


def test_growth_and_the_share_of_the_peak_follow_the_record():
    assert cost_drawings.growth(record(), "linear", 1024, 16384) == pytest.approx(1)
    assert cost_drawings.growth(record(), "fused softmax", 1024, 16384) == pytest.approx(2)
    flops = 4096 * 8 * (24_576 + 15 * 64 * 64)
    assert cost_drawings.peak_share(record()) == pytest.approx(flops / (3e-6 * 4096) / 90e9)


def test_the_benchmark_table_compares_like_with_like():
    header, rows = cost_drawings.table_of_benchmark(record())
    table = {row[0]: row for row in rows}
    assert table["fast-transf., shipped"][-1] == "3.0"
    assert table["fla naive, delta"][-1] == "5.0", "against our delta rule"
    assert table["ours, elu+1"][3] == "33" and table["ours, elu+1"][2] == "16.4 (14.7 to 18.0)"
    assert "delta, step by step" not in table and len(header) == len(rows[0])
    _, short = cost_drawings.table_of_benchmark(record(), 1024)
    assert {row[0]: row for row in short}["cumulative sum"][3] == ""


def test_the_capacity_figure_draws_every_seed_and_the_bound():
    fig, alt = DRAWN["capacity"]()
    assert "elu+1 (8 features) 0.150 at 4" in alt and "softmax at most 0.200" in alt
    assert (
        sum(len(line.get_xdata()) for line in fig.axes[0].lines if line.get_linestyle() == "None")
        == 3 * 6 * 2
    )


def test_the_editing_figure_names_ranges_and_the_order_blind_line():
    _, alt = DRAWN["editing"]()
    assert "delta rule, elu+1 0.001 to 0.002" in alt and "softmax 0.200 to 0.210" in alt and "0.185" in alt


def test_parking_and_kernel_tables():
    runs = [Parking([5, None, 900], 6000, 0.02, 0.1, {6000: [0.1, 0.3, 0.2]}, torch.zeros(1))]
    header, rows = drawings_1992.table_of_parking(runs, within=800)
    assert header == ["asked, per step", "solved within 800 steps", "right after 6,000"]
    assert rows == [["0.1", "30% of 3 seeds", "20%"]]
    result = replace(measure_kernel_error((0.15,), draws=50), other_bound=[-0.0155])
    header, rows = drawings.table_of_kernel_errors(result)
    assert [row[1] for row in rows] == ["positive iid", "positive orthogonal"]
    assert "other edition −0.016" in rows[1][3] or "other edition −0.015" in rows[1][3]
    assert "(Lemma 2)" in rows[0][3] and "50 draws" in header[2]


@pytest.mark.parametrize(
    ("value", "text"), [(1.6, "1.6"), (-0.84, "−0.84"), (3.0, "3"), (-0.001, "0"), (0.0, "0"), (10.0, "10")]
)
def test_numbers_are_written_short_with_a_true_minus(value, text):
    assert drawings._number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.000456, "0.46 ms"), (0.061, "61 ms"), (13.1, "13 s"), (1.0, "1 s")]
)
def test_times_are_said_in_two_digits(seconds, text):
    assert cost_drawings._say_time(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(66_560, "65 KiB"), (2**25, "32 MiB"), (2**31, "2 GiB")])
def test_bytes_are_said_in_a_unit_a_person_reads(count, text):
    assert cost_drawings.say_bytes(count) == text


def test_differences_are_said_in_words():
    assert drawings.say_difference(1e-15) == "equal to round-off"
    assert drawings.say_difference(1e-9) == "0% apart" and drawings.say_difference(0.0712) == "7% apart"


def test_tables_of_the_chapter_follow_their_data():
    header, rows = drawings.table_of_writes()
    assert rows[2] == ["a → 0, 1", "a: 1, 3; b: 3, 0", "a: 0, 1; b: 3, 0"] and len(rows) == 5
    sound = Equivalence(1e-15, 1e-6, 0.5, 1e-15, order=0.07, squashed=0.97, whole_request_rank=6, seeds=5)
    _, rows = drawings.table_of_equivalence(sound)
    assert [row[2] for row in rows] == [
        "equal to round-off",
        "7% apart or more",
        "equal to round-off",
        "97% apart or more",
    ]
    _, rows = drawings.table_of_forms(FormDifferences({"delta": 1e-15}, {"delta": 0.5}, 9, 2))
    assert rows == [["delta", "equal to round-off", "50% apart"]]
    _, rows = drawings.table_of_stability(Stability({0.5: 3.0, 1.5: 1e6}, 256, 3))
    assert rows == [["0.5", "0.25", "below 1,000"], ["1.5", "2.25", "beyond 1,000"]]


def test_shares_of_right_answers_are_cut_to_quarters():
    runs = [replace(editing()[0], accuracy=shares) for shares in ([1.0, 0.995], [0.6, 0.7], [0.6, 0.9])]
    assert [row[2] for row in drawings.table_of_answers(runs)[1]] == [
        "all",
        "fewer than three quarters",
        "most",
    ]


def test_what_is_right_afterward_is_counted_among_the_solved():
    wrong = replace(trace(), outputs=torch.zeros(12, dtype=torch.float64))
    run = replace(flip_flop("units", [5, 6, None, 7, 9]), traces=[trace(), wrong, trace(), trace(), trace()])
    assert drawings_1992.table_of_afterwards([run])[1] == [["a unit per fast weight", "0 of 5", "80%"]]


def test_what_is_kept_while_decoding_is_tabled_in_bytes():
    header, rows = cost_drawings.table_of_kept((1024, 131072))
    assert rows[0] == ["1,024", "16 MiB", "1.01 MiB"] and rows[1][1] == "2 GiB"
