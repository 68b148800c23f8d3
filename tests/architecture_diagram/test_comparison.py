"""A comparison says every difference between declared and traced, in words and as marks, and invents none."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from adversaries import BY_NAME, report
from torch import nn

from papertrail.architecture_diagram import compare, inspect_model
from papertrail.architecture_diagram.comparison import RULES, remarks
from papertrail.architecture_diagram.measurements import PRE_LN, PUBLISHED, trace_rule
from papertrail.architecture_diagram.sublayer import Rule
from papertrail.architecture_diagram.trace import BranchTrace, Report, Stack, Trace
from papertrail.experiments import seeded

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
ENTRANCE, END = "at the branch's entrance", "at the branch's end"
AFTER, SKIP, LEAD = "on the main path after the sum", "on the skip", "on the main path before the branch"
F = "feed-forward"


@cache
def of_torch(norm_first=False, train=False):
    """nn.Transformer: two stacks, with three blocks in the second."""
    with seeded(0):
        model = nn.Transformer(16, 2, 2, 3, 32, batch_first=True, norm_first=norm_first).train(train)
        return inspect_model(model, torch.randn(1, 3, 16), torch.randn(1, 4, 16))


def block(*traces, final=False, blocks=2):
    """A stack of equal blocks, written by hand."""
    return Stack((traces,) * blocks, "layernorm", final)


def one(kind=F, before=(), after=(), **around):
    return Trace((BranchTrace(kind, before, after),), **around)


def words(result):
    return " ".join(result.differences)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_placement_agrees_with_a_report_exactly_where_the_report_names_it_and_the_sums_are_in_a_row(name):
    traced = report(name)
    expected = traced.placement if not traced.parallel else "another"
    assert [word for word in RULES if compare(word, traced).agrees] == [w for w in RULES if w == expected]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_report_agrees_with_itself(name):
    result = compare(report(name), report(name))
    assert result.agrees and result.differences == ()
    assert not result.declared_marks and not result.traced_marks


STRINGS = [
    (a, b) for a in ("none", "n", "dn", "nd") for b in ("da", "dan", "dna", "nda", "and", "adn", "nad")
]


@pytest.mark.parametrize("traced", STRINGS, ids="/".join)
def test_of_28_rules_with_dropout_only_the_traced_one_agrees(traced):
    agreeing = [pair for pair in STRINGS if compare(Rule(*pair), trace_rule(Rule(*traced))).agrees]
    assert agreeing == [traced]


def test_pre_ln_declared_and_post_ln_traced_differ_at_both_sub_layers():
    result = compare(PRE_LN, trace_rule(PUBLISHED))
    assert result.differences == (
        f"self-attention: norm declared {ENTRANCE}, traced {AFTER}.",
        f"{F}: norm declared {ENTRANCE}, traced {AFTER}.",
        "After the last block: one declared, none traced.",
    )
    assert result.declared_marks == {(0, "before", "norm"), (1, "before", "norm"), ("final", "norm")}
    assert result.traced_marks == {(0, "trunk", "norm"), (1, "trunk", "norm")}
    assert not result.agrees


def test_the_other_way_round_words_and_marks_change_sides():
    result = compare(PUBLISHED, trace_rule(PRE_LN))
    assert result.differences[0] == f"self-attention: norm declared {AFTER}, traced {ENTRANCE}."
    assert result.differences[2] == "After the last block: none declared, one traced."
    assert result.declared_marks == {(0, "trunk", "norm"), (1, "trunk", "norm")}
    assert result.traced_marks == {(0, "before", "norm"), (1, "before", "norm"), ("final", "norm")}


@pytest.mark.parametrize(
    ("declared", "traced", "says", "declared_marks", "traced_marks"),
    [
        (one(), one(lead=("norm",)), f"norm declared nowhere, traced {LEAD}.", set(), {(0, "lead", "norm")}),
        (one(after=("norm",)), one(), f"norm declared {END}, traced nowhere.", {(0, "after", "norm")}, set()),
        (one(), one(skip=("scale",)), f"scale declared nowhere, traced {SKIP}.", set(), {(0, "skip", "scale")}),
        (one(), one(skip=("gate",)), f"gate declared nowhere, traced {SKIP}.", set(), {(0, "skip", "gate")}),
        (
            one(after=("dropout",)), one(before=("dropout",)), f"dropout declared {END}, traced {ENTRANCE}.",
            {(0, "after", "dropout")}, {(0, "before", "dropout")},
        ),
        (
            one(trunk=("norm",)), one(trunk=("norm", "norm")), f"norm declared {AFTER}, traced {AFTER} (2 times).",
            set(), {(0, "trunk", "norm")},
        ),
        (
            one(before=("norm",)), one(before=("norm",), skip=("norm",)),
            f"norm declared {ENTRANCE}, traced {ENTRANCE} and {SKIP}.", set(), {(0, "skip", "norm")},
        ),
        (
            one(after=("dropout", "norm")), one(after=("norm", "dropout")),
            f"{END}, dropout, then norm declared; norm, then dropout traced.",
            {(0, "after", "norm"), (0, "after", "dropout")}, {(0, "after", "norm"), (0, "after", "dropout")},
        ),
    ],
)  # fmt: skip
def test_each_step_in_each_place_is_said_and_marked(declared, traced, says, declared_marks, traced_marks):
    result = compare(block(declared), block(traced))
    assert result.differences == (f"{F}: {says}",)
    assert (result.declared_marks, result.traced_marks) == (declared_marks, traced_marks)


def test_the_second_sub_layers_marks_carry_its_own_number():
    result = compare(block(one("self-attention"), one()), block(one("self-attention"), one(skip=("scale",))))
    assert result.traced_marks == {(1, "skip", "scale")}


def test_a_rule_asks_for_dropout_only_of_a_model_that_shows_some():
    train, evaluated = of_torch(train=True).stacks[0], of_torch().stacks[0]
    declared = Rule("none", "an")
    assert "dropout declared nowhere, traced at the branch's end" in words(compare(declared, train))
    assert "dropout" not in words(compare(Rule("none", "dan"), evaluated))
    assert not compare(Rule("none", "dan"), evaluated).declared.block[0].branches[0].after
    assert compare(Rule("none", "dan"), train).declared.block[0].branches[0].after == ("dropout",)


def test_a_placement_says_nothing_of_dropout_scales_or_the_final_norm():
    assert compare("post", of_torch(train=True)).agrees
    assert compare("pre", of_torch(norm_first=True, train=True)).agrees
    assert compare("post", report("DeepNorm")).agrees
    assert compare("pre", report("LayerScale")).agrees
    assert compare(
        "pre", of_torch(norm_first=True)
    ).declared.final_norm  # drawn as traced, so that none is missed


def test_a_rule_speaks_of_the_final_norm_and_another_report_of_scales_as_well():
    assert (
        words(compare(PUBLISHED, of_torch())) == "Stack 1: After the last block: none declared, one traced."
    )
    result = compare(report("functional, post"), report("DeepNorm"))
    assert result.traced_marks == {(0, "skip", "scale"), (1, "skip", "scale")} and not result.declared_marks


def test_branches_side_by_side_are_told_from_branches_in_a_row():
    result = compare("pre", report("parallel"))
    assert result.differences == ("Declared one after the other, traced side by side in one sum.",)
    assert (result.declared_marks, result.traced_marks) == (set(), {(0, "parallel")})
    result = compare(report("parallel"), report("in place on the branch"))
    assert result.differences == ("Declared side by side in one sum, traced one after the other.",)
    assert (result.declared_marks, result.traced_marks) == ({(0, "parallel")}, set())


def test_parallel_branches_are_compared_by_kind_whatever_their_order():
    first, second = report("parallel"), report("parallel, one norm")
    assert [b.kind for b in first.stacks[0].block[0].branches] == ["self-attention", F]
    assert [b.kind for b in second.stacks[0].block[0].branches] == [F, "self-attention"]
    assert words(compare(first, second)) == "After the last block: none declared, one traced."
    attention, mlp = BranchTrace("self-attention", ("norm",)), BranchTrace(F)
    result = compare(block(Trace((attention, mlp))), block(Trace((mlp, replace(attention, before=())))))
    assert result.differences == (f"self-attention: norm declared {ENTRANCE}, traced nowhere.",)


def test_a_branch_without_a_partner_is_named_and_marked():
    pair = Trace((BranchTrace("self-attention"), BranchTrace(F)))
    result = compare(block(pair), block(one("self-attention")))
    assert result.differences == (
        "Sub-layers and sums a block: 2 and 1 declared, 1 and 1 traced.", f"{F}: declared, not traced.",
    )  # fmt: skip
    assert result.declared_marks == {(0, "parallel"), (0, "branch", F)} and not result.traced_marks
    result = compare(block(one("self-attention")), block(one("position mixing")))
    assert result.differences == (
        "self-attention: declared, not traced.", "position mixing: traced, not declared.",
    )  # fmt: skip
    assert result.declared_marks == {(0, "branch", "self-attention")}
    assert result.traced_marks == {(0, "branch", "position mixing")}


def test_another_number_or_another_order_of_sub_layers_is_said():
    result = compare(report("macaron"), report("functional, pre"))
    assert result.differences[0] == "Sub-layers and sums a block: 3 and 3 declared, 2 and 2 traced."
    result = compare(block(one("self-attention"), one()), block(one(), one("self-attention")))
    assert result.differences == (
        f"Declared in the order self-attention, {F}; traced in the order {F}, self-attention.",
    )


@pytest.mark.parametrize(
    ("name", "placement", "besides"),
    [
        ("B2T", "post", "an earlier value of the stream is added as well"),
        ("ResiDual", "post", "the branch's result also goes to a running sum beside the stream"),
        ("half the entrances", "pre", "some of what the branch reads passes a norm first, and some does not"),
    ],
)
def test_what_no_step_shows_is_a_difference_too_in_both_directions(name, placement, besides):
    assert compare(placement, report(name)).differences == (f"Traced besides: {besides}.",)
    plain = "functional, post" if placement == "post" else "in place on the branch"
    assert f"Declared besides: {besides}." in compare(report(name), report(plain)).differences


def test_a_norm_inside_a_branch_counts_where_there_is_no_other():
    inside = Trace((BranchTrace(F, norm_within=True),))
    assert words(compare("none", block(inside))) == (
        "Traced besides: a norm lies inside the branch, between its operations."
    )
    normed = Trace((BranchTrace(F, ("norm",), norm_within=True),))
    assert compare("pre", block(normed)).agrees and not remarks(normed)


def test_a_block_that_differs_from_the_first_is_said_with_its_number():
    plain, other = one(before=("norm",)), one(trunk=("norm",))
    traced = Stack(((plain,), (plain,), (other,), (other,)), "layernorm", False)
    for declared in ("pre", Rule("n", "a")):
        assert (
            f"Block 3: {F}: norm declared {ENTRANCE}, traced {AFTER}."
            in compare(declared, traced).differences
        )
    assert compare("post", traced).differences == (f"{F}: norm declared {AFTER}, traced {ENTRANCE}.",)
    assert compare("pre", traced).traced is traced


def test_blocks_that_differ_in_nothing_declared_are_no_difference():
    scaled = one(before=("norm",), after=("scale",))
    assert compare("pre", Stack(((one(before=("norm",)),), (scaled,)), "layernorm", False)).agrees


def test_of_two_reports_all_kinds_of_block_must_be_the_same():
    plain, other = one(before=("norm",)), one(trunk=("norm",))
    mixed = Stack(((plain,), (other,)), "layernorm", False)
    text = "Not all blocks are alike, and they do not differ as declared; the first is compared."
    assert compare(mixed, mixed).agrees
    assert compare(mixed, block(plain)).differences == (text,)
    assert compare(block(plain), mixed).differences == (text,)
    assert compare(block(plain, blocks=2), block(plain, blocks=12)).agrees  # a rule has no depth


def test_of_several_stacks_the_first_that_differs_is_returned_and_numbered():
    good, bad = block(one(trunk=("norm",))), block(one(before=("norm",)), blocks=5)
    result = compare("post", Report((good, bad, bad)))
    assert result.traced is bad
    assert result.differences == (f"Stack 2: {F}: norm declared {AFTER}, traced {ENTRANCE}.",)
    assert compare("post", Report((good, good))).agrees and compare("post", Report((good, bad))).traced is bad
    assert compare("post", Report((bad,))).differences[0].startswith(F)  # a stack alone needs no number


def test_an_encoder_decoder_is_compared_stack_by_stack_with_another():
    post, pre = of_torch(), of_torch(norm_first=True)
    assert compare(post, post).agrees and compare("post", post).agrees and compare("pre", pre).agrees
    assert (
        compare(pre, post).differences[0]
        == f"Stack 1: self-attention: norm declared {ENTRANCE}, traced {AFTER}."
    )
    mixed = Report((post.stacks[0], pre.stacks[1]))
    result = compare(post, mixed)
    assert result.traced is mixed.stacks[1] and result.declared is post.stacks[1]
    assert len(result.differences) == 3 and all(text.startswith("Stack 2: ") for text in result.differences)
    assert "cross-attention" in result.differences[1]
    assert compare(post, mixed.stacks[0]).differences == ("Declared 2 stack(s), traced 1.",)
    assert "Declared 1 stack(s), traced 2." in compare(Report(post.stacks[:1]), post).differences


@pytest.mark.parametrize(
    ("declared", "error", "message"),
    [
        (
            "Pre",
            ValueError,
            "declared: got 'Pre'; allowed are post, pre, res-post, sandwich, none, or a rule such as n/da$",
        ),
        ("hybrid", ValueError, "declared: got 'hybrid'; allowed are"),
        (
            Rule("n", "d"),
            ValueError,
            "declared: the rule n/d adds nothing; allowed is a rule with the letter a",
        ),
        (None, TypeError, "declared: got None; allowed are a Rule, a placement, a Report or a Stack"),
        (("n", "da"), TypeError, r"declared: got \('n', 'da'\); allowed are"),
    ],
)
def test_what_cannot_be_declared_is_named(declared, error, message):
    with pytest.raises(error, match=message):
        compare(declared, block(one()))


def test_what_was_not_traced_is_named():
    with pytest.raises(TypeError, match="report: got 'pre'; allowed are a Report or a Stack"):
        compare("pre", "pre")
