"""An ordinary attention layer, trained: what Tian et al. 2023 assume away is there, or can be added.

The paper trains two matrices, Y and Z, whole (section 3.1). Here they are products, as in any Transformer:
embeddings U, matrices W_Q, W_K, W_V and an output layer, all from torch's usual random start, one head, one layer,
finite sequences, one learning rate for everything. Only the last position predicts, as in the paper, so that only its
attention is computed; the query does not attend to itself. All seeds learn at once, as one batched model.

The language has two queries of two targets each. In the paper's own small example each target has a query of its own,
and the query alone decides; here attention has something to find. A sequence is 64 tokens, so that each class's
rarest distinct token stands in about a third of its sequences.

Fixed before the first run: sizes, steps, rates, momentum, seeds, and that the last step counts. One pilot of the
baseline, at seed 100, was looked at only for its loss: that it trains. Letters in shapes: S seeds, B sequences, T
length, Q queries, M contextual tokens, V vocabulary, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one
from papertrail.scan_and_snap.setting import DTYPE, Language, make_language

WIDTH, BATCH, LENGTH, STEPS, EVERY = 64, 64, 64, 300, 5
SGD_RATE, MOMENTUM, ADAM_RATE = 0.01, 0.9, 1e-3
EPS = 1e-6
OPTIMIZERS, NORMS = ("sgd", "adam"), ("post", "pre", "none")


def ordinary_language() -> Language:
    """Four targets, two to a query, 10 distinct tokens each and 10 common ones: 50 contextual tokens, 56 in all."""
    return make_language(4, distinct=10, common=10, targets_per_query=2)


@dataclass(frozen=True)
class Options:
    """What the ordinary model has beyond the paper's; the defaults are the baseline.

    Attributes:
        positions: learned position embeddings, added to the tokens' embeddings.
        optimizer: "sgd" (momentum 0.9, rate 0.01) or "adam" (rate 0.001).
        temperature: attention logits are divided by it, after the division by sqrt(D).
        residual: the query's embedding is added to what attention brings.
        norm: "post", RMSNorm without gain of what attention (and the residual) brings, as in the paper; "pre",
            RMSNorm of the embeddings that enter attention instead; "none".
        attention_rate: W_Q's and W_K's learning rate, as a multiple of all others'.

    Raises:
        ValueError: an option has another value, or `positions` meets norm="pre".
    """

    positions: bool = False
    optimizer: str = "sgd"
    temperature: float = 1.0
    residual: bool = False
    norm: str = "post"
    attention_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer: got {self.optimizer!r}; allowed are {', '.join(OPTIMIZERS)}")
        if self.norm not in NORMS:
            raise ValueError(f"norm: got {self.norm!r}; allowed are {', '.join(NORMS)}")
        for name in ("temperature", "attention_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)!r}; allowed are numbers above 0")
        if self.positions and self.norm == "pre":  # the norm would mix token and position
            raise ValueError("positions: got True with norm='pre'; allowed is one of the two")


def rms_norm(x: Tensor) -> Tensor:
    """RMSNorm without a gain, over the last axis.

    Shapes: x (..., D) -> (..., D).
    """
    return F.rms_norm(x, x.shape[-1:], eps=EPS)


class OrdinaryAttention:
    """One layer of one-head attention for the last position, one model for each seed.

    An attention logit is the sum of a part that depends on the token and a part that depends on the position, since
    embeddings are added before a linear map. So attention is computed from tables over tokens and over positions:
    the values and gradients of the usual way, at a fraction of its cost.

    Raises:
        ValueError: `length` is below 2, or there are no seeds.
    """

    def __init__(
        self, language: Language, seeds: Sequence[int], options: Options, length: int = LENGTH
    ) -> None:
        if length < 2 or not seeds:
            raise ValueError(
                f"length, seeds: got {length}, {list(seeds)}; allowed are 2 or more, and a seed or more"
            )
        self.language, self.options = language, options
        bound = WIDTH**-0.5  # nn.Linear's own start; nn.Embedding's is a standard normal
        drawn: dict[str, list[Tensor]] = {
            name: [] for name in ("embeddings", "query", "key", "value", "output", "positions")
        }
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            normal = {"embeddings": (language.vocabulary, WIDTH), "positions": (length, WIDTH)}
            for name in drawn:  # positions last: with and without them the rest starts equal
                if name in normal:
                    values = torch.randn(normal[name], dtype=DTYPE, generator=generator)
                else:
                    shape = (WIDTH, language.vocabulary if name == "output" else WIDTH)
                    values = (2 * torch.rand(shape, dtype=DTYPE, generator=generator) - 1) * bound
                drawn[name].append(values)
        if not options.positions:
            del drawn["positions"]
        self.weights = {name: torch.stack(values).requires_grad_() for name, values in drawn.items()}

    def queries(self) -> Tensor:
        """The query tokens' embeddings, with that of the last position where there are any: (S, Q, D)."""
        start = self.language.num_tokens
        x = self.weights["embeddings"][:, start : start + self.language.num_queries]
        return x + self.weights["positions"][:, -1:] if self.options.positions else x

    def context(self) -> Tensor:
        """The contextual tokens' embeddings as they enter attention, (S, M, D)."""
        x = self.weights["embeddings"][:, : self.language.num_tokens]
        return rms_norm(x) if self.options.norm == "pre" else x

    def _scores(self, keys: Tensor) -> Tensor:
        """Attention logits of the query tokens for keys (S, N, D): (S, Q, N)."""
        queries = rms_norm(self.queries()) if self.options.norm == "pre" else self.queries()
        q, k = queries @ self.weights["query"], keys @ self.weights["key"]
        return q @ k.mT / (WIDTH**0.5 * self.options.temperature)

    def effective_z(self) -> Tensor:
        """The paper's Z for these weights, rows of query tokens and columns of contextual ones: (S, Q, M).

        U W_Q W_K^T U^T / sqrt(D), divided by the temperature. With positions the query has the last position's
        embedding in it, and what the other positions add to a logit is left out: it is the same for all tokens, so
        that attention averaged over positions is that of this Z.
        """
        return self._scores(self.context())

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits over the vocabulary for the token after the last: tokens (S, B, T) -> (S, B, V)."""
        seeds = torch.arange(len(tokens)).unsqueeze(1)
        asked, read = tokens[..., -1] - self.language.num_tokens, tokens[..., :-1]  # (S, B), (S, B, T - 1)
        logits = self.effective_z()[seeds, asked].gather(2, read)  # (S, B, T - 1)
        if self.options.positions:
            places = self.weights["positions"][:, :-1]
            logits = logits + self._scores(places)[seeds, asked]
        b = logits.softmax(-1)
        shares = b.new_zeros(*b.shape[:2], self.language.num_tokens).scatter_add(2, read, b)  # X^T b
        h = shares @ (self.context() @ self.weights["value"])  # (S, B, D)
        if self.options.positions:
            h = h + b @ (places @ self.weights["value"])
        if self.options.residual:
            h = h + self.queries()[seeds, asked]
        if self.options.norm == "post":
            h = rms_norm(h)
        return h @ self.weights["output"]


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes:
        steps: after which steps z was looked at, the first being 0.
        gains: effective z minus its value at the start, (S, number of looks, Q, M).
        losses: cross-entropy of each step's batch, (S, steps).
    """

    steps: list[int]
    gains: Tensor
    losses: Tensor


