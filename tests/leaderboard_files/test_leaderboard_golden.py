"""Files of version 1 are read, checked and merged; `golden/make_v1.py` made them with the code of that time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from board_case import write_board

from oodml import schema
from oodml.leaderboard_files import merge_leaderboards, validate_leaderboard
from oodml.results import read_leaderboard, read_runs, write_leaderboard

GOLDEN = Path(__file__).parent.parent / "golden"
BOARD = GOLDEN / "v1_leaderboard.parquet"


@pytest.mark.parametrize(
    ("name", "kind"), [("v1_leaderboard", "leaderboard"), ("v1_run", "run"), ("v1_failed_run", "run")]
)
def test_the_golden_files_are_of_version_1(name: str, kind: str) -> None:
    found = pq.read_schema(GOLDEN / f"{name}.parquet")
    assert found.metadata == {b"oodml_kind": kind.encode(), b"oodml_schema": b"1"}
    assert not set(found.names) & set(schema.ADDED[kind])


def test_a_leaderboard_reads_with_nulls_in_new_columns() -> None:
    frame = read_leaderboard(BOARD)
    assert list(frame.columns) == schema.LEADERBOARD.names
    assert frame[list(schema.ADDED["leaderboard"])].isna().all(axis=None)
    assert frame.attrs["protocol"] is None
    row = frame[(frame["method"] == "margin") & frame["level"].eq(1) & (frame["setting"] == "zero_shot")].iloc[0]
    assert (row["mean"], row["n"], row["n_planned"], row["schema_version"]) == (pytest.approx(0.625), 2, 2, 1)
    failed = frame[(frame["method"] == "frozen") & frame["level"].eq(2)].iloc[0]
    assert (failed["mean"], failed["n"], failed["n_failed"], pd.isna(failed["interval"])) == (0.3, 1, 1, True)
    gain = frame[(frame["metric"] == "gain_recall_at_1") & frame["level"].eq(0)].iloc[0]
    assert (gain["mean"], gain["interval"]) == (pytest.approx(0.1), "t95 over episodes")


def test_runs_read_with_nulls_in_new_columns() -> None:
    done, failed = read_runs(GOLDEN / "v1_run.parquet"), read_runs(GOLDEN / "v1_failed_run.parquet")
    assert list(done.columns) == list(failed.columns) == schema.RUN.names
    assert done["value"].tolist() == [0.5] and done["metric"].tolist() == ["recall_at_1"]
    assert failed["status"].tolist() == ["failed"] and failed["value"].isna().all()
    for frame in (done, failed):
        assert frame[list(schema.ADDED["run"])].isna().all(axis=None)


def test_a_leaderboard_of_version_1_is_sound_and_becomes_one_of_today(tmp_path: Path) -> None:
    assert validate_leaderboard(BOARD) == []
    write_leaderboard(tmp_path / "new.parquet", merge_leaderboards({BOARD: "ann"}))
    assert validate_leaderboard(tmp_path / "new.parquet") == []
    frame = read_leaderboard(tmp_path / "new.parquet")
    assert set(frame["schema_version"]) == {schema.VERSIONS["leaderboard"]} and set(frame["contributor"]) == {"ann"}
    assert frame.attrs["protocol"] is None  # writing it again does not make it known
    scores = ["method", "level", "metric", "mean", "std", "n", "ci_low", "ci_high", "rank"]
    pd.testing.assert_frame_equal(frame[scores], read_leaderboard(BOARD)[scores])


def test_versions_merge_and_the_later_one_fills_in_what_is_new(tmp_path: Path) -> None:
    new = read_leaderboard(BOARD).assign(both_low=0.25, both_high=0.5, made_at="2024-05-01T12:00:00")
    path = write_board(tmp_path / "new", new)
    frame = merge_leaderboards({BOARD: "old", path: None})
    assert len(frame) == len(new)
    assert set(frame["contributor"]) == {"new, old"} and set(frame["both_low"]) == {0.25}
    other = write_board(tmp_path / "more", new.assign(method="new_" + new["method"]))
    both = merge_leaderboards({BOARD: None, other: None})
    assert len(both) == 2 * len(new)
    assert both.loc[both["contributor"] == "v1_leaderboard", "both_low"].isna().all()
