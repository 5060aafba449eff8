"""Checks of a leaderboard as a whole: unique cells, one ladder per benchmark, order, and a ladder beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from oodml.leaderboard_files.checks import CLOSE
from oodml.leaderboard_files.words import REPAIR, Problem, cell_name
from oodml.records import Ladder
from oodml.results import LEADERBOARD_KEY

FACTS = ("ladder_hash", "dataset")  # one of each per benchmark
LEVEL_FACTS = ("level_name", "shift", "shift_scaled")  # one of each per level


def whole_problems(frame: pd.DataFrame) -> list[Problem]:
    """Cells that stand twice, several ladders or datasets of a benchmark, levels or changes that disagree, order."""
    found = (_repeated, _several_ladders, _unlike_levels, _unlike_changes, _unsorted)
    return [problem for check in found for problem in check(frame)]


def ladder_problems(frame: pd.DataFrame, ladder: Ladder) -> list[Problem]:
    """Where the rows disagree with a ladder: its hash, levels, shifts; the hash stands for the dataset as well.

    Args:
        frame: Rows of one file in its order.
        ladder: The ladder that they should be of.
    """
    own = frame["ladder_hash"].eq(ladder.ladder_hash) | frame["benchmark"].eq(ladder.name)
    own = own.fillna(False)
    if not own.any():
        found = ", ".join(sorted({str(value) for value in frame["ladder_hash"].dropna()})) or "none"
        return [Problem(f"no row is of ladder {ladder.name!r} (hash {ladder.ladder_hash}); hashes found: {found}")]
    levels = {level.index: level for level in ladder.levels}
    return [
        Problem(f"({cell_name(row)}): {words}", number)
        for number, row in zip(np.flatnonzero(own.to_numpy(bool)).tolist(), frame[own].to_dict("records"), strict=True)
        for words in _against(row, ladder, levels)
    ]


def _against(row: dict[Any, Any], ladder: Ladder, levels: dict[int, Any]) -> Iterator[str]:
    if row["ladder_hash"] != ladder.ladder_hash:
        yield f"ladder_hash is {row['ladder_hash']}, that of ladder {ladder.name!r} is {ladder.ladder_hash}"
        return
    if pd.isna(row["level"]):
        return
    level = levels.get(int(row["level"]))
    if level is None:
        yield f"the ladder has no level {row['level']}"
        return
    if row["level_name"] != level.name:
        yield f"level_name is {row['level_name']!r}, that of the ladder {level.name!r}"
    for name in ("shift", "shift_scaled"):
        expected = getattr(level, name)
        if not math.isclose(row[name], expected, rel_tol=CLOSE, abs_tol=CLOSE):
            yield f"{name} is {row[name]:g}, that of the ladder {expected:g}"


def _repeated(frame: pd.DataFrame) -> Iterator[Problem]:
    key = list(LEADERBOARD_KEY)
    again = frame.duplicated(key)
    if not again.any():
        return
    first = frame.groupby(key, dropna=False, sort=False).cumcount().eq(0)
    where = {
        tuple(_plain(row)): n
        for n, row in zip(np.flatnonzero(first), frame.loc[first, key].itertuples(index=False), strict=True)
    }
    for number, row in zip(np.flatnonzero(again).tolist(), frame[again].to_dict("records"), strict=True):
        earlier = where[tuple(_plain(row[name] for name in key))]
        yield Problem(f"({cell_name(row)}): the same cell as row {earlier}", number)


def _plain(values: Any) -> Iterator[Any]:
    return (None if pd.isna(value) else value for value in values)


def _several_ladders(frame: pd.DataFrame) -> Iterator[Problem]:
    for benchmark, rows in frame.groupby("benchmark", sort=True):
        for name in FACTS:
            found = rows[name].dropna().drop_duplicates()
            if len(found) > 1:
                listed = " and ".join(f"{value} (row {number})" for number, value in list(found.items())[:3])
                yield Problem(f"benchmark {benchmark!r} has more than one {name}: {listed}")


def _unlike_levels(frame: pd.DataFrame) -> Iterator[Problem]:
    """Every row whose level is called or placed otherwise than in the first row of that level."""
    key = ["benchmark", "level"]
    rows = frame[frame["level"].notna() & frame["benchmark"].notna()]
    for name in LEVEL_FACTS:
        first = rows.groupby(key)[name].transform("first")
        for number in rows.index[(rows[name] != first) & rows[name].notna()]:
            row = rows.loc[number].to_dict()
            other = f"{name} is {row[name]}, in the first row of that level {first[number]}"
            yield Problem(f"({cell_name(row)}): {other}", int(number))


def _unlike_changes(frame: pd.DataFrame) -> Iterator[Problem]:
    """Every row whose mean and delta_first lead to another first level than those of the first row of its curve."""
    rows = frame[frame["mean"].notna() & frame["delta_first"].notna()]
    start = rows["mean"] - rows["delta_first"]
    first = start.groupby([rows[name] for name in LEADERBOARD_KEY if name != "level"], dropna=False).transform("first")
    for number in rows.index[(start - first).abs() > CLOSE * (1 + first.abs())]:
        row = rows.loc[number].to_dict()
        words = f"delta_first is {row['delta_first']:g}, which other levels contradict"
        yield Problem(f"({cell_name(row)}): {words}", int(number))


def _unsorted(frame: pd.DataFrame) -> Iterator[Problem]:
    order = frame.sort_values(list(LEADERBOARD_KEY), kind="stable").index.to_numpy()
    wrong = np.flatnonzero(order != np.arange(len(frame)))
    if len(wrong):
        row = frame.iloc[int(wrong[0])].to_dict()
        words = f"not in the order of {', '.join(LEADERBOARD_KEY)}; {REPAIR}"
        yield Problem(f"({cell_name(row)}): rows from here on are {words}", int(wrong[0]), repairable=True)
