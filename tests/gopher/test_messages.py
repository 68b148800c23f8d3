"""The count of messages: two real processes against arithmetic, and what the count does with what it does not know."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from papertrail.gopher import messages
from papertrail.gopher.messages import (
    CASES,
    Messages,
    StepMessages,
    expected_messages,
    main,
    measure_messages,
    network,
    table_of_messages,
)
from papertrail.gopher.recorded_messages import load_messages

IDS = [f"{norm}{'' if broadcast else ' alone'}" for norm, broadcast in CASES]


@pytest.fixture(scope="module")
def counted() -> Messages:
    """Every case in two processes that were started for this."""
    return measure_messages(2, timeout=400)


def small(processes: int = 2) -> Messages:
    return Messages([StepMessages("RMSNorm", True, 10, [16, 24], [], [], [])], processes, "gloo")


def test_the_net_has_as_many_parameters_as_sixty_four_then_nine_times_256_and_eight_norms_say():
    linear = 64 * 256 + 256 + 8 * (256 * 256 + 256)
    for norm, own in (("none", 0), ("RMSNorm", 2048), ("LayerNorm", 4096), ("SyncBatchNorm", 4096)):
        assert sum(p.numel() for p in network(norm).parameters()) == linear + own
    assert sum(isinstance(part, nn.LayerNorm) for part in network("LayerNorm")) == 8
    with pytest.raises(ValueError, match="norm: got 'GroupNorm'; allowed are none, LayerNorm"):
        network("GroupNorm")


@pytest.mark.parametrize(("norm", "broadcast"), CASES, ids=IDS)
def test_what_two_processes_send_is_what_the_formulas_say(norm, broadcast, counted):
    step = counted.find(norm, broadcast)
    expected = expected_messages(norm, broadcast)
    for field in ("buffers", "gathers", "sums"):
        assert (len(getattr(step, field)), sum(getattr(step, field))) == expected[field]
    assert sum(step.gradients) == expected["gradients"][1] == 4 * step.parameters


def test_the_numbers_of_the_page_by_hand(counted):
    synchronized = counted.find("SyncBatchNorm")
    assert synchronized.gathers == [4 * (2 * 256 + 1)] * 8 and synchronized.sums == [4 * 2 * 256] * 8
    # running mean and variance as floats, and one 8-byte count for each norm
    assert counted.find("BatchNorm").buffers == [8 * 2 * 256 * 4, 8 * 8]
    assert synchronized.calls == 2 + 2 + 16 and synchronized.extra_bytes == 16448 + 16416 + 16384
    assert counted.find("LayerNorm").extra_bytes == counted.find("none").extra_bytes == 0
    layer, rms = (sum(counted.find(norm).gradients) for norm in ("LayerNorm", "RMSNorm"))
    assert layer - rms == 8 * 256 * 4


def test_the_counts_do_not_depend_on_the_number_of_processes_and_the_record_has_them(counted):
    recorded = load_messages()
    assert sorted(recorded) == [2, 4] and all(run.backend == "gloo" for run in recorded.values())
    for run in recorded.values():
        assert [replace(step, milliseconds=None) for step in run.steps] == counted.steps
        assert all(step.milliseconds > 0 for step in run.steps)


def test_bytes_are_those_of_what_is_handed_in_not_of_what_comes_back():
    one, two = torch.zeros(5), torch.zeros(7, dtype=torch.float64)
    assert messages._handed_over("c10d::allgather_", ([[one, one]], [one])) == ("allgather", 20)
    assert messages._handed_over("c10d::allreduce_", ([one, two],)) == ("allreduce", 76)
    assert messages._handed_over("c10d::_allgather_base_", (two, one)) == ("allgather_base", 20)


def test_the_gradients_are_taken_out_of_the_sums_by_their_sizes():
    heard = [("broadcast", 8), ("allreduce", 16), ("allgather", 4), ("allreduce", 40), ("allreduce", 16)]
    assert messages._sort(heard, [40, 16]) == ([8], [4], [16])
    with pytest.raises(RuntimeError, match="does not know: alltoall, 12 bytes"):
        messages._sort([*heard, ("alltoall", 12)], [40])
    with pytest.raises(
        RuntimeError, match=r"buckets of \[41\] bytes, but heard were all-reduces of \[16, 40, 16\]"
    ):
        messages._sort(heard, [41])


def test_a_table_has_calls_and_bytes():
    step = StepMessages("BatchNorm", False, 10, [16, 24], [8, 2], [4, 4], [])
    header, (row,) = table_of_messages(Messages([step], 2, "gloo"))
    assert row == ["BatchNorm, buffers kept local", "2, 40 B", "2, 10 B", "2 × 4 B", "0", "6"]
    assert len(header) == len(row)


def test_a_count_comes_back_from_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(
        messages, "count_step", lambda norm, *rest: StepMessages(norm, True, 1, [4], [], [], [])
    )
    for name, value in (("get_rank", 0), ("get_world_size", 3), ("get_backend", "gloo")):
        monkeypatch.setattr(messages.distributed, name, lambda value=value: value)
    messages._count_all("cpu", tmp_path / "counts.json", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["counts.json"]
    found = Messages.of(json.loads((tmp_path / "counts.json").read_text()))
    assert found.processes == 3 and [step.norm for step in found.steps] == [norm for norm, _ in CASES]
    with pytest.raises(ValueError, match="none with norm='GroupNorm', broadcast_buffers=True"):
        found.find("GroupNorm")


@pytest.mark.parametrize("number", [1, 0, True, 2.0], ids=str)
def test_one_process_is_no_conversation(number):
    with pytest.raises(ValueError, match=f"processes: got {number!r}; allowed are integers from 2 up"):
        measure_messages(number)


def program(monkeypatch, script: str) -> None:
    """Let `measure_messages` start this script in the place of the count."""
    real = messages.subprocess.Popen
    monkeypatch.setattr(
        messages.subprocess, "Popen", lambda command, **how: real(["sh", "-c", script], **how)
    )


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path, monkeypatch):
    program(monkeypatch, f"sleep 300 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(RuntimeError, match=r"3 processes: no answer in 0.5 seconds; the recorded table is"):
        measure_messages(3, timeout=0.5)
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{child}/stat").read_text().split()[2]
        except FileNotFoundError:
            break
        if state == "Z":  # ended, and not yet collected by whoever adopts orphans here
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("the child went on")


def test_a_program_that_fails_is_quoted(monkeypatch):
    program(monkeypatch, "echo first >&2; echo 'no such thing' >&2; exit 3")
    with pytest.raises(RuntimeError, match="2 processes: ended with code 3: no such thing"):
        measure_messages(2)


@pytest.mark.parametrize(
    ("arguments", "world", "says"),
    [
        ([], "1", "one process has nobody to talk to"),
        (["--processes", "1"], "1", "--processes: takes 2 or more"),
        (["--processes", "2"], "2", "no torchrun around it"),
        (["--processes", "2", "--device", "cuda"], "1", "on the CPU"),
    ],
    ids=["alone", "one", "under torchrun", "cuda"],
)
def test_what_cannot_be_counted_is_refused(arguments, world, says, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(SystemExit):
        main(arguments)
    assert says in capsys.readouterr().err


def test_a_gpu_that_is_not_here_is_named(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        main(["--device", "cuda"])
    assert "--device: got 'cuda', but there is no GPU here" in capsys.readouterr().err
