"""Training without warm-up: who is stuck, who is not, and that seeds trained side by side do not see one another."""

from statistics import median

import pytest
import torch
from torch.nn import functional as F

from papertrail.experiments import seeded
from papertrail.layer_norm_placement import training
from papertrail.layer_norm_placement.models import Model
from papertrail.layer_norm_placement.training import (
    PLATEAU,
    cosine_between_tokens,
    measure_training,
    warmup_rate,
)

COSINE_STEPS = (0, 1, 20, 60)


@pytest.fixture(scope="module")
def arms():
    """Five seeds of each, at the rate where it shows."""
    return {
        (p, warmup): measure_training(p, lr=1e-2, warmup=warmup, cosine_steps=COSINE_STEPS)
        for p, warmup in (("post", 0), ("post", 60), ("pre", 0))
    }


def test_without_warm_up_post_ln_stays_at_the_plateau_in_every_run(arms):
    assert all(abs(final - PLATEAU) < 0.15 for final in arms["post", 0].final)


def test_warm_up_cures_it_and_pre_ln_needs_none(arms):
    assert max(arms["post", 60].final) < 0.1
    assert max(arms["pre", 0].final) < 0.1


def test_in_post_ln_all_tokens_become_one_and_in_pre_ln_they_part_again(arms):
    post, pre = arms["post", 0].cosines, arms["pre", 0].cosines
    assert min(row[-1] for row in post) > 0.99
    assert median(row[1] for row in pre) > 0.7, "the first step draws them together there too"
    assert max(row[-1] for row in pre) < 0.3


def test_a_smaller_rate_or_smaller_weights_train_post_ln_without_warm_up():
    assert max(measure_training("post", lr=3e-3, seeds=2).final) < 0.3
    assert max(measure_training("post", lr=1e-2, start="linear", seeds=2).final) < 0.1


def plain_run(placement, seed, steps, lr, warmup):
    """One seed, trained alone in a plain loop."""
    with seeded(seed):
        model = Model(
            "decoder-only", 2, vocab_size=32, length=8, d_model=32, num_heads=4, d_ff=128, placement=placement
        )
        following, batches = torch.randperm(32), torch.randint(32, (steps, 16, 8))
    if placement == "admin":
        training.set_omegas(model, batches[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.98), eps=1e-9)
    losses = []
    for step, tokens in enumerate(batches, 1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, step / warmup)
        loss = F.cross_entropy(model(tokens).flatten(0, 1), following[tokens].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, cosine_between_tokens(model.states(torch.arange(32)[:, None])[:, 0].detach())


@pytest.mark.parametrize("placement", ["post", "dual-residual", "admin"])
def test_seeds_trained_side_by_side_are_what_each_is_alone(placement):
    both = measure_training(placement, 2, lr=1e-3, warmup=5, steps=10, seeds=2, cosine_steps=(10,))
    for seed in range(2):
        losses, cosine = plain_run(placement, seed, 10, 1e-3, 5)
        assert both.losses[seed] == pytest.approx([sum(losses[:5]) / 5, sum(losses[5:]) / 5], rel=1e-4)
        assert both.cosines[seed] == pytest.approx([cosine], rel=1e-3)


def test_equal_rows_have_cosine_one_and_orthogonal_ones_zero():
    assert cosine_between_tokens(torch.ones(4, 3)) == pytest.approx(1.0)
    assert cosine_between_tokens(torch.eye(5)) == pytest.approx(0.0, abs=1e-6)
    assert cosine_between_tokens(torch.tensor([[1.0, 0.0], [3.0, 3.0]])) == pytest.approx(0.5**0.5)


def test_warm_up_is_a_straight_line_to_the_rate():
    assert [warmup_rate(step, 0.8, 4) for step in (1, 2, 4, 9)] == pytest.approx([0.2, 0.4, 0.8, 0.8])
    assert warmup_rate(1, 0.8, 0) == 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 7}, "steps: got 7; allowed are multiples of 5"),
        ({"lr": 0.0}, "lr, warmup: got 0.0 and 0"),
        ({"warmup": -1}, "lr, warmup: got 0.01 and -1"),
        ({"depth": 0}, "depth: got 0"),
        ({"seeds": 0}, "seeds: got 0"),
        ({"cosine_steps": (5, 1)}, r"cosine_steps: got \(5, 1\); allowed are ascending steps from 0 to 120"),
        ({"cosine_steps": (0, 200)}, "cosine_steps: got"),
        ({"start": "he"}, "start: got 'he'"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        measure_training("pre", **options)
