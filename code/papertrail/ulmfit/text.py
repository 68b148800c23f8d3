"""From text to numbers: word tokens with ULMFiT's extra ones, a vocabulary, and embeddings carried to a new one.

Howard & Ruder 2018, section 4.1: preprocessing as in earlier work, plus special tokens for upper-case words,
elongation and repetition. The tokens' names (xxup, xxrep ...) are those of the authors' library.
"""

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from papertrail.experiments import at_least_one

UNKNOWN, PAD, BOS, UP, REP, WREP = SPECIALS = ("xxunk", "xxpad", "xxbos", "xxup", "xxrep", "xxwrep")

TAG = re.compile(r"</?(?:br|hr|p|i|b|u|em|strong)\s*/?>", re.IGNORECASE)
FORGED = re.compile(rf"\bxx(?=(?:{'|'.join(special[2:] for special in SPECIALS)})\b)", re.IGNORECASE)
WIKITEXT_JOINT = re.compile(r" ?@([-,.])@ ?")
REPEATED_WORD = re.compile(r"\b([^\W\d_]+)(?:\s+\1\b){3,}", re.IGNORECASE)
CAPITALS = re.compile(r"(?<!\w)(?<!\w')[A-ZÀ-ÖØ-Þ]{2,}(?!\w)")
ELONGATED = re.compile(r"([^\s\d])\1{3,}")
TOKEN = re.compile(
    r"""n't\b                            # don't -> do n't: the space before it is put in beforehand
      | '(?:s|m|d|re|ve|ll)\b            # it's -> it 's
      | \d+(?:[.,]\d+)+                  # 1,000 and 3.5
      | [^\W_]+                          # words, and numbers without a point
      | \.\.+ | --+                      # an ellipsis, a dash
      | \S                               # any other sign, alone
    """,
    re.VERBOSE,
)


def clean(text: str) -> str:
    """Text without HTML tags and entities, curly quotes, and WikiText's marks (`@-@`, `= Heading =`)."""
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = TAG.sub(" ", text)
    if "@" in text:
        text = WIKITEXT_JOINT.sub(r"\1", text)
    if "=" in text:
        lines = text.split("\n")
        for number, line in enumerate(lines):
            bare = line.strip()
            if bare[:1] == bare[-1:] == "=":
                lines[number] = bare.strip("= ")
        text = "\n".join(lines)
    return text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')


def tokenize(text: str, *, bos: bool = False) -> list[str]:
    """Lower-cased words and signs, with ULMFiT's tokens for what lower-casing loses (section 4.1).

    - A word of two or more letters, all capitals, is announced: "GREAT" -> xxup great.
    - A letter or sign (no digit) four or more times in a row, case aside: "sooooo" -> s xxrep 5 o.
    - A word (letters only) four or more times with nothing but white space between, case aside:
      "very very very very" -> xxwrep 4 very. Of mixed cases the first one counts: "NO NO no no" -> xxwrep 4 xxup no.
    - Contractions split as in the Penn Treebank, and so as in WikiText: do n't, it 's.
    - WikiText's `<unk>` is xxunk; special tokens that stand in the text itself are cut ("xxpad" -> xx pad), so that
      no text can forge one.

    Args:
        bos: put xxbos first, the mark of a document's start.
    """
    text = FORGED.sub("xx ", clean(text))
    text = REPEATED_WORD.sub(_counted_word, text)
    text = CAPITALS.sub(rf"{UP} \g<0>", text.replace("<unk>", f" {UNKNOWN} "))
    text = ELONGATED.sub(_counted_sign, text.lower())
    tokens = TOKEN.findall(text.replace("n't", " n't"))
    return [BOS, *tokens] if bos else tokens


def _counted_word(found: re.Match[str]) -> str:
    return f"{WREP} {len(found[0].split())} {found[1]}"


def _counted_sign(found: re.Match[str]) -> str:
    return f" {REP} {len(found[0])} {found[1]} "


