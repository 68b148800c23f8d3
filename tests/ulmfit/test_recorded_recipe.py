"""The recorded recipe: one pair of language and encoder at a time, and what is read back from it."""

from statistics import mean

import pytest

from papertrail.ulmfit import recorded_recipe
from papertrail.ulmfit.fine_tuning import MISSING_ROW, ULMFIT
from papertrail.ulmfit.recipe import ENCODERS, STARTS, Recipe
from papertrail.ulmfit.recorded_recipe import LanguageRun, RecordedRecipe, cells, load_recipe, settings


def made(language, encoder, low=0.1):
    """A run whose errors are known: label seeds 0.0, 0.1, ... above a base."""

    def row(base):
        return [[round(base + 0.1 * seed, 4) for seed in range(5)] for _ in recorded_recipe.SIZES]

    starts = Recipe(recorded_recipe.SIZES, {s: row(low * (3 - i)) for i, s in enumerate(STARTS)}, 5)
    methods = {"Full": row(0.3)[:3], MISSING_ROW: row(low + 0.01 * language)[:3], ULMFIT: row(low)[:3]}
    perplexities = {"after stage 1": 20.0, "after stage 2": 25.0, "target text only": 60.0}
    return LanguageRun(
        language, encoder, 90_000, perplexities, perplexities, starts,
        Recipe(recorded_recipe.METHOD_SIZES, methods, 5),
    )  # fmt: skip


def test_errors_are_means_over_label_seeds_for_each_language():
    record = RecordedRecipe([made(10, "lstm"), made(14, "lstm", low=0.2), made(10, "transformer")])
    assert record.errors("lstm", STARTS[2], 100) == pytest.approx([0.3, 0.4])
    assert record.errors("lstm", STARTS[0], 12) == pytest.approx([0.5, 0.8])
    assert record.gains("lstm", 12) == pytest.approx([0.1, 0.14]), "gradual is better by 0.01 x language"
    assert record.gains("transformer", 40, ULMFIT, "Full") == pytest.approx([0.2])
    with pytest.raises(ValueError, match=r"encoder: got 'gru'; recorded are \['lstm', 'transformer'\]"):
        record.errors("gru", ULMFIT, 12)


def test_the_record_is_whole():
    runs = load_recipe().runs
    assert [(r.language, r.encoder) for r in runs] == [
        (n, encoder) for n in (10, 11, 12, 13, 14) for encoder in ENCODERS
    ]
    for run in runs:
        assert set(run.starts.errors) == set(STARTS) and set(run.methods.errors) == {
            *recorded_recipe.OTHERS,
            ULMFIT,
        }
        assert all(len(by_seed) == 5 for rows in run.starts.errors.values() for by_seed in rows)
        assert run.methods.errors[ULMFIT] == run.starts.errors[STARTS[2]][:3]


def test_in_the_record_every_stage_pays_and_the_other_tricks_gain_more_than_unfreezing():
    record = load_recipe()
    for encoder in ENCODERS:
        for run in record.of(encoder):
            assert run.target["after stage 2"] < 0.7 * run.target["target text only"]
            assert run.general["after stage 2"] > 1.1 * run.general["after stage 1"], "forgetting"
        scratch, general, both = (record.errors(encoder, start, 20) for start in STARTS)
        assert all(ours < 0.7 * theirs for ours, theirs in zip(both, scratch, strict=True))
        assert mean(both) < 0.75 * mean(general) < 0.25 * mean(scratch)
        unfreezing = record.gains(encoder, 12)
        others = record.gains(encoder, 12, MISSING_ROW, "Full")
        assert mean(others) > 3 * abs(mean(unfreezing)) and abs(mean(unfreezing)) < 0.01


def test_one_language_is_measured_whole_and_ulmfits_row_is_the_last_starts_classifiers(monkeypatch):
    asked = {}

    def trained(language, encoder):
        asked["stages"] = (language, encoder)
        return type("Stages", (), {"general": {"a": 1.0}, "target": {"a": 2.0}})

    monkeypatch.setattr(recorded_recipe, "train_stages", trained)
    monkeypatch.setattr(recorded_recipe, "measure_recipe", lambda *given: made(10, "lstm").starts)
    monkeypatch.setattr(
        recorded_recipe, "measure_methods", lambda _, names, sizes, seeds: Recipe(
            sizes, {name: [[0.5] * seeds for _ in sizes] for name in names}, seeds
        ),
    )  # fmt: skip
    run = recorded_recipe.measure_language(12, "transformer")
    assert asked["stages"] == (12, "transformer") and (run.language, run.encoder) == (12, "transformer")
    assert set(run.methods.errors) == {"Full", MISSING_ROW, ULMFIT}
    assert run.methods.errors[ULMFIT] == run.starts.errors[STARTS[2]][:3]
    assert run.general == {"a": 1.0} and run.target == {"a": 2.0}


def test_the_settings_name_all_that_the_numbers_depend_on():
    assert settings()["stages"]["transformer"][0]["lr"] == 3e-3 != settings()["stages"]["lstm"][0]["lr"]
    assert {cell["language"] for cell in cells(range(5))} == {10, 11, 12, 13, 14}, (
        "none of the languages that the settings were chosen on"
    )
