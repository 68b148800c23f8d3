"""What students send is only data, of any kind: judging never raises, never overpays and never gives an answer away."""

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertrail.coursework.comparison import DEEPEST, Expected, finite, judge, same, shape

NUMBER = st.integers() | st.floats(allow_nan=True, allow_infinity=True)
LEAF = (
    st.none() | st.booleans() | NUMBER | st.text(max_size=5) | st.sampled_from(["nan", 10**400, -(10**400)])
)
JSON = st.recursive(
    LEAF,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=3), part, max_size=3),
    max_leaves=6,
)
FINITE = st.floats(-1e6, 1e6)
ARRAYS = st.recursive(FINITE, lambda part: st.lists(part, max_size=4), max_leaves=12)
KEYS = st.sampled_from(["name", "value", "error", "text", "points", "tolerance", "says"])
SINGLE = "is right, where () is a single number."
ANSWER = st.dictionaries(KEYS, JSON | st.sampled_from(["a", "b", "A"]), max_size=7) | JSON
NAMED = st.builds(
    lambda answer, name: answer | {"name": name}, st.dictionaries(KEYS, JSON), st.sampled_from("abA")
)


def one(value: object, **more) -> Expected:
    return Expected(
        **{"name": "a", "value": value, "points": 2.0, "tolerance": 1e-6, "says": "Try again."} | more
    )


def verdict(sent: dict | list, *probes: Expected):
    """The verdict on the first probe."""
    return judge(sent if isinstance(sent, list) else [{"name": "a"} | sent], list(probes))[0]


def nested(levels: int, inside: object = 1.0) -> object:
    for _ in range(levels):
        inside = [inside]
    return inside


@pytest.mark.parametrize(
    ("given_", "right", "tolerance", "equal"),
    [
        (1.0, 1, 0, True), (1, 1.0, 0, True), (0.0, -0.0, 0, True), (1.0 + 1e-7, 1.0, 1e-6, True),
        (1.1, 1.0, 1e-6, False), (True, 1, 1, False), (1, True, 1, False), (True, True, 0, True),
        ([True], [1.0], 1, False), (math.nan, math.nan, 1, False), (math.inf, math.inf, 1, False),
        (math.nan, 1.0, 9, False), (1.0, math.inf, 1, False), (10**400, 10**400, 0, True),
        (10**400, 10**400 + 1, 0, False), (10**400, 1.0, 1, False), (1.0, 10**400, 1, False),
        (2**53 + 1, 2**53, 0, False), (10**400, math.inf, 1, False), (1.7e308, -1.7e308, 0.1, False),
        ([], [], 0, True), ([], [[]], 0, False), ([[]], [[]], 0, True), ([], 0.0, 1, False),
        (1.0, [1.0], 1, False), ("a", "a", 0, True), ("1", 1, 1, False), ("A", "a", 1, False),
        (None, None, 0, True), (None, 0, 1, False), (0, None, 1, False),
        ({"a": 1.0, "b": 2.0}, {"b": 2, "a": 1}, 0, True), ({"a": 1}, {"b": 1}, 1, False),
        ({"a": 1}, {"a": 1, "b": 1}, 1, False), ([["a"], {"": None}], [["a"], {"": None}], 0, True),
        ({"0": 1.0}, [1.0], 1, False), ([1.0, 2.0], [1.0], 1, False),
    ],
)  # fmt: skip
def test_when_two_values_are_the_same(given_, right, tolerance, equal):
    assert same(given_, right, float(tolerance)) is equal


@given(ARRAYS, st.floats(-0.99, 0.99), st.sampled_from([0.0, 1e-9, 1e-3]))
def test_a_right_answer_passes_within_the_tolerance_and_fails_beyond(right, part, tolerance):
    def moved(value, by):
        return (
            [moved(part, by) for part in value] if isinstance(value, list) else value + by * (1 + abs(value))
        )

    assert same(moved(right, part * tolerance), right, tolerance + 1e-15)
    assert verdict({"value": right}, one(right, tolerance=0.0)).points == 2.0
    assert not finite_numbers(right) or not same(moved(right, 2 * tolerance + 1e-6), right, tolerance)


def finite_numbers(value: object) -> bool:
    """Does it hold a number at all?"""
    return any(map(finite_numbers, value)) if isinstance(value, list) else True


@given(JSON)
def test_shape_and_finite_take_any_value(value):
    assert shape(value) is None or isinstance(shape(value), tuple)
    assert isinstance(finite(value), bool)


