"""The data of Tian et al. 2023, "Scan and Snap": sequence classes, their tokens, and sequences drawn from them.

Section 3: a sequence is T - 1 contextual tokens, one query token (the last), and the target to predict. Each target n
has its own query psi(n) and its own distribution P(l|n) over the M contextual tokens, of which the T - 1 are drawn
independently: their order says nothing. Token numbers: the contextual tokens first, then the queries, then the targets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from papertrail.experiments import at_least_one

DTYPE = torch.float64  # the matrices are small, and conserved quantities are held to parts in a thousand


@dataclass(frozen=True)
class Language:
    """K sequence classes over M contextual tokens, all classes equally likely.

    Attributes:
        probabilities: P(l|n), shape (K, M), each row summing to 1.
        queries: psi(n) for each target n, numbered from 0; two targets may share a query.

    Raises:
        ValueError: a row of `probabilities` is no distribution, or `queries` does not count from 0 without gaps.
    """

    probabilities: Tensor
    queries: tuple[int, ...]

    def __post_init__(self) -> None:
        P = self.probabilities
        if not isinstance(P, Tensor) or P.dim() != 2:
            got = f"shape {tuple(P.shape)}" if isinstance(P, Tensor) else f"a {type(P).__name__}"
            raise ValueError(f"probabilities: got {got}; allowed is a tensor (K, M)")
        sums = P.sum(1)
        if (P < 0).any() or not torch.allclose(sums, torch.ones_like(sums)):
            raise ValueError(
                f"probabilities: got entries from {P.min():g} up, in rows that sum to {sums.min():g} to "
                f"{sums.max():g}; allowed are entries from 0 up, in rows that sum to 1"
            )
        if len(self.queries) != len(P) or set(self.queries) != set(range(len(set(self.queries)))):
            raise ValueError(
                f"queries: got {self.queries}; allowed is one for each of {len(P)} targets, from 0"
            )

    @property
    def num_classes(self) -> int:
        """K, the number of targets."""
        return len(self.probabilities)

    @property
    def num_tokens(self) -> int:
        """M, the number of contextual tokens."""
        return self.probabilities.shape[1]

    @property
    def num_queries(self) -> int:
        """How many query tokens there are: K, or fewer where targets share one."""
        return len(set(self.queries))

    @property
    def vocabulary(self) -> int:
        """All tokens: contextual, queries and targets."""
        return self.num_tokens + self.num_queries + self.num_classes

    @property
    def common(self) -> Tensor:
        """Which contextual tokens occur with several targets (section 3.2, "common tokens"), shape (M,)."""
        return (self.probabilities > 0).sum(0) > 1

    def distinct(self, target: int) -> Tensor:
        """Which contextual tokens occur with this target and no other (section 3.2, "distinct tokens"), shape (M,)."""
        return (self.probabilities[target] > 0) & ~self.common

    def query_token(self, target: int) -> int:
        """The number of the query token psi(n) in the vocabulary."""
        return self.num_tokens + self.queries[target]

    def target_token(self, target: int) -> int:
        """The number of the target itself in the vocabulary."""
        return self.num_tokens + self.num_queries + target

    def sample(self, batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw sequences of `length` tokens, the last of them the query, and their targets.

        Returns:
            Tokens (batch, length) and classes (batch,), the latter from 0 to K - 1.

        Raises:
            ValueError: `batch` is below 1, or `length` below 2.
        """
        at_least_one(batch=batch)
        if length < 2:
            raise ValueError(
                f"length: got {length}; allowed are integers from 2 up, the query being the last token"
            )
        classes = torch.randint(self.num_classes, (batch,), generator=generator)
        context = torch.multinomial(
            self.probabilities[classes], length - 1, replacement=True, generator=generator
        )
        queries = self.num_tokens + torch.tensor(self.queries)[classes]
        return torch.cat([context, queries[:, None]], 1), classes


def make_language(
    classes: int, *, distinct: int, common: int, targets_per_query: int = 1, lowest: float = 0.1
) -> Language:
    """Classes with the same common tokens and their own distinct ones, as the paper's synthetic data (section 6).

    Within a class each common token has weight 1 and the distinct ones have weights rising evenly from `lowest` to 1;
    then the weights are divided by their sum. The common tokens come first, then the distinct ones class by class.

    Raises:
        ValueError: a count is below 1, `targets_per_query` does not divide `classes`, or `lowest` is not in (0, 1].
    """
    at_least_one(classes=classes, distinct=distinct, common=common, targets_per_query=targets_per_query)
    if classes % targets_per_query:
        raise ValueError(
            f"targets_per_query: got {targets_per_query}; allowed are divisors of classes, {classes}"
        )
    if not 0 < lowest <= 1:
        raise ValueError(f"lowest: got {lowest}; allowed are numbers above 0 up to 1")
    weights = torch.zeros(classes, common + classes * distinct, dtype=DTYPE)
    weights[:, :common] = 1.0
    for n in range(classes):
        start = common + n * distinct
        weights[n, start : start + distinct] = torch.linspace(lowest, 1.0, distinct, dtype=DTYPE)
    return Language(
        weights / weights.sum(1, keepdim=True), tuple(n // targets_per_query for n in range(classes))
    )


def syn_small() -> Language:
    """The data of the paper's figure 4: two targets with a query each, 10 common tokens, 10 distinct tokens each."""
    return make_language(2, distinct=10, common=10)
