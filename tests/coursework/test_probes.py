"""Whatever an answer is, its probe sends one message that JSON can hold, and the probes after it run."""

import json
import math
import os
import subprocess
import sys
import warnings
from collections import namedtuple
from enum import IntEnum
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from papertrail.coursework import probes
from papertrail.coursework.comparison import finite, same
from papertrail.coursework.probes import (
    BITS,
    DEEPEST,
    LIMIT,
    MIME,
    SEED,
    draw,
    draw_int,
    plain,
    probe,
    raised,
    seed_of,
)

Pair = namedtuple("Pair", "left right")
Colour = IntEnum("Colour", "RED")


@pytest.fixture
def sent(monkeypatch):
    """What probes send, in a class."""
    messages: list[dict] = []
    monkeypatch.setenv(SEED, "a class")
    monkeypatch.setattr(probes, "send", messages.append)
    return messages


def throw(error: BaseException):
    raise error


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (torch.tensor([[1.0, 2.0]]), [[1.0, 2.0]]), (torch.tensor(2.5), 2.5), (torch.zeros(0, 3), []),
        (torch.zeros(2, 0), [[], []]), (torch.ones(2, dtype=torch.bfloat16), [1.0, 1.0]),
        (torch.ones(2, dtype=torch.float16), [1.0, 1.0]), (torch.tensor([True, False]), [True, False]),
        (torch.tensor([2**62]), [2**62]), (torch.ones(2, requires_grad=True), [1.0, 1.0]),
        (torch.nn.Parameter(torch.ones(1)), [1.0]), (torch.ones(2, requires_grad=True) * 2, [2.0, 2.0]),
        (torch.Size([2, 3]), [2, 3]), (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True),
        (np.str_("a"), "a"), (np.ones((1, 2)), [[1.0, 1.0]]),
        (np.array([1, [2, "a"]], dtype=object), [1, [2, "a"]]), (((1, 2), (3, (4,))), [[1, 2], [3, [4]]]),
        (Pair(1, 2.0), [1, 2.0]), ({1: torch.ones(1), "b": None}, {"1": [1.0], "b": None}),
        ([torch.ones(1), np.zeros(1), "x"], [[1.0], [0.0], "x"]), (None, None), (True, True), ("", ""),
        (-0.0, -0.0), (Colour.RED, 1), ([], []), (torch.zeros(100, 100), [[0.0] * 100] * 100),
    ],
)  # fmt: skip
def test_a_value_becomes_what_json_can_hold(value, right):
    found = plain(value)
    assert found == right and type(found) in (type(right), Colour)
    assert json.loads(json.dumps(found)) == right


def test_numbers_that_are_not_finite_stay_so():
    found = plain([torch.tensor([math.nan, math.inf]), -math.inf, np.nan])
    assert (
        math.isnan(found[0][0]) and found[0][1] == math.inf and found[1] == -math.inf and math.isnan(found[2])
    )
    back = json.loads(json.dumps(found))
    assert math.isnan(back[0][0]) and back[1] == -math.inf


def test_types_of_numbers_stay_apart():
    assert [type(part) for part in plain([torch.tensor(1), torch.tensor(1.0), torch.tensor(True)])] == [
        int,
        float,
        bool,
    ]


class Itself:
    """Something whose list is itself, or whose methods do not work."""

    def __init__(self, **methods):
        self.__dict__.update(methods)


class Shy:
    """Something that raises when it is looked at."""

    def __getattr__(self, name):
        raise RuntimeError(name)


def circle() -> list:
    inner: list = []
    inner.append(inner)
    return inner


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