class Vocabulary:
    """The words that a model knows, by number: the special tokens first, then by falling frequency.

    Args:
        words: all of them, in order.

    Raises:
        ValueError: the special tokens do not come first, a word comes twice, is empty, or holds white space.
    """

    unknown_id, pad_id, bos_id = SPECIALS.index(UNKNOWN), SPECIALS.index(PAD), SPECIALS.index(BOS)

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        if self.words[: len(SPECIALS)] != SPECIALS:
            raise ValueError(f"words: begin with {self.words[: len(SPECIALS)]}; allowed is {SPECIALS} first")
        self._ids = {word: number for number, word in enumerate(self.words)}
        if len(self._ids) < len(self.words):
            twice = next(word for number, word in enumerate(self.words) if self._ids[word] != number)
            raise ValueError(f"words: {twice!r} comes more than once")
        for word in self.words:
            if not word or len(word.split()) != 1 or word != word.strip():
                raise ValueError(f"words: got {word!r}; allowed are words without white space")

    @classmethod
    def build(
        cls, documents: Iterable[Sequence[str]], max_size: int = 8000, min_count: int = 3
    ) -> "Vocabulary":
        """The most frequent words of tokenized documents; equal counts in the words' own order.

        Args:
            max_size: size of the vocabulary, special tokens and all.
            min_count: rarer words stay unknown.

        Raises:
            ValueError: max_size leaves no room for a word; min_count is below 1; no word is frequent enough.
        """
        at_least_one(max_size=max_size, min_count=min_count)
        if max_size <= len(SPECIALS):
            raise ValueError(f"max_size: got {max_size}; allowed are integers above {len(SPECIALS)}")
        counts: Counter[str] = Counter()
        for document in documents:
            counts.update(document)
        for special in SPECIALS:
            counts.pop(special, None)
        ranked = sorted(((-count, word) for word, count in counts.items() if count >= min_count))
        if not ranked:
            raise ValueError(f"documents: no word comes {min_count} times or more")
        return cls([*SPECIALS, *(word for _, word in ranked[: max_size - len(SPECIALS)])])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Numbers of the tokens; those that are not in the vocabulary get `unknown_id`."""
        get, unknown = self._ids.get, self.unknown_id
        return [get(token, unknown) for token in tokens]

    def text(self, ids: Iterable[int]) -> str:
        """The words of these numbers, with spaces between: for reading, not the original text.

        Raises:
            ValueError: a number is outside the vocabulary.
        """
        numbers = [int(number) for number in ids]
        if wrong := [number for number in numbers if not 0 <= number < len(self)]:
            raise ValueError(f"ids: got {wrong[0]}; allowed are integers from 0 to {len(self) - 1}")
        return " ".join(self.words[number] for number in numbers)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that two different vocabularies do not share."""
        return sha256("\n".join(self.words).encode()).hexdigest()[:16]

    def save(self, path: Path | str) -> None:
        """Write one word a line under a line with their number and digest; replaced whole or not at all."""
        path = Path(path)
        temporary = path.with_name(path.name + ".tmp")
        text = "\n".join([self._head(), *self.words]) + "\n"
        temporary.write_bytes(text.encode())
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path | str) -> "Vocabulary":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a vocabulary, or not whole.
        """
        try:
            head, *words = Path(path).read_bytes().decode().removesuffix("\n").split("\n")
            vocabulary = cls(words)
        except ValueError as error:  # also UnicodeDecodeError
            raise ValueError(f"{path}: not a vocabulary ({error})") from error
        if head != vocabulary._head():
            raise ValueError(f"{path}: damaged: holds {vocabulary._head()!r}, its first line says {head!r}")
        return vocabulary

    def _head(self) -> str:
        return f"# vocabulary of {len(self)} words, digest {self.digest}"


def match_embeddings(weight: Tensor, old: Vocabulary, new: Vocabulary) -> Tensor:
    """Embeddings for a new vocabulary: known words keep their row, the others get the mean of all rows.

    What the authors' code does between general and target text; the paper does not describe it.

    Shapes: (V_old, E) -> (V_new, E), dtype and device kept, no gradient to `weight`.

    Raises:
        ValueError: `weight` does not have one row for each word of `old`.
    """
    if weight.dim() != 2 or weight.shape[0] != len(old):
        raise ValueError(
            f"weight: has shape {tuple(weight.shape)}; allowed is ({len(old)}, E), a row for each word of old"
        )
    weight = weight.detach()
    rows = weight.mean(0).repeat(len(new), 1)  # (V_new, E)
    kept = [number for number, word in enumerate(new.words) if word in old]
    rows[kept] = weight[old.ids(new.words[number] for number in kept)]
    return rows
