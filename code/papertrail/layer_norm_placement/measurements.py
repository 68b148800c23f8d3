"""What chapter 2 measures at initialization. Every function uses its own seeds and leaves the caller's alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from papertrail.architecture_diagram.sublayer import Sublayer
from papertrail.experiments import at_least_one, given, seeded
from papertrail.layer_norm_placement.models import SHAPES, Model, zero_queries_and_keys
from papertrail.layer_norm_placement.placements import Stack, one_of, profile
from papertrail.layer_norm_placement.theory import layer_norm_jacobian, slope


@dataclass(frozen=True)
class GradientProfile:
    """Frobenius norm of the loss's gradient with respect to each layer's W2, as [seed][layer], input side first."""

    norms: dict[str, list[list[float]]]  # by stack: "encoder", "decoder"
    shape: str
    placement: str
    depth: int
    start: str
    seeds: int

    def ratios(self, stack: str) -> list[float]:
        """By seed, the last layer's norm over the first layer's: above 1, gradients shrink on the way down."""
        return [row[-1] / row[0] for row in self.norms[stack]]

    def last(self, stack: str) -> list[float]:
        """By seed, the last layer's norm."""
        return [row[-1] for row in self.norms[stack]]


def measure_gradients(
    shape: str,
    placement: str,
    depth: int,
    *,
    d_model: int = 64,
    batch: int = 16,
    length: int = 32,
    vocab_size: int = 100,
    seeds: int = 5,
    start: str = "xavier",
    zero_qk: bool = False,
    **options: Any,
) -> GradientProfile:
    """One backward pass at initialization: random tokens, random labels, mean cross-entropy.

    Four heads, d_ff = 4 d_model. W2 is the feed-forward's second matrix (Xiong et al. 2020, Theorem 1; their
    Figure 3 has the norm of the mean gradient of many batches, this is that of one). An "admin" model takes its
    omegas from a pass over the same tokens.

    Args:
        shape, placement, depth, start, **options: as in `Model`.
        zero_qk: set W_Q = W_K = 0, as the theorem assumes.

    Raises:
        ValueError: a size is below 1; shape, placement or start is unknown.
    """
    at_least_one(depth=depth, d_model=d_model, batch=batch, length=length, vocab_size=vocab_size, seeds=seeds)
    one_of("shape", shape, SHAPES)
    norms: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        with seeded(seed):
            model = Model(
                shape, depth, vocab_size=vocab_size, length=length, d_model=d_model, num_heads=4,
                d_ff=4 * d_model, placement=placement, start=start, **options,
            )  # fmt: skip
            if zero_qk:
                zero_queries_and_keys(model)
            tokens, source, labels = torch.randint(vocab_size, (3, batch, length))
        inputs = (tokens, source) if shape == "encoder-decoder" else (tokens,)
        if placement == "admin":
            set_omegas(model, *inputs)
        weights = {name: stack.last_weights() for name, stack in model.stacks.items()}
        loss = F.cross_entropy(model(*inputs).flatten(0, 1), labels.flatten())
        gradients = iter(torch.autograd.grad(loss, [w for row in weights.values() for w in row]))
        for name, row in weights.items():
            norms.setdefault(name, []).append([next(gradients).norm().item() for _ in row])
    return GradientProfile(norms, shape, placement, depth, start, seeds)


def set_omegas(model: Model, *inputs: Tensor) -> None:
    """Admin's profiling pass for a whole model: each stack is profiled on what it is really given.

    Shapes: inputs as the model takes them: tokens (B, T), and the source (B, S) where there are two stacks.
    """
    found: set[str] = set()

    def remember(name: str) -> Any:
        def hook(stack: Stack, args: tuple, kwargs: dict) -> None:
            if name not in found:
                found.add(name)
                profile(stack, *args, **kwargs)

        return hook

    handles = [
        stack.register_forward_pre_hook(remember(name), with_kwargs=True)
        for name, stack in model.stacks.items()
    ]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()


