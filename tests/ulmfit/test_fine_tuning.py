"""Stage 3: what moves and how far, batches of one length, and errors in the documents' order."""

import pytest
import torch

from papertrail.ulmfit.awd_lstm import AWDLSTM, NO_DROPOUT
from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.fine_tuning import (
    METHODS,
    MISSING_ROW,
    ULMFIT,
    Method,
    batches_by_length,
    class_probabilities,
    error_rate,
    fine_tune,
    group_names,
    padded,
)
from papertrail.ulmfit.published import CLASSIFIER_FINE_TUNING

DRAWS = torch.Generator().manual_seed(0)
DOCUMENTS = [torch.randint(2, 20, (3 + i % 9,), generator=DRAWS).tolist() for i in range(20)]
LABELS = [i % 2 for i in range(20)]


def classifier(seed=0):
    torch.manual_seed(seed)
    encoder = AWDLSTM(20, 6, 8, 2, NO_DROPOUT, embedding_std=0.5)
    return TextClassifier(encoder, 2, hidden=4, head_dropouts=(0.0, 0.0))


def copies(model):
    return [[p.detach().clone() for p in group] for group in model.groups()]


def distances(before, after):
    """The furthest that a weight of each group moved."""
    return [
        max((now - then).abs().max().item() for then, now in zip(one, other, strict=True))
        for one, other in zip(before, after, strict=True)
    ]


@pytest.mark.parametrize("batch_size", [10, 20])  # two updates an epoch, and one
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 6])
def test_gradual_unfreezing_lets_one_more_group_learn_in_each_epoch_and_the_others_keep_every_bit(
    epochs, batch_size
):
    model = classifier()
    before = copies(model)
    fine_tune(model, DOCUMENTS, LABELS, ULMFIT, epochs=epochs, batch_size=batch_size)
    moved = [distance > 0 for distance in distances(before, copies(model))]
    assert moved == [4 - i <= epochs for i in range(4)]
    assert all(p.requires_grad for p in model.parameters()), "nothing stays frozen afterwards"


def test_last_trains_the_head_alone_and_chain_thaw_one_group_after_the_other():
    for method, epochs, expected in [
        ("Last", 6, [False, False, False, True]),
        ("Chain-thaw", 1, [False, False, False, True]),
        ("Chain-thaw", 2, [True, False, False, True]),
        ("Chain-thaw", 4, [True, True, True, True]),
    ]:
        model = classifier()
        before = copies(model)
        fine_tune(model, DOCUMENTS, LABELS, method, epochs=epochs, batch_size=10)
        assert [d > 0 for d in distances(before, copies(model))] == expected, (method, epochs)


@pytest.mark.parametrize(
    ("method", "rates"),
    [
        (MISSING_ROW, [0.01 / 2.6**3, 0.01 / 2.6**2, 0.01 / 2.6, 0.01]),
        ("Full", [0.001] * 4),
        (ULMFIT, [0, 0, 0, 0.01]),
    ],
)
def test_adams_first_step_moves_each_group_by_exactly_its_rate(method, rates):
    model = classifier()
    before = copies(model)
    history = fine_tune(model, DOCUMENTS, LABELS, method, epochs=1, batch_size=20)
    # one update: the triangle has no room to rise and starts at its peak
    assert history.rates == [pytest.approx(rates)]
    assert distances(before, copies(model)) == pytest.approx(rates, rel=1e-3)


def test_recorded_rates_are_those_of_the_methods_table_and_losses_fall():
    history = fine_tune(classifier(), DOCUMENTS, LABELS, ULMFIT, epochs=12, batch_size=10)
    assert history.method == ULMFIT and history.group_names == ["embedding", "layer 1", "layer 2", "head"]
    assert history.epochs_at == list(range(0, 24, 2)) and len(history.losses) == len(history.rates) == 24
    heads = [rates[3] for rates in history.rates]
    assert max(heads) == heads[2] == pytest.approx(0.01), "a tenth of 24 updates"
    assert history.rates[3] == pytest.approx([0, 0, heads[3] / 2.6, heads[3]]), "the second epoch"
    assert history.rates[6] == pytest.approx([heads[6] / 2.6**3, heads[6] / 2.6**2, heads[6] / 2.6, heads[6]])
    assert history.losses[-1] < 0.8 * history.losses[0]


def test_a_method_of_ones_own_is_taken_as_it_is():
    history = fine_tune(
        classifier(), DOCUMENTS, LABELS, Method(0.02, "full", 2.0, "constant"), epochs=2, batch_size=20
    )
    assert history.rates == [pytest.approx([0.0025, 0.005, 0.01, 0.02])] * 2 and history.method == ""


