"""Heat map of methods by levels: every mean as a colour, and as a number where it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oodml.report import text
from oodml.report.headings import heading
from oodml.report.highlight import best_first
from oodml.report.measure import width
from oodml.report.naming import short_names
from oodml.report.style import WIDTH, Looks, Theme
from oodml.report.view import View, higher_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

COLOURS = "viridis"  # its lightness rises evenly, and people with any colour vision tell its ends apart
ROWS = ((24, 0.2, 8.5), (10_000, 0.15, 7.5))  # up to how many methods: inches per row, size of its type
TOP, BOTTOM, EDGE, LEAST, KEY = 0.66, 0.5, 0.1, 0.2, 1.3  # inches; LEAST is the width of a cell
HATCH, STEPS = "////", 32
MIDDLE = 0.19  # luminance from which near-black stands out more than white


def paint_heat(view: View, metric: str, looks: Looks, theme: Theme) -> Figure:
    """The figure of one metric: methods by AGS, the best on top, levels by rising shift, gaps hatched.

    Args:
        view: Methods, levels and means.
        metric: The metric.
        looks: Colour per method, for the marks beside the names.
        theme: Light or dark.
    """
    from matplotlib import colormaps
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    methods = best_first(view, metric)
    row, size = next((height, size) for most, height, size in ROWS if len(methods) <= most)
    names, count = list(short_names(methods).values()), len(view.levels)
    left = EDGE + 0.26 + max(width(name, size) for name in names)
    cell = max(LEAST, min(0.6, (WIDTH - left - EDGE) / count))
    wide, tall = max(left + cell * count + EDGE, WIDTH), TOP + BOTTOM + row * len(methods)
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    place = (left / wide, BOTTOM / tall, cell * count / wide, 1 - (TOP + BOTTOM) / tall)
    axes = figure.add_axes(place)
    axes.set(xlim=(0, count), ylim=(len(methods), 0))
    axes.set_axis_off()
    known = [mean for m in methods for level in view.levels if (mean := view.mean(m, level, metric)) is not None]
    low, high = shades_between(known)
    norm = Normalize(low, high if high > low else low + 1e-9, clip=True)
    colours = colormaps[COLOURS] if higher_is_better(metric) else colormaps[COLOURS].reversed()
    fits = max(width(text.number(value, 2), size - 1) for value in (*known, 0.0)) < cell - 0.04
    for place_of, (method, name) in enumerate(zip(methods, names, strict=True)):
        group = f"m{view.methods.index(method)}-"
        style: dict[str, Any] = {"textcoords": "offset points", "size": size, "color": theme.ink, "parse_math": False}
        axes.annotate(
            name, (0, place_of + 0.5), (-14, 0), ha="right", va="center_baseline", gid=f"{group}label", **style
        )
        means = [view.mean(method, level, metric) for level in view.levels]
        _row(axes, place_of, means, norm, colours, size - 1 if fits else 0.0, theme, group)
        _mark(figure, (left - 0.1, tall - TOP - row * (place_of + 0.5)), looks, method, theme)
    _heads(axes, view, cell, theme)
    heading(figure, f"{text.metric_name(metric)} by method and level", theme)
    _key(figure, (left, tall, max(cell * count, KEY)), _ends(known, low, high), colours, theme)
    return figure


def shades_between(values: Sequence[float]) -> tuple[float, float]:
    """Values at the two ends of the colours: the lowest and the highest, outliers left out.

    Outliers would leave no differences among the rest. One lies more than three times the interquartile range
    beyond a quartile.
    """
    import numpy as np

    if not values:
        return 0.0, 1.0
    first, third = np.quantile(values, (0.25, 0.75))
    reach = 3 * (third - first)
    kept = [value for value in values if first - reach <= value <= third + reach]
    return min(kept), max(kept)


def _ends(values: Sequence[float], low: float, high: float) -> tuple[str, str]:
    """What stands at the ends of the key."""
    under, over = (min(values) < low, max(values) > high) if values else (False, False)
    return ("\u2264 " if under else "") + text.number(low), ("\u2265 " if over else "") + text.number(high)


def _row(
    axes: Axes,
    row: int,
    means: list[float | None],
    norm: Normalize,
    colours: Colormap,
    size: float,
    theme: Theme,
    group: str,
) -> None:
    """The cells of a method; their numbers are left out at size 0."""
    from matplotlib.collections import PolyCollection

    def box(column: int) -> list[tuple[float, float]]:
        return [(column + dx, row + dy) for dx, dy in ((0.03, 0.03), (0.97, 0.03), (0.97, 0.97), (0.03, 0.97))]

    plain: dict[str, Any] = {"linewidths": 0, "clip_on": False}
    shades = {i: colours(norm(mean)) for i, mean in enumerate(means) if mean is not None}
    if shades:
        cells: Any = PolyCollection([box(i) for i in shades], facecolors=list(shades.values()), **plain)
        cells.set_gid(f"{group}cells")
        axes.add_collection(cells, autolim=False)
    gaps = [box(i) for i, mean in enumerate(means) if mean is None]
    if gaps:
        empty: Any = PolyCollection(gaps, facecolors="none", edgecolors=theme.muted, hatch=HATCH, **plain)
        empty.set_gid(f"{group}gaps")
        axes.add_collection(empty, autolim=False)
    for i, shade in shades.items() if size else ():
        ink = "#ffffff" if luminance(shade) < MIDDLE else "#111111"
        style: dict[str, Any] = {"size": size, "color": ink, "ha": "center", "va": "center_baseline"}
        axes.text(i + 0.5, row + 0.5, text.number(means[i] or 0.0, 2), **style)


def luminance(colour: Sequence[float]) -> float:
    """Relative luminance of a colour (WCAG 2), in [0, 1]."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mark(figure: Figure, where: tuple[float, float], looks: Looks, method: str, theme: Theme) -> None:
    """The marker of a named method after its name; `where` in inches."""
    from matplotlib.lines import Line2D

    from oodml.report.endings import stroke

    if looks[method].grey:
        return
    wide, tall = figure.get_size_inches()
    style = {key: value for key, value in stroke(looks[method], theme).items() if key.startswith("marker")}
    figure.add_artist(Line2D([where[0] / wide], [where[1] / tall], linestyle="none", **{**style, "markersize": 4.4}))


