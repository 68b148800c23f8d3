"""What was seen, in sentences; and the second witness: the block itself, run on inputs of two sizes."""

from collections.abc import Sequence

import torch

from papertrail.architecture_diagram.blocks import Unit, block_call, norms_in
from papertrail.architecture_diagram.norms import Norm
from papertrail.architecture_diagram.paths import Step
from papertrail.architecture_diagram.recording import Node, Recording
from papertrail.architecture_diagram.streams import Streams
from papertrail.architecture_diagram.trace import PLACES, Stack, shared


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 block", "2 blocks"."""
    return f"{number} {noun}" + "s" * (number != 1)


def shown(steps: Sequence[Step]) -> list[Step]:
    """The steps that a diagram shows. A norm's gain is part of the norm, and a factor of one is nothing."""
    shown: list[Step] = []
    for step in steps:
        if step.what == "scale" and ((shown and shown[-1].what == "norm") or factor_of(step.node) == 1):
            continue
        if step.what in ("norm", "dropout", "scale", "gate"):
            shown.append(step)
    return shown


def names(steps: Sequence[Step]) -> tuple[str, ...]:
    """The words of the steps that are shown."""
    return tuple(step.what for step in shown(steps))


def factor_of(node: Node) -> float | None:
    """The number that a product or quotient scales by, if it is one number."""
    for argument in node.args:
        if isinstance(argument, (int, float)) and not isinstance(argument, bool):
            return 1 / argument if node.op == "div" and argument else float(argument)
        if isinstance(argument, Node) and not argument.data and argument.value.numel() == 1:
            value = argument.value.item()
            return 1 / value if node.op == "div" and value else float(value)
    return None


def norm_names(
    unit: Unit, row: list[dict], final: list[Step], recording: Recording
) -> tuple[tuple[str, str, str], ...]:
    """Sub-layer, place and module name of every norm of a block, and of the one that follows the last block."""
    found = []
    for residual, around in zip(unit, row, strict=True):
        kind = residual.branches[0].kind
        parts = [(kind, "lead", around["lead"]), (kind, "skip", residual.skip)]
        for branch in residual.branches:
            parts += [(branch.kind, "before", steps) for steps in branch.before]
            parts.append((branch.kind, "after", branch.after))
        parts.append((kind, "trunk", around["trunk"]))
        found += [
            (sublayer, place, recording.name_of(norm.result))
            for sublayer, place, steps in parts
            for norm in norms_in(steps)
        ]
    found += [("", "final", recording.name_of(norm.result)) for norm in norms_in(final)[:1]]
    return tuple(dict.fromkeys(found))


def name_lines(named: tuple[tuple[str, str, str], ...]) -> list[str]:
    """What the code calls its norms, beside where they are."""
    lines = []
    for kind, place, name in named:
        where = "after the last block" if place == "final" else f"{kind}, {PLACES[place]}"
        lines.append(f"{where}: run by {name or 'the model itself'}")
    return lines


