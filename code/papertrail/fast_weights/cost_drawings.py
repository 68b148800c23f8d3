"""Figures and tables of what attention costs, drawn from the recorded benchmark."""

from math import log10
from statistics import median

from matplotlib.axes import Axes

from papertrail import figures as look
from papertrail.experiments import given
from papertrail.fast_weights.cost import CostRecord, cache_bytes, crossover, linear_flops, state_bytes
from papertrail.figures import Drawing

LOOKS = {
    "naive softmax": {"color": look.MUTED, "linestyle": ":"},
    "fused softmax": {"color": look.BLUE, "linestyle": "-"},
    "linear": {"color": look.ORANGE, "linestyle": "-"},
    "delta": {"color": look.GREEN, "linestyle": "--"},
}
SOFTMAX, OURS = "fused softmax", "linear, map excluded"
AGAINST = (
    OURS, "linear", "delta", "fast-transformers, native", "fast-transformers, as shipped", "fla naive chunk",
    "fla naive chunk, our layout", "fla naive chunk, delta", "performer-pytorch", "delta, step by step",
    "cumulative sum",
)  # fmt: skip
NAMES = {
    OURS: "ours, no map", "linear": "ours, elu+1", "delta": "ours, delta rule",
    "fast-transformers, native": "fast-transf., tuned", "fast-transformers, as shipped": "fast-transf., shipped",
    "fla naive chunk": "fla naive", "fla naive chunk, our layout": "fla naive, as views",
    "fla naive chunk, delta": "fla naive, delta",
    "performer-pytorch": "performer-pytorch",
    "delta, step by step": "delta, step by step", "cumulative sum": "cumulative sum",
}  # fmt: skip


def _say_time(seconds: float) -> str:
    """Two digits and a unit a person reads: 0.46 ms, 61 ms, 13 s."""
    value, unit = (seconds * 1e3, "ms") if seconds < 1 else (seconds, "s")
    return f"{float(f'{value:.2g}'):g} {unit}"


def say_bytes(count: float) -> str:
    """65 KiB, 32 MiB, 2 GiB: up to three digits and a unit."""
    value, unit = next(
        (count / 2**p, u) for p, u in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if count >= 2**p or p == 10
    )
    return f"{float(f'{value:.3g}'):g} {unit}"


def _log_lengths(ax: Axes, lengths: list[int], every: int = 2) -> None:
    ax.set_xscale("log")
    shown = lengths[::every]
    ax.set_xticks(shown, [f"{n // 1024}k" if n >= 1024 else str(n) for n in shown])
    ax.minorticks_off()


def _log_times(ax: Axes, powers: tuple[int, ...]) -> None:
    ax.set_yscale("log")
    names = {-5: "10 µs", -4: "0.1 ms", -3: "1 ms", -2: "10 ms", -1: "0.1 s", 0: "1 s", 1: "10 s"}
    ax.set_yticks([10.0**p for p in powers], [names[p] for p in powers])
    ax.minorticks_off()


def measured_crossover(record: CostRecord, way: str, part: str = "both") -> tuple[float, bool]:
    """From which length a way is cheaper than fused softmax, and whether that was measured.

    Where it is never cheaper among the measured lengths, both curves are drawn out: the way like T, softmax with the
    exponent of its last two points. Such a number is an extrapolation.
    """
    lengths, costs = record.curve(way, part)
    softmax = dict(zip(*record.curve(SOFTMAX, part), strict=True))
    found = crossover(lengths, costs, [softmax[length] for length in lengths])
    if found is not None:
        return found, True
    (before, early), (last, late) = list(softmax.items())[-2:]
    exponent = log10(late / early) / log10(last / before)
    at, cost = lengths[-1], costs[-1]
    at_last = cost * last / at  # the way's cost at softmax's last length
    return last * (at_last / late) ** (1 / (exponent - 1)), False


