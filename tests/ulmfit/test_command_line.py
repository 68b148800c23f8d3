"""The stages from the command line: what they print and record, how they stop, and what they refuse."""

import csv
import json
from random import Random

import pytest

from papertrail.ulmfit import __main__ as command_line
from papertrail.ulmfit.__main__ import main
from papertrail.ulmfit.corpora import load_corpus
from papertrail.ulmfit.documents import split_by_hash

OPTIONS = {
    "embedding": 8,
    "hidden": 12,
    "layers": 2,
    "batch-size": 4,
    "bptt": 10,
    "vocab-size": 40,
    "passes": 1,
}
SIZES = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
PARTS = ["--test", "8", "--validation", "10"]
NOUNS, PLACES = ("plot", "cast", "music", "end", "hero", "joke"), ("here", "there", "again", "tonight")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """General text, labelled reviews, and the runs of stages 1 and 2."""
    folder = tmp_path_factory.mktemp("stages")
    lines = [f"the {a} and the {b} were {c}" for a in NOUNS for b in NOUNS for c in PLACES]
    Random(0).shuffle(lines)
    (folder / "general.txt").write_text("\n\n".join(lines[:60]))
    with (folder / "reviews.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("label", "text"))
        for i, line in enumerate(lines[60:120]):
            kind = ("bad", "good")[i % 2]
            table.writerow((kind, f"{line} and it was {kind}"))
    assert (
        main(["pretrain", "--corpus", f"file:{folder}/general.txt", "--out", f"{folder}/general", *SIZES])
        == 0
    )
    assert main(finetune(folder, "both", "--general", f"file:{folder}/general.txt")) == 0
    return folder


def finetune(folder, out, *more):
    return ["finetune", "--from", f"{folder}/general", "--corpus", f"file:{folder}/reviews.csv",
            "--out", f"{folder}/{out}", *PARTS, *SIZES, *more]  # fmt: skip


def classify(folder, start, *more):
    return ["classify", "--from", start, "--corpus", f"file:{folder}/reviews.csv", "--labels", "20",
            "--epochs", "4", "--batch-size", "8", *PARTS, *more]  # fmt: skip


def record_of(path):
    return json.loads(path.read_text())


def test_forgetting_and_adaptation_are_recorded_and_no_record_names_a_folder_of_this_machine(folder):
    general, both = (record_of(folder / name / "run.json") for name in ("general", "both"))
    assert general["corpora"] == ["file:general.txt"] and both["corpus"] == "file:reviews.csv"
    assert set(general["perplexity"]) == {"general"}
    assert set(both["perplexity"]) == set(both["perplexity_before"]) == {"target", "general"}
    assert both["perplexity"]["target"] < both["perplexity_before"]["target"]
    assert both["from"]["corpora"] == ["file:general.txt"] and both["held_out"] == [8, 10]
    assert str(folder) not in json.dumps([general, both])


def test_general_text_is_found_again_in_the_folder_of_the_command_or_where_general_says(
    folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    assert main(finetune(folder, "here")) == 0
    assert record_of(folder / "here" / "run.json") == record_of(folder / "both" / "run.json")
    monkeypatch.chdir(tmp_path)
    assert main(finetune(folder, "unmeasured")) == 0
    assert "forgetting is not measured (general.txt: cannot be read" in capsys.readouterr().out
    assert set(record_of(folder / "unmeasured" / "run.json")["perplexity"]) == {"target"}
    assert main(finetune(folder, "wrong", "--general", f"file:{folder}/reviews.csv")) == 2
    assert "is not the text that" in capsys.readouterr().err
    assert not (folder / "wrong").exists()


def test_another_start_of_the_same_name_is_not_mistaken_for_the_first(folder, capsys):
    assert main(finetune(folder, "both")) == 0  # finished: nothing is made again
    command = finetune(folder, "both")
    command[2] = f"{folder}/both"
    assert main([*command, "--general", f"file:{folder}/general.txt"]) == 2
    assert "holds a run with other from.stage ('pretrain', now 'finetune')" in capsys.readouterr().err


def test_a_classifier_is_judged_on_validation_and_on_the_test_part_only_in_the_end(folder, capsys):
    out = folder / "a.json"
    assert main(classify(folder, f"{folder}/both", "--out", str(out), "--bag-of-words")) == 0
    printed, record = capsys.readouterr().out, record_of(out)
    assert record["judged_on"] == "validation" and record["split"] == {
        "test": 8,
        "validation": 10,
        "train": 42,
    }
    assert (record["corpus"], record["labels"], record["method"]) == (
        "file:reviews.csv",
        20,
        "Freez + discr + stlr",
    )
    error, n = record["error"], 10
    assert record["standard_error"] == pytest.approx((error * (1 - error) / n) ** 0.5, abs=1e-5)
    assert f"Freez + discr + stlr: error {100 * error:.1f}% +- " in printed
    assert (
        "bag of words: error 0.0% +- 0.0 on 10 validation documents" in printed
    )  # one word tells the classes
    assert main(classify(folder, f"{folder}/both", "--out", str(out), "--final")) == 2
    assert "other judged_on ('validation', now 'test')" in capsys.readouterr().err
    assert main(classify(folder, f"{folder}/both", "--final")) == 0
    assert "on 8 test documents" in capsys.readouterr().out


def test_the_documents_that_judge_are_the_splits_own(folder, monkeypatch):
    seen = []
    real = command_line.labelled
    monkeypatch.setattr(
        command_line, "labelled", lambda documents, *rest: seen.append(documents) or real(documents, *rest)
    )
    split = split_by_hash(load_corpus(f"file:{folder}/reviews.csv").documents, 8, 10)
    for more, part in (((), split.validation), (("--final",), split.test)):
        seen.clear()
        assert main(classify(folder, "none", "--epochs", "1", *more)) == 0
        learned, judged = seen
        assert judged == part and len(learned) == 20
        assert set(learned) <= set(split.train)
        assert [sum(d.label == label for d in learned) for label in (0, 1)] == [10, 10]


def test_new_weights_learn_at_one_rate_and_pretrained_ones_by_the_recipe_or_the_row_that_is_named(
    folder, monkeypatch
):
    asked = []
    monkeypatch.setattr(
        command_line, "run_classifier", lambda training, *_, **__: asked.append(training) or {}
    )
    for start, more in (("none", ()), (f"{folder}/both", ()), (f"{folder}/both", ("--method", "Last"))):
        with pytest.raises(KeyError, match="error"):  # no record, so nothing to print
            main(classify(folder, start, *more))
    peaks = [[max(rates) for rates in zip(*training.table.rates, strict=True)] for training in asked]
    assert [len(set(peak)) for peak in peaks] == [1, 4, 2]
    assert peaks[0][0] == pytest.approx(
        0.003, rel=0.01
    )  # every group alike, and above what the recipe gives it
    assert peaks[1][0] < peaks[1][1] < peaks[1][2] < peaks[1][3] and peaks[2] == [0, 0, 0, 0.001]


def test_an_exported_file_starts_a_classifier_as_its_run_does(folder, capsys):
    assert main(["export", "--from", f"{folder}/both", "--out", f"{folder}/encoder.pt"]) == 0
    size = (folder / "encoder.pt").stat().st_size
    assert f"encoder.pt: {size:,} bytes, SHA-256 " in capsys.readouterr().out
    for name, start in (("file", "encoder.pt"), ("run", "both"), ("none", None)):
        start = "none" if start is None else f"{folder}/{start}"
        assert main(classify(folder, start, "--out", f"{folder}/{name}.json")) == 0
    file, run, none = (record_of(folder / f"{name}.json") for name in ("file", "run", "none"))
    assert file["loss"] == pytest.approx(run["loss"], abs=0.02) and none["loss"] != run["loss"]
    assert none["from"] is None and none["method"] == "one rate"
    assert file["from"].keys() == run["from"].keys() == {"stage", "corpus", "weights"}


def test_an_interrupted_run_says_that_the_command_goes_on_and_it_does(folder, monkeypatch, capsys):
    def interrupt(what):
        def on_step(step, steps, loss):
            if 6 <= step < steps:
                raise KeyboardInterrupt

        return on_step

    once, twice = (classify(folder, f"{folder}/both", "--out", f"{folder}/{n}.json", "--checkpoint-every", "3")
                   for n in ("once", "twice"))  # fmt: skip
    assert main(once) == 0
    monkeypatch.setattr(command_line, "bar", interrupt)
    assert main(twice) == 130
    error = capsys.readouterr().err.splitlines()
    assert error[-1] == "papertrail.ulmfit: interrupted; the same command goes on from the last checkpoint"
    assert (folder / "twice.checkpoint.pt").exists() and not (folder / "twice.json").exists()
    monkeypatch.undo()
    assert main(twice) == 0
    assert (folder / "twice.json").read_text() == (folder / "once.json").read_text()
    monkeypatch.setattr(command_line, "bar", interrupt)
    assert main(classify(folder, "none", "--checkpoint-every", "3")) == 130
    assert "interrupted; without --out nothing is kept" in capsys.readouterr().err


def test_outside_a_terminal_progress_is_a_line_for_each_tenth(capsys):
    on_step = command_line.bar("stage")
    for step in range(1, 101):
        on_step(step, 100, 1.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == [f"stage: {10 * i} of 100 updates, loss 1.500" for i in range(1, 11)]


WRONG = [
    (lambda f: ["pretrain", "--corpus", "nope", "--out", f"{f}/x"], "name: got 'nope'; allowed are imdb"),
    (lambda f: ["pretrain", "--corpus", "file:gone.txt", "--out", f"{f}/x"], "gone.txt: cannot be read"),
    (lambda f: finetune(f, "x", "--from", f"{f}/nowhere"), "nowhere: has no run.json; expected is the folder of a fin"),
    (lambda f: finetune(f, "both", "--lr", "0.1"), r"holds a run with other settings.lr (0.004, now 0.1); give --out"),
    (lambda f: finetune(f, "x", "--device", "cuda:99"), "--device: got 'cuda:99', which is not here"),
    (lambda f: finetune(f, "reviews.csv"), "reviews.csv"),
    (lambda f: classify(f, f"{f}/nowhere.pt"), "nowhere.pt: not found, or without nowhere.json"),
    (lambda f: classify(f, "none", "--corpus", f"file:{f}/general.txt"), "general.txt, which has no classes"),
    (lambda f: classify(f, "none", "--labels", "21"), "n: got 21; allowed are multiples of the 2 classes"),
    (lambda f: classify(f, "none", "--validation", "0"), "--validation: got 0; allowed are integers from 1 up"),
    (lambda f: classify(f, "none", "--test", "100"), "documents: got 60; allowed are more than test + validation"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_what_cannot_be_done_is_said_in_one_line(arguments, message, folder, capsys):
    assert main(arguments(folder)) == 2
    error = capsys.readouterr().err
    assert error.startswith("papertrail.ulmfit: ") and message in error and len(error.splitlines()) == 1


def test_a_classifier_is_not_shared_by_processes(folder, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(classify(folder, "none")) == 2
    assert "classify: runs in one process" in capsys.readouterr().err
