"""Names of lines where they end: a key and a label at the right edge, tied to the last point by a hairline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oodml.report.charts import Chart, Point
from oodml.report.placing import spread_out
from oodml.report.style import Look, Looks, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP, KEY_START, KEY_END, TEXT = 0.175, 0.13, 0.36, 0.42  # inches: between labels, and from the axes to the right
BAND, SHADE = "control divisions", 0.22


def stroke(look: Look, theme: Theme) -> dict[str, Any]:
    """How matplotlib draws a look."""
    if look.grey:
        return {"color": look.colour, "linewidth": 0.7, "alpha": 0.65}
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


@dataclass(frozen=True)
class Ending:
    """What stands at the right edge for one line.

    Attributes:
        label: Its name.
        style: How its key is drawn.
        points: Its points, for its height; those of a key without a line of its own are empty.
        aside: Inches by which its points stand beside their level.
        group: Start of the ids in the SVG.
    """

    label: str
    style: Mapping[str, Any]
    points: Sequence[Point | None]
    aside: float = 0.0
    group: str = ""


def endings(chart: Chart, named: Mapping[str, str], grey: int, looks: Looks, theme: Theme) -> list[Ending]:
    """What is named beside a chart: every line that is not grey, the baseline, the band, and the grey ones together.

    Args:
        chart: What is drawn.
        named: Method to its label, for methods with a point that are not grey.
        grey: How many grey lines there are.
        looks: Look per method.
        theme: Light or dark.
    """
    series = {method: i for i, method in enumerate(chart.lines)}
    found = [
        Ending(label, stroke(looks[m], theme), chart.lines[m], offset(rank, len(named)), f"m{series[m]}-")
        for rank, (m, label) in enumerate(named.items())
    ]
    if chart.baseline_label:
        baseline = [None if value is None else Point(value) for value in chart.baseline]
        found.append(Ending(chart.baseline_label, dashed(theme), baseline, group="baseline-"))
    if grey:
        found.append(Ending(others(grey), stroke(looks.other, theme), (), group="others-"))
    if chart.band:
        found.append(Ending(BAND, {"color": theme.reference, "linewidth": 9, "alpha": SHADE}, (), group="band-"))
    return found


def others(count: int) -> str:
    """What the grey methods are called."""
    return f"{count} other method{'s' * (count != 1)}"


def name(figure: Figure, axes: Axes, chart: Chart, entries: Sequence[Ending], theme: Theme) -> None:
    """Names every line where it ends; keys of what has no line of its own stand below the names.

    Args:
        figure: The figure of the axes.
        axes: Axes with their final place and limits.
        chart: What is drawn in them.
        entries: The names.
        theme: Light or dark.
    """
    wide, tall = figure.get_size_inches()
    box, (low, high), (left, right) = axes.get_position(), axes.get_ylim(), axes.get_xlim()
    hardest = box.x0 + box.width * (chart.levels[-1].shift - left) / (right - left)
    ends = [_last(entry.points) for entry in entries]
    heights = [(box.y0 + (y - low) / (high - low) * box.height) * tall if at >= 0 else -1.0 for at, y in ends]
    placed = spread_out(heights, GAP, box.y0 * tall - 0.1, box.y1 * tall + 0.02)
    for entry, (position, _), height, y in zip(entries, ends, heights, placed, strict=True):
        if position == len(chart.levels) - 1:
            start = (hardest + (entry.aside + 0.06) / wide, height / tall)
            _tie(figure, start, (box.x1 + (KEY_START - 0.02) / wide, y / tall), entry)
        _key(figure, box.x1 * wide, y, entry)
        style: dict[str, Any] = {"color": theme.ink, "size": 9, "va": "center_baseline", "parse_math": False}
        figure.text(box.x1 + TEXT / wide, y / tall, entry.label, gid=f"{entry.group}label", **style)


def _last(points: Sequence[Point | None]) -> tuple[int, float]:
    """Position and value of the last point; -1 without one."""
    return next(((i, point.y) for i, point in reversed(list(enumerate(points))) if point), (-1, 0.0))


def _tie(figure: Figure, start: tuple[float, float], end: tuple[float, float], entry: Ending) -> None:
    from matplotlib.lines import Line2D

    thin: dict[str, Any] = {"color": entry.style["color"], "linewidth": 0.6, "alpha": 0.6, "gid": f"{entry.group}tie"}
    figure.add_artist(Line2D([start[0], end[0]], [start[1], end[1]], **thin))


def _key(figure: Figure, right: float, y: float, entry: Ending) -> None:
    """A short piece of the line with one marker; `right` and `y` in inches."""
    from matplotlib.lines import Line2D

    wide, tall = figure.get_size_inches()
    ends = (right + KEY_START, right + (KEY_START + KEY_END) / 2, right + KEY_END)
    key = Line2D([x / wide for x in ends], [y / tall] * 3, gid=f"{entry.group}key", **entry.style)
    key.set_solid_capstyle("butt")
    key.set_markevery([1])
    figure.add_artist(key)
