"""A Pre-LN Transformer rewritten as a Pre-RMSNorm one that computes the same (Jiang et al. 2023).

The paper was not read in full: the steps are those of its released code as others tell it, and the proof is ours.

Three steps. The main path is a sum of the embedding and of what sub-layers write; make each of them mean-free, and the
whole path is, where LayerNorm and RMSNorm agree. Nobody notices, since each reader of the path subtracts the mean
anyway. Then the norm's bias moves through the linear maps that read it: W (g n + b) = W (g n) + W b.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from papertrail.experiments import at_least_one, seeded
from papertrail.gopher.normalization import RMSNorm
from papertrail.layer_norm_placement.models import Model


def center_outputs(linear: nn.Linear) -> None:
    """Subtract from each column of W its mean, and from the bias its own: the outputs then have mean 0.

    Shapes: W (D_out, D_in).
    """
    with torch.no_grad():
        linear.weight.sub_(linear.weight.mean(0))
        if linear.bias is not None:
            linear.bias.sub_(linear.bias.mean())


def _absorb(linear: nn.Linear, shift: Tensor) -> None:
    """Add W shift to the linear map's bias, which is made if there is none."""
    with torch.no_grad():
        moved = linear.weight @ shift
        linear.bias = nn.Parameter(moved if linear.bias is None else linear.bias + moved)


def _as_rms_norm(norm: nn.LayerNorm, readers: list[nn.Linear]) -> RMSNorm:
    """An RMSNorm with the LayerNorm's gain and eps; its bias goes into the maps that read it."""
    for linear in readers:
        _absorb(linear, norm.bias)
    new = RMSNorm(norm.normalized_shape[0], eps=norm.eps).to(norm.weight.dtype)
    with torch.no_grad():
        new.weight.copy_(norm.weight)
    return new


def to_pre_rms_norm(model: Model, *, center: bool = True) -> Model:
    """A copy of a Pre-LN model with RMSNorm in place of every LayerNorm, and the same outputs.

    Args:
        model: one of chapter 2's, with placement "pre", and one stack.
        center: make the main path mean-free. Without it the copy is another function, which shows what it is for.

    Raises:
        ValueError: the model is not Pre-LN, or has two stacks.
    """
    if model.stack.placement != "pre" or model.encoder is not None:
        raise ValueError(
            f"model: a {model.shape} with placement {model.stack.placement!r}; "
            "allowed are 'encoder' and 'decoder-only' with placement 'pre'"
        )
    model = deepcopy(model)
    stack: Any = model.stack
    writers: list[nn.Linear] = []
    for block in stack.blocks:
        attention, feed_forward = block.self_attention, block.feed_forward
        readers = [attention.f.query, attention.f.key, attention.f.value]
        attention.pre.steps[0] = _as_rms_norm(attention.pre.steps[0], readers)
        feed_forward.pre.steps[0] = _as_rms_norm(feed_forward.pre.steps[0], [feed_forward.f.expand])
        writers += [attention.f.output, feed_forward.f.contract]
    stack.final = _as_rms_norm(stack.final, [model.head])
    if center:
        for linear in writers:
            center_outputs(linear)
        with torch.no_grad():
            for table in (model.embedding.token.weight, model.embedding.position.weight):
                table -= table.mean(-1, keepdim=True)
    return model


@dataclass(frozen=True)
class Rewriting:
    """A model and its rewriting, for each seed.

    Attributes:
        difference: largest |output - output| over the largest output.
        uncentered: the same where the centering was left out.
        path_mean: largest |mean| of a vector on the rewritten main path, over the largest entry there.
        norms_left: LayerNorms in the rewritten model.
    """

    difference: list[float]
    uncentered: list[float]
    path_mean: list[float]
    norms_left: int
    depth: int


@torch.no_grad()
def measure_rewriting(*, depth: int = 24, d_model: int = 32, num_heads: int = 2, seeds: int = 3) -> Rewriting:
    """Random Pre-LN decoders with random gains, biases and a main path far from mean 0; float64.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(depth=depth, d_model=d_model, num_heads=num_heads, seeds=seeds)
    difference: list[float] = []
    uncentered: list[float] = []
    means: list[float] = []
    left = 0
    for seed in range(seeds):
        with seeded(seed):
            model = Model(
                "decoder-only",
                depth,
                vocab_size=16,
                length=12,
                d_model=d_model,
                num_heads=num_heads,
                d_ff=4 * d_model,
            ).double()
            for module in model.modules():
                if isinstance(module, nn.LayerNorm):
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.normal_(module.bias)
                elif isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.normal_(module.bias, mean=0.5)
            model.embedding.token.weight += 1.0
            tokens = torch.randint(16, (4, 12))
        wanted = model(tokens)
        for found, center in ((difference, True), (uncentered, False)):
            new = to_pre_rms_norm(model, center=center)
            found.append(((new(tokens) - wanted).abs().max() / wanted.abs().max()).item())
            if center:
                path = new.stack.streams(new.embedding(tokens))[0]
                means.append((path.mean(-1).abs().max() / path.abs().max()).item())
                left += sum(isinstance(module, nn.LayerNorm) for module in new.modules())
    return Rewriting(difference, uncentered, means, left, depth)
