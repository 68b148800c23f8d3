"""The model: against the paper's formulas written again head by head, and for what it must not look at."""

import math

import pytest
import torch
from torch import nn

from papertrail.architecture_diagram.transformer import (
    Decoder,
    DecoderLayer,
    Encoder,
    EncoderLayer,
    FeedForward,
    MultiHeadAttention,
    Transformer,
    causal_mask,
    sinusoidal_positions,
)

RULES = [("none", "dan"), ("n", "da"), ("none", "dna"), ("n", "dna"), ("n", "dan"), ("none", "da")]
V, D, H, FF, N = 11, 12, 3, 20, 2


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def tokens(*shape, seed=0):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


def small(rule=("none", "dan"), **changes):
    """A small float64 model whose gains and biases have been moved off their initial values."""
    options = {"d_model": D, "num_heads": H, "d_ff": FF, "num_layers": N, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        model = Transformer(V, preprocess=rule[0], postprocess=rule[1], **options).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
    return model


def attend(module, x, memory, allowed):
    """Attention one head, one query at a time; allowed[t] lists the positions query t may see."""
    heads = []
    d_k, d_v = module.query.weight.shape[0] // module.num_heads, D // module.num_heads
    for h in range(module.num_heads):
        q = x @ module.query.weight[h * d_k : (h + 1) * d_k].T
        k = memory @ module.key.weight[h * d_k : (h + 1) * d_k].T
        v = memory @ module.value.weight[h * d_v : (h + 1) * d_v].T
        rows = []
        for t in range(len(x)):
            scores = torch.stack([q[t] @ k[s] / math.sqrt(d_k) for s in allowed[t]])
            weights = scores.exp() / scores.exp().sum()
            rows.append(sum(w * v[s] for w, s in zip(weights, allowed[t], strict=True)))
        heads.append(torch.stack(rows))
    return torch.cat(heads, dim=-1) @ module.output.weight.T


def norm(module, x):
    centered = x - x.mean(-1, keepdim=True)
    return centered / (centered.square().mean(-1, keepdim=True) + 1e-6).sqrt() * module.weight + module.bias


def norms_of(sublayer):
    return [module for module in sublayer.modules() if isinstance(module, nn.LayerNorm)]


def reference(model, rule, source, target, real):
    """One unbatched pass, written from the paper's sections; only the parameters come from the model."""

    def wrap(sublayer, f, x):
        if rule == ("none", "dan"):
            return norm(norms_of(sublayer)[0], x + f(x))
        return x + f(norm(norms_of(sublayer)[0], x))

    def feed_forward(sublayer):
        w1, b1, w2, b2 = sublayer.f.parameters()
        return lambda x: (x @ w1.T + b1).clamp(min=0) @ w2.T + b2

    def embed(ids):
        rows = []
        for position, i in enumerate(ids.tolist()):
            angles = [position / 10000 ** (2 * (j // 2) / D) for j in range(D)]
            signal = [math.cos(angles[j]) if j % 2 else math.sin(angles[j]) for j in range(D)]
            rows.append(model.embedding.weight[i] * math.sqrt(D) + torch.tensor(signal, dtype=torch.float64))
        return torch.stack(rows)

    def self_attend(sublayer, x, allowed):
        return wrap(sublayer, lambda y: attend(sublayer.f, y, y, allowed), x)

    def cross_attend(sublayer, x, memory, allowed):
        return wrap(sublayer, lambda y: attend(sublayer.f, y, memory, allowed), x)

    memory, x = embed(source), embed(target)
    for layer in model.encoder.layers:
        memory = self_attend(layer.self_attention, memory, [real] * len(source))
        memory = wrap(layer.feed_forward, feed_forward(layer.feed_forward), memory)
    if rule[0] == "n":
        memory = norm(norms_of(model.encoder.final)[0], memory)
    past = [list(range(t + 1)) for t in range(len(target))]
    for layer in model.decoder.layers:
        x = self_attend(layer.self_attention, x, past)
        x = cross_attend(layer.cross_attention, x, memory, [real] * len(target))
        x = wrap(layer.feed_forward, feed_forward(layer.feed_forward), x)
    if rule[0] == "n":
        x = norm(norms_of(model.decoder.final)[0], x)
    return x @ model.embedding.weight.T


@pytest.mark.parametrize("rule", RULES[:2], ids="/".join)
@pytest.mark.parametrize("d_k", [None, 2])
def test_the_whole_model_is_the_papers_formulas(rule, d_k):
    model = small(rule, d_k=d_k)
    source, target = tokens(2, 5), tokens(2, 4, seed=1)
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    logits = model(source, target, mask)
    assert logits.shape == (2, 4, V)
    for row, real in enumerate(([0, 1, 2, 3, 4], [0, 1, 2])):
        expected = reference(model, rule, source[row], target[row], real)
        torch.testing.assert_close(logits[row], expected, rtol=1e-10, atol=1e-10)


def test_attention_by_hand():
    attention = MultiHeadAttention(2, 1)
    with torch.no_grad():
        for linear in attention.children():
            linear.weight.copy_(torch.eye(2))
    out = attention(torch.eye(2)[None])
    near = math.exp(1 / math.sqrt(2)) / (math.exp(1 / math.sqrt(2)) + 1)  # 0.67: a token's weight on itself
    expected = torch.tensor([[near, 1 - near], [1 - near, near]])
    torch.testing.assert_close(out[0], expected)


def test_true_in_a_mask_means_may_attend():
    attention = MultiHeadAttention(D, H).double()
    x, memory = draw(1, 4, D), draw(1, 5, D, seed=1)
    only_second = torch.zeros(4, 5, dtype=torch.bool)
    only_second[:, 1] = True
    out = attention(x, memory, only_second)
    expected = attention.output(attention.value(memory[:, 1:2])).expand(1, 4, D)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)


def test_self_attention_is_attention_to_oneself():
    attention = MultiHeadAttention(D, H).double()
    x = draw(2, 4, D)
    assert torch.equal(attention(x), attention(x, x))


def test_attention_takes_any_key_width_and_biases_on_request():
    narrow = MultiHeadAttention(D, H, d_k=1)
    assert narrow.query.weight.shape == narrow.key.weight.shape == (3, D)
    assert narrow.value.weight.shape == narrow.output.weight.shape == (D, D)
    assert all(linear.bias is None for linear in narrow.children())
    assert all(linear.bias.count_nonzero() == 0 for linear in MultiHeadAttention(D, H, bias=True).children())


@pytest.mark.parametrize("heads", [0, 5, -2])
def test_heads_that_do_not_divide_the_width_are_refused(heads):
    with pytest.raises(ValueError, match=f"num_heads: got {heads}; allowed are divisors of d_model=12"):
        MultiHeadAttention(12, heads)


def test_a_mask_that_is_not_boolean_is_refused():
    with pytest.raises(ValueError, match="mask: got dtype torch.float32; allowed is torch.bool"):
        MultiHeadAttention(D, H)(torch.zeros(1, 2, D), mask=torch.ones(2, 2))


def test_feed_forward_by_hand():
    feed_forward = FeedForward(1, 2)
    with torch.no_grad():
        feed_forward.expand.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        feed_forward.expand.bias.copy_(torch.tensor([1.0, 0.0]))
        feed_forward.contract.weight.copy_(torch.tensor([[10.0, 100.0]]))
        feed_forward.contract.bias.copy_(torch.tensor([1000.0]))
    out = feed_forward(torch.tensor([[2.0], [-3.0]]))
    assert out.flatten().tolist() == [1030.0, 1300.0]


def test_positions_follow_the_papers_formula():
    found = sinusoidal_positions(50, 8)
    assert found.shape == (50, 8)
    for position in (0, 1, 7, 49):
        for i in range(4):
            angle = position / 10000 ** (2 * i / 8)
            assert found[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-14)
            assert found[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-14)
    with pytest.raises(ValueError, match="d_model: got 7; allowed are even widths"):
        sinusoidal_positions(3, 7)


def test_embeddings_are_scaled_by_the_root_of_the_width():
    model = small()
    without_positions = model.embed(tokens(1, 6)) - sinusoidal_positions(6, D)
    torch.testing.assert_close(without_positions, math.sqrt(D) * model.embedding.weight[tokens(1, 6)])


def test_the_causal_mask_is_a_lower_triangle():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


@pytest.mark.parametrize("rule", RULES[:2], ids="/".join)
def test_decoding_is_causal(rule):
    model = small(rule)
    source, target = tokens(1, 5), tokens(1, 6, seed=1)
    before = model(source, target)
    changed = target.clone()
    changed[0, 3] = (changed[0, 3] + 1) % V
    difference = (model(source, changed) - before).abs().amax(dim=-1)[0]
    assert difference[:3].tolist() == [0.0, 0.0, 0.0]
    assert (difference[3:] > 1e-6).all()


@pytest.mark.parametrize("rule", RULES[:2], ids="/".join)
def test_padding_is_ignored(rule):
    model = small(rule)
    source, target = tokens(1, 6), tokens(1, 4, seed=1)
    mask = torch.tensor([[True, True, True, True, False, False]])
    other = source.clone()
    other[0, 4:] = (other[0, 4:] + 1) % V
    masked = model(source, target, mask)
    assert torch.equal(masked, model(other, target, mask))
    torch.testing.assert_close(masked, model(source[:, :4], target), rtol=1e-12, atol=1e-12)
    assert (model(source, target) - model(other, target)).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(2, 5), r"source_mask: got torch.float32 .*allowed is torch.bool"),
        (torch.ones(2, 4, dtype=torch.bool), r"source_mask: got torch.bool of shape \(2, 4\).*\(2, 5\)"),
        (torch.tensor([[True] * 5, [False] * 5]), "source_mask: got a row without True"),
    ],
)
def test_a_wrong_source_mask_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        small()(tokens(2, 5), tokens(2, 3), mask)


