"""What a graded cell calls: it runs a function on drawn input and sends the value out. It holds no expected value.

This is the one file of the course that a sandbox shows to student code, so it imports nothing of the course.
A student may read it, replace it or send values by hand: only right values score, and they are compared elsewhere.

    from papertrail.coursework.probes import draw, probe
    probe("a row of three", lambda: layer_norm(draw("row", 1, 3)), points=2, says="Is the mean taken over the row?")
"""

import hashlib
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MIME = "application/vnd.papertrail.probe+json"
LIMIT = 10_000  # numbers and signs of texts in one value
DEEPEST = 12  # levels of nesting in one value
BITS = 4_000  # of a whole number; Python refuses to read much longer ones
SEED = "PAPERTRAIL_SEED"  # set where work is graded; a class's own, so that published values are of no use


def seed_of(name: str) -> int:
    """The seed of the draw `name`: an integer made from it and from the seed of the class."""
    return int.from_bytes(
        hashlib.sha256(f"{os.environ.get(SEED, 'public')}/{name}".encode()).digest()[:6], "big"
    )


def draw(name: str, *shape: int) -> "Tensor":
    """A tensor (float64) of standard normal numbers, the same each time for one class.

    Shapes: `shape` as given; without one, a scalar.
    """
    import torch

    generator = torch.Generator("cpu").manual_seed(seed_of(name))
    return torch.randn(*(shape or [()]), dtype=torch.float64, device="cpu", generator=generator)


def draw_int(name: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included, the same each time for one class.

    Raises:
        ValueError: `low` is above `high`.
    """
    if low > high:
        raise ValueError(f"low must not be above high, got low={low} and high={high}")
    return low + seed_of(name) % (high - low + 1)


def raised(function: Callable[[], object]) -> str:
    """The name of the built-in error that `function()` raises, or "nothing"."""
    try:
        function()
    except Exception as error:
        named = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        return named[0]
    return "nothing"


def plain(value: object) -> object:
    """`value` as JSON can hold it: tensors and arrays as nested lists, tuples as lists.

    Raises:
        TypeError: a part of it is of another type.
        ValueError: it holds too many numbers, is nested too deeply, or has a part that no text can hold.
    """
    left = LIMIT

    def spend(count: int) -> None:
        nonlocal left
        left -= count
        if left < 0:
            raise ValueError(f"the answer has more than {LIMIT} numbers, or signs of text")

    def walk(value: Any, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError(f"the answer is nested more than {DEEPEST} levels deep")
        if hasattr(value, "detach"):
            value = value.detach().cpu()
        if hasattr(value, "tolist"):
            count = value.numel() if hasattr(value, "numel") else getattr(value, "size", 0)
            if count > left:  # look before it becomes a list
                spend(count)
            value = value.tolist()
        if isinstance(value, (list, tuple)):
            if not value or len(value) > left:
                spend(len(value) or 1)
            return [walk(part, depth + 1) for part in value]
        if isinstance(value, dict):
            return {walk(str(key), depth): walk(part, depth + 1) for key, part in value.items()}
        if isinstance(value, str):
            spend(len(value) or 1)
            value.encode()  # half of a surrogate pair is no text; the error says so
            return value
        spend(1)
        if isinstance(value, int) and value.bit_length() > BITS:
            raise ValueError(
                f"the answer has a whole number of {value.bit_length()} bits; at most {BITS} are taken"
            )
        if value is None or isinstance(value, (bool, int, float)):
            return value
        kind = type(value).__name__
        raise TypeError(f"the answer is of type {kind}, which is not a number, a text, a list or a tensor")

    return walk(value, 0)


def failure(error: BaseException) -> dict[str, str]:
    """An error as what a probe sends: its name and its text. The error may be of a class that misbehaves itself."""
    sent = {}
    for key, read, most in (("error", lambda: type(error).__name__, 60), ("text", lambda: str(error), 300)):
        try:
            sent[key] = str(read())[:most].encode(errors="replace").decode()
        except BaseException:
            sent[key] = "an error without a name" if key == "error" else ""
    return sent


def send(data: dict[str, Any]) -> None:
    """Send one display message out of this process."""
    from IPython.display import publish_display_data

    publish_display_data(data)


def probe(
    name: str, function: Callable[[], object], points: float = 1.0, tolerance: float = 1e-6, says: str = ""
) -> None:
    """Run `function()` and send its value, or the error that it raised, out of this process under `name`.

    Args:
        name: unique within the graded cell; it stands in the feedback, so it says what is tried.
        function: called without arguments.
        points: what a right value is worth. Read from the source notebook alone.
        tolerance: allowed difference, absolute plus relative. Read from the source notebook alone.
        says: the message for a wrong value that is none of the known mistakes. Read from the source notebook alone.
    """
    try:
        sent: dict[str, Any] = {"value": plain(function())}
    except BaseException as error:  # SystemExit and an interruption too: the probes after this one shall run
        sent = failure(error)
    text = f"probe {name}: " + (
        f"stopped with {sent['error']}" if "error" in sent else "a value was recorded"
    )
    data: dict[str, Any] = {"text/plain": text}
    if SEED in os.environ:
        data[MIME] = {"name": name, "points": points, "tolerance": tolerance, "says": says, **sent}
    # Jupyter warns of NaN, and a student may have made warnings errors.
    with warnings.catch_warnings(action="ignore"):
        send(data)
