"""Draws few-shot adaptation: a small panel per method, curves above and the relative gain below, shared axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oodml.records import Level
from oodml.report import text
from oodml.report.charts import Point
from oodml.report.few_shot_view import Panel
from oodml.report.measure import width
from oodml.report.style import WIDTH, Look, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12  # panels of a figure
LEFT, RIGHT, TOP, BOTTOM, BESIDE, ABOVE = 0.46, 0.46, 0.62, 0.5, 0.13, 0.27  # inches; ABOVE holds a panel's name
FAR = 3.0  # methods this many times further apart than one of them moves have an origin each
LABELS = 0.38  # inches beside a panel that has numbers of its own
STRIP, MARGIN = 0.34, 0.05  # part of a panel's height for the relative gain, and blank at its edges
NAN = float("nan")


@dataclass(frozen=True)
class Panels:
    """What a figure shows.

    Attributes:
        ylabel: The metric.
        how: Shots and adapter in words.
        levels: Levels along the x axis, by rising shift.
        panels: The methods, which share the axes.
    """

    ylabel: str
    how: str
    levels: tuple[Level, ...]
    panels: tuple[Panel, ...]

    @property
    def together(self) -> bool:
        """Whether one range fits all methods; a method far from the others would flatten every curve."""
        low, high = _value_range(self.panels)
        return high - low <= FAR * self.span

    @property
    def span(self) -> float:
        """Largest range of the values of one method."""
        return max(high - low for low, high in (_value_range([panel]) for panel in self.panels))

    def values(self, panel: Panel) -> tuple[float, float]:
        """Range of the values in a panel: that of all methods, or one as wide as in every other panel."""
        if self.together:
            return _value_range(self.panels)
        low, high = _value_range([panel])
        return (low + high - self.span) / 2, (low + high + self.span) / 2


def paint_panels(chart: Panels, looks: Mapping[str, Look], theme: Theme) -> Figure:
    """The figure of some methods.

    Args:
        chart: What to draw; every method needs a look.
        looks: Colour and marker per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    count = len(chart.panels)
    columns = 1 if count == 1 else 2 if count <= 4 else 3
    rows = -(-count // columns)
    beside = BESIDE if chart.together else LABELS
    broad = (WIDTH - LEFT - RIGHT - (columns - 1) * beside) / columns
    high = {1: 1.9, 2: 1.5, 3: 1.25}[columns]
    tall = TOP + rows * (ABOVE + high) + BOTTOM
    figure = Figure(figsize=(WIDTH, tall), facecolor=theme.face)
    for i, panel in enumerate(chart.panels):
        row, column = divmod(i, columns)
        left, top = LEFT + column * (broad + beside), TOP + (row + 1) * ABOVE + row * high
        place = (left / WIDTH, 1 - (top + high) / tall, broad / WIDTH, high / tall)
        axes, below = _frame(figure, place, chart.levels, chart.values(panel), _gain_range(chart.panels), theme)
        (label,) = text.shorten([panel.method], 24)
        name_panel(axes, label, broad + beside, theme)
        _draw(axes, below, chart.levels, panel, looks[panel.method], theme)
        axes.tick_params(labelleft=column == 0 or not chart.together, labelbottom=i + columns >= count)
        below.tick_params(labelright=column == columns - 1 or i == count - 1)
    _heading(figure, chart, theme)
    style: dict[str, Any] = {"color": theme.muted, "size": 9, "ha": "center", "va": "bottom"}
    figure.text(0.5, 0.08 / tall, "shift between training and test classes", **style)
    return figure


def _value_range(panels: Sequence[Panel]) -> tuple[float, float]:
    """Range of the means, and of the intervals as far as they do not flatten the curves."""
    points = [point for panel in panels for point in (*panel.none, *panel.adapted) if point]
    means = [point.y for point in points]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    reach = (high - low) / 4
    bottom = min([low, *(max(point.low, low - reach) for point in points if point.low is not None)])
    top = max([high, *(min(point.high, high + reach) for point in points if point.high is not None)])
    return bottom, top


def _gain_range(panels: Sequence[Panel]) -> tuple[float, float]:
    """Range of the relative gains and zero."""
    gains = [0.0, *(value for panel in panels for value in panel.relative if value is not None)]
    return min(gains), max(*gains, min(gains) + 1.0)


def _frame(
    figure: Figure,
    place: tuple[float, float, float, float],
    levels: Sequence[Level],
    values: tuple[float, float],
    gains: tuple[float, float],
    theme: Theme,
) -> tuple[Axes, Axes]:
    """Axes of the values, whose curves stay in the upper part, and of the gains, which stay in the strip below."""
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_axes(place)
    below: Any = axes.twinx()
    shifts = [level.shift for level in levels]
    margin = 0.08 * (max(shifts) - min(shifts)) or 1.0
    axes.set_xlim(min(shifts) - margin, max(shifts) + margin)
    span = (values[1] - values[0]) / (1 - STRIP - 2 * MARGIN)
    axes.set_ylim(values[1] + MARGIN * span - span, values[1] + MARGIN * span)
    rise = (gains[1] - gains[0]) / (STRIP - 2 * MARGIN)
    below.set_ylim(gains[0] - MARGIN * rise, gains[0] - MARGIN * rise + rise)
    for each, ends, count in ((axes, values, 4), (below, gains, 2)):
        each.set_facecolor("none")
        each.spines[:].set_visible(False)
        each.tick_params(length=0, labelsize=8, labelcolor=theme.muted, pad=3)
        ticks = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(*ends)
        each.set_yticks([tick for tick in ticks if ends[0] <= tick <= ends[1]])
    below.yaxis.set_major_formatter(lambda tick, _: text.signed(tick, 0 if abs(tick) >= 1 or not tick else 1) or "0")
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=theme.line, linewidth=0.6)
    axes.axhline(axes.get_ylim()[0], color=theme.line, linewidth=1.0)
    below.axhline(0, color=theme.line, linewidth=0.9, zorder=0.5)
    axes.set_axisbelow(True)
    return axes, below


