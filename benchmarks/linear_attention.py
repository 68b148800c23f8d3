"""Causal linear attention and the delta rule beside softmax attention and other people's code, in one process.

    .venv/bin/python benchmarks/linear_attention.py [--peers FOLDER] [--record] [--quick]

Run it by hand on a quiet machine. Every figure is CPU time of one thread, the median of alternating rounds; values and
gradients of each way are compared with a float64 reference first; a 512-cubed matrix product is timed in the same loop.
`--record` writes book/results/fast_weights/cost.json, which chapter 3 draws.

FOLDER holds unpacked source distributions, none of which the course installs: pytorch-fast-transformers-0.4.0 (its C++
kernel is built here twice: with its own flags on top of Python's -O3, and with -march=native), fla_core-0.6.0,
performer-pytorch-1.1.4, and einops, which the last two import.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import rounded, save_record
from papertrail.fast_weights.cost import (
    CHAPTER,
    WAYS,
    Attention,
    delta,
    make_inputs,
    measure_decoding,
    measure_gemm,
    measure_memory,
    measure_time,
    own_layout,
    quartiles,
)
from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.linear_attention import linear_attention

HEADS, DIM = 8, 64
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
LIMITS = {"naive softmax": 4096, "cumulative sum": 1024, "delta, step by step": 1024,
          "fla naive chunk, delta": 4096}  # fmt: skip
MEMORY_AT = 4096  # of everything; the course's own ways at every length
DECODED = (256, 1024, 4096, 16384)


def load(name: str, path: Path):
    """A module from one file."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fast_transformers(folder: Path, name: str, flags: list[str]) -> Attention:
    """Its CausalLinearAttention without the feature map: the compiled product, and the normalizer in torch."""
    from torch.utils.cpp_extension import load as build

    source = (
        folder / "pytorch-fast-transformers-0.4.0/fast_transformers/causal_product/causal_product_cpu.cpp"
    )
    target = folder / "built" / name
    target.mkdir(parents=True, exist_ok=True)
    flags = ["-O3", "-fopenmp", "-ffast-math", *flags]
    kernel = build(
        name, [str(source)], extra_cflags=flags, extra_ldflags=["-fopenmp"], build_directory=str(target)
    )

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, q, k, v):
            ctx.save_for_backward(q, k, v)
            out = torch.zeros_like(v)
            kernel.causal_dot_product(q, k, v, out)
            return out

        @staticmethod
        def backward(ctx, d_out):
            tensors = ctx.saved_tensors
            gradients = [torch.zeros_like(x) for x in tensors]
            kernel.causal_dot_backward(*tensors, d_out.contiguous(), *gradients)
            return tuple(gradients)

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        normalizer = torch.einsum("nhld,nhld->nhl", q, k.cumsum(2)) + 1e-6
        return Product.apply(q, k, v) / normalizer.unsqueeze(-1)

    return attention


