"""Tables of chapter 2's language models on real text."""

from collections.abc import Sequence
from math import log
from statistics import mean

from papertrail.layer_norm_placement.drawings import NAMES
from papertrail.layer_norm_placement.language import WIDE_ARMS, WIDE_WARMUPS, LanguageRun, WarmUpRun


def cell(nats: Sequence[float]) -> str:
    """Losses of several seeds in bits a byte: mean and range."""
    bits = [value / log(2) for value in nats]
    return f"{mean(bits):.3f} [{min(bits):.3f}, {max(bits):.3f}]" if bits else "not run"


def table_of_language(runs: Sequence[LanguageRun]) -> tuple[list[str], list[list[str]]]:
    """Held-out loss in bits a byte: for each placement and rate the mean and the range over seeds."""
    rates = sorted({run.lr for run in runs})
    rows = []
    for placement in dict.fromkeys(run.placement for run in runs):
        by_rate = ([r.valid for r in runs if (r.placement, r.lr) == (placement, rate)] for rate in rates)
        rows.append([NAMES[placement], *map(cell, by_rate)])
    return ["placement", *(f"rate {rate:g}" for rate in rates)], rows


def table_of_warm_up(runs: Sequence[WarmUpRun]) -> tuple[list[str], list[list[str]]]:
    """Held-out loss in bits a byte without and with warm-up, and what it gains from seed to seed."""
    rows = []
    for placement in WIDE_ARMS:
        found = [
            {run.seed: run.valid for run in runs if (run.placement, run.warmup) == (placement, warmup)}
            for warmup in WIDE_WARMUPS
        ]
        gains = [(found[0][seed] - found[1][seed]) / log(2) for seed in found[0]]
        gained = f"{min(gains):+.3f} to {max(gains):+.3f}".replace("-", "−")
        rows.append([NAMES[placement], *(cell(list(part.values())) for part in found), gained])
    return ["placement", "no warm-up", f"{WIDE_WARMUPS[1]} steps of it", "gain, by seed"], rows