@given(st.lists(NAMED | ANSWER, max_size=6), JSON, JSON, st.lists(JSON, max_size=2))
def test_judging_never_raises_and_never_overpays(sent, first, second, wrong):
    mistakes = {f"mistake {at}": {"value": value} for at, value in enumerate(wrong)} | {
        "one more": {"error": "E"}
    }
    probes = [one(first, mistakes=mistakes), one(second, name="b", points=1.0, says="", mistakes=mistakes)]
    verdicts = judge(sent, probes)
    assert [found.name for found in verdicts] == ["a", "b"]
    for found, probe in zip(verdicts, probes, strict=True):
        assert found.points == (probe.points if found.passed else 0)
        assert found.passed == (found.message == "")
        assert len(found.message) < 600 and found.message.isprintable()
    assert sum(found.points for found in verdicts) <= 3


@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1, 900, 10_000])
@pytest.mark.parametrize("inside", [1.0, [], "a", {"a": 1}, math.nan])
def test_nesting_however_deep_is_only_a_wrong_answer(levels, inside):
    deep = nested(levels, inside)
    for right in (1.0, [1.0], deep):
        found = verdict({"value": deep}, one(right, mistakes={"m": {"value": deep}, "n": {"error": "E"}}))
        assert found.passed is (right is deep and levels <= DEEPEST and inside in (1.0, "a", []))
    for key in ("error", "text", "name"):
        assert not verdict([{"name": "a", "error": "E"} | {key: deep}], one(1.0)).passed


def test_a_million_numbers_are_judged_in_seconds():
    began = time.process_time()
    assert not verdict({"value": [[1.0] * 1000] * 1000}, one([1.0], mistakes={"m": {"value": [2.0]}})).passed
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("sent", "right", "message"),
    [
        ([], 1.0, "No answer came. The cell stopped before this check, or was cut off."),
        ([{"name": "A", "value": 1.0}], 1.0, "No answer came. The cell stopped before this check, or was cut off."),
        ([{"name": "a", "value": 1.0}] * 2, 1.0, "This check answered more than once, so none of its answers counts."),
        ({"value": 1.0, "error": "E"}, 1.0, "It stopped with E."),
        ({}, 1.0, "It sent neither a value nor an error."),
        ({"error": ["E"]}, 1.0, "It sent neither a value nor an error."),
        ({"error": "E", "text": "why"}, 1.0, "It stopped with E: why"),
        ({"error": "E", "text": "two\nlines\x1b[2J\u202e  and \ud800"}, 1.0, "It stopped with E: two lines [2J and"),
        ({"error": "NotImplementedError"}, 1.0, "Not written yet: it still raises NotImplementedError."),
        ({"error": "KeyboardInterrupt"}, 1.0, "It took too long and was interrupted."),
        ({"value": [math.nan]}, [1.0], "The answer holds NaN or infinity."),
        ({"value": ["nan", 1.0]}, [1.0, 1.0], "The answer holds NaN or infinity."),  # as Jupyter sends it
        ({"value": {"x": [math.inf]}}, {"x": [1.0]}, "The answer holds NaN or infinity."),
        ({"value": [1.0]}, 7.5, f"The answer has shape (1,). Shape () {SINGLE}"),
        ({"value": 1}, [[7.5]], f"The answer is a single number. Shape (1, 1) {SINGLE}"),
        ({"value": [[1], []]}, [7.5], f"The answer is not a regular array of numbers. Shape (1,) {SINGLE}"),
        ({"value": True}, [7.5], f"The answer is not a regular array of numbers. Shape (1,) {SINGLE}"),
        ({"value": []}, [7.5], f"The answer has shape (0,). Shape (1,) {SINGLE}"),
        ({"value": 2.0}, 7.5, "Try again."),
        ({"value": [1.0]}, "secret", "Try again."),
    ],
)  # fmt: skip
def test_what_a_student_is_told(sent, right, message):
    found = verdict(sent, one(right))
    assert (found.passed, found.message) == (False, message)
    assert "7.5" not in found.message and "secret" not in found.message


@given(st.text(max_size=300), st.text(max_size=60))
def test_a_message_is_one_line_that_any_file_can_hold(text, error):
    message = verdict({"error": error, "text": text}, one(1.0)).message
    assert message.isprintable() and len(message) < 300
    json.dumps(message).encode()
    message.encode()


@given(ARRAYS, st.floats(1000, 2000))
def test_no_message_holds_a_number_of_the_right_answer(sent, right):
    """Shapes may be told, values not."""
    message = verdict({"value": sent}, one([right + 0.123456, right], says="")).message
    assert message and str(right) not in message and str(right + 0.123456) not in message


