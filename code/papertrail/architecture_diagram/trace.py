"""What a sub-layer does to its input, read off the running module with torch.fx.

The diagrams of this chapter are drawn from these traces, never from a rule's name, so that figure and code
cannot disagree.
"""

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn

from papertrail.architecture_diagram.sublayer import Sublayer

ADDITIONS = (operator.add, operator.iadd, torch.add)


@dataclass(frozen=True)
class Trace:
    """The path of one value through one sub-layer.

    Attributes:
        branch: what happens to the copy that enters the sub-layer's function, in order: "norm", "dropout",
        "f".
        residual: whether the input itself is added to the branch's result.
        trunk: what happens after the addition, on the main path; empty without a residual connection.
    """

    branch: tuple[str, ...]
    residual: bool
    trunk: tuple[str, ...]

    @property
    def formula(self) -> str:
        """The trace written as a formula in x, for example `norm(x + drop(f(x)))`."""
        words = {"norm": "norm", "dropout": "drop", "f": "f"}
        text = "x"
        for step in self.branch:
            text = f"{words[step]}({text})"
        if self.residual:
            text = f"x + {text}"
        for step in self.trunk:
            text = f"{words[step]}({text})"
        return text

    @property
    def norms_on_the_main_path(self) -> int:
        """How many norms the residual stream itself has to pass."""
        return self.trunk.count("norm") if self.residual else self.branch.count("norm")


class _Tracer(fx.Tracer):
    """Opens the interpreter of rules and nothing else: the function inside it is one box."""

    def __init__(self, opened: Sublayer) -> None:
        super().__init__()
        self.inner = opened.f

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return module is self.inner or isinstance(module, (nn.LayerNorm, nn.Dropout))


def trace_sublayer(sublayer: Sublayer) -> Trace:
    """Run a sub-layer symbolically and read off where its norms, dropouts and addition are.

    Raises:
        ValueError: the module does something that a trace of this form cannot show.
    """
    graph = _Tracer(sublayer).trace(sublayer)
    modules = dict(sublayer.named_modules())
    start = next(node for node in graph.nodes if node.op == "placeholder")
    output = next(node for node in graph.nodes if node.op == "output")
    trunk, node = _walk(output.args[0], start, modules)
    if node is start:
        return Trace(branch=trunk, residual=False, trunk=())
    others = [argument for argument in node.args if argument is not start]
    if len(others) != 1:
        raise ValueError(f"sublayer: the addition joins {node.args}, but one side must be the input itself")
    branch, origin = _walk(others[0], start, modules)
    if origin is not start:
        raise ValueError("sublayer: it adds more than once; one residual connection is allowed")
    return Trace(branch=branch, residual=True, trunk=trunk)


def _walk(node: fx.Node, start: fx.Node, modules: dict[str, nn.Module]) -> tuple[tuple[str, ...], fx.Node]:
    """Follow a chain of modules back to the input or to an addition; the steps come out in running order."""
    steps: list[str] = []
    while node is not start:
        if node.op == "call_module":
            module = modules[node.target]
            kind = (
                "norm"
                if isinstance(module, nn.LayerNorm)
                else "dropout"
                if isinstance(module, nn.Dropout)
                else "f"
            )
            steps.append(kind)
            node = node.args[0]
        elif (node.op, node.target) in [("call_function", f) for f in ADDITIONS] or node.target == "add":
            break
        else:
            raise ValueError(f"sublayer: cannot read the operation {node.target} on the path")
    return tuple(reversed(steps)), node


def trace_layer(layer: nn.Module) -> list[Trace]:
    """The traces of a layer's sub-layers, in the order in which the layer holds them.

    Raises:
        ValueError: the layer holds no `Sublayer`.
    """
    sublayers = [module for module in layer.modules() if isinstance(module, Sublayer)]
    if not sublayers:
        raise ValueError(f"layer: {type(layer).__name__} holds no Sublayer to trace")
    return [trace_sublayer(sublayer) for sublayer in sublayers]
