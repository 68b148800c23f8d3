"""Figures and tables of chapter 2, drawn from `measure_*` results and from the recorded runs."""

from collections.abc import Sequence
from math import ceil, floor, log, log10
from statistics import geometric_mean, mean, median

from matplotlib.axes import Axes

from papertrail import figures as look
from papertrail.architecture_diagram import diagrams, inspect_model
from papertrail.experiments import seeded
from papertrail.figures import Drawing
from papertrail.layer_norm_placement.measurements import (
    Amplification,
    GradientProfile,
    RepresentationDistance,
)
from papertrail.layer_norm_placement.models import Model
from papertrail.layer_norm_placement.recorded import DepthFrame, find
from papertrail.layer_norm_placement.theory import pre_ln_distance, slope
from papertrail.layer_norm_placement.training import PLATEAU, TrainingRuns

NAMES = {
    "post": "Post-LN", "pre": "Pre-LN", "sandwich": "sandwich", "res-post": "res-post-norm", "deepnorm": "DeepNorm",
    "admin": "Admin", "b2t": "B2T", "dual-residual": "ResiDual",
}  # fmt: skip
SHOWN = ("post", "pre", "sandwich", "dual-residual")  # in the figure of distances
LOOKS = {
    "post": {"color": look.BLUE}, "pre": {"color": look.ORANGE}, "dual-residual": {"color": look.GREEN},
    "deepnorm": {"color": look.PURPLE}, "sandwich": {"color": look.MUTED, "linestyle": "--"},
    "admin": {"color": look.INK, "linestyle": ":"},
}  # fmt: skip


def _log_axis(ax: Axes, lowest: float, highest: float, every: int = 1) -> None:
    """A logarithmic y axis with its powers of ten written out: 0.01 can be read aloud, and drawn quickly."""
    ax.set_yscale("log")
    ax.set_ylim(lowest, highest)
    powers = range(ceil(log10(lowest)), floor(log10(highest)) + 1)
    ticks = [power for power in powers if power % every == 0]
    ax.set_yticks([10.0**power for power in ticks], [f"{10.0**power:g}" for power in ticks])
    ax.minorticks_off()


def _typeset(exponent: float) -> str:
    return f"{exponent:.2f}".replace("-", "−")


def _plain(ratio: float) -> str:
    """Two significant digits without an exponent: 0.55, 1.3, 90, 3,100."""
    return f"{float(f'{ratio:.2g}'):,.{1 if 1 <= ratio < 9.95 else 2 if ratio < 1 else 0}f}"


def draw_placement(placement: str) -> Drawing:
    """The inspector's picture of a small encoder with this placement: no line of it is drawn by hand."""
    import torch

    with seeded(0):
        model = Model(
            "encoder", 2, vocab_size=8, length=4, d_model=8, num_heads=2, d_ff=16, placement=placement
        )
        fig, alt = diagrams.draw_block(inspect_model(model, torch.randint(8, (1, 4))))
    name = NAMES[placement]
    return fig, f"{name[0].upper()}{name[1:]}. {alt}"