def inner_functions(module: nn.Module) -> list[nn.Module]:
    """The f of each sub-layer of a model, where it is a module: what hooks can be put on."""
    inner = (part.f for part in module.modules() if isinstance(part, Sublayer))
    return [f for f in inner if isinstance(f, nn.Module)]


@contextmanager
def branch_inputs(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect, in a list that fills as the module runs, what each sub-layer's f is fed, its norm applied.

    Shapes: returns (B, T, D) each.
    """
    seen: list[Tensor] = []
    handles = [
        f.register_forward_pre_hook(lambda f, args: seen.append(args[0].detach()))
        for f in inner_functions(module)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class RepresentationDistance:
    """Mean |u_(k+1) - u_k| per entry between what consecutive sub-layers are fed, as [seed][k - 1]."""

    distances: dict[str, list[list[float]]]  # by placement
    depth: int
    d_model: int
    start: str
    seeds: int

    def slopes(self, placement: str) -> list[float]:
        """By seed, the exponent of k: -0.5 is the theory's for a sum of independent parts, 0 is no collapse."""
        return [slope(list(range(1, len(row) + 1)), row) for row in self.distances[placement]]


def measure_representation_distance(
    placements: Sequence[str] = ("post", "pre", "sandwich", "dual-residual"),
    depth: int = 24,
    *,
    d_model: int = 128,
    batch: int = 4,
    length: int = 32,
    seeds: int = 5,
    start: str = "xavier",
) -> RepresentationDistance:
    """How much the inputs of consecutive sub-layers differ, at initialization (Xie et al. 2023, Figure 2b).

    One bidirectional stack of 2 depth sub-layers on N(0, 1) inputs; the same weights for all placements, as far
    as they have the same shapes. What sub-layer k is fed is taken after its own norm. "res-post" feeds its
    sub-layers a growing sum without a norm; it is normalized here, so that all are compared at one size.

    Raises:
        ValueError: a size is below 1; placement or start is unknown.
    """
    at_least_one(depth=depth, d_model=d_model, batch=batch, length=length, seeds=seeds)
    distances: dict[str, list[list[float]]] = {placement: [] for placement in placements}
    for seed in range(seeds):
        for placement in placements:
            with seeded(seed), torch.no_grad():
                stack = Stack(depth, d_model, 4, 4 * d_model, placement, start=start)
                x = torch.randn(batch, length, d_model)
                if placement == "admin":
                    profile(stack, x)
                with branch_inputs(stack) as fed:
                    stack(x)
            if placement == "res-post":
                fed = [F.layer_norm(value, (d_model,)) for value in fed]
            pairs = zip(fed, fed[1:], strict=False)
            distances[placement].append([(later - earlier).abs().mean().item() for earlier, later in pairs])
    return RepresentationDistance(distances, depth, d_model, start, seeds)


@dataclass(frozen=True)
class Amplification:
    """Mean square change of a stack's normalized output, over the square of the weights' relative change.

    As [seed][depth], by placement.
    """

    changes: dict[str, list[list[float]]]
    depths: list[int]
    relative: float
    start: str
    seeds: int

    def slopes(self, placement: str) -> list[float]:
        """By seed, the exponent of depth: 1 is linear growth."""
        return [slope(self.depths, row) for row in self.changes[placement]]


def measure_amplification(
    placements: Sequence[str] = ("post", "pre", "dual-residual", "deepnorm", "admin"),
    depths: Sequence[int] = (2, 4, 8, 16, 32),
    *,
    relative: float = 1e-3,
    d_model: int = 64,
    batch: int = 4,
    length: int = 16,
    seeds: int = 5,
    start: str = "xavier",
    **options: Any,
) -> Amplification:
    """Change every matrix by a small random part of itself and see how far the output moves (Liu et al. 2020).

    Each matrix W becomes W + relative * std(W) * N(0, 1). Encoder stacks; outputs are normalized once
    more, so that placements are compared on one scale. The paper's theorem 2 and corollaries: O(N) for Post-LN,
    O(log N) for Pre-LN.

    Raises:
        ValueError: a size is below 1; placement or start is unknown; relative is not positive.
    """
    at_least_one(d_model=d_model, batch=batch, length=length, seeds=seeds, depths=min(depths, default=0))
    if relative <= 0:
        raise ValueError(f"relative: got {relative}; allowed are positive numbers")
    changes: dict[str, list[list[float]]] = {placement: [] for placement in placements}
    for seed in range(seeds):
        for placement in placements:
            row = []
            for depth in depths:
                with seeded(seed), torch.no_grad():
                    stack = Stack(depth, d_model, 4, 4 * d_model, placement, start=start, **options)
                    x = torch.randn(batch, length, d_model)
                    if placement == "admin":
                        profile(stack, x)
                    before = F.layer_norm(stack(x), (d_model,))
                    for linear in (part for part in stack.modules() if isinstance(part, nn.Linear)):
                        linear.weight += relative * linear.weight.std() * torch.randn_like(linear.weight)
                    after = F.layer_norm(stack(x), (d_model,))
                row.append(((after - before).square().mean() / relative**2).item())
            changes[placement].append(row)
    return Amplification(changes, list(depths), relative, start, seeds)


@dataclass(frozen=True)
class Jacobian:
    """The norm's Jacobian against autograd (worst draw); by draw its largest singular value times |y| / sqrt(d)."""

    error: float
    largest: list[float]
    seeds: int


def measure_jacobian(d: int = 32, seeds: int = 5) -> Jacobian:
    """Xiong et al. 2020, Lemma 3: the Jacobian's spectral norm is sqrt(d) / |y|, so `largest` must be 1.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(d=d, seeds=seeds)
    error, largest = 0.0, []
    for seed in range(seeds):
        with seeded(seed):
            x = (1 + 3 * seed) * torch.randn(d, dtype=torch.float64) + seed
        exact = torch.autograd.functional.jacobian(lambda v: F.layer_norm(v, (d,), eps=0.0), x)
        ours, y = layer_norm_jacobian(x), x - x.mean()
        error = max(error, (ours - exact).abs().max().item())
        largest.append((torch.linalg.matrix_norm(ours, 2) * y.norm() / d**0.5).item())
    return Jacobian(error, largest, seeds)


@dataclass(frozen=True)
class TwoStreams:
    """ResiDual's two streams beside Post-LN and Pre-LN on the same weights and inputs, float64.

    Attributes:
        first_is_post: largest difference between the first stream and Post-LN's output, over all seeds.
        sum_of_branches: largest difference between the output and first stream + norm(input + all branches).
        second_to_pre: by seed, distance of the normalized second stream from Pre-LN's output, over its length.
        sublayers: in one stack.
    """

    first_is_post: float
    sum_of_branches: float
    second_to_pre: list[float]
    sublayers: int
    seeds: int


def measure_two_streams(depth: int = 6, *, d_model: int = 64, seeds: int = 5) -> TwoStreams:
    """What ResiDual's streams are, one by one (Xie et al. 2023, and the released code).

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(depth=depth, d_model=d_model, seeds=seeds)
    first, whole, second = 0.0, 0.0, []
    for seed in range(seeds):
        stacks: dict[str, Stack] = {}
        for placement in ("dual-residual", "post", "pre"):
            with seeded(seed):
                stacks[placement] = Stack(depth, d_model, 4, 4 * d_model, placement).double()
                x = torch.randn(4, 16, d_model, dtype=torch.float64)
        branches: list[Tensor] = []
        for f in inner_functions(stacks["dual-residual"]):
            f.register_forward_hook(lambda f, args, value, found=branches: found.append(value))
        with torch.no_grad():
            stream, dual = stacks["dual-residual"].streams(x)
            total = F.layer_norm(x + sum(branches), (d_model,), eps=1e-7)
            post, pre, output = (stacks[p](x) for p in ("post", "pre", "dual-residual"))
        first = max(first, (stream - post).abs().max().item())
        whole = max(whole, (output - stream - total).abs().max().item())
        second.append(((F.layer_norm(given(dual), (d_model,)) - pre).norm() / pre.norm()).item())
    return TwoStreams(first, whole, second, 2 * depth, seeds)
