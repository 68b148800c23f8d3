"""A comparison at a size where quality could differ: byte-level language models on real text, trained for long.

Everything that could be tuned was fixed before the first run: the sizes and rates below, the split (two files),
the seeds and the number of steps. Each placement gets two learning rates. A second set of runs, fixed after the
first had been seen and before its own first run, asks whether a gap closes with four times as many steps.

    python -m papertrail.layer_norm_placement.language TRAIN VALID             train them all and record the result
    python -m papertrail.layer_norm_placement.language TRAIN VALID --longer    the second set

TRAIN and VALID are text files, plain or .gz. The recorded run read WikiText-2 (Merity et al. 2016).
"""

import argparse
import gzip
import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one, load_record, progress, results_file, save_record, seeded
from papertrail.layer_norm_placement.models import Model

DEPTH, D_MODEL, HEADS, LENGTH, BATCH = 12, 64, 4, 64, 16
STEPS, WARMUP, RATES, SEEDS = 600, 100, (5e-4, 1e-3), (0, 1, 2)
ARMS = ("post", "pre", "dual-residual")
LONGER_STEPS, LONGER_WARMUP, LONGER_SEEDS = 2400, 400, (0, 1)
LONGER_ARMS = (("post", 2.5e-4), ("post", 5e-4), ("pre", 1e-3))
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
    """Linear warm-up to `lr`, then linear decay, to 0 at the last step; steps count from 1."""
    return lr * min(step / warmup, (steps - step) / (steps - warmup))


def windows(text: bytes, starts: Tensor, length: int) -> Tensor:
    """Windows of `length` + 1 bytes: (B,) starts -> (B, length + 1) token ids."""
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return data[starts[:, None] + torch.arange(length + 1)].long()


def train_language_model(
    train: bytes,
    valid: bytes,
    placement: str,
    lr: float,
    seed: int,
    *,
    depth: int = DEPTH,
    steps: int = STEPS,
    warmup: int = WARMUP,
) -> LanguageRun:
    """Train one causal byte model with Adam (0.9, 0.98, eps 1e-9), Xavier start, no dropout, clipped at norm 1.

    The same seed gives every placement the same batches.

    Raises:
        ValueError: a text is too short for the windows; a size is below 1; the placement is unknown.
    """
    at_least_one(depth=depth, steps=steps, warmup=warmup)
    for argument, text in (("train", train), ("valid", valid)):
        if len(text) < VALID_WINDOWS * LENGTH + 1:
            raise ValueError(
                f"{argument}: {len(text)} bytes; allowed are {VALID_WINDOWS * LENGTH + 1} or more"
            )
    with seeded(seed):
        model = Model(
            "decoder-only", depth, vocab_size=256, length=LENGTH, d_model=D_MODEL, num_heads=HEADS,
            d_ff=4 * D_MODEL, placement=placement,
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


def load_language_runs(name: str = "language") -> list[LanguageRun]:
    """The recorded runs; `name` is "language" or "language_longer".

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [LanguageRun(**run) for run in load_record("layer_norm_placement", name)["runs"]]


def read_text(path: Path) -> bytes:
    """A text file's bytes, unpacked if its name ends in .gz."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def main(arguments: Sequence[str] | None = None) -> int:
    """Train every placement at every rate with every seed, and record what is done after each seed."""
    parser = argparse.ArgumentParser(prog="python -m papertrail.layer_norm_placement.language")
    parser.add_argument("train", type=Path, help="text to train on, plain or .gz")
    parser.add_argument("valid", type=Path, help="text to judge on")
    parser.add_argument(
        "--longer", action="store_true", help="the second set: fewer arms, four times the steps"
    )
    options = parser.parse_args(arguments)
    name, arms, steps, warmup, seeds = (
        "language",
        [(p, lr) for p in ARMS for lr in RATES],
        STEPS,
        WARMUP,
        SEEDS,
    )
    if options.longer:
        name, arms = "language_longer", list(LONGER_ARMS)
        steps, warmup, seeds = LONGER_STEPS, LONGER_WARMUP, LONGER_SEEDS
    results_file("layer_norm_placement", name)  # before the run: without book/ there is nowhere to record it
    texts = {path.name: read_text(path) for path in (options.train, options.valid)}
    train, valid = texts.values()
    flag = " --longer" if options.longer else ""
    command = f"python -m papertrail.layer_norm_placement.language {' '.join(texts)}{flag}"
    runs = []
    for done, seed in enumerate(seeds, 1):
        for placement, lr in arms:
            run = train_language_model(train, valid, placement, lr, seed, steps=steps, warmup=warmup)
            runs.append(run)
            print(
                f"{placement:14} rate {lr:g} seed {seed}: {run.valid / math.log(2):.3f} bits a byte",
                flush=True,
            )
        data = {
            "texts": {file: hashlib.sha256(text).hexdigest() for file, text in texts.items()},
            "settings": {"depth": DEPTH, "d_model": D_MODEL, "heads": HEADS, "length": LENGTH, "batch": BATCH,
                         "steps": steps, "warmup": warmup, "arms": arms, "seeds": seeds[:done]},
            "runs": [asdict(run) for run in runs],
        }  # fmt: skip
        save_record("layer_norm_placement", name, command, data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
