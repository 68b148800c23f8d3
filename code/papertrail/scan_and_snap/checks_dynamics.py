"""What the ledger calls for chapter 6's theorems. Each check states its thresholds; all use five random languages."""

import math
from functools import cache
from statistics import fmean, median
from typing import Any

from papertrail.claims import Evidence, Numbers
from papertrail.scan_and_snap.expected import (
    LEVEL,
    Trajectory,
    drift,
    measure_expected,
    measure_signs,
    measure_skewed,
    orthogonality,
    shared_query,
    worst_drift,
)
from papertrail.scan_and_snap.layer import measure_lemma_1
from papertrail.scan_and_snap.theorems import (
    Consequence,
    exponents,
    measure_consequences,
    measure_gains,
    measure_speed,
    premise,
    snap_times,
)

SEEDS = 5
ORTHOGONAL: dict[str, Any] = {
    "classes": 4,
    "distinct": 25,
    "share": 0.05,
}  # assumption 2 holds: M = 101, K = 4


@cache
def trained(seed: int, lr_y: float, lr_z: float, steps: int, orthogonal: bool = False) -> Trajectory:
    """The languages of this module's checks, each trained once."""
    language = shared_query(seed, **(ORTHOGONAL if orthogonal else {}))
    return measure_expected(language, lr_y, lr_z, steps)


def five(lr_y: float, lr_z: float, steps: int, orthogonal: bool = False) -> list[Trajectory]:
    """The same training on the five languages."""
    return [trained(seed, lr_y, lr_z, steps, orthogonal) for seed in range(SEEDS)]


def rows_keep_their_sum() -> Evidence:
    """Lemma 1 and eq. 4 against automatic differentiation, to 1e-12."""
    found = measure_lemma_1(SEEDS)
    exact = max(found.difference, found.row_sum, found.other_rows) < 1e-12 < found.own_row
    return Evidence({"seeds": found.seeds}, "holds" if exact else "wrong")


def distinct_gain_common_loses() -> Evidence:
    """Theorem 2's signs at every step, with assumption 2 and far outside it."""
    inside, outside = five(8, 0.2, 300, orthogonal=True), five(8, 0.2, 1000)
    signs = [measure_signs(run) for run in (*inside, *outside)]
    numbers: Numbers = {
        "seeds": SEEDS, "steps": outside[0].steps, "inside_steps": inside[0].steps,
        "inside": f"{max(orthogonality(run.language) for run in inside):.1f}",
        "outside": f"{max(orthogonality(run.language) for run in outside):.1f}",
        "inside_z": f"{fmean(run.z[-1, 0, 0].item() for run in inside):.2f}",
        "outside_z": f"{fmean(run.z[-1, 0, 0].item() for run in outside):.2f}",
    }  # fmt: skip
    return Evidence(numbers, "holds" if all(sign.hold for sign in signs) else "wrong")


def lowest_outrun_first() -> Evidence:
    """The order of the distinct tokens' logits is that of their probabilities at every step, in every class."""
    runs = five(8, 0.2, 1000)
    ordered = [measure_signs(run).ordered for run in runs]
    classes = sum(run.language.num_classes for run in runs)
    low, high = [], []
    for run in runs:
        for n in range(run.language.num_classes):
            own = run.language.distinct(n)
            P = run.language.probabilities[n, own]
            factor = run.attention(-1)[n, own] / P  # eq. 5: attention starts at P
            low.append(factor[P.argmin()].item())
            high.append(factor[P.argmax()].item())
    numbers: Numbers = {
        "ordered": sum(ordered), "classes": classes, "low": f"{fmean(low):.2f}", "high": f"{fmean(high):.2f}",
    }  # fmt: skip
    return Evidence(numbers, "holds" if sum(ordered) == classes else "wrong")


def conserved_quantity() -> Evidence:
    """The drift after 1,000 steps at three ratios of the rates; below 1 % in every class at the largest.

    And smaller where attention has come equally far: else the decoder would only have slowed it.
    """
    worst, alike = {}, {}
    for ratio in (1, 40, 160):
        runs = five(0.2 * ratio, 0.2, 1000)
        worst[ratio] = [drift(run, n)[-1].item() for run in runs for n in range(run.language.num_classes)]
        alike[ratio] = max(worst_drift(run) for run in runs)
    slow, fast, faster = (max(worst[ratio]) for ratio in worst)
    numbers: Numbers = {
        "equal": f"{slow:.1%}", "forty": f"{fast:.2%}", "usual": f"{median(worst[40]):.2%}",
        "below": sum(value < 0.01 for value in worst[40]), "classes": len(worst[40]), "four_times": f"{faster:.2%}",
        "ratio": 40, "fastest": 160, "level": f"{LEVEL:.0%}",
        "alike_equal": f"{alike[1]:.2%}", "alike_forty": f"{alike[40]:.2%}", "alike_fastest": f"{alike[160]:.2%}",
    }  # fmt: skip
    shrinks = faster < min(0.01, fast / 2) and fast < slow / 2 and alike[160] <= alike[40] < alike[1] / 2
    return Evidence(numbers, "holds" if shrinks else "wrong")


