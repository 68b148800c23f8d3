"""What the ledger calls for chapter 3. Each check computes its verdict from thresholds that it states."""

from datetime import date
from functools import cache
from math import log
from statistics import mean, median

import torch

from papertrail.claims import Evidence, Numbers
from papertrail.experiments import given
from papertrail.fast_weights.cost import load_costs
from papertrail.fast_weights.language import D_MODEL, DEPTH, RATES, STEPS
from papertrail.fast_weights.measurements import (
    Equivalence,
    measure_equivalence,
    measure_forms,
    measure_normalizer,
    measure_stability,
)
from papertrail.fast_weights.performer import measure_attention_error
from papertrail.fast_weights.programmers import Programmer, gradient, learn, run, start_at_request
from papertrail.fast_weights.recorded_language import best_rate, load_language, pick
from papertrail.fast_weights.retrieval import (
    TrainedRecall,
    measure_recall,
    measure_trained_recall,
    order_blind_loss,
    rank_bound,
)
from papertrail.fast_weights.tasks_1992 import FlipFlop, about, measure_flip_flop

REPORT, TRANSFORMER = date(1991, 3, 26), date(2017, 6, 12)  # FKI-147-91; arXiv 1706.03762, first version
ROUND_OFF = 1e-11  # float64, relative to the largest entry
SYMBOLS, WRITES = 8, 16  # of the editing task


@cache
def equivalence() -> Equivalence:
    """The 1992 programmer beside linear attention."""
    return measure_equivalence()


@cache
def flip_flop(interface: str, lr: float) -> FlipFlop:
    """100 seeds at the paper's settings, for as long as the paper says that it took, and some more."""
    return measure_flip_flop(interface, lr=lr, steps=2000)


def years_before() -> Evidence:
    """Whole years from the report to the Transformer paper."""
    anniversary = (TRANSFORMER.month, TRANSFORMER.day) >= (REPORT.month, REPORT.day)
    years = TRANSFORMER.year - REPORT.year - (not anniversary)
    return Evidence({"years": years}, {25: "holds", 26: "imprecise", 24: "imprecise"}.get(years, "wrong"))


def replaces_recurrence() -> Evidence:
    """Two feedforward nets learn a task that needs memory over any number of steps."""
    found = flip_flop("units", 1.0)
    solved = found.solved_within(found.steps)
    return Evidence(
        {"solved": about(solved), "seeds": found.seeds, "steps": found.steps},
        "holds-at-small-scale" if solved > found.seeds / 2 else "wrong",
    )


def slow_net_programs_fast_net() -> Evidence:
    """In seeds that met the flip-flop's criterion: A asks for a larger weight on B's line, and B for a smaller one."""
    found = flip_flop("units", 1.0)
    solved = [i for i, at in enumerate(found.solved_at) if at is not None]
    rows = found.weights[solved, 1]  # (seeds, 3): what A, B and C ask of B's line
    right = int(((rows[:, 0] > 0.5) & (rows[:, 1] < -0.5)).sum())
    count = max(1, len(solved))
    also = int((rows[:, 2] > 0.5).sum())
    numbers: Numbers = {
        "right": f"{about(100 * right / count)}%",
        "also": f"{about(100 * also / count)}%",
        "seeds": found.seeds,
    }
    return Evidence(numbers, "holds" if solved and right >= 0.95 * count else "wrong")


def from_and_to_are_key_and_value() -> Evidence:
    """Linear attention fed FROM as keys and TO as values gives the programmer's outputs."""
    found = equivalence()
    return Evidence({"seeds": found.seeds}, "holds" if found.same < ROUND_OFF else "wrong")


def fast_input_is_the_query() -> Evidence:
    """The same equality with F's raw input as query; with a projection of it as query it must fail."""
    found = equivalence()
    numbers: Numbers = {"seeds": found.seeds, "projected": f"{found.projected:.0%}"}
    return Evidence(numbers, "holds" if found.same < ROUND_OFF and found.projected > 0.01 else "wrong")


def matrix_is_a_sum() -> Evidence:
    """A sum of outer products without squashing; with the squashing of the experiments it is none."""
    found = equivalence()
    numbers: Numbers = {"squashed": f"{found.squashed:.0%}", "seeds": found.seeds}
    if found.same >= ROUND_OFF:
        return Evidence(numbers, "wrong")
    return Evidence(numbers, "imprecise" if found.squashed > 0.1 else "holds")


