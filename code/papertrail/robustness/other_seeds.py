"""The same experiments with other random numbers: every seed that the code asks for is moved by the same amount.

Experiments draw from three places: torch's own generator, generators made for a purpose, and numpy's. Inside the
block all three start from other seeds, without a line of the experiments being changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch


class _MovedDefault:
    """torch's default generator, whose seeds are moved; whatever else is asked of it stays."""

    def __init__(self, generator: torch.Generator, shift: int) -> None:
        self._generator, self._shift = generator, shift

    def manual_seed(self, seed: int) -> torch.Generator:
        return self._generator.manual_seed(seed + self._shift)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


@contextmanager
def moved_seeds(shift: int) -> Iterator[None]:
    """Move every seed by `shift` inside the block.

    Args:
        shift: added to each seed; 0 leaves everything as it is. Experiments use small seeds and sums of them, so
            that a shift of a million meets none of them again.

    Raises:
        ValueError: shift is negative.
    """
    if shift < 0:
        raise ValueError(f"shift: got {shift}; allowed are 0 and more")

    class Moved(torch.Generator):
        def manual_seed(self, seed: int) -> torch.Generator:
            return super().manual_seed(seed + shift)

    drawn, seeded = np.random.default_rng, torch.manual_seed
    with (
        mock.patch.object(torch, "Generator", Moved),
        mock.patch.object(torch, "default_generator", _MovedDefault(torch.default_generator, shift)),
        mock.patch.object(torch, "manual_seed", lambda seed: seeded(seed + shift)),
        mock.patch.object(np.random, "default_rng", lambda seed: drawn(seed + shift)),
    ):
        yield
