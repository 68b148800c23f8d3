"""When the authors' code moved the norm, commit by commit, and what other code bases do by default.

Dates are commit dates in the public tensor2tensor repository. Rules are written in the language of
`sublayer`, also for code that predates it or never used it.
"""

from dataclasses import dataclass
from datetime import date, datetime

from papertrail.architecture_diagram.sublayer import Rule


@dataclass(frozen=True)
class Revision:
    """A dated commit and the rule of the named configuration after it."""

    date: date
    commits: tuple[str, ...]
    release: str | None  # the first one that has it, where that is on record
    configuration: str
    preprocess: str
    postprocess: str
    warmup: int | None  # steps; None where it is not on record
    change: str

    @property
    def rule(self) -> Rule:
        """Both strings as a `Rule`."""
        return Rule(self.preprocess, self.postprocess)

    @property
    def is_default(self) -> bool:
        """Whether this is what `transformer_base` gave, and not a set one had to ask for."""
        return self.configuration == "transformer_base"


REVISIONS = (
    Revision(
        date(2017, 6, 15), ("cedf0e2d", "3d9c62f2"), None, "transformer_base", "none", "dan", 4000,
        "The first public code computes layer_norm(x + dropout(y)) around every sub-layer and ends neither "
        "stack in another norm, as the paper's figure draws; releases v1.0.3 to v1.1.5 keep it so.",
    ),
    Revision(
        date(2017, 8, 9), ("f5c9b17e",), "v1.1.7", "transformer_base", "none", "dan", 4000,
        "The order becomes two strings, with the published one as the default, an empty string for nothing, "
        "and a to-do note in favor of n/da; the output of a stack goes through the first string too.",
    ),
    Revision(
        date(2017, 8, 9), ("f5c9b17e",), "v1.1.7", "transformer_n_da", "n", "da", None,
        "The same commit offers Pre-LN under a name of its own, for very deep networks and hard mappings, "
        "with four times the learning rate.",
    ),
    Revision(
        date(2017, 8, 25), ("6db9fa45",), "v1.2.0", "transformer_base", "none", "dan", 4000,
        'The empty string becomes the word "none", because hyper-parameter tuning is upset by an empty one.',
    ),
    Revision(
        date(2017, 10, 16), ("d5bdfcc8",), "v1.2.5", "transformer_base", "n", "da", 8000,
        "Pre-LN becomes the default: the old set is kept as transformer_base_v1, and transformer_base now "
        "returns v2, with dropout inside attention and feed-forward, twice the warm-up, twice the rate.",
    ),
    Revision(
        date(2018, 2, 1), ("1cd3f252",), None, "transformer_base", "n", "da", 8000,
        "Adam's second beta rises from 0.98 to 0.997; the order stays.",
    ),
    Revision(
        date(2018, 9, 11), ("71634aa4",), None, "transformer_base", "n", "da", 8000,
        "transformer_base returns v3, which spells the same learning rate as a product of four factors.",
    ),
    Revision(
        date(2023, 4, 1), ("bafdc1b6",), None, "transformer_base", "n", "da", 8000,
        "The last commit on record still builds Pre-LN from transformer_base, while the library-wide default "
        "beneath it is still none/dan with the to-do note of 2017.",
    ),
)  # fmt: skip


def revision_on(day: date) -> Revision:
    """The latest revision of `transformer_base` committed on or before a day.

    Raises:
        TypeError: `day` is not a plain datetime.date.
        ValueError: `day` is before the first public code.
    """
    if not isinstance(day, date) or isinstance(day, datetime):
        raise TypeError(f"day: got {day!r}; allowed is a datetime.date, such as date(2017, 10, 16)")
    in_force = [revision for revision in REVISIONS if revision.is_default and revision.date <= day]
    if not in_force:
        raise ValueError(
            f"day: got {day}; allowed are days from {REVISIONS[0].date}, the first public code, on"
        )
    return in_force[-1]


def default_on(day: date) -> Rule:
    """The rule that `transformer_base` gave on a day; days after the last commit on record get its rule.

    Raises:
        TypeError, ValueError: as `revision_on`.
    """
    return revision_on(day).rule


@dataclass(frozen=True)
class CodeBase:
    """What a code base builds under one setting, read in its source."""

    name: str
    version: str
    setting: str
    is_default: bool  # what one gets without asking
    preprocess: str
    postprocess: str
    final_norm: bool  # whether a stack ends in a norm of its own
    note: str

    @property
    def rule(self) -> Rule:
        """Both strings as a `Rule`."""
        return Rule(self.preprocess, self.postprocess)


CODE_BASES = (
    CodeBase(
        "tensor2tensor", "bafdc1b6", "basic_params1", True, "none", "dan", False,
        "The library-wide default is the published order; transformer_base overrides it.",
    ),
    CodeBase(
        "tensor2tensor", "bafdc1b6", "transformer_base", True, "n", "da", True,
        "What the named configuration gives since October 2017; both stacks end in a norm.",
    ),
    CodeBase(
        "The Annotated Transformer", "debc9fd7", "SublayerConnection", True, "n", "da", True,
        "The text quotes the paper's LayerNorm(x + Sublayer(x)); the class puts the norm first, for "
        "simplicity; its norm divides by (unbiased standard deviation + eps), which goes unremarked.",
    ),
    CodeBase(
        "fairseq", "0.12.2", "normalize_before=False", True, "none", "dan", False,
        "Keeps the paper's order by default; a docstring says that tensor2tensor prefers the norm first.",
    ),
    CodeBase(
        "fairseq", "0.12.2", "transformer_wmt_en_de_big_t2t", False, "n", "da", True,
        "Named after tensor2tensor's defaults: sets normalize_before=True, and with it comes a final norm.",
    ),
    CodeBase(
        "OpenNMT-py", "3.5.1", "no switch", True, "n", "da", True,
        "Pre-LN only. The final norm was read in the encoder.",
    ),
    CodeBase(
        "torch.nn", "2.13.0", "TransformerEncoder(layer, n), norm_first=False", True, "none", "dan", False,
        "The published order; the source points to Figure 1 of Xiong et al. 2020.",
    ),
    CodeBase(
        "torch.nn", "2.13.0", "TransformerEncoder(layer, n), norm_first=True", False, "n", "da", False,
        "No final norm unless one is passed as norm=: the output is left unnormalized without a warning.",
    ),
    CodeBase(
        "torch.nn", "2.13.0", "Transformer(), norm_first=False", True, "none", "dan", True,
        "Ends both stacks in a norm whatever the order, so the last value is normalized twice in a row.",
    ),
    CodeBase(
        "torch.nn", "2.13.0", "Transformer(), norm_first=True", False, "n", "da", True,
        "The same final norms, which this order needs.",
    ),
)  # fmt: skip
