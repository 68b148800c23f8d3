"""Where does a model put its norms? Run it once, follow the residual stream, and say what was seen.

Two witnesses are heard. The graph of the run shows where each norm lies and cannot be misled by names. Then the
first block of every stack is run again on random inputs of two sizes: a norm on the main path makes the output
forget its input's size, and a norm in the branch makes the branch forget it. The graph decides, because it can
tell apart what behaves alike; the second witness is reported, and a contradiction is never hidden.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from papertrail.architecture_diagram.norms import COPIES, Norm
from papertrail.architecture_diagram.recording import Node, Recording, record
from papertrail.architecture_diagram.streams import PARTS, Branch, Residual, Step, Streams, main_streams
from papertrail.architecture_diagram.trace import BranchTrace, Report, Stack, Trace, shared

Unit = list[Residual]  # the residual sums of one block
Calls = tuple[int, ...]


def inspect_model(model: nn.Module, *args: Any, **kwargs: Any) -> Report:
    """Find where a model puts its norms, by running it once on the inputs given.

    The model is left as it was: weights, buffers, mode, hooks, random state, gradients. Nothing is copied but
    the inputs. In train mode dropouts show as well.

    Args:
        model: any module; it may be on any device and of any floating type.
        *args, **kwargs: what it is called with.

    Returns:
        A report with `.placement` ("post", "pre", "res-post", "sandwich", "none", "hybrid"), `.norm`
        ("layernorm", "rmsnorm", "none"), `.parallel`, `.final_norm`, `.num_blocks`, `.stacks` and `.evidence`.

    Raises:
        TypeError: `model` is no module.
        ValueError: no residual block was found; the message says what was looked for.
        Exception: whatever the model's own forward pass raises.
    """
    recording = record(model, args, kwargs)
    with torch.no_grad():
        return read_report(recording)


def read_report(recording: Recording) -> Report:
    """The report of a recorded run; see `inspect_model`."""
    streams = Streams(recording)
    sums = _outermost(streams, main_streams(streams.sums))
    if not sums:
        raise ValueError(
            f"model: no residual block found in {len(recording.nodes)} recorded values. Looked for a sum whose "
            "one side is an earlier value (copied, scaled or normalized at most) and whose other side was "
            "computed from that value by a matrix product, a convolution or attention"
        )
    units = _units(sums, recording)
    stacks = [_trimmed(stack) for stack in _stacks(units, streams)]
    chief = [stack for stack in stacks if any(_attends(s) for unit in stack for s in unit)] or stacks
    notes = tuple(
        f"{len(stack)} block(s) without attention in front of or beside the others" for stack in stacks if stack not in chief
    )  # fmt: skip
    return Report(tuple(_describe(stack, units, streams) for stack in chief), notes)


def _trimmed(stack: list[Unit]) -> list[Unit]:
    """Without what is no whole block at either end, such as a convolution that adds positions."""
    whole = [i for i, unit in enumerate(stack) if _complete(unit)]
    return stack[whole[0] : whole[-1] + 1] if whole else stack


def _attends(residual: Residual) -> bool:
    return any(branch.kind != "feed-forward" for branch in residual.branches)


def _outermost(streams: Streams, sums: list[Residual]) -> list[Residual]:
    """Leave out sums inside a branch of another; and a skip over many blocks, which is no block."""
    dropped: set[int] = set()
    for outer in sums:
        inner = [
            s for s in sums
            if s is not outer and outer.root.index < s.node.index < outer.node.index
            and any(streams.depends(b.end, s.node) or b.end is s.node for b in outer.branches)
            and (s.root is outer.root or streams.depends(s.root, outer.root))
        ]  # fmt: skip
        if not inner:
            continue
        over_blocks = len(inner) > 1 and any(outer.root in s.trail.nodes or _attends(s) for s in inner)
        dropped |= {id(outer)} if over_blocks else {id(s) for s in inner}
    return [s for s in sums if id(s) not in dropped]


# Blocks: which sums belong together


def _common(paths: Sequence[Calls]) -> Calls:
    first, last = min(paths), max(paths)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, (first, last))))
    return first[:length]


def _place(residual: Residual) -> Calls:
    """The innermost module call that holds all the work of a sum's branches."""
    return _common([node.calls for branch in residual.branches for node in branch.work])