def speed_rises_then_falls() -> Evidence:
    """Theorem 1's speed within 2 % of the decoder's signal under assumption 2, and where its two laws are reached."""
    inside = [measure_speed(run) for run in five(0.5, 0.0125, 1500, orthogonal=True)]
    outside = [measure_speed(run) for run in five(1, 0.2, 1000)]
    off, far = (
        max(((run.measured / run.formula) - 1).abs().max().item() for run in runs)
        for runs in (inside, outside)
    )
    speed = inside[0]
    before, after = speed.snap
    at = [round(t) for t in (before / 4, before, after, 20 * after)]
    rises = [(speed.measured / speed.early)[t - 1].item() for t in at[:2]]
    falls = [(speed.measured / speed.late)[t - 1].item() for t in at[2:]]
    numbers: Numbers = {
        "off": f"{off:.1%}", "far": f"{far:.0%}", "quarter": f"{rises[0]:.2f}", "before": f"{rises[1]:.2f}",
        "after": f"{falls[0]:.2f}", "long_after": f"{falls[1]:.2f}", "times": 20, "seeds": SEEDS,
    }  # fmt: skip
    return Evidence(
        numbers, "holds" if off < 0.02 and abs(falls[1] - 1) < 0.05 < 1 - rises[1] else "imprecise"
    )


def relative_gain() -> Evidence:
    """Theorem 3's gain within 3 % and its bounds kept, in every class of every language at a ratio of 40."""
    runs = five(8, 0.2, 1000)
    found = [measure_gains(run, n) for run in runs for n in range(run.language.num_classes)]
    kept = sum(bool((g.lower <= g.chi).all() and (g.chi <= g.upper).all()) for g in found)
    worst = max(g.worst for g in found)
    numbers: Numbers = {
        "classes": len(found), "kept": kept, "worst": f"{worst:.1%}",
        "chi": f"{fmean(g.chi[-1].item() for g in found):.2f}",
        "lower": f"{fmean(g.lower[-1].item() for g in found):.2f}",
        "upper": f"{fmean(g.upper[-1].item() for g in found):.2f}",
    }  # fmt: skip
    return Evidence(numbers, "holds" if kept == len(found) and worst < 0.03 else "imprecise")


