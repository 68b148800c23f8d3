"""Figures and tables of chapter 6's sampled runs: figures 4, 5 and 6 replayed, and the moving figure."""

from collections.abc import Mapping, Sequence
from math import exp
from statistics import median

import torch
from torch import Tensor

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.scan_and_snap.measures import rank_correlation
from papertrail.scan_and_snap.recorded_sampled import LongRun, ManySeeds, Sweep
from papertrail.scan_and_snap.sampled import STARTS, Rates, Replay, measure_moves

SCAN_TIMES = (0, 2, 4, 6, 8, 10, 15, 20, 30, 50, 100)
ROW_TIMES = (0, 2, 4, 6, 8, 10, 48, 100)  # the official figure's rows; its "Final" is iteration 48
SETTLED = 0.95  # of the whole change: from here on a frame says that attention has snapped
RATE_LOOKS = (
    {"color": look.BLUE, "marker": "o"}, {"color": look.ORANGE, "marker": "s", "linestyle": "--"},
    {"color": look.GREEN, "marker": "^", "linestyle": "-."}, {"color": look.PURPLE, "marker": "v", "linestyle": ":"},
)  # fmt: skip
Table = tuple[list[str], list[list[str]]]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _rates(rates: Rates) -> str:
    return f"{rates[0]:g}, {rates[1]:g}"


def _mean_rows(runs: Sequence[Replay], time: int) -> tuple[Tensor, Tensor]:
    """Attention on common and on distinct tokens, mean of seeds and classes: (common,), (distinct,)."""
    at = runs[0].at(time)
    common = torch.stack([run.c[at][:, run.language.common] for run in runs]).mean((0, 1))
    return common, torch.stack([run.distinct[at] for run in runs]).mean((0, 1))


@look.styled
def draw_losses(runs: Sequence[Replay], official: Mapping[int, float], many: ManySeeds) -> Drawing:
    """The official losses over our seeds' band, and between the lowest and highest of the recorded ones."""
    fig, ax = look.new_figure(3.3)
    at = list(official)
    look.band(
        ax, at, [[run.losses[time] for time in at] for run in runs], look.BLUE, label=f"{len(runs)} seeds"
    )
    edge = {"color": look.BLUE, "linestyle": ":", "linewidth": 1.2}
    ax.plot(many.iterations, many.lowest, **edge, label=f"range of {len(many.late)} seeds")
    ax.plot(many.iterations, many.highest, **edge)
    ax.plot(
        at,
        list(official.values()),
        color=look.ORANGE,
        marker="o",
        markersize=3.5,
        linestyle="",
        label="official log",
    )
    ax.set_yscale("log")
    ax.set_yticks([1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5], ["1", "0.1", "0.01", "0.001", "0.0001", "0.00001"])
    ax.minorticks_off()
    ax.set_xlabel("iteration")
    ax.set_ylabel("loss")
    fig.legend(loc="outside lower center", ncols=3, frameon=False, handlelength=1.6, columnspacing=1.0)
    few, wide = places_outside(runs, official, many)
    look.headline(
        fig, f"{len(at) - len(wide)} of {len(at)} official losses lie among {len(many.late)} seeds'"
    )
    last = at[-1]
    ours = [run.losses[last] for run in runs]
    return fig, (
        f"Loss by iteration on a logarithmic axis, rates 1 and 1. At iteration {last} the official log has "
        f"{official[last]:.2g}, our {len(runs)} seeds {min(ours):.2g} to {max(ours):.2g}. The official value is "
        f"outside the range of {len(runs)} seeds at {len(few)} of {len(at)} printed iterations, and outside that of "
        f"{len(many.late)} seeds at {len(wide)}."
    )  # fmt: skip


def places_outside(
    runs: Sequence[Replay], official: Mapping[int, float], many: ManySeeds
) -> tuple[list[int], list[int]]:
    """Iterations whose official loss no seed of ours brackets: of these runs, and of the recorded ones.

    Losses are compared to the four digits that the table keeps.
    """
    few = [
        time
        for time, loss in official.items()
        if not _within(loss, min(run.losses[time] for run in runs), max(run.losses[time] for run in runs))
    ]
    ends = zip(many.iterations, many.lowest, many.highest, strict=True)
    return few, [time for time, low, high in ends if not _within(official[time], low, high)]


