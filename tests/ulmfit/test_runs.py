"""Runs in a folder: killed, resumed, shared by two processes, exported, and carried to other words."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from language_model_processes import SETTINGS, Stopped, pretrain, small_stage, stop

from papertrail.ulmfit import runs
from papertrail.ulmfit.__main__ import main
from papertrail.ulmfit.awd_lstm import NO_DROPOUT, Dropouts
from papertrail.ulmfit.language_model import LMTraining, streams
from papertrail.ulmfit.runs import (
    ModelSizes,
    RunError,
    carried_over,
    export_encoder,
    load_encoder,
    load_model,
    run_stage,
    usable,
)
from papertrail.ulmfit.text import SPECIALS, Vocabulary

ROOT = Path(__file__).resolve().parents[2]
PROSE = "\n\n".join(f"The {a} sees the {b} near the {c} ." for a in ("dog", "cat", "owl", "fox")
                    for b in ("moon", "sea", "hill") for c in ("road", "mill"))  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """What two processes that share a batch, and one that was killed while it wrote, leave behind."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "general.txt").write_text(PROSE)
    command = [sys.executable, str(ROOT / "tests/helpers/language_model_processes.py"), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "code"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model.pt", weights_only=True)


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **within: float) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **({"rtol": 0, "atol": 0} | within))


@pytest.fixture
def finished(tmp_path) -> Path:
    run_stage(small_stage(), SETTINGS, tmp_path / "run")
    return tmp_path / "run"


def test_a_process_killed_in_the_middle_of_a_checkpoint_leaves_the_one_before_whole(elsewhere):
    folder = elsewhere / "killed"
    assert {p.name for p in folder.iterdir()} == {
        "run.json", "vocabulary.txt", "checkpoint.pt", "checkpoint.pt.tmp"
    }  # fmt: skip
    (stored,) = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert stored["step"] == len(stored["losses"]) == 6  # two checkpoints of three updates each
    with pytest.raises(RunError, match="checkpoint.pt.tmp: is damaged"):
        runs.read_tensors(folder / "checkpoint.pt.tmp")
    with pytest.raises(RunError, match="killed: has no model.pt"):
        load_model(folder)


def test_the_same_command_ends_a_killed_run_with_the_weights_of_one_left_alone(elsewhere, capsys):
    assert main(pretrain(elsewhere, "killed")) == 0
    assert main(pretrain(elsewhere, "whole")) == 0
    assert_same(weights(elsewhere / "killed"), weights(elsewhere / "whole"))
    for folder in (elsewhere / "killed", elsewhere / "whole"):
        assert {p.name for p in folder.iterdir()} == {"run.json", "vocabulary.txt", "model.pt"}
    assert (elsewhere / "killed" / "run.json").read_text() == (elsewhere / "whole" / "run.json").read_text()


def test_two_processes_make_the_weights_of_one_on_the_same_batch(elsewhere):
    stage = small_stage()
    rows = streams(stage.text, 4)
    assert (
        rows[:2].max() < 10 and rows[2:].max() >= 20
    )  # the rare clusters are in the second process's share only
    one = LMTraining(stage.model, stage.text, SETTINGS)
    before = {name: value.clone() for name, value in stage.model.state_dict().items()}
    one.run()
    assert one.steps > 10
    two = weights(elsewhere / "two without dropout")
    assert_same(stage.model.state_dict(), two, atol=1e-5)
    assert (two["softmax.cluster_weight"] - before["softmax.cluster_weight"]).abs().max() > 1e-3
    assert torch.equal(two["encoder.weight"], two["softmax.weight"])
    record = json.loads((elsewhere / "two without dropout" / "run.json").read_text())
    points = [loss for _, loss in record["curve"]]
    assert points == pytest.approx(one.losses, abs=1e-4)


def test_two_processes_that_were_stopped_go_on_each_with_its_own_state(elsewhere):
    assert_same(weights(elsewhere / "two"), weights(elsewhere / "two cut"))
    assert not torch.equal(
        weights(elsewhere / "two")["encoder.weight"],
        weights(elsewhere / "two without dropout")["encoder.weight"],
    )


