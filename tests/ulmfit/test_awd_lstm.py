"""The AWD-LSTM against PyTorch's LSTM and a loop by hand, and its five dropouts against what each should do."""

import pytest
import torch
from torch import nn

from papertrail.ulmfit.awd_lstm import (
    AWDLSTM,
    NO_DROPOUT,
    Dropouts,
    WeightDropLSTM,
    dropped_embedding,
    locked_dropout,
)

TOKENS = torch.tensor([[2, 5, 6, 7, 5, 3], [2, 8, 8, 4, 1, 1]])


def encoder(dropouts=NO_DROPOUT, **sizes):
    torch.manual_seed(1)
    return AWDLSTM(
        **({"vocab_size": 9, "embedding_dim": 4, "hidden_dim": 6, "num_layers": 3} | sizes), dropouts=dropouts
    )


def test_without_dropout_a_layer_is_pytorchs_lstm_in_values_states_and_gradients():
    layer, other = WeightDropLSTM(3, 5), nn.LSTM(3, 5, batch_first=True)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(other, f"{name}_l0").copy_(getattr(layer, name))
    x = torch.randn(2, 7, 3)
    (ours, (h, c)), (theirs, (h2, c2)) = layer(x), other(x)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(h, h2)
    torch.testing.assert_close(c, c2)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    torch.testing.assert_close(layer.weight_hh.grad, other.weight_hh_l0.grad)


def test_a_layer_is_the_lstms_equations_written_as_a_loop_with_one_mask_for_all_steps():
    layer = WeightDropLSTM(3, 5, share=0.5).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    torch.manual_seed(3)
    output, _ = layer(x)
    torch.manual_seed(3)
    mask = nn.functional.dropout(torch.ones_like(layer.weight_hh), 0.5)
    h = c = torch.zeros(2, 5, dtype=torch.float64)
    for t in range(4):
        gates = x[:, t] @ layer.weight_ih.T + layer.bias_ih + h @ (layer.weight_hh * mask).T + layer.bias_hh
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        torch.testing.assert_close(output[:, t], h)


def test_dropconnect_leaves_the_stored_matrix_alone_and_its_gradient_is_zero_where_it_dropped():
    layer = WeightDropLSTM(3, 40, share=0.25)
    before = layer.weight_hh.detach().clone()
    torch.manual_seed(5)
    output, _ = layer(torch.randn(2, 4, 3))
    output.square().sum().backward()
    assert torch.equal(layer.weight_hh, before)
    dropped = (layer.weight_hh.grad == 0).float().mean().item()
    assert 0.23 < dropped < 0.27  # 6,400 weights: three standard deviations are 0.016
    layer.eval()
    once, again = layer(torch.ones(1, 4, 3))[0], layer(torch.ones(1, 4, 3))[0]
    assert torch.equal(once, again)


def test_two_passes_with_dropconnect_agree_at_the_first_step_and_not_after_it():
    layer = WeightDropLSTM(3, 8, share=0.5)
    x = torch.randn(2, 5, 3)
    one, other = layer(x)[0], layer(x)[0]
    assert torch.equal(one[:, 0], other[:, 0])
    assert all((one[:, t] - other[:, t]).abs().max() > 1e-3 for t in range(1, 5))


def test_locked_dropout_drops_a_feature_at_every_step_or_at_none():
    x = torch.rand(50, 7, 20) + 1
    y = locked_dropout(x, 0.4)
    kept = y != 0
    assert torch.equal(kept.any(1), kept.all(1))
    torch.testing.assert_close(y[kept], x[kept] / 0.6)
    assert 0.54 < kept.float().mean() < 0.66  # 1,000 masks
    assert torch.equal(locked_dropout(x, 0.4, training=False), x)


def test_embedding_dropout_drops_a_word_wherever_it_stands():
    weight = torch.rand(300, 4) + 1
    tokens = torch.randint(300, (10, 40))
    embedded = dropped_embedding(tokens, weight, 0.3)
    dropped = (embedded == 0).all(-1)
    assert torch.equal(dropped, (embedded == 0).any(-1))
    by_word = {word: set(dropped[tokens == word].tolist()) for word in tokens.unique().tolist()}
    assert all(len(seen) == 1 for seen in by_word.values())
    assert 0.2 < sum(seen == {True} for seen in by_word.values()) / len(by_word) < 0.4
    kept = ~dropped
    torch.testing.assert_close(embedded[kept], weight[tokens][kept] / 0.7)


def test_the_last_layer_is_as_wide_as_the_embedding_and_a_split_text_gives_what_the_whole_gives():
    model = encoder()
    whole = model(TOKENS)
    assert whole.raw.shape == (2, 6, 4)
    assert [tuple(h.shape) for h, _ in whole.state] == [(1, 2, 6), (1, 2, 6), (1, 2, 4)]
    torch.testing.assert_close(whole.state[-1][0][0], whole.raw[:, -1])
    first = model(TOKENS[:, :2])
    second = model(TOKENS[:, 2:], model.detach(first.state))
    torch.testing.assert_close(torch.cat([first.raw, second.raw], dim=1), whole.raw)
    assert not any(part.requires_grad for pair in model.detach(first.state) for part in pair)


def test_all_five_dropouts_act_in_training_and_none_in_evaluation():
    for field in ("input", "embedding", "weight", "hidden", "output"):
        model = encoder(Dropouts(**{name: 0.5 if name == field else 0.0 for name in vars(NO_DROPOUT)}))
        torch.manual_seed(2)
        trained = model(TOKENS).output
        model.eval()
        plain = encoder()(TOKENS)
        torch.testing.assert_close(model(TOKENS).output, plain.output, atol=1e-7, rtol=0)
        assert (trained - plain.output).abs().max() > 1e-5, field


def test_only_the_output_dropout_parts_raw_from_output():
    model = encoder(Dropouts(0.2, 0.2, 0.2, 0.2, 0.5))
    raw, output, _ = model(TOKENS)
    kept = output != 0
    torch.testing.assert_close(output[kept], raw[kept] * 2)
    assert 0 < kept.float().mean() < 1


def test_groups_hold_every_parameter_once_the_embedding_first():
    model = encoder()
    groups = model.groups()
    assert len(groups) == 4 and groups[0][0] is model.weight
    assert sorted(map(id, sum(groups, []))) == sorted(map(id, model.parameters()))


def test_embeddings_start_as_asked_and_the_pad_is_zero():
    uniform, normal = encoder(vocab_size=4000), encoder(vocab_size=4000, embedding_std=1.0)
    assert uniform.weight.abs().max() <= 0.1 and 0.055 < uniform.weight.std() < 0.06
    assert 0.97 < normal.weight.std() < 1.03
    assert not uniform.weight[1].any() and not normal.weight[1].any()


BAD = [
    (lambda: Dropouts(input=1.0), "input: got 1.0"),
    (lambda: Dropouts().times(3), "input: got 1.2"),
    (lambda: WeightDropLSTM(0, 3), "input_dim: got 0"),
    (lambda: WeightDropLSTM(3, 3, -0.1), "share: got -0.1"),
    (lambda: AWDLSTM(9, pad_id=9), "pad_id: got 9"),
    (lambda: AWDLSTM(9, num_layers=0), "num_layers: got 0"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
