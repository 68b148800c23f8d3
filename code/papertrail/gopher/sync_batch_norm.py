"""Batch normalization over the batch of all processes, on any device (PyTorch's own refuses CPU tensors).

BatchNorm: Ioffe & Szegedy 2015, algorithm 1. The messages are those of `torch.nn.SyncBatchNorm`: for C features the
forward pass gathers 2C + 1 numbers from every process, the backward pass sums 2C. Means and variances of shares of
different sizes are merged as in Chan, Golub & LeVeque 1983: within the shares, plus between their means.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable

from papertrail.experiments import at_least_one, given, seeded


class SyncBatchNorm(nn.BatchNorm1d):
    """BatchNorm1d whose batch is that of all processes of the default group; their shares may differ in size.

    Parameters and buffers are those of nn.BatchNorm1d, so a saved one can be loaded. The gradients of weight and bias
    are those of this process's share: their sum over processes is the whole batch's, as DDP expects. In evaluation, and
    where there is one process only, it is nn.BatchNorm1d.

    Shapes: x (N, C) or (N, C, L) -> the same; N may be 0 in some processes.

    Raises:
        ValueError: in training, all shares together hold fewer than 2 values for each feature; x has another shape.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum)

    def forward(self, x: Tensor) -> Tensor:
        alone = not distributed.is_initialized() or distributed.get_world_size() == 1
        if alone or not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        if x.shape[1] != self.num_features:
            raise ValueError(f"x: has {x.shape[1]} features, but this norm was made for {self.num_features}")
        rows = x.movedim(1, -1)  # (N, C) or (N, L, C)
        y, mean, variance, count = _Normalize.apply(
            rows.reshape(-1, self.num_features), self.weight, self.bias, self.eps
        )
        with torch.no_grad():
            given(self.num_batches_tracked).add_(1)
            unbiased = variance * count / (count - 1)
            for running, value in ((given(self.running_mean), mean), (given(self.running_var), unbiased)):
                running.lerp_(value.to(running), given(self.momentum))
        return y.view(rows.shape).movedim(-1, 1)


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the statistics of all processes.

    Shapes: x (n, C), weight and bias (C,) -> y (n, C), mean (C,), variance (C,), and the number of rows of all.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # bfloat16 cannot count past 256
        features = x.shape[1]
        own = wide.new_zeros(2 * features + 1)  # an empty share has no mean: it says 0, and counts 0
        if len(x):
            own[:features] = wide.mean(0)
            own[features:-1] = wide.var(0, unbiased=False)
            own[-1] = len(x)
        everyone = own.new_empty(distributed.get_world_size(), len(own))  # (R, 2C + 1)
        distributed.all_gather(list(everyone.unbind(0)), own)
        means, variances, counts = everyone.split([features, features, 1], dim=1)
        count = counts.sum()
        if count < 2:  # the same in every process, so that all of them stop
            raise ValueError(f"x: all processes hold {count:.0f} rows; training takes 2 or more")
        share = counts / count  # (R, 1)
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean).square())).sum(0)  # within, and between
        scale = torch.rsqrt(variance + eps)
        normalized = (wide - mean) * scale
        ctx.save_for_backward(normalized, scale, weight, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return (normalized * weight + bias).to(x.dtype), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        normalized, scale, weight, count = ctx.saved_tensors
        wide = dy.to(normalized.dtype)
        d_bias, d_weight = wide.sum(0), (wide * normalized).sum(0)  # of this share
        sums = torch.cat([d_bias, d_weight])  # (2C,)
        distributed.all_reduce(sums)
        mean_dy, mean_dy_y = (sums / count).chunk(2)
        dx = weight * scale * (wide - mean_dy - normalized * mean_dy_y)
        return dx.to(dy.dtype), d_weight.to(weight.dtype), d_bias.to(weight.dtype), None


@dataclass(frozen=True)
class LocalStatistics:
    """By seed, the largest difference between a batch normalized share by share and as a whole, in deviations."""

    largest: list[float]
    rows: int
    shares: int
    features: int


def measure_local_statistics(
    rows: int = 8, shares: int = 2, features: int = 256, seeds: int = 5
) -> LocalStatistics:
    """What BatchNorm computes in processes that do not synchronize, against the whole batch, on normal numbers.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(rows=rows, shares=shares, features=features, seeds=seeds)
    norm = nn.BatchNorm1d(features, affine=False)
    largest = []
    for seed in range(seeds):
        with seeded(seed):
            x = torch.randn(shares * rows, features)
        local = torch.cat([norm(share) for share in x.chunk(shares)])
        largest.append((local - norm(x)).abs().max().item())
    return LocalStatistics(largest, rows, shares, features)
