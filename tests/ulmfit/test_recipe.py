"""The recipe on the constructed language, with a tenth of its text: what that shows, and its bookkeeping."""

from dataclasses import replace

import pytest
import torch

from papertrail.experiments import seeded
from papertrail.ulmfit import recipe
from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.fine_tuning import MISSING_ROW, ULMFIT
from papertrail.ulmfit.recipe import (
    SCRATCH,
    STARTS,
    LanguageStages,
    classify,
    measure_methods,
    measure_recipe,
    new_model,
    train_stages,
)
from papertrail.ulmfit.runs import number_of_parameters
from papertrail.ulmfit.synthetic import DOCUMENT_LENGTH, FUNCTION_WORDS, VOCAB_SIZE, make_language
from papertrail.ulmfit.text import SPECIALS

FIRST_CONTENT = len(SPECIALS) + FUNCTION_WORDS


@pytest.fixture(scope="module")
def stages():
    return train_stages(0, documents=600, target_documents=400)


def test_stage_two_adapts_and_forgets_and_beats_the_same_training_without_stage_one(stages):
    general, target = stages.general, stages.target
    assert list(general) == list(target) == ["after stage 1", "after stage 2", "target text only"]
    assert target["after stage 2"] < 0.95 * target["after stage 1"], "it adapts"
    assert general["after stage 2"] > general["after stage 1"], "it forgets"
    assert target["after stage 2"] < 0.6 * target["target text only"], "stage 1 pays"
    assert max(general["after stage 1"], target["after stage 2"]) < VOCAB_SIZE / 4


def test_each_start_is_the_encoder_as_it_was_at_that_time(stages):
    with seeded(0):
        new_model()
        fresh = new_model().encoder.state_dict()
    assert list(stages.encoders) == list(STARTS) and stages.encoder == "lstm"
    assert all(torch.equal(fresh[name], value) for name, value in stages.encoders[STARTS[0]].items())
    bottom, top = "layers.0.weight_hh", "weight"
    first, second = stages.encoders[STARTS[1]], stages.encoders[STARTS[2]]
    moved = {name: (second[name] - first[name]).abs().mean() for name in (bottom, top)}
    assert 0 < moved[bottom] < moved[top], "stage 2 has discriminative rates, the tied embedding on top"


def test_a_transformer_goes_through_the_same_stages():
    found = train_stages(1, "transformer", documents=100, target_documents=50)
    assert found.encoder == "transformer" and "positions" in found.encoders[STARTS[2]]
    error, history = classify(found, STARTS[2], ULMFIT, 8, seed=0, test=50)
    assert 0 <= error <= 1 and history.group_names == ["embedding", "layer 1", "layer 2", "head"]


def test_both_encoders_have_about_as_many_parameters_and_take_a_whole_document():
    lstm, transformer = (new_model(name).encoder for name in ("lstm", "transformer"))
    assert 0.9 < number_of_parameters(lstm) / number_of_parameters(transformer) < 1.1
    document = torch.full((2, DOCUMENT_LENGTH), 7)
    assert lstm(document).raw.shape == transformer(document).raw.shape == (2, DOCUMENT_LENGTH, 64)
    assert TextClassifier(transformer, 2).documents.bptt >= DOCUMENT_LENGTH, "no chunk loses what came before"


def test_forget_gates_start_open():
    layer = new_model().encoder.layers[1]
    gates = (layer.bias_ih + layer.bias_hh).detach().view(4, -1).mean(1)  # input, forget, cell, output
    assert 1.95 < gates[1] < 2.05
    assert gates[[0, 2, 3]].abs().max() < 0.05


def test_a_classifiers_error_depends_on_its_seed_alone(stages):
    one, history = classify(stages, STARTS[2], ULMFIT, 12, seed=3, test=60)
    assert classify(stages, STARTS[2], ULMFIT, 12, seed=3, test=60) == (one, history)
    assert classify(stages, STARTS[2], ULMFIT, 12, seed=4, test=60)[1].losses != history.losses
    assert history.epochs_at == list(range(0, 30, 2)) and len(history.losses) == 30


