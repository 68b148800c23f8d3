"""A declared rule against a traced one: what the paper says, or a comment, beside what the code does."""

from collections import Counter
from dataclasses import dataclass, replace

from papertrail.architecture_diagram.sublayer import Rule
from papertrail.architecture_diagram.trace import PLACES, BranchTrace, Report, Stack, Trace

RULES = {
    "post": Rule("none", "an"), "pre": Rule("n", "a"), "res-post": Rule("none", "na"), "sandwich": Rule("n", "na"),
    "none": Rule("none", "a"),
}  # fmt: skip
Marks = frozenset[tuple]  # (index of the sum, place, step), ("final", "norm"), (index, "parallel")


@dataclass(frozen=True)
class Comparison:
    """Two blocks side by side.

    Attributes:
        declared, traced: what is compared: a stack each.
        differences: each in a sentence; empty if they agree.
        declared_marks, traced_marks: the steps that the other one lacks.
    """

    declared: Stack
    traced: Stack
    differences: tuple[str, ...]
    declared_marks: Marks
    traced_marks: Marks

    @property
    def agrees(self) -> bool:
        return not self.differences


def compare(declared: Rule | str | Report | Stack, report: Report | Stack) -> Comparison:
    """Compare what is declared with what was traced, and say every difference in words.

    A placement or a rule says nothing of scaling; a placement says nothing of dropout or of the norm after the
    last block. What is not declared is not compared. A model traced in eval mode shows no dropout, and then
    none is asked for. Of several stacks the first that differs is returned, or the first.

    Args:
        declared: a `Rule`; a placement such as "pre"; or another model's report or stack.
        report: what `inspect_model` returned, or one of its stacks.

    Raises:
        ValueError: `declared` is a word that is no placement, or a rule without a residual sum.
        TypeError: `declared` is something else.
    """
    stacks = report.stacks if isinstance(report, Report) else (report,)
    results = [_compare_stack(declared, stack, i) for i, stack in enumerate(stacks)]
    return next((result for result in results if not result.agrees), results[0])


def _compare_stack(declared: Rule | str | Report | Stack, traced: Stack, index: int) -> Comparison:
    if isinstance(declared, Report):
        declared = declared.stacks[min(index, len(declared.stacks) - 1)]
    if isinstance(declared, Stack):
        return _judge(declared, traced, steps={"norm", "dropout", "scale", "gate"}, final=True)
    dropouts = any("dropout" in steps for trace in traced.block for _, steps in _steps(trace))
    if isinstance(declared, Rule):
        return _judge(
            _stack_of(declared, traced, dropouts),
            traced,
            {"norm", "dropout"} if dropouts else {"norm"},
            final=True,
        )
    if not isinstance(declared, str):
        raise TypeError(f"declared: got {declared!r}; allowed are a Rule, a placement, a Report or a Stack")
    if declared not in RULES:
        raise ValueError(f"declared: got {declared!r}; allowed are {', '.join(RULES)}")
    stack = replace(_stack_of(RULES[declared], traced, False), final_norm=traced.final_norm)
    return _judge(stack, traced, {"norm"}, final=False)


def _stack_of(rule: Rule, traced: Stack, dropouts: bool) -> Stack:
    """The block that a rule declares around each of the traced block's sub-layers."""
    before, after = rule.letters
    if "a" not in after:
        raise ValueError(f"declared: the rule {rule} adds nothing; allowed is a rule with the letter a")
    inside, _, trunk = after.partition("a")
    words = {"n": "norm", "d": "dropout"}

    def spell(letters: str) -> tuple[str, ...]:
        return tuple(words[letter] for letter in letters if letter == "n" or dropouts)

    block = tuple(
        Trace((BranchTrace(branch.kind, spell(before), spell(inside)),), trunk=spell(trunk))
        for trace in traced.block for branch in trace.branches
    )  # fmt: skip
    norm = "none" if not rule.num_norms else traced.norm
    return Stack((block,) * traced.num_blocks, norm, rule.has_final_norm)


def _steps(trace: Trace) -> list[tuple[str, tuple[str, ...]]]:
    first = trace.branches[0]
    return [
        ("lead", trace.lead), ("before", first.before), ("after", first.after), ("skip", trace.skip),
        ("trunk", trace.trunk),
    ]  # fmt: skip


def _judge(declared: Stack, traced: Stack, steps: set[str], final: bool) -> Comparison:
    differences: list[str] = []
    marks: tuple[set, set] = (set(), set())
    ours, theirs = _one_by_one(declared), _one_by_one(traced)
    if len(declared.block) != len(traced.block):
        differences.append(_arrangement(declared, traced))
        for side, stack in zip(marks, (declared, traced), strict=True):
            side.update((i, "parallel") for i, trace in enumerate(stack.block) if trace.parallel)
    for (i, mine), (j, yours) in zip(ours, theirs, strict=False):
        for step in ("norm", "dropout", "scale", "gate"):
            if step not in steps:
                continue
            places = [
                Counter(p for p, found in _steps(trace) for s in found if s == step)
                for trace in (mine, yours)
            ]
            if places[0] == places[1]:
                continue
            differences.append(
                f"{yours.branches[0].kind}: {step} declared {_where(places[0])}, traced {_where(places[1])}."
            )
            marks[0].update((i, place, step) for place in places[0] - places[1])
            marks[1].update((j, place, step) for place in places[1] - places[0])
    notes = dict.fromkeys(note for _, trace in theirs for note in trace.notes)
    known = {note for _, trace in ours for note in trace.notes}
    differences += [f"Traced besides: {note}." for note in notes if note not in known]
    if final and declared.final_norm != traced.final_norm:
        says = ("none", "one") if traced.final_norm else ("one", "none")
        differences.append(f"After the last block: {says[0]} declared, {says[1]} traced.")
        marks[traced.final_norm].add(("final", "norm"))
    if any(block != traced.block for block in traced.blocks):
        differences.append("The traced blocks differ from one another; the first is compared.")
    return Comparison(declared, traced, tuple(differences), frozenset(marks[0]), frozenset(marks[1]))


def _one_by_one(stack: Stack) -> list[tuple[int, Trace]]:
    """The block's branches in a row, each as a sum of its own, with the index of the sum it comes from."""
    return [
        (i, replace(trace, branches=(branch,))) for i, trace in enumerate(stack.block) for branch in trace.branches
    ]  # fmt: skip


def _arrangement(declared: Stack, traced: Stack) -> str:
    if any(trace.parallel for trace in traced.block):
        return "Declared one after the other, traced side by side in one sum."
    if any(trace.parallel for trace in declared.block):
        return "Declared side by side in one sum, traced one after the other."
    return f"Declared {len(declared.block)} sub-layers a block, traced {len(traced.block)}."


def _where(places: Counter) -> str:
    if not places:
        return "nowhere"
    return " and ".join(PLACES[place] + (f" ({n} times)" if n > 1 else "") for place, n in places.items())
