from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from oodml import schema
from oodml.errors import ResultsError
from oodml.leaderboard import build_leaderboard, levels_frame
from oodml.metrics import HEADLINE_METRICS
from oodml.records import Level
from oodml.results import read_leaderboard, to_frame, write_leaderboard
from oodml.statistics import t_interval

REFERENCES = ({"recall_at_1": 0.5}, {"recall_at_1": 0.4}, {"recall_at_1": 0.3})
LEVELS = [
    Level(i, name, shift, scaled, 1.0, 0.1, reference, ("a", "b"), ("c", "d"), ())
    for i, (name, shift, scaled, reference) in enumerate(
        zip(("default", "level_1", "level_2"), (2.0, 4.0, 10.0), (0.0, 0.25, 1.0), REFERENCES, strict=True)
    )
]


def run(method: str, level: int, seed: int, value: float | None = None, **other: Any) -> dict[str, Any]:
    """A row of a run; without a value, of a failed one."""
    row: dict[str, Any] = {
        "benchmark": "toy",
        "dataset": "toys",
        "ladder_hash": "h",
        "method": method,
        "backbone": "net",
    }
    row |= {"embedding_dim": 8, "config": "{}", "level": level, "seed": seed, "selection": "last"}
    row |= {"setting": "zero_shot", "metric": "recall_at_1", "value": value, "status": "done"}
    row |= {} if value is not None else {"status": "failed", "error": "why", "metric": None, "setting": None}
    row |= other
    identity = [row[k] for k in ("benchmark", "method", "backbone", "config", "level", "seed", "selection")]
    return {"run_id": json.dumps(identity), "started_at": "2024-01-01", **row}


def runs_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    columns = {name: [row.get(name) for row in rows] for name in schema.RUN.names}
    return to_frame(schema.table(schema.RUN, columns))


def plan_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    rows = [{**row, "spec": json.dumps({"ladder_hash": "h"})} for row in rows]
    columns = {name: [row.get(name) for row in rows] for name in schema.PLAN.names}
    return to_frame(schema.table(schema.PLAN, columns))


def grid(method: str, values: Sequence[Sequence[float]], **other: Any) -> list[dict[str, Any]]:
    """Finished runs of a table of levels x seeds."""
    return [run(method, i, s, v, **other) for i, row in enumerate(values) for s, v in enumerate(row)]


def only(frame: pd.DataFrame, **wanted: Any) -> dict[str, Any]:
    """The one row with these values (None for null) as a dictionary with None for null."""
    for name, value in wanted.items():
        frame = frame[frame[name].isna() if value is None else (frame[name] == value).fillna(False)]
    assert len(frame) == 1, f"{len(frame)} rows for {wanted}"
    return {str(k): None if pd.isna(v) else v for k, v in frame.iloc[0].items()}


# recall@1        level 0 (x = 0)   level 1 (x = .25)   level 2 (x = 1)
#   margin          .8 .7 .9          .6 .7 .8            .4 .5 .3        means .8 .7 .4, std .1 each
#   AGS by seed: 0: .25 * (.8 + .6) / 2 + .75 * (.6 + .4) / 2 = .175  + .375  = .55
#                1: .25 * (.7 + .7) / 2 + .75 * (.7 + .5) / 2 = .175  + .45   = .625
#                2: .25 * (.9 + .8) / 2 + .75 * (.8 + .3) / 2 = .2125 + .4125 = .625
#                mean .6, std sqrt((.05^2 + 2 * .025^2) / 2) = .043301
#   triplet         .3 .2 .4          .2, failed, planned   diverged, planned, planned
#   reference       .5                .4                  .3              AGS .1125 + .2625 = .375
MARGIN = [[0.8, 0.7, 0.9], [0.6, 0.7, 0.8], [0.4, 0.5, 0.3]]
RUNS = [
    *grid("margin", MARGIN),
    *grid("triplet", [[0.3, 0.2, 0.4], [0.2]]),
    run("triplet", 1, 1),
    run("triplet", 2, 0, status="diverged", embedding_dim=None),
]
PLAN = [run(method, i, s) for method in ("margin", "triplet") for i in range(3) for s in range(3)]
HALF_WIDTH = 4.302653 * 0.1 / 3**0.5  # t of .975 at 2 degrees of freedom


