"""Figures and tables of sizes and scores say what was computed, and the moving one stays light."""

import gzip

import pytest
from drawn import check_drawing

from papertrail.figures import moving_html
from papertrail.gopher import accounting, scaling, scores
from papertrail.gopher import accounting_drawings as counted
from papertrail.gopher import published as paper
from papertrail.gopher import scaling_drawings as scaled


@pytest.fixture(scope="module")
def gopher():
    return accounting.measure_models(paper.gopher_models())


@pytest.fixture(scope="module")
def found():
    return scaling.measure_scaling()


def test_figures_of_parameters_keep_to_the_rules_and_give_their_numbers(gopher):
    chinchilla = accounting.measure_models(paper.chinchilla_shapes())
    check_drawing(lambda: counted.draw_thirteenth(gopher, chinchilla))
    fig, alt = counted.draw_thirteenth(gopher, chinchilla)
    assert fig._suptitle.get_text() == "With the 13th d², 48 of 56 counts fit; without it, 0"
    assert "4.7 to 9.0 percent too low" in alt and "within 0.97 million" in alt
    check_drawing(lambda: counted.draw_parts(gopher))
    assert "280B: feed-forward 61.4, attention 30.7, relative positions 7.7" in counted.draw_parts(gopher)[1]


def test_figures_of_scaling_keep_to_the_rules(found):
    for draw in (
        lambda: scaled.draw_slopes(found),
        lambda: scaled.draw_above_chance(scaling.measure_above_chance()),
        lambda: scaled.draw_data_gain(scores.measure_data_gain()),
        lambda: scaled.draw_group(found[1]),
    ):
        check_drawing(draw)


def test_a_frame_gives_every_slope_the_chance_and_gopher_only_where_it_was_measured(found):
    fig, alt = scaled.draw_group(found[0])
    assert fig._suptitle.get_text() == "Cloze (LAMBADA): +23.2 ± 7.2 points"
    assert "OPT, 0 shots 38 to 74 percent, +13.2 ± 3.4 points" in alt and "Guessing gives 0 percent" in alt
    assert alt.endswith("Gopher, in its own evaluation: 74.5 percent.")
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert "Gopher, published" in labels
    fig, alt = scaled.draw_group(found[5])
    assert "Gopher" not in alt
    assert "Gopher, published" not in [text.get_text() for text in fig.legends[0].get_texts()]


def test_a_frames_lines_are_the_scores_in_percent(found):
    fig, _ = scaled.draw_group(found[0])
    first = fig.axes[0].containers[0].lines[0]
    assert list(first.get_ydata()) == pytest.approx([100 * s for s in found[0].curves[0].scores])
    assert list(first.get_xdata()) == list(found[0].curves[0].parameters)


def test_the_moving_figure_of_ten_groups_is_light(found):
    page = moving_html(
        scaled.draw_group,
        [(row.group.name, row) for row in found],
        name="families",
        question="Which kinds rise?",
    )
    assert page.count("<svg") == 10 and len(gzip.compress(page.encode())) < 30_000


def test_the_headline_of_slopes_is_their_range(found):
    fig, alt = scaled.draw_slopes(found)
    assert fig._suptitle.get_text() == "Comprehension: 7 to 25 points; logic: 1 to 4"
    assert alt.count("±") == 40


def test_tables_say_what_there_is_and_what_there_is_not(gopher, found):
    _, rows = scaled.table_of_slopes(found)
    assert [row[1] for row in rows] == ["2", "0", "0", "7"] and rows[1][2] == "no such task"
    assert rows[0][2:] == ["6.7 to 25.4", "2 of 2"] and rows[3][2:] == ["1.2 to 3.7", "0 of 7"]
    _, rows = counted.table_of_parameters(gopher)
    assert rows[-1] == ["Gopher 280B", "258.24B", "279.71B *", "280.24B *", "7.7%", "1"]
    assert [sum("*" in cell for cell in column) for column in zip(*rows, strict=True)] == [0, 0, 6, 2, 0, 0]
    _, rows = counted.table_of_flops(gopher)
    assert rows[0][2:4] == ["1.35e20", "7.62e19 (0.97)"] and rows[-1][-1] == "6.31e23"
    _, rows = counted.table_of_ratios()
    assert all(row[1] == row[2] != row[3] for row in rows)
    _, rows = counted.table_of_hardware(accounting.measure_hardware())
    assert ["energy", "1,066 MWh", "1,066 MWh"] in rows and [
        "activations of one sequence",
        "160 GiB",
        "",
    ] in rows


def test_the_small_model_adds_up_by_hand():
    """L = 2, d = k = 4, f = 16, V = 10: 8 × 16 + 2 × 16 + 4 × 64 + 40 + 20 + 2 × 44."""
    _, rows = counted.table_of_one_layer()
    assert [row[3] for row in rows] == ["128", "32", "256", "40", "20", "88", "564"]
