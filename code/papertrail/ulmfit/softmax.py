"""Softmaxes that share the embedding's weights: over all words at once, or over clusters of words.

Tying: Press & Wolf 2017; Inan et al. 2017. Clusters by frequency: Grave et al. 2017, section 4. In that paper
rare words get shorter vectors of their own; here every word keeps its tied row, and the gain is that most words never
meet the rare rows. Both forms give exactly normalized probabilities.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TiedSoftmax(nn.Module):
    """The next word's log probabilities from an encoder's output and its own embedding (V, E), with a bias a word.

    Shapes: weight (V, E).
    """

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(weight.shape[0]))

    def forward(self, output: Tensor, targets: Tensor) -> Tensor:
        """Minus the log probability of every target, in nats.

        Shapes: output (N, E), targets (N,) -> (N,)
        """
        return F.cross_entropy(F.linear(output, self.weight, self.bias), targets, reduction="none")

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Over the whole vocabulary. Shapes: (N, E) -> (N, V)."""
        return F.log_softmax(F.linear(output, self.weight, self.bias), dim=-1)


class TiedAdaptiveSoftmax(nn.Module):
    """An adaptive softmax whose every cluster is tied to the embedding (Grave et al. 2017, section 4; tying is ours).

    The first `cutoffs[0]` words, which must be the most frequent ones, stand in the head beside one entry for each
    cluster of rarer words. log p(word of cluster c) = log p(c) + log p(word | c).

    Args:
        weight: the embedding, (V, E), rows by falling frequency.
        cutoffs: where clusters begin, rising, each below V.

    Raises:
        ValueError: the cutoffs do not rise within the vocabulary.
    """

    def __init__(self, weight: nn.Parameter, cutoffs: tuple[int, ...]) -> None:
        super().__init__()
        vocab_size = weight.shape[0]
        edges = (0, *cutoffs, vocab_size)
        if not cutoffs or any(low >= high for low, high in zip(edges, edges[1:], strict=False)):
            raise ValueError(f"cutoffs: got {cutoffs}; allowed are rising numbers between 0 and {vocab_size}")
        self.weight, self.cutoffs = weight, tuple(cutoffs)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.cluster_weight = nn.Parameter(torch.zeros(len(cutoffs), weight.shape[1]))
        self.cluster_bias = nn.Parameter(torch.zeros(len(cutoffs)))

    def _head(self, output: Tensor) -> Tensor:
        """Logits of the frequent words, then of the clusters: (N, cutoffs[0] + clusters)."""
        c = self.cutoffs[0]
        weight = torch.cat([self.weight[:c], self.cluster_weight])
        return F.linear(output, weight, torch.cat([self.bias[:c], self.cluster_bias]))

    def _clusters(self) -> list[tuple[int, int]]:
        edges = (*self.cutoffs, self.weight.shape[0])
        return list(zip(edges, edges[1:], strict=False))

    def forward(self, output: Tensor, targets: Tensor) -> Tensor:
        """Minus the log probability of every target, in nats.

        Shapes: output (N, E), targets (N,) -> (N,)
        """
        c = self.cutoffs[0]
        in_head = targets.clamp(max=c - 1)
        rare = []
        for i, (low, high) in enumerate(self._clusters()):
            at = ((targets >= low) & (targets < high)).nonzero().squeeze(1)
            in_head = in_head.index_fill(0, at, c + i)
            rare.append((at, low, high))
        loss = F.cross_entropy(self._head(output), in_head, reduction="none")
        for at, low, high in rare:
            if at.numel():
                logits = F.linear(output[at], self.weight[low:high], self.bias[low:high])
                within = F.cross_entropy(logits, targets[at] - low, reduction="none")
                loss = loss.index_add(0, at, within)
        return loss

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Over the whole vocabulary. Shapes: (N, E) -> (N, V)."""
        head = F.log_softmax(self._head(output), dim=-1)
        c = self.cutoffs[0]
        parts = [head[:, :c]]
        for i, (low, high) in enumerate(self._clusters()):
            within = F.log_softmax(F.linear(output, self.weight[low:high], self.bias[low:high]), dim=-1)
            parts.append(head[:, c + i : c + i + 1] + within)
        return torch.cat(parts, dim=-1)
