"""Chapter 1: where the norm goes, in the paper's figure, in its code, and in any model you call it with."""

from typing import Any

from papertrail.architecture_diagram.comparison import Comparison, compare
from papertrail.architecture_diagram.inspector import inspect_model
from papertrail.architecture_diagram.sublayer import Rule
from papertrail.architecture_diagram.trace import Report, Stack

__all__ = [
    "Comparison",
    "Report",
    "Rule",
    "Stack",
    "compare",
    "draw_block",
    "draw_comparison",
    "inspect_model",
]


def __getattr__(name: str) -> Any:
    """The drawings, imported when asked for: matplotlib takes longer to import than most models to inspect."""
    if name in ("draw_block", "draw_comparison"):
        from papertrail.architecture_diagram import diagrams

        return getattr(diagrams, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
