"""Draws a chart: one line per method against shift, named where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodml.report import endings, text
from oodml.report.charts import Chart
from oodml.report.measure import width
from oodml.report.style import WIDTH, Look, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, PLOT, BOTTOM, TOP, NOTE = 0.54, 2.4, 0.5, 0.58, 0.16  # inches
NAN = float("nan")


def paint_curves(chart: Chart, looks: Mapping[str, Look], theme: Theme) -> Figure:
    """The figure of a chart.

    Args:
        chart: What to draw; every line needs a look.
        looks: Colour, marker and dashes per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    shown = [method for method, line in chart.lines.items() if any(line)]
    names = [*text.shorten(shown), *([chart.baseline_label] if chart.baseline_label else [])]
    bottom = BOTTOM + (NOTE if chart.note else 0)
    right = endings.TEXT + max((width(name) for name in names), default=0.0) + 0.06
    wide, tall = max(LEFT + PLOT + right, WIDTH), max(2.5, endings.GAP * len(names)) + bottom + TOP
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    axes = figure.add_axes((LEFT / wide, bottom / tall, (wide - LEFT - right) / wide, 1 - (bottom + TOP) / tall))
    _frame(axes, chart, theme)
    _titles(figure, axes, chart, theme)
    _levels(axes, chart, wide - LEFT - right, theme)
    for position in chart.blank:
        _shade(axes, chart, position, theme)
    _baseline(axes, chart, theme)
    for rank, method in enumerate(shown):
        offset = endings.offset(rank, len(shown))
        _line(figure, axes, chart, method, endings.stroke(looks[method], theme), offset)
    endings.name(figure, axes, chart, dict(zip(shown, names, strict=False)), looks, theme)
    return figure


def limits(chart: Chart) -> tuple[float, float]:
    """Bounds of the y axis: all means, and intervals as far as they do not flatten the curves."""
    points = [point for line in chart.lines.values() for point in line if point]
    means = [point.y for point in points] + [value for value in chart.baseline if value is not None]
    if not means:
        return 0.0, 1.0
    low, high = min(means), max(means)
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    reach = (high - low) / 2
    bottom = min([low, *(max(p.low, low - reach) for p in points if p.low is not None)])
    top = max([high, *(min(p.high, high + reach) for p in points if p.high is not None)])
    margin = (top - bottom) * 0.06
    return bottom - margin, top + margin


def _frame(axes: Axes, chart: Chart, theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    shifts = [level.shift for level in chart.levels]
    margin = 0.05 * (max(shifts) - min(shifts)) or 1.0
    axes.set_xlim(min(shifts) - margin, max(shifts) + margin)
    axes.set_ylim(*limits(chart))
    axes.set_facecolor("none")
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.line)
    axes.tick_params(length=0, labelsize=9, labelcolor=theme.muted, pad=4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    axes.set_axisbelow(True)


def _titles(figure: Figure, axes: Axes, chart: Chart, theme: Theme) -> None:
    wide, tall = figure.get_size_inches()
    axes.set_xlabel("shift between training and test classes", color=theme.muted, labelpad=5)
    figure.text(0.1 / wide, 1 - 0.1 / tall, chart.ylabel, color=theme.ink, weight="bold", size=9, va="top")
    if chart.note:
        figure.text(LEFT / wide, NOTE / tall, chart.note, color=theme.muted, size=8, va="top")
    if chart.empty:
        style: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "color": theme.muted}
        axes.text(0.5, 0.9, "nothing to show yet", **style)


def _levels(axes: Axes, chart: Chart, inches: float, theme: Theme) -> None:
    """A hairline per level, its number above as far as there is room, and the default division marked."""
    low, high = axes.get_xlim()
    style: dict[str, Any] = {"size": 8, "va": "bottom", "textcoords": "offset points"}
    axes.annotate("level", (0, 1), (-4, 3), ha="right", color=theme.muted, xycoords=axes.transAxes, **style)
    style |= {"ha": "center", "xycoords": axes.get_xaxis_transform()}
    taken: list[float] = []  # where numbers stand, inches
    for level in sorted(chart.levels, key=lambda level: level.name != "default"):
        chosen = level.name == "default"
        thick, colour = (1.0, theme.muted) if chosen else (0.6, theme.line)
        dashes: Any = (0, (3, 2)) if chosen else "-"
        axes.axvline(level.shift, color=colour, linewidth=thick, linestyle=dashes, zorder=0.5)
        place = (level.shift - low) / (high - low) * inches
        if all(abs(place - other) > 0.14 for other in taken):
            taken.append(place)
            colour = theme.ink if chosen else theme.muted
            axes.annotate(str(level.index), (level.shift, 1), (0, 3), color=colour, **style)
        if chosen:
            axes.annotate("default", (level.shift, 1), (0, 12), color=theme.ink, **style)


def _shade(axes: Axes, chart: Chart, position: int, theme: Theme) -> None:
    """Fills the room of a level, half way to its neighbours."""
    shifts = [level.shift for level in chart.levels]
    low, high = axes.get_xlim()
    before = (shifts[position - 1] + shifts[position]) / 2 if position else low
    after = (shifts[position + 1] + shifts[position]) / 2 if position + 1 < len(shifts) else high
    axes.axvspan(before, after, color=theme.line, alpha=0.45, linewidth=0, zorder=0.4)


def _baseline(axes: Axes, chart: Chart, theme: Theme) -> None:
    if chart.baseline_label:
        values = [NAN if value is None else value for value in chart.baseline]
        axes.plot([level.shift for level in chart.levels], values, zorder=2, **endings.dashed(theme))


def _line(figure: Figure, axes: Axes, chart: Chart, method: str, style: Mapping[str, Any], offset: float) -> None:
    """One method; its points stand beside those of the others, so that intervals do not cover each other."""
    from matplotlib.transforms import ScaledTranslation

    points = [(level.shift, point) for level, point in zip(chart.levels, chart.lines[method], strict=True)]
    move = axes.transData + ScaledTranslation(offset, 0, figure.dpi_scale_trans)
    bars = [(x, p.low, p.high) for x, p in points if p and p.low is not None and p.high is not None]
    if bars:
        xs, lows, highs = zip(*bars, strict=True)
        thin: dict[str, Any] = {"color": style["color"], "linewidth": 1.3, "alpha": 0.65}
        axes.vlines(xs, lows, highs, transform=move, zorder=2.5, **thin)
    values = [point.y if point else NAN for _, point in points]
    axes.plot([x for x, _ in points], values, transform=move, zorder=3, **style)