HUGE = 10**12
REFUSED = {
    "complex": (lambda: torch.tensor([1j]), "TypeError", "type complex"),
    "a set": (lambda: {1}, "TypeError", "type set"),
    "a generator": (lambda: (x for x in ()), "TypeError", "type generator"),
    "a module": (lambda: torch.nn.Linear(1, 1), "TypeError", "type Linear"),
    "a function": (lambda: plain, "TypeError", "type function"),
    "bytes": (lambda: b"a", "TypeError", "type bytes"),
    "a date": (lambda: np.datetime64("2026-01-01"), "TypeError", "type date"),
    "a sparse tensor": (lambda: torch.eye(2).to_sparse(), "", ""),
    "a tensor without numbers": (lambda: torch.ones(2, device="meta"), "NotImplementedError", ""),
    "a huge tensor": (lambda: torch.zeros(1).expand(HUGE), "ValueError", f"more than {LIMIT} numbers"),
    "a huge array": (lambda: np.broadcast_to(np.zeros(1), HUGE), "ValueError", f"more than {LIMIT} numbers"),
    "a tensor too large": (lambda: torch.zeros(LIMIT + 1), "ValueError", f"more than {LIMIT} numbers"),
    "a list too long": (lambda: [0] * (LIMIT + 1), "ValueError", f"more than {LIMIT} numbers"),
    "lists too long": (lambda: [[0] * 101] * 100, "ValueError", f"more than {LIMIT} numbers"),
    "empty lists": (lambda: [[[]] * 101] * 100, "ValueError", f"more than {LIMIT} numbers"),
    "tensors together": (lambda: [torch.zeros(101)] * 100, "ValueError", f"more than {LIMIT} numbers"),
    "a long text": (lambda: "a" * (LIMIT + 1), "ValueError", "signs of text"),
    "long texts": (lambda: {"a": "b" * LIMIT}, "ValueError", "signs of text"),
    "half a pair": (lambda: "\ud800", "UnicodeEncodeError", "surrogates"),
    "half a pair as a key": (lambda: {"\ud800": 1}, "UnicodeEncodeError", "surrogates"),
    "a number too long": (lambda: 10**5000, "ValueError", f"at most {BITS}"),
    "a list in itself": (circle, "ValueError", f"more than {DEEPEST} levels"),
    "too deep": (lambda: deep(DEEPEST + 1), "ValueError", f"more than {DEEPEST} levels"),
    "far too deep": (lambda: deep(100_000), "ValueError", f"more than {DEEPEST} levels"),
    "no method": (lambda: Itself(detach=None), "TypeError", ""),
    "a list that fails": (lambda: Itself(tolist=lambda: throw(SystemExit(3))), "SystemExit", "3"),
    "a detach that fails": (lambda: Itself(detach=lambda: throw(KeyError("k"))), "KeyError", "k"),
    "a count of another kind": (lambda: Itself(numel=lambda: "many", tolist=list), "TypeError", ""),
    "a mock": (MagicMock, "TypeError", ""),
    "shy": (Shy, "RuntimeError", "detach"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_such_form_is_sent_as_an_error(sent, case):
    make, error, text = REFUSED[case]
    with warnings.catch_warnings(action="ignore"):
        probe("it", make)
    (message,) = sent
    assert "value" not in message[MIME]
    assert error in message[MIME]["error"] and text in message[MIME]["text"]
    json.dumps(message, allow_nan=False, ensure_ascii=False).encode()


class Mute(Exception):
    """An error that cannot be told."""

    def __str__(self):
        raise KeyboardInterrupt


class Nameless(type):
    @property
    def __name__(cls):
        raise SystemExit


class Unnamed(Exception, metaclass=Nameless):
    """An error whose kind cannot be told."""


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("why"), "ValueError", "why"), (SystemExit(1), "SystemExit", "1"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""), (GeneratorExit(), "GeneratorExit", ""),
        (NotImplementedError(), "NotImplementedError", ""), (Mute(), "Mute", ""),
        (Unnamed("why"), "an error without a name", "why"),
        (ValueError("\ud800" + "a" * 999), "ValueError", "?" + "a" * 299),
        (BaseExceptionGroup("two", [SystemExit(), ValueError()]), "BaseExceptionGroup", "two (2 sub-exceptions)"),
    ],
)  # fmt: skip
def test_every_error_is_sent_and_the_next_probe_runs(sent, error, kind, text):
    probe("first", lambda: throw(error))
    probe("second", lambda: 1)
    first, second = (message[MIME] for message in sent)
    assert (first["error"], first["text"]) == (kind, text) and "value" not in first
    assert (second["name"], second["value"]) == ("second", 1) and "error" not in second


def test_a_probe_of_what_is_no_function_sends_an_error(sent):
    probe("a", 3)
    assert sent[0][MIME]["error"] == "TypeError"


def test_a_message_holds_what_the_author_said_and_a_line_without_the_value(sent):
    probe("a row", lambda: 12345.0, points=2, tolerance=0.1, says="Look again.")
    (message,) = sent
    assert message == {
        "text/plain": "probe a row: a value was recorded",
        MIME: {"name": "a row", "points": 2, "tolerance": 0.1, "says": "Look again.", "value": 12345.0},
    }


def test_outside_a_class_no_value_is_sent(sent, monkeypatch):
    monkeypatch.delenv(SEED)
    probe("a", lambda: 1)
    probe("b", lambda: throw(ValueError()))
    assert sent == [
        {"text/plain": "probe a: a value was recorded"},
        {"text/plain": "probe b: stopped with ValueError"},
    ]


