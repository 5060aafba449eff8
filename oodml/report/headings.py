"""The line above a figure that says what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodml.report.measure import width
from oodml.report.style import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EDGE, SIZE, BOLD = 0.1, 9.0, 1.16  # inches; points; how much wider bold type is at most
LINE = 0.17  # inches to the second line


def heading(figure: Figure, title: str, theme: Theme, second: str = "") -> None:
    """A title at the upper left edge, smaller where it would not fit, and a quieter line under it.

    Args:
        figure: The figure, in its final size.
        title: Taken literally.
        theme: Light or dark.
        second: The line under it; "" for none.
    """
    wide, tall = (float(side) for side in figure.get_size_inches())
    room = (wide - 2 * EDGE) / BOLD
    size = min(SIZE, SIZE * room / max(width(title, SIZE), 0.01))
    style: dict[str, Any] = {"va": "top", "parse_math": False}
    figure.text(EDGE / wide, 1 - EDGE / tall, title, color=theme.ink, weight="bold", size=size, **style)
    if second:
        figure.text(EDGE / wide, 1 - (EDGE + LINE) / tall, second, color=theme.muted, size=8.5, **style)
