"""The AWD-LSTM (Merity et al. 2018, sections 2 and 3): an LSTM with dropout in five places.

Every mask here is drawn once for a forward pass and holds for all its time steps, so that the fused LSTM kernel
does the loop in time, and none of the five costs one: what DropConnect changes is the matrix handed to that kernel.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papertrail.experiments import at_least_one

State = tuple[tuple[Tensor, Tensor], ...]  # per layer: hidden and cell, each (1, B, size of the layer)


@dataclass(frozen=True)
class Dropouts:
    """Shares that are dropped. The defaults are the ones ULMFiT states (section 4.1)."""

    input: float = 0.4  # of the embedded input's features, one mask for a sequence
    embedding: float = 0.05  # of the vocabulary's words, one mask for a batch
    weight: float = 0.5  # of the hidden-to-hidden weights, one mask for a batch
    hidden: float = 0.3  # of the features between two layers, one mask for a sequence
    output: float = 0.4  # of the last layer's features, one mask for a sequence

    def __post_init__(self) -> None:
        for field in fields(self):
            share_below_one(field.name, getattr(self, field.name))

    def times(self, factor: float) -> "Dropouts":
        """All five, scaled: small corpora want more, small models less."""
        return replace(self, **{field.name: factor * getattr(self, field.name) for field in fields(self)})


def share_below_one(argument: str, share: float) -> None:
    """Refuse what is no share to drop.

    Raises:
        ValueError: `share` is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"{argument}: got {share!r}; allowed are numbers from 0 up to, and not including, 1")


NO_DROPOUT = Dropouts(0.0, 0.0, 0.0, 0.0, 0.0)


def locked_dropout(x: Tensor, share: float, training: bool = True) -> Tensor:
    """Drop features of a sequence, the same ones at every step (Gal & Ghahramani 2016; Merity et al. 2018, section 3).

    Shapes: (B, T, D) -> (B, T, D); what is kept is divided by 1 - share.
    """
    if not training or share == 0:
        return x
    keep = torch.empty(x.shape[0], 1, x.shape[2], dtype=x.dtype, device=x.device)
    return x * keep.bernoulli_(1 - share).div_(1 - share)


def dropped_embedding(tokens: Tensor, weight: Tensor, share: float, training: bool = True) -> Tensor:
    """Look words up, with whole words dropped from the vocabulary for this batch (Merity et al. 2018, section 3).

    Shapes: tokens (B, T), weight (V, E) -> (B, T, E). A dropped word is 0 wherever it stands in the batch.
    """
    embedded = F.embedding(tokens, weight)
    if not training or share == 0:
        return embedded
    keep = torch.empty(weight.shape[0], dtype=weight.dtype, device=weight.device)
    # the mask is looked up beside the word: no masked copy of the (V, E) table is made
    return embedded * keep.bernoulli_(1 - share).div_(1 - share)[tokens].unsqueeze(-1)


class WeightDropLSTM(nn.Module):
    """One LSTM layer with DropConnect on its hidden-to-hidden matrix (Merity et al. 2018, section 2; Wan et al. 2013).

    The stored `weight_hh` never changes in a forward pass: a dropped copy of it is handed to the fused kernel.

    Shapes: x (B, T, input_dim), state two of (1, B, hidden_dim) -> (B, T, hidden_dim) and the next state.
    """

    def __init__(self, input_dim: int, hidden_dim: int, share: float = 0.0) -> None:
        super().__init__()
        at_least_one(input_dim=input_dim, hidden_dim=hidden_dim)
        share_below_one("share", share)
        self.hidden_dim, self.share = hidden_dim, share
        bound = hidden_dim**-0.5
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_dim, input_dim).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_dim, hidden_dim).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_dim).uniform_(-bound, bound))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden_dim).uniform_(-bound, bound))

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if state is None:
            zero = x.new_zeros(1, x.shape[0], self.hidden_dim)
            state = (zero, zero)
        weight_hh = F.dropout(self.weight_hh, self.share, self.training)
        weights = [self.weight_ih, weight_hh, self.bias_ih, self.bias_hh]
        # what nn.LSTM calls itself: biases, one layer, no dropout of its own, one direction, batch first
        output, hidden, cell = torch.lstm(x, state, weights, True, 1, 0.0, self.training, False, True)
        return output, (hidden, cell)


class Encoded(NamedTuple):
    """What an encoder says about a batch: the last layer before and after its dropout, and the state to go on from."""

    raw: Tensor  # (B, T, E)
    output: Tensor  # (B, T, E)
    state: State


class AWDLSTM(nn.Module):
    """Embedding and LSTM layers, the last as wide as the embedding so that the softmax can share its weights.

    Args:
        vocab_size: V, words.
        embedding_dim: E; 400 in the paper.
        hidden_dim: features of every layer but the last; 1150 in the paper.
        num_layers: LSTM layers; 3 in the paper.
        dropouts: the five shares.
        pad_id: the word that stands for no word: its embedding is 0 and stays so.
        embedding_std: embeddings start as N(0, embedding_std^2), or uniform in [-0.1, 0.1], as published, for None.

    Shapes: tokens (B, T) -> Encoded; sizes as in Merity et al. 2018, section 5.

    Raises:
        ValueError: a size is below 1, or `pad_id` is no word.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int = 400,
        hidden_dim: int = 1150,
        num_layers: int = 3,
        dropouts: Dropouts = Dropouts(),
        pad_id: int = 1,
        embedding_std: float | None = None,
    ) -> None:
        super().__init__()
        at_least_one(vocab_size=vocab_size, embedding_dim=embedding_dim, num_layers=num_layers)
        if not 0 <= pad_id < vocab_size:
            raise ValueError(f"pad_id: got {pad_id}; allowed are the words 0 to {vocab_size - 1}")
        self.vocab_size, self.embedding_dim, self.pad_id, self.dropouts = (
            vocab_size,
            embedding_dim,
            pad_id,
            dropouts,
        )
        self.weight = nn.Parameter(torch.empty(vocab_size, embedding_dim))
        with torch.no_grad():
            if embedding_std is None:
                self.weight.uniform_(-0.1, 0.1)
            else:
                self.weight.normal_(0, embedding_std)
            self.weight[pad_id] = 0
        widths = [embedding_dim, *[hidden_dim] * (num_layers - 1), embedding_dim]
        self.layers = nn.ModuleList(
            WeightDropLSTM(i, o, dropouts.weight) for i, o in zip(widths, widths[1:], strict=False)
        )

    def forward(self, tokens: Tensor, state: State | None = None) -> Encoded:
        drop = self.dropouts
        x = dropped_embedding(tokens, self.weight, drop.embedding, self.training)  # (B, T, E)
        x = locked_dropout(x, drop.input, self.training)
        states = []
        for i, layer in enumerate(self.layers):
            if i:
                x = locked_dropout(x, drop.hidden, self.training)
            x, after = layer(x, None if state is None else state[i])
            states.append(after)
        return Encoded(x, locked_dropout(x, drop.output, self.training), tuple(states))

    def detach(self, state: State) -> State:
        """The same state, through which no gradient goes back."""
        return tuple((hidden.detach(), cell.detach()) for hidden, cell in state)

    def groups(self) -> list[list[nn.Parameter]]:
        """The parameters by layer, the layer nearest the input first: the embedding, then each LSTM layer."""
        return [[self.weight], *[list(layer.parameters()) for layer in self.layers]]
