"""What the chapter measures live beside the recipe: softmax, masks, the group of the tied weights, real reviews."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from papertrail.experiments import at_least_one, results_file, seeded
from papertrail.ulmfit.awd_lstm import WeightDropLSTM
from papertrail.ulmfit.fine_tuning import ULMFIT
from papertrail.ulmfit.language_model import LanguageModel, LMTraining, perplexity
from papertrail.ulmfit.recipe import DIALECT, STAGE_1, STAGE_2, TARGET_TOPICS, new_model
from papertrail.ulmfit.reviews import CLASSIFIER_DROPOUTS, bag_of_words_error, classify_reviews, split_reviews
from papertrail.ulmfit.runs import load_encoder
from papertrail.ulmfit.softmax import TiedAdaptiveSoftmax
from papertrail.ulmfit.synthetic import TOPICS, make_language

ENCODER = "encoder"


@dataclass(frozen=True)
class SoftmaxCheck:
    """How far an adaptive softmax is from a probability distribution, and how much less it computes."""

    sum_error: float  # largest |sum of all words' probabilities - 1|
    loss_error: float  # largest difference between its loss and minus the log of that word's probability
    share: float  # products of an output with a word's row, against the full softmax, on words by Zipf's law


def measure_softmax(
    vocab_size: int = 8000, cutoffs: tuple[int, ...] = (1000, 3000), seed: int = 0
) -> SoftmaxCheck:
    """Random weights in float64, and 2,000 targets whose frequencies fall as 1 / rank.

    Raises:
        ValueError: `vocab_size` is below 1, or the cutoffs do not fit it.
    """
    at_least_one(vocab_size=vocab_size)
    draws = torch.Generator().manual_seed(seed)
    weight = torch.nn.Parameter(torch.randn(vocab_size, 16, dtype=torch.float64, generator=draws))
    softmax = TiedAdaptiveSoftmax(weight, cutoffs).double()
    with torch.no_grad():
        softmax.cluster_weight.normal_(generator=draws)
    output = torch.randn(2000, 16, dtype=torch.float64, generator=draws)
    frequency = 1 / torch.arange(1, vocab_size + 1).double()
    targets = torch.multinomial(frequency, 2000, replacement=True, generator=draws)
    with torch.no_grad():
        log_p = softmax.log_probabilities(output[:100])
        loss = softmax(output[:100], targets[:100])
    at_targets = log_p[torch.arange(100), targets[:100]]
    edges = (*cutoffs, vocab_size)
    rows = float(cutoffs[0] + len(cutoffs))
    for low, high in zip(edges, edges[1:], strict=False):
        rows += ((targets >= low) & (targets < high)).double().mean().item() * (high - low)
    return SoftmaxCheck(
        (log_p.exp().sum(1) - 1).abs().max().item(), (loss + at_targets).abs().max().item(), rows / vocab_size
    )


@dataclass(frozen=True)
class OneMask:
    """Largest differences of one layer's outputs with DropConnect, step by step."""

    passes: list[float]  # between two passes
    one_mask: list[float]  # from a loop by hand with one thinned matrix for all steps
    fresh_masks: list[float]  # from a loop by hand that thins the matrix anew at each step


def measure_one_mask(steps: int = 4, share: float = 0.5, seed: int = 0) -> OneMask:
    """A layer with DropConnect beside the LSTM's equations as a loop, in float64 (Merity et al. 2018, section 2)."""
    at_least_one(steps=steps)
    with seeded(seed):
        layer = WeightDropLSTM(16, 32, share).double()
        x = torch.randn(4, steps, 16, dtype=torch.float64)
        other = layer(x)[0]
    with seeded(seed + 1):
        output = layer(x)[0]
    with seeded(seed + 1):  # the same first draw
        masks = [torch.nn.functional.dropout(torch.ones_like(layer.weight_hh), share) for _ in range(steps)]
    loops = [_loop(layer, x, masks[:1] * steps), _loop(layer, x, masks)]
    return OneMask(*((output - one).detach().abs().amax(dim=(0, 2)).tolist() for one in (other, *loops)))


