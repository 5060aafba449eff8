"""Draws the classes in the plane, one panel per level: the same points, coloured by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodml.records import Ladder, Level
from oodml.report import text
from oodml.report.composition_figure import TEST, TRAIN
from oodml.report.measure import width
from oodml.report.projection import Projection
from oodml.report.screen import level_index
from oodml.report.style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, COLUMNS, GAP, TITLE = 6.6, 4, 0.1, 0.24  # inches; panels side by side
TOP, BOTTOM, LEFT, LEAST = 0.3, 0.28, 0.06, 4.4
NOTE_SIZE = 7.5
MANY_DOTS = 6000  # from here on a vector file would take long to draw: the dots become a picture inside it
SIDES = ("train", "test")


def paint_map(ladder: Ladder, names: Sequence[str], shown: Projection, theme: Theme) -> Figure:
    """The figure of a projection.

    Args:
        ladder: Its levels say which class lies on which side.
        names: Class of every point.
        shown: The points.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(ladder.levels))
    rows = math.ceil(len(ladder.levels) / columns)
    words = shown.words + ("; * the default division" if ladder.default_level is not None else "")
    limits = _limits(shown.points)
    side = (WIDE - 2 * LEFT - (COLUMNS - 1) * GAP) / COLUMNS
    high = side * float(np.ptp(limits[1]) / np.ptp(limits[0]))
    wide = max(columns * (side + GAP) - GAP, width(words, NOTE_SIZE), LEAST) + 2 * LEFT
    tall = TOP + rows * (TITLE + high + GAP) + BOTTOM
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    number = {name: row for row, name in enumerate(names)}
    for place, level in enumerate(ladder.levels):
        row, column = divmod(place, columns)
        x, y = LEFT + column * (side + GAP), tall - TOP - (row + 1) * (TITLE + high + GAP) + GAP
        axes = figure.add_axes((x / wide, y / tall, side / wide, high / tall))
        _panel(axes, level, number, shown, theme, len(names) * len(ladder.levels) > MANY_DOTS)
        axes.set_xlim(*limits[0])
        axes.set_ylim(*limits[1])
    figure.text(LEFT / wide, 0.1 / tall, words, size=NOTE_SIZE, color=theme.muted, va="bottom")
    _legend(figure, ladder, names, shown, theme)
    return figure


def _limits(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Limits of x and y with a margin, neither axis less than half as long as the other; shape (2, 2)."""
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, (high - low) / 2
    half = 1.08 * np.maximum(half, max(float(half.max()) / 2, 1e-12))
    return np.stack([middle - half, middle + half], axis=1)


def _panel(axes: Axes, level: Level, number: dict[str, int], shown: Projection, theme: Theme, as_picture: bool) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("none")
    axes.spines[:].set_color(theme.line)
    rows = {side: [number[name] for name in getattr(level, side) if name in number] for side in SIDES}
    gone = sorted(set(number.values()) - {row for side in SIDES for row in rows[side]})
    common: dict[str, Any] = {"linewidths": 0, "rasterized": as_picture}
    size = _size(len(number))
    axes.scatter(
        shown.points[gone, 0],
        shown.points[gone, 1],
        s=size / 2,
        color=theme.reference,
        alpha=0.35,
        marker="o",
        zorder=1,
        **common,
    )
    for side, (marker, colour) in _looks(theme).items():
        points = shown.points[rows[side]]
        axes.scatter(points[:, 0], points[:, 1], s=size, color=colour, marker=marker, alpha=0.75, zorder=2, **common)
        if shown.explained is not None:  # a mean in the plane of t-SNE would say nothing
            mean: dict[str, Any] = {"s": 42, "linewidths": 1.1, "edgecolor": theme.ink, "zorder": 3}
            axes.scatter(points[:, 0].mean(), points[:, 1].mean(), marker=marker, facecolor=colour, **mean)
    axes.set_title(f"level {level_index(level)}", size=8, color=theme.ink, loc="left", pad=3)
    axes.set_title(f"shift {text.shift(level.shift)}", size=8, color=theme.muted, loc="right", pad=3)


def _looks(theme: Theme) -> dict[str, tuple[str, str]]:
    """Marker and colour of either side."""
    return {"train": ("o", theme.colours[TRAIN]), "test": ("^", theme.colours[TEST])}


def _size(count: int) -> float:
    """Area of a dot in square points: smaller where there are more."""
    return min(14.0, max(2.0, 14.0 * math.sqrt(80 / count)))


def _legend(figure: Figure, ladder: Ladder, names: Sequence[str], shown: Projection, theme: Theme) -> None:
    from matplotlib.lines import Line2D

    def key(label: str, marker: str, size: float, **style: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, markersize=size, label=label, **style)

    labels = {"train": "training class", "test": "test class"}
    looks = _looks(theme)
    keys = [key(label, looks[side][0], 4, color=looks[side][1], markeredgewidth=0) for side, label in labels.items()]
    if shown.explained is not None:
        keys.append(key("mean of a side", "o", 6, markerfacecolor="none", markeredgecolor=theme.ink))
    if any(set(names) - {*level.train, *level.test} for level in ladder.levels):
        keys.append(key("removed class", "o", 3, color=theme.reference, alpha=0.35, markeredgewidth=0))
    wide, tall = figure.get_size_inches()
    look: dict[str, Any] = {"frameon": False, "fontsize": 8, "labelcolor": theme.ink, "handletextpad": 0.2}
    look |= {"ncols": 4, "borderpad": 0, "borderaxespad": 0, "columnspacing": 1.3}
    figure.legend(handles=keys, loc="upper left", bbox_to_anchor=(LEFT / wide, 1 - 0.07 / tall), **look)
