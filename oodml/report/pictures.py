"""Which figures a view has, and what stands under each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.report import charts
from oodml.report.bars import paint_bars
from oodml.report.charts import Chart
from oodml.report.curves import locate, paint_curves
from oodml.report.drawing import Drawing
from oodml.report.export import Picture
from oodml.report.figure_names import chosen_figures
from oodml.report.further_pictures import critical, heat, ladder_progress, pareto
from oodml.report.highlight import chosen
from oodml.report.style import LIGHT, Theme
from oodml.report.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from oodml.records import Ladder


def draw(
    folder: Path,
    prefix: str,
    view: View,
    metric: str,
    methods: Sequence[str],
    *,
    figures: Sequence[str] | None = None,
    seconds: Mapping[str, float] | None = None,
    band: tuple[float, float] | None = None,
    ladder: Ladder | None = None,
) -> tuple[Picture, ...]:
    """Writes the figures of one metric.

    Args:
        folder: Where the files go.
        prefix: Start of their names.
        view: What to show.
        metric: The metric.
        methods: Methods with a colour in the report, see `highlight.coloured`; they decide the colours.
        figures: Names among `FIGURES`; None for all.
        seconds: Method to its mean training time per run in seconds; without it there is no Pareto front.
        band: Lowest and highest value over random control divisions; None for no band.
        ladder: The ladder, for what its generator visited between the levels; None shows the levels alone.

    Returns:
        The figures in the order of `FIGURES`, as far as there is something to show.

    Raises:
        UnknownNameError: If there is no figure of a name.
        StorageError: If a file cannot be written.
    """
    named = chosen(view, metric)
    drawing = Drawing(folder, prefix, view, metric, methods, named, seconds or {}, band, ladder)
    pictures = (PAINTERS[name](drawing) for name in chosen_figures(figures))
    return tuple(picture for picture in pictures if picture)


def _lines(drawing: Drawing, kind: str, chart: Chart, what: str, title: str, caption: str) -> Picture:
    def paint(theme: Theme) -> Figure:
        return paint_curves(chart, drawing.looks(theme), theme)

    alt = f"Line chart of {what} against shift, {len(chart.lines)} methods at {len(chart.levels)} levels."
    where = partial(locate, chart=chart, looks=drawing.looks(LIGHT))
    return drawing.export(kind, paint, title, alt, caption + drawing.grey, where)


def _bars_caption(drawing: Drawing) -> str:
    if drawing.made:
        return f" Vertical bars: {drawing.made}; ends outside the frame are cut."
    return " An interval needs two seeds."


def _curves(drawing: Drawing) -> Picture:
    chart = charts.degradation(drawing.view, drawing.metric, drawing.band)
    caption = f"Mean {drawing.name} over seeds; the methods of one level stand side by side.{_bars_caption(drawing)}"
    caption += " Dashed grey: the ladder's own network without training." if chart.baseline_label else ""
    caption += " Grey band: lowest to highest mean over the control divisions." if chart.band else ""
    if absent := [method for method, line in chart.lines.items() if not any(line)]:
        caption += f" No value at any level: {', '.join(absent)}."
    return _lines(drawing, "curve", chart, drawing.name, f"{drawing.name} against shift", caption)


def _ags(drawing: Drawing) -> Picture | None:
    view, metric, name = drawing.view, drawing.metric, drawing.name
    if not any((method, metric) in view.ags for method in view.methods):
        return None
    caption = f"Area under {name} against shift, shift scaled to [0, 1]; n is the number of seeds."
    caption += f" Lines at the ends: {drawing.made}." if drawing.made else ""
    alt = f"Bar chart of the AGS of {name}, {len(view.methods)} methods, the best first."

    def paint(theme: Theme) -> Figure:
        return paint_bars(view, metric, drawing.looks(theme), theme)

    return drawing.export("ags", paint, f"AGS of {name}", alt, caption + drawing.grey)


def _mean(drawing: Drawing) -> Picture | None:
    if len(drawing.view.methods) < 2:
        return None
    chart = charts.against_mean(drawing.view, drawing.metric)
    if chart.empty:
        return None
    name = drawing.name
    caption = f"{name} less its mean over all methods at the level. Without intervals: those of the means do not "
    caption += "describe differences."
    caption += " Straight lines: least squares." if chart.fits else ""
    if chart.blank:
        numbers = ", ".join(str(chart.levels[position].index) for position in chart.blank)
        caption += f" Left out, because not every method has a value: level {numbers}."
    what, title = f"{name} less the mean of all methods", f"{name} against the mean of all methods"
    return _lines(drawing, "vs_mean", chart, what, title, caption)


def _reference(drawing: Drawing) -> Picture | None:
    chart = charts.against_reference(drawing.view, drawing.metric)
    if chart.empty:
        return None
    name = drawing.name
    caption = f"{name} less that of the ladder's own untrained network on the same test classes."
    caption += _bars_caption(drawing)
    what, title = f"{name} less the untrained reference", f"{name} against the untrained reference"
    return _lines(drawing, "vs_reference", chart, what, title, caption)


PAINTERS: Mapping[str, Callable[[Drawing], Picture | None]] = {
    "curves": _curves,
    "ags": _ags,
    "mean": _mean,
    "reference": _reference,
    "critical": critical,
    "heat": heat,
    "pareto": pareto,
    "ladder": ladder_progress,
}