def test_warnings_made_errors_do_not_stop_a_message(monkeypatch):
    monkeypatch.setattr(probes, "send", lambda data: warnings.warn("NaN", stacklevel=1))
    with warnings.catch_warnings(action="error"):
        probe("a", lambda: math.nan)


def test_what_jupyter_makes_of_a_value_still_reads_as_that_value(sent):
    """Jupyter's own packing turns NaN into a text; the message for NaN must still be given."""
    from jupyter_client.session import json_packer, json_unpacker

    probe("a", lambda: torch.tensor([1.5, math.nan]))
    probe("b", lambda: torch.tensor([1 / 3, -0.0], dtype=torch.float64))
    with warnings.catch_warnings(action="ignore"):
        nan, fine = (json_unpacker(json_packer(message))[MIME]["value"] for message in sent)
    assert not finite(nan) and finite(fine)
    assert same(fine, [1 / 3, 0.0], 0.0)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError(), "ValueError"), (type("Own", (KeyError,), {})(), "KeyError"),
        (json.JSONDecodeError("", "", 0), "ValueError"), (torch.OutOfMemoryError(), "RuntimeError"),
        (AssertionError(), "AssertionError"), (Exception(), "Exception"),
    ],
)  # fmt: skip
def test_the_name_of_a_built_in_error_is_told(error, name):
    assert raised(lambda: throw(error)) == name


def test_no_error_is_told_as_nothing_and_an_exit_goes_on_to_the_probe():
    assert raised(lambda: 1) == "nothing"
    for stop in (SystemExit, KeyboardInterrupt):
        with pytest.raises(stop):
            raised(lambda stop=stop: throw(stop()))


def drawn(seed: str | None, name: str) -> tuple:
    before = os.environ.pop(SEED, None)
    try:
        os.environ |= {SEED: seed} if seed is not None else {}
        return seed_of(name), draw(name, 2, 3).tolist(), draw(name).item(), draw_int(name, 0, 10**9)
    finally:
        os.environ.pop(SEED, None)
        os.environ |= {SEED: before} if before is not None else {}


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=8), st.text(max_size=8))
def test_draws_are_the_same_for_one_class_and_name_and_differ_for_others(seed, name):
    here = drawn(seed, name)
    torch.manual_seed(0)
    assert drawn(seed, name) == here
    others = [drawn(seed + "x", name), drawn(seed, name + "x"), drawn(None, name)]
    assert all(
        mine != other for them in others for mine, other in zip(here, them, strict=True) if seed != "public"
    )


def test_the_draws_without_a_class_stay_as_they_are(monkeypatch):
    monkeypatch.delenv(SEED, raising=False)
    assert (seed_of("a"), draw_int("a", 1, 100)) == (152824090154239, 40)


def test_a_draw_is_a_tensor_of_doubles_of_the_shape_asked_for():
    assert (draw("a", 2, 3).shape, draw("a", 2, 3).dtype, draw("a").shape) == ((2, 3), torch.float64, ())
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float16)
        torch.set_default_device("meta")
        assert draw("a", 2).device.type == "cpu" and draw("a", 2).dtype == torch.float64
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(before)


@given(st.integers(-5, 5), st.integers(0, 3))
def test_whole_numbers_cover_their_range_and_its_ends(low, more):
    assert {draw_int(f"name {at}", low, low + more) for at in range(60)} == set(range(low, low + more + 1))


def test_a_range_that_is_none_is_refused():
    with pytest.raises(ValueError, match="low=3 and high=2"):
        draw_int("a", 3, 2)


ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from papertrail.coursework import probes
ours = sorted(name for name in sys.modules if name.startswith("papertrail"))
assert ours == ["papertrail", "papertrail.coursework", "papertrail.coursework.probes"], ours
assert not {"torch", "numpy", "IPython"} & sys.modules.keys()
sent = []
probes.send = sent.append
probes.probe("a", lambda: probes.draw_int("a", 1, 6))
probes.probe("b", lambda: 1 / 0)
assert [list(message) for message in sent] == [["text/plain", probes.MIME]] * 2
print(sent[0][probes.MIME]["value"] in range(1, 7), sent[1][probes.MIME]["error"])
"""


def test_it_works_alone_in_a_bare_folder_and_brings_nothing_with_it(tmp_path):
    """As the sandbox has it: one file, in folders that are no packages."""
    folder = tmp_path / "papertrail" / "coursework"
    folder.mkdir(parents=True)
    (folder / "probes.py").write_text(Path(probes.__file__).read_text())
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={SEED: "x"}, timeout=60)
    assert (done.stdout, done.stderr) == ("True ZeroDivisionError\n", "")
