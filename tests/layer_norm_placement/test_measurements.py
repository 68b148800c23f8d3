"""The chapter's claims about initialization, over five seeds and with margin, and where they do not hold."""

from statistics import geometric_mean, mean, median

import pytest
import torch

from papertrail.experiments import seeded
from papertrail.layer_norm_placement.measurements import (
    branch_inputs,
    measure_amplification,
    measure_gradients,
    measure_representation_distance,
    measure_two_streams,
    set_omegas,
)
from papertrail.layer_norm_placement.models import Model
from papertrail.layer_norm_placement.placements import PLACEMENTS
from papertrail.layer_norm_placement.theory import pre_ln_distance, slope

DEPTH = 8  # enough for each effect, and quick


@pytest.fixture(scope="module")
def decoders():
    return {p: measure_gradients("encoder-decoder", p, DEPTH) for p in ("post", "pre", "dual-residual")}


def test_post_ln_decoders_lose_about_a_root_of_two_a_layer(decoders):
    ratios = decoders["post"].ratios("decoder")
    a_layer = [ratio ** (1 / (DEPTH - 1)) for ratio in ratios]
    assert min(ratios) > 5
    assert min(a_layer) > 1.25 and max(a_layer) < 1.75, a_layer


def test_the_encoder_of_the_same_model_loses_nothing(decoders):
    assert median(decoders["post"].ratios("encoder")) < 2.5
    assert max(decoders["post"].ratios("encoder")) < min(decoders["post"].ratios("decoder"))


def test_pre_ln_gives_early_decoder_layers_more(decoders):
    assert max(decoders["pre"].ratios("decoder")) < 1


def test_residual_has_a_floor_that_post_ln_has_not(decoders):
    for ours, theirs in zip(
        decoders["dual-residual"].norms["decoder"], decoders["post"].norms["decoder"], strict=True
    ):
        assert ours[0] > 2 * theirs[0] and ours[-1] > ours[0]


def test_from_nn_linears_weights_the_decoder_loses_next_to_nothing(decoders):
    linear = measure_gradients("encoder-decoder", "post", DEPTH, start="linear")
    assert max(linear.ratios("decoder")) < 2.5 < min(decoders["post"].ratios("decoder"))


def test_a_causal_stack_without_an_encoder_loses_nothing():
    assert median(measure_gradients("decoder-only", "post", DEPTH).ratios("decoder")) < 2.5


def test_the_last_gradient_falls_with_depth_in_pre_ln_only():
    depths = (4, 32)
    last = {
        p: [geometric_mean(measure_gradients("encoder", p, d, zero_qk=True).last("encoder")) for d in depths]
        for p in ("post", "pre")
    }
    assert -0.6 < slope(depths, last["pre"]) < -0.25
    assert abs(slope(depths, last["post"])) < 0.15


def test_zero_queries_and_keys_make_no_difference_to_the_decoders_ratio(decoders):
    zero = measure_gradients("encoder-decoder", "post", DEPTH, zero_qk=True)
    assert zero.norms != decoders["post"].norms
    assert median(zero.ratios("decoder")) == pytest.approx(
        median(decoders["post"].ratios("decoder")), rel=0.5
    )


def test_deepnorm_levels_all_layers_and_falls_with_depth():
    results = [measure_gradients("decoder-only", "deepnorm", depth) for depth in (6, 12)]
    for result in results:
        assert all(max(row) < 1.3 * min(row) for row in result.norms["decoder"])
    assert max(results[1].last("decoder")) < min(results[0].last("decoder"))


@pytest.fixture(scope="module")
def distances():
    return {
        start: measure_representation_distance(depth=16, d_model=64, start=start)
        for start in ("xavier", "linear")
    }


def test_neighbors_grow_alike_in_pre_ln_and_sandwich_and_not_in_post_ln(distances):
    result = distances["xavier"]
    assert max(result.slopes("pre")) < -0.15 and max(result.slopes("sandwich")) < -0.35
    assert min(result.slopes("post")) > 0


def test_which_placements_level_their_layers_and_which_do_not():
    result = measure_representation_distance(PLACEMENTS, depth=16, d_model=64)
    slopes = {placement: mean(result.slopes(placement)) for placement in PLACEMENTS}
    assert {p for p, value in slopes.items() if value > 0} == {"post", "b2t", "dual-residual"}, slopes
    assert {p for p, value in slopes.items() if value < -0.35} == {"sandwich", "res-post"}, slopes
    assert slopes["pre"] < -0.15 and slopes["admin"] < -0.15 and -0.3 < slopes["deepnorm"] < -0.1, slopes


def test_the_sandwich_norm_follows_the_theory_of_independent_branches(distances):
    rows = distances["xavier"].distances["sandwich"]
    for k in (8, 16, 30):  # sub-layer k is fed the input and k - 1 branches
        assert mean(row[k - 1] for row in rows) == pytest.approx(pre_ln_distance(k), rel=0.06)