def train(
    language: Language, options: Options, seeds: Sequence[int], *, steps: int = STEPS, every: int = EVERY
) -> Trained:
    """Train one model for each seed on sequences drawn from `language`, fresh ones in each step.

    A seed fixes the start and the sequences, whatever the options: runs of one seed are pairs.

    Raises:
        ValueError: `steps` or `every` is below 1, `every` does not divide `steps`, or there are no seeds.
    """
    at_least_one(steps=steps, every=every)
    if steps % every:
        raise ValueError(f"every: got {every}; allowed are divisors of steps, {steps}")
    model = OrdinaryAttention(language, seeds, options)
    adam = options.optimizer == "adam"
    rate = ADAM_RATE if adam else SGD_RATE
    groups = [
        {"params": [weight], "lr": rate * (options.attention_rate if name in ("query", "key") else 1)}
        for name, weight in model.weights.items()
    ]
    optimizer = torch.optim.Adam(groups) if adam else torch.optim.SGD(groups, momentum=MOMENTUM)
    generators = [
        torch.Generator().manual_seed(seed + 1_000) for seed in seeds
    ]  # not the start's own numbers
    looks, losses = [model.effective_z().detach()], []
    for step in range(1, steps + 1):
        drawn = [language.sample(BATCH, LENGTH, generator) for generator in generators]
        tokens, classes = (torch.stack(part) for part in zip(*drawn, strict=True))
        targets = language.target_token(0) + classes
        each = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), reduction="none")
        loss = each.view_as(targets).mean(1)
        optimizer.zero_grad()
        loss.sum().backward()  # a sum: no seed's step depends on another's
        optimizer.step()
        losses.append(loss.detach())
        if step % every == 0:
            looks.append(model.effective_z().detach())
    z = torch.stack(looks, 1)
    return Trained(list(range(0, steps + 1, every)), z - z[:, :1], torch.stack(losses, 1))
