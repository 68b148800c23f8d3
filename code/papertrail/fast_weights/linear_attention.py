"""Linear attention in three forms that are one function.

Katharopoulos et al. 2020, "Transformers are RNNs". With normalize=False it is also the fast weight programmer with
FROM/TO outer products and without squashing (Schmidhuber 1992, eq. 5; Schlag et al. 2021, sections 2 and 3).
Shapes: q, k (B, H, T, D), v (B, H, T, M), state S (B, H, D, M) and z (B, H, D).
"""

from typing import Any, Literal, NamedTuple, overload

import torch
from torch import Tensor

from papertrail.fast_weights.chunks import chunked_linear
from papertrail.fast_weights.feature_maps import FeatureMap, resolve
from papertrail.fast_weights.inputs import (
    check_finite,
    check_matrix,
    check_options,
    check_tensors,
    working_dtype,
)

Read = tuple[Tensor, Tensor, Tensor | None]  # what is read (B, H, T, M), and the state afterwards


class LinearState(NamedTuple):
    """What a normalized linear attention remembers; its size does not depend on the sequence's length."""

    S: Tensor  # (B, H, D, M), the sum of phi(k) v^T
    z: Tensor  # (B, H, D), the sum of phi(k)


@overload
def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, *, feature_map: FeatureMap | str | None = ..., normalize: bool = ...,
    causal: bool = ..., form: str = ..., chunk_size: int = ..., state: LinearState | Tensor | None = ...,
    return_state: Literal[False] = ..., eps: float = ..., check: bool = ...,
) -> Tensor: ...  # fmt: skip


@overload
def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, *, feature_map: FeatureMap | str | None = ..., normalize: Literal[True] = ...,
    causal: bool = ..., form: str = ..., chunk_size: int = ..., state: LinearState | Tensor | None = ...,
    return_state: Literal[True], eps: float = ..., check: bool = ...,
) -> tuple[Tensor, LinearState]: ...  # fmt: skip


@overload
def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, *, feature_map: FeatureMap | str | None = ..., normalize: Literal[False],
    causal: bool = ..., form: str = ..., chunk_size: int = ..., state: LinearState | Tensor | None = ...,
    return_state: Literal[True], eps: float = ..., check: bool = ...,
) -> tuple[Tensor, Tensor]: ...  # fmt: skip


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    feature_map: FeatureMap | str | None = "elu+1",
    normalize: bool = True,
    causal: bool = True,
    form: str = "chunk",
    chunk_size: int = 64,
    state: LinearState | Tensor | None = None,
    return_state: bool = False,
    eps: float = 0.0,
    check: bool = False,
) -> Tensor | tuple[Tensor, LinearState | Tensor]:
    """Attention with phi(q).phi(k) in place of exp(q.k) (Katharopoulos et al. 2020, eqs. 5 and 8 to 12).

    Position t gets phi(q_t) S_t / (phi(q_t).z_t + eps), where S_t = S_0 + sum phi(k_i) v_i^T and z_t = z_0 +
    sum phi(k_i), over i <= t if causal and over all i if not. Nothing is scaled by the size of the head.

    Args:
        feature_map: phi. "elu+1", "dpfp-1", "dpfp-2" ..., None for the identity, or a callable that maps
            (..., D) to (..., D'), such as a `FavorMap` of random features; the state has D' rows then.
        normalize: divide by phi(q).z. Without it the state is the tensor S alone.
        form: "recurrent", a step at a time as in eqs. 18 to 20; "parallel", with the T x T matrix; "chunk", in parallel
            within chunks and step by step between them. The same values and gradients, at other costs. Not
            causal, the last two differ in nothing but the T x T matrix.
        chunk_size: of the chunk form. T need not be a multiple of it.
        state: where to start, as an earlier call returned it; zeros by default.
        return_state: also return the state after the last position.
        eps: added to the normalizer. 0 is the paper's formula.
        check: look for NaN and infinity in everything given, and for a normalizer of 0, at the price of a pass over
            the data. Without it they spread into the output.

    Shapes: q, k (B, H, T, D); v (B, H, T, M) -> (B, H, T, M) in q's dtype. T may be 1, and 0.

    The dtype is float64, float32, or bfloat16, which is computed in float32 and keeps its state in float32. The chunk
    form has a backward pass by hand that recomputes states instead of storing one for each position; it can be
    differentiated once. For second derivatives take another form.

    Raises:
        TypeError, ValueError: an argument's dtype, shape, device or value is not allowed; with `check`, NaN or
            infinity in an input, or a normalizer that is 0.
    """
    check_options(form, chunk_size)
    check_tensors(q, k, v)
    phi = resolve(feature_map)
    if not eps >= 0:
        raise ValueError(f"eps: got {eps!r}; allowed are numbers from 0 up")
    if check:
        check_finite(q=q, k=k, v=v)
    dtype, v = q.dtype, v.to(working_dtype(q.dtype))
    q, k = (_mapped(phi, x.to(v.dtype)) for x in (q, k))
    S, z = start = _start(state, k, v, normalize)
    if check:
        check_finite(**{"state.S" if normalize else "state": S, "state.z": z})
    if not causal:
        out, S, z = _all_positions(q, k, v, S, z, eps, form)
    elif form == "chunk":
        out, S, z = chunked_linear(q, k, v, S, z, eps, chunk_size)
    else:
        out, S, z = (_recurrent if form == "recurrent" else _parallel)(q, k, v, S, z, eps)
    if check and start[1] is not None:
        _check_normalizer(q, k, start[1], eps, causal)
    out = out.to(dtype)
    if not return_state:
        return out
    return out, (S if z is None else LinearState(S, z))


