"""The two-string language: what it accepts, what it says, and that the modules do what the formula says."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from papertrail.architecture_diagram.sublayer import Add, Rule, Stage, Sublayer, read_letters

# preprocess, postprocess, formula, name, norms, final norm: written out by hand
TABLE = [
    ("none", "dan", "norm(x + drop(f(x)))", "Post-LN", 1, False),
    ("n", "da", "x + drop(f(norm(x)))", "Pre-LN", 1, True),
    ("none", "dna", "x + norm(drop(f(x)))", "res-post-norm", 1, False),
    ("n", "dna", "x + norm(drop(f(norm(x))))", "sandwich", 2, True),
    ("n", "dan", "norm(x + drop(f(norm(x))))", "double norm", 2, True),
    ("none", "da", "x + drop(f(x))", "no norm", 0, False),
    ("nd", "none", "f(drop(norm(x)))", "unnamed", 1, True),
    ("dn", "adn", "norm(drop(x + f(norm(drop(x)))))", "unnamed", 2, True),
    ("n", "ad", "drop(x + f(norm(x)))", "unnamed", 1, True),
    ("none", "n", "norm(f(x))", "unnamed", 1, False),
    ("nn", "a", "x + f(norm(norm(x)))", "unnamed", 2, True),
]

before = st.one_of(st.just("none"), st.text("dn", min_size=1, max_size=3))
after = st.one_of(
    st.just("none"),
    st.text("dn", min_size=1, max_size=3),
    st.tuples(st.text("dn", max_size=2), st.text("dn", max_size=2)).map("a".join),
)


class Function(nn.Module):
    """A leaf for torch.fx: any smooth function of the right shape will do."""

    def __init__(self, d_model):
        super().__init__()
        self.linear = nn.Linear(d_model, d_model)

    def forward(self, x, shift=0.0, *, factor=1.0):
        return factor * torch.tanh(self.linear(x)) + shift


class LeafTracer(torch.fx.Tracer):
    def is_leaf_module(self, module, name):
        return isinstance(module, Function) or super().is_leaf_module(module, name)


def randomized(sublayer, seed=0):
    """Move every gain and bias off its initial value, so that none goes untested."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in sublayer.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return sublayer


@pytest.mark.parametrize(("pre", "post", "formula", "name", "norms", "final"), TABLE)
def test_a_rule_knows_its_formula_its_name_and_its_norms(pre, post, formula, name, norms, final):
    rule = Rule(pre, post)
    assert rule.formula == formula
    assert rule.name == name
    assert rule.num_norms == norms
    assert rule.has_final_norm is final
    assert str(rule) == f"{pre}/{post}"


def test_rules_are_values():
    assert Rule("n", "da") == Rule("n", "da") != Rule("n", "dan")
    assert len({Rule("n", "da"), Rule("n", "da")}) == 1
    with pytest.raises(AttributeError):
        Rule("n", "da").preprocess = "none"


@pytest.mark.parametrize(
    ("pre", "post", "message"),
    [
        ("", "dan", r'preprocess: got "", but since tensor2tensor 1\.2\.0 the word is "none"'),
        ("n", "", r'postprocess: got "", but since tensor2tensor 1\.2\.0 the word is "none"'),
        ("a", "dan", r'preprocess: got "a", but a belongs after.*letters d, n, or the word "none"'),
        ("na", "da", r'preprocess: got "na", but a belongs after'),
        ("n", "daan", r'postprocess: got "daan", which adds more than once'),
        ("n", "dza", r'postprocess: got "dza"; tensor2tensor added z in July 2018.*does not implement'),
        ("z", "da", r'preprocess: got "z"; tensor2tensor added z in July 2018'),
        ("x", "da", r'preprocess: got "x" with the letter "x".*letters d, n, or'),
        ("n", "dab", r'postprocess: got "dab" with the letter "b".*letters d, n, a, or the word "none"'),
        ("N", "da", r'preprocess: got "N" with the letter "N"'),
        ("n d", "da", r'preprocess: got "n d" with the letter " "'),
        ("nonen", "da", r'preprocess: got "nonen" with the letter "o"'),
        ("n", "None", r'postprocess: got "None" with the letter "N"'),
    ],
)
def test_a_string_outside_the_language_is_refused_by_name(pre, post, message):
    with pytest.raises(ValueError, match=message):
        Rule(pre, post)
    with pytest.raises(ValueError, match=message):
        Sublayer(nn.Identity(), pre, post, d_model=4)


