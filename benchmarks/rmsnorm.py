"""Norms forward and backward on a CPU, in one process: ours beside torch's and beside the formulas as written.

    .venv/bin/python benchmarks/rmsnorm.py [--record] [--quick]

Run it by hand on a quiet machine. Times are CPU seconds of one thread, medians and quartiles of alternating rounds,
each with fresh outputs; values and gradients are compared with float64 first; a 512-cubed matrix product is timed in
the same loop, and a copy into fresh memory and into old: at [8192, 1024] fresh memory costs more than arithmetic. No
compiled form is run. `--record` writes book/results/gopher/norm_speed.json.
"""

import argparse
import os
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from papertrail.experiments import rounded, save_record
from papertrail.fast_weights.cost import measure_gemm, quartiles
from papertrail.gopher.normalization import LayerNorm, RMSNorm

SHAPES = ((512, 512), (512, 1024), (512, 4096), (8192, 1024))
EPS = 1e-5
Way = Callable[[Tensor, Tensor, Tensor], Tensor]  # x (N, D), gain (D), bias (D) -> (N, D)


def naive_rms(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """The formula as it is written, for autograd."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * gain


def ways(dim: int) -> dict[str, Way]:
    """Each way as a function of its input and its parameters."""
    ours, by_hand = RMSNorm(dim, EPS), LayerNorm(dim, EPS)

    def module(layer: nn.Module, x: Tensor, **parameters: Tensor) -> Tensor:
        return torch.func.functional_call(layer, parameters, (x,))

    return {
        "nn.LayerNorm": lambda x, gain, bias: F.layer_norm(x, (dim,), gain, bias, EPS),
        "nn.BatchNorm1d": lambda x, gain, bias: F.batch_norm(x, None, None, gain, bias, True, eps=EPS),
        "nn.RMSNorm": lambda x, gain, bias: F.rms_norm(x, (dim,), gain, EPS),
        "LayerNorm as written": lambda x, gain, bias: module(by_hand, x, weight=gain, bias=bias),
        "RMSNorm as written": naive_rms,
        "our RMSNorm": lambda x, gain, bias: module(ours, x, weight=gain),
    }


def tensors(rows: int, dim: int) -> tuple[list[Tensor], Tensor]:
    """Input, gain and bias, and the gradient of the output."""
    generator = torch.Generator().manual_seed(0)
    x, d_out = torch.randn(2, rows, dim, generator=generator).unbind()
    gain, bias = torch.rand(2, dim, generator=generator).add_(0.5).unbind()
    return [x, gain, bias], d_out


def used(name: str, inputs: list[Tensor]) -> list[Tensor]:
    """What a way has gradients for: RMSNorm has no bias."""
    return inputs[:2] if "RMS" in name else inputs


def check(rows: int, dim: int) -> None:
    """Values and gradients against each other way's in float64, written out.

    Raises:
        RuntimeError: a way is off by more than round-off, so that timing it would compare nothing.
    """
    inputs, d_out = tensors(rows, dim)
    for name, way in ways(dim).items():
        double = [x.double().requires_grad_() for x in inputs]
        x, gain, bias = double
        axis = 0 if "Batch" in name else -1
        centered = x if "RMS" in name else x - x.mean(axis, keepdim=True)
        wanted = centered / (centered.square().mean(axis, keepdim=True) + EPS).sqrt() * gain
        wanted = wanted if "RMS" in name else wanted + bias
        expected = [wanted, *torch.autograd.grad(wanted, used(name, double), d_out.double())]
        single = [x.detach().clone().requires_grad_() for x in inputs]
        out = way(*single)
        found = [out, *torch.autograd.grad(out, used(name, single), d_out)]
        off = max(
            ((a.double() - b).abs().max() / b.abs().max()).item()
            for a, b in zip(found, expected, strict=True)
        )
        if off > 1e-4:
            raise RuntimeError(f"{name}: off by {off:.1e} of the largest entry; not timed")


def measure(rows: int, dim: int, rounds: int, gemm: list[float]) -> dict[str, dict[str, list[float]]]:
    """Quartiles of milliseconds, forward and both, by way; the first round is not counted."""
    inputs, d_out = tensors(rows, dim)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways(dim)}
    repeats = max(1, 2**20 // (rows * dim))
    for turn in range(rounds + 1):
        gemm.append(measure_gemm())
        for name, way in ways(dim).items():
            fresh = [x.detach().requires_grad_() for x in inputs]
            wanted, forward, both = used(name, fresh), 0.0, 0.0
            for _ in range(repeats):
                start = time.process_time()
                out = way(*fresh)
                middle = time.process_time()
                torch.autograd.grad(out, wanted, d_out)
                both += time.process_time() - start
                forward += middle - start
            if turn:
                times[name].append((forward / repeats * 1e3, both / repeats * 1e3))
    return {
        name: {part: quartiles([pair[i] for pair in found]) for i, part in enumerate(("forward", "both"))}
        for name, found in times.items()
    }


def measure_copies(rows: int, dim: int, rounds: int) -> dict[str, list[float]]:
    """Quartiles of milliseconds for a copy into a fresh tensor, and into one that was there before."""
    (x, *_), old = tensors(rows, dim)
    found: dict[str, list[float]] = {"fresh": [], "reused": []}
    for turn in range(rounds + 1):
        for name, copy in (("fresh", x.clone), ("reused", lambda: old.copy_(x))):
            start = time.process_time()
            copy()
            if turn:
                found[name].append((time.process_time() - start) * 1e3)
    return {name: quartiles(times) for name, times in found.items()}


def measure_all(quick: bool) -> dict:
    """Every shape."""
    gemm: list[float] = []
    found, rounds = [], 1 if quick else 11
    for rows, dim in SHAPES[:1] if quick else SHAPES:
        check(min(rows, 512), dim)
        copies = measure_copies(rows, dim, rounds)
        found.append({"rows": rows, "dim": dim, **copies, "ways": measure(rows, dim, rounds, gemm)})
    return {"shapes": found, "gemm": quartiles(gemm)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the chapter's record")
    parser.add_argument("--quick", action="store_true", help="one shape, one round: does it run?")
    given = parser.parse_args()
    if given.quick and given.record:
        parser.error("--quick measures too little to be recorded")
    torch.set_num_threads(1)
    load_before = os.getloadavg()[0]
    data = measure_all(given.quick)
    data["load"] = [load_before, os.getloadavg()[0]]
    for shape in data["shapes"]:
        print(
            f"[{shape['rows']}, {shape['dim']}], copies {shape['fresh'][1]:.2f} and {shape['reused'][1]:.2f} ms"
        )
        for name, row in shape["ways"].items():
            low, middle, high = row["both"]
            print(
                f"  {name:22} forward {row['forward'][1]:8.2f}, both {middle:8.2f} ms ({low:.2f} to {high:.2f})"
            )
    print("GEMM", [round(x, 1) for x in data["gemm"]], "load", data["load"])
    if given.record:
        print(save_record("gopher", "norm_speed", "python benchmarks/rmsnorm.py --record", rounded(data)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
