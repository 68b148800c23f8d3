"""Run a model once and write down every operation: which values it read, which it made, in which module call.

PyTorch sends each operation through a dispatcher, whatever it is called in Python and wherever it is written:
in a module, as a function, in place, inline as arithmetic. A `TorchDispatchMode` sees them all. Names of
attributes play no part.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from papertrail.architecture_diagram.undo import Memory, everything_put_back, storage_of

# These ignore the value of their first argument: they only take its shape, or overwrite it.
FRESH = {
    "empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "randint_like", "new_empty",
    "new_zeros", "new_ones", "new_full", "new_empty_strided", "fill_", "zero_", "bernoulli_", "uniform_", "normal_",
    "random_", "exponential_",
}  # fmt: skip
RANDOM = {
    "bernoulli", "bernoulli_", "rand_like", "randn_like", "rand", "randn", "uniform_", "normal_", "exponential_",
}  # fmt: skip


@dataclass(eq=False)
class Node:
    """One value of the run.

    Attributes:
        index: position in the order of running.
        op: the operation's name without the mark of an in-place form ("add", "native_layer_norm"); "input",
            "constant" (a parameter, a buffer, or anything made elsewhere) or "overlap" (a tensor whose memory
            was written through another tensor).
        inputs: the values it was computed from.
        output: which of the operation's results it is.
        value: the tensor, of any shape.
        calls: the module calls it was made in, outermost first, as indices into `Recording.calls`.
        data: whether it depends on the model's inputs.
        random: whether it depends on random numbers drawn in the run and on no input: a dropout mask.
    """

    index: int
    op: str
    inputs: tuple["Node", ...]
    value: Tensor
    calls: tuple[int, ...]
    data: bool
    random: bool = False
    output: int = 0
    func: Any = None
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"%{self.index} {self.op}({', '.join(f'%{n.index}' for n in self.inputs)})"


@dataclass(frozen=True)
class Recording:
    """Every value of one run in order, the modules called, and what the model calls its modules.

    The names are for reports alone: nothing is decided by them.
    """

    nodes: list[Node]
    calls: list[nn.Module]
    names: dict[int, str] = field(default_factory=dict)

    def name_of(self, node: Node) -> str:
        """The name of the innermost module that was running when a value was made, "" for the model itself."""
        return self.names.get(id(self.calls[node.calls[-1]]), "") if node.calls else ""

    def replay(self, start: Node, value: Tensor, end: Node) -> Tensor:
        """Compute `end` again with another value at `start`; whatever does not depend on `start` is kept.

        Shapes: value of any shape, that of `start` -> any shape, that of `end`.

        Raises:
            ValueError: a value on the way was written through an overlapping tensor, which cannot be replayed.
        """
        known: dict[int, Tensor] = {start.index: value}
        for node in self.nodes[start.index + 1 : end.index + 1]:
            if not any(parent.index in known for parent in node.inputs):
                continue
            if node.func is None:
                raise ValueError(f"start, end: {node!r} lies between them and cannot be replayed")
            known[node.index] = _run(node, known)
        return known.get(end.index, end.value)


def _run(node: Node, known: dict[int, Tensor]) -> Tensor:
    writes = node.func._schema.is_mutable or "batch_norm" in node.op  # the latter without saying so

    def fetch(leaf: Any) -> Any:
        if not isinstance(leaf, Node):
            return leaf
        tensor = known.get(leaf.index, leaf.value)
        return tensor.clone() if writes else tensor

    args, kwargs = pytree.tree_map(fetch, (node.args, node.kwargs))
    result = node.func(*args, **kwargs)
    if isinstance(result, Tensor):
        return result
    leaves = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
    return (leaves or _written(node.func, args, kwargs))[node.output]


class _Recorder(TorchDispatchMode):
    """Builds the nodes while the model runs. Tensors are kept alive, so that no id is used twice."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler for this: seconds and 70 MiB

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory
        self.nodes: list[Node] = []
        self.calls: list[nn.Module] = []
        self.stack: list[int] = []
        self._of: dict[int, Node] = {}
        self._writes: dict[int, tuple[Node, Tensor]] = {}

    def add(self, op: str, inputs: list[Node], value: Tensor, **more: Any) -> Node:
        more.setdefault("data", any(node.data for node in inputs))
        node = Node(len(self.nodes), op, tuple(inputs), value, tuple(self.stack), **more)
        self.nodes.append(node)
        self._of[id(value)] = node
        return node

    def read(self, tensor: Tensor) -> Node:
        """The node that holds a tensor's present value."""
        node = self._of.get(id(tensor))
        if node is None:
            node = self.add("constant", [], tensor)
            self.memory.note(tensor)
        written = self._writes.get(storage_of(tensor))
        if written and written[1] is not tensor and written[0].index > node.index:
            whole = written[1].numel() >= tensor.numel() or not node.data
            node = self.add("overlap", [written[0]] if whole else [written[0], node], tensor)
        return node

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # whole functions arrive here then, and not their parts
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        name = func.overloadpacket.__name__
        name = name if func.namespace in ("aten", "prims") else f"{func.namespace}::{name}"
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        sources = [self.read(tensor) for tensor in tensors]
        by_id = {id(tensor): node for tensor, node in zip(tensors, sources, strict=True)}
        written = _written(func, args, kwargs)
        for tensor in written:
            self._keep(tensor, by_id[id(tensor)])
        if "batch_norm" in name:  # writes its running averages without saying so
            for tensor in args[3:5]:
                if isinstance(tensor, Tensor):
                    self.memory.before_write(tensor)
        result = func(*args, **kwargs)
        if name in FRESH:
            sources = []
        elif name == "copy_":
            sources = sources[1:]
        stored = pytree.tree_map(lambda leaf: by_id.get(id(leaf), leaf), (args, kwargs))
        outputs = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
        random = name in RANDOM or any(node.random and not node.data for node in sources)
        for i, value in enumerate(outputs or written):
            node = self.add(
                name.rstrip("_"), sources, value, output=i, func=func, args=stored[0], kwargs=stored[1],
                random=random,
            )  # fmt: skip
            node.random = node.random and not node.data
            if any(value is tensor for tensor in written):
                self._writes[storage_of(value)] = (node, value)
        return result

    def _keep(self, tensor: Tensor, node: Node) -> None:
        """Before a write: the memory, to put it back if it is the model's; the value, to replay from it if not."""
        self.memory.before_write(tensor)
        if node.func is not None or node.op == "input":
            node.value = tensor.clone()
            self._of[id(node.value)] = node  # keeps the new tensor's id known as this node


