from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oodml import schema, store
from oodml.errors import ResultsError
from oodml.results import (
    ResultsWarning,
    read_leaderboard,
    read_plan,
    read_runs,
    to_frame,
    write_leaderboard,
    write_run,
)


def run_rows(run_id: str, metrics: tuple[str, ...] = ("recall_at_1", "map_at_r")) -> list[dict[str, Any]]:
    common = {
        "run_id": run_id,
        "benchmark": "toy",
        "level": 2,
        "seed": 0,
        "method": "margin",
        "status": "done",
    }
    return [{**common, "metric": name, "value": 0.25 * (i + 1)} for i, name in enumerate(metrics)]


def write_sweep(folder: Path, count: int = 3) -> Path:
    for i in range(count):
        write_run(folder / "runs" / f"run{i}.parquet", run_rows(f"run{i}"))
    return folder


def test_runs_are_read_from_the_sweep_its_runs_folder_or_one_file(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    frame = read_runs(tmp_path)
    assert list(frame.columns) == schema.RUN.names
    assert frame["run_id"].tolist() == ["run0", "run0", "run1", "run1", "run2", "run2"]
    assert frame["value"].tolist() == [0.25, 0.5] * 3
    assert frame.attrs["unreadable"] == []
    pd.testing.assert_frame_equal(read_runs(str(tmp_path / "runs")), frame)
    pd.testing.assert_frame_equal(read_runs(tmp_path / "runs" / "run1.parquet"), frame[2:4].reset_index(drop=True))


def test_missing_values_are_null_and_integers_stay_integers(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a.parquet", [{"run_id": "a", "level": 3, "status": "failed", "error": "why"}])
    row = read_runs(tmp_path).iloc[0]
    assert row["level"] == 3
    assert isinstance(row["level"], (int, np.integer))
    assert row["schema_version"] == schema.VERSIONS["run"]
    assert row[["metric", "value", "shots", "embedding_dim"]].isna().all()


def test_a_frame_without_oodml_reads_the_same(tmp_path: Path) -> None:
    write_sweep(tmp_path, 1)
    plain = pd.read_parquet(tmp_path / "runs" / "run0.parquet")
    assert plain["value"].tolist() == [0.25, 0.5]


@pytest.mark.parametrize("keep", [0, 3, 200, -1])
def test_a_truncated_file_is_named_and_the_rest_is_read(tmp_path: Path, keep: int) -> None:
    write_sweep(tmp_path)
    broken = tmp_path / "runs" / "run1.parquet"
    broken.write_bytes(broken.read_bytes()[:keep])
    with pytest.warns(ResultsWarning, match=r"run1\.parquet.*truncated.*the other files are read"):
        frame = read_runs(tmp_path)
    assert set(frame["run_id"]) == {"run0", "run2"}
    [(path, reason)] = frame.attrs["unreadable"]
    assert path == str(broken)
    assert "run1.parquet" in reason
    with pytest.raises(ResultsError, match="truncated"):
        read_runs(broken)


def foreign_files(folder: Path) -> None:
    """Files that are Parquet, but no run of this version."""
    pq.write_table(pa.table({"a": [1]}), folder / "foreign.parquet")
    columns = {name: [None] for name in schema.RUN.names}
    newer = schema.table(schema.RUN, columns)
    newer = newer.replace_schema_metadata({"oodml_kind": "run", "oodml_schema": "99"})
    pq.write_table(newer, folder / "newer.parquet")
    garbled = newer.replace_schema_metadata({"oodml_kind": "run", "oodml_schema": "one"})
    pq.write_table(garbled, folder / "garbled.parquet")
    edited = schema.table(schema.RUN, columns).drop_columns(["value"])
    pq.write_table(edited, folder / "edited.parquet")
    texts = pa.table({name: ["x"] for name in schema.RUN.names}, metadata=schema.RUN.metadata)
    pq.write_table(texts, folder / "types.parquet")
    (folder / "folder.parquet").mkdir()


def test_every_kind_of_foreign_file_is_named_with_its_reason(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    foreign_files(tmp_path / "runs")
    with pytest.warns(ResultsWarning):
        frame = read_runs(tmp_path)
    assert len(frame) == 6
    reasons = {Path(path).stem: reason for path, reason in frame.attrs["unreadable"]}
    assert set(reasons) == {"foreign", "newer", "garbled", "edited", "types", "folder"}
    assert "is not an oodml run file" in reasons["foreign"]
    assert "schema version 99" in reasons["newer"]
    assert "upgrade oodml" in reasons["newer"]
    assert "lacks the columns value" in reasons["edited"]


def test_temporary_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    (tmp_path / "runs" / f".run9.parquet.abc{store.TEMPORARY_SUFFIX}").write_bytes(b"PAR1")
    (tmp_path / "runs" / "._run9.parquet").write_bytes(b"x")
    assert len(read_runs(tmp_path)) == 6


def test_a_folder_named_like_an_option_adds_no_column(tmp_path: Path) -> None:
    frame = read_runs(write_sweep(tmp_path / "seed=7"))
    assert frame["seed"].tolist() == [0] * 6


def test_a_copied_run_file_is_refused_by_name(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    copy = tmp_path / "runs" / "run1 (copy).parquet"
    copy.write_bytes((tmp_path / "runs" / "run1.parquet").read_bytes())
    with pytest.raises(ResultsError, match=r"run run1 has the same row twice \(in run1 \(copy\)"):
        read_runs(tmp_path)


def test_a_sweep_that_has_not_finished_a_run_is_empty(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert read_runs(tmp_path).empty
    assert list(read_runs(tmp_path).columns) == schema.RUN.names


@pytest.mark.parametrize("name", ["", "nowhere", "nowhere/x.parquet"])
def test_a_path_without_runs_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResultsError, match=r"holds no runs|there is no file"):
        read_runs(tmp_path / name)


def test_write_run_refuses_nothing_and_unknown_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        write_run(tmp_path / "a.parquet", [])
    with pytest.raises(ValueError, match="colour"):
        write_run(tmp_path / "a.parquet", [{"run_id": "a", "colour": "red"}])
    assert list(tmp_path.iterdir()) == []


def test_plan(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no file"):
        read_plan(tmp_path)
    store.write_table(tmp_path / "plan.parquet", schema.table(schema.PLAN, {"run_id": ["a", "b"], "seed": [0, 1]}))
    assert read_plan(tmp_path)["seed"].tolist() == [0, 1]
    pd.testing.assert_frame_equal(read_plan(tmp_path / "plan.parquet"), read_plan(str(tmp_path)))
    assert read_runs(tmp_path).empty  # planned, nothing finished


def leaderboard() -> pd.DataFrame:
    rows = [
        {"benchmark": "toy", "method": method, "metric": metric, "level": level, "mean": 0.5, "n": 3}
        for method in ("triplet", "margin")
        for metric, level in (("recall_at_1", 1), ("recall_at_1", 0), ("ags_recall_at_1", None))
    ]
    columns: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in rows[0]}
    return to_frame(schema.table(schema.LEADERBOARD, columns))


def test_leaderboard_is_sorted_and_reproducible_to_the_byte(tmp_path: Path) -> None:
    frame = leaderboard()
    write_leaderboard(tmp_path / "a.parquet", frame)
    write_leaderboard(tmp_path / "b.parquet", frame.sample(frac=1, random_state=3))
    write_leaderboard(tmp_path, read_leaderboard(tmp_path / "a.parquet"))
    contents = [(tmp_path / name).read_bytes() for name in ("a.parquet", "b.parquet", "leaderboard.parquet")]
    assert contents[0] == contents[1] == contents[2]
    read = read_leaderboard(tmp_path)
    keys = [tuple(row) for row in read[["metric", "level", "method"]].astype(object).to_numpy()]
    assert keys == [
        ("ags_recall_at_1", pd.NA, "margin"),
        ("ags_recall_at_1", pd.NA, "triplet"),
        ("recall_at_1", 0, "margin"),
        ("recall_at_1", 0, "triplet"),
        ("recall_at_1", 1, "margin"),
        ("recall_at_1", 1, "triplet"),
    ]


def test_a_leaderboard_without_columns_or_with_a_repeated_cell_is_refused(tmp_path: Path) -> None:
    frame = leaderboard()
    with pytest.raises(ResultsError, match="needs the columns mean"):
        write_leaderboard(tmp_path, frame.drop(columns="mean"))
    with pytest.raises(ResultsError, match=r"same cell .*method margin"):
        write_leaderboard(tmp_path, pd.concat([frame, frame[3:]]))
    assert list(tmp_path.iterdir()) == []


def test_reading_a_leaderboard_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="oodml report"):
        read_leaderboard(tmp_path)
    with pytest.raises(ResultsError, match="there is no file"):
        read_leaderboard(tmp_path / "x.parquet")
    write_run(tmp_path / "run.parquet", run_rows("a"))
    with pytest.raises(ResultsError, match="is not an oodml leaderboard file"):
        read_leaderboard(tmp_path / "run.parquet")
