"""A figure or table that is drawn from a record says so, by the record that it is drawn from."""

import json
import re

import pytest

FACES = ("show(", "show_table(", "moving_figure(")
# functions that load a record themselves, by the chapters' names for them
INSIDE = ("table_of_speed()", "table_of_language_models()", "draw_low_shot()", "table_of_label_worth()",
          "table_of_budgets()", "draw_our_ladder()")  # fmt: skip
LOAD = re.compile(r"\bload_\w+\(")


def notebooks(root):
    return sorted((root / "book").glob("*.ipynb"))


def cells(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"]), cell["outputs"]


def unlabelled(sources):
    """Statements that show what was loaded from a record, in this cell or in one before, without saying so."""
    names, found = set(), []
    for source in sources:
        names |= set(re.findall(r"^(\w+)(?:, \w+)* = load_\w+\(", source, re.MULTILINE))
        for statement in re.split(r"\n(?=\S)", re.sub(r"\n\)", " )", source)):
            drawn = any(re.search(rf"\b{name}\b", statement) for name in names)
            loads = LOAD.search(statement) or any(one in statement for one in INSIDE)
            if any(face in statement for face in FACES) and (drawn or loads) and "recorded=" not in statement:
                found.append(statement)
    return found


def test_whatever_is_drawn_from_a_record_says_so(root):
    for path in notebooks(root):
        assert unlabelled(source for source, _ in cells(path)) == [], path.name


@pytest.mark.parametrize(
    ("source", "count"),
    [("show(*draw(load_runs()))", 1), ('show(*draw(load_runs()), recorded="a.b")', 0),
     ("runs = load_runs()\nshow(*draw(runs))", 1), ("runs = 1\nshow(*draw(runs))", 0),
     ("runs = load_runs()\nmoving_figure(\n    lambda x: draw(runs, x),\n)", 1),
     ('runs = load_runs()\nmoving_figure(\n    lambda x: draw(runs, x),\n    recorded="a.b",\n)', 0),
     ("show(*drawings.draw_low_shot())", 1)],
)  # fmt: skip
def test_what_does_not_say_so_is_found(source, count):
    assert len(unlabelled([source])) == count


def test_the_line_below_names_the_record_as_it_is_today(root):
    lines = 0
    for path in notebooks(root):
        for source, outputs in cells(path):
            names = " ".join(re.findall(r'recorded="([^"]+)"', source)).split()
            texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
            said = [text for text in texts if text.startswith("Recorded ")]
            assert len(said) == len(names), (path.name, source)
            for name, text in zip(names, said, strict=True):
                record = json.loads((root / "book/results" / f"{name.replace('.', '/')}.json").read_text())
                assert text.startswith(f"Recorded {record['date']}") and text.endswith(record["command"])
                lines += 1
    assert lines > 30