def evidence_of(
    stack: list[Unit], result: Stack, norms: list[Norm], final: list[Step], streams: Streams
) -> dict[str, list[str]]:
    """For each answer of the report, what was seen in the run, in sentences."""
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
            for step in shown(steps):
                if step.what == "gate":
                    found["placement"].append(
                        "block 1: the skip is multiplied by a gate computed from its own value"
                    )
                if step.what == "scale":
                    factor = factor_of(step.node)
                    amount = f"by {factor:.4g}" if factor is not None else "by learned or computed values"
                    found["placement"].append(
                        f"block 1: the {residual.branches[0].kind}'s {where} is scaled {amount}"
                    )
    kinds: dict[str, int] = {}
    for norm in norms:
        kinds[f"{norm.kind} ({norm.how})"] = kinds.get(f"{norm.kind} ({norm.how})", 0) + 1
    batch = sum("batch_norm" in node.op and node.output == 0 for node in streams.nodes)
    if batch:
        found["norm"] = [f"{counted(batch, 'batch norm')}, not counted: batch norm looks at other examples"]
    found["norm"] = found.get("norm", []) + [f"{count} of {kind}" for kind, count in kinds.items()] or [
        "no norm on the stream's way"
    ]
    parallel = [trace for trace in result.block if trace.parallel]
    found["parallel"] = [
        f"{' and '.join(b.kind for b in parallel[0].branches)} read the same value and are added in one sum"
        if parallel else "each sum has one branch, which reads the sum before"
    ]  # fmt: skip
    found["final_norm"] = [
        f"a {norms_in(final)[0].kind} outside every block reads the last block's result"
        if norms_in(final) else "no norm of its own reads the last block's result"
    ]  # fmt: skip
    modules = {id(streams.recording.calls[c[-1]]) for u in stack if (c := block_call(u, stack))}
    text = f"{counted(sum(len(unit) for unit in stack), 'residual sum')} in {counted(result.num_blocks, 'block')}"
    if modules and len(modules) < result.num_blocks:
        text += f", run by {counted(len(modules), 'module')}: blocks are shared"
    found["num_blocks"] = [text]
    return found


def _blocks(places: list[int], total: int) -> str:
    if len(set(places)) == total:
        return "every block" if total > 1 else "the block"
    return f"block {', '.join(map(str, sorted(set(places))))} of {total}"


def probe_block(
    stack: list[Unit], rows: list[list[dict]], result: Stack, streams: Streams
) -> tuple[str, str]:
    """Run the first block on inputs of two sizes; compare what grows with what the placement predicts."""
    unit, row = stack[0], rows[0]
    traces = result.block
    start = norms_in(row[0]["lead"])[0].source if norms_in(row[0]["lead"]) else unit[0].root
    ends = norms_in(row[-1]["trunk"])
    end = ends[-1].result if ends else unit[-1].node
    scaled = any("scale" in trace.skip + trace.lead + trace.trunk for trace in traces)
    placement = shared([trace.placement for trace in traces])
    if placement == "hybrid" or (scaled and placement != "post"):
        return "no prediction", "for a block of this form nothing is predicted"
    half = torch.finfo(start.value.dtype).bits < 32
    small, large = (8.0, 64.0) if half else (100.0, 10_000.0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(start.value.shape, generator=generator, device="cpu").to(start.value.device)
    try:
        outs = [
            streams.recording.replay(start, (c * x).to(start.value.dtype), end).float()
            for c in (small, large)
        ]
    except (RuntimeError, ValueError, IndexError, TypeError):
        return "no prediction", "the block cannot be run again apart from the model"
    whole = _size(outs[1]) / _size(outs[0])
    flat = outs[0].dim() != x.dim() and outs[0].numel() == x.numel()  # the same positions in a row
    if outs[0].shape != x.shape and not flat:
        return "no prediction", "the block's output has another shape than its input"
    if not all(torch.isfinite(out).all() for out in outs):
        return "no prediction", "the block's output is not finite"
    rests = [out.reshape(x.shape) - c * x for out, c in zip(outs, (small, large), strict=True)]
    if _size(rests[0]) < 1e-6 * small:
        return "no prediction", "the branches add next to nothing to the stream with the present weights"
    rest = _size(rests[1]) / _size(rests[0])
    growth = (large / small) ** 0.5
    forgets_whole, forgets_rest = whole < growth, rest < growth
    grows = not forgets_whole and forgets_rest == (placement != "none")
    expected = forgets_whole if placement == "post" else grows
    word = "agrees" if expected else "contradicts"
    return word, (
        f"with an input {large / small:.0f} times as large, block 1 gives an output {_times(whole)} times and a "
        f"residual part {_times(rest)} times as large, which {word}{' with' * expected} {placement!r}"
    )


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _size(x: torch.Tensor) -> float:
    return x.square().mean().sqrt().item() + 1e-30
