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
        """Whether there is no difference."""
        return not self.differences


def compare(declared: Rule | str | Report | Stack, report: Report | Stack) -> Comparison:
    """Compare what is declared with what was traced, and say every difference in words.

    A placement or a rule says nothing of scaling, and that sub-layers come one after the other; a placement says
    nothing of dropout or of the norm after the last block. What is not declared is not compared. A model traced in
    eval mode shows no dropout, and then none is asked for. Of several stacks the first that differs is returned, or
    the first.

    Args:
        declared: a `Rule`, or its two strings as in "n/da"; a placement such as "pre"; or another model's report or
            stack.
        report: what `inspect_model` returned, or one of its stacks.

    Raises:
        ValueError: `declared` is a word that is no placement, or a rule without a residual sum.
        TypeError: `declared` or `report` is something else.
    """
    if not isinstance(report, (Report, Stack)):
        raise TypeError(f"report: got {report!r}; allowed are a Report or a Stack")
    if isinstance(declared, str) and "/" in declared:
        declared = Rule(*declared.split("/", 1))
    stacks = report.stacks if isinstance(report, Report) else (report,)
    results = [_compare_stack(declared, stack, i) for i, stack in enumerate(stacks)]
    chosen = next((i for i, result in enumerate(results) if not result.agrees), 0)
    differences = results[chosen].differences
    if len(stacks) > 1:
        differences = tuple(f"Stack {chosen + 1}: {difference}" for difference in differences)
    if isinstance(declared, Report) and len(declared.stacks) != len(stacks):
        differences = (f"Declared {len(declared.stacks)} stack(s), traced {len(stacks)}.", *differences)
    return replace(results[chosen], differences=differences)


def remarks(trace: Trace) -> tuple[str, ...]:
    """What no box shows: other ways around the sum, and norms that only part of a branch passes."""
    texts = list(trace.notes)
    if any(branch.entrances_differ for branch in trace.branches):
        texts.append("some of what the branch reads passes a norm first, and some does not")
    shown = [step for place in _places(trace).values() for step in place]
    if "norm" not in shown and any(branch.norm_within for branch in trace.branches):
        texts.append("a norm lies inside the branch, between its operations")
    return tuple(texts)


def _compare_stack(declared: Rule | str | Report | Stack, traced: Stack, index: int) -> Comparison:
    if isinstance(declared, Report):
        declared = declared.stacks[min(index, len(declared.stacks) - 1)]
    if isinstance(declared, Stack):
        result = _judge(declared, traced, {"norm", "dropout", "scale", "gate"}, final=True)
        kinds = [list(dict.fromkeys(stack.blocks)) for stack in (declared, traced)]
        if max(map(len, kinds)) > 1 and kinds[0] != kinds[1]:
            text = "Not all blocks are alike, and they do not differ as declared; the first is compared."
            result = replace(result, differences=(*result.differences, text))
        return result
    if isinstance(declared, str) and declared not in RULES:
        raise ValueError(
            f"declared: got {declared!r}; allowed are {', '.join(RULES)}, or a rule such as n/da"
        )
    if not isinstance(declared, (Rule, str)):
        raise TypeError(f"declared: got {declared!r}; allowed are a Rule, a placement, a Report or a Stack")
    word = isinstance(declared, str)
    rule = RULES[declared] if isinstance(declared, str) else declared
    found = {
        s for block in traced.blocks for trace in block for steps in _places(trace).values() for s in steps
    }
    steps = {"norm", "gate"} | (set() if word else found & {"dropout"})
    # A kind of block is judged once, where it comes first; the first block is the one that is drawn.
    firsts = {block: i for i, block in reversed(list(enumerate(traced.blocks, start=1)))}
    results = {}
    for block, i in sorted(firsts.items(), key=lambda item: item[1]):
        stack = replace(traced, blocks=(block,) * traced.num_blocks)
        results[i] = _judge(_stack_of(rule, stack, "dropout" in steps), stack, steps, final=not word)
    first = results.pop(1)
    differences = list(first.differences)
    for i, result in results.items():
        differences += [f"Block {i}: {text}" for text in result.differences if text not in first.differences]
    declared_stack = replace(first.declared, final_norm=traced.final_norm) if word else first.declared
    return replace(first, declared=declared_stack, traced=traced, differences=tuple(differences))


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


def _places(trace: Trace) -> dict[str, tuple[str, ...]]:
    first = trace.branches[0]
    return {
        "lead": trace.lead, "before": first.before, "after": first.after, "skip": trace.skip, "trunk": trace.trunk,
    }  # fmt: skip


