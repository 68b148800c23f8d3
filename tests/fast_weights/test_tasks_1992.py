"""The flip-flop and the parking lot of 1992: streams, criterion, and which runs get there."""

import pytest
import torch

from papertrail.fast_weights.programmers import Programmer
from papertrail.fast_weights.tasks_1992 import (
    Solving,
    flip_flop_targets,
    measure_flip_flop,
    measure_parking,
    parking_stream,
    share_answered,
    solving_streaks,
)


@pytest.fixture(scope="module")
def flip_flops():
    """Sixty seeds of each interface at the paper's rate."""
    return {
        interface: measure_flip_flop(interface, lr=lr, seeds=60, steps=1500)
        for interface, lr in (("units", 1.0), ("from-to", 0.5))
    }


@pytest.fixture(scope="module")
def parkings():
    """Twenty seeds each, asked seldom and often."""
    return {
        p: measure_parking(p, seeds=20, steps=1500, answered_after=(1500,), test_steps=400)
        for p in (0.1, 0.5)
    }


def coded(stream):
    return torch.tensor([["ABC".index(symbol) for symbol in stream]])


def test_the_target_is_one_on_the_first_b_after_an_a_at_any_lag():
    stream = "BCABBCAACCCBAB"
    wanted = "00010000000101"
    assert flip_flop_targets(coded(stream)).tolist() == [[float(digit) for digit in wanted]]


def test_a_streak_begins_at_the_first_step_that_a_hundred_good_ones_follow():
    errors = torch.zeros(4, 300, 1, dtype=torch.float64)
    errors[0, 0], errors[0, 50] = 1.0, -0.0501  # so it begins at step 52
    errors[1, ::100] = 0.06  # 99 good ones at most
    errors[2] = 0.05
    errors[3, :200] = float("nan")
    assert solving_streaks(errors) == [52, None, 1, 201]


def test_one_bad_output_spoils_a_step():
    errors = torch.zeros(1, 10, 3)
    errors[0, 2, 1] = 1.0
    assert solving_streaks(errors, length=4) == [4]
    assert solving_streaks(errors, length=8) == [None]


def test_solved_counts_and_the_median_leave_out_the_unsolved():
    runs = Solving([5, None, 9, 7], 20, 1.0)
    assert [runs.solved_within(n) for n in (4, 5, 20)] == [0, 1, 3]
    assert runs.median() == 7 and runs.seeds == 4
    assert Solving([None], 20, 1.0).median() is None
    with pytest.raises(ValueError, match="steps: got 21; allowed are 1 to the 20 of these runs"):
        runs.solved_within(21)


def test_one_unit_per_weight_is_faster_than_from_to_as_in_the_paper(flip_flops):
    units, from_to = flip_flops["units"], flip_flops["from-to"]
    assert 15 <= units.solved_within(300) <= 50, "about half of the seeds, where the paper's one run did"
    assert from_to.solved_within(300) <= 3
    assert from_to.solved_within(800) <= 18, "at most 30 percent within the paper's 800 steps"
    assert from_to.solved_within(1500) >= 30
    assert from_to.median() > 3 * units.median()


def test_what_is_never_solved_asks_for_so_much_on_c_that_the_weight_saturates(flip_flops):
    """There T w (1 - w), the gradient's factor, is next to nothing: squashing keeps a net alive and can trap it."""
    units = flip_flops["units"]
    large = (units.weights[:, 1, 2].abs() > 1).double()  # the request for B's line when C comes
    unsolved = torch.tensor([at is None for at in units.solved_at])
    assert large[unsolved].mean() > 0.6
    assert large[~unsolved].mean() < 0.35


def test_the_learned_slow_net_sets_on_a_resets_on_b_and_holds_on_c(flip_flops):
    result = flip_flops["units"]
    solved = [seed for seed, at in enumerate(result.solved_at) if at is not None]
    row = result.weights[solved, 1].median(dim=0).values  # requests for the weight of B's line
    assert row[0] > 0.5 and row[1] < -0.5 and abs(row[2]) < 0.1
    others = result.weights[solved][:, [0, 2]].abs().amax((1, 2)).median()
    assert others < 0.2, "the other lines are hardly ever written"


