"""Figures beyond the curves: critical differences, heat map, Pareto front, and the ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.records import Ladder
from oodml.report import text
from oodml.report.critical import SHOWN, Blocks, Diagram, best_groups, gather, paint_critical
from oodml.report.drawing import Drawing
from oodml.report.export import Picture, export
from oodml.report.heat import paint_heat
from oodml.report.ladder_figure import paint_ladder
from oodml.report.pareto import Costs, paint_pareto
from oodml.report.style import Theme, looks
from oodml.report.view import View, higher_is_better

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED = 12  # methods that a caption names; more are counted


def critical(drawing: Drawing) -> Picture | None:
    """The critical-difference diagram over the levels of the view; None for fewer than two levels or methods."""
    found = _diagram(gather([drawing.view], drawing.metric), drawing.metric, "levels")
    if found is None:
        return None
    diagram, caption = found
    title = f"Mean ranks of {drawing.name} over levels"
    alt = f"Critical-difference diagram of {len(diagram.ranks)} methods, the best first."
    return drawing.export(
        "critical", lambda theme: paint_critical(diagram, drawing.looks(theme), theme), title, alt, caption
    )


def draw_overall(
    folder: Path, prefix: str, views: Sequence[View], metric: str, methods: Sequence[str]
) -> Picture | None:
    """Writes the critical-difference diagram over the levels of several datasets.

    Args:
        folder: Where the files go.
        prefix: Start of their names; they end in `<metric>_critical`.
        views: A view per dataset, all of one setting.
        metric: The metric.
        methods: Methods with a colour in the report.

    Returns:
        The figure; None for fewer than two views, or two methods that have a value everywhere.

    Raises:
        StorageError: If a file cannot be written.
    """
    found = _diagram(gather(views, metric), metric, "levels and datasets") if len(views) > 1 else None
    if found is None:
        return None
    diagram, caption = found
    title = f"Mean ranks of {text.metric_name(metric)} over levels and datasets"
    alt = f"Critical-difference diagram of {len(diagram.ranks)} methods over {len(views)} datasets, the best first."

    def paint(theme: Theme) -> Figure:
        return paint_critical(diagram, looks(methods, theme), theme)

    return export(folder, f"{prefix}_{metric}_critical", paint, title, alt, caption)


def _diagram(blocks: Blocks, metric: str, over: str) -> tuple[Diagram, str] | None:
    """What a diagram shows, and its caption."""
    from oodml.comparisons import critical_difference

    if not blocks.enough:
        return None
    found = critical_difference(blocks.values, blocks.methods, higher_is_better=higher_is_better(metric))
    shown = min(len(found.methods), SHOWN)
    ranks = dict(zip(found.methods[:shown], map(float, found.mean_ranks[:shown]), strict=True))
    count = len(blocks.values)
    title = f"Mean rank of {text.metric_name(metric)} over {count} {over}"
    caption = f"Mean rank over {count} {over}, the best on the left; a bar joins methods whose mean ranks differ by "
    caption += f"less than the critical difference of Nemenyi's test at 0.05 (Dem\u0161ar 2006). {_friedman(found.p)}"
    caption += " Levels of a dataset share classes: they are not independent, and the test is too sure of itself."
    if shown < len(found.methods):
        caption += f" Shown: the best {shown} of {len(found.methods)} methods, ranked among all of them."
    if blocks.left_out:
        caption += f" Left out, because they lack a value: {listed(blocks.left_out)}."
    second = f"the best {shown} of {len(found.methods)} methods" if shown < len(found.methods) else ""
    return Diagram(title, second, ranks, best_groups(found.groups, shown), float(found.cd)), caption


def _friedman(p: float) -> str:
    size = "< 0.001" if p < 0.001 else f"= {p:.3f}"
    if p > 0.05:
        return f"Friedman's test finds no difference between the methods at all (p {size})."
    return f"Friedman's test: p {size}."


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; what goes beyond a dozen is counted."""
    if len(names) <= LISTED:
        return ", ".join(names)
    return f"{', '.join(names[: LISTED - 1])} and {len(names) - LISTED + 1} more"


def heat(drawing: Drawing) -> Picture | None:
    """The heat map of methods by levels."""
    view, metric = drawing.view, drawing.metric
    gaps = sum(view.mean(method, level, metric) is None for method in view.methods for level in view.levels)
    if gaps == len(view.methods) * len(view.levels):
        return None
    order = "by AGS" if any((method, metric) in view.ags for method in view.methods) else "by the hardest level"
    caption = f"Mean {drawing.name} over seeds, methods {order}, the best on top, levels by rising shift."
    caption += " In bold: the default division." if any(level.name == "default" for level in view.levels) else ""
    caption += " Hatched: no value." if gaps else ""
    alt = f"Heat map of {drawing.name}, {len(view.methods)} methods by {len(view.levels)} levels."

    def paint(theme: Theme) -> Figure:
        return paint_heat(view, metric, drawing.looks(theme), theme)

    return drawing.export("heat", paint, f"{drawing.name} by method and level", alt, caption)


def pareto(drawing: Drawing) -> Picture | None:
    """Training time against AGS; None without times or fewer than two methods that have both."""
    view, metric = drawing.view, drawing.metric
    scores = {m: cell.mean for m in view.methods if (cell := view.ags.get((m, metric))) and cell.mean is not None}
    seconds = {method: second for method, second in drawing.seconds.items() if second > 0}
    both = {method: score for method, score in scores.items() if method in seconds}
    if len(both) < 2:
        return None
    costs = Costs(f"AGS of {drawing.name}", seconds, both, higher_is_better(metric))
    caption = f"AGS of {drawing.name} against mean training time per run. The line is the Pareto front: no method is "
    caption += "both faster and better than one on it. Times depend on the machine; they can be compared only if all "
    caption += "runs were made on the same kind of device."
    without = tuple(method for method in view.methods if method not in both)
    caption += f" Left out, without a training time or an AGS: {listed(without)}." if without else ""
    alt = f"Scatter plot of AGS against training time, {len(both)} methods; on the front: {', '.join(costs.front)}."
    title = f"Training time and AGS of {drawing.name}"
    return drawing.export("pareto", lambda theme: paint_pareto(costs, drawing.looks(theme), theme), title, alt, caption)


def ladder_progress(drawing: Drawing) -> Picture | None:
    """The shift of the levels beside that of random sides; the same for every metric."""
    levels = drawing.view.levels
    if len(levels) < 2:
        return None
    shown = drawing.ladder or _bare(drawing.view)
    caption = "Shift of the levels, numbered by rising shift, along the way of the generator that made them."
    if any(level.null_mean == level.null_mean for level in shown.levels):
        caption += " Dashed: the same distance under random relabelling, mean and standard deviation; what lies above "
        caption += "it is shift, the rest is what having few classes costs."
    alt = f"Line chart of the shift of {len(levels)} levels."
    return export(
        drawing.folder, f"{drawing.prefix}_ladder", lambda theme: paint_ladder(shown, theme), "The ladder", alt, caption
    )


def _bare(view: View) -> Ladder:
    """The levels of a view as a ladder of which nothing else is known."""
    nothing: Mapping[str, str] = {}
    return Ladder("Levels", "", nothing, "", nothing, "", nothing, view.levels)
