"""Training on infinite sequences: against automatic differentiation, the paper's signs, and the conserved quantity."""

import math

import pytest
import torch
from torch.nn import functional as F

from papertrail.scan_and_snap.expected import (
    LEVEL,
    Trajectory,
    drift,
    measure_drift,
    measure_expected,
    measure_signs,
    measure_skewed,
    orthogonality,
    shared_query,
    step_at,
    worst_drift,
)
from papertrail.scan_and_snap.layer import forward
from papertrail.scan_and_snap.setting import DTYPE, Language, syn_small


@pytest.fixture(scope="module")
def trained():
    """Five random languages, the decoder 40 times as fast as the attention, 1,000 steps."""
    return [measure_expected(shared_query(seed), 8.0, 0.2, 1000) for seed in range(5)]


def printed():
    """The language whose numbers the chapter's table gives: five classes, 0.6 split as 1, 1.5, 2 and 2.5."""
    P = torch.zeros(5, 21, dtype=DTYPE)
    P[:, 0] = 0.4
    for n in range(5):
        P[n, 1 + 4 * n : 5 + 4 * n] = 0.6 * torch.tensor([1, 1.5, 2, 2.5], dtype=DTYPE) / 7
    return Language(P, (0,) * 5)


@pytest.mark.parametrize("queries", [(0, 0), (0, 1)], ids=["shared", "own"])
def test_it_is_gradient_descent_on_sequences_that_hold_each_token_as_often_as_its_probability_says(queries):
    """Ten tokens with the exact shares give Eq. 5's attention, so the sampled layer's own gradient must agree."""
    P = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.4, 0.0, 0.1, 0.5]], dtype=DTYPE)
    language = Language(P, queries)
    rows = [[token for token in range(4) for _ in range(round(10 * p[token].item()))] for p in P]
    tokens = torch.tensor([[*row, language.query_token(n)] for n, row in enumerate(rows)])
    targets = torch.tensor([language.target_token(n) for n in range(2)])
    V = language.vocabulary
    Y, Z = (torch.zeros(V, V, dtype=DTYPE, requires_grad=True) for _ in range(2))
    run = measure_expected(language, 3.0, 0.7, 20, outputs=V)
    for step in range(21):
        own = Z.detach()[4 : 4 + language.num_queries, :4]
        assert (run.z[step] - own).abs().max() < 1e-13
        loss = F.cross_entropy(forward(Y, Z, tokens), targets)
        assert run.loss[step].item() == pytest.approx(loss.item(), abs=1e-12)
        dY, dZ = torch.autograd.grad(loss, (Y, Z))
        with torch.no_grad():
            Y -= 3.0 * dY
            Z -= 0.7 * dZ
    assert run.z.abs().max() > 0.05


@pytest.mark.parametrize(
    ("lr_y", "common"),
    [(0.5, (-0.54, -1.27, -1.83)), (2.0, (-0.82, -1.14, -1.44)), (8.0, (-0.63, -0.79, -0.99))],
    ids=["slow", "middle", "fast"],
)
def test_the_common_token_falls_as_first_measured(lr_y, common):
    """Numbers of an earlier and separate program, for five targets as the only outputs."""
    run = measure_expected(printed(), lr_y, 0.2, 200, outputs=5)
    assert [round(run.z[step, 0, 0].item(), 2) for step in (20, 50, 200)] == list(common)


def test_attention_and_drift_after_3000_steps_are_as_first_measured():
    run = measure_expected(printed(), 8.0, 0.2, 3000, outputs=5)
    assert [round(run.attention(step)[0, 0].item(), 3) for step in (0, -1)] == [0.4, 0.146]
    assert [round(100 * drift(run, n)[-1].item(), 1) for n in range(5)] == [0.7] * 5


def test_theorem_2s_signs_and_the_order_of_P_hold_at_every_step_for_five_seeds(trained):
    for run in trained:
        signs = measure_signs(run)
        assert (signs.losing, signs.gaining, signs.ordered) == (0.0, 0.0, 5)
        # again, without the function under test: token 0 is the common one
        moves = run.z[2:, 0] - run.z[1:-1, 0]
        assert (moves[:, 1:] > 0).all() and (moves[:, 0] < 0).all()
        assert run.z[-1, 0, 0] < -0.9 and run.z[-1, 0, 1:].max() > 0.08
        P = run.language.probabilities
        for n in range(5):
            own = range(1 + 4 * n, 5 + 4 * n)
            by_P = sorted(own, key=lambda token, n=n: P[n, token].item())
            assert by_P == sorted(own, key=lambda token, run=run: run.z[-1, 0, token].item())


def test_the_conserved_quantity_drifts_by_less_than_a_percent_at_a_ratio_of_40_where_targets_are_the_outputs():
    for seed in range(5):
        run = measure_expected(shared_query(seed), 8.0, 0.2, 1000, outputs=5)
        assert max(drift(run, n)[-1].item() for n in range(5)) < 0.01


