"""From a language model's encoder to a classifier of documents (Howard & Ruder 2018, section 3.3).

An encoder here is any module with `encoder(tokens, state)` -> (raw, output, state) by name, `detach(state)`,
`groups()`, `embedding_dim` and `pad_id`. Documents are rows of token ids, padded on the right.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from papertrail.experiments import at_least_one


def _valid(lengths: Tensor, batch: int, steps: int) -> Tensor:
    """True where a position belongs to its document: (B, T), after a check of the lengths.

    Raises:
        ValueError: `lengths` is not one whole number from 1 to T for each document.
    """
    if lengths.shape != (batch,) or batch < 1 or lengths.is_floating_point() or lengths.dtype == torch.bool:
        got = f"shape {tuple(lengths.shape)} of {lengths.dtype}"
        raise ValueError(
            f"lengths: got {got}; allowed are integers, one for each of {batch} documents (1 or more)"
        )
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest < 1 or longest > steps:
        raise ValueError(f"lengths: got {shortest} to {longest}; allowed are integers from 1 to {steps}")
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def concat_pool(states: Tensor, lengths: Tensor) -> Tensor:
    """[last state, maximum over the steps, mean over the steps] of each document (Howard & Ruder 2018, section 3.3).

    Whatever lies beyond a document's length is ignored, in values and in gradients, even if it is not finite.

    Shapes: states (B, T, D), lengths (B,) -> (B, 3 D).

    Raises:
        ValueError: `lengths` is not one whole number from 1 to T for each document.
    """
    if states.dim() != 3:
        raise ValueError(
            f"states: got shape {tuple(states.shape)}; allowed are three axes: documents, steps, features"
        )
    lengths = lengths.to(states.device)
    padding = ~_valid(lengths, *states.shape[:2])[..., None]  # (B, T, 1)
    last = states[torch.arange(len(states), device=states.device), lengths - 1]
    # masked_fill, not a product with the mask: 0 * nan is nan, in the gradient as well
    largest = states.masked_fill(padding, -torch.inf).amax(dim=1)
    mean = states.masked_fill(padding, 0.0).sum(dim=1) / lengths[:, None]
    return torch.cat([last, largest, mean], dim=1)


class DocumentEncoder(nn.Module):
    """The encoder's states for whole documents: BPT3C, "BPTT for text classification" (Howard & Ruder 2018, 3.3).

    A document is cut into chunks of `bptt` tokens. Each chunk starts from the state in which the one before ended,
    detached, as in the released scripts: gradients reach every chunk through its own states in the pool, but do not
    cross a cut. With bptt >= T there is no cut and the gradient is whole. The chunks have a fixed length, as in the
    scripts; the paper says that lengths vary in practice. The states are those before the encoder's output dropout:
    the head brings its own.

    Args:
        bptt: tokens in a chunk.
        max_steps: keep only this many last steps of each document (all by default); what lies before them still
            feeds the state, without a gradient.

    Shapes: tokens (B, T), lengths (B,) -> states (B, S, E) and lengths (B,), where S is the longest kept length.

    Raises:
        ValueError: `bptt` or `max_steps` is not an integer of at least 1, `tokens` is not (B, T) of integers, or a
            length is not between 1 and T.
    """

    def __init__(self, encoder: Any, bptt: int = 70, max_steps: int | None = None) -> None:
        super().__init__()
        at_least_one(bptt=bptt, **({} if max_steps is None else {"max_steps": max_steps}))
        self.encoder, self.bptt, self.max_steps = encoder, bptt, max_steps

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if tokens.dim() != 2 or tokens.is_floating_point():
            raise ValueError(
                f"tokens: got shape {tuple(tokens.shape)} of {tokens.dtype}; allowed are integers, documents by steps"
            )
        lengths = lengths.to(tokens.device)
        _valid(lengths, *tokens.shape)
        kept = lengths if self.max_steps is None else lengths.clamp(max=self.max_steps)
        first = lengths - kept  # (B,) the first step that each document keeps
        begin, end = int(first.min()), int(lengths.max())
        state, chunks = None, []
        offset = begin - begin % self.bptt  # the first step of the first chunk that is kept
        for start in range(0, end, self.bptt):
            needed = start >= offset
            with torch.set_grad_enabled(needed and torch.is_grad_enabled()):
                encoded = self.encoder(tokens[:, start : min(start + self.bptt, end)], state)
            state = self.encoder.detach(encoded.state)
            if needed:
                chunks.append(encoded.raw)
        states = torch.cat(chunks, dim=1)  # (B, end - offset, E)
        if self.max_steps is None:
            return states, kept
        steps = first[:, None] - offset + torch.arange(int(kept.max()), device=tokens.device)  # (B, S)
        steps = steps.clamp(max=states.shape[1] - 1)  # beyond the document: padding, never pooled
        return states.gather(1, steps[..., None].expand(-1, -1, states.shape[2])), kept


class ClassifierHead(nn.Module):
    """Two blocks of batch normalization, dropout and a linear map, a ReLU between them (Howard & Ruder 2018, 3.3).

    Args:
        input_dim: 3 E for concat-pooled states of size E.
        hidden: size between the blocks; 50 in the paper (section 4.1).
        dropouts: of the two blocks; the paper gives 0.4 for layers, the released scripts 0.4 and 0.1.

    Shapes: (B, input_dim) -> logits (B, num_classes).

    Raises:
        ValueError: a size is below 1, fewer than two classes, not two dropouts in [0, 1), or, in training mode, a batch
            of one document, which batch normalization cannot use.
    """

    def __init__(
        self,
        input_dim: int,
        num_classes: int,
        *,
        hidden: int = 50,
        dropouts: tuple[float, float] = (0.4, 0.1),
    ) -> None:
        super().__init__()
        at_least_one(input_dim=input_dim, hidden=hidden, num_classes=num_classes)
        if num_classes < 2:
            raise ValueError(f"num_classes: got {num_classes}; allowed are integers from 2 up")
        if len(dropouts) != 2 or not all(0 <= rate < 1 for rate in dropouts):
            raise ValueError(f"dropouts: got {dropouts!r}; allowed are two numbers from 0 up and below 1")
        self.layers = nn.Sequential(
            nn.BatchNorm1d(input_dim),
            nn.Dropout(dropouts[0]),
            nn.Linear(input_dim, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropouts[1]),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, pooled: Tensor) -> Tensor:
        if self.training and len(pooled) < 2:
            raise ValueError(
                f"pooled: got {len(pooled)} document; allowed are 2 or more in training mode, for batch normalization"
            )
        return self.layers(pooled)


class TextClassifier(nn.Module):
    """Encoder, concat pooling and head: the classifier of stage 3 (Howard & Ruder 2018, section 3.3, fig. 1c).

    Args:
        hidden, head_dropouts: as in `ClassifierHead`.
        bptt, max_steps: as in `DocumentEncoder`.

    Shapes: tokens (B, T), lengths (B,) -> logits (B, num_classes).

    Raises:
        ValueError: as `DocumentEncoder` and `ClassifierHead`.
    """

    def __init__(
        self,
        encoder: Any,
        num_classes: int,
        *,
        hidden: int = 50,
        head_dropouts: tuple[float, float] = (0.4, 0.1),
        bptt: int = 70,
        max_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.documents = DocumentEncoder(encoder, bptt, max_steps)
        self.head = ClassifierHead(
            3 * encoder.embedding_dim, num_classes, hidden=hidden, dropouts=head_dropouts
        )

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.head(concat_pool(*self.documents(tokens, lengths)))

    def groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the input up: the embedding, each LSTM layer, the head (the order of `discriminative_lrs`).

        In the language model the tied embedding belongs to the top group; here nothing is tied, and it is the lowest.
        """
        return [*self.documents.encoder.groups(), list(self.head.parameters())]

    def set_trainable(self, mask: Sequence[bool]) -> None:
        """Let some groups learn and freeze the others; the mask is one epoch of an `unfreezing_plan`.

        Only gradients are stopped. Dropout stays on in frozen groups and batch normalization goes on counting, as in
        the released scripts. A frozen parameter's old gradient is dropped, so that no optimizer applies it later.

        Raises:
            ValueError: the mask has not one entry for each group.
        """
        groups = self.groups()
        if len(mask) != len(groups):
            raise ValueError(f"mask: got {len(mask)} entries; allowed are {len(groups)}, one for each group")
        for group, trains in zip(groups, mask, strict=True):
            for parameter in group:
                parameter.requires_grad_(bool(trains))
                if not trains:
                    parameter.grad = None


