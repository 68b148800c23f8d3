"""A language model over an encoder, trained as in ULMFiT's stages 1 and 2 (Howard & Ruder 2018, 3.1, 3.2).

From Merity et al. 2018 come the windows of random length (section 4.1) and the two penalties on activations
(section 4.4). ULMFiT does not use that paper's averaged SGD but Adam (section 4.1).
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from papertrail.experiments import at_least_one
from papertrail.ulmfit.awd_lstm import State
from papertrail.ulmfit.draws import Draws
from papertrail.ulmfit.schedules import discriminative_lrs, slanted_triangular
from papertrail.ulmfit.softmax import TiedAdaptiveSoftmax, TiedSoftmax


class LanguageModel(nn.Module):
    """An encoder and a softmax tied to its embedding.

    Args:
        encoder: an `AWDLSTM`, or anything with its interface.
        cutoffs: where the adaptive softmax's clusters begin; None for one softmax over all words.
    """

    def __init__(self, encoder: Any, cutoffs: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self.softmax = (
            TiedAdaptiveSoftmax(encoder.weight, cutoffs) if cutoffs else TiedSoftmax(encoder.weight)
        )

    def forward(
        self,
        tokens: Tensor,
        targets: Tensor,
        state: State | None = None,
        alpha: float = 0.0,
        beta: float = 0.0,
    ) -> tuple[Tensor, Tensor, State]:
        """What is minimized, the mean loss in it, and the state to go on from.

        The objective is the mean loss, plus `alpha` times the mean square of the dropped last layer (AR), plus
        `beta` times the mean square of the undropped one's steps in time (TAR; Merity et al. 2018, section 4.4).

        Shapes: tokens, targets (B, T) -> (), (), state
        """
        raw, output, state = self.encoder(tokens, state)
        loss = self.softmax(output.flatten(0, 1), targets.flatten()).mean()
        objective = loss
        if alpha:
            objective = objective + alpha * output.square().mean()
        if beta and raw.shape[1] > 1:
            objective = objective + beta * (raw[:, 1:] - raw[:, :-1]).square().mean()
        return objective, loss.detach(), state

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters by learning rate, slowest first: the LSTM layers from the input up, then embedding and softmax.

        The embedding is the softmax's weight as well, so it learns with the top group. With 2.6-fold rates in the
        other order, the model adapts far less; the authors' scripts put it here too (at half the top rate).
        """
        embedding, *layers = self.encoder.groups()
        tied = {id(weight) for weight in embedding}
        return [*layers, [*embedding, *(p for p in self.softmax.parameters() if id(p) not in tied)]]


