"""What attention costs as the sequence grows: time, memory, and what must be kept while decoding.

Times are CPU seconds of one thread, medians of alternating rounds in one process. They belong to the machine that made
them, so the chapter draws a record of them; only what is robust is measured live.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp, log
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.benchmarking import Yardstick, alternate
from papertrail.experiments import at_least_one, load_record
from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.linear_attention import LinearState, linear_attention

CHAPTER = "fast_weights"
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def naive_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal softmax attention with its T x T matrix, as on paper.

    Shapes: q, k (B, H, T, D); v (B, H, T, M) -> (B, H, T, M).
    """
    scores = q @ k.mT * q.shape[-1] ** -0.5
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v


def fused_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """torch's own causal softmax attention, which never holds the T x T matrix whole.

    Shapes: q, k (B, H, T, D); v (B, H, T, M) -> (B, H, T, M).
    """
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`linear_attention` with elu + 1 inside.

    Shapes: q, k (B, H, T, D); v (B, H, T, M) -> (B, H, T, M).
    """
    return linear_attention(q, k, v)


def delta(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`delta_rule` with beta = 1/2 throughout and unit keys, as models with the delta rule have them.

    Shapes: q, k (B, H, T, D); v (B, H, T, M) -> (B, H, T, M).
    """
    return delta_rule(q, F.normalize(k, dim=-1), v, torch.full(q.shape[:3], 0.5, dtype=q.dtype))


WAYS: dict[str, Attention] = {
    "naive softmax": naive_softmax,
    "fused softmax": fused_softmax,
    "linear": linear,
    "delta": delta,
}


@dataclass(frozen=True)
class Cost:
    """One way at one length.

    Attributes:
        forward, both: CPU seconds of a forward pass, and of forward and backward: quartiles, the median in the middle.
        extra_mib: peak memory beyond what was in use before, forward and backward; None where it was not measured.
    """

    way: str
    length: int
    forward: list[float]
    both: list[float]
    extra_mib: float | None = None


def make_inputs(length: int, heads: int, dim: int, seed: int = 0) -> list[Tensor]:
    """q, k, v (1, H, T, D), float32, that require gradients; q and k positive, as features are without a map."""
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, 1, heads, length, dim, generator=generator).unbind(0)
    return [x.requires_grad_() for x in (q.abs() + 0.1, k.abs() + 0.1, v.clone())]


def own_layout(attention: Attention, x: Tensor) -> Tensor:
    """A tensor (B, H, T, D) as this function wants it: some libraries put the sequence first, (B, T, H, D).

    Such a function has an attribute `sequence_first` that is true.

    Shapes: x (B, H, T, D) -> (B, H, T, D) or (B, T, H, D).
    """
    x = x.detach()
    return x.transpose(1, 2).contiguous() if getattr(attention, "sequence_first", False) else x


def measure_time(
    ways: Mapping[str, Attention],
    length: int,
    *,
    heads: int = 8,
    dim: int = 64,
    rounds: int = 5,
    yardstick: Yardstick | None = None,
) -> list[Cost]:
    """Forward and backward times of several ways, in turn, as `alternate` measures them.

    Raises:
        ValueError: a number is below 1, or there are no ways.
    """
    at_least_one(length=length, heads=heads, dim=dim, rounds=rounds)
    inputs = make_inputs(length, heads, dim)
    d_out = torch.randn(inputs[2].shape, generator=torch.Generator().manual_seed(1))

    def once(attention: Attention) -> tuple[float, float]:
        fresh = [own_layout(attention, x).requires_grad_() for x in inputs]
        weights = own_layout(attention, d_out)
        start = time.process_time()
        out = attention(*fresh)
        middle = time.process_time()
        torch.autograd.grad(out, fresh, weights)
        return middle - start, time.process_time() - start

    found = alternate({way: partial(once, ways[way]) for way in ways}, rounds, yardstick)
    return [Cost(way, length, forward, both) for way, (forward, both) in found.items()]


def measure_memory(attention: Attention, length: int, *, heads: int = 8, dim: int = 64) -> float:
    """Peak memory of a forward and a backward pass beyond what was in use before, in MiB.

    Linux only: it resets the process's high-water mark. One small call comes first: one-time memory does not count.

    Raises:
        OSError: the system does not keep such a mark.
    """
    for size in (64, length):
        inputs = [own_layout(attention, x).requires_grad_() for x in make_inputs(size, heads, dim)]
        d_out = torch.ones_like(inputs[2])
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        torch.autograd.grad(attention(*inputs), inputs, d_out)
        peak = _status("VmHWM")
    return (peak - before) / 1024


