"""Leaderboards of several people joined: who, when, ranks, refusals, and the same bytes in any order."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from board_case import ALICE, BOB, SHIFTS, make_board, write_board, write_raw
from hypothesis import given, settings
from hypothesis import strategies as st

from oodml import schema
from oodml.errors import OodmlError, ResultsError, UsageError
from oodml.leaderboard_files import merge_leaderboards, validate_leaderboard
from oodml.leaderboard_files.compatibility import MergeWarning
from oodml.leaderboard_files.merging import default_contributor
from oodml.leaderboard_files.ranks import rerank
from oodml.ranks import rank_range
from oodml.results import read_leaderboard, write_leaderboard

RANKS = ["rank", "rank_low", "rank_high"]


def merged(*paths: Path, **named: Path) -> pd.DataFrame:
    return merge_leaderboards({**dict.fromkeys(paths), **{path: name for name, path in named.items()}})


def cell(frame: pd.DataFrame, method: str, level: int | None) -> pd.Series:
    rows = frame[(frame["method"] == method) & (frame["level"].isna() if level is None else frame["level"].eq(level))]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    return write_board(tmp_path / "alice", make_board(ALICE))


@pytest.fixture
def bob(tmp_path: Path) -> Path:
    return write_board(tmp_path / "bob", make_board(BOB, started="2024-06-01T12:00:00"))


def test_rows_of_both_with_their_makers_and_ranks_among_all(alice: Path, bob: Path) -> None:
    frame = merged(alice, bob)
    assert len(frame) == 3 * (3 + 1)
    makers = frame.groupby("method")["contributor"].unique()
    assert {str(method): list(names) for method, names in makers.items()} == {
        "frozen": ["alice, bob"],
        "margin": ["alice"],
        "triplet": ["bob"],
    }
    for level in range(3):
        expected = rank_range({name: {**ALICE, **BOB}[name][level] for name in ("frozen", "margin", "triplet")})
        for method, ranks in expected.items():
            assert tuple(cell(frame, method, level)[RANKS]) == ranks
    assert cell(frame, "margin", 1)["mean"] == pytest.approx(0.7)
    assert set(frame["schema_version"]) == {schema.VERSIONS["leaderboard"]}


def test_merging_one_sound_file_changes_its_contributor_only(alice: Path) -> None:
    before, after = read_leaderboard(alice), merged(ann=alice)
    assert set(after["contributor"]) == {"ann"}
    pd.testing.assert_frame_equal(after.drop(columns="contributor"), before.drop(columns="contributor"))


def test_any_order_gives_the_same_bytes_and_a_sound_file(tmp_path: Path, alice: Path, bob: Path) -> None:
    carol = write_board(tmp_path / "carol", make_board({"arcface": [[0.9, 0.8], [0.7, 0.6], [0.5, 0.6]]}))
    written = set()
    for number, order in enumerate(itertools.permutations([alice, bob.parent, carol])):
        out = tmp_path / f"{number}.parquet"
        write_leaderboard(out, merged(*order))
        written.add(out.read_bytes())
    assert len(written) == 1
    assert validate_leaderboard(tmp_path / "0.parquet") == []
    step = tmp_path / "two" / "leaderboard.parquet"
    step.parent.mkdir()
    write_leaderboard(step, merged(carol, bob))
    write_leaderboard(tmp_path / "all.parquet", merged(alice, step))
    assert (tmp_path / "all.parquet").read_bytes() in written  # in steps as at once
    assert read_leaderboard(step).attrs["protocol"] == 1


@settings(max_examples=20)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 2**31))
def test_ranks_from_summaries_are_those_from_the_values(methods: int, seeds: int, key: int) -> None:
    rng = np.random.default_rng(key)
    scores = {f"m{i}": rng.uniform(0.2, 0.8, size=(3, rng.integers(1, seeds + 1))).tolist() for i in range(methods)}
    board = make_board(scores, metrics=("recall_at_1", "intra", "somebodys_own"))
    blank = board.assign(**{name: pd.array([pd.NA] * len(board), dtype="Int64") for name in RANKS})
    pd.testing.assert_frame_equal(rerank(blank)[RANKS], board[RANKS])
    assert board.loc[board["metric"] == "somebodys_own", RANKS].isna().all(axis=None)


def test_two_results_for_one_cell_are_refused_with_both_files(tmp_path: Path, alice: Path) -> None:
    other = write_board(tmp_path / "dan", make_board({"margin": [[0.8, 0.7, 0.9], [0.6, 0.7, 0.9], [0.4, 0.5, 0.3]]}))
    with pytest.raises(ResultsError) as caught:
        merged(alice, other)
    words = str(caught.value)
    assert "margin, all levels, ags_recall_at_1, toy" in words and str(alice) in words and str(other) in words
    assert "oodml report" in words and "and 1 other cells differ" in words  # level 1 and the area
    fewer = write_board(tmp_path / "eve", make_board({"margin": [row[:2] for row in ALICE["margin"]]}))
    with pytest.raises(ResultsError, match=r"n 3 in .*alice.*, n 2 in|n 2 in .*n 3 in|mean 0\.6"):
        merged(alice, fewer)


def test_rows_without_numbers_give_way(tmp_path: Path, alice: Path) -> None:
    planned = make_board({"margin": ALICE["margin"]})
    numbers = ["mean", "std", "ci_low", "ci_high", "interval", "delta_first", "delta_reference", *RANKS]
    gaps = planned.assign(n=0, n_planned=5, **dict.fromkeys(numbers))
    for name in (*RANKS, "n", "n_planned"):
        gaps[name] = gaps[name].astype("Int64")
    gap = write_raw(tmp_path / "gaps.parquet", gaps)
    assert validate_leaderboard(gap) == []
    frame = merged(alice, gap)
    assert cell(frame, "margin", 1)["mean"] == pytest.approx(0.7)
    assert (cell(frame, "margin", 1)["n_planned"], cell(frame, "margin", 1)["contributor"]) == (3, "alice")
    failed = write_raw(tmp_path / "failed.parquet", gaps.assign(n_failed=pd.array([5] * len(gaps), dtype="Int64")))
    with pytest.raises(ResultsError, match="the same cell has different numbers"):
        merged(alice, failed)


def test_what_a_later_version_knows_is_filled_in(tmp_path: Path) -> None:
    board = make_board(ALICE)
    old = board.assign(**dict.fromkeys(schema.ADDED["leaderboard"]))
    full = board.assign(class_low=0.1, class_high=0.9, made_at="2024-05-01T12:00:00", train_s=2.0)
    frame = merged(old=write_raw(tmp_path / "o.parquet", old), new=write_raw(tmp_path / "n.parquet", full))
    assert set(frame["class_low"]) == {0.1} and set(frame["train_s"]) == {2.0}
    assert set(frame["made_at"]) == {"2024-05-01T12:00:00"} and set(frame["contributor"]) == {"new, old"}
    later = full.assign(made_at="2025-01-01T00:00:00", train_s=9.0)
    frame = merged(a=write_raw(tmp_path / "l.parquet", later), b=tmp_path / "n.parquet")
    assert set(frame["made_at"]) == {"2024-05-01T12:00:00"} and set(frame["train_s"]) == {2.0}  # who came first


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"ladder_hash": "bbbb"}, ["'toy' is ladder aaaa in", "ladder bbbb in", "alice", "other"]),
        (
            {"benchmark": "zoo", "ladder_hash": "bbbb"},
            ["'toy', ladder aaaa", "'zoo', ladder bbbb", "different ladders"],
        ),
        ({"shifts": (*SHIFTS[:2], (11.0, 1.0))}, ["level 2 of 'toy' is 'level_2' at shift 10", "at shift 11"]),
    ],
)
def test_other_ladders_are_refused(tmp_path: Path, alice: Path, other: dict[str, Any], words: list[str]) -> None:
    path = write_board(tmp_path / "other", make_board(BOB, **other))
    for order in ((alice, path), (path, alice)):
        with pytest.raises(ResultsError) as caught:
            merged(*order)
        assert all(word in str(caught.value) for word in words), caught.value


def test_protocols_differ_or_are_not_known(tmp_path: Path, alice: Path) -> None:
    two = write_raw(tmp_path / "two.parquet", make_board(BOB), oodml_protocol="2")
    with pytest.raises(ResultsError, match=r"alice.* by protocol 1, .*two\.parquet by protocol 2"):
        merged(alice, two)
    frame = make_board(BOB)
    frame.attrs["protocol"] = None
    silent = write_board(tmp_path / "silent", frame)
    assert read_leaderboard(silent).attrs["protocol"] is None
    with pytest.warns(MergeWarning, match=r"silent.* does not say which protocol"):
        assert merged(alice, silent).attrs["protocol"] is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert merged(silent).attrs["protocol"] is None  # nothing that disagrees


def test_a_dataset_called_differently_is_still_one(tmp_path: Path, alice: Path) -> None:
    path = write_board(tmp_path / "zoe", make_board(BOB, dataset="my_toys"))
    with pytest.warns(MergeWarning, match="called my_toys and toys; 'my_toys' is kept"):
        assert set(merged(alice, path)["dataset"]) == {"my_toys"}


def test_unsound_files_are_refused_and_repairable_ones_repaired(tmp_path: Path, alice: Path) -> None:
    board = make_board(BOB)
    bad = write_raw(tmp_path / "bad.parquet", board.assign(mean=2.0, ci_low=1.9, ci_high=2.1))
    with pytest.raises(
        ResultsError, match=r"bad\.parquet is not merged: row 0 .*outside 0 to 1.*and \d+ more.*validate"
    ):
        merged(alice, bad)
    ranks = {name: pd.array([1] * len(board), dtype="Int64") for name in RANKS}
    shuffled = board.assign(**ranks).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        merged(bob=write_raw(tmp_path / "bob.parquet", shuffled)).drop(columns="contributor"),
        board.drop(columns="contributor"),
    )


def test_contributors_have_one_name_each(tmp_path: Path, alice: Path, bob: Path) -> None:
    twin = write_board(tmp_path / "far" / "bob", make_board({"arcface": BOB["triplet"]}))
    with pytest.raises(UsageError, match=r"would both be contributions of 'bob'; name them"):
        merged(bob, twin)
    assert set(merged(bob, bert=twin)["contributor"]) == {"bert", "bob"}
    for name in ("", " ", "a,b"):
        with pytest.raises(UsageError, match="name without commas"):
            merge_leaderboards({alice: name})
    named = write_board(tmp_path / "named", merged(bob))
    assert set(merged(named)["contributor"]) == {"bob"}
    with pytest.raises(UsageError, match="names its contributor already"):
        merged(carl=named)
    with pytest.raises(UsageError, match="nothing to merge"):
        merge_leaderboards({})


def test_names_of_files_and_folders_say_who_unless_they_say_nothing(tmp_path: Path) -> None:
    assert default_contributor(tmp_path / "ann" / "leaderboard.parquet") == "ann"
    assert default_contributor(tmp_path / "ann" / "report" / "leaderboard.parquet") == "ann"
    assert default_contributor(tmp_path / "ann" / "ben.parquet") == "ben"
    assert "," not in default_contributor(tmp_path / "a,b" / "leaderboard.parquet")


def test_an_empty_leaderboard_adds_nothing(tmp_path: Path, alice: Path) -> None:
    empty = write_board(tmp_path / "empty", make_board(ALICE)[:0])
    pd.testing.assert_frame_equal(merged(alice, empty), merged(alice))
    assert merged(empty).empty


def test_a_missing_file_is_named(tmp_path: Path, alice: Path) -> None:
    with pytest.raises(OodmlError, match=r"there is no file .*nobody\.parquet"):
        merged(alice, tmp_path / "nobody.parquet")