def streams(ids: Tensor, batch_size: int) -> Tensor:
    """Cut a text into `batch_size` texts of equal length, read side by side; the rest is left out.

    Shapes: (N,) -> (B, N // B)

    Raises:
        ValueError: there are not two words for each stream.
    """
    at_least_one(batch_size=batch_size)
    if ids.dim() != 1 or len(ids) < 2 * batch_size:
        raise ValueError(
            f"ids: got {tuple(ids.shape)} words; {batch_size} streams take at least {2 * batch_size}"
        )
    return ids[: len(ids) // batch_size * batch_size].view(batch_size, -1)


def windows(length: int, bptt: int, generator: torch.Generator | None = None) -> list[tuple[int, int]]:
    """Start and length of each piece that gradients go back through, over a stream of `length` words.

    Without a generator all pieces are `bptt` long. With one the length is drawn anew for each, so that no word
    always stands at a border: from N(bptt, 5^2), and about N(bptt / 2, 5^2) one time in twenty, but never under 5
    (Merity et al. 2018, section 4.1). A piece predicts the word after each of its own, so the last word starts none.
    """
    at_least_one(length=length, bptt=bptt)
    pieces, start = [], 0
    while start < length - 1:
        size = bptt
        if generator is not None:
            short = torch.rand((), generator=generator).item() >= 0.95
            size = max(
                5, int((bptt / 2 if short else bptt) + 5 * torch.randn((), generator=generator).item())
            )
        size = min(size, length - 1 - start)
        pieces.append((start, size))
        start += size
    return pieces


@torch.no_grad()
def perplexity(model: LanguageModel, ids: Tensor, batch_size: int = 32, bptt: int = 70) -> float:
    """exp of the mean loss over a text, exactly normalized over the whole vocabulary, states carried along.

    Shapes: ids (N,)
    """
    was_training = model.training
    model.eval()
    rows, state, total, count = streams(ids, batch_size), None, 0.0, 0
    for start, size in windows(rows.shape[1], bptt):
        tokens, targets = rows[:, start : start + size], rows[:, start + 1 : start + size + 1]
        _, loss, state = model(tokens, targets, state)
        total, count = total + loss.item() * size, count + size
    model.train(was_training)
    return math.exp(total / count)


@dataclass(frozen=True)
class LMSettings:
    """How a language model is trained. Defaults: Howard & Ruder 2018, sections 3.2 and 4.1, and their scripts.

    The paper states rate, Adam's betas, the schedule and the factor; penalties and clipping are the scripts'.
    """

    passes: int = 3
    lr: float = 4e-3
    batch_size: int = 32  # streams read at once
    bptt: int = 70  # words a gradient goes back through, on average
    betas: tuple[float, float] = (0.7, 0.99)
    cut_frac: float = 0.1
    ratio: float = 32
    factor: float = 1.0  # 2.6 for discriminative fine-tuning, in stage 2
    alpha: float = 2.0
    beta: float = 1.0
    clip: float = 0.3
    seed: int = 0


class LMTraining:
    """A training run that can be stopped after any step, stored, and taken up again to the same result.

    Args:
        model: trained in place; on any device.
        ids: the text, (N,), on any device.
        settings: how.
        rank, world: which of how many processes this is. Each reads its own share of the streams; all draw the same
            window lengths. Gradients are averaged by `DistributedDataParallel`, which needs a process group.

    Raises:
        ValueError: the streams cannot be shared out evenly.
    """

    def __init__(
        self, model: LanguageModel, ids: Tensor, settings: LMSettings, rank: int = 0, world: int = 1
    ) -> None:
        if settings.batch_size % world:
            raise ValueError(
                f"batch_size: got {settings.batch_size}; allowed are multiples of {world} processes"
            )
        self.model, self.settings, self.world = model, settings, world
        share = settings.batch_size // world
        self.rows = streams(ids, settings.batch_size)[rank * share : (rank + 1) * share]
        lengths = torch.Generator().manual_seed(settings.seed)
        self.pieces = [
            piece
            for _ in range(settings.passes)
            for piece in windows(self.rows.shape[1], settings.bptt, lengths)
        ]
        groups = model.groups()
        self.optimizer = torch.optim.Adam([{"params": g} for g in groups], betas=settings.betas, fused=True)
        self.parameters = [p for group in groups for p in group]
        self.called: nn.Module = nn.parallel.DistributedDataParallel(model) if world > 1 else model
        self.step, self.state = 0, None
        self.losses: list[float] = []
        self.draws = Draws(settings.seed * 1000 + rank, ids.device)

    @property
    def steps(self) -> int:
        """Updates in the whole run."""
        return len(self.pieces)

    def rates(self, step: int) -> list[float]:
        """The learning rate of each group at an update, for a window of the usual length."""
        s = self.settings
        top = slanted_triangular(step, self.steps, s.lr, s.cut_frac, s.ratio)
        return discriminative_lrs(top, len(self.optimizer.param_groups), s.factor)

    def run(self, updates: int | None = None) -> list[float]:
        """Make up to `updates` more of them (all that are left, for None); returns their losses, in nats a word."""
        last = self.steps if updates is None else min(self.steps, self.step + updates)
        before = len(self.losses)
        with self.draws.taken_up():
            self.model.train()
            while self.step < last:
                self.losses.append(self._update())
                self.step += 1
        return self.losses[before:]

    def _update(self) -> float:
        s = self.settings
        start, size = self.pieces[self.step]
        if start == 0:
            self.state = None  # a new pass over the text
        for group, lr in zip(self.optimizer.param_groups, self.rates(self.step), strict=True):
            # short windows take small steps (Merity et al. 2018, section 4.1)
            group["lr"] = lr * size / s.bptt
        tokens, targets = self.rows[:, start : start + size], self.rows[:, start + 1 : start + size + 1]
        objective, loss, state = self.called(tokens, targets, self.state, s.alpha, s.beta)
        self.state = self.model.encoder.detach(state)
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        nn.utils.clip_grad_norm_(self.parameters, s.clip)
        self.optimizer.step()
        with torch.no_grad():
            self.model.encoder.weight[self.model.encoder.pad_id] = 0
        if self.world > 1:
            distributed.all_reduce(loss)
        return loss.item() / self.world

    def state_dict(self) -> dict[str, Any]:
        """Everything the run depends on, to be stored."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "state": self.state,
            "random": self.draws.state,
            "losses": self.losses,
        }

    def load_state_dict(self, stored: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called."""
        self.model.load_state_dict(stored["model"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.step, self.state = stored["step"], stored["state"]
        self.draws.state, self.losses = stored["random"].cpu(), list(stored["losses"])
