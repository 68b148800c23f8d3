"""Each placement is the formula of its paper, special cases coincide where they must, and the inspector agrees."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from papertrail.architecture_diagram import inspect_model
from papertrail.architecture_diagram.sublayer import Sublayer
from papertrail.experiments import seeded
from papertrail.layer_norm_placement.models import SHAPES, Model
from papertrail.layer_norm_placement.placements import (
    PLACEMENTS,
    STARTS,
    Block,
    BottomToTop,
    Stack,
    deepnorm,
    deepnorm_pair,
    initialize,
    profile,
)

D = 16


def norm(x):
    return F.layer_norm(x, (D,), eps=1e-6)


def lively(module):
    """The module in float64 with gains and biases moved, so that a norm in the wrong place shows."""
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
    return module.double()


def stack(placement, depth=2, **options):
    with seeded(3):
        return lively(Stack(depth, D, 2, 32, placement, **options))


@pytest.fixture
def x():
    with seeded(7):
        return torch.randn(2, 5, D, dtype=torch.float64)


def parts(one):
    """A stack's sub-layers as (f, norms): f without its residual, and the norms that belong to it."""
    found = []
    for sublayer in (s for s in one.modules() if isinstance(s, Sublayer)):
        f = sublayer.f.f if isinstance(sublayer.f, BottomToTop) else sublayer.f
        norms = [n for n in sublayer.modules() if isinstance(n, nn.LayerNorm)]
        found.append((f, norms))
    return found


def by_formula(one, placement, x):
    """The stack's output after the papers' formulas, written out without Sublayer."""
    dual, omegas = x, [s.skip.factor for s in one.modules() if isinstance(s, Sublayer) and s.skip]
    for i, (f, norms) in enumerate(parts(one)):
        if i % 2 == 0:
            entered = x
        match placement:
            case "post":
                x = norms[0](x + f(x))
            case "pre":
                x = x + f(norms[0](x))
            case "sandwich":
                x = x + norms[1](f(norms[0](x)))
            case "res-post":
                x = x + norms[0](f(x))
            case "deepnorm" | "admin":
                x = norms[0](omegas[i] * x + f(x))
            case "b2t":
                x = norms[0](x + f(x)) if i % 2 == 0 else norms[0](entered + x + f(x))
            case "dual-residual":
                value = f(x)
                x, dual = norms[0](x + value), dual + value
    if placement == "dual-residual":
        return x + one.final(dual)
    return one.final(x)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_stack_is_its_formula(placement, x):
    one = stack(placement)
    if placement == "admin":
        with torch.no_grad():
            for sublayer in (s for s in one.modules() if isinstance(s, Sublayer)):
                sublayer.skip.factor.uniform_(0.5, 2.0)
    assert (one(x) - by_formula(one, placement, x)).abs().max() < 1e-12


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_only_stacks_whose_main_path_is_never_normalized_end_in_a_norm(placement):
    ends = isinstance(stack(placement).final, nn.LayerNorm)
    assert ends is (placement in ("pre", "sandwich", "res-post", "dual-residual"))


