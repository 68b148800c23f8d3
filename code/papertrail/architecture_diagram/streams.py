"""Find the residual stream in a recording: sums whose one side was, in the end, computed from the other.

A sum is residual if one operand (the skip) is reached from a value R by copies, scaling and norms alone, and the
other (the branch) is computed from the same R by something that mixes entries: a matrix product, a convolution,
attention. Sums that hand their result on as the next sum's R form a chain, and a chain is a stream.
"""

from dataclasses import dataclass, field

from papertrail.architecture_diagram.branches import Branch, read_branches
from papertrail.architecture_diagram.norms import find_norms
from papertrail.architecture_diagram.operations import (
    COPIES,
    DROPOUTS,
    FUSED_SUMS,
    PARTS,
    SCALING,
    SUMS,
    drops,
    is_mixing,
    same_stack,
)
from papertrail.architecture_diagram.paths import Path, Step
from papertrail.architecture_diagram.recording import Node, Recording

EARLIER = "an earlier value of the stream is added as well"
RUNNING_SUM = "the branch's result also goes to a running sum beside the stream"
MAX_WALK = 200


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
        self.beginnings = 0  # bits of what lies before the first sums, back to the inputs
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
        """Whether a value was computed from another one."""
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
        stack = same_stack(node) if node.op == "sum" else None
        if stack is not None:
            direct = list(stack.inputs)
        elif node.op in FUSED_SUMS:
            direct = [node.inputs[0], node]
        elif node.op in ("index_add", "scatter_add", "index_put"):
            direct = [node.inputs[0], node.inputs[-1]]
        else:
            direct = list(node.inputs[:2])
        found = []
        for operand in direct:
            inner = operand
            while (
                inner is not node
                and inner.op in COPIES
                and inner.inputs
                and len(self.users[inner.index]) == 1
            ):
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
        if node.op in DROPOUTS:
            return node.inputs[0], Step("dropout", node)
        if node.op in PARTS:
            whole = node.op != "overlap" or len(node.inputs) == 1
            return (node.inputs[0], Step("part", node)) if whole else None
        if node.op == "where":
            carrier = self._carrier(node.inputs[1:])
            return (carrier, Step("part", node)) if carrier else None
        if node.op in SCALING:
            carrier = self._carrier(node.inputs)
            if carrier is None:
                return None
            gate = any(self.mixed[parent.index] >> carrier.index & 1 for parent in node.inputs)
            return carrier, Step("dropout" if drops(node) else "gate" if gate else "scale", node)
        if node.op in ("add", "sub") and not self._residual_at(node):
            carrier = self._carrier(node.inputs)
            if carrier and self._later_state([p for p in node.inputs if p.data]) is carrier:
                return carrier, Step("earlier", node)
            return (carrier, Step("shift", node)) if carrier else None
        return None

    def _residual_at(self, node: Node) -> bool:
        return any(residual.node is node for residual in self.sums)

    def _carrier(self, parents: tuple[Node, ...]) -> Node | None:
        """Of the values that enter an operation, the one that carries the stream, if it is plain which."""
        data = [parent for parent in parents if parent.data] or list(parents)
        if len(data) > 1:
            data = [p for p in data if (self.above[p.index] | 1 << p.index) & self.states] or data
        if len(data) == 2 and (later := self._later_state(data)):
            return later
        if len(data) == 2:  # a gate computed from the value that it multiplies
            data = [p for p, q in (data, data[::-1]) if self.mixed[q.index] >> p.index & 1] or data
        return data[0] if len({id(p) for p in data}) == 1 else None

    def _later_state(self, values: list[Node]) -> Node | None:
        """Of two values that are the stream, at most scaled, the one that comes after the other."""
        starts = [self._plain(value) for value in values]
        for value, start, other in zip(values, starts, reversed(starts), strict=True):
            on_the_stream = (self.states | self.beginnings) >> other.index & 1
            if self.states >> start.index & 1 and on_the_stream and self.depends(start, other):
                return value
        return None

    def _plain(self, node: Node) -> Node:
        """The value behind copies and products with constants."""
        for _ in range(MAX_WALK):
            if self.states >> node.index & 1:
                break
            if node.op in COPIES and node.inputs:
                node = node.inputs[0]
            elif node.op in SCALING and sum(parent.data for parent in node.inputs) == 1:
                node = next(parent for parent in node.inputs if parent.data)
            else:
                break
        return node

    def walk_back(self, node: Node) -> Path:
        """Back from a value as far as copies, scaling and norms reach."""
        nodes = [node]
        steps: list[tuple[Step, ...]] = [()]
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
                    j for j in range(len(operands)) if j != i and self._is_branch(operands[j], paths[j], root)
                ]
                if fed and self._can_be_root(root, node):
                    known = max((n.index for n in path.nodes if self.states >> n.index & 1), default=-1)
                    choices.append((known, len(fed), -i, root, path, fed))
                    break
        if not choices:
            return False
        _, _, position, root, path, fed = max(choices, key=lambda choice: choice[:3])
        branches = [branch for j in fed for branch in read_branches(self, root, operands[j])]
        residual = Residual(node, root, path.steps_from(root), branches, self.walk_back(root))
        for j, _other in enumerate(operands):
            if j not in fed and j != -position and self._touches_a_state(paths[j]):
                earlier = next(n for n in paths[j].nodes if self.states >> n.index & 1)
                residual.second_paths.append((EARLIER, earlier))
        on_the_way = {n.index for n in residual.trail.nodes}
        residual.parent = next((s for s in reversed(self.sums) if s.node.index in on_the_way), None)
        if residual.parent:
            between = residual.trail.steps_from(residual.parent.node)
            residual.second_paths += [(EARLIER, step.node) for step in between if step.what == "earlier"]
        end = self._plain(branches[0].end)
        twin = next((s for s in self.sums if s.root is root and self._plain(s.branches[0].end) is end), None)
        if twin:
            for one in (twin, residual):
                one.second_paths.append((RUNNING_SUM, None))
        self.sums.append(residual)
        self.states |= 1 << node.index | 1 << root.index
        if residual.parent is None:
            first = residual.trail.nodes[-1]
            mixed = first.inputs if first.op in ("add", "sub") else ()
            for start in (*residual.trail.nodes, *(self._plain(value) for value in mixed if value.data)):
                self.beginnings |= 1 << start.index
        return True

    def _is_branch(self, operand: Node, path: Path, root: Node) -> bool:
        """Computed from R by work of its own; and no later value of the stream, two sums or more after R."""
        if not self.mixed[operand.index] >> root.index & 1:
            return False
        last = next((s for n in path.nodes for s in self.sums if s.node is n), None)
        return not (last and last.parent and self.depends(last.parent.node, root))

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
        """Branches whose results also go, perhaps scaled, to a sum of their own: a second stream beside the first."""
        ends = {self._plain(operand).index for operand in operands}
        for residual in self.sums:
            shares = residual.node is not node and any(
                self._plain(b.end).index in ends for b in residual.branches
            )
            if shares and not self.depends(residual.node, node):
                residual.second_paths.append((RUNNING_SUM, None))


def main_streams(sums: list[Residual]) -> list[Residual]:
    """Leave out sums that stand alone beside a chain, and those inside another's branch."""
    linked = {id(s) for s in sums if s.parent} | {id(s.parent) for s in sums if s.parent}
    return [s for s in sums if id(s) in linked] or list(sums)
