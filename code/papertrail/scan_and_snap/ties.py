"""How the paper's layer ties to the other chapters: fast weights (chapter 3), and RMSNorm (chapter 5).

Twice the layer is a fast weight programmer. Within a sequence: its norm forgets scale, so the softmax's denominator
cancels, and what is left is linear attention without a normalizer. And over training: each step of SGD on one sequence
adds an outer product to Z and one to Y (Tian et al. 2023, lemma 1), which is how chapter 3's memories are written.
Letters in shapes: B sequences, T length, V vocabulary, N steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one
from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.linear_attention import linear_attention
from papertrail.gopher.normalization import RMSNorm
from papertrail.scan_and_snap.layer import attended, forward, gradients_by_hand
from papertrail.scan_and_snap.measures import attention_in_the_limit
from papertrail.scan_and_snap.setting import DTYPE, syn_small


def unit(x: Tensor) -> Tensor:
    """The paper's LN: divide by the l2 norm, along the last axis. Shapes: x (..., V) -> (..., V)."""
    return x / x.norm(dim=-1, keepdim=True)


def fast_weights(Z: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """What the query reads before the norm, and the memory it reads from, by chapter 3's linear attention.

    A token's key is its column of exp(Z), one entry for each token that may ask; the query's features are its one-hot
    vector, so that phi(q).phi(k) = exp(z). Nothing is normalized: the sum exp(z) x is the paper's c~ times T - 1.

    Args:
        Z: attention logits, row = the query's token, column = the token attended to, (V, V).
        tokens: token numbers, (B, T), the query last.

    Returns:
        (B, V), and the state (B, V, V).
    """
    read, vocabulary = tokens[:, None, :-1], len(Z)
    k = Z.exp().T[read]  # (B, 1, T - 1, V)
    v = F.one_hot(read, vocabulary).to(Z.dtype)
    q = F.one_hot(tokens[:, -1], vocabulary).to(Z.dtype)[:, None, None].expand_as(k)
    out, state = linear_attention(q, k, v, feature_map=None, normalize=False, causal=False, return_state=True)
    return out[:, 0, -1], state[:, 0]


@dataclass(frozen=True)
class LayerTie:
    """Softmax attention against linear attention without a normalizer, largest difference for each seed.

    Attributes:
        before: of the outputs before the norm, where the two are not the same.
        after: of the outputs after it.
        gradients: of the gradients with respect to Z, through the norm.
        limit: of the paper's attention in the limit, normalized, and a memory in which each token was written exactly
            as often as its probability says.
    """

    before: list[float]
    after: list[float]
    gradients: list[float]
    limit: list[float]


def measure_layer_tie(*, seeds: int = 5, batch: int = 16, length: int = 128) -> LayerTie:
    """Both layers on the same sequences of the paper's small language, with random Z.

    Raises:
        ValueError: a number is below 1, or `length` below 2.
    """
    at_least_one(seeds=seeds, batch=batch, length=length)
    language, found = syn_small(), LayerTie([], [], [], [])
    counts = (language.probabilities / language.probabilities[0, 10]).round().long()  # rarest: once
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        shape = (language.vocabulary, language.vocabulary)
        Z = torch.randn(shape, dtype=DTYPE, generator=generator).requires_grad_()
        tokens, _ = language.sample(batch, length, generator)
        weights = torch.randn(batch, len(Z), dtype=DTYPE, generator=generator)
        c, read = attended(Z, tokens), fast_weights(Z, tokens)[0]
        slopes = [torch.autograd.grad((unit(x) * weights).sum(), Z)[0] for x in (c, read)]
        found.before.append((c - read).abs().max().item())
        found.after.append((unit(c) - unit(read)).abs().max().item())
        found.gradients.append((slopes[0] - slopes[1]).abs().max().item())
        exact = torch.stack([torch.arange(language.num_tokens).repeat_interleave(n) for n in counts])
        asked = torch.tensor([[language.query_token(target)] for target in range(language.num_classes)])
        memory = unit(fast_weights(Z.detach(), torch.cat([exact, asked], 1))[0][:, : language.num_tokens])
        rows = Z.detach()[language.num_tokens :][: language.num_queries, : language.num_tokens]
        c = unit(attention_in_the_limit(language, rows))
        found.limit.append((c - memory).abs().max().item())
    return found


@dataclass(frozen=True)
class WritingTie:
    """Y and Z after training against chapter 3's memories after the same writes, largest difference for each seed.

    Attributes:
        sums: the sum rule, linear attention's state: values are -eta times the gradient of what the key reads.
        deltas: the delta rule with beta = eta: values are what the key reads now, less the gradient.
        second: largest second singular value of one step's gradient over its first: 0 for an outer product.
        moved: largest entry of Y and Z at the end, the smaller of the two.
    """

    sums: list[float]
    deltas: list[float]
    second: list[float]
    moved: list[float]


def _replayed(keys: Tensor, values: Tensor, beta: float | None = None) -> Tensor:
    """The state after the writes, (V, V): by the sum rule, or by the delta rule with this beta."""
    k, v = keys[None, None], values[None, None]  # (1, 1, N, V)
    if beta is None:
        _, state = linear_attention(k, k, v, feature_map=None, normalize=False, return_state=True)
    else:
        _, state = delta_rule(k, k, v, torch.full(k.shape[:3], beta, dtype=k.dtype), return_state=True)
    return state[0, 0]


def measure_writing_tie(
    *, seeds: int = 5, steps: int = 60, length: int = 128, eta_y: float = 1.0, eta_z: float = 0.5
) -> WritingTie:
    """Train Y and Z by torch's SGD on one sequence a step; then write the same keys and values into a memory.

    Each write's key and value come from lemma 1. Z's key is the query's one-hot vector. Y's is the normalized output of
    attention: of length 1, as the delta rule wants its keys, because of the layer's norm.

    Raises:
        ValueError: a number is below 1, or `length` below 2.
    """
    at_least_one(seeds=seeds, steps=steps, length=length)
    language, found = syn_small(), WritingTie([], [], [], [])
    V = language.vocabulary
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        Y, Z = (torch.zeros(V, V, dtype=DTYPE, requires_grad=True) for _ in range(2))
        optimizer = torch.optim.SGD([{"params": [Y], "lr": eta_y}, {"params": [Z], "lr": eta_z}])
        writes, second = [], 0.0
        for _ in range(steps):
            tokens, classes = language.sample(1, length, generator)
            targets = language.target_token(0) + classes
            with torch.no_grad():
                f, asked = unit(attended(Z, tokens))[0], F.one_hot(tokens[0, -1], V).to(DTYPE)
                dY, dZ = gradients_by_hand(Y, Z, tokens, targets)
                error = (f @ Y).softmax(-1) - F.one_hot(targets[0], V)
                writes.append((f, error, f @ Y, asked, dZ[tokens[0, -1]], asked @ Z))
            optimizer.zero_grad()
            F.cross_entropy(forward(Y, Z, tokens), targets).backward()
            for gradient in (Y.grad, Z.grad):
                values = torch.linalg.svdvals(gradient)
                second = max(second, (values[1] / values[0]).item() if values[0] > 0 else 0.0)
            optimizer.step()
        f, error, said, asked, row, read = (torch.stack(part) for part in zip(*writes, strict=True))
        Y, Z = Y.detach(), Z.detach()
        sums = (_replayed(f, -eta_y * error) - Y, _replayed(asked, -eta_z * row) - Z)
        deltas = (_replayed(f, said - error, eta_y) - Y, _replayed(asked, read - row, eta_z) - Z)
        found.sums.append(max(x.abs().max().item() for x in sums))
        found.deltas.append(max(x.abs().max().item() for x in deltas))
        found.second.append(second)
        found.moved.append(min(Y.abs().max().item(), Z.abs().max().item()))
    return found


def measure_norm_tie(*, seeds: int = 5, dim: int = 34) -> list[float]:
    """Chapter 5's RMSNorm, eps 0 and gain 1, against sqrt(dim) times the paper's LN: largest difference by seed.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(seeds=seeds, dim=dim)
    norm, found = RMSNorm(dim, eps=0.0), []
    for seed in range(seeds):
        x = torch.randn(64, dim, dtype=DTYPE, generator=torch.Generator().manual_seed(seed))
        found.append((norm(x) - dim**0.5 * unit(x)).abs().max().item())
    return found
