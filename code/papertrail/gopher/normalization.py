"""Normalization layers, each from its paper's equation.

LayerNorm: Ba, Kiros & Hinton 2016. RMSNorm and pRMSNorm: Zhang & Sennrich 2019, sections 4 and 5. WeightNorm:
Salimans & Kingma 2016. BatchNorm: Ioffe & Szegedy 2015, here for sequences with padding.

`RMSNorm` has its backward pass written out, since torch's own runs as separate operations on a CPU, most of which fill
a fresh tensor; the others are a few lines for autograd. Letters in shapes: B batch, T length, D features, N vectors.
"""

from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from papertrail.experiments import at_least_one


def _check_width(x: Tensor, layer: nn.Module) -> None:
    if x.shape[-1] != layer.dim:
        name = type(layer).__name__
        raise ValueError(f"x: last axis is {x.shape[-1]}, but this {name} was made for dim={layer.dim}")


def _check_eps(eps: float) -> None:
    if not eps >= 0:
        raise ValueError(f"eps: got {eps!r}; allowed are numbers from 0 up")


class _RMSNorm(Function):
    """y = x r w, with r = 1 / sqrt(mean(x^2) + eps) for each row; x is (N, D), contiguous or not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # (N, 1), without a square of x in memory
        inverse.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        ctx.eps = eps
        return (x * inverse).mul_(weight)  # one fresh tensor: a large one costs more than the arithmetic

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # under create_graph: operations that autograd can follow once more
            inverse = (x.square().mean(-1, keepdim=True) + ctx.eps).rsqrt()
            product = grad * x
            slope = (product * weight).mean(-1, keepdim=True) * inverse**3
            return grad * weight * inverse - x * slope, (product * inverse).sum(0), None
        product = grad * x
        d_weight = inverse.squeeze(-1) @ product
        slope = (product @ weight).unsqueeze(-1).mul_(inverse**3).div_(-x.shape[-1])  # (N, 1)
        # dL/dx = grad w r - x r^3 mean(grad w x), in the memory of the product, which has done its work
        d_x = torch.mul(grad, weight, out=product).mul_(inverse).addcmul_(x, slope)
        return d_x, d_weight, None


class RMSNorm(nn.Module):
    """Divide each vector by its root mean square, then multiply by a learned gain (Zhang & Sennrich 2019, eq. 4).

    Unlike LayerNorm it subtracts no mean. The paper keeps the layer's bias (eq. 5); today's implementations drop it, as
    this one does.

    Args:
        dim: size of the last axis.
        eps: added to the mean square, inside the root.

    Shapes: (..., dim) -> (..., dim), dtype kept. float16 and bfloat16 are computed in float32. The backward pass is
    written by hand, and can be differentiated once more.

    Raises:
        ValueError: dim is below 1, eps is negative, or the input's last axis is not `dim`.
        TypeError: the input is not of a floating dtype.
    """

    def __init__(self, dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        at_least_one(dim=dim)
        _check_eps(eps)
        self.dim, self.eps = dim, eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        _check_width(x, self)
        if not x.is_floating_point():
            raise TypeError(f"x: got {x.dtype}; allowed are floating dtypes")
        work = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
        rows = x.to(work).reshape(-1, self.dim)
        return _RMSNorm.apply(rows, self.weight.to(work), self.eps).reshape(x.shape).to(x.dtype)

    def extra_repr(self) -> str:
        """The width and eps, as torch prints a module."""
        return f"{self.dim}, eps={self.eps:g}"


class PartialRMSNorm(nn.Module):
    """pRMSNorm: the root mean square of the first k = ceil(dim p) entries stands for all (Zhang & Sennrich, sec. 5).

    Args:
        p: share of the entries to look at; the paper's is 6.25%.

    Shapes: (..., dim) -> (..., dim).

    Raises:
        ValueError: dim is below 1, eps is negative, p is not in (0, 1], or the input's last axis is not `dim`.
    """

    def __init__(self, dim: int, p: float = 0.0625, eps: float = 1e-6) -> None:
        super().__init__()
        at_least_one(dim=dim)
        _check_eps(eps)
        if not 0 < p <= 1:
            raise ValueError(f"p: got {p!r}; allowed are numbers above 0, up to 1")
        self.dim, self.eps, self.k = dim, eps, ceil(dim * p)
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        _check_width(x, self)
        mean_square = x[..., : self.k].square().mean(-1, keepdim=True)  # (..., 1)
        return x * torch.rsqrt(mean_square + self.eps) * self.weight


class LayerNorm(nn.Module):
    """Subtract each vector's mean, divide by its standard deviation, then a gain and a bias (Ba et al. 2016, sec. 3).

    Zhang & Sennrich 2019 repeat it as equations 2 and 3. The variance is the biased one, over `dim`.

    Shapes: (..., dim) -> (..., dim).

    Raises:
        ValueError: dim is below 1, eps is negative, or the input's last axis is not `dim`.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        at_least_one(dim=dim)
        _check_eps(eps)
        self.dim, self.eps = dim, eps
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        _check_width(x, self)
        centered = x - x.mean(-1, keepdim=True)
        variance = centered.square().mean(-1, keepdim=True)  # (..., 1)
        return centered * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class WeightNorm(nn.Module):
    """A linear layer whose rows have a length of their own: W_i = g_i v_i / |v_i| (Salimans & Kingma 2016, section 2).

    It normalizes weights instead of activations, and so looks at no data at all.

    Args:
        linear: where v comes from; g starts at the rows' lengths, so that nothing changes at first.

    Shapes: (..., in_features) -> (..., out_features).

    Raises:
        ValueError: a row of the linear layer's weight is zero, and has no direction.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        lengths = linear.weight.detach().norm(dim=1)
        if not lengths.all():
            raise ValueError("linear: has a row of zeros; allowed are weights whose rows have a direction")
        self.v, self.g = nn.Parameter(linear.weight.detach().clone()), nn.Parameter(lengths)
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        weight = self.v * (self.g / self.v.norm(dim=1)).unsqueeze(1)  # (out, in)
        return nn.functional.linear(x, weight, self.bias)


class BatchNorm(nn.Module):
    """Normalize each feature over all positions of a batch of sequences (Ioffe & Szegedy 2015, algorithms 1 and 2).

    In training the statistics are the batch's own, and a running average of them is kept: of the mean, and of the
    unbiased variance. In evaluation the running average is used, so that train and eval are different functions.

    Args:
        momentum: share of the newest batch in the running average.

    Shapes: x (B, T, dim), mask (B, T) boolean, True = a real position -> (B, T, dim). Padding counts in no statistic;
    its own outputs mean nothing.

    Raises:
        ValueError: dim is below 1, eps is negative, the shapes do not fit, the mask is not boolean, or a training
            batch has fewer than two real positions.
    """

    running_mean: Tensor  # (dim,)
    running_var: Tensor  # (dim,)

    def __init__(self, dim: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        at_least_one(dim=dim)
        _check_eps(eps)
        self.dim, self.eps, self.momentum = dim, eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        _check_width(x, self)
        if x.dim() != 3:
            raise ValueError(f"x: got shape {tuple(x.shape)}; allowed is (B, T, {self.dim})")
        if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:2]):
            raise ValueError(
                f"mask: got {mask.dtype} of {tuple(mask.shape)}; allowed is bool of {tuple(x.shape[:2])}"
            )
        mean, var = self.running_mean, self.running_var
        if self.training:
            rows = x.flatten(0, 1) if mask is None else x[mask]  # (N, D)
            if len(rows) < 2:
                raise ValueError(f"x: {len(rows)} real positions; in training at least two are needed")
            mean, var = rows.mean(0), rows.var(0, unbiased=False)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * len(rows) / (len(rows) - 1), self.momentum)
        return (x - mean) * torch.rsqrt(var + self.eps) * self.weight + self.bias
