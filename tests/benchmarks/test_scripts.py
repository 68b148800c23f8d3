"""Every benchmark's short form runs, refuses to time what is wrong, and says which of its peers are not there.

Nothing here looks at a time: sizes are cut down so far that no number means anything.
"""

import json
import subprocess
import sys

import pytest
import torch

from papertrail.benchmarking import WrongResult, Yardstick
from papertrail.fast_weights.cost import make_inputs
from papertrail.speed_claims import SCRIPTS, rows_of
from papertrail.ulmfit.corpora import CorpusError

SMALL = {  # constants of a script -> values that make it quick
    "linear_attention": {"HEADS": 1, "DIM": 16, "QUICK": (64,)},
    "slicing": {"HEADS": 1, "DIM": 16, "QUICK": (64, 128)},
    "awd_lstm": {"SIZES": ((16, 24, 2, 2000),) * 3},
    "rmsnorm": {"QUICK": ((1024, 1024),)},
    "message_sizes": {"SIZES": (4, 2048, 4_194_304), "REPEATS": 2},
    "batched_seeds": {"DEPTH": 1, "QUICK": ((1, 2),), "STEPS": 5, "CHECKED": 5},
    "threads": {"STEPS": 1},
}
HOLD_ROWS = ("linear_attention", "message_sizes", "threads")  # the others' rows want the full sizes
FORMS = [name for name, one in SCRIPTS.items() if one.file]


@pytest.fixture
def small(script, monkeypatch):
    """A script with small sizes."""

    def load(name):
        module = script(name)
        for constant, value in SMALL[name].items():
            monkeypatch.setattr(module, constant, value)
        if name == "awd_lstm":
            monkeypatch.setattr(module, "load_corpus", no_corpus)
        return module

    return load


def no_corpus(name):
    raise CorpusError("not installed")


@pytest.mark.parametrize("name", FORMS)
def test_the_short_form_runs_and_writes_nothing_into_the_book(
    small, name, tmp_path, monkeypatch, capfd, book, one_thread
):
    before = {path: path.stat().st_mtime_ns for path in (book / "results").rglob("*")}
    out = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--quick", "--rounds", "1", "--out", str(out)])
    assert small(name).main() == 0
    data = json.loads(out.read_text())
    assert data["rounds_judged"]["rounds"] >= 1 and data["gemm"][0] > 0
    assert "matrix product" in capfd.readouterr().out
    if name in HOLD_ROWS:
        rows = rows_of(name, data)
        assert len(rows) >= 2 and all(number > 0 for row in rows for number in (*row.first, *row.second))
    assert {path: path.stat().st_mtime_ns for path in (book / "results").rglob("*")} == before


def plant(module, name):
    """Make one of a script's ways wrong."""
    if name == "linear_attention":
        return {"their attention": lambda q, k, v: module.reference(q, k, v).float() * 1.001}
    if name == "slicing":
        module.WAYS["slices in the loop"] = lambda q, k, v: (
            module.attention(module.sliced)(q, k, v) + 0.01 * v
        )
    if name == "rmsnorm":
        module.naive_rms = lambda x, gain, bias: x * 1.001 * gain
    if name == "batched_seeds":
        module.WAYS["at once"] = lambda *given: [[x + 0.01 for x in row] for row in module.in_turn(*given)]
    if name == "awd_lstm":
        module.LoopedLSTM.forward = forgetful(module.LoopedLSTM.forward)
    return {}


def forgetful(forward):
    """A loop whose outputs are those of a slightly different layer."""

    def run(self, x, state=None):
        outputs, state = forward(self, x * 1.01, state)
        return outputs, state

    return run


def check(module, name, ways):
    """Run a script's comparison with float64."""
    if name == "linear_attention":
        module.compare(ways or {"ours": module.without_map}, module.reference, make_inputs(32, 1, 8))
    elif name == "rmsnorm":
        module.check(8, 16)
    elif name == "awd_lstm":
        module.check(module.SIZES[0], torch.arange(200) * 7 % 2000)
    else:
        module.check()


@pytest.mark.parametrize("name", ["linear_attention", "slicing", "rmsnorm", "batched_seeds", "awd_lstm"])
def test_a_way_that_is_off_is_not_timed(small, name, one_thread):
    module = small(name)
    check(module, name, {})
    ways = plant(module, name)
    with pytest.raises(WrongResult, match="off by .*; not timed"):
        check(module, name, ways)


def test_a_wrong_gradient_is_refused_as_well(small):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, q, k, v):
            return module.reference(q, k, v).float()

        @staticmethod
        def backward(ctx, d_out):
            return d_out, d_out, d_out

    module = small("linear_attention")
    with pytest.raises(WrongResult, match="their attention: off by"):
        module.compare({"their attention": Wrong.apply}, module.reference, make_inputs(32, 1, 8))


