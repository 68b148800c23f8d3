"""One look for all figures, and the moving figure that works with and without a kernel.

Every figure leaves a cell as inline SVG whose colors are CSS variables with a light fallback, so that one
picture serves light pages, dark pages and JupyterLab. Palette: Okabe & Ito's hues, darkened or lightened
until text in them has a contrast of at least 4.5 to 1 on the card.
"""

import hashlib
import html
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

from papertrail.durations import spell

INK, MUTED, PAPER, GRID = "#1f2328", "#57606a", "#fffffe", "#d0d7de"
BLUE, ORANGE, GREEN, PURPLE = "#0067a3", "#a84300", "#006b47", "#8a3b7c"
PALE_BLUE, PALE_ORANGE, PALE_GREEN = "#dbeefa", "#fbe8da", "#d9f2e6"

ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")

CSS_NAMES = {
    INK: "ink", MUTED: "muted", PAPER: "paper", GRID: "grid", BLUE: "blue", ORANGE: "orange", GREEN: "green",
    PURPLE: "purple", PALE_BLUE: "pale-blue", PALE_ORANGE: "pale-orange", PALE_GREEN: "pale-green",
}  # fmt: skip

WIDTH = (
    4.8  # inches; at 390 CSS pixels of screen this shrinks to about 0.77, so 9.5 pt text stays above 9 pixels
)
MAX_FRAMES = 12
FONT_POINTS = 9.5

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be selected, searched and read aloud
    "svg.hashsalt": "papertrail",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": FONT_POINTS,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.labelsize": FONT_POINTS,
    "xtick.labelsize": FONT_POINTS,
    "ytick.labelsize": FONT_POINTS,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2.0,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PURPLE]),
}


# `@styled` gives a function the course's look, and leaves the reader's own plots alone.
styled = matplotlib.rc_context(STYLE)