def name_panel(axes: Axes, label: str, room: float, theme: Theme) -> None:
    """A method's name above its panel, smaller where it is longer than the room in inches."""
    size = max(6.0, min(9.0, 9.0 * (room - 0.04) / width(label)))
    style: dict[str, Any] = {"textcoords": "offset points", "size": size, "color": theme.ink, "parse_math": False}
    axes.annotate(label, (0, 1), (0, 3), xycoords="axes fraction", va="bottom", **style)


def _draw(axes: Axes, below: Axes, levels: Sequence[Level], panel: Panel, look: Look, theme: Theme) -> None:
    shifts = [level.shift for level in levels]
    for points, style in ((panel.none, _before(look.colour, theme)), (panel.adapted, _after(look.colour, theme))):
        bars = [(x, p.low, p.high) for x, p in zip(shifts, points, strict=True) if p and _has_ends(p)]
        if bars:
            xs, lows, highs = zip(*bars, strict=True)
            axes.vlines(xs, lows, highs, color=look.colour, linewidth=1.0, alpha=0.5, zorder=2.5)
        axes.plot(shifts, [point.y if point else NAN for point in points], zorder=3, **style)
    below.plot(shifts, [NAN if value is None else value for value in panel.relative], zorder=3, **_relative(theme))
    if panel.line:
        known = [i for i, value in enumerate(panel.relative) if value is not None]
        ends = [known[0], known[-1]]
        below.plot([shifts[i] for i in ends], [panel.line[i] for i in ends], color=theme.muted, linewidth=1.0)


def _has_ends(point: Point) -> bool:
    return point.low is not None and point.high is not None


def _before(colour: str, theme: Theme) -> dict[str, Any]:
    style = {"linestyle": (0, (3, 1.6)), "markerfacecolor": theme.page, "markeredgewidth": 0.9}
    return {"color": colour, "linewidth": 1.2, "marker": "o", "markersize": 3.4, **style}


def _after(colour: str, theme: Theme) -> dict[str, Any]:
    style = {"markerfacecolor": colour, "markeredgecolor": theme.page, "markeredgewidth": 0.4}
    return {"color": colour, "linewidth": 1.5, "marker": "o", "markersize": 4.0, **style}


def _relative(theme: Theme) -> dict[str, Any]:
    style = {"markerfacecolor": theme.muted, "markeredgecolor": theme.page, "markeredgewidth": 0.3}
    return {"color": theme.muted, "linestyle": "none", "marker": "D", "markersize": 3.2, **style}


def _heading(figure: Figure, chart: Panels, theme: Theme) -> None:
    """What is shown, and under it a key of the three signs."""
    from matplotlib.lines import Line2D

    wide, tall = figure.get_size_inches()
    figure.text(0.1 / wide, 1 - 0.1 / tall, chart.ylabel, color=theme.ink, weight="bold", size=9, va="top")
    place = (0.1 + width(chart.ylabel) * 1.12 + 0.1) / wide
    figure.text(place, 1 - 0.1 / tall, chart.how, color=theme.muted, size=9, va="top", parse_math=False)
    x, y = 0.1, tall - 0.42
    relative = {**_relative(theme), "linestyle": "-", "linewidth": 1.0}
    for label, style in (
        ("before", _before(theme.ink, theme)),
        ("after", _after(theme.ink, theme)),
        ("gain in percent, right axis", relative),
    ):
        key = Line2D([x / wide, (x + 0.13) / wide, (x + 0.26) / wide], [y / tall] * 3, **style)
        key.set_markevery([1])
        figure.add_artist(key)
        figure.text((x + 0.33) / wide, y / tall, label, color=theme.ink, size=8.5, va="center_baseline")
        x += 0.33 + width(label, 8.5) + 0.2
