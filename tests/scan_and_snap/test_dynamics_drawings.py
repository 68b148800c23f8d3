"""Figures and tables of the theorems say what was computed."""

import pytest
from drawn import check_drawing

from papertrail.scan_and_snap import dynamics_drawings as drawn
from papertrail.scan_and_snap import expected as ex
from papertrail.scan_and_snap import theorems as th


@pytest.fixture(scope="module")
def run():
    return ex.measure_expected(ex.shared_query(0), 1.0, 0.2, 400)


@pytest.fixture(scope="module")
def speed():
    language = ex.shared_query(0, classes=4, distinct=25, share=0.05)
    return th.measure_speed(ex.measure_expected(language, 0.5, 0.0125, 300))


def test_the_smallest_case_can_be_followed_with_a_pencil():
    """f = 1/sqrt 2 each; Y = 4/2 * f (1/2); p = 1 / (1 + 1/e); g = sqrt 2 * Y * (1 - p) and so on, to three places."""
    header, rows = drawn.table_by_hand()
    assert rows[0][1:] == ["+0.500", "+0.707", "+0.707", "+0.000", "+0.000", "+0.000", "−0.134", "−0.134"]
    assert rows[1][1:] == ["+0.500", "+0.707", "+0.000", "+0.707", "−0.707", "+0.380", "+0.134", "+0.067"]
    assert rows[2][1:] == ["+0.000", "+0.000", "+0.707", "−0.707", "+0.707", "−0.380", "+0.000", "+0.067"]
    assert len(header) == len(rows[0])
    moved = ex.measure_expected(
        ex.Language(ex.torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]], dtype=ex.DTYPE), (0, 0)),
        4.0,
        1.0,
        2,
        outputs=2,
    )
    assert [f"{z:+.3f}".replace("-", "−") for z in moved.z[2, 0].tolist()] == [row[-1] for row in rows]


def test_every_figure_keeps_to_the_rules(run, speed):
    drifts, growth = ex.measure_drift((1.0, 10.0), steps=90, seeds=2), th.measure_growth(points=80)
    for draw in (
        lambda: drawn.draw_logits(run),
        lambda: drawn.draw_speed(speed),
        lambda: drawn.draw_drift(drifts),
        lambda: drawn.draw_growth(growth),
    ):
        check_drawing(draw)


def test_the_logits_are_drawn_with_the_snap_and_the_headline_follows_the_signs(run):
    fig, alt = drawn.draw_logits(run)
    assert fig._suptitle.get_text() == "Common down, distinct up, then slowly"
    assert "Dotted t0' = 15, dashed t0 = 30." in alt
    common, own = fig.axes
    assert list(common.lines[0].get_ydata()) == run.z[1:, 0, 0].tolist()
    assert [line.get_xdata()[0] for line in common.lines[1:]] == pytest.approx([15.22, 30.45], abs=0.01)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["0.18", "0.17", "0.14", "0.10"]
    ends = [line.get_ydata()[-1] for line in own.lines[:4]]
    assert ends == sorted(ends, reverse=True)
    wrong = ex.measure_expected(ex.shared_query(0), 1.0, 10.0, 60)
    assert drawn.draw_logits(wrong)[0]._suptitle.get_text() == "Not every sign is theorem 2's"


def test_the_speeds_figure_gives_peak_and_error(speed):
    fig, alt = drawn.draw_speed(speed)
    assert fig._suptitle.get_text() == "The signal peaks at step 32 and then fades"
    assert "within 1.0% at every step" in alt and "At t0' = 37 the rising law is 4.62" in alt


def test_the_drifts_figure_gives_the_median_and_the_worst():
    found = [
        ex.Drift(1.0, [0.05, 0.08, 0.06], [0.01, 0.02, 0.03], 9),
        ex.Drift(40.0, [0.004, 0.005, 0.009], [0.001, 0.004, 0.002], 9),
    ]
    fig, alt = drawn.draw_drift(found)
    assert fig._suptitle.get_text() == "A faster decoder: drift 6.0% to 0.5%"
    assert "8.00% at 1; 0.90% at 40 times" in alt and "worst class of 3 random languages" in alt
    assert "down to 28% of the attention, medians: 2.00%, 0.20%" in alt


def test_figure_3_names_its_snaps_and_ends():
    _, alt = drawn.draw_growth(th.measure_growth(points=300))
    assert "0.5: 138, 276 and 47; 1: 69, 138 and 36; 2: 35, 69 and 27; 5: 14, 28 and 19." in alt


def test_tables_say_what_was_measured(run, speed):
    header, rows = drawn.table_of_theorems(run, speed)
    measured = dict(rows)
    assert header == ["statement", "measured"]
    assert measured["1: speed γ(t)"] == "within 1.0% at each of 300 steps"
    assert (
        measured["2: distinct tokens gain"]
        == measured["2: a single common token loses"]
        == "100% of the moves"
    )
    assert measured["3: z in the order of P"] == "5 of 5 classes"
    assert measured["3: bounds on χ"].count("<") == 2 and "broken" not in measured["3: bounds on χ"]
    assert measured["4: power of t up to t0' (toward 2)"] == "1.2"
    case = th.Consequence(2.0, 0.2, [9, 11, 10], [1.5, 1.7, 1.6], [0.1, 0.2, 0.3])
    assert drawn.table_of_consequences([case])[1] == [["2, 0.2", "10", "1.600", "0.200"]]
    skewed = [ex.Skewed(0.12, 0.5, -0.1, -0.2), ex.Skewed(0.11, 0.04, 0.1, 0.2)]
    assert drawn.table_of_skewed(skewed)[1] == [
        ["0.50", "0.12", "loses", "−0.200"],
        ["0.04", "0.11", "gains", "+0.200"],
    ]
