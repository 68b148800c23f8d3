"""Training without warm-up, on a task that a one-token lookup solves (section 3.2 of Xiong et al. 2020, in small).

The next token is a fixed random permutation of the current one: nothing has to be found in the context, so a
model that fails here does not fail because the task is hard. A model that ignores its input stays at ln V.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from papertrail.experiments import at_least_one, progress, seeded
from papertrail.layer_norm_placement.measurements import set_omegas
from papertrail.layer_norm_placement.models import Model

VOCAB, LENGTH, BATCH, WIDTH = 32, 8, 16, 32
EVERY = 5  # steps that one entry of a loss curve stands for
PLATEAU = math.log(VOCAB)  # the loss of a model that gives every token the same probability


@dataclass(frozen=True)
class TrainingRuns:
    """Losses as [seed][i], each the mean of five steps; mean cosine between different tokens' states."""

    losses: list[list[float]]
    cosines: list[list[float]]  # [seed][i], after as many steps as `cosine_steps` says
    cosine_steps: list[int]
    placement: str
    depth: int
    lr: float
    warmup: int
    start: str
    seeds: int

    @property
    def final(self) -> list[float]:
        """By seed, the mean loss of the last ten steps."""
        return [sum(row[-2:]) / len(row[-2:]) for row in self.losses]

    @property
    def steps(self) -> list[int]:
        """For each entry of `losses`, the last of its five steps."""
        return [EVERY * (i + 1) for i in range(len(self.losses[0]))]


def warmup_rate(step: int, lr: float, warmup: int) -> float:
    """The learning rate of step 1, 2, ...: a straight line up to `lr` over `warmup` steps, then constant."""
    return lr * min(1.0, step / warmup) if warmup else lr


def cosine_between_tokens(states: Tensor) -> float:
    """Mean cosine over all pairs of different rows: 1 where all tokens have become one.

    Shapes: (V, D) -> a number.
    """
    unit = F.normalize(states, dim=-1)
    total = unit.sum(0).square().sum() - len(unit)
    return (total / (len(unit) * (len(unit) - 1))).item()


def measure_training(
    placement: str,
    depth: int = 6,
    *,
    lr: float = 1e-2,
    warmup: int = 0,
    steps: int = 120,
    seeds: int = 5,
    start: str = "xavier",
    cosine_steps: tuple[int, ...] = (),
) -> TrainingRuns:
    """Train a causal model of width 32 with Adam (0.9, 0.98, eps 1e-9), as Vaswani et al. 2017 set it.

    Args:
        warmup: steps of linear warm-up; 0 for none. The rate stays constant afterwards.
        cosine_steps: after how many steps to compare the final states of the 32 tokens, each alone at position 0.

    Raises:
        ValueError: a number is below 1; cosine_steps do not ascend or go past the end; steps are no multiple of
            5; lr is not positive; placement or start is unknown.
    """
    at_least_one(depth=depth, steps=steps, seeds=seeds)
    if steps % EVERY:
        raise ValueError(f"steps: got {steps}; allowed are multiples of {EVERY}")
    if list(cosine_steps) != sorted({step for step in cosine_steps if 0 <= step <= steps}):
        raise ValueError(f"cosine_steps: got {cosine_steps}; allowed are ascending steps from 0 to {steps}")
    if lr <= 0 or warmup < 0:
        raise ValueError(
            f"lr, warmup: got {lr} and {warmup}; allowed are a positive rate and 0 or more steps"
        )
    models, following, batches = [], [], []
    for seed in range(seeds):
        with seeded(seed):
            model = Model(
                "decoder-only", depth, vocab_size=VOCAB, length=LENGTH, d_model=WIDTH, num_heads=4,
                d_ff=4 * WIDTH, placement=placement, start=start,
            )  # fmt: skip
            following.append(torch.randperm(VOCAB))
            batches.append(torch.randint(VOCAB, (steps, BATCH, LENGTH)))
        if placement == "admin":
            set_omegas(model, batches[-1][0])
        models.append(model)
    curves, cosines = _train_side_by_side(
        models,
        torch.stack(following),
        torch.stack(batches),
        lr,
        warmup,
        cosine_steps,
        f"{placement}, {depth} layers",
    )
    losses = [[sum(row[i : i + EVERY]) / EVERY for i in range(0, steps, EVERY)] for row in curves]
    return TrainingRuns(losses, cosines, list(cosine_steps), placement, depth, lr, warmup, start, seeds)


def _train_side_by_side(
    models: list[Model],
    following: Tensor,
    batches: Tensor,
    lr: float,
    warmup: int,
    cosine_steps: tuple[int, ...],
    what: str,
) -> tuple[list[list[float]], list[list[float]]]:
    """Train all seeds at once, each with its own weights and data: their weights lie on a first axis of their own.

    Adam works entry by entry and the losses are summed, so no seed sees another: a test compares with one alone.

    Shapes: following (seeds, V), batches (seeds, steps, B, T) -> losses [seed][step], cosines [seed][i].
    """
    parameters, _ = stack_module_state(models)
    frame = models[0]

    def loss_of_one(own: dict[str, Tensor], tokens: Tensor, targets: Tensor) -> Tensor:
        logits = functional_call(frame, (own, {}), (tokens,))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def states_of_one(own: dict[str, Tensor]) -> Tensor:
        alone = torch.arange(VOCAB)[:, None]  # every token at position 0
        named = {f"model.{name}": value for name, value in own.items()}
        return functional_call(_States(frame), (named, {}), (alone,))[:, 0]

    optimizer = torch.optim.Adam(parameters.values(), betas=(0.9, 0.98), eps=1e-9)
    steps, losses, cosines = batches.shape[1], [], []
    for step in progress(range(steps + 1), what):
        if step in cosine_steps:
            with torch.no_grad():
                cosines.append([cosine_between_tokens(states) for states in vmap(states_of_one)(parameters)])
        if step == steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = warmup_rate(step + 1, lr, warmup)
        tokens = batches[:, step]
        targets = following.gather(1, tokens.flatten(1)).view_as(tokens)
        each = vmap(loss_of_one)(parameters, tokens, targets)
        optimizer.zero_grad()
        each.sum().backward()
        optimizer.step()
        losses.append(each.tolist())
    return [list(row) for row in zip(*losses, strict=True)], [list(row) for row in zip(*cosines, strict=True)]


class _States(nn.Module):
    """A model without its output map."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model.states(tokens)
