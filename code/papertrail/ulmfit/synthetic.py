"""A small language of our own, in which the topic of a document is all there is to learn.

It is constructed so that ULMFiT's three stages can be run, whole, in half a minute. Function words follow a Markov
chain that says nothing of the topic; between them stand content words, nearly all of the document's topic. A target
text speaks a dialect: some of its content words do not occur in the general text. Real text is not like this.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from papertrail.experiments import at_least_one
from papertrail.ulmfit.text import BOS, SPECIALS

TOPICS, FUNCTION_WORDS, CONTENT_WORDS, DIALECT_WORDS = 6, 30, 40, 20
VOCAB_SIZE = len(SPECIALS) + FUNCTION_WORDS + TOPICS * (CONTENT_WORDS + DIALECT_WORDS)
DOCUMENT_LENGTH = 41  # xxbos, as before any text that ULMFiT reads, and 40 words


@dataclass(frozen=True)
class Language:
    """What a seed fixes: which function word follows which: transitions (30, 30), rows summing to 1.

    Each topic has the same words in all languages.
    """

    transitions: Tensor
    seed: int

    def documents(
        self, n: int, topics: Sequence[int], dialect: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw documents of xxbos and 40 words: the words and the number of each document's topic within `topics`.

        Two of three words are function words; each is followed, half of the time, by a content word: one of the
        document's topic (probability 0.9) or of any, by Zipf's law with exponent 0.8, and with probability
        `dialect` one of the topic's dialect words.

        Shapes: -> tokens (n, 41), labels (n,)

        Raises:
            ValueError: n is below 1, topics are not different numbers below 6, or `dialect` is no probability.
        """
        at_least_one(n=n)
        if not topics or len(set(topics)) < len(topics) or not all(0 <= t < TOPICS for t in topics):
            raise ValueError(
                f"topics: got {tuple(topics)}; allowed are different numbers from 0 to {TOPICS - 1}"
            )
        if not 0 <= dialect <= 1:
            raise ValueError(f"dialect: got {dialect!r}; allowed are numbers from 0 to 1")

        def flip(probability: float) -> Tensor:
            return torch.rand(n, generator=generator) < probability

        labels = torch.randint(len(topics), (n,), generator=generator)
        known = torch.tensor(topics)
        zipf = 1 / torch.arange(1, CONTENT_WORDS + 1).double() ** 0.8
        function = torch.randint(FUNCTION_WORDS, (n,), generator=generator)
        tokens = torch.full((n, DOCUMENT_LENGTH), SPECIALS.index(BOS))
        after_function = torch.zeros(n, dtype=torch.bool)
        for t in range(1, DOCUMENT_LENGTH):
            function_next = torch.multinomial(self.transitions[function], 1, generator=generator).squeeze(1)
            topic = torch.where(
                flip(0.9), known[labels], known[torch.randint(len(topics), (n,), generator=generator)]
            )
            common = torch.multinomial(zipf, n, replacement=True, generator=generator)
            strange = CONTENT_WORDS + torch.randint(DIALECT_WORDS, (n,), generator=generator)
            word = torch.where(flip(dialect), strange, common)
            content = FUNCTION_WORDS + topic * (CONTENT_WORDS + DIALECT_WORDS) + word
            is_content = after_function & flip(0.5)
            tokens[:, t] = len(SPECIALS) + torch.where(is_content, content, function_next)
            function = torch.where(is_content, function, function_next)
            after_function = ~is_content
        return tokens, labels


def make_language(seed: int) -> Language:
    """The language of a seed: each row of the chain is drawn from a Dirichlet distribution with parameter 0.1."""
    rows = torch.distributions.Gamma(
        torch.full((FUNCTION_WORDS, FUNCTION_WORDS), 0.1, dtype=torch.float64), 1.0
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        weights = rows.sample() + 1e-12
    return Language(weights / weights.sum(1, keepdim=True), seed)
