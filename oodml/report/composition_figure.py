"""Draws which superclasses lie on which side: a row per superclass, a column per level, colour from test to train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oodml.report import text
from oodml.report.composition import Composition, Group, together
from oodml.report.measure import width
from oodml.report.screen import is_default, level_index
from oodml.report.style import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MOST, MANY = 60, 16  # rows: more fill no page legibly; from here on they are set smaller
CELL, TOP, BOTTOM, RIGHT = 0.46, 0.5, 0.42, 0.1  # inches
KEY_WIDTH, KEY_HEIGHT, KEY_SIDE, LEAST = 1.3, 0.09, 0.26, 4.4
TEST, TRAIN = 1, 0  # places among a theme's colours


def paint_composition(found: Composition, theme: Theme) -> Figure:
    """The figure of a composition.

    Args:
        found: Superclasses and levels. Those that end in training stand at the top, those that end in test at
            the bottom; where there are many, those of a single class share a row.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    groups = _rows(found)
    names = text.shorten([group.name.replace("_", " ") for group in groups], 34)
    row, size = (0.24, 8.0) if len(groups) <= MANY else (0.155, 7.0)
    left = 0.2 + max(width(name, size) for name in names)
    used = left + CELL * len(found.levels) + RIGHT
    wide, tall = max(used, LEAST), TOP + row * len(groups) + BOTTOM
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    axes = figure.add_axes((left / wide, BOTTOM / tall, (used - left - RIGHT) / wide, row * len(groups) / tall))
    colours = side_colours(theme)
    for place, group in enumerate(groups):
        for column in range(len(found.levels)):
            _cell(axes, group, place, column, colours, size - 1.5, theme)
    _frame(axes, found, names, size, theme)
    _key(figure, colours, theme)
    note = "classes in training | in test" + ("\n* the default division" if any(map(is_default, found.levels)) else "")
    figure.text(0.1 / wide, 1 - 0.1 / tall, note, size=8, color=theme.muted, va="top", ha="left")
    return figure


def side_colours(theme: Theme) -> Colormap:
    """From the colour of the test side (0) over the page's to that of the training side (1)."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [theme.colours[TEST], theme.page, theme.colours[TRAIN]]
    return LinearSegmentedColormap.from_list("sides", ends)


def _rows(found: Composition) -> list[Group]:
    """At most so many rows, from the training to the test side of the last level."""
    groups, extra = list(found.groups), []
    single = tuple(group for group in groups if group.size == 1)
    if len(groups) > MANY and len(single) > 1:
        groups = [group for group in groups if group.size > 1]
        extra.append(together(f"{len(single)} of one class each", single))
    if len(groups) > MOST:
        rest = tuple(groups[MOST:])
        groups = groups[:MOST]
        extra.insert(0, together(f"{len(rest)} others", rest))
    return [*sorted(groups, key=_side), *extra]


def _side(group: Group) -> tuple[float, float, str]:
    shares = [share for place in range(len(group.counts)) if (share := group.share(place)) is not None]
    return -shares[-1], -sum(shares) / len(shares), group.name


def _cell(axes: Axes, group: Group, place: int, column: int, colours: Colormap, size: float, theme: Theme) -> None:
    """One superclass at one level: its share of training classes as a colour, the two numbers inside."""
    from matplotlib.patches import Rectangle

    share = group.share(column)
    if share is None:
        axes.text(column, place, text.MINUS, ha="center", va="center", size=size, color=theme.muted)
        return
    colour = colours(share)
    axes.add_patch(Rectangle((column - 0.5, place - 0.5), 1, 1, facecolor=colour, edgecolor=theme.page, linewidth=0.6))
    dark = sum(weight * part for weight, part in zip((0.3, 0.59, 0.11), colour[:3], strict=True)) < 0.55
    ink = "#ffffff" if dark else "#1c2127"
    train, test = group.counts[column]
    axes.text(column, place, f"{train}|{test}", ha="center", va="center_baseline", size=size, color=ink)


def _frame(axes: Axes, found: Composition, names: list[str], size: float, theme: Theme) -> None:
    levels = found.levels
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.set_yticks(range(len(names)), names, size=size, color=theme.ink, parse_math=False)
    ticks = [f"{level_index(level)}\n{text.shift(level.shift)}" for level in levels]
    axes.set_xticks(range(len(levels)), ticks, size=8, color=theme.muted)
    axes.tick_params(length=0, pad=3)
    note: dict[str, Any] = {"xycoords": ("axes fraction", "axes fraction"), "textcoords": "offset points"}
    axes.annotate("level\nshift", (0, 0), (-6, -3), ha="right", va="top", size=8, color=theme.muted, **note)


def _key(figure: Figure, colours: Colormap, theme: Theme) -> None:
    import numpy as np

    wide, tall = figure.get_size_inches()
    start = wide - RIGHT - KEY_WIDTH - KEY_SIDE
    axes = figure.add_axes((start / wide, 1 - 0.19 / tall, KEY_WIDTH / wide, KEY_HEIGHT / tall))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=colours, aspect="auto", extent=(0, 1, 0, 1))
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], ["all test", "half", "all train"], size=8, color=theme.muted)
    axes.tick_params(length=0, pad=2)
