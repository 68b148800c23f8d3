"""Stage 3 as a run: cut anywhere it gives the same classifier, and its record says what was judged on what."""

import json

import pytest
import torch

from papertrail.ulmfit.awd_lstm import AWDLSTM, Dropouts
from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.classifier_runs import (
    Labelled,
    bag_of_words_error,
    judged_error,
    labelled,
    run_classifier,
)
from papertrail.ulmfit.documents import Document
from papertrail.ulmfit.fine_tuning import ULMFIT, ClassifierTraining, fine_tune
from papertrail.ulmfit.runs import RunError
from papertrail.ulmfit.text import SPECIALS, Vocabulary

DRAWS = torch.Generator().manual_seed(0)
DOCUMENTS = [torch.randint(2, 20, (3 + i % 9,), generator=DRAWS).tolist() for i in range(22)]
LABELS = [i % 2 for i in range(22)]
JUDGED = Labelled(DOCUMENTS[:5], LABELS[:5])


def training(seed=0, method=ULMFIT):
    torch.manual_seed(seed)
    classifier = TextClassifier(AWDLSTM(20, 6, 8, 2, Dropouts().times(0.5)), 2, hidden=4, bptt=5)
    return ClassifierTraining(classifier, DOCUMENTS, LABELS, method, epochs=5, batch_size=6)


def assert_same(one, other):
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize("method", [ULMFIT, "Chain-thaw"])
def test_a_run_cut_anywhere_and_stored_gives_the_classifier_of_the_run_left_alone(method, tmp_path):
    whole, cut = training(method=method), training(method=method)
    losses = whole.run()
    assert whole.steps == len(losses) == 5 * 4
    cut.run(4)  # an epoch's end
    cut.run(3)  # within the next one, in which a frozen layer has no gradient
    torch.save(cut.state_dict(), tmp_path / "stored.pt")
    torch.manual_seed(99)  # what happens elsewhere in between does not matter
    resumed = training(seed=7, method=method)
    resumed.load_state_dict(torch.load(tmp_path / "stored.pt", weights_only=True))
    assert resumed.step == 7
    resumed.run()
    assert resumed.losses == losses
    assert_same(whole.classifier, resumed.classifier)


def test_training_in_one_go_is_the_run_and_leaves_the_callers_random_state_alone():
    run = training()
    before = torch.get_rng_state()
    run.run()
    torch.manual_seed(0)
    classifier = TextClassifier(AWDLSTM(20, 6, 8, 2, Dropouts().times(0.5)), 2, hidden=4, bptt=5)
    history = fine_tune(classifier, DOCUMENTS, LABELS, ULMFIT, epochs=5, batch_size=6)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(run.classifier, classifier)
    assert history == run.history() and history.method == ULMFIT
    assert all(parameter.requires_grad for parameter in classifier.parameters())


def test_frozen_groups_keep_their_weights_until_their_epoch_comes():
    run = training()
    groups = [[p.detach().clone() for p in group] for group in run.classifier.groups()]
    for epoch in range(5):
        run.run(4)
        moved = [
            any(not torch.equal(old, new) for old, new in zip(before, now, strict=True))
            for before, now in zip(groups, run.classifier.groups(), strict=True)
        ]
        assert moved == [epoch >= 3 - i for i in range(4)]


class Stopped(Exception):
    """What the test throws into a run."""


def test_a_stopped_run_goes_on_from_its_checkpoint_to_the_same_record(tmp_path):
    def stop(step, steps, loss):
        if step >= 9:
            raise Stopped

    made = {"method": ULMFIT, "cutoffs": (1, 2)}
    whole = run_classifier(training(), JUDGED, made)
    with pytest.raises(Stopped):
        run_classifier(training(), JUDGED, made, tmp_path / "a.json", every=3, on_step=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["a.checkpoint.pt"]
    with pytest.raises(
        RunError, match=r"a.checkpoint.pt: holds a run with other method \('Freez.*', now 'Full'\)"
    ):
        run_classifier(training(), JUDGED, made | {"method": "Full"}, tmp_path / "a.json")
    steps = []
    record = run_classifier(
        training(seed=3), JUDGED, made, tmp_path / "a.json", on_step=lambda step, *_: steps.append(step)
    )
    assert record == whole and steps == [20]  # not one update twice
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == record
    again = run_classifier(training(), JUDGED, made, tmp_path / "a.json", on_step=stop)  # nothing is trained
    assert again == record
    with pytest.raises(RunError, match="a.json: holds a run with other method"):
        run_classifier(training(), JUDGED, made | {"method": "Full"}, tmp_path / "a.json")


def test_the_recorded_error_is_that_of_the_classifier_on_the_documents_that_judge():
    run = training()
    record = run_classifier(run, JUDGED, {})
    run.classifier.eval()
    wrong = sum(
        int(run.classifier(torch.tensor([d]), torch.tensor([len(d)])).argmax()) != label
        for d, label in zip(DOCUMENTS[:5], LABELS[:5], strict=True)
    )
    assert record["error"] == wrong / 5
    assert record["loss"] == pytest.approx(sum(run.losses[-4:]) / 4, abs=1e-4)


def test_the_standard_error_is_the_binomial_one():
    assert judged_error(0.2, 400) == {"error": 0.2, "standard_error": 0.02}
    assert judged_error(0.0, 7) == {"error": 0.0, "standard_error": 0.0}


def test_a_document_keeps_its_last_words_behind_its_mark():
    words = Vocabulary([*SPECIALS, "a", "b", "c"])
    documents = [Document("a b c b", 1), Document("c", 0)]
    assert labelled(documents, words, 3) == Labelled([[2, 7, 8, 7], [2, 8]], [1, 0])
    assert labelled(documents, words).documents == [[2, 6, 7, 8, 7], [2, 8]]
    with pytest.raises(RunError, match="a document has no label"):
        labelled([Document("a")], words)


def test_words_without_order_are_judged_on_the_documents_that_judge():
    train = Labelled([[5, 9], [6, 9], [5, 10], [6, 10]], [0, 1, 0, 1])
    judged = Labelled(
        [[5, 11], [6, 12], [5, 6, 6, 6], [6, 13]], [0, 1, 1, 0]
    )  # the last one is labelled wrongly
    assert bag_of_words_error(train, judged, 20, 2) == judged_error(0.25, 4)