@pytest.fixture
def board() -> pd.DataFrame:
    return build_leaderboard(runs_frame(RUNS), plan_frame(PLAN), LEVELS)


def test_cells_by_hand(board: pd.DataFrame) -> None:
    assert list(board.columns) == schema.LEADERBOARD.names
    assert len(board) == 2 * (3 + 1)
    row = only(board, method="margin", level=1)
    assert (row["benchmark"], row["dataset"], row["ladder_hash"]) == ("toy", "toys", "h")
    assert (row["level_name"], row["shift"], row["shift_scaled"]) == ("level_1", 4.0, 0.25)
    assert (row["setting"], row["shots"], row["adapter"], row["metric"]) == (
        "zero_shot",
        None,
        None,
        "recall_at_1",
    )
    assert (row["n"], row["n_planned"], row["n_failed"]) == (3, 3, 0)
    assert row["mean"] == pytest.approx(0.7)
    assert row["std"] == pytest.approx(0.1)
    assert row["ci_low"] == pytest.approx(0.7 - HALF_WIDTH, abs=1e-6)
    assert row["ci_high"] == pytest.approx(0.7 + HALF_WIDTH, abs=1e-6)
    assert row["interval"] == "t95 over seeds"
    assert row["delta_first"] == pytest.approx(-0.1)
    assert row["delta_reference"] == pytest.approx(0.3)
    assert only(board, method="margin", level=0)["delta_first"] == 0.0


def test_ags_by_hand(board: pd.DataFrame) -> None:
    row = only(board, method="margin", metric="ags_recall_at_1")
    assert (row["level"], row["level_name"], row["shift"], row["delta_first"]) == (None,) * 4
    assert (row["n"], row["n_planned"], row["n_failed"]) == (3, 3, 0)
    assert row["mean"] == pytest.approx(0.6)
    assert row["std"] == pytest.approx(0.0433013, abs=1e-6)
    assert row["delta_reference"] == pytest.approx(0.225)
    assert (row["rank"], row["rank_low"], row["rank_high"]) == (1, 1, 1)


def test_gaps_and_failures_are_rows(board: pd.DataFrame) -> None:
    partial = only(board, method="triplet", level=1)
    assert (partial["mean"], partial["n"], partial["n_planned"], partial["n_failed"]) == (0.2, 1, 3, 1)
    assert (partial["std"], partial["ci_low"], partial["ci_high"], partial["interval"]) == (None,) * 4
    gap = only(board, method="triplet", level=2)
    assert (gap["mean"], gap["n"], gap["n_planned"], gap["n_failed"]) == (None, 0, 3, 1)
    assert (gap["delta_first"], gap["delta_reference"], gap["rank"], gap["rank_low"]) == (None,) * 4
    assert gap["embedding_dim"] == 8  # the failed run does not say
    area = only(board, method="triplet", metric="ags_recall_at_1")
    assert (area["mean"], area["n"], area["n_planned"], area["n_failed"]) == (None, 0, 3, 2)


def test_ranks_are_by_cell(board: pd.DataFrame) -> None:
    first = [only(board, method=m, level=0) for m in ("margin", "triplet")]
    assert [(r["rank"], r["rank_low"], r["rank_high"]) for r in first] == [(1, 1, 1), (2, 2, 2)]
    second = [only(board, method=m, level=1) for m in ("margin", "triplet")]  # one seed proves nothing
    assert [(r["rank"], r["rank_low"], r["rank_high"]) for r in second] == [(1, 1, 2), (2, 1, 2)]
    assert only(board, method="margin", level=2)["rank_high"] == 1  # alone there


def test_ags_counts_only_seeds_that_are_complete() -> None:
    rows = [row for row in RUNS if (row["method"], row["level"], row["seed"]) != ("margin", 1, 2)]
    row = only(build_leaderboard(runs_frame(rows), None, LEVELS), method="margin", metric="ags_recall_at_1")
    assert row["n"] == 2
    assert row["mean"] == pytest.approx((0.55 + 0.625) / 2)


