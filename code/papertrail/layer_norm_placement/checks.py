"""What the ledger calls for chapter 2. Each check computes its verdict from thresholds that it states."""

from functools import cache
from math import log
from statistics import geometric_mean, mean, median

from papertrail.architecture_diagram.zoo import Found, load_zoo
from papertrail.claims import Evidence, Numbers
from papertrail.layer_norm_placement.language import DEPTH as LANGUAGE_DEPTH
from papertrail.layer_norm_placement.language import STEPS as NARROW_STEPS
from papertrail.layer_norm_placement.language import (
    WIDE,
    WIDE_ARMS,
    WIDE_RATE,
    WIDE_SEEDS,
    WIDE_STEPS,
    WIDE_WARMUPS,
    load_warm_up_runs,
)
from papertrail.layer_norm_placement.measurements import (
    GradientProfile,
    measure_amplification,
    measure_gradients,
    measure_representation_distance,
    measure_two_streams,
)
from papertrail.layer_norm_placement.theory import slope
from papertrail.layer_norm_placement.training import TrainingRuns, measure_training

DEPTH = 12  # decoder layers of the gradient checks
RATE, LOW_RATE, WARMUP = 1e-2, 3e-3, 60
STUCK, TRAINED = 3.0, 0.5  # nats; knowing nothing is 3.47
LEARNED = 2.6  # nats a byte of real text; knowing how often each byte comes gives about 3.2


@cache
def decoder(placement: str, start: str = "xavier") -> GradientProfile:
    """Gradients in an encoder-decoder of 12 + 12 layers."""
    return measure_gradients("encoder-decoder", placement, DEPTH, start=start)


@cache
def encoder(placement: str, depth: int) -> GradientProfile:
    """Gradients in an encoder with W_Q = W_K = 0, the theorem's setting."""
    return measure_gradients("encoder", placement, depth, zero_qk=True)


@cache
def training(placement: str, lr: float = RATE, warmup: int = 0, start: str = "xavier") -> TrainingRuns:
    """Three seeds of six layers."""
    return measure_training(placement, lr=lr, warmup=warmup, start=start, seeds=3)


def _all_trained(runs: TrainingRuns) -> bool:
    return max(runs.final) < TRAINED


def _all_stuck(runs: TrainingRuns) -> bool:
    return min(runs.final) > STUCK


def _since(year: int) -> list[Found]:
    return [model for model in load_zoo() if model.year >= year]


def pre_ln_is_better() -> Evidence:
    """Without warm-up only Pre-LN trains; with it both do: better without a condition is more than this shows."""
    alone, with_warmup = ([training(p, warmup=warmup) for p in ("post", "pre")] for warmup in (0, WARMUP))
    needs_none = _all_stuck(alone[0]) and _all_trained(alone[1])
    both = all(map(_all_trained, with_warmup))
    numbers = {
        "rate": RATE,
        "stuck": sum(final > STUCK for final in alone[0].final),
        "pre": sum(final < TRAINED for final in alone[1].final),
        "warmed": sum(final < TRAINED for final in with_warmup[0].final),
        "seeds": alone[0].seeds,
        "depth": alone[0].depth,
    }
    if needs_none and both:
        return Evidence(numbers, "imprecise")
    whatever = _all_trained(with_warmup[1]) and _all_stuck(with_warmup[0])  # better with warm-up, too
    return Evidence(numbers, "holds-at-small-scale" if whatever else "wrong")


def pre_ln_keeps_gradients() -> Evidence:
    """In decoders that attend to an encoder, Post-LN's gradients shrink on the way down and Pre-LN's do not."""
    post, pre = (decoder(p).ratios("decoder") for p in ("post", "pre"))
    numbers: Numbers = {
        "post": f"{median(post):.0f}", "pre": f"{median(pre):.1f}", "depth": DEPTH, "seeds": len(post),
    }  # fmt: skip
    return Evidence(numbers, "holds-at-small-scale" if min(post) > 10 and max(pre) < 1.5 else "wrong")


def many_adopted_pre_ln() -> Evidence:
    """Count placements among the models of the zoo that came after the original."""
    later = _since(2019)
    pre = [model for model in later if model.placement == "pre"]
    recent = _since(2024)
    numbers = {"pre": len(pre), "models": len(later), "recent": len(recent)}
    numbers["recent_pre"] = sum(model.placement == "pre" for model in recent)
    return Evidence(numbers, "holds" if len(pre) > len(later) / 2 else "wrong")


