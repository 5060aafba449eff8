"""A leaderboard is read without oodml: the same question asked with pandas, polars and DuckDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from oodml.results import read_leaderboard

ROOT = Path(__file__).parent.parent
BOARDS = [ROOT / "results" / "omniglot" / "leaderboard.parquet", ROOT / "tests" / "golden" / "v1_leaderboard.parquet"]
Answer = list[tuple[str, float, int]]

each_board = pytest.mark.parametrize("path", BOARDS, ids=["omniglot", "v1"])


def expected(path: Path) -> Answer:
    """Methods by falling AGS of recall@1 without labelled images, row by row."""
    rows = read_leaderboard(path).to_dict("records")
    kept = [row for row in rows if row["metric"] == "ags_recall_at_1" and row["setting"] == "zero_shot" and row["n"]]
    answer = [(str(row["method"]), float(row["mean"]), int(row["n"])) for row in kept]
    assert len(answer) > 1
    return sorted(answer, key=lambda row: -row[1])


@each_board
def test_pandas(path: Path) -> None:
    import pandas as pd

    board = pd.read_parquet(path)
    best = board.query("metric == 'ags_recall_at_1' and setting == 'zero_shot' and n > 0")
    best = best.sort_values("mean", ascending=False)[["method", "mean", "n"]]
    assert list(best.itertuples(index=False, name=None)) == expected(path)


@each_board
def test_polars(path: Path) -> None:
    pl = pytest.importorskip("polars")
    best = (
        pl.scan_parquet(path)
        .filter(pl.col("metric") == "ags_recall_at_1", pl.col("setting") == "zero_shot", pl.col("n") > 0)
        .sort("mean", descending=True)
        .select("method", "mean", "n")
        .collect()
    )
    assert best.rows() == expected(path)


@each_board
def test_duckdb(path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    best = duckdb.sql(f"""
        SELECT method, mean, n FROM '{path}'
        WHERE metric = 'ags_recall_at_1' AND setting = 'zero_shot' AND n > 0
        ORDER BY mean DESC
    """)
    assert best.fetchall() == expected(path)


def test_levels_are_integers_and_areas_have_none() -> None:
    pl, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    for path in BOARDS:
        levels = pl.read_parquet(path)["level"]
        assert levels.dtype == pl.Int64
        areas = duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE level IS NULL").fetchall()
        assert areas == [(levels.null_count(),)] == [(int(read_leaderboard(path)["level"].isna().sum()),)]
