"""What the papers predict, as functions: the curves that the figures draw beside the measurements."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from papertrail.experiments import at_least_one


def pre_ln_distance(term: int) -> float:
    """Expected |change| per entry between the normalized sums of `term` and of `term` + 1 equal parts.

    If x_k is a sum of k independent N(0, s^2) parts, its normalized form moves by N(0, w^2) when one more part
    comes, with w^2 = 2 - 2 sqrt(k / (k + 1)); and E|N(0, w^2)| = sqrt(2 / pi) w. This falls like 1 / sqrt(k)
    (Xie et al. 2023, the section on representation collapse; w derived anew here).

    Raises:
        ValueError: term is below 1.
    """
    at_least_one(term=term)
    return math.sqrt(2 / math.pi) * math.sqrt(2 - 2 * math.sqrt(term / (term + 1)))


def post_ln_distance(branch_variance: float = 1.0) -> float:
    """The same for norm(x + f) against x, where x has variance 1 and f an independent `branch_variance`.

    w^2 = 2 - 2 / sqrt(1 + variance), at every depth (Xie et al. 2023).

    Raises:
        ValueError: the variance is negative.
    """
    if branch_variance < 0:
        raise ValueError(f"branch_variance: got {branch_variance}; allowed are numbers from 0 up")
    return math.sqrt(2 / math.pi) * math.sqrt(2 - 2 / math.sqrt(1 + branch_variance))


def layer_norm_jacobian(x: Tensor) -> Tensor:
    """d LayerNorm(x) / dx without gain, bias and eps: sqrt(d) / |y| (I - y y^T / |y|^2) (I - 1 1^T / d).

    y is x less its mean. Its largest singular value is sqrt(d) / |y|: the longer the input, the smaller the
    gradient that comes through (Xiong et al. 2020, Lemma 3 and appendix D).

    Shapes: (d,) -> (d, d).

    Raises:
        ValueError: x is no vector, or is constant.
    """
    if x.dim() != 1 or (x == x[0]).all():
        raise ValueError(
            f"x: got shape {tuple(x.shape)}; allowed is one vector whose entries are not all equal"
        )
    d, y = len(x), x - x.mean()
    identity = torch.eye(d, dtype=x.dtype)
    along_y = torch.outer(y, y) / y.square().sum()
    return (
        math.sqrt(d) / y.norm() * (identity - along_y) @ (identity - torch.full((d, d), 1 / d, dtype=x.dtype))
    )


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Least-squares slope of log y against log x: the exponent of a power law (a fit of our own).

    Raises:
        ValueError: fewer than two points, lengths that differ, or a number that is not positive.
    """
    if len(xs) != len(ys) or len(set(xs)) < 2 or min(*xs, *ys) <= 0:
        raise ValueError(f"xs, ys: got {xs} and {ys}; allowed are two or more pairs of positive numbers")
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (xs, ys))
    x = x - x.mean()
    return (x @ (y - y.mean()) / (x @ x)).item()