def _within(value: float, low: float, high: float) -> bool:
    return float(f"{low:.4g}") <= value <= float(f"{high:.4g}")


@look.styled
def draw_rows(runs: Sequence[Replay], times: Sequence[int] = ROW_TIMES) -> Drawing:
    """Figure 4: attention on each token, a row of bars for each iteration; common tokens on the left."""
    fig, ax = look.new_figure(4.2)
    rows = [_mean_rows(runs, time) for time in times]
    tallest = max(values.max().item() for row in rows for values in row)
    said = []
    for i, (time, (common, distinct)) in enumerate(zip(times, rows, strict=True)):
        for values, start, color in ((common, 0, look.MUTED), (distinct, len(common) + 1, look.BLUE)):
            places = range(start, start + len(values))
            ax.bar(places, (0.9 * values / tallest).tolist(), 0.8, bottom=-i, color=color)
        ax.text(len(common) + len(distinct) + 1, 0.1 - i, _percent(distinct[-1].item()), va="bottom")
        said.append(
            f"{time}: {_percent(common.sum().item())}, {_percent(distinct[-1].item())}, {_percent(distinct[0].item())}"
        )
    ax.set_yticks([-i for i in range(len(times))], [f"iteration {time}" for time in times])
    ax.set_xlim(-0.8, len(common) + len(distinct) + 4)
    ax.set_ylim(0.2 - len(times), 1)
    middles = (len(common) / 2 - 0.5, len(common) + 0.5 + len(distinct) / 2)
    ax.set_xticks(middles, [f"{len(common)} common", f"{len(distinct)} distinct, by frequency"])
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    first, last = (row[1][-1].item() for row in (rows[0], rows[-1]))
    look.headline(fig, f"The top distinct token goes from {_percent(first)}% to {_percent(last)}%")
    return fig, (
        f"Attention in percent by iteration, mean of {len(runs)} seeds and both classes: all common tokens, the most "
        f"frequent distinct token, the rarest. {'; '.join(said)}."
    )  # fmt: skip


@look.styled
def draw_scan(runs: Sequence[Replay], time: int) -> Drawing:
    """One frame of the moving figure: attention by token frequency at one iteration, beside the start."""
    fig, (left, right) = look.new_figure(3.3, columns=2, width_ratios=(1, 2.6))
    (common, distinct), (common_0, distinct_0) = (_mean_rows(runs, t) for t in (time, 0))
    everywhere = common.sum().item()
    sums, sums_0 = (
        [part.sum().item() for part in parts] for parts in ((common, distinct), (common_0, distinct_0))
    )
    for ax, xs, now, then, color in (
        (left, (0, 1), sums, sums_0, [look.MUTED, look.BLUE]),
        (right, range(1, len(distinct) + 1), distinct.tolist(), distinct_0.tolist(), look.BLUE),
    ):
        ax.bar(
            xs, [100 * value for value in then], 0.9, color=look.GRID
        )  # wider, to be seen behind what outgrew it
        ax.bar(xs, [100 * value for value in now], 0.5, color=color)
        ax.grid(axis="x", visible=False)
    for x, value in enumerate(sums):
        left.text(x, 100 * max(value, sums_0[x]) + 1.5, f"{100 * value:.0f}", ha="center")
    left.set_xticks((0, 1), ["com-\nmon", "dis-\ntinct"])
    left.set_xlim(-0.6, 1.6)
    left.set_ylim(0, 75)
    left.set_ylabel("attention, % (gray: start)")
    right.set_ylim(0, 20)
    right.set_yticks(range(0, 21, 5))
    right.set_xticks([1, 4, 7, 10])
    right.set_xlabel("distinct token, rarest first")
    grown = [n for n, (now, then) in enumerate(zip(distinct, distinct_0, strict=True), 1) if now > then]
    look.headline(fig, f"Iteration {time}: {_phase(runs, time, len(grown), len(distinct))}")
    said = ", ".join(_percent(value) for value in distinct.tolist())
    return fig, (
        f"Iteration {time}, mean of {len(runs)} seeds and both classes: common tokens have {_percent(everywhere)}% "
        f"of the attention, distinct tokens, the rarest first, {said}%. {len(grown)} of {len(distinct)} have more than "
        f"at the start; {100 * _way(runs, time):.0f}% of the common tokens' whole change is over."
    )  # fmt: skip


