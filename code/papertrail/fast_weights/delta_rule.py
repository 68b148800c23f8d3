"""The delta rule in three forms that are one function.

Schlag, Irie and Schmidhuber 2021, eqs. 20 to 25: before a value is written, what the memory says now is taken off.
Chunks after Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length".
Shapes: q, k (B, H, T, D), v (B, H, T, M), beta (B, H, T), state S (B, H, D, M).
"""

from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from papertrail.fast_weights.chunks import copied, spans
from papertrail.fast_weights.inputs import (
    check_finite,
    check_matrix,
    check_options,
    check_tensors,
    working_dtype,
)

SMALL = 32  # triangles up to this size are inverted by substitution, larger ones by halves


@overload
def delta_rule(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, *, form: str = ..., chunk_size: int = ...,
    state: Tensor | None = ..., return_state: Literal[False] = ..., check: bool = ...,
) -> Tensor: ...  # fmt: skip


@overload
def delta_rule(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, *, form: str = ..., chunk_size: int = ...,
    state: Tensor | None = ..., return_state: Literal[True], check: bool = ...,
) -> tuple[Tensor, Tensor]: ...  # fmt: skip


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    *,
    form: str = "chunk",
    chunk_size: int = 64,
    state: Tensor | None = None,
    return_state: bool = False,
    check: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """A memory that corrects what it says about a key (Schlag et al. 2021, eqs. 23 to 25).

    S_t = S_(t-1) + beta_t k_t (v_t - S_(t-1)^T k_t)^T, and position t reads S_t^T q_t: it writes, then reads.
    Nothing is normalized or scaled here. A write scales what the memory holds along k_t by 1 - beta |k|^2: for
    0 <= beta |k|^2 <= 2 it amplifies nothing, beyond that errors can grow exponentially.

    Args:
        beta: how much of the correction is written; 0 leaves the memory alone, 1 with |k| = 1 replaces.
        form: "recurrent", a step at a time; "parallel", one triangular system for all positions; "chunk", such a
            system for each chunk, and the state handed on between them. The same values and gradients.
        chunk_size: of the chunk form. T need not be a multiple of it.
        state: S to start from; zeros by default.
        return_state: also return S after the last position.
        check: look for NaN and infinity in everything given. Without it they spread into the output.

    Shapes: q, k (B, H, T, D); v (B, H, T, M); beta (B, H, T) -> (B, H, T, M) in q's dtype. T may be 1, and 0.

    Dtypes as `linear_attention`. The chunk form's backward pass is by hand and can be differentiated once.

    Raises:
        TypeError, ValueError: an argument's dtype, shape, device or value is not allowed; with `check`, NaN or
            infinity in an input.
    """
    check_options(form, chunk_size)
    check_tensors(q, k, v, beta)
    dtype = q.dtype
    q, k, v, beta = (x.to(working_dtype(dtype)) for x in (q, k, v, beta))
    shape = (*k.shape[:2], k.shape[-1], v.shape[-1])
    if state is None:
        S = v.new_zeros(shape)
    else:
        check_matrix("state", state, shape, v)
        S = state
    if check:
        check_finite(q=q, k=k, v=v, beta=beta, state=state)
    if form == "recurrent":
        out, S = _recurrent(q, k, v, beta, S)
    elif form == "parallel":
        out, S = _parallel(q, k, v, beta, S)
    else:
        flat = [x.flatten(0, 1) for x in (q, k, v, beta.unsqueeze(-1), S)]
        out, S = (x.unflatten(0, shape[:2]) for x in _Chunked.apply(*flat, chunk_size))
    out = out.to(dtype)
    return (out, S) if return_state else out


