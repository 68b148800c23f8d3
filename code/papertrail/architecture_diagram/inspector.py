"""Where does a model put its norms? Run it once, follow the residual stream, and say what was seen.

Two witnesses are heard. The graph of the run shows where each norm lies and cannot be misled by names. Then the
first block of every stack is run again on random inputs of two sizes: a norm on the main path makes the output
forget its input's size, and a norm in the branch makes the branch forget it. The graph decides, because it can
tell apart what behaves alike; the second witness is reported, and a contradiction is never hidden.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from papertrail.architecture_diagram.blocks import (
    Unit,
    attends,
    chain_into_stacks,
    complete,
    group_into_blocks,
    main_path,
    norms_in,
)
from papertrail.architecture_diagram.branches import Branch
from papertrail.architecture_diagram.evidence import (
    counted,
    evidence_of,
    name_lines,
    names,
    norm_names,
    probe_block,
)
from papertrail.architecture_diagram.norms import Norm
from papertrail.architecture_diagram.operations import OPAQUE
from papertrail.architecture_diagram.recording import Recording, record
from papertrail.architecture_diagram.streams import Residual, Streams, main_streams
from papertrail.architecture_diagram.trace import BranchTrace, Report, Stack, Trace, shared


def inspect_model(model: nn.Module, *args: Any, **kwargs: Any) -> Report:
    """Find where a model puts its norms, by running it once on the inputs given.

    The model is left as it was: weights, buffers, mode, hooks, random state, gradients, and what its modules
    hold in lists, dictionaries and sets. What its forward pass does elsewhere (files, other objects) stays done.
    In train mode dropouts show as well.

    Args:
        model: any module; it may be on any device and of any floating type.
        *args, **kwargs: what it is called with.

    Returns:
        A report with `.placement` ("post", "pre", "res-post", "sandwich", "none", "hybrid"), `.norm`
        ("layernorm", "rmsnorm", "none"), `.parallel`, `.final_norm`, `.num_blocks`, `.stacks` and `.evidence`.
        `.norm`, `.parallel` and `.final_norm` are "hybrid" where stacks, or the norms of one, differ.

    Raises:
        TypeError: `model` is no module.
        ValueError: no residual block was found; the message says what was looked for.
        Exception: whatever the model's own forward pass raises.
    """
    recording = record(model, args, kwargs)
    with torch.no_grad():
        return read_report(recording)


def read_report(recording: Recording) -> Report:
    """The report of a recorded run; see `inspect_model`.

    Raises:
        ValueError: no residual sum was found; the message says what may hide it.
    """
    streams = Streams(recording)
    sums = _outermost(streams, main_streams(streams.sums))
    if not sums:
        hidden = sorted({node.op for node in recording.nodes} & OPAQUE)
        if hidden:
            raise ValueError(
                f"model: the fused operation {hidden[0]} hides the block; allowed is the same model in train mode, "
                "or not scripted"
            )
        raise ValueError(_nothing_found(recording))
    units = group_into_blocks(sums)
    stacks = [_trimmed(stack) for stack in chain_into_stacks(units, streams)]
    chief = [stack for stack in stacks if any(attends(s) for unit in stack for s in unit)] or stacks
    described = [_describe(stack, streams) for stack in chief]
    used = {id(norm) for _, norms in described for norm in norms}
    others = sum(id(norm) not in used for norm in streams.norms)
    left_out = len(units) - sum(map(len, chief))
    notes = []
    if left_out:
        notes.append(f"{counted(left_out, 'group')} of residual sums before, after or beside the blocks")
    if others:
        notes.append(
            f"{counted(others, 'norm')} inside branches, on embeddings or in a head: no answer depends on them"
        )
    return Report(tuple(stack for stack, _ in described), tuple(notes))


def _nothing_found(recording: Recording) -> str:
    made = sum(bool(node.inputs) for node in recording.nodes)
    if not made:
        return (
            "model: no operation on tensors was seen; does its forward pass run at all (is it a generator)?"
        )
    foreign = sorted({node.op for node in recording.nodes if "::" in node.op and len(node.inputs) > 1})
    may_hide = f". The custom operation {', '.join(foreign)} may hold the sum inside" if foreign else ""
    return (
        f"model: no residual block found in {made} recorded operations. Looked for a sum whose one side is an "
        "earlier value (copied, scaled or normalized at most) and whose other side was computed from that value "
        f"by a matrix product, a convolution or attention{may_hide}"
    )


def _trimmed(stack: list[Unit]) -> list[Unit]:
    """Without what is no whole block at either end, such as a convolution that adds positions."""
    whole = [i for i, unit in enumerate(stack) if complete(unit)]
    return stack[whole[0] : whole[-1] + 1] if whole else stack


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
        over_blocks = len(inner) > 1 and any(outer.root in s.trail.nodes or attends(s) for s in inner)
        dropped |= {id(outer)} if over_blocks else {id(s) for s in inner}
    return [s for s in sums if id(s) not in dropped]


# The report of one stack


def _branch_trace(kind: str, branches: list[Branch]) -> BranchTrace:
    entrances = [names(steps) for branch in branches for steps in branch.before] or [()]
    exits = [names(branch.after) for branch in branches]
    normed = {entrance.count("norm") for entrance in entrances}
    before = max(entrances, key=lambda steps: (steps.count("norm"), len(steps)))
    return BranchTrace(
        kind, before, max(exits, key=len), len(normed) > 1, all(branch.within for branch in branches)
    )


def _trace(residual: Residual, row: dict, notes: tuple[str, ...]) -> Trace:
    kinds: dict[str, list[Branch]] = {}
    for branch in residual.branches:
        kinds.setdefault(branch.kind, []).append(branch)
    if len(kinds) == 1 or all(kind != "feed-forward" for kind in kinds):
        kinds = {next(iter(kinds)): residual.branches}  # parts of one function, such as an adapter's
    return Trace(
        branches=tuple(_branch_trace(kind, branches) for kind, branches in kinds.items()),
        lead=names(row["lead"]),
        skip=names(residual.skip),
        trunk=names(row["trunk"]),
        notes=notes,
    )


def _notes(residual: Residual, unit: Unit, stack: list[Unit]) -> tuple[str, ...]:
    """The other ways around a sum. One that starts before the last block, and ends with it, skips the stack."""
    paths = residual.second_paths
    if unit is stack[-1] and len(stack) > 1:
        paths = [(text, start) for text, start in paths if start is None or start.index >= unit[0].root.index]
    return tuple(dict.fromkeys(text for text, _ in paths))


def _describe(stack: list[Unit], streams: Streams) -> tuple[Stack, list[Norm]]:
    """The report of one stack, and the norms that it speaks of."""
    rows, final = main_path(stack, streams)
    blocks = tuple(
        tuple(_trace(s, row, _notes(s, unit, stack)) for s, row in zip(unit, block, strict=True))
        for unit, block in zip(stack, rows, strict=True)
    )
    norms = norms_in(final)
    for unit, block in zip(stack, rows, strict=True):
        norms += [norm for s, row in zip(unit, block, strict=True) for norm in _norms_of(s, row)]
    kind = shared([norm.kind for norm in norms]) if norms else "none"
    result = Stack(blocks, kind, bool(norms_in(final)))
    named = norm_names(stack[0], rows[0], final, streams.recording)
    word, sentence = probe_block(stack, rows, result, streams)
    seen = evidence_of(stack, result, norms, final, streams)
    seen |= {"names": name_lines(named), "probe": [sentence]}
    return replace(result, evidence=seen, probe=word, norm_names=named), norms


def _norms_of(residual: Residual, row: dict) -> list[Norm]:
    """The norms on the way of a sum; those inside its branches only where there are no others."""
    steps = [step for b in residual.branches for part in (*b.before, b.after) for step in part]
    found = norms_in([*steps, *residual.skip, *row["lead"], *row["trunk"]])
    return found or [norm for branch in residual.branches for norm in branch.within]
