"""Leaderboard rows of runs that keep values by class: intervals over classes, and what the runs cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from few_shot_case import LADDER, few_shot_frame, few_shot_row, run_row

from oodml.class_intervals import ClassMeans, area_by_class, class_bounds
from oodml.leaderboard import build_leaderboard, levels_frame
from oodml.resampling import both_interval, class_interval
from oodml.results import write_leaderboard
from oodml.statistics import ags, t_interval

NEW = ["class_low", "class_high", "both_low", "both_high"]
NAMES = [f"class {number:02d}" for number in range(30)]
# Levels that share some of their classes; `LADDER` has its shifts at 0, 1/4, 1/2, 3/4, 1.
LEVELS = [replace(level, test=tuple(NAMES[3 * i : 3 * i + 15])) for i, level in enumerate(LADDER)]


def only(frame: pd.DataFrame, **wanted: Any) -> dict[str, Any]:
    for name, value in wanted.items():
        frame = frame[frame[name].isna() if value is None else (frame[name] == value).fillna(False)]
    assert len(frame) == 1, f"{len(frame)} rows for {wanted}"
    return {str(k): None if pd.isna(v) else v for k, v in frame.iloc[0].items()}


def queries(level: int) -> list[int]:
    """Numbers of queries of the test classes of a level: 4 to 12, one class has none."""
    return [0 if i == 4 else 4 + (5 * i + level) % 9 for i in range(15)]


def scored(method: str, level: int, seed: int, means: Sequence[float | None], **other: Any) -> dict[str, Any]:
    """A run whose metric is the mean of those of its classes."""
    asked = other.pop("class_queries", queries(level))
    value = sum(n * v for n, v in zip(asked, means, strict=True) if n and v is not None) / sum(asked)
    row = run_row(method, level, seed, "recall_at_1", value, class_values=list(means), class_queries=asked)
    return {**row, **other}


def drawn(seed: int, level: int, method: int = 0) -> list[float | None]:
    """Values of classes, single ones without queries null; exact in 32 bits."""
    rng = np.random.default_rng([method, seed, level])
    easy = np.random.default_rng(99).uniform(0.2, 0.9, 30)[3 * level : 3 * level + 15]
    values = np.clip(easy + 0.05 * rng.standard_normal(15) - 0.03 * level, 0, 1).astype(np.float32).tolist()
    return [value if n else None for value, n in zip(values, queries(level), strict=True)]


def sweep(methods: int = 2, seeds: int = 3, levels: int = 5) -> list[dict[str, Any]]:
    return [
        scored(f"method{m}", level, seed, drawn(seed, level, m))
        for m in range(methods)
        for level in range(levels)
        for seed in range(seeds)
    ]


def table(level: int, method: int, seeds: int = 3) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([[np.nan if v is None else v for v in drawn(seed, level, method)] for seed in range(seeds)])


def test_cells_hold_the_intervals_of_the_resampling_module() -> None:
    board = build_leaderboard(few_shot_frame(sweep()), None, LEVELS)
    for method in range(2):
        for level in range(5):
            row = only(board, method=f"method{method}", level=level, metric="recall_at_1")
            one = class_interval(table(level, method), queries(level))
            two = both_interval(table(level, method), queries(level))
            found = [row[name] for name in ("mean", *NEW)]
            assert found == pytest.approx([one.value, one.low, one.high, two.low, two.high], abs=2e-9)
            assert row["both_low"] < min(row["class_low"], row["ci_low"])
            assert row["both_high"] > max(row["class_high"], row["ci_high"])


def test_one_seed_has_an_interval_over_classes_only() -> None:
    board = build_leaderboard(few_shot_frame(sweep(seeds=1)), None, LEVELS)
    assert board[["class_low", "class_high"]].notna().all(axis=None)
    assert board[["both_low", "both_high", "ci_low"]].isna().all(axis=None)
    row = only(board, method="method1", level=2)
    assert row["class_low"] == pytest.approx(class_interval(table(2, 1, seeds=1), queries(2)).low, abs=2e-9)


def test_a_cell_without_the_values_of_all_its_runs_has_none() -> None:
    rows = sweep()
    for row in rows:
        if (row["method"], row["level"], row["seed"]) == ("method0", 1, 2):
            row.update(class_values=None, class_queries=None)  # as a file of the first version
        if (row["method"], row["level"], row["seed"]) == ("method0", 3, 0):
            row.update(class_queries=[n + 1 for n in row["class_queries"]])  # of other images
    board = build_leaderboard(few_shot_frame(rows), None, LEVELS)
    lacking = board[board[NEW].isna().any(axis=1)]
    assert (lacking["method"] == "method0").all()
    assert {(None if pd.isna(v) else v) for v in lacking["level"]} == {1, 3, None}
    assert lacking[NEW].isna().all(axis=None) and lacking["mean"].notna().all()


def test_old_and_new_runs_join() -> None:
    rows = sweep()
    old = few_shot_frame([r for r in rows if r["seed"]]).assign(class_values=None, class_queries=None)
    joined = pd.concat([old, few_shot_frame([r for r in rows if not r["seed"]])], ignore_index=True)
    board = build_leaderboard(joined, None, LEVELS)
    plain = build_leaderboard(few_shot_frame(rows), None, LEVELS)
    assert board[NEW].isna().all(axis=None)
    pd.testing.assert_frame_equal(board.drop(columns=NEW), plain.drop(columns=NEW))


def test_few_shot_rows_have_none() -> None:
    rows = sweep(methods=1, levels=1)
    few = [
        few_shot_row({**r, "class_values": None, "class_queries": None}, 5, a, 0, 0.5)
        for r in rows
        for a in ("none", "linear")
    ]
    board = build_leaderboard(few_shot_frame(rows + few), None, LEVELS[:1])
    assert board.groupby("setting")["class_low"].count().to_dict() == {"few_shot": 0, "zero_shot": 1}


# Two levels, weight 1/2 each. Classes a, b with 1 and 3 queries, values .4 and .8: m = (.4 + 2.4) / 4 = .7
#                              classes b, c with 2 and 2 queries, values .2 and .6: m = .4,       A = .55
#   a: .55 + 1/2 * 3 * 1/4 * (.4 - .7)                                = .55 - .1125         = .4375
#   b: .55 + 1/2 * 3 * 3/4 * (.8 - .7) + 1/2 * 3 * 2/4 * (.2 - .4)    = .55 + .1125 - .15   = .5125
#   c: .55                             + 1/2 * 3 * 2/4 * (.6 - .4)    = .55 + .15           = .7
def test_values_of_an_area_by_hand() -> None:
    levels = [
        ClassMeans(np.array([0.4, 0.8, np.nan]), np.array([1, 3, 0])),
        ClassMeans(np.array([0.2, 0.6]), np.array([2, 2])),
    ]
    found = area_by_class(levels, [("a", "b", "unasked"), ("b", "c")], [0.5, 0.5])
    assert found is not None
    np.testing.assert_allclose(found.means, [0.4375, 0.5125, 0.7], rtol=0, atol=1e-12)
    assert found.means.mean() == pytest.approx(0.55)
    assert found.counts.tolist() == [1, 1, 1]
    assert area_by_class(levels, [("a", "b", "unasked"), None], [0.5, 0.5]) is None
    assert area_by_class(levels, [("a", "b"), ("b", "c")], [0.5, 0.5]) is None
    assert area_by_class([levels[0], None], [("a", "b", "unasked"), ("b", "c")], [0.5, 0.5]) is None


def test_an_area_of_equal_levels_is_as_uncertain_as_one_of_them() -> None:
    """What independent draws for every level would miss: classes that are hard are so at all levels."""
    level = ClassMeans(np.linspace(0.1, 0.9, 12), np.full(12, 7))
    found = area_by_class([level] * 5, [NAMES[:12]] * 5, [0.125, 0.25, 0.25, 0.25, 0.125])
    assert found is not None
    np.testing.assert_allclose(found.means, level.means, rtol=0, atol=1e-12)


def test_the_interval_of_an_area_is_that_of_drawing_classes_for_all_levels_at_once() -> None:
    board = build_leaderboard(few_shot_frame(sweep()), None, LEVELS)
    row = only(board, method="method0", level=None)
    shifts = [level.shift_scaled for level in LEVELS]
    asked = sorted({n for level in LEVELS for n, q in zip(level.test, queries(level.index), strict=True) if q})
    rng = np.random.default_rng(5)
    areas = []
    for _ in range(4000):
        times = dict(
            zip(asked, np.bincount(rng.integers(len(asked), size=len(asked)), minlength=len(asked)), strict=True)
        )
        values = []
        for level in LEVELS:
            weight = np.array([times[name] for name in level.test]) * queries(level.index)
            values.append(weight @ np.nan_to_num(table(level.index, 0).mean(axis=0)) / weight.sum())
        areas.append(ags(shifts, values))
    low, high = np.quantile(areas, [0.025, 0.975])
    width = high - low
    assert row["class_high"] - row["class_low"] == pytest.approx(width, rel=0.06)
    assert [row["class_low"], row["class_high"]] == pytest.approx([low, high], abs=0.06 * width)
    by_seed = [
        ags(shifts, [np.average(np.nan_to_num(table(i, 0)[s]), weights=queries(i)) for i in range(5)]) for s in range(3)
    ]
    mean, _, seeds_low, _ = t_interval(by_seed)
    assert row["mean"] == pytest.approx(mean, abs=1e-7)
    expected = row["mean"] - np.hypot(row["mean"] - row["class_low"], mean - seeds_low)
    assert row["both_low"] == pytest.approx(expected, abs=1e-6)


def test_levels_without_names_of_classes_leave_the_area_without() -> None:
    levels = levels_frame(LEVELS, "toy").drop(columns="test")
    board = build_leaderboard(few_shot_frame(sweep()), None, levels)
    assert board.loc[board["level"].isna(), NEW].isna().all(axis=None)
    pd.testing.assert_frame_equal(
        board[board["level"].notna()],
        build_leaderboard(few_shot_frame(sweep()), None, LEVELS).query("level.notna()"),
    )


def test_bounds_of_many_metrics_are_those_of_each() -> None:
    rng = np.random.default_rng(1)
    means, counts = rng.random((4, 9)), np.array([1, 2, 3, 0, 5, 6, 7, 8, 9])
    means[:, 3] = np.nan
    alone = [class_interval(row, counts) for row in means]
    np.testing.assert_allclose(class_bounds(means, counts), [(one.low, one.high) for one in alone], atol=1e-12)
    assert np.isnan(class_bounds(means[:, :2], np.array([3, 0]))).all()


# seconds      level 0: 1 2 (6)   level 1: 3 null      the failed run of seed 2 at level 0 does not count
# memory       level 0: 10 20     level 1: 60 30
def costly(level: int, seed: int, train_s: float | None, memory: float, started: str) -> dict[str, Any]:
    row = run_row("margin", level, seed, "recall_at_1", 0.5, train_s=train_s, peak_memory_mb=memory)
    return {**row, "started_at": started}


TWO = [LEVELS[0], replace(LEVELS[1], shift_scaled=1.0)]
COSTS = [
    costly(0, 0, 1.0, 10.0, "2026-01-02T00:00:00+00:00"),
    costly(0, 1, 2.0, 20.0, "2026-01-01T00:00:00+00:00"),
    {**costly(0, 2, 6.0, 90.0, "2026-02-01T00:00:00+00:00"), "status": "failed", "metric": None, "value": None},
    costly(1, 0, 3.0, 60.0, "2026-01-03T00:00:00+00:00"),
    costly(1, 1, None, 30.0, "2026-01-01T00:00:00+00:00"),
]


def test_costs_are_means_of_the_finished_runs_and_the_date_is_the_latest() -> None:
    board = build_leaderboard(few_shot_frame(COSTS), None, TWO)
    names = ("train_s", "peak_memory_mb", "made_at", "contributor")
    assert [only(board, level=0)[n] for n in names] == [1.5, 15.0, "2026-01-02T00:00:00+00:00", None]
    assert [only(board, level=1)[n] for n in names] == [3.0, 45.0, "2026-01-03T00:00:00+00:00", None]
    assert [only(board, level=None)[n] for n in names] == [2.0, 30.0, "2026-01-03T00:00:00+00:00", None]


def test_a_cell_without_finished_runs_has_no_costs() -> None:
    rows = [row for row in COSTS if row["value"] is None or row["level"] == 1]
    row = only(build_leaderboard(few_shot_frame(rows), None, TWO), level=0, metric="recall_at_1")
    assert [row[name] for name in ("mean", "train_s", "peak_memory_mb", "made_at")] == [None] * 4


def test_adaptations_cost_what_one_of_them_takes() -> None:
    run = costly(0, 0, 50.0, 10.0, "2026-01-01T00:00:00+00:00")
    few = [
        {**few_shot_row(run, 5, adapter, episode, 0.5), "train_s": seconds, "peak_memory_mb": 7.0, "started_at": day}
        for adapter, seconds, day in (("none", 0.5, "2026-01-04"), ("linear", 4.0, "2026-01-05"))
        for episode in range(3)
    ]
    board = build_leaderboard(few_shot_frame([run, *few]), None, LEVELS[:1])
    for metric in ("recall_at_1", "gain_recall_at_1"):
        row = only(board, adapter="linear", metric=metric)
        assert (row["train_s"], row["peak_memory_mb"], row["made_at"]) == (4.0, 7.0, "2026-01-05")
    assert only(board, setting="zero_shot")["train_s"] == 50.0


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_rows_and_copies_gives_the_same_bytes(seed: int, tmp_path: Path) -> None:
    rows = sweep() + COSTS
    copies = [{**row, "train_s": 5.0, "class_values": None, "class_queries": None} for row in sweep()[::2]]
    frame = few_shot_frame(rows + copies)
    for name, runs in (("a", frame), ("b", frame.sample(frac=1, random_state=seed))):
        write_leaderboard(tmp_path / f"{name}.parquet", build_leaderboard(runs, None, LEVELS))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    board = build_leaderboard(frame, None, LEVELS)
    assert board.loc[board["method"] != "margin", NEW].notna().all(axis=None)  # copies that know less give way