def _heads(axes: Axes, view: View, cell: float, theme: Theme) -> None:
    """The number of every level above its column, and its shift where there is room."""
    few = cell > 0.3
    for column, level in enumerate(view.levels):
        default = level.name == "default"
        style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "bottom", "size": 8}
        style |= {"color": theme.ink if default else theme.muted, "weight": "bold" if default else "normal"}
        if few or column % 2 == 0:
            axes.annotate(str(level.index), (column + 0.5, 0), (0, 2), **style)
        if few:
            axes.annotate(text.shift(level.shift), (column + 0.5, 0), (0, 12), **(style | {"size": 7.5}))
    style = {"textcoords": "offset points", "ha": "right", "va": "bottom", "size": 8, "color": theme.muted}
    axes.annotate("level", (0, 0), (-4, 2), **style)
    if few:
        axes.annotate("shift", (0, 0), (-4, 12), **(style | {"size": 7.5}))


def _key(
    figure: Figure, place: tuple[float, float, float], ends: tuple[str, str], colours: Colormap, theme: Theme
) -> None:
    """The colours from the lowest to the highest value, under the cells."""
    left, tall, broad = place
    wide = float(figure.get_size_inches()[0])
    axes = figure.add_axes((left / wide, 0.26 / tall, broad / wide, 0.1 / tall))
    axes.set_axis_off()
    axes.set(xlim=(0, STEPS), ylim=(0, 1))
    shades = [colours(i / (STEPS - 1)) for i in range(STEPS)]
    axes.bar([i + 0.5 for i in range(STEPS)], 1, width=1.04, color=shades, linewidth=0)
    style: dict[str, Any] = {"size": 8, "color": theme.muted, "va": "top", "textcoords": "offset points"}
    style |= {"xycoords": "axes fraction"}
    axes.annotate(ends[0], (0, 0), (0, -3), ha="left", **style)
    axes.annotate(ends[1], (1, 0), (0, -3), ha="right", **style)
