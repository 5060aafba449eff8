"""Checks of the rows of a leaderboard, each row by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from oodml.leaderboard_files.words import AGS, Problem, bounds, cell_name
from oodml.leaderboard_rows import EPISODE_INTERVAL, INTERVAL
from oodml.schema import FEW_SHOT, SELECTIONS

INTERVALS = (INTERVAL, EPISODE_INTERVAL)
SETTINGS = ("zero_shot", FEW_SHOT)
NEEDED = ("benchmark", "ladder_hash", "method", "backbone", "setting", "selection", "metric")
COUNTS = ("n", "n_planned", "n_failed")
CLOSE = 1e-9  # numbers that agree so far differ by the order of additions only


class Rule(NamedTuple):
    """Rows that break a rule, and what to say of them: a template of columns, or a function of the row."""

    broken: Any
    words: str | Callable[[Mapping[Any, Any]], str]
    repairable: bool = False


def row_problems(frame: pd.DataFrame) -> list[Problem]:
    """What is wrong with rows taken by themselves: nulls, ranges, intervals, texts, levels.

    Args:
        frame: Rows of one file in its order, columns of `oodml.schema.LEADERBOARD`, numbered from 0.
    """
    rules = [*_texts(frame), *_counts(frame), *_levels(frame), *_values(frame), *_intervals(frame)]
    return [problem for rule in rules for problem in _problems(frame, rule)]


def _problems(frame: pd.DataFrame, rule: Rule) -> Iterator[Problem]:
    """One problem per row that breaks a rule."""
    broken = rule.broken.fillna(False).to_numpy(bool)
    for number, row in zip(np.flatnonzero(broken), frame[broken].to_dict("records"), strict=True):
        said = rule.words.format(**{str(k): v for k, v in row.items()}) if isinstance(rule.words, str) else None
        words = rule.words(row) if said is None and callable(rule.words) else said
        yield Problem(f"({cell_name(row)}): {words}", int(number), rule.repairable)


def _texts(frame: pd.DataFrame) -> Iterator[Rule]:
    for name in NEEDED:
        yield Rule(frame[name].isna() | (frame[name] == ""), f"{name} is missing")
    yield Rule(
        frame["setting"].notna() & ~frame["setting"].isin(SETTINGS), f"setting {{setting!r}} is not {_or(SETTINGS)}"
    )
    unknown = frame["selection"].notna() & ~frame["selection"].isin(SELECTIONS)
    yield Rule(unknown, f"selection {{selection!r}} is not {_or(SELECTIONS)}")
    few, named = frame["setting"] == FEW_SHOT, frame["shots"].notna() & frame["adapter"].notna()
    yield Rule(few & ~named, "a few-shot row needs shots and adapter")
    yield Rule(
        (frame["setting"] == "zero_shot") & (frame["shots"].notna() | frame["adapter"].notna()),
        "a zero-shot row has neither shots nor adapter",
    )
    yield Rule(frame["shots"] < 1, "shots is {shots}, below 1")
    yield Rule(frame["embedding_dim"] < 1, "embedding_dim is {embedding_dim}, below 1")
    yield Rule(_rejected(frame["config"], _is_object), "config is no JSON object: {config!r}")
    yield Rule(_rejected(frame["made_at"], _is_time), "made_at {made_at!r} is no ISO 8601 time")
    yield Rule(frame["contributor"].str.strip() == "", "contributor is blank")


def _counts(frame: pd.DataFrame) -> Iterator[Rule]:
    for name in COUNTS:
        yield Rule(frame[name].isna(), f"{name} is missing")
        yield Rule(frame[name] < 0, f"{name} is {{{name}}}, below 0")
    yield Rule(frame["n"] > frame["n_planned"], "n is {n}, more than n_planned {n_planned}")
    yield Rule(frame["n_failed"] > frame["n_planned"], "n_failed is {n_failed}, more than n_planned {n_planned}")
    yield Rule((frame["n"] > 0) & frame["mean"].isna(), "n is {n}, but there is no mean")
    yield Rule((frame["n"] == 0) & frame["mean"].notna(), "n is 0, but there is a mean")


def _levels(frame: pd.DataFrame) -> Iterator[Rule]:
    area = frame["metric"].str.startswith(AGS, na=False)
    yield Rule(area & frame["level"].notna(), "the row of an area (metric ags_…) has level {level}, it should be null")
    yield Rule(~area & frame["level"].isna(), "level is missing; only the rows of areas (metric ags_…) have none")
    yield Rule(frame["level"] < 0, "level is {level}, below 0")
    for name in ("level_name", "shift", "shift_scaled"):
        yield Rule(frame["level"].notna() & frame[name].isna(), f"{name} is missing")
        yield Rule(frame["level"].isna() & frame[name].notna(), f"{name} is {{{name}}} without a level")
    yield Rule(
        (frame["shift_scaled"] < -CLOSE) | (frame["shift_scaled"] > 1 + CLOSE),
        "shift_scaled is {shift_scaled}, outside 0 to 1",
    )


def _values(frame: pd.DataFrame) -> Iterator[Rule]:
    limits = {metric: bounds(metric) for metric in frame["metric"].dropna().unique()}
    low = frame["metric"].map({metric: low for metric, (low, _) in limits.items()}).astype(float)
    high = frame["metric"].map({metric: high for metric, (_, high) in limits.items()}).astype(float)

    def outside(row: Mapping[Any, Any]) -> str:
        least, most = limits[row["metric"]]
        return f"mean is {row['mean']:g}, outside {least:g} to {most:g}"

    yield Rule((frame["mean"] < low - CLOSE) | (frame["mean"] > high + CLOSE), outside)
    for name in ("delta_first", "delta_reference"):
        yield Rule(frame[name].abs() > high - low + CLOSE, f"{name} is {{{name}:g}}, wider than the metric's range")
    for name in ("std", "train_s", "peak_memory_mb"):
        yield Rule(frame[name] < 0, f"{name} is {{{name}:g}}, below 0")
    yield Rule((frame["n"] > 1) & frame["std"].isna(), "n is {n}, but there is no std")
    ordered = (frame["rank_low"] >= 1) & (frame["rank_low"] <= frame["rank"]) & (frame["rank"] <= frame["rank_high"])
    ranked = frame["rank"].notna() & frame["rank_low"].notna() & frame["rank_high"].notna()
    words = "ranks should rise from 1: rank_low {rank_low}, rank {rank}, rank_high {rank_high}"
    yield Rule(ranked & ~ordered, words, repairable=True)
    for name in ("rank", "rank_low", "rank_high"):
        yield Rule((frame["n"] == 0) & frame[name].notna(), f"{name} is {{{name}}} without a mean", repairable=True)


def _intervals(frame: pd.DataFrame) -> Iterator[Rule]:
    for kind in ("ci", "class", "both"):
        low, high = frame[f"{kind}_low"], frame[f"{kind}_high"]
        yield Rule(low.isna() != high.isna(), f"{kind}_low and {kind}_high should both be there or both be null")
        yield Rule(low > high, f"{kind}_low {{{kind}_low:g}} is above {kind}_high {{{kind}_high:g}}")
    low, high, mean, made = frame["ci_low"], frame["ci_high"], frame["mean"], frame["interval"]
    yield Rule(
        (low > mean + CLOSE) | (high < mean - CLOSE),
        "mean {mean:g} lies outside ci_low {ci_low:g} to ci_high {ci_high:g}",
    )
    yield Rule(made.notna() & ~made.isin(INTERVALS), f"interval {{interval!r}} is not {_or(INTERVALS)}")
    yield Rule(made.isna() & low.notna(), "there is an interval, but not how it was made (interval is null)")
    yield Rule(made.notna() & low.isna(), "interval is {interval!r}, but ci_low and ci_high are null")
    seeds = made == INTERVAL
    yield Rule(seeds & (frame["n"] < 2), "an interval over seeds needs two of them, n is {n}")
    yield Rule(
        (made == EPISODE_INTERVAL) & ((frame["n"] != 1) | (frame["setting"] != FEW_SHOT)),
        "an interval over episodes belongs to a few-shot row of one seed",
    )
    n = frame["n"].astype("Float64").to_numpy(float, na_value=np.nan)
    with np.errstate(invalid="ignore"):
        half = np.where(n > 1, stdtrit(n - 1, 0.975) * frame["std"] / np.sqrt(n), np.nan)
    wide = np.maximum(abs(low - (mean - half)), abs(high - (mean + half))) > CLOSE * (1 + abs(mean) + half)
    ordered = (low <= mean + CLOSE) & (high >= mean - CLOSE)
    yield Rule(seeds & ordered & wide, "ci_low and ci_high are not those of mean, std and n by Student's t")


def _rejected(column: pd.Series[Any], accepts: Callable[[str], bool]) -> pd.Series[bool]:
    """Rows whose text is there and not accepted; every text is tried once."""
    known = {text: accepts(text) for text in column.dropna().unique()}
    return column.map(lambda text: not known.get(text, True)).astype(bool)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
