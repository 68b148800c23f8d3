"""Figures and tables of norms and depth."""

from collections.abc import Sequence
from math import exp, log10
from statistics import fmean, median

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.gopher.depth import (
    ARMS,
    FAILED,
    DepthGradients,
    DepthTraining,
    NormRatio,
    chain_entropy,
    norm_ratios,
    pick,
)

Table = tuple[list[str], list[list[str]]]
LOOKS = {"LayerNorm": (look.BLUE, "o"), "RMSNorm": (look.ORANGE, "D"), "none": (look.MUTED, "^")}
PLACES = {"pre": "Pre", "post": "Post"}
TOP = 3.05  # nats; whatever is above is drawn here


def arm_name(placement: str, norm: str) -> str:
    """ "Pre, RMSNorm", and "no norm" for the arm where placement means nothing."""
    return "no norm" if norm == "none" else f"{PLACES[placement]}, {norm}"


@look.styled
def draw_depth_gradients(results: Sequence[DepthGradients], depth: int) -> Drawing:
    """Gradient of W2 by block at the start, both norms, Pre on the left and Post on the right: one frame."""
    fig, axes = look.new_figure(3.5, columns=2, sharey=True)
    said = []
    for ax, (placement, place) in zip(axes, PLACES.items(), strict=True):
        for norm, style in (("LayerNorm", "-"), ("RMSNorm", "--")):
            result = pick(results, depth, placement, norm)
            blocks = list(range(1, depth + 1))
            middle = look.band(ax, blocks, result.norms, LOOKS[norm][0], label=norm, linestyle=style)
            said.append(f"{arm_name(placement, norm)} {middle[0]:.2g} to {middle[-1]:.2g}")
        ax.set_yscale("log")
        ax.set_ylim(0.01, 20)
        ax.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
        ax.minorticks_off()
        ax.set_title(place)
        ax.set_xlabel("block")
        ax.set_xticks([1, depth // 2, depth])
    axes[0].set_ylabel(f"gradient of W2 ({result.seeds} seeds)")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    ratios = [ratio for ratio in norm_ratios(results) if ratio.depth == depth]
    clear = sum(ratio.stands_out for ratio in ratios)
    finding = f"a difference in {clear} of {len(ratios)} cases" if clear else "no difference stands out"
    look.headline(fig, f"{depth} blocks, at the start: {finding}")
    alt = (
        f"Norm of the gradient of W2 at the start, {depth} blocks, median of {result.seeds} seeds, first block to "
        f"last: {'; '.join(said)}. RMSNorm over LayerNorm, geometric mean and two standard errors: "
        f"{'; '.join(map(say_ratio, ratios))}."
    )
    return fig, alt


def say_ratio(ratio: NormRatio) -> str:
    """ "Pre, first block 0.95 (0.78 to 1.16)"."""
    low, middle, high = (exp(ratio.log_ratio + 2 * side * ratio.error) for side in (-1, 0, 1))
    return f"{PLACES[ratio.placement]}, {ratio.block} block {middle:.2f} ({low:.2f} to {high:.2f})"


def table_of_ratios(results: Sequence[DepthGradients]) -> Table:
    """RMSNorm's gradient over LayerNorm's: geometric mean over seeds, and two standard errors either way."""
    ratios = norm_ratios(results)
    cases = list(dict.fromkeys((ratio.placement, ratio.block) for ratio in ratios))
    rows = []
    for depth in sorted({ratio.depth for ratio in ratios}):
        cells = [
            say_ratio(ratio).partition("block ")[2]
            for case in cases
            for ratio in ratios
            if (ratio.depth, ratio.placement, ratio.block) == (depth, *case)
        ]
        rows.append([str(depth), *cells])
    return ["blocks", *(f"{PLACES[placement]}, {block} block" for placement, block in cases)], rows


def table_of_gradients(results: Sequence[DepthGradients]) -> Table:
    """First and last block's gradient at the start, median over seeds."""
    rows = []
    for depth in sorted({result.depth for result in results}):
        cells = []
        for arm in ARMS:
            norms = pick(results, depth, *arm).norms
            cells.append(" / ".join(_short(median(row[at] for row in norms)) for at in (0, -1)))
        rows.append([str(depth), *cells])
    return ["blocks", *(arm_name(*arm) for arm in ARMS)], rows


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"10^{log10(value):.0f}"


@look.styled
def draw_depth_training(runs: Sequence[DepthTraining], lr: float) -> Drawing:
    """Final loss of every seed by depth and arm, at one learning rate."""
    fig, ax = look.new_figure(3.5)
    chosen = [run for run in runs if (run.lr, run.weight_mean, run.start) == (lr, 0.0, "xavier")]
    depths = sorted({run.depth for run in chosen})
    said = []
    for i, arm in enumerate(ARMS):
        color, marker = LOOKS[arm[1]]
        points, words = [], []
        for at, depth in enumerate(depths):
            for run in (r for r in chosen if (r.depth, r.placement, r.norm) == (depth, *arm)):
                points += [(at + 0.16 * (i - 2), min(loss, TOP)) for loss in run.final]
                middle = median(run.final)
                words.append(f"{middle:.2f} at {depth}" if middle < TOP else f"above {TOP:.0f} at {depth}")
        fill = "none" if arm[0] == "post" else color
        xs, ys = zip(*points, strict=True)
        ax.plot(xs, ys, marker, color=color, markerfacecolor=fill, linestyle="none", label=arm_name(*arm))
        said.append(f"{arm_name(*arm)} {', '.join(words)}")
    entropy = chain_entropy()
    for level, name in ((entropy, "entropy of the text"), (FAILED, "failed above")):
        ax.axhline(level, color=look.INK, linewidth=0.8, linestyle=":")
        ax.text(len(depths) - 0.52, level + 0.02, name, ha="right")
    ax.set_xticks(range(len(depths)), [f"{depth} blocks" for depth in depths])
    ax.set_xlim(-0.5, len(depths) - 0.5)
    ax.set_ylim(entropy - 0.1, TOP + 0.1)
    ax.set_ylabel(f"loss (nats, {chosen[0].seeds} seeds)")
    ax.grid(axis="x", visible=False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    normed = {
        place: [run for run in chosen if run.placement == place and run.norm != "none"] for place in PLACES
    }
    pre, post = (sum(run.failed for run in runs) for runs in normed.values())
    total = sum(run.seeds for run in normed["pre"])
    look.headline(fig, f"Rate {lr:g}: Pre fails in {pre} of {total} runs, Post in {post}")
    alt = (
        f"Loss after {len(chosen[0].losses[0])} steps at rate {lr:g}, medians of {chosen[0].seeds} seeds, in nats: "
        f"{'; '.join(said)} blocks. The text's entropy is {entropy:.2f}."
    )
    return fig, alt


def table_of_shifted(runs: Sequence[DepthTraining]) -> Table:
    """Final losses from shifted weights beside those from ordinary ones, mean over seeds and range."""
    shifted = [run for run in runs if run.weight_mean]
    rows = []
    for run in shifted:
        (usual,) = [
            r
            for r in runs
            if (r.depth, r.placement, r.norm, r.lr, r.weight_mean, r.start)
            == (run.depth, run.placement, run.norm, run.lr, 0.0, run.start)
        ]
        rows.append([arm_name(run.placement, run.norm), _range(usual.final), _range(run.final)])
    return ["arm", "weights around 0", f"weights around {shifted[0].weight_mean:g}"], rows


def table_of_smaller_start(runs: Sequence[DepthTraining]) -> Table:
    """Post from nn.Linear's own weights: final losses of both norms by depth, mean over seeds and range."""
    chosen = [run for run in runs if run.start == "linear"]
    rows = [
        [str(depth), *(_range(run.final) for run in chosen if run.depth == depth)]
        for depth in sorted({run.depth for run in chosen})
    ]
    return ["blocks", *(arm_name(run.placement, run.norm) for run in chosen[: len(rows[0]) - 1])], rows


def _range(losses: Sequence[float]) -> str:
    return f"{fmean(losses):.2f} ({min(losses):.2f} to {max(losses):.2f})"