EXPECTED = {
    "post": "post", "pre": "pre", "sandwich": "sandwich", "res-post": "res-post", "deepnorm": "post",
    "admin": "post", "b2t": "hybrid", "dual-residual": "hybrid",
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_inspector_recognizes_each(placement, shape):
    with seeded(0):
        model = Model(shape, 2, vocab_size=9, length=6, d_model=D, num_heads=2, d_ff=32, placement=placement)
        inputs = torch.randint(9, (2, 2, 6)).unbind()[: 2 if shape == "encoder-decoder" else 1]
    report = inspect_model(model, *inputs)
    assert report.placement == EXPECTED[placement]
    assert report.norm == "layernorm" and report.parallel is False
    assert report.num_blocks == (4 if shape == "encoder-decoder" else 2)
    traces = [trace for stack in report.stacks for block in stack.blocks for trace in block]
    last = [trace for stack in report.stacks for block in stack.blocks for trace in block[-1:]]
    assert {trace.placement for trace in (last if placement == "b2t" else traces)} == {EXPECTED[placement]}
    said = " ".join(report.evidence["placement"])
    assert ("scale" in said or "a x" in said or "× x" in said) or placement not in ("deepnorm",), said
    assert ("running sum" in said) is (placement == "dual-residual")
    assert ("earlier value" in said) is (placement == "b2t")


def silence(one, *names):
    """Make the named sub-layers' branches give zero."""
    for block in one.blocks:
        for name in names:
            f = getattr(block, name).f
            last = f.f.contract if isinstance(f, BottomToTop) else getattr(f, "output", None) or f.contract
            nn.init.zeros_(last.weight)
            if last.bias is not None:
                nn.init.zeros_(last.bias)
    return one


def plain(placement, depth=1, **options):
    """A stack with gains 1 and biases 0."""
    with seeded(3):
        return Stack(depth, D, 2, 32, placement, **options).double()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_with_silent_branches_every_placement_is_one_norm_and_residual_is_two(placement, x):
    one = silence(plain(placement), "self_attention", "feed_forward")
    times = 2 if placement == "dual-residual" else 1
    assert (one(x) - times * norm(x)).abs().max() < 1e-5


# One sub-layer that speaks (the attention is silent) and a normalized input: who gives the same?
ONE_SUBLAYER = (
    ("post", "pre", "admin"),
    ("sandwich", "res-post"),
    ("deepnorm",),
    ("b2t",),
    ("dual-residual",),
)


@pytest.mark.parametrize("group", ONE_SUBLAYER, ids=lambda group: group[0])
def test_one_sublayer_deep_on_a_normalized_input_these_coincide_and_no_others(group, x):
    x = norm(x)
    outputs = {p: silence(plain(p), "self_attention")(x) for p in PLACEMENTS}
    for other, output in outputs.items():
        if other in group:
            assert (output - outputs[group[0]]).abs().max() < 1e-5
        else:
            assert (output - outputs[group[0]]).abs().max() > 1e-2, (group[0], other)


def test_two_layers_deep_they_all_part(x):
    """Admin once it is profiled: before, its omegas are 1 and it is Post-LN.

    One layer deep sandwich and res-post still coincide: a ReLU network without biases does not mind the size.
    """
    assert (plain("sandwich")(norm(x)) - plain("res-post")(norm(x))).abs().max() < 1e-4
    stacks = {placement: plain(placement, 2) for placement in PLACEMENTS}
    assert torch.equal(stacks["admin"](norm(x)), stacks["post"](norm(x)))
    profile(stacks["admin"], norm(x))
    outputs = {placement: one(norm(x)) for placement, one in stacks.items()}
    for one, other in itertools.combinations(PLACEMENTS, 2):
        assert (outputs[one] - outputs[other]).abs().max() > 1e-2, (one, other)


def test_one_sublayer_deep_residual_is_twice_post_ln_and_b2t_is_deepnorm_with_alpha_two(x):
    x = norm(x)

    def run(placement, **options):
        return silence(plain(placement, **options), "self_attention")(x)

    assert (run("dual-residual") - 2 * run("post")).abs().max() < 1e-5
    assert (run("b2t") - run("deepnorm", alpha=2.0, beta=1.0)).abs().max() < 1e-5


def test_without_its_second_stream_residual_is_post_ln_to_the_last_bit(x):
    one, other = stack("dual-residual"), stack("post")
    other.load_state_dict({name: value for name, value in one.state_dict().items() if "final" not in name})
    stream, _ = one.streams(x)
    assert torch.equal(stream, other(x))


def test_the_second_stream_starts_at_the_embedding_and_its_scale_does_not_matter(x):
    whole, small = plain("dual-residual", 3), plain("dual-residual", 3, dual_scale=0.05)
    small.load_state_dict(whole.state_dict())
    assert (whole(x) - small(x)).abs().max() < 1e-3
    assert torch.allclose(small.streams(x)[1], 0.05 * whole.streams(x)[1])
    silent = silence(plain("dual-residual", 3), "self_attention", "feed_forward")
    assert torch.equal(silent.streams(x)[1], x)


def test_deepnorm_with_alpha_and_beta_one_is_post_ln(x):
    assert torch.equal(plain("deepnorm", 2, alpha=1.0, beta=1.0)(x), plain("post", 2)(x))


def test_deepnorms_constants_are_the_papers():
    assert deepnorm(8) == pytest.approx((2.0, 64**-0.25))
    assert deepnorm_pair(6, 6) == (
        pytest.approx((0.81 * 6**0.3125, 0.87 * 6**-0.3125)), pytest.approx((18**0.25, 72**-0.25))
    )  # fmt: skip
    (alpha, beta), _ = deepnorm_pair(18, 6)
    assert alpha == pytest.approx(0.81 * (18**4 * 6) ** (1 / 16)) and beta == pytest.approx(
        0.87 * 0.81 / alpha
    )
    assert deepnorm_pair(18, 6)[1] == pytest.approx((18**0.25, 72**-0.25))


def test_deepnorms_beta_leaves_queries_and_keys_alone():
    deep, post = plain("deepnorm", 8), plain("post", 8)
    _, beta = deepnorm(8)
    for name, weight in deep.named_parameters():
        if weight.dim() == 2:
            factor = 1 if "query" in name or "key" in name else beta
            assert torch.allclose(weight, factor * post.get_parameter(name)), name
    assert {block.alpha for block in deep.blocks} == {2.0}


def test_an_encoder_decoder_has_deepnorms_constants_for_both():
    with seeded(0):
        model = Model(
            "encoder-decoder",
            6,
            vocab_size=9,
            length=6,
            d_model=D,
            num_heads=2,
            d_ff=32,
            placement="deepnorm",
        )
        sizes = {"vocab_size": 9, "length": 6, "d_model": D, "num_heads": 2, "d_ff": 32}
        given = Model("encoder-decoder", 2, placement="deepnorm", alpha=3.0, **sizes)
    assert given.encoder.blocks[0].alpha == given.stack.blocks[0].alpha == 3.0
    (encoder, _), (decoder, _) = deepnorm_pair(6, 6)
    assert model.encoder.blocks[0].alpha == encoder and model.stack.blocks[0].alpha == decoder


@pytest.mark.parametrize("placement", ["b2t", "post"])
def test_b2ts_hidden_half_divides_every_matrix_by_the_root_of_the_depth(placement):
    small, whole = plain(placement, 4, shrink=True), plain(placement, 4)
    for name, weight in small.named_parameters():
        if weight.dim() == 2:
            assert torch.allclose(weight, whole.get_parameter(name) / 2), name


def test_admins_omegas_are_the_running_sums_of_the_profiled_variances(x):
    one = plain("admin", 2)
    found = profile(one, x)
    omegas, value = [1.0], x
    for f, _ in parts(one):
        branch = f(value)
        variance = (omegas[-1] * value).var(unbiased=False) + branch.var(unbiased=False)
        value = norm(omegas[-1] * value + branch)
        omegas.append(math.sqrt(variance.item()))
    assert found == pytest.approx(omegas[:-1])
    assert found[0] == 1 and found == sorted(found)
    held = [s.skip.factor for s in one.modules() if isinstance(s, Sublayer)]
    assert [h.unique().item() for h in held] == pytest.approx(found)
    assert all(isinstance(h, nn.Parameter) and h.shape == (D,) for h in held)
    assert (one(x) - value).abs().max() < 1e-6, "the profiled stack computes what the pass computed"
    assert not any(
        s._forward_pre_hooks or s.f._forward_hooks for s in one.modules() if isinstance(s, Sublayer)
    )


@pytest.mark.parametrize("start", STARTS)
def test_initial_weights_have_the_variance_that_their_source_states(start):
    with seeded(0):
        one = Block(64, 4, 256)
        initialize(one, start)
    attention, f = one.self_attention.f, one.feed_forward.f
    square = {"xavier": 1 / 64, "linear": 1 / (3 * 64), "small": 2 / (5 * 64)}[start]
    wide = {"xavier": 2 / 320, "linear": 1 / (3 * 64), "small": 2 / 320}[start]
    for linear in (attention.query, attention.key, attention.value, attention.output):
        assert linear.weight.var().item() == pytest.approx(square, rel=0.08)
    assert f.expand.weight.var().item() == pytest.approx(wide, rel=0.08)
    assert bool(f.expand.bias.any()) is (start == "linear")


def test_a_decoder_block_reads_its_memory(x):
    one = lively(Block(D, 2, 32, "post", cross=True))
    memory = x.flip(1)
    assert (one(x, memory=memory) - one(x, memory=2 * memory + 1)).abs().max() > 1e-3


BAD = [
    (lambda: Block(D, 3, 32), "num_heads: got 3; allowed are divisors of d_model=16"),
    (lambda: Block(D, 0, 32), "num_heads: got 0"),
    (lambda: Block(0, 1, 32), "d_model: got 0"),
    (lambda: Block(D, 2, 32, "middle"), "placement: got 'middle'; allowed are 'post', 'pre'"),
    (
        lambda: Block(D, 2, 32, "pre", alpha=2.0),
        "alpha: got 2.0, but only placement='deepnorm' has one, not 'pre'",
    ),
    (lambda: Stack(0, D, 2, 32), "depth: got 0; allowed are integers from 1 up"),
    (lambda: Stack(1, D, 2, 32, "pre", beta=0.5), "beta: got 0.5, but only placement='deepnorm'"),
    (lambda: Block(D, 2, 32, "deepnorm", alpha=0.0), "alpha: got 0.0; allowed are positive numbers"),
    (
        lambda: Block(D, 2, 32, "pre", dual_scale=0.5),
        "dual_scale: got 0.5, but only placement='dual-residual'",
    ),
    (lambda: Block(D, 2, 32, "dual-residual", dual_scale=-1.0), "dual_scale: got -1.0; allowed are positive"),
    (lambda: Stack(1, D, 2, 32, start="he"), "start: got 'he'; allowed are 'xavier', 'linear', 'small'"),
    (lambda: Block(D, 2, 32, cross=True)(torch.zeros(1, 2, D)), "memory: missing, but this Block attends"),
    (
        lambda: Block(D, 2, 32)(torch.zeros(1, 2, D), memory=torch.zeros(1, 2, D)),
        "memory: given, but this Block was",
    ),
    (
        lambda: Block(D, 2, 32, "dual-residual")(torch.zeros(1, 2, D)),
        "dual: missing, with placement='dual-residual'",
    ),
    (
        lambda: Block(D, 2, 32)(torch.zeros(1, 2, D), torch.zeros(1, 2, D)),
        "dual: given, with placement='pre'",
    ),
    (lambda: Block(D, 2, 32)(torch.zeros(1, 2, 8)), "x: last axis is 8, but this Sublayer has d_model=16"),
    (lambda: deepnorm(0), "layers: got 0"),
    (lambda: deepnorm_pair(2, 0), "decoder_layers: got 0"),
    (
        lambda: profile(Stack(1, D, 2, 32), torch.zeros(1, 2, D)),
        "stack: its placement is 'pre'; allowed is 'admin'",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
