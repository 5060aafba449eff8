"""Tables for the terminal: the numbers of the report in eighty columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodml.report import tables, text
from oodml.report.ladder_tables import ladder_table
from oodml.report.screen import is_default, level_index, new_table, plain, tight
from oodml.report.sections import Section
from oodml.report.view import Cell, View, views

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

__all__ = ["ladder_table", "summary_table"]


def summary_table(section: Section, metric: str) -> Table:
    """Methods x levels of one metric with AGS and the fall, for the first setting and selection that has it.

    Args:
        section: The benchmark.
        metric: The metric, e.g. "recall_at_1".

    Returns:
        A table for `rich`: every mean above the half-width of its interval, with seeds where some are missing.
        Without a finished run it says so.
    """
    found = views(section)
    view = next((view for view in found if metric in view.metrics), None)
    if view is None:
        shown = new_table(section.benchmark)
        shown.add_column("no run has finished yet")
        return shown
    more = f" (the first of {len(found)} settings)" if len(found) > 1 else ""
    title = f"{section.benchmark}: {text.metric_name(metric)}, {view.title.lower()}{more}"
    shown = new_table(title, _caption(view), padding=1 if len(view.levels) < 7 else 0)
    shown.add_column("method", no_wrap=True)
    for level in view.levels:
        shown.add_column(f"{level_index(level)}\n{text.shift(level.shift)}", justify="right")
    shown.add_column("AGS", justify="right")
    shown.add_column("fall", justify="right")
    for method in view.by_ags(metric):
        cells = [_value(view.cells.get((method, level.index, metric))) for level in view.levels]
        fall = tight(tables.fall(view, method, metric).text)
        shown.add_row(plain(method), *cells, _value(view.ags.get((method, metric))), plain(fall))
    return shown


def _caption(view: View) -> str:
    made = "; ".join(view.intervals())
    parts = ["columns: level and its shift" + (", * the default" if any(map(is_default, view.levels)) else "")]
    parts += [f"{text.PLUS_MINUS} {made}"] if made else ["one seed, no interval"]
    return "; ".join([*parts, "fall: hardest less easiest"])


def _value(cell: Cell | None) -> Text:
    """Leading zeros are left out: eight levels fit side by side without them."""
    from rich.text import Text

    if cell is None:
        return Text("")
    if cell.mean is None:
        return Text(f"{cell.n}/{cell.planned}", style="yellow")
    shown = Text(tight(text.number(cell.mean)))
    spread = text.spread(cell.mean, cell.low, cell.high).replace(f"{text.PLUS_MINUS} 0.", f"{text.PLUS_MINUS}.")
    if spread:
        shown.append(f"\n{spread}", style="dim")
    if cell.n < cell.planned:
        shown.append(f"\n{cell.n}/{cell.planned}", style="yellow")
    return shown
