"""What `oodml compare-shift` prints: shifts with their rank correlations, and all correlations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oodml.compare_shift import Comparison, ShiftRow
from oodml.report import text
from oodml.report.screen import Unit, level_index, new_table, plain, tight

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 24  # of the names
MOST_NAMED = 7  # rows that leave room for names beside their correlations


def shift_table(result: Comparison) -> Table:
    """The shift of every level by every embedder and measure, with rank correlations to the ladder's own."""
    levels = result.ladder.levels
    star = "; * the default division" if result.ladder.default_level is not None else ""
    caption = f"ρ: Spearman's, τ: Kendall's rank correlation with row 0, the shifts that the ladder stores{star}"
    shown = new_table(f"{result.ladder.name}: shift by level", caption, padding=1 if len(levels) < 7 else 0)
    shown.add_column("", no_wrap=True)
    shown.add_column("embedder\nmeasure", vertical="bottom")
    for name in (*map(level_index, levels), "ρ", "τ"):
        shown.add_column(name, justify="right", vertical="bottom", no_wrap=True)
    for number, row in enumerate(result.rows):
        unit = Unit.of(row.shifts)
        words = [str(number), _name(row, unit), *map(unit.show, row.shifts)]
        shown.add_row(*map(plain, words), plain(_correlation(row.spearman)), plain(_correlation(row.kendall)))
    return shown


def correlation_table(result: Comparison) -> Table:
    """Spearman's rank correlation of every row with every other."""
    named = len(result.rows) <= MOST_NAMED
    shown = new_table("Spearman's rank correlation of the rows above")
    shown.add_column("", no_wrap=True)
    if named:
        shown.add_column("")
    for number in range(len(result.rows)):
        shown.add_column(str(number), justify="right", no_wrap=True)
    for number, (row, values) in enumerate(zip(result.rows, result.spearman(), strict=True)):
        name = [f"{text.shorten([row.embedder], WIDTH)[0]}, {_measure(row)}"] if named else []
        shown.add_row(*map(plain, (str(number), *name, *(_correlation(float(value)) for value in values))))
    return shown


def step_note(levels: int) -> str:
    """How coarse rank correlations of so few levels are."""
    rho, tau = 12 / (levels * (levels**2 - 1)), 4 / (levels * (levels - 1))
    return (
        f"note: rank correlations of {levels} levels are coarse: two neighbours in the other order cost "
        f"{tight(f'{rho:.3f}')} of ρ and {tight(f'{tau:.3f}')} of τ"
    )


def _name(row: ShiftRow, unit: Unit) -> str:
    scale = f", {unit.name}" if unit.name else ""
    stored = ", stored" if row.stored else ""
    return f"{text.shorten([row.embedder], WIDTH)[0]}\n{_measure(row)}{stored}{scale}"


def _measure(row: ShiftRow) -> str:
    return row.measure + (" of images" if row.statistics == "images" else "")


def _correlation(value: float) -> str:
    return text.MINUS if math.isnan(value) else tight(text.number(value, 2))
