"""What the ledger calls for the sampled runs of chapter 6. Each check states its thresholds."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from statistics import median

import torch

from papertrail.claims import Evidence, Numbers
from papertrail.scan_and_snap.measures import rank_correlation
from papertrail.scan_and_snap.recorded_sampled import load_long_run, load_many_seeds, load_sweep
from papertrail.scan_and_snap.sampled import (
    FIGURE_4,
    SLOW_DECODER,
    STEPS,
    Rates,
    Replay,
    measure_figure_4,
    measure_figure_5,
    measure_moves,
    official_losses,
)
from papertrail.scan_and_snap.sampled_drawings import places_outside

PLAIN = FIGURE_4[0]  # rates 1 and 1, the run that has an official log
OFFICIAL_FINAL = 48  # the iteration that the authors' drawing calls "Final"


@cache
def figure_4() -> dict[Rates, list[Replay]]:
    """Five seeds at the four pairs of rates, and at a slower decoder."""
    return measure_figure_4((*FIGURE_4, SLOW_DECODER))


@cache
def figure_5() -> dict[Rates, list[Replay]]:
    """Five seeds of Adam at the paper's three rates."""
    return measure_figure_5()


def official_run() -> Evidence:
    """The printed losses among those of 40 seeds: holds with at most a tenth outside, imprecise with half.

    Of a 41st seed one would expect two in 41 to be outside.
    """
    official, many = official_losses(), load_many_seeds()
    few, wide = places_outside(figure_4()[PLAIN], official, many)
    share = len(wide) / len(official)
    together = rank_correlation(torch.tensor(many.late), torch.tensor(many.asymmetry)).item()
    numbers: Numbers = {
        "inside": len(official) - len(wide), "of": len(official), "seeds": len(many.late),
        "few": len(figure_4()[PLAIN]), "outside": len(few),
        "together": f"{together:.1f}",
    }  # fmt: skip
    return Evidence(numbers, "holds" if share <= 0.1 else "imprecise" if share <= 0.5 else "wrong")


def official_final_row() -> Evidence:
    """The row called "Final" is the last if it is iteration 100; imprecise if less than a hundredth differs."""
    runs = figure_4()[PLAIN]
    moved = [run.moved(OFFICIAL_FINAL, STEPS) for run in runs]
    numbers: Numbers = {
        "row": OFFICIAL_FINAL,
        "steps": STEPS,
        "moved": f"{100 * max(moved):.1f}",
        "seeds": len(runs),
    }
    return Evidence(
        numbers, "holds" if OFFICIAL_FINAL == STEPS else "imprecise" if max(moved) < 0.01 else "wrong"
    )


def signs_with_samples() -> Evidence:
    """Logits at the end, in all seeds, classes and four pairs of rates.

    Holds if every distinct token gained and every common one lost in every case; imprecise if that is so of the
    common ones and of the more frequent half of the distinct ones.
    """
    moves = [measure_moves(figure_4()[rates]) for rates in FIGURE_4]
    common = all(move.common_lost == 1 for move in moves)
    always = [n for n in range(10) if all(move.gained[n] == 1 for move in moves)]
    rarest = load_many_seeds().rarest
    longest = max(rarest, key=int)
    numbers: Numbers = {
        "long": longest, "gains": f"{sum(z > 0 for z in rarest[longest])} of {len(rarest[longest])}",
        "always": len(always), "of": 10, "rarest": f"{measure_moves(figure_4()[PLAIN]).gained[0]:.0%}",
        "seeds": len(figure_4()[PLAIN]), "settings": len(moves),
    }  # fmt: skip
    if common and len(always) == 10:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if common and set(range(5, 10)) <= set(always) else "wrong")


def order_with_samples() -> Evidence:
    """Rank correlation of logits with frequency: holds above 0.95 in every case, imprecise above 0."""
    orders = [order for rates in FIGURE_4 for order in measure_moves(figure_4()[rates]).order]
    numbers: Numbers = {"lowest": f"{min(orders):.2f}", "cases": len(orders), "seeds": len(figure_4()[PLAIN])}
    return Evidence(numbers, "holds" if min(orders) > 0.95 else "imprecise" if min(orders) > 0 else "wrong")


