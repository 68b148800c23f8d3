"""Figure and table of the small language models that differ in their attention alone."""

from collections.abc import Sequence
from math import log
from statistics import mean

from papertrail import figures as look
from papertrail.fast_weights.language import CURVE, MIXERS, PARTS
from papertrail.fast_weights.recorded_language import RecordedByteRun, best_rate, pick
from papertrail.figures import Drawing

LOOKS = {
    "softmax": {"color": look.INK, "linestyle": ":"},
    "linear": {"color": look.BLUE, "linestyle": "-"},
    "delta": {"color": look.ORANGE, "linestyle": "--"},
    "hybrid": {"color": look.PURPLE, "linestyle": "-."},
}
NAMES = {
    "softmax": "softmax",
    "linear": "linear, elu + 1",
    "delta": "delta rule",
    "hybrid": "hybrid, 3 delta to 1 softmax",
}


def bits(nats: float) -> float:
    """Nats as bits."""
    return nats / log(2)


@look.styled
def draw_language(runs: Sequence[RecordedByteRun]) -> Drawing:
    """Training loss by step, each mixer at the better of its rates: median and range over seeds."""
    fig, ax = look.new_figure(3.2)
    words = []
    for mixer in MIXERS:
        chosen = pick(runs, mixer, best_rate(runs, mixer))
        steps = [CURVE * (i + 1) for i in range(len(chosen[0].train))]
        rows = [[bits(loss) for loss in run.train] for run in chosen]
        middle = look.band(ax, steps, rows, **LOOKS[mixer], label=NAMES[mixer])
        words.append(f"{NAMES[mixer]} {middle[0]:.2f} to {middle[-1]:.2f}")
    seeds = len({run.seed for run in runs})
    ax.set_xlabel(f"step (means of {CURVE})")
    ax.set_ylabel("training loss, bits a byte")
    ax.set_xlim(0, steps[-1] + 5)
    fig.legend(loc="outside lower center", ncols=2, frameon=False)
    first = min(
        MIXERS, key=lambda mixer: mean(run.valid for run in pick(runs, mixer, best_rate(runs, mixer)))
    )
    look.headline(fig, f"In {steps[-1]} steps the lowest loss: {NAMES[first]}")
    alt = (
        f"Training loss in bits a byte, means of {CURVE} steps, of small models that differ in attention alone, "
        f"medians of {seeds} seeds, from the first {CURVE} steps to the last: {'; '.join(words)}."
    )
    return fig, alt


def table_of_language(runs: Sequence[RecordedByteRun]) -> tuple[list[str], list[list[str]]]:
    """Held-out bits a byte by mixer and rate, mean and range over seeds; at the better rate by part of the window."""
    rates = sorted({run.lr for run in runs})
    rows = []
    for mixer in MIXERS:
        row = [NAMES[mixer]]
        for rate in rates:
            found = [bits(run.valid) for run in pick(runs, mixer, rate)]
            row.append(f"{mean(found):.2f} [{min(found):.2f}, {max(found):.2f}]")
        best = pick(runs, mixer, best_rate(runs, mixer))
        row += [f"{mean(bits(run.by_part[part]) for run in best):.2f}" for part in (0, PARTS - 1)]
        rows.append(row)
    return ["attention", *(f"rate {rate:g}" for rate in rates), "first quarter", "last quarter"], rows
