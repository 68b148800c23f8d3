"""Group the residual sums of a recording into blocks and stacks, and say which norm on the main path is whose."""

from collections.abc import Sequence
from itertools import pairwise

from papertrail.architecture_diagram.norms import Norm
from papertrail.architecture_diagram.operations import COPIES, PARTS, drops
from papertrail.architecture_diagram.paths import Step
from papertrail.architecture_diagram.recording import Node
from papertrail.architecture_diagram.streams import Residual, Streams

Unit = list[Residual]  # the residual sums of one block
Calls = tuple[int, ...]  # module calls around an operation, outermost first


def attends(residual: Residual) -> bool:
    """Whether any branch of the sum does something else than a feed-forward part, such as attention."""
    return any(branch.kind != "feed-forward" for branch in residual.branches)


# Blocks: which sums belong together


def _common(paths: Sequence[Calls]) -> Calls:
    first, last = min(paths), max(paths)
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, (first, last)))
    )
    return first[:length]


def _place(residual: Residual) -> Calls:
    """The innermost module call that holds all the work of a sum's branches."""
    return _common([node.calls for branch in residual.branches for node in branch.work])


def group_into_blocks(sums: list[Residual]) -> list[Unit]:
    """Group the sums of every stream into blocks, by the modules that ran them and by what repeats."""
    chains: list[list[Residual]] = []
    for residual in sums:
        chain = next((chain for chain in chains if residual.parent in chain), None)
        if chain is None:
            chains.append([residual])
        else:
            chain.append(residual)
    units = [unit for chain in chains for unit in _group([(_place(s), s) for s in chain], 0)]
    return sorted(units, key=lambda unit: unit[0].node.index)


