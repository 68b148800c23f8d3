"""The audit of Table 3: by hand, by brute force, and against the figures typed again from the paper."""

import math
from dataclasses import replace

import pytest

from papertrail.architecture_diagram.accounting import (
    BASE,
    BIG,
    TABLE_3,
    Table3Row,
    audit_table_3,
    count_parameters,
    row_differences,
    vocabulary_range,
)

# name: N, d_model, d_ff, h, d_k, printed millions
PRINTED = {
    "base": (6, 512, 2048, 8, 64, 65),
    "(B) d_k = 16": (6, 512, 2048, 8, 16, 58),
    "(B) d_k = 32": (6, 512, 2048, 8, 32, 60),
    "(C) N = 2": (2, 512, 2048, 8, 64, 36),
    "(C) N = 4": (4, 512, 2048, 8, 64, 50),
    "(C) N = 8": (8, 512, 2048, 8, 64, 80),
    "(C) d_model = 256": (6, 256, 2048, 8, 32, 28),
    "(C) d_model = 1024": (6, 1024, 2048, 8, 128, 168),
    "(C) d_ff = 1024": (6, 512, 1024, 8, 64, 53),
    "(C) d_ff = 4096": (6, 512, 4096, 8, 64, 90),
    "big": (6, 1024, 4096, 16, 64, 213),
}
CONVENTIONS = [(biases, norms) for biases in (False, True) for norms in (False, True)]


def millions(count):
    return math.floor(count / 1e6 + 0.5)


def test_the_rows_are_those_of_the_paper():
    rows = {
        row.name: (row.num_layers, row.d_model, row.d_ff, row.num_heads, row.d_k, row.printed_millions)
        for row in TABLE_3
    }
    assert rows == PRINTED
    assert TABLE_3[0] is BASE and TABLE_3[-1] is BIG


def test_the_base_model_by_hand():
    count = count_parameters(BASE, 37_000)
    assert count.attention == 18 * 4 * 512 * 512 == 18_874_368
    assert count.feed_forward == 12 * (512 * 2048 + 2048 + 2048 * 512 + 512) == 25_196_544
    assert count.norms == 30 * 2 * 512 == 30_720
    assert count.embedding == 37_000 * 512 == 18_944_000
    assert count.total == 63_045_632


def test_the_big_model_by_hand():
    count = count_parameters(BIG, 37_000)
    assert count.attention == 18 * 4 * 1024 * 1024
    assert count.feed_forward == 12 * (2 * 1024 * 4096 + 4096 + 1024)
    assert count.total == 214_171_648


def test_narrow_keys_leave_the_values_alone():
    narrow = replace(BASE, d_k=16)
    saved = count_parameters(BASE, 0).total - count_parameters(narrow, 0).total
    assert saved == 18 * 2 * 512 * 8 * (64 - 16) == 7_077_888
    assert (
        round(2 * saved / 1e6) == 14
    )  # what narrow values would add to the saving; the table prints 65 - 58 = 7


def test_a_convention_leaves_out_what_it_says():
    full = count_parameters(BASE, 5)
    bare = count_parameters(BASE, 5, ffn_biases=False, norms=False)
    assert bare.norms == 0 and count_parameters(BASE, 5, norms=False).feed_forward == full.feed_forward
    assert full.feed_forward - bare.feed_forward == 12 * (2048 + 512)
    assert (full.attention, full.embedding) == (bare.attention, bare.embedding)


def test_a_negative_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocab_size: got -1; allowed are integers from 0 up"):
        count_parameters(BASE, -1)


@pytest.mark.parametrize("row", TABLE_3, ids=lambda row: row.name)
@pytest.mark.parametrize(("ffn_biases", "norms"), CONVENTIONS)
def test_a_vocabulary_range_holds_exactly_what_rounds_to_the_printed_number(row, ffn_biases, norms):
    found = vocabulary_range(row, ffn_biases=ffn_biases, norms=norms)
    edges = [found.start - 1, found.start, found.stop - 1, found.stop]
    counts = [count_parameters(row, v, ffn_biases=ffn_biases, norms=norms).total for v in edges]
    rounded = [millions(count) for count in counts]
    assert rounded == [row.printed_millions + offset for offset in (-1, 0, 0, 1)]


def test_half_a_million_rounds_up():
    embedding_only = Table3Row("an embedding and no layers", 1, num_layers=0, d_model=500)
    assert vocabulary_range(embedding_only) == range(1000, 3000)  # 0.5 million prints as 1, 1.5 million as 2


def test_the_ten_base_size_rows_meet_and_big_stays_away():
    audit = audit_table_3()
    assert audit.base_sized == range(41_004, 41_209)
    assert audit.big == range(35_368, 36_345)
    assert not audit.agree
    for row in TABLE_3[:-1]:
        assert millions(count_parameters(row, 41_100).total) == row.printed_millions
    assert millions(count_parameters(BASE, 37_000).total) == 63
    assert millions(count_parameters(BIG, 37_000).total) == 214


def test_no_convention_makes_big_agree_and_the_edges_move_by_120_at_most():
    full = audit_table_3()
    for ffn_biases, norms in CONVENTIONS:
        audit = audit_table_3(ffn_biases=ffn_biases, norms=norms)
        assert (audit.ffn_biases, audit.norms) == (ffn_biases, norms)
        assert len(audit.base_sized) > 0 and not audit.agree
        for one, other in ((audit.base_sized, full.base_sized), (audit.big, full.big)):
            assert abs(one.start - other.start) <= 120 and abs(one.stop - other.stop) <= 120
        inside = audit.base_sized.start >= 41_003 and audit.base_sized.stop - 1 <= 41_209
        assert inside == (ffn_biases and norms)


def test_ranges_that_overlap_agree():
    audit = audit_table_3()
    assert replace(audit, big=range(41_208, 50_000)).agree
    assert not replace(audit, big=range(41_209, 50_000)).agree


def test_the_differences_between_rows_match_to_rounding():
    differences = {(d.larger, d.smaller): d for d in row_differences()}
    assert len(differences) == 8 * 7 // 2
    assert differences["(C) N = 4", "(C) N = 2"].exact == 14_700_544
    assert differences["(C) N = 4", "(C) N = 2"].printed_millions == 14
    assert differences["(C) d_ff = 4096", "(C) d_ff = 1024"].exact == 37_785_600
    assert differences["(C) d_ff = 4096", "(C) d_ff = 1024"].printed_millions == 37
    assert differences["base", "(B) d_k = 16"].exact == 7_077_888
    assert differences["base", "(B) d_k = 16"].printed_millions == 7
    assert all(d.exact > 0 and d.within_rounding for d in differences.values())
    assert not replace(differences["base", "(B) d_k = 16"], printed_millions=9).within_rounding
    assert not replace(differences["base", "(B) d_k = 16"], printed_millions=6).within_rounding