def test_with_the_whole_vocabulary_one_class_of_25_drifts_a_hundredth_of_a_percent_further(trained):
    worst = sorted(drift(run, n)[-1].item() for run in trained for n in range(5))
    assert worst[-2] < 0.01 < worst[-1] < 0.0102


def test_the_drift_is_the_change_of_a_difference_as_a_share_of_the_first():
    """By hand: P = 0.25 and 0.5, so 16 - 4 = 12. z of the second at ln 2 makes it 16 - 1 = 15: a quarter more."""
    language = Language(torch.tensor([[0.25, 0.5, 0.25, 0.0], [0.0, 0.0, 0.25, 0.75]], dtype=DTYPE), (0, 0))
    z = torch.zeros(2, 1, 4, dtype=DTYPE)
    z[1, 0, 1] = math.log(2)
    z[1, 0, 2] = 5.0  # a common token has no part in it
    run = Trajectory(language, 1.0, 1.0, 4, z, torch.zeros(2, 2), torch.zeros(2))
    assert drift(run, 0).tolist() == pytest.approx([0.0, 0.25])
    with pytest.raises(ValueError, match="target: class 1 has no two"):
        drift(run, 1)


def test_a_slower_decoder_conserves_less():
    slow, fast = measure_drift((1.0, 40.0), steps=300, seeds=2)
    assert min(slow.worst) > 3 * max(fast.worst) and slow.steps == 300 and len(slow.worst) == 2
    assert min(slow.alike) > 2 * max(fast.alike)  # and not merely because attention has moved less


def test_drifts_are_held_against_each_other_where_attention_has_come_equally_far():
    run = measure_expected(shared_query(0), 8.0, 0.2, 300)
    step = step_at(run, LEVEL)
    common = [run.attention(at)[:, run.language.common].mean().item() for at in (step - 1, step)]
    assert common[1] <= LEVEL < common[0]
    assert worst_drift(run) == max(drift(run, n)[step].item() for n in range(5)) < worst_drift(run, 300)
    with pytest.raises(ValueError, match="level: got 0.01"):
        step_at(run, 0.01)


def test_a_move_against_theorem_2_is_counted():
    language = Language(torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]], dtype=DTYPE), (0, 0))
    z = torch.tensor([[0, 0, 0], [9, -9, -9], [0, 0, 0], [-1, 1, -1], [-2, 2, 1]], dtype=DTYPE)[:, None]
    run = Trajectory(language, 1.0, 1.0, 3, z, torch.zeros(5, 2), torch.zeros(5))
    signs = measure_signs(run)
    assert (signs.losing, signs.gaining, signs.hold) == (pytest.approx(1 / 6), 0.0, False)


def test_assumption_2_is_measured_on_the_first_attention():
    """Two classes with half of each sequence in common: F^T F = [[1, 1/2], [1/2, 1]], so 2 times 1/2."""
    half = Language(torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]], dtype=DTYPE), (0, 0))
    assert orthogonality(half) == pytest.approx(1.0)
    assert (
        orthogonality(shared_query(0))
        > 10
        > 1
        > orthogonality(shared_query(0, classes=4, distinct=25, share=0.05))
    )


def test_random_languages_have_one_query_and_the_common_share_asked_for():
    language = shared_query(3, classes=3, distinct=2, share=0.25, common=2)
    assert language.queries == (0, 0, 0) and language.num_tokens == 8
    assert language.probabilities[:, :2].sum(1).tolist() == pytest.approx([0.25] * 3)
    assert language.common.tolist() == [True, True] + [False] * 6
    assert [language.distinct(n).nonzero().flatten().tolist() for n in range(3)] == [[2, 3], [4, 5], [6, 7]]
    assert not torch.equal(
        language.probabilities, shared_query(4, classes=3, distinct=2, share=0.25, common=2).probabilities
    )


def test_a_common_token_gains_where_lemma_4_says_that_it_is_nearly_distinct():
    found = measure_skewed(steps=60)
    assert [case.first > 0 for case in found] == [False, False, False, True, True]
    for case in found:
        assert (case.first > 0) == (case.ratio < case.threshold) == (case.end > 0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 0}, "steps: got 0"),
        ({"lr_y": 0.0}, "lr_y: got 0.0"),
        ({"lr_z": -1.0}, "lr_z: got -1.0"),
        ({"outputs": 1}, "outputs: got 1; allowed are numbers from 2 up"),
    ],
    ids=["steps", "lr_y", "lr_z", "outputs"],
)
def test_settings_that_make_no_sense_are_refused(change, named):
    with pytest.raises(ValueError, match=named):
        measure_expected(syn_small(), **({"lr_y": 1.0, "lr_z": 1.0, "steps": 1} | change))


@pytest.mark.parametrize("bad", [{"classes": 0}, {"distinct": 0}, {"common": 0}, {"share": 1.0}], ids=str)
def test_random_languages_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        shared_query(0, **bad)