def _group(placed: list[tuple[Calls, Residual]], depth: int) -> list[Unit]:
    if len(placed) == 1:
        return [[placed[0][1]]]
    items: list[list[tuple[Calls, Residual]]] = []
    last: int | None = None
    for calls, residual in placed:
        key = calls[depth] if len(calls) > depth else None
        if items and key is not None and key == last:
            items[-1].append((calls, residual))
        else:
            items.append([(calls, residual)])
        last = key
    if len(items) == 1 and len(items[0][0][0]) > depth:
        return _group(items[0], depth + 1)
    inner = [_group(item, depth + 1) if len(item) > 1 else [[item[0][1]]] for item in items]
    if any(len(units) > 1 for units in inner):
        return [unit for units in inner for unit in units]
    units = [units[0] for units in inner]
    patterns = [tuple(_pattern(s) for s in unit) for unit in units]
    count = len(units)
    for period in range(1, count // 2 + 1):
        if count % period == 0 and all(a == b for a, b in zip(patterns, patterns[period:], strict=False)):
            return [sum(units[i : i + period], []) for i in range(0, count, period)]
    return units if any(map(complete, units)) or count > 4 else [sum(units, [])]


def complete(unit: Unit) -> bool:
    """Whether a group has all that a block has: something that looks at other positions, and something else."""
    kinds = {branch.kind for s in unit for branch in s.branches}
    return len(kinds) > 1 and "feed-forward" in kinds


def _pattern(residual: Residual) -> tuple[str, ...]:
    return tuple(sorted({branch.kind for branch in residual.branches}))


def chain_into_stacks(units: list[Unit], streams: Streams) -> list[list[Unit]]:
    """Put blocks in a row where one's stream goes on from another's: directly, or through a change of size."""
    stacks: list[list[Unit]] = []
    for unit in units:
        home = next((stack for stack in stacks if unit[0].parent in stack[-1]), None)
        home = home or next((stack for stack in stacks if _follows(unit, stack[-1], streams)), None)
        if home is None:
            stacks.append([unit])
        else:
            home.append(unit)
    return stacks


def _follows(unit: Unit, last: Unit, streams: Streams) -> bool:
    """Whether a block's stream was computed from another's result, and both are of a kind or in one place."""
    if unit[0].parent or not any(streams.depends(unit[0].root, s.node) for s in last):
        return False
    calls = streams.recording.calls
    here, there = (_common([_place(s) for s in group]) for group in (unit, last))
    alike = bool(here and there) and type(calls[here[-1]]) is type(calls[there[-1]])
    return alike or len(unit) == 1 == len(last) or here[:-1] == there[:-1]


# The main path: which norms lie on it, and whose they are


def block_call(unit: Unit, stack: list[Unit]) -> Calls | None:
    """The module call that is this block; None where no module of its own runs it."""
    own = [_place(s) for s in unit]
    call = _common(own + [s.node.calls for s in unit])
    others = [_place(s) for other in stack if other is not unit for s in other]
    if any(place[: len(call)] == call for place in others):
        call = _common(own)
        longest = max((_shared_length(place, call) for place in others), default=0)
        call = call[: longest + 1] if longest < len(call) else ()
    return call if len(call) > 1 else None


def _shared_length(a: Calls, b: Calls) -> int:
    return len(_common([a, b]))


def _onward(residual: Residual, streams: Streams) -> list[Step]:
    """The steps that follow a sum which no other sum follows: norms and dropouts, as far as they reach."""
    steps: list[Step] = []
    frontier, seen = [residual.node], {residual.node.index}
    while frontier:
        node = frontier.pop(0)
        for user in streams.users[node.index]:
            norm = streams.inside.get(user.index)
            if norm and norm.source is node:
                steps.append(Step("norm", norm.result, norm))
                frontier, seen = [norm.result], {norm.result.index}
                break
            if user.index in seen or norm:
                continue
            seen.add(user.index)
            if drops(user):
                steps.append(Step("dropout", user))
            if (
                drops(user)
                or user.op in COPIES | PARTS | {"cat", "neg"}
                or (user.op == "where" and node in user.inputs[1:])
                or (user.op in ("mul", "div") and _by_constant(user))
            ):
                frontier.append(user)
    return steps


def _by_constant(node: Node) -> bool:
    return sum(parent.data for parent in node.inputs) == 1


def _between(residual: Residual, child: Residual) -> tuple[Step, ...]:
    return child.trail.steps_from(residual.node)


def _within(step: Step, call: Calls | None) -> bool:
    return call is not None and step.node.calls[: len(call)] == call


def main_path(stack: list[Unit], streams: Streams) -> tuple[list[list[dict]], list[Step]]:
    """For every sum of every block the steps on the main path before and after it; and what follows the stack."""
    calls = [block_call(unit, stack) for unit in stack]
    rows: list[list[dict]] = [[{"lead": [], "trunk": []} for _ in unit] for unit in stack]
    everything = [s for unit in stack for s in unit]
    outside_ends: list[list[Step]] = []
    for i, unit in enumerate(stack):
        if unit[0].parent not in everything or calls[i] is not None:
            start = unit[0].parent
            lead = unit[0].trail.steps_from(start.node) if start else unit[0].trail.steps[-1]
            rows[i][0]["lead"] = [step for step in lead if _within(step, calls[i])]
        for j, residual in enumerate(unit):
            child = next((s for s in everything if s.parent is residual), None)
            steps = list(_between(residual, child)) if child else _onward(residual, streams)
            following = child in unit
            if following:
                rows[i][j]["trunk"] = list(steps)
                continue
            mine = [step for step in steps if _within(step, calls[i])]
            after = i + 1 < len(stack)
            theirs = [step for step in steps if after and _within(step, calls[i + 1])]
            outside = [step for step in steps if step not in mine and step not in theirs]
            rows[i][j]["trunk"] = mine
            if child or not after:
                outside_ends.append(outside)
            if child:
                rows[i][j]["trunk"] = mine + outside
    final = outside_ends[-1] if outside_ends else []
    if _closes_the_block(stack, outside_ends, rows) and final:
        rows[-1][-1]["trunk"] = rows[-1][-1]["trunk"] + final[:1]
        final = final[1:]
    for row in rows:
        if norms_in(row[0]["lead"]) and not norms_in(row[-1]["trunk"]):
            for first, second in pairwise(row):
                second["lead"], first["trunk"] = first["trunk"] + second["lead"], []
    return rows, final


def _closes_the_block(stack: list[Unit], ends: list[list[Step]], rows: list[list[dict]]) -> bool:
    """Whether a norm after the last sum, in no block's module, belongs to the block rather than to the stack."""
    if len(ends) > 1:
        return all(norms_in(steps) for steps in ends[:-1])
    if len(stack) == 1 and not norms_in(rows[0][-1]["trunk"]):
        inner = rows[0][:-1]
        if inner:
            return all(norms_in(row["trunk"]) for row in inner)
        return not any(norms_in(steps) for b in stack[0][0].branches for steps in (*b.before, b.after))
    return False


def norms_in(steps: Sequence[Step]) -> list[Norm]:
    """The norms among steps, in their order."""
    return [step.norm for step in steps if step.norm]