def _status(field: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def linear_flops(length: int, heads: int = 8, dim: int = 64, chunk: int = 64, backward: bool = False) -> int:
    """Operations that chunked linear attention needs, D = M, the masked half of each chunk's square not counted.

    Forward: a read and a write of the state, 2 D^2 each, and half of two C x D products. Backward: five such halves,
    four products with the state or its gradient, and the states made again.
    """
    token = 4 * dim * dim + 2 * chunk * dim
    if backward:
        token += 5 * chunk * dim + 8 * dim * dim + 2 * dim * dim
    return length * heads * token


def crossover(lengths: Sequence[int], one: Sequence[float], other: Sequence[float]) -> float | None:
    """The length from which `one` stays cheaper than `other`; straight lines between points in logarithms.

    None if `one` is not cheaper at the last length. Below the first length nothing is known: if `one` is cheaper there
    already, the first length is returned.

    Raises:
        ValueError: the sequences are empty or differ in length.
    """
    if not lengths or not len(lengths) == len(one) == len(other):
        raise ValueError(
            f"lengths: {len(lengths)} given with {len(one)} and {len(other)} costs; they must match"
        )
    gaps = [log(a / b) for a, b in zip(one, other, strict=True)]
    if gaps[-1] >= 0:
        return None
    behind = [i for i, gap in enumerate(gaps) if gap >= 0]
    if not behind:
        return float(lengths[0])
    i = behind[-1]
    share = gaps[i] / (gaps[i] - gaps[i + 1])
    return exp(log(lengths[i]) + share * log(lengths[i + 1] / lengths[i]))


def cache_bytes(length: int, *, heads: int, dim: int, value_dim: int | None = None, size: int = 4) -> int:
    """What softmax attention keeps while it decodes: all keys and values so far, in bytes for one layer.

    Args:
        size: bytes of a number.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(length=length, heads=heads, dim=dim, size=size)
    return length * heads * (dim + (value_dim or dim)) * size


def state_bytes(*, heads: int, features: int, value_dim: int, normalize: bool = True, size: int = 4) -> int:
    """What linear attention keeps at any length: S, and z if it is normalized, in bytes for one layer.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(heads=heads, features=features, value_dim=value_dim, size=size)
    return heads * features * (value_dim + normalize) * size


@dataclass(frozen=True)
class Decoding:
    """CPU seconds for one more position after `length` of them (medians), and the bytes that are kept meanwhile."""

    length: int
    cached: float
    fixed: float
    cache_bytes: int
    state_bytes: int


def measure_decoding(length: int, *, heads: int = 4, dim: int = 64, tokens: int = 50) -> Decoding:
    """One position at a time: softmax over cached keys and values, against linear attention's fixed state.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(length=length, heads=heads, dim=dim, tokens=tokens)
    with torch.no_grad():
        keys, values = (x.detach() for x in make_inputs(length, heads, dim)[1:])
        q, k, v = (x.detach() for x in make_inputs(1, heads, dim, seed=1))
        state = LinearState(torch.zeros(1, heads, dim, dim), torch.zeros(1, heads, dim))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(tokens):
            start = time.process_time()
            F.scaled_dot_product_attention(q, keys, values)
            middle = time.process_time()
            _, state = linear_attention(q, k, v, form="recurrent", state=state, return_state=True)
            times[0].append(middle - start)
            times[1].append(time.process_time() - middle)
    return Decoding(
        length, median(times[0]), median(times[1]), cache_bytes(length, heads=heads, dim=dim),
        state_bytes(heads=heads, features=dim, value_dim=dim),
    )  # fmt: skip


@dataclass(frozen=True)
class CostRecord:
    """The recorded benchmark; see benchmarks/linear_attention.py for how it is made."""

    costs: list[Cost]
    decoding: list[Decoding]
    gemm: list[float]  # GFLOP/s, quartiles
    heads: int
    dim: int

    def row(self, way: str, length: int) -> Cost:
        """One way at one length.

        Raises:
            ValueError: it was not measured.
        """
        for cost in self.costs:
            if (cost.way, cost.length) == (way, length):
                return cost
        raise ValueError(f"way, length: {way!r} at {length} was not measured")

    def curve(self, way: str, part: str = "both") -> tuple[list[int], list[float]]:
        """Lengths and median seconds of one way."""
        rows = sorted((c for c in self.costs if c.way == way), key=lambda c: c.length)
        return [c.length for c in rows], [getattr(c, part)[1] for c in rows]


def load_costs() -> CostRecord:
    """The recorded benchmark.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    record = load_record(CHAPTER, "cost")
    return CostRecord(
        [Cost(**row) for row in record["costs"]], [Decoding(**row) for row in record["decoding"]],
        record["gemm"], record["heads"], record["dim"],
    )  # fmt: skip
