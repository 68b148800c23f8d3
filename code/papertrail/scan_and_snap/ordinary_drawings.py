"""Figures and tables of the ordinary layer: what was predicted, and what came."""

from statistics import median
from typing import Any

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.scan_and_snap.assumptions import (
    BASELINE,
    MEASURES,
    PREDICTIONS,
    REMOVALS,
    Assumptions,
)

Table = tuple[list[str], list[list[str]]]
NAMES = {
    "distinct": "distinct tokens ahead",
    "common": "common tokens' mass",
    "order": "order by frequency",
    "snap": "moved in the first half",
    "entropy": "entropy, nats",
}
AFTER, WITHOUT = (BASELINE, "residual"), ("norm before", "no norm", "no norm, slow attention")
PLACES = {
    BASELINE: "after attention",
    "residual": "after the residual sum",
    "norm before": "before attention",
    "no norm": "none",
    "no norm, slow attention": "none, slow attention",
}
ASSUMED = tuple(
    arm for arm in REMOVALS if arm not in WITHOUT
)  # the paper's assumptions, its norm left in place
STYLES = {BASELINE: (look.BLUE, "-"), "residual": (look.ORANGE, "--"), "norm before": (look.PURPLE, "--"),
          "no norm": (look.ORANGE, "-"), "no norm, slow attention": (look.GREEN, ":")}  # fmt: skip


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _signs(found: Assumptions, arm: str, measure: str) -> str:
    """What was predicted, then what came: "− as said", or "0, not −"."""
    said, came = PREDICTIONS[arm][measure][0], found.observed(arm, measure)
    return _minus(f"{came} as said" if said == came else f"{came}, not {said}")


@look.styled
def draw_predictions(found: Assumptions) -> Drawing:
    """Each removal's difference from the baseline, seed by seed, beside the sign that was predicted for it."""
    fig, ax = look.new_figure(5.2)
    ax.remove()
    axes = fig.subplots(3, 2, sharey=True).flatten()
    said, right = [], 0
    for ax, measure in zip(axes, MEASURES, strict=False):
        reach = 1.25 * max(abs(d) for arm in ASSUMED for d in found.differences(arm, measure))
        ax.axvline(0, color=look.MUTED, linewidth=0.8)
        words = []
        for row, arm in enumerate(ASSUMED):
            expected, differences = PREDICTIONS[arm][measure][0], found.differences(arm, measure)
            held = expected == found.observed(arm, measure)
            right += held
            left, width = {"+": (0, reach), "-": (-reach, reach), "0": (-0.08 * reach, 0.16 * reach)}[
                expected
            ]
            ax.barh(
                row, width, left=left, height=0.8, color=look.PALE_BLUE, edgecolor=look.MUTED, linewidth=0.6
            )
            color = look.BLUE if held else look.ORANGE
            ax.plot(differences, [row] * len(differences), marker="o" if held else "D", linestyle="none", color=color,
                    markersize=4.5, markerfacecolor=color if held else look.PAPER)  # fmt: skip
            words.append(f"{arm} {_signs(found, arm, measure)}, median {median(differences):.2f}")
        ax.set_xlim(-1.05 * reach, 1.05 * reach)
        ax.set_title(NAMES[measure], fontsize=look.FONT_POINTS)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(axis="y", visible=False)
        said.append(f"{NAMES[measure].capitalize()}: {_minus('; '.join(words))}")
    axes[0].set_yticks(range(len(ASSUMED)), ASSUMED)
    axes[0].set_ylim(len(ASSUMED) - 0.5, -0.5)
    axes[len(MEASURES) - 1].set_xlabel("difference from the baseline")
    _explain(axes[-1], found.seeds)
    of = len(ASSUMED) * len(MEASURES)
    look.headline(fig, f"{right} of {of} differences came as predicted")
    return fig, (
        f"Difference from the baseline by removed assumption and measurement, {found.seeds} seeds, with the "
        f"predicted sign (0 where seeds do not agree); {right} of {of} came as predicted. {'. '.join(said)}."
    )


