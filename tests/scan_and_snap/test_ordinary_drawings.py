"""Figures and tables of the ordinary layer say what was measured, whichever way it went."""

from copy import deepcopy

import pytest
from drawn import check_drawing

from papertrail.scan_and_snap import ordinary_drawings as drawings
from papertrail.scan_and_snap.assumptions import ARMS, BASELINE, MEASURES, PREDICTIONS, Assumptions
from papertrail.scan_and_snap.recorded_assumptions import load_assumptions

STEP = {"+": 0.05, "-": -0.05}


def as_predicted():
    """Three seeds in which every difference comes as predicted."""
    usual = {"distinct": 0.8, "common": -0.2, "order": 0.5, "snap": 0.9, "entropy": -0.1}
    values, common = {}, {}
    for arm in ARMS:
        values[arm] = {}
        for measure, value in usual.items():
            expected = "0" if arm == BASELINE else PREDICTIONS[arm][measure][0]
            moves = [STEP[expected]] * 3 if expected in STEP else [0.01, -0.01, 0.0]
            values[arm][measure] = [value + move * (arm != BASELINE) for move in moves]
        common[arm] = [[0.6, 0.5, 0.6 + change] for change in values[arm]["common"]]
    return Assumptions(values, common, {arm: [0.1] * 3 for arm in ARMS}, [0, 10, 20])


def title(drawing):
    return drawing[0]._suptitle.get_text()


@pytest.mark.parametrize(
    "draw", [drawings.draw_predictions, drawings.draw_norm_place], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("found", [load_assumptions, as_predicted], ids=["recorded", "made_up"])
def test_every_figure_is_whole(draw, found):
    result = found()
    check_drawing(lambda: draw(result))


def test_the_title_counts_what_came_as_predicted():
    found = as_predicted()
    drawing = drawings.draw_predictions(found)
    assert title(drawing) == "25 of 25 differences came as predicted"
    assert (
        "Adam − as said, median −0.05" in drawing[1]
        and "3 seeds" in drawing[1]
        and "not" not in drawing[1].split(";")[2]
    )
    found.values["Adam"]["common"] = [value + 0.3 for value in found.values["Adam"]["common"]]
    drawing = drawings.draw_predictions(found)
    assert title(drawing) == "24 of 25 differences came as predicted"
    assert "Adam +, not −, median 0.25" in drawing[1]


def test_marks_lie_at_the_differences_and_tell_right_from_wrong_without_color():
    found = as_predicted()
    found.values["Adam"]["common"] = [0.5, 0.6, 0.7]
    fig, _ = drawings.draw_predictions(found)
    panel = next(ax for ax in fig.axes if ax.get_title(loc="left") == "common tokens' mass")
    rows = {line.get_ydata()[0]: line for line in panel.lines[1:]}
    assert list(rows[1].get_xdata()) == pytest.approx([0.7, 0.8, 0.9]) and rows[1].get_marker() == "D"
    assert list(rows[2].get_xdata()) == pytest.approx([-0.05] * 3) and rows[2].get_marker() == "o"
    sides = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in panel.patches]
    assert sides[1][1] == pytest.approx(0) and sides[3][0] == 0, "predicted: Adam below, temperature 2 above"


def test_the_norms_figure_counts_rises_and_falls():
    found = as_predicted()
    assert title(drawings.draw_norm_place(found)) == "No norm after attention: 0 of 6 runs rise first"
    found.common["no norm"][1][1] = 0.9
    found.values["no norm"]["common"][0] = 0.1
    drawing = drawings.draw_norm_place(found)
    assert title(drawing) == "No norm after attention: 1 of 6 runs rise first"
    assert "none, 35 to 35, fallen in 2 of 3 seeds" in drawing[1]
    assert "in 0 of 3 seeds with the norm before attention and in 1 without a norm" in drawing[1]
    left, right = drawing[0].axes
    assert len(left.lines) == 2 * 3 and len(right.lines) == 3 * 3
    assert list(right.lines[4].get_ydata()) == found.common["no norm"][1]


def test_the_tables_name_what_came_and_what_was_said_instead():
    found = as_predicted()
    found.values["Adam"]["order"] = [0.9, 0.9, 0.9]
    header, rows = drawings.table_of_predictions(found)
    by_arm = {row[0]: row[1:] for row in rows}
    assert len(rows) == len(ARMS) - 1 and header[-1] == "as said"
    assert by_arm["Adam"] == ["0 as said", "− as said", "+, not −", "− as said", "− as said", "4 of 5"]
    header, rows = drawings.table_of_reasons(found, "Adam")
    assert rows[2][0] == "order by frequency" and rows[2][1] == "−" and rows[2][3] == "+ (0.40 to 0.40)"
    assert rows[2][2] == PREDICTIONS["Adam"]["order"][1]


def test_survival_counts_seeds_on_the_theorys_side():
    found = deepcopy(as_predicted())
    found.values["residual"]["common"] = [-0.4, 0.1, -0.2]
    found.values["residual"]["snap"] = [0.4, 0.45, 0.6]
    _, rows = drawings.table_of_survival(found)
    row = next(row for row in rows if row[0] == "residual")
    assert row[2] == "−0.20 (2/3)" and row[4] == "0.45 (1/3)" and len(row) == 1 + len(MEASURES)


def test_an_unknown_removal_is_named():
    with pytest.raises(ValueError, match="arm: got 'baseline'"):
        drawings.table_of_reasons(as_predicted(), BASELINE)
