"""The inspector finds where norms are in models that try to hide it, and leaves them as they were."""

import random

import numpy as np
import pytest
import torch
from adversaries import (
    CASES,
    BottomToTop,
    DeepNorm,
    LayerScale,
    Liar,
    Post,
    Pre,
    ResiDual,
    ResiDualBlock,
    Stack,
    attention,
    mlp,
    pre_with,
)
from adversaries import D as WIDTH
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from papertrail.architecture_diagram import inspect_model
from papertrail.architecture_diagram.sublayer import Rule
from papertrail.architecture_diagram.transformer import Decoder, Encoder, Transformer
from papertrail.experiments import seeded


@pytest.fixture
def x():
    return torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(0))


def answers(report):
    return report.placement, report.norm, report.parallel, report.final_norm, report.num_blocks


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_model_written_to_mislead_is_read_right(case, train, x):
    with seeded(0):
        report = inspect_model(case.make().train(train), x)
    assert answers(report) == (case.placement, case.norm, case.parallel, case.final_norm, case.num_blocks)
    batch_norm_in_train_mode = (
        train and case.name == "batch norm"
    )  # it does bound the branch, and is not counted
    assert batch_norm_in_train_mode or all(stack.probe != "contradicts" for stack in report.stacks)


NAMED = {
    ("", "an"): "post", ("n", "a"): "pre", ("", "na"): "res-post", ("n", "na"): "sandwich", ("", "a"): "none",
}  # fmt: skip
before = st.text("dn", max_size=3).map(lambda letters: letters or "none")
after = st.tuples(st.text("dn", max_size=2), st.text("dn", max_size=2)).map("a".join)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(before, after, st.integers(1, 4), st.sampled_from([(8, 1), (8, 2), (12, 3), (16, 4)]), st.booleans())
def test_any_rule_any_depth_and_any_width_is_recovered(preprocess, postprocess, depth, sizes, train):
    check_recovery(preprocess, postprocess, depth, sizes, train)


@pytest.mark.long
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(before, after, st.integers(1, 6), st.sampled_from([(8, 1), (8, 2), (12, 3), (16, 4)]), st.booleans())
def test_many_rules_depths_and_widths_are_recovered(preprocess, postprocess, depth, sizes, train):
    check_recovery(preprocess, postprocess, depth, sizes, train)


def check_recovery(preprocess, postprocess, depth, sizes, train):
    rule, (d_model, heads) = Rule(preprocess, postprocess), sizes
    with seeded(0):
        encoder = Encoder(depth, d_model, heads, 2 * d_model, preprocess, postprocess, dropout=0.2)
        report = inspect_model(encoder.train(train), torch.randn(2, 4, d_model))
    plain = tuple(part.replace("d", "") for part in rule.letters)
    formula = rule.formula if train else Rule(*(part or "none" for part in plain)).formula
    assert {trace.formula for block in report.stacks[0].blocks for trace in block} == {formula}
    assert report.placement == NAMED.get(plain, "hybrid")
    assert (report.final_norm, report.num_blocks, report.parallel) == (rule.has_final_norm, depth, False)
    assert report.norm == ("layernorm" if rule.num_norms else "none")


def test_an_encoder_decoder_lists_its_stacks_and_kinds_of_attention():
    tokens = torch.randint(0, 9, (2, 5), generator=torch.Generator().manual_seed(0))
    with seeded(0):
        report = inspect_model(Transformer(9, d_model=8, num_heads=2, d_ff=16, num_layers=3), tokens, tokens)
    assert [stack.num_blocks for stack in report.stacks] == [3, 3] and report.num_blocks == 6
    kinds = [[branch.kind for t in stack.block for branch in t.branches] for stack in report.stacks]
    assert kinds == [
        ["self-attention", "feed-forward"],
        ["self-attention", "cross-attention", "feed-forward"],
    ]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("norm_first", [False, True])
def test_torchs_own_transformer_is_read_with_its_final_norms(norm_first, x):
    model = nn.Transformer(WIDTH, 2, 2, 3, 32, batch_first=True, norm_first=norm_first).eval()
    report = inspect_model(model, x, x[:, :3])
    assert answers(report) == ("pre" if norm_first else "post", "layernorm", False, True, 5)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=True, norm_first=norm_first)
    bare = nn.TransformerEncoder(
        layer, 2, enable_nested_tensor=False
    ).eval()  # its fast path is one operation
    assert inspect_model(bare, x).final_norm is False


