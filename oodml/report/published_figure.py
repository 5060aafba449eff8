"""Draws ours beside the published curves: a small panel per method, shared axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oodml.published import Reading
from oodml.report import text
from oodml.report.charts import Point
from oodml.report.measure import width
from oodml.report.panels import name_panel
from oodml.report.style import WIDTH, Look, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_FIGURE = 12
LEFT, RIGHT, TOP, BOTTOM, BESIDE, ABOVE = 0.46, 0.12, 0.62, 0.5, 0.13, 0.25  # inches; ABOVE holds a panel's name
HEIGHTS = {1: 1.9, 2: 1.5, 3: 1.2}  # of a panel in inches, by the number of columns
NAN = float("nan")


@dataclass(frozen=True)
class Beside:
    """One method: our curve and the published one.

    Attributes:
        label: Its name in the report.
        ours: Our value per level; None is a gap.
        published: The published value per level; None is a gap.
    """

    label: str
    ours: tuple[Point | None, ...]
    published: tuple[Reading | None, ...]


@dataclass(frozen=True)
class BesideChart:
    """What a figure shows.

    Attributes:
        title: Printed above the panels.
        shifts: Shift of every level, rising.
        default: Shift of the default split; None if it is not among the levels.
        panels: The methods drawn.
        scale: All methods that share the axes: those drawn, and those of further figures.
    """

    title: str
    shifts: tuple[float, ...]
    default: float | None
    panels: tuple[Beside, ...]
    scale: tuple[Beside, ...]


def paint_beside(chart: BesideChart, looks: Mapping[str, Look], theme: Theme) -> Figure:
    """The figure of some methods.

    Args:
        chart: What to draw; every method needs a look.
        looks: Colour per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    count = len(chart.panels)
    columns = 1 if count == 1 else 2 if count <= 4 else 3
    rows = -(-count // columns)
    broad, high = (WIDTH - LEFT - RIGHT - (columns - 1) * BESIDE) / columns, HEIGHTS[columns]
    tall = TOP + rows * (ABOVE + high) + BOTTOM
    figure = Figure(figsize=(WIDTH, tall), facecolor=theme.face)
    names = text.shorten([panel.label for panel in chart.panels], 24)
    for i, (panel, name) in enumerate(zip(chart.panels, names, strict=True)):
        row, column = divmod(i, columns)
        left, top = LEFT + column * (broad + BESIDE), TOP + (row + 1) * ABOVE + row * high
        axes = figure.add_axes((left / WIDTH, 1 - (top + high) / tall, broad / WIDTH, high / tall))
        _frame(axes, chart, theme)
        axes.tick_params(labelleft=column == 0, labelbottom=i + columns >= count)
        name_panel(axes, name, broad + BESIDE, theme)
        _published(axes, chart.shifts, panel.published, theme)
        _ours(axes, chart.shifts, panel.ours, looks[panel.label].colour, theme)
    _heading(figure, chart, theme)
    style: dict[str, Any] = {"color": theme.muted, "size": 9, "ha": "center", "va": "bottom"}
    figure.text(0.5, 0.08 / tall, "shift between training and test classes", **style)
    return figure


def limits(panels: Sequence[Beside]) -> tuple[float, float]:
    """Bounds of the y axis: every value and reading, and our intervals as far as they do not flatten the curves."""
    points = [point for panel in panels for point in panel.ours if point]
    readings = [reading for panel in panels for reading in panel.published if reading]
    values = [*(p.y for p in points), *(end for r in readings for end in (r.low, r.high))]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    reach = max(high - low, 0.01) / 4
    bottom = min([low, *(max(p.low, low - reach) for p in points if p.low is not None)])
    top = max([high, *(min(p.high, high + reach) for p in points if p.high is not None)])
    margin = max(top - bottom, 0.01) * 0.06
    return bottom - margin, top + margin


def _frame(axes: Axes, chart: BesideChart, theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    first, last = chart.shifts[0], chart.shifts[-1]
    margin = 0.06 * (last - first) or 1.0
    axes.set_xlim(first - margin, last + margin)
    axes.set_ylim(*limits(chart.scale))
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.line)
    axes.tick_params(length=0, labelsize=8, labelcolor=theme.muted, pad=3)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="y", color=theme.line, linewidth=0.6)
    axes.set_axisbelow(True)
    if chart.default is not None:
        axes.axvline(chart.default, color=theme.muted, linewidth=0.8, linestyle=(0, (1.2, 2)), zorder=0.5)


def _published(axes: Axes, shifts: Sequence[float], readings: Sequence[Reading | None], theme: Theme) -> None:
    """The published curve with a band of what the reading allows; a value between gaps has a bar instead."""
    bottom, middle, top = (
        [NAN if reading is None else getattr(reading, end) for reading in readings] for end in ("low", "value", "high")
    )
    axes.fill_between(shifts, bottom, top, color=theme.reference, alpha=0.35, linewidth=0, zorder=1.5)
    for i, (shift, reading) in enumerate(zip(shifts, readings, strict=True)):
        if reading is not None and not any(readings[max(0, i - 1) : i]) and not any(readings[i + 1 : i + 2]):
            axes.vlines(shift, reading.low, reading.high, color=theme.reference, linewidth=4, alpha=0.35, zorder=1.5)
    axes.plot(shifts, middle, zorder=2, **_published_style(theme))


def _ours(axes: Axes, shifts: Sequence[float], points: Sequence[Point | None], colour: str, theme: Theme) -> None:
    bars = [
        (x, point.low, point.high)
        for x, point in zip(shifts, points, strict=True)
        if point and point.low is not None and point.high is not None
    ]
    if bars:
        xs, lows, highs = zip(*bars, strict=True)
        axes.vlines(xs, lows, highs, color=colour, linewidth=1.1, alpha=0.65, zorder=2.5)
    axes.plot(shifts, [point.y if point else NAN for point in points], zorder=3, **_our_style(colour, theme))


def _published_style(theme: Theme) -> dict[str, Any]:
    style = {"marker": "s", "markersize": 4.6, "markerfacecolor": theme.page, "markeredgewidth": 0.8}
    return {"color": theme.muted, "linewidth": 1.2, "linestyle": (0, (3, 1.6)), **style}


def _our_style(colour: str, theme: Theme) -> dict[str, Any]:
    style = {"markerfacecolor": colour, "markeredgecolor": theme.page, "markeredgewidth": 0.4}
    return {"color": colour, "linewidth": 1.2, "linestyle": "-", "marker": "o", "markersize": 3.2, **style}


def _heading(figure: Figure, chart: BesideChart, theme: Theme) -> None:
    """What is shown, and under it a key of the two curves."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    wide, tall = figure.get_size_inches()
    figure.text(0.1 / wide, 1 - 0.1 / tall, chart.title, color=theme.ink, weight="bold", size=9, va="top")
    x, y = 0.1, tall - 0.42
    band = Rectangle((0, 0), 0, 0, facecolor=theme.reference, alpha=0.35, linewidth=0, transform=figure.transFigure)
    for label, style in (("ours", _our_style(theme.ink, theme)), ("published", _published_style(theme))):
        if label == "published":
            band.set_bounds(x / wide, (y - 0.05) / tall, 0.26 / wide, 0.1 / tall)
            figure.add_artist(band)
        key = Line2D([x / wide, (x + 0.13) / wide, (x + 0.26) / wide], [y / tall] * 3, **style)
        key.set_markevery([1])
        figure.add_artist(key)
        figure.text((x + 0.33) / wide, y / tall, label, color=theme.ink, size=8.5, va="center_baseline")
        x += 0.33 + width(label, 8.5) + 0.2
