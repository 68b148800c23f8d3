"""The causal Transformer: what a word may see, the encoder's interface, and its work in all three stages."""

import pytest
import torch
from torch import nn

from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.fine_tuning import Method, error_rate, fine_tune
from papertrail.ulmfit.language_model import LanguageModel, LMSettings, LMTraining, perplexity
from papertrail.ulmfit.transformer import TransformerEncoder

TOKENS = torch.tensor([[2, 5, 6, 7, 5, 3, 8], [2, 8, 8, 4, 9, 9, 5]])


def encoder(**sizes):
    torch.manual_seed(1)
    given = {"vocab_size": 10, "embedding_dim": 8, "num_heads": 2, "hidden_dim": 12, "dropout": 0.0}
    return TransformerEncoder(**given | sizes)


def test_no_word_sees_a_later_one_and_every_word_sees_all_earlier_ones():
    model = encoder()
    model.positions = nn.Parameter(torch.randn(7, 8))
    for step in range(7):
        model.zero_grad()
        # weighted, as the sum of a normalized vector and that of its squares never change
        (model(TOKENS[:1]).raw[0, step] * torch.randn(8)).sum().backward()
        reached = model.positions.grad.abs().amax(dim=1)
        assert not reached[step + 1 :].any() and (reached[: step + 1] > 1e-4).all(), step


def test_shapes_and_an_empty_state():
    encoded = encoder()(TOKENS)
    assert encoded.raw.shape == encoded.output.shape == (2, 7, 8)
    assert encoded.state == () == encoder().detach(encoded.state)
    assert torch.equal(encoder()(TOKENS, ()).raw, encoded.raw)


def test_a_block_is_two_pre_ln_sublayers_by_hand():
    model = encoder(num_layers=1).double()
    block, attention = model.blocks[0], model.blocks[0].self_attn
    x = model.weight[TOKENS] * 8**0.5 + model.positions[:7]
    q, k, v = (
        part.view(2, 7, 2, 4).transpose(1, 2)
        for part in nn.functional.linear(block.norm1(x), attention.in_proj_weight).chunk(3, dim=-1)
    )  # the biases of attention start at zero
    scores = (q @ k.transpose(2, 3) / 2).masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf)
    x = x + attention.out_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(2, 7, 8))
    x = x + block.linear2(nn.functional.gelu(block.linear1(block.norm2(x))))
    torch.testing.assert_close(model(TOKENS).raw, model.norm(x))


def test_the_same_words_in_another_order_or_place_give_something_else():
    model = encoder()
    turned = model(TOKENS[:, [1, 0, *range(2, 7)]]).raw[:, 2:]
    assert (turned - model(TOKENS).raw[:, 2:]).abs().max() > 1e-3


def test_groups_hold_every_parameter_once_embedding_and_positions_first_the_final_norm_last():
    model = encoder(num_layers=3)
    groups = model.groups()
    assert len(groups) == 4
    assert [id(p) for p in groups[0]] == [id(model.weight), id(model.positions)]
    assert sorted(map(id, sum(groups, []))) == sorted(map(id, model.parameters()))
    assert {id(p) for p in model.norm.parameters()} <= {id(p) for p in groups[-1]}
    assert {id(p) for p in model.blocks[1].parameters()} == {id(p) for p in groups[2]}


def test_the_pad_is_zero_and_other_words_have_length_about_one():
    lengths = encoder(vocab_size=400, embedding_dim=64).weight.norm(dim=1)
    assert lengths[1] == 0 and 0.97 < lengths[2:].mean() < 1.03


def test_dropout_acts_in_training_alone():
    model = encoder(dropout=0.3)
    one, other = model(TOKENS).raw, model(TOKENS).raw
    assert (one - other).abs().max() > 1e-2
    model.eval()
    torch.testing.assert_close(model(TOKENS).raw, encoder()(TOKENS).raw)
    model.blocks = nn.ModuleList()  # what is left is the embedded input
    assert (model.train()(TOKENS).raw - model.eval()(TOKENS).raw).abs().max() > 1e-2


def test_a_document_is_judged_alike_with_any_padding_and_any_company():
    torch.manual_seed(3)
    classifier = TextClassifier(encoder(), 3).eval()
    alone = classifier(TOKENS[:1, :4], torch.tensor([4]))
    padded = torch.cat([TOKENS[:1, :4], torch.full((1, 3), 1)], dim=1)
    together = classifier(torch.cat([padded, TOKENS[1:]]), torch.tensor([4, 7]))
    torch.testing.assert_close(together[:1], alone)
    assert len(classifier.groups()) == 4


def test_it_learns_a_text_that_repeats_itself():
    ids = torch.tensor([2, 5, 6, 5, 8, 5, 3, 4] * 40)  # after 5 comes 6, 8 or 3: the word before leaves 1.51
    lm = LanguageModel(encoder())
    LMTraining(lm, ids, LMSettings(passes=18, lr=0.02, batch_size=4, bptt=12, alpha=0.0, beta=0.0)).run()
    assert perplexity(lm, ids, 4, 20) < 1.35
    assert not lm.encoder.weight[1].any()


def test_a_run_that_is_cut_and_stored_gives_the_same_weights():
    ids, settings = torch.arange(2, 10).repeat(20), LMSettings(passes=1, batch_size=4, bptt=8)
    whole, cut = (LMTraining(LanguageModel(encoder(dropout=0.2)), ids, settings) for _ in range(2))
    whole.run()
    cut.run(2)
    resumed = LMTraining(LanguageModel(encoder(dropout=0.2)), ids, settings)
    resumed.load_state_dict(cut.state_dict())
    resumed.run()
    assert torch.equal(resumed.model.encoder.weight, whole.model.encoder.weight)


def test_it_is_fine_tuned_into_a_classifier():
    documents = [[2, kind, 7, 7, kind][: 3 + n % 3] for n in range(24) for kind in (5, 6)]
    labels = [document[1] - 5 for document in documents]
    torch.manual_seed(2)
    classifier = TextClassifier(encoder(), 2)
    method = Method(0.01, "gradual", 2.6, "slanted-triangular")
    history = fine_tune(classifier, documents, labels, method, epochs=8, batch_size=12)
    assert history.group_names == ["embedding", "layer 1", "layer 2", "head"]
    assert error_rate(classifier, documents, labels) == 0


BAD = [
    (lambda: encoder(num_heads=3), "num_heads: got 3; allowed are divisors of the width, 8"),
    (lambda: encoder(pad_id=10), "pad_id: got 10; allowed are the words 0 to 9"),
    (lambda: encoder(dropout=1.0), "dropout: got 1.0"),
    (lambda: encoder(num_layers=0), "num_layers: got 0"),
    (lambda: encoder(vocab_size=0), "vocab_size: got 0"),
    (lambda: encoder(max_length=6)(TOKENS), "tokens: got 7 in a row; allowed are up to max_length, 6"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
