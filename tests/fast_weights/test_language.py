"""The small language models: attention is all that differs, and what they give does not look ahead."""

import gzip
import subprocess
import sys

import pytest
import torch

from papertrail.experiments.text import read_text, windows
from papertrail.fast_weights import language
from papertrail.fast_weights.language import (
    MIXERS,
    Attention,
    ByteModel,
    average,
    held_out_losses,
    measure_language,
)
from papertrail.fast_weights.recorded_language import cells, load_language

TEXT = ("The memory is written, then it is read. " * 200).encode()
SMALL = {"depth": 4, "d_model": 16, "num_heads": 2, "length": 16}


def small(mixer, seed=0):
    torch.manual_seed(seed)
    return ByteModel(mixer, **SMALL)


@pytest.mark.parametrize("mixer", MIXERS)
def test_no_position_sees_what_comes_after_it(mixer):
    model = small(mixer).double()
    tokens = torch.randint(256, (2, 12), generator=torch.Generator().manual_seed(0))
    later = tokens.clone()
    later[:, 7:] = (later[:, 7:] + 1) % 256
    one, other = model(tokens), model(later)
    assert torch.allclose(one[:, :7], other[:, :7], atol=1e-12)
    assert not torch.allclose(one[:, 7:], other[:, 7:], atol=1e-3)


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_position_sees_the_first(mixer):
    """In one layer of attention: what the first byte is changes what every later position gets."""
    model = small(mixer).double()
    tokens = torch.randint(256, (1, 12), generator=torch.Generator().manual_seed(1))
    other = tokens.clone()
    other[:, 0] = (other[:, 0] + 1) % 256
    moved = (model(tokens) - model(other)).abs().amax(-1)[0]
    assert (moved > 1e-6).all()


def test_each_rule_is_the_chapters_own_function():
    """The delta rule step by step, by hand, from the module's own weights."""
    torch.manual_seed(0)
    module = Attention("delta", 8, 1).double()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    q, k, v = module.qkv(x)[0].split(8, dim=-1)
    q, k = (torch.nn.functional.normalize(part * part.sigmoid(), dim=-1) for part in (q, k))
    S, read = torch.zeros(8, 8, dtype=torch.float64), []
    for t in range(5):
        beta = module.beta(x)[0, t, 0].sigmoid()
        S = S + beta * torch.outer(k[t], v[t] - S.T @ k[t])
        read.append(S.T @ q[t])
    assert torch.allclose(module(x)[0], module.out(torch.stack(read)), atol=1e-12)


def test_a_hybrid_has_softmax_in_every_fourth_layer():
    def rules(depth):
        return [block.attention.rule for block in ByteModel("hybrid", **SMALL | {"depth": depth}).blocks]

    assert rules(4) == ["delta"] * 3 + ["softmax"] and rules(8) == rules(4) * 2
    assert rules(3) == ["delta"] * 3, "there is no fourth"


def test_all_have_the_same_parameters_but_for_beta():
    numbers = {mixer: sum(p.numel() for p in small(mixer).parameters()) for mixer in MIXERS}
    beta = 16 * 2 + 2
    assert (
        numbers["softmax"] == numbers["linear"] == numbers["delta"] - 4 * beta == numbers["hybrid"] - 3 * beta
    )


@pytest.fixture
def files(tmp_path):
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress(TEXT))
    (tmp_path / "valid.txt").write_bytes(TEXT[::-1])
    return {"train": str(tmp_path / "train.txt.gz"), "valid": str(tmp_path / "valid.txt")}


def test_a_run_repeats_learns_and_reports_parts_that_average_to_the_whole(files):
    sizes = SMALL | {"steps": 60, "warmup": 5}
    one, again, other = (measure_language("delta", 1e-2, seed, **files, **sizes) for seed in (0, 0, 1))
    assert one == again and one.train != other.train
    assert len(one.train) == 2 and one.train[1] < 0.6 * one.train[0]
    assert one.valid == pytest.approx(sum(one.by_part) / 4) and len(one.by_part) == 4


