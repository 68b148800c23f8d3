"""What chapter 1 measures. Every function uses its own seeds and leaves the caller's random state alone."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram.accounting import TABLE_3, count_parameters
from papertrail.architecture_diagram.inspector import inspect_model
from papertrail.architecture_diagram.sublayer import NAMES, Rule, Sublayer
from papertrail.architecture_diagram.trace import Report, Stack
from papertrail.architecture_diagram.transformer import (
    Decoder,
    Encoder,
    FeedForward,
    MultiHeadAttention,
    Transformer,
)
from papertrail.architecture_diagram.zoo import WIDTH, PaLMBlock
from papertrail.experiments import at_least_one, seeded

PUBLISHED = Rule("none", "dan")
PRE_LN = Rule("n", "da")


@cache
def trace_rule(rule: Rule) -> Stack:
    """What the inspector finds in a small encoder built from a rule, in train mode so that dropouts show.

    Raises:
        ValueError: the rule has no residual sum (no letter a).
    """
    with seeded(0):
        encoder = Encoder(2, 8, 2, 16, rule.preprocess, rule.postprocess, dropout=0.1).train()
        return inspect_model(encoder, torch.randn(1, 3, 8)).stacks[0]


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over the largest entry of `theirs`.

    Shapes: ours and theirs of any shape, the same for both.
    """
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def _distance(a: Tensor, b: Tensor) -> float:
    """Euclidean distance over the length of `b`."""
    return ((a - b).norm() / b.norm()).item()


def rms(x: Tensor) -> float:
    """Root mean square of all entries. Shapes: x of any shape."""
    return x.square().mean().sqrt().item()


def _normalize(x: Tensor, eps: float = 1e-6) -> Tensor:
    return nn.functional.layer_norm(x, x.shape[-1:], eps=eps)


def _states(functions: list[nn.Module], rule: Rule, x: Tensor) -> list[Tensor]:
    """The value after each sub-layer; norms are fresh, with gain 1 and bias 0."""
    states = []
    for f in functions:
        x = Sublayer(f, rule.preprocess, rule.postprocess, d_model=x.shape[-1]).to(x.dtype)(x)
        states.append(x)
    return states


@dataclass(frozen=True)
class OrderDifference:
    """Relative distance of n/da from none/dan on the same weights, as [seed][sub-layer].

    Outputs of equal length that have nothing to do with one another are sqrt(2) apart.
    """

    without_final_norm: list[list[float]]
    with_final_norm: list[list[float]]  # as if the stack ended there
    start: str
    d_model: int
    seeds: int


STARTS = ("xavier", "linear")


def measure_order_difference(
    depth: int = 6, d_model: int = 128, seeds: int = 5, start: str = "xavier"
) -> OrderDifference:
    """Run one encoder's weights under both rules and compare the states, Euclidean distance over length.

    Gains 1, biases of the maps as `start` makes them, normalized inputs, no dropout, float64. Normalized
    inputs make the first sub-layer see the same value under both rules, and so isolate where the rules part:
    not in what a sub-layer is fed first, but in what its output is added to from the second sub-layer on.

    Args:
        depth: encoder layers, of two sub-layers each.
        start: "xavier" (Xavier normal matrices, zero biases) or "linear" (what torch's nn.Linear starts with:
            entries and biases uniform within 1 / sqrt(fan-in), a third of Xavier's variance on square maps).

    Raises:
        ValueError: `start` is not one of the two, or a number is below 1.
    """
    at_least_one(depth=depth, d_model=d_model, seeds=seeds)
    if start not in STARTS:
        raise ValueError(f"start: got {start!r}; allowed are {' and '.join(STARTS)}")
    without, with_norm = [], []
    for seed in range(seeds):
        with seeded(seed), torch.no_grad():
            functions: list[nn.Module] = []
            for _ in range(depth):
                functions += [
                    MultiHeadAttention(d_model, 4, bias=start == "linear"),
                    FeedForward(d_model, 4 * d_model),
                ]
            if start == "linear":
                for linear in (module for f in functions for module in f.children()):
                    if isinstance(linear, nn.Linear):
                        linear.reset_parameters()
            functions = [f.double() for f in functions]
            x = _normalize(torch.randn(4, 16, d_model, dtype=torch.float64))
            published, pre_ln = (_states(functions, rule, x) for rule in (PUBLISHED, PRE_LN))
        without.append([_distance(b, a) for a, b in zip(published, pre_ln, strict=True)])
        with_norm.append([_distance(_normalize(b), a) for a, b in zip(published, pre_ln, strict=True)])
    return OrderDifference(without, with_norm, start, d_model, seeds)


