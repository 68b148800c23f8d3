"""Feature maps for linear attention: what stands in for the exponential.

elu(x) + 1: Katharopoulos et al. 2020, eq. 7. DPFP: Schlag, Irie & Schmidhuber 2021, eqs. 33-37.
FAVOR+: Choromanski et al. 2021, sections 2.3-2.4. Each works on the last axis and looks at one position alone.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one

FeatureMap = Callable[[Tensor], Tensor]
KINDS = ("positive", "trigonometric", "hyperbolic")  # of random features


class _EluPlusOne(torch.autograd.Function):
    """Keeps its output only: where x > 0 the derivative is 1, elsewhere exp(x), which is the output itself.

    F.elu(x) + 1 keeps its input, and in float32 is 0 from x = -17 down, where exp(x) still has a value.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clamp(max=0).exp_().add_(x.clamp(min=0))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return grad * y.clamp(max=1)


def elu_plus_one(x: Tensor) -> Tensor:
    """elu(x) + 1: x + 1 where x > 0, exp(x) elsewhere (Katharopoulos et al. 2020, eq. 7).

    Shapes: any shape -> the same, dtype kept.

    Raises:
        ValueError: x does not hold floating-point numbers.
    """
    if not x.is_floating_point():
        raise ValueError(f"x: got dtype {x.dtype}; allowed are floating-point types")
    return _EluPlusOne.apply(x)


def dpfp(x: Tensor, nu: int = 1) -> Tensor:
    """Deterministic parameter-free projection (Schlag et al. 2021, eqs. 33-37).

    phi_{i, j}(x) = r([x; -x])_i r([x; -x])_{i+j} for i = 1..2d (counted around) and j = 1..nu, r = relu; block j
    comes after block j - 1. Past nu = d - 1 nothing is won: the products for j = d multiply a relu(x_i) with its
    own relu(-x_i) and vanish, and those for j > d are those for 2d - j in another order.

    Shapes: (..., d) -> (..., 2 * d * nu).

    Raises:
        ValueError: nu is no integer from 1 to 2d - 1.
    """
    most = 2 * x.shape[-1] - 1
    if isinstance(nu, bool) or not isinstance(nu, int) or not 1 <= nu <= most:
        raise ValueError(f"nu: got {nu!r}; allowed are integers from 1 to 2 d - 1 = {most}")
    r = F.relu(torch.cat([x, -x], dim=-1))  # (..., 2d)
    return torch.cat([r * r.roll(-j, dims=-1) for j in range(1, nu + 1)], dim=-1)


def orthogonal_gaussian(
    m: int, d: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64
) -> Tensor:
    """m Gaussian vectors, orthogonal to each other within each block of d (Choromanski et al. 2021, section 2.4).

    Each row alone is N(0, I_d): a direction uniform on the sphere, a length that is chi-distributed with d
    degrees of freedom. Blocks are independent. Drawn in float64, then rounded to `dtype`.

    Shapes: -> (m, d).

    Raises:
        ValueError: m or d is below 1.
    """
    at_least_one(m=m, d=d)
    blocks = -(-m // d)
    q, r = torch.linalg.qr(torch.randn(blocks, d, d, dtype=torch.float64, generator=generator))
    # Which signs QR picks is the library's affair: only with a positive diagonal in R is Q uniform (Haar).
    q = q * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).unsqueeze(-2)
    lengths = torch.randn(blocks * d, d, dtype=torch.float64, generator=generator).norm(dim=-1, keepdim=True)
    return (q.reshape(blocks * d, d) * lengths)[:m].to(dtype)


def favor_features(x: Tensor, projection: Tensor, kind: str = "positive") -> Tensor:
    """Random features whose dot products estimate exp(x . y) without bias (Choromanski et al. 2021, Lemma 1).

    With w the rows of `projection`, drawn from N(0, I):

    - "positive": exp(w . x - |x|^2 / 2) / sqrt(m), eq. 7;
    - "hyperbolic": exp(w . x - |x|^2 / 2) and exp(-w . x - |x|^2 / 2), over sqrt(2m), Lemma 1's second form;
    - "trigonometric": exp(|x|^2 / 2) [cos(w . x), sin(w . x)] / sqrt(m), the older estimator.

    As printed: an attention that divides by sqrt(d) must scale q and k by d^(-1/4) first, and no maximum is taken
    off against overflow, for a maximum over keys lets a causal model see later positions.

    Shapes: x (..., d), projection (m, d) -> (..., m) if positive, (..., 2m) otherwise.

    Raises:
        ValueError: kind is unknown, or projection is no (m, d).
    """
    _known(kind)
    if projection.dim() != 2 or projection.shape[0] < 1 or projection.shape[1] != x.shape[-1]:
        raise ValueError(
            f"projection: got shape {tuple(projection.shape)}; allowed is (m, d) with d = {x.shape[-1]}, "
            "the last axis of x"
        )
    m, wx = len(projection), x @ projection.T  # (..., m)
    half = x.square().sum(-1, keepdim=True) / 2
    if kind == "trigonometric":
        return torch.cat([wx.cos(), wx.sin()], dim=-1) * (half.exp() / math.sqrt(m))
    if kind == "hyperbolic":
        return torch.cat([wx - half, -wx - half], dim=-1).exp() / math.sqrt(2 * m)
    return (wx - half).exp() / math.sqrt(m)


class FavorMap:
    """`favor_features` with a projection drawn once, from `seed`; called as a function, it follows the input's dtype.

    Args:
        d: size of the input's last axis.
        num_features: size of the output's last axis. "trigonometric" and "hyperbolic" make two features of each
            random vector, so there it must be even, and half as many vectors are drawn.
        kind: as in `favor_features`.
        orthogonal: rows orthogonal in blocks of d, or independent.

    Shapes: (..., d) -> (..., num_features).

    Raises:
        ValueError: kind is unknown, a size is below 1, or num_features is odd where it must be even; when
            called, an input's last axis is not d.
    """

    def __init__(
        self, d: int, num_features: int, *, kind: str = "positive", orthogonal: bool = True, seed: int = 0
    ) -> None:
        at_least_one(d=d, num_features=num_features)
        _known(kind)
        if kind != "positive" and num_features % 2:
            raise ValueError(f"num_features: got {num_features}; allowed with kind={kind!r} are even numbers")
        self.kind, self.num_features = kind, num_features
        m = num_features if kind == "positive" else num_features // 2
        generator = torch.Generator().manual_seed(seed)
        if orthogonal:
            self.projection = orthogonal_gaussian(m, d, generator=generator)
        else:
            self.projection = torch.randn(m, d, dtype=torch.float64, generator=generator)

    def __call__(self, x: Tensor) -> Tensor:
        return favor_features(x, self.projection.to(x), self.kind)


def resolve(feature_map: str | FeatureMap | None) -> FeatureMap:
    """The function meant by "elu+1", None (identity), "dpfp-NU" such as "dpfp-1", or any callable (itself).

    Raises:
        ValueError: it is none of these.
    """
    if feature_map is None:
        return lambda x: x
    if callable(feature_map):
        return feature_map
    if feature_map == "elu+1":
        return elu_plus_one
    if isinstance(feature_map, str) and re.fullmatch(r"dpfp-[1-9][0-9]*", feature_map):
        nu = int(feature_map.removeprefix("dpfp-"))
        return lambda x: dpfp(x, nu)
    raise ValueError(
        f"feature_map: got {feature_map!r}; allowed are 'elu+1', 'dpfp-1', 'dpfp-2' and so on, "
        "None for the identity, or a callable"
    )


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind: got {kind!r}; allowed are {', '.join(map(repr, KINDS))}")
