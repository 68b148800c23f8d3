"""Norms exchanged in chapter 2's models: the models, the text, gradients, training, and the record of it."""

import math
from dataclasses import asdict

import pytest
import torch
from torch import nn

from papertrail.experiments import seeded
from papertrail.gopher import depth
from papertrail.gopher.depth import (
    ARMS,
    BATCH,
    LENGTH,
    VOCAB,
    DepthGradients,
    DepthTraining,
    build,
    chain,
    chain_entropy,
    draw_text,
    measure_depth_gradients,
    measure_depth_training,
    measure_shifted_start,
    norm_ratios,
    pick,
)
from papertrail.gopher.recorded_depth import (
    cells,
    compared,
    find,
    load_depth,
    load_depth_gradients,
    second_cells,
)


def kinds(model) -> set[type]:
    return {type(m) for m in model.modules() if isinstance(m, (nn.LayerNorm, nn.RMSNorm, nn.Identity))}


def test_exchanging_norms_leaves_every_other_weight_as_it_was():
    models = {}
    for norm in depth.NORMS:
        with seeded(3):
            models[norm] = build(2, "pre", norm)
    linear = dict(models["none"].named_parameters())
    assert kinds(models["none"]) == {nn.Identity} and kinds(models["RMSNorm"]) == {nn.RMSNorm}
    for norm in ("LayerNorm", "RMSNorm"):
        own = dict(models[norm].named_parameters())
        assert all(torch.equal(own[name], value) for name, value in linear.items())
    vectors = [sum(p.numel() for p in m.parameters()) - sum(p.numel() for p in linear.values())
               for m in (models["RMSNorm"], models["LayerNorm"])]  # fmt: skip
    assert vectors == [5 * 32, 5 * 64]  # two norms a block and the final one; RMSNorm has no bias
    with pytest.raises(ValueError, match="norm: got 'BatchNorm'; allowed are 'LayerNorm', 'RMSNorm', 'none'"):
        build(1, "pre", "BatchNorm")


def test_shifted_weights_are_the_same_weights_and_a_number_more():
    with seeded(1):
        plain = build(1, "post", "RMSNorm")
    with seeded(1):
        shifted = build(1, "post", "RMSNorm", 0.2)
    for (name, one), (_, other) in zip(plain.named_parameters(), shifted.named_parameters(), strict=True):
        matrix = name.startswith("stack.") and one.dim() == 2
        torch.testing.assert_close(other - one, torch.full_like(one, 0.2 * matrix))


def test_the_text_has_the_chains_frequencies_and_entropy():
    assert chain().shape == (VOCAB, VOCAB) and torch.allclose(chain().sum(1), torch.ones(VOCAB))
    text = draw_text(200)
    assert text.shape == (200, BATCH, LENGTH + 1)
    before, after = text[..., :-1].flatten(), text[..., 1:].flatten()
    counts = torch.zeros(VOCAB, VOCAB).index_put_((before, after), torch.tensor(1.0), accumulate=True)
    assert (counts / counts.sum(1, keepdim=True) - chain()).abs().max() < 0.05
    # the text's own log loss under the chain is the entropy, but for a uniform first symbol and chance
    assert -chain()[before, after].log().mean().item() == pytest.approx(chain_entropy(), abs=0.02)
    often = torch.bincount(after) / len(after)
    assert 1.5 < chain_entropy() < depth.FAILED < -(often * often.log()).sum() < math.log(VOCAB)


def test_a_gradient_at_the_start_is_that_of_one_backward_pass():
    (result,) = measure_depth_gradients((2,), (("post", "RMSNorm"),), seeds=1)
    with seeded(0):
        model = build(2, "post", "RMSNorm")
        text = draw_text(1)[0]
    logits = model(text[:, :-1])
    nn.functional.nll_loss(logits.log_softmax(-1).flatten(0, 1), text[:, 1:].flatten()).backward()
    assert result.norms[0] == pytest.approx(
        [b.last_linear.weight.grad.norm().item() for b in model.stack.blocks]
    )


def test_without_norms_gradients_explode_with_depth_and_with_either_norm_they_do_not():
    results = measure_depth_gradients((4, 12), seeds=2)
    first = {(r.depth, r.placement, r.norm): r.norms[0][0] for r in results}
    assert first[12, "pre", "none"] > 100 * first[4, "pre", "none"] > 100
    assert max(first[12, *arm] for arm in ARMS if arm[1] != "none") < 3


def test_layer_norm_does_not_notice_shifted_weights_before_training_and_rms_norm_does():
    result = measure_shifted_start(3, 0.3, seeds=2)
    assert max(result.changes["LayerNorm"]) < 1e-9 and min(result.changes["RMSNorm"]) > 0.1
    (unchanged,) = measure_shifted_start(1, 0.0, seeds=1).changes["RMSNorm"]
    assert unchanged == 0


