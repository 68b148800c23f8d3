"""Causal linear attention in chunks, with its backward pass by hand.

Inside a chunk the T x T matrix is small and stays in the cache; between chunks only S and z are handed on. The
gradients are those of Katharopoulos et al. 2020, eqs. 13 to 15, a chunk at a time and with the normalizer inside,
which the paper leaves to autograd (appendix A). Shapes here: q, k (N, T, D), v (N, T, M), N = B H.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def spans(length: int, size: int) -> list[slice]:
    """Neighboring chunks of `size` positions; the last one is what remains."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def chunked_linear(
    q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor | None, eps: float, chunk_size: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs and the last state, from features q, k (B, H, T, D), values v (B, H, T, M) and a state."""
    heads = q.shape[:2]
    flat = [None if x is None else x.flatten(0, 1) for x in (q, k, v, S, z)]
    out, S, z = _Chunked.apply(*flat, eps, chunk_size)
    return out.unflatten(0, heads), S.unflatten(0, heads), None if z is None else z.unflatten(0, heads)


def copied(x: Tensor) -> Tensor:
    """A contiguous copy, to be changed in place."""
    return x.clone(memory_format=torch.contiguous_format)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, S, z, eps, chunk_size):
        out = v.new_empty(v.shape)
        total = None if z is None else q.new_empty(*q.shape[:2], 1)  # the normalizer, kept for the way back
        ctx.save_for_backward(q, k, v, S, z, out, total)
        ctx.chunk_size = chunk_size
        S, z = copied(S), None if z is None else copied(z)
        for at in spans(q.shape[1], chunk_size):
            q_c, k_c, v_c = q[:, at], k[:, at], v[:, at]
            weights = torch.bmm(q_c, k_c.mT).tril_()  # (N, C, C), within the chunk
            read = torch.bmm(weights, v_c).baddbmm_(q_c, S)  # (N, C, M), and from what came before it
            if z is None:
                out[:, at] = read
            else:
                total[:, at] = torch.bmm(q_c, z.unsqueeze(-1)).add_(weights.sum(-1, keepdim=True)).add_(eps)
                torch.div(read, total[:, at], out=out[:, at])
                z += k_c.sum(1)
            S.baddbmm_(k_c.mT, v_c)
        return out, S, z

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out, dS, dz):
        q, k, v, S, z, out, total = ctx.saved_tensors
        parts = spans(q.shape[1], ctx.chunk_size)
        dq, dk, dv = (x.new_empty(x.shape) for x in (q, k, v))
        dS, dz = copied(dS), None if z is None else copied(dz).unsqueeze(1)  # (N, D, M), (N, 1, D)
        states = _states(k, v, S, z, parts)
        for at in reversed(parts):
            S, z = states.pop()  # before the chunk
            q_c, k_c, v_c, d_read = q[:, at], k[:, at], v[:, at], d_out[:, at]
            if z is not None:
                d_read = d_read / total[:, at]  # of the numerator
                d_total = (d_read * out[:, at]).sum(-1, keepdim=True).neg_()  # (N, C, 1)
            weights = torch.bmm(q_c, k_c.mT).tril_()
            d_weights = torch.bmm(d_read, v_c.mT)
            if z is not None:
                d_weights += d_total
            d_weights.tril_()
            d_query = torch.bmm(d_weights, k_c).baddbmm_(d_read, S.mT)
            d_key = torch.bmm(d_weights.mT, q_c).baddbmm_(v_c, dS.mT)
            if z is not None:
                d_query.addcmul_(d_total, z.unsqueeze(1))
                d_key += dz
                dz.baddbmm_(d_total.mT, q_c)
            dq[:, at], dk[:, at] = d_query, d_key
            dv[:, at] = torch.bmm(weights.mT, d_read).baddbmm_(k_c, dS)
            dS.baddbmm_(q_c.mT, d_read)
        return dq, dk, dv, dS, None if dz is None else dz.squeeze(1), None, None


def _states(k, v, S, z, parts):
    """S and z before each chunk, made again on the way back: one for a chunk is a 1/C of one for a position."""
    states = []
    for at in parts:
        states.append((S, z))
        S = torch.baddbmm(S, k[:, at].mT, v[:, at])
        z = None if z is None else z + k[:, at].sum(1)
    return states
