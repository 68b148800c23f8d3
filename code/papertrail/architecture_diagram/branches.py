"""Read one branch of a residual sum: where it starts, what it does, and which norms stand at its ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from papertrail.architecture_diagram.norms import Norm
from papertrail.architecture_diagram.operations import (
    ATTENTION,
    BETWEEN_POSITIONS,
    COPIES,
    FUSED_SUMS,
    PARTS,
    drops,
    is_mixing,
)
from papertrail.architecture_diagram.paths import Step
from papertrail.architecture_diagram.recording import Node

if TYPE_CHECKING:
    from papertrail.architecture_diagram.streams import Streams


@dataclass(eq=False)
class Branch:
    """One way from R to a residual sum.

    Attributes:
        end: the operand of the sum.
        before: for every entrance from R, the steps up to the first operation that does some work.
        after: the steps from the last such operation to the sum.
        work: the mixing operations between them.
        kind: "self-attention", "cross-attention" (it also reads something that does not depend on R),
            "position mixing" (positions see one another in another way), or "feed-forward".
        within: norms between its operations that every way through the branch passes.
    """

    end: Node
    before: tuple[tuple[Step, ...], ...]
    after: tuple[Step, ...]
    work: list[Node]
    kind: str
    within: list[Norm]


def read_branches(streams: "Streams", root: Node, end: Node) -> list[Branch]:
    """What lies between R and one operand of a residual sum: a branch, or two that were added beforehand.

    Two are told apart only if one is attention and the other is not, and neither reads the other: then the block
    is parallel, whatever is done to their sum. Parts of one function, such as experts, stay together.
    """
    whole, start = read_branch(streams, root, end)
    if start.op not in ("add", "sub") or len(start.inputs) != 2 or start.index in streams.inside:
        return [whole]
    one, two = start.inputs
    if not (streams.depends(one, root) and streams.depends(two, root)):
        return [whole]
    if one is two or streams.depends(one, two) or streams.depends(two, one):
        return [whole]
    parts = [read_branch(streams, root, operand)[0] for operand in (one, two)]
    if not all(part.work for part in parts) or (parts[0].kind == "feed-forward") == (
        parts[1].kind == "feed-forward"
    ):
        return [whole]
    for part in parts:
        part.end, part.after = end, part.after + whole.after
    return parts


def read_branch(streams: "Streams", root: Node, end: Node) -> tuple[Branch, Node]:
    """One branch, and the last value of its own work."""
    region = [
        n for n in streams.nodes[root.index + 1 : end.index + 1]
        if (n is end or streams.depends(end, n)) and streams.depends(n, root)
    ]  # fmt: skip
    members = {n.index for n in region}
    work = [n for n in region if is_mixing(n) and n.index not in streams.inside]
    after: list[Step] = []
    node = end
    while step := _step_in_branch(streams, node, members):
        node, what = step
        if what:
            after.insert(0, what)
    entrances = _entrances(streams, root, members, end)
    known = {step.norm for steps in (*entrances, after) for step in steps if step.norm}
    within = [
        norm for norm in streams.norms
        if norm not in known and norm.result.index in members
        and not _reaches(streams, root, end, members - norm.inside)
    ]  # fmt: skip
    return Branch(end, entrances, tuple(after), work, _kind(streams, work, root, end), within), node


def _reaches(streams: "Streams", root: Node, end: Node, members: set[int] | frozenset[int]) -> bool:
    """Whether some way leads from R to the end through these members alone."""
    frontier, seen = [root], set()
    while frontier:
        for user in streams.users[frontier.pop().index]:
            if user is end and end.index in members:
                return True
            if user.index in members and user.index not in seen:
                seen.add(user.index)
                frontier.append(user)
    return False


def _step_in_branch(streams: "Streams", node: Node, members: set[int]) -> tuple[Node, Step | None] | None:
    """As `step_back`, where the value that comes from R is the one that is carried."""
    if node.index in streams.norm_of or node.op not in ("mul", "div", "add", "sub", "where", "addcmul"):
        step = streams.step_back(node)
        return step if step and step[0].index in members else None
    inputs = node.inputs[1:] if node.op == "addcmul" else node.inputs
    carried = [p for p in inputs if p.index in members]
    if len({id(p) for p in carried}) != 1 or node.index in streams.inside:
        return None
    what = "dropout" if drops(node) else "scale" if node.op in ("mul", "div", "addcmul") else "shift"
    return carried[0], Step(what, node)


def _entrances(streams: "Streams", root: Node, members: set[int], end: Node) -> tuple[tuple[Step, ...], ...]:
    """The steps from R to each first operation of the branch that does some work."""
    found: dict[tuple[str, ...], tuple[Step, ...]] = {}
    frontier: list[tuple[Node, tuple[Step, ...]]] = [(root, ())]
    seen: set[tuple[int, tuple[str, ...]]] = {(root.index, ())}
    while frontier:
        node, steps = frontier.pop()
        for user in streams.users[node.index]:
            skips = user is end and end.op in FUSED_SUMS and node not in end.inputs[1:]
            if user.index not in members or skips:
                continue
            norm = streams.inside.get(user.index)
            if norm and norm.source is node and norm.result.index in members:
                following = norm.result, (*steps, Step("norm", norm.result, norm))
            elif norm:
                continue
            elif user.op in COPIES | PARTS | {"cat", "stack"} or (
                user.op in ("mul", "div", "add", "sub", "where") and _only(streams, user, members, node)
            ):
                following = user, (*steps, Step("dropout", user)) if drops(user) else steps
            else:
                found.setdefault(tuple(step.what for step in steps), steps)
                continue
            key = (following[0].index, tuple(step.what for step in following[1]))
            if key not in seen:
                seen.add(key)
                frontier.append(following)
    return tuple(found.values())


def _only(streams: "Streams", user: Node, members: set[int], node: Node) -> bool:
    return all(p is node or p.index not in members for p in user.inputs)


def _kind(streams: "Streams", work: list[Node], root: Node, end: Node) -> str:
    """What a branch does: do positions see one another in it, by a product of two live values or otherwise?"""
    product, other = _product_of_two(streams, work, root)
    looks_so = product or any(
        max(n.inputs[1].value.shape[2:], default=1) > 1 if "convolution" in n.op else n.op in BETWEEN_POSITIONS
        for n in work if n.value.is_floating_point() or n.value.is_complex()
    )  # fmt: skip
    seen = _positions_meet(streams, root, end)
    coarse = (
        torch.finfo(root.value.dtype).bits < 32
    )  # rounding may swallow what a small change does elsewhere
    mixes = looks_so if seen is None else seen or (coarse and looks_so)
    if other:
        return "cross-attention"
    return "feed-forward" if not mixes else "self-attention" if product else "position mixing"


def _product_of_two(streams: "Streams", work: list[Node], root: Node) -> tuple[bool, bool]:
    """Is there a product of two values that depend on the input, as in attention; and is one foreign to R?"""
    for node in work:
        if node.op in ATTENTION or node.op in ("bmm", "baddbmm", "mm"):
            operands = node.inputs[:3] if node.op in ATTENTION else node.inputs[-2:]
            from_root = [p is root or streams.depends(p, root) for p in operands]
            if all(p.data or live for p, live in zip(operands, from_root, strict=True)):
                return True, not all(from_root)
    return False, False


def _positions_meet(streams: "Streams", root: Node, end: Node) -> bool | None:
    """Change one position of R and see whether the branch changes at others; None if that cannot be seen.

    Positions are on the last axis but one. With three axes they may be on the first, as in (T, B, D).
    """
    x = root.value
    if x.dim() < 2 or x.shape[-2] < 2 or end.value.numel() != x.numel():
        return None
    touched = False
    # A small change, so that a router goes on sending every position to the same experts.
    step = ((1e-3 if torch.finfo(x.dtype).bits >= 32 else 0.03) * x.float().std()).to(x.dtype)
    axes = [x.dim() - 2] + [0] * (x.dim() == 3 and x.shape[0] > 1)
    for axis, position in [(a, i) for a in axes for i in (0, x.shape[a] // 2)]:
        moved = x.clone()
        part = moved.select(axis, position)
        part += step * part.flip(-1).sign()
        try:
            before, after = (streams.recording.replay(root, value, end) for value in (x, moved))
            change = (before != after).float().reshape(x.shape)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return None
        if change.sum() > change.select(axis, position).sum():
            return True
        touched = touched or bool(change.sum() > 0)
    return False if touched else None
