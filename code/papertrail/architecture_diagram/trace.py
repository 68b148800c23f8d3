"""What a block does to the residual stream, as plain data: what the inspector reports and the drawings draw."""

import textwrap
from dataclasses import dataclass, field
from typing import TypeVar

WORDS = {"norm": "norm", "dropout": "drop", "scale": "scale", "gate": "gate"}
PLACES = {
    "lead": "on the main path before the branch",
    "skip": "on the skip",
    "before": "at the branch's entrance",
    "after": "at the branch's end",
    "trunk": "on the main path after the sum",
}
LETTERS = "fghk"  # names of parallel branches in a formula
PLACEMENT_WORDS = {
    "post": "Post-LN: a norm on the main path after every sum",
    "pre": "Pre-LN: a norm at the entrance of every branch",
    "res-post": "Res-post-norm: a norm at the end of every branch",
    "sandwich": "Sandwich: a norm at both ends of every branch",
    "none": "No norm between the sums",
    "hybrid": "Hybrid: none of the named placements",
}


@dataclass(frozen=True)
class BranchTrace:
    """One branch of a residual sum.

    Attributes:
        kind: "self-attention", "cross-attention", "position mixing" or "feed-forward".
        before, after: the steps "norm", "dropout", "scale" and "gate" before and after its own work, in order.
        entrances_differ: some of what it reads passes a norm first and some does not.
        norm_within: every way through it passes a norm, which lies between its operations.
    """

    kind: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    entrances_differ: bool = False
    norm_within: bool = False


@dataclass(frozen=True)
class Trace:
    """One residual sum and its surroundings: y = trunk(skip(lead(x)) + branches(lead(x))).

    Attributes:
        branches: what is computed from the stream and added to it; more than one if they run in parallel.
        lead: steps on the main path before the branches leave it.
        skip: steps on the main path while the branches run.
        trunk: steps on the main path after the sum.
        notes: other ways around the sum, in words.
    """

    branches: tuple[BranchTrace, ...]
    lead: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    trunk: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parallel(self) -> bool:
        """Whether several branches leave at one point and meet in one sum."""
        return len(self.branches) > 1

    @property
    def formula(self) -> str:
        """The trace as a formula in x, such as "norm(x + drop(f(x)))"; parallel branches are f, g, ..."""
        start = _nest("x", self.lead)
        terms = [_nest(start, self.skip)]
        for letter, branch in zip(LETTERS, self.branches, strict=False):
            terms.append(_nest(f"{letter}({_nest(start, branch.before)})", branch.after))
        return _nest(" + ".join(terms), self.trunk)

    @property
    def norms_on_the_main_path(self) -> int:
        """How many norms the residual stream itself has to pass."""
        return (self.lead + self.skip + self.trunk).count("norm")

    @property
    def placement(self) -> str:
        """ "post", "pre", "res-post", "sandwich", "none", or "hybrid" for everything else."""
        if self.notes or any(branch.entrances_differ for branch in self.branches):
            return "hybrid"
        if "norm" in self.lead + self.skip or "gate" in self.skip:
            return "hybrid"
        counts = {(b.before.count("norm"), b.after.count("norm")) for b in self.branches}
        if len(counts) != 1:
            return "hybrid"
        patterns = {
            (0, 0, 1): "post", (1, 0, 0): "pre", (0, 1, 0): "res-post", (1, 1, 0): "sandwich", (0, 0, 0): "none",
        }  # fmt: skip
        if counts == {(0, 0)} and not self.trunk.count("norm") and any(b.norm_within for b in self.branches):
            return "hybrid"
        return patterns.get((*counts.pop(), self.trunk.count("norm")), "hybrid")

    @property
    def words(self) -> str:
        """The trace as a clause, for those who cannot see the figure."""
        parts = []
        for branch in self.branches:
            parts.append(f"{branch.kind} branch: {', '.join((*branch.before, branch.kind, *branch.after))}")
        text = (" beside " if self.parallel else "").join(parts)
        if self.lead:
            text = f"first {', '.join(self.lead)} on the main path, then {text}"
        skip = f"the input after {', '.join(self.skip)}" if self.skip else "the input"
        text = ", then ".join([f"{text}; then the sum with {skip}", *self.trunk])
        return "; besides, ".join([text, *self.notes])


