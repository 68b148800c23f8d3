"""Figures of the Performer's error, drawn from `measure_attention_error`."""

from collections.abc import Sequence
from math import ceil, floor, log10

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papertrail import figures as look
from papertrail.fast_weights.performer import ARMS, AttentionError
from papertrail.figures import Drawing

LOOKS = {
    "trigonometric iid": {"color": look.ORANGE, "linestyle": ":", "marker": "^"},
    "trigonometric orthogonal": {"color": look.ORANGE, "linestyle": "-", "marker": "^"},
    "positive iid": {"color": look.BLUE, "linestyle": ":", "marker": "o"},
    "positive orthogonal": {"color": look.BLUE, "linestyle": "-", "marker": "o"},
    "hyperbolic orthogonal": {"color": look.GREEN, "linestyle": "--", "marker": "s"},
}
MAIN = "positive orthogonal"  # the Performer's own features


def _plain(number: float) -> str:
    """Two significant digits without an exponent: 0.00035, 1.3, 90, 3,100."""
    rounded = float(f"{number:.2g}")
    digits = 0 if rounded >= 10 or rounded == 0 else 1 - floor(log10(rounded))
    return f"{rounded:,.{digits}f}"


def _log_error_axis(ax: Axes, errors: Sequence[float]) -> None:
    """A logarithmic y axis over these errors and 1, every second power of ten written out; a line at 1."""
    low, high = floor(log10(min(*errors, 0.1))), ceil(log10(max(*errors, 10)))
    ax.set_yscale("log")
    ax.set_ylim(10.0**low, 10.0**high)
    powers = [power for power in range(low, high + 1) if power % 2 == 0]
    ax.set_yticks([10.0**power for power in powers], [f"{10.0**power:,g}" for power in powers])
    ax.minorticks_off()
    ax.axhline(1, color=look.INK, linewidth=1.2, linestyle=(0, (1, 1)))


def _finding(fig: Figure, words: str) -> None:
    """The title, from the figure's left edge: over the axes alone it would not fit."""
    look.headline(fig, words)


def _legend(fig: Figure, ax: Axes) -> None:
    lines, labels = ax.get_legend_handles_labels()
    fig.legend(lines, labels, loc="outside lower center", ncols=2, frameon=False, handlelength=3.0)


@look.styled
def draw_error_against_features(result: AttentionError, shown: Sequence[float] = (0.5, 1.0)) -> Drawing:
    """Relative error of the attention output against the number of features, at a small and at a large norm.

    Raises:
        ValueError: `shown` is not two of the result's scales, or the result has fewer than two numbers of features.
    """
    if len(shown) != 2 or not set(shown) <= set(result.scales):
        raise ValueError(f"shown: got {tuple(shown)}; allowed are two of the measured scales {result.scales}")
    if len(result.features) < 2:
        raise ValueError(f"result: has features {result.features}; a curve needs two or more numbers of them")
    fig, axes = look.new_figure(4.2, columns=2, sharey=True)
    fewest, most = result.features[0], result.features[-1]
    medians = {
        (scale, arm): [result.median(arm, scale, count) for count in result.features]
        for scale in shown
        for arm in ARMS
    }
    for ax, scale in zip(axes, shown, strict=True):
        for arm in ARMS:
            ax.plot(result.features, medians[scale, arm], label=arm, markersize=4.5, **LOOKS[arm])
        _log_error_axis(ax, [error for row in medians.values() for error in row])
        ax.set_xscale("log")
        ax.set_xticks(result.features, [str(count) for count in result.features])
        ax.minorticks_off()
        ax.set_title(f"q, k ~ {scale:g} × N(0, 1)", fontweight="normal")
        ax.set_xlabel("features")
    axes[0].set_ylabel("squared error (answering 0 = 1)")
    axes[0].text(fewest, 1.25, "answering 0", color=look.INK, va="bottom")
    _legend(fig, axes[0])
    gains = [medians[scale, MAIN][0] / medians[scale, MAIN][-1] for scale in shown]
    _finding(
        fig,
        f"{most / fewest:g} times the positive features divide the error\n"
        f"by {_plain(gains[0])} at scale {shown[0]:g}, by {_plain(gains[1])} at scale {shown[1]:g} "
        f"({result.seeds} seeds)",
    )
    words = []
    for scale in shown:
        each = "; ".join(
            f"{arm} {_plain(medians[scale, arm][0])} to {_plain(medians[scale, arm][-1])}" for arm in ARMS
        )
        words.append(f"Queries and keys {scale:g} times N(0, 1): {each}.")
    alt = (
        f"Squared error of the attention output relative to answering 0, from {fewest} to {most} features, medians "
        f"over {result.seeds} seeds, length {result.length}, d = {result.d}. {' '.join(words)} "
        f"With {MAIN} features the error falls by a factor of {_plain(gains[0])} at the first scale and of "
        f"{_plain(gains[1])} at the second."
    )
    return fig, alt


@look.styled
def draw_error_against_norm(result: AttentionError, features: int | None = None) -> Drawing:
    """Relative error of the attention output against the norm of q and k, at one number of features (the largest).

    Raises:
        ValueError: `features` was not measured.
    """
    features = result.features[-1] if features is None else features
    if features not in result.features:
        raise ValueError(f"features: got {features!r}; allowed are the measured ones, {result.features}")
    fig, ax = look.new_figure(4.0)
    medians = {arm: [result.median(arm, scale, features) for scale in result.scales] for arm in ARMS}
    for arm in ARMS:
        ax.plot(result.scales, medians[arm], label=arm, markersize=4.5, **LOOKS[arm])
    _log_error_axis(ax, [error for row in medians.values() for error in row])
    ax.set_xticks(result.scales, [f"{scale:g}" for scale in result.scales])
    ax.text(result.scales[0], 1.25, "answering 0", color=look.INK, va="bottom")
    ax.set_xlabel(f"standard deviation of q's and k's entries ({result.seeds} seeds)")
    ax.set_ylabel("squared error (answering 0 = 1)")
    _legend(fig, ax)
    lost = [scale for scale, error in zip(result.scales, medians[MAIN], strict=True) if error > 1]
    if lost:
        finding = f"{features} positive features lose to 0 from scale {lost[0]:g} on"
        ending = f"From {lost[0]:g} on, {MAIN} features are worse than answering 0."
    else:
        finding = f"{features} positive features beat 0 at every scale"
        ending = f"At every scale {MAIN} features are better than answering 0."
    _finding(fig, finding)
    each = "; ".join(f"{arm} {', '.join(map(_plain, medians[arm]))}" for arm in ARMS)
    rows = result.length * result.seeds
    negative = result.negatives("trigonometric orthogonal", result.scales[-1], features)
    alt = (
        f"Squared error of the attention output relative to answering 0 with {features} features, for queries and "
        f"keys of standard deviation {', '.join(f'{scale:g}' for scale in result.scales)}; medians over "
        f"{result.seeds} seeds. {each[0].upper()}{each[1:]}. {ending} At {result.scales[-1]:g}, {negative:,} of "
        f"{rows:,} rows of trigonometric orthogonal features have a negative normalizer."
    )
    return fig, alt
