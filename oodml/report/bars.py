"""Draws the AGS of every method as bars from zero, best first; incomplete methods stay visible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodml.report import text
from oodml.report.measure import width
from oodml.report.style import WIDTH, Look, Theme
from oodml.report.view import Cell, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR, ROW, TOP, BOTTOM = 1.6, 0.26, 0.5, 0.06  # inches


def paint_bars(view: View, metric: str, looks: Mapping[str, Look], theme: Theme) -> Figure:
    """The figure of one metric's AGS.

    Args:
        view: Methods and their AGS.
        metric: The metric whose AGS is shown.
        looks: Colour per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    methods = view.by_ags(metric)
    names = text.shorten(methods)
    cells = [view.ags.get((method, metric)) for method in methods]
    notes = [value_text(cell) for cell in cells]
    left = 0.18 + max(width(name) for name in names)
    right = 0.16 + max(
        (width(note) for cell, note in zip(cells, notes, strict=True) if _mean(cell) is not None), default=0
    )
    wide, tall = max(left + BAR + right, WIDTH), TOP + BOTTOM + ROW * len(methods)
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    axes = figure.add_axes((left / wide, BOTTOM / tall, (wide - left - right) / wide, ROW * len(methods) / tall))
    best = max([cell.mean for cell in cells if cell and cell.mean], default=1.0)
    top = max([best, *(cell.high for cell in cells if cell and cell.high is not None)])
    _frame(axes, len(methods), sum(_mean(cell) is not None for cell in cells), min(top, 1.3 * best) * 1.02, theme)
    style: dict[str, Any] = {"color": theme.ink, "weight": "bold", "size": 9, "va": "top"}
    figure.text(0.1 / wide, 1 - 0.1 / tall, f"AGS of {text.metric_name(metric)}", **style)
    for row, (method, name, cell, note) in enumerate(zip(methods, names, cells, notes, strict=True)):
        move: dict[str, Any] = {"xytext": (-6, 0), "textcoords": "offset points", "size": 9, "parse_math": False}
        axes.annotate(name, (0, row), ha="right", va="center", color=theme.ink, **move)
        _bar(axes, row, cell, looks[method].colour, theme)
        place = (1.0, row) if _mean(cell) is not None else (0.0, row)
        move |= {"xytext": (6, 0), "xycoords": axes.get_yaxis_transform()}
        axes.annotate(note, place, ha="left", va="center", color=theme.muted, **move)
    return figure


def value_text(cell: Cell | None) -> str:
    """What stands beside a bar: "0.712 ± 0.011, n=3", or what is missing."""
    if cell is None or cell.mean is None:
        return "incomplete: no seed has all levels"
    spread = text.spread(cell.mean, cell.low, cell.high)
    return f"{text.number(cell.mean)} {spread}".rstrip() + f", n={cell.n}"


def _mean(cell: Cell | None) -> float | None:
    return cell.mean if cell else None


def _frame(axes: Axes, rows: int, complete: int, right: float, theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0, right)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, right)
    axes.set_yticks([])
    axes.set_xticks([tick for tick in ticks if tick <= right] if complete else [])
    axes.tick_params(length=0, labelsize=8.5, labelcolor=theme.muted, pad=1)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.vlines(axes.get_xticks(), -0.5, complete - 0.5, color=theme.line, linewidth=0.7, zorder=0.5)


def _bar(axes: Axes, row: int, cell: Cell | None, colour: str, theme: Theme) -> None:
    if cell is None or cell.mean is None:
        return
    axes.barh(row, cell.mean, height=0.6, color=colour, alpha=0.62, linewidth=0)
    if cell.low is not None and cell.high is not None:
        axes.hlines(row, cell.low, cell.high, color=theme.ink, linewidth=1.3, zorder=3)
        axes.vlines((cell.low, cell.high), row - 0.14, row + 0.14, color=theme.ink, linewidth=1.3, zorder=3)
