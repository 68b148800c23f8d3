"""Every record of the course has the one form, belongs to today's grid and settings, and says what made it."""

import importlib
import json
from pathlib import Path

import pytest

import papertrail
from papertrail.experiments.records import HEADER, OPTIONAL, problems
from papertrail.experiments.registry import addresses, load
from papertrail.ulmfit.recorded import shared_settings

ROOT = Path(__file__).parents[2]
# encoder.json comes with encoder.pt and is read with it: what `papertrail.ulmfit export` says of a model
RECORDS = sorted(p for p in ROOT.glob("book/results/*/*.json") if p.name != "encoder.json")
# made before the clock was read and not since: no other record may come without
WITHOUT_CLOCK = {
    "architecture_diagram/zoo", "fast_weights/cost", "fast_weights/retrieval", "gopher/depth", "gopher/depth_gradients",
    "gopher/depth_post", "gopher/group_size", "gopher/messages", "gopher/norm_speed", "layer_norm_placement/depth",
    "layer_norm_placement/language", "layer_norm_placement/language_longer", "layer_norm_placement/training",
    "ulmfit/budget", "ulmfit/ladder", "ulmfit/low_shot", "ulmfit/recipe", "ulmfit/speed",
}  # fmt: skip
# and of these it was not kept what their processes needed
WITHOUT_MEMORY = {"gopher/messages", "ulmfit/budget", "ulmfit/ladder", "ulmfit/low_shot", "ulmfit/recipe"}
EXPERIMENTS = {name: load(address) for name, address in addresses().items()}


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_are_records_and_experiments():
    assert len(RECORDS) >= 24 and len(EXPERIMENTS) >= 19


@pytest.mark.parametrize("path", RECORDS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_record_is_in_order(path):
    record = read(path)
    assert problems(record) == []
    name = f"{path.parent.name}/{path.stem}"
    assert (record["wall_seconds"] is None) is (name in WITHOUT_CLOCK)
    assert (
        record["cpu_seconds"] > 0
        and (record["peak_mib"] is None) is (name in WITHOUT_MEMORY)
        and record["machine"]
        and record["date"] >= "2026"
    )
    assert not any(commit.endswith("+") for commit in record["code"]["commits"]), (
        "made from code that nobody can find"
    )
    assert record["code"]["commits"] and record["versions"].keys() >= {"python", "torch"}
    assert str(Path.home()) not in path.read_text() and "/tmp" not in path.read_text()


@pytest.mark.parametrize("path", RECORDS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_its_command_is_one_that_exists(path):
    record = read(path)
    if "experiment" in record:
        assert record["command"].startswith(f"python -m papertrail.experiments run {record['experiment']}")
        assert (
            record["experiment"] == f"{path.parent.name}.{path.stem}" and record["experiment"] in EXPERIMENTS
        )
    elif record["command"].startswith("python -m "):
        assert importlib.util.find_spec(record["command"].split()[2])
    else:
        assert (
            record["command"].startswith("python benchmarks/")
            and (ROOT / record["command"].split()[1]).exists()
        )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiments_record_is_whole_and_of_todays_grid_and_settings(name):
    experiment = EXPERIMENTS[name]
    record = read(experiment.record)
    grid = json.loads(json.dumps(experiment.cells(range(len(record["seeds"])))))
    assert [row["cell"] for row in record["table"]] == grid and record["planned"] == len(grid)
    stored = {
        key: value for key, value in record["settings"].items() if key not in ("inputs", "language_models")
    }
    if "models" in experiment.inputs:  # the folder of language models is nobody's but ours
        settings = shared_settings()
    else:
        settings = dict(experiment.settings(**dict.fromkeys(experiment.inputs, "")))
    assert stored == json.loads(json.dumps(settings))
    assert record["settings"].get("inputs", {}).keys() == experiment.inputs.keys()
    assert record["tolerance"] == (experiment.tolerance and vars(experiment.tolerance))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_a_run_is_said_to_cost_is_what_it_cost(name):
    experiment, record = EXPERIMENTS[name], read(EXPERIMENTS[name].record)
    assert 0.4 < experiment.cpu_seconds / record["cpu_seconds"] < 2.5
    assert record["peak_mib"] is None or 0.4 < experiment.peak_mib / record["peak_mib"] < 2.5
    assert record["question"] == experiment.question and experiment.question.endswith("?")


def test_the_chapters_name_every_experiment_once():
    names = [one.full_name for one in EXPERIMENTS.values()]
    assert len(names) == len(set(names))
    folders = {path.name for path in Path(papertrail.__path__[0]).iterdir()}
    assert all(one.chapter in folders for one in EXPERIMENTS.values())


GOOD = {
    "schema": 1, "command": "python -m x", "date": "2026-01-01", "machine": "m", "device": "cpu",
    "code": {"papertrail": "1", "commits": []}, "versions": {"python": "3"}, "seeds": [0], "cpu_seconds": 1.0,
    "wall_seconds": None, "peak_mib": 3, "tolerance": {"relative": 0.1, "absolute": 0.0}, "table": {"a": 1},
}  # fmt: skip
ROWS = GOOD | {
    "experiment": "a.b", "question": "Why?", "settings": {}, "planned": 1, "seconds": [[1.0, 1.0]],
    "table": [{"cell": {}, "result": 1}],
}  # fmt: skip


def test_what_is_in_order_passes():
    assert problems(GOOD) == [] == problems(ROWS)
    assert GOOD.keys() == HEADER.keys() and ROWS.keys() == HEADER.keys() | OPTIONAL.keys()


@pytest.mark.parametrize("key", HEADER)
def test_a_missing_part_is_named(key):
    assert problems({k: v for k, v in GOOD.items() if k != key}) == [f"{key}: missing"]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (GOOD | {"host": "me"}, "host: no such name"),
        (GOOD | {"peak_mib": "3"}, "peak_mib: got '3'; allowed is int"),
        (GOOD | {"schema": True}, "schema: got True"),
        (GOOD | {"schema": 2}, "schema: got 2; allowed is 1"),
        (GOOD | {"command": "python somewhere/x.py"}, "names a folder"),
        (GOOD | {"code": {"papertrail": "1"}}, "code: got"),
        (GOOD | {"versions": {}}, "python is missing"),
        (GOOD | {"tolerance": {"relative": 1.0}}, "tolerance: got"),
        (ROWS | {"table": {}}, "an experiment's is a list"),
        (ROWS | {"table": [{"cell": {}}]}, "a row is no"),
        (ROWS | {"seconds": []}, "one pair for each row"),
        ({k: v for k, v in ROWS.items() if k != "settings"}, "settings: missing"),
        ([], "record: got list"),
    ],
)
def test_what_is_out_of_order_is_named(record, said):
    assert said in "; ".join(problems(record))
