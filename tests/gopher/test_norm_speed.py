"""The record of the benchmark of norms bears out what the chapter says; tests/benchmarks runs the script itself."""

import pytest

from papertrail.gopher.norm_speed import LAYER, OURS, PAPER_TIMES, TORCH, WRITTEN, load_speed, saved

PUBLISHED = {  # percent saved by RMSNorm and pRMSNorm, as tables 2 to 4, 6, 8 and 10 print them
    "table 2": (24.7, 25.9), "table 3)": None, "table 4": (6.9, 9.3), "table 6": (15.1, 15.8), "table 8": (40.8, 63.9),
    "table 10": (20.5, 23.1),
}  # fmt: skip
LARGE = (8192, 1024)


def test_the_record_holds_the_ways_of_the_benchmark(script):
    assert set(script("rmsnorm").ways(8)) == set(load_speed().times[512, 512])


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
