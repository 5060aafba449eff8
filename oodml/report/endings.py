"""Names of lines where they end: a key and a label at the right edge, tied to the last point by a hairline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oodml.report.charts import Chart, Point
from oodml.report.placing import spread_out
from oodml.report.style import Look, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP, KEY_START, KEY_END, TEXT = 0.175, 0.13, 0.36, 0.42  # inches: between labels, and from the axes to the right


def stroke(look: Look, theme: Theme) -> dict[str, Any]:
    """How matplotlib draws a look."""
    return {
        "color": look.colour,
        "linewidth": 1.5,
        "linestyle": (0, look.dashes) if look.dashes else "-",
        "marker": look.marker,
        "markersize": 5.2,
        "markerfacecolor": theme.page if look.hollow else look.colour,
        "markeredgecolor": look.colour if look.hollow else theme.page,
        "markeredgewidth": 1.0 if look.hollow else 0.6,
    }


def dashed(theme: Theme) -> dict[str, Any]:
    """How matplotlib draws the baseline."""
    return {"color": theme.reference, "linewidth": 1.4, "linestyle": (0, (4, 2))}


def offset(rank: int, count: int) -> float:
    """Inches by which the points of a method stand beside the shift of their level."""
    return (rank - (count - 1) / 2) * min(0.022, 0.13 / max(1, count - 1))


def name(
    figure: Figure, axes: Axes, chart: Chart, shown: Mapping[str, str], looks: Mapping[str, Look], theme: Theme
) -> None:
    """Names every line, and the baseline if it has a name.

    Args:
        figure: The figure of the axes.
        axes: Axes with their final place and limits.
        chart: What is drawn in them.
        shown: Method to its label, for methods with a point.
        looks: Look per method.
        theme: Light or dark.
    """
    entries: list[tuple[str, dict[str, Any], Sequence[Point | None], float]] = [
        (label, stroke(looks[method], theme), chart.lines[method], offset(rank, len(shown)))
        for rank, (method, label) in enumerate(shown.items())
    ]
    if chart.baseline_label:
        baseline = [None if value is None else Point(value) for value in chart.baseline]
        entries.append((chart.baseline_label, dashed(theme), baseline, 0.0))
    ends = [_last(points) for _, _, points, _ in entries]
    wide, tall = figure.get_size_inches()
    box, (low, high), (left, right) = axes.get_position(), axes.get_ylim(), axes.get_xlim()
    hardest = box.x0 + box.width * (chart.levels[-1].shift - left) / (right - left)
    heights = [(box.y0 + (y - low) / (high - low) * box.height) * tall for _, y in ends]
    placed = spread_out(heights, GAP, box.y0 * tall - 0.1, box.y1 * tall + 0.02)
    for (label, style, points, aside), (position, _), height, y in zip(entries, ends, heights, placed, strict=True):
        if position == len(points) - 1:
            start = (hardest + (aside + 0.06) / wide, height / tall)
            _tie(figure, start, (box.x1 + (KEY_START - 0.02) / wide, y / tall), style["color"])
        _key(figure, box.x1 * wide, y, style)
        place = (box.x1 + TEXT / wide, y / tall)
        figure.text(*place, label, color=theme.ink, size=9, va="center_baseline", parse_math=False)


def _last(points: Sequence[Point | None]) -> tuple[int, float]:
    """Position and value of the last point."""
    return next((i, point.y) for i, point in reversed(list(enumerate(points))) if point)


def _tie(figure: Figure, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(Line2D([start[0], end[0]], [start[1], end[1]], color=colour, linewidth=0.6, alpha=0.6))


def _key(figure: Figure, right: float, y: float, style: Mapping[str, Any]) -> None:
    """A short piece of the line with one marker; `right` and `y` in inches."""
    from matplotlib.lines import Line2D

    wide, tall = figure.get_size_inches()
    ends = (right + KEY_START, right + (KEY_START + KEY_END) / 2, right + KEY_END)
    key = Line2D([x / wide for x in ends], [y / tall] * 3, **style)
    key.set_markevery([1])
    figure.add_artist(key)