def _nest(text: str, steps: tuple[str, ...]) -> str:
    for step in steps:
        text = f"{WORDS[step]}({text})"
    return text


Shared = TypeVar("Shared")


def shared(values: list[Shared]) -> Shared | str:
    """The one value that all have, or "hybrid"."""
    return values[0] if all(value == values[0] for value in values) else "hybrid"


@dataclass(frozen=True)
class Stack:
    """One stream's blocks.

    Attributes:
        blocks: for every block its residual sums in order.
        norm: "layernorm", "rmsnorm", "none", or "hybrid" for both.
        final_norm: whether a norm of its own follows the last block.
        evidence: for each answer, what was seen, in sentences.
        norm_names: for each norm of the first block, and the one after the last: sub-layer, place ("lead",
            "before", "skip", "after", "trunk", "final") and the name of the module that ran it.
        probe: "agrees", "contradicts", or "no prediction": the block run on inputs of two sizes.
    """

    blocks: tuple[tuple[Trace, ...], ...]
    norm: str
    final_norm: bool
    evidence: dict[str, list[str]] = field(default_factory=dict, compare=False)
    probe: str = field(default="no prediction", compare=False)
    norm_names: tuple[tuple[str, str, str], ...] = field(default=(), compare=False)

    @property
    def num_blocks(self) -> int:
        """How many blocks were found."""
        return len(self.blocks)

    @property
    def placement(self) -> str:
        """Where all sums have their norm, or "hybrid" where they differ."""
        return shared([trace.placement for block in self.blocks for trace in block])

    @property
    def parallel(self) -> bool | str:
        """Whether blocks have parallel branches, or "hybrid" where they differ."""
        return shared([any(trace.parallel for trace in block) for block in self.blocks])

    @property
    def block(self) -> tuple[Trace, ...]:
        """The first block: the one that is drawn."""
        return self.blocks[0]

    @property
    def words(self) -> str:
        """The block and the final norm as sentences."""
        text = ". ".join(trace.words for trace in self.block)
        return text + (". One more norm after the last block" if self.final_norm else "")


@dataclass(frozen=True)
class Report:
    """Where a model puts its norms. Each field is what all stacks share, or "hybrid" where they differ."""

    stacks: tuple[Stack, ...]
    notes: tuple[str, ...] = ()

    @property
    def placement(self) -> str:
        """Where all stacks have their norms, or "hybrid"."""
        return shared([stack.placement for stack in self.stacks])

    @property
    def norm(self) -> str:
        """The kind of norm of all stacks, or "hybrid"."""
        return shared([stack.norm for stack in self.stacks])

    @property
    def parallel(self) -> bool | str:
        """Whether the stacks have parallel branches, or "hybrid"."""
        return shared([stack.parallel for stack in self.stacks])

    @property
    def final_norm(self) -> bool | str:
        """Whether a norm follows the last block of each stack, or "hybrid"."""
        return shared([stack.final_norm for stack in self.stacks])

    @property
    def num_blocks(self) -> int:
        """Blocks of all stacks; a block that is applied again counts again."""
        return sum(stack.num_blocks for stack in self.stacks)

    @property
    def evidence(self) -> dict[str, list[str]]:
        """For each answer, what was seen; a stack's number comes first where there are several."""
        merged: dict[str, list[str]] = {}
        for i, stack in enumerate(self.stacks, start=1):
            prefix = f"stack {i}: " if len(self.stacks) > 1 else ""
            for answer, lines in stack.evidence.items():
                merged.setdefault(answer, []).extend(prefix + line for line in lines)
        if self.notes:
            merged["left out"] = list(self.notes)
        return merged

    def __str__(self) -> str:
        names = ("placement", "norm", "parallel", "final_norm", "num_blocks")
        lines = [f"{name:11} {getattr(self, name)}" for name in names]
        for answer, found in self.evidence.items():
            lines.append(f"{answer}:")
            for line in found:
                lines += textwrap.wrap(line, 78, initial_indent="  - ", subsequent_indent="    ")
        return "\n".join(lines)
