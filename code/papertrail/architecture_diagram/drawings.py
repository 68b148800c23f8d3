"""Curves and tables of chapter 1, drawn from `measure_*` results. Diagrams of blocks are in `diagrams`."""

from collections.abc import Sequence

from papertrail import figures as look
from papertrail.architecture_diagram.accounting import (
    BASE,
    BIG,
    TABLE_3,
    audit_table_3,
    count_parameters,
    vocabulary_range,
)
from papertrail.architecture_diagram.history import CODE_BASES
from papertrail.architecture_diagram.measurements import OrderDifference, RmsByDepth
from papertrail.architecture_diagram.schedule import SCHEDULES
from papertrail.architecture_diagram.torch_conventions import TorchAgreement, TorchConventions
from papertrail.architecture_diagram.zoo import Found, Misreading
from papertrail.figures import Drawing


@look.styled
def draw_order_difference(xavier: OrderDifference, linear: OrderDifference) -> Drawing:
    """How far the two orders drift apart on the same weights, from two ways to draw those weights."""
    fig, ax = look.new_figure(3.3)
    xs = list(range(1, len(xavier.with_final_norm[0]) + 1))
    curves = (
        (xavier.without_final_norm, look.ORANGE, "Xavier, no final norm"),
        (xavier.with_final_norm, look.BLUE, "Xavier"),
        (linear.with_final_norm, look.GREEN, "torch's default"),
    )
    ends = []
    for rows, color, label in curves:
        middle = look.band(ax, xs, rows, color)
        at, top = (2 * len(xs)) // 3 - 1, max(xavier.without_final_norm[0])
        ax.text(xs[at], middle[at] + 0.05 * top, label, color=color, ha="right")
        ends.append(middle[-1])
    ax.set_title(f"Same weights, other order: {100 * ends[1]:.0f}% or {100 * ends[2]:.0f}% apart")
    ax.set_xlabel(f"sub-layer ({len(xs) // 2} layers, width {xavier.d_model}, {xavier.seeds} seeds)")
    ax.set_ylabel("distance / length")
    ax.set_ylim(0, None)
    ax.set_xticks(xs[1::2])
    alt = (
        f"Relative distance between Pre-LN and Post-LN states on the same weights, {xavier.seeds} seeds. With a final "
        f"norm it is zero after sub-layer 1 and after sub-layer {xs[-1]} it is {ends[1]:.2f} from Xavier weights, "
        f"{ends[2]:.2f} from torch's default. Without a final norm it is {ends[0]:.1f} from Xavier weights."
    )
    return fig, alt


@look.styled
def draw_rms_by_depth(result: RmsByDepth) -> Drawing:
    """Mean square of the hidden state by depth: a line for Pre-LN, one for Post-LN."""
    fig, ax = look.new_figure(3.3)
    layers = list(range(len(result.lower_bound)))
    squares = [[value**2 for value in row] for row in result.pre_ln]
    flat = [[value**2 for value in row] for row in result.post_ln]
    ax.fill_between(layers, result.lower_bound, result.upper_bound, color=look.PALE_ORANGE, linewidth=0)
    grown = look.band(ax, layers, squares, look.ORANGE)
    level = look.band(ax, layers, flat, look.BLUE)
    half = len(layers) // 2
    ax.text(1, 0.8 * result.upper_bound[-1], "shaded: Lemma 2,\n1 + l/2 to 1 + 3l/2", color=look.INK)
    ax.text(half + 8, grown[half] + 2, "Pre-LN, no final norm", color=look.ORANGE)
    ax.text(layers[-1], level[-1] + 2.5, "Post-LN", color=look.BLUE, ha="right")
    ax.set_title(f"Unnormalized, the Pre-LN stream grows to {grown[-1]:.0f}")
    ax.set_xlabel(f"layer l (width {result.d_model}, {result.seeds} seeds)")
    ax.set_ylabel("mean square")
    ax.set_ylim(0, None)
    alt = (
        f"Mean square of the hidden state by layer at initialization, {result.seeds} seeds. Post-LN stays at 1. Pre-LN "
        f"grows in a straight line to {grown[-1]:.0f} after {layers[-1]} layers, inside the band of Lemma 2."
    )
    return fig, alt