@dataclass(frozen=True)
class RmsByDepth:
    """RMS of the hidden state after 0, 1, 2 ... layers, as [seed][layer], beside Lemma 2's bounds."""

    post_ln: list[list[float]]
    pre_ln: list[list[float]]
    pre_ln_final_norm: list[list[float]]  # as if the stack ended there
    lower_bound: list[float]  # of the expected mean square of pre_ln, 1 + l / 2
    upper_bound: list[float]  # 1 + 3 l / 2
    d_model: int
    seeds: int


def measure_rms_by_depth(depth: int = 48, d_model: int = 256, seeds: int = 5) -> RmsByDepth:
    """Follow the hidden state's size at initialization, Post-LN and Pre-LN (Xiong et al. 2020, Lemma 2).

    In the lemma's own setting (section 3.3): Gaussian i.i.d. inputs, one head, W_Q = W_K = 0 so that
    attention is the mean over positions, no output projection, d_ff = d_model, Xavier Gaussian matrices, zero
    biases. The lemma bounds an expectation, E ||x_l||^2 / d: from 1 + l / 2, where attention adds nothing, to
    1 + 3 l / 2, where it adds 1 a layer.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(depth=depth, d_model=d_model, seeds=seeds)
    post_ln, pre_ln, final = [], [], []
    for seed in range(seeds):
        with seeded(seed), torch.no_grad():
            x = torch.randn(4, 16, d_model)
            streams = {PUBLISHED: [x], PRE_LN: [x]}
            for _ in range(depth):  # a layer is made, used under both rules and dropped, to save memory
                attention = MultiHeadAttention(d_model, num_heads=1)
                for linear in (attention.query, attention.key):
                    nn.init.zeros_(linear.weight)
                nn.init.eye_(attention.output.weight)
                functions = [attention, FeedForward(d_model, d_model)]
                for rule, states in streams.items():
                    states.append(_states(functions, rule, states[-1])[-1])
        post_ln.append([rms(state) for state in streams[PUBLISHED]])
        pre_ln.append([rms(state) for state in streams[PRE_LN]])
        final.append([rms(_normalize(state)) for state in streams[PRE_LN]])
    lower, upper = ([1 + slope * layer for layer in range(depth + 1)] for slope in (0.5, 1.5))
    return RmsByDepth(post_ln, pre_ln, final, lower, upper, d_model, seeds)


@dataclass(frozen=True)
class AnnotatedNorm:
    """The Annotated Transformer against nn.LayerNorm and against the paper's formula."""

    expected_ratio: float  # sqrt((d - 1) / d)
    ratio_error: float  # largest |annotated - expected_ratio * LayerNorm|, worst over seeds
    sublayer_difference: list[float]  # relative Euclidean distance, by seed: one feed-forward sub-layer
    encoder_difference: list[float]  # the same after `num_layers` layers, the final norm included
    num_layers: int
    seeds: int


def _annotated_norm(x: Tensor, eps: float = 1e-6) -> Tensor:
    """Divide by (unbiased standard deviation + eps): two departures from nn.LayerNorm."""
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps)


def inspect_palm() -> Report:
    """What the inspector finds in two blocks with PaLM's layout (Chowdhery et al. 2022, section 2)."""
    with seeded(0):
        return inspect_model(nn.Sequential(PaLMBlock(), PaLMBlock()), torch.randn(1, 4, WIDTH))


