"""tensor2tensor's two-string language for what happens around a sub-layer, as an interpreter.

Vaswani et al. 2017 fix one order: LayerNorm(x + Dropout(Sublayer(x))), sections 3.1 and 5.4. Since commit
`f5c9b17e` (9 August 2017) the authors' code spells the order out in two strings, read left to right
(`common_layers.layer_prepostprocess`):

    d     dropout
    n     layer normalization (eps 1e-6)
    a     add the sub-layer's input; in the second string only
    none  the identity; the whole word, since release 1.2.0

and a sub-layer f becomes y = post(x, f(pre(x))). "none" / "dan" is the paper; "n" / "da" is Pre-LN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.fx
from torch import Tensor, nn

IDENTITY = "none"

# The key is (preprocess, postprocess) with every d taken out and the identity written as "".
NAMES = {
    ("", "an"): "Post-LN",
    ("n", "a"): "Pre-LN",
    ("", "na"): "res-post-norm",
    ("n", "na"): "sandwich",
    ("n", "an"): "double norm",
    ("", "a"): "no norm",
}


def read_letters(argument: str, letters: str, allowed: str = "dna") -> str:
    """Check one of the two strings and return its letters, "" for the word "none".

    Args:
        argument: what to call the string in an error.
        letters: the string, such as "none" or "dan".
        allowed: the letters that may appear in it.

    Raises:
        TypeError: `letters` is not a string.
        ValueError: `letters` is empty, holds a letter that is not allowed, or adds more than once.
    """
    legal = f'allowed are the letters {", ".join(allowed)}, or the word "{IDENTITY}" alone'
    if not isinstance(letters, str):
        raise TypeError(f"{argument}: got {letters!r}, which is not a string; {legal}")
    if letters == IDENTITY:
        return ""
    if not letters:
        raise ValueError(
            f'{argument}: got "", but since tensor2tensor 1.2.0 the word is "{IDENTITY}"; {legal}'
        )
    if "z" in letters:
        raise ValueError(
            f'{argument}: got "{letters}"; tensor2tensor added z in July 2018 and this course does not '
            f"implement it; {legal}"
        )
    for letter in letters:
        if letter not in "dna":
            raise ValueError(f'{argument}: got "{letters}" with the letter "{letter}"; {legal}')
    if "a" in letters and "a" not in allowed:
        raise ValueError(f'{argument}: got "{letters}", but a belongs after the sub-layer; {legal}')
    if letters.count("a") > 1:
        raise ValueError(f'{argument}: got "{letters}", which adds more than once; allowed is at most one a')
    return letters


@dataclass(frozen=True)
class Rule:
    """What is done before and after every sub-layer of a model: y = post(x, f(pre(x))).

    A `postprocess` without a is legal, as in tensor2tensor: the sub-layer then has no residual connection.

    Raises:
        TypeError, ValueError: a string is not in the language; see `read_letters`.
    """

    preprocess: str
    postprocess: str

    def __post_init__(self) -> None:
        read_letters("preprocess", self.preprocess, allowed="dn")
        read_letters("postprocess", self.postprocess)

    def __str__(self) -> str:
        return f"{self.preprocess}/{self.postprocess}"

    @property
    def letters(self) -> tuple[str, str]:
        """The two strings without the word for nothing: "" for "none"."""
        return read_letters("preprocess", self.preprocess), read_letters("postprocess", self.postprocess)

    @property
    def formula(self) -> str:
        """The rule as an expression in x, f, norm and drop, such as "norm(x + drop(f(x)))"."""
        before, after = self.letters
        spell = {"d": "drop({})", "n": "norm({})", "f": "f({})", "a": "x + {}"}
        value = "x"
        for letter in f"{before}f{after}":
            value = spell[letter].format(value)
        return value

    @property
    def name(self) -> str:
        """What the literature calls the rule, or "unnamed" ("double norm" and "no norm" are this course's words).

        The norms and the addition decide; dropout in the branch makes no difference. A rule that drops entries
        of the main path, after the addition, has no name.
        """
        before, after = self.letters
        if "d" in after.partition("a")[2]:
            return "unnamed"
        return NAMES.get((before.replace("d", ""), after.replace("d", "")), "unnamed")

    @property
    def num_norms(self) -> int:
        """Norms around one sub-layer; the final norm of a stack is not among them."""
        return "".join(self.letters).count("n")

    @property
    def has_final_norm(self) -> bool:
        """Whether a stack ends in a norm: its output passes `preprocess` once more (commit `f5c9b17e`)."""
        return "n" in self.letters[0]


class Add(nn.Module):
    """The letter a: the sub-layer's input plus the value so far.

    Shapes: value and x (..., d_model) -> (..., d_model).

    Raises:
        ValueError: the two differ in shape; broadcasting here is always a mistake.
    """

    def forward(self, value: Tensor, x: Tensor) -> Tensor:
        # A torch.fx proxy has no shape to compare, so a trace goes straight to the sum.
        if isinstance(value, Tensor) and value.shape != x.shape:
            raise ValueError(
                f"f: returned shape {tuple(value.shape)} for an input of shape {tuple(x.shape)}, "
                "but a residual connection can only add equal shapes"
            )
        return x + value


class Stage(nn.Module):
    """One of the two strings, applied to a value letter by letter; each n and each d is a module of its own.

    A stack's final norm is the preprocess string used once more, on its output; "none" does nothing there.

    Shapes: value (..., d_model), x the same -> (..., d_model). `x` is needed only for the letter a.

    Raises:
        TypeError, ValueError: `letters` is not in the language (see `read_letters`).
        ValueError: `letters` holds a and `x` is missing.
    """

    def __init__(self, letters: str, *, d_model: int, dropout: float = 0.0, eps: float = 1e-6) -> None:
        super().__init__()
        make = {"d": lambda: nn.Dropout(dropout), "n": lambda: nn.LayerNorm(d_model, eps=eps), "a": Add}
        self.letters = read_letters("letters", letters)
        self.steps = nn.ModuleList(make[letter]() for letter in self.letters)

    def forward(self, value: Tensor, x: Tensor | None = None) -> Tensor:
        if x is None and "a" in self.letters:
            raise ValueError(f'x: missing, but "{self.letters}" adds it; allowed is the sub-layer\'s input')
        for letter, step in zip(self.letters, self.steps, strict=True):
            value = step(value, x) if letter == "a" else step(value)
        return value


class Sublayer(nn.Module):
    """A sub-layer f inside its rule: y = post(x, f(pre(x))) (tensor2tensor, `layer_prepostprocess`).

    Sublayer(f, "none", "dan", ...) is LayerNorm(x + Dropout(f(x))): Vaswani et al. 2017, sections 3.1, 5.4.

    Args:
        f: called as f(value, *args, **kwargs) with the extra arguments of `forward`. When torch.fx traces
            this module itself (not a parent that calls it), the extras are unknown and left out of the trace.
        preprocess, postprocess: the rule.
        d_model: size of the last axis.
        dropout: probability of dropping an entry, for every d.
        eps: added to the variance, inside the root, by every n.
        skip: what the sub-layer's input passes on its way to the sum, such as DeepNorm's factor; nothing if left out.

    Shapes: x (..., d_model) -> (..., d_model).

    Raises:
        TypeError, ValueError: f cannot be called; a string is not in the language; x is not `d_model` wide;
            f changes the shape of a value that is then added to x.
    """

    def __init__(
        self,
        f: Callable[..., Tensor],
        preprocess: str,
        postprocess: str,
        *,
        d_model: int,
        dropout: float = 0.0,
        eps: float = 1e-6,
        skip: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not callable(f):
            raise TypeError(f"f: got {f!r}; allowed is a module or function of the value")
        self.rule = Rule(preprocess, postprocess)
        self.d_model = d_model
        self.pre = Stage(preprocess, d_model=d_model, dropout=dropout, eps=eps)
        self.f = f
        self.post = Stage(postprocess, d_model=d_model, dropout=dropout, eps=eps)
        self.skip = skip

    def branch(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """What the sub-layer computes from x, before anything is added: f(pre(x)).

        Shapes: x (..., d_model) -> (..., d_model), if f keeps it.
        """
        return self.f(self.pre(x), *args, **kwargs)

    def join(self, value: Tensor, x: Tensor) -> Tensor:
        """The branch's value and the main path, put together: post(x, value).

        Shapes: value and x (..., d_model) -> (..., d_model).
        """
        return self.post(value, x if self.skip is None else self.skip(x))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if isinstance(args, torch.fx.Proxy):  # only when this module is the root of a trace
            args, kwargs = (), {}
        if isinstance(x, Tensor) and x.shape[-1] != self.d_model:
            raise ValueError(f"x: last axis is {x.shape[-1]}, but this Sublayer has d_model={self.d_model}")
        return self.join(self.branch(x, *args, **kwargs), x)