def _recurrent(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """Schlag et al. 2021, eqs. 20 to 25, with the new value's part put together."""
    outputs = []
    steps = (x.unbind(2) for x in (q, k, v, beta.unsqueeze(-1)))
    for q_t, k_t, v_t, beta_t in zip(*steps, strict=True):
        recalled = (k_t.unsqueeze(-2) @ S).squeeze(-2)  # (B, H, M), eq. 20
        S = S + k_t.unsqueeze(-1) * (beta_t * (v_t - recalled)).unsqueeze(-2)
        outputs.append((q_t.unsqueeze(-2) @ S).squeeze(-2))
    return torch.stack(outputs, dim=2) if outputs else torch.zeros_like(v), S


def _parallel(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """What each position really writes solves a triangular system (Yang et al. 2024, section 3).

    u_t = beta_t (v_t - S_0^T k_t - sum over i < t of (k_i.k_t) u_i), and S_T = S_0 + sum k_i u_i^T.
    """
    beta = beta.unsqueeze(-1)
    overlap = beta * (k @ k.mT).tril(-1)  # (B, H, T, T): how much of earlier writes a key meets
    u = torch.linalg.solve_triangular(
        overlap, beta * (v - k @ S), upper=False, unitriangular=True
    )  # of I + overlap: the unit diagonal is implied
    return q @ S + (q @ k.mT).tril() @ u, S + k.mT @ u


def _inverse(overlap: Tensor) -> Tensor:
    """(I + overlap)^-1 for strictly lower triangles (N, C, C), by halves: [[a, 0], [-d b a, d]].

    Matrix products are faster than substitution here. Repeated squaring, faster still, is not safe: with equal keys
    its powers grow to billions and cancel.
    """
    N, C, _ = overlap.shape
    if C <= SMALL or C % 2:
        identity = torch.eye(C, dtype=overlap.dtype, device=overlap.device).expand(N, C, C)
        return torch.linalg.solve_triangular(overlap, identity, upper=False, unitriangular=True)
    half = C // 2
    corners = torch.cat([overlap[:, :half, :half], overlap[:, half:, half:]])
    first, last = _inverse(corners).unflatten(0, (2, N)).unbind(0)
    inverse = overlap.new_zeros(N, C, C)
    inverse[:, :half, :half], inverse[:, half:, half:] = first, last
    inverse[:, half:, :half] = torch.bmm(last, torch.bmm(overlap[:, half:, :half], first)).neg_()
    return inverse


def _written(k_c: Tensor, v_c: Tensor, beta_c: Tensor, S: Tensor) -> tuple[Tensor, ...]:
    """For one chunk: the overlap without beta, the inverse, the errors v - S^T k, and what is written."""
    overlap = torch.bmm(k_c, k_c.mT).tril_(-1)
    inverse = _inverse(beta_c * overlap)
    error = torch.baddbmm(v_c, k_c, S, alpha=-1)
    return overlap, inverse, error, torch.bmm(inverse, beta_c * error)


class _Chunked(torch.autograd.Function):
    """q, k (N, T, D), v (N, T, M), beta (N, T, 1), S (N, D, M), N = B H."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, beta: Tensor, S: Tensor, chunk_size: int
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(q, k, v, beta, S)
        ctx.chunk_size = chunk_size
        S, out = copied(S), v.new_empty(v.shape)
        for at in spans(q.shape[1], chunk_size):
            q_c, k_c = q[:, at], k[:, at]
            *_, u = _written(k_c, v[:, at], beta[:, at], S)
            weights = torch.bmm(q_c, k_c.mT).tril_()
            out[:, at] = torch.bmm(weights, u).baddbmm_(q_c, S)
            S.baddbmm_(k_c.mT, u)
        return out, S

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, dS: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, beta, S = ctx.saved_tensors
        parts, kept = spans(q.shape[1], ctx.chunk_size), []
        for at in parts:  # forward again, keeping what the way back needs of each chunk
            overlap, inverse, error, u = _written(k[:, at], v[:, at], beta[:, at], S)
            kept.append((S, overlap, inverse, error, u))
            S = torch.baddbmm(S, k[:, at].mT, u)
        dq, dk, dv, dbeta = (x.new_empty(x.shape) for x in (q, k, v, beta))
        dS = copied(dS)
        for at in reversed(parts):
            S, overlap, inverse, error, u = kept.pop()
            q_c, k_c, beta_c, d_read = q[:, at], k[:, at], beta[:, at], d_out[:, at]
            weights = torch.bmm(q_c, k_c.mT).tril_()
            d_weights = torch.bmm(d_read, u.mT).tril_()
            d_u = torch.bmm(k_c, dS).baddbmm_(weights.mT, d_read)
            d_right = torch.bmm(inverse.mT, d_u)  # of beta (v - S^T k), the system's right-hand side
            d_system = torch.bmm(d_right, u.mT).tril_(-1)  # of I + beta overlap, up to its sign
            dbeta[:, at] = (d_right * error).sum(-1, keepdim=True) - (d_system * overlap).sum(
                -1, keepdim=True
            )
            d_error, d_overlap = d_right.mul_(beta_c), d_system.mul_(beta_c)
            dq[:, at] = torch.bmm(d_weights, k_c).baddbmm_(d_read, S.mT)
            d_key = torch.bmm(d_weights.mT, q_c).baddbmm_(u, dS.mT)
            d_key.baddbmm_(d_overlap + d_overlap.mT, k_c, alpha=-1).baddbmm_(d_error, S.mT, alpha=-1)
            dk[:, at], dv[:, at] = d_key, d_error
            dS.baddbmm_(q_c.mT, d_read).baddbmm_(k_c.mT, d_error, alpha=-1)
        return dq, dk, dv, dbeta, dS, None
