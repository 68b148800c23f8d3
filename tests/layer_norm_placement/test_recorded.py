"""The recorded runs say what made them, hold the whole grid, and a part of them run anew gives the same."""

import gzip
from statistics import median

import pytest

from papertrail.layer_norm_placement import language, recorded_language
from papertrail.layer_norm_placement.placements import PLACEMENTS
from papertrail.layer_norm_placement.recorded import (
    DEPTH_PLACEMENTS,
    DEPTH_STARTS,
    DEPTHS,
    RATES,
    SEEDS,
    find,
    load_depths,
    load_training,
    measure_depth,
)
from papertrail.layer_norm_placement.training import PLATEAU, measure_training


def test_the_grid_is_whole():
    runs = load_training()
    settings = {(run.placement, run.lr, run.warmup, run.start) for run in runs}
    assert settings == {(p, lr, w, "xavier") for p in PLACEMENTS for lr in RATES for w in (0, 60)} | {
        (p, RATES[-1], 0, start) for p in PLACEMENTS for start in ("linear", "small")
    }
    assert len(runs) == len(settings)
    assert all(run.seeds == len(run.losses) == len(run.cosines) == SEEDS for run in runs)


def test_the_frames_are_whole():
    frames = load_depths()
    assert [(frame.depth, frame.start) for frame in frames] == [(d, s) for d in DEPTHS for s in DEPTH_STARTS]
    for frame in frames:
        assert tuple(frame.gradients) == tuple(frame.training) == DEPTH_PLACEMENTS
        assert all(len(row) == frame.depth for p in frame.gradients.values() for row in p.norms["decoder"])


def test_a_part_of_the_grid_run_anew_gives_what_is_recorded():
    """The first steps: after more of them, another machine's rounding may have grown."""
    for placement, start in (
        ("post", "xavier"),
        ("dual-residual", "xavier"),
        ("admin", "xavier"),
        ("pre", "small"),
    ):
        fresh = measure_training(
            placement, lr=1e-2, start=start, steps=10, seeds=SEEDS, cosine_steps=(0, 1, 3)
        )
        stored = find(load_training(), placement, 1e-2, 0, start)
        for seed in range(SEEDS):
            assert fresh.losses[seed] == pytest.approx(stored.losses[seed][:2], rel=2e-2)
            assert fresh.cosines[seed] == pytest.approx(stored.cosines[seed][:3], rel=2e-2, abs=2e-2)


def test_a_frame_run_anew_gives_what_is_recorded():
    stored = load_depths()[0]
    fresh = measure_depth(stored.depth, stored.start, steps=10)
    for placement in DEPTH_PLACEMENTS:
        for row, old in zip(
            fresh.gradients[placement].norms["decoder"],
            stored.gradients[placement].norms["decoder"],
            strict=True,
        ):
            assert row == pytest.approx(old, rel=1e-3)
        for row, old in zip(fresh.training[placement].losses, stored.training[placement].losses, strict=True):
            assert row == pytest.approx(old[:2], rel=1e-2)


def test_a_setting_that_was_not_run_is_missed():
    with pytest.raises(
        ValueError, match="runs: none with placement='post', lr=0.5, warmup=0, start='xavier'"
    ):
        find(load_training(), "post", 0.5)


# What the chapter says of its recorded figures


@pytest.mark.parametrize("rate", RATES)
def test_at_which_rates_post_ln_is_stuck(rate):
    post = find(load_training(), "post", rate)
    stuck = [abs(final - PLATEAU) < 0.15 for final in post.final]
    assert all(stuck) if rate == 1e-2 else not any(stuck)


def test_warm_up_hurts_nobody_at_the_high_rate_and_only_post_ln_needs_it():
    for placement in PLACEMENTS:
        assert max(find(load_training(), placement, 1e-2, 60).final) < 0.1, placement
        trains = max(find(load_training(), placement, 1e-2, 0).final) < 0.1
        assert trains is (placement != "post"), placement


def test_at_low_rates_warm_up_only_delays():
    for placement in PLACEMENTS:
        for rate in (1e-3, 3e-3):
            warmed, plain = (median(find(load_training(), placement, rate, w).final) for w in (60, 0))
            assert warmed > plain, (placement, rate)


def test_at_which_depths_and_from_which_weights_post_ln_is_stuck():
    for frame in load_depths():
        stuck = {p: sum(final > 3 for final in run.final) for p, run in frame.training.items()}
        expected = {(12, "xavier"): 5, (24, "xavier"): 5, (24, "linear"): 3}.get(
            (frame.depth, frame.start), 0
        )
        assert stuck == {p: expected if p == "post" else 0 for p in stuck}, (frame.depth, frame.start)
        if frame.depth == 24 and frame.start == "linear":
            assert min(frame.training["post"].final) > 1, "slow in the other two"


