"""The smallest case in which Post-LN and Pre-LN part: width 2, two sub-layers that only multiply."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram.sublayer import Stage, Sublayer


class Times(nn.Module):
    """Multiply by a number: a sub-layer that can be followed with a pencil."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """The factor times x. Shapes: x (..., D) -> (..., D)."""
        return self.factor * x


@dataclass(frozen=True)
class HandStep:
    """One sub-layer's input and output, as whole numbers; sub-layer 0 is the final stage."""

    rule: str
    sublayer: str
    before: tuple[int, ...]
    after: tuple[int, ...]


def measure_by_hand(factors: tuple[float, ...] = (3.0, -2.0)) -> list[HandStep]:
    """Run (1, -1) through the same two sub-layers under none/an and n/a, to the last norm."""
    steps = []
    for preprocess, postprocess in (("none", "an"), ("n", "a")):
        x = torch.tensor([1.0, -1.0])
        parts = [Sublayer(Times(factor), preprocess, postprocess, d_model=2) for factor in factors]
        named = [*enumerate(parts, start=1), ("end", Stage(preprocess, d_model=2))]
        for name, part in named:
            y = part(x).detach()
            steps.append(HandStep(f"{preprocess}/{postprocess}", str(name), _whole(x), _whole(y)))
            x = y
    return steps


def _whole(x: Tensor) -> tuple[int, ...]:
    return tuple(round(value) for value in x.tolist())