def test_held_out_parts_are_those_of_the_window():
    """A model that knows nothing but positions: the loss of a part is the loss at its positions."""
    model = small("softmax").double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.norm.bias.copy_(torch.ones(16))
        model.position.weight.zero_()
    even = held_out_losses(model, bytes(300 * 16), 16)
    assert even == pytest.approx([torch.log(torch.tensor(256.0)).item()] * 4)
    text = torch.tensor([1] * 8 + [2] * 8, dtype=torch.uint8).repeat(300).numpy().tobytes()
    with torch.no_grad():
        model.head.weight[1] = 1.0  # every position says byte 1, by e^16 against each other byte
    first, second, third, last = held_out_losses(model, text, 16)
    assert first < 1 < third and last == pytest.approx(third * 3 / 4 + 1e-9, rel=0.05), (
        "the window's last target is a 1"
    )
    assert first < second < third


@pytest.mark.parametrize(
    ("change", "said"),
    [({"mixer": "mamba"}, "mixer: got 'mamba'; allowed are 'softmax'"), ({"steps": 0}, "steps: got 0"),
     ({"num_heads": 3}, "num_heads: got 3; allowed are divisors of d_model=16"), ({"depth": 0}, "depth: got 0"),
     ({"length": 18}, "length: got 18; allowed are multiples of 4"),
     ({"length": 512}, "train: 8000 bytes; allowed are 131073 or more")],
)  # fmt: skip
def test_what_is_not_allowed_is_named(files, change, said):
    given = {"mixer": "delta", "lr": 1e-2, "seed": 0, "steps": 2, "warmup": 1, **SMALL, **files} | change
    with pytest.raises(ValueError, match=said):
        measure_language(given.pop("mixer"), given.pop("lr"), given.pop("seed"), **given)


SHARED = """
import json, sys
from papertrail.experiments import processes
from papertrail.fast_weights.language import measure_language
with processes("cpu") as (rank, world, device):
    run = measure_language("hybrid", 1e-2, 0, train=sys.argv[1], valid=sys.argv[2], steps=12, warmup=3, depth=4,
                           d_model=16, num_heads=2, length=16)
    if rank == 0:
        print(json.dumps([run.train, run.valid]))
"""


def test_two_processes_that_share_every_batch_learn_what_one_learns(files, tmp_path):
    import json
    import os

    (tmp_path / "shared.py").write_text(SHARED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               str(tmp_path / "shared.py"), files["train"], files["valid"]]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    assert result.returncode == 0, result.stderr[-2000:]
    train, valid = json.loads(result.stdout)
    alone = measure_language("hybrid", 1e-2, 0, **files, steps=12, warmup=3, **SMALL)
    assert train == pytest.approx(alone.train, rel=1e-3) and valid == pytest.approx(alone.valid, rel=1e-3)


def test_an_average_is_put_back_in_place(monkeypatch):
    monkeypatch.setattr(language.distributed, "all_reduce", lambda flat: flat.mul_(3))
    monkeypatch.setattr(language.distributed, "get_world_size", lambda: 2)
    tensors = [torch.tensor(2.0), torch.tensor([[1.0, 2.0]])]
    average(tensors)
    assert tensors[0] == 3 and tensors[1].tolist() == [[1.5, 3.0]]


def test_windows_are_cut_where_they_start(tmp_path):
    assert windows(b"abcdef", torch.tensor([0, 2]), 3).tolist() == [[97, 98, 99, 100], [99, 100, 101, 102]]
    (tmp_path / "plain.txt").write_bytes(b"as it is")
    assert read_text(tmp_path / "plain.txt") == b"as it is"


def test_the_grid_is_every_mixer_at_both_rates_and_the_record_holds_it():
    grid = cells(range(3))
    assert {(c["mixer"], c["lr"]) for c in grid} == {(m, lr) for m in MIXERS for lr in (1e-3, 3e-3)}
    assert [(r.mixer, r.lr, r.seed) for r in load_language()] == [tuple(c.values()) for c in grid]
