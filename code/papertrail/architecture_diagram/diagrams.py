"""Diagrams of blocks, drawn from what the inspector found in a running model, and from nothing else.

The residual stream is the spine. Branches leave it to the side and come back to it in a sum; norms stand where
they are.
"""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from papertrail import figures as look
from papertrail.architecture_diagram.comparison import Comparison, compare, remarks
from papertrail.architecture_diagram.history import REVISIONS, Revision
from papertrail.architecture_diagram.measurements import PUBLISHED, trace_rule
from papertrail.architecture_diagram.sublayer import Rule
from papertrail.architecture_diagram.trace import PLACEMENT_WORDS, Report, Stack, Trace
from papertrail.figures import Drawing

BOX_HEIGHT, STEP = 19.0, 28.0  # points
LINE, MARGIN, WRAP = 15.0, 10.0, 56
TRUNK_WIDTH = 46.0
FACES = {
    "norm": (look.PALE_ORANGE, look.ORANGE),
    "dropout": (look.PAPER, look.MUTED),
    "scale": (look.PALE_GREEN, look.GREEN),
    "gate": (look.PALE_GREEN, look.GREEN),
    "f": (look.PALE_BLUE, look.BLUE),
}


@dataclass(frozen=True)
class Layout:
    """Where a column's parts lie, in points from its left edge: the spine, and the branches' middles."""

    width: float
    spine: float
    branches: tuple[float, ...]
    box: float


HALF = Layout(172.8, 30.0, (112.0,), 96.0)
FULL = Layout(345.6, 60.0, (172.0, 282.0), 100.0)


def _full(stack: Stack) -> Layout:
    """A column of the figure's width, with room for the block's parallel branches."""
    most = max(len(trace.branches) for trace in stack.block)
    if most <= len(FULL.branches):
        return FULL
    pitch = 282.0 / most
    return Layout(345.6, 32.0, tuple(60.0 + pitch * (i + 0.5) for i in range(most)), pitch - 10.0)


class _Pen:
    """Draws one column from bottom to top."""

    def __init__(self, ax: Axes, layout: Layout, left: float, bottom: float, marks: frozenset) -> None:
        self.ax, self.layout, self.y, self.marks = ax, layout, bottom, marks
        self.left, self.spine = left, left + layout.spine

    def line(
        self, *points: tuple[float, float], color: str = look.MUTED, width: float = 1.4, **style: Any
    ) -> None:
        xs, ys = zip(*points, strict=True)
        self.ax.plot(xs, ys, color=color, linewidth=width, zorder=1, solid_capstyle="round", **style)

    def box(self, x: float, y: float, width: float, kind: str, label: str, marked: bool = False) -> None:
        fill, edge = FACES[kind]
        shape: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=3", "zorder": 3}
        corner = (x - width / 2, y - BOX_HEIGHT / 2)
        self.ax.add_patch(
            FancyBboxPatch(corner, width, BOX_HEIGHT, facecolor=fill, edgecolor=edge, linewidth=1.4, **shape)
        )
        if marked:
            self.ax.add_patch(
                FancyBboxPatch(
                    (corner[0] - 3, corner[1] - 3), width + 6, BOX_HEIGHT + 6, facecolor="none",
                    edgecolor=look.PURPLE, linewidth=1.6, linestyle=(0, (3, 2)), **shape,
                )
            )  # fmt: skip
        color = look.INK if kind == "dropout" else edge
        self.ax.text(x, y, label, ha="center", va="center_baseline", color=color, zorder=4)

    def on_spine(self, place: tuple, steps: Iterable[str]) -> None:
        for step in steps:
            self.box(
                self.spine, self.y + STEP / 2, TRUNK_WIDTH, step, _label(step), (*place, step) in self.marks
            )
            self.y += STEP

    def sum(self, index: int, trace: Trace) -> None:
        """One residual sum with its branches."""
        start = self.y
        self.on_spine((index, "lead"), trace.lead)
        split = self.y + 8.0
        self.ax.add_patch(Circle((self.spine, split), 2.2, facecolor=look.INK, edgecolor=look.INK, zorder=3))
        first = split + STEP / 2 + 4.0
        centers = [self.left + x for x in self.layout.branches]
        columns = [(*b.before, None, *b.after) for b in trace.branches]
        height = max(map(len, columns)) * STEP
        join = first + height - 4.0
        for branch, center in zip(trace.branches, centers, strict=False):
            steps = (
                [(s, "before") for s in branch.before] + [("f", "")] + [(s, "after") for s in branch.after]
            )
            for i, (step, place) in enumerate(steps):
                label = branch.kind if step == "f" else _label(step)
                marked = (index, place, step) in self.marks or (
                    step == "f" and bool({(index, "parallel"), (index, "branch", branch.kind)} & self.marks)
                )
                self.box(center, first + i * STEP, self.layout.box, step, label, marked)
            self.line((self.spine, split), (center, split), (center, join), (self.spine + 7, join))
        self.y = split + 4.0
        skip_start = self.y
        self.on_spine((index, "skip"), trace.skip)
        join = max(join, skip_start + len(trace.skip) * STEP + 8.0)
        ring = {"facecolor": look.PAPER, "edgecolor": look.INK, "linewidth": 1.4, "zorder": 3}
        self.ax.add_patch(Circle((self.spine, join), 7.0, **ring))
        self.ax.text(
            self.spine, join, "+", ha="center", va="center_baseline", color=look.INK, zorder=4, fontsize=11
        )
        if trace.notes:
            away = self.spine - 20
            self.line((self.spine, start + 3), (away, start + 3), (away, join), (self.spine - 7, join),
                      color=look.PURPLE, width=1.8, linestyle=(0, (3, 2)))  # fmt: skip
        self.y = join + 7.0
        self.on_spine((index, "trunk"), trace.trunk)
        self.y += 6.0
        self.line((self.spine, start), (self.spine, self.y), color=look.INK, width=2.2)

    def final_norm(self) -> None:
        self.line((self.spine, self.y), (self.spine, self.y + 16), color=look.INK)
        self.ax.text(
            self.spine + 7, self.y + 7, "…after the last block", va="center_baseline", color=look.MUTED
        )
        marked = ("final", "norm") in self.marks
        self.box(self.spine, self.y + 16 + BOX_HEIGHT / 2, TRUNK_WIDTH, "norm", "norm", marked)
        self.y += 16 + BOX_HEIGHT
        self.line((self.spine, self.y), (self.spine, self.y + 8), color=look.INK, width=2.2)
        self.y += 8


