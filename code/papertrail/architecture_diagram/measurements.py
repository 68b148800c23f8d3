"""What chapter 1 measures. Every function uses its own seeds and leaves the caller's random state alone."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram.accounting import TABLE_3, count_parameters
from papertrail.architecture_diagram.sublayer import NAMES, Rule, Sublayer
from papertrail.architecture_diagram.transformer import (
    Decoder,
    DecoderLayer,
    Encoder,
    EncoderLayer,
    FeedForward,
    MultiHeadAttention,
    Transformer,
    causal_mask,
)

PUBLISHED = Rule("none", "dan")
PRE_LN = Rule("n", "da")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator for a block, then put the caller's state back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also reseed any GPU
        yield


def _relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over the largest entry of `theirs`."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def _distance(a: Tensor, b: Tensor) -> float:
    """Euclidean distance over the length of `b`."""
    return ((a - b).norm() / b.norm()).item()


def _rms(x: Tensor) -> float:
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
class LayerAgreement:
    """Our layer against torch.nn's: largest difference over largest entry, the worst of all seeds."""

    layer: str
    norm_first: bool
    forward: float
    gradient: float  # the worst tensor among the inputs and all parameters


@dataclass(frozen=True)
class TorchAgreement:
    """The four comparisons, and how many seeds each was made with."""

    rows: list[LayerAgreement]
    seeds: int

    @property
    def worst(self) -> float:
        return max(max(row.forward, row.gradient) for row in self.rows)


def _in_order(theirs: nn.Module, ours: nn.Module) -> list[tuple[Tensor, list[Tensor]]]:
    return [(yours, [mine]) for yours, mine in zip(theirs.parameters(), ours.parameters(), strict=True)]


def _beside(ours: EncoderLayer | DecoderLayer, theirs: nn.Module) -> list[tuple[Tensor, list[Tensor]]]:
    """Each of torch's parameters with those of ours that, put end to end, hold the same numbers."""
    attentions = [(ours.self_attention.f, theirs.self_attn)]
    if isinstance(ours, DecoderLayer):
        attentions.append((ours.cross_attention.f, theirs.multihead_attn))
    pairs = []
    for mine, yours in attentions:
        projections = (mine.query, mine.key, mine.value)
        pairs.append((yours.in_proj_weight, [linear.weight for linear in projections]))
        pairs.append((yours.in_proj_bias, [linear.bias for linear in projections]))
        pairs.extend(_in_order(yours.out_proj, mine.output))
    pairs.extend(_in_order(theirs.linear1, ours.feed_forward.f.expand))
    pairs.extend(_in_order(theirs.linear2, ours.feed_forward.f.contract))
    my_norms = [module for module in ours.modules() if isinstance(module, nn.LayerNorm)]
    your_norms = [module for module in theirs.modules() if isinstance(module, nn.LayerNorm)]
    for mine, yours in zip(my_norms, your_norms, strict=True):
        pairs.extend(_in_order(yours, mine))
    return pairs


def _compare_layers(decoder: bool, norm_first: bool, dtype: torch.dtype, seed: int) -> tuple[float, float]:
    """Forward and gradient difference of one layer at one seed, with a causal and a padding mask in play."""
    rule = PRE_LN if norm_first else PUBLISHED
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first, "layer_norm_eps": 1e-6}
    with _seeded(seed):
        theirs = (nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer)(32, 4, 64, **options)
        layer = DecoderLayer if decoder else EncoderLayer
        ours = layer(32, 4, 64, rule.preprocess, rule.postprocess, bias=True).to(dtype)
        theirs = theirs.to(dtype)
        with torch.no_grad():
            for parameter, mine in _beside(ours, theirs):
                parameter += 0.1 * torch.randn_like(parameter)  # moves gains off 1 and biases off 0
                for part, values in zip(mine, parameter.split([len(part) for part in mine]), strict=True):
                    part.copy_(values)
        x, memory = torch.randn(2, 3, 7, 32, dtype=dtype)
        direction = torch.randn(3, 7, 32, dtype=dtype)  # a plain sum has no gradient through a norm
    real = torch.arange(7) < torch.tensor([[7], [5], [2]])  # (3, 7) bool, True at real tokens

    def run(module: nn.Module, *masks: Tensor, **named: Tensor) -> tuple[Tensor, list[Tensor]]:
        inputs = [x.clone().requires_grad_()] + [memory.clone().requires_grad_()] * decoder
        out = module(*inputs, *masks, **named)
        (out * direction).sum().backward()
        return out.detach(), [tensor.grad for tensor in inputs]

    if decoder:
        my_out, my_grads = run(ours, causal_mask(7), real[:, None, None, :])
        out, grads = run(theirs, tgt_mask=~causal_mask(7), memory_key_padding_mask=~real)
    else:
        my_out, my_grads = run(ours, real[:, None, None, :])
        out, grads = run(theirs, src_key_padding_mask=~real)
    for parameter, mine in _beside(ours, theirs):
        grads.append(parameter.grad)
        my_grads.append(torch.cat([part.grad for part in mine]))
    return _relative(my_out, out), max(_relative(a, b) for a, b in zip(my_grads, grads, strict=True))


