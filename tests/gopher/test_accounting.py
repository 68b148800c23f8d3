"""Parameters, operations and memory: against published figures, and against modules that are really built."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from papertrail.gopher import published as paper
from papertrail.gopher.accounting import (
    activation_memory,
    count_parameters,
    forward_flops,
    measure_flop_ratios,
    measure_hardware,
    measure_models,
    parameter_breakdown,
    six_nd,
    sizes,
    training_flops,
)

SMALL = (3, 24, 4, 5, 88, 50)  # heads times key size is not d_model, and the net is not 4 d wide
GOPHER = (80, 16_384, 128, 128, 65_536, 32_000)


class RMSGain(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.empty(width))


class Layer(nn.Module):
    """A decoder layer as Rae et al. describe it, written with PyTorch's modules."""

    def __init__(self, d_model, n_heads, key_size, ffw_size, relative):
        super().__init__()
        inner = n_heads * key_size
        self.norms = nn.ModuleList([RMSGain(d_model), RMSGain(d_model)])
        self.q, self.k, self.v = (nn.Linear(d_model, inner) for _ in range(3))
        self.out = nn.Linear(inner, d_model)
        self.up, self.down = nn.Linear(d_model, ffw_size), nn.Linear(ffw_size, d_model)
        if relative:
            self.r = nn.Linear(d_model, inner, bias=False)
            self.u, self.v_bias = (nn.Parameter(torch.empty(n_heads, key_size)) for _ in range(2))


def build(n_layers, d_model, n_heads, key_size, ffw_size, vocab_size, relative=True, tied=True):
    with torch.device("meta"):
        model = nn.ModuleDict(
            {
                "embedding": nn.Embedding(vocab_size, d_model),
                "layers": nn.ModuleList(
                    Layer(d_model, n_heads, key_size, ffw_size, relative) for _ in range(n_layers)
                ),
                "norm": RMSGain(d_model),
                "output": nn.Linear(d_model, vocab_size, bias=False),
            }
        )
        if tied:
            model["output"].weight = model["embedding"].weight
    return model


@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("shape", [SMALL, GOPHER], ids=["small", "gopher"])
def test_the_count_is_that_of_a_model_built_on_the_meta_device(shape, tied, relative):
    built = sum(p.numel() for p in build(*shape, relative=relative, tied=tied).parameters())
    assert count_parameters(*shape, relative_positions=relative, tied=tied) == built


def test_each_part_is_that_of_the_built_model():
    model, parts = build(*SMALL, tied=False), parameter_breakdown(*SMALL, tied=False)
    count = {"q": 0, "norm": 0, "bias": 0, "r": 0, "ffw": 0}
    for name, parameter in model.named_parameters():
        if "gain" in name:
            count["norm"] += parameter.numel()
        elif name.endswith(("bias", ".u")):
            count["bias"] += parameter.numel()
        elif ".r." in name:
            count["r"] += parameter.numel()
        elif ".up." in name or ".down." in name:
            count["ffw"] += parameter.numel()
        elif "layers" in name:
            count["q"] += parameter.numel()
    found = (parts.attention, parts.norms, parts.biases, parts.relative_positions, parts.feed_forward)
    assert found == tuple(count.values())
    assert parts.embedding == parts.output == 50 * 24


def test_gophers_six_counts_round_to_the_published_digits_with_the_relative_projection_only():
    models = measure_models(paper.gopher_models())
    assert all(m.rounds_to_published(m.parts.total) for m in models)
    assert not any(m.rounds_to_published(m.without_relative) for m in models)
    assert [m.rounds_to_published(m.untied) for m in models] == [False, False, False, True, False, True]
    totals = [43.70, 116.71, 417.44, 1374.8, 7112.1, 279_714]
    for model, millions in zip(models, totals, strict=True):
        assert model.parts.total / 1e6 == pytest.approx(millions, rel=2e-4)


def test_thirteen_squares_a_layer_are_thirteen_squares():
    for model in measure_models(paper.gopher_models()):
        shape = model.shape
        assert model.matrices == 13 * shape.n_layers * shape.d_model**2 + 32_000 * shape.d_model


def test_of_chinchillas_fifty_shapes_42_are_within_half_a_million_and_none_is_a_million_off():
    models = measure_models(paper.chinchilla_shapes())
    errors = [abs(model.error) / 1e6 for model in models]
    assert sum(error <= 0.5 for error in errors) == 42 and round(max(errors), 2) == 0.97
    assert not any(m.rounds_to_published(m.without_relative) for m in models)


def test_without_the_two_output_biases_all_fifty_fit():
    """Which vectors there are is open: this shorter list fits better, and it is 2 d a layer less."""
    for model in measure_models(paper.chinchilla_shapes()):
        fewer = 2 * model.shape.n_layers * model.shape.d_model
        assert model.rounds_to_published(model.parts.total - fewer)


