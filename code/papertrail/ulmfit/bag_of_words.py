"""What ULMFiT has to beat at every number of labels: words without order, and a linear classifier.

The choice is ours: the paper compares with other networks.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from papertrail.experiments import at_least_one, given


class BagOfWords:
    """Tf-idf features and L2-regularized logistic regression, fitted until its gradient vanishes.

    A document's weight for a word it holds `count` times is (1 + ln count) * (1 + ln((1 + n) / (1 + df))), with df of
    the n training documents holding that word; words that no training document holds are left out. Each document's
    weights are then scaled to unit length. The classifier minimizes

        sum of the cross-entropies + strength / 2 * |W|^2

    over a weight W for each word and class, and a bias for each class that is not regularized.

    Args:
        vocab_size: number of word ids.

    Raises:
        ValueError: a vocabulary below 1, ids outside it, labels outside the classes, a class without a document, or
            a strength that is not above 0.
    """

    def __init__(self, vocab_size: int) -> None:
        at_least_one(vocab_size=vocab_size)
        self.vocab_size = vocab_size
        self.idf: Tensor | None = None  # (V,), 0 for words never seen

    def fit(
        self, documents: Sequence[Iterable[int]], labels: Sequence[int], classes: int, strength: float = 1.0
    ) -> "BagOfWords":
        """Learn from documents (sequences of word ids, of any length) and their labels (0 to classes - 1).

        Raises:
            ValueError: see the class.
        """
        at_least_one(classes=classes)
        if not 0 < strength < float("inf"):
            raise ValueError(f"strength: got {strength!r}; allowed are numbers above 0")
        if len(documents) != len(labels) or not documents:
            raise ValueError(
                f"labels: got {len(labels)} for {len(documents)} documents; allowed is one for each of 1 or more"
            )
        target = torch.as_tensor([int(label) for label in labels])
        if int(target.min()) < 0 or int(target.max()) >= classes:
            raise ValueError(
                f"labels: got {int(target.min())} to {int(target.max())}; allowed are integers from 0 to {classes - 1}"
            )
        if missing := set(range(classes)) - set(target.tolist()):
            raise ValueError(f"labels: class {min(missing)} has no document, so its bias has no best value")
        counts = self._counts(documents)
        held = torch.zeros(self.vocab_size, dtype=torch.float64)
        for count in counts:
            held[list(count)] += 1
        idf = 1 + torch.log((1 + len(documents)) / (1 + held))
        self.idf = torch.where(held > 0, idf, 0.0)
        self.weight, self.bias = _fit(self._features(counts), target, self.vocab_size, classes, strength)
        return self

    def predict(self, documents: Sequence[Iterable[int]]) -> Tensor:
        """The likeliest class of each document, (n,) int64.

        Raises:
            ValueError: before `fit`, or an id outside the vocabulary.
        """
        if self.idf is None:
            raise ValueError("predict: this BagOfWords has not been fitted; call fit first")
        features = self._features(self._counts(documents))
        return (_times(features, self.weight) + self.bias).argmax(1)

    def _counts(self, documents: Sequence[Iterable[int]]) -> list[Counter[int]]:
        counts = [Counter(d.tolist() if isinstance(d, Tensor) else map(int, d)) for d in documents]
        for i, count in enumerate(counts):
            if count and not 0 <= min(count) <= max(count) < self.vocab_size:
                wrong = min(count) if min(count) < 0 else max(count)
                raise ValueError(
                    f"documents: document {i} has id {wrong}; allowed are integers from 0 to {self.vocab_size - 1}"
                )
        return counts

    def _features(self, counts: list[Counter[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """All documents' words end to end, where each document starts, and the weight of each word."""
        words = torch.tensor([word for count in counts for word in count], dtype=torch.int64)
        times = torch.tensor([n for count in counts for n in count.values()], dtype=torch.float64)
        sizes = torch.tensor([len(count) for count in counts])
        values = (1 + torch.log(times)) * given(self.idf)[words]
        row = torch.arange(len(counts)).repeat_interleave(sizes)
        square = torch.zeros(len(counts), dtype=torch.float64).index_add(0, row, values**2)
        norm = square.sqrt().clamp(min=1e-12)  # a document of unseen words only stays at 0
        return words, sizes.cumsum(0) - sizes, values / norm[row]


def _times(features: tuple[Tensor, Tensor, Tensor], dense: Tensor) -> Tensor:
    """A sparse matrix (columns and values of its rows end to end, and where each row starts) times a dense one."""
    columns, starts, values = features
    return F.embedding_bag(columns, dense, starts, mode="sum", per_sample_weights=values)


def _transposed(features: tuple[Tensor, Tensor, Tensor], columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same sparse matrix by columns: which rows hold each word."""
    words, starts, values = features
    ends = torch.cat([starts[1:], torch.tensor([len(words)])])
    row = torch.arange(len(starts)).repeat_interleave(ends - starts)
    sizes = torch.bincount(words, minlength=columns)
    order = words.argsort(stable=True)
    return row[order], sizes.cumsum(0) - sizes, values[order]


def _fit(
    features: tuple[Tensor, Tensor, Tensor], target: Tensor, vocab_size: int, classes: int, strength: float
) -> tuple[Tensor, Tensor]:
    """Weights (V, C) and biases (C,) at the minimum; the objective is convex, so there is only one."""
    weight = torch.zeros(vocab_size, classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    by_word = _transposed(features, vocab_size)
    one_hot = F.one_hot(target, classes).double()
    decay = strength / len(target)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=1000,
        tolerance_grad=1e-8,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    @torch.no_grad()
    def mean_loss() -> Tensor:
        scores = _times(features, weight) + bias
        # the gradient by hand: autograd's own backward pass of the sparse product takes ten times as long
        error = (scores.softmax(1) - one_hot) / len(target)
        weight.grad = _times(by_word, error) + decay * weight
        bias.grad = error.sum(0)
        return F.cross_entropy(scores, target) + decay / 2 * weight.square().sum()

    optimizer.step(mean_loss)
    mean_loss()
    largest = max(given(part.grad).abs().max().item() for part in (weight, bias))
    if not largest < 1e-6:
        raise RuntimeError(
            f"the fit stopped at a gradient of {largest:.1e}, above 1e-6; try a larger strength"
        )
    return weight.detach(), bias.detach()
