"""Figures and tables of chapter 5's norms: what groups of cases do to BatchNorm, and what norms cost."""

from collections.abc import Sequence
from math import inf
from statistics import median

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.gopher.group_size import WU_HE, GroupSizes
from papertrail.gopher.invariances import MeanShift
from papertrail.gopher.norm_speed import LAYER, OURS, PAPER_TIMES, TORCH, WRITTEN, NormSpeed, saved

LOOKS = {
    "BatchNorm": {"color": look.ORANGE, "marker": "s"},
    "LayerNorm": {"color": look.BLUE, "marker": "o"},
    "RMSNorm": {"color": look.GREEN, "marker": "^"},
    "none": {"color": look.PURPLE, "marker": "v"},
}
NAMES = {"none": "no norm"}


def _percent(errors: Sequence[float]) -> float:
    return 100 * median(errors)


@look.styled
def draw_group_sizes(result: GroupSizes) -> Drawing:
    """Test error against the size of the group, ours on the left, Wu & He's ImageNet on the right."""
    fig, (left, right) = look.new_figure(3.6, columns=2)
    groups = list(result.evaluated)
    rows = [[100 * result.evaluated[g][seed] for g in groups] for seed in range(result.seeds)]
    middle = look.band(left, groups, rows, LOOKS["BatchNorm"]["color"], marker="s", label="BatchNorm")
    for norm, errors in result.others.items():
        style = LOOKS[norm] | {
            "marker": "",
            "linestyle": {"LayerNorm": "-", "RMSNorm": "--", "none": ":"}[norm],
        }
        left.axhline(
            _percent(errors), **{k: v for k, v in style.items() if k != "marker"}, label=NAMES.get(norm, norm)
        )
    right.plot(WU_HE["images"], WU_HE["BatchNorm"], color=look.ORANGE, marker="s")
    right.plot(
        WU_HE["images"], WU_HE["GroupNorm"], color=look.MUTED, marker="D", markersize=5, label="GroupNorm"
    )
    for ax, ticks in ((left, groups), (right, list(WU_HE["images"]))):
        ax.set_xscale("log", base=2)
        ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
        ax.minorticks_off()
    left.set_yscale("log")
    left.minorticks_off()
    left.set_yticks([5, 10, 20, 40, 80], ["5", "10", "20", "40", "80"])
    left.set_title("ours")
    left.set_xlabel("cases in a group")
    left.set_ylabel(f"test error, % ({result.seeds} seeds)")
    right.set_title("Wu & He 2018")
    right.set_xlabel("images per GPU")
    right.set_ylabel("ImageNet error, %")
    fig.legend(loc="outside lower center", ncols=3, frameon=False, handlelength=1.8, columnspacing=1.2)
    smallest = groups[0]
    layer = _percent(result.others["LayerNorm"])
    verb = "loses" if middle[0] > layer else "wins"
    look.headline(fig, f"With groups of {smallest} BatchNorm {verb}: {middle[0]:.0f}% against {layer:.0f}%")
    said = ", ".join(f"{g}: {value:.1f}" for g, value in zip(groups, middle, strict=True))
    others = ", ".join(f"{NAMES.get(n, n)} {_percent(e):.1f}" for n, e in result.others.items())
    wu_he = ", ".join(
        f"{n}: {b} and {g}"
        for n, b, g in zip(WU_HE["images"], WU_HE["BatchNorm"], WU_HE["GroupNorm"], strict=True)
    )
    return fig, (
        f"Test error in percent by the cases that share statistics, medians of {result.seeds} seeds. BatchNorm with "
        f"groups of {said}. Without groups: {others}. Beside it Wu and He's ResNet-50 by images per GPU, BatchNorm and "
        f"GroupNorm: {wu_he}."
    )