def measure_torch_agreement(dtype: torch.dtype = torch.float64, seeds: int = 3) -> TorchAgreement:
    """Compare none/dan with norm_first=False and n/da with norm_first=True, on copied weights and equal eps.

    A gradient is compared tensor by tensor, in torch's packing: alone, the gradient of a key bias is zero but
    for round-off, since a softmax ignores a shift.
    """
    rows = []
    for decoder in (False, True):
        for norm_first in (False, True):
            results = [_compare_layers(decoder, norm_first, dtype, seed) for seed in range(seeds)]
            forward, gradient = (max(values) for values in zip(*results, strict=True))
            rows.append(LayerAgreement("decoder" if decoder else "encoder", norm_first, forward, gradient))
    return TorchAgreement(rows, seeds)


@dataclass(frozen=True)
class OrderDifference:
    """Relative distance of n/da from none/dan on the same weights, as [seed][sub-layer]."""

    without_final_norm: list[list[float]]
    with_final_norm: list[list[float]]  # as if the stack ended there
    seeds: int


def measure_order_difference(depth: int = 6, d_model: int = 128, seeds: int = 5) -> OrderDifference:
    """Run one encoder's weights under both rules and compare the states, Euclidean distance over length.

    Xavier weights, gains 1, biases 0, normalized inputs, no dropout, float64. Normalized inputs make the
    first sub-layer see the same value under both rules, and so isolate where the rules part: not in what a
    sub-layer is fed first, but in what its output is added to from the second sub-layer on.
    """
    without, with_norm = [], []
    for seed in range(seeds):
        with _seeded(seed), torch.no_grad():
            functions: list[nn.Module] = []
            for _ in range(depth):
                functions += [MultiHeadAttention(d_model, 4), FeedForward(d_model, 4 * d_model)]
            functions = [f.double() for f in functions]
            x = _normalize(torch.randn(4, 16, d_model, dtype=torch.float64))
            published, pre_ln = (_states(functions, rule, x) for rule in (PUBLISHED, PRE_LN))
        without.append([_distance(b, a) for a, b in zip(published, pre_ln, strict=True)])
        with_norm.append([_distance(_normalize(b), a) for a, b in zip(published, pre_ln, strict=True)])
    return OrderDifference(without, with_norm, seeds)


@dataclass(frozen=True)
class RmsByDepth:
    """RMS of the hidden state after 0, 1, 2 ... layers, as [seed][layer], beside Lemma 2's bounds."""

    post_ln: list[list[float]]
    pre_ln: list[list[float]]
    pre_ln_final_norm: list[list[float]]  # as if the stack ended there
    lower_bound: list[float]  # of the expected mean square of pre_ln, 1 + l / 2
    upper_bound: list[float]  # 1 + 3 l / 2
    seeds: int


def measure_rms_by_depth(depth: int = 48, d_model: int = 256, seeds: int = 5) -> RmsByDepth:
    """Follow the hidden state's size at initialization, Post-LN and Pre-LN (Xiong et al. 2020, Lemma 2).

    In the lemma's own setting (section 3.3): Gaussian i.i.d. inputs, one head, W_Q = W_K = 0 so that
    attention is the mean over positions, no output projection, d_ff = d_model, Xavier Gaussian matrices, zero
    biases. The lemma bounds an expectation, E ||x_l||^2 / d: from 1 + l / 2, where attention adds nothing, to
    1 + 3 l / 2, where it adds 1 a layer.
    """
    post_ln, pre_ln, final = [], [], []
    for seed in range(seeds):
        with _seeded(seed), torch.no_grad():
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
        post_ln.append([_rms(state) for state in streams[PUBLISHED]])
        pre_ln.append([_rms(state) for state in streams[PRE_LN]])
        final.append([_rms(_normalize(state)) for state in streams[PRE_LN]])
    lower, upper = ([1 + slope * layer for layer in range(depth + 1)] for slope in (0.5, 1.5))
    return RmsByDepth(post_ln, pre_ln, final, lower, upper, seeds)


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


