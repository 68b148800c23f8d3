"""The Performer's figures say what was measured: titles and alternative texts follow the data, inside the frame."""

import matplotlib
import pytest

from papertrail.fast_weights.performer import ARMS, AttentionError
from papertrail.fast_weights.performer_drawings import (
    LOOKS,
    _plain,
    draw_error_against_features,
    draw_error_against_norm,
)
from papertrail.figures import to_svg

SCALES, FEATURES = [0.25, 0.5, 0.75, 1.0, 1.5], [16, 64, 256]


def made(positive=lambda scale, m: 40 * scale**4 / m**0.5):
    """A result whose medians are known: three seeds around the given law, trigonometric a thousand times that."""
    laws = {arm: (1000.0 if "trig" in arm else 2.0 if "hyper" in arm else 1.0) for arm in ARMS}
    errors = {
        arm: {(s, m): [factor * c * positive(s, m) for c in (0.5, 1, 9)] for s in SCALES for m in FEATURES}
        for arm, factor in laws.items()
    }
    negative = {arm: {(s, m): [int(s * 20)] * 3 for s in SCALES for m in FEATURES} for arm in ARMS}
    return AttentionError(errors, negative, dict.fromkeys(SCALES, 0.01), SCALES, FEATURES, 256, 16, 3)


DRAWN = {
    "features": lambda: draw_error_against_features(made()),
    "norm": lambda: draw_error_against_norm(made()),
    "small": lambda: draw_error_against_norm(made(lambda scale, m: 0.001 * scale), 16),
    "huge": lambda: draw_error_against_features(made(lambda scale, m: 12_345 * scale / m), (0.75, 1.5)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_words_stays_in_its_frame_and_leaves_the_readers_style_alone(name):
    before = dict(matplotlib.rcParams)
    fig, alt = DRAWN[name]()
    assert dict(matplotlib.rcParams) == before
    assert (
        alt[0].isupper() and alt.endswith(".") and "nan" not in alt and "e+" not in alt and "e-0" not in alt
    )
    assert to_svg(fig, alt) == to_svg(DRAWN[name]()[0], alt)
    fig.draw_without_rendering()
    frame = fig.bbox
    written = [fig._suptitle, *fig.legends[0].get_texts()]
    for ax in fig.axes:
        written += [*ax.texts, ax.xaxis.label, ax.yaxis.label, ax._left_title]
        written += [label for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()]
    for text in written:
        if text.get_text().strip() and text.get_visible():
            box = text.get_window_extent()
            assert box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1, text.get_text()
            assert box.y0 >= frame.y0 - 1 and box.y1 <= frame.y1 + 1, text.get_text()
    assert "3 seeds" in " ".join(text.get_text() for text in written) and "3 seeds" in alt
    labels = [label.get_text() for ax in fig.axes for label in ax.get_yticklabels()]
    assert "1" in labels and not any("$" in label or "10^" in label for label in labels)
    assert fig.get_size_inches()[0] == pytest.approx(4.8)


def test_the_factors_in_title_and_text_are_those_of_the_data():
    fig, alt = DRAWN["features"]()
    assert fig.get_suptitle() == (
        "16 times the positive features divide the error\nby 4.0 at scale 0.5, by 4.0 at scale 1 (3 seeds)"
    )
    assert "positive orthogonal 0.62 to 0.16;" in alt and "trigonometric iid 620 to 160;" in alt
    assert "factor of 4.0 at the first scale and of 4.0 at the second." in alt
    fig, _ = draw_error_against_features(made(lambda scale, m: 1 / m**scale), (0.25, 1.5))
    assert "by 2.0 at scale 0.25, by 64 at scale 1.5" in fig.get_suptitle()


def test_the_norm_figure_says_from_where_on_positive_features_lose():
    fig, alt = DRAWN["norm"]()
    assert fig.get_suptitle() == "256 positive features lose to 0 from scale 1 on"
    assert "From 1 on, positive orthogonal features are worse than answering 0." in alt
    assert "At 1.5, 90 of 768 rows of trigonometric orthogonal" in alt
    assert "positive orthogonal 0.0098, 0.16, 0.79, 2.5, 13;" in alt
    fig, _ = draw_error_against_norm(made(), 64)
    assert fig.get_suptitle() == "64 positive features lose to 0 from scale 0.75 on", "where the error is 1.6"
    fig, alt = DRAWN["small"]()
    assert fig.get_suptitle() == "16 positive features beat 0 at every scale"
    assert "At every scale positive orthogonal features are better" in alt and "worse" not in alt


def test_lines_differ_without_their_colors():
    assert set(LOOKS) == set(ARMS)
    assert len({(line["linestyle"], line["marker"]) for line in LOOKS.values()}) == len(ARMS)
    fig, _ = DRAWN["norm"]()
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(ARMS)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.00035, "0.00035"), (0.999, "1.0"), (1.26, "1.3"), (9.97, "10"), (3127.0, "3,100"), (0.0, "0")],
)
def test_errors_are_written_without_an_exponent(number, text):
    assert _plain(number) == text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_error_against_features(made(), (0.5, 2.0)), r"shown: got \(0.5, 2.0\); allowed are two of"),
        (lambda: draw_error_against_features(made(), (0.5,)), r"shown: got \(0.5,\)"),
        (lambda: draw_error_against_norm(made(), 32), r"features: got 32; allowed are the measured ones, \[16"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