@look.styled
def draw_group(result: GroupSizes, group: int) -> Drawing:
    """One group size: BatchNorm as used and with the test groups' own statistics, beside norms that need no group."""
    rows = [
        ("BatchNorm, running", result.evaluated[group], "BatchNorm"),
        ("BatchNorm, groups", result.batched[group], "BatchNorm"),
        *((NAMES.get(norm, norm), errors, norm) for norm, errors in result.others.items()),
    ]
    fig, ax = look.new_figure(3.1)
    for i, (_, errors, norm) in enumerate(rows):
        filled = LOOKS[norm]["color"] if i != 1 else look.PAPER
        ax.plot([100 * e for e in errors], [i] * len(errors), linestyle="", markersize=7, markerfacecolor=filled,
                color=LOOKS[norm]["color"], marker=LOOKS[norm]["marker"])  # fmt: skip
        ax.text(100 * max(errors) * 1.12, i, f"{_percent(errors):.0f}%", va="center")
    ax.set_yticks(range(len(rows)), [row[0] for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.set_xlim(4, 160)
    ax.set_xticks([5, 10, 20, 40, 80], ["5", "10", "20", "40", "80"])
    ax.minorticks_off()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"test error, % ({result.seeds} seeds)")
    gaps = [100 * gap for gap in result.behind(group)]
    if min(gaps) > 0:
        verdict = (
            f"BatchNorm is behind by {median(gaps):.0f} points"
            if median(gaps) >= 1
            else "BatchNorm is just behind"
        )
    else:
        verdict = "BatchNorm is ahead in every seed" if max(gaps) < 0 else "too close to call"
    look.headline(fig, f"Groups of {group}: {verdict}")
    said = "; ".join(f"{name} {_percent(errors):.1f}" for name, errors, _ in rows)
    return fig, f"Test error in percent with groups of {group}, medians of {result.seeds} seeds: {said}."


@look.styled
def draw_norm_speed(speed: NormSpeed, shape: tuple[int, int]) -> Drawing:
    """Forward and backward at one shape by way, and what two fresh tensors cost before anything is computed."""
    ways = sorted(speed.times[shape], key=lambda way: speed.both(way, shape))
    times = [speed.both(way, shape) for way in ways]
    fig, ax = look.new_figure(3.2)
    colors = [look.ORANGE if "RMS" in way else look.BLUE for way in ways]
    ax.barh(range(len(ways)), times, height=0.6, color=colors)
    for i, value in enumerate(times):
        ax.text(value + 0.015 * max(times), i, f"{value:.2g}" if value < 10 else f"{value:.0f}", va="center")
    fresh = 2 * speed.faults(shape)
    ax.axvline(fresh, color=look.MUTED, linestyle=":", linewidth=1.4)
    ax.text(fresh, -0.75, "two fresh tensors", color=look.MUTED, ha="left", va="center")
    ax.set_yticks(range(len(ways)), ways)
    ax.set_ylim(len(ways) - 0.5, -1.1)
    ax.set_xlim(0, 1.12 * max(times))
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("ms of CPU, forward and backward")
    look.headline(fig, f"torch's RMSNorm takes {speed.ratio(TORCH, LAYER, shape):.1f} times LayerNorm's time")
    said = "; ".join(f"{way} {value:.3g}" for way, value in zip(ways, times, strict=True))
    return fig, (
        f"Milliseconds of CPU for forward and backward of [{shape[0]}, {shape[1]}], one thread: {said}. The pages of "
        f"two fresh tensors of that size cost {fresh:.3g}."
    )


@look.styled
def draw_mean_shift(result: MeanShift) -> Drawing:
    """How far the two norms are apart, against the mean of the vector."""
    fig, ax = look.new_figure(2.8)
    ax.plot(result.mean_over_std, result.difference, color=look.BLUE, marker="o")
    ax.set_xlabel("mean of the vector, in standard deviations")
    ax.set_ylabel(f"largest difference ({result.seeds} seeds)")
    ax.set_ylim(0, None)
    equal = result.difference[0] < 1e-12
    look.headline(fig, "At mean 0 the two norms are one" if equal else "The two norms differ even at mean 0")
    said = ", ".join(
        f"{'0' if d < 1e-12 else format(d, '.2f')} at {m:g}"
        for m, d in zip(result.mean_over_std, result.difference, strict=True)
    )
    return (
        fig,
        f"Largest difference between RMSNorm and LayerNorm by the vector's mean, {result.seeds} seeds: {said}.",
    )


def table_of_speed(speed: NormSpeed) -> tuple[list[str], list[list[str]]]:
    """A row for each shape: RMSNorm's time over LayerNorm's, for torch's, for ours, and for both as written."""
    rows = [
        [
            f"[{rows:,}, {dim:,}]",
            f"{speed.ratio(TORCH, LAYER, (rows, dim)):.1f}",
            f"{speed.ratio(OURS, LAYER, (rows, dim)):.1f}",
            f"{speed.ratio(TORCH, OURS, (rows, dim)):.1f}",
            f"{100 * (1 - speed.ratio(*WRITTEN, (rows, dim))):.0f}%".replace("-", "−"),
        ]
        for rows, dim in speed.shapes
    ]
    return [
        "shape",
        "torch's RMSNorm / LayerNorm",
        "ours / LayerNorm",
        "torch's / ours",
        "saved, both as written",
    ], rows


def table_of_paper_times() -> tuple[list[str], list[list[str]]]:
    """The paper's models, by what RMSNorm saves of LayerNorm's time."""
    rows = []
    for model in sorted(PAPER_TIMES, key=lambda name: saved(name)[0]):
        rms, partial = saved(model)
        rows.append([model, f"{rms:.1f}%", f"{partial:.1f}%"])
    return ["Zhang & Sennrich 2019", "RMSNorm saves", "pRMSNorm saves"], rows


def crossing(result: GroupSizes, norm: str = "LayerNorm") -> float:
    """The smallest group from which BatchNorm's median error is a point above another's at most; inf if none."""
    limit, found = median(result.others[norm]) + 0.01, inf
    for group in sorted(result.evaluated, reverse=True):
        if median(result.evaluated[group]) > limit:
            break
        found = group
    return found
