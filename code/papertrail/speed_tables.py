"""The rows of `speed_claims` as tables: for the site's page, and for a terminal."""

from collections.abc import Iterable
from datetime import date

from papertrail.speed_claims import SCRIPTS, Quartiles, Record, Row, read_record, record_file, rows_of


def say(value: float) -> str:
    """So many digits as mean something: 0.35, 5.1, 42, 1,234."""
    return f"{value:,.{2 if abs(value) < 1 else 1 if abs(value) < 20 else 0}f}"


def say_quartiles(values: Quartiles) -> str:
    """The median, and the quartiles where there are any."""
    low, middle, high = map(say, values)
    return f"{middle}" if values[0] == values[2] else f"{middle} ({low} to {high})"


def say_target(row: Row) -> str:
    """The target and whether it is reached, in words."""
    if row.claim.target is None:
        return "none set"
    kind, number = row.claim.target
    return f"{kind} {number:.3g}: **{'reached' if row.reached else 'missed'}**"


def table_text(rows: Iterable[Row]) -> str:
    """Rows as a Markdown table."""
    lines = ["| first | second | at | second ÷ first | target |", "|---|---|---|---|---|"]
    for row in rows:
        unit = row.claim.unit
        first = f"{row.claim.first}: {say_quartiles(row.first)}\u00a0{unit}"
        second = f"{row.claim.second}: {say_quartiles(row.second)}\u00a0{unit}"
        lines.append(f"| {first} | {second} | {row.at} | {say_quartiles(row.ratio)} | {say_target(row)} |")
    return "\n".join(lines)


def terminal_text(rows: Iterable[Row]) -> str:
    """Rows as lines of a terminal, without targets: a short form is no measurement to hold against one."""
    lines = []
    for row in rows:
        unit = row.claim.unit
        first = f"{row.claim.first} {say(row.first[1])} {unit}"
        second = f"{row.claim.second} {say(row.second[1])} {unit}"
        lines.append(f"{say_quartiles(row.ratio):>22}  {second} / {first}; {row.at}")
    return "\n".join(dict.fromkeys(lines))  # a short form measures some claims at one and the same size


def record_sentence(name: str, record: Record) -> str:
    """When, on what, and how quiet the machine was."""
    script, day = SCRIPTS[name], date.fromisoformat(record["date"])
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    text = f"Recorded on {day.day} {day:%B %Y}: {record['machine']}; {versions}."
    if "gemm" in record:
        low, middle, high = record["gemm"]
        text += f" Matrix product: {middle:.0f} GFLOP/s ({low:.0f} to {high:.0f})."
        if judged := record.get("rounds_judged"):
            text += (
                f" Rounds set aside because they were disturbed: {judged['set_aside']} of {judged['rounds']}"
            )
            text += (
                f"; disturbed and kept all the same: {judged['kept_though_slow']}."
                if judged["kept_though_slow"]
                else "."
            )
        else:
            text += " It was made before disturbed rounds were set aside: all of its rounds count."
    else:
        text += " No yardstick was run."
    return f"{text} Made by `{script.command}`; told in [](/book/{script.page})."


def page_text(name: str) -> str:
    """One script's table and what there is to say about its record; a record that is missing is said to be.

    Raises:
        ValueError: no such script.
    """
    path, script = record_file(name), SCRIPTS[name]
    if not path.exists():
        return f"Not recorded yet. `{script.command}` makes the record; the claim stands in [](/book/{script.page})."
    record = read_record(name)
    return f"{table_text(rows_of(name, record))}\n\n{record_sentence(name, record)}\n"
