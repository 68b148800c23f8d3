"""Relative positions as in Transformer-XL (Dai et al. 2019, section 3.3), which Gopher uses (Rae et al. 2021, 3.1).

The score of query i for key j has a content term and a position term, each with a learned bias of its own:

    A_ij = (q_i + u) . k_j + (q_i + v) . r_(i-j),    r_d = W_R R_d,    R_d a sinusoid of the distance d

W_R is a fifth matrix of attention's size, beside those of queries, keys, values and outputs. Positions enter nowhere
else: there is no table of positions, and no longest length.

Letters in shapes: B batch, T length, D d_model, H heads, K key size.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram.transformer import causal_mask, sinusoidal_positions
from papertrail.experiments import at_least_one, seeded
from papertrail.layer_norm_placement.placements import one_of

FORMS = ("shift", "naive")


def naive_position_scores(q: Tensor, r: Tensor) -> Tensor:
    """q_i . r_(i-j) as the equation says it, one pair after the other; 0 where j lies ahead of i.

    Shapes: q (..., T, K), r (..., T, K) with row d for distance d -> (..., T, T).

    Raises:
        ValueError: q and r differ in length or width.
    """
    _same_size(q, r)
    length = q.shape[-2]
    rows = []
    for i in range(length):
        row = [(q[..., i, :] * r[..., i - j, :]).sum(-1) for j in range(i + 1)]
        row += [torch.zeros_like(row[0])] * (length - 1 - i)
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


def shifted_position_scores(q: Tensor, r: Tensor) -> Tensor:
    """The same from one matrix product: multiply all with all, then shift row i by as much as it needs.

    With distances in falling order, row i of the product holds what it needs at the right end, T - 1 - i places too
    far to the right. A column in front and another way of cutting the same numbers into rows moves each row one place
    less than the one above. (Dai et al. 2019, in their appendix.)

    Shapes: q (..., T, K), r (..., T, K) with row d for distance d -> (..., T, T), 0 where j lies ahead of i.

    Raises:
        ValueError: q and r differ in length or width.
    """
    _same_size(q, r)
    return shift(q @ r.flip(-2).transpose(-2, -1)).tril()


def shift(product: Tensor) -> Tensor:
    """Pad with a column in front, cut anew, drop the first row: entry (i, c) comes to (i, c - (T - 1 - i)).

    What is pushed out of a row on the left comes to the end of the row above: right of the diagonal is refuse.

    Shapes: (..., T, T) -> (..., T, T).
    """
    *lead, length, _ = product.shape
    padded = torch.cat([product.new_zeros(*lead, length, 1), product], dim=-1)  # (..., T, T + 1)
    return padded.reshape(*lead, length + 1, length)[..., 1:, :]


def _same_size(q: Tensor, r: Tensor) -> None:
    if q.shape[-2:] != r.shape[-2:]:
        raise ValueError(f"q, r: got {tuple(q.shape)} and {tuple(r.shape)}; allowed are equal last two sizes")


class RelativeAttention(nn.Module):
    """Causal self-attention with Transformer-XL's relative positions (Dai et al. 2019, section 3.3).

    Args:
        d_model: width of the model; even, for the sinusoids.
        num_heads, key_size: heads, and the width of a head's queries, keys and values.
        form: "shift", or "naive" for the loops.

    Shapes: x (B, T, D) -> (B, T, D), for any T.

    Raises:
        ValueError: a size is below 1, d_model is odd, or form is unknown.
    """

    def __init__(self, d_model: int, num_heads: int, key_size: int, form: str = "shift") -> None:
        super().__init__()
        at_least_one(d_model=d_model, num_heads=num_heads, key_size=key_size)
        one_of("form", form, FORMS)
        sinusoidal_positions(1, d_model)  # refuses odd widths
        inner = num_heads * key_size
        self.num_heads, self.key_size, self.form = num_heads, key_size, form
        self.query, self.key, self.value, self.relative = (
            nn.Linear(d_model, inner, bias=False) for _ in range(4)
        )
        self.output = nn.Linear(inner, d_model, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, key_size))  # u
        self.position_bias = nn.Parameter(torch.zeros(num_heads, key_size))  # v

    def scores(self, x: Tensor) -> Tensor:
        """A_ij / sqrt(K), minus infinity where j lies ahead: (B, T, D) -> (B, H, T, T)."""
        q, k = self._heads(self.query(x)), self._heads(self.key(x))  # (B, H, T, K)
        distances = sinusoidal_positions(x.shape[1], x.shape[2]).to(x)  # (T, D), row d for distance d
        r = self._heads(self.relative(distances))  # (H, T, K)
        position = shifted_position_scores if self.form == "shift" else naive_position_scores
        content = (q + self.content_bias[:, None]) @ k.transpose(-2, -1)
        scores = content + position(q + self.position_bias[:, None], r.expand_as(q))  # (B, H, T, T)
        later = ~causal_mask(x.shape[1], x.device)
        return (scores / math.sqrt(self.key_size)).masked_fill(later, -math.inf)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.scores(x).softmax(-1) @ self._heads(self.value(x))
        return self.output(heads.transpose(-3, -2).flatten(-2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, self.key_size)).transpose(-3, -2)


@dataclass(frozen=True)
class ShiftCheck:
    """Largest difference between the two forms, over their largest value, by seed."""

    outputs: list[float]
    gradients: list[float]  # over all parameters and the input
    length: int
    seeds: int


def measure_shift(length: int = 12, seeds: int = 5) -> ShiftCheck:
    """The shift against the loops, in float64, with biases u and v that are not 0.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(length=length, seeds=seeds)
    outputs, gradients = [], []
    for seed in range(seeds):
        with seeded(seed):
            fast, slow = (RelativeAttention(16, 2, 8, form).double() for form in FORMS)
            with torch.no_grad():
                fast.content_bias.normal_()
                fast.position_bias.normal_()
            slow.load_state_dict(fast.state_dict())
            x, dy = torch.randn(2, 3, length, 16, dtype=torch.float64)
        found = []
        for attention in (fast, slow):
            own = x.clone().requires_grad_()
            y = attention(own)
            found.append((y.detach(), torch.autograd.grad(y, [own, *attention.parameters()], dy)))
        (y_fast, g_fast), (y_slow, g_slow) = found
        outputs.append(((y_fast - y_slow).abs().max() / y_slow.abs().max()).item())
        gradients.append(
            max(
                ((one - other).abs().max() / other.abs().max()).item()
                for one, other in zip(g_fast, g_slow, strict=True)
            )
        )
    return ShiftCheck(outputs, gradients, length, seeds)