@look.styled
def draw_last_gradient(post: Sequence[GradientProfile], pre: Sequence[GradientProfile]) -> Drawing:
    """The last layer's W2 gradient against depth, with Theorem 1's curve through Pre-LN's first point."""
    fig, ax = look.new_figure(3.3)
    depths = [profile.depth for profile in post]
    middles = {}
    for placement, profiles in (("post", post), ("pre", pre)):
        rows = list(zip(*(profile.last("encoder") for profile in profiles), strict=True))
        middles[placement] = look.band(ax, depths, rows, marker="o", **LOOKS[placement])
    theory = [middles["pre"][0] * (depths[0] / depth) ** 0.5 for depth in depths]
    ax.plot(depths, theory, color=look.INK, linestyle=":", linewidth=1.4)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(depths, [str(depth) for depth in depths])
    ax.minorticks_off()
    ax.set_yticks([0.1, 0.2, 0.5, 1.0], ["0.1", "0.2", "0.5", "1"])
    ax.set_ylim(0.05, 1.6)
    ax.text(depths[-1], 1.2 * middles["post"][-1], "Post-LN", color=look.BLUE, ha="right", va="bottom")
    ax.text(depths[1], 1.25 * middles["pre"][1], "Pre-LN", color=look.ORANGE, ha="left", va="bottom")
    ax.text(depths[1], 0.62 * theory[1], "dotted: like 1/√L", color=look.INK, ha="right")
    fell = slope(depths, [geometric_mean(profile.last("encoder")) for profile in pre])
    flat = slope(depths, [geometric_mean(profile.last("encoder")) for profile in post])
    ax.set_title(f"Deeper: Pre-LN's last gradient falls like L^{_typeset(fell)}")
    ax.set_xlabel(f"layers L (encoder, width 64, {post[0].seeds} seeds)")
    ax.set_ylabel("gradient of the last W2")
    alt = (
        f"Norm of the last layer's W2 gradient at initialization for {depths[0]} to {depths[-1]} layers, "
        f"{post[0].seeds} seeds. Pre-LN falls from {middles['pre'][0]:.2f} to {middles['pre'][-1]:.2f}, exponent "
        f"{fell:.2f} where the theorem's bound has -0.5. Post-LN stays near {middles['post'][0]:.1f}, "
        f"exponent {flat:.2f}."
    )
    return fig, alt


