"""Figures and tables of the theorems, from what `expected` and `theorems` measured."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import torch

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.scan_and_snap.expected import LEVEL, Drift, Skewed, Trajectory, measure_signs, see
from papertrail.scan_and_snap.measures import attention_in_the_limit
from papertrail.scan_and_snap.setting import DTYPE, make_language
from papertrail.scan_and_snap.theorems import (
    Consequence,
    Growth,
    Speed,
    exponents,
    measure_gains,
    snap_times,
)

Table = tuple[list[str], list[list[str]]]


def table_by_hand(lr_y: float = 4.0) -> Table:
    """The smallest case with a pencil: two classes of one query, one common token and one distinct token each.

    From zeros the first step moves Y alone; the row shown for each token is the second step's, in which class 1's
    signal reaches the attention. The outputs are the two targets.
    """
    language = make_language(2, distinct=1, common=1, targets_per_query=2, lowest=1.0)
    z = torch.zeros(1, 3, dtype=DTYPE)
    first = see(language, torch.zeros(3, 3, dtype=DTYPE), z, 2)
    Y = lr_y / 2 * first.f.T @ first.errors
    second = see(language, Y, z, 2)
    names = ("common", "distinct, class 1", "distinct, class 2")
    columns = (
        attention_in_the_limit(language, z)[0], first.f[0], first.f[1], Y[:, 0], Y[:, 1], second.g[0],
        second.push[0], second.push.mean(0),
    )  # fmt: skip
    rows = [
        [name, *(f"{round(column[i].item(), 3) + 0.0:+.3f}".replace("-", "−") for column in columns)]
        for i, name in enumerate(names)
    ]
    return ["token", "c, class 1", "f, class 1", "f, class 2", "Y to target 1", "Y to target 2", "g, class 1",
            "push of class 1", "move of z by unit rate"], rows  # fmt: skip


def _log_axis(ax: Any, ticks: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    ax.minorticks_off()


def _mark_snap(ax: Any, snap: tuple[float, float]) -> None:
    for at, style in zip(snap, (":", "--"), strict=True):
        ax.axvline(at, color=look.INK, linewidth=0.8, linestyle=style)


@look.styled
def draw_logits(trajectory: Trajectory, target: int = 0) -> Drawing:
    """The logits of a class's tokens over training time: the common one beside the distinct ones."""
    language = trajectory.language
    snap = snap_times(language.num_classes, trajectory.outputs, trajectory.lr_y)
    z = trajectory.z[1:, language.queries[target]]
    t = range(1, trajectory.steps + 1)
    distinct = language.distinct(target).nonzero().flatten()
    own = distinct[language.probabilities[target, distinct].argsort(descending=True)].tolist()
    fig, axes = look.new_figure(3.2, columns=2)
    axes[0].plot(t, z[:, 0], color=look.ORANGE)
    axes[0].set_title("common", fontweight="normal")
    shades = (1.0, 0.75, 0.55, 0.4)
    for token, shade in zip(own, shades, strict=False):
        share = language.probabilities[target, token].item()
        axes[1].plot(t, z[:, token], color=look.BLUE, alpha=shade, label=f"{share:.2f}")
    axes[1].set_title("distinct", fontweight="normal")
    for ax in axes:
        _log_axis(ax, (1, 10, 100, 1000))
        _mark_snap(ax, snap)
        ax.set_xlabel("step")
    axes[0].set_ylabel("attention logit z")
    fig.legend(
        *axes[1].get_legend_handles_labels(), title="P of the distinct token", loc="outside lower center", ncols=4,
        frameon=False,
    )  # fmt: skip
    held = measure_signs(trajectory).hold
    look.headline(fig, "Common down, distinct up, then slowly" if held else "Not every sign is theorem 2's")
    ends = ", ".join(f"{language.probabilities[target, token]:.2f} at {z[-1, token]:+.3f}" for token in own)
    alt = (
        f"Attention logits over {trajectory.steps} steps. The common token falls to {z[-1, 0]:+.2f}, of which "
        f"{z[round(snap[1]) - 1, 0] / z[-1, 0]:.0%} by t0. The distinct tokens, by P, end: {ends}. "
        f"Dotted t0' = {snap[0]:.0f}, dashed t0 = {snap[1]:.0f}."
    )
    return fig, alt


