"""The pencil case: what is left of the input after a few sub-layers, if every branch speaks equally loud.

Each branch is replaced by a constant vector of size 1 that has nothing to do with the others. Norm and sum are
chapter 1's; nothing is trained or drawn at random.
"""

from dataclasses import dataclass
from fractions import Fraction

import torch

from papertrail.architecture_diagram.sublayer import Stage, Sublayer
from papertrail.experiments import at_least_one
from papertrail.layer_norm_placement.placements import RULES, one_of


@dataclass(frozen=True)
class Shares:
    """How much of a normalized output is input, and how much each branch; the squares add up to 1."""

    placement: str
    input: float
    branches: list[float]

    @property
    def squares(self) -> list[Fraction]:
        """The squared shares, input first, as the nearest fractions with a small denominator."""
        return [Fraction(share**2).limit_denominator(1024) for share in (self.input, *self.branches)]


def measure_shares(placement: str, sublayers: int) -> Shares:
    """Run `sublayers` sub-layers with constant, mutually orthogonal branches, and a final norm where there is one.

    Args:
        placement: "post" or "pre".
        sublayers: 1 to 8.

    Raises:
        ValueError: another placement, or another number.
    """
    one_of("placement", placement, ("post", "pre"))
    at_least_one(sublayers=sublayers)
    if sublayers > 8:
        raise ValueError(f"sublayers: got {sublayers}; allowed are 1 to 8")
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    table = signs
    while len(table) < 16:  # rows of +1 and -1, each with mean 0 but the first, all orthogonal
        table = torch.kron(table, signs)
    vectors, width = table[1:], len(table)
    before, after, ends_in_norm = RULES[placement]
    x = vectors[0]
    for k in range(1, sublayers + 1):
        x = Sublayer(lambda _, k=k: vectors[k], before, after, d_model=width, eps=0.0).double()(x)
    if ends_in_norm:
        x = Stage("n", d_model=width, eps=0.0).double()(x)
    shares = (vectors[: sublayers + 1] @ x / width).tolist()
    return Shares(placement, shares[0], shares[1:])
