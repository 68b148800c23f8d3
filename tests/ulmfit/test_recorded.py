"""Recorded runs: what they consist of, what they start from, and what a classifier's run gives."""

import json

import pytest

from papertrail.ulmfit import recorded
from papertrail.ulmfit.fine_tuning import METHODS, ULMFIT
from papertrail.ulmfit.recorded import (
    budget_cells,
    ladder_cells,
    language_models,
    load_runs,
    low_shot_cells,
    measure_run,
    settings_of,
)

SEEDS = range(3)


def different(cells):
    return len({tuple(cell.items()) for cell in cells}) == len(cells)


def test_the_low_shot_runs_are_every_start_at_every_number_of_labels_with_three_seeds():
    cells = low_shot_cells(SEEDS)
    assert len(cells) == 4 * 3 * 6 and different(cells)
    assert {c["labels"] for c in cells} == {50, 200, 1000, 5000} and {c["seed"] for c in cells} == {0, 1, 2}


def test_the_ladder_is_every_row_of_the_table_and_the_one_it_lacks():
    cells = ladder_cells([0])
    assert {c["method"] for c in cells} == {*METHODS, "regular"} and len(cells) == 11
    assert {c["labels"] for c in cells} == {1000}


def test_the_budget_runs_are_one_pass_of_stage_two_at_the_fewest_labels():
    cells = budget_cells(SEEDS)
    assert len(cells) == 2 * 3 * 2 and different(cells)
    assert {c["start"] for c in cells} == {"general+target-1"} and {c["labels"] for c in cells} == {50, 200}


@pytest.fixture
def models(tmp_path):
    for name in ("general", "general+target", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pt").touch()
        about = {"words": 5, "settings": {"passes": 3}, "perplexity": {"target": 9.0}, "curve": []}
        (tmp_path / name / "run.json").write_text(json.dumps(about))
    return tmp_path


def test_the_settings_say_what_the_language_models_were_made_of(models):
    found = settings_of("low_shot")(str(models))
    assert found["language_models"].keys() == {"general", "general+target", "target"}
    assert found["language_models"]["general"] == {
        "words": 5, "settings": {"passes": 3}, "perplexity": {"target": 9.0}
    }  # fmt: skip
    assert found["test"] == recorded.TEST and settings_of("ladder")(str(models)) != found


def test_a_language_model_that_is_not_finished_is_named(models):
    (models / "target" / "model.pt").unlink()
    assert language_models("ladder", models).keys() == {"general", "general+target"}
    with pytest.raises(FileNotFoundError, match="target: there is no finished language model"):
        language_models("low_shot", models)


@pytest.mark.parametrize(
    ("method", "chosen"), [("one rate", recorded.ONE_RATE), ("regular", recorded.REGULAR), (ULMFIT, ULMFIT)]
)
def test_a_run_trains_by_its_method_and_gives_error_and_last_loss(monkeypatch, method, chosen):
    asked = []

    def classify(encoder, vocabulary, method, labels, seed, judged):
        asked.append((method, labels, seed, judged))
        history = type("History", (), {"losses": [9.0] * 6 + [1.0, 3.0]})
        return type("Done", (), {"error": 0.25, "history": history})

    monkeypatch.setattr(recorded, "split_reviews", lambda: type("Split", (), {"test": ["review"]}))
    monkeypatch.setattr(recorded.Vocabulary, "load", lambda path: ["a"] * 30)
    monkeypatch.setattr(recorded, "classify_reviews", classify)
    found = measure_run("none", method, 50, 2, models="anywhere")
    assert found == {"error": 0.25, "last_loss": 2.0}
    assert asked == [(chosen, 50, 2, ["review"])]


def test_a_bag_of_words_has_no_loss(monkeypatch):
    monkeypatch.setattr(recorded, "split_reviews", lambda: type("Split", (), {"test": ["review"]}))
    monkeypatch.setattr(recorded.Vocabulary, "load", lambda path: ["a"] * 30)
    monkeypatch.setattr(recorded, "bag_of_words_error", lambda *given: 0.125)
    assert measure_run("none", "bag of words", 50, 0, models="x") == {"error": 0.125, "last_loss": None}


def test_what_is_read_back_has_cell_and_result_in_one():
    record, runs = load_runs("budget")
    assert record["settings"]["language_models"] and len(runs) == record["planned"] == 12
    assert runs[0].keys() == {"start", "method", "labels", "seed", "error", "last_loss"}
