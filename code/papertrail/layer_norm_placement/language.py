"""A comparison at a size where quality could differ: byte-level language models on real text, trained for long.

Everything that could be tuned was fixed before the first run: the sizes and rates below, the split (two files),
the seeds and the number of steps. Each placement gets two learning rates. A second set of runs, fixed after the
first had been seen and before its own first run, asks whether a gap closes with four times as many steps. A third,
fixed before its own first run, is twice as wide and asks what warm-up does for each of four placements.

`recorded_language` has the grids.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from papertrail.experiments import at_least_one, load_record, load_results, progress, seeded
from papertrail.experiments.text import read_text, windows
from papertrail.layer_norm_placement.models import Model

DEPTH, D_MODEL, HEADS, LENGTH, BATCH = 12, 64, 4, 64, 16
STEPS, WARMUP, RATES, SEEDS = 600, 100, (5e-4, 1e-3), (0, 1, 2)
ARMS = ("post", "pre", "dual-residual")
LONGER_STEPS, LONGER_WARMUP, LONGER_SEEDS = 2400, 400, (0, 1)
LONGER_ARMS = (("post", 2.5e-4), ("post", 5e-4), ("pre", 1e-3))
WIDE, WIDE_STEPS, WIDE_WARMUPS, WIDE_RATE, WIDE_SEEDS = 128, 400, (0, 100), 1e-3, (0, 1, 2)
WIDE_ARMS = ("post", "pre", "dual-residual", "deepnorm")
VALID_WINDOWS = 256


@dataclass(frozen=True)
class LanguageRun:
    """One trained model: training losses by step (means of 50 steps), and the loss on the held-out text.

    Losses are in nats for each byte.
    """

    placement: str
    lr: float
    seed: int
    train: list[float]
    valid: float


def rate_at(step: int, lr: float, steps: int = STEPS, warmup: int = WARMUP) -> float:
    """Linear warm-up to `lr`, none if `warmup` is 0; then linear decay to 0 at the last step; steps count from 1."""
    return lr * min(step / warmup if warmup else 1.0, (steps - step) / (steps - warmup))


def train_language_model(
    train: bytes,
    valid: bytes,
    placement: str,
    lr: float,
    seed: int,
    *,
    depth: int = DEPTH,
    d_model: int = D_MODEL,
    steps: int = STEPS,
    warmup: int = WARMUP,
) -> LanguageRun:
    """Train one causal byte model with Adam (0.9, 0.98, eps 1e-9), Xavier start, no dropout, clipped at norm 1.

    The same seed gives every placement the same batches.

    Raises:
        ValueError: a text is too short for the windows; a size is below 1; the placement is unknown.
    """
    at_least_one(depth=depth, d_model=d_model, steps=steps)
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup: got {warmup}; allowed are 0 to {steps - 1}, below the steps")
    for argument, text in (("train", train), ("valid", valid)):
        if len(text) < VALID_WINDOWS * LENGTH + 1:
            raise ValueError(
                f"{argument}: {len(text)} bytes; allowed are {VALID_WINDOWS * LENGTH + 1} or more"
            )
    with seeded(seed):
        model = Model(
            "decoder-only", depth, vocab_size=256, length=LENGTH, d_model=d_model, num_heads=HEADS,
            d_ff=4 * d_model, placement=placement,
        )  # fmt: skip
        starts = torch.randint(len(train) - LENGTH, (steps, BATCH))
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9)
    losses = []
    for step in progress(range(1, steps + 1), f"{placement}, rate {lr}, seed {seed}"):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, lr, steps, warmup)
        tokens = windows(train, starts[step - 1], LENGTH)
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    means = [sum(losses[i : i + 50]) / len(losses[i : i + 50]) for i in range(0, steps, 50)]
    return LanguageRun(placement, lr, seed, means, held_out_loss(model, valid))


@torch.no_grad()
def held_out_loss(model: Model, valid: bytes) -> float:
    """Mean loss in nats a byte over the first 256 windows of 64 bytes, side by side: the text's first 16 KB."""
    tokens = windows(valid, torch.arange(VALID_WINDOWS) * LENGTH, LENGTH)
    total = 0.0
    for part in tokens.split(32):
        total += F.cross_entropy(model(part[:, :-1]).flatten(0, 1), part[:, 1:].flatten()).item() * len(part)
    return total / VALID_WINDOWS


def measure_language(
    placement: str,
    lr: float,
    seed: int,
    *,
    train: str,
    valid: str,
    d_model: int = D_MODEL,
    steps: int = STEPS,
    warmup: int = WARMUP,
) -> LanguageRun:
    """`train_language_model` on two text files, plain or .gz.

    Raises:
        ValueError: as there.
    """
    texts = [read_text(Path(path)) for path in (train, valid)]
    return train_language_model(
        texts[0], texts[1], placement, lr, seed, d_model=d_model, steps=steps, warmup=warmup
    )


def load_language_runs(name: str = "language") -> list[LanguageRun]:
    """The recorded runs; `name` is "language" or "language_longer".

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [LanguageRun(**run) for run in load_results("layer_norm_placement", name)]


@dataclass(frozen=True)
class WarmUpRun(LanguageRun):
    """A run of the third set, with its steps of warm-up."""

    warmup: int


def load_warm_up_runs() -> list[WarmUpRun]:
    """The recorded runs of the third set.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    rows = load_record("layer_norm_placement", "warm_up")
    return [WarmUpRun(**row["result"], warmup=row["cell"]["warmup"]) for row in rows]
