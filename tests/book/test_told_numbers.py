"""Numbers that chapters 3 and 4 tell in prose are those of the records: no new run leaves the text behind."""

import json
from statistics import mean

import pytest

from papertrail.ulmfit.review_drawings import table_of_label_worth

WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight")
ULMFIT, MISSING, STARTED = "Freez + discr + stlr", "Full + discr + stlr", "general+target"


def table(book, name):
    return json.loads((book / "results" / f"{name}.json").read_text(encoding="utf-8"))["table"]


def found(rows, field="error", **cell):
    """A field of every row whose cell has these values, in the order of seeds."""
    values = [row["result"][field] for row in rows if cell.items() <= row["cell"].items()]
    assert values, cell
    return values


def points(rows, one, other):
    """By how many points the second cell's mean error is above the first's."""
    return 100 * (mean(found(rows, **other)) - mean(found(rows, **one)))


def costs(book):
    cost = table(book, "fast_weights/cost")
    mib = {row["way"]: row["extra_mib"] for row in cost["costs"] if row["length"] == 4096}
    steps = sorted(float(f"{row['fixed'] * 1e6:.2g}") for row in cost["decoding"])
    yield (
        f"{mib['fused softmax']:.0f} MiB against {mib['linear']:.0f},"
        f" or {mib['linear, map excluded']:.0f} without the map"
    )
    yield f"took {steps[0]:.0f} to {steps[-1]:.0f} microseconds"


def memories(book):
    rows = table(book, "fast_weights/retrieval")
    once = [row for row in rows if "length" not in row["cell"]]
    twice = [row for row in rows if "length" in row["cell"]]
    small = [
        loss
        for row in once
        if row["cell"]["feature_map"] == "dpfp-1" and row["cell"]["symbols"] < 16
        for loss in row["result"]["loss"]
    ]
    yield f"DPFP-1 fails in {sum(loss > 0.01 for loss in small)} of {len(small)} runs below S = 16"
    (exact,) = {round(8 * share) for share in found(once, "accuracy", feature_map="elu+1", symbols=8)[0]}
    yield f"every seed stops at {exact}"
    perfect = [
        sum(loss < 0.001 for loss in found(twice, "loss", rule="delta", feature_map=name)[0])
        for name in ("elu+1", "dpfp-2", "dpfp-1")
    ]
    assert perfect[0] == perfect[1]
    yield (
        f"perfect in all {WORDS[perfect[0]]} seeds with plain elu + 1 and with DPFP-2, and in {WORDS[perfect[2]]} with"
    )


def byte_models(book):
    rows = table(book, "fast_weights/language")
    rates = sorted({row["cell"]["lr"] for row in rows})

    def ends(mixer):
        return [loss for lr in rates for loss in found(rows, "valid", mixer=mixer, lr=lr)]

    softmax, delta, hybrid = ends("softmax"), ends("delta"), ends("hybrid")
    ahead = sum(one < other for one, other in zip(softmax, delta, strict=True))
    behind = sum(one > other for one, other in zip(hybrid, delta, strict=True))
    yield f"In {WORDS[ahead]} of the {WORDS[len(delta)]} pairs of rate and seed"
    yield f"In {WORDS[behind]} pairs of {WORDS[len(delta)]} the hybrid is behind"


def constructed(book):
    rows = [row for row in table(book, "ulmfit/recipe") if row["cell"]["encoder"] == "lstm"]

    def share(start):
        return mean(mean(row["result"]["starts"]["errors"][start][1]) for row in rows)  # at 20 labels

    yield (
        f"{share('general and target text'):.0%} of the documents are wrong with it,"
        f" {share('general text only'):.0%} without"
    )


def speeds(book):
    speed = {
        row["way"]: row["words_per_second"][1]
        for row in table(book, "ulmfit/speed")["speeds"]
        if row["size"][-1] == 8000
    }
    yield f"they would take {speed['LSTM alone'] / speed['LSTM alone, Python loop']:.1f} times as long"


def reviews(book):
    rows = table(book, "ulmfit/low_shot")
    recipe = {"start": STARTED, "method": ULMFIT}
    new, one_rate = {"start": "none", "method": "one rate"}, {"start": STARTED, "method": "one rate"}
    gain = {n: points(rows, recipe | {"labels": n}, new | {"labels": n}) for n in (50, 200, 1000, 5000)}
    yield f"with 50 labels, by {gain[50]:.0f} points, and in each"
    yield f"With 200 by {gain[200]:.0f} point, which"
    yield f"ahead, by {-gain[1000]:.0f} points and by {-gain[5000]:.0f}."
    lost = [points(rows, one_rate | {"labels": n}, recipe | {"labels": n}) for n in (50, 200, 1000, 5000)]
    yield (
        "by {:.0f} points with 50 labels, by {:.0f} with 200, by {:.0f} with 1,000, by {:.0f} with 5,000".format(
            *lost
        )
    )
    last = [
        mean(found(rows, labels=5000, **arm))
        for arm in (one_rate, {"start": "none", "method": "bag of words"}, new)
    ]
    yield "{:.1%} wrong, the bag of words {:.1%}, new weights {:.1%}".format(*last)
    yield f"({mean(found(rows, start='general', labels=50)):.0%} error)"
    few = [
        row["result"]["last_loss"]
        for row in rows
        if row["cell"]["labels"] <= 200 and row["result"].get("last_loss") is not None
    ]
    yield f"ends at {max(few):.2f} or less"


def label_worth(book):
    head, body = table_of_label_worth()
    worth = {row[0]: dict(zip(head, row, strict=True)) for row in body}

    def times(labels, column):
        return float(worth[labels][column].replace(",", "")) / float(labels.replace(",", ""))

    one, recipe = "the same, one rate", "general text, then reviews"
    yield (
        f"and {times('1,000', one):.1f} times at 1,000; fine-tuned as in the paper {times('50', recipe):.1f}"
        f" and {times('200', recipe):.1f} times"
    )


def ladder(book):
    rows = table(book, "ulmfit/ladder")

    def costs(one, other):
        return f"{points(rows, {'method': other}, {'method': one}):.1f}"

    yield (
        f"It costs {costs(ULMFIT, MISSING)} points. Without them it costs {costs('Freez', 'Full')},"
        " and with rates by layer"
        f" alone {costs('Freez + discr', 'Full + discr')}."
    )
    yield (
        f"cost {costs('Full + discr', 'Full')} points without unfreezing and {costs('Freez + discr', 'Freez')} with it"
    )
    yield f"The triangle costs {costs('Freez + stlr', 'Freez')} on top"


@pytest.mark.parametrize(
    ("chapter", "told"),
    [("fast_weights", costs), ("fast_weights", memories), ("fast_weights", byte_models), ("ulmfit", constructed),
     ("ulmfit", speeds), ("ulmfit", reviews), ("ulmfit", label_worth), ("ulmfit", ladder)],
)  # fmt: skip
def test_what_prose_tells_is_what_the_record_holds(book, chapter, told):
    cells = json.loads((book / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    prose = " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert [sentence for sentence in told(book) if sentence not in prose] == []
