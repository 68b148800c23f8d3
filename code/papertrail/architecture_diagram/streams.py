"""Find the residual stream in a recording: sums whose one side was, in the end, computed from the other.

A sum is residual if one operand (the skip) is reached from a value R by copies, scaling and norms alone, and the
other (the branch) is computed from the same R by something that mixes entries: a matrix product, a convolution,
attention. Sums that hand their result on as the next sum's R form a chain, and a chain is a stream.
"""

from dataclasses import dataclass, field

import torch

from papertrail.architecture_diagram.norms import Norm, find_norms
from papertrail.architecture_diagram.operations import (
    ATTENTION,
    BETWEEN_POSITIONS,
    COPIES,
    FUSED_SUMS,
    PARTS,
    SCALING,
    SUMS,
    is_mixing,
    same,
    same_stack,
)
from papertrail.architecture_diagram.recording import Node, Recording

EARLIER = "an earlier value of the stream is added as well"
TWICE = "the same branch is also added to the stream a second time"
RUNNING_SUM = "the branch's result also goes to a running sum beside the stream"
MAX_WALK = 200


@dataclass(frozen=True)
class Step:
    """One thing that happens to a value on its way: "norm", "dropout", "scale", "gate", "shift" or "part"."""

    what: str
    node: Node
    norm: Norm | None = None


@dataclass(eq=False)
class Path:
    """The values met going back from one value by copies, scaling and norms, and the steps between them.

    `steps[i]` are the steps (in running order) from `nodes[i]` to the end of the path.
    """

    nodes: list[Node]
    steps: list[tuple[Step, ...]]

    def steps_from(self, node: Node) -> tuple[Step, ...]:
        return self.steps[self.nodes.index(node)]


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


@dataclass(eq=False)
class Residual:
    """A residual sum: R, the way of the skip, the branches, and other ways around it (and where they start)."""

    node: Node
    root: Node
    skip: tuple[Step, ...]
    branches: list[Branch]
    trail: Path  # back from R: norms of the main path, and the sum before
    parent: "Residual | None" = None
    second_paths: list[tuple[str, Node | None]] = field(default_factory=list)


