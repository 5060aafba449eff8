"""Tables of what the runs say beyond their means."""

from __future__ import annotations

import math

from oodml.findings import Difference, Findings
from oodml.report import text
from oodml.report.cells import GAP, Column, Entry, Table
from oodml.report.method_cards import NO_CARDS, Cards
from oodml.report.view import View
from oodml.statistics import Estimate

SURE = 0.05


def findings_tables(found: Findings, view: View, metric: str, cards: Cards = NO_CARDS) -> tuple[Table, ...]:
    """The tables, as far as there is something to say.

    Args:
        found: The findings of the view and metric.
        view: For the order of the methods.
        metric: The metric.
        cards: Where the cards of the methods are.
    """
    tables = [_holding_up(found, view, metric, cards)]
    if not _blank(found):
        tables.append(_levels(found, metric))
    if found.measures:
        tables.append(_measures(found, metric))
    return tuple(tables)


def _holding_up(found: Findings, view: View, metric: str, cards: Cards) -> Table:
    columns = (
        Column(f"less {found.best}" if found.best else "less the best"),
        Column("p"),
        Column("fall"),
        Column("slope"),
        Column("slope beyond reference"),
        Column("beyond expectation"),
    )
    rows = []
    for method in view.by_ags(metric):
        if method in found.methods:
            row = found.methods[method]
            cells = [*_difference(row.difference), _estimate(row.fall), _estimate(row.slope), _estimate(row.beyond)]
            effective = GAP if math.isnan(row.effective) else Entry(text.signed(row.effective), value=row.effective)
            rows.append((method, (*cells, effective)))
    made = sorted({e.made for row in found.methods.values() for e in (row.fall, row.slope, row.beyond) if e.made})
    note = (
        "Difference to the best: mean over the levels, paired by level and seed, with a 95 % interval; p is corrected "
        "for all pairs (Holm), bold below .05. Fall: hardest level less easiest. Slope: change over the whole ladder "
        "along a least-squares line, of the metric and of the metric less the untrained reference. Beyond expectation: "
        "value at the hardest level less what a line over methods expects from the value at the default level."
    )
    note += f" Intervals: {'; '.join(text.interval_name(name) for name in made)}." if made else ""
    title = f"How {text.metric_name(metric)} holds up"
    return Table(title, "method", columns, tuple(rows), note, sortable=True, tags=cards.groups, links=cards.of)


def _difference(found: Difference | None) -> tuple[Entry, Entry]:
    if found is None or math.isnan(found.mean):
        return GAP, GAP
    detail = text.spread(found.mean, _known(found.low), _known(found.high))
    p = GAP if math.isnan(found.p) else Entry(text.p_value(found.p), strong=found.p < SURE, value=found.p)
    return Entry(text.signed(found.mean), detail, value=found.mean), p


def _estimate(found: Estimate) -> Entry:
    if math.isnan(found.value):
        return GAP
    detail = text.spread(found.value, _known(found.low), _known(found.high))
    return Entry(text.signed(found.value) or text.number(0.0), detail, value=found.value)


def _known(end: float) -> float | None:
    return None if math.isnan(end) else end


def _blank(found: Findings) -> bool:
    """Whether no two levels can be compared."""
    return bool((found.rank_correlation != found.rank_correlation).sum() >= len(found.levels) ** 2 - len(found.levels))


def _levels(found: Findings, metric: str) -> Table:
    """Rank correlation between levels; the lower half says it all."""
    columns = tuple(Column(str(index), "level") for index in found.levels[:-1])
    rows = []
    for i, index in enumerate(found.levels[1:], start=1):
        cells = [_correlation(float(value)) for value in found.rank_correlation[i, :i]]
        rows.append((str(index), (*cells, *([GAP] * (len(columns) - len(cells))))))
    note = (
        f"Spearman's rank correlation over methods of {text.metric_name(metric)} at two levels: 1 where both order the "
        "methods alike, 0 where one order says nothing about the other. Methods with all levels only."
    )
    return Table("Do levels agree on the order of methods?", "level", columns, tuple(rows), note)


def _measures(found: Findings, metric: str) -> Table:
    columns = tuple(Column(str(index), "level") for index in found.levels)
    rows = []
    for name, entry in found.measures.items():
        pairs = zip(entry.correlation, entry.p, strict=True)
        rows.append((text.metric_name(name), tuple(_correlation(float(r), float(p)) for r, p in pairs)))
    note = (
        f"Spearman's rank correlation over methods between a measure of the embedding space and "
        f"{text.metric_name(metric)}. Bold: p below .05, not corrected for the number of levels and measures."
    )
    return Table("What goes with quality?", "measure", columns, tuple(rows), note)


def _correlation(value: float, p: float = math.nan) -> Entry:
    return GAP if math.isnan(value) else Entry(text.signed(value, 2) or "0.00", strong=p < SURE, value=value)