def test_a_trace_reads_the_line_of_its_symbol_before_it_writes(flip_flops):
    for result in flip_flops.values():
        for trace in result.traces:
            assert len(trace.symbols) == 30 and trace.fast.shape == (31, 3)
            lines = coded(trace.symbols)[0]
            torch.testing.assert_close(trace.outputs, trace.fast[:-1].gather(1, lines[:, None])[:, 0])
            first_a = trace.symbols.index("A")  # from here on the trace alone says what is wanted
            assert torch.equal(trace.targets[first_a:], flip_flop_targets(lines[None, first_a:])[0])
            assert trace.fast.min() >= 0 and trace.fast.max() <= 1


def test_most_that_were_solved_are_right_afterwards_and_few_others_are(flip_flops):
    for result in flip_flops.values():
        right = result.right_afterwards()
        for is_right, trace in zip(right, result.traces, strict=True):
            assert is_right == ((trace.outputs - trace.targets).abs().max() <= 0.05)
        solved = [is_right for at, is_right in zip(result.solved_at, right, strict=True) if at is not None]
        assert sum(solved) >= 0.7 * len(solved)
        assert sum(right) - sum(solved) <= 0.6 * (60 - len(solved))


def test_a_trace_goes_on_where_learning_stopped():
    """The same stream, 30 steps later: at so small a rate, nearly the same weights."""
    early = measure_flip_flop("units", lr=1e-9, seeds=1, steps=40, trace_steps=60).traces[0]
    late = measure_flip_flop("units", lr=1e-9, seeds=1, steps=70, trace_steps=30).traces[0]
    assert late.symbols == early.symbols[30:]
    torch.testing.assert_close(late.fast, early.fast[30:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("interface", ["units", "from-to"])
def test_without_squashing_every_run_diverges_and_none_is_solved(interface):
    result = measure_flip_flop(interface, lr=0.1, seeds=5, steps=900, squash=None)
    assert result.solved_within(900) == 0 and result.median() is None
    assert all(at is not None and 20 < at < 900 for at in result.diverged_at)
    assert result.weights.isnan().all(dim=-1).any(dim=-1).all()


def test_with_squashing_nothing_diverges(flip_flops):
    assert all(at is None for result in flip_flops.values() for at in result.diverged_at)


def test_a_seed_is_the_same_run_alone_and_beside_others_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    alone, beside = (measure_flip_flop("from-to", lr=0.5, seeds=seeds, steps=150) for seeds in (1, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert alone.traces[0].symbols == beside.traces[0].symbols != beside.traces[1].symbols
    torch.testing.assert_close(alone.weights[0], beside.weights[0], rtol=1e-8, atol=1e-8)


def test_both_interfaces_meet_the_same_streams(flip_flops):
    units, from_to = flip_flops["units"], flip_flops["from-to"]
    for one, other in zip(units.traces, from_to.traces, strict=True):
        assert one.symbols == other.symbols


def test_starting_at_zero_is_another_run_with_the_same_picture(flip_flops):
    zero = measure_flip_flop("units", lr=1.0, seeds=60, steps=300, start="zero")
    assert 15 <= zero.solved_within(300) <= 50
    assert zero.solved_at != [at if at and at <= 300 else None for at in flip_flops["units"].solved_at]


@pytest.fixture(scope="module")
def stream():
    return parking_stream(0.5, [torch.Generator().manual_seed(seed) for seed in range(10)], 1500)


def test_the_car_is_asked_for_only_while_it_stands_and_not_as_it_parks(stream):
    for detectors, asked, targets in zip(
        stream.x[..., :3].tolist(), stream.asked[..., 0].tolist(), stream.targets.tolist(), strict=True
    ):
        last = None
        for detector, question, target in zip(detectors, asked, targets, strict=True):
            assert sum(detector) in (0, 1)
            if any(detector):
                last = detector
                assert not question, "the step of parking cannot be answered: F reads before S writes"
            assert target == (last if question else [0, 0, 0])


def test_the_parking_stream_has_the_papers_probabilities(stream):
    """Parking once per 8 steps (4 driving, 4 standing on average); 3 of the 4 may be asked at, half of them are."""
    arrivals = stream.x[..., :3].mean((0, 1))
    assert arrivals.tolist() == pytest.approx([1 / 24] * 3, abs=0.006)
    assert stream.asked.mean().item() == pytest.approx(3 / 16, abs=0.015)
    assert stream.x[..., 3:].mean((0, 1)).tolist() == pytest.approx([0.5] * 3, abs=0.02)


def test_seldom_asked_the_criterion_is_met_by_nets_that_cannot_answer(parkings):
    seldom, often = parkings[0.1], parkings[0.5]
    assert seldom.solved_within(1500) >= 14
    assert often.solved_within(1500) <= 4
    for result in (seldom, often):
        shares = sorted(result.answered[1500])
        assert len(shares) == 20 and shares[10] < 0.4


def test_a_net_set_by_hand_answers_everything_and_one_that_never_writes_answers_nothing():
    """Slot i's detector sets weight i and resets the others; bits do nothing."""
    stream = parking_stream(1.0, [torch.Generator().manual_seed(0)], 400)
    weight = torch.zeros(1, 3, 6, dtype=torch.float64)
    idle = Programmer("units", weight, inputs=1, outputs=3)
    assert share_answered(idle, stream) == [0.0]
    weight = torch.cat([3 * torch.eye(3) - 1.5, torch.zeros(3, 3)], 1).double()[None]
    assert share_answered(Programmer("units", weight, inputs=1, outputs=3), stream)[0] > 0.9


def test_testing_on_the_way_does_not_change_the_learning():
    tested = measure_parking(0.5, seeds=3, steps=150, answered_after=(7, 100, 150), test_steps=50)
    plain = measure_parking(0.5, seeds=3, steps=150)
    assert torch.equal(tested.weights, plain.weights)
    assert list(tested.answered) == [7, 100, 150] and plain.answered == {}


def test_the_test_asks_on_a_stream_of_its_own():
    """So short a one that some seeds are not asked at all."""
    shares = measure_parking(0.5, seeds=20, steps=40, answered_after=(40,), test_steps=1).answered[40]
    assert 5 < sum(share != share for share in shares) < 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measure_flip_flop("outer", lr=1.0), "interface: got 'outer'"),
        (lambda: measure_flip_flop("units", lr=0.0, steps=1), "lr: got 0.0"),
        (lambda: measure_flip_flop("units", lr=float("nan"), steps=1), "lr: got nan"),
        (lambda: measure_flip_flop("units", lr=1.0, squash=-1.0), "squash: got -1.0"),
        (lambda: measure_flip_flop("units", lr=1.0, seeds=0), "seeds: got 0"),
        (lambda: measure_flip_flop("units", lr=1.0, steps=0), "steps: got 0"),
        (lambda: measure_flip_flop("units", lr=1.0, trace_steps=0), "trace_steps: got 0"),
        (
            lambda: measure_flip_flop("units", lr=1.0, steps=1, start="half"),
            "start: got 'half'; allowed are 'request', 'zero'",
        ),
        (lambda: measure_parking(0.0), "ask_probability: got 0.0; allowed are numbers above 0"),
        (lambda: measure_parking(1.5), "ask_probability: got 1.5"),
        (lambda: measure_parking(0.1, seeds=0), "seeds: got 0"),
        (lambda: measure_parking(0.1, steps=1, lr=-1.0), "lr: got -1.0"),
        (
            lambda: measure_parking(0.1, steps=10, answered_after=(5, 3)),
            r"answered_after: got \(5, 3\); allowed are ascending steps from 1 to 10",
        ),
        (lambda: measure_parking(0.1, steps=10, answered_after=(11,)), "answered_after: got"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