def test_the_same_seed_gives_the_same_classifier_and_another_one_another():
    def weights(seed):
        model = classifier()
        fine_tune(model, DOCUMENTS, LABELS, "Full", epochs=2, batch_size=6, seed=seed)
        return model.head.layers[-1].weight

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("n", [2, 4, 11, 33, 64, 65, 700])
@pytest.mark.parametrize("batch_size", [3, 8, 32])
def test_an_epoch_has_every_document_once_in_batches_of_nearly_one_size(n, batch_size):
    lengths = torch.randint(1, 90, (n,), generator=torch.Generator().manual_seed(n)).tolist()
    batches = batches_by_length(lengths, batch_size, torch.Generator().manual_seed(1))
    assert sorted(sum(batches, [])) == list(range(n))
    sizes = {len(batch) for batch in batches}
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= batch_size
    assert len(batches) == -(-n // batch_size)
    assert 1 not in sizes, "batch normalization cannot use a single document"


def test_batches_hold_little_padding_and_come_in_another_order_each_time():
    lengths = torch.randint(1, 200, (640,), generator=torch.Generator().manual_seed(5)).tolist()
    generator = torch.Generator().manual_seed(1)
    one, other = (batches_by_length(lengths, 20, generator) for _ in range(2))
    steps = sum(len(batch) * max(lengths[i] for i in batch) for batch in one)
    assert sum(lengths) / steps > 0.9  # without sorting: about a half
    assert one != other and {frozenset(b) for b in one} != {frozenset(b) for b in other}
    longest = [max(lengths[i] for i in batch) for batch in one[:16]]
    assert longest != sorted(longest), "the shortest documents do not come first"


def test_documents_are_padded_on_the_right():
    tokens, lengths = padded([[5, 6], [7], torch.tensor([8, 9, 4])], pad_id=1)
    assert tokens.tolist() == [[5, 6, 1], [7, 1, 1], [8, 9, 4]] and lengths.tolist() == [2, 1, 3]
    assert tokens.dtype == torch.long


def test_probabilities_come_in_the_documents_order_whatever_their_length():
    model = classifier()
    together = class_probabilities(model, DOCUMENTS, batch_size=3)
    model.eval()
    for document, row in zip(DOCUMENTS, together, strict=True):
        alone = model(torch.tensor([document]), torch.tensor([len(document)])).softmax(-1)
        torch.testing.assert_close(row[None], alone)
    torch.testing.assert_close(together.sum(1), torch.ones(20))
    assert not together.requires_grad


def test_the_error_rate_is_the_share_of_labels_that_are_not_the_likeliest_class():
    model = classifier()
    best = class_probabilities(model, DOCUMENTS).argmax(1).tolist()
    labels = [1 - label if i in (2, 7, 11) else label for i, label in enumerate(best)]
    assert error_rate(model, DOCUMENTS, best) == 0
    assert error_rate(model, DOCUMENTS, labels) == pytest.approx(3 / 20)


def test_methods_are_table_7s_rows_that_start_from_a_language_model_and_the_row_it_lacks():
    assert set(METHODS) == set(CLASSIFIER_FINE_TUNING) - {"From scratch"} | {MISSING_ROW}
    assert MISSING_ROW not in CLASSIFIER_FINE_TUNING
    for name, method in METHODS.items():
        assert method.lr == (0.01 if "discr" in name else 0.001), name  # section 5
        assert method.factor == (2.6 if "discr" in name else 1.0), name
        assert (method.unfreezing == "gradual") == name.startswith("Freez"), name
        schedule = {"stlr": "slanted-triangular", "cos": "cosine"}.get(name.split(" + ")[-1], "constant")
        assert method.schedule == schedule, name


def test_chain_thaw_has_a_tenth_of_the_heads_rate_elsewhere():
    rates = METHODS["Chain-thaw"].rates(4, 6, 1).rates
    assert rates == [
        [0, 0, 0, 0.001],
        [0.0001, 0, 0, 0],
        [0, 0.0001, 0, 0],
        [0, 0, 0.0001, 0],
        [0.0001, 0.0001, 0.0001, 0.001],
        [0.0001, 0.0001, 0.0001, 0.001],
    ]


BAD = [
    (lambda: fine_tune(classifier(), DOCUMENTS, LABELS, "Thaw", epochs=1), "method: got 'Thaw'; allowed are Full"),
    (lambda: fine_tune(classifier(), DOCUMENTS, LABELS[1:], "Full", epochs=1), "labels: got 19 for 20"),
    (lambda: fine_tune(classifier(), DOCUMENTS, LABELS, "Full", epochs=0), "epochs: got 0"),
    (lambda: fine_tune(classifier(), DOCUMENTS[:1], LABELS[:1], "Full", epochs=1), "documents, batch_size: got 1"),
    (lambda: error_rate(classifier(), DOCUMENTS, LABELS[:3]), "labels: got 3 for 20 documents"),
    (lambda: batches_by_length([3, 4], 2, DRAWS), "documents, batch_size: got 2 and 2; .* from 2 and from 3 up"),
    (lambda: padded([], 1), "documents: got none, or an empty one"),
    (lambda: padded([[1], []], 1), "documents: got none, or an empty one"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_groups_are_named_from_the_input_up():
    assert group_names(5) == ["embedding", "layer 1", "layer 2", "layer 3", "head"]