def test_a_level_that_was_never_planned_leaves_ags_unknown() -> None:
    board = build_leaderboard(runs_frame(grid("margin", MARGIN[:2])), None, LEVELS)
    assert set(board["level"].dropna()) == {0, 1}
    assert only(board, metric="ags_recall_at_1")["mean"] is None


def test_change_from_the_first_level_is_unknown_without_it() -> None:
    rows = [row for row in grid("margin", MARGIN) if row["level"] > 0]
    board = build_leaderboard(runs_frame(rows), None, LEVELS)
    assert board["delta_first"].isna().all()
    assert only(board, level=1)["mean"] == pytest.approx(0.7)


def test_without_a_plan_what_ran_was_planned() -> None:
    board = build_leaderboard(runs_frame(RUNS), None, LEVELS)
    assert only(board, method="triplet", level=1)["n_planned"] == 2
    assert only(board, method="triplet", level=2)["n_planned"] == 1


def test_a_plan_without_runs_shows_gaps_for_the_default_metrics() -> None:
    board = build_leaderboard(runs_frame([]), plan_frame(PLAN), LEVELS)
    assert len(board) == 2 * len(HEADLINE_METRICS) * (3 + 1)
    assert board["mean"].isna().all()
    assert (board["n"] == 0).all()
    assert set(board["ladder_hash"]) == {"h"}
    assert board["dataset"].isna().all()


def test_nothing_gives_an_empty_leaderboard() -> None:
    board = build_leaderboard(runs_frame([]), None, LEVELS)
    assert board.empty
    assert list(board.columns) == schema.LEADERBOARD.names


def test_one_level_has_no_area() -> None:
    board = build_leaderboard(runs_frame(grid("margin", MARGIN[:1])), None, LEVELS[:1])
    row = only(board)
    assert (row["level"], row["n"], row["delta_first"]) == (0, 3, 0.0)


def test_episodes_are_averaged_before_seeds() -> None:
    # seed 0: (.2 + .4) / 2 = .3; seed 1: (.9 + .9) / 2 = .9; mean over seeds .6
    few = {"setting": "few_shot", "shots": 5, "adapter": "head"}
    values = [(0, 0, 0.2), (0, 1, 0.4), (1, 0, 0.9), (1, 1, 0.9)]
    rows = [run("margin", 0, seed, value, episode=episode, **few) for seed, episode, value in values]
    board = build_leaderboard(runs_frame([*rows, run("margin", 0, 0, 0.8)]), None, LEVELS)
    row = only(board, setting="few_shot", level=0, metric="recall_at_1")
    assert (row["shots"], row["adapter"], row["n"]) == (5, "head", 2)
    assert row["mean"] == pytest.approx(0.6)
    assert only(board, setting="zero_shot", level=0)["mean"] == 0.8


def test_one_unknown_episode_makes_the_run_unknown() -> None:
    few = {"setting": "few_shot", "shots": 5, "adapter": "head"}
    rows = [run("margin", 0, 0, 0.2, episode=0, **few), run("margin", 0, 0, 0.2, episode=1, **few)]
    rows[1]["value"] = None
    rows += [run("margin", 0, 1, 0.6, episode=episode, **few) for episode in range(2)]
    row = only(build_leaderboard(runs_frame(rows), None, LEVELS), level=0, metric="recall_at_1")
    assert (row["mean"], row["n"], row["n_planned"]) == (0.6, 1, 2)


def test_configurations_backbones_and_selections_are_kept_apart() -> None:
    rows = grid("margin", MARGIN, config='{"method": {"beta": 0.6}}')
    rows += grid("margin", MARGIN, config='{"method": {"beta": 1.2}}')
    rows += grid("margin", MARGIN, backbone="other") + grid("margin", MARGIN, selection="oracle")
    board = build_leaderboard(runs_frame(rows), None, LEVELS)
    assert len(board) == 4 * 4
    assert (board["n"] == 3).all()
    ranked = board[board["level"] == 1].groupby(["backbone", "selection"])["rank_high"].max()
    assert ranked.to_dict() == {("net", "last"): 2, ("net", "oracle"): 1, ("other", "last"): 1}
    assert (board["rank"] == 1).all()  # equal values share the rank


