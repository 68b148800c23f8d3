"""Each check of chapter 2 comes with a planted fault that flips it: no check here is unable to fail."""

from dataclasses import replace

import pytest

from papertrail import claims
from papertrail.layer_norm_placement import checks
from papertrail.layer_norm_placement.language import WarmUpRun
from papertrail.layer_norm_placement.measurements import (
    Amplification,
    GradientProfile,
    RepresentationDistance,
    TwoStreams,
)
from papertrail.layer_norm_placement.training import TrainingRuns

CHAPTER = [row for row in claims.load() if row.chapter == "layer_norm_placement" and row.check]


def profile(stack="decoder", *rows):
    return GradientProfile(
        {"encoder": list(rows), "decoder": list(rows)}, "encoder-decoder", "post", 2, "xavier", 5
    )


def runs(*finals, lr=1e-2, warmup=0):
    losses = [[final] * 2 for final in finals]
    return TrainingRuns(losses, [], [], "post", 6, lr, warmup, "xavier", len(finals))


def patched(name, value):
    """A fault: a measurement that the check calls gives something else."""
    return lambda monkeypatch: monkeypatch.setattr(checks, name, value)


def with_zoo(**changes):
    """Every model of the list is changed in the same way."""

    def plant(monkeypatch):
        models = [replace(model, **changes) for model in checks.load_zoo()]
        monkeypatch.setattr(checks, "load_zoo", lambda: models)

    return plant


def wide(**nats):
    """Recorded wide models: held-out losses without and with warm-up, three seeds around them."""
    names = {"residual": "dual-residual"}
    given = {"post": (3.2, 3.2), "pre": (2.2, 2.1), "residual": (2.3, 2.1), "deepnorm": (2.2, 2.2)} | nats
    return lambda: [
        WarmUpRun(names.get(name, name), 1e-3, seed, [], loss + 0.01 * seed, warmup)
        for name, pair in given.items()
        for warmup, loss in zip((0, 100), pair, strict=True)
        for seed in range(3)
    ]


FLAT, STEEP = profile("decoder", [1.0, 1.0]), profile("decoder", [1.0, 50.0])
LEVEL = RepresentationDistance({p: [[0.4] * 8] for p in ("post", "pre")}, 4, 8, "xavier", 1)
LINEAR = Amplification({p: [[2.0, 8.0, 32.0]] for p in ("post", "pre")}, [2, 8, 32], 1e-3, "xavier", 1)

FAULTS = {
    # Pre-LN is stuck too: then nothing shows that it is better.
    "pre-ln-works-better": patched(
        "training", lambda placement, lr=0, warmup=0: runs(0.1 if warmup else 3.5)
    ),
    "pre-ln-solves-gradients": patched("decoder", lambda placement, start="xavier": STEEP),
    "pre-ln-widely-adopted": with_zoo(placement="post"),
    "pre-ln-representation-collapse": patched(
        "measure_representation_distance", lambda *args, **kwargs: LEVEL
    ),
    "placement-still-discussed": with_zoo(placement="pre"),
    "residual-uses-both": patched("measure_two_streams", lambda: TwoStreams(1e-9, 0.0, [0.3], 12, 1)),
    "residual-remains-to-be-seen": with_zoo(placement="hybrid"),
    "residual-second-stream-is-pre-ln": patched(
        "measure_two_streams", lambda: TwoStreams(0.0, 0.0, [1e-7], 12, 1)
    ),
    "last-gradient-falls-with-depth": patched("encoder", lambda placement, depth: FLAT),
    "post-ln-vanishes-everywhere": patched("decoder", lambda placement, start="xavier": STEEP),
    "pre-ln-early-layers-get-more": patched("measure_gradients", lambda *args: FLAT),
    "post-ln-needs-warmup": patched("training", lambda *args, **kwargs: runs(0.1)),
    "placement-alone-decides": patched("decoder", lambda placement, start="xavier": STEEP),
    "deepnorm-levels-gradients": patched("measure_gradients", lambda *args: STEEP),
    "post-ln-amplifies": patched("measure_amplification", lambda *args: LINEAR),
    "warm-up-cures-post-ln-at-depth": patched("load_warm_up_runs", wide(post=(3.2, 2.3))),
    "others-need-no-warm-up-at-depth": patched("load_warm_up_runs", wide(residual=(2.7, 2.1))),
}


def test_every_check_has_a_planted_fault():
    assert set(FAULTS) == {row.id for row in CHAPTER}


@pytest.mark.parametrize("row", CHAPTER, ids=lambda row: row.id)
def test_a_planted_fault_flips_the_check(row, monkeypatch):
    FAULTS[row.id](monkeypatch)
    assert claims.check_function(row)().verdict != row.verdict


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({0: (3.5, 0.1), 60: (0.1, 0.1)}, "imprecise"),
        ({0: (3.5, 3.5), 60: (0.1, 0.1)}, "wrong"),
        ({0: (0.1, 0.1), 60: (0.1, 0.1)}, "wrong"),
        ({0: (3.5, 0.1), 60: (3.5, 0.1)}, "holds-at-small-scale"),
        ({0: (3.5, 3.5), 60: (3.5, 3.5)}, "wrong"),
        ({0: (0.1, 3.5), 60: (0.1, 3.5)}, "wrong"),
    ],
)
def test_what_is_better_depends_on_both_conditions(found, verdict, monkeypatch):
    patched("training", lambda placement, warmup=0: runs(found[warmup][placement == "pre"]))(monkeypatch)
    assert checks.pre_ln_is_better().verdict == verdict


def test_post_ln_would_need_warm_up_if_nothing_else_helped(monkeypatch):
    patched("training", lambda *args, **kwargs: runs(3.5))(monkeypatch)
    assert checks.post_ln_needs_warmup().verdict == "holds-at-small-scale"


@pytest.mark.parametrize(
    ("post", "verdict"),
    [
        ((3.2, 3.2), "wrong"),
        ((3.2, 2.3), "holds-at-small-scale"),
        ((2.2, 2.1), "imprecise"),
        ((3.2, 2.99), "imprecise"),
    ],
)
def test_warm_up_cures_what_fails_without_it(post, verdict, monkeypatch):
    patched("load_warm_up_runs", wide(post=post))(monkeypatch)
    assert checks.warm_up_cures_post_ln().verdict == verdict


def test_all_the_others_have_to_train_without_it(monkeypatch):
    for change, verdict in (
        ({}, "holds-at-small-scale"),
        ({"pre": (3.0, 2.0)}, "imprecise"),
        (dict.fromkeys(("pre", "residual", "deepnorm"), (3.0, 2.0)), "wrong"),
    ):
        patched("load_warm_up_runs", wide(**change))(monkeypatch)
        assert checks.others_need_no_warm_up().verdict == verdict
    patched("load_warm_up_runs", wide())(monkeypatch)
    numbers = checks.others_need_no_warm_up().numbers
    assert (
        numbers["pre"] == "3.19"
        and numbers["residual_gain"] == "+0.29"
        and numbers["deepnorm_gain"] == "+0.00"
    )