def test_one_matrix_embeds_and_predicts():
    model = small()
    assert [tuple(p.shape) for p in model.parameters() if V in p.shape] == [(V, D)]
    last = []
    model.decoder.register_forward_hook(lambda module, arguments, out: last.append(out))
    logits = model(tokens(1, 3), tokens(1, 2))
    torch.testing.assert_close(logits, last[0] @ model.embedding.weight.T)
    unseen = next(i for i in range(V) if i not in tokens(1, 3) and i not in tokens(1, 2))
    (logits * draw(1, 2, V)).sum().backward()
    assert model.embedding.weight.grad[unseen].abs().max() > 0  # learned from the predictions alone


@pytest.mark.parametrize("rule", RULES, ids="/".join)
def test_a_stack_ends_in_a_norm_exactly_when_preprocess_has_an_n(rule):
    for stack in (Encoder(2, D, H, FF, *rule), Decoder(2, D, H, FF, *rule)):
        assert len(norms_of(stack.final)) == (rule[0] == "n")
    rms = Encoder(2, D, H, FF, *rule)(5 * draw(2, 7, D).float()).square().mean(-1).sqrt()
    assert torch.allclose(rms, torch.ones(2, 7), atol=1e-4) == (rule[0] == "n" or rule[1] == "dan")


