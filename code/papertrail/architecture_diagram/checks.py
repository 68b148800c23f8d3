"""What the ledger calls for chapter 1. Each check computes its verdict from thresholds that it states."""

from datetime import date

import torch

from papertrail.architecture_diagram import history
from papertrail.architecture_diagram.accounting import audit_table_3, row_differences
from papertrail.architecture_diagram.history import default_on
from papertrail.architecture_diagram.measurements import (
    PUBLISHED,
    count_norms,
    measure_annotated_norm,
    measure_order_difference,
    measure_rms_by_depth,
    trace_annotated,
    trace_rule,
)
from papertrail.architecture_diagram.schedule import SCHEDULES, noam_lr
from papertrail.architecture_diagram.torch_conventions import (
    measure_torch_agreement,
    measure_torch_conventions,
    trace_torch,
)
from papertrail.architecture_diagram.trace import Stack
from papertrail.architecture_diagram.zoo import load_zoo, read_by_names
from papertrail.claims import Evidence, Numbers

PAPER_FORMULA = "norm(x + drop(f(x)))"  # Vaswani et al. 2017, section 3.1 with the dropout of section 5.4
LINKED_COMMIT = "f5c9b17e"  # the one behind the article's words "official (updated) code implementation"
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}  # of the largest entry


def _verdict(condition: bool, otherwise: str = "wrong") -> str:
    return "holds" if condition else otherwise


def _formulas(stack: Stack) -> set[str]:
    return {trace.formula for trace in stack.block}


def _is_published(stack: Stack) -> bool:
    return _formulas(stack) == {PAPER_FORMULA} and not stack.final_norm


def _equals_torch(norm_first: bool) -> bool:
    """Whether our encoder and decoder layers equal torch's, values and gradients, in both precisions."""
    return all(
        max(row.forward, row.gradient) < tolerance
        for dtype, tolerance in TOLERANCE.items()
        for row in measure_torch_agreement(dtype).rows
        if row.norm_first is norm_first
    )


def first_code_agreed() -> Evidence:
    """Trace the first commit's rule and compare it with the published formula."""
    first = history.REVISIONS[0]
    traced = trace_rule(first.rule)
    numbers = {"commit": first.commits[-1], "formula": " and ".join(sorted(_formulas(traced)))}
    return Evidence(numbers, _verdict(_is_published(traced)))


def default_moved_in_2017() -> Evidence:
    """Find the first dated default that no longer traces to the published formula."""
    defaults = [revision for revision in history.REVISIONS if revision.is_default]
    moved = next((r for r in defaults if not _is_published(trace_rule(r.rule))), None)
    if moved is None:
        return Evidence(
            {"day": "never", "commit": "none", "release": "none", "days": 0, "formula": "none"}, "wrong"
        )
    days = (moved.date - defaults[0].date).days
    numbers: Numbers = {
        "day": f"{moved.date.day} {moved.date:%B %Y}",
        "commit": moved.commits[-1],
        "release": moved.release or "none",
        "days": days,
        "formula": trace_rule(moved.rule).block[0].formula,
    }
    return Evidence(numbers, _verdict(moved.date.year == 2017))


def linked_commit_moved_the_default() -> Evidence:
    """Whether `transformer_base` changed its order at the commit that the article links."""
    linked = [r for r in history.REVISIONS if LINKED_COMMIT in r.commits]
    default = next(r for r in linked if r.is_default)
    option = next((r for r in linked if not r.is_default), default)
    moved = not _is_published(trace_rule(default.rule))
    numbers = {"commit": LINKED_COMMIT, "default": str(default.rule), "option": option.configuration}
    return Evidence(numbers, _verdict(moved))


def figure_sums_up_the_model() -> Evidence:
    """A layer built from the figure and the text equals torch's Post-LN layer, so the figure leaves little open."""
    return Evidence(
        {"tolerance": f"{TOLERANCE[torch.float64]:.0e}"}, _verdict(_equals_torch(norm_first=False))
    )


