"""A section's rows arranged for reading: a view per setting and selection, with methods and levels as axes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from oodml.errors import ResultsError, UnknownNameError
from oodml.metrics.base import metric_info
from oodml.records import Level
from oodml.report.sections import Section
from oodml.report.text import interval_name, slug
from oodml.schema import FEW_SHOT, UNADAPTED

ORACLE = "weights chosen on the test classes (oracle): only to compare with published numbers"
SELECTIONS = {"last": "last weights", "val": "weights chosen on held-out training classes", "oracle": ORACLE}


@dataclass(frozen=True)
class Cell:
    """One number of the leaderboard as it came; None is unknown, and a gap has no mean.

    Beside the interval over seeds (`low`, `high`) stand those over test classes and over seeds and classes.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    planned: int
    failed: int
    delta_first: float | None
    delta_reference: float | None
    rank_low: int | None
    rank_high: int | None
    interval: str
    over_classes: tuple[float, float] | None = None
    over_both: tuple[float, float] | None = None


@dataclass(frozen=True)
class View:
    """One setting and selection of one benchmark.

    Attributes:
        slug: Part of the file names: "" for zero-shot with last weights.
        title: The setting and selection in words.
        methods: Labels of the methods, sorted.
        levels: Levels that the rows speak of, by rising shift.
        cells: (method, level index, metric) to cell.
        ags: (method, metric) to the cell of its AGS.
        several_backbones: Whether ranks, which compare methods with the same backbone, stand for several groups.
        few_shot: Shots and adapter of a few-shot setting, None of any other.
        selection: Which weights were scored, e.g. "last".
    """

    slug: str
    title: str
    methods: tuple[str, ...]
    levels: tuple[Level, ...]
    cells: Mapping[tuple[str, int, str], Cell]
    ags: Mapping[tuple[str, str], Cell]
    several_backbones: bool = False
    few_shot: tuple[int, str] | None = None
    selection: str = "last"

    @property
    def metrics(self) -> set[str]:
        """Metrics that have rows."""
        return {metric for _, _, metric in self.cells}

    def mean(self, method: str, level: Level, metric: str) -> float | None:
        """The mean of a cell, None for a gap."""
        cell = self.cells.get((method, level.index, metric))
        return cell.mean if cell else None

    def intervals(self) -> list[str]:
        """How the intervals were made, each description once."""
        found = {cell.interval for cell in (*self.cells.values(), *self.ags.values()) if cell.interval}
        return sorted(interval_name(text) for text in found)

    def by_ags(self, metric: str) -> list[str]:
        """Methods by AGS, the best first, then those without one by name."""
        return self._sorted({m: cell.mean for (m, name), cell in self.ags.items() if name == metric}, metric)

    def by_mean(self, level: Level, metric: str) -> list[str]:
        """Methods by their mean at a level, the best first, then gaps by name."""
        return self._sorted({method: self.mean(method, level, metric) for method in self.methods}, metric)

    def _sorted(self, values: Mapping[str, float | None], metric: str) -> list[str]:
        sign = -1.0 if higher_is_better(metric) else 1.0
        known = {method: value for method, value in values.items() if value is not None}
        return sorted(self.methods, key=lambda m: (m not in known, sign * known.get(m, 0.0), m))


def higher_is_better(metric: str) -> bool:
    """Direction of a metric or of a gain in it; metrics that are not registered count as better when higher."""
    try:
        return metric_info(metric.removeprefix("gain_")).higher_is_better
    except UnknownNameError:
        return True


def views(section: Section) -> list[View]:
    """The views of a section, zero-shot with last weights first.

    Raises:
        ResultsError: If the rows name a level that the section lacks.
    """
    groups: dict[tuple[Any, ...], list[dict[Hashable, Any]]] = {}
    from oodml.method_labels import label_methods

    rows = section.frame.assign(label=label_methods(section.frame)).to_dict("records")
    for row in rows:
        key = tuple(_clean(row[name]) for name in ("setting", "shots", "adapter", "selection"))
        groups.setdefault(key, []).append(row)
    return [_view(section, key, groups[key]) for key in sorted(groups, key=_order)]


def _order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    setting, shots, adapter, selection = key
    known = [*SELECTIONS]
    rank = known.index(selection) if selection in known else len(known)
    return setting != "zero_shot", rank, setting, shots or 0, adapter or "", selection


def _view(section: Section, key: tuple[Any, ...], rows: list[dict[Hashable, Any]]) -> View:
    setting, shots, adapter, selection = key
    words = "Zero-shot" if setting == "zero_shot" else f"{str(setting).replace('_', '-').capitalize()}"
    words += f", {int(shots)} shots" if shots else ""
    words += f", {adapter} adapter" if adapter else ""
    parts = [] if setting == "zero_shot" else [setting, *([f"{int(shots)}"] if shots else []), adapter]
    parts += [] if selection == "last" else [selection]
    levels = {level.index: level for level in section.levels}
    used = sorted({int(row["level"]) for row in rows if _clean(row["level"]) is not None})
    if unknown := [index for index in used if index not in levels]:
        raise ResultsError(f"the leaderboard of {section.benchmark!r} has level {unknown[0]}, its ladder has not")
    return View(
        slug=slug("_".join(str(part) for part in parts if part)) if parts else "",
        title=f"{words}; {SELECTIONS.get(selection, selection)}",
        methods=tuple(sorted({row["label"] for row in rows})),
        levels=tuple(sorted((levels[index] for index in used), key=lambda level: (level.shift, level.index))),
        cells={
            (row["label"], int(row["level"]), row["metric"]): _cell(row)
            for row in rows
            if _clean(row["level"]) is not None and _clean(row["metric"])
        },
        ags={
            (row["label"], str(row["metric"]).removeprefix("ags_")): _cell(row)
            for row in rows
            if _clean(row["level"]) is None and str(row["metric"]).startswith("ags_")
        },
        several_backbones=len({row["backbone"] for row in rows}) > 1,
        few_shot=(int(shots or 0), adapter or UNADAPTED) if setting == FEW_SHOT else None,
        selection=str(selection),
    )


def _clean(value: Any) -> Any:
    """None for every kind of missing value that pandas knows."""
    import pandas as pd

    return None if pd.isna(value) else value


def _cell(row: Mapping[Hashable, Any]) -> Cell:
    def real(name: str) -> float | None:
        value = _clean(row[name])
        return None if value is None else float(value)

    def whole(name: str) -> int | None:
        value = _clean(row[name])
        return None if value is None else int(value)

    return Cell(
        mean=real("mean"),
        low=real("ci_low"),
        high=real("ci_high"),
        n=whole("n") or 0,
        planned=whole("n_planned") or 0,
        failed=whole("n_failed") or 0,
        delta_first=real("delta_first"),
        delta_reference=real("delta_reference"),
        rank_low=whole("rank_low"),
        rank_high=whole("rank_high"),
        interval=_clean(row["interval"]) or "",
        over_classes=_ends(row, "class"),
        over_both=_ends(row, "both"),
    )


def _ends(row: Mapping[Hashable, Any], kind: str) -> tuple[float, float] | None:
    low, high = _clean(row.get(f"{kind}_low")), _clean(row.get(f"{kind}_high"))
    return None if low is None or high is None else (float(low), float(high))
