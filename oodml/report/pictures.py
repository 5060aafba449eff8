"""Which figures a view has, and what stands under each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.report import charts, text
from oodml.report.bars import paint_bars
from oodml.report.charts import Chart
from oodml.report.curves import paint_curves
from oodml.report.export import Picture, export
from oodml.report.style import Theme, looks
from oodml.report.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(folder: Path, prefix: str, view: View, metric: str, methods: Sequence[str]) -> tuple[Picture, ...]:
    """Writes the figures of one metric.

    Args:
        folder: Where the files go.
        prefix: Start of their names.
        view: What to show.
        metric: The metric.
        methods: All methods of the report; they decide the colours.

    Returns:
        Degradation curve, AGS, change against the mean and against the reference, as far as there is
        something to show.
    """
    name, made = text.metric_name(metric), "; ".join(view.intervals())
    bars = f" Vertical bars: {made}; ends outside the frame are cut." if made else " An interval needs two seeds."
    stem = f"{prefix}_{metric}"
    pictures = [_curve(folder, f"{stem}_curve", charts.degradation(view, metric), methods, name, bars)]
    if any((method, metric) in view.ags for method in view.methods):
        paint = partial(_bars, view, metric, methods)
        caption = f"Area under {name} against shift, shift scaled to [0, 1]; n is the number of seeds."
        caption += f" Lines at the ends: {made}." if made else ""
        alt = f"Bar chart of the AGS of {name}, {len(view.methods)} methods, the best first."
        pictures.append(export(folder, f"{stem}_ags", paint, f"AGS of {name}", alt, caption))
    if len(view.methods) > 1:
        chart = charts.against_mean(view, metric)
        pictures.append(_mean(folder, f"{stem}_vs_mean", chart, methods, name))
    chart = charts.against_reference(view, metric)
    if not chart.empty:
        pictures.append(_reference(folder, f"{stem}_vs_reference", chart, methods, name, bars))
    return tuple(pictures)


def _curves(chart: Chart, methods: Sequence[str], theme: Theme) -> Figure:
    return paint_curves(chart, looks(methods, theme), theme)


def _bars(view: View, metric: str, methods: Sequence[str], theme: Theme) -> Figure:
    return paint_bars(view, metric, looks(methods, theme), theme)


def _alt(chart: Chart, what: str) -> str:
    return f"Line chart of {what} against shift, {len(chart.lines)} methods at {len(chart.levels)} levels."


def _curve(folder: Path, stem: str, chart: Chart, methods: Sequence[str], name: str, bars: str) -> Picture:
    caption = f"Mean {name} over seeds; the methods of one level stand side by side.{bars}"
    caption += " Dashed grey: the ladder's own network without training." if chart.baseline_label else ""
    if absent := [method for method, line in chart.lines.items() if not any(line)]:
        caption += f" No value at any level: {', '.join(absent)}."
    paint = partial(_curves, chart, methods)
    return export(folder, stem, paint, f"{name} against shift", _alt(chart, name), caption)


def _mean(folder: Path, stem: str, chart: Chart, methods: Sequence[str], name: str) -> Picture:
    caption = f"{name} less its mean over all methods at the level. Without intervals: those of the means do not "
    caption += "describe differences."
    if chart.blank:
        numbers = ", ".join(str(chart.levels[position].index) for position in chart.blank)
        caption += f" Left out, because not every method has a value: level {numbers}."
    title = f"{name} against the mean of all methods"
    what = f"{name} less the mean of all methods"
    return export(folder, stem, partial(_curves, chart, methods), title, _alt(chart, what), caption)


def _reference(folder: Path, stem: str, chart: Chart, methods: Sequence[str], name: str, bars: str) -> Picture:
    caption = f"{name} less that of the ladder's own untrained network on the same test classes.{bars}"
    title = f"{name} against the untrained reference"
    what = f"{name} less the untrained reference"
    return export(folder, stem, partial(_curves, chart, methods), title, _alt(chart, what), caption)