def figure_norms_the_main_path() -> Evidence:
    """In the traced published rule, each sub-layer's norm is on the main path and none is in a branch."""
    traces = trace_rule(PUBLISHED).block
    on_path = [trace.norms_on_the_main_path for trace in traces]
    inside = [
        branch.before.count("norm") + branch.after.count("norm") for t in traces for branch in t.branches
    ]
    between = all(n == 1 for n in on_path) and not any(inside)
    return Evidence(
        {"sublayers": len(traces), "on_path": sum(on_path), "inside": sum(inside)}, _verdict(between)
    )


def updated_code_differs_from_the_figure() -> Evidence:
    """The last default on record traces to another formula, and equals torch's Pre-LN layer."""
    rule = default_on(date(2023, 5, 24))
    stack = trace_rule(rule)
    differs = not _is_published(stack) and _equals_torch(norm_first=True)
    return Evidence({"rule": str(rule), "formula": stack.block[0].formula}, _verdict(differs))


def difference_is_slight() -> Evidence:
    """The same weights through both orders, from two usual ways to draw them.

    Under 10% of the output's length from both, the claim holds; over 50% from both, it is wrong; else it depends.
    """
    results = [measure_order_difference(start=start) for start in ("xavier", "linear")]
    xavier, linear = ([row[-1] for row in result.with_final_norm] for result in results)
    counts = {str(count.rule): count.found for count in count_norms()}
    numbers = {
        "low": round(100 * min(xavier)), "high": round(100 * max(xavier)), "seeds": len(xavier),
        "quiet_low": round(100 * min(linear)), "quiet_high": round(100 * max(linear)),
        "norms_before": counts["none/an"], "norms_after": counts["n/a"],
        "layers": len(results[0].with_final_norm[0]) // 2, "width": results[0].d_model,
    }  # fmt: skip
    slight, large = max(*xavier, *linear) < 0.1, min(*xavier, *linear) > 0.5
    return Evidence(numbers, "holds" if slight else "wrong" if large else "imprecise")


def drawn_variant_is_post_ln() -> Evidence:
    """Xiong et al.'s Post-LN: the norm follows the addition; also what torch calls norm_first=False."""
    traces = trace_rule(PUBLISHED).block
    after = all(trace.placement == "post" for trace in traces)
    return Evidence({"formula": traces[0].formula}, _verdict(after and _equals_torch(norm_first=False)))


def figure_is_wrong() -> Evidence:
    """The figure is wrong if it contradicts the paper's own text or the code published with it."""
    first = history.REVISIONS[0]
    drawn = trace_rule(PUBLISHED)
    contradicts_text = not _is_published(drawn)
    contradicts_code = trace_rule(first.rule) != drawn
    moved = default_moved_in_2017().numbers
    numbers = {"first": f"{first.date.day} {first.date:%B %Y}", "moved": moved["day"], "days": moved["days"]}
    return Evidence(numbers, _verdict(contradicts_text or contradicts_code))


def annotated_code_is_pre_ln() -> Evidence:
    """The Annotated Transformer's sub-layer and norm, inspected and run, against the formula that it quotes."""
    traced = trace_annotated()
    formula = traced.block[0].formula
    width = 512
    norm = measure_annotated_norm(width)
    numbers: Numbers = {
        "layers": norm.num_layers, "width": width,
        "formula": formula, "low": round(100 * min(norm.encoder_difference)), "seeds": norm.seeds,
        "high": round(100 * max(norm.encoder_difference)), "ratio": f"{norm.expected_ratio:.5f}",
    }  # fmt: skip
    other_order = traced.placement == "pre" and _formulas(traced) != {PAPER_FORMULA}
    differs = other_order and min(norm.encoder_difference) > 0.5 and norm.ratio_error < 1e-5
    return Evidence(numbers, _verdict(differs))


def pre_ln_needs_a_final_norm() -> Evidence:
    """Without one the mean square grows with depth, inside Lemma 2's band; with one it is 1. Post-LN stays at 1."""
    result = measure_rms_by_depth()
    ends = [row[-1] ** 2 for row in result.pre_ln]
    flat = max(abs(row[-1] ** 2 - 1) for row in (*result.post_ln, *result.pre_ln_final_norm))
    mean = sum(ends) / len(ends)
    grows = result.lower_bound[-1] < mean < result.upper_bound[-1] and min(ends) > 10 and flat < 0.01
    numbers = {
        "layers": len(result.lower_bound) - 1, "low": round(min(ends)), "high": round(max(ends)),
        "lower": round(result.lower_bound[-1]), "upper": round(result.upper_bound[-1]), "seeds": result.seeds,
        "width": result.d_model,
    }  # fmt: skip
    return Evidence(numbers, _verdict(grows))


