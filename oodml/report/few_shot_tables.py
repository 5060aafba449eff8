"""The tables of few-shot adaptation: gains by level, and images needed to return to the easiest level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from oodml.records import Level
from oodml.report import text
from oodml.report.cells import GAP, Column, Entry, Table
from oodml.report.few_shot_view import FewShotView
from oodml.report.method_cards import NO_CARDS, Cards
from oodml.report.tables import level_label, value
from oodml.report.view import Cell

if TYPE_CHECKING:
    from oodml.few_shot_statistics import GainCurve, Needed

Rows = list[tuple[str, tuple[Entry, ...]]]


def gain_table(shown: FewShotView, shots: int, metric: str, cards: Cards = NO_CARDS) -> Table:
    """Methods x levels of the gain, a block of rows per adapter, the largest gain at the hardest level first."""
    adapters = shown.adapters_of(shots, metric)
    levels = shown.views[shots, adapters[0]].levels
    columns = [Column("slope", "trend of the gain"), Column("with the shift", "trend of the gain")]
    columns += _level_columns(levels)
    rows: Rows = []
    for adapter in adapters:
        view = shown.views[shots, adapter]
        rows += [(adapter, ())] if len(adapters) > 1 else []
        for method in view.by_mean(levels[-1], f"gain_{metric}") if levels else view.methods:
            curve = shown.curves.get((method, shots, adapter, metric))
            cells = []
            for level in levels:
                entry = gain_entry(shown.gain(method, level, shots, adapter, metric), _within(curve, level))
                cells.append(entry if entry.kind else replace(entry, link=cards.runs(method, level.index)))
            rows.append((method, (*_trend(curve, len(levels)), *cells)))
    title = f"Gain in {text.metric_name(metric)} by level" + (f", {adapters[0]}" if len(adapters) == 1 else "")
    note = _gain_note(shown, shots, metric, adapters)
    return Table(title, "method", tuple(columns), tuple(rows), note, stacked=True, links=cards.of)


def gain_entry(cell: Cell | None, within: float | None) -> Entry:
    """A signed gain; its half-width over seeds, and in brackets that over episodes."""
    if cell is None or cell.mean is None:
        return value(cell)
    over_seeds = not cell.interval.endswith("over episodes")
    parts = [text.spread(cell.mean, cell.low, cell.high)] if over_seeds else []
    parts += [f"({text.PLUS_MINUS} {within:.3f})"] if within is not None else []
    parts += [text.seeds_text(cell.n, cell.planned)] if cell.n < cell.planned else []
    return Entry(text.signed(cell.mean), " ".join(part for part in parts if part))


def needed_table(shown: FewShotView, metric: str, most: int | None = None, cards: Cards = NO_CARDS) -> Table | None:
    """Methods x levels of the images per class that it takes; None if nothing is known.

    Args:
        shown: The few-shot results.
        metric: The metric.
        most: How many adapters to show, the main one first; None for all.
        cards: Where the cards of the methods are.
    """
    adapters = [name for name in shown.adapters if any(key[1:] == (name, metric) for key in shown.needed)][:most]
    if not adapters:
        return None
    levels = max((view.levels for view in shown.views.values()), key=len)
    rows: Rows = []
    for adapter in adapters:
        rows += [(adapter, ())] if len(adapters) > 1 else []
        for (method, *other), part in shown.needed.items():
            if other == [adapter, metric]:
                rows.append((method, tuple(_needed(part, level) for level in levels[1:])))
    by = f" ({adapters[0]})" if len(adapters) == 1 else ""
    title = f"Labelled images per class needed to return to the {text.metric_name(metric)} of the easiest level{by}"
    note = (
        f"Smallest number tried ({', '.join(map(str, shown.shots))}) with which the adapted mean reaches the unadapted "
        f"mean at level {levels[0].index}, there with as many images taken out of the queries; 0: the unadapted "
        "network is already there. Means over seeds and episodes are compared as they are, without a test."
    )
    return Table(title, "method", tuple(_level_columns(levels[1:])), tuple(rows), note, links=cards.of)


def _level_columns(levels: Sequence[Level]) -> list[Column]:
    return [Column(f"shift {text.shift(level.shift)}", f"level {level_label(level)}") for level in levels]


def _within(curve: GainCurve | None, level: Level) -> float | None:
    found = curve.within.get(level.index) if curve else None
    return None if found is None or math.isnan(found) else found


def _trend(curve: GainCurve | None, count: int) -> tuple[Entry, Entry]:
    trend = curve.trend if curve else None
    if trend is None or math.isnan(trend.slope):
        return GAP, GAP
    ends = (None, None) if math.isnan(trend.low) else (trend.low, trend.high)
    detail = text.spread(trend.slope, *ends) + ("" if trend.levels == count else f" {trend.levels}/{count} levels")
    return Entry(text.signed(trend.slope), detail.strip()), Entry(trend.word)


def _needed(part: Needed, level: Level) -> Entry:
    count = part.shots.get(level.index)
    if count is None:
        return Entry(text.GAP, kind="gap")
    return Entry(f"> {part.most}" if math.isinf(count) else f"{count:.0f}")


def _gain_note(shown: FewShotView, shots: int, metric: str, adapters: Sequence[str]) -> str:
    cells = [
        cell
        for adapter in adapters
        for (_, _, name), cell in shown.views[shots, adapter].cells.items()
        if name == f"gain_{metric}" and cell.interval
    ]
    notes = ["Adapted less unadapted on the same queries, mean over episodes and seeds."]
    if any(cell.interval.endswith("over seeds") for cell in cells):
        notes.append(f"{text.PLUS_MINUS}: half-width of the 95 % interval over seeds.")
    if cells:
        notes.append("In brackets: half-width over the episodes of one network, mean of the seeds.")
    curves = [curve for (_, *key), curve in shown.curves.items() if key[0] == shots and key[2] == metric]
    made = {curve.trend.made for curve in curves if curve.trend and curve.trend.word}
    if made:
        notes.append(f"Interval of the slope: {' or '.join(sorted(_MADE.get(name, name) for name in made))}.")
    return " ".join(notes)


_MADE = {
    "over seeds": "from the slopes of the seeds",
    "residuals over episodes": "from the residuals of the episodes of a single seed",
}
