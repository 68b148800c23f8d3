"""The benchmark of norms: it runs, compares before it times, and its record bears out what the chapter says."""

import importlib.util
import sys

import pytest
import torch

from papertrail.gopher.norm_speed import LAYER, OURS, PAPER_TIMES, TORCH, WRITTEN, load_speed, saved

PUBLISHED = {  # percent saved by RMSNorm and pRMSNorm, as tables 2 to 4, 6, 8 and 10 print them
    "table 2": (24.7, 25.9), "table 3)": None, "table 4": (6.9, 9.3), "table 6": (15.1, 15.8), "table 8": (40.8, 63.9),
    "table 10": (20.5, 23.1),
}  # fmt: skip
LARGE = (8192, 1024)


@pytest.fixture
def benchmark(root):
    spec = importlib.util.spec_from_file_location("rmsnorm_benchmark", root / "benchmarks" / "rmsnorm.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_runs_and_prints_what_its_record_holds(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rmsnorm.py", "--quick"])
    threads = torch.get_num_threads()
    try:
        assert benchmark.main() == 0
    finally:
        torch.set_num_threads(threads)
    out = capsys.readouterr().out
    assert "[512, 512]" in out and all(way in out for way in load_speed().times[512, 512])
    (shape,) = benchmark.measure_all(quick=True)["shapes"]
    assert set(shape["ways"]) == set(load_speed().times[512, 512])
    for row in shape["ways"].values():
        assert all(0 < forward < both for forward, both in zip(row["forward"], row["both"], strict=True))


def test_a_way_that_is_off_is_not_timed(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "naive_rms", lambda x, gain, bias: x * 1.001 * gain)
    with pytest.raises(RuntimeError, match="RMSNorm as written: off by .*; not timed"):
        benchmark.check(8, 16)


def test_a_quick_run_is_not_recorded(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rmsnorm.py", "--quick", "--record"])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert "too little" in capsys.readouterr().err


def test_the_record_has_every_shape():
    assert load_speed().shapes == [(512, 512), (512, 1024), (512, 4096), LARGE]


def test_the_record_bears_out_what_the_chapter_says():
    speed = load_speed()
    for shape in speed.shapes:
        assert speed.ratio(TORCH, LAYER, shape) > 1.5, "torch's RMSNorm is the slower one on a CPU"
        assert speed.ratio(*WRITTEN, shape) < 1, "written alike, it is the quicker one"
        assert speed.ratio(TORCH, OURS, shape) > 1.2
    assert speed.ratio(TORCH, OURS, LARGE) > 4 and speed.ratio(OURS, LAYER, LARGE) < 1.3
    assert 2 * speed.faults(LARGE) > 0.4 * speed.both(LAYER, LARGE), (
        "most of LayerNorm's time is fresh memory"
    )


def test_what_was_not_measured_is_named():
    with pytest.raises(ValueError, match=r"'nn.GroupNorm' at \(512, 512\) was not measured"):
        load_speed().both("nn.GroupNorm", (512, 512))


@pytest.mark.parametrize("model", PAPER_TIMES)
def test_the_papers_times_give_the_papers_percentages(model):
    (key,) = [k for k in PUBLISHED if k in model]
    wanted = (
        PUBLISHED[key] or {"PyTorch": (11.0, 12.0), "Theano": (34.0, 33.4)}[model.split(", ")[1].split()[0]]
    )
    assert saved(model) == pytest.approx(wanted, abs=0.06)