def growth(record: CostRecord, way: str, first: int, last: int, part: str = "both") -> float:
    """Exponent of the length between two measured lengths."""
    one, other = (getattr(record.row(way, length), part)[1] for length in (first, last))
    return log10(other / one) / log10(last / first)


@look.styled
def draw_cost(record: CostRecord) -> Drawing:
    """Forward and backward time against length, four ways."""
    fig, ax = look.new_figure(3.6)
    words = []
    for way, style in LOOKS.items():
        lengths, costs = record.curve(way)
        ax.plot(lengths, costs, **style)
        words.append(
            f"{way} {_say_time(costs[0])} at {lengths[0]} and {_say_time(costs[-1])} at {lengths[-1]}"
        )
        lift = {"linear": 0.72, "delta": 1.45}.get(way, 1.0)
        aside = way == "naive softmax"  # its line ends early, among the others
        ax.text(lengths[-1] * (0.85 if aside else 1.12), costs[-1] * lift, way.replace(" ", "\n"),
                color=style["color"], va="center", ha="right" if aside else "left")  # fmt: skip
    lengths, _ = record.curve(SOFTMAX)
    _log_lengths(ax, lengths)
    _log_times(ax, (-3, -2, -1, 0, 1))
    ax.set_xlim(lengths[0], lengths[-1] * 3.4)
    at, _ = measured_crossover(record, "linear")
    ratio = record.row(SOFTMAX, 4096).both[1] / record.row("linear", 4096).both[1]
    ax.set_title(f"At 4,096 positions linear is {ratio:.0f} times as fast")
    ax.set_xlabel(f"positions T ({record.heads} heads of {record.dim}, one thread)")
    ax.set_ylabel("forward + backward")
    alt = (
        f"CPU time of a forward and a backward pass against length, {record.heads} heads of width {record.dim}: "
        f"{'; '.join(words)}. Linear attention with elu+1 is cheaper than fused softmax from about {at:.0f} positions."
    )
    return fig, alt


@look.styled
def draw_memory(record: CostRecord) -> Drawing:
    """Peak memory of a forward and a backward pass beyond the inputs, against length, four ways."""
    fig, ax = look.new_figure(3.4)
    words = []
    for way, style in LOOKS.items():
        rows = sorted((c for c in record.costs if c.way == way and c.extra_mib), key=lambda c: c.length)
        lengths, extra = [c.length for c in rows], [given(c.extra_mib) for c in rows]
        ax.plot(lengths, extra, **style)
        words.append(f"{way} {extra[0]:.1f} MiB at {lengths[0]} and {extra[-1]:,.0f} MiB at {lengths[-1]}")
        lift = {"linear": 0.8, "delta": 1.55, "fused softmax": 0.62}.get(way, 1.0)
        ax.text(
            lengths[-1] * 1.12, extra[-1] * lift, way.replace(" ", "\n"), color=style["color"], va="center"
        )
    lengths, _ = record.curve(SOFTMAX)
    _log_lengths(ax, lengths)
    ax.set_xlim(lengths[0], lengths[-1] * 3.4)
    ax.set_yscale("log")
    ax.set_yticks([1, 10, 100, 1000], ["1 MiB", "10 MiB", "100 MiB", "1,000 MiB"])
    ax.minorticks_off()
    look.headline(fig, "Only softmax with its matrix is quadratic in memory")
    ax.set_xlabel(f"positions T ({record.heads} heads of {record.dim})")
    ax.set_ylabel("extra memory at the peak")
    return fig, f"Peak memory beyond the inputs, forward and backward, against length: {'; '.join(words)}."


