"""Norms forward and backward on a CPU, in one process: ours beside torch's and beside the formulas as written.

    .venv/bin/python benchmarks/rmsnorm.py [--record] [--quick]

Run it by hand on a quiet machine; the method is that of papertrail.benchmarking, with fresh outputs in each round. A
copy into fresh memory and into old is timed as well: at [8192, 1024] fresh memory costs more than arithmetic. No
compiled form is run. `--record` writes book/results/gopher/norm_speed.json.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from papertrail.benchmarking import Yardstick, alternate, finish, parse, parser, refuse_wrong, with_gradients
from papertrail.gopher.normalization import LayerNorm, RMSNorm

SHAPES = ((512, 512), (512, 1024), (512, 4096), (8192, 1024))
QUICK = ((512, 512), (8192, 1024))
COMMAND = "python benchmarks/rmsnorm.py --record"
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


def used(name: str) -> int:
    """How many of input, gain and bias a way has gradients for: RMSNorm has no bias."""
    return 2 if "RMS" in name else 3


def formula(name: str, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """What a way should compute, written out."""
    axis = 0 if "Batch" in name else -1
    centered = x if "RMS" in name else x - x.mean(axis, keepdim=True)
    scaled = centered / (centered.square().mean(axis, keepdim=True) + EPS).sqrt() * gain
    return scaled if "RMS" in name else scaled + bias


def check(rows: int, dim: int) -> None:
    """Values and gradients of each way against the formula in float64.

    Raises:
        WrongResult: a way is off by more than round-off.
    """
    inputs, d_out = tensors(rows, dim)
    for name, way in ways(dim).items():
        double = [x.double().requires_grad_() for x in inputs]
        single = [x.detach().clone().requires_grad_() for x in inputs]
        expected = with_gradients(partial(formula, name), double, d_out.double(), of=used(name))
        refuse_wrong(name, with_gradients(way, single, d_out, of=used(name)), expected)


def measure(rows: int, dim: int, rounds: int, yardstick: Yardstick) -> dict[str, dict[str, list[float]]]:
    """Quartiles of milliseconds, forward and both, by way."""
    inputs, d_out = tensors(rows, dim)
    repeats = max(1, 2**20 // (rows * dim))

    def once(name: str, way: Way) -> tuple[float, float]:
        fresh = [x.detach().requires_grad_() for x in inputs]
        forward = both = 0.0
        for _ in range(repeats):
            start = time.process_time()
            out = way(*fresh)
            middle = time.process_time()
            torch.autograd.grad(out, fresh[: used(name)], d_out)
            both += time.process_time() - start
            forward += middle - start
        return forward / repeats * 1e3, both / repeats * 1e3

    timed = {name: partial(once, name, way) for name, way in ways(dim).items()}
    return {
        name: {"forward": forward, "both": both}
        for name, (forward, both) in alternate(timed, rounds, yardstick).items()
    }


def measure_copies(rows: int, dim: int, rounds: int, yardstick: Yardstick) -> dict[str, list[float]]:
    """Quartiles of milliseconds for a copy into a fresh tensor, and into one that was there before."""
    (x, *_), old = tensors(rows, dim)

    def once(copy: Callable[[], Tensor]) -> tuple[float]:
        start = time.process_time()
        copy()
        return ((time.process_time() - start) * 1e3,)

    copies = {"fresh": partial(once, x.clone), "reused": partial(once, lambda: old.copy_(x))}
    return {name: times for name, (times,) in alternate(copies, rounds, yardstick).items()}


def measure_all(shapes: tuple[tuple[int, int], ...], rounds: int, yardstick: Yardstick) -> dict:
    """Every shape, its ways compared with float64 first."""
    found = []
    for rows, dim in shapes:
        check(min(rows, 512), dim)
        copies = measure_copies(rows, dim, rounds, yardstick)
        found.append({"rows": rows, "dim": dim, **copies, "ways": measure(rows, dim, rounds, yardstick)})
    return {"shapes": found}


def main() -> int:
    given = parse(parser(__doc__, "half a minute of one core", rounds=11))
    yardstick = Yardstick()
    data = measure_all(QUICK if given.quick else SHAPES, given.rounds, yardstick)
    for shape in data["shapes"]:
        copies = f"copies {shape['fresh'][1]:.2f} and {shape['reused'][1]:.2f} ms"
        print(f"[{shape['rows']}, {shape['dim']}], {copies}")
        for name, row in shape["ways"].items():
            low, middle, high = row["both"]
            times = f"forward {row['forward'][1]:8.2f}, both {middle:8.2f} ms ({low:.2f} to {high:.2f})"
            print(f"  {name:22} {times}")
    return finish(given, ("gopher", "norm_speed"), COMMAND, data, yardstick)


if __name__ == "__main__":
    raise SystemExit(main())
