"""Figures of the 1992 experiments: how soon they are solved, and the fast weights while a sequence passes."""

from collections.abc import Sequence

from matplotlib.patches import Rectangle

from papertrail import figures as look
from papertrail.fast_weights.tasks_1992 import FlipFlop, Parking, Trace, about
from papertrail.figures import Drawing

NAMES = {"units": "a unit per fast weight", "from-to": "FROM/TO"}
LOOKS = {
    "units": {"color": look.BLUE},
    "from-to": {"color": look.ORANGE, "linestyle": "--"},
}


@look.styled
def draw_flip_flop(runs: Sequence[FlipFlop], papers: Sequence[int]) -> Drawing:
    """How many seeds have begun their solving streak by each step, with the paper's one number for each interface."""
    fig, ax = look.new_figure(3.3)
    words = []
    for run, paper in zip(runs, papers, strict=True):
        solved = sorted(at for at in run.solved_at if at is not None)
        counts = list(range(1, len(solved) + 1))
        ax.step([0, *solved, run.steps], [0, *counts, counts[-1]], where="post", **LOOKS[run.interface])
        ax.axvline(paper, color=LOOKS[run.interface]["color"], linestyle=":", linewidth=1.4)
        within = run.solved_within(paper)
        ax.plot([paper], [within], marker="o", color=LOOKS[run.interface]["color"])
        words.append(
            f"{NAMES[run.interface]} (rate {run.lr:g}): about {about(within)} within the paper's {paper} steps, "
            f"{about(len(solved))} within {run.steps}"
        )
    top, low = (run.solved_within(run.steps) for run in runs)
    ax.text(runs[0].steps, top + (4 if top >= low else -4), NAMES["units"], color=look.BLUE, ha="right",
            va="bottom" if top >= low else "top")  # fmt: skip
    ax.text(runs[1].steps, low + (4 if low > top else -4), "FROM/TO", color=look.ORANGE, ha="right",
            va="bottom" if low > top else "top")  # fmt: skip
    ax.set_ylim(0, 112)
    ax.set_xlim(0, runs[0].steps)
    counts = [about(run.solved_within(paper)) for run, paper in zip(runs, papers, strict=True)]
    look.headline(fig, f"As quick as the paper: about {counts[0]} and {counts[1]} of {runs[0].seeds} seeds")
    ax.set_xlabel("first step of 100 right answers in a row")
    ax.set_ylabel(f"seeds of {runs[0].seeds}")
    return fig, f"Flip-flop task, seeds solved by step, {runs[0].seeds} seeds. {'; '.join(words)}."


@look.styled
def draw_passing(trace: Trace, now: int, steps: int = 12) -> Drawing:
    """The three fast weights of a trained programmer over its first steps; those after `now` are still empty.

    A column is a step: what F reads there is the matrix before the step's write.
    """
    fig, _ = look.new_figure(3.6)
    fig.clear()
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(1.25, 1.0))
    for t in range(now):
        for line in range(3):
            value = trace.fast[t, line].item()
            side = 0.25 + 0.7 * min(1.0, abs(value))
            color = look.BLUE if t == now - 1 else look.GREEN
            top.add_patch(
                Rectangle(
                    (t + 0.5 - side / 2, line + 0.5 - side / 2),
                    side,
                    side,
                    color=color,
                    alpha=0.25 + 0.6 * abs(value),
                )
            )
    top.set_yticks([0.5, 1.5, 2.5], ["A's line", "B's line", "C's line"])
    top.set_ylim(3, 0)
    top.grid(False)
    answers = trace.outputs[:now].tolist()
    bottom.plot([t + 0.5 for t in range(now)], answers, color=look.ORANGE, marker="o", linestyle="")
    wanted = [t + 0.5 for t in range(now) if trace.targets[t] > 0.5]
    bottom.plot(
        wanted,
        [1.0] * len(wanted),
        color=look.INK,
        marker="s",
        markersize=11,
        markerfacecolor="none",
        linestyle="",
    )
    bottom.set_ylim(-0.3, 1.35)
    bottom.set_yticks([0, 1])
    bottom.set_ylabel("answer")
    bottom.grid(axis="x", visible=False)
    bottom.tick_params(axis="x", length=0)
    top.tick_params(axis="x", length=0)
    bottom.set_xlim(0, steps)
    bottom.set_xticks([t + 0.5 for t in range(steps)], list(trace.symbols[:steps]))
    symbol, weight = trace.symbols[now - 1], trace.fast[now - 1, 1].item()
    said = trace.outputs[now - 1].item()
    look.headline(
        fig, f"Step {now} reads {symbol}: B's line is at {abs(weight):.1f}, the answer is {abs(said):.1f}"
    )
    after = trace.fast[now, 1].item()
    alt = (
        f"Step {now} of {steps}: symbol {symbol}. Fast weights of the lines of A, B and C as read: "
        + ", ".join(f"{abs(value):.2f}" for value in trace.fast[now - 1].tolist())
        + f". Answer {abs(said):.2f}, wanted {trace.targets[now - 1].item():.0f}. After this step's write B's line "
        f"is at {abs(after):.2f}."
    )
    return fig, alt


def table_of_parking(runs: Sequence[Parking], within: int) -> tuple[list[str], list[list[str]]]:
    """By asking rate: seeds solved by the paper's criterion, and the share of questions that are really answered."""
    from statistics import median

    rows = []
    for run in runs:
        shares = [f"{about(100 * median(found))}%" for found in run.answered.values()]
        solved = about(100 * run.solved_within(within) / run.seeds)
        rows.append([f"{run.ask_probability:g}", f"{solved}% of {run.seeds} seeds", *shares])
    return [
        "asked, per step",
        f"solved within {within:,} steps",
        *(f"right after {n:,}" for n in runs[0].answered),
    ], rows


def table_of_afterwards(runs: Sequence[FlipFlop]) -> tuple[list[str], list[list[str]]]:
    """Of the seeds that met the criterion: how many get the symbols after their training right."""
    rows = []
    for run in runs:
        solved = [
            right for right, at in zip(run.right_afterwards(), run.solved_at, strict=True) if at is not None
        ]
        share = about(100 * sum(solved) / max(1, len(solved)))
        rows.append([NAMES[run.interface], f"{about(len(solved))} of {run.seeds}", f"{share}%"])
    return [
        "interface",
        f"met the criterion within {runs[0].steps:,} steps",
        "of those, right afterward",
    ], rows
