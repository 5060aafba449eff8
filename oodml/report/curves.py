"""Draws a chart: one line per method against shift, named where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodml.report import endings, text
from oodml.report.charts import Chart
from oodml.report.export import PicturePoint
from oodml.report.headings import heading
from oodml.report.measure import width
from oodml.report.naming import short_names
from oodml.report.style import WIDTH, Looks, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, PLOT, BOTTOM, TOP, NOTE = 0.54, 2.4, 0.5, 0.58, 0.16  # inches
CROWD = 3.3  # inches of height with grey lines: those of the best often share a small part of it
NAN = float("nan")


def paint_curves(chart: Chart, looks: Looks, theme: Theme) -> Figure:
    """The figure of a chart: methods with a look are named, the rest is grey behind them.

    Args:
        chart: What to draw.
        looks: Colour, marker and dashes per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    named, grey = _shown(chart, looks)
    entries = endings.endings(chart, short_names(named), len(grey), looks, theme)
    bottom = BOTTOM + (NOTE if chart.note else 0)
    right = endings.TEXT + max((width(entry.label) for entry in entries), default=0.0) + 0.06
    ticks = marks(*limits(chart))
    left = max(LEFT, 0.14 + max(map(width, ticks.values())))
    wide, tall = max(left + PLOT + right, WIDTH), max(CROWD if grey else 2.5, endings.GAP * len(entries)) + bottom + TOP
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    axes = figure.add_axes((left / wide, bottom / tall, (wide - left - right) / wide, 1 - (bottom + TOP) / tall))
    _frame(axes, chart, ticks, theme)
    _titles(figure, axes, chart, theme)
    _levels(axes, chart, wide - left - right, theme)
    for position in chart.blank:
        _shade(axes, chart, position, theme)
    if chart.band:
        axes.axhspan(*chart.band, color=theme.reference, alpha=endings.SHADE, linewidth=0, zorder=0.6, gid="band-area")
    for method in grey:
        _line(figure, axes, chart, method, endings.stroke(looks[method], theme), 0.0)
    _baseline(axes, chart, theme)
    for rank, method in enumerate(named):
        offset = endings.offset(rank, len(named))
        _line(figure, axes, chart, method, endings.stroke(looks[method], theme), offset)
    endings.name(figure, axes, chart, entries, theme)
    return figure


def _shown(chart: Chart, looks: Looks) -> tuple[list[str], list[str]]:
    """Methods with a point: those with a look of their own, and the grey ones."""
    shown = [method for method, line in chart.lines.items() if any(line)]
    return [m for m in shown if not looks[m].grey], [m for m in shown if looks[m].grey]


def locate(figure: Figure, chart: Chart, looks: Looks) -> tuple[PicturePoint, ...]:
    """Where the points of a chart stand in its figure.

    Args:
        figure: What `paint_curves` made of them.
        chart: The chart.
        looks: The looks.
    """
    (axes,), named = figure.axes, _shown(chart, looks)[0]
    tall, pixel = float(figure.get_size_inches()[1]) * 96, 96 / figure.dpi
    found = []
    for series, (method, line) in enumerate(chart.lines.items()):
        aside = endings.offset(named.index(method), len(named)) if method in named else 0.0
        for level, point in zip(chart.levels, line, strict=True):
            if point:
                x, y = (float(place) * pixel for place in axes.transData.transform((level.shift, point.y)))
                where = (round(x + aside * 96, 2), round(tall - y, 2))
                value = (point.y, point.low, point.high, point.n)
                found.append(PicturePoint(method, series, level.index, level.shift, *value, *where))
    return tuple(found)


def limits(chart: Chart) -> tuple[float, float]:
    """Bounds of the y axis: all means, and intervals as far as they do not flatten the curves."""
    points = [point for line in chart.lines.values() for point in line if point]
    means = [point.y for point in points] + [value for value in chart.baseline if value is not None]
    means += chart.band or ()
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


def marks(low: float, high: float) -> dict[float, str]:
    """Round values between two bounds with their names, all with as many decimals as one of them needs."""
    from matplotlib.ticker import MaxNLocator

    found = [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    found = [tick for tick in found if low <= tick <= high]
    step = abs(found[1] - found[0]) if len(found) > 1 else 1.0
    digits = next((d for d in range(9) if all(abs(round(t, d) - t) < 1e-3 * step for t in found)), 9)
    return {round(tick, digits): text.number(tick, digits) for tick in found}


def _frame(axes: Axes, chart: Chart, ticks: Mapping[float, str], theme: Theme) -> None:
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
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.grid(axis="y", color=theme.line, linewidth=0.7)
    axes.set_axisbelow(True)


def _titles(figure: Figure, axes: Axes, chart: Chart, theme: Theme) -> None:
    wide, tall = figure.get_size_inches()
    axes.set_xlabel("shift between training and test classes", color=theme.muted, labelpad=5)
    heading(figure, chart.ylabel, theme)
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

    from oodml.report.artists import SeriesLine

    series, grey = list(chart.lines).index(method), "marker" not in style
    points = [(level.shift, point) for level, point in zip(chart.levels, chart.lines[method], strict=True)]
    move = axes.transData + ScaledTranslation(offset, 0, figure.dpi_scale_trans)
    bars = [(x, p.low, p.high) for x, p in points if p and p.low is not None and p.high is not None]
    if bars and not grey:
        xs, lows, highs = zip(*bars, strict=True)
        thin: dict[str, Any] = {"color": style["color"], "linewidth": 1.3, "alpha": 0.65}
        axes.vlines(xs, lows, highs, transform=move, zorder=2.5, gid=f"m{series}-bars", **thin)
    values = [point.y if point else NAN for _, point in points]
    fit = None if grey else chart.fits.get(method)
    if fit:
        known = [x for x, point in points if point]
        ends, thin = (known[0], known[-1]), {"linewidth": 1.1, "color": style["color"], "linestyle": style["linestyle"]}
        axes.plot(ends, [fit[0] + fit[1] * x for x in ends], transform=move, zorder=2.8, gid=f"m{series}-fit", **thin)
        style = {**style, "linestyle": "none"}
    line = SeriesLine([x for x, _ in points], values, series, zorder=1.5 if grey else 3, **style)
    line.set_transform(move)
    axes.add_line(line)
