"""Several seeds of one small model trained at once by `vmap`, beside the same seeds one after the other.

    .venv/bin/python benchmarks/batched_seeds.py [--record] [--quick]

Chapter 2 trains its models so: width 32, batches of 16 times 8 tokens, five seeds. The time is that of whole training
runs, building and Adam included; one after the other means an ordinary training loop. Before anything is timed, the
losses of both are compared with the loop's in float64. The method is that of papertrail.benchmarking. `--record` writes
book/results/layer_norm_placement/batched_seeds.json.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.benchmarking import Yardstick, alternate, finish, parse, parser, refuse_wrong
from papertrail.experiments import seeded
from papertrail.layer_norm_placement.models import Model
from papertrail.layer_norm_placement.training import BATCH, EVERY, LENGTH, VOCAB, WIDTH, measure_training

PLACEMENT, DEPTH, RATE = "pre", 6, 1e-3
CASES, QUICK = ((6, 2), (6, 5), (6, 8), (12, 5)), ((6, 5),)  # layers and seeds
STEPS, CHECKED = 20, 10  # of a timed run, and of the comparison
COMMAND = "python benchmarks/batched_seeds.py --record"
Losses = list[list[float]]  # by seed, each the mean of five steps


def at_once(depth: int, seeds: int, steps: int) -> Losses:
    """As chapter 2 does it."""
    return measure_training(PLACEMENT, depth, lr=RATE, steps=steps, seeds=seeds).losses


def in_turn(depth: int, seeds: int, steps: int, dtype: torch.dtype = torch.float32) -> Losses:
    """The same models on the same data, an ordinary training loop for each."""
    found = []
    for seed in range(seeds):
        with seeded(seed):
            model = Model(
                "decoder-only", depth, vocab_size=VOCAB, length=LENGTH, d_model=WIDTH, num_heads=4,
                d_ff=4 * WIDTH, placement=PLACEMENT, start="xavier",
            ).to(dtype)  # fmt: skip
            following = torch.randperm(VOCAB)
            batches = torch.randint(VOCAB, (steps, BATCH, LENGTH))
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.98), eps=1e-9)
        losses = []
        for tokens in batches:
            loss = F.cross_entropy(model(tokens).flatten(0, 1), following[tokens].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found.append([sum(losses[i : i + EVERY]) / EVERY for i in range(0, steps, EVERY)])
    return found


WAYS: dict[str, Callable[[int, int, int], Losses]] = {"in turn": in_turn, "at once": at_once}


def check() -> None:
    """The losses of two seeds against float64.

    Raises:
        WrongResult: a way is off by more than round-off.
    """

    def tensors(losses: Losses) -> list[Tensor]:
        return [torch.tensor(losses, dtype=torch.float64)]

    expected = tensors(in_turn(DEPTH, 2, CHECKED, torch.float64))
    for name, way in WAYS.items():
        refuse_wrong(name, tensors(way(DEPTH, 2, CHECKED)), expected)


def measure(depth: int, seeds: int, steps: int, rounds: int, yardstick: Yardstick) -> dict[str, list[float]]:
    """Quartiles of CPU seconds of all seeds' runs, by way."""

    def once(way: Callable[[int, int, int], Losses]) -> tuple[float]:
        start = time.process_time()
        way(depth, seeds, steps)
        return (time.process_time() - start,)

    found = alternate({name: partial(once, way) for name, way in WAYS.items()}, rounds, yardstick)
    return {name: times for name, (times,) in found.items()}


def main() -> int:
    given = parse(parser(__doc__, "two minutes of one core", rounds=7, quick_rounds=3))
    check()
    yardstick, rows = Yardstick(), []
    for depth, seeds in QUICK if given.quick else CASES:
        rows.append(
            {"depth": depth, "seeds": seeds, "ways": measure(depth, seeds, STEPS, given.rounds, yardstick)}
        )
        for name, (low, middle, high) in rows[-1]["ways"].items():
            print(
                f"{depth} layers, {seeds} seeds {name:10} {middle:6.3f} s ({low:.3f} to {high:.3f})",
                flush=True,
            )
    data = {"cases": rows, "placement": PLACEMENT, "width": WIDTH, "steps": STEPS}
    return finish(given, ("layer_norm_placement", "batched_seeds"), COMMAND, data, yardstick)


if __name__ == "__main__":
    raise SystemExit(main())