@look.styled
def draw_length(record: CostRecord, length: int) -> Drawing:
    """Costs at one length as bars, fused softmax as the line to beat, and where on the axis of lengths that is."""
    fig, _ = look.new_figure(4.3)
    fig.clear()
    axis, bars = fig.subplots(2, 1, height_ratios=(1.0, 1.6))
    lengths, softmax = record.curve(SOFTMAX)
    _, ours = record.curve("linear")
    axis.plot(lengths, [a / b for a, b in zip(softmax, ours, strict=True)], color=look.ORANGE)
    axis.axhline(1, color=look.BLUE, linewidth=1.4)
    at, _ = measured_crossover(record, "linear")
    axis.axvline(at, color=look.MUTED, linestyle=":", linewidth=1.4)
    axis.text(at * 1.1, 12, f"crossover {at:.0f}", color=look.MUTED, va="center")
    here = record.row(SOFTMAX, length).both[1]
    axis.plot(
        [length], [here / record.row("linear", length).both[1]], color=look.INK, marker="o", markersize=8
    )
    _log_lengths(axis, lengths)
    axis.set_yscale("log")
    axis.set_yticks([0.1, 1, 10], ["1/10", "1", "10"])
    axis.minorticks_off()
    axis.set_ylim(0.15, 60)
    axis.set_ylabel("speed-up")
    rows, words = [], []
    for way, style in LOOKS.items():
        try:
            cost = record.row(way, length).both[1]
        except ValueError:
            words.append(f"{way} not measured (its matrix needs too much memory)")
            rows.append(f"{way}: not run")
            continue
        bars.barh(len(rows), cost / here, color=style["color"], height=0.6)
        bars.text(max(cost / here, 0.0) + 0.06, len(rows), _say_time(cost), va="center")
        rows.append(way)
        words.append(f"{way} {_say_time(cost)}")
    bars.axvline(1, color=look.BLUE, linewidth=1.4)
    bars.set_yticks(range(len(rows)), rows)
    bars.set_ylim(len(rows) - 0.4, -0.6)
    bars.set_xlim(0, 6)
    bars.grid(axis="y", visible=False)
    bars.set_xticks([0, 1, 2, 3, 4, 5])
    bars.set_xlabel("time, fused softmax = 1")
    ratio = here / record.row("linear", length).both[1]
    finding = (
        f"linear is {ratio:.1f} times as fast" if ratio >= 1 else f"linear is {1 / ratio:.1f} times as slow"
    )
    look.headline(fig, f"T = {length:,}: {finding}")
    return (
        fig,
        f"{length} positions, forward and backward: {'; '.join(words)}. The crossover is at about {at:.0f}.",
    )


@look.styled
def draw_crossovers(record: CostRecord) -> Drawing:
    """One formula, many programs: from which length each of them beats torch's softmax attention."""
    fig, ax = look.new_figure(4.0)
    measured_ways = {cost.way for cost in record.costs}
    found = sorted(
        ((*measured_crossover(record, way), way) for way in AGAINST if way in measured_ways),
        key=lambda f: f[0],
    )
    words = []
    for i, (at, measured, way) in enumerate(found):
        own = way in (OURS, "linear", "delta")
        color = look.ORANGE if own else look.BLUE
        ax.plot([at], [i], color=color, marker="o" if measured else "D", markersize=8,
                markerfacecolor=color if measured else "none", linestyle="")  # fmt: skip
        number = f"{float(f'{at:.2g}'):,.0f}" + ("" if measured else " (extrapolated)")
        right = at < 2000
        ax.text(at * (1.25 if right else 0.8), i, number, ha="left" if right else "right", va="center")
        words.append(f"{NAMES[way]} {number}")
    ax.set_yticks(range(len(found)), [NAMES[way] for *_, way in found])
    ax.set_ylim(len(found) - 0.4, -0.6)
    ax.set_xscale("log")
    ticks = [100, 1000, 10_000, 100_000]
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlim(50, 200_000)
    spread = found[-1][0] / found[0][0]
    look.headline(fig, f"The same O(T), and crossovers {float(f'{spread:.1g}'):.0f} times apart")
    ax.set_xlabel("cheaper than fused softmax from T =")
    alt = (
        "Length from which each implementation is cheaper than torch's fused softmax attention, forward and backward: "
        f"{'; '.join(words)}."
    )
    return fig, alt


