"""Which rows of a leaderboard a reader asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from oodml.errors import ResultsError, UnknownNameError, UsageError
from oodml.leaderboard_files.words import AGS
from oodml.method_groups import expand_groups

ALL_LEVELS = "ags"  # what the rows of areas are called where a level is asked for


@dataclass(frozen=True)
class Filters:
    """Rows to keep; None or () keeps all.

    Attributes:
        benchmarks: Names of benchmarks.
        metrics: Names of metrics; each also stands for its area.
        levels: Indices, names such as "default", and "ags".
        settings: "zero_shot", "few_shot".
        shots: Labelled images per class.
        adapters: Names of adapters.
        methods: Names and groups of methods.
        selections: "last", "val", "oracle".
    """

    benchmarks: Sequence[str] = ()
    metrics: Sequence[str] = ()
    levels: Sequence[str] = ()
    settings: Sequence[str] = ()
    shots: int | None = None
    adapters: Sequence[str] = ()
    methods: Sequence[str] = ()
    selections: Sequence[str] = ()


def select_rows(frame: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """The rows that pass all filters, in their order.

    Raises:
        UnknownNameError: If no row of the leaderboard has a name that is asked for.
        ResultsError: If no row passes all of them together.
    """
    kept = pd.Series(True, index=frame.index)
    plain = frame["metric"].str.removeprefix(AGS)
    kept &= _is_one_of(plain, filters.metrics, "metric")
    kept &= _is_one_of(frame["benchmark"], filters.benchmarks, "benchmark")
    kept &= _is_one_of(frame["setting"], filters.settings, "setting")
    kept &= _is_one_of(frame["adapter"], filters.adapters, "adapter")
    kept &= _is_one_of(frame["selection"], filters.selections, "selection")
    if filters.shots is not None:
        kept &= _is_one_of(frame["shots"].astype("string"), [str(filters.shots)], "number of shots")
    if filters.methods:
        wanted = [name for name in expand_groups(filters.methods) if name in set(frame["method"])]
        kept &= _is_one_of(frame["method"], wanted or filters.methods, "method")
    if filters.levels:
        kept &= pd.concat([_is_level(frame, level) for level in filters.levels], axis=1).any(axis=1)
    if len(frame) and not kept.any():
        raise ResultsError("no row of the leaderboard passes all filters together; leave one out")
    return frame[kept]


def _is_one_of(column: pd.Series[Any], wanted: Sequence[str], kind: str) -> pd.Series[bool]:
    known = {str(value) for value in column.dropna().unique()}
    for name in wanted:
        if name not in known:
            raise UnknownNameError(f"{kind} of the leaderboard", name, known)
    return column.isin(wanted) if wanted else pd.Series(True, index=column.index)


def _is_level(frame: pd.DataFrame, level: str) -> pd.Series[bool]:
    if level == ALL_LEVELS:
        return frame["level"].isna()
    found = frame["level_name"].eq(level) | frame["level"].astype("string").eq(level)
    found = found.fillna(False).astype(bool)
    if not found.any():
        known = {str(index) for index in frame["level"].dropna().unique()} | set(frame["level_name"].dropna())
        raise UnknownNameError("level of the leaderboard", level, known | {ALL_LEVELS})
    return found


def top_of(rows: Sequence[Any], top: int | None) -> Sequence[Any]:
    """The first so many.

    Raises:
        UsageError: If that is none.
    """
    if top is not None and top < 1:
        raise UsageError(f"--top {top} shows nothing; give 1 or more")
    return rows[:top]
