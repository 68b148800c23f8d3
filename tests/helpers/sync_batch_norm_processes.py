"""Synchronized BatchNorm in two processes with unequal shares; what each of them computed goes into a file.

    python sync_batch_norm_processes.py FOLDER

PyTorch is imported once (seconds), then forked.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing import start_processes

from papertrail.gopher.sync_batch_norm import SyncBatchNorm

FEATURES = 4
CASES = {  # whole batch, and how many of its rows the first process has
    "unequal": ((8, FEATURES), 5, torch.float64),
    "sequences": ((6, FEATURES, 3), 2, torch.float64),
    "empty share": ((8, FEATURES), 8, torch.float64),
    "bfloat16": ((700, FEATURES), 300, torch.bfloat16),
}


def draws(name: str) -> list[tuple[Tensor, Tensor]]:
    """Two steps' whole batches with the gradients that come back for them; rows lie far apart on purpose."""
    shape, _, dtype = CASES[name]
    generator = torch.Generator().manual_seed(sorted(CASES).index(name))
    rows = torch.arange(shape[0]).view(-1, *[1] * (len(shape) - 1)) / shape[0]
    return [
        tuple((torch.randn(shape, generator=generator) + 3 * rows).to(dtype) for _ in range(2))
        for _ in range(2)
    ]


def weighted(norm: nn.BatchNorm1d, dtype: torch.dtype) -> nn.BatchNorm1d:
    """The same weight and bias, not 1 and 0, whichever norm it is."""
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2.0, FEATURES))
        norm.bias.copy_(torch.linspace(-1.0, 1.0, FEATURES))
    return norm.to(torch.promote_types(dtype, torch.float32))


def steps(norm: nn.BatchNorm1d, batches: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Forward and backward for each batch; outputs and gradients of the last, buffers after all."""
    for x, dy in batches:
        x = x.clone().requires_grad_()
        norm.zero_grad()
        y = norm(x)
        y.backward(dy)
    found = {"y": y, "dx": x.grad, "d_weight": norm.weight.grad, "d_bias": norm.bias.grad}
    return {name: value.detach().clone() for name, value in (found | dict(norm.named_buffers())).items()}


def profiled() -> list[tuple[str, int]]:
    """What gloo itself reports of one forward and backward pass: operation and how many numbers."""
    norm, x = SyncBatchNorm(FEATURES), torch.randn(3, FEATURES, requires_grad=True)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True
    ) as profile:
        norm(x).sum().backward()
    events = [event for event in profile.events() if event.name.startswith("gloo:")]
    return [(event.name.removeprefix("gloo:"), event.input_shapes[0][0]) for event in events]


def message(call, *arguments) -> str:
    try:
        call(*arguments)
    except ValueError as error:
        return str(error)
    return "no error"


def one_of_two(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {}
    for name, (_, first, dtype) in CASES.items():
        share = slice(None, first) if rank == 0 else slice(first, None)
        mine = [(x[share], dy[share]) for x, dy in draws(name)]
        norm = weighted(SyncBatchNorm(FEATURES), dtype)
        found[name] = steps(norm, mine)
        found[name]["evaluated"] = norm.eval()(draws(name)[0][0].to(norm.weight.dtype)).detach()
    found["profiled"] = profiled()
    found["one row"] = message(SyncBatchNorm(FEATURES), torch.randn(1 - rank, FEATURES))
    found["features"] = message(SyncBatchNorm(FEATURES), torch.randn(2, 5))
    found["torch's own"] = message(nn.SyncBatchNorm(FEATURES), torch.randn(3, FEATURES))
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    start_processes(one_of_two, args=(str(Path(sys.argv[1])),), nprocs=2, start_method="fork")
