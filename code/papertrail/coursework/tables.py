"""Tables as CSV that are safe to open in a spreadsheet: what students wrote may be in them."""

import csv
import io

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def guarded(value: object) -> str:
    """A cell of a table. A text that a spreadsheet would run as a formula gets an apostrophe; a number none."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    """Is this a plain number, which no spreadsheet runs?"""
    try:
        float(text)
    except ValueError:
        return False
    return text.strip("+-").isascii() and text == text.strip()


def table_text(rows: list[list]) -> str:
    """Rows as CSV, the header first."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([[guarded(value) for value in row] for row in rows])
    return buffer.getvalue()