def test_a_wrong_sum_between_processes_is_refused(small, monkeypatch):
    module = small("message_sizes")
    monkeypatch.setattr(module.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(module.distributed, "all_reduce", lambda x: x.add_(module.numbers(4 * len(x), 1)))
    module.check()
    monkeypatch.setattr(module.distributed, "all_reduce", lambda x: x.mul_(2))
    with pytest.raises(WrongResult, match="4 bytes: off by"):
        module.check()


def test_missing_peers_are_named_and_left_out(small, tmp_path, monkeypatch, capsys, one_thread):
    arguments = ["linear_attention.py", "--quick", "--rounds", "1", "--peers", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr("torch.utils.cpp_extension.load", no_compiler)
    assert small("linear_attention").main() == 0
    out = capsys.readouterr().out
    for peer in ("fast-transformers, as shipped", "fast-transformers, native", "fla naive chunk",
                 "performer-pytorch", "fla naive chunk, delta"):  # fmt: skip
        assert f"not there, and left out: {peer}: " in out
    assert "linear, map excluded" in out


def no_compiler(*given, **named):
    raise RuntimeError("no compiler here")


def test_without_every_peer_nothing_is_recorded(small, tmp_path, monkeypatch, capsys, one_thread):
    module, measured = small("linear_attention"), []
    monkeypatch.setattr("torch.utils.cpp_extension.load", no_compiler)
    monkeypatch.setattr(module, "measure_all", lambda *given: measured.append(given) or [])
    monkeypatch.setattr(module, "finish", lambda *given: 0)
    for more in ([], ["--peers", str(tmp_path)]):
        monkeypatch.setattr(sys, "argv", ["linear_attention.py", "--record", *more])
        with pytest.raises(SystemExit):
            module.main()
        assert "run `python benchmarks/peers.py FOLDER`" in capsys.readouterr().err
    assert measured == []


def test_a_peer_that_is_there_is_measured_beside_ours(small, tmp_path, monkeypatch, capsys, one_thread):
    """A made-up package with the interface of fla's file."""
    folder = tmp_path / "fla_core-0.6.0/fla/ops/linear_attn"
    folder.mkdir(parents=True)
    (folder / "naive.py").write_text(
        "def naive_chunk_linear_attn(q, k, v, scale, normalize):\n"
        "    q, k, v = (x.transpose(1, 2) for x in (q, k, v))\n"
        "    weights = (q @ k.mT).tril()\n"
        "    return (weights @ v / weights.sum(-1, keepdim=True)).transpose(1, 2)\n"
    )
    monkeypatch.setattr("torch.utils.cpp_extension.load", no_compiler)
    arguments = ["linear_attention.py", "--quick", "--rounds", "1", "--peers", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert small("linear_attention").main() == 0
    out = capsys.readouterr().out
    assert "64 fla naive chunk  " in out and "64 fla naive chunk, our layout" in out


def test_every_softmax_learns_from_the_same_words(small):
    module = small("awd_lstm")
    train, held_out, source = module.text(2000)
    found = module.measure_learning(module.SIZES[0], 3000, (0,), train, held_out[:3000])
    assert set(found) == {module.FULL, module.OURS, module.TORCH} and "Zipf" in source
    assert all(1 < value < 4000 for (value,) in found.values())


def test_the_yardstick_of_a_script_judges_all_of_its_sizes(small, one_thread):
    yardstick = Yardstick(lambda: 1.0)
    small("rmsnorm").measure_all(((512, 512), (512, 1024)), 2, yardstick)
    assert yardstick.rounds == 2 * 2 * 2, "copies and norms, at two sizes"


def test_make_bench_prints_one_table_and_says_what_failed(script, monkeypatch, capsys):
    short = script("short")
    done = {
        "gemm": [1, 1, 1],
        "settings": {name: {"clock": [1, 2, 3], "cpu": [7, 8, 9]} for name in script("threads").SETTINGS},
        "cores": 2,
    }

    def run(command, **named):
        name = command[1].rpartition("/")[2]
        assert "--quick" in command and "--record" not in command
        if name != "threads.py":
            return subprocess.CompletedProcess(command, 1, "", "first line\nRuntimeError: it broke")
        with open(command[command.index("--out") + 1], "w") as file:
            json.dump(done, file)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(short.subprocess, "run", run)
    assert short.main(["threads"]) == 0
    assert (
        "1.0 (0.33 to 3.0)  two threads, spinning 2.0 ms / one thread 2.0 ms; 2 busy cores"
        in capsys.readouterr().out
    )
    assert short.main(["threads", "rmsnorm"]) == 1
    assert "ended with code 1: RuntimeError: it broke" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        short.main(["nothing"])
    assert "NAME: got nothing; allowed are linear_attention" in capsys.readouterr().err


@pytest.mark.parametrize("name", FORMS)
def test_every_script_says_how_long_its_full_form_takes(script, name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit):
        script(name).main()
    text = capsys.readouterr().out
    assert "The full form takes" in text and "--record" in text and "--quick" in text
