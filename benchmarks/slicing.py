"""One loop over chunks in two ways: with a slice of the whole tensor in each step, and with `unbind` before it.

    .venv/bin/python benchmarks/slicing.py [--record] [--quick]

Both are chunked linear attention by autograd, the same products in the same order. The gradient of a slice is a
tensor of full size that is zero elsewhere, so a loop over T / C slices fills T / C such tensors. Chapter 3 says that
this makes the backward pass quadratic. The method is that of papertrail.benchmarking. `--record` writes
book/results/fast_weights/slicing.json.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from papertrail.benchmarking import Yardstick, finish, parse, parser, refuse_wrong, with_gradients
from papertrail.fast_weights.cost import CHAPTER, make_inputs, measure_time

HEADS, DIM, CHUNK = 8, 64, 32
LENGTHS, QUICK = (1024, 2048, 4096, 8192, 16384), (1024, 4096)
COMMAND = "python benchmarks/slicing.py --record"


def sliced(x: Tensor) -> list[Tensor]:
    """The chunks of (B, H, T / C, C, D), each by a slice of its own."""
    return [x[:, :, i] for i in range(x.shape[2])]


def unbound(x: Tensor) -> Sequence[Tensor]:
    """The same by one operation."""
    return x.unbind(2)


def attention(chunks_of: Callable[[Tensor], Sequence[Tensor]]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Chunked linear attention without a feature map, whose loop gets its chunks from `chunks_of`."""

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, H, T, D) three times, T a multiple of C -> (B, H, T, D)"""
        ones = torch.ones_like(v[..., :1])
        parts = (x.unflatten(2, (-1, CHUNK)) for x in (q, k, torch.cat([v, ones], -1)))
        state = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1] + 1)
        outputs = []
        for q_i, k_i, v_i in zip(*map(chunks_of, parts), strict=True):
            outputs.append(q_i @ state + (q_i @ k_i.mT).tril() @ v_i)
            state = state + k_i.mT @ v_i
        whole = torch.cat(outputs, 2)
        return whole[..., :-1] / whole[..., -1:]

    return run


WAYS = {"slices in the loop": attention(sliced), "unbind before it": attention(unbound)}


def reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Quadratic."""
    weights = (q @ k.mT).tril()
    return weights @ v / weights.sum(-1, keepdim=True)


def check() -> None:
    """Values and gradients against float64.

    Raises:
        WrongResult: a way is off by more than round-off.
    """
    inputs = make_inputs(4 * CHUNK, 2, DIM)
    weights = torch.randn(inputs[2].shape, generator=torch.Generator().manual_seed(2))
    double = [x.detach().double().requires_grad_() for x in inputs]
    expected = with_gradients(reference, double, weights.double())
    for name, way in WAYS.items():
        refuse_wrong(name, with_gradients(way, inputs, weights), expected)


def main() -> int:
    given = parse(parser(__doc__, "two minutes of one core", rounds=7, quick_rounds=3))
    check()
    yardstick, costs = Yardstick(), []
    for length in QUICK if given.quick else LENGTHS:
        for cost in measure_time(
            WAYS, length, heads=HEADS, dim=DIM, rounds=given.rounds, yardstick=yardstick
        ):
            low, middle, high = (1e3 * x for x in cost.both)
            print(f"{length:6} {cost.way:20} both {middle:9.2f} ms ({low:.2f} to {high:.2f})", flush=True)
            costs.append(asdict(cost))
    data = {"costs": costs, "heads": HEADS, "dim": DIM, "chunk": CHUNK}
    return finish(given, (CHAPTER, "slicing"), COMMAND, data, yardstick)


if __name__ == "__main__":
    raise SystemExit(main())
