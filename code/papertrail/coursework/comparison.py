"""Compare what a student's probes sent with what the reference solution's sent. Runs in the grader's process.

Everything that comes from a student is only data here: texts, numbers, lists, of any size and shape, perhaps forged.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

DEEPEST = 12  # levels of nesting that an answer may have
NOT_FINITE = {"nan", "inf", "-inf"}  # how Jupyter sends such numbers
NOTHING = "nothing"  # what `probes.raised` gives where no error came
NOT_WRITTEN = "Not written yet: it still raises NotImplementedError."


@dataclass(frozen=True)
class Expected:
    """One probe of the reference solution: its value, its worth, and what each known mistake sends instead.

    `mistakes` maps the message of a known mistake to what it sends where that is wrong: a "value", or an "error".
    A probe that a mistake passes does not list it.
    """

    name: str
    value: object
    points: float
    tolerance: float
    says: str
    mistakes: dict[str, dict] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """One probe of one student: passed or not, the points, and the message for a failed one."""

    name: str
    passed: bool
    points: float
    message: str


def _close(given: float, right: float, tolerance: float) -> bool:
    """Are two numbers within `tolerance`, absolute plus relative? Whole numbers are compared exactly, of any size."""
    if not all(isinstance(number, int) or math.isfinite(number) for number in (given, right)):
        return False
    try:
        return given == right or abs(given - right) <= tolerance * (1 + abs(right))
    except OverflowError:  # a whole number that is larger than every float
        return False


def same(given: object, right: object, tolerance: float, depth: int = 0) -> bool:
    """Are two plain values the same: structure exactly, numbers within `tolerance`, absolute plus relative?

    True and 1 are not the same. Numbers that are not finite are the same as nothing.
    """
    if depth > DEEPEST:
        return False
    if isinstance(right, bool) or isinstance(given, bool) or right is None or isinstance(right, str):
        return type(given) is type(right) and given == right
    if isinstance(right, (int, float)):
        return isinstance(given, (int, float)) and _close(given, right, tolerance)
    if isinstance(right, list):
        return (isinstance(given, list) and len(given) == len(right)
                and all(same(a, b, tolerance, depth + 1) for a, b in zip(given, right, strict=True)))  # fmt: skip
    if isinstance(right, dict):
        return (isinstance(given, dict) and given.keys() == right.keys()
                and all(same(given[key], right[key], tolerance, depth + 1) for key in right))  # fmt: skip
    return False


def shape(value: object, depth: int = 0) -> tuple[int, ...] | None:
    """The shape of nested lists of numbers, () for a number, None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ()
    if not isinstance(value, list) or depth > DEEPEST:
        return None
    parts = {shape(part, depth + 1) for part in value}
    inner = parts.pop() if parts else ()
    return None if parts or inner is None else (len(value), *inner)


def finite(value: object, depth: int = 0) -> bool:
    """Is no number in nested lists and dictionaries NaN or infinite? Jupyter sends those as texts."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return value not in NOT_FINITE
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list) and depth <= DEEPEST:
        return all(finite(part, depth + 1) for part in value)
    return True


def _agrees(sent: dict, mistake: dict, tolerance: float) -> bool:
    """Did a student send what a known mistake sends: the same value, or the same kind of error?"""
    if "error" in mistake:
        return sent.get("error") == mistake["error"]
    return "error" not in sent and "value" in sent and same(sent["value"], mistake["value"], tolerance)


def _agreement(sent: dict[str, list[dict]], probes: list[Expected]) -> tuple[dict[str, int], set[str]]:
    """On how many probes a student did as each known mistake does, and which mistakes account for all they sent.

    To do as it does is to send the same, or to pass where it passes. A mistake accounts for all only where some of
    that are values: a typo raises a TypeError everywhere too.
    """
    counts = {says: 0 for expected in probes for says in expected.mistakes}
    with_values = set()
    for expected in probes:
        answers = sent.get(expected.name, [])
        for says in counts:
            mistake = expected.mistakes.get(says, {"value": expected.value})
            if len(answers) == 1 and _agrees(answers[0], mistake, expected.tolerance):
                counts[says] += 1
                with_values |= {says} if "value" in mistake else set()
    return counts, {says for says in with_values if counts[says] == len(probes)}


def one_line(value: object, most: int) -> str:
    """A text from a student in one line of at most `most` signs, without signs that act; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    shown = "".join(sign if sign.isprintable() else " " for sign in value[: 4 * most])
    return " ".join(shown.split())[:most]


def _is_error(value: object) -> bool:
    """Is this the name of an error, as `probes.raised` gives it?"""
    return isinstance(value, str) and value.isidentifier() and value[-60:].endswith(("Error", "Exception"))