@pytest.mark.parametrize("stack", [Encoder, Decoder])
def test_a_stack_applies_the_whole_preprocess_string_to_its_output_dropout_included(stack):
    final = stack(1, D, H, FF, "nd", "da", dropout=0.5).final
    assert [type(step) for step in final.steps] == [nn.LayerNorm, nn.Dropout]
    assert final.steps[1].p == 0.5


@pytest.mark.parametrize("rule", RULES, ids="/".join)
def test_every_parameter_gets_a_gradient(rule):
    model = small(rule)
    (model(tokens(2, 5), tokens(2, 4, seed=1)) * draw(2, 4, V)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("make", "vocab", "sizes", "count"),
    [
        (Transformer.base, 37_000, (512, 8, 2048, 0.1), 63_045_632),
        (Transformer.big, 37_000, (1024, 16, 4096, 0.3), 214_171_648),
    ],
)
def test_base_and_big_are_those_of_table_3(make, vocab, sizes, count):
    d_model, heads, d_ff, dropout = sizes
    with torch.device("meta"):
        model = make(vocab)
        pre_ln = make(vocab, preprocess="n", postprocess="da")
    assert len(model.encoder.layers) == len(model.decoder.layers) == 6
    for layer in [*model.encoder.layers, *model.decoder.layers]:
        assert (layer.self_attention.f.num_heads, layer.self_attention.f.d_k) == (heads, 64)
        assert layer.feed_forward.f.expand.weight.shape == (d_ff, d_model)
    drops = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert drops == [dropout] * 31  # one on the embeddings, one a sub-layer
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    assert sum(parameter.numel() for parameter in pre_ln.parameters()) == count + 2 * 2 * d_model