def _label(step: str) -> str:
    return {"scale": "× a", "gate": "× gate"}.get(step, step)


def _draw_stack(
    ax: Axes,
    stack: Stack,
    layout: Layout,
    left: float = 0.0,
    bottom: float = 8.0,
    marks: frozenset = frozenset(),
) -> float:
    """Draw a stack's first block and its final norm; returns the height reached, in points."""
    pen = _Pen(ax, layout, left, bottom, marks)
    for i, trace in enumerate(stack.block):
        pen.sum(i, trace)
    if stack.final_norm:
        pen.final_norm()
    return pen.y


def _blank() -> tuple[Figure, Axes]:
    """A figure whose data coordinates are points; its height is set when all is drawn."""
    fig, ax = look.new_figure(1.0)
    fig.set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.set_xlim(0, look.WIDTH * 72)
    ax.axis("off")
    return fig, ax


Line = tuple[str, str, str]  # text, color, weight


def _finish(fig: Figure, ax: Axes, reached: float, lines: list[Line], least: float = 0.0) -> None:
    """Put lines of text above what was drawn, and cut the figure to size."""
    lines = [
        (part, color, weight) for text, color, weight in lines
        for part in textwrap.wrap(text, WRAP, break_on_hyphens=False)
    ]  # fmt: skip
    height = max(reached + 12 + LINE * len(lines) + 8, least)
    for i, (text, color, weight) in enumerate(lines):
        ax.text(MARGIN, height - 16 - LINE * i, text, color=color, weight=weight)
    fig.set_size_inches(look.WIDTH, height / 72)
    ax.set_ylim(0, height)


@look.styled
def draw_block(report: Report | Stack, stack: int = 0) -> Drawing:
    """The first block of a stack, with the norm that follows the last one: figure and alternative text.

    Args:
        report: what `inspect_model` returned, or one of its stacks.
        stack: which stack of the report, from 0.

    Raises:
        IndexError: the report has no such stack.
    """
    stacks = report.stacks if isinstance(report, Report) else (report,)
    if not 0 <= stack < len(stacks):
        raise IndexError(f"stack: got {stack}; allowed are 0 to {len(stacks) - 1}")
    chosen = stacks[stack]
    fig, ax = _blank()
    reached = _draw_stack(ax, chosen, _full(chosen))
    where = f", stack {stack + 1} of {len(stacks)}" if len(stacks) > 1 else ""
    blocks = f"{chosen.num_blocks} block{'s' if chosen.num_blocks > 1 else ''}"
    lines = [
        (PLACEMENT_WORDS[chosen.placement], look.INK, "bold"),
        (f"{blocks}{where}, norm: {chosen.norm}", look.INK, "normal"),
    ]
    formulas = dict.fromkeys(f"x becomes {trace.formula}" for trace in chosen.block)
    lines += [(formula, look.INK, "normal") for formula in formulas]
    besides = dict.fromkeys(text for trace in chosen.block for text in remarks(trace))
    lines += [(text, look.PURPLE, "bold") for text in besides]
    words = chosen.words
    words += "".join(f". Besides, {text}" for text in besides if text not in words)
    if any(block != chosen.block for block in chosen.blocks):
        lines.append(("Drawn is the first block; others differ from it.", look.MUTED, "normal"))
        words += ". This is the first block; others differ from it"
    _finish(fig, ax, reached, lines)
    return fig, f"{PLACEMENT_WORDS[chosen.placement]}: {blocks}{where}, norm: {chosen.norm}. {words}."