def measure_annotated_norm(d: int = 512, seeds: int = 5, num_layers: int = 6) -> AnnotatedNorm:
    """Compare the Annotated Transformer's norm with nn.LayerNorm, its sub-layer with the formula it quotes.

    The norm is compared in float64 on Gaussian vectors. The sub-layer x + f(norm(x)) is compared with
    LayerNorm(x + f(x)) on the same Xavier weights: once, and through the layers of an encoder.
    """
    ratio, errors, one, whole = math.sqrt((d - 1) / d), [], [], []
    for seed in range(seeds):
        with _seeded(seed), torch.no_grad():
            x = torch.randn(64, d, dtype=torch.float64)
            errors.append((_annotated_norm(x) - ratio * _normalize(x)).abs().max().item())
            annotated = published = x = torch.randn(2, 16, d)
            f = FeedForward(d, 4 * d)
            one.append(_distance(x + f(_annotated_norm(x)), _normalize(x + f(x))))
            for _ in range(num_layers):
                for f in (MultiHeadAttention(d, 8), FeedForward(d, 4 * d)):
                    annotated = annotated + f(_annotated_norm(annotated))
                    published = _normalize(published + f(published))
            whole.append(_distance(_annotated_norm(annotated), published))
    return AnnotatedNorm(ratio, max(errors), one, whole, num_layers, seeds)


@dataclass(frozen=True)
class TorchConventions:
    """What torch.nn does about the norm after the last layer; lists are means over seeds."""

    depths: list[int]
    rms_without_norm: list[float]  # by depth: output of TransformerEncoder(norm_first=True, norm=None)
    rms_with_norm: list[float]  # the same, given a final norm
    norms_in_torch_transformer: int  # in nn.Transformer(norm_first=False), 6 + 6 layers
    norms_in_published_model: int
    spreads: list[float]  # standard deviation of what is added to every gain and bias of every norm
    extra_norm_difference: list[float]  # by spread: nn.Transformer's output against it without its last norms
    seeds: int


def _redraw(module: nn.Module) -> None:
    """Draw every matrix anew: torch's stacks start as copies of one layer."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_normal_(parameter)


def measure_torch_conventions(
    depths: tuple[int, ...] = (1, 6, 12, 24),
    spreads: tuple[float, ...] = (0.0, 0.01, 0.03, 0.1, 0.3),
    seeds: int = 3,
) -> TorchConventions:
    """See what is, or is not, normalized at the end of torch.nn's stacks.

    nn.TransformerEncoder adds no final norm to a Pre-LN stack unless given one. nn.Transformer always adds
    one, also to a Post-LN stack: at initialization a norm of a normalized value, which changes nothing, and
    something else once the gains and biases have moved. Training is imitated by adding Gaussian noise of a
    given spread to them.
    """
    d_model = 64
    options = {"dim_feedforward": 256, "dropout": 0.0, "batch_first": True}
    without = torch.zeros(seeds, len(depths))
    with_norm, extra = torch.zeros(seeds, len(depths)), torch.zeros(seeds, len(spreads))
    for seed in range(seeds):
        with _seeded(seed), torch.no_grad():
            x, y = torch.randn(2, 4, 16, d_model)
            layer = nn.TransformerEncoderLayer(d_model, 4, norm_first=True, **options)
            for i, depth in enumerate(depths):
                encoder = nn.TransformerEncoder(layer, depth, norm=None, enable_nested_tensor=False)
                _redraw(encoder)
                without[seed, i] = _rms(encoder(x))
                encoder.norm = nn.LayerNorm(d_model)
                with_norm[seed, i] = _rms(encoder(x))
            model = nn.Transformer(d_model, 4, num_encoder_layers=6, num_decoder_layers=6, **options)
            norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
            noise = [(torch.randn(d_model), torch.randn(d_model)) for _ in norms]
            for i, spread in enumerate(spreads):
                for norm, (gain, bias) in zip(norms, noise, strict=True):
                    norm.weight.copy_(1 + spread * gain)
                    norm.bias.copy_(spread * bias)
                memory = x
                for block in model.encoder.layers:
                    memory = block(memory)
                plain = y
                for block in model.decoder.layers:
                    plain = block(plain, memory)
                extra[seed, i] = _relative(model(x, y), plain)
    with _seeded(0):
        published = Transformer(1, d_model=8, num_heads=1, d_ff=8, num_layers=6)
    return TorchConventions(
        depths=list(depths),
        rms_without_norm=without.mean(0).tolist(),
        rms_with_norm=with_norm.mean(0).tolist(),
        norms_in_torch_transformer=len(norms),
        norms_in_published_model=sum(isinstance(module, nn.LayerNorm) for module in published.modules()),
        spreads=list(spreads),
        extra_norm_difference=extra.mean(0).tolist(),
        seeds=seeds,
    )


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
    """
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
