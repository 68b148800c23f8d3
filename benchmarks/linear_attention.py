"""Causal linear attention and the delta rule beside softmax attention and other people's code, in one process.

    .venv/bin/python benchmarks/linear_attention.py [--peers FOLDER] [--record] [--quick]

Run it by hand on a quiet machine; the method is that of papertrail.benchmarking. `--record` writes
book/results/fast_weights/cost.json, which chapter 3 draws, and wants the peers. `python benchmarks/peers.py FOLDER`
fetches them: pytorch-fast-transformers 0.4.0 (its C++ kernel is built here twice: with its own flags on top of Python's
-O3, and with -march=native), fla-core 0.6.0, and performer-pytorch 1.1.4. Without them the course's own ways are
measured.
"""

import importlib.util
import os
import subprocess
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.benchmarking import Yardstick, finish, parse, parser, refuse_wrong, with_gradients
from papertrail.fast_weights.cost import (
    CHAPTER,
    WAYS,
    Attention,
    Cost,
    delta,
    make_inputs,
    measure_decoding,
    measure_memory,
    measure_time,
    own_layout,
)
from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.linear_attention import linear_attention

HEADS, DIM = 8, 64
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
QUICK = (1024,)
LIMITS = {"naive softmax": 4096, "cumulative sum": 1024, "delta, step by step": 1024,
          "fla naive chunk, delta": 4096}  # fmt: skip
MEMORY_AT = 4096  # of everything; the course's own ways at every length
DECODED = (256, 1024, 4096, 16384)
COMMAND = "python benchmarks/linear_attention.py --peers FOLDER --record"
FAST_TRANSFORMERS, FLA, PERFORMER = (
    "pytorch-fast-transformers-0.4.0",
    "fla_core-0.6.0",
    "performer-pytorch-1.1.4",
)
EINOPS = "einops-0.8.1"  # what fla's files import