def test_dropout_reaches_the_embeddings_in_training_only():
    model = small(dropout=0.5)
    assert 0.3 < (model.embed(tokens(4, 9)) == 0).double().mean() < 0.7
    model.eval()
    assert torch.equal(model.embed(tokens(4, 9)), model.embed(tokens(4, 9)))


def test_matrices_start_xavier_normal_and_biases_at_zero():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = Transformer(500, d_model=64, num_heads=4, d_ff=256, num_layers=1)
    layer = model.encoder.layers[0]
    for weight, fans in (
        (layer.self_attention.f.query.weight, 128),
        (layer.feed_forward.f.expand.weight, 320),
    ):
        assert weight.std().item() == pytest.approx(math.sqrt(2 / fans), rel=0.05)
        assert weight.abs().max() > 2.5 * weight.std()  # a uniform draw ends at 1.73 deviations
    assert layer.feed_forward.f.expand.bias.count_nonzero() == 0
    assert layer.feed_forward.f.contract.bias.count_nonzero() == 0
    assert model.embedding.weight.std().item() == pytest.approx(1 / 8, rel=0.05)


@pytest.mark.parametrize("rule", RULES, ids="/".join)
def test_torch_fx_traces_the_layers(rule):
    x, memory, memory_mask = draw(2, 4, D), draw(2, 5, D, seed=1), torch.ones(4, 5, dtype=torch.bool).triu()
    for layer, inputs in (
        (EncoderLayer(D, H, FF, *rule).double(), (x, causal_mask(4))),
        (DecoderLayer(D, H, FF, *rule).double(), (x, memory, causal_mask(4), memory_mask)),
    ):
        traced = torch.fx.symbolic_trace(layer)
        torch.testing.assert_close(traced(*inputs), layer(*inputs), rtol=0, atol=0)


def test_sizes_and_shapes_that_make_no_sense_are_named():
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 16}
    with pytest.raises(ValueError, match="num_layers: got 0; allowed are integers from 1 up"):
        Transformer(5, num_layers=0, **sizes)
    with pytest.raises(ValueError, match="d_model: got 9; allowed are even widths"):
        Transformer(5, d_model=9, num_heads=3, d_ff=16, num_layers=1)
    model = Transformer(5, num_layers=1, **sizes)
    tokens = torch.zeros(2, 3, dtype=torch.long)
    for source, target in ((tokens, tokens[:1]), (tokens[0], tokens[0])):
        with pytest.raises(ValueError, match=r"source, target: got shapes .* allowed are \(batch, length\)"):
            model(source, target)
