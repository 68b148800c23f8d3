"""How much a memory holds, and whether it can be corrected: the synthetic tasks of Schlag et al. 2021, section 6.1.

A sequence writes key/value pairs; then every key is asked for its latest value. Setting 1 writes each key once
(capacity). Setting 2 draws keys with replacement, so that values are overwritten (editing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one
from papertrail.fast_weights.delta_rule import delta_rule
from papertrail.fast_weights.feature_maps import resolve

RULES = ("sum", "delta", "softmax")
TINY = 1e-6  # added to every normalizer here: DPFP can make a key's features all zero


def rank_bound(symbols: int, features: int) -> float:
    """The lowest loss that a sum over `features` features can reach on `symbols` keys that are asked for in turn.

    Read-outs for all keys of a sequence are one matrix of rank at most `features`; the targets are a permutation
    matrix, whose singular values are all 1. So by Eckart and Young at least symbols - features of them are missed, and
    the mean of half the squared error is at least half their share.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(symbols=symbols, features=features)
    return max(0.0, 0.5 * (1 - features / symbols))


def draw_pairs(
    symbols: int, length: int, batch: int, replace: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Keys and values, (batch, length) each: independent draws with replacement, or permutations of the symbols."""
    if replace:
        return tuple(torch.randint(symbols, (2, batch, length), generator=generator))
    return tuple(torch.rand(2, batch, symbols, generator=generator).argsort(-1))


def latest(keys: Tensor, values: Tensor, symbols: int) -> Tensor:
    """The value written last for each symbol; -1 where it was never written.

    Shapes: keys and values (batch, L) -> (batch, symbols).
    """
    answer = torch.full((keys.shape[0], symbols), -1)
    for key, value in zip(keys.unbind(1), values.unbind(1), strict=True):
        answer.scatter_(1, key.unsqueeze(1), value.unsqueeze(1))
    return answer


@dataclass(frozen=True)
class Recall:
    """Relative error |answer - v| / |v| of untrained memories, mean over keys and draws."""

    errors: dict[str, float]  # by rule
    symbols: int
    length: int
    dim: int
    draws: int


def unit_keys(symbols: int, dim: int, generator: torch.Generator) -> Tensor:
    """Unit vectors (symbols, dim): an orthonormal basis, and another one for each `dim` symbols more."""
    bases = -(-symbols // dim)
    frames = torch.linalg.qr(torch.randn(bases, dim, dim, dtype=torch.float64, generator=generator)).Q
    return frames.reshape(-1, dim)[:symbols]


def measure_recall(
    symbols: int,
    length: int | None = None,
    *,
    dim: int = 16,
    beta: float = 1.0,
    draws: int = 100,
) -> Recall:
    """Write random values under orthonormal keys, nothing trained, and read every key that was written.

    Args:
        symbols: how many keys; beyond `dim` of them they cannot all be orthogonal.
        length: how many writes, keys drawn with replacement; None writes each key once.
        beta: the delta rule's.

    Raises:
        ValueError: a number is below 1; beta is outside 0 to 2.
    """
    at_least_one(symbols=symbols, dim=dim, draws=draws, length=length or 1)
    if not 0 <= beta <= 2:
        raise ValueError(f"beta: got {beta}; allowed are numbers from 0 to 2")
    errors: dict[str, list[float]] = {"sum": [], "delta": []}
    for draw in range(draws):
        generator = torch.Generator().manual_seed(draw)
        frame = unit_keys(symbols, dim, generator)
        order, _ = draw_pairs(symbols, length or symbols, 1, length is not None, generator)
        values = torch.randn(1, order.shape[1], dim, dtype=torch.float64, generator=generator)
        keys = frame[order]  # (1, L, D)
        where = latest(order, torch.arange(order.shape[1])[None], symbols)[0]
        asked = where[where >= 0]  # the position of each key's last write
        target = values[0, asked]
        strengths = torch.full(order.shape, beta, dtype=torch.float64)
        _, edited = delta_rule(
            keys[None], keys[None], values[None], strengths[None], form="parallel", return_state=True
        )
        for rule, memory in (("sum", keys[0].T @ values[0]), ("delta", edited[0, 0])):
            missed = (keys[0, asked] @ memory - target).norm(dim=-1) / target.norm(dim=-1)
            errors[rule].append(missed.mean().item())
    means = {rule: sum(found) / draws for rule, found in errors.items()}
    return Recall(means, symbols, length or symbols, dim, draws)


@dataclass(frozen=True)
class TrainedRecall:
    """Loss 1/2 |answer - v|^2 and accuracy by arg max, one number for each seed, after training."""

    loss: list[float]
    accuracy: list[float]
    rule: str
    feature_map: str | None
    features: int | None  # how many the map makes; None is softmax's
    symbols: int
    length: int
    d_key: int
    steps: int
    seeds: int


class _Memories:
    """One model for each seed, side by side: every parameter has an axis of seeds, and Adam treats each entry alone."""

    def __init__(self, rule: str, feature_map: str | None, symbols: int, d_key: int, seeds: int) -> None:
        generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
        d_embedding = int(2.2 * symbols)  # the paper's 1.1 x 2S

        def draw(rows: int, columns: int) -> Tensor:
            return torch.stack([torch.randn(rows, columns, generator=one) for one in generators])

        def weight(outputs: int, inputs: int) -> Tensor:
            return (draw(outputs, inputs) / sqrt(inputs)).requires_grad_()

        self.rule, self.phi = rule, resolve(feature_map)
        self.embedding = draw(symbols, d_embedding).requires_grad_()
        self.w_key = weight(
            d_key, d_embedding + symbols
        )  # the key projection sees the value too, as in the paper
        self.w_query = weight(d_key, d_embedding)
        self.w_beta = weight(1, d_embedding + symbols)
        self.parameters = [self.embedding, self.w_key, self.w_query, self.w_beta]

    def answers(self, keys: Tensor, values: Tensor) -> Tensor:
        """keys, values (seeds, batch, L) -> an answer for every symbol, (seeds, batch, S, S)."""
        seeds, batch, length = keys.shape
        symbols = self.embedding.shape[1]
        v = F.one_hot(values, symbols).float()  # (seeds, batch, L, S)
        pick = keys.flatten(1).unsqueeze(-1).expand(-1, -1, self.embedding.shape[-1])
        written = torch.cat([self.embedding.gather(1, pick).unflatten(1, (batch, length)), v], dim=-1)
        k = written @ self.w_key.mT.unsqueeze(1)  # (seeds, batch, L, d_key)
        q = (self.embedding @ self.w_query.mT).unsqueeze(
            1
        )  # (seeds, 1, S, d_key): the same for all sequences
        if self.rule == "softmax":
            return (q @ k.mT / sqrt(k.shape[-1])).softmax(-1) @ v
        q, k = self.phi(q), self.phi(k)
        if self.rule == "sum":
            weights = q @ k.mT  # (seeds, batch, S, L); causal or not is the same, after the last write
            return weights @ v / (weights.sum(-1, keepdim=True) + TINY)
        q, k = (x / (x.sum(-1, keepdim=True) + TINY) for x in (q, k))  # sum normalization, eq. 29
        beta = (written @ self.w_beta.mT.unsqueeze(1)).squeeze(-1).sigmoid()
        _, memory = delta_rule(k, k, v, beta, form="parallel", return_state=True)
        return q @ memory


def measure_trained_recall(
    rule: str,
    feature_map: str | None = "elu+1",
    *,
    symbols: int = 8,
    length: int | None = None,
    d_key: int = 8,
    steps: int = 600,
    batch: int = 16,
    lr: float = 1e-2,
    seeds: int = 5,
    held_out: int = 100,
) -> TrainedRecall:
    """Train embeddings and projections on one of the two settings, and measure on fresh sequences.

    Values are one-hot; the loss is the paper's, summed over entries and averaged over the keys that were written. Where
    the paper asks one random key a sequence, here every key is asked, which says the same with less noise.

    Args:
        rule: "sum" is linear attention with its normalizer, "delta" has sum-normalized features (eq. 29) and a
            learned beta, "softmax" is scaled dot-product attention without positions.
        length: writes with replacement (setting 2); None writes each key once (setting 1).

    Raises:
        ValueError: rule or feature map is unknown; a number is below 1.
    """
    if rule not in RULES:
        raise ValueError(f"rule: got {rule!r}; allowed are {', '.join(map(repr, RULES))}")
    at_least_one(
        symbols=symbols,
        d_key=d_key,
        steps=steps,
        batch=batch,
        seeds=seeds,
        held_out=held_out,
        length=length or 1,
    )
    models = _Memories(rule, feature_map, symbols, d_key, seeds)
    optimizer = torch.optim.Adam(models.parameters, lr=lr)
    streams = [torch.Generator().manual_seed(1000 + seed) for seed in range(seeds)]

    def sequences(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        drawn = [draw_pairs(symbols, length or symbols, count, length is not None, one) for one in streams]
        keys, values = (torch.stack(column) for column in zip(*drawn, strict=True))
        answers = latest(keys.flatten(0, 1), values.flatten(0, 1), symbols).unflatten(0, (seeds, count))
        return keys, values, answers, answers >= 0

    def losses(count: int) -> tuple[Tensor, Tensor]:
        keys, values, target, asked = sequences(count)
        found = models.answers(keys, values)
        squares = (found - F.one_hot(target.clamp(min=0), symbols)).square().sum(-1)
        share = asked.sum((1, 2))
        right = ((found.argmax(-1) == target) & asked).sum((1, 2)) / share
        return 0.5 * (squares * asked).sum((1, 2)) / share, right

    for _ in range(steps):
        optimizer.zero_grad()
        losses(batch)[0].sum().backward()  # the seeds' models do not meet
        optimizer.step()
    with torch.no_grad():
        loss, accuracy = losses(held_out)
    features = None if rule == "softmax" else resolve(feature_map)(torch.zeros(1, d_key)).shape[-1]
    return TrainedRecall(
        loss.tolist(), accuracy.tolist(), rule, feature_map, features, symbols, length or symbols, d_key, steps, seeds
    )  # fmt: skip


def order_blind_loss(symbols: int, length: int, draws: int = 20_000, seed: int = 0) -> float:
    """The lowest expected loss of a memory that knows what was written under a key, but not in which order.

    Any of the values written under a key may be the last one, so the best answer is their average. Mean over
    keys that were written, by simulation.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(symbols=symbols, length=length, draws=draws)
    generator = torch.Generator().manual_seed(seed)
    keys, values = draw_pairs(symbols, length, draws, True, generator)
    counts = torch.zeros(draws, symbols * symbols)
    counts.scatter_add_(1, keys * symbols + values, torch.ones(draws, length))
    counts = counts.unflatten(1, (symbols, symbols))
    written = counts.sum(-1, keepdim=True)
    shares = counts / written.clamp(min=1)
    loss = 0.5 * (1 - shares.square().sum(-1))  # the expected squared error of an average
    return (loss * (written.squeeze(-1) > 0)).sum().div((written > 0).sum()).item()


# What the authors' own logs say (ischlag/fast-weight-transformers at ebe13ea, `synthetic/`): setting 1, d_key 64, one
# seed, best evaluation loss at S = 200, 400 and 600, by feature map and its number of features.
LOGGED_SYMBOLS = (200, 400, 600)
LOGGED: dict[str, tuple[int, Sequence[float]]] = {
    "elu+1": (64, (0.342, 0.422, 0.451)),
    "dpfp-1": (128, (0.173, 0.342, 0.411)),
    "dpfp-2": (256, (0.001, 0.164, 0.323)),
    "dpfp-3": (384, (0.001, 0.036, 0.198)),
}
