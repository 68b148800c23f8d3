"""The smallest memory that shows storing, overwriting and interference: two rows, two columns, five writes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.linear_attention import linear_attention

KEYS = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (0.6, 0.8)}  # unit length; c lies between a and b
WRITES = (("a", (1.0, 2.0)), ("b", (3.0, 0.0)), ("a", (0.0, 1.0)), ("c", (1.0, 1.0)), ("b", (3.0, 0.0)))


@dataclass(frozen=True)
class Moment:
    """A memory after a number of writes.

    Attributes:
        memory: S, rows are key entries and columns value entries.
        reads: what the memory says about each key written so far.
        latest: what was written last under each of them.
    """

    memory: list[list[float]]
    reads: dict[str, list[float]]
    latest: dict[str, list[float]]

    @property
    def errors(self) -> dict[str, float]:
        """Distance of each read from what was written last."""
        return {
            key: sum((r - v) ** 2 for r, v in zip(read, self.latest[key], strict=True)) ** 0.5
            for key, read in self.reads.items()
        }


def measure_writes(rule: str, writes: tuple = WRITES) -> list[Moment]:
    """The memory after each write, by the sum rule or by the delta rule with beta = 1. Starts at zero.

    Raises:
        ValueError: the rule is neither "sum" nor "delta".
        KeyError: a write's key is not in KEYS.
    """
    if rule not in ("sum", "delta"):
        raise ValueError(f"rule: got {rule!r}; allowed are 'sum' and 'delta'")
    S = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    moments, latest = [], {}
    for name, value in writes:
        k, v = (torch.tensor(x, dtype=torch.float64).reshape(1, 1, 1, 2) for x in (KEYS[name], value))
        if rule == "sum":
            _, S = linear_attention(k, k, v, feature_map=None, normalize=False, state=S, return_state=True)
        else:
            _, S = delta_rule(k, k, v, torch.ones(1, 1, 1, dtype=torch.float64), state=S, return_state=True)
        latest[name] = list(value)
        moments.append(Moment(_rounded(S[0, 0]), {key: _read(S, key) for key in latest}, dict(latest)))
    return moments


def _read(S: Tensor, key: str) -> list[float]:
    return [round(x, 12) + 0.0 for x in (torch.tensor(KEYS[key], dtype=S.dtype) @ S[0, 0]).tolist()]


def _rounded(matrix: Tensor) -> list[list[float]]:
    return [[round(x, 12) + 0.0 for x in row] for row in matrix.tolist()]