def test_residuals_floor_sinks_slowly_where_post_lns_loses_a_factor_of_hundreds():
    xavier = [frame for frame in load_depths() if frame.start == "xavier"]
    first = {
        p: {frame.depth: median(row[0] for row in frame.gradients[p].norms["decoder"]) for frame in xavier}
        for p in ("dual-residual", "post")
    }
    assert first["dual-residual"][6] < 2.5 * first["dual-residual"][24]
    assert first["post"][6] > 200 * first["post"][24]


def test_the_language_models_prefer_pre_ln_and_residual_in_every_seed():
    best: dict = {}
    for run in language.load_language_runs():
        key = run.placement, run.seed
        best[key] = min(best.get(key, 9.0), run.valid)
    for seed in (0, 1, 2):
        assert best["post", seed] > best["pre", seed] + 0.1
        assert abs(best["pre", seed] - best["dual-residual", seed]) < 0.03


def test_four_times_the_steps_do_not_close_the_gap_and_help_everyone():
    longer = language.load_language_runs("language_longer")
    for seed in {run.seed for run in longer}:
        post = {run.lr: run.valid for run in longer if (run.placement, run.seed) == ("post", seed)}
        (pre,) = [run.valid for run in longer if (run.placement, run.seed) == ("pre", seed)]
        short = min(run.valid for run in language.load_language_runs() if run.placement == "pre")
        assert min(post.values()) > pre + 0.1 and pre < short - 0.2
        assert post[2.5e-4] > post[5e-4], "half the rate does not help"


def test_from_smaller_weights_everyone_trains():
    for start in ("linear", "small"):
        assert all(max(find(load_training(), p, 1e-2, 0, start).final) < 0.1 for p in PLACEMENTS)


# The language models


TEXT = ("The norm goes here, or there. " * 600).encode()


@pytest.fixture(scope="module")
def short_runs():
    sizes = {"depth": 1, "steps": 30, "warmup": 5}
    return [language.train_language_model(TEXT, TEXT, "pre", 1e-2, seed, **sizes) for seed in (0, 0, 1)]


def test_a_language_model_learns_repeats_and_depends_on_its_seed(short_runs):
    one, again, other = short_runs
    first = language.train_language_model(TEXT, TEXT, "pre", 1e-9, 0, depth=1, steps=2, warmup=1).train[0]
    assert one == again and one.valid != other.valid
    assert one.valid < 2 < 5.5 < first, "untrained it knows next to nothing: ln 256 is 5.55"


def test_the_rate_rises_and_then_falls_to_nothing():
    rates = [language.rate_at(step, 1.0, 10, 4) for step in range(1, 11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0] and rates[-1] == 0
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_text_that_is_too_short_is_named():
    with pytest.raises(ValueError, match="valid: 3 bytes; allowed are 16385 or more"):
        language.train_language_model(TEXT, b"abc", "pre", 1e-3, 0)


def test_without_warm_up_the_rate_only_falls_and_too_much_of_it_is_named():
    assert [language.rate_at(step, 1.0, 4, 0) for step in range(1, 5)] == [0.75, 0.5, 0.25, 0.0]
    with pytest.raises(ValueError, match="warmup: got 2; allowed are 0 to 1"):
        language.train_language_model(TEXT, TEXT, "pre", 1e-3, 0, depth=1, steps=2, warmup=2)


def test_a_cell_reads_two_files_and_trains_as_it_says(tmp_path, monkeypatch):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT))
    (tmp_path / "b.txt").write_bytes(TEXT)
    asked = []
    monkeypatch.setattr(language, "train_language_model", lambda *given, **more: asked.append((given, more)))
    files = {"train": str(tmp_path / "a.txt.gz"), "valid": str(tmp_path / "b.txt")}
    language.measure_language("post", 1e-3, 2, **files, warmup=0, d_model=128)
    assert asked == [((TEXT, TEXT, "post", 1e-3, 2), {"d_model": 128, "steps": language.STEPS, "warmup": 0})]


def test_the_grids_of_the_language_models():
    cells = recorded_language.cells(range(3))
    assert [tuple(c.values()) for c in cells[:3]] == [("post", 5e-4, 0), ("post", 1e-3, 0), ("pre", 5e-4, 0)]
    assert len(cells) == 18 and len(recorded_language.longer_cells(range(2))) == 6
    wide = recorded_language.warm_up_cells(range(3))
    assert {(c["placement"], c["warmup"], c["seed"]) for c in wide} == {
        (p, w, s) for p in ("post", "pre", "dual-residual", "deepnorm") for w in (0, 100) for s in range(3)
    }