def _units(sums: list[Residual], recording: Recording) -> list[Unit]:
    """Group the sums into blocks by the modules that ran them and by what repeats."""
    return _group([(_place(s), s) for s in sums], 0)


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
    return units if any(map(_complete, units)) or count > 4 else [sum(units, [])]


def _complete(unit: Unit) -> bool:
    """Whether a group has all that a block has: something that looks at other positions, and something else."""
    kinds = {branch.kind for s in unit for branch in s.branches}
    return len(kinds) > 1 and "feed-forward" in kinds


def _pattern(residual: Residual) -> tuple[str, ...]:
    return tuple(sorted({branch.kind for branch in residual.branches}))


def _stacks(units: list[Unit], streams: Streams) -> list[list[Unit]]:
    """Put blocks in a row where one's stream goes on from another's."""
    calls = streams.recording.calls
    stacks: list[list[Unit]] = []
    for unit in units:
        first = unit[0]
        for stack in stacks:
            last = stack[-1]
            before = [_place(s) for s in last]
            here, there = _common([_place(s) for s in unit]), _common(before)
            alike = bool(here and there) and type(calls[here[-1]]) is type(calls[there[-1]])
            siblings = len(unit) == 1 == len(last) or here[:-1] == there[:-1]
            linked = first.parent in last
            follows = any(streams.depends(first.root, s.node) for s in last)
            if linked or (follows and (alike or siblings)):
                stack.append(unit)
                break
        else:
            stacks.append([unit])
    return stacks


# The main path: which norms lie on it, and whose they are


def _block_call(unit: Unit, units: list[Unit]) -> Calls | None:
    """The module call that is this block; None where no module of its own runs it."""
    own = [_place(s) for s in unit]
    call = _common(own + [s.node.calls for s in unit])
    others = [_place(s) for other in units if other is not unit for s in other]
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
            noise = user.op in ("native_dropout", "_fused_dropout") or (
                user.op == "mul" and any(p.random for p in user.inputs)
            )
            if noise:
                steps.append(Step("dropout", user))
            if noise or user.op in COPIES | PARTS | {"cat"} or (user.op in ("mul", "div") and _by_constant(user)):
                frontier.append(user)
    return steps


def _by_constant(node: Node) -> bool:
    return sum(parent.data for parent in node.inputs) == 1


def _between(residual: Residual, child: Residual) -> tuple[Step, ...]:
    return child.trail.steps_from(residual.node)


def _within(step: Step, call: Calls | None) -> bool:
    return call is not None and step.node.calls[: len(call)] == call


def _main_path(stack: list[Unit], units: list[Unit], streams: Streams) -> tuple[list[list[dict]], list[Step]]:
    """For every sum of every block the steps on the main path before and after it; and what follows the stack."""
    calls = [_block_call(unit, units) for unit in stack]
    rows = [[{"lead": [], "trunk": []} for _ in unit] for unit in stack]
    everything = [s for unit in stack for s in unit]
    outside_ends: list[list[Step]] = []
    for i, unit in enumerate(stack):
        if unit[0].parent not in everything or calls[i] is not None:
            start = unit[0].parent
            steps = unit[0].trail.steps_from(start.node) if start else unit[0].trail.steps[-1]
            rows[i][0]["lead"] = [step for step in steps if _within(step, calls[i])]
        for j, residual in enumerate(unit):
            child = next((s for s in everything if s.parent is residual), None)
            steps = _between(residual, child) if child else _onward(residual, streams)
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
        if _norms(row[0]["lead"]) and not _norms(row[-1]["trunk"]):
            for first, second in pairwise(row):
                second["lead"], first["trunk"] = first["trunk"] + second["lead"], []
    return rows, final


def _closes_the_block(stack: list[Unit], ends: list[list[Step]], rows: list[list[dict]]) -> bool:
    """Whether a norm after the last sum, in no block's module, belongs to the block rather than to the stack."""
    if len(ends) > 1:
        return all(_norms(steps) for steps in ends[:-1])
    if len(stack) == 1 and not _norms(rows[0][-1]["trunk"]):
        inner = rows[0][:-1]
        if inner:
            return all(_norms(row["trunk"]) for row in inner)
        return not any(_norms(steps) for b in stack[0][0].branches for steps in (*b.before, b.after))
    return False


def _norms(steps: Sequence[Step]) -> list[Norm]:
    return [step.norm for step in steps if step.norm]


# The report of one stack