@dataclass(frozen=True)
class Translation:
    """Largest change of a passage's scores when other text is put before it, over their largest value, by seed."""

    relative: list[float]
    absolute: list[
        float
    ]  # sinusoids added to the input, as in Vaswani et al. 2017; scores of chapter 1's form
    before: int
    length: int
    seeds: int


def measure_translation(before: int = 7, length: int = 9, seeds: int = 5) -> Translation:
    """The same passage at position 0 and after `before` other vectors: its scores among itself.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(before=before, length=length, seeds=seeds)
    relative: list[float] = []
    absolute: list[float] = []
    for seed in range(seeds):
        with seeded(seed):
            attention = RelativeAttention(16, 2, 8).double()
            x = torch.randn(1, before + length, 16, dtype=torch.float64)

        def by_position(x: Tensor, attention: RelativeAttention = attention) -> Tensor:
            placed = x + sinusoidal_positions(x.shape[1], 16)
            q, k = (attention._heads(part(placed)) for part in (attention.query, attention.key))
            return q @ k.transpose(-2, -1)

        seen = causal_mask(length)
        for changes, scores in ((relative, attention.scores), (absolute, by_position)):
            alone = scores(x[:, before:])[..., seen]
            within = scores(x)[..., before:, before:][..., seen]
            changes.append(((within - alone).abs().max() / alone.abs().max()).item())
    return Translation(relative, absolute, before, length, seeds)


def table_of_shift(length: int = 3) -> tuple[list[str], list[list[str]]]:
    """The shift with names for numbers: "20" is query 2 times distance 0, "·" the padding, brackets mark refuse."""
    product = [[f"{i}{distance}" for distance in reversed(range(length))] for i in range(length)]
    flat = [name for row in product for name in ("·", *row)]  # a column in front, row after row
    cut = [flat[i * length : (i + 1) * length] for i in range(length + 1)]
    kept = [[name if j <= i else f"({name})" for j, name in enumerate(row)] for i, row in enumerate(cut[1:])]
    steps = {
        "product": product,
        "padded": [["·", *row] for row in product],
        "cut anew": cut,
        "first row dropped": kept,
    }
    height = length + 1
    columns = [[" ".join(row) for row in rows] + [""] * (height - len(rows)) for rows in steps.values()]
    return list(steps), [list(row) for row in zip(*columns, strict=True)]
