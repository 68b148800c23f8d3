"""The house in one picture: which package uses which, drawn from the imports as they stand in the source."""

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from papertrail.site_timeline import chapters_of

PACKAGE = Path(__file__).parent
SHARED = ("figures", "experiments", "claims", "coursework", "site")  # what is no chapter, from top to bottom
ROW, TOP, BOX = 66, 46, 46  # of the drawing: from box to box, above the first, a box's height
LEFT, WIDTH, RIGHT, NARROW, EDGE = 60, 200, 390, 128, 520
Uses = dict[str, set[str]]


def room_of(module: str) -> str | None:
    """The room of a module, "papertrail.gopher.depth" -> "gopher"; None for what the picture leaves out."""
    parts = module.split(".")
    if parts[0] != "papertrail" or len(parts) < 2:
        return None
    if parts[1].startswith("site") or parts[1] in ("recorded_page", "class_costs_site", "speed_tables"):
        return "site"
    return parts[1]


def imported(tree: ast.Module) -> set[str]:
    """The modules of papertrail that a module imports, wherever in it."""
    found: set[str] = set()
    statements: list[ast.AST] = list(tree.body)
    while statements:  # expressions hold no imports, so only statements are looked into
        node = statements.pop()
        statements += [
            one for one in ast.iter_child_nodes(node) if isinstance(one, ast.stmt | ast.excepthandler)
        ]
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = (
                {f"{node.module}.{one.name}" for one in node.names} if node.module == "papertrail" else set()
            )
            found |= names or {node.module}
    return {one for one in found if one.startswith("papertrail.")}


def read_house(package: Path = PACKAGE) -> tuple[Uses, dict[str, int]]:
    """Which room uses which others, and how many modules each has."""
    uses: defaultdict[str, set[str]] = defaultdict(set)
    sizes: defaultdict[str, int] = defaultdict(int)
    for path in sorted(package.rglob("*.py")):
        module = ".".join(("papertrail", *path.relative_to(package).with_suffix("").parts))
        room = room_of(module)
        if room is None or path.name == "__init__.py" and path.parent == package:
            continue
        sizes[room] += 1
        found = {room_of(one) for one in imported(ast.parse(path.read_text(encoding="utf-8")))}
        uses[room] |= {other for other in found if other is not None and other != room}
    return dict(uses), dict(sizes)


def box(x: float, y: float, width: float, name: str, below: str, kind: str) -> str:
    """A room as a box of SVG: its name, and a line below it."""
    return (
        f'<rect class="pt-house-{kind}" x="{x}" y="{y}" width="{width}" height="{BOX}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 20}" font-weight="600">{name}</text>'
        f'<text x="{x + 10}" y="{y + 38}" class="pt-house-note">{below}</text>'
    )


def draw_house(uses: Mapping[str, set[str]], sizes: Mapping[str, int], chapters: Sequence[str]) -> str:
    """The rooms as an SVG: chapters on the left in their order, what they share on the right, a line for each use."""
    left: dict[str, float] = {name: TOP + ROW * place for place, name in enumerate(chapters)}
    step = ROW * (len(chapters) - 1) / (len(SHARED) - 1)
    right = {name: TOP + step * place for place, name in enumerate(SHARED)}
    lines, boxes = [], []
    for name, y in left.items():
        for other in sorted(uses.get(name, ())):
            if other in right:
                start, end = y + BOX / 2, right[other] + BOX / 2
                lines.append(f'<path d="M{LEFT + WIDTH} {start} L{RIGHT - 7} {end:g}"/>')
            elif other in left:
                start, end = y + BOX / 2 - 6, left[other] + BOX / 2 + 6
                bend = LEFT - 18 - 14 * abs(chapters.index(name) - chapters.index(other)) / 2
                lines.append(f'<path d="M{LEFT} {start} C{bend} {start} {bend} {end} {LEFT - 7} {end}"/>')
    for name, y in right.items():
        for other in sorted(uses.get(name, ())):
            if other in right:
                start, end = y + BOX / 2, right[other] + BOX / 2
                x = RIGHT + NARROW
                lines.append(
                    f'<path d="M{x} {start:g} C{x + 22} {start:g} {x + 22} {end:g} {x + 7} {end:g}"/>'
                )
    for place, (name, y) in enumerate(left.items(), 1):
        boxes.append(box(LEFT, y, WIDTH, f"{place} {name}", f"notebook, {sizes[name]} modules", "chapter"))
    for name, y in right.items():
        count = f"{sizes[name]} modules" if sizes[name] > 1 else "1 module"
        boxes.append(box(RIGHT, round(y, 1), NARROW, name, count, "shared"))
    height = TOP + ROW * len(chapters)
    return (
        f'<svg viewBox="0 0 {EDGE + 30} {height}" role="img" aria-label="{alt_text(uses, chapters)}" '
        'font-family="sans-serif" font-size="15"><defs><marker id="pt-house-end" viewBox="0 0 8 8" refX="1" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto"><path class="pt-house-head" d="M0 0 L8 4 L0 8 z"/></marker>'
        "</defs>"
        f'<text x="{LEFT}" y="26">chapters</text><text x="{RIGHT}" y="26">shared</text>'
        f'<g class="pt-house-lines">{"".join(lines)}</g>{"".join(boxes)}</svg>'
    )


def listed(names: Sequence[str]) -> str:
    """a, b and c"""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def alt_text(uses: Mapping[str, set[str]], chapters: Sequence[str]) -> str:
    """The picture in words: who uses whom."""
    rooms = [*chapters, *SHARED]
    told = [(name, [other for other in rooms if other in uses.get(name, ())]) for name in rooms]
    return "Which package uses which. " + " ".join(
        f"{name} uses {listed(others)}." if others else f"{name} uses none of the others."
        for name, others in told
    )


class HouseDirective(SphinxDirective):
    """`{house}`: the picture, from the imports of the day."""

    def run(self) -> list[nodes.Node]:
        """The picture, drawn anew whenever a module changes."""
        for path in sorted(PACKAGE.rglob("*.py")):
            self.env.note_dependency(str(path))
        try:
            chapters = chapters_of(Path(self.env.srcdir) / "_toc.yml")
            text = draw_house(*read_house(), chapters)
        except (KeyError, yaml.YAMLError) as error:
            raise self.error(f"house: _toc.yml names a chapter that is no package: {error}") from None
        return [nodes.raw("", f'<div class="pt-figure pt-house">{text}</div>', format="html")]


def register(app: Sphinx) -> None:
    """Let pages show the house."""
    app.add_directive("house", HouseDirective)
