"""Which layer learns at which rate, and when: schedules and unfreezing plans.

Howard & Ruder 2018, sections 3.2 and 3.3; other plans and schedules name their papers.

Steps are counted from 0. Step t of T uses the rate at t, so a run of T updates uses t = 0 .. T - 1; t = T is the
far end of every curve and is allowed. Groups of parameters are counted from the input up: the first is nearest
the input, the last is the head.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real

from papertrail.experiments import at_least_one

Schedule = Callable[[int, int, float], float]  # (step, total_steps, lr_max) -> rate


def _check(step: int, total_steps: int, lr_max: float) -> None:
    """What every schedule demands of its three common arguments."""
    at_least_one(total_steps=total_steps)
    if isinstance(step, bool) or not isinstance(step, Integral) or not 0 <= step <= total_steps:
        raise ValueError(f"step: got {step!r}; allowed are integers from 0 to total_steps ({total_steps})")
    _above(lr_max=lr_max)


def _above(limit: float = 0, **numbers: float) -> None:
    """Refuse, by name, what is not a finite number above the limit."""
    for argument, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not limit < value < math.inf:
            raise ValueError(f"{argument}: got {value!r}; allowed are numbers above {limit}")


def _fraction(**numbers: float) -> None:
    """Refuse, by name, what does not lie strictly between 0 and 1."""
    for argument, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < 1:
            raise ValueError(f"{argument}: got {value!r}; allowed are numbers between 0 and 1, both excluded")


def _cut(total_steps: int, cut_frac: float) -> int:
    """floor(T * cut_frac); the small term keeps 100 * 0.29 = 28.999... from losing a step."""
    return math.floor(total_steps * cut_frac + 1e-9)


def slanted_triangular(
    step: int, total_steps: int, lr_max: float, cut_frac: float = 0.1, ratio: float = 32
) -> float:
    """Learning rate at a step: a short rise, then a long fall (Howard & Ruder 2018, section 3.2, eq. 3).

    cut = floor(T * cut_frac); p = t / cut before the cut and 1 - (t - cut) / (cut * (1 / cut_frac - 1)) from there
    on; the rate is lr_max * (1 + p * (ratio - 1)) / ratio. Two guards are ours (`published_slanted_triangular` has
    neither): p never falls below 0, and where cut is 0 the rate starts at its peak and falls over all T steps.

    Args:
        cut_frac: share of the run in which the rate rises.
        ratio: how many times smaller the lowest rate is than the highest.

    Raises:
        ValueError: a step outside 0 .. total_steps, or another argument that the formula has no meaning for.
    """
    _check(step, total_steps, lr_max)
    _fraction(cut_frac=cut_frac)
    _above(1, ratio=ratio)
    cut = _cut(total_steps, cut_frac)
    if step < cut:
        p = step / cut
    else:
        fall = cut * (1 / cut_frac - 1) or total_steps
        p = max(0.0, 1 - (step - cut) / fall)
    return lr_max * (1 + p * (ratio - 1)) / ratio


def published_slanted_triangular(
    step: int, total_steps: int, lr_max: float, cut_frac: float = 0.1, ratio: float = 32
) -> float:
    """Howard & Ruder 2018, eq. 3, as it is printed, without a guard: to show what the guards are for.

    Where T * cut_frac is not whole, the printed fall is shorter than the run and the rate can end below 0.

    Raises:
        ZeroDivisionError: T * cut_frac is below 1, so that cut is 0.
        ValueError: as `slanted_triangular`.
    """
    _check(step, total_steps, lr_max)
    _fraction(cut_frac=cut_frac)
    _above(1, ratio=ratio)
    cut = _cut(total_steps, cut_frac)
    p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / cut_frac - 1))
    return lr_max * (1 + p * (ratio - 1)) / ratio


def circular(step: int, total_steps: int, lr_max: float, div: float = 8, cut_div: int = 3) -> float:
    """The triangle of the authors' released scripts: peak at T // cut_div, lowest rate lr_max / div.

    `use_clr=(8, 3)` while unfreezing and `(8, 8)` at the end, against ratio 32 and a tenth in the paper. The fall
    ends at T exactly, so the rate is never negative. Where T < cut_div the scripts divide by 0; here the rate then
    starts at its peak.

    Raises:
        ValueError: as `slanted_triangular`.
    """
    _check(step, total_steps, lr_max)
    _above(1, div=div)
    if isinstance(cut_div, bool) or not isinstance(cut_div, Integral) or cut_div < 2:
        raise ValueError(f"cut_div: got {cut_div!r}; allowed are integers from 2 up")
    cut = total_steps // cut_div
    p = step / cut if step < cut else 1 - (step - cut) / (total_steps - cut)
    return lr_max * (1 + p * (div - 1)) / div


def cosine(step: int, total_steps: int, lr_max: float) -> float:
    """Half a cosine from lr_max down to 0: lr_max / 2 * (1 + cos(pi t / T)).

    Loshchilov & Hutter 2017 (SGDR), eq. 5, with lowest rate 0 and one cycle. Howard & Ruder 2018 (section 5, row
    "Freez + cos" of table 7) cite that paper and give no setting. The released scripts' cosine also holds a
    hundredth of the rate for the first twentieth of the run; this one does not.

    Raises:
        ValueError: a step outside 0 .. total_steps, or an lr_max that is not above 0.
    """
    _check(step, total_steps, lr_max)
    return lr_max / 2 * (1 + math.cos(math.pi * step / total_steps))


def constant(step: int, total_steps: int, lr_max: float) -> float:
    """lr_max at every step.

    Raises:
        ValueError: a step outside 0 .. total_steps, or an lr_max that is not above 0.
    """
    _check(step, total_steps, lr_max)
    return float(lr_max)


def warmup_linear(step: int, total_steps: int, lr_max: float, warmup: float = 0.1) -> float:
    """What Transformers are fine-tuned with: a linear rise from 0, then a linear fall to 0.

    The shape is that of GPT-1 (Radford et al. 2018, warm-up over 0.2% of the run), BERT and RoBERTa (Liu et al.
    2019, section 5.1, the first 6%); the slanted triangle with an infinite ratio.

    Raises:
        ValueError: as `slanted_triangular`.
    """
    _check(step, total_steps, lr_max)
    _fraction(warmup=warmup)
    rise = total_steps * warmup
    return lr_max * (step / rise if step < rise else (total_steps - step) / (total_steps - rise))


# Names as figures, records and the command line write them. "scripts" stands for two of them: see `schedule_rates`.
SCHEDULES: dict[str, Schedule] = {
    "slanted-triangular": slanted_triangular,
    "cosine": cosine,
    "constant": constant,
    "warmup-linear": warmup_linear,
    "circular": circular,
    "scripts": circular,
}


def discriminative_lrs(lr: float, num_groups: int, factor: float = 2.6) -> list[float]:
    """One rate for each group: lr for the last, each lower one `factor` times smaller (Howard & Ruder 2018, 3.2).

    The first entry is for the group nearest the input. A factor of 1 gives every group the same rate.

    Raises:
        ValueError: lr or factor is not a number above 0, or num_groups is not an integer of at least 1.
    """
    at_least_one(num_groups=num_groups)
    _above(lr=lr, factor=factor)
    return [lr / factor ** (num_groups - 1 - group) for group in range(num_groups)]


METHODS = ("full", "last", "gradual", "chain-thaw", "scripts")


def unfreezing_plan(method: str, num_groups: int, epochs: int) -> list[tuple[bool, ...]]:
    """For each epoch, which groups train; the first entry of a tuple is the group nearest the input.

    - full: everything from the start.
    - last: the last group alone, always.
    - gradual: the last group, then one more from the top in each epoch (Howard & Ruder 2018, section 3.3).
    - chain-thaw: the last group alone, then each other group alone from the input up, then everything (Felbo et al.
      2017, section 3.3, who let each of these run to convergence; here, as in the released scripts, each has one
      epoch and "everything" has what is left).
    - scripts: the last group, the last two, then everything (the released scripts' two partial epochs).

    A plan longer than `epochs` is cut: with fewer epochs than groups, gradual never trains the lowest groups, and
    chain-thaw never trains everything together unless it has num_groups + 1 epochs.

    Raises:
        ValueError: `method` is none of these, or a count is not an integer of at least 1.
    """
    at_least_one(num_groups=num_groups, epochs=epochs)
    if method not in METHODS:
        raise ValueError(f"method: got {method!r}; allowed are {', '.join(METHODS)}")
    groups = range(num_groups)
    everything = set(groups)
    last = {num_groups - 1}
    first_epochs: dict[str, list[set[int]]] = {
        "full": [],
        "last": [last] * epochs,
        "gradual": [set(groups[-count:]) for count in range(1, num_groups)],
        "chain-thaw": [last, *({group} for group in groups[:-1])],
        "scripts": [last, set(groups[-2:])],
    }
    plan = (first_epochs[method] + [everything] * epochs)[:epochs]
    return [tuple(group in training for group in groups) for training in plan]


@dataclass(frozen=True)
class RateTable:
    """Which group learns at which rate at every step of a run."""

    rates: list[list[float]]  # [step][group], 0.0 where the group is frozen
    plan: list[tuple[bool, ...]]  # [epoch][group]
    steps_per_epoch: int

    def epochs_at(self) -> list[int]:
        """The step at which each epoch starts."""
        return [epoch * self.steps_per_epoch for epoch in range(len(self.plan))]


def schedule_rates(
    plan: Sequence[Sequence[bool]],
    peaks: Sequence[float],
    schedule: str,
    steps_per_epoch: int,
    *,
    restart: bool = False,
) -> RateTable:
    """Every group's rate at every step of a plan, from its peak rate and one schedule.

    The paper defines T as the number of updates of training and does not say that the schedule starts anew when a
    layer is unfrozen. Our reading, and the default, is one curve over the whole run: a group that is unfrozen late
    joins it where it stands. In the released scripts every call of `fit` starts a new curve; `restart=True` does so
    whenever the set of training groups changes.

    Args:
        plan: as `unfreezing_plan` gives it.
        peaks: one highest rate for each group, as `discriminative_lrs` gives them.
        schedule: a name in `SCHEDULES`. "scripts" is the released scripts' pair: `circular` with its peak at a third
            while a group is frozen, and at an eighth once everything trains.

    Raises:
        ValueError: an unknown schedule, an empty plan, or an epoch of the plan that has not one entry for each peak.
    """
    at_least_one(steps_per_epoch=steps_per_epoch)
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule: got {schedule!r}; allowed are {', '.join(SCHEDULES)}")
    if not plan:
        raise ValueError("plan: is empty; give at least one epoch")
    for epoch in plan:
        if len(epoch) != len(peaks):
            raise ValueError(f"plan: an epoch has {len(epoch)} groups, but there are {len(peaks)} peaks")
    starts = [i for i in range(len(plan)) if i == 0 or (restart and plan[i] != plan[i - 1])]
    rates = []
    for start, end in zip(starts, [*starts[1:], len(plan)], strict=True):
        total = (end - start) * steps_per_epoch
        for step in range(total):
            training = plan[start + step // steps_per_epoch]
            curve = SCHEDULES[schedule]
            if schedule == "scripts" and all(training):
                curve = partial(circular, cut_div=8)
            rates.append(
                [curve(step, total, peak) if on else 0.0 for peak, on in zip(peaks, training, strict=True)]
            )
    return RateTable(rates, [tuple(epoch) for epoch in plan], steps_per_epoch)


def rates_over_time(
    method: str,
    schedule: str,
    lr_max: float,
    num_groups: int,
    epochs: int,
    steps_per_epoch: int,
    factor: float = 2.6,
    *,
    restart: bool = False,
) -> RateTable:
    """`schedule_rates` for a method's plan and discriminative rates.

    The paper's recipe is rates_over_time("gradual", "slanted-triangular", ...); its rows without "discr" have factor 1.

    Raises:
        ValueError: as `unfreezing_plan`, `discriminative_lrs` and `schedule_rates`.
    """
    plan = unfreezing_plan(method, num_groups, epochs)
    peaks = discriminative_lrs(lr_max, num_groups, factor)
    return schedule_rates(plan, peaks, schedule, steps_per_epoch, restart=restart)