def end_to_end() -> Evidence:
    """The paper's own forward recursion for S's gradient, against automatic differentiation of the whole sequence."""
    worst = 0.0
    for interface, units in (("units", 6), ("from-to", 5)):
        generator = torch.Generator().manual_seed(0)
        weight = 0.3 * torch.randn(1, units, 4, dtype=torch.float64, generator=generator)
        x = torch.randn(1, 12, 4, dtype=torch.float64, generator=generator)
        z = torch.randn(1, 12, 3, dtype=torch.float64, generator=generator)
        target = torch.randn(1, 12, 2, dtype=torch.float64, generator=generator)
        weight.requires_grad_()
        net = Programmer(interface, weight, inputs=3, outputs=2)
        passage = run(net, x[:, 1:], z[:, 1:], start=net.request(x[:, 0]))
        (exact,) = torch.autograd.grad(0.5 * (passage.outputs - target[:, 1:]).square().sum(), weight)
        frozen = Programmer(interface, weight.detach(), inputs=3, outputs=2)
        state, total = start_at_request(frozen, x[:, 0]), torch.zeros_like(weight)
        for t in range(1, 12):
            error = passage.outputs[:, t - 1].detach() - target[:, t]
            total = total + gradient(state, error, z[:, t])
            step = learn(frozen, state, x[:, t : t + 1], target[:, t : t + 1], lr=1e-300, z=z[:, t : t + 1])
            state = step.state
        worst = max(worst, ((total - exact).abs().max() / exact.abs().max()).item())
    return Evidence({}, "holds" if worst < 1e-10 else "wrong")


def equivalent_to_linear_attention() -> Evidence:
    """Equal for one interface, one order and no squashing; the paper has two, the other one, and squashes."""
    found = equivalence()
    numbers: Numbers = {
        "order": f"{found.order:.0%}", "squashed": f"{found.squashed:.0%}", "rank": found.whole_request_rank,
        "seeds": found.seeds,
    }  # fmt: skip
    if found.same >= ROUND_OFF or found.shifted >= ROUND_OFF:
        return Evidence(numbers, "wrong")
    conditions = found.order > 0.01 or found.squashed > 0.01 or found.whole_request_rank > 1
    return Evidence(numbers, "imprecise" if conditions else "holds")


def forms_are_one_function() -> Evidence:
    """Values and gradients of recurrence, T x T matrix and chunks, for linear attention and the delta rule."""
    found = measure_forms()
    worst = max(*found.values.values(), *found.gradients.values())
    return Evidence({"length": found.length, "seeds": found.seeds}, "holds" if worst < 1e-10 else "wrong")


def normalizer_is_a_value() -> Evidence:
    """Whether normalizing takes more than one constant entry in the values."""
    return Evidence({}, "wrong" if measure_normalizer() < ROUND_OFF else "holds")


def paper_numbers_of_1992() -> Evidence:
    """The flip-flop at the paper's settings: how many of 100 seeds are as quick as the one number that it gives."""
    units, from_to = flip_flop("units", 1.0), flip_flop("from-to", 0.5)
    numbers = {
        "units": about(units.solved_within(300)), "from_to": about(from_to.solved_within(800)), "seeds": units.seeds,
        "median": 10 * about((from_to.median() or 0) / 10), "steps": from_to.steps,
    }  # fmt: skip
    both = units.solved_within(300) > 90 and from_to.solved_within(800) > 90
    some = units.solved_within(300) > 10 and from_to.solved_within(800) > 0
    return Evidence(numbers, "holds" if both else "imprecise" if some else "wrong")


def delta_stores_more() -> Evidence:
    """Untrained, orthonormal keys: with as many keys as rows both rules are exact, with half again as many neither."""
    fits, over = measure_recall(16), measure_recall(24)
    numbers: Numbers = {
        "rows": fits.dim, "keys": over.symbols, "draws": over.draws,
        "sum": f"{over.errors['sum']:.0%}", "delta": f"{over.errors['delta']:.0%}",
    }  # fmt: skip
    exact = max(fits.errors.values()) < ROUND_OFF
    more = over.errors["delta"] < ROUND_OFF < over.errors["sum"]
    return Evidence(numbers, "holds" if exact and more else "wrong")


@cache
def edited(rule: str) -> TrainedRecall:
    """Overwritten values, three seeds."""
    return measure_trained_recall(rule, symbols=SYMBOLS, length=WRITES, steps=500, seeds=3)


def delta_edits() -> Evidence:
    """The delta rule learns to give the last value; the sum rule does no better than a memory without order."""
    delta, summed, blind = edited("delta"), edited("sum"), order_blind_loss(SYMBOLS, WRITES)
    below = next(bound for bound in (0.001, 0.01, 0.1, 1, 10) if max(delta.loss) < bound)
    numbers = {
        "delta": below, "sum": f"{min(summed.loss):.2f}", "blind": f"{blind:.2f}", "keys": SYMBOLS,
        "writes": WRITES, "seeds": delta.seeds,
    }  # fmt: skip
    learned = (
        max(summed.loss) < 1.5 * blind
    )  # half of what knows nothing has: the sum rule did learn something
    apart = max(delta.loss) < 0.02 and min(summed.loss) > 0.9 * blind and learned
    return Evidence(numbers, "holds-at-small-scale" if apart else "wrong")