def test_all_arms_of_a_seed_learn_from_the_same_documents_and_none_is_judged_on_them(stages, monkeypatch):
    learned, judged, heads = [], [], []

    def fine_tune(classifier, documents, labels, method, **settings):
        learned.append((torch.stack(documents), labels))
        heads.append(classifier.head.layers[2].weight.detach().clone())

    def class_probabilities(classifier, documents, batch_size):
        judged.append(torch.stack(documents))
        return torch.eye(4)[torch.zeros(len(documents), dtype=torch.long)]  # always the first topic

    monkeypatch.setattr(recipe, "fine_tune", fine_tune)
    monkeypatch.setattr(recipe, "class_probabilities", class_probabilities)
    error, _ = classify(stages, STARTS[0], SCRATCH, 20, seed=1, test=300)
    classify(stages, STARTS[2], MISSING_ROW, 20, seed=1, test=300)
    assert torch.equal(learned[0][0], learned[1][0]) and learned[0][1] == learned[1][1]
    assert torch.equal(judged[0], judged[1]) and torch.equal(heads[0], heads[1])
    assert len(learned[0][0]) == 20 and len(judged[0]) == 300
    assert [learned[0][1].count(topic) for topic in range(4)] == [5] * 4, "as many of each topic"
    both = set(map(tuple, learned[0][0].tolist())) & set(map(tuple, judged[0].tolist()))
    assert not both
    assert 0.65 < error < 0.85, "one topic in four is the first"
    classify(replace(stages, language=make_language(1)), STARTS[2], MISSING_ROW, 20, seed=1, test=300)
    contents = [set(learned[i][0][learned[i][0] >= FIRST_CONTENT].tolist()) for i in (0, 2)]
    assert contents[0] != contents[1], "another language has other labeled documents"


def counted(monkeypatch):
    """classify, replaced: the error tells which call it was."""
    calls = []

    def instead(stages, start, method, labels, seed):
        calls.append((start, method, labels, seed))
        return labels + seed / 10, None

    monkeypatch.setattr(recipe, "classify", instead)
    return calls


STAGES = LanguageStages({}, {}, {}, make_language(0), "lstm")


def test_errors_stand_under_their_start_size_and_seed(monkeypatch):
    calls = counted(monkeypatch)
    found = measure_recipe(STAGES, (5, 7), seeds=2)
    assert found.sizes == (5, 7) and found.seeds == 2
    assert found.errors == {start: [[5, 5.1], [7, 7.1]] for start in STARTS}
    assert found.mean(STARTS[1], 7) == pytest.approx(7.05)
    assert {(start, method) for start, method, *_ in calls} == {
        (STARTS[0], SCRATCH),
        (STARTS[1], ULMFIT),
        (STARTS[2], ULMFIT),
    }


def test_methods_are_compared_after_both_stages(monkeypatch):
    calls = counted(monkeypatch)
    found = measure_methods(STAGES, sizes=(20, 40), seeds=2)
    assert list(found.errors) == ["Full", MISSING_ROW, ULMFIT]
    assert found.errors[ULMFIT] == [[20, 20.1], [40, 40.1]]
    assert {start for start, *_ in calls} == {STARTS[2]} and len(calls) == 12
    assert all(method == name for name, calls_of in zip(found.errors, (calls[:4], calls[4:8], calls[8:]), strict=True)
               for _, method, *_ in calls_of)  # fmt: skip


BAD = [
    (lambda: train_stages(0, "gru"), "encoder: got 'gru'; allowed are lstm, transformer"),
    (lambda: train_stages(0, documents=0), "documents: got 0"),
    (lambda: train_stages(0, target_documents=0), "target_documents: got 0"),
    (lambda: measure_recipe(STAGES, (20,), seeds=0), "seeds: got 0"),
    (
        lambda: classify(STAGES, STARTS[0], ULMFIT, 10, 0),
        "labels: got 10; allowed are multiples of the 4 topics",
    ),
    (lambda: classify(STAGES, STARTS[0], ULMFIT, 0, 0), "labels: got 0"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