def _way(runs: Sequence[Replay], time: int) -> float:
    return median(run.way(time) for run in runs) + 0.0  # no minus before a zero


def _phase(runs: Sequence[Replay], time: int, grown: int, of: int) -> str:
    way = _way(runs, time)
    if time == 0:
        return "attention is frequency"
    if way >= SETTLED:
        return f"snapped, {of - grown} of {of} left behind"
    return f"scanning, {way:.0%} of the way"


@look.styled
def draw_adam(sgd: Sequence[Replay], adam: Mapping[Rates, Sequence[Replay]]) -> Drawing:
    """Figure 5: what training adds to each distinct token's logit, and its attention, by optimizer and rate."""
    fig, (left, right) = look.new_figure(3.7, columns=2)
    kinds = {f"SGD, {sgd[0].rates[1]:g}": sgd} | {f"Adam, {rates[1]:g}": runs for rates, runs in adam.items()}
    said = []
    for (name, runs), style in zip(kinds.items(), RATE_LOOKS, strict=False):
        z, shares = (
            torch.cat([getattr(run, part)[-1] for run in runs]) for part in ("distinct_z", "distinct")
        )
        ranks = list(range(1, z.shape[1] + 1))
        look.band(left, ranks, z.tolist(), **style, markersize=4, label=name)
        look.band(right, ranks, (100 * shares).tolist(), **style, markersize=4)
        moves = measure_moves(runs)
        said.append(
            f"{name}: logits {min(moves.order):.2f} to {max(moves.order):.2f}, attention "
            f"{min(moves.shares_order):.2f} to {max(moves.shares_order):.2f}"
        )
    left.set_ylabel("logit z at the end")
    right.set_ylabel("attention, %")
    for ax in (left, right):
        ax.set_xticks([1, 4, 7, 10])
        ax.set_xlabel("token, rarest first")
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    against = (
        max(max(measure_moves(runs).order) for runs in adam.values()) < 0 < min(measure_moves(sgd).order)
    )
    look.headline(
        fig, "Adam turns the order around" if against else "Not every Adam run turns the order around"
    )
    return fig, _minus(
        f"Logit and attention of each distinct token, {len(sgd)} seeds, two classes. Rank correlation with the token's "
        f"frequency, lowest to highest: {'; '.join(said)}."
    )  # fmt: skip


@look.styled
def draw_sweep(sweep: Sweep) -> Drawing:
    """Figure 6: entropy against the ratio of the rates, a line for each rate of Z, from both starts."""
    fig, axes = look.new_figure(3.6, columns=2, sharey=True)
    said = []
    for ax, start in zip(axes, STARTS, strict=True):
        for (rate, ratios), style in zip(sweep.entropy[start].items(), RATE_LOOKS, strict=False):
            rows = list(zip(*ratios.values(), strict=True))
            xs = list(range(len(ratios)))
            middle = look.band(ax, xs, rows, **style, markersize=4, label=f"Z {rate}")
            said.append(f"{start}, {rate}: {', '.join(f'{value:.2f}' for value in middle)}")
        ax.axhline(median(sweep.before[start]), color=look.MUTED, linestyle=":", linewidth=1.2, label="start")
        ax.set_xticks(xs, list(ratios))
        ax.set_xlabel("rate of Y / rate of Z")
        ax.set_title("from zero" if start == "zero" else "torch's start")
    axes[0].set_ylabel(f"entropy, nats ({len(sweep.before['zero'])} seeds)")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False,
               handlelength=1.5, columnspacing=0.9)  # fmt: skip
    lowest = {
        start: min(min(v) for r in sweep.entropy[start].values() for v in r.values()) for start in STARTS
    }
    look.headline(
        fig, f"Entropy falls to {lowest['zero']:.1f} from zero, {lowest['torch']:.1f} from torch's start"
    )
    return fig, (
        f"Entropy of attention after 100 iterations, one query for two targets, medians of "
        f"{len(sweep.before['zero'])} seeds, by start and rate of Z, at ratios {', '.join(ratios)}: {'; '.join(said)}."
    )  # fmt: skip