def test_the_operations_are_what_a_counter_sees_in_a_forward_pass():
    """PyTorch counts matrix products; appendix F adds 3 operations for each attention weight of the softmax."""
    layers, d, heads, key, ffw, vocab = SMALL
    context, inner = 7, heads * key
    with torch.device("meta"):
        x = torch.empty(1, context, d)
        matrices = [torch.empty(d, inner) for _ in range(3)]
        up, down, out, logits = (torch.empty(*s) for s in ((d, ffw), (ffw, d), (inner, d), (d, vocab)))
        with FlopCounterMode(display=False) as counter:
            for _ in range(layers):
                q, k, v = ((x @ w).view(1, context, heads, key).transpose(1, 2) for w in matrices)
                y = (q @ k.transpose(2, 3)).softmax(-1) @ v
                x = y.transpose(1, 2).reshape(1, context, inner) @ out
                x = (x @ up).relu() @ down
            inside = counter.get_total_flops()
            _ = x @ logits
            whole = counter.get_total_flops()
    softmax = layers * 3 * heads * context**2
    assert forward_flops(*SMALL, context=context) == inside + softmax
    twice = forward_flops(*SMALL, context=context, embeddings=True) - softmax - inside
    assert twice == 2 * (whole - inside)  # the embedding is counted as a product with one-hot rows


def test_training_is_three_forward_passes_for_each_token_and_four_with_rematerialization():
    forward = forward_flops(*SMALL, context=10)
    assert training_flops(*SMALL, tokens=1000, context=10) == 3 * forward * 100
    assert training_flops(*SMALL, tokens=1000, context=10, rematerialized=True) == pytest.approx(
        4 * forward * 100
    )


def test_gophers_published_operations_come_out_with_rematerialization():
    gopher = measure_models(paper.gopher_models())[-1]
    assert round(gopher.flops_rematerialized / 1e23, 2) == round(paper.GOPHER_FLOPS / 1e23, 2) == 6.31
    assert round(six_nd(gopher.matrices) / 1e23, 2) == 5.03
    assert gopher.tokens_per_parameter == pytest.approx(1.0725, abs=1e-4)


def test_table_a4_comes_out_without_embeddings_in_every_row_and_with_them_in_none():
    rows = measure_flop_ratios()
    assert [row.millions for row in rows] == [74, 306, 552, 1143, 1593, 6796]
    assert [round(row.without, 3) for row in rows] == [1.026, 1.102, 1.084, 1.045, 1.033, 0.994]
    assert [round(row.with_embeddings, 2) for row in rows] == [1.58, 1.32, 1.23, 1.15, 1.12, 1.03]
    assert [round(row.without, 2) for row in rows] == [row.printed for row in rows]


def test_activations_are_what_autograd_keeps_of_a_built_layer():
    """The storages that the backward pass holds, weights apart; a few numbers more are the norms' statistics."""
    d, heads, key, ffw, context = 24, 4, 5, 88, 16
    inner = heads * key
    weights = [
        torch.randn(a, b, requires_grad=True) for a, b in ((d, inner),) * 3 + ((inner, d), (d, ffw), (ffw, d))
    ]
    gains = [torch.ones(d, requires_grad=True) for _ in range(2)]
    known = {w.data_ptr() for w in weights + gains}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    def one_layer(x):
        h = F.layer_norm(x, (d,), gains[0])
        q, k, v = ((h @ w).view(context, heads, key).transpose(0, 1).contiguous() for w in weights[:3])
        y = torch.softmax(q @ k.transpose(1, 2), -1) @ v
        x = x + y.transpose(0, 1).reshape(context, inner) @ weights[3]
        return x + F.gelu(F.layer_norm(x, (d,), gains[1]) @ weights[4]) @ weights[5]

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = one_layer(torch.randn(context, d, requires_grad=True))
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    statistics = 2 * 2 * context * 4  # mean and inverse deviation of two norms
    found = activation_memory(1, d, heads, key, ffw, context=context, bytes_per_number=4)
    assert output.shape == (context, d)
    assert found.total == measured - statistics
    assert found.rematerialized == context * d * 4


def test_gophers_hardware_is_the_published_arithmetic():
    found = measure_hardware()
    assert round(found.state_tib, 1) == paper.STATE_TIB and found.cores_for_state == 163
    assert round(found.tflops_per_chip, 1) == 46.5 and round(found.model_utilization, 3) == 0.325
    assert round(found.energy_mwh) == paper.ENERGY_MWH
    assert found.activations_gib == 160 and found.rematerialized_gib == 5
    assert 300e9 < found.tokens < 320e9


@pytest.mark.parametrize("place", range(6))
def test_a_size_below_one_is_named(place):
    names = ("n_layers", "d_model", "n_heads", "key_size", "ffw_size", "vocab_size")
    shape = [*SMALL]
    shape[place] = 0
    for function in (count_parameters, forward_flops, training_flops):
        with pytest.raises(ValueError, match=f"{names[place]}: got 0; allowed are integers from 1 up"):
            function(*shape)
    if place < 5:
        with pytest.raises(ValueError, match=f"{names[place]}: got 0"):
            activation_memory(*shape[:5])


def test_a_run_needs_at_least_one_token():
    with pytest.raises(ValueError, match="tokens: got 0"):
        training_flops(*sizes(paper.gopher_models()[0]), tokens=0)
