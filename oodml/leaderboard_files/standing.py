"""A leaderboard as a table to look at: methods x levels of one metric in one setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from oodml.errors import ResultsError, UnknownNameError
from oodml.leaderboard_files.selecting import ALL_LEVELS
from oodml.leaderboard_files.words import AGS, higher_is_better
from oodml.method_labels import label_methods
from oodml.report import text
from oodml.schema import FEW_SHOT, SELECTIONS, UNADAPTED

VIEW = ("benchmark", "selection", "setting", "shots", "adapter")
PREFERRED = "recall_at_1"
BY_METHOD = "method"
TEST = "Welch's t-test with Holm's correction at 5 %"
_WEIGHTS = {
    "last": "weights of the last step",
    "val": "weights picked on validation classes",
    "oracle": "weights picked on the test classes (oracle)",
}


@dataclass(frozen=True)
class Value:
    """A cell to show.

    Attributes:
        row: The row of the leaderboard, None for null.
    """

    row: Mapping[str, Any]

    @property
    def mean(self) -> float | None:
        """The mean over seeds, None if there is none."""
        mean: float | None = self.row["mean"]
        return mean

    @property
    def best(self) -> bool:
        """Whether its mean is the best among its rivals: entries with the same backbone."""
        return bool(self.row["rank"] == 1)

    @property
    def tied(self) -> bool:
        """Whether it is not the best, but a test does not tell it apart from the best."""
        return not self.best and bool(self.row["rank_low"] == 1)

    @property
    def missing(self) -> bool:
        """Whether some planned seeds have no number."""
        return (self.row["n"] or 0) < (self.row["n_planned"] or 0)

    @property
    def spread(self) -> str:
        """The interval over seeds, "" without one."""
        return "" if self.mean is None else text.spread(self.mean, self.row["ci_low"], self.row["ci_high"])


@dataclass(frozen=True)
class Standing:
    """Methods x levels of one metric.

    Attributes:
        benchmark: What was measured.
        metric: Name of the metric.
        setting: Setting and selection in words.
        columns: Levels and `ALL_LEVELS`, as keys of the cells.
        heads: Index of each level with a star at the default division, or "AGS".
        shifts: Shift of each column, "" for AGS.
        rows: Labels of the methods with the cells that they have.
        backbones: How many backbones there are: ranks compare within one.
        intervals: How intervals were made, in words.
    """

    benchmark: str
    metric: str
    setting: str
    columns: tuple[str, ...]
    heads: tuple[str, ...]
    shifts: tuple[str, ...]
    rows: tuple[tuple[str, Mapping[str, Value]], ...]
    backbones: int
    intervals: tuple[str, ...]

    @property
    def title(self) -> str:
        """Benchmark, metric and setting."""
        return f"{self.benchmark}: {text.metric_name(self.metric)}, {self.setting}"

    @property
    def ties_tell(self) -> bool:
        """Whether marking ties says anything: some value that is not the best is told apart from it."""
        return any(not v.tied and not v.best and v.mean is not None for _, cells in self.rows for v in cells.values())

    def sorted_by(self, key: str | None) -> Standing:
        """With the best in a column first: a level, "ags", or "method" for the names; methods without a value last.

        Args:
            key: None takes AGS, or the last level where there is none.

        Raises:
            UnknownNameError: If there is no such column.
        """
        if key is None:
            key = self.columns[-1] if self.columns else BY_METHOD
        known = dict(zip(self.heads, self.columns, strict=True)) | {name: name for name in self.columns}
        if key != BY_METHOD and key not in known:
            raise UnknownNameError("--sort", key, {*self.columns, BY_METHOD})
        sign = 1 if higher_is_better(self.metric) is False else -1

        def place(row: tuple[str, Mapping[str, Value]]) -> tuple[float, str]:
            cell = row[1].get(known[key]) if key != BY_METHOD else None
            return (math.inf if cell is None or cell.mean is None else sign * cell.mean), row[0]

        return replace(self, rows=tuple(sorted(self.rows, key=place)))

    def top(self, count: int | None) -> Standing:
        """With the first rows only."""
        return replace(self, rows=self.rows[:count])

    def parts(self, most: int) -> list[Standing]:
        """Side by side in so many columns at most."""
        starts = range(0, max(1, len(self.columns)), most)
        pieces = [slice(start, start + most) for start in starts]
        names = ("columns", "heads", "shifts")
        return [replace(self, **{name: getattr(self, name)[piece] for name in names}) for piece in pieces]


def standings(frame: pd.DataFrame, metric: str | None = None) -> tuple[list[Standing], list[str]]:
    """For every benchmark the first setting of a metric, and the settings that are not shown, in words.

    Args:
        frame: Rows of a leaderboard, e.g. those that pass filters.
        metric: None takes recall@1, or the first by name where there is none.

    Raises:
        ResultsError: If the options of a method cannot be read.
    """
    try:
        frame = frame.assign(label=label_methods(frame))
    except (ValueError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"options of a method (column config) are not JSON: {error}; `oodml leaderboard validate` names the rows"
        ) from error
    plain = frame["metric"].str.removeprefix(AGS)
    if metric is None:
        metric = PREFERRED if plain.eq(PREFERRED).any() else min(plain.dropna(), default=PREFERRED)
    frame = frame[plain == metric]
    found: dict[Any, pd.DataFrame] = dict(list(frame.groupby(list(VIEW), dropna=False, sort=False)))
    first: dict[str, Standing] = {}
    hidden = []
    for key in sorted(found, key=_view_order):
        words = setting_words(*key[1:])
        if key[0] in first:
            hidden.append(f"{key[0]}: {words}")
        else:
            first[key[0]] = _standing(found[key], metric, words)
    return list(first.values()), hidden


def setting_words(selection: str, setting: str, shots: Any, adapter: Any) -> str:
    """Such as "5 labelled images per class, ridge, weights of the last step"."""
    weights = _WEIGHTS.get(selection, f"weights {selection}")
    if setting != FEW_SHOT:
        return f"no labelled test images, {weights}" if setting == "zero_shot" else f"{setting}, {weights}"
    how = "not adapted" if adapter == UNADAPTED else f"adapted by {adapter}"
    return f"{shots} labelled images per class, {how}, {weights}"


def _view_order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    benchmark, selection, setting, shots, adapter = key
    rank = SELECTIONS.index(selection) if selection in SELECTIONS else len(SELECTIONS)
    return str(benchmark), rank, setting == FEW_SHOT, 0 if pd.isna(shots) else shots, str(adapter)


def _standing(rows: pd.DataFrame, metric: str, words: str) -> Standing:
    levels = rows[["level", "level_name", "shift"]].drop_duplicates("level").sort_values("level")
    columns, heads, shifts = [], [], []
    for level, name, shift in levels.dropna(subset="level").itertuples(index=False, name=None):
        columns.append(str(level))
        heads.append(f"{level}*" if name == "default" else str(level))
        shifts.append(text.shift(shift))
    if rows["level"].isna().any():
        columns, heads, shifts = [*columns, ALL_LEVELS], [*heads, "AGS"], [*shifts, ""]
    methods: dict[str, dict[str, Value]] = {}
    for record in rows.to_dict("records"):
        row = {str(name): None if pd.isna(value) else value for name, value in record.items()}
        level = ALL_LEVELS if row["level"] is None else str(row["level"])
        methods.setdefault(str(row["label"]), {})[level] = Value(row)
    made = tuple(text.interval_name(name) for name in sorted(rows["interval"].dropna().unique()))
    return Standing(
        benchmark=str(rows["benchmark"].iloc[0]),
        metric=metric,
        setting=words,
        columns=tuple(columns),
        heads=tuple(heads),
        shifts=tuple(shifts),
        rows=tuple(sorted(methods.items())),
        backbones=rows["backbone"].nunique(),
        intervals=made,
    )


def notes(standing: Standing, *, tie_mark: str | None, best: str, spreads: bool) -> list[str]:
    """Sentences that explain a table.

    Args:
        standing: The table.
        tie_mark: What stands behind values that tie with the best; None where ties are shown otherwise.
        best: How the best are shown, e.g. "Bold".
        spreads: Whether intervals are shown.
    """
    values = [value for _, cells in standing.rows for value in cells.values()]
    told = ["*: the default division."] if any(head.endswith("*") for head in standing.heads) else []
    if any(value.best for value in values):
        among = " among methods with the same backbone" if standing.backbones > 1 else ""
        told.append(f"{best}: the best mean of its column{among}.")
    if tie_mark and any(value.tied for value in values):
        apart = f"{tie_mark}: {TEST} does not tell it from the best."
        told.append(apart if standing.ties_tell else f"{TEST} tells no value from the best of its column.")
    if spreads:
        made = "; ".join(standing.intervals)
        told.append(f"{text.PLUS_MINUS}: {made}." if made else "One seed: no interval.")
    if any(value.missing for value in values):
        told.append("In brackets: seeds that are there of those planned, where some are missing.")
    return told
