"""Ranks of a leaderboard, from the means, spreads and counts that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from oodml.leaderboard_files.words import REPAIR, Problem, cell_name, higher_is_better
from oodml.ranks import rank_range_summary
from oodml.schema import VERSIONS

COMPARED = ("benchmark", "backbone", "level", "setting", "shots", "adapter", "selection", "metric")
"""Rows that agree in these differ in method, width and options only: they are ranked together."""
RANKS = ["rank", "rank_low", "rank_high"]


def rerank(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with ranks computed anew; null without a mean, or for a metric of unknown direction.

    Args:
        frame: Rows with the columns of `oodml.schema.LEADERBOARD`.

    Returns:
        A copy with other `rank`, `rank_low` and `rank_high`: those of `oodml.statistics.rank_range` on the values by
        seed.
    """
    ranks = pd.DataFrame({name: pd.array([pd.NA] * len(frame), dtype="Int64") for name in RANKS}, index=frame.index)
    ranked = frame[frame["n"].gt(0).fillna(False) & frame["mean"].notna()]
    for _, rows in ranked.groupby(list(COMPARED), dropna=False, sort=False):
        upward = higher_is_better(str(rows["metric"].iloc[0]))
        if upward is None:
            continue
        n = rows["n"].to_numpy(int)
        std = np.where(n > 1, rows["std"].to_numpy(float), np.nan)  # that of one seed is over its episodes
        found = rank_range_summary(rows["mean"].to_numpy(float), std, n, higher_is_better=upward)
        ranks.loc[rows.index, RANKS] = np.stack([found.rank, found.low, found.high], axis=1)
    return frame.assign(**{name: ranks[name] for name in RANKS})


def rank_problems(frame: pd.DataFrame) -> Iterator[Problem]:
    """Rows whose ranks are not those that their means, spreads and counts give.

    Files of older versions were ranked by other tests, so that only `rank`, which no test decides, is compared there.
    """
    expected = rerank(frame)[RANKS]
    same = (frame[RANKS].eq(expected) | (frame[RANKS].isna() & expected.isna())).fillna(False)
    older = frame["schema_version"].lt(VERSIONS["leaderboard"]).fillna(False).to_numpy(bool)
    wrong = ~same["rank"].to_numpy(bool) | (~older & ~same.to_numpy(bool).all(axis=1))
    directions = {name: higher_is_better(name) for name in frame["metric"].dropna().unique()}
    wrong &= np.array([directions.get(name) is not None for name in frame["metric"]], dtype=bool)
    for number in np.flatnonzero(wrong).tolist():
        row, right = frame.iloc[number].to_dict(), expected.iloc[number].to_dict()
        words = f"ranks are {_words(row)}, the means, spreads and seeds of its rivals give {_words(right)}; {REPAIR}"
        yield Problem(f"({cell_name(row)}): {words}", number, repairable=True)


def _words(ranks: Mapping[Any, Any]) -> str:
    rank, low, high = ("null" if pd.isna(ranks[name]) else str(ranks[name]) for name in RANKS)
    return f"{rank} ({low} to {high})"
