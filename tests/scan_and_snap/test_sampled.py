"""The sampled runs: their fast path against the layer, their optimizers against torch's, what they show."""

import math
from functools import partial
from statistics import median

import pytest
import torch
from torch.nn import functional as F

from papertrail.scan_and_snap import recorded_sampled, sampled
from papertrail.scan_and_snap.layer import forward
from papertrail.scan_and_snap.sampled import (
    Replay,
    count_tokens,
    logits_of_counts,
    measure_figure_4,
    measure_figure_5,
    measure_figure_6,
    measure_moves,
    official_losses,
    train,
)
from papertrail.scan_and_snap.setting import DTYPE, make_language, syn_small

SHARED = make_language(4, distinct=3, common=2, targets_per_query=2)  # two queries, two targets each


@pytest.fixture(scope="module")
def figure_4():
    return measure_figure_4((*sampled.FIGURE_4, sampled.SLOW_DECODER))


@pytest.fixture(scope="module")
def figure_5():
    return measure_figure_5()


def whole(language, Y, Z):
    """Y (M, V) and Z (Q, M) as the V x V matrices of the layer, zero elsewhere."""
    M, Q, V = language.num_tokens, language.num_queries, language.vocabulary
    return F.pad(Y, (0, 0, 0, V - M)), F.pad(Z, (0, V - M, M, V - M - Q))


