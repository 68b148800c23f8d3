"""Which values an AWD-LSTM drops, drawn from the dropouts themselves."""

import torch
from torch import Tensor

from papertrail.experiments import load_record, seeded
from papertrail.figures import BLUE, Drawing, headline, new_figure, styled
from papertrail.ulmfit.awd_lstm import dropped_embedding, locked_dropout
from papertrail.ulmfit.measurements import OneMask

STEPS, FEATURES, SHARE = 12, 10, 0.4
WORDS = (3, 7, 3, 5, 1, 7, 3, 2, 5, 3, 6, 7)  # of a sentence in which words come again


def measure_masks(seed: int = 6) -> dict[str, Tensor]:
    """Where each kind of dropout kept a value, (features, steps): ordinary, locked, and of whole words."""
    with seeded(seed):
        ones = torch.ones(1, STEPS, FEATURES)
        ordinary = torch.nn.functional.dropout(ones, SHARE)
        locked = locked_dropout(ones, SHARE)
        words = dropped_embedding(torch.tensor([WORDS]), torch.ones(8, FEATURES), SHARE)
    kinds = {"ordinary": ordinary, "locked": locked, "of words": words}
    return {name: (values[0] != 0).T for name, values in kinds.items()}


@styled
def draw_masks() -> Drawing:
    """Ordinary dropout beside the two that hold for a whole sequence: features by steps, what is kept is filled."""
    masks = measure_masks()
    fig, axes = new_figure(2.6, 3, sharey=True)
    for ax, (name, kept) in zip(axes, masks.items(), strict=True):
        ax.grid(False)
        y, x = kept.nonzero(as_tuple=True)
        ax.scatter(x.tolist(), y.tolist(), marker="s", s=26, color=BLUE, linewidths=0)
        ax.set_title(
            {"ordinary": "ordinary dropout", "locked": "locked dropout", "of words": "dropped words"}[name]
        )
        ax.set_xticks(
            *((range(STEPS), WORDS) if name == "of words" else (range(0, STEPS, 3), range(1, STEPS + 1, 3)))
        )
        ax.set_xlabel("word" if name == "of words" else "step")
        ax.set_yticks([])
        ax.set_xlim(-0.6, STEPS - 0.4)
        ax.set_ylim(-0.6, FEATURES - 0.4)
    axes[0].set_ylabel("features")
    headline(fig, "One mask holds for a whole sequence")
    locked_gone = int((~masks["locked"]).all(1).sum())
    words_gone = sorted({WORDS[i] for i in (~masks["of words"]).all(0).nonzero().flatten().tolist()})
    alt = (
        f"Which of {FEATURES} features are kept at {STEPS} steps, share {SHARE:g}. Ordinary dropout: scattered. Locked "
        f"dropout: {locked_gone} features are dropped at all steps and the others at none. Dropped words: "
        f"{' and '.join(map(str, words_gone)) or 'none'} of the words, whole, wherever they come."
    )
    return fig, alt


def table_of_one_mask(found: OneMask) -> tuple[list[str], list[list[str]]]:
    """Where two passes part, and which loop gives the kernel's values: differences as 0 or not 0."""

    def said(gap: float) -> str:
        return "none" if gap < 1e-12 else "yes"

    rows = [
        ["between two passes", *map(said, found.passes)],
        ["from a loop with one mask", *map(said, found.one_mask)],
        ["from a loop with a mask a step", *map(said, found.fresh_masks)],
    ]
    return ["difference", *(f"step {i + 1}" for i in range(len(found.passes)))], rows


def table_of_speed() -> tuple[list[str], list[list[str]]]:
    """The recorded benchmark at the size of the recorded runs: speed of a training step, and what is learned by it."""
    record = load_record("ulmfit", "speed")
    size = record["learned"]["size"]
    speeds = {one["way"]: one for one in record["speeds"] if one["size"] == size}
    full = speeds["one softmax, tied"]["words_per_second"][1]
    rows = []
    for way, one in speeds.items():
        low, middle, high = (f"{value:,.0f}" for value in one["words_per_second"])
        learned = record["perplexities"].get(way, [])
        rows.append(
            [
                way,
                f"{middle} ({low} to {high})",
                f"{one['words_per_second'][1] / full:.1f}",
                f"{one['share_of_gemm']:.0%}",
                ", ".join(f"{value:.0f}" for value in learned),
            ]
        )
    head = ["training step", "words a second (quartiles)", "times one softmax", "of a matrix product's rate"]
    return [*head, f"perplexity after {record['learned']['words']:,} words, by seed"], rows