@look.styled
def draw_schedules() -> Drawing:
    """The paper's learning rate and the one of the later default."""
    fig, ax = look.new_figure(2.9)
    steps = [1, *range(100, 30001, 100)]
    paper, later = SCHEDULES[0], SCHEDULES[1]
    for schedule, color in ((paper, look.BLUE), (later, look.ORANGE)):
        ax.plot(steps, [1e4 * schedule.rate(step) for step in steps], color=color)
    peaks = [1e4 * schedule.rate(schedule.warmup) for schedule in (paper, later)]
    ax.text(
        later.warmup + 900,
        peaks[1] + 0.15,
        f"v2, v3: {peaks[1]:.2f} at step {later.warmup:,}",
        color=look.ORANGE,
    )
    ax.text(13500, 4.5, f"paper, v1: {peaks[0]:.2f} at step {paper.warmup:,}", color=look.BLUE)
    ax.set_title("The move to Pre-LN brought a higher learning rate")
    ax.set_xlabel("training step")
    ax.set_ylabel("rate, in 1e-4")
    ax.set_ylim(0, 11.5)
    ax.set_xticks([0, 4000, 8000, 16000, 24000], ["0", "4,000", "8,000", "16,000", "24,000"])
    alt = (
        f"Learning rate by step, width 512. The paper's peaks at {peaks[0]:.2f}e-4 at step {paper.warmup:,}; the later "
        f"default of tensor2tensor peaks at {peaks[1]:.2f}e-4 at step {later.warmup:,}. Both then fall."
    )
    return fig, alt


@look.styled
def draw_table_3() -> Drawing:
    """Which vocabulary sizes each printed parameter count of Table 3 allows."""
    fig, ax = look.new_figure(3.7)
    audit = audit_table_3()
    ax.axvspan(
        audit.base_sized.start / 1e3, (audit.base_sized.stop - 1) / 1e3, color=look.PALE_GREEN, linewidth=0
    )
    ax.axvline(37, color=look.MUTED, linestyle="--", linewidth=1.2)
    for i, row in enumerate(reversed(TABLE_3)):
        allowed = vocabulary_range(row)
        color = look.ORANGE if row is BIG else look.BLUE
        ax.plot([allowed.start / 1e3, (allowed.stop - 1) / 1e3], [i, i], color=color, linewidth=4)
    ax.set_yticks(range(len(TABLE_3)), [f"{row.name}: {row.printed_millions}M" for row in reversed(TABLE_3)])
    ax.text(36.9, 10.9, "37,000", color=look.MUTED, ha="right", va="center_baseline")
    ax.set_title("No vocabulary fits all")
    ax.set_xlabel("vocabulary V, in thousands of rows")
    ax.set_ylim(-0.6, 11.4)
    ax.grid(axis="y", visible=False)
    alt = (
        f"Range of vocabulary sizes allowed by each parameter count in Table 3. The ten base-size rows share "
        f"{audit.base_sized.start:,} to {audit.base_sized.stop - 1:,}; the big row allows {audit.big.start:,} to "
        f"{audit.big.stop - 1:,}, which does not overlap. The paper's text says about 37,000, which fits neither."
    )
    return fig, alt


Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # header, rows


def table_of_agreement(results: Sequence[tuple[str, float, TorchAgreement]]) -> Table:
    """Our layers against torch's: one row for each layer and order, one column for each precision."""
    header = ["torch layer", "norm_first", "our rule"]
    header += [f"{name}: within {tolerance:g}?" for name, tolerance, _ in results]
    rows = []
    for i, first in enumerate(results[0][2].rows):
        row = [first.layer, str(first.norm_first), "n/da" if first.norm_first else "none/dan"]
        for _, tolerance, result in results:
            worst = max(result.rows[i].forward, result.rows[i].gradient)
            row.append("yes" if worst < tolerance else f"no, {worst:.1e}")
        rows.append(row)
    return header, rows


def table_of_code_bases() -> Table:
    """What each code base builds, under which setting."""
    rows = [
        (
            f"{base.name} {base.version}",
            base.setting,
            "yes" if base.is_default else "no",
            base.rule.name,
            "yes" if base.final_norm else "no",
        )
        for base in CODE_BASES
    ]
    return ("code base", "setting", "default?", "order", "final norm?"), rows


def table_of_output_sizes(result: TorchConventions) -> Table:
    """Output size of torch's Pre-LN encoder by depth, without and with a final norm."""
    columns = zip(result.depths, result.rms_without_norm, result.rms_with_norm, strict=True)
    return ("layers", "size without norm=", "size with it"), [
        (str(depth), f"{bare:.1f}", f"{fixed:.1f}") for depth, bare, fixed in columns
    ]


def table_of_extra_norms(result: TorchConventions) -> Table:
    """How much nn.Transformer's two extra norms change its output as gains and biases move."""
    columns = zip(result.spreads, result.extra_norm_difference, strict=True)
    return ("gains and biases moved by", "change of the output"), [
        (f"{spread:g}", "under 0.001%" if change < 1e-5 else f"{100 * change:.0f}%")
        for spread, change in columns
    ]


