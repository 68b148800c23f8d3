"""Chapter 1 beside torch.nn: layers that must be equal, and norms that torch adds or leaves out."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram.inspector import inspect_model
from papertrail.architecture_diagram.measurements import (
    PRE_LN,
    PUBLISHED,
    relative,
    rms,
)
from papertrail.architecture_diagram.trace import Report
from papertrail.architecture_diagram.transformer import (
    DecoderLayer,
    EncoderLayer,
    Transformer,
    causal_mask,
)
from papertrail.experiments import at_least_one, given, seeded


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
        """The largest of all differences."""
        return max(max(row.forward, row.gradient) for row in self.rows)


def _in_order(theirs: nn.Module, ours: nn.Module) -> list[tuple[Tensor, list[Tensor]]]:
    return [(yours, [mine]) for yours, mine in zip(theirs.parameters(), ours.parameters(), strict=True)]


def _beside(ours: EncoderLayer | DecoderLayer, theirs: Any) -> list[tuple[Tensor, list[Tensor]]]:
    """Each of torch's parameters with those of ours that, put end to end, hold the same numbers."""
    attentions: list[tuple[Any, Any]] = [(ours.self_attention.f, theirs.self_attn)]
    if isinstance(ours, DecoderLayer):
        attentions.append((ours.cross_attention.f, theirs.multihead_attn))
    pairs: list[tuple[Tensor, list[Tensor]]] = []
    for mine, yours in attentions:
        projections = (mine.query, mine.key, mine.value)
        pairs.append((yours.in_proj_weight, [linear.weight for linear in projections]))
        pairs.append((yours.in_proj_bias, [linear.bias for linear in projections]))
        pairs.extend(_in_order(yours.out_proj, mine.output))
    feed_forward: Any = ours.feed_forward.f
    pairs.extend(_in_order(theirs.linear1, feed_forward.expand))
    pairs.extend(_in_order(theirs.linear2, feed_forward.contract))
    my_norms = [module for module in ours.modules() if isinstance(module, nn.LayerNorm)]
    your_norms = [module for module in theirs.modules() if isinstance(module, nn.LayerNorm)]
    for mine, yours in zip(my_norms, your_norms, strict=True):
        pairs.extend(_in_order(yours, mine))
    return pairs


def _compare_layers(decoder: bool, norm_first: bool, dtype: torch.dtype, seed: int) -> tuple[float, float]:
    """Forward and gradient difference of one layer at one seed, with a causal and a padding mask in play."""
    rule = PRE_LN if norm_first else PUBLISHED
    options: dict[str, Any] = {
        "dropout": 0.0,
        "batch_first": True,
        "norm_first": norm_first,
        "layer_norm_eps": 1e-6,
    }
    with seeded(seed):
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

    def run(module: nn.Module, *masks: Tensor, **named: Tensor) -> tuple[Tensor, list[Tensor | None]]:
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
        my_grads.append(torch.cat([given(part.grad) for part in mine]))
    pairs = zip(my_grads, grads, strict=True)
    return relative(my_out, out), max(relative(given(a), given(b)) for a, b in pairs)


def measure_torch_agreement(dtype: torch.dtype = torch.float64, seeds: int = 3) -> TorchAgreement:
    """Compare none/dan with norm_first=False and n/da with norm_first=True, on copied weights and equal eps.

    A gradient is compared tensor by tensor, in torch's packing: alone, the gradient of a key bias is zero but
    for round-off, since a softmax ignores a shift.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(seeds=seeds)
    rows = []
    for decoder in (False, True):
        for norm_first in (False, True):
            results = [_compare_layers(decoder, norm_first, dtype, seed) for seed in range(seeds)]
            forward, gradient = (max(values) for values in zip(*results, strict=True))
            rows.append(LayerAgreement("decoder" if decoder else "encoder", norm_first, forward, gradient))
    return TorchAgreement(rows, seeds)


@dataclass(frozen=True)
class TorchTrace:
    """What the inspector finds in one of torch.nn's stacks."""

    model: str
    norm_first: bool
    report: Report


def trace_torch() -> list[TorchTrace]:
    """Inspect nn.TransformerEncoder without `norm=` and nn.Transformer, under both orders."""
    rows = []
    with seeded(0):
        x = torch.randn(1, 4, 8)
        for first in (False, True):
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=first)
            encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            rows.append(TorchTrace("TransformerEncoder", first, inspect_model(encoder.eval(), x)))
            with (
                warnings.catch_warnings()
            ):  # it tells that it will not use a fast path, which nobody asked for
                warnings.simplefilter("ignore")
                whole = nn.Transformer(8, 2, 2, 2, 16, batch_first=True, norm_first=first)
            rows.append(TorchTrace("Transformer", first, inspect_model(whole.eval(), x, x)))
    return rows


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
    d_model: int
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

    Raises:
        ValueError: a number is below 1, or there is no depth.
    """
    if not depths:
        raise ValueError("depths: is empty; allowed are one or more numbers of layers")
    at_least_one(seeds=seeds, depths=min(depths))
    d_model = 64
    options: dict[str, Any] = {"dim_feedforward": 256, "dropout": 0.0, "batch_first": True}
    without = torch.zeros(seeds, len(depths))
    with_norm, extra = torch.zeros(seeds, len(depths)), torch.zeros(seeds, len(spreads))
    for seed in range(seeds):
        with seeded(seed), torch.no_grad():
            x, y = torch.randn(2, 4, 16, d_model)
            layer = nn.TransformerEncoderLayer(d_model, 4, norm_first=True, **options)
            for i, depth in enumerate(depths):
                encoder = nn.TransformerEncoder(layer, depth, norm=None, enable_nested_tensor=False)
                _redraw(encoder)
                without[seed, i] = rms(encoder(x))
                encoder.norm = nn.LayerNorm(d_model)
                with_norm[seed, i] = rms(encoder(x))
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
                extra[seed, i] = relative(model(x, y), plain)
    with seeded(0):
        published = Transformer(1, d_model=8, num_heads=1, d_ff=8, num_layers=6)
    return TorchConventions(
        depths=list(depths),
        rms_without_norm=without.mean(0).tolist(),
        rms_with_norm=with_norm.mean(0).tolist(),
        norms_in_torch_transformer=len(norms),
        norms_in_published_model=sum(isinstance(module, nn.LayerNorm) for module in published.modules()),
        spreads=list(spreads),
        extra_norm_difference=extra.mean(0).tolist(),
        d_model=d_model,
        seeds=seeds,
    )
