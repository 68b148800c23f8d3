"""Durations and counts for people."""


def spell(seconds: float) -> str:
    """A duration with the unit that fits, and no more digits than a forecast needs: 45 s, 12 min, 2.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def count(number: int, thing: str) -> str:
    """1 cell, 2 cells, 2 processes."""
    return f"{number} {thing}{'' if number == 1 else 'es' if thing.endswith('s') else 's'}"
