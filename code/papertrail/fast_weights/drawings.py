"""Figures and tables of chapter 3: memories, what they hold, and how they are corrected."""

from collections.abc import Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from papertrail import figures as look
from papertrail.experiments import given
from papertrail.fast_weights.by_hand import WRITES, measure_writes
from papertrail.fast_weights.measurements import Equivalence, FormDifferences, Stability
from papertrail.fast_weights.performer import KernelError
from papertrail.fast_weights.retrieval import LOGGED, LOGGED_SYMBOLS, Recall, TrainedRecall, rank_bound
from papertrail.figures import Drawing

RULES = {"sum": "sum rule", "delta": "delta rule", "softmax": "softmax"}
LOOKS = {
    "sum": {"color": look.BLUE, "marker": "o"},
    "delta": {"color": look.ORANGE, "marker": "s", "linestyle": "--"},
}
MAP_LOOKS = {
    "elu+1": {"color": look.BLUE, "marker": "o"},
    "dpfp-1": {"color": look.ORANGE, "marker": "s"},
    "dpfp-2": {"color": look.GREEN, "marker": "^"},
    "dpfp-3": {"color": look.PURPLE, "marker": "v"},
}


def map_name(feature_map: str | None) -> str:
    """How a feature map is written in figures and tables."""
    return "no map" if feature_map is None else feature_map.replace("dpfp", "DPFP")


def pair(values: Sequence[float]) -> str:
    """A short vector as it is written in the text: 2.4, 0.6."""
    return ", ".join(map(_number, values))


def _number(value: float) -> str:
    """Up to two decimals, a true minus, and no minus before zero."""
    return f"{round(value, 2) + 0.0:g}".replace("-", "−")


def _matrix(ax: Axes, memory: Sequence[Sequence[float]], largest: float) -> None:
    """A matrix as shaded cells with its numbers written in: color is never the only carrier."""
    for i, row in enumerate(memory):
        for j, value in enumerate(row):
            shade = look.PALE_ORANGE if value < 0 else look.PALE_BLUE
            side = 0.35 + 0.6 * min(1.0, abs(value) / largest)
            corner = (j + 0.5 - side / 2, i + 0.5 - side / 2)
            ax.add_patch(Rectangle(corner, side, side, color=shade if value else look.GRID))
            ax.text(j + 0.5, i + 0.5, _number(value), ha="center", va="center")
    ax.set_xlim(0, len(memory[0]))
    ax.set_ylim(len(memory), 0)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.set_aspect("equal")


@look.styled
def draw_writes(count: int) -> Drawing:
    """Both memories after so many writes: the matrix, and how far each key's answer is from what was written last."""
    moments = {rule: measure_writes(rule)[count - 1] for rule in ("sum", "delta")}
    key, value = WRITES[count - 1]
    what = f"write {count}: {key} → {pair(value)}"
    fig, _ = look.new_figure(4.0)
    fig.clear()
    grid = fig.subplots(2, 2, height_ratios=(1.15, 1.0))
    words = []
    keys = list(moments["sum"].reads)
    for column, (rule, moment) in enumerate(moments.items()):
        top, bottom = grid[:, column]
        _matrix(top, moment.memory, largest=7.0)
        top.set_title(RULES[rule])
        errors = moment.errors
        bottom.barh(range(len(keys)), [errors[key] for key in keys], color=LOOKS[rule]["color"], height=0.55)
        bottom.set_yticks(range(len(keys)), [f"key {key}" for key in keys])
        bottom.set_ylim(2.6, -0.6)
        bottom.grid(axis="y", visible=False)
        bottom.set_xlim(0, 8.4)
        bottom.set_xticks([0, 2, 4, 6])
        bottom.set_xlabel("error of the answer")
        for i, key in enumerate(keys):
            bottom.text(errors[key] + 0.15, i, _number(round(errors[key], 2)), va="center")
        rows = "; ".join(" ".join(_number(x) for x in row) for row in moment.memory)
        said = ", ".join(f"{key} {_number(round(errors[key], 2))}" for key in keys)
        words.append(f"{RULES[rule]}: matrix {rows}, errors by key {said}")
    look.headline(fig, what)
    return fig, f"After {what}. {'. '.join(words)}."