def _shown(steps: Sequence[Step]) -> list[Step]:
    """The steps that a diagram shows. A norm's gain is part of the norm, and a factor of one is nothing."""
    shown: list[Step] = []
    for step in steps:
        if step.what == "scale" and ((shown and shown[-1].what == "norm") or _factor(step.node) == 1):
            continue
        if step.what in ("norm", "dropout", "scale", "gate"):
            shown.append(step)
    return shown


def _names(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(step.what for step in _shown(steps))


def _factor(node: Node) -> float | None:
    """The number that a product or quotient scales by, if it is one number."""
    for argument in node.args:
        if isinstance(argument, (int, float)) and not isinstance(argument, bool):
            return 1 / argument if node.op == "div" and argument else float(argument)
        if isinstance(argument, Node) and not argument.data and argument.value.numel() == 1:
            value = argument.value.item()
            return 1 / value if node.op == "div" and value else float(value)
    return None


def _branch_trace(kind: str, branches: list[Branch]) -> BranchTrace:
    entrances = [_names(steps) for branch in branches for steps in branch.before] or [()]
    exits = [_names(branch.after) for branch in branches]
    normed = {entrance.count("norm") for entrance in entrances}
    before = max(entrances, key=lambda steps: (steps.count("norm"), len(steps)))
    return BranchTrace(
        kind, before, max(exits, key=len), len(normed) > 1, all(branch.within for branch in branches)
    )


def _trace(residual: Residual, row: dict) -> Trace:
    kinds: dict[str, list[Branch]] = {}
    for branch in residual.branches:
        kinds.setdefault(branch.kind, []).append(branch)
    if len(kinds) == 1 or all(kind != "feed-forward" for kind in kinds):
        kinds = {next(iter(kinds)): residual.branches}  # parts of one function, such as an adapter's
    return Trace(
        branches=tuple(_branch_trace(kind, branches) for kind, branches in kinds.items()),
        lead=_names(row["lead"]),
        skip=_names(residual.skip),
        trunk=_names(row["trunk"]),
        notes=tuple(dict.fromkeys(residual.second_paths)),
    )


def _describe(stack: list[Unit], units: list[Unit], streams: Streams) -> Stack:
    rows, final = _main_path(stack, units, streams)
    blocks = tuple(
        tuple(_trace(s, row) for s, row in zip(unit, block, strict=True))
        for unit, block in zip(stack, rows, strict=True)
    )
    norms = [norm for unit in stack for s in unit for norm in _all_norms(s)] + _norms(final)
    norms += [norm for block in rows for row in block for norm in _norms(row["lead"] + row["trunk"])]
    kind = shared([norm.kind for norm in norms]) if norms else "none"
    result = Stack(blocks, kind, bool(_norms(final)))
    probe, sentence = _probe(stack, rows, result, streams)
    evidence = _evidence(stack, result, norms, final, streams) | {"probe": [sentence]}
    return Stack(blocks, kind, bool(_norms(final)), evidence, probe)


def _all_norms(residual: Residual) -> list[Norm]:
    steps = [step for b in residual.branches for part in (*b.before, b.after) for step in part]
    found = _norms([*steps, *residual.skip])
    return found or [norm for branch in residual.branches for norm in branch.within]


def _evidence(
    stack: list[Unit], result: Stack, norms: list[Norm], final: list[Step], streams: Streams
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"placement": []}
    seen: dict[str, list[int]] = {}
    for i, block in enumerate(result.blocks, start=1):
        for trace in block:
            label = " and ".join(branch.kind for branch in trace.branches)
            text = f"{label}: {trace.formula} is {trace.placement}"
            if any(branch.entrances_differ for branch in trace.branches):
                text += "; some of what the branch reads passes a norm first, and some does not"
            if trace.placement == "hybrid" and any(branch.norm_within for branch in trace.branches):
                text += "; a norm lies inside the branch, between its operations"
            text += "".join(f"; {note}" for note in trace.notes)
            seen.setdefault(text, []).append(i)
    for text, places in seen.items():
        found["placement"].append(f"{_blocks(places, result.num_blocks)}, {text}")
    for residual in (s for unit in stack[:1] for s in unit):
        for where, steps in (("skip", residual.skip), *(("branch", b.after) for b in residual.branches)):
            for step in _shown(steps):
                if step.what == "gate":
                    found["placement"].append("block 1: the skip is multiplied by a gate computed from its own value")
                if step.what == "scale":
                    factor = _factor(step.node)
                    amount = f"by {factor:.4g}" if factor is not None else "by learned or computed values"
                    found["placement"].append(f"block 1: the {residual.branches[0].kind}'s {where} is scaled {amount}")
    kinds = {}
    for norm in norms:
        kinds[f"{norm.kind} ({norm.how})"] = kinds.get(f"{norm.kind} ({norm.how})", 0) + 1
    batch = sum("batch_norm" in node.op and node.output == 0 for node in streams.nodes)
    if batch:
        found["norm"] = [f"{batch} batch norm(s), which are not counted: they look at other examples"]
    inner = len(streams.norms) - len({id(norm) for norm in norms})
    found["norm"] = found.get("norm", []) + [f"{count} of {kind}" for kind, count in kinds.items()] or ["no norm on the stream's way"]
    if inner:
        found["norm"].append(f"{inner} more inside branches, on embeddings or in a head, which decide nothing")
    parallel = [trace for trace in result.block if trace.parallel]
    found["parallel"] = [
        f"{' and '.join(b.kind for b in parallel[0].branches)} read the same value and are added in one sum"
        if parallel else "each sum has one branch, which reads the sum before"
    ]  # fmt: skip
    found["final_norm"] = [
        f"a {_norms(final)[0].kind} outside every block reads the last block's result"
        if _norms(final) else "no norm of its own reads the last block's result"
    ]  # fmt: skip
    modules = {id(streams.recording.calls[c[-1]]) for u in stack if (c := _block_call(u, stack))}
    text = f"{sum(len(unit) for unit in stack)} residual sums in {result.num_blocks} block(s)"
    if modules and len(modules) < result.num_blocks:
        text += f", run by {len(modules)} module(s): blocks are shared"
    found["num_blocks"] = [text]
    return found


def _blocks(places: list[int], total: int) -> str:
    if len(set(places)) == total:
        return "every block" if total > 1 else "the block"
    return f"block {', '.join(map(str, sorted(set(places))))} of {total}"


def _probe(stack: list[Unit], rows: list[list[dict]], result: Stack, streams: Streams) -> tuple[str, str]:
    """Run the first block on inputs of two sizes; compare what grows with what the placement predicts."""
    unit, row = stack[0], rows[0]
    traces = result.block
    start = _norms(row[0]["lead"])[0].source if _norms(row[0]["lead"]) else unit[0].root
    ends = _norms(row[-1]["trunk"])
    end = ends[-1].result if ends else unit[-1].node
    scaled = any("scale" in trace.skip for trace in traces)
    placement = shared([trace.placement for trace in traces])
    if placement == "hybrid" or (scaled and placement != "post"):
        return "no prediction", "for a block of this form nothing is predicted"
    half = torch.finfo(start.value.dtype).bits < 32
    small, large = (8.0, 64.0) if half else (100.0, 10_000.0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(start.value.shape, generator=generator).to(start.value.device)
    try:
        outs = [streams.recording.replay(start, (c * x).to(start.value.dtype), end).float() for c in (small, large)]
    except (RuntimeError, ValueError, IndexError, TypeError):
        return "no prediction", "the block cannot be run again apart from the model"
    whole = _size(outs[1]) / _size(outs[0])
    if outs[0].numel() != x.numel():
        return "no prediction", "the block's output has another size than its input"
    rests = [out.reshape(x.shape) - c * x for out, c in zip(outs, (small, large), strict=True)]
    if _size(rests[0]) < 1e-6 * small:
        return "no prediction", "the branches add next to nothing to the stream with the present weights"
    rest = _size(rests[1]) / _size(rests[0])
    growth = (large / small) ** 0.5
    forgets_whole, forgets_rest = whole < growth, rest < growth
    expected = {"post": forgets_whole, "none": not forgets_whole and not forgets_rest}.get(
        placement, not forgets_whole and forgets_rest
    )
    word = "agrees" if expected else "contradicts"
    return word, (
        f"with an input {large / small:.0f} times as large, block 1 gives an output {whole:.3g} times and a residual part "
        f"{rest:.3g} times as large, which {word} {'with' if expected else ''} {placement!r}".replace("  ", " ")
    )


def _size(x: torch.Tensor) -> float:
    return x.square().mean().sqrt().item() + 1e-30