def test_stacks_that_differ_make_the_top_level_hybrid(x):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = Stack(Post), Stack(pre_with(lambda: nn.RMSNorm(WIDTH)), nn.RMSNorm(WIDTH))

        def forward(self, x):
            return self.a(x), self.b(x.flip(1))

    report = inspect_model(Two(), x)
    assert answers(report) == ("hybrid", "hybrid", False, "hybrid", 6)
    assert [(s.placement, s.norm, s.final_norm) for s in report.stacks] == [
        ("post", "layernorm", False), ("pre", "rmsnorm", True),
    ]  # fmt: skip
    assert report.evidence["placement"][0].startswith("stack 1: ")


def test_scaled_and_second_paths_are_told_in_the_evidence(x):
    assert any(
        "skip is scaled by 2.2" in line for line in inspect_model(Stack(DeepNorm), x).evidence["placement"]
    )
    scaled = inspect_model(Stack(LayerScale), x).evidence["placement"]
    assert any("branch is scaled by learned" in line for line in scaled)
    b2t = inspect_model(Stack(BottomToTop), x)
    assert any("an earlier value of the stream" in line for line in b2t.evidence["placement"])
    residual = inspect_model(ResiDual(ResiDualBlock), x)
    assert all("running sum" in t.notes[0] for t in residual.stacks[0].block)


