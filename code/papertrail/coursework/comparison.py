"""Compare what a student's probes sent with what the reference solution's sent. Runs in the grader's process.

Everything that comes from a student is only data here: texts, numbers, lists, of any size and shape, perhaps forged.
"""

import math
from dataclasses import dataclass, field

DEEPEST = 12  # levels of nesting that an answer may have
NOT_FINITE = {"nan", "inf", "-inf"}  # how Jupyter sends such numbers


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


def _text(value: object, most: int) -> str:
    """A text from a student in one line of at most `most` signs, without signs that act; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    shown = "".join(sign if sign.isprintable() else " " for sign in value[: 4 * most])
    return " ".join(shown.split())[:most]


def _why_stopped(answer: dict) -> str:
    """The message for a probe that sent an error."""
    error, text = _text(answer.get("error"), 60), _text(answer.get("text"), 200)
    if error == "NotImplementedError":
        return "Not written yet: it still raises NotImplementedError."
    if error == "KeyboardInterrupt":
        return "It took too long and was interrupted."
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
