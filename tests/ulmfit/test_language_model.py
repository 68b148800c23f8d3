"""Language modelling: windows, objective, perplexity, groups, and runs that can be cut anywhere."""

import math

import pytest
import torch

from papertrail.ulmfit.awd_lstm import AWDLSTM, NO_DROPOUT, Dropouts
from papertrail.ulmfit.language_model import (
    LanguageModel,
    LMSettings,
    LMTraining,
    perplexity,
    streams,
    windows,
)

IDS = torch.tensor([2, 5, 6, 7, 8, 9, 3, 4] * 40)


def model(dropouts=NO_DROPOUT, cutoffs=(4,), seed=0):
    torch.manual_seed(seed)
    return LanguageModel(AWDLSTM(10, 6, 8, 2, dropouts, embedding_std=0.5), cutoffs)


def test_streams_are_the_text_cut_in_equal_pieces():
    assert streams(torch.arange(11), 3).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_fixed_windows_predict_every_word_but_the_first_once():
    pieces = windows(100, 30)
    assert pieces == [(0, 30), (30, 30), (60, 30), (90, 9)]


def test_windows_of_random_length_cover_the_stream_and_have_the_published_lengths():
    pieces = windows(200_001, 70, torch.Generator().manual_seed(0))
    assert pieces[0][0] == 0 and all(a + n == b for (a, n), (b, _) in zip(pieces, pieces[1:], strict=False))
    assert sum(n for _, n in pieces) == 200_000
    lengths = torch.tensor([n for _, n in pieces[:-1]], dtype=torch.float64)
    short = lengths < 52.5
    assert 0.03 < short.double().mean() < 0.07  # 1 in 20
    assert (
        abs(lengths[~short].mean() - 69.5) < 0.5 and abs(lengths[~short].std() - 5) < 0.3
    )  # int() cuts half a word off
    assert abs(lengths[short].mean() - 34.5) < 2


def test_very_short_windows_are_never_under_five():
    pieces = windows(5_000, 6, torch.Generator().manual_seed(0))
    assert min(n for _, n in pieces[:-1]) == 5


def test_perplexity_is_exp_of_the_mean_over_all_words_but_the_first_of_each_stream():
    lm = model()
    rows = streams(IDS[:64], 2)
    log_p = lm.softmax.log_probabilities(lm.encoder(rows).output.flatten(0, 1)).view(2, 32, 10)
    by_hand = -log_p[:, :-1].gather(2, rows[:, 1:].unsqueeze(-1)).mean()
    assert perplexity(lm, IDS[:64], batch_size=2, bptt=7) == pytest.approx(math.exp(by_hand.item()), rel=1e-5)


def test_an_untrained_model_with_zero_weights_has_the_vocabularys_size_as_perplexity():
    lm = model(cutoffs=None)
    with torch.no_grad():
        for parameter in lm.parameters():
            parameter.zero_()
    assert perplexity(lm, IDS, 4) == pytest.approx(10, rel=1e-5)


def test_the_objective_adds_both_penalties_and_reports_the_loss_alone():
    lm = model(Dropouts(0, 0, 0, 0, 0.5))
    tokens, targets = IDS[:20].view(2, 10), IDS[1:21].view(2, 10)
    torch.manual_seed(1)
    raw, output, _ = lm.encoder(tokens)
    torch.manual_seed(1)
    objective, loss, _ = lm(tokens, targets, None, alpha=2.0, beta=3.0)
    steps = raw[:, 1:] - raw[:, :-1]
    extra = 2 * (output**2).sum() / 120 + 3 * (steps**2).sum() / 108
    torch.testing.assert_close(objective, loss + extra)
    torch.manual_seed(1)
    assert torch.equal(lm(tokens, targets)[0].detach(), loss)


def test_the_tied_embedding_learns_in_the_top_group_and_nothing_is_counted_twice():
    lm = model()
    groups = lm.groups()
    assert len(groups) == 3 and any(p is lm.encoder.weight for p in groups[-1])
    assert sorted(id(p) for g in groups for p in g) == sorted(id(p) for p in lm.parameters())
    assert lm.softmax.weight is lm.encoder.weight


SETTINGS = LMSettings(passes=2, lr=0.02, batch_size=4, bptt=12, factor=2.6)


def test_rates_follow_the_triangle_and_fall_by_the_factor_toward_the_input():
    training = LMTraining(model(), IDS, SETTINGS)
    peak = training.rates(training.steps // 10)
    assert peak == pytest.approx([0.02 / 2.6**2, 0.02 / 2.6, 0.02])
    assert training.rates(0) == pytest.approx([rate / 32 for rate in peak])


def test_a_step_moves_each_group_by_its_rate_times_the_windows_share():
    # Adam's first step moves every weight that has a gradient by the rate itself
    lm = model()
    training = LMTraining(lm, IDS, SETTINGS)
    before = [p.detach().clone() for p in (lm.encoder.layers[0].weight_ih, lm.softmax.bias)]
    training.run(1)
    size = training.pieces[0][1]
    moved = [
        (now - then).abs().max().item()
        for now, then in zip((lm.encoder.layers[0].weight_ih, lm.softmax.bias), before, strict=True)
    ]
    assert moved == pytest.approx(
        [rate * size / 12 for rate in (training.rates(0)[0], training.rates(0)[2])], rel=1e-3
    )


def test_training_learns_a_text_that_repeats_itself_and_keeps_the_pad_at_zero():
    lm = model()
    start = perplexity(lm, IDS, 4)
    LMTraining(lm, IDS, LMSettings(passes=25, lr=0.02, batch_size=4, bptt=12)).run()
    assert start > 9 and perplexity(lm, IDS, 4) < 2
    assert not lm.encoder.weight[1].any()


def test_a_run_cut_anywhere_and_stored_gives_the_weights_of_the_run_left_alone(tmp_path):
    whole = LMTraining(model(Dropouts().times(0.5)), IDS, SETTINGS)
    whole.run()
    cut = LMTraining(model(Dropouts().times(0.5)), IDS, SETTINGS)
    cut.run(5)
    torch.save(cut.state_dict(), tmp_path / "stored.pt")
    torch.manual_seed(99)  # what happens elsewhere in between does not matter
    resumed = LMTraining(model(Dropouts().times(0.5), seed=7), IDS, SETTINGS)
    resumed.load_state_dict(torch.load(tmp_path / "stored.pt", weights_only=True))
    resumed.run(3)
    resumed.run()
    assert resumed.losses == whole.losses
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_leaves_the_callers_random_state_alone():
    before = torch.get_rng_state()
    training = LMTraining(model(Dropouts()), IDS, SETTINGS)
    torch.set_rng_state(before)
    training.run(3)
    assert torch.equal(torch.get_rng_state(), before)


BAD = [
    (lambda: streams(torch.arange(5), 3), "ids: got .5,. words; 3 streams take at least 6"),
    (lambda: streams(torch.arange(6), 0), "batch_size: got 0"),
    (lambda: windows(0, 3), "length: got 0"),
    (lambda: LMTraining(model(), IDS, SETTINGS, 0, 3), "batch_size: got 4; allowed are multiples of 3"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