def load(name: str, path: Path):
    """A module from one file."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fast_transformers(folder: Path, name: str, flags: list[str]) -> Attention:
    """Its CausalLinearAttention without the feature map: the compiled product, and the normalizer in torch."""
    from torch.utils.cpp_extension import load as build

    source = folder / FAST_TRANSFORMERS / "fast_transformers/causal_product/causal_product_cpu.cpp"
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


def flash_linear_attention(folder: Path) -> tuple[Attention, Attention]:
    """Its chunked form in plain PyTorch, for its own layout and for views of ours."""
    sys.path.insert(0, str(folder / EINOPS))
    naive = load("fla_linear", folder / FLA / "fla/ops/linear_attn/naive.py")

    def fla(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return naive.naive_chunk_linear_attn(q, k, v, scale=1.0, normalize=True)

    def fla_view(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """On views of our layout: its own rearrangement then copies nothing."""
        return fla(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)

    fla.sequence_first = True
    return fla, fla_view


def flash_linear_delta(folder: Path) -> Attention:
    """Its chunked delta rule in plain PyTorch, which scales q."""
    sys.path.insert(0, str(folder / EINOPS))
    rule = load("fla_delta", folder / FLA / "fla/ops/delta_rule/naive.py")

    def fla_delta(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        half = torch.full(q.shape[:3], 0.5)
        return rule.delta_rule_chunkwise(q, F.normalize(k, dim=-1), v, half)[0]

    return fla_delta


def performer_pytorch(folder: Path) -> Attention:
    """Its causal form without CUDA, by itself: the module imports packages that this function does not need."""
    source = (folder / PERFORMER / "performer_pytorch/performer_pytorch.py").read_text(encoding="utf-8")
    start = source.index("def causal_linear_attention_noncuda")
    scope: dict = {"torch": torch}
    exec(source[start : source.index("\nclass ", start)], scope)
    return scope["causal_linear_attention_noncuda"]


def peers(folder: Path | None) -> tuple[dict[str, Attention], dict[str, Attention], list[str]]:
    """Other people's linear attention without a feature map, their delta rules, and what could not be had, in words."""
    if folder is None:
        return {}, {}, []
    found: dict[str, Attention] = {}
    deltas: dict[str, Attention] = {}
    missing = []

    def bring(what: str, get: Callable[[], dict[str, Attention]], into: dict[str, Attention]) -> None:
        try:
            into |= get()
        except (OSError, ImportError, RuntimeError, subprocess.SubprocessError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            missing.append(f"{what}: {reason[0][:200]}")

    def fla_pair() -> dict[str, Attention]:
        return dict(
            zip(
                ("fla naive chunk", "fla naive chunk, our layout"),
                flash_linear_attention(folder),
                strict=True,
            )
        )

    for name, label, flags in (
        ("ft_as_shipped", "as shipped", []),
        ("ft_tuned", "native", ["-march=native"]),
    ):
        label = f"fast-transformers, {label}"
        bring(
            label,
            lambda name=name, label=label, flags=flags: {label: fast_transformers(folder, name, flags)},
            found,
        )
    bring("fla naive chunk", fla_pair, found)
    bring("performer-pytorch", lambda: {"performer-pytorch": performer_pytorch(folder)}, found)
    bring("fla naive chunk, delta", lambda: {"fla naive chunk, delta": flash_linear_delta(folder)}, deltas)
    return found, deltas, missing


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


def compare(ways: dict[str, Attention], truth: Attention, inputs: list[Tensor]) -> None:
    """Values and gradients against float64; refuse to time what is wrong.

    Raises:
        WrongResult: a way is off by more than round-off.
    """
    exact = [x.detach().double().requires_grad_() for x in inputs]
    weights = torch.randn(inputs[2].shape, generator=torch.Generator().manual_seed(2))
    expected = with_gradients(truth, exact, weights.double())
    for name, way in ways.items():
        fresh = [own_layout(way, x).clone().requires_grad_() for x in inputs]
        found = with_gradients(way, fresh, own_layout(way, weights))
        found = [x.transpose(1, 2) if getattr(way, "sequence_first", False) else x for x in found]
        print(f"  {name:32} off by {refuse_wrong(name, found, expected):.1e}")


def children(names: list[str], length: int, arguments: list[str]) -> dict[str, float]:
    """Peak memory of each way in a process of its own, in which freed memory goes back at once."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    found = {}
    for name in names:
        command = [sys.executable, __file__, *arguments, "--memory", name, str(length)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found[name] = float(run.stdout.split()[-1])
    return found


def say(cost: Cost) -> None:
    """A line of the terminal's table."""
    forward, (low, both, high) = cost.forward[1] * 1e3, (x * 1e3 for x in cost.both)
    memory = "" if cost.extra_mib is None else f"{cost.extra_mib:7.1f} MiB"
    times = f"forward {forward:9.2f}, both {both:9.2f} ms ({low:.2f} to {high:.2f})"
    print(f"{cost.length:6} {cost.way:30} {times} {memory}", flush=True)


def measure_all(ways: dict[str, Attention], given: Namespace, yardstick: Yardstick) -> list[Cost]:
    """Every way at every length, up to its limit, with memory where that is wanted."""
    arguments = ["--peers", str(given.peers)] if given.peers else []
    costs = []
    for length in given.lengths or (QUICK if given.quick else LENGTHS):
        here = {name: way for name, way in ways.items() if length <= LIMITS.get(name, length)}
        weighed = [name for name in here if length == MEMORY_AT or name in (*WAYS, "linear, map excluded")]
        extra = {} if given.quick else children(weighed, length, arguments)
        rounds = given.rounds if length <= MEMORY_AT else max(3, given.rounds // 2)
        for cost in measure_time(here, length, heads=HEADS, dim=DIM, rounds=rounds, yardstick=yardstick):
            costs.append(replace(cost, extra_mib=extra.get(cost.way)))
            say(costs[-1])
    return costs


def main() -> int:
    options = parser(__doc__, "about ten minutes of one core", rounds=7)
    options.add_argument(
        "--peers", type=Path, metavar="FOLDER", help="where benchmarks/peers.py put other people's code"
    )
    options.add_argument("--lengths", type=int, nargs="*", help="sequence lengths")
    options.add_argument("--memory", nargs=2, metavar=("WAY", "LENGTH"), help=SUPPRESS)
    given = parse(options)
    others, other_deltas, missing = peers(given.peers)
    plain = {"linear, map excluded": without_map, "cumulative sum": cumulated, **others}
    ways = {**WAYS, **plain, "delta, step by step": stepwise, **other_deltas}
    if given.memory:
        print(measure_memory(ways[given.memory[0]], int(given.memory[1]), heads=HEADS, dim=DIM))
        return 0
    for line in missing:
        print(f"not there, and left out: {line}")
    if given.record and (missing or not given.peers):
        options.error(
            "--record wants every peer: run `python benchmarks/peers.py FOLDER`, then give --peers FOLDER"
        )

    inputs = make_inputs(256, 2, DIM)
    compare(plain, reference, inputs)
    compare({"delta": delta}, stepwise, inputs)
    compare(other_deltas, lambda q, k, v: stepwise(q * DIM**-0.5, k, v), inputs)
    yardstick = Yardstick()
    costs = measure_all(ways, given, yardstick)
    decoding = [measure_decoding(length, heads=4, dim=DIM) for length in (QUICK if given.quick else DECODED)]
    data = {
        "costs": [asdict(cost) for cost in costs],
        "decoding": [asdict(row) for row in decoding],
        "heads": HEADS, "dim": DIM, "rounds": given.rounds,
        "peers": "pytorch-fast-transformers 0.4.0, fla-core 0.6.0, performer-pytorch 1.1.4" if given.peers else "",
    }  # fmt: skip
    return finish(given, (CHAPTER, "cost"), COMMAND, data, yardstick)


if __name__ == "__main__":
    raise SystemExit(main())