@look.styled
def draw_long_run(found: LongRun) -> Drawing:
    """The largest attention on one token against the number of steps, with and without momentum."""
    fig, ax = look.new_figure(3.1)
    names = {"sgd": "SGD", "momentum": "SGD with momentum"}
    said, ends = [], []
    steps = found.times[1:]
    for (method, name), style in zip(names.items(), RATE_LOOKS, strict=False):
        rows = [[100 * value for value in run[1:]] for run in found.top[method]]
        middle = look.band(ax, steps, rows, **style, label=name)
        ends.append(f"{middle[-1]:.0f}%")
        said.append(f"{name}: {', '.join(f'{v:.1f} at {t:,}' for v, t in zip(middle, steps, strict=True))}")
    ax.set_xscale("log")
    ax.set_xticks(steps, [f"{step:,}" for step in steps])
    ax.minorticks_off()
    ax.set_ylim(0, None)
    ax.set_xlabel("steps")
    ax.set_ylabel(f"top token, % ({len(found.top['sgd'])} seeds)")
    ax.legend(frameon=False, loc="lower right")
    look.headline(fig, f"After {steps[-1]:,} steps the top token has {' or '.join(ends)}")
    return (
        fig,
        f"Largest attention on one token in percent, medians of {len(found.top['sgd'])} seeds. {'; '.join(said)}.",
    )


def table_of_rates(found: Mapping[Rates, Sequence[Replay]]) -> Table:
    """Figure 4's numbers for each pair of rates: when half is over, and what is left at the end."""
    rows = []
    for rates, runs in found.items():
        common = torch.stack([run.common[-1] for run in runs]).mean().item()
        nats = [run.entropies[-1].mean().item() for run in runs]
        rows.append([
            _rates(rates), f"{median(run.half_time for run in runs):g}", f"{common:.2f}",
            f"{median(nats):.2f}", f"{median(exp(value) for value in nats):.1f}",
        ])  # fmt: skip
    header = ["rates of Y, Z", "half over at", "mass on common tokens", "entropy", "effective tokens"]
    return header, rows


def table_of_moves(found: Mapping[Rates, Sequence[Replay]]) -> Table:
    """Each distinct token, the rarest first: in which share of seeds and classes its logit and its attention rose."""
    header = ["rates of Y, Z", *(f"{n}" for n in range(1, 11)), "common tokens' logits fell"]
    rows = []
    for rates, runs in found.items():
        moves = measure_moves(runs)
        pairs = zip(moves.gained, moves.grew, strict=True)
        signs = [f"{_sign(gained)}\u2060{_sign(grew)}" for gained, grew in pairs]
        rows.append([_rates(rates), *signs, "all" if moves.common_lost == 1 else f"{moves.common_lost:.0%}"])
    return header, rows


def _sign(share: float) -> str:
    """Rose in every case, fell in every case, or neither."""
    return {1.0: "+", 0.0: "−"}.get(share, "·")


def table_of_adam(sgd: Sequence[Replay], adam: Mapping[Rates, Sequence[Replay]]) -> Table:
    """Which three distinct tokens an optimizer likes best, numbered by frequency, and whether its seeds agree."""
    kinds = {f"SGD with momentum, {sgd[0].rates[1]:g}": sgd}
    kinds |= {f"Adam, {rates[1]:g}": runs for rates, runs in adam.items()}
    rows = []
    for name, runs in kinds.items():
        moves = measure_moves(runs)
        most = max(set(moves.top), key=moves.top.count)
        order = median(rank_correlation(
            torch.cat([run.distinct_z[-1] for run in runs]), torch.cat([run.distinct[0] for run in runs])
        ).tolist())  # fmt: skip
        rows.append([
            name, ", ".join(str(1 + n) for n in most), f"{moves.top.count(most)} of {len(moves.top)}",
            _minus(f"{order:.1f}"),
        ])  # fmt: skip
    return ["optimizer, rate", "three strongest", "seeds and classes", "logits against frequency"], rows