class AnnotatedSublayer(nn.Module):
    """The Annotated Transformer's `SublayerConnection`: x + dropout(f(norm(x))), its norm written out.

    Shapes: x (..., D) -> (..., D).
    """

    def __init__(self, f: nn.Module, dropout: float = 0.1) -> None:
        super().__init__()
        self.f, self.dropout = f, nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.f(_annotated_norm(x)))


def trace_annotated() -> Stack:
    """What the inspector finds in two layers of the Annotated Transformer's sub-layers, in train mode."""
    with seeded(0):
        f = [MultiHeadAttention(8, 2), FeedForward(8, 16), MultiHeadAttention(8, 2), FeedForward(8, 16)]
        layers = nn.Sequential(*map(AnnotatedSublayer, f)).train()
        return inspect_model(layers, torch.randn(1, 3, 8)).stacks[0]


def measure_annotated_norm(d: int = 512, seeds: int = 5, num_layers: int = 6) -> AnnotatedNorm:
    """Compare the Annotated Transformer's norm with nn.LayerNorm, its sub-layer with the formula it quotes.

    The norm is compared in float64 on Gaussian vectors. The sub-layer x + f(norm(x)) is compared with
    LayerNorm(x + f(x)) on the same Xavier weights: once, and through the layers of an encoder.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(d=d, seeds=seeds, num_layers=num_layers)
    ratio, errors, one, whole = math.sqrt((d - 1) / d), [], [], []
    for seed in range(seeds):
        with seeded(seed), torch.no_grad():
            x = torch.randn(64, d, dtype=torch.float64)
            errors.append((_annotated_norm(x) - ratio * _normalize(x)).abs().max().item())
            annotated = published = x = torch.randn(2, 16, d)
            f = FeedForward(d, 4 * d)
            one.append(_distance(x + f(_annotated_norm(x)), _normalize(x + f(x))))
            for _ in range(num_layers):
                for part in (MultiHeadAttention(d, 8), FeedForward(d, 4 * d)):
                    annotated = annotated + part(_annotated_norm(annotated))
                    published = _normalize(published + part(published))
            whole.append(_distance(_annotated_norm(annotated), published))
    return AnnotatedNorm(ratio, max(errors), one, whole, num_layers, seeds)


@dataclass(frozen=True)
class NormCount:
    """Layer norms of a 6 + 6 model under a rule: found in its modules, and predicted from the rule."""

    rule: Rule
    found: int
    predicted: int


def count_norms(num_layers: int = 6) -> list[NormCount]:
    """Count the norms of an encoder and a decoder under each named rule, on modules without storage.

    Predicted: `rule.num_norms` around five sub-layers a layer pair, and two more if stacks end in one.
    """
    counts = []
    for before, after in NAMES:
        rule = Rule(before or "none", after)
        with torch.device("meta"):
            shape = (num_layers, 8, 1, 8, rule.preprocess, rule.postprocess)
            stacks = [Encoder(*shape), Decoder(*shape)]
        found = sum(isinstance(module, nn.LayerNorm) for stack in stacks for module in stack.modules())
        counts.append(NormCount(rule, found, 5 * num_layers * rule.num_norms + 2 * rule.has_final_norm))
    return counts


@dataclass(frozen=True)
class ModuleCount:
    """Parameters of one row of Table 3: found in the modules, and by `accounting`'s formula."""

    row: str
    found: int
    formula: int


def measure_parameter_counts(vocab_size: int = 37_000) -> list[ModuleCount]:
    """Build the model of every row of Table 3 that prints a count, without storage, and count its parameters.

    37,000 is the paper's "about 37000" (section 5.1).

    Raises:
        ValueError: `vocab_size` is below 1.
    """
    at_least_one(vocab_size=vocab_size)
    counts = []
    for row in TABLE_3:
        with torch.device("meta"):
            model = Transformer(
                vocab_size,
                d_model=row.d_model,
                num_heads=row.num_heads,
                d_ff=row.d_ff,
                num_layers=row.num_layers,
                d_k=row.d_k,
            )
        found = sum(parameter.numel() for parameter in model.parameters())
        counts.append(ModuleCount(row.name, found, count_parameters(row, vocab_size).total))
    return counts
