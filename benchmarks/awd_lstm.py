"""Our language model's training step beside its parts and other ways to make it, in one process; speed and perplexity.

    .venv/bin/python benchmarks/awd_lstm.py [--record] [--quick]

Run it by hand on a quiet machine; the method is that of papertrail.benchmarking. A step is everything: forward pass
with all dropouts and penalties, backward pass, clipping, Adam. Speeds are words a second. Then every softmax learns
the same words from the same start, with settings fixed beforehand, since a faster one that learns less is no gain; the
short form leaves that out. Text: BBC news, where its package is installed; otherwise words drawn by Zipf's law, which
nothing can be learned from. `--record` writes book/results/ulmfit/speed.json.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papertrail.benchmarking import (
    Yardstick,
    alternate,
    finish,
    parse,
    parser,
    quartiles,
    refuse_wrong,
    with_gradients,
)
from papertrail.experiments import progress, seeded
from papertrail.ulmfit.awd_lstm import NO_DROPOUT, WeightDropLSTM
from papertrail.ulmfit.corpora import CorpusError, load_corpus, split_by_hash
from papertrail.ulmfit.language_model import LanguageModel, LMSettings, LMTraining, perplexity
from papertrail.ulmfit.runs import ModelSizes, as_ids
from papertrail.ulmfit.text import Vocabulary, tokenize

SIZES = (
    (64, 128, 2, 2000),
    (128, 256, 3, 8000),
    (128, 192, 3, 8000),
)  # embedding, hidden, layers, vocabulary
COMMAND = "python benchmarks/awd_lstm.py --record"
LEARNED = (SIZES[2], 300_000, (0, 1, 2))  # size, words, seeds: which softmax learns how much
FULL, OURS, TORCH, ALONE, LOOP = (
    "one softmax, tied",
    "adaptive softmax, tied",
    "torch's adaptive softmax",
    "LSTM alone",
    "LSTM alone, Python loop",
)


class TorchAdaptiveSoftmax(nn.Module):
    """PyTorch's: not tied to the embedding, and smaller vectors for rarer words (Grave et al. 2017)."""

    def __init__(self, embedding_dim: int, vocab_size: int, cutoffs: tuple[int, ...]) -> None:
        super().__init__()
        self.inner = nn.AdaptiveLogSoftmaxWithLoss(embedding_dim, vocab_size, list(cutoffs))

    def forward(self, output: Tensor, targets: Tensor) -> Tensor:
        return -self.inner(output, targets).output


class NoSoftmax(nn.Module):
    """A stand-in that costs next to nothing: the encoder's output itself is made small."""

    def forward(self, output: Tensor, targets: Tensor) -> Tensor:
        return output.square().mean(-1)


class LoopedLSTM(WeightDropLSTM):
    """The same layer with its loop over time in Python, as `nn.LSTMCell` would be called."""

    def forward(self, x, state=None):
        if state is None:
            state = (x.new_zeros(1, x.shape[0], self.hidden_dim),) * 2
        weight_hh = F.dropout(self.weight_hh, self.share, self.training)
        hidden, cell = (part[0] for part in state)
        outputs = []
        for step in x.unbind(1):
            hidden, cell = torch.lstm_cell(
                step, (hidden, cell), self.weight_ih, weight_hh, self.bias_ih, self.bias_hh
            )
            outputs.append(hidden)
        return torch.stack(outputs, 1), (hidden[None], cell[None])


def sizes_of(size: tuple[int, int, int, int]) -> ModelSizes:
    return ModelSizes(*size[:3])


def build(way: str, size: tuple[int, int, int, int], sizes: ModelSizes) -> LanguageModel:
    """The language model of one way, from the seed that is set; the encoder's weights are the same for all."""
    vocab_size = size[3]
    model = sizes.build(vocab_size)
    cutoffs = model.softmax.cutoffs
    if way == FULL:
        model = LanguageModel(model.encoder, None)
    elif way == TORCH:
        model.softmax = TorchAdaptiveSoftmax(size[0], vocab_size, cutoffs)
    elif way in (ALONE, LOOP):
        model.softmax = NoSoftmax()
    if way == LOOP:
        for layer in model.encoder.layers:
            layer.__class__ = LoopedLSTM
    return model


def check(size: tuple[int, int, int, int], ids: Tensor) -> None:
    """Values, and gradients of the encoder's weights, against float64.

    Both LSTMs are compared with the loop; each softmax with minus the logarithms of its own probabilities of all words.

    Raises:
        WrongResult: a way is off by more than round-off.
    """
    sizes, words = replace(sizes_of(size), dropouts=NO_DROPOUT), ids[:200].view(4, 50)

    def run(way: str, reference: bool) -> list[Tensor]:
        with seeded(0):
            model = build(LOOP if reference and way == ALONE else way, size, sizes).eval()
        model = model.double() if reference else model

        def losses(*_: Tensor) -> Tensor:
            output, targets = model.encoder(words[:, :-1]).output.flatten(0, 1), words[:, 1:].flatten()
            if not reference or way in (ALONE, LOOP):
                return model.softmax(output, targets)
            whole = model.softmax.inner.log_prob if way == TORCH else model.softmax.log_probabilities
            return -whole(output).gather(1, targets[:, None])[:, 0]

        return with_gradients(
            losses, list(model.encoder.parameters()), torch.ones(4 * 49, dtype=model.encoder.weight.dtype)
        )

    for way in (ALONE, LOOP, FULL, OURS, TORCH):
        refuse_wrong(way, run(way, False), run(way, True))


