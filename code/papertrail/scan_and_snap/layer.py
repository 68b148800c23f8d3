"""The one-layer model of Tian et al. 2023, "Scan and Snap", in the matrices Y and Z, and its gradient by hand.

Section 3.1: of W_Q, W_K, W_V and the embedding U only two products ever reach the output, so the paper trains those:
the decoder's logits Y and the attention's logits Z, both starting at zero. V counts all tokens of the vocabulary.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.scan_and_snap.setting import DTYPE, syn_small


def attended(Z: Tensor, tokens: Tensor) -> Tensor:
    """How much attention the query gives to each token of the vocabulary: X^T b of eq. 2.

    The query is the last token. It does not attend to itself, and a token that stands several times in the sequence
    collects the attention of all its places.

    Args:
        Z: attention logits, row = the query's token, column = the token attended to, (V, V).
        tokens: token numbers, (B, T), the query last.

    Returns:
        (B, V), each row summing to 1.

    Raises:
        ValueError: `tokens` is not (B, T) with T of at least 2.
    """
    if tokens.dim() != 2 or tokens.shape[1] < 2:
        raise ValueError(
            f"tokens: got shape {tuple(tokens.shape)}; allowed are (B, T) with T from 2 up, the query last"
        )
    context, query = tokens[:, :-1], tokens[:, -1:]
    b = Z[query, context].softmax(-1)  # (B, T - 1)
    return b.new_zeros(len(tokens), Z.shape[1]).scatter_add(1, context, b)


def forward(Y: Tensor, Z: Tensor, tokens: Tensor, residual: bool = False) -> Tensor:
    """The logits of the next token: Y^T LN(X^T b), where LN divides by the l2 norm (Tian et al. 2023, eqs. 1 and 2).

    Args:
        Y: decoder logits, row = a token attended to, column = a token predicted, (V, V).
        Z: attention logits, row = the query's token, column = the token attended to, (V, V).
        tokens: token numbers, (B, T), the query last.
        residual: add the query's own one-hot vector before the norm (section 7).

    Returns:
        (B, V).

    Raises:
        ValueError: `tokens` is not (B, T) with T of at least 2.
    """
    c = attended(Z, tokens)
    if residual:
        c = c + F.one_hot(tokens[:, -1], Z.shape[1])
    return c / c.norm(dim=-1, keepdim=True) @ Y


def gradients_by_hand(Y: Tensor, Z: Tensor, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of the mean cross-entropy with respect to Y and Z (Tian et al. 2023, lemma 1, eq. 3).

    The paper's dY/dt and dZ/dt are the negatives of these, times the learning rates. With c = X^T b, f = c / |c| and
    the errors e = p - target: each sequence adds f e^T to Y, and diag(c) (I - f f^T) Y e / |c| to its query's row of Z.

    Args:
        targets: the token to predict, (B,).

    Shapes: Y and Z (V, V), tokens (B, T), targets (B,).

    Returns:
        dY and dZ, both (V, V).
    """
    c = attended(Z, tokens)
    norm = c.norm(dim=-1, keepdim=True)
    f = c / norm
    errors = ((f @ Y).softmax(-1) - F.one_hot(targets, Y.shape[1])) / len(tokens)  # (B, V)
    back = errors @ Y.T  # (B, V), what Y sends back to each attended token
    across = back - (back * f).sum(-1, keepdim=True) * f  # LN passes on only what is orthogonal to f
    dZ = torch.zeros_like(Z).index_add(0, tokens[:, -1], c * across / norm)
    return f.T @ errors, dZ


def from_weights(U: Tensor, W_Q: Tensor, W_K: Tensor, W_V: Tensor) -> tuple[Tensor, Tensor]:
    """Y and Z of a layer given by its weights (Tian et al. 2023, section 3.1).

    Y = U W_V^T U^T and Z = U W_Q W_K^T U^T / sqrt(d), with one embedding for tokens read and tokens predicted.

    Shapes: U (V, d); W_Q, W_K, W_V (d, d) -> (V, V) each.
    """
    return U @ W_V.T @ U.T, U @ W_Q @ W_K.T @ U.T / math.sqrt(U.shape[1])


@dataclass(frozen=True)
class LemmaOne:
    """Lemma 1 at random weights: the largest deviations over seeds, and the smallest move of what should move."""

    difference: float  # between the gradient by hand and automatic differentiation
    row_sum: float  # of a row of either gradient
    other_rows: float  # moved rows of Z that are not the sequence's own query
    own_row: float  # the smallest of the seeds' largest moves in the query's own row
    seeds: int


def measure_lemma_1(seeds: int = 5) -> LemmaOne:
    """One sequence at a time, as in the paper (batch size 1), of the small language and at random Y and Z."""
    language, found = syn_small(), []
    for seed in range(seeds):
        draw = torch.Generator().manual_seed(seed)
        tokens, classes = language.sample(1, 33, draw)
        targets = classes + language.target_token(0)
        Y, Z = torch.randn(2, language.vocabulary, language.vocabulary, dtype=DTYPE, generator=draw)
        byhand = gradients_by_hand(Y, Z, tokens, targets)
        Y.requires_grad_(), Z.requires_grad_()
        automatic = torch.autograd.grad(F.cross_entropy(forward(Y, Z, tokens), targets), (Y, Z))
        own = torch.arange(language.vocabulary) == tokens[0, -1]
        found.append(
            (
                max((a - b).abs().max().item() for a, b in zip(byhand, automatic, strict=True)),
                max(gradient.sum(1).abs().max().item() for gradient in automatic),
                automatic[1][~own].abs().max().item(),
                automatic[1][own].abs().max().item(),
            )
        )
    difference, row_sum, other_rows, own_row = zip(*found, strict=True)
    return LemmaOne(max(difference), max(row_sum), max(other_rows), min(own_row), seeds)