def pre_ln_collapses() -> Evidence:
    """The inputs of neighboring sub-layers draw together with depth in Pre-LN and not in Post-LN."""
    result = measure_representation_distance(("post", "pre"), d_model=64)
    post, pre = result.slopes("post"), result.slopes("pre")
    numbers: Numbers = {
        "pre": f"{mean(pre):.1f}",
        "post": f"{mean(post):+.1f}",
        "layers": result.depth,
        "seeds": result.seeds,
    }
    return Evidence(numbers, "holds-at-small-scale" if max(pre) < -0.2 and min(post) > -0.1 else "wrong")


def placements_still_differ() -> Evidence:
    """Models of 2024 and later that do not agree on where the norm goes."""
    recent = _since(2024)
    kinds = sorted({model.placement for model in recent})
    numbers: Numbers = {"models": len(recent), "kinds": len(kinds), "names": ", ".join(kinds)}
    return Evidence(numbers, "holds" if len(kinds) > 1 else "wrong")


def residual_uses_both() -> Evidence:
    """ResiDual's first stream is Post-LN to the last bit, and its output adds the normalized sum of branches."""
    streams = measure_two_streams()
    both = streams.first_is_post == 0 and streams.sum_of_branches < 1e-12
    return Evidence({"sublayers": streams.sublayers}, "holds" if both else "wrong")


def residual_in_practice() -> Evidence:
    """Whether any model of the zoo since ResiDual has a second stream (the inspector calls such a thing hybrid)."""
    recent = _since(2023)
    hybrids = sum(model.placement == "hybrid" for model in recent)
    return Evidence({"models": len(recent), "hybrids": hybrids}, "holds" if hybrids == 0 else "wrong")


