"""The pencil tables say what a pencil gives."""

from papertrail.ulmfit import by_hand


def test_the_triangle_of_twenty_updates():
    # cut = 2; at 1 halfway up, at 11 half of the 18 updates of the fall are over: 1 + 31 / 2
    assert by_hand.table_of_triangle()[1] == [["rate", "1", "16.5", "32", "16.5", "1"]]


def test_the_head_trains_from_the_first_epoch_and_the_embedding_in_the_fifth_at_a_forty_sixth_of_its_rate():
    header, rows = by_hand.table_of_groups()
    assert header[:2] == ["group", "rate"] and [row[0] for row in rows] == [
        "head",
        "layer 3",
        "layer 2",
        "layer 1",
        "embedding",
    ]
    assert [row[1] for row in rows] == ["1.000", "0.385", "0.148", "0.057", "0.022"]
    assert [row[2:].count("trains") for row in rows] == [5, 4, 3, 2, 1]
    assert rows[-1][2:] == ["frozen"] * 4 + ["trains"]
    assert round(2.6**4) == 46


def test_pooling_takes_the_last_word_that_is_there():
    assert by_hand.table_of_pooling()[1] == [
        ["3", "(2, 4)", "(3, 4)", "(2, 1)"],
        ["2", "(3, 0)", "(3, 0)", "(2, -0.5)"],
    ]


def test_perplexity_is_the_inverse_of_the_geometric_mean():
    assert by_hand.table_of_perplexity()[1] == [["0.25 0.5 0.125 0.125", "1/512", f"{512**0.25:.2f}"]]
