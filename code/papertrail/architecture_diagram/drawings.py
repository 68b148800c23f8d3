"""Figures of chapter 1. Diagrams are drawn from traces of running modules, curves from `measure_*` results."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch

from papertrail import figures as look
from papertrail.architecture_diagram.history import REVISIONS, Revision
from papertrail.architecture_diagram.trace import Trace, trace_layer
from papertrail.architecture_diagram.transformer import Encoder
from papertrail.figures import Drawing

BOX_HEIGHT, STEP = 19.0, 28.0  # points
BRANCH_WIDTH, TRUNK_WIDTH, COLUMN = 92.0, 46.0, 172.8
SUBLAYER_NAMES = ("self-attention", "feed-forward")
STEP_COLORS = {
    "norm": (look.PALE_ORANGE, look.ORANGE),
    "dropout": (look.PAPER, look.MUTED),
    "f": (look.PALE_BLUE, look.BLUE),
}


@dataclass(frozen=True)
class Diagram:
    """What a drawing of a stack needs: the traces of one layer, and whether a norm follows the last layer."""

    layer: tuple[Trace, ...]
    final_norm: bool

    @property
    def words(self) -> str:
        """The diagram as a sentence, for those who cannot see it."""
        parts = []
        for name, trace in zip(SUBLAYER_NAMES, self.layer):
            inside = ", ".join(name if step == "f" else step for step in trace.branch)
            after = ", then ".join(["the sum with the input", *trace.trunk])
            parts.append(f"{name} branch: {inside}; then {after}" if trace.residual else f"{name}: {inside}")
        return ". ".join(parts) + (". One more norm after the last layer" if self.final_norm else "")


def diagram_of(preprocess: str, postprocess: str) -> Diagram:
    """Build a small encoder with a rule, trace it, and return what there is to draw."""
    encoder = Encoder(1, 8, 1, 8, preprocess, postprocess, dropout=0.1)
    return Diagram(tuple(trace_layer(encoder.layers[0])), final_norm=len(encoder.final.steps) > 0)


def _box(ax: Axes, x: float, y: float, width: float, kind: str, label: str) -> None:
    fill, edge = STEP_COLORS[kind]
    corner = (x - width / 2, y - BOX_HEIGHT / 2)
    shape = {"boxstyle": "round,pad=0,rounding_size=3", "linewidth": 1.4}
    ax.add_patch(FancyBboxPatch(corner, width, BOX_HEIGHT, facecolor=fill, edgecolor=edge, zorder=3, **shape))
    ax.text(x, y, label, ha="center", va="center_baseline", color=edge if kind != "dropout" else look.INK, zorder=4)


def _line(ax: Axes, *points: tuple[float, float], color: str = look.MUTED, width: float = 1.4) -> None:
    xs, ys = zip(*points)
    ax.plot(xs, ys, color=color, linewidth=width, zorder=1, solid_capstyle="round")


def draw_stack(ax: Axes, diagram: Diagram, left: float, bottom: float) -> float:
    """Draw one layer from bottom to top, the residual stream as the spine; returns the height reached, in points."""
    spine, branch = left + 30.0, left + 112.0
    y = bottom
    for name, trace in zip(SUBLAYER_NAMES, diagram.layer):
        split = y + 8.0
        ax.add_patch(Circle((spine, split), 2.2, facecolor=look.INK, edgecolor=look.INK, zorder=3))
        level = split + STEP / 2 + 4.0
        for step in trace.branch:
            _box(ax, branch, level, BRANCH_WIDTH, step, name if step == "f" else step)
            level += STEP
        join = level - 4.0
        _line(ax, (spine, split), (branch, split), (branch, join), (spine + 7, join))
        ax.add_patch(Circle((spine, join), 7.0, facecolor=look.PAPER, edgecolor=look.INK, linewidth=1.4, zorder=3))
        ax.text(spine, join, "+", ha="center", va="center_baseline", color=look.INK, zorder=4, fontsize=11)
        top = join + 7.0
        for step in trace.trunk:
            _box(ax, spine, top + STEP / 2, TRUNK_WIDTH, step, step)
            top += STEP
        top += 6.0
        _line(ax, (spine, y), (spine, top), color=look.INK, width=2.2)
        y = top
    if diagram.final_norm:
        _line(ax, (spine, y), (spine, y + 16), color=look.INK, width=1.4)
        ax.text(spine + 8, y + 7, "…and after the last layer", va="center_baseline", color=look.MUTED)
        _box(ax, spine, y + 16 + BOX_HEIGHT / 2, TRUNK_WIDTH, "norm", "norm")
        y += 16 + BOX_HEIGHT
        _line(ax, (spine, y), (spine, y + 8), color=look.INK, width=2.2)
        y += 8
    return y


def _blank(height: float) -> tuple:
    """A figure whose data coordinates are points."""
    fig, ax = look.new_figure(height / 72)
    fig.set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.set_xlim(0, look.WIDTH * 72)
    ax.set_ylim(0, height)
    ax.axis("off")
    return fig, ax


def draw_revision(revision: Revision) -> Drawing:
    """Figure 1 as published beside the code of one date, both traced; what differs is said in words."""
    published, code = diagram_of("none", "dan"), diagram_of(revision.preprocess, revision.postprocess)
    height = 372.0
    fig, ax = _blank(height)
    release = f", first in {revision.release}" if revision.release else ""
    day = f"{revision.date.day} {revision.date:%B %Y}"
    ax.text(10, height - 16, f"{day}: commit {revision.commits[-1]}{release}", color=look.INK, weight="bold")
    ax.text(10, height - 33, f"{revision.configuration}: rule {revision.rule}", color=look.INK)
    ax.text(10, height - 50, f"{revision.rule.name}: x becomes {revision.rule.formula}", color=look.INK)
    for i, (title, diagram) in enumerate((("The paper's Figure 1", published), ("The code that day", code))):
        ax.text(10 + i * COLUMN, height - 74, title, color=look.INK, weight="bold")
        draw_stack(ax, diagram, i * COLUMN, 8.0)
    _line(ax, (COLUMN, 8), (COLUMN, height - 66), color=look.GRID)
    same = published == code
    alt = (
        f"{day}, {revision.configuration} at commit {revision.commits[-1]}, rule {revision.rule}. The code "
        f"{'agrees with' if same else 'differs from'} Figure 1. Figure 1: {published.words}. Code: {code.words}."
    )
    return fig, alt


def timeline_frames() -> list[tuple[str, Revision]]:
    """The dated frames of the moving figure; the opt-in set has a frame of its own."""
    frames = []
    for revision in REVISIONS:
        label = f"{revision.date.day} {revision.date:%b %Y}"
        frames.append((label if revision.is_default else f"{label}, opt-in", revision))
    return frames