def _judge(declared: Stack, traced: Stack, steps: set[str], final: bool) -> Comparison:
    differences: list[str] = []
    marks: tuple[set, set] = (set(), set())
    sizes = [[len(trace.branches) for trace in stack.block] for stack in (declared, traced)]
    if sizes[0] != sizes[1]:
        differences.append(_arrangement(*sizes))
        for side, stack in zip(marks, (declared, traced), strict=True):
            side.update((i, "parallel") for i, trace in enumerate(stack.block) if trace.parallel)
    pairs, mine_alone, yours_alone = _pairs(declared, traced)
    orders = [[pair[side][0] for pair in pairs] for side in (0, 1)]
    if sizes[0] == sizes[1] and not mine_alone and orders[0] != orders[1]:
        told = [", ".join(trace.branches[0].kind for _, trace in _one_by_one(s)) for s in (declared, traced)]
        differences.append(f"Declared in the order {told[0]}; traced in the order {told[1]}.")
    for at, alone, says in (
        (0, mine_alone, "declared, not traced"),
        (1, yours_alone, "traced, not declared"),
    ):
        differences += [f"{trace.branches[0].kind}: {says}." for _, trace in alone]
        marks[at].update((i, "branch", trace.branches[0].kind) for i, trace in alone)
    for (i, mine), (j, yours) in pairs:
        kind = yours.branches[0].kind
        both = [
            {place: [s for s in found if s in steps] for place, found in _places(trace).items()}
            for trace in (mine, yours)
        ]
        for step in ("norm", "dropout", "scale", "gate"):
            places = [Counter({p: found.count(step) for p, found in one.items()}) for one in both]
            if places[0] == places[1]:
                continue
            differences.append(f"{kind}: {step} declared {_where(places[0])}, traced {_where(places[1])}.")
            marks[0].update((i, place, step) for place in places[0] - places[1])
            marks[1].update((j, place, step) for place in places[1] - places[0])
        for place, said in PLACES.items():
            here, there = both[0][place], both[1][place]
            if here != there and sorted(here) == sorted(there):
                declares, traces = ", then ".join(here), ", then ".join(there)
                differences.append(f"{kind}: {said}, {declares} declared; {traces} traced.")
                marks[0].update((i, place, step) for step in here)
                marks[1].update((j, place, step) for step in there)
    for says, this, other in (("Traced", 1, 0), ("Declared", 0, 1)):
        texts = [t for pair in pairs for t in remarks(pair[this][1]) if t not in remarks(pair[other][1])]
        differences += [f"{says} besides: {text}." for text in dict.fromkeys(texts)]
    if final and declared.final_norm != traced.final_norm:
        norms = ("none", "one") if traced.final_norm else ("one", "none")
        differences.append(f"After the last block: {norms[0]} declared, {norms[1]} traced.")
        marks[traced.final_norm].add(("final", "norm"))
    return Comparison(declared, traced, tuple(differences), frozenset(marks[0]), frozenset(marks[1]))


Numbered = tuple[int, Trace]  # the index of a sum in its block, and the sum with one branch


def _one_by_one(stack: Stack) -> list[Numbered]:
    """The block's branches in a row, each as a sum of its own, with the index of the sum it comes from."""
    return [
        (i, replace(trace, branches=(branch,))) for i, trace in enumerate(stack.block) for branch in trace.branches
    ]  # fmt: skip


def _pairs(
    declared: Stack, traced: Stack
) -> tuple[list[tuple[Numbered, Numbered]], list[Numbered], list[Numbered]]:
    """Each traced branch with the first declared one of its kind that is left; and those without a partner."""
    left, pairs, alone = _one_by_one(declared), [], []
    for yours in _one_by_one(traced):
        kind = yours[1].branches[0].kind
        mine = next((one for one in left if one[1].branches[0].kind == kind), None)
        if mine is None:
            alone.append(yours)
            continue
        left.remove(mine)
        pairs.append((mine, yours))
    return pairs, left, alone


def _arrangement(declared: list[int], traced: list[int]) -> str:
    """What to say of two blocks whose sums have these numbers of branches."""
    if sum(declared) == sum(traced) and max(declared) == 1:
        return "Declared one after the other, traced side by side in one sum."
    if sum(declared) == sum(traced) and max(traced) == 1:
        return "Declared side by side in one sum, traced one after the other."
    said, found = (f"{sum(sizes)} and {len(sizes)}" for sizes in (declared, traced))
    return f"Sub-layers and sums a block: {said} declared, {found} traced."


def _where(places: Counter) -> str:
    says = [PLACES[place] + (f" ({n} times)" if n > 1 else "") for place, n in places.items() if n]
    return " and ".join(says) or "nowhere"
