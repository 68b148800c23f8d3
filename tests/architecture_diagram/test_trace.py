"""The tracer reads the running module, not its rule."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from papertrail.architecture_diagram.by_hand import Times
from papertrail.architecture_diagram.sublayer import Rule, Sublayer
from papertrail.architecture_diagram.trace import Trace, trace_layer, trace_sublayer
from papertrail.architecture_diagram.transformer import DecoderLayer, EncoderLayer

before = st.text("dn", max_size=3).map(lambda letters: letters or "none")
after = st.tuples(st.text("dn", max_size=2), st.sampled_from(["", "a"]), st.text("dn", max_size=2)).map(
    lambda parts: "".join(parts) or "none"
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(before, after)
def test_the_traced_formula_is_the_rules_formula(preprocess, postprocess):
    sublayer = Sublayer(Times(2.0), preprocess, postprocess, d_model=4, dropout=0.1)
    assert trace_sublayer(sublayer).formula == Rule(preprocess, postprocess).formula


def test_a_layer_is_traced_sub_layer_by_sub_layer_with_its_real_functions():
    post = Trace(branch=("f", "dropout"), residual=True, trunk=("norm",))
    pre = Trace(branch=("norm", "f", "dropout"), residual=True, trunk=())
    assert trace_layer(EncoderLayer(8, 2, 16, "none", "dan")) == [post, post]
    assert trace_layer(DecoderLayer(8, 2, 16, "n", "da")) == [pre, pre, pre]


def test_the_trace_follows_the_code_and_not_the_rule_it_claims():
    class Lying(Sublayer):
        """Claims to be Post-LN and computes Pre-LN."""

        def forward(self, x):
            return x + self.f(self.post.steps[2](x))

    lying = Lying(Times(2.0), "none", "dan", d_model=4)
    assert lying.rule.formula == "norm(x + drop(f(x)))"
    assert trace_sublayer(lying).formula == "x + f(norm(x))"


def test_norms_on_the_main_path_are_counted():
    def count(preprocess, postprocess):
        return trace_sublayer(Sublayer(Times(2.0), preprocess, postprocess, d_model=4)).norms_on_the_main_path

    assert [
        count("none", "dan"),
        count("n", "da"),
        count("n", "dna"),
        count("n", "dann"),
        count("n", "dn"),
        count("none", "dand"),
    ] == [1, 0, 0, 2, 2, 1]


def test_what_a_trace_cannot_show_is_refused():
    class Twice(Sublayer):
        def forward(self, x):
            return x + (x + self.f(x))

    class Scaled(Sublayer):
        def forward(self, x):
            return x + 0.5 * self.f(x)

    class Crossed(Sublayer):
        def forward(self, x):
            return self.f(x) + self.f(x)

    class Extra(Sublayer):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.extra = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.extra(self.f(x))

    made = [kind(Times(2.0), "none", "dan", d_model=4) for kind in (Twice, Scaled, Crossed, Extra)]
    for sublayer, message in zip(
        made, ("more than once", "cannot read the operation", "one side must be", "cannot read"), strict=True
    ):
        with pytest.raises(ValueError, match=message):
            trace_sublayer(sublayer)
    with pytest.raises(ValueError, match="Linear holds no Sublayer"):
        trace_layer(nn.Linear(2, 2))


def test_tracing_leaves_weights_and_random_state_alone():
    layer = EncoderLayer(8, 2, 16, "n", "da", dropout=0.1).train()
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    torch.manual_seed(1)
    before_ = torch.get_rng_state()
    trace_layer(layer)
    assert torch.equal(before_, torch.get_rng_state()) and layer.training
    assert all(torch.equal(value, state[name]) for name, value in layer.state_dict().items())