def peers(folder: Path | None) -> tuple[dict[str, Attention], dict[str, Attention]]:
    """Other people's linear attention without a feature map, and other people's delta rule (which scales q)."""
    if folder is None:
        return {}, {}
    sys.path.insert(0, str(folder / "site"))
    found: dict[str, Attention] = {
        "fast-transformers, as shipped": fast_transformers(folder, "ft_as_shipped", []),
        "fast-transformers, native": fast_transformers(folder, "ft_tuned", ["-march=native"]),
    }
    naive = load("fla_linear", folder / "fla/fla/ops/linear_attn/naive.py")

    def fla(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return naive.naive_chunk_linear_attn(q, k, v, scale=1.0, normalize=True)

    def fla_view(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """On views of our layout: its own rearrangement then copies nothing."""
        return fla(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)

    fla.sequence_first = True
    found |= {"fla naive chunk": fla, "fla naive chunk, our layout": fla_view}
    source = (folder / "pp/performer_pytorch/performer_pytorch.py").read_text()
    start = source.index("def causal_linear_attention_noncuda")
    scope: dict = {"torch": torch}
    exec(
        source[start : source.index("\nclass ", start)], scope
    )  # the module itself imports packages it does not need
    performer = scope["causal_linear_attention_noncuda"]
    found["performer-pytorch"] = lambda q, k, v: performer(q, k, v)
    rule = load("fla_delta", folder / "fla/fla/ops/delta_rule/naive.py")

    def fla_delta(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        half = torch.full(q.shape[:3], 0.5)
        return rule.delta_rule_chunkwise(q, F.normalize(k, dim=-1), v, half)[0]

    return found, {"fla naive chunk, delta": fla_delta}


def cumulated(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The states of all positions at once, by a cumulative sum: the formula typed in as it stands."""
    S = torch.einsum("bhtd,bhtm->bhtdm", k, v).cumsum(2)
    return torch.einsum("bhtd,bhtdm->bhtm", q, S) / (q * k.cumsum(2)).sum(-1, keepdim=True)


def stepwise(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The delta rule a step at a time, its inputs as `delta` has them."""
    half = torch.full(q.shape[:3], 0.5, dtype=q.dtype)
    return delta_rule(q, F.normalize(k, dim=-1), v, half, form="recurrent")


def without_map(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Ours on features that are positive already."""
    return linear_attention(q, k, v, feature_map=None)


def reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Quadratic, float64."""
    weights = (q.double() @ k.double().mT).tril()
    return weights @ v.double() / weights.sum(-1, keepdim=True)


def compare(ways: dict[str, Callable], truth: Callable, inputs: list[Tensor]) -> None:
    """Values and gradients against float64; refuse to time what is wrong.

    Raises:
        RuntimeError: a way is off by more than 1e-4 of the largest entry.
    """
    exact = [x.detach().double().requires_grad_() for x in inputs]
    expected = truth(*exact)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    expected = [expected, *torch.autograd.grad(expected, exact, weights.double())]
    for name, way in ways.items():
        fresh = [own_layout(way, x).clone().requires_grad_() for x in inputs]
        out = way(*fresh)
        found = [out, *torch.autograd.grad(out, fresh, own_layout(way, weights))]
        found = [x.transpose(1, 2) if getattr(way, "sequence_first", False) else x for x in found]
        off = max(
            ((a.double() - b).abs().max() / b.abs().max()).item()
            for a, b in zip(found, expected, strict=True)
        )
        print(f"  {name:32} off by {off:.1e}")
        if off > 1e-4:
            raise RuntimeError(f"{name}: off by {off:.1e} of the largest entry; not timed")


def children(names: list[str], length: int, arguments: list[str]) -> dict[str, float]:
    """Peak memory of each way in a process of its own, in which freed memory goes back at once."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    found = {}
    for name in names:
        command = [sys.executable, __file__, *arguments, "--memory", name, str(length)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found[name] = float(run.stdout.split()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder with other people's unpacked packages")
    parser.add_argument("--record", action="store_true", help="write the chapter's record")
    parser.add_argument("--rounds", type=int, default=7, help="rounds up to 4096 positions (default: 7)")
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS, help="sequence lengths")
    parser.add_argument("--memory", nargs=2, metavar=("WAY", "LENGTH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    others, other_deltas = peers(given.peers)
    plain = {"linear, map excluded": without_map, "cumulative sum": cumulated, **others}
    ways = {**WAYS, **plain, "delta, step by step": stepwise, **other_deltas}
    if given.memory:
        print(measure_memory(ways[given.memory[0]], int(given.memory[1]), heads=HEADS, dim=DIM))
        return 0

    inputs = make_inputs(256, 2, DIM)
    compare(plain, reference, inputs)
    compare({"delta": delta}, stepwise, inputs)
    compare(other_deltas, lambda q, k, v: stepwise(q * DIM**-0.5, k, v), inputs)
    arguments = ["--peers", str(given.peers)] if given.peers else []
    load_before, gemm, costs = os.getloadavg()[0], [], []
    for length in given.lengths:
        here = {name: way for name, way in ways.items() if length <= LIMITS.get(name, length)}
        rounds = given.rounds if length <= 4096 else max(3, given.rounds // 2)
        weighed = [name for name in here if length == MEMORY_AT or name in (*WAYS, "linear, map excluded")]
        extra = children(weighed, length, arguments)
        for cost in measure_time(
            here, length, heads=HEADS, dim=DIM, rounds=rounds, between=lambda: gemm.append(measure_gemm())
        ):
            name = cost.way
            costs.append(replace(cost, extra_mib=extra.get(name)))
            forward, both = (row[1] * 1e3 for row in (costs[-1].forward, costs[-1].both))
            spread = (costs[-1].both[2] - costs[-1].both[0]) * 1e3
            memory = f"{extra[name]:7.1f} MiB" if name in extra else ""
            print(f"{length:6} {name:30} {forward:9.2f} {both:9.2f} ms  +-{spread:6.2f} {memory}", flush=True)
    decoding = [measure_decoding(length, heads=4, dim=DIM) for length in DECODED]
    print(
        "GEMM",
        [round(x, 1) for x in quartiles(gemm)],
        "load before",
        load_before,
        "after",
        os.getloadavg()[0],
    )
    if given.record:
        data = {
            "costs": [asdict(cost) for cost in costs],
            "decoding": [asdict(row) for row in decoding],
            "gemm": quartiles(gemm), "heads": HEADS, "dim": DIM, "rounds": given.rounds,
            "load": [load_before, os.getloadavg()[0]],
            "peers": "pytorch-fast-transformers 0.4.0, fla-core 0.6.0, performer-pytorch 1.1.4" if given.peers else "",
        }  # fmt: skip
        command = "python benchmarks/linear_attention.py --peers FOLDER --record"
        print(save_record(CHAPTER, "cost", command, rounded(data)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