def torch_adds_a_norm_the_paper_lacks() -> Evidence:
    """nn.Transformer's norms against the published model's, and when the extra ones matter."""
    result, limit, spread = measure_torch_conventions(), 1e-5, 0.1
    at_start, moved = (result.extra_norm_difference[result.spreads.index(s)] for s in (0.0, spread))
    extra = result.norms_in_torch_transformer - result.norms_in_published_model
    traced = next(row.report for row in trace_torch() if row.model == "Transformer" and not row.norm_first)
    adds = (traced.placement, traced.final_norm) == ("post", True) and not trace_rule(PUBLISHED).final_norm
    numbers: Numbers = {
        "torch": result.norms_in_torch_transformer, "paper": result.norms_in_published_model,
        "bound": f"{100 * limit:g}%", "moved": round(100 * moved), "spread": spread, "seeds": result.seeds,
        "width": result.d_model,
    }  # fmt: skip
    return Evidence(numbers, _verdict(adds and extra == 2 and at_start < limit and moved > 0.05))


def torch_leaves_pre_ln_unnormalized() -> Evidence:
    """nn.TransformerEncoder(norm_first=True) without `norm`: the output's RMS by depth."""
    result = measure_torch_conventions()
    without, fixed = result.rms_without_norm, result.rms_with_norm
    traced = next(row.report for row in trace_torch() if row.model == "TransformerEncoder" and row.norm_first)
    bare = (traced.placement, traced.final_norm) == ("pre", False)
    rises = all(later > 1.2 * earlier for earlier, later in zip(without, without[1:], strict=False))
    numbers: Numbers = {
        "shallow": result.depths[0], "deep": result.depths[-1], "seeds": result.seeds, "width": result.d_model,
        "low": f"{without[0]:.1f}", "high": f"{without[-1]:.1f}",
    }  # fmt: skip
    return Evidence(numbers, _verdict(bare and rises and all(abs(rms - 1) < 0.01 for rms in fixed)))


def one_vocabulary_explains_table_3() -> Evidence:
    """Whether some vocabulary size reproduces every printed parameter count, and whether differences fit."""
    audit = audit_table_3()
    differences = row_differences()
    numbers: Numbers = {
        "base_low": f"{audit.base_sized.start:,}", "base_high": f"{audit.base_sized.stop - 1:,}",
        "big_low": f"{audit.big.start:,}", "big_high": f"{audit.big.stop - 1:,}",
        "fitting": sum(d.within_rounding for d in differences), "pairs": len(differences),
    }  # fmt: skip
    return Evidence(numbers, _verdict(audit.agree))


def schedule_peaks_at_warmup() -> Evidence:
    """The learning rate's largest value over 100,000 steps, and tensor2tensor's later one beside it."""
    width = 512
    rates = [noam_lr(step, width) for step in range(1, 100_001)]
    peak = max(range(len(rates)), key=rates.__getitem__) + 1
    later = SCHEDULES[1]
    numbers: Numbers = {
        "peak": f"{rates[peak - 1]:.2e}", "step": f"{peak:,}",
        "later": f"{later.rate(later.warmup, width):.2e}", "later_step": f"{later.warmup:,}",
        "width": width,
    }  # fmt: skip
    return Evidence(numbers, _verdict(peak == 4000))


def names_tell_the_place() -> Evidence:
    """In the recorded zoo, the norms that stand elsewhere than their name does in most other models.

    The record is compared with a fresh run by the tests, which have the models; no misled model, and the claim holds.
    """
    zoo = load_zoo()
    reading = read_by_names(zoo)
    misled = list(dict.fromkeys(wrong.model for wrong in reading.wrong))
    numbers: Numbers = {"misled": len(misled), "models": len(reading.guessed), "examples": "; ".join(misled)}
    return Evidence(numbers, _verdict(not misled))
