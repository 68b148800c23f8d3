"""Curves and tables of chapter 1 say what was measured, in picture and in words."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from papertrail.architecture_diagram import drawings, measurements, torch_conventions
from papertrail.figures import FONT_POINTS, to_svg


def labels(drawing):
    """Texts of a drawing, from top to bottom."""
    root = ElementTree.fromstring(to_svg(*drawing))
    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    return ["".join(t.itertext()) for t in sorted(texts, key=lambda t: float(t.get("y") or 0))]


def test_curves_state_their_finding_seeds_and_values_in_title_axes_and_words():
    xavier, linear = (
        measurements.measure_order_difference(depth=3, d_model=32, seeds=3, start=start)
        for start in ("xavier", "linear")
    )
    drawing = drawings.draw_order_difference(xavier, linear)
    shown = " ".join(labels(drawing))
    loud, quiet = (sorted(row[-1] for row in result.with_final_norm)[1] for result in (xavier, linear))
    assert f"{100 * loud:.0f}% or {100 * quiet:.0f}% apart" in shown
    assert "3 layers, width 32, 3 seeds" in shown
    assert f"{loud:.2f} from Xavier" in drawing[1] and f"{quiet:.2f} from torch" in drawing[1]

    growth = measurements.measure_rms_by_depth(depth=12, d_model=32, seeds=3)
    drawing = drawings.draw_rms_by_depth(growth)
    end = sorted(row[-1] ** 2 for row in growth.pre_ln)[1]
    assert "width 32, 3 seeds" in " ".join(labels(drawing))
    assert (
        f"grows to {end:.0f}" in " ".join(labels(drawing)) and f"to {end:.0f} after 12 layers" in drawing[1]
    )


def test_the_schedule_and_table_figures_carry_their_numbers_in_words():
    assert (
        "6.99e-4 at step 4,000" in drawings.draw_schedules()[1]
        and "9.88e-4 at step 8,000" in drawings.draw_schedules()[1]
    )
    assert (
        "41,004 to 41,208" in drawings.draw_table_3()[1] and "35,368 to 36,344" in drawings.draw_table_3()[1]
    )


@pytest.mark.parametrize("draw", [drawings.draw_schedules, drawings.draw_table_3])
def test_no_text_in_a_figure_is_smaller_than_the_house_allows(draw):
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", to_svg(*draw()))]
    sizes += [float(size) for size in re.findall(r"font: [^;\"]*?([\d.]+)px", to_svg(*draw()))]
    assert sizes and min(sizes) >= FONT_POINTS


def test_tables_have_a_cell_for_every_column_and_show_failure_as_a_number():
    agreement = torch_conventions.measure_torch_agreement(seeds=1)
    header, rows = drawings.table_of_agreement([("float64", 1e-12, agreement), ("float64", 0.0, agreement)])
    assert all(len(row) == len(header) for row in rows)
    assert all(row[3] == "yes" and row[4].startswith("no, ") for row in rows)
    conventions = torch_conventions.measure_torch_conventions(depths=(1, 6), spreads=(0.0, 0.1), seeds=1)
    for header, rows in (
        drawings.table_of_code_bases(), drawings.table_of_vocabularies(),
        drawings.table_of_output_sizes(conventions), drawings.table_of_extra_norms(conventions),
    ):  # fmt: skip
        assert rows and all(len(row) == len(header) for row in rows)
    assert drawings.table_of_extra_norms(conventions)[1][0][1] == "under 0.001%"
