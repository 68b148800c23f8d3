"""The two experiments of Schmidhuber 1992, many seeds side by side: the flip-flop and the parking lot.

Sections 3.1 and 3.2 of "Learning to control fast-weight memories" (Neural Computation 4(1), pp. 131-139). Both
nets are linear without hidden units, weights of S start uniform in [-0.1, 0.1], fast weights are squashed with
T = 10 (eq. 7), and learning is on-line: one endless stream, never reset. Every seed draws its weights and its
stream from a generator of its own, so that it is the same run whichever seeds run beside it.

The paper gives one number for each experiment, no seeds and no spread. It leaves open in what order a step
learns and writes (here it learns first; over 500 seeds that made no difference), whether the step count is
the start of the solving streak (here it is), and how often the parking task asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one
from papertrail.fast_weights.programmers import (
    Programmer,
    State,
    learn,
    run,
    slow_units,
    start_at_request,
    start_at_zero,
)

STREAK, TOLERANCE = 100, 0.05  # solved: so many steps in a row, each with no error above this
A, B, C = range(3)
SLOTS = DISTRACTORS = 3
STOPS = LEAVES = 0.25  # probability per step that a driving car parks, and that a parked one leaves
STARTS = ("request", "zero")


def about(count: float) -> int:
    """To the nearest ten: learning at these rates is chaotic, so another processor may solve a seed more or less."""
    return 10 * round(count / 10)


@dataclass(frozen=True)
class Solving:
    """For each seed the step, counted from 1, that begins its first solving streak; None where none began in time."""

    solved_at: list[int | None]
    steps: int  # how late a streak could begin: 99 further steps were run
    lr: float

    @property
    def seeds(self) -> int:
        """How many ran."""
        return len(self.solved_at)

    def solved_within(self, steps: int) -> int:
        """How many seeds began their streak within so many steps.

        Raises:
            ValueError: the runs were shorter than that.
        """
        if not 1 <= steps <= self.steps:
            raise ValueError(f"steps: got {steps}; allowed are 1 to the {self.steps} of these runs")
        return sum(at is not None and at <= steps for at in self.solved_at)

    def median(self) -> float | None:
        """The middle step of the seeds that were solved; None where there is none."""
        solved = [at for at in self.solved_at if at is not None]
        return median(solved) if solved else None


def solving_streaks(errors: Tensor, length: int = STREAK, tolerance: float = TOLERANCE) -> list[int | None]:
    """Where the paper's criterion is first met: the step, from 1, that begins `length` steps without a large error.

    A step counts if no output is off by more than `tolerance`; NaN never counts.

    Shapes: (N, T, M) -> N steps.
    """
    good = (errors.abs() <= tolerance).all(-1).long()
    ends = F.pad(good.cumsum(1), (1, 0))  # good steps before each step
    whole = ends[:, length:] - ends[:, :-length] == length
    return [int(row.long().argmax()) + 1 if row.any() else None for row in whole]


def flip_flop_targets(symbols: Tensor) -> Tensor:
    """1 where B comes for the first time since an A, however long ago that was; 0 elsewhere (section 3.1).

    Shapes: integers, 0 for A, 1 for B, 2 for C, (N, T) -> (N, T), float64.
    """
    set_, targets = torch.zeros(len(symbols), dtype=torch.bool), []
    for symbol in symbols.unbind(1):
        targets.append(set_ & (symbol == B))
        set_ = (set_ & (symbol != B)) | (symbol == A)
    return torch.stack(targets, 1).double()


@dataclass(frozen=True)
class Trace:
    """What one trained programmer does on the steps after its training, learning frozen.

    Shapes: fast (T + 1, 3), from before the first symbol on, a column for the line of each symbol; others (T,).
    """

    symbols: str
    fast: Tensor
    outputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class FlipFlop(Solving):
    """The flip-flop experiment. weights: the learned S of each seed (seeds, U, 3), columns for A, B and C.

    With "units", row 1 asks for changes of the fast weight of B's line. With "from-to" rows 0 to 2 make the FROM
    pattern (lines A, B, C) and row 3 the TO pattern.
    """

    interface: str
    squash: float | None
    start: str
    diverged_at: list[int | None]  # by seed, the first step whose output was no finite number
    weights: Tensor
    traces: list[Trace]  # by seed

    def right_afterwards(self) -> list[bool]:
        """By seed, whether its whole trace is right to 0.05: some that met the criterion lose it again."""
        return [bool(((t.outputs - t.targets).abs() <= TOLERANCE).all()) for t in self.traces]


def measure_flip_flop(
    interface: str,
    *,
    lr: float,
    seeds: int = 100,
    steps: int = 4000,
    start: str = "request",
    squash: float | None = 10.0,
    trace_steps: int = 30,
) -> FlipFlop:
    """Learn to answer 1 on the first B after an A (section 3.1).

    The paper: "units" with lr = 1.0 solved within 300 steps, "from-to" with lr = 0.5 within 800.

    Args:
        start: w(0): "request", what S asks for at step 0, as in the paper; or "zero".
        squash: the temperature of eq. 7, or None for none, where the endless stream makes the weights diverge.
        trace_steps: how many steps to record after training.

    Raises:
        ValueError: interface or start is unknown, lr or the temperature is not positive, or a number is below 1.
    """
    at_least_one(seeds=seeds, steps=steps, trace_steps=trace_steps)
    length = steps + STREAK - 1
    net = _untrained(interface, seeds, slow_inputs=3, inputs=3, outputs=1, squash=squash)
    symbols = torch.stack(
        [torch.randint(3, (1 + length + trace_steps,), generator=g) for g in _generators("stream", seeds)]
    )
    x, targets = F.one_hot(symbols, 3).double(), flip_flop_targets(symbols)
    learned = learn(
        net, _start(net, x[:, 0], start), x[:, 1 : 1 + length], targets[:, 1 : 1 + length, None], lr=lr
    )
    after = slice(1 + length, None)
    passage = run(learned.net, x[:, after], start=learned.state.fast)
    traces = [
        Trace("".join("ABC"[symbol] for symbol in row), fast[:, 0], outputs[:, 0], wanted)
        for row, fast, outputs, wanted in zip(
            symbols[:, after].tolist(), passage.fast, passage.outputs, targets[:, after], strict=True
        )
    ]
    lost = ~learned.errors.isfinite().all(-1)
    return FlipFlop(
        solving_streaks(learned.errors), steps, lr, interface, squash, start,
        [int(row.long().argmax()) + 1 if row.any() else None for row in lost],
        learned.net.weight, traces,
    )  # fmt: skip


@dataclass(frozen=True)
class ParkingStream:
    """Where is my car? S sees the slots' detectors and noise, F is asked, and the target is the slot.

    Shapes: x (N, T, 6), asked (N, T, 1), targets (N, T, 3); the targets are zero where nothing is asked.
    """

    x: Tensor
    asked: Tensor
    targets: Tensor


def parking_stream(
    ask_probability: float, generators: Sequence[torch.Generator], steps: int
) -> ParkingStream:
    """Drive, park, be asked, leave (section 3.2).

    A driving car parks in a random slot with probability 0.25 a step, and the slot's detector is on for that
    step only; a parked car leaves with probability 0.25 a step. Questions come with `ask_probability` a step
    while the car is parked, not at the step of parking: fast weights are read before they are written. Three
    more inputs of S are random bits. How often to ask the paper does not say, nor what to answer while driving.

    Raises:
        ValueError: ask_probability is not above 0 and at most 1, or steps is below 1.
    """
    at_least_one(steps=steps)
    if not 0 < ask_probability <= 1:
        raise ValueError(f"ask_probability: got {ask_probability}; allowed are numbers above 0 and up to 1")
    draws = torch.stack(
        [torch.rand(steps, 3 + DISTRACTORS, dtype=torch.float64, generator=g) for g in generators]
    )
    event, which, ask, noise = draws.split([1, 1, 1, DISTRACTORS], dim=-1)
    slots = F.one_hot((which[..., 0] * SLOTS).long(), SLOTS).double()  # (N, T, 3), used at steps of parking
    here = torch.zeros(len(generators), SLOTS, dtype=torch.float64)  # the car's slot; zero while driving
    detectors, car = [], []
    for chance, slot in zip(event.unbind(1), slots.unbind(1), strict=True):
        was_parked = here.sum(-1, keepdim=True)
        arrives = (1 - was_parked) * (chance < STOPS)
        here = arrives * slot + here * (chance >= LEAVES)
        detectors.append(arrives * slot)
        car.append(here)
    detector, parked = torch.stack(detectors, 1), torch.stack(car, 1)
    asked = (parked - detector).sum(-1, keepdim=True) * (ask < ask_probability)
    return ParkingStream(torch.cat([detector, (noise < 0.5).double()], dim=-1), asked, asked * parked)


@dataclass(frozen=True)
class Parking(Solving):
    """The parking-lot experiment.

    answered[n][seed]: the share of questions right to 0.05 with S frozen as it was after n steps; NaN where none
    was asked. weights: the learned S of each seed (seeds, 3, 6), a row for each slot, columns for the detectors and
    the random bits.
    """

    ask_probability: float
    answered: dict[int, list[float]]
    weights: Tensor


def measure_parking(
    ask_probability: float,
    *,
    seeds: int = 40,
    steps: int = 6000,
    lr: float = 0.02,
    answered_after: tuple[int, ...] = (),
    test_steps: int = 2000,
) -> Parking:
    """Learn to tell in which slot the car stands, with one output unit of S per fast weight (section 3.2).

    The paper: lr = 0.02, solved within 6,000 steps. Its criterion counts every step, also those without a
    question, at which an answer cannot be wrong: F's only input is 0 then. Hence `answered`, which tests a net
    whose learning is frozen on another stream that asks whenever it may.

    Args:
        answered_after: after how many steps to test.
        test_steps: how long the other stream is.

    Raises:
        ValueError: ask_probability or lr is out of range, a number is below 1, or answered_after does not ascend
            from 1 to at most `steps`.
    """
    at_least_one(seeds=seeds, steps=steps, test_steps=test_steps)
    if list(answered_after) != sorted({n for n in answered_after if 1 <= n <= steps}):
        raise ValueError(
            f"answered_after: got {answered_after}; allowed are ascending steps from 1 to {steps}"
        )
    length = steps + STREAK - 1
    net = _untrained("units", seeds, slow_inputs=SLOTS + DISTRACTORS, inputs=1, outputs=SLOTS, squash=10.0)
    stream = parking_stream(ask_probability, _generators("stream", seeds), 1 + length)
    test = parking_stream(1.0, _generators("test", seeds), 1 + test_steps)
    state, errors, answered = _start(net, stream.x[:, 0], "request"), [], {}
    for begin, end in zip((0, *answered_after), (*answered_after, length), strict=True):
        part = slice(1 + begin, 1 + end)
        learned = learn(
            net, state, stream.x[:, part], stream.targets[:, part], lr=lr, z=stream.asked[:, part]
        )
        net, state = learned.net, learned.state
        errors.append(learned.errors)
        if end in answered_after:
            answered[end] = share_answered(net, test)
    return Parking(solving_streaks(torch.cat(errors, 1)), steps, lr, ask_probability, answered, net.weight)


def share_answered(net: Programmer, stream: ParkingStream) -> list[float]:
    """By seed, the share of the stream's questions that a net answers to 0.05 on every output, without learning.

    The stream's first step only sets w(0). NaN where nothing is asked.
    """
    passage = run(net, stream.x[:, 1:], stream.asked[:, 1:], start=net.request(stream.x[:, 0]))
    right = ((passage.outputs - stream.targets[:, 1:]).abs() <= TOLERANCE).all(-1)
    asked = stream.asked[:, 1:, 0].bool()
    return ((right & asked).sum(1) / asked.sum(1)).tolist()


def _generators(what: str, seeds: int) -> list[torch.Generator]:
    """A generator for each seed, apart for weights and streams: both interfaces then meet the same streams."""
    first = {"weights": 0, "stream": 1_000_000, "test": 2_000_000}[what]
    return [torch.Generator().manual_seed(first + seed) for seed in range(seeds)]


def _untrained(
    interface: str,
    seeds: int,
    *,
    slow_inputs: int,
    inputs: int,
    outputs: int,
    squash: float | None,
) -> Programmer:
    """One programmer per seed, weights of S uniform in [-0.1, 0.1]."""
    shape = (slow_units(interface, inputs, outputs), slow_inputs)
    drawn = torch.stack(
        [torch.rand(shape, dtype=torch.float64, generator=g) for g in _generators("weights", seeds)]
    )
    return Programmer(interface, 0.2 * drawn - 0.1, inputs=inputs, outputs=outputs, squash=squash)


def _start(net: Programmer, x: Tensor, start: str) -> State:
    """w(0) by its name."""
    if start not in STARTS:
        raise ValueError(f"start: got {start!r}; allowed are {', '.join(map(repr, STARTS))}")
    return start_at_request(net, x) if start == "request" else start_at_zero(net)
