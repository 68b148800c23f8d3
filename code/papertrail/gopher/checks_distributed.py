"""What the ledger calls for chapter 5 on messages, relative positions and depth. Each check states its thresholds.

Counts come from the recorded table, made in real processes, and must equal the formulas; what needs one process only
is measured anew.
"""

from math import log10
from statistics import fmean, median

from papertrail.claims import Evidence, Numbers
from papertrail.gopher.checks_norms import batch_dependence
from papertrail.gopher.depth import (
    FAILED,
    DepthTraining,
    measure_depth_gradients,
    measure_shifted_start,
    norm_ratios,
)
from papertrail.gopher.messages import StepMessages, expected_messages
from papertrail.gopher.recorded_depth import APART, find, load_depth, load_depth_gradients
from papertrail.gopher.recorded_messages import load_messages
from papertrail.gopher.relative_positions import measure_shift, measure_translation
from papertrail.gopher.sync_batch_norm import measure_local_statistics

ROUND_OFF = 1e-12
BLOW_UP = 100  # times the gradient with a norm, from which a net without norms is called unstable


def _counted(norm: str, broadcast_buffers: bool = True) -> list[StepMessages]:
    """One case in every recorded table."""
    return [messages.find(norm, broadcast_buffers) for messages in load_messages().values()]


def _as_expected(steps: list[StepMessages]) -> bool:
    """Whether counts and bytes are those of the formulas (for gradients, bytes only)."""
    return all(
        sum(found := getattr(step, field)) == size and (field == "gradients" or len(found) == calls)
        for step in steps
        for field, (calls, size) in expected_messages(step.norm, step.broadcast_buffers).items()
    )


def _own(step: StepMessages) -> int:
    """Messages that the norm itself sends."""
    return len(step.gathers + step.sums)


def norms_without_synchronization() -> Evidence:
    """LayerNorm and RMSNorm send nothing; but then, plain BatchNorm sends nothing of its own either."""
    free = [step for norm in ("LayerNorm", "RMSNorm") for step in _counted(norm)]
    plain, synchronized = _counted("BatchNorm", False), _counted("SyncBatchNorm", False)
    layers = len(synchronized[0].gathers)
    numbers = {
        "free": sum(map(_own, free)), "plain": sum(map(_own, plain)), "synchronized": _own(synchronized[0]),
        "layers": layers,
    }  # fmt: skip
    if numbers["free"] or not all(map(_own, synchronized)):
        return Evidence(numbers, "wrong")
    return Evidence(numbers, "holds" if numbers["plain"] else "imprecise")


def norms_without_batch() -> Evidence:
    """Both of the article's reasons: no batch needed, measured, and no messages needed, counted."""
    batch, messages = batch_dependence(), norms_without_synchronization()
    verdict = batch.verdict if batch.verdict == "wrong" else messages.verdict
    return Evidence({**batch.numbers, **messages.numbers}, verdict)


def plain_batch_norm_synchronizes() -> Evidence:
    """Plain BatchNorm's own messages, and how far a batch in two shares is from the batch as a whole."""
    steps, local = _counted("BatchNorm"), measure_local_statistics()
    numbers: Numbers = {
        "own": sum(map(_own, steps)), "apart": f"{median(local.largest):.1f}", "shares": local.shares,
        "rows": local.rows, "seeds": len(local.largest),
    }  # fmt: skip
    return Evidence(numbers, "wrong" if not numbers["own"] and min(local.largest) > 0.5 else "holds")


def synchronizing_costs_calls() -> Evidence:
    """Two collectives a layer, and bytes that hardly count: less than a twentieth of the gradients'."""
    steps = _counted("SyncBatchNorm", False)
    layers = expected_messages("SyncBatchNorm", False)["gathers"][0]
    share = max(step.extra_bytes / sum(step.gradients) for step in steps)
    numbers: Numbers = {
        "calls": _own(steps[0]) // layers, "layers": layers, "total": _own(steps[0]),
        "buckets": len(steps[0].gradients), "share": f"{share:.1%}",
        "processes": " and ".join(map(str, sorted(load_messages()))),
    }  # fmt: skip
    fits = _as_expected(steps) and all(_own(step) == 2 * layers for step in steps) and share < 0.05
    return Evidence(numbers, "holds" if fits else "wrong")


def batch_norm_sends_only_gradients() -> Evidence:
    """DDP broadcasts the running statistics before each step, unless it is told not to."""
    default, told = _counted("BatchNorm"), _counted("BatchNorm", False)
    numbers: Numbers = {"broadcasts": len(default[0].buffers), "bytes": f"{sum(default[0].buffers):,}",
               "told": sum(len(step.buffers) for step in told)}  # fmt: skip
    sent = all(step.buffers for step in default) and _as_expected(default + told)
    return Evidence(numbers, "wrong" if sent else "holds")


