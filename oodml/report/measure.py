"""How wide a label is in a figure."""

from __future__ import annotations

from typing import Any


def width(label: str, size: float = 9) -> float:
    """Width of a label in inches.

    Args:
        label: Text on one line, taken literally (a "$" does not start a formula).
        size: Type size in points.
    """
    from matplotlib.backends import backend_agg
    from matplotlib.font_manager import FontProperties

    agg: Any = backend_agg  # has no types of its own
    renderer = agg.RendererAgg(8, 8, 72)
    return float(renderer.get_text_width_height_descent(label, FontProperties(size=size), ismath=False)[0]) / 72