def gradients(layer, rms, blocks=12):
    """Both norms' first and last gradients by seed, the same for both placements."""
    return [
        DepthGradients([[v] * blocks for v in values], placement, norm, blocks, len(values))
        for placement in ("pre", "post")
        for norm, values in (("LayerNorm", layer), ("RMSNorm", rms))
    ]


def test_norms_are_compared_within_seeds():
    ratio = norm_ratios(gradients([1.0, 10.0, 100.0], [2.0, 20.0, 220.0]))[0]
    assert math.exp(ratio.log_ratio) == pytest.approx((2 * 2 * 2.2) ** (1 / 3)) and ratio.stands_out
    logs = [math.log(2), math.log(0.5), math.log(1.2)]
    middle = sum(logs) / 3
    error = (sum((v - middle) ** 2 for v in logs) / 2 / 3) ** 0.5
    ratio = norm_ratios(gradients([1.0] * 3, [2.0, 0.5, 1.2]))[0]
    assert (ratio.log_ratio, ratio.error) == pytest.approx((middle, error)) and not ratio.stands_out
    with pytest.raises(ValueError, match="none with depth=7, placement='pre', norm='none'"):
        pick(gradients([1.0], [1.0]), 7, "pre", "none")


def test_training_learns_what_there_is_to_learn():
    run = measure_depth_training(2, "pre", "RMSNorm", 1e-2, seeds=1)
    assert run.losses[0][0] > 2.7 and chain_entropy() - 0.1 < run.final[0] < chain_entropy() + 0.25
    assert run.failed == 0


def test_a_run_that_breaks_down_counts_as_failed(monkeypatch):
    def breaks(model, text, loss=depth._loss):
        return loss(model, text) * (math.nan if next(calls) == 3 else 1)

    calls = iter(range(100))
    monkeypatch.setattr(depth, "_loss", breaks)
    run = measure_depth_training(1, "pre", "none", 1e-3, steps=5, seeds=2)
    assert [len(row) for row in run.losses] == [5, 5]
    assert run.losses[0][3:] == [None, None] and None not in run.losses[1]
    assert run.final[0] == math.inf and run.failed >= 1


def test_what_cannot_be_trained_is_named():
    with pytest.raises(ValueError, match="lr: got 0; allowed are positive rates"):
        measure_depth_training(1, "pre", "none", 0)
    with pytest.raises(ValueError, match="seeds: got 0"):
        measure_depth_gradients(seeds=0)


def test_the_recorded_grid_is_whole_and_as_fixed():
    runs = load_depth()
    keys = ("depth", "placement", "norm", "lr", "weight_mean", "start", "seeds")
    first, second = cells(range(3)), second_cells(range(3))
    grid = [cell | {"start": "xavier"} for cell in first] + second
    assert [{key: getattr(run, key) for key in keys} for run in runs] == grid
    assert (len(first), len(second)) == (3 * 2 * 5 + 4, 3 * 2)
    assert all(len(run.losses) == 3 and {len(row) for row in run.losses} == {100} for run in runs)
    starts = load_depth_gradients()
    assert {(r.depth, r.placement, r.norm) for r in starts} == {
        (d, *arm) for d in (12, 24, 48) for arm in ARMS
    }
    assert all(r.seeds == len(r.norms) == 10 for r in starts)


def test_a_fresh_run_begins_like_the_recorded_one():
    run = find(load_depth(), 12, "pre", "RMSNorm", 1e-2)
    with seeded(0):
        model = build(12, "pre", "RMSNorm")
        text = draw_text(100)
    for step in range(2):  # Adam's first update is the rate times the gradient's sign
        logits = model(text[step, :, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), text[step, :, 1:].flatten())
        assert loss.item() == pytest.approx(run.losses[0][step], abs=2e-2)
        parameters = list(model.parameters())
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter -= 1e-2 * gradient / (gradient.abs() + 1e-8)
    (start,) = measure_depth_gradients((12,), (("post", "LayerNorm"),), seeds=1)
    recorded = pick(load_depth_gradients(), 12, "post", "LayerNorm").norms[0]
    assert start.norms[0] == pytest.approx(recorded, rel=0.02)
    with pytest.raises(ValueError, match="none with depth=5"):
        find(load_depth(), 5, "pre", "RMSNorm", 1e-2)


def test_what_is_compared_of_a_run_is_whether_it_failed_and_where_the_others_end():
    good, bad = [2.0] * 90 + [1.0] * 10, [300.0] * 99 + [None]
    run = DepthTraining([good, bad], "pre", "none", 12, 1e-3, 0.0, 2)
    assert compared(asdict(run)) == {"failed": 1, "final": [1.0, None]}
