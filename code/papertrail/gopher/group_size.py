"""Test error against the number of cases that a norm's statistics come from: the Group Norm experiment on a CPU.

The question is that of Wu & He 2018 (the abstract and the table by images per GPU); the experiment is ours.

Wu & He 2018 shrank the batch of each GPU. Here the batch of SGD stays at 64 and only the statistics are taken over
groups of g, so that nothing but the normalization changes. Data: 10 classes, each of 4 clusters in 32 dimensions. All
seeds learn at once, as one batched net. Letters in shapes: S seeds, B cases, F features.

Fixed before the first run: sizes, steps, rate, momentum, seeds, and that the last step counts. The data's noise was set
with LayerNorm alone, on two other seeds, for an error of 8 to 9%.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from papertrail.experiments import at_least_one, seeded
from papertrail.gopher.published import batch_size_errors

NORMS = ("BatchNorm", "LayerNorm", "RMSNorm", "none")
GROUPS = (2, 4, 8, 16, 32, 64)
CLASSES, CLUSTERS, INPUTS, CASES, NOISE = 10, 40, 32, 2048, 1.0
LAYERS, HIDDEN, BATCH, EPOCHS, RATE, MOMENTUM = 3, 64, 64, 10, 0.1, 0.9
EPS, AVERAGE = 1e-5, 0.1  # AVERAGE: share of the newest step in BatchNorm's running statistics

# Wu & He 2018, ResNet-50 on ImageNet, top-1 validation error in %, by images on each of 8 GPUs
_ROWS = sorted(batch_size_errors(), key=lambda row: row.images)
WU_HE: dict[str, list[Any]] = {
    "images": [row.images for row in _ROWS],
    "BatchNorm": [row.batch_norm for row in _ROWS],
    "GroupNorm": [row.group_norm for row in _ROWS],
}


@dataclass(frozen=True)
class GroupSizes:
    """Test errors, one for each seed.

    Attributes:
        evaluated: BatchNorm by group size, with running statistics, as it is used.
        batched: the same nets, with the test groups' own statistics, as in training.
        others: the norms that look at one case only.
    """

    evaluated: dict[int, list[float]]
    batched: dict[int, list[float]]
    others: dict[str, list[float]]
    seeds: int

    def behind(self, group: int, norm: str = "LayerNorm") -> list[float]:
        """How much higher BatchNorm's error is than another norm's, seed by seed."""
        return [b - o for b, o in zip(self.evaluated[group], self.others[norm], strict=True)]


def make_data(seeds: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test cases: x (S, N, F), labels (S, N), twice. Clusters differ from seed to seed."""
    parts = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        centers = torch.randn(CLUSTERS, INPUTS, generator=generator)
        cluster = torch.randint(CLUSTERS, (2 * CASES,), generator=generator)
        x = centers[cluster] + NOISE * torch.randn(2 * CASES, INPUTS, generator=generator)
        parts.append((x, cluster % CLASSES))
    x, y = (torch.stack(part) for part in zip(*parts, strict=True))
    return x[:, :CASES], y[:, :CASES], x[:, CASES:], y[:, CASES:]


