"""What the status page says of the trial over other seeds."""

from papertrail import claims
from papertrail.site_seeds import by_row, seeds_text


def row(name, verdict="holds", check="module:function"):
    return claims.Claim(
        id=name, chapter="one", claim="It is.", article=(), where=None, sources=(), kind="experiment", check=check,
        unchecked=None, verdict=verdict, says="So.",
    )  # fmt: skip


def cell(shift, **verdicts):
    """A cell of the record; a verdict that ends in "!" came with other numbers."""
    rows = [
        {"id": name.replace("_", "-"), "verdict": verdict.rstrip("!"), "same": not verdict.endswith("!")}
        for name, verdict in verdicts.items()
    ]
    return {"cell": {"chapter": "one", "shift": shift}, "result": rows}


def record(*table):
    return {"table": list(table), "date": "2026-11-27", "command": "run it"}


ROWS = [row("exact"), row("drawn"), row("shaky", "imprecise"), row("late"), row("history", check=None)]


def test_rows_are_counted_by_what_became_of_them():
    text = seeds_text(ROWS, record(
        cell(2, exact="holds", drawn="holds!", shaky="wrong!"),
        cell(1, exact="holds", drawn="holds!", shaky="imprecise!"),
        cell(3, exact="holds", drawn="holds", shaky="not-checkable-here!"),
    ))  # fmt: skip
    assert "Each of 3 checks ran 3 times more" in text and "1 rows said the same" in text
    assert "Of the other 2, 1 gave other numbers and the same verdict" in text
    link = '<a href="claims.html#shaky"><code>shaky</code></a>'
    assert f"| {link} | imprecise | 1 × wrong, 1 × not checkable here |" in text
    assert "1 rows are newer" in text and "27 November 2026 by `run it`" in text
    assert "drawn<" not in text


def test_where_all_held_there_is_no_table():
    text = seeds_text(ROWS[:2], record(cell(1, exact="holds", drawn="holds!")))
    assert "No verdict changed." in text and "|" not in text and "newer" not in text


def test_a_rows_outcomes_stand_in_the_order_of_the_shifts():
    found = by_row([cell(2, drawn="wrong"), cell(1, drawn="holds")])
    assert [one["verdict"] for one in found["drawn"]] == ["holds", "wrong"]