@look.styled
def draw_gradient_profiles(profiles: Sequence[GradientProfile]) -> Drawing:
    """W2 gradients by layer in the decoder and in the encoder of one model, with the sqrt(2) guide."""
    fig, axes = look.new_figure(3.4, columns=2, sharey=True)
    depth, layers = profiles[0].depth, list(range(1, profiles[0].depth + 1))
    tops = {}
    for ax, stack in zip(axes, ("decoder", "encoder"), strict=True):
        for profile in profiles:
            middle = look.band(ax, layers, profile.norms[stack], **LOOKS[profile.placement])
            tops[stack, profile.placement] = middle
        _log_axis(ax, 1e-3, 1e1)
        ax.set_title(f"{stack}, {depth} layers")
        ax.set_xlabel("layer")
        ax.set_xticks([1, depth // 2, depth])
    guide = [tops["decoder", "post"][-1] * 2 ** ((layer - depth) / 2) for layer in layers]
    axes[0].plot(layers, guide, color=look.INK, linestyle=":", linewidth=1.4)
    axes[0].set_ylabel(f"gradient of W2 ({profiles[0].seeds} seeds)")
    axes[0].text(layers[3], guide[3] / 2.2, "Post-LN;\ndotted: √2 a layer", color=look.BLUE, va="top")
    for placement, lift in (("pre", 0.42), ("dual-residual", 2.6)):
        if ("encoder", placement) in tops:
            y, color = tops["encoder", placement][depth // 2] * lift, LOOKS[placement]["color"]
            axes[1].text(depth / 2, y, NAMES[placement], color=color, ha="center", va="center")
    words = []
    for profile in profiles:
        both = " and ".join(f"{_plain(median(profile.ratios(s)))} in the {s}" for s in ("decoder", "encoder"))
        words.append(f"{NAMES[profile.placement]} {both}")
    alt = (
        f"Gradient norms of W2 by layer at initialization, encoder-decoder of {depth} + {depth} layers, "
        f"{profiles[0].seeds} seeds. Last layer over first layer, median: {'; '.join(words)}. "
        "In the Post-LN decoder each layer down has about 1/√2 of the gradient; in its encoder nothing vanishes."
    )
    return fig, alt


@look.styled
def draw_rate(runs: Sequence[TrainingRuns], lr: float) -> Drawing:
    """Loss curves at one learning rate: Post-LN with and without warm-up, Pre-LN and ResiDual without."""
    fig, ax = look.new_figure(3.3)
    arms = (
        ("post", 0, look.BLUE, "-", "Post-LN"), ("post", 60, look.BLUE, "--", "Post-LN, warm-up"),
        ("pre", 0, look.ORANGE, "-", "Pre-LN"), ("dual-residual", 0, look.GREEN, "-", "ResiDual"),
    )  # fmt: skip
    words = []
    for placement, warmup, color, line, label in arms:
        run = find(runs, placement, lr, warmup)
        look.band(ax, run.steps, run.losses, color, linestyle=line, label=label)
        stuck = sum(final > 3 for final in run.final)
        words.append(
            f"{label} ends at {median(run.final):.2g}" + (f" ({stuck} of {run.seeds} stuck)" if stuck else "")
        )
    ax.axhline(PLATEAU, color=look.MUTED, linestyle=":", linewidth=1.4)
    ax.text(119, PLATEAU + 0.12, "ln 32: knows nothing", color=look.MUTED, va="bottom", ha="right")
    ax.set_ylim(0, 4.6)
    ax.set_xlim(0, 120)
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.0, 0.76), handlelength=2.2)
    post = find(runs, "post", lr)
    stuck = sum(final > 3 for final in post.final)
    ending = f"Post-LN is stuck in {stuck} of {post.seeds} runs" if stuck else "every arm trains"
    ax.set_title(f"Rate {lr:g}: {ending}")
    ax.set_xlabel(f"step ({post.depth} layers, {post.seeds} seeds)")
    ax.set_ylabel("loss (nats)")
    alt = (
        f"Training loss over 120 steps at rate {lr:g}, {post.depth} layers, {post.seeds} seeds, medians. "
        f"{'; '.join(words)}. A model that knows nothing has {PLATEAU:.2f}."
    )
    return fig, alt


@look.styled
def draw_token_collapse(post: TrainingRuns, pre: TrainingRuns) -> Drawing:
    """Mean cosine between the states of different tokens, by training step."""
    fig, ax = look.new_figure(3.0)
    steps = [step for step in post.cosine_steps if step <= 60]
    positions = list(range(len(steps)))
    middles = {}
    for run in (post, pre):
        rows = [row[: len(steps)] for row in run.cosines]
        middles[run.placement] = look.band(ax, positions, rows, marker="o", **LOOKS[run.placement])
    ax.set_xticks(positions, [str(step) for step in steps])
    ax.set_ylim(-0.1, 1.15)
    ax.text(positions[-1], 1.04, "Post-LN", color=look.BLUE, ha="right", va="bottom")
    ax.text(positions[-2], middles["pre"][-2] + 0.1, "Pre-LN", color=look.ORANGE, ha="left")
    ax.set_title(
        f"In Post-LN {post.seeds} of {post.seeds} runs make all tokens one"
        if min(row[len(steps) - 1] for row in post.cosines) > 0.99
        else "Tokens drawn together, and apart"
    )
    ax.set_xlabel(f"after step (not to scale; rate {post.lr:g}, {post.seeds} seeds)")
    ax.set_ylabel("mean cosine of two tokens")
    alt = (
        f"Mean cosine between the final states of 32 different tokens, {post.seeds} seeds, no warm-up, "
        f"rate {post.lr:g}. "
        + " ".join(
            f"{NAMES[p]}: "
            + ", ".join(f"{v:.2f} after {s}" for s, v in zip(steps, middles[p], strict=True))
            + "."
            for p in ("post", "pre")
        )
    )
    return fig, alt


@look.styled
def draw_representation_distance(result: RepresentationDistance) -> Drawing:
    """Distance between the inputs of consecutive sub-layers, averaged over each layer's two gaps; four placements."""
    fig, ax = look.new_figure(3.5)
    count = len(next(iter(result.distances.values()))[0])
    gaps = list(range(1, count, 2))
    words, middles = [], {}
    for placement, rows in result.distances.items():
        if placement not in SHOWN:
            continue
        pairs = [[(row[k - 1] + row[k]) / 2 for k in gaps] for row in rows]
        middles[placement] = look.band(ax, gaps, pairs, **LOOKS[placement])
        words.append(f"{NAMES[placement]} from {middles[placement][1]:.2f} to {middles[placement][-1]:.2f}")
    theory = [(pre_ln_distance(k) + pre_ln_distance(k + 1)) / 2 for k in gaps]
    ax.plot(gaps, theory, color=look.INK, linestyle=":", linewidth=1.4)
    ax.set_ylim(0, 0.7)
    if "post" in middles:
        ax.text(count, 0.6, "Post-LN, ResiDual", color=look.BLUE, ha="right", va="bottom")
    ax.text(count * 0.55, middles["pre"][int(len(gaps) * 0.55)] + 0.035, "Pre-LN", color=look.ORANGE)
    ax.text(count, theory[-1] - 0.075, "sandwich; dotted: theory", color=look.MUTED, ha="right")
    fell = mean(result.slopes("pre"))
    ax.set_title(f"Pre-LN: neighbors grow alike, like k^{_typeset(fell)}")
    ax.set_xlabel(f"sub-layer k ({result.depth} layers, width {result.d_model}, {result.seeds} seeds)")
    ax.set_ylabel("mean |change| per entry")
    alt = (
        "Mean absolute change between the inputs of consecutive sub-layers at initialization, averaged over a layer's "
        f"two, {result.seeds} seeds, second layer to last: {'; '.join(words)}. The theory of independent branches goes "
        f"from {theory[1]:.2f} to {theory[-1]:.2f} and lies on the sandwich norm's line."
    )
    return fig, alt


@look.styled
def draw_amplification(result: Amplification) -> Drawing:
    """Output change by depth for a small change of all weights, beside growth like N and like log N (from N = 2 up)."""
    fig, ax = look.new_figure(3.5)
    ends = {}
    for placement, rows in result.changes.items():
        middle = look.band(ax, result.depths, rows, marker="o", **LOOKS[placement])
        ends[placement] = middle[-1]
    words = [f"{NAMES[p]} {mean(result.slopes(p)):+.2f}" for p in ends]
    level = 0.0
    for placement in sorted(ends, key=lambda name: ends[name]):
        level = max(ends[placement], 1.75 * level)  # labels of lines that meet are moved apart
        ax.text(
            result.depths[-1] * 1.12, level, NAMES[placement], color=LOOKS[placement]["color"], va="center"
        )
    for placement, line, growth in (
        ("post", ":", float),
        ("pre", "--", log),
    ):  # the theorem's, from the first point
        first = median(row[0] for row in result.changes[placement])
        curve = [first * growth(depth) / growth(result.depths[0]) for depth in result.depths]
        ax.plot(result.depths, curve, color=look.INK, linestyle=line, linewidth=1.4)
    ax.set_xscale("log")
    ax.set_xticks(result.depths, [str(depth) for depth in result.depths])
    _log_axis(ax, 1e-2, 1e3)
    ax.set_xlim(result.depths[0] * 0.9, result.depths[-1] * 2.4)
    ax.set_title(f"Post-LN amplifies with depth, exponent {mean(result.slopes('post')):.1f}")
    ax.set_xlabel(f"layers N ({result.seeds} seeds; dotted: like N, dashed: like log N)")
    ax.set_ylabel("change / (weights' change)²")
    alt = (
        f"Mean square change of the normalized output over the squared relative change of the weights, "
        f"{result.depths[0]} to {result.depths[-1]} layers, {result.seeds} seeds. "
        f"Exponents of depth, mean: {', '.join(words)}. Growth like log N, drawn through Pre-LN's first point, ends at "
        f"{curve[-1]:.1f}, and Pre-LN at {ends['pre']:.1f}."
    )
    return fig, alt


@look.styled
def draw_depth(frame: DepthFrame) -> Drawing:
    """The moving figure's frame: decoder gradients on the left, training without warm-up on the right."""
    fig, (left, right) = look.new_figure(3.9, columns=2)
    layers = list(range(1, frame.depth + 1))
    for placement, profile in frame.gradients.items():
        look.band(left, layers, profile.norms["decoder"], label=NAMES[placement], **LOOKS[placement])
    seeds = frame.gradients["post"].seeds
    _log_axis(left, 1e-5, 1e1, every=2)
    left.set_xticks(sorted({1, frame.depth // 2, frame.depth} - {0}))
    left.set_xlabel("decoder layer")
    left.set_title("gradient of W2, at start")
    for placement, run in frame.training.items():
        look.band(right, run.steps, run.losses, **LOOKS[placement])
    right.set_ylim(0, 4.4)
    right.set_title("loss, no warm-up")
    right.set_xlabel(f"step ({seeds} seeds)")
    handles, labels = left.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, handlelength=1.8)
    ratio = median(frame.gradients["post"].ratios("decoder"))
    stuck = {p: sum(final > 3 for final in run.final) for p, run in frame.training.items()}
    words = "; ".join(
        f"{NAMES[p]} ratio {_plain(median(profile.ratios('decoder')))}, "
        f"final loss {median(frame.training[p].final):.2g}"
        + (f" with {stuck[p]} of {seeds} at the plateau" if stuck[p] else "")
        for p, profile in frame.gradients.items()
    )
    look.headline(
        fig, f"{frame.depth} layers, {frame.start}: Post-LN's last to first is {_plain(ratio)} to 1"
    )
    alt = (
        f"{frame.depth} layers, {frame.start} weights, {seeds} seeds, medians. Last decoder layer's gradient over "
        f"the first's, and loss after {frame.training['post'].steps[-1]} steps at rate "
        f"{frame.training['post'].lr:g}: {words}."
    )
    return fig, alt


def table_of_ratios(frames: Sequence[DepthFrame], start: str = "xavier") -> tuple[list[str], list[list[str]]]:
    """Decoder gradients by depth: last layer over first, median over seeds, and the factor a layer that makes it."""
    rows = []
    for frame in (frame for frame in frames if frame.start == start):
        ratios = {p: median(profile.ratios("decoder")) for p, profile in frame.gradients.items()}
        cells = [f"{_plain(ratio)} ({ratio ** (1 / (frame.depth - 1)):.2f})" for ratio in ratios.values()]
        rows.append([str(frame.depth), *cells])
    return ["layers", *(NAMES[p] for p in frames[0].gradients)], rows


def table_of_slopes(result: RepresentationDistance) -> tuple[list[str], list[list[str]]]:
    """For every placement the exponent of the distance between neighbors: mean and range over seeds."""
    rows = []
    for placement in result.distances:
        slopes = result.slopes(placement)
        rows.append([NAMES[placement], f"{mean(slopes):+.2f}", f"{min(slopes):+.2f} to {max(slopes):+.2f}"])
    return ["placement", "exponent of k", "over seeds"], rows


def table_of_finals(runs: Sequence[TrainingRuns]) -> tuple[list[str], list[list[str]]]:
    """Final loss of every placement by rate, without and with warm-up: median over seeds, and how many are stuck."""
    rates = sorted({run.lr for run in runs})
    header = ["placement"] + [
        f"{rate:g}{', warm-up' if warmup else ''}" for rate in rates for warmup in (0, 60)
    ]
    rows = []
    for placement, name in NAMES.items():
        cells = [_final(find(runs, placement, rate, warmup)) for rate in rates for warmup in (0, 60)]
        rows.append([name, *cells])
    return header, rows


def _final(run: TrainingRuns) -> str:
    stuck = sum(final > 3 for final in run.final)
    return f"{median(run.final):.3f}" + (f" ({stuck} stuck)" if stuck else "")


def table_of_starts(
    gradients: dict[str, GradientProfile],
    distances: dict[str, RepresentationDistance],
    amplifications: dict[str, Amplification],
    runs: Sequence[TrainingRuns],
) -> tuple[list[str], list[list[str]]]:
    """The effects with Xavier's weights and with nn.Linear's own; keys are the starts."""
    rows = []
    starts = list(gradients)
    lr = max(run.lr for run in runs)
    rows.append(
        ["Post-LN decoder: last gradient over first"]
        + [_plain(median(gradients[s].ratios("decoder"))) for s in starts]
    )
    rows.append(
        [f"Post-LN without warm-up, rate {lr:g}: loss"]
        + [f"{median(find(runs, 'post', lr, 0, s).final):.2g}" for s in starts]
    )
    rows.append(
        ["Pre-LN: exponent of the distance between neighbors"]
        + [f"{mean(distances[s].slopes('pre')):.2f}" for s in starts]
    )
    for placement in ("post", "pre"):
        cells = []
        for start in starts:
            result = amplifications[start]
            last = median(row[-1] for row in result.changes[placement])
            cells.append(f"{_plain(last)} ({mean(result.slopes(placement)):.1f})")
        deepest = amplifications[starts[0]].depths[-1]
        rows.append([f"{NAMES[placement]}: amplification at {deepest} layers (exponent)", *cells])
    return ["effect", *starts], rows
