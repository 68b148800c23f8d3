"""Run a model and put back what the run changed: memory, attributes, random state.

What cannot be put back is named in `inspect_model`: files, other processes, and objects that the modules merely
point to (anything but tensors, lists, dictionaries and sets).
"""

import copy
import random
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

CONTAINERS = (dict, list, set, deque)


class Memory:
    """Copies of the memory behind tensors that a run did not make itself, each taken just before the first write."""

    def __init__(self) -> None:
        self.outside: set[int] = set()
        self._kept: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def note(self, tensor: Tensor) -> None:
        """This tensor was there before the run, or was made where nobody saw it.

        Shapes: tensor of any shape.
        """
        self.outside.add(storage_of(tensor))

    def before_write(self, tensor: Tensor) -> None:
        """Keep a copy of all the memory that a write through this tensor, or through any view of it, may change.

        Shapes: tensor of any shape.
        """
        key = storage_of(tensor)
        if key in self.outside and key not in self._kept:
            storage = tensor.untyped_storage()
            self._kept[key] = storage, storage.clone()

    def restore(self) -> None:
        """Write back all that was kept, and undo changes of size."""
        for storage, value in self._kept.values():
            if storage.nbytes() != value.nbytes():
                storage.resize_(value.nbytes())
            storage.copy_(value)  # not an operation on tensors: autograd's version counters stay as they are


def storage_of(tensor: Tensor) -> int:
    """What tells whether two tensors share memory.

    Shapes: tensor of any shape.
    """
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # a tensor without memory of its own
        return id(tensor)


@contextmanager
def everything_put_back(model: nn.Module) -> Iterator[Memory]:
    """Within it a model may be run; whoever writes to a tensor tells the `Memory` first."""
    memory = Memory()
    attributes = [(module, dict(vars(module))) for module in model.modules()]
    contents = [
        (value, copy.copy(value))
        for _, values in attributes for value in values.values() if type(value).__mro__[-2] in CONTAINERS
    ]  # fmt: skip
    tensors = [(t, t.data, t.requires_grad, t.grad) for t in (*model.parameters(), *model.buffers())]
    dice, numpy = random.getstate(), sys.modules.get("numpy")
    numpy_dice = numpy.random.get_state() if numpy else None
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one fused operation would hide the norms inside
    try:
        with torch.random.fork_rng(), torch.no_grad():
            yield memory
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        random.setstate(dice)
        if numpy:
            numpy.random.set_state(numpy_dice)
        memory.restore()
        for module, values in attributes:
            vars(module).clear()
            vars(module).update(values)
        for container, kept in contents:
            container.clear()
            (container.extend if isinstance(container, (list, deque)) else container.update)(kept)
        for tensor, data, requires_grad, grad in tensors:
            if tensor.data_ptr() != data.data_ptr() or tensor.shape != data.shape:
                tensor.data = data
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
            if tensor.is_leaf and tensor.grad is not grad:
                tensor.grad = grad