@look.styled
def draw_speed(speed: Speed) -> Drawing:
    """The signal's speed beside theorem 1's formula and its two laws."""
    fig, ax = look.new_figure(3.4)
    before, after = speed.t <= speed.snap[0], speed.t >= speed.snap[1] / 2
    ax.plot(speed.t, speed.measured, color=look.BLUE, linewidth=4, alpha=0.5, label="trained decoder")
    ax.plot(speed.t, speed.formula, color=look.INK, linewidth=1, label="theorem 1's γ(t)")
    ax.plot(
        speed.t[before], speed.early[before], color=look.GREEN, linestyle=":", label="its law for early times"
    )
    ax.plot(
        speed.t[after],
        speed.late[after],
        color=look.ORANGE,
        linestyle="--",
        label="its law for late times",
    )
    _mark_snap(ax, speed.snap)
    _log_axis(ax, (1, 10, 100, 1000))
    ax.set_xlabel("step")
    ax.set_ylabel("speed γ")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    peak = int(speed.measured.argmax()) + 1
    off = (speed.measured / speed.formula - 1).abs().max()
    look.headline(fig, f"The signal peaks at step {peak} and then fades")
    alt = (
        f"Speed of the signal over {len(speed.t)} steps: it rises to {speed.measured.max():.2f} at step {peak} and "
        f"falls to {speed.measured[-1]:.3f}. Theorem 1's formula is within {off:.1%} at every step. "
        f"At t0' = {speed.snap[0]:.0f} the rising law is {speed.early[round(speed.snap[0]) - 1]:.2f}, the "
        f"measured speed {speed.measured[round(speed.snap[0]) - 1]:.2f}."
    )
    return fig, alt


@look.styled
def draw_drift(found: Sequence[Drift]) -> Drawing:
    """How much of the conserved quantity is lost, by the ratio of the two rates."""
    fig, ax = look.new_figure(2.8)
    ratios = [case.ratio for case in found]
    percent = [[100 * case.worst[seed] for case in found] for seed in range(len(found[0].worst))]
    alike = [[100 * case.alike[seed] for case in found] for seed in range(len(found[0].alike))]
    middle = look.band(ax, ratios, percent, look.BLUE, marker="o", label=f"after {found[0].steps:,} steps")
    same = look.band(
        ax, ratios, alike, look.ORANGE, marker="s", linestyle="--", label=f"common token down to {LEVEL:.0%}"
    )
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    _log_axis(ax, ratios)
    ax.set_yscale("log")
    ax.set_yticks((0.1, 1, 10), ("0.1", "1", "10"))
    ax.minorticks_off()
    ax.axhline(1, color=look.INK, linewidth=0.8, linestyle=":")
    ax.set_xlabel("how many times as fast as the attention the decoder learns")
    ax.set_ylabel(f"drift, % ({len(percent)} seeds)")
    look.headline(fig, f"A faster decoder: drift {middle[0]:.1f}% to {middle[-1]:.1f}%")
    words = "; ".join(f"{max(case.worst):.2%} at {case.ratio:g}" for case in found)
    alt = (
        f"Drift of the conserved quantity after {found[0].steps} steps, worst class of {len(percent)} random "
        f"languages: {words} times the attention's rate. The dotted line is 1%. Where the common token is down to "
        f"{LEVEL:.0%} of the attention, medians: {', '.join(f'{value:.2f}%' for value in same)}."
    )
    return fig, alt