def _mapped(phi: FeatureMap, x: Tensor) -> Tensor:
    features = phi(x)
    if not isinstance(features, Tensor) or features.shape[:-1] != x.shape[:-1] or features.dtype != x.dtype:
        got = (
            f"{features.dtype} of {tuple(features.shape)}" if isinstance(features, Tensor) else repr(features)
        )
        raise ValueError(
            f"feature_map: made {got} of {x.dtype} {tuple(x.shape)}; only the last axis may change"
        )
    return features


def _start(state: Any, k: Tensor, v: Tensor, normalize: bool) -> tuple[Tensor, Tensor | None]:
    """The state to start from, S (B, H, D, M) and z (B, H, D) or None."""
    vector = (*k.shape[:2], k.shape[-1])
    matrix = (*vector, v.shape[-1])
    if state is None:
        return v.new_zeros(matrix), v.new_zeros(vector) if normalize else None
    if not normalize:
        check_matrix("state", state, matrix, v)
        return state, None
    if not (isinstance(state, tuple) and len(state) == 2):
        raise TypeError(
            f"state: got {type(state).__name__}; with normalize=True allowed is a LinearState(S, z)"
        )
    check_matrix("state.S", state[0], matrix, v)
    check_matrix("state.z", state[1], vector, v)
    return state


def _recurrent(q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor | None, eps: float) -> Read:
    """Katharopoulos et al. 2020, eqs. 18 to 20: write, then read."""
    outputs = []
    for q_t, k_t, v_t in zip(q.unbind(2), k.unbind(2), v.unbind(2), strict=True):
        S = S + k_t.unsqueeze(-1) * v_t.unsqueeze(-2)  # (B, H, D, M)
        out = (q_t.unsqueeze(-2) @ S).squeeze(-2)  # (B, H, M)
        if z is not None:
            z = z + k_t
            out = out / ((q_t * z).sum(-1, keepdim=True) + eps)
        outputs.append(out)
    return torch.stack(outputs, dim=2) if outputs else torch.zeros_like(v), S, z


def _parallel(q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor | None, eps: float) -> Read:
    """All positions at once: the causal mask is a lower triangle, its diagonal included."""
    weights = (q @ k.mT).tril()  # (B, H, T, T)
    out = weights @ v + q @ S
    if z is not None:
        out = out / (weights.sum(-1, keepdim=True) + q @ z.unsqueeze(-1) + eps)
        z = z + k.sum(2)
    return out, S + k.mT @ v, z


def _all_positions(
    q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor | None, eps: float, form: str
) -> Read:
    """Without a mask one state serves every position (Katharopoulos et al. 2020, eq. 5)."""
    if form == "parallel":
        weights = q @ k.mT  # (B, H, T, T)
        out = weights @ v + q @ S
        total = None if z is None else weights.sum(-1, keepdim=True) + q @ z.unsqueeze(-1)
    S = S + k.mT @ v
    z = None if z is None else z + k.sum(2)
    if form != "parallel":
        out = q @ S
        total = None if z is None else q @ z.unsqueeze(-1)
    return out if total is None else out / (total + eps), S, z


def _check_normalizer(q: Tensor, k: Tensor, z: Tensor, eps: float, causal: bool) -> None:
    with torch.no_grad():
        sums = z.unsqueeze(2) + (k.cumsum(2) if causal else k.sum(2, keepdim=True))
        zeros = int(((q * sums).sum(-1) + eps == 0).sum())
    if zeros:
        raise ValueError(
            f"feature_map: the normalizer is 0 at {zeros} positions; "
            "take a map with positive features, an eps above 0, or normalize=False"
        )