@torch.no_grad()
def _loop(layer: WeightDropLSTM, x: torch.Tensor, masks: list[torch.Tensor]) -> torch.Tensor:
    """One LSTM layer step by step, its hidden-to-hidden matrix times a mask at each."""
    h = c = x.new_zeros(x.shape[0], layer.hidden_dim)
    outputs = []
    for t, mask in enumerate(masks):
        gates = x[:, t] @ layer.weight_ih.T + layer.bias_ih + h @ (layer.weight_hh * mask).T + layer.bias_hh
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, dim=1)


class EmbeddingLowest(LanguageModel):
    """A language model whose tied embedding learns at the lowest rate, as a layer nearest the input would."""

    def groups(self) -> list[list[torch.nn.Parameter]]:
        """The same groups in the other order: the tied weights learn slowest."""
        *layers, tied = super().groups()
        return [tied, *layers]


@dataclass(frozen=True)
class TiedGroup:
    """Perplexities of the target text, by the group in which the tied embedding learns; a value for each language."""

    before: list[float]
    top: list[float]
    bottom: list[float]
    forgotten: list[
        float
    ]  # how much more the general text's perplexity rises with the fast group, as a factor


def measure_tied_group(
    languages: tuple[int, ...] = (10, 11), documents: int = 2000, target_documents: int = 1000
) -> TiedGroup:
    """Stage 2 on the constructed language with the embedding in the fastest and in the slowest group."""
    at_least_one(documents=documents, target_documents=target_documents)
    found = TiedGroup([], [], [], [])
    for seed in languages:
        language, draws = make_language(seed), torch.Generator().manual_seed(seed)
        general = language.documents(documents, range(TOPICS), 0.0, draws)[0].flatten()
        target = language.documents(target_documents, TARGET_TOPICS, DIALECT, draws)[0].flatten()
        held_out = language.documents(200, TARGET_TOPICS, DIALECT, draws)[0].flatten()
        general_too = language.documents(200, range(TOPICS), 0.0, draws)[0].flatten()
        kept = []
        with seeded(seed):
            model = new_model()
        LMTraining(model, general, replace(STAGE_1, passes=1, seed=seed)).run()
        found.before.append(perplexity(model, held_out, 25, 40))
        for kind, values in ((LanguageModel, found.top), (EmbeddingLowest, found.bottom)):
            other = kind(new_model().encoder)
            other.load_state_dict(model.state_dict())
            LMTraining(other, target, replace(STAGE_2, passes=1, seed=seed)).run()
            values.append(perplexity(other, held_out, 25, 40))
            kept.append(perplexity(other, general_too, 25, 40))
        found.forgotten.append(kept[0] / kept[1])
    return found


@dataclass(frozen=True)
class LiveReviews:
    """Errors on real reviews: a classifier from the stored encoder, and bag of words, on the same labels."""

    ulmfit: list[float]  # one for each seed
    bag_of_words: list[float]
    labels: int
    judged: int


def encoder_file() -> Path:
    """Where the encoder that comes with the course lies."""
    return results_file("ulmfit", ENCODER).with_suffix(".pt")


def measure_reviews(labels: int = 200, judged: int = 200, seeds: int = 1, epochs: int = 4) -> LiveReviews:
    """Stage 3 on IMDb, live: few epochs, judged on validation reviews that no stage has seen.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(labels=labels, judged=judged, seeds=seeds, epochs=epochs)
    documents = split_reviews().validation[:judged]
    found = LiveReviews([], [], labels, judged)
    for seed in range(seeds):
        encoder, vocabulary = load_encoder(encoder_file(), CLASSIFIER_DROPOUTS)
        found.ulmfit.append(
            classify_reviews(encoder, vocabulary, ULMFIT, labels, seed, documents, epochs).error
        )
        found.bag_of_words.append(bag_of_words_error(vocabulary, labels, seed, documents))
    return found