def _written(func: Any, args: tuple, kwargs: dict) -> list[Tensor]:
    """The arguments that an in-place operation changes."""
    found = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[i] if i < len(args) else kwargs.get(argument.name)
            found += [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]
    return found


@contextmanager
def _module_calls(recorder: _Recorder) -> Iterator[None]:
    """Note which module is running, by hooks on all modules at once: none is left on the model."""

    def enter(module: nn.Module, _: Any) -> None:
        recorder.stack.append(len(recorder.calls))
        recorder.calls.append(module)

    def leave(module: nn.Module, _: Any, __: Any) -> None:
        if recorder.stack and recorder.calls[recorder.stack[-1]] is module:
            recorder.stack.pop()

    first = module_hooks.register_module_forward_pre_hook(enter)
    last = module_hooks.register_module_forward_hook(leave, always_call=True)
    try:
        yield
    finally:
        first.remove()
        last.remove()


def record(model: nn.Module, args: tuple, kwargs: dict) -> Recording:
    """Call the model on copies of the inputs, and return what it did. The model is left as it was.

    Memory: every intermediate value of one forward pass is kept until the recording is dropped.

    Raises:
        TypeError: `model` is no module.
        ValueError: a tensor of the model or of the inputs holds no values (meta device, lazy parameters).
        Exception: whatever the model's forward pass raises.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; allowed is a torch.nn.Module")
    own = (*model.parameters(), *model.buffers())
    if any(is_lazy(tensor) for tensor in own):
        raise ValueError("model: it has lazy parameters, which its first call makes; call it once before")
    given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    for name, tensors in (("model", own), ("inputs", given)):
        if any(tensor.is_meta for tensor in tensors):
            raise ValueError(
                f"{name}: tensors on the meta device (or fake ones) hold no values; allowed is any other device"
            )
    args, kwargs = pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, (args, kwargs))
    with ExitStack() as stack:
        recorder = _Recorder(stack.enter_context(everything_put_back(model)))
        for leaf in pytree.tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor):
                recorder.add("input", [], leaf, data=True)
        if "torch._dynamo" in sys.modules:  # nothing can be compiled without it
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_module_calls(recorder))
        with recorder:
            model(*args, **kwargs)
    _find_inputs(recorder.nodes, {id(tensor) for tensor in own})
    names = {id(module): name for name, module in model.named_modules()}
    return Recording(recorder.nodes, recorder.calls, names)


def _find_inputs(nodes: list[Node], own: set[int]) -> None:
    """If nothing depends on a known input, take for input what is no weight, and at last the weights too.

    So it is with inputs inside objects, and with models that make their own.
    """
    for weights_too in (False, True):
        if any(node.data and node.inputs for node in nodes):
            return
        for node in nodes:
            source = node.random or (node.op == "constant" and (weights_too or id(node.value) not in own))
            node.data = node.data or source or any(parent.data for parent in node.inputs)
            node.random = node.random and not node.data
