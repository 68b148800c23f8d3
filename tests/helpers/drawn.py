"""What every drawing of the course has to be, whatever it shows."""

from collections.abc import Callable

import matplotlib

from papertrail.figures import Drawing, to_svg


def check_drawing(draw: Callable[[], Drawing]) -> None:
    """It has words, is the same twice, stays in its frame, and leaves the reader's plotting style alone."""
    before = dict(matplotlib.rcParams)
    fig, alt = draw()
    assert dict(matplotlib.rcParams) == before
    assert (alt[0].isupper() or alt[0].isdigit()) and alt.endswith(".")
    assert "nan" not in alt and len(alt) > 60
    assert to_svg(fig, alt) == to_svg(draw()[0], alt)
    fig.draw_without_rendering()
    frame = fig.bbox
    written = [
        text for ax in fig.axes for text in (*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title)
    ]
    written += [fig._suptitle] if fig._suptitle else []
    for text in written + [text for legend in fig.legends for text in legend.get_texts()]:
        if text.get_text().strip():
            box = text.get_window_extent()
            assert box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1, text.get_text()
            assert box.y0 >= frame.y0 - 1 and box.y1 <= frame.y1 + 1, text.get_text()
