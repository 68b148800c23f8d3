"""Find every normalization in a recording, fused or written out as arithmetic, and prove it by what it does.

The graph proposes: a reduction, then a product or quotient with the value that was reduced. Behavior decides:
the candidate is run again on random vectors. Times 8, a norm must give the same; with the sign turned, the
opposite; and if a constant added to its input changes nothing, it is LayerNorm, else RMSNorm (Ba et al. 2016,
section 3; Zhang & Sennrich 2019, section 4: "re-scaling" and "re-centering" invariance).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from papertrail.architecture_diagram.operations import CONTRACTIONS, COPIES, FUSED, REDUCTIONS, same
from papertrail.architecture_diagram.recording import Node, Recording

LARGEST_NORM = 40  # operations between a norm's input and its output, at most
REACH = 14  # operations from a reduction to the product that uses it, at most


@dataclass(frozen=True, eq=False)
class Norm:
    """One normalization: its kind, the value that enters, the value that leaves, and what lies between.

    The gain and bias are not part of it: they change no answer.
    """

    kind: str  # "layernorm" or "rmsnorm"
    source: Node
    result: Node
    inside: frozenset[int]  # indices of nodes; the result is among them
    how: str  # "fused" or "arithmetic"


def find_norms(recording: Recording) -> list[Norm]:
    """All normalizations in the order of running; where one lies within another, the outer one alone."""
    users: dict[int, list[Node]] = {}
    for node in recording.nodes:
        for parent in node.inputs:
            users.setdefault(parent.index, []).append(node)
    found: dict[int, Norm] = {}
    for node in recording.nodes:
        if node.op in FUSED:
            if node.output == 0 and _is_layer_norm(node):
                source = node.inputs[0]
                found[node.index] = Norm(FUSED[node.op], source, node, frozenset({node.index}), "fused")
        elif not any(parent.data for parent in node.inputs):
            continue
        elif "::" in node.op and sum(parent.data for parent in node.inputs) == 1:
            source = next(parent for parent in node.inputs if parent.data)
            kind = _behaves(recording, source, node)
            if kind:
                found[node.index] = Norm(kind, source, node, frozenset({node.index}), "custom operation")
        elif node.op in REDUCTIONS and _reduces_features(node):
            for result in _products(node, users):
                if result.index not in found and (norm := _prove(recording, result)):
                    found[result.index] = norm
    norms = sorted(found.values(), key=lambda norm: norm.result.index)
    return [n for n in norms if not any(n is not m and n.result.index in m.inside for m in norms)]


def _is_layer_norm(node: Node) -> bool:
    """A group norm is one only with a single group: over all the features of an example."""
    return node.op != "native_group_norm" or node.args[6] == 1


def _reduces_features(node: Node) -> bool:
    source = node.inputs[0]
    if node.op in CONTRACTIONS:
        return len(node.inputs) > 1 and _core(node.inputs[0]) is _core(node.inputs[1])
    whole, kept = source.value.numel(), node.value.numel()
    return bool(kept) and whole // kept > 1 and source.value.dim() > 0


def _core(node: Node) -> Node:
    """The value behind copies and a change of scale."""
    while True:
        inner = same(node)
        if inner.op in ("mul", "div") and sum(parent.data for parent in inner.inputs) == 1:
            inner = next(parent for parent in inner.inputs if parent.data)
        if inner is node:
            return node
        node = inner


def _products(reduction: Node, users: dict[int, list[Node]]) -> list[Node]:
    """Where the reduced value meets a full one, and what products and sums go on from there.

    The last of them counts: a gain may be multiplied into the reduced value first, and the mean be taken off last.
    """
    found, frontier, seen = [], [reduction], {reduction.index}
    full = reduction.inputs[0].value.numel()
    for _ in range(REACH):
        following = []
        for node in frontier:
            for user in users.get(node.index, ()):
                if user.index in seen or any(parent.random for parent in user.inputs):
                    continue
                seen.add(user.index)
                large = user.value.numel() >= full
                if large and user.op in ("mul", "div", "sub", "add", "addcmul") and len(user.inputs) > 1:
                    found.append(user)
                    following.append(user)
                elif not large or user.op in COPIES:
                    following.append(user)
        frontier = following
    return found


def _prove(recording: Recording, result: Node) -> Norm | None:
    """Go back from a product to the nearest value it is a norm of; further back only if that makes it LayerNorm.

    LayerNorm is RMSNorm of a centered value, so that the nearest value alone would miss the centering.
    """
    nearest = None
    for source, inside in _sources(result):
        kind = _behaves(recording, source, result)
        if kind is None:
            break
        norm = Norm(kind, source, result, inside, "arithmetic")
        if kind == "layernorm":
            return norm
        nearest = nearest or norm
    return nearest


def _sources(result: Node) -> list[tuple[Node, frozenset[int]]]:
    """Values through which everything that `result` depends on must pass, nearest first."""
    found: list[tuple[Node, frozenset[int]]] = []
    frontier, inside = {result.index: result}, set[int]()
    reduced = False
    while frontier and len(inside) <= LARGEST_NORM:
        latest = frontier.pop(max(frontier))
        if inside and not frontier and reduced:
            found.append((latest, frozenset(inside)))
        if not any(parent.data for parent in latest.inputs):
            break
        if latest.op in CONTRACTIONS | {"addmm", "convolution", "native_layer_norm", "embedding"} and not (
            latest.op in CONTRACTIONS and _reduces_features(latest)
        ):
            break
        reduced = reduced or (latest.op in REDUCTIONS and _reduces_features(latest))
        inside.add(latest.index)
        frontier |= {parent.index: parent for parent in latest.inputs if parent.data}
    return found


def _behaves(recording: Recording, source: Node, result: Node) -> str | None:
    """Run from `source` to `result` on random vectors: which norm is it, if any?"""
    like = source.value
    if not like.is_floating_point() or like.dim() == 0 or like.shape[-1] < 2:
        return None
    tolerance = 0.03 if torch.finfo(like.dtype).bits < 32 else 2e-3
    size = (
        2 if like.dtype == torch.float16 else 64
    )  # large beside every eps; half precision cannot square 64 * 8
    generator = torch.Generator().manual_seed(0)
    x = size * torch.randn(like.shape, generator=generator, device="cpu")
    x = x + 0.15 * size * torch.randn(like.shape[:-1], generator=generator, device="cpu")[..., None]

    def f(value: Tensor) -> Tensor:
        return recording.replay(source, value.to(like.device, like.dtype), result).float()

    try:
        plain, scaled, turned, shifted = f(x), f(8 * x), f(-x), f(x + 1.5 * size)
    except (RuntimeError, ValueError, IndexError, TypeError):  # no function of this value alone
        return None
    if plain.shape != turned.shape or not torch.isfinite(plain).all():
        return None
    bias = (plain + turned) / 2  # of an odd function it is 0
    leading = bias.reshape(-1, bias.shape[-1]) if bias.dim() else bias
    largest = (plain - bias).abs().max()
    if largest == 0:
        return None

    def close(a: Tensor, b: Tensor) -> bool:
        """Nearly everywhere: a vector that happens to vary little is at the mercy of eps and rounding."""
        return bool(((a - b).abs() < tolerance * largest).float().mean() > 0.9)

    if not (close(plain, scaled) and close(leading, leading[:1])):
        return None
    if torch.equal(plain.sign(), plain):  # the sign of a value, which is no norm
        return None
    if x.numel() > x.shape[-1]:  # what normalizes everything at once, or over the batch, is none either
        x[(0,) * x.dim()] += 2 * size
        if not (f(x) == plain).any():
            return None
    return "layernorm" if close(plain, shifted) else "rmsnorm"
