"""Synchronized BatchNorm: two processes must compute what one computes on the whole batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sync_batch_norm_processes import CASES, FEATURES, draws, steps, weighted
from torch import nn

from papertrail.gopher.sync_batch_norm import SyncBatchNorm

ROOT = Path(__file__).resolve().parents[2]
EXACT = [name for name in CASES if name != "bfloat16"]


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, str(ROOT / "tests/helpers/sync_batch_norm_processes.py"), str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "code"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def whole(name: str) -> dict[str, torch.Tensor]:
    """PyTorch's BatchNorm in this process, on the batch of both."""
    return steps(weighted(nn.BatchNorm1d(FEATURES), CASES[name][2]), draws(name))


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("what", ["y", "dx"])
def test_shares_together_are_the_whole_batch_in_values_and_input_gradients(name, what, two):
    together = torch.cat([found[name][what] for found in two])
    torch.testing.assert_close(together, whole(name)[what], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("what", ["d_weight", "d_bias"])
def test_the_gradients_of_weight_and_bias_add_up_to_those_of_the_whole_batch(name, what, two):
    total = sum(found[name][what] for found in two)
    torch.testing.assert_close(total, whole(name)[what], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("what", ["running_mean", "running_var", "num_batches_tracked"])
def test_every_process_keeps_the_running_statistics_of_the_whole_batch(name, what, two):
    for found in two:
        torch.testing.assert_close(found[name][what], whole(name)[what], rtol=0, atol=1e-12)


def test_without_synchronization_a_share_is_normalized_with_its_own_statistics(two):
    x, dy = draws("unequal")[1]
    local = steps(weighted(nn.BatchNorm1d(FEATURES), torch.float64), [(x[:5], dy[:5])])
    assert (local["y"] - two[0]["unequal"]["y"]).abs().max() > 0.3


def test_in_evaluation_the_running_statistics_count_and_nothing_is_sent(two):
    norm = weighted(nn.BatchNorm1d(FEATURES), torch.float64)
    steps(norm, draws("unequal"))
    expected = norm.eval()(draws("unequal")[0][0]).detach()
    for found in two:
        torch.testing.assert_close(found["unequal"]["evaluated"], expected, rtol=0, atol=1e-12)


def test_seven_hundred_rows_of_bfloat16_are_counted_in_float32(two):
    expected = whole("bfloat16")
    together = torch.cat([found["bfloat16"]["y"] for found in two])
    assert together.dtype == torch.bfloat16
    torch.testing.assert_close(together.double(), expected["y"].double(), rtol=0, atol=0.03)
    for found in two:
        torch.testing.assert_close(
            found["bfloat16"]["running_mean"], expected["running_mean"], atol=1e-3, rtol=0
        )


def test_gloo_itself_reports_one_gathering_of_2c_plus_1_numbers_and_one_sum_of_2c(two):
    for found in two:
        assert found["profiled"] == [("all_gather", 2 * FEATURES + 1), ("all_reduce", 2 * FEATURES)]


def test_one_row_in_all_is_refused_by_every_process_and_so_is_another_width(two):
    for found in two:
        assert found["one row"] == "x: all processes hold 1 rows; training takes 2 or more"
        assert found["features"] == "x: has 5 features, but this norm was made for 4"


def test_pytorchs_own_refuses_the_cpu(two):
    assert "SyncBatchNorm expected input tensor to be on" in two[0]["torch's own"]


def test_a_single_process_has_pytorchs_batch_norm():
    x = torch.randn(6, FEATURES)
    torch.testing.assert_close(SyncBatchNorm(FEATURES)(x), nn.BatchNorm1d(FEATURES)(x), rtol=0, atol=0)
