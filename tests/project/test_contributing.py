"""What the texts for people who work on the course name is there: commands, files, modules, rows and examples."""

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest

from papertrail import claims

TEXTS = ("CONTRIBUTING.md", "README.md", "book/how_made.md", "book/how_to_use.md")
MADE = {".venv", ".sandbox", "_build", "lab"}  # folders that commands make
STANDS_FOR_ANY = r"<\w+>|\b(?:CHAPTER|CH|NAME|FOLDER)\b"
FILE = r"[\w.*-]+\.(?:py|md|ya?ml|toml|txt|in|lock|bib|ipynb|json|css|js)"


def code_of(text):
    """All that a text sets as code: fenced blocks and spans. Comments in a block are prose."""
    fences = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", text))
    return "\n".join([*(re.sub(r"(?m)(?:^|\s{2,})#.*$", "", fence) for fence in fences), *spans])


def paths_in(code):
    """Words that are paths: with a slash, or with the ending of a file. A placeholder becomes a star."""
    for word in re.split(r"[\s\"'(),:;=]+", re.sub(STANDS_FOR_ANY, "*", code)):
        word = word.rstrip(".")
        path = re.fullmatch(rf"[\w./*-]*/[\w./*-]*|{FILE}", word)
        if path and re.search(r"\w", word) and "//" not in word and not word.startswith("-"):
            yield word


def is_there(root, path):
    """A path from the top folder; a bare name may stand anywhere in the repository."""
    parts = Path(path).parts
    if not parts or parts[0] in MADE:
        return True
    if "/" in path:
        return any(root.glob(path.rstrip("/")))
    return any(root.glob(path)) or any(
        any((root / folder).rglob(path)) for folder in ("book", "code", "tools", "tests", "requirements")
    )


def has_name(root, dotted):
    """papertrail.package.module, perhaps with a name in it."""
    place, parts = root / "code", dotted.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and (module := place / f"{parts[0]}.py").is_file():
        place = module
        parts.pop(0)
    if not parts:
        return True
    source = place if place.is_file() else place / "__init__.py"
    return len(parts) == 1 and source.is_file() and bool(re.search(rf"\b{parts[0]}\b", source.read_text()))


def is_command(root, module):
    """Whether `python -m module` does something."""
    place = root / "code" / Path(*module.split("."))
    source = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    return source.is_file() and (source.stem == "__main__" or '__name__ == "__main__"' in source.read_text())


def missing(root, text):
    """What a text names as code and the repository does not have."""
    code = code_of(text)
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), flags=re.MULTILINE))
    rows = {row.id for row in claims.load()}
    found = [f"make {name}" for name in re.findall(r"\bmake ([a-z]+)\b", code) if name not in targets]
    found += [path for path in paths_in(code) if not is_there(root, path)]
    names = re.findall(r"\bpapertrail(?:\.[A-Za-z_]\w*)+(?::\w+)?", code)
    found += [
        name
        for name in names
        if not name.endswith((".css", ".js")) and not has_name(root, name.replace(":", "."))
    ]
    found += [
        f"-m {name}" for name in re.findall(r"-m (papertrail[\w.]+)", code) if not is_command(root, name)
    ]
    asked = re.findall(r"-m papertrail\.claims(?: --record)? ([a-z][\w-]+)", code)
    return found + [f"row {name}" for name in asked if name not in rows]


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_text_names_is_there(name, root):
    text = (root / name).read_text(encoding="utf-8")
    assert re.search(r"\bmake [a-z]+", code_of(text)) or name == "book/how_made.md"
    assert missing(root, text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Run `make tests`.", ["make tests"]),
        ("```bash\nmake bok   # a comment that says make it\n```\n", ["make bok"]),
        ("See `tools/exekute.py` and `book/<chapter>.ipynb`.", ["tools/exekute.py"]),
        ("Rows are in `book/claim/<chapter>.yml`.", ["book/claim/*.yml"]),
        ("It is `sandbocks.py`.", ["sandbocks.py"]),
        ("```bash\npytest -q tests/nowhere.py -k a\n```\n", ["tests/nowhere.py"]),
        ("`papertrail.clams` runs `papertrail.claims.Odd`.", ["papertrail.clams", "papertrail.claims.Odd"]),
        ("```bash\n.venv/bin/python -m papertrail.figures\n```\n", ["-m papertrail.figures"]),
        ("`.venv/bin/python -m papertrail.claims --record no-such-row`", ["row no-such-row"]),
        ("Use `make book`, `sandbox.py`, `(B, T, d_model)`, `papertrail.css`, `lab/` and `papertrail.claims`.", []),
    ],
)  # fmt: skip
def test_what_is_not_there_is_found(text, found, root):
    assert missing(root, text) == found


@pytest.fixture
def contributing(root):
    return (root / "CONTRIBUTING.md").read_text(encoding="utf-8")


def examples(text):
    """(file, code) of each example of the two step-by-step sections: the file is the last one named before it."""
    steps = text.split("## Your first claim")[1].split("## What else moves")[0]
    for said, kind, code in re.findall(r"(?ms)(.*?)^```(\w+)\n(.*?)^```", steps):
        if kind in ("python", "yaml", "markdown"):
            yield [path for path in paths_in(code_of(said)) if "/" in path or path.endswith(".py")], code


def written(path):
    """A file's text; of a notebook, what its cells say."""
    text = path.read_text(encoding="utf-8")
    return (
        "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        if path.suffix == ".ipynb"
        else text
    )


def test_each_example_stands_in_a_file_that_is_named_before_it(root, contributing):
    seen, found = [], 0
    for named, code in examples(contributing):
        seen += [name for name in named if (root / name).is_file()]
        assert any(code.strip("\n") in written(root / name) for name in seen), f"nowhere in {seen}:\n{code}"
        found += 1
    assert found == 8


def test_the_example_of_a_claim_is_one_row_all_the_way(contributing):
    codes = [code for _, code in examples(contributing)]
    (name,) = re.findall(r"^- id: (\S+)", "\n".join(codes), flags=re.MULTILINE)
    row = next(row for row in claims.load() if row.id == name)
    assert (
        f"def {row.check.split(':')[1]}(" in codes[0]
        and f'"{name}": ' in codes[2]
        and f"`{name}`" in codes[3]
    )
    printed = contributing.split("--record " + name)[1].split("```text\n")[1].split("```")[0]
    assert printed.splitlines()[0].split() == [name, row.verdict, "agrees"]
    assert dedent(printed.splitlines()[1]) == row.sentence(claims.load_evidence()[name])


def test_links_inside_lead_to_a_heading_and_others_to_a_file(root, contributing):
    headings = re.findall(r"^#+ (.*)", contributing, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)\s]+)\)", contributing)
    assert len(links) > 5
    for link in links:
        assert link[1:] in slugs if link.startswith("#") else (root / link).is_file(), link
