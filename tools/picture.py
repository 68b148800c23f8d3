"""Draw the README's picture with the course's own code: Figure 1 beside the code of 16 October 2017."""

from pathlib import Path

from papertrail.architecture_diagram.diagrams import draw_revision
from papertrail.architecture_diagram.history import REVISIONS
from papertrail.figures import to_svg_file

PICTURE = Path(__file__).resolve().parent.parent / "book" / "_assets" / "figure-1-and-the-code.svg"


def picture() -> str:
    """The SVG's text; it stands alone, so it states a size."""
    moved = next(revision for revision in REVISIONS if "d5bdfcc8" in revision.commits)
    return to_svg_file(*draw_revision(moved))


if __name__ == "__main__":
    temporary = PICTURE.with_suffix(".tmp")
    temporary.write_text(picture(), encoding="utf-8")
    temporary.replace(PICTURE)