def test_frozen_features_keep_their_width() -> None:
    # the plan says the width that a method is offered, a run the width it has
    rows = [run("frozen", 0, 0, 0.5, embedding_dim=1280), run("frozen", 2, 0, embedding_dim=None)]
    plan = [run("frozen", i, 0, embedding_dim=512) for i in range(3)]
    board = build_leaderboard(runs_frame(rows), plan_frame(plan), LEVELS)
    assert set(board["embedding_dim"]) == {1280}
    assert board["n_planned"].tolist() == [1, 1, 1, 1]
    assert [only(board, level=i)["n_failed"] for i in range(3)] == [0, 0, 1]


def test_a_run_in_two_sweeps_counts_once_and_a_finished_copy_wins() -> None:
    rows = grid("margin", MARGIN)
    failed = run("margin", 0, 0, started_at="2023-01-01")
    board = build_leaderboard(runs_frame([failed, *rows, *rows]), None, LEVELS)
    pd.testing.assert_frame_equal(board, build_leaderboard(runs_frame(rows), None, LEVELS))


def test_benchmarks_are_kept_apart() -> None:
    short = LEVELS[:1]
    rows = grid("margin", MARGIN) + grid("margin", [[0.1, 0.2]], benchmark="short", ladder_hash="k")
    levels = pd.concat([levels_frame(LEVELS, "toy"), levels_frame(short, "short")])
    board = build_leaderboard(runs_frame(rows), None, levels)
    toy = build_leaderboard(runs_frame(grid("margin", MARGIN)), None, LEVELS)
    pd.testing.assert_frame_equal(board[board["benchmark"] == "toy"].reset_index(drop=True), toy)
    assert only(board, benchmark="short")["mean"] == pytest.approx(0.15)


def test_a_metric_of_unknown_direction_is_shown_without_rank() -> None:
    board = build_leaderboard(runs_frame(grid("margin", MARGIN, metric="mystery")), None, LEVELS)
    assert set(board["metric"]) == {"mystery", "ags_mystery"}
    assert board["rank"].isna().all()
    assert board["delta_reference"].isna().all()


def test_mixed_ladders_levels_and_versions_are_refused() -> None:
    rows = [run("margin", 0, 0, 0.5), run("margin", 0, 1, 0.5, ladder_hash="other")]
    with pytest.raises(ResultsError, match=r"different ladders \(h, other\)"):
        build_leaderboard(runs_frame(rows), None, LEVELS)
    with pytest.raises(ResultsError, match="level 7 of 'toy'"):
        build_leaderboard(runs_frame([run("margin", 7, 0, 0.5)]), None, LEVELS)
    twice = [run("margin", 0, 0, 0.5), {**run("margin", 0, 0, 0.6), "run_id": "older"}]
    with pytest.raises(ResultsError, match=r"older.* level 0, seed 0: two versions"):
        build_leaderboard(runs_frame(twice), None, LEVELS)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_rows_gives_the_same_bytes(board: pd.DataFrame, seed: int, tmp_path: Path) -> None:
    runs, plan = (frame.sample(frac=1, random_state=seed) for frame in (runs_frame(RUNS), plan_frame(PLAN)))
    write_leaderboard(tmp_path / "a.parquet", board)
    write_leaderboard(tmp_path / "b.parquet", build_leaderboard(runs, plan, LEVELS[::-1]))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    pd.testing.assert_frame_equal(read_leaderboard(tmp_path / "a.parquet"), board)


def test_random_sweeps_equal_loops() -> None:
    rng = np.random.default_rng(0)
    rows = [
        run(method, level, seed, float(rng.random()), metric=metric)
        for method, level, seed in itertools.product("abcd", range(3), range(4))
        if rng.random() < 0.7
        for metric in ("recall_at_1", "map_at_r")
    ]
    board = build_leaderboard(runs_frame(rows), None, LEVELS)
    for method, metric, level in itertools.product("abcd", ("recall_at_1", "map_at_r"), range(3)):
        cell = [r["value"] for r in rows if (r["method"], r["metric"], r["level"]) == (method, metric, level)]
        if cell:
            row = only(board, method=method, metric=metric, level=level)
            assert [row[k] or np.nan for k in ("mean", "std", "ci_low", "ci_high")] == pytest.approx(
                t_interval(cell), nan_ok=True
            )
