"""Stage 3: fine-tune a classifier of documents, by ULMFiT's recipe or by one row of its table 7.

Howard & Ruder 2018, sections 3.3 and 5. Nothing is stopped early here: every method makes the same number of epochs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papertrail.experiments import at_least_one
from papertrail.ulmfit.classifier import TextClassifier, param_groups
from papertrail.ulmfit.draws import Draws
from papertrail.ulmfit.schedules import RateTable, discriminative_lrs, schedule_rates, unfreezing_plan


@dataclass(frozen=True)
class Method:
    """How a classifier is fine-tuned: which groups train in which epoch, and each group's rate over time."""

    lr: float  # the top group's highest rate
    unfreezing: str = "full"
    factor: float = 1.0  # between neighboring groups; 2.6 is discriminative
    schedule: str = "constant"

    def rates(self, num_groups: int, epochs: int, steps_per_epoch: int) -> RateTable:
        """Every group's rate at every update."""
        peaks = discriminative_lrs(self.lr, num_groups, self.factor)
        if self.unfreezing == "chain-thaw":  # a tenth of the head's rate for every other layer (section 5)
            peaks = [self.lr / 10] * (num_groups - 1) + [self.lr]
        return schedule_rates(
            unfreezing_plan(self.unfreezing, num_groups, epochs), peaks, self.schedule, steps_per_epoch
        )


# The rows of table 7 that start from a language model, with the rates that section 5 gives, and the row it lacks.
METHODS = {
    "Full": Method(0.001),
    "Full + discr": Method(0.01, factor=2.6),
    "Last": Method(0.001, "last"),
    "Chain-thaw": Method(0.001, "chain-thaw"),
    "Freez": Method(0.001, "gradual"),
    "Freez + discr": Method(0.01, "gradual", 2.6),
    "Freez + stlr": Method(0.001, "gradual", schedule="slanted-triangular"),
    "Freez + cos": Method(0.001, "gradual", schedule="cosine"),
    "Freez + discr + stlr": Method(0.01, "gradual", 2.6, "slanted-triangular"),
    "Full + discr + stlr": Method(0.01, "full", 2.6, "slanted-triangular"),
}
ULMFIT, MISSING_ROW = "Freez + discr + stlr", "Full + discr + stlr"


@dataclass(frozen=True)
class FineTuningHistory:
    """What happened at every update of a run."""

    method: str
    group_names: list[str]  # from the input up
    rates: list[list[float]]  # [update][group], 0.0 where the group is frozen
    losses: list[float]  # nats a document
    epochs_at: list[int]  # the update at which each epoch starts

    def epoch(self, step: int) -> int:
        """The epoch in which a step lies, counted from 1."""
        return sum(start <= step for start in self.epochs_at)


