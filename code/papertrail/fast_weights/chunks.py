"""Causal linear attention in chunks, with its backward pass by hand.

Inside a chunk the T x T matrix is small and stays in the cache; between chunks only S and z are handed on. The
gradients are those of Katharopoulos et al. 2020, eqs. 13 to 15, a chunk at a time and with the normalizer inside,
which the paper leaves to autograd (appendix A). Shapes here: q, k (N, T, D), v (N, T, M), N = B H.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def spans(length: int, size: int) -> list[slice]:
    """Neighboring chunks of `size` positions; the last one is what remains."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def chunked_linear(
    q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor | None, eps: float, chunk_size: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs and the last state, from features, values and a state.

    Shapes: q, k (B, H, T, D); v (B, H, T, M); S (B, H, D, M); z (B, H, D) or None -> (B, H, T, M), S and z as given.
    """
    heads = q.shape[:2]
    flat = [None if x is None else x.flatten(0, 1) for x in (q, k, v, S, z)]
    out, S, z = _Chunked.apply(*flat, eps, chunk_size)
    return out.unflatten(0, heads), S.unflatten(0, heads), None if z is None else z.unflatten(0, heads)


def copied(x: Tensor) -> Tensor:
    """A contiguous copy, to be changed in place.

    Shapes: x of any shape -> the same.
    """
    return x.clone(memory_format=torch.contiguous_format)


class _Chunked(torch.autograd.Function):
    """Every product of a chunk lands in a buffer that is used again: fresh memory costs more than the additions."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor | None, eps: float, chunk_size: int
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        N, T, _ = q.shape
        out = v.new_empty(v.shape)
        total = None if z is None else q.new_empty(N, T, 1)  # the normalizer, kept for the way back
        ctx.save_for_backward(q, k, v, S, z, out, total)
        ctx.chunk_size = chunk_size
        S, z = copied(S), None if z is None else copied(z).unsqueeze(-1)  # (N, D, M), (N, D, 1)
        weights = read = None
        for q_c, k_c, v_c, out_c, total_c in _chunks(chunk_size, q, k, v, out, total):
            weights, read = _buffers(weights, read, q_c, v_c)
            torch.bmm(q_c, k_c.mT, out=weights).tril_()  # (N, C, C), within the chunk
            torch.bmm(weights, v_c, out=read).baddbmm_(q_c, S)  # (N, C, M), and from what came before it
            if z is None:
                out_c.copy_(read)
            else:
                torch.sum(weights, -1, keepdim=True, out=total_c).baddbmm_(q_c, z).add_(eps)
                torch.div(read, total_c, out=out_c)
                z += k_c.sum(1).unsqueeze(-1)
            S.baddbmm_(k_c.mT, v_c)
        return out, S, None if z is None else z.squeeze(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, dS: Tensor, dz: Any) -> tuple[Tensor | None, ...]:
        q, k, v, S, z, out, total = ctx.saved_tensors
        dq, dk, dv = (x.new_empty(x.shape) for x in (q, k, v))
        dS, dz = copied(dS), None if z is None else copied(dz).unsqueeze(1)  # (N, D, M), (N, 1, D)
        states = _states(k, v, S, z, ctx.chunk_size)
        weights = d_read = d_weights = for_value = for_key = None
        everything = _chunks(ctx.chunk_size, q, k, v, out, total, d_out, dq, dk, dv)
        for q_c, k_c, v_c, out_c, total_c, d_out_c, dq_c, dk_c, dv_c in reversed(everything):
            S, z = states.pop()  # before the chunk
            weights, d_read = _buffers(weights, d_read, q_c, v_c)
            d_weights, for_value = _buffers(d_weights, for_value, q_c, v_c)
            _, for_key = _buffers(weights, for_key, q_c, k_c)
            torch.bmm(q_c, k_c.mT, out=weights).tril_()
            if z is None:
                torch.bmm(d_read.copy_(d_out_c), v_c.mT, out=d_weights).tril_()
            else:
                torch.div(d_out_c, total_c, out=d_read)  # of the numerator
                d_total = torch.mul(d_read, out_c, out=for_value).sum(-1, keepdim=True).neg_()  # (N, C, 1)
                torch.baddbmm(d_total, d_read, v_c.mT, out=d_weights).tril_()
            torch.bmm(d_weights, k_c, out=for_key).baddbmm_(d_read, S.mT)
            dq_c.copy_(for_key if z is None else for_key.addcmul_(d_total, z.unsqueeze(1)))
            torch.bmm(d_weights.mT, q_c, out=for_key).baddbmm_(v_c, dS.mT)
            dk_c.copy_(for_key if z is None else for_key.add_(dz))
            dv_c.copy_(torch.bmm(weights.mT, d_read, out=for_value).baddbmm_(k_c, dS))
            dS.baddbmm_(q_c.mT, d_read)
            if z is not None:
                dz.baddbmm_(d_total.mT, q_c)
        return dq, dk, dv, dS, None if dz is None else dz.squeeze(1), None, None


def _chunks(size: int, first: Tensor, *others: Tensor | None) -> list[tuple[Any, ...]]:
    """For each chunk a view into every tensor; None stays None. Made at once: slicing in the loop costs time."""
    parts = [None if x is None else x.split(size, dim=1) for x in (first, *others)]
    count = len(spans(first.shape[1], size))  # an empty tensor splits into one empty part, which is none
    return [tuple(None if part is None else part[i] for part in parts) for i in range(count)]


def _buffers(square: Tensor | None, rows: Tensor | None, q_c: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, C) and a tensor like `like`, uninitialized; those given, if they fit. Only the last chunk is shorter."""
    N, C, _ = q_c.shape
    if square is None or square.shape[1] != C:
        square = q_c.new_empty(N, C, C)
    if rows is None or rows.shape[1] != C:
        rows = like.new_empty(like.shape)
    return square, rows


def _states(
    k: Tensor, v: Tensor, S: Tensor, z: Tensor | None, size: int
) -> list[tuple[Tensor, Tensor | None]]:
    """S and z before each chunk, made again on the way back: one for a chunk is a 1/C of one for a position."""
    states = []
    for k_c, v_c in _chunks(size, k, v):
        states.append((S, z))
        S = torch.baddbmm(S, k_c.mT, v_c)
        z = None if z is None else z + k_c.sum(1)
    return states
