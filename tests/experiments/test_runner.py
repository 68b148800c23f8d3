"""A run ends with the same table however it was made: at once, in several processes, killed, resumed, on a cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from papertrail.experiments import registry
from papertrail.experiments.__main__ import main
from papertrail.experiments.records import problems
from papertrail.experiments.registry import ExperimentError, load
from papertrail.experiments.runner import RunFile, prepare, run_missing

DRAW = "toy_experiments:draw"


@pytest.fixture(autouse=True)
def marks(tmp_path, monkeypatch):
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setenv("TOY_MARKS", str(folder))
    return folder


@pytest.fixture(scope="module")
def environment(root):
    """For processes that have to find the package and the toys."""
    paths = [str(root / "code"), str(root / "tests" / "helpers"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def findable(environment, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])


def run(*arguments) -> int:
    return main(["run", *map(str, arguments)])


def record(path: Path) -> dict:
    found = json.loads(path.read_text())
    assert problems(found) == []
    return found


@pytest.fixture
def whole(tmp_path):
    """The table of a run in one process."""
    path = tmp_path / "whole.json"
    assert run(DRAW, "--workers", 1, "--out", path) == 0
    for mark in (tmp_path / "marks").iterdir():
        mark.unlink()
    return record(path)["table"]


def test_a_run_says_what_it_will_do_and_records_what_made_it(tmp_path, capsys):
    path = tmp_path / "deep" / "run.json"
    assert run(DRAW, "--workers", 1, "--out", path, "--seeds", 3) == 0
    said = capsys.readouterr().out
    assert "size: 1, 2, 3" in said and "seed: 0, 1, 2" in said and "9 cells, 9 to run; expected 2 s" in said
    assert said.index("expected") < said.index("1/9  size 1, seed 0")
    found = record(path)
    assert found["command"] == "python -m papertrail.experiments run toy.draw --seeds 3"
    assert found["seeds"] == [0, 1, 2] and found["planned"] == len(found["table"]) == 9
    assert found["tolerance"] == {"relative": 1e-3, "absolute": 0.0}
    assert found["table"][0]["cell"] == {"size": 1, "seed": 0}
    assert found["wall_seconds"] >= 0 and found["peak_mib"] > 50 and len(found["seconds"]) == 9
    assert [one.name for one in path.parent.iterdir()] == ["run.json"], "no lock, no temporary file"


def test_two_processes_of_which_one_dies_give_the_same_table(tmp_path, whole, findable, monkeypatch, marks):
    monkeypatch.setenv("TOY_KILL", "1")
    assert run(DRAW, "--workers", 2, "--out", tmp_path / "two.json") == 0
    assert record(tmp_path / "two.json")["table"] == whole
    assert len(list(marks.glob("3-1-*"))) == 2, "it began, died, and began again"


def test_a_cell_that_always_kills_its_process_ends_the_run(tmp_path, findable, capsys, monkeypatch):
    monkeypatch.setattr("papertrail.experiments.runner.TRIES", 1)
    assert run("toy_experiments:dies", "--workers", 2, "--out", tmp_path / "dies.json") == 1
    assert "6 cells: processes died 1 times in a row" in capsys.readouterr().err


def test_a_run_that_is_killed_resumes_to_the_same_table(tmp_path, whole, environment, marks):
    path = tmp_path / "killed.json"
    command = [
        sys.executable,
        "-m",
        "papertrail.experiments",
        "run",
        DRAW,
        "--workers",
        "1",
        "--out",
        str(path),
    ]
    environment = environment | {"TOY_SLEEP": "0.3", "TOY_MARKS": str(marks)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while len(list(marks.iterdir())) < 4:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(record(path)["table"])
    assert 1 <= done < len(whole)
    assert run(DRAW, "--workers", 1, "--out", path, "--resume") == 0
    assert record(path)["table"] == whole
    assert len(list(marks.iterdir())) == len(whole) + 1, "nothing but the killed cell ran twice"


def test_order_of_ending_does_not_matter(tmp_path, whole):
    file = prepare(load(DRAW), out=tmp_path / "order.json")
    done = list(run_missing(DRAW, file))
    other = RunFile(tmp_path / "other.json", file.head, file.grid, resume=False)
    for one in reversed(done):
        other.add(one)
    assert record(tmp_path / "other.json")["table"] == whole


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("settings", {"rate": 2}, "other settings: rate: 2, now None"), ("seeds", [0], "other seeds"),
     ("device", "cuda", "other device"), ("versions", {"python": "2.7"}, "other versions: python: '2.7'"),
     ("experiment", "toy.other", "other experiment"), ("tolerance", None, "other tolerance")],
)  # fmt: skip
def test_other_settings_never_get_into_the_same_file(tmp_path, capsys, key, value, said):
    path = tmp_path / "run.json"
    run(DRAW, "--workers", 1, "--out", path)
    stored = record(path)
    stored["table"], stored["seconds"] = stored["table"][:2], stored["seconds"][:2]
    path.write_text(json.dumps(stored | {key: value}))
    before = path.read_text()
    assert run(DRAW, "--workers", 1, "--out", path, "--resume") == 2
    assert said in capsys.readouterr().err and path.read_text() == before


def test_a_cell_of_another_grid_is_noticed(tmp_path, capsys):
    path = tmp_path / "run.json"
    run(DRAW, "--workers", 1, "--out", path)
    stored = record(path)
    stored["table"][0]["cell"]["size"] = 9
    path.write_text(json.dumps(stored))
    assert run(DRAW, "--workers", 1, "--out", path, "--resume") == 2
    assert "a cell that this grid lacks: {'size': 9, 'seed': 0}" in capsys.readouterr().err


def test_what_is_there_is_not_overwritten(tmp_path, capsys):
    path = tmp_path / "run.json"
    run(DRAW, "--workers", 1, "--out", path)
    before = path.read_text()
    assert run(DRAW, "--workers", 1, "--out", path) == 2
    assert "holds 6 of 6 rows; go on with --resume" in capsys.readouterr().err and path.read_text() == before
    assert run(DRAW, "--workers", 1, "--out", path, "--resume") == 0
    assert "nothing is missing" in capsys.readouterr().out
    path.write_text("{}")
    assert run(DRAW, "--workers", 1, "--out", path, "--resume") == 2
    assert "is no experiment's record" in capsys.readouterr().err and path.read_text() == "{}"


def test_two_runs_do_not_write_one_file(tmp_path):
    first = prepare(load(DRAW), out=tmp_path / "run.json")
    second = prepare(load(DRAW), out=tmp_path / "run.json")
    at_work = run_missing(DRAW, first)
    next(at_work)
    with pytest.raises(ExperimentError, match="another run is writing"):
        next(run_missing(DRAW, second))
    assert len(list(at_work)) == 5


def test_what_another_run_wrote_after_this_one_had_read_is_not_lost(tmp_path):
    first = prepare(load(DRAW), out=tmp_path / "run.json")
    second = prepare(load(DRAW), out=tmp_path / "run.json")
    assert len(list(run_missing(DRAW, first))) == 6
    with pytest.raises(ExperimentError, match="another run wrote .* in the meantime"):
        next(run_missing(DRAW, second))


def test_rows_of_unknown_time_are_gone_on_with(tmp_path):
    path = tmp_path / "run.json"
    run(DRAW, "--workers", 1, "--out", path)
    stored = record(path)
    stored["table"], stored["seconds"] = stored["table"][:2], [[None, None]] * 2
    path.write_text(json.dumps(stored))
    assert run(DRAW, "--workers", 1, "--out", path, "--resume") == 0
    assert len(record(path)["table"]) == 6 and record(path)["seconds"][0] == [None, None]


def test_commits_add_up_over_a_resumed_run(tmp_path):
    path = tmp_path / "run.json"
    run(DRAW, "--workers", 1, "--out", path)
    stored = record(path)
    stored["code"]["commits"], stored["table"], stored["seconds"] = ["abc"], [], []
    path.write_text(json.dumps(stored))
    run(DRAW, "--workers", 1, "--out", path, "--resume")
    assert record(path)["code"]["commits"][0] == "abc" and len(record(path)["code"]["commits"]) <= 2


def test_a_failing_cell_is_named_and_what_was_done_stays(tmp_path, capsys):
    assert run("toy_experiments:fails", "--workers", 1, "--out", tmp_path / "fails.json") == 1
    assert "cell {'size': 1, 'seed': 0}: ZeroDivisionError: as it was meant to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nothing"], "NAME: 'nothing' is not among"), (["json:x"], "NAME: 'json:x' cannot be loaded"),
     (["toy_experiments:nothing"], "NAME: toy_experiments has no 'nothing'; it has times, draw"),
     ([DRAW, "--seeds", "0"], "--seeds: got 0; allowed are integers from 1 up"),
     ([DRAW, "--device", "cuda"], "--device: got 'cuda'; allowed are cpu"),
     ([DRAW, "--workers", "0"], "--workers: got 0"),
     (["toy_experiments:times", "--workers", "2"], "--workers: got 2; allowed is 1 where times count"),
     (["toy_experiments:shared", "--device", "cuda"], "--device: got 'cuda'; there is no GPU here"),
     (["toy_experiments:times", "--seeds", "1"], "--seeds: got 1; no chance plays a part in toy.times"),
     ([DRAW, "--input", "text=x"], "--input: got text; needed: none"),
     ([DRAW, "--input", "text"], "--input: got 'text'; allowed is NAME=PATH"),
     (["toy_experiments:reads"], "--input: got none; needed: --input text=PATH, any text"),
     (["toy_experiments:reads", "--input", "text=not/there"], "input: not/there is not there"),
     ([DRAW, "--scheduler", "tcp://127.0.0.1:9", "--seeds", "1"], "--scheduler: nobody answers at tcp://127.0.0.1:9")],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_in_words(tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("papertrail.experiments.runner.PATIENCE", 1.0)
    assert run(*arguments, "--out", tmp_path / "x.json") == 2
    assert said in capsys.readouterr().err and not (tmp_path / "x.json").exists()


def test_an_input_is_recorded_by_its_content_and_not_its_place(tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("some words")
    monkeypatch.setattr(registry.Experiment, "run_cell", lambda self, cell, inputs, device: {"ok": 1})
    path = tmp_path / "run.json"
    assert run("toy_experiments:reads", "--workers", 1, "--out", path, "--input", f"text={text}") == 0
    found = record(path)
    assert found["command"].endswith("toy.reads --input text=text.txt")
    assert found["settings"]["inputs"]["text"]["name"] == "text.txt"
    text.write_text("other words")
    assert run("toy_experiments:reads", "--out", path, "--resume", "--input", f"text={text}") == 2


def test_a_cluster_of_two_workers_of_which_one_dies_gives_the_same_table(
    tmp_path, whole, findable, monkeypatch, marks
):
    monkeypatch.setenv("TOY_KILL", "1")
    command = ("import sys; from distributed import LocalCluster\n"
               "if __name__ == '__main__':\n"
               "    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)\n"
               "    print(cluster.scheduler_address, flush=True); sys.stdin.read()\n")  # fmt: skip
    script = tmp_path / "cluster.py"
    script.write_text(command)
    cluster = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = cluster.stdout.readline().strip()
        assert run(DRAW, "--scheduler", address, "--out", tmp_path / "dask.json") == 0
    finally:
        cluster.stdin.close()
        cluster.stdout.close()
        cluster.wait(30)
    assert record(tmp_path / "dask.json")["table"] == whole
    assert len(list(marks.glob("3-1-*"))) == 2, "it began, died, and began again"


def test_two_processes_under_torchrun_share_each_cell(tmp_path, environment, capsys):
    alone, both = tmp_path / "alone.json", tmp_path / "both.json"
    assert run("toy_experiments:shared", "--workers", 1, "--out", alone) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "papertrail.experiments", "run", "toy_experiments:shared", "--out", str(both)]  # fmt: skip
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    assert result.returncode == 0, result.stderr[-2000:]
    for ours, theirs in zip(record(alone)["table"], record(both)["table"], strict=True):
        assert ours["cell"] == theirs["cell"]
        assert ours["result"]["sum"] == pytest.approx(theirs["result"]["sum"], rel=1e-3)
    assert result.stdout.count("6 cells, 6 to run") == 1, "one process speaks"


def test_a_cells_own_processes_count(tmp_path):
    """In CPU time and in memory, once they have ended."""
    assert run("toy_experiments:times", "--out", tmp_path / "times.json") == 0
    found = record(tmp_path / "times.json")
    assert found["seeds"] == [] and found["tolerance"] is None
    assert found["cpu_seconds"] > 0.15 and found["peak_mib"] > 400


def test_torchrun_is_refused_where_a_cell_is_not_shared(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(DRAW, "--out", tmp_path / "x.json") == 2
    assert "torchrun: this experiment's cells each fit one process" in capsys.readouterr().err