def _explain(ax: Any, seeds: int) -> None:
    """A legend in the place of a panel."""
    ax.axis("off")
    ax.fill_between([], [], facecolor=look.PALE_BLUE, edgecolor=look.MUTED, label="where predicted")
    ax.plot([], [], "o", color=look.BLUE, label="came as predicted")
    ax.plot([], [], "D", color=look.ORANGE, markerfacecolor=look.PAPER, label="came otherwise")
    ax.legend(loc="center", frameon=False, title=f"a mark: one of {seeds} seeds")


@look.styled
def draw_norm_place(found: Assumptions) -> Drawing:
    """The common tokens' attention in training, one line a seed, by where the norm stands."""
    fig, axes = look.new_figure(3.6, columns=2, sharey=True)
    said = []
    for ax, arms, title in (
        (axes[0], AFTER, "a norm after attention"),
        (axes[1], WITHOUT, "no norm after it"),
    ):
        for arm in arms:
            color, line = STYLES[arm]
            for curve in found.common[arm]:
                name = PLACES[arm] if curve is found.common[arm][0] else None
                ax.plot(found.steps, curve, color=color, linestyle=line, linewidth=1.3, label=name)
            changes = found.values[arm]["common"]
            fallen = sum(change < 0 for change in changes)
            low, high = (100 * f(curve[-1] for curve in found.common[arm]) for f in (min, max))
            said.append(f"{PLACES[arm]}, {low:.0f} to {high:.0f}, fallen in {fallen} of {len(changes)} seeds")
        ax.set_title(title, fontsize=look.FONT_POINTS)
        ax.set_xlabel("step")
        ax.set_xlim(0, found.steps[-1])
    axes[0].set_ylim(0, 1)
    axes[0].set_ylabel("attention on common tokens")
    handles = [handle for ax in axes for handle in ax.get_legend_handles_labels()[0]]
    fig.legend(handles, [h.get_label() for h in handles], loc="outside lower center", ncols=2, frameon=False)
    first = [found.rises_first(arm) for arm in WITHOUT[:2]]
    runs = found.seeds * len(first)
    look.headline(fig, f"No norm after attention: {sum(first)} of {runs} runs rise first")
    start = 100 * found.common[BASELINE][0][0]
    return fig, (
        f"Attention on common tokens in percent, {start:.0f} at the start, at the end of {found.steps[-1]} steps, by "
        f"where the norm stands: {'; '.join(said)}. It rose first, by a fifth of all attention or more, in "
        f"{first[0]} of {found.seeds} seeds with the norm before attention and in {first[1]} without a norm."
    )


def table_of_survival(found: Assumptions) -> Table:
    """Every arm's medians over seeds, each with how many seeds are on the theory's side of nothing."""
    rows = []
    for arm in found.values:
        cells = []
        for measure, (nothing, side) in MEASURES.items():
            values = found.values[arm][measure]
            on_side = sum((value > nothing) if side == "+" else (value < nothing) for value in values)
            cells.append(_minus(f"{median(values):.2f} ({on_side}/{len(values)})"))
        rows.append([arm, *cells])
    return ["", *(NAMES[measure] for measure in MEASURES)], rows


def table_of_predictions(found: Assumptions) -> Table:
    """Every removal's differences from the baseline: the sign that came, and the predicted one where it is another."""
    rows = [
        [
            arm,
            *(_signs(found, arm, measure) for measure in MEASURES),
            f"{len(found.as_predicted(arm))} of {len(MEASURES)}",
        ]
        for arm in REMOVALS
    ]
    return ["removed", *(NAMES[measure] for measure in MEASURES), "as said"], rows


def table_of_reasons(found: Assumptions, arm: str) -> Table:
    """One removal: what was predicted and why, and what came.

    Raises:
        ValueError: there is no such removal.
    """
    if arm not in REMOVALS:
        raise ValueError(f"arm: got {arm!r}; allowed are {', '.join(REMOVALS)}")
    rows = []
    for measure, (expected, why) in PREDICTIONS[arm].items():
        differences = found.differences(arm, measure)
        spread = f"{found.observed(arm, measure)} ({min(differences):.2f} to {max(differences):.2f})"
        rows.append([NAMES[measure], _minus(expected), why, _minus(spread)])
    return ["measured", "predicted", "because", "came (range over seeds)"], rows
