"""The few-shot rows of a section arranged for reading: methods, adapters and numbers of shots as axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodml.records import Level
from oodml.report.charts import Chart, Point
from oodml.report.sections import Section
from oodml.report.text import metric_name
from oodml.report.view import Cell, View
from oodml.schema import UNADAPTED

if TYPE_CHECKING:
    from oodml.few_shot_statistics import GainCurve, Needed

PREFERRED = "linear"


@dataclass(frozen=True)
class FewShotView:
    """What was adapted on one ladder, with the last weights.

    Attributes:
        views: (shots, adapter) to its rows, "none" among the adapters.
        shots: Numbers of shots, rising.
        adapters: The others, the main one first, then by name.
        curves: (method, shots, adapter, metric) to what the rows do not say.
        needed: (method, adapter, metric) to the images that it takes to return to the easiest level.
    """

    views: Mapping[tuple[int, str], View]
    shots: tuple[int, ...]
    adapters: tuple[str, ...]
    curves: Mapping[tuple[str, int, str, str], GainCurve]
    needed: Mapping[tuple[str, str, str], Needed]

    def adapters_of(self, shots: int, metric: str) -> list[str]:
        """Adapters with rows of a number of shots and metric, the main one first."""
        found = ((adapter, self.views.get((shots, adapter))) for adapter in self.adapters)
        return [adapter for adapter, view in found if view and f"gain_{metric}" in view.metrics]

    def gain(self, method: str, level: Level, shots: int, adapter: str, metric: str) -> Cell | None:
        """The cell of a gain."""
        return self.views[shots, adapter].cells.get((method, level.index, f"gain_{metric}"))


@dataclass(frozen=True)
class Panel:
    """One method before and after adaptation.

    Attributes:
        method: Its label.
        none: Per level the unadapted value on the queries; None is a gap.
        adapted: Per level the adapted value.
        relative: Per level the gain in percent of the unadapted value.
        line: Its least-squares line, in percent at every level; empty if there is none.
    """

    method: str
    none: tuple[Point | None, ...]
    adapted: tuple[Point | None, ...]
    relative: tuple[float | None, ...]
    line: tuple[float, ...]


def few_shot_view(section: Section, found: Sequence[View]) -> FewShotView | None:
    """Arranges the few-shot rows with the last weights; None if nothing was adapted.

    Args:
        section: The benchmark.
        found: Its views.
    """
    shown = {view.few_shot: view for view in found if view.few_shot and view.selection == "last"}
    adapters = sorted({adapter for _, adapter in shown} - {UNADAPTED}, key=_main_first)
    if not adapters:
        return None
    labels = _labels(section)
    curves, needed = (section.few_shot.curves, section.few_shot.needed) if section.few_shot else ((), ())
    return FewShotView(
        views=shown,
        shots=tuple(sorted({shots for shots, _ in shown})),
        adapters=tuple(adapters),
        curves={
            (
                labels[curve.entry[1:5]],
                curve.variant.shots or 0,
                curve.variant.adapter or UNADAPTED,
                curve.variant.metric,
            ): curve
            for curve in curves
            if curve.entry.selection == "last" and curve.entry[1:5] in labels
        },
        needed={
            (labels[part.entry[1:5]], part.adapter, part.metric): part
            for part in needed
            if part.entry.selection == "last" and part.entry[1:5] in labels
        },
    )


def _main_first(adapter: str) -> tuple[bool, bool, str]:
    return adapter != PREFERRED, not adapter.startswith(f"{PREFERRED}:"), adapter


def _labels(section: Section) -> dict[tuple[object, ...], str]:
    """Method, backbone, width and configuration to the label of the method."""
    from oodml.entries import row_tuples
    from oodml.method_labels import label_methods

    keys = row_tuples(section.frame, ("method", "backbone", "embedding_dim", "config"))
    return dict(zip(keys, label_methods(section.frame), strict=True))


def panels(shown: FewShotView, shots: int, adapter: str, metric: str) -> list[Panel]:
    """A panel for every method that has a value, by name."""
    after, before = shown.views[shots, adapter], shown.views.get((shots, UNADAPTED))
    made = []
    for method in after.methods:
        none = [before.cells.get((method, level.index, metric)) if before else None for level in after.levels]
        adapted = [after.cells.get((method, level.index, metric)) for level in after.levels]
        panel = Panel(
            method,
            tuple(map(_point, none)),
            tuple(map(_point, adapted)),
            *_relative(shown.curves.get((method, shots, adapter, metric)), after.levels),
        )
        if any((*panel.none, *panel.adapted)):
            made.append(panel)
    return made


def _point(cell: Cell | None) -> Point | None:
    return Point(cell.mean, cell.low, cell.high) if cell and cell.mean is not None else None


def _relative(curve: GainCurve | None, levels: Sequence[Level]) -> tuple[tuple[float | None, ...], tuple[float, ...]]:
    if curve is None:
        return (None,) * len(levels), ()
    parts = [curve.relative.get(level.index) for level in levels]
    values = tuple(None if part is None or math.isnan(part.mean) else 100 * part.mean for part in parts)
    if curve.line is None:
        return values, ()
    intercept, slope = curve.line
    return values, tuple(100 * (intercept + slope * level.shift_scaled) for level in levels)


def mean_gains(shown: FewShotView, shots: int, metric: str) -> tuple[Chart, list[str]]:
    """The gain of every adapter, mean of the methods.

    An adapter has a point where all compared methods have a gain: a mean over some of them says something else.

    Returns:
        The chart with adapters for lines, and the methods compared: those that every adapter has a gain of.
    """
    adapters = shown.adapters_of(shots, metric)
    view = shown.views[shots, adapters[0]]
    gains = {
        adapter: {
            method: [_mean(shown.gain(method, level, shots, adapter, metric)) for level in view.levels]
            for method in shown.views[shots, adapter].methods
        }
        for adapter in adapters
    }
    known = [{m for m, line in of.items() if any(v is not None for v in line)} for of in gains.values()]
    compared = sorted(set.intersection(*(methods for methods in known if methods))) if any(known) else []
    lines: dict[str, tuple[Point | None, ...]] = {}
    for adapter, of in gains.items():
        rows = [of.get(method, [None] * len(view.levels)) for method in compared]
        columns = [[row[i] for row in rows] for i in range(len(view.levels))]
        lines[adapter] = tuple(_average(column) for column in columns)
    name = f"Gain in {metric_name(metric)}, {shots} shots, mean of {len(compared)} method{'s' * (len(compared) != 1)}"
    zero = (0.0,) * len(view.levels)
    return Chart(name, view.levels, lines, zero, "unadapted"), compared


def _mean(cell: Cell | None) -> float | None:
    return cell.mean if cell else None


def _average(values: Sequence[float | None]) -> Point | None:
    known = [value for value in values if value is not None]
    return Point(sum(known) / len(known)) if known and len(known) == len(values) else None
