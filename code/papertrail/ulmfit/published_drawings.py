"""Figures and tables of what was published on ULMFiT. Our own results can be drawn beside the paper's."""

from collections.abc import Mapping
from typing import Any

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.ulmfit import published as paper

Interval = tuple[float, float, float]  # mean, low, high: errors in percent
Table = tuple[list[str], list[list[str]]]

SHORT = {
    "Freez + discr + stlr": "all three (ULMFiT)",
    "From scratch": "from scratch",
    "Chain-thaw": "chain-thaw",
}
WORDS = {"Full": "all at once", "Freez": "unfreezing", "Last": "last layer alone"}


def name_of(row: str) -> str:
    """A row of table 7 in words: "unfreezing + discr" for "Freez + discr"."""
    if row in SHORT:
        return SHORT[row]
    first, *rest = row.split(" + ")
    return " + ".join([WORDS[first], *rest])


def ladder_rows() -> list[str]:
    """Table 7's rows from the worst on IMDb to the best, and the one that it lacks before the whole recipe."""
    table = paper.CLASSIFIER_FINE_TUNING
    rows = sorted(table, key=lambda row: -table[row]["IMDb"])
    rows.insert(rows.index(paper.WHOLE_RECIPE), paper.missing_row())
    return rows


def _ladder_panel(ax: Any, dataset: str, rows: list[str]) -> None:
    """One data set's errors as dots; a hollow diamond in the best place, and words where the table has no row."""
    best = paper.best_row(dataset)
    for place, row in enumerate(rows):
        if row not in paper.CLASSIFIER_FINE_TUNING:
            ax.axhspan(place - 0.45, place + 0.45, color=look.PALE_ORANGE)
            ax.text(0.5, place, "missing", color=look.ORANGE, ha="center", va="center",
                    transform=ax.get_yaxis_transform())  # fmt: skip
            continue
        marker = {"marker": "D", "markerfacecolor": look.PAPER} if row == best else {"marker": "o"}
        ax.plot(paper.CLASSIFIER_FINE_TUNING[row][dataset], place, color=look.BLUE, markersize=6, **marker)
    ax.set_title(dataset)
    ax.grid(axis="y", visible=False)
    ax.locator_params(axis="x", nbins=2)
    ax.margins(x=0.15)  # no zero: the rows differ by little, and dots do not start anywhere
    ax.set_ylim(len(rows) - 0.4, -0.6)


def _check_ours(ours: Mapping[str, Interval]) -> None:
    known = ladder_rows()
    for row, interval in ours.items():
        if row not in known:
            raise ValueError(f"ours: got a row {row!r}; allowed are {', '.join(known)}")
        if len(interval) != 3 or not interval[1] <= interval[0] <= interval[2]:
            raise ValueError(
                f"ours: got {interval!r} for {row!r}; allowed are (mean, low, high) in this order"
            )


@look.styled
def draw_ladder(ours: Mapping[str, Interval] | None = None, ours_on: str = "") -> Drawing:
    """Table 7 as dots for its three data sets, the row that it lacks marked as missing; and ours beside it.

    Args:
        ours: table 7's name for a row -> mean, lowest and highest error in percent. Rows may be left out.
        ours_on: on which data ours were measured, such as "1,000 IMDb labels, 5 seeds"; goes below the figure.

    Raises:
        ValueError: `ours` has a row that the ladder has not, or numbers out of order.
    """
    rows = ladder_rows()
    panels = len(paper.ABLATED) + (ours is not None)
    fig, axes = look.new_figure(4.0, columns=panels, sharey=True)
    for ax, dataset in zip(axes, paper.ABLATED, strict=False):
        _ladder_panel(ax, dataset, rows)
    gains = [gain for pair in paper.isolated_gains("Freez").values() for gain in pair.values()]
    helped = sum(gain > 0 for gain in gains)
    title = f"Unfreezing helps in {helped} of {len(gains)} comparisons"
    said, where = "", f" ({ours_on})" if ours_on else ""
    if ours is not None:
        _check_ours(ours)
        ax = axes[-1]
        for place, row in enumerate(rows):
            if row in ours:
                mean, low, high = ours[row]
                ax.plot([low, high], [place, place], color=look.GREEN, linewidth=1.6)
                ax.plot(mean, place, color=look.GREEN, marker="s", markersize=6)
        ax.set_title("ours")
        ax.grid(axis="y", visible=False)
        ax.locator_params(axis="x", nbins=2)
        ax.margins(x=0.15)
        values = "; ".join(
            f"{name_of(row)} {ours[row][0]:.1f} ({ours[row][1]:.1f} to {ours[row][2]:.1f})"
            for row in rows
            if row in ours
        )
        said = f" Ours{where}, mean and range: {values}."
        pairs = [(row, over) for row, over in paper.pairs_of("Freez") if row in ours and over in ours]
        title += f", in ours in {sum(ours[row][0] < ours[over][0] for row, over in pairs)} of {len(pairs)}"
    look.headline(fig, title)
    axes[0].set_yticks(range(len(rows)), [name_of(row) for row in rows])
    below = "error (%); hollow diamond: lowest" + (f"\nours: {ours_on}" if ours_on else "")
    fig.supxlabel(below, fontsize=look.FONT_POINTS)
    words = "; ".join(
        f"{name_of(row)} " + ", ".join(f"{paper.CLASSIFIER_FINE_TUNING[row][name]:.2f}" for name in paper.ABLATED)
        for row in rows if row in paper.CLASSIFIER_FINE_TUNING
    )  # fmt: skip
    best = ", ".join(f"{name}: {name_of(paper.best_row(name))}" for name in paper.ABLATED)
    alt = (
        f"Validation error in percent by way of fine-tuning the classifier, {', '.join(paper.ABLATED)}, the "
        f"paper's table 7: {words}. The row {name_of(paper.missing_row())} is missing there. Lowest: {best}.{said}"
    )
    return fig, alt