@pytest.mark.parametrize("language", [syn_small(), SHARED], ids=["figure-4", "shared-queries"])
def test_counts_of_tokens_give_the_layers_logits_and_gradients(language):
    generator = torch.Generator().manual_seed(0)
    tokens, classes = language.sample(6, 20, generator)
    M, Q, V = language.num_tokens, language.num_queries, language.vocabulary
    Y = torch.randn(2, M, V, dtype=DTYPE, generator=generator).requires_grad_()
    Z = (3 * torch.randn(2, Q, M, dtype=DTYPE, generator=generator)).requires_grad_()
    queries = torch.tensor(language.queries)[classes].expand(2, -1)
    fast = logits_of_counts(Y, Z, count_tokens(tokens, M).expand(2, -1, -1), queries)
    slow = torch.stack([forward(*whole(language, Y[run], Z[run]), tokens) for run in (0, 1)])
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)
    back = torch.randn(fast.shape, dtype=DTYPE, generator=generator)
    for one, other in zip(
        torch.autograd.grad(fast, (Y, Z), back), torch.autograd.grad(slow, (Y, Z), back), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_the_query_is_not_counted():
    assert count_tokens(torch.tensor([[0, 2, 2, 4], [1, 1, 1, 3]]), 3).tolist() == [[1, 0, 2], [0, 3, 0]]


@pytest.mark.parametrize("method", sampled.METHODS)
def test_runs_side_by_side_are_what_each_is_alone_with_torchs_optimizers(method, monkeypatch):
    monkeypatch.setattr(sampled, "BATCH", 8)
    rates = ((0.5, 0.2), (2.0, 1.0))
    runs = train(SHARED, rates, seeds=(3, 4), steps=6, method=method, length=12)
    assert [(run.seed, run.rates) for run in runs] == [(s, pair) for s in (3, 4) for pair in rates]
    V = SHARED.vocabulary
    for run in runs:
        Y, Z = (torch.zeros(V, V, dtype=DTYPE, requires_grad=True) for _ in "YZ")
        kinds = {
            "sgd": torch.optim.SGD,
            "momentum": partial(torch.optim.SGD, momentum=0.9),
            "adam": torch.optim.Adam,
        }
        optimizers = [
            kinds[method]([weights], lr=rate) for weights, rate in zip((Y, Z), run.rates, strict=True)
        ]
        generator = torch.Generator().manual_seed(run.seed)
        losses = []
        for _ in range(6):
            tokens, classes = SHARED.sample(8, 12, generator)
            targets = torch.tensor([SHARED.target_token(n) for n in classes.tolist()])
            loss = F.cross_entropy(forward(Y, Z, tokens), targets)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            losses.append(loss.item())
        assert run.losses == pytest.approx(losses, rel=1e-8)
        torch.testing.assert_close(run.z[-1], Z.detach()[8 + 6 : 8 + 8, :14], rtol=1e-6, atol=1e-9)


def test_torchs_start_is_that_of_a_linear_layer_and_belongs_to_the_seed():
    runs = measure_figure_6("torch", (0.5,), (1, 2), seeds=(0, 1), steps=1)
    starts = [[run.z[0] for run in pair] for pair in runs.values()]
    for one, other in zip(*starts, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(*starts[0])
    drawn = torch.cat([z.flatten() for z in starts[0]])
    bound = torch.nn.Linear(33, 33, bias=False).weight.detach().abs().max()
    assert drawn.abs().max().item() == pytest.approx(bound.item(), rel=0.05)
    assert drawn.mean().abs() < 0.25 * bound
    zero = measure_figure_6("zero", (0.5,), (1,), seeds=(0,), steps=1)
    assert not zero[(0.5, 0.5)][0].z[0].any()


def by_hand():
    """Two classes with a common token, two tokens each, and three moments."""
    language = make_language(2, distinct=2, common=1, lowest=0.5)  # 0.4 | 0.2, 0.4
    c = torch.tensor([
        [[0.4, 0.2, 0.4, 0, 0], [0.4, 0, 0, 0.2, 0.4]],
        [[0.3, 0.2, 0.5, 0, 0], [0.3, 0, 0, 0.2, 0.5]],
        [[0.2, 0.1, 0.7, 0, 0], [0.1, 0, 0, 0.2, 0.7]],
    ], dtype=DTYPE)  # fmt: skip
    z = torch.arange(30, dtype=DTYPE).view(3, 2, 5)
    return Replay(language, (1.0, 1.0), 0, (0, 10, 20), [1.0] * 20, z, c)


def test_what_is_read_off_a_run_is_what_its_attention_says():
    run = by_hand()
    assert run.common.tolist() == [[0.4, 0.4], [0.3, 0.3], [0.2, 0.1]]
    assert run.distinct[2].tolist() == [[0.1, 0.7], [0.2, 0.7]]
    assert run.distinct_z[1].tolist() == [[11, 12], [18, 19]]
    assert run.way(10) == pytest.approx(0.1 / 0.25) and run.half_time == 20
    assert run.asymmetry == pytest.approx(0.1)
    assert run.moved(0, 10) == pytest.approx(0.1) and run.moved(10, 20) == pytest.approx(0.2)
    assert run.entropies[0].tolist() == pytest.approx([-(0.8 * math.log(0.4) + 0.2 * math.log(0.2))] * 2)
    with pytest.raises(ValueError, match="time: got 5; recorded are 0, 10, 20"):
        run.at(5)


def test_only_the_wanted_moments_are_kept_and_the_first_and_last_always():
    (run,) = train(SHARED, ((1.0, 1.0),), seeds=(0,), steps=4, times=(2,))
    (every,) = train(SHARED, ((1.0, 1.0),), seeds=(0,), steps=4)
    assert run.times == (0, 2, 4) and every.times == (0, 1, 2, 3, 4) and len(run.losses) == 4
    assert torch.equal(run.z, every.z[[0, 2, 4]])


def test_the_official_log_is_whole_and_starts_at_the_log_of_the_vocabulary():
    losses = official_losses()
    assert list(losses) == list(range(0, 100, 2))
    assert losses[0] == pytest.approx(math.log(34), abs=5e-4)
    assert [losses[t] for t in (4, 22, 98)] == [0.7335, 0.000148, 2.222e-05]
    assert sum(losses.values()) == pytest.approx(6.8547, abs=5e-4)  # of the log's own digits


def test_our_losses_are_the_official_ones_within_the_spread_of_seeds(figure_4):
    for time, official in official_losses().items():
        ours = median(run.losses[time] for run in figure_4[(1.0, 1.0)])
        assert 0.6 < ours / official < 1.4, time


@pytest.mark.parametrize(("rates", "facts"), [
    ((1.0, 1.0), (0.562, 0.427, 0.356, 0.353, 2.708)), ((10.0, 1.0), (0.576, 0.534, 0.512, 0.511, 2.879)),
    ((0.5, 0.5), (0.617, 0.511, 0.429, 0.422, 2.802)), ((5.0, 0.5), (0.613, 0.589, 0.576, 0.575, 2.901)),
], ids=["1-1", "10-1", "half-half", "5-half"])  # fmt: skip
def test_an_independent_prototype_of_one_class_and_seed_found_the_same(figure_4, rates, facts):
    runs = figure_4[rates]
    found = [torch.stack([run.common[run.at(t)] for run in runs]).mean().item() for t in (10, 20, 50, 100)]
    assert found == pytest.approx(facts[:4], abs=0.04)
    assert torch.stack([run.entropies[-1] for run in runs]).mean().item() == pytest.approx(facts[4], abs=0.04)


def test_common_tokens_lose_frequent_ones_gain_and_the_rarest_does_not(figure_4):
    for rates, runs in figure_4.items():
        moves = measure_moves(runs)
        assert moves.common_lost == 1 and min(moves.gained[2:]) == 1 and min(moves.grew[4:]) == 1, rates
        assert min(moves.order) > 0.95 and min(moves.shares_order) > 0.95
        assert moves.top == [(7, 8, 9)] * 10
    plain = measure_moves(figure_4[(1.0, 1.0)])
    assert plain.gained[0] == 0 and max(plain.grew[:3]) == 0


def test_most_of_the_change_is_over_at_half_time(figure_4):
    ways = [run.way(50) for rates in sampled.FIGURE_4 for run in figure_4[rates]]
    assert min(ways) > 0.95
    assert max(run.way(10) for run in figure_4[(1.0, 1.0)]) < 0.35, "it begins slowly"


def test_the_row_called_final_differs_a_little_from_the_end(figure_4):
    assert all(0.002 < run.moved(48, 100) < 0.006 for run in figure_4[(1.0, 1.0)])


def test_the_three_consequences_of_section_6_hold_in_every_pair_of_seeds(figure_4):
    nats = {rates: [run.entropies[-1].mean().item() for run in runs] for rates, runs in figure_4.items()}
    half = {rates: [run.half_time for run in runs] for rates, runs in figure_4.items()}
    assert max(nats[(1.0, 1.0)]) + 0.1 < min(nats[(10.0, 1.0)])
    assert max(nats[(1.0, 1.0)]) + 0.03 < min(nats[(0.5, 0.5)])
    assert max(nats[(10.0, 1.0)]) < min(nats[(5.0, 0.5)])
    assert max(nats[(0.5, 1.0)]) < min(nats[(1.0, 1.0)])
    assert max(half[(10.0, 1.0)]) + 3 < min(half[(1.0, 1.0)]) <= max(half[(1.0, 1.0)]) < min(half[(0.5, 1.0)])


def test_what_one_class_takes_the_other_leaves(figure_4):
    """The two classes of a run share the decoder's rows of common tokens: their sum varies less than either."""
    common = torch.stack([run.common[-1] for run in figure_4[(1.0, 1.0)]])
    assert common.sum(1).std() < 0.3 * common[:, 0].std()


def test_adam_raises_rare_tokens_most_and_prefers_others_at_small_rates(figure_5):
    top = {}
    for rates, runs in figure_5.items():
        moves = measure_moves(runs)
        assert max(moves.order) < -0.9
        top[rates[1]] = moves.top
    assert top[0.1].count((2, 3, 4)) > 7 and top[0.5].count((4, 5, 6)) > 6 and set(top[1.0]) == {(7, 8, 9)}


@pytest.mark.parametrize(("call", "message"), [
    (lambda: train(SHARED, ((1.0, 1.0),), steps=0), "steps: got 0"),
    (lambda: train(SHARED, ((1.0, 1.0),), seeds=()), "seeds: got 0"),
    (lambda: train(SHARED, ()), "rates: got 0"),
    (lambda: train(SHARED, ((1.0, 1.0),), method="rmsprop"), "method: got 'rmsprop'; allowed are 'sgd'"),
    (lambda: train(SHARED, ((1.0, 1.0),), start="one"), "start: got 'one'; allowed are 'zero', 'torch'"),
    (lambda: train(SHARED, ((1.0, 1.0),), steps=3, times=(5,)), "times: got 0 to 5"),
], ids=["steps", "seeds", "rates", "method", "start", "times"])  # fmt: skip
def test_what_is_not_allowed_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_records_are_whole():
    many, sweep, long = (
        getattr(recorded_sampled, f"load_{n}")() for n in ("many_seeds", "sweep", "long_run")
    )
    assert many.iterations == list(official_losses()) and len(many.late) == len(many.asymmetry) == 40
    assert max(many.rarest["128"]) < 0, "length is what the rarest token lacks"
    assert sum(z > 0 for z in many.rarest["512"]) >= 9 and len(many.rarest["512"]) == 10
    for by_rate in sweep.entropy.values():
        assert [*by_rate] == ["0.5", "1", "2", "3"] and {*map(tuple, by_rate.values())} == {
            ("1", "2", "5", "10")
        }
        assert all(len(values) == 5 for ratios in by_rate.values() for values in ratios.values())
    assert long.times == list(recorded_sampled.MOMENTS) and [*long.top] == ["sgd", "momentum"]
    assert all(len(run) == len(long.times) for runs in long.moved.values() for run in runs)


def test_fresh_runs_agree_with_the_records(figure_4):
    (runs,) = measure_figure_6("torch", (1.0,), (2,), seeds=(0,)).values()
    recorded = recorded_sampled.load_sweep().entropy["torch"]["1"]["2"][0]
    assert runs[0].entropies[-1].mean().item() == pytest.approx(recorded, abs=2e-3)
    many = recorded_sampled.load_many_seeds()
    for run, late in zip(figure_4[(1.0, 1.0)], many.late, strict=False):
        fresh = math.exp(sum(math.log(run.losses[t]) for t in range(60, 100, 2)) / 20)
        assert fresh == pytest.approx(late, rel=0.01)
    long, found = recorded_sampled.load_long_run(), recorded_sampled.measure_long_run((0,), (0, 50, 100))
    for method in ("sgd", "momentum"):
        for part in ("top", "ratio", "tokens", "common"):
            assert getattr(found, part)[method][0][-1] == pytest.approx(
                getattr(long, part)[method][0][1], rel=0.01
            )
