"""How speed is measured: in turn, with a yardstick that judges the rounds, after a comparison with float64."""

import json

import pytest
import torch

from papertrail import benchmarking
from papertrail.benchmarking import (
    WrongResult,
    Yardstick,
    alternate,
    finish,
    largest_error,
    measure_gemm,
    parse,
    parser,
    quartiles,
    refuse_wrong,
    with_gradients,
)

DOC = "What is measured.\n\nMore."


def yardstick_of(*speeds):
    """A yardstick that reads these speeds, one after the other."""
    return Yardstick(iter(speeds).__next__)


def counting(numbers, seen, name):
    """A way that returns these numbers in turn, and says that it was called."""
    left = iter(numbers)

    def way():
        seen.append(name)
        return (next(left),)

    return way


def test_quartiles_of_some_and_of_one():
    assert quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == [2.0, 3.0, 4.0]
    assert quartiles([7.0]) == [7.0] * 3


def test_the_yardstick_is_a_speed():
    assert 0.1 < measure_gemm(64, repeats=3) < 100_000


def test_ways_take_turns_and_the_first_round_does_not_count():
    seen = []
    ways = {name: counting([100, 1, 2, 3], seen, name) for name in "ab"}
    found = alternate(ways, 3, yardstick_of(9, 9, 9, 9))
    assert seen == ["a", "b"] * 4
    assert found == {name: [[1.5, 2, 2.5]] for name in "ab"}


def test_every_number_of_a_way_gets_its_quartiles():
    assert alternate({"a": lambda: (1.0, 20.0)}, 2, yardstick_of(1, 1, 1)) == {"a": [[1.0] * 3, [20.0] * 3]}


def test_a_disturbed_round_is_set_aside_for_all_ways_and_counted():
    yardstick = yardstick_of(100, 100, 84.9, 85, 90)
    ways = {"a": counting([0, 1, 50, 3, 5], [], "a"), "b": counting([0, 2, 1, 2, 2], [], "b")}
    assert alternate(ways, 4, yardstick) == {"a": [[2, 3, 4]], "b": [[2, 2, 2]]}
    assert yardstick.fields()["rounds_judged"] == {"rounds": 4, "set_aside": 1, "kept_though_slow": 0}
    assert "of 4 rounds 1 were disturbed and set aside" in yardstick.sentence()


def test_rounds_are_judged_by_the_best_of_the_whole_run():
    yardstick = yardstick_of(120, 120, 120, 100, 100, 110, 110)
    alternate({"a": lambda: (1.0,)}, 2, yardstick)
    alternate({"a": lambda: (1.0,)}, 3, yardstick)
    assert (yardstick.rounds, yardstick.set_aside) == (5, 1)


def test_where_most_rounds_are_disturbed_all_are_kept_and_it_is_said():
    yardstick = yardstick_of(100, 50, 50, 100)
    assert alternate({"a": counting([0, 1, 2, 3], [], "a")}, 3, yardstick) == {"a": [[1.5, 2, 2.5]]}
    assert (yardstick.set_aside, yardstick.kept_slow) == (0, 2)
    assert "2 disturbed ones had to be kept" in yardstick.sentence()


def test_values_and_gradients_are_those_of_the_function():
    x, y = (torch.tensor([2.0, 3.0], requires_grad=True) for _ in range(2))
    value, of_x, of_y = with_gradients(lambda a, b: a * a * b, [x, y], torch.tensor([1.0, 2.0]))
    assert value.tolist() == [8, 27] and of_x.tolist() == [8, 36] and of_y.tolist() == [4, 18]
    assert len(with_gradients(lambda a, b: a * b, [x, y], torch.ones(2), of=1)) == 2


def test_an_error_is_relative_to_the_largest_entry_of_its_tensor():
    exact = [torch.tensor([1.0, -10.0]).double(), torch.tensor([0.01]).double()]
    assert largest_error([exact[0] + 0.1, exact[1]], exact) == pytest.approx(0.01)
    assert largest_error([exact[0], exact[1] * 1.5], exact) == pytest.approx(0.5)


@pytest.mark.parametrize("wrong", [lambda x: x * 1.001, lambda x: x + float("nan"), lambda x: x.flip(0)])
def test_what_computes_something_else_is_refused(wrong):
    exact = torch.arange(1.0, 5.0, dtype=torch.float64)
    assert refuse_wrong("ours", [exact.float() * (1 + 1e-6)], [exact]) < 1e-5
    with pytest.raises(WrongResult, match="theirs: off by .* of the largest entry; not timed"):
        refuse_wrong("theirs", [wrong(exact).float()], [exact])


def test_a_short_form_is_not_recorded(capsys):
    with pytest.raises(SystemExit):
        parse(parser(DOC, "an hour", rounds=7), ["--quick", "--record"])
    assert "--quick measures too little to be recorded" in capsys.readouterr().err


def test_rounds_depend_on_the_form_and_can_be_given(one_thread):
    options = parser(DOC, "an hour", rounds=7, quick_rounds=3)
    assert [parse(options, given).rounds for given in ([], ["--quick"], ["--quick", "--rounds", "2"])] == [
        7,
        3,
        2,
    ]
    assert "The full form takes an hour." in options.format_help()


def test_numbers_go_where_the_options_say(tmp_path, monkeypatch, one_thread):
    kept = []
    monkeypatch.setattr(benchmarking, "save_record", lambda *given: kept.append(given) or "path")
    yardstick = yardstick_of(100, 100)
    alternate({"a": lambda: (1.0,)}, 1, yardstick)
    out = tmp_path / "out.json"
    given = parse(parser(DOC, "an hour", rounds=1), ["--out", str(out)])
    assert finish(given, ("chapter", "name"), "python x.py --record", {"a": 1.23456}, yardstick) == 0
    data = json.loads(out.read_text())
    assert data["a"] == 1.235 and data["gemm"] == [100.0] * 3 and len(data["load"]) == 2
    assert kept == [] and list(tmp_path.iterdir()) == [out]
    given = parse(parser(DOC, "an hour", rounds=1), ["--record"])
    finish(given, ("chapter", "name"), "python x.py --record", {"a": 1.23456}, yardstick)
    assert [one[:3] for one in kept] == [("chapter", "name", "python x.py --record")]
    assert kept[0][3]["rounds_judged"]["rounds"] == 1


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("values: got none", lambda: quartiles([])),
        ("rounds: got 0", lambda: alternate({"a": lambda: (1,)}, 0)),
        ("ways: got none", lambda: alternate({}, 1)),
        ("size: got 0", lambda: measure_gemm(0)),
        ("found, expected: got 1 and 2 tensors", lambda: largest_error([torch.ones(1)], [torch.ones(1)] * 2)),
        ("found, expected: got 0 and 0 tensors", lambda: largest_error([], [])),
    ],
)
def test_bad_arguments_are_named(message, call):
    with pytest.raises(ValueError) as raised:
        call()
    assert message in str(raised.value)


def test_too_few_rounds_are_refused_in_words(capsys):
    with pytest.raises(SystemExit):
        parse(parser(DOC, "an hour", rounds=7), ["--rounds", "0"])
    assert "--rounds: got 0; allowed are integers from 1 up" in capsys.readouterr().err
