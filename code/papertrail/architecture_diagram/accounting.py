"""The parameter counts that Table 3 of Vaswani et al. 2017 prints, counted again.

The table prints millions and no vocabulary. The layers' matrices follow from section 3; what is left is a
number of embedding rows V, shared by both embeddings and the pre-softmax map (section 3.4). So every printed
count is a statement about V, and the audit asks whether one V can satisfy them all.
"""

from dataclasses import dataclass
from itertools import combinations

MILLION = 1_000_000


@dataclass(frozen=True)
class Table3Row:
    """A row of Table 3 that prints a parameter count. Values left blank in the table are those of base.

    Rows (B) vary d_k alone. With values as narrow as keys, d_k = 16 would save 14 million; 7 are printed.
    """

    name: str
    printed_millions: int
    num_layers: int = 6
    d_model: int = 512
    d_ff: int = 2048
    num_heads: int = 8
    d_k: int = 64  # of queries and keys; values are always d_model / num_heads wide


BASE = Table3Row("base", 65)
BIG = Table3Row("big", 213, d_model=1024, d_ff=4096, num_heads=16)
TABLE_3 = (
    BASE,
    Table3Row("(B) d_k = 16", 58, d_k=16),
    Table3Row("(B) d_k = 32", 60, d_k=32),
    Table3Row("(C) N = 2", 36, num_layers=2),
    Table3Row("(C) N = 4", 50, num_layers=4),
    Table3Row("(C) N = 8", 80, num_layers=8),
    Table3Row("(C) d_model = 256", 28, d_model=256, d_k=32),
    Table3Row("(C) d_model = 1024", 168, d_model=1024, d_k=128),
    Table3Row("(C) d_ff = 1024", 53, d_ff=1024),
    Table3Row("(C) d_ff = 4096", 90, d_ff=4096),
    BIG,
)


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of the published model, by part."""

    attention: int  # four matrices an attention, no biases
    feed_forward: int
    norms: int  # a gain and a bias each
    embedding: int

    @property
    def total(self) -> int:
        """All parts together."""
        return self.attention + self.feed_forward + self.norms + self.embedding


def count_parameters(
    row: Table3Row, vocab_size: int, *, ffn_biases: bool = True, norms: bool = True
) -> ParameterCount:
    """Count the published (Post-LN) encoder-decoder of Vaswani et al. 2017, sections 3.1 to 3.4.

    Each of the N layer pairs has three attentions, two feed-forwards and five norms; sinusoids cost nothing.

    Args:
        row: the shape of the model.
        vocab_size: rows of the one shared embedding, V.
        ffn_biases, norms: whether to count the biases of eq. 2 and the layer norms.

    Raises:
        ValueError: `vocab_size` is negative.
    """
    if vocab_size < 0:
        raise ValueError(f"vocab_size: got {vocab_size}; allowed are integers from 0 up")
    d_v = row.d_model // row.num_heads
    attention = 2 * row.d_model * row.num_heads * (row.d_k + d_v)  # W^Q and W^K, then W^V and W^O
    feed_forward = 2 * row.d_model * row.d_ff + ffn_biases * (row.d_ff + row.d_model)
    return ParameterCount(
        attention=row.num_layers * 3 * attention,
        feed_forward=row.num_layers * 2 * feed_forward,
        norms=row.num_layers * 5 * norms * 2 * row.d_model,
        embedding=vocab_size * row.d_model,
    )


def vocabulary_range(row: Table3Row, *, ffn_biases: bool = True, norms: bool = True) -> range:
    """Every V for which the row's exact count rounds (half up) to the printed number of millions."""
    fixed = count_parameters(row, 0, ffn_biases=ffn_biases, norms=norms).total
    low = row.printed_millions * MILLION - MILLION // 2 - fixed  # V * d_model must reach this ...
    high = low + MILLION  # ... and stay below this
    return range(-(-low // row.d_model), -(-high // row.d_model))


@dataclass(frozen=True)
class Table3Audit:
    """What the printed counts say about V, under one convention for what is counted."""

    ffn_biases: bool
    norms: bool
    base_sized: range  # the V that satisfy all rows but big; empty if there is none
    big: range  # the V that satisfy big

    @property
    def agree(self) -> bool:
        """Whether one V satisfies every row."""
        return max(self.base_sized.start, self.big.start) < min(self.base_sized.stop, self.big.stop)


def audit_table_3(*, ffn_biases: bool = True, norms: bool = True) -> Table3Audit:
    """Intersect the vocabulary ranges of the ten base-size rows, and set big's beside it.

    With feed-forward biases and norms counted, the ten rows meet in V = 41,004 .. 41,208 and big asks for
    35,368 .. 36,344. Leaving out either or both moves the edges by 120 at most, and makes no V fit all rows.
    """
    ranges = [vocabulary_range(row, ffn_biases=ffn_biases, norms=norms) for row in TABLE_3 if row is not BIG]
    common = range(max(r.start for r in ranges), min(r.stop for r in ranges))
    return Table3Audit(ffn_biases, norms, common, vocabulary_range(BIG, ffn_biases=ffn_biases, norms=norms))


@dataclass(frozen=True)
class RowDifference:
    """Two rows of the same width: V cancels, so the formula leaves nothing to choose."""

    larger: str
    smaller: str
    exact: int  # parameters, by the formula
    printed_millions: int  # difference of two numbers rounded to a million

    @property
    def within_rounding(self) -> bool:
        """Two roundings are off by half a million each at most."""
        return abs(self.exact - self.printed_millions * MILLION) <= MILLION


def row_differences() -> list[RowDifference]:
    """Every pair of rows with d_model = 512, larger count first."""
    rows = [row for row in TABLE_3 if row.d_model == 512]
    rows.sort(key=lambda row: count_parameters(row, 0).total, reverse=True)
    return [
        RowDifference(
            larger.name,
            smaller.name,
            count_parameters(larger, 0).total - count_parameters(smaller, 0).total,
            larger.printed_millions - smaller.printed_millions,
        )
        for larger, smaller in combinations(rows, 2)
    ]
