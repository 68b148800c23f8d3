"""Figures and tables of scores against size, drawn from `scaling`'s and `scores`' results."""

from collections.abc import Sequence
from typing import Any

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.gopher import published as paper
from papertrail.gopher.accounting_drawings import size_axis
from papertrail.gopher.scaling import (
    ARTICLE,
    LOGIC,
    SCALES,
    AboveChance,
    Curve,
    GroupScaling,
    gopher_score,
)
from papertrail.gopher.scores import DataGain, Table, mathematics_gain

LOOKS = {  # family, shots -> color, marker, line
    ("Pythia", 0): (look.BLUE, "o", "-"),
    ("Pythia", 5): (look.BLUE, "o", ":"),
    ("OPT", 0): (look.GREEN, "s", "-"),
    ("BLOOM", 0): (look.PURPLE, "^", "-"),
}
SMALLEST, LARGEST = 5e7, 5e11  # of the size axis
GOPHER = 280e9


def _name(family: str, shots: int) -> str:
    return f"{family}, {shots} shots"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _draw_curve(ax: Any, curve: Curve) -> None:
    color, marker, line = LOOKS[curve.family, curve.shots]
    face = look.PAPER if line == ":" else color
    ax.errorbar(
        curve.parameters, [100 * s for s in curve.scores], [200 * e for e in curve.errors], color=color, marker=marker,
        markersize=5, markerfacecolor=face, linestyle=line, linewidth=1.6, elinewidth=1.0,
        label=_name(curve.family, curve.shots),
    )  # fmt: skip


@look.styled
def draw_group(found: GroupScaling) -> Drawing:
    """One frame: a group's mean score against size in each family, guessing, and Gopher's own where there is one."""
    fig, ax = look.new_figure(3.6)
    for curve in found.curves:
        _draw_curve(ax, curve)
    chance = 100 * found.chance
    ax.axhline(chance, color=look.ORANGE, linewidth=1.4, linestyle="--", label=f"guessing: {chance:.0f}%")
    gopher = gopher_score(found.group.name)
    if gopher is not None:
        ax.plot(GOPHER, 100 * gopher, color=look.INK, marker="D", markersize=7, markerfacecolor=look.PAPER,
                linestyle="", label="Gopher, published")  # fmt: skip
    size_axis(ax, SMALLEST, LARGEST)
    ax.set_ylim(-2, 100)
    count = len(found.group.tasks)
    ax.set_ylabel("right answers (%)")
    tasks = f"{count} task{'s' if count > 1 else ''}"
    ax.set_xlabel(
        f"parameters ({tasks}; bars: 2 standard errors)\ntitle: for ten times the size, Pythia, 0 shots"
    )
    fig.legend(loc="outside lower center", ncols=3, frameon=False, columnspacing=1.0, handletextpad=0.4)
    top = found.curve_of("Pythia", 0).fit
    title = f"{found.group.name[0].upper()}{found.group.name[1:]}"
    look.headline(fig, f"{title}: {_points(top.slope)} ± {100 * top.limit:.1f} points")
    slopes = "; ".join(
        f"{_name(c.family, c.shots)} {100 * c.scores[0]:.0f} to {100 * c.scores[-1]:.0f} percent, "
        f"{_points(c.fit.slope)} ± {100 * c.fit.limit:.1f} points for ten times the size"
        for c in found.curves
    )
    own = "" if gopher is None else f" Gopher, in its own evaluation: {100 * gopher:.1f} percent."
    alt = f"{title}, {tasks}, right answers against size: {slopes}. Guessing gives {chance:.0f} percent.{own}"
    return fig, alt


