"""Tables for the terminal: the numbers of the report in eighty columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oodml.records import Ladder, Level
from oodml.report import tables, text
from oodml.report.sections import Section
from oodml.report.view import Cell, View, views

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


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
        shown = _table(section.benchmark, "")
        shown.add_column("no run has finished yet")
        return shown
    more = f" (the first of {len(found)} settings)" if len(found) > 1 else ""
    title = f"{section.benchmark}: {text.metric_name(metric)}, {view.title.lower()}{more}"
    shown = _table(title, _caption(view), padding=1 if len(view.levels) < 7 else 0)
    shown.add_column("method", no_wrap=True)
    for level in view.levels:
        shown.add_column(f"{_index(level)}\n{text.shift(level.shift)}", justify="right")
    shown.add_column("AGS", justify="right")
    shown.add_column("fall", justify="right")
    for method in view.by_ags(metric):
        cells = [_value(view.cells.get((method, level.index, metric))) for level in view.levels]
        fall = _tight(tables.fall(view, method, metric).text)
        shown.add_row(_plain(method), *cells, _value(view.ags.get((method, metric))), _plain(fall))
    return shown


def ladder_table(ladder: Ladder) -> Table:
    """The levels of a ladder: shift, null shift, reference and class counts.

    Args:
        ladder: The ladder.

    Returns:
        A table for `rich`.
    """
    default = "* the default division; " if ladder.default_level is not None else ""
    caption = f"{default}null: shift under random relabelling; ref.: untrained; train, val, test: classes"
    shown = _table(f"{ladder.name}: {len(ladder.levels)} levels", caption)
    metrics = tables.reference_metrics(ladder.levels)
    shown.add_column("level")
    shown.add_column("origin", no_wrap=True)
    references = [f"ref.\n{text.metric_name(metric)}" for metric in metrics]
    for name in ("shift", "scaled", "null", *references, "train", "val", "test"):
        shown.add_column(name, justify="right", vertical="bottom", no_wrap=True)
    for level in ladder.levels:
        spread = f"{text.PLUS_MINUS}{_tight(text.shift(level.null_std))}" if not math.isnan(level.null_std) else ""
        null = f"{text.shift(level.null_mean)}{spread}" if not math.isnan(level.null_mean) else ""
        known = [level.reference.get(metric) for metric in metrics]
        row = [_index(level), level.origin, text.shift(level.shift), text.number(level.shift_scaled, 2), null]
        row += ["" if value is None else text.number(value) for value in known]
        shown.add_row(*(_plain(words) for words in (*row, *map(str, tables.class_counts(level)))))
    return shown


def _table(title: str, caption: str, padding: int = 1) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=_plain(title),
        caption=_plain(caption) if caption else None,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, padding),
        title_style="bold",
        title_justify="left",
        caption_style="dim",
        caption_justify="left",
    )


def _caption(view: View) -> str:
    made = "; ".join(view.intervals())
    parts = ["columns: level and its shift" + (", * the default" if any(map(_default, view.levels)) else "")]
    parts += [f"{text.PLUS_MINUS} {made}"] if made else ["one seed, no interval"]
    return "; ".join([*parts, "fall: hardest less easiest"])


def _default(level: Level) -> bool:
    return level.name == "default"


def _index(level: Level) -> str:
    return f"{level.index}*" if _default(level) else str(level.index)


def _value(cell: Cell | None) -> Text:
    """Leading zeros are left out: eight levels fit side by side without them."""
    from rich.text import Text

    if cell is None:
        return Text("")
    if cell.mean is None:
        return Text(f"{cell.n}/{cell.planned}", style="yellow")
    shown = Text(_tight(text.number(cell.mean)))
    spread = text.spread(cell.mean, cell.low, cell.high).replace(f"{text.PLUS_MINUS} 0.", f"{text.PLUS_MINUS}.")
    if spread:
        shown.append(f"\n{spread}", style="dim")
    if cell.n < cell.planned:
        shown.append(f"\n{cell.n}/{cell.planned}", style="yellow")
    return shown


def _tight(words: str) -> str:
    return (
        words.removeprefix("0") if words.startswith("0.") else words.replace("+0.", "+.").replace("\u22120.", "\u2212.")
    )


def _plain(words: str) -> Text:
    """Text in which `rich` does not look for markup of its own."""
    from rich.text import Text

    return Text(words)
