"""What the curve figures show: points taken from a view, without any drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oodml.records import Level
from oodml.report import text
from oodml.report.view import View


@dataclass(frozen=True)
class Point:
    """A value with its interval, if it has one."""

    y: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class Chart:
    """Values of every method against shift.

    Attributes:
        ylabel: What is shown, with its unit.
        levels: Levels along the x axis, by rising shift.
        lines: Per method a point per level; None leaves a gap in the line.
        baseline: Value per level of the dashed grey line; None leaves a gap.
        baseline_label: Its name; "" if there is none.
        blank: Positions of levels that are left empty on purpose, shaded.
        note: Printed under the axis; "" for none.
        band: Ends of a grey band behind the lines; None for none.
        fits: Per method intercept and slope of its least-squares line.
    """

    ylabel: str
    levels: tuple[Level, ...]
    lines: Mapping[str, tuple[Point | None, ...]]
    baseline: tuple[float | None, ...]
    baseline_label: str
    blank: tuple[int, ...] = ()
    note: str = ""
    band: tuple[float, float] | None = None
    fits: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether no method has a single point."""
        return not any(point for line in self.lines.values() for point in line)


def degradation(view: View, metric: str, band: tuple[float, float] | None = None) -> Chart:
    """The metric itself, beside the untrained reference; `band` is the range of the control divisions."""
    lines: dict[str, tuple[Point | None, ...]] = {}
    for method in view.methods:
        cells = [view.cells.get((method, level.index, metric)) for level in view.levels]
        lines[method] = tuple(
            Point(cell.mean, cell.low, cell.high, cell.n) if cell and cell.mean is not None else None for cell in cells
        )
    reference = tuple(level.reference.get(metric) for level in view.levels)
    known = any(value is not None for value in reference)
    return Chart(
        ylabel=text.metric_name(metric),
        levels=view.levels,
        lines=lines,
        baseline=reference,
        baseline_label="untrained reference" if known else "",
        band=band,
    )


def against_mean(view: View, metric: str) -> Chart:
    """The metric less the mean over methods, only at levels where every method has a value.

    The points carry no interval: that of a method's own mean does not describe a difference.
    """
    lines: dict[str, list[Point | None]] = {method: [] for method in view.methods}
    blank = []
    for position, level in enumerate(view.levels):
        cells = [view.cells.get((method, level.index, metric)) for method in view.methods]
        known = [(cell.mean, cell.n) for cell in cells if cell and cell.mean is not None]
        if len(known) < len(cells):
            blank.append(position)
            for line in lines.values():
                line.append(None)
            continue
        centre = sum(value for value, _ in known) / len(known)
        for line, (value, n) in zip(lines.values(), known, strict=True):
            line.append(Point(value - centre, n=n))
    return Chart(
        ylabel=f"{text.metric_name(metric)} {text.MINUS} mean of all methods",
        levels=view.levels,
        lines={method: tuple(line) for method, line in lines.items()},
        baseline=(0.0,) * len(view.levels),
        baseline_label="mean of all methods",
        blank=tuple(blank),
        note="shaded: not every method has a value" if blank else "",
        fits={method: fit for method, line in lines.items() if (fit := _fit(view.levels, line))},
    )


def _fit(levels: Sequence[Level], line: Sequence[Point | None]) -> tuple[float, float] | None:
    """Intercept and slope over shift; None for fewer than three points, which a line says nothing about."""
    from oodml.statistics import fit_line

    known = [(level.shift, point.y) for level, point in zip(levels, line, strict=True) if point]
    if len(known) < 3:
        return None
    intercept, slope = fit_line(*zip(*known, strict=True))
    return None if math.isnan(slope) else (intercept, slope)


def against_reference(view: View, metric: str) -> Chart:
    """The metric less the level's untrained reference; the interval moves with the mean."""
    lines: dict[str, tuple[Point | None, ...]] = {}
    for method in view.methods:
        line: list[Point | None] = []
        for level in view.levels:
            cell = view.cells.get((method, level.index, metric))
            if cell is None or cell.mean is None or cell.delta_reference is None:
                line.append(None)
                continue
            offset = cell.delta_reference - cell.mean
            low, high = (None if end is None else end + offset for end in (cell.low, cell.high))
            line.append(Point(cell.delta_reference, low, high, cell.n))
        lines[method] = tuple(line)
    return Chart(
        ylabel=f"{text.metric_name(metric)} {text.MINUS} reference",
        levels=view.levels,
        lines=lines,
        baseline=(0.0,) * len(view.levels),
        baseline_label="untrained reference",
    )