@pytest.mark.parametrize("wrong", [None, 3, ["n"], b"n"])
def test_what_is_not_a_string_is_refused_by_name(wrong):
    with pytest.raises(TypeError, match="preprocess: got .* not a string"):
        Rule(wrong, "da")
    with pytest.raises(TypeError, match="postprocess: got .* not a string"):
        Rule("n", wrong)


def test_reading_letters_gives_nothing_for_the_word_none_only():
    assert read_letters("s", "none") == ""
    assert read_letters("s", "dan") == "dan"
    with pytest.raises(ValueError, match="s: "):
        read_letters("s", "a", allowed="dn")


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(pre=before, post=after, seed=st.integers(0, 10**6))
def test_the_modules_compute_the_formula_values_and_gradients(pre, post, seed):
    """The formula is run as Python, with a norm written out by hand and dropout drawn from the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        f = Function(5).double()
        sublayer = randomized(Sublayer(f, pre, post, d_model=5, dropout=0.3, eps=0.01).double(), seed)
        x = torch.randn(3, 4, 5, dtype=torch.float64)
        direction = torch.randn(3, 4, 5, dtype=torch.float64)
        norms = iter([module for module in sublayer.modules() if isinstance(module, nn.LayerNorm)])

        def norm(value):
            parameters = next(norms)
            centered = value - value.mean(-1, keepdim=True)
            variance = centered.square().mean(-1, keepdim=True)
            return centered / (variance + 0.01).sqrt() * parameters.weight + parameters.bias

        def drop(value):
            return F.dropout(value, 0.3, training=True)

        results = []
        names = {"f": f, "norm": norm, "drop": drop}
        for run in (sublayer, lambda x: eval(Rule(pre, post).formula, {**names, "x": x})):
            torch.default_generator.manual_seed(seed + 1)
            sublayer.zero_grad()
            leaf = x.clone().requires_grad_()
            out = run(leaf)
            (out * direction).sum().backward()
            results.append([out.detach(), leaf.grad, *[p.grad for p in sublayer.parameters()]])
    for module_says, formula_says in zip(*results, strict=True):
        torch.testing.assert_close(module_says, formula_says, rtol=1e-10, atol=1e-10)


def test_the_published_rule_is_norm_of_sum_by_hand():
    sublayer = Sublayer(lambda x: 2 * x, "none", "dan", d_model=2)
    out = sublayer(torch.tensor([[1.0, 3.0]]))  # x + f(x) = (3, 9): mean 6, deviation 3
    torch.testing.assert_close(out, torch.tensor([[-1.0, 1.0]]), rtol=1e-6, atol=0)


def test_eps_is_one_millionth_and_sits_inside_the_root():
    out = Stage("n", d_model=2)(torch.tensor([[-1e-3, 1e-3]], dtype=torch.float32))  # variance 1e-6
    torch.testing.assert_close(out, torch.tensor([[-1.0, 1.0]]) / math.sqrt(2), rtol=1e-5, atol=0)


def test_every_n_has_its_own_norm_and_every_d_its_own_dropout():
    sublayer = Sublayer(nn.Identity(), "nnd", "dnad", d_model=4, dropout=0.25)
    norms = {id(module) for module in sublayer.modules() if isinstance(module, nn.LayerNorm)}
    drops = [module for module in sublayer.modules() if isinstance(module, nn.Dropout)]
    assert len(norms) == 3
    assert len({id(module) for module in drops}) == len(drops) == 3
    assert all(drop.p == 0.25 for drop in drops)
    assert sum(parameter.numel() for parameter in sublayer.parameters()) == 3 * 8


def test_dropout_acts_on_the_branch_and_only_in_training():
    sublayer = Sublayer(lambda x: torch.ones_like(x), "none", "da", d_model=64, dropout=0.5)
    x = torch.zeros(50, 64)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        out = sublayer(x)
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < (out == 0).float().mean() < 0.6
    assert torch.equal(sublayer.eval()(x), torch.ones(50, 64))


def test_without_the_letter_a_there_is_no_residual_connection():
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Sublayer(torch.neg, "none", "none", d_model=4)(x), -x)
    assert Sublayer(lambda x: x[..., :2], "none", "none", d_model=4)(x).shape == (3, 2)


def test_extra_arguments_reach_f():
    f = Function(4)
    sublayer = Sublayer(f, "none", "a", d_model=4)
    x = torch.ones(2, 4)
    torch.testing.assert_close(sublayer(x, 3.0, factor=0.5), x + f(x, 3.0, factor=0.5), rtol=0, atol=0)
    assert not torch.allclose(sublayer(x, 3.0, factor=0.5), sublayer(x))


def test_an_f_that_changes_the_shape_is_named():
    with pytest.raises(ValueError, match=r"f: returned shape \(2, 1\) for an input of shape \(2, 4\)"):
        Sublayer(lambda x: x[..., :1], "none", "da", d_model=4)(torch.zeros(2, 4))  # would broadcast
    with pytest.raises(ValueError, match=r"f: returned shape \(3,\)"):
        Add()(torch.zeros(3), torch.zeros(2, 3))


def test_a_wrong_width_is_named():
    with pytest.raises(ValueError, match="x: last axis is 8, .* d_model=16"):
        Sublayer(nn.Identity(), "none", "da", d_model=16)(torch.zeros(2, 8))


def test_a_stage_alone_is_the_final_norm_or_nothing():
    x = 3 + 5 * torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    assert Stage("none", d_model=64)(x) is x
    out = Stage("n", d_model=64)(x)
    torch.testing.assert_close(out.mean(-1), torch.zeros(4), rtol=0, atol=1e-6)
    torch.testing.assert_close(out.square().mean(-1), torch.ones(4), rtol=1e-5, atol=0)


def test_a_stage_that_adds_asks_for_what_to_add():
    with pytest.raises(ValueError, match='x: missing, but "na" adds it'):
        Stage("na", d_model=4)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match='letters: got "q"'):
        Stage("q", d_model=4)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(pre=before, post=after)
def test_torch_fx_sees_one_module_call_for_each_letter(pre, post):
    sublayer = Sublayer(Function(5), pre, post, d_model=5)
    traced = torch.fx.GraphModule(sublayer, LeafTracer().trace(sublayer))
    kinds = {nn.LayerNorm: "n", nn.Dropout: "d", Function: "f"}
    called = [node for node in traced.graph.nodes if node.op == "call_module"]
    letters = [kinds[type(sublayer.get_submodule(node.target))] for node in called]
    expected = f"{'' if pre == 'none' else pre}f{'' if post == 'none' else post}"
    assert "".join(letters) == expected.replace("a", "")
    additions = sum(node.op == "call_function" for node in traced.graph.nodes)
    assert additions == expected.count("a")
    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(traced(x), sublayer(x), rtol=0, atol=0)


def test_torch_fx_follows_the_extra_arguments_through_a_parent():
    class Parent(nn.Module):
        def __init__(self):
            super().__init__()
            self.sublayer = randomized(Sublayer(Function(5), "n", "a", d_model=5))

        def forward(self, x, shift):
            return self.sublayer(x, shift, factor=2.0)

    parent = Parent()
    traced = torch.fx.GraphModule(parent, LeafTracer().trace(parent))
    x, shift = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(traced(x, shift), parent(x, shift), rtol=0, atol=0)
    assert not torch.allclose(traced(x, shift), traced(x, 0 * shift))


@pytest.mark.parametrize("rule", [row[:2] for row in TABLE[:6]], ids="/".join)
def test_gradients_match_finite_differences(rule):
    f = Function(3).double()
    sublayer = randomized(Sublayer(f, *rule, d_model=3).double())
    x = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(sublayer, (x.requires_grad_(),))


def test_something_that_cannot_be_called_is_refused_at_once():
    with pytest.raises(TypeError, match="f: got None; allowed is a module or function"):
        Sublayer(None, "none", "dan", d_model=4)


def test_an_unknown_letter_is_named_before_anything_else():
    with pytest.raises(ValueError, match='preprocess: got "n/da" with the letter "/"'):
        Rule("n/da", "da")