def softmax_forgets_order() -> Evidence:
    """Softmax attention without positions on the same task: exact matching does not tell which value came last."""
    found, blind = edited("softmax"), order_blind_loss(SYMBOLS, WRITES)
    numbers: Numbers = {"softmax": f"{min(found.loss):.2f}", "blind": f"{blind:.2f}", "seeds": found.seeds}
    as_blind = min(found.loss) > 0.9 * blind and max(found.loss) < 1.2 * blind  # it learned all that it could
    return Evidence(numbers, "wrong" if as_blind else "holds-at-small-scale")


def capacity_is_rank() -> Evidence:
    """Trained linear attention with 8 features and 16 keys ends at the rank bound, in every seed."""
    found = measure_trained_recall("sum", symbols=16, steps=400, seeds=3)
    features = given(found.features)
    bound = rank_bound(16, features)
    numbers: Numbers = {
        "loss": f"{median(found.loss):.3f}", "bound": f"{bound:.3f}", "features": features, "keys": 16,
        "seeds": found.seeds,
    }  # fmt: skip
    fits = min(found.loss) > bound - 1e-4 and median(found.loss) < bound + 0.02
    return Evidence(numbers, "holds-at-small-scale" if fits else "wrong")


def performers_approximate_softmax() -> Evidence:
    """256 positive orthogonal features at two sizes of the input: squared error of the output over its square."""
    found = measure_attention_error(scales=(0.5, 1.0), features=(256,))
    small, large = (found.median("positive orthogonal", scale, 256) for scale in found.scales)
    numbers: Numbers = {
        "small": f"{small:.0%}", "large": f"{large:.0%}", "features": 256, "length": found.length, "d": found.d,
        "seeds": found.seeds, "scale": found.scales[0], "unit": found.scales[1],
    }  # fmt: skip
    if small < 0.1 and large > 1:
        return Evidence(numbers, "imprecise")
    return Evidence(numbers, "holds-at-small-scale" if large < 0.1 else "wrong")


def linear_attention_saves_memory() -> Evidence:
    """Recorded peak memory at two lengths: the naive softmax grows like T squared, the fused one and ours like T."""
    record, (first, last) = load_costs(), (1024, 4096)

    def grew(way: str) -> float:
        return given(record.row(way, last).extra_mib) / given(record.row(way, first).extra_mib)

    numbers: Numbers = {
        "naive": f"{record.row('naive softmax', last).extra_mib:.0f}",
        "fused": f"{record.row('fused softmax', last).extra_mib:.0f}",
        "linear": f"{record.row('linear', last).extra_mib:.0f}",
        "length": last,
    }
    fused_is_linear = grew("fused softmax") < 6 < 12 < grew("naive softmax") and grew("linear") < 6
    return Evidence(numbers, "imprecise" if fused_is_linear else "holds")


def stable_up_to_two() -> Evidence:
    """beta = 1, |k|^2 = 1.96 and 2.25: how much the largest output grows as the number of writes doubles."""
    short, long = (measure_stability((1.4, 1.5), length=length) for length in (128, 256))
    below, above = (long.outputs[size] / short.outputs[size] for size in (1.4, 1.5))
    numbers: Numbers = {
        "first": short.length, "length": long.length, "seeds": long.seeds, "below": f"{below:.1f}",
        "above": f"{above:.0f}",
    }  # fmt: skip
    return Evidence(numbers, "holds" if below < 2 and above > 5 else "wrong")


def softmax_learns_faster() -> Evidence:
    """Recorded byte models of equal size: held-out loss with softmax and with the delta rule, seed by seed."""
    return lower_loss("softmax", "delta")


def some_softmax_helps() -> Evidence:
    """The same models: a hybrid with softmax in every fourth layer against the pure delta rule, seed by seed."""
    return lower_loss("hybrid", "delta")


def lower_loss(one: str, other: str) -> Evidence:
    """Whether one mixer of the recorded byte models is ahead of another in every pair of rate and seed, or in none.

    The numbers are bits a byte at the better of each mixer's rates.
    """
    runs = load_language()
    pairs = [
        (a.valid, b.valid)
        for lr in RATES
        for a, b in zip(pick(runs, one, lr), pick(runs, other, lr), strict=True)
    ]
    means = [
        mean(run.valid for run in pick(runs, mixer, best_rate(runs, mixer))) / log(2)
        for mixer in (one, other)
    ]
    won, lost = sum(a < b for a, b in pairs), sum(b < a for a, b in pairs)
    numbers: Numbers = {
        "one": f"{means[0]:.2f}", "other": f"{means[1]:.2f}", "pairs": len(pairs), "steps": STEPS, "layers": DEPTH,
        "width": D_MODEL, "rates": len(RATES), "lost": lost,
    }  # fmt: skip
    if won == len(pairs):
        return Evidence(numbers, "holds-at-small-scale")
    return Evidence(numbers, "wrong" if lost == len(pairs) else "imprecise")