def snap_and_after() -> Evidence:
    """Nine tenths of the change over by half time in every run of figure 4; and what plain SGD moves later.

    Holds if from iteration 100 to 4,000 less than a hundredth of the attention moves, imprecise if it moves ever less
    per step, wrong otherwise.
    """
    ways = [run.way(STEPS // 2) for rates in FIGURE_4 for run in figure_4()[rates]]
    found = load_long_run()
    after = found.times.index(STEPS) + 1
    later = [sum(run[after:]) for run in found.moved["sgd"]]
    lengths = [end - begin for begin, end in pairwise(found.times)]
    speeds = [[m / n for m, n in zip(run[1:], lengths, strict=True)] for run in found.moved["sgd"]]
    slower = all(b < a for run in speeds for a, b in pairwise(run[after - 1 :]))
    numbers: Numbers = {
        "least": f"{100 * min(ways):.0f}", "half": STEPS // 2, "end": STEPS, "last": f"{found.times[-1]:,}",
        "later": f"{100 * median(later):.0f}", "seeds": len(later),
        "early": f"{100 * median(run[after - 1] for run in found.top['momentum']):.0f}",
        "late": f"{100 * median(run[-1] for run in found.top['momentum']):.0f}",
    }  # fmt: skip
    if min(ways) < 0.9 or not slower:
        return Evidence(numbers, "wrong")
    return Evidence(numbers, "holds" if max(later) < 0.01 else "imprecise")


def _nats(rates: Rates) -> list[float]:
    return [run.entropies[-1].mean().item() for run in figure_4()[rates]]


def _half(rates: Rates) -> list[float]:
    return [run.half_time for run in figure_4()[rates]]


def _kept(lower: Sequence[float], higher: Sequence[float]) -> int:
    """In how many seeds the one is below the other; a seed is the same language and the same start for both."""
    return sum(low < high for low, high in zip(lower, higher, strict=True))


def rates_and_sparsity() -> Evidence:
    """The three consequences of section 6, each as an order that is compared seed by seed.

    They hold if each order is kept by all seeds but one at most, and by the medians; imprecise if by the medians alone.
    Over six sets of five seeds the narrowest, a slower decoder's sparser attention, is broken by two seeds of thirty.
    """
    slow, plain, fast = SLOW_DECODER, PLAIN, (10.0, 1.0)
    halved = ((0.5, 0.5), PLAIN), ((5.0, 0.5), fast)
    orders: list[tuple[list[float], list[float]]] = [
        (_half(fast), _half(plain)), (_half(plain), _half(slow)),  # a faster decoder: an earlier snap
        *((_nats(large), _nats(small)) for small, large in halved),  # both rates up: sparser
        (_nats(slow), _nats(plain)), (_nats(plain), _nats(fast)),  # a slower decoder: sparser
    ]  # fmt: skip
    numbers = {
        f"{name}_{part}": f"{median(values(rates)):{form}}"
        for name, rates in (("slow", slow), ("plain", plain), ("fast", fast), ("halved", (0.5, 0.5)))
        for part, values, form in (("half", _half, "g"), ("nats", _nats, ".2f"))
    }
    kept = [_kept(low, high) for low, high in orders]
    narrowest = median(high - low for low, high in zip(_nats(slow), _nats(plain), strict=True))
    numbers |= {"kept": f"{min(kept)}", "seeds": f"{len(_nats(plain))}", "narrowest": f"{narrowest:.2f}"}
    if not all(median(low) < median(high) for low, high in orders):
        return Evidence(numbers, "wrong")
    return Evidence(numbers, "holds" if min(kept) >= len(_nats(plain)) - 1 else "imprecise")


def becomes_sparse() -> Evidence:
    """Effective number of tokens, exp of the entropy, of 20 that a class has.

    Holds if at each of four pairs of rates it ends below half of its start in every seed; imprecise if it falls at
    rates 1 and 1 in every seed; wrong otherwise.
    """
    first = figure_4()[PLAIN][0].entropies[0].mean().exp().item()
    ends = {rates: [run.entropies[-1].mean().exp().item() for run in figure_4()[rates]] for rates in FIGURE_4}
    numbers: Numbers = {
        "start": f"{first:.1f}", "plain": f"{median(ends[PLAIN]):.1f}", "least": f"{median(ends[(5.0, 0.5)]):.1f}",
        "seeds": len(ends[PLAIN]),
        "common": f"{100 * figure_4()[PLAIN][0].common[0].mean().item():.0f}",
        "left": f"{100 * median(run.common[-1].mean().item() for run in figure_4()[PLAIN]):.0f}",
    }  # fmt: skip
    if max(max(values) for values in ends.values()) < first / 2:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if max(ends[PLAIN]) < first else "wrong")


def no_winner() -> Evidence:
    """At the end of the long runs no token has half of the attention, nor the second less than a third of the first's.

    With and without momentum, in every seed; of the two classes the more uneven one counts.
    """
    found = load_long_run()
    top = {method: [run[-1] for run in runs] for method, runs in found.top.items()}
    ratio = min(run[-1] for runs in found.ratio.values() for run in runs)
    numbers: Numbers = {
        "last": f"{found.times[-1]:,}", "plain": f"{100 * max(top['sgd']):.0f}",
        "momentum": f"{100 * max(top['momentum']):.0f}", "second": f"{ratio:.2f}", "seeds": len(top["sgd"]),
    }  # fmt: skip
    most = max(max(values) for values in top.values())
    return Evidence(numbers, "holds" if most < 0.5 and ratio > 1 / 3 else "wrong")


def adam_picks_others() -> Evidence:
    """Holds if Adam's three strongest tokens differ from SGD's at some rate, and between rates; wrong if nowhere.

    A rate's choice is the one of most seeds and classes.
    """
    moves = {rates: measure_moves(runs) for rates, runs in figure_5().items()}
    chosen = {rates: max(set(move.top), key=move.top.count) for rates, move in moves.items()}
    sgd = measure_moves(figure_4()[PLAIN])
    usual = max(set(sgd.top), key=sgd.top.count)
    numbers: dict[str, float | int | str] = {
        name: ", ".join(str(1 + n) for n in chosen[rates])
        for name, rates in zip(("low", "middle", "high"), chosen, strict=True)
    }
    numbers |= {
        "sgd": ", ".join(str(1 + n) for n in usual), "plain": f"{min(sgd.order):.2f}",
        "adam": f"{max(max(move.order) for move in moves.values()):.2f}".replace("-", "−"),
        "seeds": len(figure_4()[PLAIN]),
    }  # fmt: skip
    others = sum(choice != usual for choice in chosen.values())
    several = len(set(chosen.values())) > 1
    return Evidence(numbers, "holds" if others and several else "imprecise" if others else "wrong")


def sweep_of_rates() -> Evidence:
    """Figure 6's two statements, seed by seed, from both starts.

    Entropy at the largest rate of Z below that at the smallest; entropy at a ratio of 10 above that at 2. Holds if
    both are so in every case, imprecise if each is in more than half.
    """
    sweep = load_sweep()
    falls, rises, gentle = [], [], []
    for by_rate in sweep.entropy.values():
        low, *_, high = by_rate.values()
        falls += [b < a for ratio in low for a, b in zip(low[ratio], high[ratio], strict=True)]
        for rate, ratios in by_rate.items():
            grew = [b > a for a, b in zip(ratios["2"], ratios["10"], strict=True)]
            rises += grew
            gentle += grew if float(rate) <= 1 else []
    lowest = {start: median(by_rate["3"]["1"]) for start, by_rate in sweep.entropy.items()}
    numbers: Numbers = {
        "falls": sum(falls), "pairs": len(falls), "rises": sum(rises), "cases": len(rises),
        "gentle": sum(gentle), "slow": len(gentle), "seeds": len(sweep.before["zero"]),
        "zero": f"{lowest['zero']:.1f}", "torch": f"{lowest['torch']:.1f}",
    }  # fmt: skip
    if all(falls) and all(rises):
        return Evidence(numbers, "holds")
    more_than_half = min(sum(falls) / len(falls), sum(rises) / len(rises)) > 0.5
    return Evidence(numbers, "imprecise" if more_than_half else "wrong")