def table_of_vocabularies() -> Table:
    """Printed parameter counts of base and big, beside the count at a vocabulary of 37,000."""
    audit = audit_table_3()
    fitting = (("base, and its nine variations", BASE, audit.base_sized), ("big", BIG, audit.big))
    return ("model", "printed", "with V = 37,000", "V that fits"), [
        (
            name,
            f"{row.printed_millions}M",
            f"{count_parameters(row, 37_000).total / 1e6:.2f}M",
            f"{allowed.start:,} to {allowed.stop - 1:,}",
        )
        for name, row, allowed in fitting
    ]


LANES = ("post", "pre", "res-post", "sandwich", "hybrid")
LANE_COLORS = {
    "post": look.BLUE, "pre": look.ORANGE, "res-post": look.GREEN, "sandwich": look.PURPLE, "hybrid": look.INK,
}  # fmt: skip
LABELED = {
    "Transformer, as published": "Transformer", "OPT-350M": "OPT-350M", "GPT-2": "GPT-2", "LLaMA": "LLaMA",
    "Swin v2": "Swin v2", "OLMo 3": "OLMo 3", "CogView": "CogView", "Gemma 3": "Gemma 3",
    "BLOOM, residual after norm": "a BLOOM option",
}  # fmt: skip


@look.styled
def draw_zoo(zoo: Sequence[Found]) -> Drawing:
    """Who moved the norm: one dot a model, by year, in a lane for each placement."""
    fig, ax = look.new_figure(3.6)
    counts = {lane: sum(model.placement == lane for model in zoo) for lane in LANES}
    for i, lane in enumerate(reversed(LANES)):
        color = LANE_COLORS[lane]
        of_lane = [model for model in zoo if model.placement == lane]
        for year in sorted({model.year for model in of_lane}):
            column = [model for model in of_lane if model.year == year]
            xs = [year + 0.11 * (j - (len(column) - 1) / 2) for j in range(len(column))]
            ax.plot(xs, [i] * len(column), "o", color=color, markersize=6)
        ax.text(2016.45, i + 0.24, f"{lane}: {counts[lane]}", color=color, weight="bold")
        for model in of_lane:
            if label := LABELED.get(model.name):
                side = "right" if model.year > 2022 else "center" if model.year > 2017 else "left"
                ax.text(model.year - 0.1 * (model.year == 2017), i - 0.38, label, color=look.INK, ha=side)
    late = [model.year for model in zoo if model.placement in ("res-post", "sandwich")]
    ax.set_title(f"{counts['pre']} of {len(zoo)} are Pre-LN; {len(late)} norm the branch's end")
    ax.set_yticks([])
    ax.set_xlim(2016.4, 2025.7)
    ax.set_ylim(-0.7, len(LANES) - 0.3)
    ax.set_xticks(range(2017, 2026, 2))
    ax.set_xlabel(f"year ({len(zoo)} models)")
    ax.spines["left"].set_visible(False)
    lanes = ". ".join(
        f"{lane}: {counts[lane]}, from {min(years)} to {max(years)}"
        for lane in LANES if (years := [model.year for model in zoo if model.placement == lane])
    )  # fmt: skip
    return fig, (
        f"{len(zoo)} entries by year and placement, as inspected. {lanes}. All are in the table that follows."
    )


def table_of_zoo(zoo: Sequence[Found]) -> Table:
    """Every model by year: what the inspector found."""
    rows = [
        (
            str(model.year), model.name + " *" * model.written_out, model.placement,
            "RMS" if model.norm == "rmsnorm" else "Layer",
            "yes" if model.parallel else "no", "yes" if model.final_norm else "no",
        )
        for model in sorted(zoo, key=lambda model: model.year)
    ]  # fmt: skip
    return ("year", "model", "placement", "norm", "parallel?", "final norm?"), rows


def table_of_misreadings(wrong: Sequence[Misreading]) -> Table:
    """Where the names would have led: a row for the norms of a model that stand alike elsewhere than their names do."""
    where = {
        "before": "entrance",
        "after": "end",
        "trunk": "after the sum",
        "lead": "main path, before the split",
        "skip": "skip",
    }
    groups: dict[tuple[str, str, str], list[str]] = {}
    for m in wrong:
        same_branch = m.expected[0] == m.found[0]
        guess, truth = (
            where[place] if same_branch else f"{where[place]} of {kind}"
            for kind, place in (m.expected, m.found)
        )
        groups.setdefault((m.model, guess, truth), []).append(m.norm)
    rows = [(model, ", ".join(names), guess, truth) for (model, guess, truth), names in groups.items()]
    return ("model", "names", "most others", "here"), rows