@look.styled
def draw_decoding(record: CostRecord) -> Drawing:
    """One more token: time and memory with a cache of keys and values, and with a fixed state."""
    fig, (left, right) = look.new_figure(3.2, columns=2)
    lengths = [row.length for row in record.decoding]
    for ax, cached, fixed in (
        (left, [r.cached for r in record.decoding], [r.fixed for r in record.decoding]),
        (right, [r.cache_bytes for r in record.decoding], [r.state_bytes for r in record.decoding]),
    ):
        ax.plot(lengths, cached, color=look.BLUE, marker="o", label="softmax, cached")
        ax.plot(lengths, fixed, color=look.ORANGE, marker="s", linestyle="--", label="linear, fixed state")
        _log_lengths(ax, lengths, every=1)
        ax.set_xlabel("positions so far")
    _log_times(left, (-5, -4, -3, -2))
    left.set_title("time for one more")
    right.set_yscale("log")
    ticks = [2**16, 2**20, 2**25]
    right.set_yticks(ticks, [say_bytes(tick) for tick in ticks])
    right.minorticks_off()
    right.set_title("memory kept")
    handles, labels = left.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    first, last = record.decoding[0], record.decoding[-1]
    alt = (
        f"Decoding one more position, 4 heads of width {record.dim}. Softmax with cached keys and values: "
        f"{_micro(first.cached)} after {first.length} positions and {_micro(last.cached)} after {last.length}, keeping "
        f"{say_bytes(first.cache_bytes)} and {say_bytes(last.cache_bytes)}. Linear attention with a fixed state: "
        f"{_micro(first.fixed)} and {_micro(last.fixed)}, keeping {say_bytes(last.state_bytes)} throughout."
    )
    return fig, alt


def _micro(seconds: float) -> str:
    return f"{float(f'{seconds * 1e6:.2g}'):,.0f} µs"


def table_of_benchmark(record: CostRecord, length: int = 4096) -> tuple[list[str], list[list[str]]]:
    """Every way at one length: times with quartiles, memory, and how many times ours without a map is as fast."""
    rows = []
    for way in dict.fromkeys(cost.way for cost in record.costs):
        try:
            cost = record.row(way, length)
        except ValueError:
            continue
        base = record.row("delta" if "delta" in way else OURS, length).both[1]
        low, middle, high = (x * 1e3 for x in cost.both)
        memory = "" if cost.extra_mib is None else f"{cost.extra_mib:.0f}"
        rows.append(
            [
                NAMES.get(way, way),
                f"{cost.forward[1] * 1e3:.1f}",
                f"{middle:.1f} ({low:.1f} to {high:.1f})",
                memory,
                f"{cost.both[1] / base:.1f}",
            ]
        )
    return [
        "implementation",
        "forward, ms",
        "forward + backward, ms (quartiles)",
        "extra MiB",
        "times ours",
    ], rows


def peak_share(record: CostRecord, length: int = 4096) -> float:
    """The useful operations a second of ours without a map, over those of the machine's matrix product."""
    flops = linear_flops(length, record.heads, record.dim, backward=True)
    return flops / record.row(OURS, length).both[1] / 1e9 / median(record.gemm)


def table_of_kept(
    lengths: tuple[int, ...], heads: int = 32, dim: int = 128
) -> tuple[list[str], list[list[str]]]:
    """What one layer keeps while decoding, in 16-bit numbers: keys and values so far, or a fixed state."""
    state = say_bytes(state_bytes(heads=heads, features=dim, value_dim=dim, size=2))
    rows = [[f"{n:,}", say_bytes(cache_bytes(n, heads=heads, dim=dim, size=2)), state] for n in lengths]
    return [
        "positions",
        f"keys and values ({heads} heads of {dim}, one layer, 2 bytes a number)",
        "state, likewise",
    ], rows
