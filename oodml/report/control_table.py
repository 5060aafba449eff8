"""The table that holds levels against random control divisions."""

from __future__ import annotations

import math

from oodml.controls import Control
from oodml.report import text
from oodml.report.cells import GAP, Column, Entry, Table
from oodml.report.view import View


def control_table(control: Control, view: View, metric: str) -> Table | None:
    """Where one more random division would lie, and which levels lie outside; None without a method in common.

    Args:
        control: The sweep over random divisions.
        view: Methods and levels to hold against it.
        metric: The metric.
    """
    rows = []
    for method in view.by_ags(metric):
        if (band := control.methods.get((method, metric))) is None:
            continue
        known = not math.isnan(band.low)
        outside = [
            str(level.index)
            for level in view.levels
            if (mean := view.mean(method, level, metric)) is not None and known and not band.low <= mean <= band.high
        ]
        cells = (
            Entry(text.number(band.value), value=band.value),
            Entry(f"{text.number(band.low)} to {text.number(band.high)}") if known else GAP,
            Entry(", ".join(outside) or "none", kind="prose") if known else GAP,
        )
        rows.append((method, cells))
    if not rows:
        return None
    columns = (Column("mean"), Column("one more would lie in"), Column("levels outside", prose=True))
    note = (
        f"{control.divisions} random divisions of the same classes: what a division does to {text.metric_name(metric)} "
        "without any intended shift. The band is a 95 % prediction interval (Student's t) of one more of them."
    )
    return Table(f"{text.metric_name(metric)} of random control divisions", "method", columns, tuple(rows), note)