def second_stream_is_pre_ln() -> Evidence:
    """Distance of ResiDual's normalized second stream from Pre-LN's output on the same weights."""
    streams = measure_two_streams()
    numbers: Numbers = {"distance": f"{100 * mean(streams.second_to_pre):.0f}", "seeds": streams.seeds,
               "layers": streams.sublayers // 2}  # fmt: skip
    return Evidence(numbers, "wrong" if min(streams.second_to_pre) > 0.1 else "holds")


def last_gradient_falls() -> Evidence:
    """Exponent of the last layer's gradient between 6 and 48 layers; the theorem's bound has -1/2 and 0.

    Each has to be nearer to its own bound's exponent than to the other's: over six sets of five seeds Post-LN's goes
    from -0.08 to 0.18.
    """
    depths = [6, 48]
    exponents = {
        p: slope(depths, [geometric_mean(encoder(p, depth).last("encoder")) for depth in depths])
        for p in ("post", "pre")
    }
    fits = -0.75 < exponents["pre"] < -0.25 < exponents["post"] < 0.25
    numbers: Numbers = {
        **{p: f"{value:+.1f}" for p, value in exponents.items()},
        "first": depths[0],
        "last": depths[1],
        "seeds": encoder("pre", depths[0]).seeds,
    }
    return Evidence(numbers, "holds-at-small-scale" if fits else "wrong")


def post_ln_vanishes_everywhere() -> Evidence:
    """The decoder's ratio against the encoder's, in one and the same Post-LN model."""
    post = decoder("post")
    ratios = {stack: median(post.ratios(stack)) for stack in ("decoder", "encoder")}
    numbers: Numbers = {
        "decoder": f"{ratios['decoder']:.0f}",
        "encoder": f"{ratios['encoder']:.1f}",
        "depth": DEPTH,
        "seeds": post.seeds,
    }
    return Evidence(numbers, "wrong" if ratios["encoder"] < 3 < 10 < ratios["decoder"] else "holds")


def early_layers_get_more() -> Evidence:
    """First layer's gradient over the last one's in causal Pre-LN models: above 1.2 in every seed, at both depths."""
    depths = (6, 24)
    profiles = [measure_gradients("decoder-only", "pre", depth) for depth in depths]
    first, second = ([1 / ratio for ratio in profile.ratios("decoder")] for profile in profiles)
    numbers: Numbers = {
        "first": f"{median(first):.1f}", "second": f"{median(second):.1f}",
        "shallow": depths[0], "deep": depths[1], "seeds": len(first),
    }  # fmt: skip
    return Evidence(numbers, "holds-at-small-scale" if min(*first, *second) > 1.2 else "wrong")


def post_ln_needs_warmup() -> Evidence:
    """Post-LN without warm-up at two rates, and from smaller initial weights."""
    high, low, linear = training("post"), training("post", lr=LOW_RATE), training("post", start="linear")
    numbers = {
        "rate": RATE,
        "low": LOW_RATE,
        "stuck": sum(final > STUCK for final in high.final),
        "seeds": high.seeds,
        "depth": high.depth,
    }
    if _all_stuck(high) and _all_trained(low) and _all_trained(linear):
        return Evidence(numbers, "imprecise")
    return Evidence(numbers, "holds-at-small-scale" if _all_stuck(low) and _all_stuck(linear) else "wrong")


def placement_alone_decides() -> Evidence:
    """The decoder's gradient ratio from Xavier weights and from nn.Linear's own."""
    profiles = [decoder("post", start) for start in ("xavier", "linear")]
    xavier, linear = (median(profile.ratios("decoder")) for profile in profiles)
    numbers: Numbers = {
        "xavier": f"{xavier:.0f}",
        "linear": f"{linear:.1f}",
        "depth": DEPTH,
        "seeds": min(profile.seeds for profile in profiles),
    }
    return Evidence(numbers, "wrong" if xavier > 10 * linear else "holds")


def deepnorm_levels() -> Evidence:
    """Largest over smallest gradient among the layers of a DeepNorm language model, in the worst seed."""
    result = measure_gradients("decoder-only", "deepnorm", DEPTH)
    spread = max(max(row) / min(row) for row in result.norms["decoder"])
    numbers: Numbers = {"spread": f"{spread:.1f}", "depth": DEPTH, "seeds": result.seeds}
    return Evidence(numbers, "holds-at-small-scale" if spread < 1.3 else "wrong")


def post_ln_amplifies() -> Evidence:
    """Exponents of depth for the output's change under a small change of all weights, means over the seeds.

    "In proportion" is an exponent between 0.7 and 1.4, "far less" one that is smaller by 0.3 or more. Single seeds
    come nearer to each other.
    """
    result = measure_amplification(("post", "pre"), (2, 8, 32))
    post, pre = result.slopes("post"), result.slopes("pre")
    numbers: Numbers = {"post": f"{mean(post):.1f}", "pre": f"{mean(pre):.1f}", "seeds": result.seeds,
               "first": result.depths[0], "last": result.depths[-1]}  # fmt: skip
    fits = 0.7 < mean(post) < 1.4 and mean(pre) < mean(post) - 0.3
    return Evidence(numbers, "holds-at-small-scale" if fits else "wrong")


def warm_up_cures_post_ln() -> Evidence:
    """Recorded byte models of 12 layers, width 128: Post-LN's held-out loss with and without warm-up."""
    with_it, without = (wide("post", warmup) for warmup in reversed(WIDE_WARMUPS))
    numbers: Numbers = {
        **wide_numbers(),
        "with": f"{mean(with_it) / log(2):.2f}",
        "without": f"{mean(without) / log(2):.2f}",
        "pre": f"{mean(wide('pre', WIDE_WARMUPS[0])) / log(2):.2f}",
        "narrow": NARROW_STEPS,
    }
    if min(with_it) > STUCK:
        return Evidence(numbers, "wrong")
    cured = max(with_it) < LEARNED and min(without) > STUCK
    return Evidence(numbers, "holds-at-small-scale" if cured else "imprecise")


def others_need_no_warm_up() -> Evidence:
    """The same models with three other placements, without warm-up, and what warm-up adds to each."""
    numbers = wide_numbers()
    for name, placement in (("pre", "pre"), ("residual", "dual-residual"), ("deepnorm", "deepnorm")):
        plain, warmed = (mean(wide(placement, warmup)) / log(2) for warmup in WIDE_WARMUPS)
        numbers[name] = f"{plain:.2f}"
        numbers[f"{name}_gain"] = f"{plain - warmed:+.2f}".replace("-", "−")
    others = (p for p in WIDE_ARMS if p != "post")
    trained = [max(wide(placement, WIDE_WARMUPS[0])) < LEARNED for placement in others]
    return Evidence(
        numbers, "holds-at-small-scale" if all(trained) else "imprecise" if any(trained) else "wrong"
    )


def wide(placement: str, warmup: int) -> list[float]:
    """Held-out losses of the recorded wide models of one kind, by seed, in nats a byte."""
    return [run.valid for run in load_warm_up_runs() if (run.placement, run.warmup) == (placement, warmup)]


def wide_numbers() -> dict[str, float | int | str]:
    """What the wide models share."""
    return {"layers": LANGUAGE_DEPTH, "width": WIDE, "steps": WIDE_STEPS, "warmup": WIDE_WARMUPS[1],
            "seeds": len(WIDE_SEEDS), "rate": f"{WIDE_RATE:g}"}  # fmt: skip