def shift_is_exact() -> Evidence:
    """The shift against the loops, outputs and all gradients, at two lengths."""
    results = [measure_shift(length) for length in (2, 12)]
    worst = max(value for result in results for value in result.outputs + result.gradients)
    numbers: Numbers = {
        "lengths": " and ".join(str(result.length) for result in results),
        "seeds": results[0].seeds,
    }
    return Evidence(numbers, "holds" if worst < ROUND_OFF else "wrong")


def scores_depend_on_distance() -> Evidence:
    """A passage's scores with and without other text before it."""
    result = measure_translation()
    numbers: Numbers = {
        "absolute": f"{100 * median(result.absolute):.0f}",
        "before": result.before,
        "seeds": result.seeds,
    }
    same = max(result.relative) < ROUND_OFF and min(result.absolute) > 0.01
    return Evidence(numbers, "holds" if same else "wrong")


def _compared(runs: list[DepthTraining]) -> list[int]:
    """For every setting in which one of the norms trains: 1 where RMSNorm ends better, -1 where worse, else 0."""
    found = []
    for rms in (run for run in runs if run.norm == "RMSNorm" and not run.weight_mean):
        layer = find(runs, rms.depth, rms.placement, "LayerNorm", rms.lr, rms.start)
        if rms.failed != layer.failed:
            found.append(1 if rms.failed < layer.failed else -1)
        elif rms.failed < rms.seeds:  # where all seeds of both fail there is nothing to compare
            by = _trained(layer) - _trained(rms)
            found.append(0 if abs(by) < APART else 1 if by > 0 else -1)
    return found


def _trained(run: DepthTraining) -> float:
    """Mean final loss of the seeds that did not fail."""
    return fmean(loss for loss in run.final if loss < FAILED)


def rmsnorm_stabilizes_depth() -> Evidence:
    """Against no norm: every run without one fails, none of Pre with RMSNorm does. Against LayerNorm: cell by cell.

    It holds if RMSNorm is better than LayerNorm in at least half of the cells; with no difference it is imprecise. A
    cell is a depth, rate, placement and start in which at least one of the two norms trains.
    """
    runs = load_depth()
    bare = [run for run in runs if run.norm == "none"]
    pre = [run for run in runs if (run.placement, run.norm, run.weight_mean) == ("pre", "RMSNorm", 0.0)]
    start = measure_depth_gradients((12,), (("pre", "none"), ("pre", "RMSNorm")), seeds=3)
    without, with_norm = (median(row[0] for row in result.norms) for result in start)
    helps = (
        all(run.failed == run.seeds for run in bare)
        and not any(run.failed for run in pre)
        and without > BLOW_UP * with_norm
    )
    compared, ratios = _compared(runs), norm_ratios(load_depth_gradients())
    numbers: Numbers = {
        "bare_failed": sum(run.failed for run in bare), "bare": sum(run.seeds for run in bare),
        "pre_failed": sum(run.failed for run in pre), "pre": sum(run.seeds for run in pre),
        "same": compared.count(0), "better": compared.count(1), "worse": compared.count(-1),
        "cells": len(compared), "first": min(run.depth for run in pre), "last": max(run.depth for run in pre),
        "clear": sum(ratio.stands_out for ratio in ratios), "ratios": len(ratios),
        "orders": f"{log10(without / with_norm):.0f}",
    }  # fmt: skip
    if not helps:
        return Evidence(numbers, "wrong")
    return Evidence(
        numbers, "holds-at-small-scale" if 2 * compared.count(1) >= len(compared) else "imprecise"
    )


def robust_to_shifted_weights() -> Evidence:
    """From weights around 0.2, Pre: how many seeds fail with each norm, and what the shift changes before training.

    It holds if RMSNorm fails no more often than LayerNorm.
    """
    layer, rms = (
        next(run for run in load_depth() if run.weight_mean and (run.placement, run.norm) == ("pre", norm))
        for norm in ("LayerNorm", "RMSNorm")
    )
    start = measure_shifted_start()
    numbers: Numbers = {
        "rms": rms.failed, "layer": layer.failed, "seeds": rms.seeds, "mean": rms.weight_mean, "blocks": rms.depth,
        "moved": f"{100 * median(start.changes['RMSNorm']):.0f}",
    }  # fmt: skip
    if rms.failed <= layer.failed:
        return Evidence(numbers, "holds-at-small-scale")
    exact = max(start.changes["LayerNorm"]) < 1e-9 < 0.01 < min(start.changes["RMSNorm"])
    return Evidence(numbers, "imprecise" if exact else "wrong")
