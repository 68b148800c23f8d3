"""The way of a value back through copies, scaling and norms."""

from dataclasses import dataclass

from papertrail.architecture_diagram.norms import Norm
from papertrail.architecture_diagram.recording import Node


@dataclass(frozen=True)
class Step:
    """One thing that happens to a value on its way.

    "norm", "dropout", "scale", "gate", "shift" (something else is added), "earlier" (an earlier value of the
    stream is added), or "part" (some of it is taken, or masked).
    """

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
        """The steps from a value of the path to its end, in running order."""
        return self.steps[self.nodes.index(node)]