@styled
def new_figure(height: float = 3.0, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of the course's width with `columns` axes side by side; `height` in inches.

    Made without pyplot, so that the notebook's own plotting backend is left alone.
    """
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    return fig, fig.subplots(1, columns, **options)


def headline(fig: Figure, text: str) -> None:
    """A title over the whole figure, at its left edge: for several axes, or one whose labels need much room."""
    fig.suptitle(text, fontsize=10.5, fontweight="bold", x=0.02, ha="left")


def band(
    ax: Any, xs: Sequence[float], rows: Sequence[Sequence[float]], color: str, **line: Any
) -> list[float]:
    """Draw the median over seeds as a line and the range over seeds as a band; returns the median.

    Args:
        rows: one list of values for each seed, as long as `xs`.
        line: passed on to the line, such as linestyle="--".
    """
    columns = list(zip(*rows, strict=True))
    middle = [median(column) for column in columns]
    ax.fill_between(
        xs, [min(c) for c in columns], [max(c) for c in columns], color=color, alpha=0.2, linewidth=0
    )
    ax.plot(xs, middle, color=color, **line)
    return middle


@styled
def to_svg(fig: Figure, alt: str, prefix: str | None = None) -> str:
    """The figure as one inline `<svg>` element, named by `alt`, its ids starting with `prefix`.

    Without a prefix one is made from `alt`, so that ids stay unique among the figures of a page.

    The bytes depend on the figure alone: no date, fixed hash salt, coordinates to a tenth of a point.

    Raises:
        ValueError: `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("alt: is empty; say in a sentence what the figure shows")
    prefix = prefix or f"f{hashlib.sha256(alt.encode()).hexdigest()[:8]}"
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for element in list(root):
        if element.tag.endswith("metadata"):
            root.remove(element)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _portable(key, value, prefix))
    for key in ("width", "height"):  # the page decides how wide it is; viewBox keeps the proportions
        root.attrib.pop(key, None)
    root.attrib = {"role": "img", "aria-label": alt, **root.attrib}
    return re.sub(r"\n\s*", "\n", ElementTree.tostring(root, encoding="unicode")).strip()


def to_svg_file(fig: Figure, alt: str, width: int = 520) -> str:
    """The figure as an SVG file that stands alone: a size in pixels, colors and fonts without a page's variables.

    Raises:
        ValueError: `alt` is empty.
    """
    text = re.sub(r"var\(--[\w-]+, ([^()]+)\)", r"\1", to_svg(fig, alt, prefix="figure"))
    return text.replace("<svg ", f'<svg width="{width}" ', 1) + "\n"


def _portable(key: str, value: str, prefix: str) -> str:
    """One attribute with ids prefixed, coordinates shortened, colors as CSS variables and the page's own font."""
    if key == "id":
        return f"{prefix}-{value}"
    if key.endswith("href") and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    value = value.replace("url(#", f"url(#{prefix}-")  # clip paths and hatches
    if key in ("d", "x", "y", "transform", "points"):
        return re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number.group()):.1f}", value)
    if key == "style":
        for color, name in CSS_NAMES.items():
            value = value.replace(color, f"var(--pt-{name}, {color})")
        return re.sub(r"'DejaVu Sans', sans-serif", "var(--pst-font-family-base, sans-serif)", value)
    return value


def show(fig: Figure, alt: str, *, recorded: str = "") -> None:
    """Display a figure with its alternative text (the only place where that text is written).

    The site takes the HTML face; JupyterLab, GitHub and printing take the SVG. A plain script gets the text.

    Args:
        recorded: the records that it is drawn from, as "chapter.name", with spaces between several. A line below
            the figure then says so.

    Raises:
        ValueError: `alt` is empty.
        FileNotFoundError: there is no such record.
    """
    from IPython import get_ipython
    from IPython.display import display

    svg = to_svg(fig, alt)
    if get_ipython() is None:  # a plain script has nowhere to show a picture
        print(f"Figure: {alt}")
        return
    bundle = {
        "text/html": f'<figure class="pt-figure">{svg}</figure>',
        "image/svg+xml": svg,
        "text/plain": f"Figure: {alt}",
    }
    display(bundle, raw=True, metadata={"papertrail": {"alt": alt}})
    _show_records(recorded)


def _show_records(names: str) -> None:
    """A line for each record: that this was recorded, when, on what, for how long, and how to make it again."""
    from IPython.display import display

    from papertrail.experiments import load_file

    for name in names.split():
        record = load_file(*name.split("."))
        took = spell(record["cpu_seconds"])
        said = f"Recorded {record['date']} on {record['machine'].split(',')[0]}, {took} of one core, by "
        command = f"<code>{html.escape(record['command'])}</code>"
        face = f'<p class="pt-recorded">{html.escape(said)}{command}</p>'
        display({"text/html": face, "text/plain": said + record["command"]}, raw=True)


def show_table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], *, sortable: bool = False, recorded: str = ""
) -> None:
    """Display a small table as real table cells, with aligned text beside it for terminals and for nbval.

    Args:
        sortable: for a long table. The site's script makes its headings buttons that sort, and the table scrolls
            under its headings. Without scripts it is a plain table.
        recorded: as for `show`.

    Raises:
        ValueError: a row's length differs from the header's.
    """
    from IPython.display import display

    rows = [[str(cell) for cell in row] for row in rows]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"rows: {row!r} has {len(row)} cells, but the header has {len(header)}")
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    plain = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (header, *rows)
    )
    cells = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>\n" for row in rows)
    kind, frame = (" pt-sortable", " pt-tall") if sortable else ("", "")
    table = (
        f'<table class="table pt-table{kind}"><thead><tr>{cells}</tr></thead>\n<tbody>{body}</tbody></table>'
    )
    name = html.escape(f"Table: {', '.join(header)}")
    face = f'<div class="pt-scroll{frame}" tabindex="0" role="region" aria-label="{name}">{table}</div>'
    display({"text/html": face, "text/plain": plain}, raw=True)
    _show_records(recorded)


Drawing = tuple[Figure, str]  # a figure and its alternative text


def moving_figure(
    draw: Callable[[Any], Drawing],
    frames: Sequence[tuple[str, Any]],
    *,
    name: str,
    question: str,
    recorded: str = "",
) -> None:
    """Display one figure for each of a few settings, with a control that chooses among them.

    With a kernel the control is an ipywidgets slider, and each move calls `draw` again. Without one (the
    rendered site, scripts on or off) it is a native radio group over the same drawings, switched by style
    sheet alone.

    Args:
        draw: gives the figure and its alternative text for one setting.
        frames: pairs of a short label and the setting handed to `draw`; 2 to 12 of them, labels unique.
        name: an identifier, unique on the page: lower-case letters, digits and hyphens.
        question: what moving the control answers; it becomes the group's legend.
        recorded: as for `show`.

    Raises:
        ValueError: too few or too many frames, a frame that is no pair, a repeated label, an empty `question`,
            or a malformed `name`.
    """
    import ipywidgets
    from IPython.display import display

    face = moving_html(draw, frames, name=name, question=question)
    labels = [label for label, _ in frames]
    picture = ipywidgets.HTML()
    slider = ipywidgets.SelectionSlider(
        options=labels, description="Frame", layout={"width": "90%"}, continuous_update=False
    )

    def move(change: dict[str, Any]) -> None:
        fig, alt = draw(dict(frames)[change["new"]])
        picture.value = f'<div style="max-width: 640px">{to_svg(fig, alt, prefix=f"{name}-live")}</div>'

    slider.observe(move, names="value")
    move({"new": labels[0]})
    view = ipywidgets.VBox([ipywidgets.HTML(f"<b>{html.escape(question)}</b>"), slider, picture])
    bundle = {
        "text/html": face,
        "application/vnd.jupyter.widget-view+json": {
            "version_major": 2, "version_minor": 0, "model_id": view.model_id,
        },
        "text/plain": f"Moving figure, {len(frames)} frames: {question} ({', '.join(labels)})",
    }  # fmt: skip
    display(bundle, raw=True)
    _show_records(recorded)


def moving_html(
    draw: Callable[[Any], Drawing], frames: Sequence[tuple[str, Any]], *, name: str, question: str
) -> str:
    """The kernel-free face of `moving_figure`: a fieldset of radio buttons followed by one figure for each.

    Raises:
        ValueError: as `moving_figure`.
    """
    for frame in frames:
        if not (isinstance(frame, tuple) and len(frame) == 2 and isinstance(frame[0], str)):
            raise ValueError(f"frames: got {frame!r}; each must be a pair of a label and a setting")
    labels = [label for label, _ in frames]
    if not question.strip():
        raise ValueError("question: is empty; say what moving the control answers")
    if not 2 <= len(frames) <= MAX_FRAMES:
        raise ValueError(f"frames: {len(frames)} given, but 2 to {MAX_FRAMES} are allowed")
    if len(set(labels)) != len(labels):
        raise ValueError(f"frames: labels must be unique, got {labels}")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"name: {name!r} given, but only lower-case letters, digits and hyphens are allowed")
    controls, pictures = [], []
    for i, (label, setting) in enumerate(frames):
        fig, alt = draw(setting)
        svg = to_svg(fig, alt, prefix=f"{name}-{i}")
        first = i == 0
        controls.append(
            f'<input type="radio" name="{name}" id="{name}-step-{i}"{" checked" if first else ""}>'
            f'<label for="{name}-step-{i}">{html.escape(label)}</label>'
        )
        pictures.append(f'<figure class="pt-figure pt-frame"{"" if first else " hidden"}>{svg}</figure>')
    return (
        f'<fieldset class="pt-moving"><legend>{html.escape(question)}</legend>\n'
        + "\n".join(controls + pictures)
        + "\n</fieldset>"
    )