def param_groups(groups: Sequence[Sequence[nn.Parameter]], lrs: Sequence[float]) -> list[dict[str, Any]]:
    """What a torch optimizer takes: each group with its own rate (Howard & Ruder 2018, section 3.2).

    Raises:
        ValueError: not one rate for each group, a negative rate, an empty group, or a parameter that is in two places.
    """
    if len(groups) != len(lrs):
        raise ValueError(f"lrs: got {len(lrs)} rates; allowed are {len(groups)}, one for each group")
    seen: set[int] = set()
    for i, (group, lr) in enumerate(zip(groups, lrs, strict=True)):
        if not 0 <= lr < float("inf"):
            raise ValueError(f"lrs: got {lr!r} for group {i}; allowed are numbers from 0 up")
        if not group:
            raise ValueError(f"groups: group {i} is empty; give each at least one parameter")
        for parameter in group:
            if id(parameter) in seen:
                raise ValueError(f"groups: group {i} repeats a parameter; each may have one rate only")
            seen.add(id(parameter))
    return [{"params": list(group), "lr": float(lr)} for group, lr in zip(groups, lrs, strict=True)]


def reverse_documents(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Each document read backwards, its padding still on the right: input of the backward model (3.3, "Bidirectional").

    Shapes: tokens (B, T), lengths (B,) -> (B, T).

    Raises:
        ValueError: `lengths` is not one whole number from 1 to T for each document.
    """
    lengths = lengths.to(tokens.device)
    steps = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    valid = _valid(lengths, *tokens.shape)
    return tokens.gather(1, torch.where(valid, lengths[:, None] - 1 - steps, steps))


def ensemble(forward: Tensor, backward: Tensor) -> Tensor:
    """Mean of the class probabilities of the forward and the backward classifier (Howard & Ruder 2018, section 3.3).

    Shapes: forward and backward (B, C) -> (B, C).

    Raises:
        ValueError: the shapes differ, or a row is no probability distribution (logits, for example).
    """
    if forward.shape != backward.shape:
        raise ValueError(
            f"backward: got shape {tuple(backward.shape)}; allowed is that of forward, {tuple(forward.shape)}"
        )
    for name, given in (("forward", forward), ("backward", backward)):
        if bool((given < 0).any()) or not torch.allclose(
            given.sum(-1), torch.ones_like(given[..., 0]), atol=1e-3
        ):
            raise ValueError(
                f"{name}: got rows that are no probabilities; allowed are numbers from 0 up with sum 1"
            )
    return (forward + backward) / 2