@look.styled
def draw_t5() -> Drawing:
    """T5's table 10: points lost by gradual unfreezing on seven tasks, and two standard deviations of ten runs."""
    losses, tasks = paper.t5_losses(), paper.T5_TASKS
    fig, ax = look.new_figure(3.2)
    for place, task in enumerate(tasks):
        spread = 2 * paper.T5_DEVIATION[task]
        ax.barh(place, 2 * spread, left=-spread, color=look.GRID, height=0.62)
        ax.plot(-losses[task], place, color=look.BLUE, marker="o", markersize=7)
    ax.axvline(0.0, color=look.MUTED, linewidth=1.2)
    ax.set_yticks(range(len(tasks)), tasks)
    ax.set_ylim(len(tasks) - 0.4, -0.6)
    ax.set_xlim(-1.95, 1.0)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(
        f"gradual unfreezing minus all at once (points)\ngray: 2 standard deviations of {paper.T5_RUNS} runs, each way"
    )
    worse, beyond = sum(loss > 0 for loss in losses.values()), paper.t5_beyond()
    look.headline(fig, f"T5 loses by gradual unfreezing on {worse} of {len(tasks)} tasks")
    said = ", ".join(
        f"{task} −{losses[task]:.2f}" if losses[task] > 0 else f"{task} +{-losses[task]:.2f}"
        for task in tasks
    )
    alt = (
        f"T5, gradual unfreezing minus fine-tuning all parameters at once, in points: {said}. More is better. The loss "
        f"exceeds two standard deviations of {paper.T5_RUNS} baseline runs on {len(beyond)} of {len(tasks)} tasks: "
        f"{', '.join(beyond)}."
    )
    return fig, alt


def _signed(value: float) -> str:
    return "0.00" if value == 0 else f"{value:+.2f}".replace("-", "−")


def table_of_scripts() -> Table:
    """The nine settings of the paper beside the released scripts."""
    rows = [
        [d.what, d.paper, d.scripts, d.where, "yes" if d.same else "no"]
        for d in paper.paper_against_scripts()
    ]
    return ["setting", "paper", "released scripts", "file", "same"], rows


def table_of_isolated_gains() -> Table:
    """What each part of the recipe gains, in every pair of rows of table 7 that differ in it."""
    rows = [
        [row, over, *(_signed(gains[name]) for name in paper.ABLATED)]
        for part in ("Freez", "discr", "stlr")
        for (row, over), gains in paper.isolated_gains(part).items()
    ]
    return ["row", "against", *(f"{name} (points)" for name in paper.ABLATED)], rows


def table_of_parameters() -> Table:
    """AWD-LSTM's parameters: counted, and as published."""
    rows = [
        [p.corpus, f"{p.vocabulary:,}", f"{paper.count_parameters(p.vocabulary):,}", f"{p.parameters:g}M",
         f"{p.test}"]
        for p in paper.AWD_LSTM
    ]  # fmt: skip
    return ["corpus", "words", "parameters, counted", "published", "test perplexity"], rows