def test_names_are_reported_and_decide_nothing(x):
    report = inspect_model(Stack(Liar), x)
    assert report.placement == "post"
    assert ("self-attention", "trunk", "parts.0.pre_layernorm") in report.stacks[0].norm_names
    assert (
        "self-attention, on the main path after the sum: run by parts.0.pre_layernorm"
        in report.evidence["names"]
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("case", [c for c in CASES if c.norm == "layernorm"][:8], ids=lambda c: c.name)
def test_other_precisions_are_read_alike(case, dtype, x):
    with seeded(0):
        report = inspect_model(case.make().eval().to(dtype), x.to(dtype))
    assert answers(report)[:4] == (case.placement, case.norm, case.parallel, case.final_norm)


def test_autocast_is_read_alike(x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert inspect_model(Stack(Pre), x).placement == "pre"
        assert inspect_model(Stack(Post), x).placement == "post"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")
def test_scripted_and_traced_modules_are_read(x):
    traced = torch.jit.trace(Stack(Pre).eval(), x)
    assert inspect_model(traced, x).placement == "pre"
    scripted = torch.jit.script(nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=True))
    assert inspect_model(scripted, x).placement == "post"
    with pytest.raises(
        ValueError, match="_transformer_encoder_layer_fwd hides the block; allowed is the same model"
    ):
        inspect_model(scripted.eval(), x)


class Restless(nn.Module):
    """A block that changes whatever it can reach when it is called."""

    def __init__(self):
        super().__init__()
        self.f, self.g, self.n = attention(), mlp(), nn.LayerNorm(WIDTH)
        self.batch = nn.BatchNorm1d(WIDTH)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("cache_of_keys", torch.zeros(4, WIDTH))
        self.plain, self.seen, self.table = torch.zeros(3), [1], {"a": {1}}
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.cache_of_keys[:2] = x[0, :2]  # through a view
        self.plain[1:].add_(1)
        self.seen.append(self.calls)
        self.table["b"] = random.random() + np.random.rand()
        self.n.bias.data = self.n.bias.data + 1
        self.f.query.weight.requires_grad_(False)
        self.cache = x.detach()
        self.count += 1
        self.count = self.count.clone()
        with torch.no_grad():
            self.n.weight.mul_(1.5)
        self.batch(x.flatten(0, 1))
        x += self.drop(self.f(self.n(x)))
        return x + self.drop(self.g(self.n(x)))


def test_the_model_and_its_inputs_are_left_as_they_were(x):
    model = Stack(Restless).train()
    model.parts[1].eval()
    seen = []
    handle = model.parts[0].register_forward_hook(lambda *_: seen.append(1))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    ids = [id(value) for value in (*model.parameters(), *model.buffers())]
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    given, dice = x.clone(), (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    hooks = (
        len(torch.nn.modules.module._global_forward_hooks),
        len(torch.nn.modules.module._global_forward_pre_hooks),
    )

    report = inspect_model(model, x)

    assert report.placement == "pre" and seen == [1]
    assert torch.equal(dice[0], torch.get_rng_state()) and torch.equal(x, given)
    assert dice[1:] == (random.getstate(), np.random.get_state()[1].tolist())
    for part in model.parts:
        assert part.seen == [1] and part.table == {"a": {1}} and not part.plain.any()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert modes == [module.training for module in model.modules()]
    assert ids == [id(value) for value in (*model.parameters(), *model.buffers())]
    assert attributes == {name: set(vars(module)) for name, module in model.named_modules()}
    assert [part.calls for part in model.parts] == [0, 0, 0]
    assert all(torch.equal(p.grad, torch.ones_like(p)) and p.requires_grad for p in model.parameters())
    assert hooks == (
        len(torch.nn.modules.module._global_forward_hooks), len(torch.nn.modules.module._global_forward_pre_hooks)
    )  # fmt: skip
    assert torch.is_grad_enabled() and torch.backends.mha.get_fastpath_enabled()
    handle.remove()


def test_a_gradient_on_its_way_is_not_disturbed(x):
    class Buffered(Pre):
        def __init__(self):
            super().__init__()
            self.register_buffer("size", torch.full((1,), 2.0))

        def forward(self, x):
            return super().forward(x) * self.size

    model = Stack(Buffered)
    result = model(x).sum()
    inspect_model(model, x)
    result.backward()  # raises if anything that it needs was written to
    assert model.parts[0].f.query.weight.grad is not None


def test_inference_mode_is_read_alike(x):
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    with torch.inference_mode():
        report = inspect_model(model, x)
        assert answers(report) == ("post", "layernorm", False, False, 2)
        assert answers(inspect_model(Stack(pre_with(lambda: nn.RMSNorm(WIDTH))), x))[:2] == ("pre", "rmsnorm")


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_torchs_default_layout_with_a_batch_is_read_with_its_attention(x):
    model = nn.Transformer(WIDTH, 2, 2, 2, 32).eval()  # (T, B, D)
    report = inspect_model(model, torch.randn(5, 3, WIDTH), torch.randn(4, 3, WIDTH))
    assert [stack.num_blocks for stack in report.stacks] == [2, 2]
    assert report.stacks[1].block[1].branches[0].kind == "cross-attention"


def test_a_model_that_fails_is_left_as_it_was_too(x):
    class Fails(Restless):
        def forward(self, x):
            super().forward(x)
            raise KeyError("half way")

    model = Fails().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(KeyError, match="half way"):
        inspect_model(model, x)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not torch.nn.modules.module._global_forward_hooks and model.calls == 0


def test_a_model_without_residual_blocks_is_told_what_was_looked_for(x):
    with pytest.raises(ValueError, match="no residual block found.*Looked for a sum whose one side"):
        inspect_model(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.LayerNorm(WIDTH)), x)
    with pytest.raises(ValueError, match="no operation on tensors was seen"):
        inspect_model(nn.Identity(), x)


def test_what_is_no_model_and_what_holds_no_values_is_refused(x):
    with pytest.raises(TypeError, match="model: got function; allowed is a torch.nn.Module"):
        inspect_model(lambda x: x, x)
    with pytest.raises(ValueError, match="model: tensors on the meta device"):
        inspect_model(Stack(Pre).to("meta"), x.to("meta"))
    with pytest.raises(ValueError, match="inputs: tensors on the meta device"):
        inspect_model(Stack(Pre), x.to("meta"))
    with pytest.raises(ValueError, match="model: it has lazy parameters"):
        inspect_model(nn.LazyLinear(4), x)


def test_a_decoder_alone_is_one_stack(x):
    with seeded(0):
        decoder = Decoder(2, WIDTH, 2, 32, "n", "da")
        report = inspect_model(decoder, x, memory=x[:, :3])
    assert len(report.stacks) == 1 and report.placement == "pre" and report.final_norm is True


def test_the_printed_report_holds_every_answer_and_its_evidence(x):
    text = str(inspect_model(Stack(Pre), x))
    for word in (
        "placement   pre",
        "norm        layernorm",
        "num_blocks  3",
        "probe:",
        "which agrees with 'pre'",
    ):
        assert word in text