@cache
def text(vocab_size: int) -> tuple[Tensor, Tensor, str]:
    """Numbers of words to learn from and to judge on, and where they come from."""
    try:
        split = split_by_hash(load_corpus("bbc").documents, test=0, validation=100)
    except CorpusError:
        share = 1 / (torch.arange(vocab_size) + 2.7)
        ids = torch.multinomial(share, 400_000, True, generator=torch.Generator().manual_seed(0))
        return ids[:-40_000], ids[-40_000:], "drawn by Zipf's law"
    words = Vocabulary.build((tokenize(d.text) for d in split.train), vocab_size, 1)
    train, held_out = (as_ids((d.text for d in part), words) for part in (split.train, split.validation))
    return train, held_out, "BBC news"


def flops(way: str, size: tuple[int, int, int, int], targets: Tensor) -> float:
    """Operations for a word that matrix products need, forward and, twice as many, backward.

    An LSTM layer has 4 H rows of its input's and its own size; a softmax meets E numbers for every word that it
    scores, and rare clusters only for the targets in them.
    """
    embedding, hidden, layers, vocab_size = size
    widths = [embedding, *[hidden] * (layers - 1), embedding]
    forward = sum(8 * o * (i + o) for i, o in zip(widths, widths[1:], strict=False))
    cutoffs = tuple(c for c in ModelSizes.cutoffs if c < vocab_size)
    if way == FULL:
        forward += 2 * embedding * vocab_size
    elif way in (OURS, TORCH):
        forward += 2 * embedding * (cutoffs[0] + len(cutoffs))
        for i, (low, high) in enumerate(zip(cutoffs, (*cutoffs[1:], vocab_size), strict=True), 1):
            share = ((targets >= low) & (targets < high)).double().mean().item()
            inner = embedding if way == OURS else embedding // 4**i
            projected = 0 if way == OURS else 2 * embedding * inner
            forward += share * (projected + 2 * inner * (high - low))
    return 3 * forward


@dataclass(frozen=True)
class Speed:
    """One way at one size."""

    way: str
    size: tuple[int, int, int, int]
    words_per_second: tuple[float, float, float]  # quartiles
    parameters: int
    flops_per_word: float
    share_of_gemm: float  # of what one matrix product of 512 a side reaches


def measure_speeds(
    size: tuple[int, int, int, int],
    ways: Iterable[str],
    ids: Tensor,
    rounds: int,
    steps: int,
    yardstick: Yardstick,
) -> list[Speed]:
    """Alternating rounds of `steps` updates each."""
    settings = LMSettings(passes=10)
    trainings = {}
    for way in ways:
        with seeded(0):
            trainings[way] = LMTraining(build(way, size, sizes_of(size)), ids, settings)

    def once(training: LMTraining) -> tuple[float]:
        pieces = training.pieces[training.step : training.step + steps]
        words = settings.batch_size * sum(length for _, length in pieces)
        start = time.process_time()
        training.run(steps)
        return (words / (time.process_time() - start),)

    before = len(yardstick.values)
    rates = alternate(
        {way: partial(once, training) for way, training in trainings.items()}, rounds, yardstick
    )
    gemm = quartiles(yardstick.values[before:])[1]
    found = []
    for way, training in trainings.items():
        (rate,) = rates[way]
        cost = flops(way, size, ids)
        number = sum(p.numel() for p in training.parameters)
        found.append(Speed(way, size, tuple(rate), number, cost, rate[1] * cost / (gemm * 1e9)))
    return found


def measure_learning(
    size: tuple[int, int, int, int], words: int, seeds: Iterable[int], train: Tensor, held_out: Tensor
) -> dict[str, list[float]]:
    """Perplexity of each softmax after the same words, one for each seed."""
    found: dict[str, list[float]] = {way: [] for way in (FULL, OURS, TORCH)}
    for seed in seeds:
        for way, values in found.items():
            with seeded(seed):
                model = build(way, size, sizes_of(size))
            LMTraining(model, train[:words], LMSettings(passes=1, seed=seed)).run()
            values.append(perplexity(model, held_out))
            print(f"  seed {seed} {way:26} perplexity {values[-1]:7.1f}", flush=True)
    return found


def say(size: tuple[int, int, int, int], found: list[Speed], source: str) -> None:
    """One size of the terminal's table."""
    print(f"embedding {size[0]}, hidden {size[1]} x {size[2]}, {size[3]} words; text: {source}")
    for speed in found:
        low, middle, high = speed.words_per_second
        rate = f"{middle:8.0f} words/s ({low:.0f} to {high:.0f})"
        work = f"{speed.flops_per_word / 1e6:6.2f} MFLOP a word"
        print(f"  {speed.way:26} {rate}, {work}, {speed.share_of_gemm:4.0%} of a matrix product", flush=True)


def main() -> int:
    given = parse(parser(__doc__, "eleven minutes of one core", rounds=9))
    yardstick, speeds = Yardstick(), []
    for size in progress(SIZES[2:] if given.quick else SIZES, "sizes"):
        train, _, source = text(size[3])
        check(size, train)
        ways = (FULL, OURS, TORCH, ALONE, LOOP)
        found = measure_speeds(size, ways, train, given.rounds, 1 if given.quick else 4, yardstick)
        say(size, found, source)
        speeds += found
    data = {"speeds": [asdict(speed) for speed in speeds], "text": source}
    if not given.quick:
        size, words, seeds = LEARNED
        data["perplexities"] = measure_learning(size, words, seeds, *text(size[3])[:2])
        data["learned"] = {"size": size, "words": words, "seeds": seeds}
    return finish(given, ("ulmfit", "speed"), COMMAND, data, yardstick)


if __name__ == "__main__":
    raise SystemExit(main())