def test_residuals_blocks_are_fed_what_post_lns_are_to_the_last_bit(distances):
    for result in distances.values():
        assert result.distances["dual-residual"] == result.distances["post"]


def test_from_nn_linears_weights_pre_ln_hardly_collapses(distances):
    linear = distances["linear"]
    assert min(linear.slopes("pre")) > -0.1 > max(distances["xavier"].slopes("pre"))


def test_post_ln_amplifies_more_with_depth_than_pre_ln_and_deepnorm_less_with_depth():
    result = measure_amplification(("post", "pre", "deepnorm", "admin"), (2, 16), d_model=32)
    post, pre, deep, admin = (result.slopes(p) for p in ("post", "pre", "deepnorm", "admin"))
    assert 0.6 < mean(post) < 1.5 and mean(pre) < mean(post) - 0.2
    assert max(deep) < 0 and mean(admin) < mean(post) - 0.2


def test_residual_amplifies_like_post_ln():
    result = measure_amplification(("post", "dual-residual"), (2, 16), d_model=32)
    for post, dual in zip(result.changes["post"], result.changes["dual-residual"], strict=True):
        assert 0.5 * post[-1] < dual[-1] < 1.6 * post[-1]


def test_from_nn_linears_weights_post_ln_amplifies_as_steeply_from_a_lower_level():
    xavier, linear = (
        measure_amplification(("post",), (2, 16), d_model=32, start=s) for s in ("xavier", "linear")
    )
    for row, small in zip(xavier.changes["post"], linear.changes["post"], strict=True):
        assert small[-1] < row[-1] / 3
    assert mean(linear.slopes("post")) == pytest.approx(mean(xavier.slopes("post")), abs=0.35)


def test_options_reach_the_stacks_that_are_measured():
    plain, tuned = (measure_amplification(("deepnorm",), (2, 4), seeds=1, **o) for o in ({}, {"beta": 1.0}))
    assert tuned.changes["deepnorm"][0][1] > 2 * plain.changes["deepnorm"][0][1]


def test_the_change_of_the_output_is_in_proportion_to_the_change_of_the_weights():
    small, large = (
        measure_amplification(("pre",), (2,), relative=r, seeds=2).changes["pre"] for r in (1e-3, 4e-3)
    )
    for one, other in zip(small, large, strict=True):
        assert one[0] == pytest.approx(other[0], rel=0.05)


def test_residuals_streams_are_post_ln_and_a_sum_that_is_not_pre_ln():
    streams = measure_two_streams(3, d_model=32)
    assert streams.first_is_post == 0 and streams.sum_of_branches < 1e-12
    assert all(0.1 < distance < 1 for distance in streams.second_to_pre)


def test_a_measurement_leaves_the_random_state_alone_and_repeats():
    before = torch.random.get_rng_state()
    one, other = (
        measure_gradients("encoder", "pre", 2, d_model=16, batch=2, length=4, seeds=2) for _ in range(2)
    )
    assert one == other
    assert torch.equal(before, torch.random.get_rng_state())
    assert one.norms["encoder"][0] != one.norms["encoder"][1], "seeds differ"


def test_what_a_sublayer_is_fed_is_collected_in_order_and_hooks_are_gone():
    model = Model("encoder", 2, vocab_size=5, length=4, d_model=8, num_heads=2, d_ff=16)
    with branch_inputs(model) as fed:
        model(torch.zeros(1, 4, dtype=torch.long))
    assert [tuple(value.shape) for value in fed] == [(1, 4, 8)] * 4
    model(torch.zeros(1, 4, dtype=torch.long))
    assert len(fed) == 4


def test_admins_profile_reaches_both_stacks_of_a_model():
    sizes = {
        "vocab_size": 5,
        "length": 4,
        "d_model": 64,
        "num_heads": 2,
        "d_ff": 128,
    }  # at width 8 chance decides
    with seeded(0):
        model = Model("encoder-decoder", 2, placement="admin", **sizes)
    set_omegas(model, *torch.zeros(2, 1, 4, dtype=torch.long).unbind())
    for stack in model.stacks.values():
        omegas = [block.feed_forward.skip.factor[0].item() for block in stack.blocks]
        assert 1 < omegas[0] < omegas[1]


BAD = [
    (lambda: measure_gradients("tree", "post", 2), "shape: got 'tree'"),
    (lambda: measure_gradients("encoder", "post", 0), "depth: got 0"),
    (lambda: measure_gradients("encoder", "post", 2, seeds=0), "seeds: got 0"),
    (lambda: measure_gradients("encoder", "post", 2, start="zero"), "start: got 'zero'"),
    (lambda: measure_representation_distance(("top",), 2), "placement: got 'top'"),
    (lambda: measure_amplification(relative=0.0), "relative: got 0.0"),
    (lambda: measure_amplification(depths=()), "depths: got 0"),
    (lambda: measure_two_streams(0), "depth: got 0"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