class Nets:
    """As many networks as seeds, side by side: linear, norm, ReLU, `LAYERS` times, then linear.

    Args:
        norm: one of `NORMS`.
        group: cases that share BatchNorm's statistics; divides every batch.

    Raises:
        ValueError: the norm is unknown, or the group does not divide the batch of 64.
    """

    def __init__(self, norm: str, seeds: Sequence[int], group: int = BATCH) -> None:
        if norm not in NORMS:
            raise ValueError(f"norm: got {norm!r}; allowed are {', '.join(map(repr, NORMS))}")
        at_least_one(group=group)
        if group < 2 or BATCH % group:
            raise ValueError(f"group: got {group}; allowed are divisors of {BATCH} from 2 up")
        self.norm, self.group = norm, group
        widths = [INPUTS, *[HIDDEN] * LAYERS, CLASSES]
        self.weights, self.biases = [], []
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
            drawn = []
            for seed in seeds:
                with seeded(1000 * seed + i):
                    drawn.append(torch.randn(n_in, n_out) * (2 / n_in) ** 0.5)
            self.weights.append(torch.stack(drawn).requires_grad_())  # (S, n_in, n_out)
            self.biases.append(torch.zeros(len(seeds), 1, n_out, requires_grad=True))
        shape = (len(seeds), 1, HIDDEN)
        self.gains = [torch.ones(shape, requires_grad=norm != "none") for _ in range(LAYERS)]
        self.shifts = [torch.zeros(shape, requires_grad=norm in NORMS[:2]) for _ in range(LAYERS)]
        self.means = [torch.zeros(shape) for _ in range(LAYERS)]
        self.variances = [torch.ones(shape) for _ in range(LAYERS)]

    @property
    def parameters(self) -> list[Tensor]:
        """What is trained.

        Shapes: returns weights (S, inputs, outputs), biases, gains and shifts (S, 1, outputs).
        """
        tensors = [*self.weights, *self.biases, *self.gains, *self.shifts]
        return [tensor for tensor in tensors if tensor.requires_grad]

    def normalized(self, x: Tensor, layer: int, mode: str) -> Tensor:
        """The norm without gain and shift: x (S, B, F) -> (S, B, F)."""
        if self.norm == "none":
            return x
        if self.norm == "RMSNorm":
            return x * (x.square().mean(-1, keepdim=True) + EPS).rsqrt()
        if self.norm == "LayerNorm":
            return F.layer_norm(x, (HIDDEN,), eps=EPS)
        if mode == "eval":
            return (x - self.means[layer]) * (self.variances[layer] + EPS).rsqrt()
        groups = x.unflatten(1, (-1, self.group))  # (S, B / g, g, F)
        variance, mean = torch.var_mean(groups, 2, correction=0, keepdim=True)
        if mode == "train":  # the mean over the groups, its variance unbiased as in torch
            with torch.no_grad():
                self.means[layer].lerp_(mean.mean(1), AVERAGE)
                unbiased = variance.mean(1) * self.group / (self.group - 1)
                self.variances[layer].lerp_(unbiased, AVERAGE)
        return ((groups - mean) * (variance + EPS).rsqrt()).flatten(1, 2)

    def __call__(self, x: Tensor, mode: str) -> Tensor:
        """Logits; mode is "train", "eval", or "batched" (the batch's own statistics, none kept).

        Shapes: x (S, B, F) -> (S, B, classes).
        """
        for i in range(LAYERS):
            x = torch.baddbmm(self.biases[i], x, self.weights[i])
            x = torch.addcmul(self.shifts[i], self.normalized(x, i, mode), self.gains[i]).relu()
        return torch.baddbmm(self.biases[-1], x, self.weights[-1])

    def errors(self, x: Tensor, y: Tensor, mode: str) -> list[float]:
        """Share of wrong answers, for each seed.

        Shapes: x (S, B, F), y (S, B).
        """
        with torch.no_grad():
            return (self(x, mode).argmax(-1) != y).double().mean(1).tolist()


def train(
    norm: str, seeds: Sequence[int], group: int = BATCH, epochs: int = EPOCHS
) -> tuple[list[float], list[float]]:
    """Test errors after SGD with momentum: with running statistics, and with the test groups' own.

    Raises:
        ValueError: as `Nets`; epochs is below 1.
    """
    at_least_one(epochs=epochs)
    x, y, test_x, test_y = make_data(seeds)
    nets = Nets(norm, seeds, group)
    optimizer = torch.optim.SGD(nets.parameters, lr=RATE, momentum=MOMENTUM)
    generators = [torch.Generator().manual_seed(seed + 1) for seed in seeds]
    rows = torch.arange(len(seeds)).unsqueeze(1)
    for _ in range(epochs):
        order = torch.stack([torch.randperm(CASES, generator=generator) for generator in generators])
        for batch in order.split(BATCH, dim=1):  # (S, 64)
            logits = nets(x[rows, batch], "train")
            loss = F.cross_entropy(logits.flatten(0, 1), y[rows, batch].flatten()) * len(
                seeds
            )  # a sum over seeds
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return nets.errors(test_x, test_y, "eval"), nets.errors(test_x, test_y, "batched")


def measure_group_sizes(
    groups: Sequence[int] = GROUPS, *, seeds: int = 5, epochs: int = EPOCHS
) -> GroupSizes:
    """BatchNorm over groups of each size, and the norms that need no group.

    Raises:
        ValueError: a group does not divide the batch; a number is below 1.
    """
    at_least_one(seeds=seeds)
    numbers = range(seeds)
    found = {group: train("BatchNorm", numbers, group, epochs) for group in groups}
    others = {norm: train(norm, numbers, epochs=epochs)[0] for norm in NORMS[1:]}
    return GroupSizes(
        {g: pair[0] for g, pair in found.items()}, {g: pair[1] for g, pair in found.items()}, others, seeds
    )
