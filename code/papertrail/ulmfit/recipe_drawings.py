"""Tables and figures of the recipe on the constructed language."""

from statistics import fmean

from papertrail.figures import BLUE, GREEN, INK, ORANGE, Drawing, headline, new_figure, styled
from papertrail.ulmfit.recipe import STARTS, TARGET_TOPICS, LanguageStages, Recipe
from papertrail.ulmfit.recorded_recipe import RecordedRecipe

Table = tuple[list[str], list[list[str]]]
TARGET_ONLY = "target text only"
LOOKS = dict(zip(STARTS, ((ORANGE, "o"), (GREEN, "s"), (BLUE, "D")), strict=True))


def table_of_perplexities(stages: LanguageStages) -> Table:
    """Perplexities on held-out text of both kinds, in tens: what does not depend on the processor."""

    def tens(value: float) -> str:
        return f"about {10 * round(value / 10)}"

    rows = [
        # a model that never read general text has no business there
        [name, "" if name == TARGET_ONLY else tens(stages.general[name]), tens(stages.target[name])]
        for name in stages.general
    ]
    return ["language model", "general text", "target text"], rows


def nearest_quarter(share: float) -> str:
    """A share in words that a few test documents cannot change."""
    quarters = round(4 * share)
    return ("almost 0", "about 1/4", "about 1/2", "about 3/4", "almost 1")[quarters]


@styled
def draw_recipe(recipe: Recipe) -> Drawing:
    """Error by number of labels and by what the encoder had learned before: seeds as points, means as bars' ends."""
    fig, ax = new_figure(3.4)
    said = []
    for i, (start, (color, marker)) in enumerate(LOOKS.items()):
        for j, by_seed in enumerate(recipe.errors[start]):
            errors = [100 * e for e in by_seed]
            x = j + (i - 1) * 0.25
            ax.bar(x, sum(errors) / len(errors), 0.22, color=color, alpha=0.25, linewidth=0)
            label = None if j else start
            ax.plot([x] * len(errors), errors, marker, color=color, markersize=4, label=label)
        said.append(
            f"{start} "
            + ", ".join(f"{nearest_quarter(recipe.mean(start, n))} at {n} labels" for n in recipe.sizes)
        )
    chance = 100 * (1 - 1 / len(TARGET_TOPICS))
    ax.axhline(chance, color=INK, linewidth=0.8, linestyle=":")
    ax.text(len(recipe.sizes) - 0.55, chance + 1.5, "chance", ha="right", color=INK)
    ax.set_ylim(-2, 90)
    ax.set_xticks(range(len(recipe.sizes)), [f"{n} labels" for n in recipe.sizes])
    ax.grid(axis="x", visible=False)
    ax.set_ylabel(f"error (%), {recipe.seeds} seeds")
    ax.set_title("What the encoder read before decides")
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.12), frameon=False, ncols=1)
    alt = (
        f"Share of wrong topics of {len(TARGET_TOPICS)}, means of {recipe.seeds} seeds, by what the encoder had "
        f"learned before: {'; '.join(said)}. Chance is 3/4."
    )
    return fig, alt


def table_of_methods(recipe: Recipe) -> Table:
    """Errors of ways of fine-tuning after both stages, to a quarter."""
    (size,) = recipe.sizes
    rows = [[method, nearest_quarter(recipe.mean(method, size))] for method in recipe.errors]
    return ["fine-tuning", f"error, {size} labels, {recipe.seeds} seeds"], rows


NAMES = {"lstm": "LSTM", "transformer": "Transformer"}


@styled
def draw_unfreezing_comparison(record: RecordedRecipe, sizes: tuple[int, ...] = (12, 20, 40)) -> Drawing:
    """What gradual unfreezing gains over all at once with everything else on: a point for each language."""
    fig, axes = new_figure(3.1, 2, sharey=True)
    said, wins = [], []
    for ax, (encoder, name), color in zip(axes, NAMES.items(), (BLUE, GREEN), strict=True):
        ax.axhline(0, color=INK, linewidth=0.8)
        parts, lower = [], 0
        for j, size in enumerate(sizes):
            gains = [round(100 * gain, 6) for gain in record.gains(encoder, size)]  # what is equal is 0
            lower += sum(gain > 0 for gain in gains)
            ax.plot([j] * len(gains), gains, "o", color=color, markersize=4)
            mean = round(fmean(gains), 6)  # fmean adds exactly: sum does so since Python 3.12, and not before
            ax.plot([j - 0.2, j + 0.2], [mean] * 2, color=color)
            parts.append(f"{size} labels {mean:+.2f} ({min(gains):+.2f} to {max(gains):+.2f})")
        said.append(f"{name}: {', '.join(parts)}")
        wins.append(lower)
        ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        ax.set_xlim(-0.5, len(sizes) - 0.5)
        ax.set_xlabel("labels")
        ax.set_title(name)
    axes[0].set_ylabel("points gained")
    languages = len(record.of("lstm"))
    cases = languages * len(sizes)
    headline(
        fig,
        f"Unfreezing lowers the error in {wins[0]} of {cases} cases\n"
        f"with an LSTM, in {wins[1]} with a Transformer ({languages} languages)",
    )
    alt = (
        f"Points of error that gradual unfreezing gains over all layers at once, with rates by layer and triangle "
        f"in both; {languages} languages, means of label seeds, mean and range over languages. {'; '.join(said)}."
    )
    return fig, alt.replace("-", "−")
