"""The same cell in several leaderboards: kept once where the numbers agree, refused where they differ."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from oodml import schema
from oodml.errors import ResultsError
from oodml.leaderboard_files.checks import CLOSE
from oodml.leaderboard_files.words import cell_name
from oodml.results import LEADERBOARD_KEY

SCORES = (
    *("mean", "std", "n", "ci_low", "ci_high", "interval", "n_planned", "n_failed"),
    *("delta_first", "delta_reference", "class_low", "class_high", "both_low", "both_high"),
)
"""What two rows of the same cell have to agree in; costs, dates and people may differ."""

FILLED = {*schema.ADDED["leaderboard"], "delta_first", "delta_reference"}
"""Columns in which null means "not known here": of a later version, or computed from rows that a file lacks."""

Row = dict[Hashable, Any]


def join_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, independent of the order of rows.

    Of rows with the same numbers the one that was made first is kept, with all contributors; what it does not know
    (columns that came with a later version of the file) is taken from the next.

    Args:
        frame: Rows with the columns of `oodml.schema.LEADERBOARD` and `file`, where they come from.

    Raises:
        ResultsError: If two rows of a cell have different numbers.
    """
    key = list(LEADERBOARD_KEY)
    shared = frame.duplicated(key, keep=False)
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in frame[shared].sort_values(key, kind="stable").to_dict("records"):
        groups[tuple(None if pd.isna(row[name]) else row[name] for name in key)].append(row)
    several = [sorted(rows, key=_age) for rows in groups.values()]
    filled = [[row for row in rows if not _is_gap(row)] or rows for rows in several]
    conflicts = [found for rows in filled if (found := _conflict(rows))]
    if conflicts:
        raise ResultsError(_refusal(*conflicts[0], len(conflicts) - 1))
    joined = pd.DataFrame([_joined(rows) for rows in filled], columns=schema.LEADERBOARD.names)
    alone = frame.loc[~shared, schema.LEADERBOARD.names]
    kinds = dict(alone.dtypes.items())
    both: list[pd.DataFrame] = [alone, joined.astype(kinds)] if len(joined) else [alone]
    return pd.concat(both, ignore_index=True)


def _age(row: Row) -> tuple[Any, ...]:
    """Oldest first, then anything that makes the order the same whoever comes first."""
    rest = [str(row[name]) for name in schema.LEADERBOARD.names]
    return pd.isna(row["made_at"]), str(row["made_at"]), str(row["contributor"]), rest


def _is_gap(row: Row) -> bool:
    """Whether a cell was planned only: no number and no failure either."""
    return not row["n"] and not row["n_failed"]


def _conflict(rows: Sequence[Row]) -> tuple[Row, Row, str] | None:
    """Two rows that disagree and the column in which; the larger plan of two gaps is no conflict."""
    if all(map(_is_gap, rows)):
        return None
    for row in rows[1:]:
        for name in SCORES:
            if not _same(rows[0], row, name):
                return rows[0], row, name
    return None


def _same(one: Row, other: Row, name: str) -> bool:
    a, b = one[name], other[name]
    if pd.isna(a) or pd.isna(b):
        return bool(pd.isna(a) and pd.isna(b)) or name in FILLED
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE) if isinstance(a, float) else bool(a == b)


def _joined(rows: Sequence[Row]) -> Row:
    kept = dict(rows[0])
    for row in rows[1:]:
        kept |= {name: row[name] for name in schema.LEADERBOARD.names if pd.isna(kept[name])}
    people = {name for row in rows if not pd.isna(row["contributor"]) for name in row["contributor"].split(", ")}
    kept["n_planned"] = max(row["n_planned"] for row in rows)
    kept["contributor"] = ", ".join(sorted(people)) or None
    return kept


def _refusal(one: Row, other: Row, name: str, more: int) -> str:
    also = f" (and {more} other cells differ)" if more else ""
    return (
        f"the same cell has different numbers, {cell_name(one)}: {_numbers(one, name)} in {one['file']}, "
        f"{_numbers(other, name)} in {other['file']}{also}. Summaries of different runs cannot be joined; make one "
        "leaderboard of all runs with `oodml report SWEEP SWEEP`, naming the sweep folders behind both files"
    )


def _numbers(row: Mapping[Hashable, Any], name: str) -> str:
    names = dict.fromkeys(("mean", "n", name))
    return ", ".join(f"{n} {'null' if pd.isna(row[n]) else row[n]}" for n in names)