def padded(documents: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Documents side by side, padded on the right.

    Shapes: B documents -> tokens (B, T), lengths (B,)

    Raises:
        ValueError: there is no document, or an empty one.
    """
    if not documents or not all(len(document) for document in documents):
        raise ValueError(
            "documents: got none, or an empty one; allowed is one or more, of at least one word each"
        )
    lengths = torch.tensor([len(document) for document in documents])
    tokens = torch.full((len(documents), int(lengths.max())), pad_id)
    for row, document in zip(tokens, documents, strict=True):
        row[: len(document)] = torch.as_tensor(document)
    return tokens, lengths


def batches_by_length(lengths: Sequence[int], batch_size: int, generator: torch.Generator) -> list[list[int]]:
    """One epoch's batches, in random order, each of documents of about one length, so that little is padding.

    Documents are shuffled, sorted by length within sixteen batches' worth, and cut. Sizes differ by one at most, so
    that none is a single document, which batch normalization could not use.

    Raises:
        ValueError: fewer than two documents, or a batch size below 3 (three documents in twos leave one alone).
    """
    if len(lengths) < 2 or batch_size < 3:
        raise ValueError(
            f"documents, batch_size: got {len(lengths)} and {batch_size}; allowed are integers from 2 and from 3 up"
        )
    order = torch.randperm(len(lengths), generator=generator).tolist()
    pool = 16 * batch_size
    order = [
        i
        for at in range(0, len(order), pool)
        for i in sorted(order[at : at + pool], key=lambda i: lengths[i])
    ]
    count = -(-len(order) // batch_size)
    batches = [part.tolist() for part in torch.tensor(order).tensor_split(count)]
    return [batches[i] for i in torch.randperm(count, generator=generator).tolist()]


class ClassifierTraining:
    """Stage 3 as a run that can be stopped after any update, stored, and taken up again to the same result.

    Adam has the betas of section 4.1; gradients are clipped as in the scripts.

    Args:
        classifier: trained in place; on any device.
        method: a row of `METHODS`, or a `Method`.

    Raises:
        ValueError: an unknown method, not one label for each document, fewer than two documents or epochs below 1.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        documents: Sequence[Sequence[int]],
        labels: Sequence[int],
        method: str | Method,
        *,
        epochs: int,
        batch_size: int = 32,
        seed: int = 0,
        betas: tuple[float, float] = (0.7, 0.99),
        clip: float = 25.0,
    ) -> None:
        at_least_one(epochs=epochs)
        if isinstance(method, str) and method not in METHODS:
            raise ValueError(f"method: got {method!r}; allowed are {', '.join(METHODS)}, or a Method")
        if len(labels) != len(documents):
            raise ValueError(f"labels: got {len(labels)} for {len(documents)} documents")
        self.name, method = (method, METHODS[method]) if isinstance(method, str) else ("", method)
        self.classifier, self.documents, self.clip = classifier, documents, clip
        self.device = next(classifier.parameters()).device
        self.targets = torch.as_tensor(labels, device=self.device)
        self.num_groups = len(classifier.groups())
        self.table = method.rates(self.num_groups, epochs, -(-len(documents) // batch_size))
        self.optimizer = torch.optim.Adam(
            param_groups(classifier.groups(), [0.0] * self.num_groups), betas=betas, fused=True
        )
        lengths, shuffles = [len(document) for document in documents], torch.Generator().manual_seed(seed)
        self.batches = [b for _ in range(epochs) for b in batches_by_length(lengths, batch_size, shuffles)]
        self.draws = Draws(seed, self.device)
        self.losses: list[float] = []

    @property
    def step(self) -> int:
        """Updates made so far."""
        return len(self.losses)

    @property
    def steps(self) -> int:
        """Updates in the whole run."""
        return len(self.batches)

    def run(self, updates: int | None = None) -> list[float]:
        """Make up to `updates` more of them (all that are left, for None); returns their losses, in nats a document.

        Between two calls everything is trainable, as after the last one: a frozen group is frozen only while it runs.
        """
        first = self.step
        last = self.steps if updates is None else min(self.steps, first + updates)
        with self.draws.taken_up():
            self.classifier.train()
            while self.step < last:
                epoch, within = divmod(self.step, self.table.steps_per_epoch)
                if within == 0 or self.step == first:
                    self.classifier.set_trainable(self.table.plan[epoch])
                self.losses.append(self._update())
        self.classifier.set_trainable([True] * self.num_groups)
        return self.losses[first:]

    def _update(self) -> float:
        batch = self.batches[self.step]
        for group, lr in zip(self.optimizer.param_groups, self.table.rates[self.step], strict=True):
            group["lr"] = lr
        pad_id = self.classifier.documents.encoder.pad_id
        tokens, lengths = padded([self.documents[i] for i in batch], pad_id)
        logits = self.classifier(tokens.to(self.device), lengths.to(self.device))
        loss = F.cross_entropy(logits, self.targets[batch])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.classifier.parameters(), self.clip)
        self.optimizer.step()
        return loss.item()

    def history(self) -> FineTuningHistory:
        """What happened so far, and the rates of the whole run."""
        names = group_names(self.num_groups)
        return FineTuningHistory(self.name, names, self.table.rates, self.losses, self.table.epochs_at())

    def state_dict(self) -> dict[str, Any]:
        """Everything the run depends on, to be stored."""
        return {
            "classifier": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.draws.state,
            "losses": self.losses,
        }

    def load_state_dict(self, stored: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called."""
        self.classifier.load_state_dict(stored["classifier"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.draws.state, self.losses = stored["random"].cpu(), list(stored["losses"])


def fine_tune(
    classifier: TextClassifier,
    documents: Sequence[Sequence[int]],
    labels: Sequence[int],
    method: str | Method,
    *,
    epochs: int,
    **options: Any,
) -> FineTuningHistory:
    """Train a classifier in place, in one go; returns what happened.

    Args:
        options: batch_size, seed, betas and clip, as in `ClassifierTraining`, which has their defaults.

    Raises:
        ValueError: as `ClassifierTraining`.
    """
    training = ClassifierTraining(classifier, documents, labels, method, epochs=epochs, **options)
    training.run()
    return training.history()


def group_names(num_groups: int) -> list[str]:
    """What the classifier's groups are called, from the input up."""
    return ["embedding", *(f"layer {i + 1}" for i in range(num_groups - 2)), "head"]


@torch.no_grad()
def class_probabilities(
    classifier: TextClassifier, documents: Sequence[Sequence[int]], batch_size: int = 64
) -> Tensor:
    """What a classifier makes of documents, in their order, without dropout: (N, C)."""
    classifier.eval()
    device = next(classifier.parameters()).device
    order = sorted(range(len(documents)), key=lambda i: len(documents[i]))
    found: list[Tensor] = []
    for at in range(0, len(order), batch_size):
        batch = [documents[i] for i in order[at : at + batch_size]]
        tokens, lengths = padded(batch, classifier.documents.encoder.pad_id)
        found.append(classifier(tokens.to(device), lengths.to(device)).softmax(-1).cpu())
    back = torch.empty(len(order), dtype=torch.long)
    back[order] = torch.arange(len(order))
    return torch.cat(found)[back]


def error_rate(
    classifier: TextClassifier, documents: Sequence[Sequence[int]], labels: Sequence[int]
) -> float:
    """Share of documents whose most probable class is not their label.

    Raises:
        ValueError: not one label for each document.
    """
    if len(labels) != len(documents):
        raise ValueError(f"labels: got {len(labels)} for {len(documents)} documents")
    best = class_probabilities(classifier, documents).argmax(-1)
    return (best != torch.as_tensor(labels)).float().mean().item()
