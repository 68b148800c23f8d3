"""Figures and tables of Gopher's parameters, operations and machines, drawn from `accounting`'s results."""

from collections.abc import Sequence
from typing import Any

from papertrail import figures as look
from papertrail.figures import Drawing
from papertrail.gopher import published as paper
from papertrail.gopher.accounting import (
    CountedModel,
    Hardware,
    measure_flop_ratios,
    parameter_breakdown,
    six_nd,
)
from papertrail.gopher.scores import Table

SIZE_TICKS = {1e8: "100M", 1e9: "1B", 1e10: "10B", 1e11: "100B"}
PARTS = {  # part of a ParameterCount -> name in figures, color
    "feed_forward": ("feed-forward", look.BLUE),
    "attention": ("attention", look.GREEN),
    "relative_positions": ("relative positions", look.ORANGE),
    "embedding": ("embedding", look.GRID),
}


def _billions(value: float) -> str:
    return f"{value / 1e9:.2f}B" if value >= 1e9 else f"{value / 1e6:.1f}M"


def _flops(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e+")
    return f"{mantissa}e{exponent}"


def table_of_one_layer(
    n_layers: int = 2, d_model: int = 4, n_heads: int = 2, key_size: int = 2, ffw_size: int = 16, vocab_size: int = 10
) -> Table:  # fmt: skip
    """The parameters of a model small enough for a pencil, part by part.

    Raises:
        ValueError: a size is not an integer of at least 1.
    """
    parts = parameter_breakdown(n_layers, d_model, n_heads, key_size, ffw_size, vocab_size)
    k = n_heads * key_size
    rows = [
        ("q, k, v, output", "4 L d k", f"4 × {n_layers} × {d_model} × {k}", parts.attention),
        ("relative positions", "L d k", f"{n_layers} × {d_model} × {k}", parts.relative_positions),
        ("feed-forward", "2 L d f", f"2 × {n_layers} × {d_model} × {ffw_size}", parts.feed_forward),
        ("embedding, also the output", "V d", f"{vocab_size} × {d_model}", parts.embedding),
        ("gains of the norms", "(2 L + 1) d", f"{2 * n_layers + 1} × {d_model}", parts.norms),
        ("biases, u and v", "L (5 k + 2 d + f)", f"{n_layers} × {5 * k + 2 * d_model + ffw_size}", parts.biases),
        ("together", "", "", parts.total),
    ]  # fmt: skip
    texts = [[part, formula, numbers, f"{count:,}"] for part, formula, numbers, count in rows]
    return ["part", "formula", "numbers", "parameters"], texts


def table_of_parameters(models: Sequence[CountedModel]) -> Table:
    """Counted parameters: without the relative projection, with it, with an output matrix of its own; a star fits."""

    def cell(model: CountedModel, count: int) -> str:
        return f"{_billions(count)}{' *' if model.rounds_to_published(count) else ''}"

    rows = [
        [m.shape.model, cell(m, m.without_relative), cell(m, m.parts.total), cell(m, m.untied),
         f"{100 * m.parts.relative_positions / m.parts.total:.1f}%", f"{m.tokens_per_parameter:,.0f}"]
        for m in models
    ]  # fmt: skip
    return [
        "published", "12 d² a layer", "13 d² a layer", "13 d², output untied", "relative positions",
        "tokens per parameter",
    ], rows  # fmt: skip


def table_of_flops(models: Sequence[CountedModel]) -> Table:
    """Training operations for 300 billion tokens, counted four ways."""
    rows = [
        [m.shape.model, _flops(m.six_nd), _flops(m.flops_with_embeddings),
         f"{_flops(m.flops)} ({m.flops / six_nd(m.matrices):.2f})", _flops(m.flops_rematerialized)]
        for m in models
    ]  # fmt: skip
    return ["model", "6ND", "appendix F", "without embeddings (of 6ND)", "the same, rematerialized"], rows


def table_of_ratios() -> Table:
    """Hoffmann's table A4: printed, and recomputed without and with embedding and logits."""
    rows = [
        [f"{row.millions:,}M", f"{row.printed:.2f}", f"{row.without:.2f}", f"{row.with_embeddings:.2f}"]
        for row in measure_flop_ratios()
    ]
    return ["model", "printed", "without embeddings", "with them, as the text says"], rows


def table_of_hardware(found: Hardware) -> Table:
    """What the run asked of its machines: our arithmetic beside what is published."""
    rows = [
        ["parameters and Adam's state", f"{found.state_tib:.2f} TiB", f"{paper.STATE_TIB} TiB"],
        [f"cores of {paper.CORE_GIB} GiB for that alone", str(found.cores_for_state), ""],
        ["activations of one sequence", f"{found.activations_gib:.0f} GiB", ""],
        ["with rematerialization", f"{found.rematerialized_gib:.0f} GiB", ""],
        ["operations per chip and second", f"{found.tflops_per_chip:.1f}e12", ""],
        ["of the peak, recomputation counted", f"{found.share_of_peak:.0%}", ""],
        ["of the peak, model operations only", f"{found.model_utilization:.1%}", f"{paper.PALM_UTILIZATION:.1%}"],
        ["tokens, from the speed and the hours", f"{found.tokens / 1e9:.0f}B", f"{paper.TRAINING_TOKENS / 1e9:.0f}B"],
        ["energy", f"{found.energy_mwh:,.0f} MWh", f"{paper.ENERGY_MWH:,} MWh"],
    ]  # fmt: skip
    return ["quantity", "from the shape and the run", "published"], rows


def size_axis(ax: Any, low: float, high: float) -> None:
    """A logarithmic axis of parameters, with the sizes of known models as ticks."""
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = {size: name for size, name in SIZE_TICKS.items() if low <= size <= high}
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.minorticks_off()


@look.styled
def draw_thirteenth(gopher: Sequence[CountedModel], chinchilla: Sequence[CountedModel]) -> Drawing:
    """How far counted parameters are from the published ones, with and without the relative projection."""
    fig, ax = look.new_figure(3.3)
    series = {"without": (look.ORANGE, "s"), "with": (look.BLUE, "o")}
    errors: dict[str, list[float]] = {name: [] for name in series}
    for models, filled in ((chinchilla, False), (gopher, True)):
        for name, (color, marker) in series.items():
            counts = [m.without_relative if name == "without" else m.parts.total for m in models]
            found = [100 * (n / m.shape.published - 1) for n, m in zip(counts, models, strict=True)]
            errors[name] += found
            face = {"markerfacecolor": color if filled else look.PAPER, "markersize": 7 if filled else 4}
            ax.plot(
                [m.shape.published for m in models], found, color=color, marker=marker, linestyle="", **face
            )
    ax.axhline(0.0, color=look.MUTED, linewidth=1.2)
    size_axis(ax, 2.5e7, 6e11)
    ax.set_ylim(-10.5, 3.0)
    ax.text(3e10, -4.6, "12 d² a layer", color=look.ORANGE, ha="left")
    ax.text(3e10, 0.6, "13 d² a layer", color=look.BLUE, ha="left")
    fig.supxlabel("published parameters; filled: Gopher's, hollow: Chinchilla's", fontsize=look.FONT_POINTS)
    ax.set_ylabel("counted minus published (%)")
    everyone = [*gopher, *chinchilla]
    fits = sum(m.rounds_to_published(m.parts.total) for m in everyone)
    never = sum(m.rounds_to_published(m.without_relative) for m in everyone)
    look.headline(fig, f"With the 13th d², {fits} of {len(everyone)} counts fit; without it, {never}")
    low, high = min(errors["without"]), max(errors["without"])
    near = max(abs(error) for error in errors["with"])
    worst = max(abs(m.error) for m in chinchilla) / 1e6
    alt = (
        f"Counted minus published parameters in percent, for Gopher's {len(gopher)} models and {len(chinchilla)} of "
        f"Chinchilla's. With 12 d² a layer the counts are {-high:.1f} to {-low:.1f} percent too low. With 13, the "
        f"relative projection included, they are within {near:.1f} percent everywhere, and within {worst:.2f} million "
        f"for Chinchilla's; {fits} of {len(everyone)} round to the published digits."
    )
    return fig, alt


@look.styled
def draw_parts(models: Sequence[CountedModel]) -> Drawing:
    """What share of the parameters each part has, model by model."""
    fig, ax = look.new_figure(3.3)
    shares = {part: [100 * getattr(m.parts, part) / m.parts.total for m in models] for part in PARTS}
    left = [0.0] * len(models)
    for part, (name, color) in PARTS.items():
        ax.barh(range(len(models)), shares[part], left=left, color=color, height=0.66, label=name)
        left = [a + b for a, b in zip(left, shares[part], strict=True)]
    names = [m.shape.model.split()[-1] for m in models]
    ax.set_yticks(range(len(models)), names)
    ax.set_ylim(len(models) - 0.45, -0.55)
    ax.set_xlim(0, 100)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("share of the parameters (%)")
    fig.legend(loc="outside lower center", ncols=2, frameon=False)
    relative, embedding = shares["relative_positions"], shares["embedding"]
    look.headline(fig, f"Relative positions take {relative[-1]:.1f}% of Gopher")
    said = "; ".join(
        f"{name}: " + ", ".join(f"{label} {shares[part][i]:.1f}" for part, (label, _) in PARTS.items())
        for i, name in enumerate(names)
    )
    alt = (
        f"Share of the parameters in percent by part. {said}. The embedding falls from {embedding[0]:.0f} to "
        f"{embedding[-1]:.1f} percent; norms and biases are too small to be seen."
    )
    return fig, alt