@look.styled
def draw_growth(found: Sequence[Growth]) -> Drawing:
    """The paper's figure 3 redone: the growth factor by decoder rate, integrated and by the two laws."""
    fig, ax = look.new_figure(3.6)
    words = []
    for case, color in zip(found, (look.BLUE, look.ORANGE, look.GREEN, look.PURPLE), strict=False):
        before, after = case.t <= case.snap[0], case.t >= case.snap[1]
        ax.plot(case.t, case.chi, color=color, linewidth=3.5, alpha=0.45, label=f"Y at {case.lr_y:g}")
        ax.plot(case.t[before], case.early[before], color=color, linewidth=1.2, linestyle=":")
        ax.plot(case.t[after], case.late[after], color=color, linewidth=1.2, linestyle="--")
        ax.plot(
            case.snap,
            [case.chi[int((case.t - at).abs().argmin())] for at in case.snap],
            "o",
            color=color,
            markersize=4,
        )
        words.append(f"{case.lr_y:g}: {case.snap[0]:.0f}, {case.snap[1]:.0f} and {case.chi[-1]:.0f}")
    _log_axis(ax, (0.1, 1, 10, 100, 1000))
    ax.set_yscale("log")
    ax.set_yticks((1, 10, 100), ("1", "10", "100"))
    ax.minorticks_off()
    ax.set_xlabel("t (dots: t0' and t0)")
    ax.set_ylabel("growth factor χ")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    look.headline(fig, "A faster decoder bends earlier and grows less")
    alt = (
        f"Growth factor over time up to {found[0].t[-1]:.0f}, integrated (wide) beside theorem 4's law "
        f"before t0' (dotted) and after t0 (dashed). By decoder rate, t0', t0 and the final factor: {'; '.join(words)}."
    )
    return fig, alt


def table_of_consequences(found: Sequence[Consequence]) -> Table:
    """Section 6's consequences by pair of rates: median peak of the signal, mean entropy and common attention."""
    rows = [
        [
            f"{c.lr_y:g}, {c.lr_z:g}",
            f"{median(c.peak):.0f}",
            f"{fmean(c.entropy):.3f}",
            f"{fmean(c.common):.3f}",
        ]
        for c in found
    ]
    return ["rates of Y, Z", "signal peaks at step", "entropy, nats", "attention on the common token"], rows


def table_of_skewed(found: Sequence[Skewed]) -> Table:
    """A second common token, rarer and rarer in class 2: does it lose?"""
    rows = [
        [
            f"{case.ratio:.2f}",
            f"{case.threshold:.2f}",
            "gains" if case.first > 0 else "loses",
            f"{case.end:+.3f}".replace("-", "−"),
        ]
        for case in found
    ]
    return ["f of class 2 / class 1", "gains below", "first move", "z in the end"], rows


def table_of_theorems(trajectory: Trajectory, speed: Speed) -> Table:
    """What each theorem says beside what one trajectory did; theorem 1's from a language under assumption 2."""
    signs, gains = measure_signs(trajectory), measure_gains(trajectory)
    before, after = exponents(trajectory)
    off = (speed.measured / speed.formula - 1).abs().max()
    kept = (gains.lower <= gains.chi).all() and (gains.chi <= gains.upper).all()
    bounds = f"{gains.lower[-1]:.2f} < {gains.chi[-1]:.2f} < {gains.upper[-1]:.2f}"
    K, M = trajectory.language.num_classes, trajectory.outputs
    t0 = round(snap_times(K, M, trajectory.lr_y)[1])
    moved = (trajectory.z[t0, 0, 0] / trajectory.z[-1, 0, 0]).item()
    return ["statement", "measured"], [
        ["1: speed γ(t)", f"within {off:.1%} at each of {len(speed.t)} steps"],
        ["2: distinct tokens gain", f"{1 - signs.losing:.0%} of the moves"],
        ["2: a single common token loses", f"{1 - signs.gaining:.0%} of the moves"],
        ["3: z in the order of P", f"{signs.ordered} of {K} classes"],
        ["3: r(t) = r(0) exp(2 (z - z(0)))", f"within {gains.worst:.1%}"],
        ["3: bounds on χ", bounds if kept else f"broken: {bounds}"],
        ["4: power of t up to t0' (toward 2)", f"{before:.1f}"],
        ["4: power of ln t in the end (2)", f"{after:.1f}"],
        ["4: share of the fall of z by t0", f"{moved:.0%} of {trajectory.steps} steps' (no stop)"],
    ]  # fmt: skip
