"""What both attention functions demand of their arguments, said by name."""

import torch
from torch import Tensor

FORMS = ("recurrent", "parallel", "chunk")
DTYPES = (torch.float64, torch.float32, torch.bfloat16)


def check_options(form: str, chunk_size: int) -> None:
    """Refuse an unknown form, and a chunk size that is no integer of at least 1.

    Raises:
        ValueError: as said.
    """
    if form not in FORMS:
        raise ValueError(f"form: got {form!r}; allowed are {', '.join(map(repr, FORMS))}")
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1:
        raise ValueError(f"chunk_size: got {chunk_size!r}; allowed are integers from 1 up")


def check_tensors(q: Tensor, k: Tensor, v: Tensor, beta: Tensor | None = None) -> None:
    """Refuse what is not q, k (B, H, T, D), v (B, H, T, M), beta (B, H, T) of one dtype on one device.

    Raises:
        TypeError: an argument is no tensor, or its dtype is another than q's or is not allowed.
        ValueError: a shape does not fit q's, or a tensor lies on another device.
    """
    named = {"q": q, "k": k, "v": v} | ({} if beta is None else {"beta": beta})
    for name, tensor in named.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: got {type(tensor).__name__}; allowed are tensors")
        if tensor.dtype not in DTYPES:
            raise TypeError(f"{name}: has dtype {tensor.dtype}; allowed are {', '.join(map(str, DTYPES))}")
        if tensor.dtype != q.dtype:
            raise TypeError(f"{name}: has dtype {tensor.dtype}, but q has {q.dtype}; both must be the same")
        if tensor.device != q.device:
            raise ValueError(f"{name}: lies on {tensor.device}, but q on {q.device}; both must be the same")
    if q.dim() != 4:
        raise ValueError(f"q: has shape {tuple(q.shape)}; allowed is (B, H, T, D)")
    batch = tuple(q.shape[:3])
    if k.shape != q.shape:
        raise ValueError(f"k: has shape {tuple(k.shape)}; it must be q's, {tuple(q.shape)}")
    if v.dim() != 4 or tuple(v.shape[:3]) != batch:
        raise ValueError(
            f"v: has shape {tuple(v.shape)}; with q of {tuple(q.shape)} it must be {(*batch, 'M')}"
        )
    if beta is not None and tuple(beta.shape) != batch:
        raise ValueError(
            f"beta: has shape {tuple(beta.shape)}; with q of {tuple(q.shape)} it must be {batch}"
        )


def check_matrix(name: str, given: object, shape: tuple[int, ...], like: Tensor) -> None:
    """Refuse a part of the state that is no tensor of this shape, in the dtype and on the device of `like`.

    Shapes: like of any shape: its dtype and device count.

    Raises:
        TypeError: it is no tensor, or of another dtype.
        ValueError: its shape or its device is another.
    """
    if not isinstance(given, Tensor):
        raise TypeError(f"{name}: got {type(given).__name__}; allowed is a tensor of shape {shape}")
    if tuple(given.shape) != shape:
        raise ValueError(f"{name}: has shape {tuple(given.shape)}; allowed is {shape}")
    if given.dtype != like.dtype:
        raise TypeError(f"{name}: has dtype {given.dtype}; the state is kept in {like.dtype}")
    if given.device != like.device:
        raise ValueError(f"{name}: lies on {given.device}, but q on {like.device}; both must be the same")


def check_finite(**tensors: Tensor | None) -> None:
    """Refuse NaN and infinity, by name and count.

    Shapes: tensors of any shape.

    Raises:
        ValueError: a tensor has such entries.
    """
    for name, tensor in tensors.items():
        if tensor is not None and (bad := int((~tensor.isfinite()).sum())):
            raise ValueError(
                f"{name}: {bad} of {tensor.numel()} entries are NaN or infinite; allowed are finite numbers"
            )


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Sums run in float64 or float32: bfloat16 has 8 bits of precision, and a state adds thousands of terms."""
    return torch.float32 if dtype == torch.bfloat16 else dtype
