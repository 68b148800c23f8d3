"""What chapter 3 measures about equalities: each difference relative to the largest entry, the worst over all seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one
from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.inputs import FORMS
from papertrail.fast_weights.linear_attention import linear_attention
from papertrail.fast_weights.programmers import Programmer, run, slow_units

F64 = torch.float64


def relative(found: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest absolute entry of `expected`.

    Shapes: found and expected of any shape, the same for both.
    """
    return ((found - expected).abs().max() / expected.abs().max()).item()


@dataclass(frozen=True)
class Equivalence:
    """A 1992 programmer with FROM/TO beside unnormalized linear attention of the same keys, values and queries.

    Attributes:
        same: sigma the identity, write before read: the differences must be round-off.
        same_float32: the same in float32.
        projected: the same with a query that is a random projection of F's input: a control that must differ.
        shifted: read before write, against attention whose mask leaves out the diagonal.
        order: read before write, against linear attention as it is.
        squashed: with the paper's squashing (eq. 7), against linear attention.
        whole_request_rank: the smallest rank of one request of the other interface ("units"); FROM/TO has rank 1.
    """

    same: float
    same_float32: float
    projected: float
    shifted: float
    order: float
    squashed: float
    whole_request_rank: int
    seeds: int


def measure_equivalence(
    *, length: int = 64, d: int = 8, m: int = 6, inputs: int = 10, seeds: int = 5
) -> Equivalence:
    """Schlag et al. 2021, eqs. 1 to 11: what has to hold for 1992's update to be linear attention.

    Nets of 1992 with weights N(0, 1 / inputs); x and F's input z are N(0, 1), so the query is no projection.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(length=length, d=d, m=m, inputs=inputs, seeds=seeds)
    worst = dict.fromkeys(("same", "same_float32", "shifted"), 0.0)
    least = dict.fromkeys(("order", "squashed", "projected"), float("inf"))
    rank = d * m
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int, generator: torch.Generator = generator) -> Tensor:
            return torch.randn(*shape, dtype=F64, generator=generator)

        weight = draw(1, slow_units("from-to", d, m), inputs) / inputs**0.5
        x, z = draw(1, length, inputs), draw(1, length, d)
        net = Programmer("from-to", weight, inputs=d, outputs=m, squash=None)
        q, k, v = (part.unsqueeze(1) for part in (z, *net.patterns(x)))  # (1, 1, T, D or M)
        linear = linear_attention(q, k, v, feature_map=None, normalize=False)[0]
        strict = ((q @ k.mT).tril(-1) @ v)[0]
        written, read_first = (run(net, x, z, order=order).outputs for order in ("write-read", "read-write"))
        single = Programmer("from-to", weight.float(), inputs=d, outputs=m, squash=None)
        squashed = Programmer("from-to", weight, inputs=d, outputs=m)
        found = {
            "same": relative(written, linear),
            "same_float32": relative(run(single, x.float(), z.float(), order="write-read").outputs, linear),
            "shifted": relative(read_first, strict),
        }
        worst = {name: max(worst[name], value) for name, value in found.items()}
        turned = q @ draw(d, d) / d**0.5
        found = {
            "projected": relative(
                linear_attention(turned, k, v, feature_map=None, normalize=False)[0], written
            ),
            "order": relative(read_first, linear),
            "squashed": relative(run(squashed, x, z, order="write-read").outputs, linear),
        }
        least = {name: min(least[name], value) for name, value in found.items()}
        whole = Programmer("units", draw(1, d * m, inputs), inputs=d, outputs=m, squash=None)
        rank = min(rank, int(torch.linalg.matrix_rank(whole.request(x[:, 0]))[0]))
    return Equivalence(**worst, **least, whole_request_rank=rank, seeds=seeds)


@dataclass(frozen=True)
class FormDifferences:
    """By function, the largest difference of any form from the recurrence, values and gradients of every input."""

    values: dict[str, float]
    gradients: dict[str, float]
    length: int
    seeds: int


def measure_forms(
    *, length: int = 150, dim: int = 8, chunk_size: int = 64, seeds: int = 3
) -> FormDifferences:
    """The three forms of linear attention (with and without normalizer) and of the delta rule, float64.

    The length is no multiple of the chunk. Keys of the delta rule are unit vectors.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(length=length, dim=dim, chunk_size=chunk_size, seeds=seeds)

    def linear(form: str, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
        return linear_attention(q, k, v, form=form, chunk_size=chunk_size)

    def unnormalized(form: str, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
        return linear_attention(q, k, v, feature_map=None, normalize=False, form=form, chunk_size=chunk_size)

    def delta(form: str, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> Tensor:
        return delta_rule(q, F.normalize(k, dim=-1), v, beta.sigmoid(), form=form, chunk_size=chunk_size)

    values: dict[str, float] = {}
    gradients: dict[str, float] = {}
    for function in (linear, unnormalized, delta):
        values[function.__name__] = gradients[function.__name__] = 0.0
        for seed in range(seeds):
            generator = torch.Generator().manual_seed(seed)
            shapes = [(1, 2, length, dim)] * 3 + [(1, 2, length)]
            tensors = [
                torch.randn(shape, dtype=F64, generator=generator).requires_grad_() for shape in shapes
            ]
            weights = torch.randn(1, 2, length, dim, dtype=F64, generator=generator)
            results = []
            for form in FORMS:
                out = function(form, *tensors)
                used = tensors if function is delta else tensors[:3]
                results.append([out, *torch.autograd.grad(out, used, weights)])
            first, *others = results
            for other in others:
                off = [relative(one, reference) for one, reference in zip(other, first, strict=True)]
                name = function.__name__
                values[name], gradients[name] = max(values[name], off[0]), max(gradients[name], *off[1:])
    return FormDifferences(values, gradients, length, seeds)


def measure_normalizer(*, length: int = 100, dim: int = 16, seeds: int = 5) -> float:
    """Values with one more entry that is always 1, unnormalized, against the normalized output: largest difference.

    The last entry of the output is the normalizer then (Choromanski et al. 2021, eq. 11).

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(length=length, dim=dim, seeds=seeds)
    worst = 0.0
    for seed in range(seeds):
        q, k, v = torch.randn(
            3, 1, 2, length, dim, dtype=F64, generator=torch.Generator().manual_seed(seed)
        ).unbind(0)
        wide = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)
        both = linear_attention(q, k, wide, normalize=False)
        worst = max(worst, relative(both[..., :-1] / both[..., -1:], linear_attention(q, k, v)))
    return worst


@dataclass(frozen=True)
class Stability:
    """Largest output of the delta rule with beta = 1, by the length of its keys, over all seeds."""

    outputs: dict[float, float]
    length: int
    seeds: int


def measure_stability(
    key_lengths: Sequence[float] = (0.5, 1.0, 1.4, 1.5, 2.0),
    *,
    length: int = 256,
    dim: int = 16,
    seeds: int = 3,
) -> Stability:
    """A write multiplies what the memory holds along k by 1 - beta |k|^2: it amplifies beyond -1 only.

    Raises:
        ValueError: a number is below 1; a key length is not positive.
    """
    at_least_one(length=length, dim=dim, seeds=seeds)
    if min(key_lengths, default=0) <= 0:
        raise ValueError(f"key_lengths: got {tuple(key_lengths)}; allowed are positive numbers")
    outputs = dict.fromkeys(key_lengths, 0.0)
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        q, k, v = torch.randn(3, 1, 1, length, dim, dtype=F64, generator=generator).unbind(0)
        beta = torch.ones(1, 1, length, dtype=F64)
        for size in key_lengths:
            out = delta_rule(q, size * F.normalize(k, dim=-1), v, beta, form="recurrent")
            outputs[size] = max(outputs[size], out.abs().max().item())
    return Stability(outputs, length, seeds)
