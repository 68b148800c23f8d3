"""The random numbers of one training run, apart from everyone else's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Draws:
    """A random state that a run takes up at every piece of its work, on the CPU and on its GPU, and can store.

    Attributes:
        state: bytes; the CPU's state and, behind it, that of the GPU where the run has one.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.gpus = [device] if device.type == "cuda" else []
        places = [torch.device("cpu"), *self.gpus]
        states = [torch.Generator(at).manual_seed(seed).get_state() for at in places]
        self._cpu_bytes = len(states[0])
        self.state: Tensor = torch.cat(states)

    @contextmanager
    def taken_up(self) -> Iterator[None]:
        """Draw from this state in the block; the caller's own state is put back behind it."""
        with torch.random.fork_rng(devices=self.gpus):
            torch.set_rng_state(self.state[: self._cpu_bytes])
            for gpu in self.gpus:
                torch.cuda.set_rng_state(self.state[self._cpu_bytes :], gpu)
            yield
            self.state = torch.cat(
                [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in self.gpus)]
            )
