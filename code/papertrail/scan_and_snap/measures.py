"""What the chapter reads off an attention row: the limit of long sequences, its mass by kind of token, its entropy.

The limit is eq. 5 of Tian et al. 2023; what is read off it is our own choice.
"""

from torch import Tensor

from papertrail.scan_and_snap.setting import Language


def attention_in_the_limit(language: Language, z: Tensor) -> Tensor:
    """The attention of each class when sequences are infinitely long (Tian et al. 2023, eq. 5).

    c(l|n) = P(l|n) exp(z_ml) / sum over l' of P(l'|n) exp(z_ml'), with m = psi(n): a token that stands more often in
    the sequence gets more attention even when all logits are equal.

    Args:
        z: attention logits, (number of queries, M).

    Returns:
        (K, M), each row summing to 1.

    Raises:
        ValueError: `z` has another shape.
    """
    if z.shape != (language.num_queries, language.num_tokens):
        raise ValueError(
            f"z: got shape {tuple(z.shape)}; it must be {(language.num_queries, language.num_tokens)}"
        )
    # log P inside: a token that the class has not may have any logit, and must not set what the others are held against
    return (z[list(language.queries)] + language.probabilities.log()).softmax(1)


def mass(c: Tensor, tokens: Tensor) -> Tensor:
    """How much of each attention row lies on these tokens, a mask.

    Shapes: c (..., M), tokens (M,) -> (...).
    """
    return c[..., tokens].sum(-1)


def entropy(c: Tensor) -> Tensor:
    """The entropy of each attention row, in nats; a token without attention adds nothing.

    Shapes: c (..., M) -> (...).
    """
    return -(c * c.clamp_min(1e-300).log()).sum(-1)


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's correlation along the last axis, of values without ties.

    Shapes: a and b (..., n) -> (...).
    """
    a, b = (x.argsort(-1).argsort(-1).double() - (x.shape[-1] - 1) / 2 for x in (a, b))
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