def _draw_pair(ax: Axes, comparison: Comparison, titles: tuple[str, str]) -> float:
    """Declared on the left, traced on the right, differences ringed; returns the height reached.

    Parallel branches need the figure's width, and then declared stands above traced.
    """
    left, right = comparison.declared, comparison.traced
    above = any(trace.parallel for stack in (left, right) for trace in stack.block)
    if above:
        middle = _draw_stack(ax, right, _full(right), marks=comparison.traced_marks) + 36
        reached = _draw_stack(ax, left, _full(left), bottom=middle, marks=comparison.declared_marks)
        ax.plot([MARGIN, look.WIDTH * 72 - MARGIN], [middle - 8] * 2, color=look.GRID, linewidth=1.4)
        corners = ((0.0, reached + 12), (0.0, middle - 24))
    else:
        reached = max(
            _draw_stack(ax, left, HALF, marks=comparison.declared_marks),
            _draw_stack(ax, right, HALF, left=HALF.width, marks=comparison.traced_marks),
        )
        ax.plot([HALF.width] * 2, [8, reached + 22], color=look.GRID, linewidth=1.4)
        corners = ((0.0, reached + 12), (HALF.width, reached + 12))
    for title, (start, y) in zip(titles, corners, strict=True):
        ax.text(MARGIN + start, y, title, color=look.INK, weight="bold")
    return reached + 22


@look.styled
def draw_comparison(comparison: Comparison, titles: tuple[str, str] = ("Declared", "Traced")) -> Drawing:
    """Declared and traced block side by side, with every step that differs in a dashed ring."""
    fig, ax = _blank()
    reached = _draw_pair(ax, comparison, titles)
    if comparison.agrees:
        lines = [("As declared.", look.GREEN, "bold")]
    else:
        lines = [("Not as declared:", look.ORANGE, "bold")]
        lines += [(difference, look.INK, "normal") for difference in comparison.differences]
    _finish(fig, ax, reached, lines)
    verdict = " ".join(text for text, _, _ in lines)
    return fig, (
        f"{verdict} {titles[0]}: {comparison.declared.words}. {titles[1]}: {comparison.traced.words}."
    )


@look.styled
def draw_revision(revision: Revision) -> Drawing:
    """The published order beside the code of one date, both traced; what changed that day is said in words."""
    comparison = compare(trace_rule(PUBLISHED), trace_rule(revision.rule))
    release = f", first in {revision.release}" if revision.release else ""
    day = f"{revision.date.day} {revision.date:%B %Y}"
    verdict = "Same order as Figure 1." if comparison.agrees else "No longer the order of Figure 1."
    if not revision.is_default:
        verdict = f"On request, and not by default: {'the same' if comparison.agrees else 'another'} order."
    fig, ax = _blank()
    reached = _draw_pair(ax, comparison, ("Published, 2017", "The code that day"))
    lines = [
        (f"{day}: commit {revision.commits[-1]}{release}", look.INK, "bold"),
        (f"{revision.configuration}, rule {revision.rule} ({revision.rule.name})", look.INK, "normal"),
        (f"x becomes {comparison.traced.block[0].formula}", look.INK, "normal"),
        (verdict, look.GREEN if comparison.agrees else look.ORANGE, "bold"),
        (revision.change, look.INK, "normal"),
    ]
    _finish(fig, ax, reached, lines, least=452.0)  # one height for all dates, so that nothing jumps
    alt = (
        f"{day}, {revision.configuration} at commit {revision.commits[-1]}{release}, rule {revision.rule} "
        f"({revision.rule.name}). {verdict} "
        f"{revision.change} Published: {comparison.declared.words}. Code: {comparison.traced.words}."
    )
    return fig, alt


def timeline_frames() -> list[tuple[str, Revision]]:
    """The dated frames of the moving figure; the opt-in set has a frame of its own."""
    frames = []
    for revision in REVISIONS:
        label = f"{revision.date.day} {revision.date:%b %Y}"
        frames.append((label if revision.is_default else f"{label}, opt-in", revision))
    return frames


@look.styled
def draw_rule(rule: Rule) -> Drawing:
    """One rule of the two-string language: its formula and its diagram, both from the trace."""
    stack = trace_rule(rule)
    fig, ax = _blank()
    reached = _draw_stack(ax, stack, FULL)
    on_path = stack.block[0].norms_on_the_main_path
    says = "passes a norm in every sub-layer" if on_path else "is never normalized between layers"
    formula = f"x becomes {stack.block[0].formula}"
    lines = [
        (f"{rule}: {rule.name}", look.INK, "bold"),
        (formula, look.INK, "normal"),
        (f"The main path {says}.", look.ORANGE if on_path else look.GREEN, "bold"),
    ]
    _finish(fig, ax, reached, lines)
    return fig, f"Rule {rule}, {rule.name}: {formula}. The main path {says}. {stack.words}."


def rule_frames() -> list[tuple[str, Rule]]:
    """The six rules of the language that have a name."""
    strings = (("none", "dan"), ("n", "da"), ("none", "dna"), ("n", "dna"), ("n", "dan"), ("none", "da"))
    return [(str(rule), rule) for rule in (Rule(*pair) for pair in strings)]