@look.styled
def draw_recall(once: Sequence[Recall], overwritten: Sequence[Recall]) -> Drawing:
    """Untrained memories: error against the number of keys, and against the number of writes to four keys."""
    fig, axes = look.new_figure(3.3, columns=2, sharey=True)
    left, right = axes
    for rule, style in LOOKS.items():
        left.plot([r.symbols for r in once], [r.errors[rule] for r in once], **style, label=RULES[rule])
        right.plot([r.length for r in overwritten], [r.errors[rule] for r in overwritten], **style)
    dim = once[0].dim
    left.axvline(dim, color=look.MUTED, linestyle=":", linewidth=1.4)
    left.set_title("each key once")
    left.set_xlabel(f"keys ({dim} rows)")
    left.set_ylabel(f"relative error ({once[0].draws} draws)")
    left.set_xticks([r.symbols for r in once if r.symbols % 8 == 0])
    left.set_ylim(-0.1, 1.1 * max(max(r.errors.values()) for r in (*once, *overwritten)))
    left.legend(frameon=False, loc="upper left")
    right.set_title(f"{overwritten[0].symbols} keys, overwritten")
    right.set_xlabel("writes")
    right.set_xticks([r.length for r in overwritten])
    last = overwritten[-1]
    alt = (
        f"Relative error of what untrained memories with {dim} rows recall, orthonormal keys, {once[0].draws} draws. "
        "Each key written once: "
        + "; ".join(
            f"{r.symbols} keys, sum {r.errors['sum']:.2f}, delta {r.errors['delta']:.2f}" for r in once
        )
        + f". {last.symbols} keys overwritten by {last.length} writes: sum {last.errors['sum']:.2f}, delta "
        f"{last.errors['delta']:.2f}."
    )
    return fig, alt


@look.styled
def draw_capacity(runs: Sequence[TrainedRecall]) -> Drawing:
    """Trained memories against the bound: ours by seed on the left, the authors' logged points on the right."""
    fig, axes = look.new_figure(3.6, columns=2, sharey=True)
    left, right = axes
    words = []
    for feature_map in ("elu+1", "dpfp-1", "dpfp-2"):
        chosen = sorted((r for r in runs if r.feature_map == feature_map), key=lambda r: r.symbols)
        style = MAP_LOOKS[feature_map]
        features = given(chosen[0].features)
        for run in chosen:
            left.plot([run.symbols] * run.seeds, run.loss, color=style["color"], marker=style["marker"],
                      linestyle="", markersize=4.5, alpha=0.75)  # fmt: skip
        grid = list(range(chosen[0].symbols, chosen[-1].symbols + 1))
        left.plot(
            grid, [max(0.0, 0.5 * (1 - features / s)) for s in grid], color=style["color"], linewidth=1.4
        )
        middle = [f"{median(r.loss):.3f} at {r.symbols}" for r in chosen]
        words.append(f"{map_name(feature_map)} ({features} features) {', '.join(middle)}")
    for feature_map, (features, losses) in LOGGED.items():
        style = MAP_LOOKS[feature_map]
        right.plot(
            LOGGED_SYMBOLS, losses, color=style["color"], marker=style["marker"], linestyle="", markersize=6
        )
        grid = list(range(50, features, 50)) + list(range(features, 601, 20))
        right.plot(grid, [rank_bound(s, features) for s in grid], color=style["color"], linewidth=1.4)
        right.plot([], [], color=style["color"], marker=style["marker"], label=map_name(feature_map))
    left.set_title(f"ours, {runs[0].seeds} seeds")
    right.set_title("authors' logs")
    for ax in axes:
        ax.set_xlabel("keys S")
        ax.set_ylim(-0.02, 0.52)
    left.set_xticks(sorted({r.symbols for r in runs} - {12}))
    right.set_xticks([200, 400, 600])
    left.set_ylabel("loss (line: rank bound)")
    fig.legend(loc="outside lower center", ncols=4, frameon=False, handlelength=1.4, columnspacing=1.2)
    softmax = [r for r in runs if r.rule == "softmax"]
    alt = (
        f"Loss of trained memories against the number of keys, setting 1, with the bound (1 - features / S) / 2 as a "
        f"line. Ours, {runs[0].seeds} seeds, medians: {'; '.join(words)}; softmax at most "
        f"{max(max(r.loss) for r in softmax):.3f}. The authors' logged points at S = 200, 400 and 600 lie close to the "
        "bound or above it."
    )
    return fig, alt