def _pairs(given: object, right: object, depth: int = 0) -> Iterator[tuple[object, object]]:
    """The parts of two nested lists that stand at the same place, down to the lists that differ in length."""
    if isinstance(given, list) and isinstance(right, list) and len(given) == len(right) and depth <= DEEPEST:
        for one, other in zip(given, right, strict=True):
            yield from _pairs(one, other, depth + 1)
    else:
        yield given, right


def _errors(given: object, right: object) -> str:
    """How the errors in an answer differ from the right ones, counted and not shown; "" where none does.

    An answer has errors in it where a probe tries several arguments and notes what each of them raises.
    """
    others: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    stopped: Counter[str] = Counter()
    through = wrong = right_ones = 0
    for one, other in _pairs(given, right):
        wrong, right_ones = wrong + _is_error(other), right_ones + (other == NOTHING)
        if one == other or not (_is_error(one) or _is_error(other)):
            continue
        if one == "NotImplementedError":
            return NOT_WRITTEN
        if _is_error(other) and _is_error(one):
            others[f"{one} and not in {other}"] += 1
        elif _is_error(other):
            through += 1
        else:
            (refused if other == NOTHING else stopped)[f"{one}"] += 1
    parts = [f"{through} of {wrong} wrong ones raise no error"] if through else []
    parts += [f"{number} of {wrong} wrong ones end in {names}" for names, number in others.most_common(2)]
    parts += [f"{number} of {right_ones} right ones end in {name}" for name, number in refused.most_common(2)]
    parts += [f"{number} that have an answer end in {name}" for name, number in stopped.most_common(2)]
    return f"Of the arguments tried: {', '.join(parts)}." if parts else ""


def _why_stopped(answer: dict) -> str:
    """The message for a probe that sent an error."""
    error, text = one_line(answer.get("error"), 60), one_line(answer.get("text"), 200)
    if error == "NotImplementedError":
        return NOT_WRITTEN
    if error == "KeyboardInterrupt":
        return "It took too long and was interrupted."
    if error == "MemoryError" or (error == "RuntimeError" and "allocate memory" in text):
        return (
            "It asked for too much memory: a tensor that is very large, or a loop that collects without end."
        )
    if not error:
        return "It sent neither a value nor an error."
    return f"It stopped with {error}: {text}" if text else f"It stopped with {error}."


def _why(answers: list[dict], expected: Expected, counts: dict[str, int], certain: set[str]) -> str:
    """The message for a probe that did not send the right value, once.

    A value names the known mistakes that send it. An error names only those that account for everything else too.
    """
    if not answers:
        return "No answer came. The cell stopped before this check, or was cut off."
    if len(answers) > 1:
        return "This check answered more than once, so none of its answers counts."
    (answer,) = answers
    named = [says for says, mistake in expected.mistakes.items() if _agrees(answer, mistake, expected.tolerance)
             and ("error" not in mistake or says in certain)]  # fmt: skip
    if named:
        return max(named, key=lambda says: counts[says])
    if "error" in answer or "value" not in answer:
        return _why_stopped(answer)
    value, right = answer["value"], shape(expected.value)
    if errors := _errors(value, expected.value):
        return errors if errors == NOT_WRITTEN else f"{expected.says} {errors}".strip()
    if not finite(value) and finite(expected.value):
        return "The answer holds NaN or infinity."
    if right is not None and (got := shape(value)) != right:
        is_ = (
            f"has shape {got}"
            if got
            else "is a single number"
            if got == ()
            else "is not a regular array of numbers"
        )
        return f"The answer {is_}. Shape {right} is right, where () is a single number."
    return expected.says or "The value is wrong."


def judge(sent: list[dict], probes: list[Expected]) -> list[Verdict]:
    """One verdict for each expected probe, in their order.

    Args:
        sent: what the graded cell of a student sent: dictionaries with "name" and "value" or "error", untrusted.
        probes: the reference solution's.
    """
    by_name: dict[str, list[dict]] = {}
    for answer in sent:
        if isinstance(answer, dict) and isinstance(answer.get("name"), str):
            by_name.setdefault(answer["name"], []).append(answer)
    counts, certain = _agreement(by_name, probes)
    verdicts = []
    for expected in probes:
        answers = by_name.get(expected.name, [])
        passed = (len(answers) == 1 and "value" in answers[0] and "error" not in answers[0]
                  and same(answers[0]["value"], expected.value, expected.tolerance))  # fmt: skip
        message = "" if passed else _why(answers, expected, counts, certain)
        verdicts.append(Verdict(expected.name, passed, expected.points if passed else 0.0, message))
    return verdicts
