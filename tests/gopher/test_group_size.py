"""The group-size experiment: its nets against torch's layers, its record against a fresh run."""

from statistics import median

import pytest
import torch
from torch import nn

from papertrail.gopher import group_size
from papertrail.gopher.group_size import Nets, make_data, measure_group_sizes, train
from papertrail.gopher.recorded_group_size import load_group_sizes

SEEDS = (3, 4)


def torchs_net(norm, nets, seed):
    """The same network of one seed, from torch's own modules."""
    layers = []
    for i, (weight, bias) in enumerate(zip(nets.weights, nets.biases, strict=True)):
        linear = nn.Linear(*weight.shape[1:])
        with torch.no_grad():
            linear.weight.copy_(weight[seed].T)
            linear.bias.copy_(bias[seed, 0])
        layers.append(linear)
        if i < group_size.LAYERS:
            kinds = {"BatchNorm": nn.BatchNorm1d, "LayerNorm": nn.LayerNorm, "RMSNorm": nn.RMSNorm}
            layers += [kinds[norm](64, eps=1e-5)] if norm in kinds else []
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


@pytest.mark.parametrize("norm", group_size.NORMS)
def test_nets_side_by_side_compute_what_torchs_modules_do_and_learn_alike(norm):
    nets = Nets(norm, SEEDS)
    x, y, _, _ = make_data(SEEDS)
    for seed in (0, 1):
        single = torchs_net(norm, nets, seed)
        torch.testing.assert_close(
            nets(x[:, :64], "batched")[seed], single(x[seed, :64]), rtol=1e-4, atol=1e-4
        )
    single = torchs_net(norm, nets, 1)
    losses = nn.functional.cross_entropy(single(x[1, :64]), y[1, :64])
    logits = nets(x[:, :64], "train")
    both = nn.functional.cross_entropy(logits.flatten(0, 1), y[:, :64].flatten()) * 2
    gradient = torch.autograd.grad(both, nets.weights[0])[0][1]
    torch.testing.assert_close(
        gradient, torch.autograd.grad(losses, single[0].weight)[0].T, rtol=1e-3, atol=1e-5
    )
    if norm == "BatchNorm":
        running = single[1]
        torch.testing.assert_close(nets.means[0][1, 0], running.running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(nets.variances[0][1, 0], running.running_var, rtol=1e-4, atol=1e-5)
        single.eval()
        torch.testing.assert_close(nets(x[:, :64], "eval")[1], single(x[1, :64]), rtol=1e-4, atol=1e-4)


def test_groups_are_normalized_apart():
    nets = Nets("BatchNorm", SEEDS, group=4)
    x = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    out = nets.normalized(x, 0, "batched")
    for start in (0, 60):
        alone = nn.functional.batch_norm(x[1, start : start + 4], None, None, training=True)
        torch.testing.assert_close(out[1, start : start + 4], alone, rtol=1e-4, atol=1e-5)
    assert nets.means[0].eq(0).all(), "only training keeps statistics"


def test_running_statistics_of_groups_estimate_those_of_all():
    nets = Nets("BatchNorm", (0,), group=2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        nets.normalized(3 * torch.randn(1, 64, 64, generator=generator) + 1, 0, "train")
    assert nets.means[0].mean().item() == pytest.approx(1, abs=0.1)
    assert nets.variances[0].mean().item() == pytest.approx(9, rel=0.05), "pairs need the unbiased variance"


def test_data_differ_by_seed_and_test_cases_are_others():
    x, y, test_x, test_y = make_data((0, 1))
    assert x.shape == test_x.shape == (2, 2048, 32) and y.shape == test_y.shape == (2, 2048)
    assert not torch.equal(x[0], x[1]) and not torch.equal(x[0], test_x[0])
    assert set(y.unique().tolist()) == set(range(10))
    torch.testing.assert_close(make_data((1,))[0][0], x[1])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Nets("GroupNorm", (0,)), "norm: got 'GroupNorm'"),
    (lambda: Nets("BatchNorm", (0,), group=1), "group: got 1"),
    (lambda: Nets("BatchNorm", (0,), group=48), "group: got 48"),
    (lambda: measure_group_sizes(seeds=0), "seeds: got 0"),
    (lambda: train("none", (0,), epochs=0), "epochs: got 0"),
], ids=["norm", "one", "no-divisor", "seeds", "epochs"])  # fmt: skip
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_record_is_whole():
    found = load_group_sizes()
    assert tuple(found.evaluated) == tuple(found.batched) == group_size.GROUPS
    assert set(found.others) == set(group_size.NORMS[1:]) and found.seeds == 5
    assert all(len(e) == 5 for part in (found.evaluated, found.batched, found.others) for e in part.values())


def test_the_record_bears_out_what_the_chapter_says():
    found = load_group_sizes()
    assert min(found.evaluated[2]) > 0.7, "a sign of each number is not enough"
    assert min(found.behind(4)) > 0.03 and max(found.behind(64, "none")) < 0
    for group in (4, 8, 16, 32, 64):
        gaps = [b - e for e, b in zip(found.evaluated[group], found.batched[group], strict=True)]
        assert min(gaps) > 0, "the groups' own statistics are worse than the running ones"
    assert abs(median(found.others["LayerNorm"]) - median(found.others["RMSNorm"])) < 0.01


def test_a_fresh_run_of_one_seed_agrees_with_the_record():
    fresh, _ = train("BatchNorm", (0,), 64)
    assert fresh[0] == pytest.approx(load_group_sizes().evaluated[64][0], abs=0.02)
