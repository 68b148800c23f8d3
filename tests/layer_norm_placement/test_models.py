"""Models have the shape that they say, keep the future out of sight, and refuse what they cannot take."""

import pytest
import torch

from papertrail.experiments import seeded
from papertrail.layer_norm_placement.models import SHAPES, Model, zero_queries_and_keys
from papertrail.layer_norm_placement.placements import PLACEMENTS

SIZES = {"vocab_size": 11, "length": 6, "d_model": 16, "num_heads": 2, "d_ff": 32}


def model(shape, placement="pre", depth=2, **options):
    with seeded(1):
        return Model(shape, depth, placement=placement, **SIZES, **options)


def tokens(count):
    with seeded(2):
        return torch.randint(11, (count, 3, 6)).unbind()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_shape_and_placement_gives_finite_logits_and_gradients(shape, placement):
    one = model(shape, placement)
    logits = one(*tokens(2 if shape == "encoder-decoder" else 1))
    assert logits.shape == (3, 6, 11) and logits.isfinite().all()
    logits.square().mean().backward()
    for name, parameter in one.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("shape", "sees"), [("encoder", True), ("decoder-only", False), ("encoder-decoder", False)]
)
def test_only_an_encoder_sees_what_comes_later(shape, sees):
    one, inputs = model(shape), tokens(2 if shape == "encoder-decoder" else 1)
    later = inputs[0].clone()
    later[:, -1] = (later[:, -1] + 1) % 11
    moved = (one(*inputs) - one(later, *inputs[1:]))[:, :-1].abs().max().item()
    assert (moved > 1e-3) is sees


def test_a_decoder_reads_the_whole_source():
    one, (target, source) = model("encoder-decoder"), tokens(2)
    other = source.clone()
    other[:, -1] = (other[:, -1] + 1) % 11
    assert (one(target, source) - one(target, other))[:, 0].abs().max() > 1e-3


def test_a_stack_is_fed_vectors_of_unit_size_and_gives_logits_of_unit_size():
    with seeded(0):
        one = Model(
            "encoder", 2, vocab_size=400, length=64, d_model=64, num_heads=4, d_ff=64, placement="post"
        )
        ids = torch.randint(400, (8, 64))
    with torch.no_grad():
        assert one.embedding(ids).var().item() == pytest.approx(1.0, rel=0.05)
        assert one(ids).var().item() == pytest.approx(1.0, rel=0.1)


def test_with_queries_and_keys_at_zero_attention_is_a_mean_over_positions():
    one = model("encoder")
    zero_queries_and_keys(one)
    attention = one.stack.blocks[0].self_attention.f
    with seeded(3):
        x = torch.randn(2, 6, 16)
    same = attention(x)
    assert torch.allclose(same, same[:, :1].expand_as(same), atol=1e-6)
    assert torch.allclose(same[:, 0], attention.output(attention.value(x.mean(1))), atol=1e-5)


def test_the_stacks_are_named_by_what_they_are():
    assert {shape: list(model(shape).stacks) for shape in SHAPES} == {
        "encoder": ["encoder"], "decoder-only": ["decoder"], "encoder-decoder": ["encoder", "decoder"],
    }  # fmt: skip


BAD = [
    (
        lambda: model("decoder"),
        "shape: got 'decoder'; allowed are 'encoder', 'decoder-only', 'encoder-decoder'",
    ),
    (lambda: model("encoder", depth=0), "depth: got 0"),
    (lambda: model("encoder", "last"), "placement: got 'last'"),
    (lambda: model("encoder")(*tokens(2)), "source: given, with shape='encoder'"),
    (lambda: model("encoder-decoder")(*tokens(1)), "source: missing, with shape='encoder-decoder'"),
    (lambda: model("encoder")(torch.zeros(1, 7, dtype=torch.long)), "tokens: length 7; allowed are up to 6"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