class Streams:
    """The residual sums of a recording, in order."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.nodes = recording.nodes
        self.norms = find_norms(recording)
        self.norm_of = {norm.result.index: norm for norm in self.norms}
        self.inside = {index: norm for norm in self.norms for index in norm.inside}
        self.users: list[list[Node]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for parent in {p.index: p for p in node.inputs}.values():
                self.users[parent.index].append(node)
        self._ancestry()
        self.sums: list[Residual] = []
        self.states = 0  # bits of the stream's values found so far: each sum and its R
        rejected = []
        for node in self.nodes:
            if self._is_sum(node) and not self._absorbed(node) and not self._judge(node):
                rejected.append(node)
        for node in rejected:
            self._note_running_sum(node, self.operands(node))
        for residual in self.sums:
            if len(residual.branches) > 1:
                self._note_running_sum(residual.node, [branch.end for branch in residual.branches])

    def _ancestry(self) -> None:
        """Bit sets: all values a value depends on, and those it depends on through a mixing operation."""
        self.above: list[int] = []
        self.mixed: list[int] = []
        for node in self.nodes:
            above = mixed = 0
            for i, parent in enumerate(node.inputs):
                line = self.above[parent.index] | 1 << parent.index
                above |= line
                bypass = node.op in ("addmm", "baddbmm", "addmv") and i == 0
                work = is_mixing(node) and not bypass and node.index not in self.inside
                mixed |= line if work else self.mixed[parent.index]
            self.above.append(above)
            self.mixed.append(mixed)

    def depends(self, node: Node, on: Node) -> bool:
        return bool(self.above[node.index] >> on.index & 1)

    def _is_sum(self, node: Node) -> bool:
        if node.op == "sum":
            return same_stack(node) is not None
        return node.op in SUMS and len([p for p in node.inputs if p.data]) > 0 and len(node.inputs) > 1

    def _absorbed(self, node: Node) -> bool:
        """Whether the value goes nowhere but, unchanged, into another sum."""
        while len(self.users[node.index]) == 1:
            user = self.users[node.index][0]
            if user.index in self.inside:
                return False
            if user.op in COPIES:
                node = user
            else:
                return user.op in ("add", "sub") and self._is_sum(user) and len(user.inputs) == 2
        return False

    def operands(self, node: Node) -> list[Node]:
        """What a sum adds, with sums inside it that go nowhere else taken apart."""
        if node.op == "sum":
            direct = list(same_stack(node).inputs)
        elif node.op in FUSED_SUMS:
            direct = [node.inputs[0], node]
        elif node.op in ("index_add", "scatter_add", "index_put"):
            direct = [node.inputs[0], node.inputs[-1]]
        else:
            direct = list(node.inputs[:2])
        found = []
        for operand in direct:
            inner = operand
            while inner is not node and inner.op in COPIES and len(self.users[inner.index]) == 1:
                inner = inner.inputs[0]
            alone = len(self.users[inner.index]) == 1 and inner.index not in self.inside
            if inner is not node and inner.op in ("add", "sub") and self._is_sum(inner) and alone:
                found += self.operands(inner)
            else:
                found.append(operand)
        return found

    def step_back(self, node: Node) -> tuple[Node, Step | None] | None:
        """The value that this one is a copy, a part, a multiple or a norm of; None at any other operation."""
        if norm := self.norm_of.get(node.index):
            return norm.source, Step("norm", node, norm)
        if not node.inputs or node.index in self.inside:
            return None
        if node.op in COPIES:
            return node.inputs[0], None
        if node.op == "native_dropout" or node.op == "_fused_dropout":
            return node.inputs[0], Step("dropout", node)
        if node.op in PARTS:
            whole = node.op != "overlap" or len(node.inputs) == 1
            return (node.inputs[0], Step("part", node)) if whole else None
        if node.op == "where":
            carrier = self._carrier(node.inputs[1:])
            return carrier and (carrier, Step("part", node))
        if node.op in SCALING:
            carrier = self._carrier(node.inputs)
            if carrier is None:
                return None
            noise = any(parent.random for parent in node.inputs)
            gate = any(self.mixed[parent.index] >> carrier.index & 1 for parent in node.inputs)
            return carrier, Step("dropout" if noise else "gate" if gate else "scale", node)
        if node.op in ("add", "sub") and not self._residual_at(node):
            carrier = self._carrier(node.inputs)
            return carrier and (carrier, Step("shift", node))
        return None

    def _residual_at(self, node: Node) -> bool:
        return any(residual.node is node for residual in self.sums)

    def _carrier(self, parents: tuple[Node, ...]) -> Node | None:
        """Of the values that enter an operation, the one that carries the stream, if it is plain which."""
        data = [parent for parent in parents if parent.data] or list(parents)
        if len(data) > 1:
            data = [p for p in data if (self.above[p.index] | 1 << p.index) & self.states] or data
        if len(data) == 2:  # a gate computed from the value that it multiplies
            data = [p for p, q in (data, data[::-1]) if self.mixed[q.index] >> p.index & 1] or data
        return data[0] if len({id(p) for p in data}) == 1 else None

    def walk_back(self, node: Node) -> Path:
        nodes, steps = [node], [()]
        while len(nodes) < MAX_WALK and (step := self.step_back(node)):
            node, what = step
            nodes.append(node)
            steps.append(((what,) if what else ()) + steps[-1])
        return Path(nodes, steps)

    def _judge(self, node: Node) -> bool:
        """Is this sum residual? If so, add it to the list."""
        operands = self.operands(node)
        paths = [self._operand_path(node, operand) for operand in operands]
        choices = []
        for i, path in enumerate(paths):
            if operands[i] is node:
                continue
            for root in path.nodes:
                fed = [
                    j
                    for j, other in enumerate(operands)
                    if j != i and self.mixed[other.index] >> root.index & 1
                ]
                if fed and self._can_be_root(root, node):
                    known = max((n.index for n in path.nodes if self.states >> n.index & 1), default=-1)
                    choices.append((known, len(fed), -i, root, path, fed))
                    break
        if not choices:
            return False
        _, _, position, root, path, fed = max(choices, key=lambda choice: choice[:3])
        branches = [self._branch(root, operands[j]) for j in fed]
        residual = Residual(node, root, path.steps_from(root), branches, self.walk_back(root))
        for j, _other in enumerate(operands):
            if j not in fed and j != -position and self._touches_a_state(paths[j]):
                earlier = next(n for n in paths[j].nodes if self.states >> n.index & 1)
                residual.second_paths.append((EARLIER, earlier))
        on_the_way = {n.index for n in residual.trail.nodes}
        residual.parent = next((s for s in reversed(self.sums) if s.node.index in on_the_way), None)
        twin = next((s for s in self.sums if s.root is root and s.branches[0].end is branches[0].end), None)
        if twin:
            for one in (twin, residual):
                one.second_paths.append((TWICE, None))
        self.sums.append(residual)
        self.states |= 1 << node.index | 1 << root.index
        return True

    def _operand_path(self, node: Node, operand: Node) -> Path:
        return Path([operand], [()]) if operand is node else self.walk_back(operand)

    def _can_be_root(self, root: Node, node: Node) -> bool:
        """A stream has the sum's own size (parameters may be repeated over the batch), and is no mere bias."""
        return (
            root.value.is_floating_point()
            and root.value.dim() > 1
            and (root.data or root.value.shape[-1] == node.value.shape[-1] and root.value.dim() >= 2)
        )

    def _touches_a_state(self, path: Path) -> bool:
        return any(self.states >> n.index & 1 for n in path.nodes) and path.nodes[0].data

    def _note_running_sum(self, node: Node, operands: list[Node]) -> None:
        """Branches whose results also go to a sum of their own: a second stream beside the first."""
        ends = {same(operand).index for operand in operands}
        for residual in self.sums:
            shares = residual.node is not node and any(same(b.end).index in ends for b in residual.branches)
            if shares and not self.depends(residual.node, node):
                residual.second_paths.append((RUNNING_SUM, None))

    def _branch(self, root: Node, end: Node) -> Branch:
        region = [
            n for n in self.nodes[root.index + 1 : end.index + 1]
            if (n is end or self.depends(end, n)) and self.depends(n, root)
        ]  # fmt: skip
        members = {n.index for n in region}
        work = [n for n in region if is_mixing(n) and n.index not in self.inside]
        after = []
        node = end
        while step := self._step_in_branch(node, members):
            node, what = step
            if what:
                after.insert(0, what)
        entrances = self._entrances(root, members, end)
        known = {step.norm for steps in (*entrances, after) for step in steps if step.norm}
        within = [
            norm for norm in self.norms
            if norm not in known and norm.result.index in members
            and not self._reaches(root, end, members - norm.inside)
        ]  # fmt: skip
        return Branch(end, entrances, tuple(after), work, self._kind(work, root, end), within)

    def _reaches(self, root: Node, end: Node, members: set[int] | frozenset[int]) -> bool:
        """Whether some way leads from R to the end through these members alone."""
        frontier, seen = [root], set()
        while frontier:
            for user in self.users[frontier.pop().index]:
                if user is end and end.index in members:
                    return True
                if user.index in members and user.index not in seen:
                    seen.add(user.index)
                    frontier.append(user)
        return False

    def _step_in_branch(self, node: Node, members: set[int]) -> tuple[Node, Step | None] | None:
        """As `step_back`, where the value that comes from R is the one that is carried."""
        if node.index in self.norm_of or node.op not in ("mul", "div", "add", "sub", "where", "addcmul"):
            step = self.step_back(node)
            return step if step and step[0].index in members else None
        inputs = node.inputs[1:] if node.op == "addcmul" else node.inputs
        carried = [p for p in inputs if p.index in members]
        if len({id(p) for p in carried}) != 1 or node.index in self.inside:
            return None
        noise = any(p.random for p in node.inputs)
        what = "dropout" if noise else "scale" if node.op in ("mul", "div", "addcmul") else "shift"
        return carried[0], Step(what, node)

    def _entrances(self, root: Node, members: set[int], end: Node) -> tuple[tuple[Step, ...], ...]:
        """The steps from R to each first operation of the branch that does some work."""
        found: dict[tuple[str, ...], tuple[Step, ...]] = {}
        frontier: list[tuple[Node, tuple[Step, ...]]] = [(root, ())]
        seen = {(root.index, ())}
        while frontier:
            node, steps = frontier.pop()
            for user in self.users[node.index]:
                skips = user is end and end.op in FUSED_SUMS and node not in end.inputs[1:]
                if user.index not in members or skips:
                    continue
                norm = self.inside.get(user.index)
                if norm and norm.source is node and norm.result.index in members:
                    following = norm.result, (*steps, Step("norm", norm.result, norm))
                elif norm:
                    continue
                elif user.op in COPIES | PARTS | {"cat", "stack"}:
                    noise = "dropout" in user.op
                    following = user, (*steps, Step("dropout", user)) if noise else steps
                elif user.op in ("mul", "div", "add", "sub", "where") and self._only(user, members, node):
                    noise = any(p.random for p in user.inputs)
                    following = user, (*steps, Step("dropout", user)) if noise else steps
                else:
                    found.setdefault(tuple(step.what for step in steps), steps)
                    continue
                key = (following[0].index, tuple(step.what for step in following[1]))
                if key not in seen:
                    seen.add(key)
                    frontier.append(following)
        return tuple(found.values())

    def _only(self, user: Node, members: set[int], node: Node) -> bool:
        return all(p is node or p.index not in members for p in user.inputs)

    def _kind(self, work: list[Node], root: Node, end: Node) -> str:
        """What a branch does: do positions see one another in it, by a product of two live values or otherwise?"""
        product, other = self._product_of_two(work, root)
        seen = self._positions_meet(root, end)
        if seen is None:  # cannot be tried: judge by the operations alone
            seen = product or any(
                max(n.inputs[1].value.shape[2:], default=1) > 1
                if "convolution" in n.op
                else n.op in BETWEEN_POSITIONS
                for n in work
                if n.value.is_floating_point() or n.value.is_complex()
            )
        if other:
            return "cross-attention"
        return "feed-forward" if not seen else "self-attention" if product else "position mixing"

    def _product_of_two(self, work: list[Node], root: Node) -> tuple[bool, bool]:
        """Is there a product of two values that depend on the input, as in attention; and is one foreign to R?"""
        for node in work:
            if node.op in ATTENTION or node.op in ("bmm", "baddbmm", "mm"):
                operands = node.inputs[:3] if node.op in ATTENTION else node.inputs[-2:]
                from_root = [p is root or self.depends(p, root) for p in operands]
                if all(p.data or live for p, live in zip(operands, from_root, strict=True)):
                    return True, not all(from_root)
        return False, False

    def _positions_meet(self, root: Node, end: Node) -> bool | None:
        """Change one position of R and see whether the branch changes at others; None if that cannot be seen."""
        x = root.value
        if x.dim() < 2 or x.shape[-2] < 2 or end.value.numel() != x.numel():
            return None
        touched = False
        # A small change, so that a router goes on sending every position to the same experts.
        step = (1e-3 if torch.finfo(x.dtype).bits >= 32 else 0.03) * x.float().std()
        for position in (0, x.shape[-2] // 2):
            moved = x.clone()
            moved[..., position, :] += step.to(x.dtype) * moved[..., position, :].flip(-1).sign()
            try:
                before, after = (self.recording.replay(root, value, end) for value in (x, moved))
                change = (before != after).float().reshape(x.shape)
            except (RuntimeError, ValueError, IndexError, TypeError):
                return None
            elsewhere = change.sum() - change[..., position, :].sum()
            if elsewhere > 0:
                return True
            touched = touched or bool(change.sum() > 0)
        return False if touched else None


def main_streams(sums: list[Residual]) -> list[Residual]:
    """Leave out sums that stand alone beside a chain, and those inside another's branch."""
    linked = {id(s) for s in sums if s.parent} | {id(s.parent) for s in sums if s.parent}
    return [s for s in sums if id(s) in linked] or list(sums)
