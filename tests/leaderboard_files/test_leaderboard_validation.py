"""Sound leaderboards pass; every kind of damage is named with its row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from board_case import ALICE, make_board, make_levels, with_column, write_board, write_raw, write_table

from oodml import schema
from oodml.leaderboard_files import validate_leaderboard
from oodml.leaderboard_files.validation import describe_leaderboard
from oodml.records import Ladder
from oodml.results import read_leaderboard

ROOT = Path(__file__).parent.parent.parent
ROW = 7  # margin at level 2: two areas come first, then frozen and margin level by level


@pytest.fixture
def board() -> pd.DataFrame:
    return make_board(ALICE)


def problems(path: Path, **other: Any) -> list[str]:
    return [str(problem) for problem in validate_leaderboard(path, **other)]


def test_a_sound_file_has_no_problem_and_says_what_it_is(tmp_path: Path, board: pd.DataFrame) -> None:
    path = write_board(tmp_path / "x", board)
    assert problems(path) == problems(path.parent) == []
    version = schema.VERSIONS["leaderboard"]
    assert describe_leaderboard(read_leaderboard(path)) == f"8 rows, toy (ladder aaaa), schema {version}, protocol 1"
    assert problems(write_raw(tmp_path / "raw.parquet", board)) == []


@pytest.mark.parametrize("name", ["glyphs", "omniglot", "grocery", "grocery-matched"])
def test_the_leaderboards_of_this_repository_are_sound(name: str) -> None:
    from oodml.splits import load_ladder

    assert problems(ROOT / "results" / name, ladder=load_ladder(ROOT / "splits" / name)) == []


def test_an_empty_leaderboard_is_sound(tmp_path: Path, board: pd.DataFrame) -> None:
    assert problems(write_board(tmp_path, board[:0])) == []


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"method": None}, "method is missing"),
    ({"ladder_hash": ""}, "ladder_hash is missing"),
    ({"setting": "one_shot"}, "setting 'one_shot' is not zero_shot or few_shot"),
    ({"setting": "few_shot"}, "a few-shot row needs shots and adapter"),
    ({"shots": 2}, "a zero-shot row has neither shots nor adapter"),
    ({"shots": 0}, "shots is 0, below 1"),
    ({"selection": "best"}, "selection 'best' is not last, val or oracle"),
    ({"embedding_dim": 0}, "embedding_dim is 0, below 1"),
    ({"config": "[1]"}, "config is no JSON object: '[1]'"),
    ({"config": "{"}, "config is no JSON object: '{'"),
    ({"made_at": "yesterday"}, "made_at 'yesterday' is no ISO 8601 time"),
    ({"contributor": " "}, "contributor is blank"),
    ({"n": None}, "n is missing"),
    ({"n": -1}, "n is -1, below 0"),
    ({"n": 4}, "n is 4, more than n_planned 3"),
    ({"n_failed": 4}, "n_failed is 4, more than n_planned 3"),
    ({"mean": None}, "n is 3, but there is no mean"),
    ({"n": 0}, "n is 0, but there is a mean"),
    ({"mean": 1.5, "ci_low": 1.25, "ci_high": 1.75}, "mean is 1.5, outside 0 to 1"),
    ({"std": -0.1}, "std is -0.1, below 0"),
    ({"std": None}, "n is 3, but there is no std"),
    ({"train_s": -1.0}, "train_s is -1, below 0"),
    ({"ci_low": 0.5}, "mean 0.4 lies outside ci_low 0.5 to ci_high"),
    ({"ci_low": 0.9}, "ci_low 0.9 is above ci_high"),
    ({"ci_low": 0.1}, "are not those of mean, std and n by Student's t"),
    ({"ci_low": None}, "ci_low and ci_high should both be there"),
    ({"delta_first": -0.3}, "delta_first is -0.3, which other levels contradict"),
    ({"delta_reference": 1.5}, "delta_reference is 1.5, wider than the metric's range"),
    ({"class_low": 0.3}, "class_low and class_high should both be there"),
    ({"both_low": 0.5, "both_high": 0.25}, "both_low 0.5 is above both_high 0.25"),
    ({"interval": "t99"}, "interval 't99' is not t95 over seeds or t95 over episodes"),
    ({"interval": None}, "there is an interval, but not how it was made"),
    ({"ci_low": None, "ci_high": None}, "interval is 't95 over seeds', but ci_low and ci_high are null"),
    ({"interval": "t95 over episodes"}, "an interval over episodes belongs to a few-shot row of one seed"),
    ({"n": 1}, "an interval over seeds needs two of them, n is 1"),
    ({"level": None}, "level is missing; only the rows of areas"),
    ({"level": -1}, "level is -1, below 0"),
    ({"level_name": None}, "level_name is missing"),
    ({"shift_scaled": 1.5}, "shift_scaled is 1.5, outside 0 to 1"),
    ({"shift": 11.0}, "shift is 11.0, in the first row of that level 10.0"),
    ({"level_name": "hard"}, "level_name is hard, in the first row of that level level_2"),
    (
        {"rank": 2, "rank_low": 2, "rank_high": 2},
        "ranks are 2 (2 to 2), the means, spreads and seeds of its rivals give 1",
    ),
    ({"rank_high": 1}, "rivals give 1 (1 to 2)"),
    ({"rank_low": 0}, "ranks should rise from 1: rank_low 0, rank 1, rank_high 2"),
    ({"rank": None}, "ranks are null (1 to 2)"),
    ({"schema_version": 1}, "schema_version is 1, the file says 2"),
    ({"level": 1, "level_name": "level_1", "shift": 4.0, "shift_scaled": 0.25}, "the same cell as row 5"),
]


def changed(board: pd.DataFrame, row: int, values: dict[str, Any]) -> pd.DataFrame:
    board = board.copy()
    for name, value in values.items():
        board.loc[row, name] = pd.NA if value is None and board[name].dtype == "Int64" else value
    return board


@pytest.mark.parametrize(("values", "message"), CHANGES, ids=[message for _, message in CHANGES])
def test_every_damage_is_named_with_its_row(
    tmp_path: Path, board: pd.DataFrame, values: dict[str, Any], message: str
) -> None:
    assert (board.loc[ROW, "method"], board.loc[ROW, "level"]) == ("margin", 2)
    found = problems(write_raw(tmp_path / "x.parquet", changed(board, ROW, values)))
    assert any(message in line and line.startswith(f"row {ROW} ") for line in found), found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"level": 1}, "the row of an area (metric ags_…) has level 1, it should be null"),
        ({"shift": 2.0}, "shift is 2.0 without a level"),
    ],
)
def test_areas_have_no_level(tmp_path: Path, board: pd.DataFrame, values: dict[str, Any], message: str) -> None:
    found = problems(write_raw(tmp_path / "x.parquet", changed(board, 1, values)))
    assert any(line.startswith("row 1 (margin, ") and message in line for line in found), found


def test_a_benchmark_has_one_ladder_and_one_dataset(tmp_path: Path, board: pd.DataFrame) -> None:
    path = write_raw(tmp_path / "x.parquet", changed(board, 3, {"ladder_hash": "bbbb", "dataset": "games"}))
    assert problems(path) == [
        "benchmark 'toy' has more than one ladder_hash: aaaa (row 0) and bbbb (row 3)",
        "benchmark 'toy' has more than one dataset: toys (row 0) and games (row 3)",
    ]


def test_rows_out_of_order_and_extra_columns_can_be_put_right(tmp_path: Path, board: pd.DataFrame) -> None:
    path = write_raw(tmp_path / "x.parquet", board.iloc[[0, 1, 3, 2, 4, 5, 6, 7]].reset_index(drop=True))
    [problem] = validate_leaderboard(path)
    assert problem.row == 2 and problem.repairable
    assert "not in the order of benchmark, backbone" in str(problem)
    table = with_column(pq.read_table(write_raw(path, board)), "colour", ["red"] * len(board), pa.string())
    [problem] = validate_leaderboard(write_table(path, table))
    assert problem.repairable and "unknown columns 'colour'" in str(problem)


def test_types_and_numbers_that_are_not_finite(tmp_path: Path, board: pd.DataFrame) -> None:
    table = pq.read_table(write_raw(tmp_path / "x.parquet", board))
    narrow = with_column(table, "mean", table.column("mean").to_pylist(), pa.float32())
    assert "column mean has the type float, it should be double" in problems(
        write_table(tmp_path / "x.parquet", narrow)
    )
    wrong = with_column(table, "delta_reference", [0.0, float("nan"), *[float("inf")] * 6], pa.float64())
    found = problems(write_table(tmp_path / "x.parquet", wrong))
    assert found[:2] == [
        "row 1 (margin, all levels, ags_recall_at_1, toy): delta_reference is nan; what is not known is null",
        "row 2 (frozen, level 0, recall_at_1, toy): delta_reference is inf; what is not known is null",
    ]
    assert len([line for line in found if "what is not known is null" in line]) == 7


def test_files_that_are_no_leaderboard_say_so(tmp_path: Path, board: pd.DataFrame) -> None:
    path = write_board(tmp_path / "x", board)
    content = path.read_bytes()
    for keep in (0, 3, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:keep])
        [found] = problems(path)
        assert str(path) in found and "truncated" in found
    [found] = problems(write_raw(path, board, oodml_kind="run"))
    assert "is not an oodml leaderboard file (it says 'run')" in found
    [found] = problems(write_raw(path, board, oodml_schema="99"))
    assert "schema version 99" in found and "upgrade oodml" in found
    [found] = problems(write_table(path, pq.read_table(path).drop_columns(["mean"])))
    assert "lacks the columns mean" in found
    assert "there is no file" in problems(tmp_path / "nowhere.parquet")[0]
    assert "there is no leaderboard.parquet" in problems(tmp_path)[0]


def test_the_protocol_is_a_number_or_not_known(tmp_path: Path, board: pd.DataFrame) -> None:
    path = write_raw(tmp_path / "x.parquet", board, oodml_protocol="one")
    assert problems(path) == ["the metadata name protocol 'one', which is no number"]
    assert read_leaderboard(path).attrs["protocol"] is None


def test_against_a_ladder(tmp_path: Path, board: pd.DataFrame) -> None:
    ladder = Ladder("toy", "toys", {}, "cafe", {}, "fid", {}, tuple(make_levels()))
    path = write_raw(tmp_path / "x.parquet", board.assign(ladder_hash=ladder.ladder_hash))
    assert problems(path, ladder=ladder) == []
    [found] = problems(path, ladder=replace(ladder, name="other", dataset_hash="beef"))
    assert found.startswith("no row is of ladder 'other'") and ladder.ladder_hash in found
    other = problems(path, ladder=replace(ladder, dataset_hash="beef"))
    assert len(other) == 8 and all("that of ladder 'toy' is" in line for line in other)
    levels = make_levels(((2.0, 0.0), (5.0, 0.25), (10.0, 1.0)))
    moved = problems(path, ladder=replace(ladder, levels=tuple(levels)))
    assert moved == [
        "row 4 (frozen, level 1, recall_at_1, toy): shift is 4, that of the ladder 5",
        "row 5 (margin, level 1, recall_at_1, toy): shift is 4, that of the ladder 5",
    ]