@look.styled
def draw_slopes(scaling: Sequence[GroupScaling]) -> Drawing:
    """The slope of each group in each family with its 95% interval."""
    fig, ax = look.new_figure(5.2)
    for place, found in enumerate(scaling):
        for offset, curve in enumerate(found.curves):
            color, marker, line = LOOKS[curve.family, curve.shots]
            face = look.PAPER if line == ":" else color
            ax.errorbar(
                100 * curve.fit.slope, place + 0.18 * (offset - 1.5), xerr=100 * curve.fit.limit, color=color,
                marker=marker, markersize=4.5, markerfacecolor=face, linestyle="", elinewidth=1.2,
                label=_name(curve.family, curve.shots) if place == 0 else None,
            )  # fmt: skip
    ax.axvline(0.0, color=look.MUTED, linewidth=1.2)
    ax.set_yticks(range(len(scaling)), [found.group.name.replace(" (", "\n(") for found in scaling])
    ax.set_ylim(len(scaling) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("points for ten times the size\n(bars: 95% interval)")
    fig.legend(loc="outside lower center", ncols=2, frameon=False)
    named = {word: _range(scaling, word) for word in ("comprehension", "logic and mathematics")}
    (low, high), (least, most) = named.values()
    look.headline(fig, f"Comprehension: {low:.0f} to {high:.0f} points; logic: {least:.0f} to {most:.0f}")
    said = "; ".join(
        f"{found.group.name} " + ", ".join(f"{_points(c.fit.slope)} ± {100 * c.fit.limit:.1f}" for c in found.curves)
        for found in scaling
    )  # fmt: skip
    alt = (
        f"Points of score gained for ten times the size, with 95% intervals, for "
        f"{', '.join(_name(*scale) for scale in SCALES)}: {said}."
    )
    return fig, alt


def _range(scaling: Sequence[GroupScaling], article: str) -> tuple[float, float]:
    slopes = [100 * c.fit.slope for found in scaling if found.group.article == article for c in found.curves]
    return min(slopes), max(slopes)


@look.styled
def draw_above_chance(counts: Sequence[AboveChance]) -> Drawing:
    """How many of MMLU's subjects each open model answers clearly better than by guessing."""
    fig, ax = look.new_figure(3.4)
    said = []
    for scale, (color, marker, line) in LOOKS.items():
        rows = [row for row in counts if (row.model.family, row.model.shots) == scale]
        face = look.PAPER if line == ":" else color
        ax.plot(
            [row.model.nominal_params for row in rows], [row.above for row in rows], color=color, marker=marker,
            markerfacecolor=face, markersize=5, linestyle=line, label=_name(*scale),
        )  # fmt: skip
        said.append(f"{_name(*scale)}: {', '.join(str(row.above) for row in rows)}")
    subjects = paper.TASK_COUNTS["MMLU"]
    luck = 0.0228 * subjects  # the share of a normal distribution above two deviations
    ax.axhline(luck, color=look.ORANGE, linewidth=1.4, linestyle="--", label=f"by luck: {luck:.1f}")
    size_axis(ax, SMALLEST, 2e11)
    ax.set_ylim(0, subjects)
    ax.set_xlabel("parameters")
    ax.set_ylabel(f"subjects above chance, of {subjects}")
    fig.legend(loc="outside lower center", ncols=3, frameon=False, columnspacing=1.0)
    most = max(counts, key=lambda row: row.above)
    look.headline(fig, f"At most {most.above} of MMLU's {subjects} subjects are above chance")
    alt = (
        f"MMLU subjects, of {subjects}, answered more than two standard errors better than by guessing, by size from "
        f"small to large. {'; '.join(said)}. By luck alone {luck:.1f} would be."
    )
    return fig, alt


@look.styled
def draw_data_gain(gains: Sequence[DataGain]) -> Drawing:
    """Chinchilla's score against Gopher's, task by task; mathematics and logic marked."""
    fig, ax = look.new_figure(4.2)
    rows = [*paper.mmlu(), *paper.bigbench()]
    marked = [row for row in rows if f"mmlu_{row.task}" in LOGIC]
    others = [row for row in rows if row not in marked]
    ax.plot([0, 100], [0, 100], color=look.MUTED, linewidth=1.2)
    for chosen, color, marker, label in (
        (others, look.BLUE, "o", "other tasks"),
        (marked, look.ORANGE, "s", "MMLU's mathematics and formal logic"),
    ):
        ax.plot([row.gopher for row in chosen], [row.chinchilla for row in chosen], color=color, marker=marker,
                markersize=5 if marker == "s" else 3.5, linestyle="", label=label)  # fmt: skip
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 100)
    ax.set_xlabel("Gopher: 280B parameters, 300B tokens (%)")
    ax.set_ylabel("Chinchilla: 70B, 1,400B tokens (%)")
    fig.legend(loc="outside lower center", ncols=2, frameon=False)
    better = sum(gain.better for gain in gains)
    inside, outside = mathematics_gain()
    look.headline(fig, f"Same compute, more data: better on {better} of {len(rows)} tasks")
    said = "; ".join(
        f"{gain.benchmark}: better on {gain.better}, equal on {gain.equal}, worse on {len(gain.worse)}, "
        f"{_points(gain.mean / 100)} points on average"
        for gain in gains
    )
    alt = (
        f"Chinchilla's score against Gopher's on {len(rows)} tasks. {said}. MMLU's five mathematical subjects gain "
        f"{inside:.1f} points on average, its others {outside:.1f}."
    )
    return fig, alt


def table_of_slopes(scaling: Sequence[GroupScaling]) -> Table:
    """The article's four kinds of task: what the open models have of each."""
    rows = []
    for word in ARTICLE:
        chosen = [found for found in scaling if found.group.article == word]
        if not chosen:
            rows.append([word, "0", "no such task", ""])
            continue
        low, high = _range(scaling, word)
        tasks = sum(len(found.group.tasks) for found in chosen)
        clear = sum(found.clear_tasks for found in chosen)
        rows.append([word, str(tasks), f"{low:.1f} to {high:.1f}", f"{clear} of {tasks}"])
    return [
        "the article's word",
        "tasks",
        "points for ten times the size, by family",
        "tasks that rise clearly",
    ], rows
