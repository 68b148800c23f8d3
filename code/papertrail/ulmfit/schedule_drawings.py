"""Figures of schedules and unfreezing: the curves, the printed formula's flaw, and a fine-tuning run step by step."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.ulmfit.fine_tuning import FineTuningHistory
from papertrail.ulmfit.schedules import (
    Schedule,
    circular,
    cosine,
    published_slanted_triangular,
    slanted_triangular,
    warmup_linear,
)

GROUP_LOOKS: list[dict[str, Any]] = [
    {"color": look.BLUE, "linestyle": "-"},
    {"color": look.ORANGE, "linestyle": "--"},
    {"color": look.GREEN, "linestyle": "-."},
    {"color": look.PURPLE, "linestyle": "-"},
    {"color": look.INK, "linestyle": ":"},
]
MOST_POINTS = 28  # of a curve: a frame has up to six of them, and a page up to twelve frames


def _number(value: float) -> str:
    """Two significant digits, written out, with a true minus."""
    if value == 0:
        return "0"
    decimals = max(0, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


@look.styled
def draw_schedules(total_steps: int = 200) -> Drawing:
    """Four schedules with the same peak: the paper's, its cosine, the released scripts', and the Transformers'."""
    curves: list[tuple[str, Schedule, dict[str, str]]] = [
        ("slanted triangle", slanted_triangular, GROUP_LOOKS[0]),
        ("warm-up, then linear", warmup_linear, GROUP_LOOKS[1]),
        ("the scripts' triangle", circular, GROUP_LOOKS[2]),
        ("cosine", cosine, {"color": look.PURPLE, "linestyle": ":"}),
    ]
    fig, ax = look.new_figure(3.4)
    steps = range(0, total_steps + 1, max(1, total_steps // 100))
    words = []
    for name, schedule, style in curves:
        rates = [schedule(step, total_steps, 1.0) for step in steps]
        ax.plot([step / total_steps for step in steps], rates, **style, label=name)
        peak = steps[rates.index(max(rates))]
        first, last = (schedule(step, total_steps, 1.0) for step in (0, total_steps))
        words.append(
            f"{name}: starts at {first:.3g}, peaks at {peak / total_steps:.0%} of the run, ends at {last:.3g}"
        )
    ax.set_xlabel("share of the run")
    ax.set_ylabel("rate, share of its peak")
    ax.set_ylim(0, 1.05)
    ax.set_xlim(0, 1)
    look.headline(fig, "A Transformer's warm-up is the slanted triangle again")
    fig.legend(loc="outside lower center", ncols=2, frameon=False)
    return fig, f"Learning rate over a run, as a share of its peak. {'; '.join(words)}."


@look.styled
def draw_published_goes_negative(total_steps: int = 19) -> Drawing:
    """Equation 3 as printed, with the guard, and as the released scripts compute it; T * cut_frac is not whole."""
    curves: list[tuple[str, Callable[..., float], dict[str, str]]] = [
        ("as printed", published_slanted_triangular, {"color": look.ORANGE}),
        ("with p ≥ 0", slanted_triangular, {"color": look.BLUE, "linestyle": "-."}),
        (
            "as in the scripts",
            partial(circular, div=32, cut_div=10),
            {"color": look.GREEN, "linestyle": "--"},
        ),
    ]
    fig, ax = look.new_figure(3.2)
    steps = range(total_steps)
    ends = {}
    for name, schedule, style in curves:
        rates = [schedule(step, total_steps, 1.0) for step in steps]
        ax.plot(list(steps), rates, **style, label=name)
        ends[name] = rates[-1]
    below = [step for step in steps if published_slanted_triangular(step, total_steps, 1.0) < 0]
    ax.axhline(0, color=look.INK, linewidth=1)
    ax.set_xlabel(f"step of {total_steps}")
    ax.set_ylabel("rate, share of its peak")
    ax.set_xticks(range(0, total_steps, 3))
    ax.legend(frameon=False, loc="upper right")
    last = _number(ends["as printed"])
    look.headline(fig, f"As printed, a run of {total_steps} steps ends at {last} of its peak")
    said = "; ".join(f"{name} {_number(rate)}" for name, rate in ends.items())
    negative = f"negative from step {below[0]} on" if below else "never negative"
    return fig, (
        f"Slanted triangular rate over {total_steps} steps, as a share of its peak. The printed formula is {negative}. "
        f"At the last step: {said}."
    )


def _check(history: FineTuningHistory, step: int) -> None:
    """Refuse, by name, a history that cannot be drawn, and a step that it has not."""
    groups, starts = len(history.group_names), history.epochs_at
    if not 1 <= groups <= len(GROUP_LOOKS):
        raise ValueError(f"group_names: got {groups}; allowed are 1 to {len(GROUP_LOOKS)}")
    if len(history.rates) != len(history.losses) or not history.losses:
        raise ValueError(
            f"losses: got {len(history.losses)}; allowed are {len(history.rates)}, one for each step"
        )
    if not all(0 <= loss < math.inf for loss in history.losses) or not any(history.losses):
        raise ValueError("losses: allowed are finite numbers from 0 up, not all of them 0")
    if wrong := [len(row) for row in history.rates if len(row) != groups]:
        raise ValueError(f"rates: a step has {wrong[0]} groups; allowed are {groups}")
    if not any(rate > 0 for row in history.rates for rate in row):
        raise ValueError("rates: all are 0; at least one group must learn at some step")
    if not starts or starts[0] != 0 or sorted(set(starts)) != starts or starts[-1] >= len(history.losses):
        raise ValueError(f"epochs_at: got {starts}; allowed are rising steps that start at 0")
    if not 0 <= step < len(history.losses):
        raise ValueError(f"step: got {step}; allowed are 0 to {len(history.losses) - 1}")


def _smooth(losses: list[float]) -> tuple[list[float], list[float], int]:
    """Means over neighboring steps, few enough to draw: their middles, their values, and how many steps each spans."""
    width = math.ceil(len(losses) / MOST_POINTS)
    spans = [losses[i : i + width] for i in range(0, len(losses), width)]
    middles = [i * width + (len(span) - 1) / 2 for i, span in enumerate(spans)]
    return middles, [sum(span) / len(span) for span in spans], width


def alt_unfreezing(history: FineTuningHistory, step: int) -> str:
    """In words: which group learns at which rate at this step, and the training loss there.

    Raises:
        ValueError: the run has no such step.
    """
    _check(history, step)
    named = reversed(list(zip(history.group_names, history.rates[step], strict=True)))
    said = ", ".join(f"{name} {'frozen' if rate == 0 else _number(rate)}" for name, rate in named)
    xs, smooth, width = _smooth(history.losses)
    now = smooth[step // width]
    return (
        f"{history.method.capitalize()}, step {step} of {len(history.losses)}, epoch {history.epoch(step)} of "
        f"{len(history.epochs_at)}. Learning rates from the top: {said}. Training loss near this step {now:.2f}, "
        f"at the start {smooth[0]:.2f}, at the end {smooth[-1]:.2f}."
    )


def _round_down(value: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above a value: a tick that needs few digits."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value)


def _log_ticks(history: FineTuningHistory) -> tuple[tuple[float, float], list[float]]:
    """Limits of a logarithmic axis of rates, and the powers of ten between them (or its ends, where there are none)."""
    rates = [rate for row in history.rates for rate in row if rate > 0]
    low, high = min(rates) / 1.6, max(rates) * 1.6
    ticks = [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    return (low, high), ticks if len(ticks) > 1 else [min(rates), max(rates)]


def _bars(ax: Axes, history: FineTuningHistory, step: int) -> None:
    """One bar a group, the head on top; a frozen group is a hatched strip that says so."""
    (low, high), _ = _log_ticks(history)
    for group, rate in enumerate(history.rates[step]):
        frozen = rate == 0
        end = low * (high / low) ** 0.5 if frozen else rate
        hatched = {"color": look.PAPER, "edgecolor": look.MUTED, "hatch": "///"}
        face: dict[str, Any] = hatched if frozen else {"color": GROUP_LOOKS[group]["color"]}
        ax.barh(group, end - low, left=low, height=0.6, **face)
        ax.text(end, group, " frozen" if frozen else f" {_number(rate)}", va="center")
    ax.set_xscale("log")
    ax.set_xlim(low, high * (high / low) ** 0.22)  # room for the widest number beside the longest bar
    ax.set_xticks([])  # the bars carry their numbers, and the curves beneath show the scale
    ax.minorticks_off()
    ax.set_yticks(range(len(history.group_names)), history.group_names)
    ax.set_ylim(-0.6, len(history.group_names) - 0.4)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_title("rate of each group now, log scale")


def _curves(ax: Axes, history: FineTuningHistory) -> None:
    """Every group's rate over the run, with a gap where it is frozen; few points, but no corner is cut."""
    steps = len(history.rates)
    tops = [max(row) for row in history.rates]
    training = [[rate > 0 for rate in row] for row in history.rates]
    starts = [i for i in range(steps) if i == 0 or training[i] != training[i - 1]]
    corners = {0, steps - 1}
    for start, end in zip(starts, [*starts[1:], steps], strict=True):
        corners |= {start, end - 1, max(range(start, end), key=tops.__getitem__)}
    chosen = sorted(corners | set(range(0, steps, math.ceil(steps / MOST_POINTS))))
    for group, style in zip(range(len(history.group_names)), GROUP_LOOKS, strict=False):
        rates = [history.rates[i][group] or math.nan for i in chosen]
        ax.plot(chosen, rates, **style, linewidth=1.6)
    limits, ticks = _log_ticks(history)
    ax.set_yscale("log")
    ax.set_ylim(*limits)
    ax.set_yticks(ticks, [_number(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_title("rates over the run")


@look.styled
def draw_unfreezing(history: FineTuningHistory, step: int) -> Drawing:
    """The moving figure's frame: rates by group at one step, rates over the run, and the training loss beneath.

    Raises:
        ValueError: the run has no such step.
    """
    alt = alt_unfreezing(history, step)
    fig, _ = look.new_figure(5.4)
    fig.clear()
    groups = len(history.group_names)
    bars, curves, losses = fig.subplots(3, 1, height_ratios=(0.42 * groups, 1.35, 1.0))
    _bars(bars, history, step)
    _curves(curves, history)
    xs, smooth, width = _smooth(history.losses)
    losses.plot(xs, smooth, color=look.INK, linewidth=1.6)
    losses.set_ylim(0, 1.1 * max(smooth))
    losses.set_title("training loss" + (f", means of {width} steps" if width > 1 else ""))
    losses.set_xlabel("step (a line where an epoch starts)")
    losses.set_yticks([0, _round_down(max(smooth))], ["0", _number(_round_down(max(smooth)))])
    every = math.ceil(len(history.epochs_at) / 5)
    starts = [x for start in history.epochs_at for x in (start, start, math.nan)]
    for ax in (curves, losses):
        bottom, top = ax.get_ylim()
        # one line for all epochs: a grid line for each would make up half of a frame's bytes
        ax.plot(
            starts, [bottom, top, math.nan] * len(history.epochs_at), color=look.GRID, linewidth=0.8, zorder=1
        )
        ax.axvline(step, color=look.INK, linewidth=1.2)
        ax.set_xlim(-0.5, len(history.losses) - 0.5)
        ax.set_ylim(bottom, top)
        ax.grid(axis="x", visible=False)
    losses.set_xticks(history.epochs_at[::every])
    curves.set_xticks([])
    for ax in (bars, curves, losses):
        ax.tick_params(length=0)
        ax.patch.set_visible(False)
    learn = sum(rate > 0 for rate in history.rates[step])
    look.headline(fig, f"Epoch {history.epoch(step)}, step {step}: {learn} of {groups} groups learn")
    return fig, alt