def three(*mistakes: dict) -> list[Expected]:
    """Three probes, named a, b, c, with right answers 1, 2, 3 and what known mistakes send instead."""
    probes = []
    for at, name in enumerate("abc"):
        wrong = {f"m{which}": sends[name] for which, sends in enumerate(mistakes) if name in sends}
        probes.append(one(at + 1.0, name=name, mistakes=wrong))
    return probes


def told(probes: list[Expected], **sent) -> list[str]:
    answers = [
        {"name": name} | (value if isinstance(value, dict) else {"value": value})
        for name, value in sent.items()
    ]
    return [found.message for found in judge(answers, probes)]


V, TYPE_ERROR = (lambda number: {"value": number}), {"error": "TypeError"}


def test_of_mistakes_that_send_one_value_the_one_that_explains_most_is_told():
    probes = three({"a": V(9.0), "b": V(8.0)}, {"a": V(9.0), "c": V(7.0)}, {"a": V(9.0)})
    assert told(probes, a=9.0, b=8.0, c=3.0) == ["m0", "m0", ""]
    assert told(probes, a=9.0, b=2.0, c=7.0) == ["m1", "", "m1"]
    assert told(probes, a=9.0, b=2.0, c=3.0) == [
        "m2",
        "",
        "",
    ]  # that it passes b and c speaks for m2, against m0 and m1
    assert told(probes, a=9.0, b=5.0, c=5.0)[0] == "m0"  # none explains more: the first


def test_a_mistake_is_told_though_something_else_is_wrong_too():
    assert told(three({"a": V(9.0), "b": V(8.0)}), a=9.0, b=4.0, c=3.0) == ["m0", "Try again.", ""]


def test_the_kind_of_an_error_names_a_mistake_only_if_that_explains_every_answer():
    probes = three({"a": TYPE_ERROR, "b": V(8.0)})
    assert told(probes, a=TYPE_ERROR, b=8.0, c=3.0) == ["m0", "m0", ""]
    assert told(probes, a=TYPE_ERROR, b=2.0, c=3.0)[0] == "It stopped with TypeError."
    assert told(probes, a=TYPE_ERROR, b=8.0, c=TYPE_ERROR)[:2] == ["It stopped with TypeError.", "m0"]


def test_a_typo_that_stops_every_probe_is_not_taken_for_a_mistake_that_does():
    probes = three(dict.fromkeys("abc", TYPE_ERROR))
    assert told(probes, **dict.fromkeys("abc", TYPE_ERROR)) == ["It stopped with TypeError."] * 3


def test_a_known_mistake_that_sends_the_right_value_does_no_harm():
    assert told(three({"a": V(1.0)}), a=1.0, b=2.0, c=3.0) == ["", "", ""]


TRIES = ["ValueError", "ValueError", "nothing", "nothing", 2.5]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (["nothing", "TypeError", "nothing", "nothing", 2.5],
         "1 of 2 wrong ones raise no error, 1 of 2 wrong ones end in TypeError and not in ValueError."),
        (["ValueError", "ValueError", "KeyError", "nothing", 2.5], "1 of 2 right ones end in KeyError."),
        (["ValueError", "ValueError", "nothing", "nothing", "ValueError"], "1 that have an answer end in ValueError."),
        (["ValueError", 7, "nothing", "nothing", 2.5], "1 of 2 wrong ones raise no error."),
    ],
)  # fmt: skip
def test_of_several_arguments_it_is_counted_which_errors_are_missing_or_too_many(sent, says):
    assert verdict({"value": sent}, one(TRIES)).message == f"Try again. Of the arguments tried: {says}"
    assert verdict({"value": [[sent], 1]}, one([[TRIES], 1])).message.endswith(says)


def test_an_argument_that_a_stub_met_is_not_called_wrong():
    sent = ["NotImplementedError"] * 5
    assert verdict({"value": sent}, one(TRIES)).message.startswith("Not written yet")


@pytest.mark.parametrize(
    ("sent", "right"), [(["common", 1], ["unseen", 1]), (["nan"], [1.0]), ([1.0, 2.0], [1.0, 3.0]), ("x", 1)]
)
def test_words_and_numbers_are_not_taken_for_errors(sent, right):
    assert "arguments tried" not in verdict({"value": sent}, one(right)).message


@pytest.mark.parametrize(
    ("error", "text", "memory"),
    [("MemoryError", "", True), ("RuntimeError", "DefaultCPUAllocator: can't allocate memory", True),
     ("RuntimeError", "shapes", False), ("OSError", "cannot allocate memory", False)],
)  # fmt: skip
def test_too_much_memory_is_said_in_words(error, text, memory):
    assert verdict({"error": error, "text": text}, one(1.0)).message.startswith("It asked for") is memory
