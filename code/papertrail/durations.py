"""Durations for people."""


def spell(seconds: float) -> str:
    """Two digits or three, with the unit that fits: 45 s, 12 min, 2.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