def growth_law_changes() -> Evidence:
    """exp(-4 z_0) grows at least four times as slowly in powers of t after the snap, and then as about ln^2 t.

    About: a power from 1.5 to 2.5. The decoder is 5 times as fast as the attention, then 40 times.
    """
    runs = five(1, 0.2, 1000)
    before, after = zip(*(exponents(run) for run in runs), strict=True)
    soon, faster = zip(*(exponents(run) for run in five(8, 0.2, 1000)), strict=True)
    late = [4 * (run.z[run.steps // 2, 0, 0] - run.z[-1, 0, 0]).item() / math.log(2) for run in runs]
    numbers: Numbers = {
        "before": f"{fmean(before):.1f}", "after": f"{fmean(after):.1f}", "late": f"{fmean(late):.2f}",
        "faster": f"{fmean(faster):.1f}", "soon": f"{fmean(soon):.1f}", "ratio": 5, "larger": 40, "seeds": SEEDS,
    }  # fmt: skip
    if min(before) <= max(1, 4 * max(late)):
        return Evidence(numbers, "wrong")
    return Evidence(
        numbers, "holds" if all(1.5 < power < 2.5 for power in (*after, *faster)) else "imprecise"
    )


def premise_of_theorem_4() -> Evidence:
    """xi / (gamma exp(4 z_0)) is a constant in theorem 4: how many times it changes before t0 and after.

    The decoder is 5 times as fast as the attention; after t0 also 40 times.
    """

    def change(run: Trajectory) -> tuple[float, float]:
        held = premise(run)
        t0 = round(snap_times(run.language.num_classes, run.outputs, run.lr_y)[1])
        return (held[:t0].max() / held[:t0].min()).item(), (held[t0:].max() / held[t0:].min()).item()

    before, after = zip(*(change(run) for run in five(1, 0.2, 1000)), strict=True)
    faster = [change(run)[1] for run in five(8, 0.2, 1000)]
    numbers: Numbers = {
        "before": f"{fmean(before):.1f}", "after": f"{fmean(after):.1f}", "faster": f"{fmean(faster):.1f}",
        "ratio": 5, "larger": 40, "seeds": SEEDS,
    }  # fmt: skip
    worst = max(*before, *after, *faster)
    return Evidence(numbers, "holds" if worst < 1.1 else "imprecise" if max(after) < 2 else "wrong")


def does_it_stop() -> Evidence:
    """The NeurIPS abstract's "stops": whether the common token still loses long after t0, and which rate matters."""
    slow, fast = five(1, 0.2, 1000), five(8, 0.2, 1000)
    t0 = round(snap_times(5, slow[0].outputs, 1)[1])
    doublings = [
        fmean((run.z[t, 0, 0] - run.z[2 * t, 0, 0]).item() for run in slow)
        for t in (t0 // 2, t0, 4 * t0, 16 * t0)
    ]
    pairs = (slow, fast, five(1, 0.8, 300))
    kept = [fmean(run.attention(300)[:, 0].mean().item() for run in runs) for runs in pairs]
    numbers = {
        "snap": f"{doublings[0]:.2f}", "next": f"{doublings[1]:.2f}", "late": f"{doublings[2]:.2f}",
        "last": f"{doublings[3]:.2f}", "slow": f"{kept[0]:.3f}", "fast": f"{kept[1]:.3f}",
        "attention": f"{kept[2]:.3f}",
    }  # fmt: skip
    if doublings[3] <= 0:
        return Evidence(numbers, "holds")
    slows = all(later < earlier for earlier, later in zip(doublings, doublings[1:], strict=False))
    return Evidence(numbers, "imprecise" if slows else "wrong")


def outside_the_assumptions() -> Evidence:
    """Where theorem 2's signs break: a skewed common token, a slow decoder, large steps, several common tokens."""
    skewed = measure_skewed()
    broken = [case for case in skewed if case.first > 0]
    predicted = [case for case in skewed if case.ratio < case.threshold]
    equal = [measure_signs(run) for run in five(1, 1, 500)]
    slow = [measure_signs(run) for run in five(0.02, 2, 1000)]
    large = [measure_signs(run) for run in five(1, 10, 200)]
    several = [
        measure_signs(measure_expected(shared_query(seed, common=3), 8, 0.2, 300)) for seed in range(SEEDS)
    ]
    numbers: Numbers = {
        "threshold": f"{predicted[0].ratio / predicted[0].threshold:.2f}" if predicted else "0",
        "broken": len(broken), "cases": len(skewed), "seeds": SEEDS,
        "equal": sum(sign.hold for sign in equal), "slow": sum(sign.hold for sign in slow),
        "slow_share": f"{max(sign.losing for sign in slow):.0%}", "large": sum(sign.hold for sign in large),
        "several": sum(sign.hold for sign in several),
    }  # fmt: skip
    return Evidence(numbers, "holds" if broken and broken == predicted else "wrong")


def consequences() -> Evidence:
    """Section 6: larger eta_Y, earlier snap; both rates larger, sparser; smaller eta_Y, later and sparser."""
    runs = measure_consequences(seeds=SEEDS)
    slow, middle, fast, both = runs
    earlier = all(a > b > c for a, b, c in zip(slow.peak, middle.peak, fast.peak, strict=True))

    def sparser(one: Consequence, other: Consequence) -> bool:
        return all(a < b for a, b in zip(one.entropy + one.common, other.entropy + other.common, strict=True))

    held = earlier and sparser(both, middle) and sparser(slow, middle) and sparser(middle, fast)
    numbers: Numbers = {
        "peaks": ", ".join(str(round(median(run.peak))) for run in runs[:3]),
        "entropies": ", ".join(f"{fmean(run.entropy):.3f}" for run in runs[:3]),
        "both": f"{fmean(both.entropy):.3f}",
        "common": ", ".join(f"{fmean(run.common):.3f}" for run in runs[:3]), "seeds": SEEDS,
    }  # fmt: skip
    return Evidence(numbers, "holds" if held else "imprecise")
