"""What the ledger calls for chapter 5's norms. Each check states its thresholds."""

from statistics import median

import torch
from torch import nn

from papertrail.claims import Evidence, Numbers
from papertrail.gopher.invariances import (
    PUBLISHED,
    WAYS,
    measure_invariances,
    measure_mean_shift,
    measure_signs,
)
from papertrail.gopher.norm_drawings import crossing
from papertrail.gopher.norm_speed import LAYER, PAPER_TIMES, STATED, TORCH, WRITTEN, load_speed, saved
from papertrail.gopher.normalization import BatchNorm, RMSNorm
from papertrail.gopher.recorded_group_size import load_group_sizes
from papertrail.gopher.rewriting import measure_rewriting

ROUND_OFF = 1e-12  # float64, of values of order 1
LARGE = (8192, 1024)


def _share_changed(norm: nn.Module) -> float:
    """How far eight cases' outputs move when eight others of the batch are replaced, over the largest output."""
    generator = torch.Generator().manual_seed(0)
    kept, first, second = torch.randn(3, 8, 1, 16, dtype=torch.float64, generator=generator)
    out, new = (norm.double()(torch.cat([kept, others]))[:8] for others in (first, second))
    return ((out - new).abs().max() / out.abs().max()).item()


def batch_dependence() -> Evidence:
    """Replace half of a batch: LayerNorm's and RMSNorm's outputs for the other half stay, BatchNorm's do not."""
    layer, rms, batch = (_share_changed(norm) for norm in (nn.LayerNorm(16), RMSNorm(16), BatchNorm(16)))
    as_said = max(layer, rms) < ROUND_OFF and batch > 0.1
    return Evidence({"batch": f"{batch:.0%}"}, "holds" if as_said else "wrong")


def small_batches() -> Evidence:
    """The recorded runs: BatchNorm's error over LayerNorm's and RMSNorm's, in every seed, at groups of 2 and 4."""
    found = load_group_sizes()
    small = sorted(found.evaluated)[:2]
    behind = [min(found.behind(group, norm)) for group in small for norm in ("LayerNorm", "RMSNorm")]
    numbers: Numbers = {
        "seeds": found.seeds,
        "smallest": small[0],
        "second": small[1],
        "batch": f"{median(found.evaluated[small[0]]):.0%}",
        "batch_second": f"{median(found.evaluated[small[1]]):.0%}",
        "layer": f"{median(found.others['LayerNorm']):.0%}",
        "rms": f"{median(found.others['RMSNorm']):.0%}",
        "from": f"{crossing(found):g}",
    }
    return Evidence(numbers, "holds-at-small-scale" if min(behind) > 0.02 else "wrong")


def invariance_table() -> Evidence:
    """Every cell of the published table, measured: no change below 1e-10, or a clear one above 0.1, in five seeds."""
    found = measure_invariances()
    cells = len(PUBLISHED) * len(WAYS)
    numbers = {"agree": found.agreeing, "cells": cells, "seeds": found.seeds}
    return Evidence(numbers, "holds" if found.agreeing == cells else "wrong")


def rms_is_layer_without_centering() -> Evidence:
    """Equal to round-off at mean 0, and more than 0.05 apart at a tenth of a standard deviation."""
    found = measure_mean_shift((0.0, 0.1))
    numbers: Numbers = {"apart": f"{found.difference[1]:.2f}", "seeds": found.seeds}
    holds = found.difference[0] < ROUND_OFF and found.difference[1] > 0.05
    return Evidence(numbers, "holds" if holds else "wrong")


def pre_rms_norm() -> Evidence:
    """Outputs equal to round-off after the rewriting, and clearly different where the centering is left out."""
    found = measure_rewriting()
    numbers = {"layers": found.depth, "seeds": len(found.difference)}
    holds = max(found.difference) < ROUND_OFF and min(found.uncentered) > 0.01 and found.norms_left == 0
    return Evidence(numbers, "holds" if holds else "wrong")


def faster() -> Evidence:
    """The abstract's two ends, from the paper's own tables and from the recorded benchmark.

    Holds if RMSNorm itself spans the range in the paper, and saves time here as torch ships it. Imprecise if it saves
    time in each of the paper's models, and here at least where both norms are written out in the same way.
    """
    rms, partial = zip(*(saved(model) for model in PAPER_TIMES), strict=True)
    speed = load_speed()
    shapes = speed.shapes
    shipped = [speed.ratio(TORCH, LAYER, shape) for shape in shapes]
    written = [100 * (1 - speed.ratio(*WRITTEN, shape)) for shape in shapes]
    numbers = {
        "least": f"{min(rms):.0f}", "most": f"{max(rms):.0f}", "partial": f"{max(partial):.0f}",
        "rows": f"{LARGE[0]:,}", "dim": f"{LARGE[1]:,}",
        "slower": f"{speed.ratio(TORCH, LAYER, LARGE):.1f}", "slowest": f"{max(shipped):.1f}",
        "fastest": f"{min(shipped):.1f}",
        "saved_low": f"{min(written):.0f}", "saved_high": f"{max(written):.0f}",
    }  # fmt: skip
    spans = (round(min(rms)), round(max(rms))) == STATED
    if spans and max(shipped) < 1:
        return Evidence(numbers, "holds")
    return Evidence(numbers, "imprecise" if min(rms) > 0 and min(written) > 0 else "wrong")


def batch_of_two() -> Evidence:
    """A hundred random pairs through BatchNorm with eps 0: every output is -1 or +1, to round-off."""
    pairs = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)).tolist()
    outputs = measure_signs(pairs)
    signs = all(abs(abs(value) - 1) < 1e-9 for pair in outputs for value in pair)
    ordered = all((a > b) == (x > y) for (a, b), (x, y) in zip(pairs, outputs, strict=True))
    return Evidence({"pairs": len(pairs)}, "holds" if signs and ordered else "wrong")
