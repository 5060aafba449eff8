"""The tables of a report: summary, one per level, the ladder, failures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from oodml.records import Level
from oodml.report import text
from oodml.report.cells import GAP, Column, Entry, Table
from oodml.report.method_cards import NO_CARDS, Cards
from oodml.report.sections import Failure
from oodml.report.view import Cell, View

RESAMPLED = (
    "Over classes: 95 % interval if the test classes were other ones of the same kind (bootstrap over classes, the "
    "seeds as they are). Over both: if seeds and classes were others."
)


def value(cell: Cell | None, link: str = "") -> Entry:
    """Mean with its interval, or what is missing; `link` leads to the runs."""
    if cell is None:
        return Entry("not planned", kind="gap")
    if cell.mean is None:
        return Entry(f"{cell.n}/{cell.planned} seeds" if cell.n else f"{text.GAP} (0/{cell.planned})", kind="gap")
    detail = text.spread(cell.mean, cell.low, cell.high)
    if cell.n < cell.planned:
        detail = f"{detail} ({text.seeds_text(cell.n, cell.planned)})".lstrip()
    return Entry(text.number(cell.mean), detail, strong=cell.rank_low == 1, value=cell.mean, link=link)


def ags(cell: Cell | None, link: str = "") -> Entry:
    """AGS with its interval, or "incomplete"."""
    return Entry("incomplete", kind="gap") if cell is None or cell.mean is None else value(cell, link)


def fall(view: View, method: str, metric: str) -> Entry:
    """Signed change from the easiest to the hardest level."""
    last = view.cells.get((method, view.levels[-1].index, metric)) if view.levels else None
    change = last.delta_first if last and len(view.levels) > 1 else None
    return GAP if change is None else Entry(text.signed(change), value=change)


def level_label(level: Level) -> str:
    """The index of a level, with "(default)" behind that of the default division."""
    return f"{level.index} (default)" if level.name == "default" else str(level.index)


def summary(view: View, metric: str, cards: Cards = NO_CARDS) -> Table:
    """Methods x levels for one metric, with AGS and the change from the easiest to the hardest level."""
    columns = [Column(f"shift {text.shift(level.shift)}", f"level {level_label(level)}") for level in view.levels]
    ends = f"level {view.levels[-1].index} {text.MINUS} {view.levels[0].index}" if view.levels else ""
    columns += [Column("all levels", "AGS"), Column(ends, "fall")]
    rows = []
    for method in view.by_ags(metric):
        cells = [
            value(view.cells.get((method, level.index, metric)), cards.runs(method, level.index))
            for level in view.levels
        ]
        cells += [ags(view.ags.get((method, metric)), cards.of.get(method, "")), fall(view, method, metric)]
        rows.append((method, tuple(cells)))
    rows = _only_telling(rows)
    made = "; ".join(view.intervals())
    notes = (
        [f"Mean over seeds {text.PLUS_MINUS} half-width of the interval ({made})."]
        if made
        else ["Mean over seeds; an interval needs two."]
    )
    if any(entry.strong for _, cells in rows for entry in cells):
        same = " with the same backbone" if view.several_backbones else ""
        notes.append(f"Bold: a test does not tell it apart from the best of its column{same}.")
    title = f"{text.metric_name(metric)} by level"
    more = {"sortable": True, "tags": cards.groups, "links": cards.of}
    return Table(title, "method", tuple(columns), tuple(rows), " ".join(notes), **more)  # type: ignore[arg-type]


def level_table(view: View, level: Level, metrics: Sequence[str], cards: Cards = NO_CARDS) -> Table:
    """Everything that is known about one level, methods by the first metric."""
    shown = [metric for metric in metrics if metric in view.metrics]
    columns = [Column("seeds")]
    resampled = any(cell.over_classes for (_, at, name), cell in view.cells.items() if at == level.index)
    for metric in shown:
        group = text.metric_name(metric)
        columns += [Column("mean", group), Column("rank", group)]
        columns += [Column("over classes", group), Column("over both", group)] if resampled else []
        columns += [Column(f"{text.DELTA} level 0", group), Column(f"{text.DELTA} reference", group)]
    rows = []
    for method in view.by_mean(level, shown[0]) if shown else []:
        cells = [view.cells.get((method, level.index, metric)) for metric in shown]
        link = cards.runs(method, level.index)
        rows.append(
            (method, (_seeds(cells[0]), *(entry for cell in cells for entry in _details(cell, link, resampled))))
        )
    name = "default division" if level.name == "default" else level.origin
    title = f"Level {level.index}, shift {text.shift(level.shift)}" + (f", {name}" if name else "")
    note = RESAMPLED if resampled else ""
    return Table(title, "method", tuple(columns), tuple(rows), note, sortable=True, links=cards.of)


def ladder_table(levels: Sequence[Level]) -> Table:
    """What every level is: shift, its null, reference and class counts."""
    columns = [Column("origin", prose=True), Column("shift"), Column("scaled"), Column("null shift")]
    metrics = reference_metrics(levels)
    columns += [Column(text.metric_name(metric), "reference") for metric in metrics]
    columns += [Column(side, "classes") for side in ("train", "val", "test")]
    rows = []
    for level in levels:
        cells = [Entry(level.origin, kind="prose"), Entry(text.shift(level.shift))]
        cells += [Entry(text.number(level.shift_scaled, 2)), _null(level)]
        known = [level.reference.get(metric) for metric in metrics]
        cells += [GAP if found is None else Entry(text.number(found)) for found in known]
        cells += [Entry(str(size)) for size in class_counts(level)]
        rows.append((level_label(level), tuple(cells)))
    return Table("Levels of the ladder", "level", tuple(columns), tuple(rows))


def reference_metrics(levels: Sequence[Level]) -> list[str]:
    """Metrics that some level knows the untrained reference of, recall before map."""
    return sorted({metric for level in levels for metric in level.reference}, reverse=True)


def class_counts(level: Level) -> tuple[int, int, int]:
    """Numbers of classes to train on (without those for validation), for validation, and to test on."""
    return len(level.train) - len(level.val), len(level.val), len(level.test)


def failures(found: Sequence[Failure], title: str = "Runs without a number") -> Table:
    """What ended without a number; those with the same error share a row."""
    groups: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in found:
        groups.setdefault((failure.method, failure.status, failure.error), []).append(failure)
    rows = []
    for (method, status, error), members in sorted(groups.items()):
        levels = sorted({failure.level for failure in members})
        runs = "; ".join(f"level {level}, {_seed_list(members, level)}" for level in levels)
        entries = (Entry(status, kind="prose"), Entry(runs, kind="prose"), Entry(error, kind="code"))
        rows.append((method, entries))
    columns = tuple(Column(name, prose=True) for name in ("status", "runs", "error"))
    return Table(title, "method", columns, tuple(rows))


def _seeds(cell: Cell | None) -> Entry:
    if cell is None:
        return Entry("not planned", kind="gap")
    failed = f"{cell.failed} failed" if cell.failed else ""
    return Entry(f"{cell.n}/{cell.planned}", failed, kind="" if cell.n >= cell.planned else "gap", value=cell.n)


def _seed_list(failures: Sequence[Failure], level: int) -> str:
    seeds = sorted({failure.seed for failure in failures if failure.level == level})
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _null(level: Level) -> Entry:
    if math.isnan(level.null_mean):
        return GAP
    return Entry(text.shift(level.null_mean), f"{text.PLUS_MINUS} {text.shift(level.null_std)}")


def _details(cell: Cell | None, link: str, resampled: bool) -> tuple[Entry, ...]:
    if cell is None or cell.mean is None:
        return (value(cell), *([GAP] * (5 if resampled else 3)))
    rank = Entry(text.rank_range(cell.rank_low, cell.rank_high), value=cell.rank_low)
    intervals = [_ends(cell.over_classes), _ends(cell.over_both)] if resampled else []
    changes = (Entry(text.signed(change), value=change) for change in (cell.delta_first, cell.delta_reference))
    return (value(cell, link), rank, *intervals, *changes)


def _ends(found: tuple[float, float] | None) -> Entry:
    return GAP if found is None else Entry(text.ends(*found), value=found[1] - found[0])


def _only_telling(rows: Sequence[tuple[str, tuple[Entry, ...]]]) -> list[tuple[str, tuple[Entry, ...]]]:
    """The rows without emphasis in columns where every number has it: there it says nothing."""
    columns = list(zip(*(cells for _, cells in rows), strict=True))
    telling = [any(not entry.strong for entry in column if not entry.kind) for column in columns]
    return [
        (
            head,
            tuple(replace(entry, strong=entry.strong and use) for entry, use in zip(cells, telling, strict=True)),
        )
        for head, cells in rows
    ]
