"""Recorded runs: what they consist of, that they resume, and that settings are not mixed."""

import json

import pytest

from papertrail.ulmfit import recorded
from papertrail.ulmfit.fine_tuning import METHODS, ULMFIT
from papertrail.ulmfit.recorded import Run, collect, make_all, runs_of, settings


def test_the_low_shot_runs_are_every_start_at_every_number_of_labels_with_three_seeds():
    runs = list(runs_of("low-shot"))
    assert len(runs) == len({run.name for run in runs}) == 4 * 3 * 6
    assert {run.labels for run in runs} == {50, 200, 1000, 5000} and {run.seed for run in runs} == {0, 1, 2}


def test_the_ladder_is_every_row_of_the_table_and_the_one_it_lacks():
    runs = [run for run in runs_of("ladder") if run.seed == 0]
    assert {run.method for run in runs} == {*METHODS, "regular"} and len(runs) == 11
    assert {run.labels for run in runs} == {1000}


def test_the_budget_runs_are_one_pass_of_stage_two_at_the_fewest_labels():
    runs = list(runs_of("budget"))
    assert len(runs) == len(set(runs)) == 2 * 3 * 2
    assert {run.start for run in runs} == {"general+target-1"} and {run.labels for run in runs} == {50, 200}


@pytest.fixture
def made(monkeypatch, tmp_path):
    calls = []

    def make(run, folder):
        calls.append(run)
        return {
            "start": run.start,
            "method": run.method,
            "labels": run.labels,
            "seed": run.seed,
            "error": 0.123456789,
        }

    monkeypatch.setattr(recorded, "make", make)
    for name in ("general", "general+target", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pt").touch()
    return calls


def test_shares_make_everything_once_and_a_second_call_makes_nothing(made, tmp_path):
    make_all("low-shot", tmp_path, (0, 2))
    assert len(made) == 36
    make_all("low-shot", tmp_path, (1, 2))
    assert len(made) == len(set(made)) == 72
    (tmp_path / "low-shot" / f"{made[5].name}.json").unlink()
    make_all("low-shot", tmp_path, (0, 1))
    assert made[72:] == [made[5]]


def test_runs_that_need_a_language_model_wait_for_it(made, tmp_path, capsys):
    (tmp_path / "target" / "model.pt").unlink()
    make_all("low-shot", tmp_path, (0, 1))
    assert len(made) == 60 and not [run for run in made if run.start == "target"]
    assert "target has no finished language model" in capsys.readouterr().out


def test_other_settings_are_refused(made, tmp_path):
    (tmp_path / "ladder").mkdir()
    (tmp_path / "ladder" / "settings.json").write_text(json.dumps({**settings(), "test": 4}))
    with pytest.raises(SystemExit, match="other settings"):
        make_all("ladder", tmp_path, (0, 1))
    assert not made


def test_what_is_finished_is_collected_with_the_language_models_that_it_started_from(
    made, tmp_path, monkeypatch
):
    make_all("low-shot", tmp_path, (0, 9))
    (tmp_path / "target" / "model.pt").unlink()  # still at work
    for name in ("general", "general+target"):
        (tmp_path / name / "run.json").write_text(
            json.dumps({"words": 5, "settings": {"passes": 3}, "perplexity": {"target": 9.0}, "curve": []})
        )
    saved = {}
    monkeypatch.setattr(
        recorded,
        "save_record",
        lambda *args: saved.update(chapter=args[0], name=args[1], **args[3]) or tmp_path,
    )
    collect("low-shot", tmp_path)
    assert (saved["chapter"], saved["name"], saved["planned"]) == ("ulmfit", "low_shot", 72)
    assert len(saved["runs"]) == 8 and saved["runs"][0]["error"] == 0.1235
    assert saved["language_models"].keys() == {"general", "general+target"}
    assert "curve" not in saved["language_models"]["general"]


def test_a_name_says_everything_and_fits_a_file_name():
    assert Run("general+target", ULMFIT, 200, 1).name == "general+target-Freez_+_discr_+_stlr-200-1"
