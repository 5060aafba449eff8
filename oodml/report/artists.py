"""Pieces of figures that matplotlib lacks. Imports matplotlib: for use inside functions only."""

from __future__ import annotations

from typing import Any

from matplotlib.lines import Line2D


class SeriesLine(Line2D):
    """A line inside one more group of the SVG: `line-<series>` in `m<series>-curve`.

    A script finds everything that belongs to a method by the start `m<series>-`, and its line by name.

    Args:
        series: Number of the method.
        **style: As for Line2D.
    """

    def __init__(self, x: Any, y: Any, series: int, **style: Any) -> None:
        super().__init__(x, y, **style)
        self.series = series
        self.set_gid(f"line-{series}")

    def draw(self, renderer: Any) -> None:
        """Draws the line and its markers."""
        renderer.open_group("method", gid=f"m{self.series}-curve")
        super().draw(renderer)
        renderer.close_group("method")
