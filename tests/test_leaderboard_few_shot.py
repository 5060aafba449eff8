"""Few-shot rows of a leaderboard: values, gains, and adaptations that failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from few_shot_case import LADDER, few_shot_frame, few_shot_row, few_shot_rows, gain, lost_row, run_row

from oodml import schema
from oodml.leaderboard import build_leaderboard
from oodml.results import write_leaderboard


def only(frame: pd.DataFrame, **wanted: Any) -> dict[str, Any]:
    for name, value in wanted.items():
        frame = frame[frame[name].isna() if value is None else (frame[name] == value).fillna(False)]
    assert len(frame) == 1, f"{len(frame)} rows for {wanted}"
    return {str(k): None if pd.isna(v) else v for k, v in frame.iloc[0].items()}


def build(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return build_leaderboard(few_shot_frame(rows), None, LADDER)


# level 0: seed 0 gains .1 .3 (mean .2), seed 1 gains .0 .2 (mean .1): mean .15, s .0707107, half .6353102 (t 12.7062)
# level 1: seed 0 gains .4 .2 (mean .3), seed 1 gains .2 .2 (mean .2): mean .25, so .1 more than at level 0
BEFORE = {(0, 0): (0.5, 0.3), (0, 1): (0.4, 0.4), (1, 0): (0.2, 0.2), (1, 1): (0.1, 0.3)}
AFTER = {(0, 0): (0.6, 0.6), (0, 1): (0.4, 0.6), (1, 0): (0.6, 0.4), (1, 1): (0.3, 0.5)}


def small(seeds: int = 2, **other: Any) -> list[dict[str, Any]]:
    rows = []
    for level in range(2):
        for seed in range(seeds):
            run = run_row("margin", level, seed, "recall_at_1", 0.5, **other)
            rows.append(run)
            for adapter, values in (("none", BEFORE), ("linear", AFTER)):
                rows += [few_shot_row(run, 5, adapter, e, v) for e, v in enumerate(values[level, seed])]
    return rows


def test_gains_by_hand() -> None:
    board = build(small())
    first, second = (only(board, metric="gain_recall_at_1", level=level) for level in range(2))
    assert (first["setting"], first["shots"], first["adapter"], first["n"]) == ("few_shot", 5, "linear", 2)
    assert first["mean"] == pytest.approx(0.15)
    assert first["std"] == pytest.approx(0.0707107, abs=1e-6)
    assert first["ci_high"] - first["mean"] == pytest.approx(0.6353102, abs=1e-5)
    assert first["interval"] == "t95 over seeds"
    assert (first["delta_first"], first["delta_reference"]) == (0.0, None)
    assert second["mean"] == pytest.approx(0.25)
    assert second["delta_first"] == pytest.approx(0.1)


def test_one_seed_has_the_interval_of_its_episodes() -> None:
    board = build(small(seeds=1))
    row = only(board, metric="gain_recall_at_1", level=0)
    assert (row["n"], row["interval"]) == (1, "t95 over episodes")
    assert row["std"] == pytest.approx(0.1414214, abs=1e-6)
    assert row["ci_high"] - row["mean"] == pytest.approx(12.7062 * 0.1, abs=1e-4)
    value = only(board, metric="recall_at_1", adapter="none", level=0)
    assert value["mean"] == pytest.approx(0.4) and value["interval"] == "t95 over episodes"
    assert only(board, setting="zero_shot", metric="recall_at_1", level=0)["interval"] is None


def test_unadapted_rows_have_no_gain_and_gains_no_area() -> None:
    gains = build(small())
    gains = gains[gains["metric"].str.contains("gain_")]
    assert set(gains["adapter"]) == {"linear"} and gains["level"].notna().all()


def test_only_zero_shot_rows_are_compared_with_the_reference() -> None:
    board = build(few_shot_rows(("a",)))
    few = board["setting"] == "few_shot"
    assert board.loc[few, "delta_reference"].isna().all()
    assert board.loc[~few, "delta_reference"].notna().all()
    assert few.any() and board.loc[few, "metric"].str.startswith("ags_").any()


def test_a_missing_episode_leaves_the_seed_out_of_value_and_gain() -> None:
    rows = small()
    torn = [r for r in rows if (r.get("adapter"), r["level"], r["seed"], r.get("episode")) != ("linear", 0, 1, 1)]
    board = build(torn)
    row = only(board, metric="gain_recall_at_1", level=0)
    assert (row["mean"], row["n"], row["n_planned"]) == (pytest.approx(0.2), 1, 2)
    assert only(board, metric="recall_at_1", adapter="linear", level=0)["n"] == 1
    assert only(board, metric="recall_at_1", adapter="none", level=0)["n"] == 2


def test_a_failed_adaptation_is_a_gap_of_its_own_cell() -> None:
    rows = small()
    lost = [r for r in rows if (r.get("adapter"), r["level"], r["seed"]) != ("linear", 1, 1)]
    lost.append(lost_row(run_row("margin", 1, 1, "recall_at_1", 0.5), 5, "linear"))
    board = build(lost)
    row = only(board, metric="gain_recall_at_1", level=1)
    assert (row["mean"], row["n"], row["n_planned"], row["n_failed"]) == (pytest.approx(0.3), 1, 2, 1)
    assert only(board, metric="recall_at_1", setting="zero_shot", level=1)["n_failed"] == 0
    assert only(board, metric="recall_at_1", adapter="none", level=1)["n_failed"] == 0
    assert only(build([*lost, *rows]), metric="gain_recall_at_1", level=1)["n_failed"] == 0  # another copy finished


def test_an_adapter_that_always_fails_still_has_its_cells() -> None:
    rows = [row for row in small() if row.get("adapter") != "linear"]
    rows += [lost_row(run_row("margin", i, s, "recall_at_1", 0.5), 5, "linear") for i in range(2) for s in range(2)]
    row = only(build(rows), metric="gain_recall_at_1", level=0)
    assert (row["mean"], row["n"], row["n_failed"], row["rank"]) == (None, 0, 2, None)


@pytest.mark.parametrize(("metric", "best"), [("recall_at_1", "a"), ("intra", "b")])
def test_gains_are_ranked_in_the_direction_of_their_metric(metric: str, best: str) -> None:
    board = build(few_shot_rows(("a", "b"), metrics=(metric,), shots=(5,)))
    ranks = {m: only(board, method=m, metric=f"gain_{metric}", level=4)["rank"] for m in "ab"}
    assert ranks == {best: 1, ({"a", "b"} - {best}).pop(): 2}


def test_gains_of_a_sweep_equal_loops() -> None:
    adapters = {"linear": 1.0, "ncm:k=2": 0.5}
    board = build(few_shot_rows(adapters=adapters))
    for rank, method in enumerate(("contrastive", "margin", "triplet")):
        for level in LADDER:
            for name, strength in adapters.items():
                wanted = [
                    np.mean([gain(rank, level.shift_scaled, s, 2, strength, e) for e in range(10)]) for s in range(3)
                ]
                row = only(board, method=method, level=level.index, shots=2, adapter=name, metric="gain_map_at_r")
                assert row["mean"] == pytest.approx(np.mean(wanted))
                assert row["std"] == pytest.approx(np.std(wanted, ddof=1))


def test_any_order_of_rows_gives_the_same_bytes(tmp_path: Any) -> None:
    rows = few_shot_rows(("a", "b"), adapters={"linear": 1.0, "ncm": 0.5}, seeds=2)
    runs = few_shot_frame(rows)
    write_leaderboard(tmp_path / "a.parquet", build_leaderboard(runs, None, LADDER))
    write_leaderboard(tmp_path / "b.parquet", build_leaderboard(runs.sample(frac=1, random_state=1), None, LADDER))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_zero_shot_rows_are_the_same_with_and_without_few_shot_rows() -> None:
    rows = few_shot_rows(("a", "b"))
    alone = build([row for row in rows if row["setting"] == "zero_shot"])
    both = build(rows)
    both = both[both["setting"] == "zero_shot"].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, alone)
    assert list(both.columns) == schema.LEADERBOARD.names