def test_a_run_is_not_continued_with_other_settings_text_or_sizes(tmp_path):
    with pytest.raises(Stopped):
        run_stage(small_stage(), SETTINGS, tmp_path, every=2, on_step=stop)
    stage = small_stage()
    changes = [
        (
            stage,
            replace(SETTINGS, lr=0.02, passes=4),
            r"settings.passes \(3, now 4\), settings.lr \(0.01, now 0.02\)",
        ),
        (replace(stage, text=stage.text[1:]), SETTINGS, "words .200, now 199., text"),
        (replace(stage, sizes=replace(stage.sizes, hidden_dim=9)), SETTINGS, "sizes.hidden_dim .8, now 9."),
        (small_stage(Dropouts()), SETTINGS, "sizes.dropouts.input .0.0, now 0.4."),
        (replace(stage, about={"stage": "finetune"}), SETTINGS, "stage .'pretrain', now 'finetune'."),
    ]
    for changed, settings, message in changes:
        with pytest.raises(RunError, match=f"holds a run with other {message}.*--out another name"):
            run_stage(changed, settings, tmp_path)


def test_a_record_from_before_a_setting_existed_does_not_stop_its_run(tmp_path):
    with pytest.raises(Stopped):
        run_stage(small_stage(), SETTINGS, tmp_path, every=2, on_step=stop)
    record = json.loads((tmp_path / "run.json").read_text())
    del record["settings"]["clip"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert "perplexity" in run_stage(small_stage(), SETTINGS, tmp_path)


def test_a_finished_run_is_not_made_again(finished):
    earlier = (finished / "run.json").read_text()
    record = run_stage(small_stage(), SETTINGS, finished, on_step=stop)
    assert record == json.loads(earlier) and (finished / "run.json").read_text() == earlier


@pytest.mark.parametrize("at", ["run.json", "model.pt"])
def test_a_run_killed_while_it_writes_its_results_is_finished_by_the_next(at, tmp_path, monkeypatch):
    for name in ("save_atomically", "write_json"):
        real = getattr(runs, name)

        def dies(value, path, real=real):
            if path.name == at and (at == "model.pt" or "perplexity" in value):
                raise Stopped
            real(value, path)

        monkeypatch.setattr(runs, name, dies)
    with pytest.raises(Stopped):
        run_stage(small_stage(), SETTINGS, tmp_path, every=50)
    monkeypatch.undo()
    record = run_stage(small_stage(), SETTINGS, tmp_path, every=50)
    assert record["perplexity"] and load_model(tmp_path)[2] == record


def test_the_record_holds_the_perplexities_before_and_after(finished):
    def by_hand(model):
        rows = streams(small_stage().held_out["own"], 32)
        log_p = model.eval().softmax.log_probabilities(model.encoder(rows).output[:, :-1].flatten(0, 1))
        return math.exp(-log_p.gather(1, rows[:, 1:].reshape(-1, 1)).mean().item())

    model, vocabulary, record = load_model(finished)
    assert record["perplexity"]["own"] == pytest.approx(by_hand(model), abs=0.006)
    assert record["perplexity_before"]["own"] == pytest.approx(by_hand(small_stage().model), abs=0.006)
    assert record["perplexity"]["own"] < record["perplexity_before"]["own"]
    assert vocabulary == small_stage().vocabulary and model.encoder.dropouts == NO_DROPOUT


def test_a_model_that_does_not_belong_to_its_words_or_sizes_is_refused(finished):
    words = small_stage().vocabulary.words
    Vocabulary([*words[:-1], "other"]).save(finished / "vocabulary.txt")
    with pytest.raises(RunError, match="the vocabulary is .*, the run was made with"):
        load_model(finished)
    small_stage().vocabulary.save(finished / "vocabulary.txt")
    record = json.loads((finished / "run.json").read_text())
    record["sizes"]["hidden_dim"] = 9
    (finished / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"model.pt does not have the sizes and words of run.json"):
        load_model(finished)
    (finished / "run.json").write_text('{"vocabulary": 1')
    with pytest.raises(RunError, match=r"run.json: is no record of a run"):
        load_model(finished)
    (finished / "run.json").write_text('{"vocabulary": 1}')
    with pytest.raises(RunError, match=r"run.json: is no record of a run .it says nothing of sizes, stage"):
        load_model(finished)


def test_an_exported_encoder_comes_back_in_half_precision_with_its_words(finished, tmp_path):
    path = tmp_path / "encoder.pt"
    about = export_encoder(finished, path)
    content = path.read_bytes()
    assert (about["bytes"], about["sha256"]) == (len(content), sha256(content).hexdigest())
    assert json.loads((tmp_path / "encoder.json").read_text()) == about
    encoder, vocabulary = load_encoder(path)
    assert vocabulary == small_stage().vocabulary and encoder.dropouts == Dropouts()
    trained = {name[8:]: value for name, value in weights(finished).items() if name.startswith("encoder.")}
    assert_same(trained, encoder.state_dict(), rtol=2**-11, atol=1e-7)
    assert all(
        torch.equal(v, v.half().float()) and v.dtype == torch.float32 for v in encoder.state_dict().values()
    )


def test_a_changed_byte_in_an_exported_encoder_is_refused(finished, tmp_path):
    path = tmp_path / "encoder.pt"
    export_encoder(finished, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"encoder.pt: .* bytes with another SHA-256 than encoder.json says"):
        load_encoder(path)
    (tmp_path / "encoder.json").unlink()
    with pytest.raises(RunError, match=r"encoder.pt: not found, or without encoder.json; .* export"):
        load_encoder(path)


def test_known_words_keep_row_and_bias_in_another_vocabulary_and_new_ones_get_the_mean():
    sizes = ModelSizes(6, 8, 2, (10, 20), NO_DROPOUT)
    old, new = (
        Vocabulary([*SPECIALS, *(f"w{i}" for i in ids)])
        for ids in (range(24), [23, 100, 3, *range(200, 219)])
    )
    torch.manual_seed(0)
    model = sizes.build(len(old))
    with torch.no_grad():
        for parameter in (model.softmax.bias, model.softmax.cluster_weight, model.softmax.cluster_bias):
            parameter.normal_()
    moved = carried_over(model, old, new, sizes)
    row, bias = model.encoder.weight.detach(), model.softmax.bias.detach()
    for word, number in (("w23", 6), ("w3", 8), ("xxunk", 0), ("xxrep", 4)):
        at = old.words.index(word)
        assert new.words[number] == word
        assert torch.equal(moved.encoder.weight[number], row[at]) and moved.softmax.bias[number] == bias[at]
    torch.testing.assert_close(moved.encoder.weight[7].detach(), row.mean(0))
    assert moved.softmax.bias[7].item() == pytest.approx(bias.mean().item(), abs=1e-6)
    assert not moved.encoder.weight[Vocabulary.pad_id].any()
    assert moved.softmax.weight is moved.encoder.weight
    assert torch.equal(moved.softmax.cluster_weight, model.softmax.cluster_weight)
    assert torch.equal(moved.encoder.layers[1].weight_hh, model.encoder.layers[1].weight_hh)


def test_a_vocabulary_too_small_for_the_clusters_takes_all_but_their_entries():
    sizes = ModelSizes(6, 8, 2, (10, 20), NO_DROPOUT)
    old = Vocabulary([*SPECIALS, *(f"w{i}" for i in range(24))])
    for words, clusters in ((9, 1), (3, 0)):
        new = Vocabulary([*SPECIALS, *(f"w{i}" for i in range(words))])
        moved = carried_over(sizes.build(30), old, new, sizes)
        assert len(getattr(moved.softmax, "cutoffs", ())) == clusters


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_a_device_that_is_not_here_is_named(device):
    with pytest.raises(RunError, match=f"--device: got '{device}', which is not here .*; cpu always is"):
        usable(device)
    assert usable("cpu") == "cpu"
