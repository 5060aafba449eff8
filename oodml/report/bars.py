"""Draws the AGS of every method as bars from zero, best first; incomplete methods stay visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oodml.report import text
from oodml.report.headings import heading
from oodml.report.measure import width
from oodml.report.naming import short_names
from oodml.report.style import WIDTH, Look, Looks, Theme
from oodml.report.view import Cell, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR, TOP, BOTTOM = 1.6, 0.5, 0.06  # inches
ROWS = ((24, 0.26, 9.0), (10_000, 0.165, 7.5))  # up to how many methods: inches per row, size of its type


def paint_bars(view: View, metric: str, looks: Looks, theme: Theme) -> Figure:
    """The figure of one metric's AGS; rows are lower where there are many.

    Args:
        view: Methods and their AGS.
        metric: The metric whose AGS is shown.
        looks: Colour per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    methods = view.by_ags(metric)
    row_height, size = next((height, size) for most, height, size in ROWS if len(methods) <= most)
    names = list(short_names(methods).values())
    cells = [view.ags.get((method, metric)) for method in methods]
    notes = [value_text(cell) for cell in cells]
    left = 0.18 + max(width(name, size) for name in names)
    right = 0.16 + max(
        (width(note, size) for cell, note in zip(cells, notes, strict=True) if _mean(cell) is not None), default=0
    )
    wide, tall = max(left + BAR + right, WIDTH), TOP + BOTTOM + row_height * len(methods)
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    axes = figure.add_axes((left / wide, BOTTOM / tall, (wide - left - right) / wide, 1 - (TOP + BOTTOM) / tall))
    _frame(axes, len(methods), sum(_mean(cell) is not None for cell in cells), _limits(cells), theme)
    heading(figure, f"AGS of {text.metric_name(metric)}", theme)
    for row, (method, name, cell, note) in enumerate(zip(methods, names, cells, notes, strict=True)):
        group = f"m{view.methods.index(method)}-"
        move: dict[str, Any] = {"textcoords": "offset points", "size": size, "parse_math": False, "va": "center"}
        move |= {"xycoords": axes.get_yaxis_transform()}
        axes.annotate(name, (0, row), (-6, 0), ha="right", color=theme.ink, gid=f"{group}label", **move)
        _bar(axes, row, cell, looks[method], theme, group)
        place = (1.0, row) if _mean(cell) is not None else (0.0, row)
        axes.annotate(note, place, (6, 0), ha="left", color=theme.muted, gid=f"{group}value", **move)
    return figure


def _limits(cells: Sequence[Cell | None]) -> tuple[float, float]:
    """Zero and all means, and the intervals as far as they do not shorten the bars much."""
    known = [cell for cell in cells if cell and cell.mean is not None]
    means = [0.0, *(cell.mean or 0.0 for cell in known)]
    low, high = min(means), max(means)
    if low == high:
        return 0.0, 1.0
    reach = 0.3 * (high - low)
    highs = [min(cell.high, high + reach) for cell in known if cell.high is not None]
    lows = [max(cell.low, low - reach) for cell in known if cell.low is not None]
    bottom, top = min(low, *lows, low), max(high, *highs, high)
    margin = 0.02 * (top - bottom)
    return (0.0 if low == 0 else bottom - margin), (0.0 if high == 0 else top + margin)


def value_text(cell: Cell | None) -> str:
    """What stands beside a bar: "0.712 ± 0.011, n=3", or what is missing."""
    if cell is None or cell.mean is None:
        return "incomplete: no seed has all levels"
    spread = text.spread(cell.mean, cell.low, cell.high)
    return f"{text.number(cell.mean)} {spread}".rstrip() + f", n={cell.n}"


def _mean(cell: Cell | None) -> float | None:
    return cell.mean if cell else None


def _frame(axes: Axes, rows: int, complete: int, limits: tuple[float, float], theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(*limits)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(*limits)
    axes.set_yticks([])
    axes.set_xticks([tick for tick in ticks if limits[0] <= tick <= limits[1]] if complete else [])
    axes.tick_params(length=0, labelsize=8.5, labelcolor=theme.muted, pad=1)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.vlines(axes.get_xticks(), -0.5, complete - 0.5, color=theme.line, linewidth=0.7, zorder=0.5)


def _bar(axes: Axes, row: int, cell: Cell | None, look: Look, theme: Theme, group: str) -> None:
    """A bar; hollow where the markers of the method are, so that a colour that returns can be told apart."""
    if cell is None or cell.mean is None:
        return
    style: dict[str, Any] = {"color": look.colour, "alpha": 0.62, "linewidth": 0}
    if look.hollow:
        style = {"facecolor": theme.page, "edgecolor": look.colour, "linewidth": 1.1}
    axes.barh(row, cell.mean, height=0.6, gid=f"{group}bar", **style)
    if cell.low is not None and cell.high is not None:
        ends: dict[str, Any] = {"color": theme.ink, "linewidth": 1.3, "zorder": 3, "gid": f"{group}interval"}
        axes.hlines(row, cell.low, cell.high, **ends)
        axes.vlines((cell.low, cell.high), row - 0.14, row + 0.14, **ends)