@look.styled
def draw_editing(runs: Sequence[TrainedRecall], blind: float) -> Drawing:
    """Setting 2: every seed's loss by rule and feature map, and the lowest that an order-blind memory can reach."""
    fig, ax = look.new_figure(3.3)
    rows, words = [], []
    for run in runs:
        name = RULES[run.rule] + ("" if run.rule == "softmax" else f", {map_name(run.feature_map)}")
        rows.append(name)
        color = LOOKS.get(run.rule, {"color": look.GREEN})["color"]
        marker = LOOKS.get(run.rule, {"marker": "^"})["marker"]
        ax.plot(
            run.loss,
            [len(rows) - 1] * run.seeds,
            color=color,
            marker=marker,
            linestyle="",
            markersize=6,
            alpha=0.8,
        )
        words.append(f"{name} {min(run.loss):.3f} to {max(run.loss):.3f}")
    ax.axvline(blind, color=look.MUTED, linestyle=":", linewidth=1.4)
    ax.text(blind - 0.004, len(rows) - 0.45, "best without order", color=look.MUTED, ha="right", va="center")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.1, -0.6)
    ax.set_xlim(-0.01, None)
    look.headline(fig, "Only the delta rule knows which value was last")
    ax.set_xlabel(f"loss ({runs[0].symbols} keys, {runs[0].length} writes, {runs[0].seeds} seeds)")
    alt = (
        f"Loss on overwritten values, {runs[0].symbols} keys, {runs[0].length} writes, {runs[0].seeds} seeds, lowest "
        f"to highest: {'; '.join(words)}. The best expected loss of a memory without order is {blind:.3f}."
    )
    return fig, alt


def table_of_kernel_errors(result: KernelError) -> tuple[list[str], list[list[str]]]:
    """Squared errors of 16 random features for one pair of vectors of each length: measured, and as theory has it."""
    rows = []
    for i, length in enumerate(result.lengths):
        for arm, theory in (
            ("positive iid", f"{result.predicted['positive'][i]:.3f} (Lemma 2)"),
            (
                "positive orthogonal",
                f"at most {result.bound[i]:.3f} (Theorem 2); other edition {result.other_bound[i]:.3f}",
            ),
        ):
            measured, error = result.measured[arm][i], result.standard_error[arm][i]
            rows.append([f"{length:g} √d", arm, f"{measured:.3f} ± {error:.3f}", theory.replace("-", "−")])
    return ["length of x and y", "features", f"measured, {result.draws:,} draws", "theory"], rows


def say_difference(value: float, round_off: float = 1e-10) -> str:
    """A relative difference in words: equal to round-off, or how many percent apart."""
    return "equal to round-off" if value < round_off else f"{value:.0%} apart"


def table_of_writes() -> tuple[list[str], list[list[str]]]:
    """The pencil case: after each write, what both rules read for every key so far."""
    moments = {rule: measure_writes(rule) for rule in ("sum", "delta")}
    rows = []
    for i, (key, value) in enumerate(WRITES):
        reads = [
            "; ".join(f"{name}: {pair(read)}" for name, read in moments[rule][i].reads.items())
            for rule in moments
        ]
        rows.append([f"{key} → {pair(value)}", *reads])
    return ["write", "sum rule reads", "delta rule reads"], rows


def table_of_equivalence(result: Equivalence) -> tuple[list[str], list[list[str]]]:
    """A FROM/TO programmer against linear attention of the same keys, values and queries, under each condition."""
    least = " or more"
    rows = [
        ["no squashing, write, then read", "linear attention", say_difference(result.same)],
        [
            "no squashing, read, then write (the paper's order)",
            "linear attention",
            say_difference(result.order) + least,
        ],
        ["the same", "attention that masks the diagonal, too", say_difference(result.shifted)],
        [
            "squashed, as in the paper's experiments",
            "linear attention",
            say_difference(result.squashed) + least,
        ],
    ]
    return ["programmer", "against", f"outputs, {result.seeds} seeds"], rows


def table_of_forms(result: FormDifferences) -> tuple[list[str], list[list[str]]]:
    """Recurrence, T x T matrix and chunks of each function: worst difference in values and in gradients."""
    rows = [
        [name, say_difference(result.values[name]), say_difference(result.gradients[name])]
        for name in result.values
    ]
    return [f"three forms, {result.length} positions, {result.seeds} seeds", "values", "gradients"], rows


def table_of_stability(result: Stability, limit: float = 1000) -> tuple[list[str], list[list[str]]]:
    """By the length of keys: beta |k|^2, and whether outputs stay below a limit."""
    rows = [
        [
            f"{size:g}",
            f"{size * size:.2f}",
            f"below {limit:,.0f}" if largest < limit else f"beyond {limit:,.0f}",
        ]
        for size, largest in result.outputs.items()
    ]
    return ["|k|", "β |k|², β = 1", f"outputs over {result.length} writes"], rows


def table_of_answers(runs: Sequence[TrainedRecall]) -> tuple[list[str], list[list[str]]]:
    """Whether trained memories answer everything right; shares are cut to quarters, which no processor changes."""
    rows = []
    for run in runs:
        worst, best = min(run.accuracy), max(run.accuracy)
        says = "all" if worst > 0.99 else "fewer than three quarters" if best < 0.75 else "most"
        rows.append([RULES[run.rule], f"{run.steps}", says])
    return ["memory", "steps", f"answers right, {runs[0].seeds} seeds"], rows
