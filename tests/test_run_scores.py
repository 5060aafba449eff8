"""Columns as codes, and scores of runs grouped by them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from few_shot_case import few_shot_frame, few_shot_row, run_row
from hypothesis import given
from hypothesis import strategies as st

from oodml.codes import block_starts, codes_of, combined, plain_values
from oodml.entries import collect, find_entries
from oodml.run_scores import Scores, make_cells, make_curve, make_episodes

ROWS = st.lists(st.tuples(st.sampled_from(["b", "a", None]), st.sampled_from([2, 10, None])), min_size=1, max_size=30)


@given(rows=ROWS)
def test_combined_codes_sort_and_tell_rows_apart_as_their_values_do(rows: list[tuple[str | None, int | None]]) -> None:
    frame = pd.DataFrame({"text": pd.Series([r[0] for r in rows], dtype="str"), "number": [r[1] for r in rows]})
    frame["number"] = frame["number"].astype("Int64")
    parts = [codes_of(frame[name]) for name in frame]
    number = combined((codes, len(known)) for codes, known in parts)

    def key(row: tuple[str | None, int | None]) -> tuple[Any, ...]:
        return (row[0] is not None, row[0] or "", row[1] is not None, row[1] or 0)

    for (one, i), (two, j) in itertools.combinations(zip(rows, number, strict=True), 2):
        assert (i < j) == (key(one) < key(two)) and (i == j) == (one == two)
    for codes, known in parts:
        assert known == sorted(known) and all(type(value) in (str, int) for value in known) and codes.max() < len(known)
    assert list(zip(*(plain_values(frame[name]) for name in frame), strict=True)) == rows
    starts = block_starts(*(codes for codes, _ in parts))
    assert starts.tolist() == [True, *(one != two for one, two in itertools.pairwise(rows))]


def scores_of(rows: list[dict[str, Any]]) -> dict[tuple[str, str | None, int | None], dict[tuple[int, int], Scores]]:
    runs = few_shot_frame(rows)
    found = collect(runs, None)
    return {
        (variant.metric, variant.adapter, variant.shots): {
            (level, seed): scores for level, seeds in cells.items() for seed, scores in seeds.items()
        }
        for (_, variant), cells in make_cells(runs, found, find_entries(found)).items()
    }


def test_episodes_are_in_order_and_what_lacks_one_is_left_out() -> None:
    runs = [run_row("margin", level, seed, "recall_at_1", 0.5) for level in range(2) for seed in range(2)]
    values: dict[int, list[tuple[int, float | None]]] = {
        0: [(3, 0.3), (1, 0.1), (2, 0.2)],
        1: [(1, 0.4), (2, 0.6)],
        2: [(1, 0.7)],
        3: [(1, None)],
    }
    few = [few_shot_row(runs[i], 5, "linear", e, v) for i, own in values.items() for e, v in own]
    found = scores_of(runs + few)
    assert found["recall_at_1", None, None].keys() == {(0, 0), (0, 1), (1, 0), (1, 1)}
    adapted = found["recall_at_1", "linear", 5]
    assert {place: scores.values for place, scores in adapted.items()} == {(0, 0): (0.1, 0.2, 0.3), (1, 0): (0.7,)}


def test_values_by_class_come_with_the_rows_that_keep_them() -> None:
    kept = {"class_values": [0.5, None], "class_queries": [4, 0], "train_s": 2.0, "peak_memory_mb": None}
    rows = [run_row("margin", 0, 0, name, 0.5, **(kept if name == "map_at_r" else {})) for name in ("map_at_r", "nmi")]
    found = scores_of(rows)
    scores = found["map_at_r", None, None][0, 0]
    assert scores.class_values is not None and scores.class_queries is not None
    np.testing.assert_array_equal(scores.class_values, [0.5, np.nan])
    assert scores.class_queries.tolist() == [4, 0]
    assert scores.train_s == 2.0 and np.isnan(scores.peak_memory_mb) and scores.started_at == "2024-01-01"
    assert found["nmi", None, None][0, 0].class_values is None


def test_curves_average_episodes() -> None:
    runs = [run_row("margin", 0, 0, "recall_at_1", 0.25)]
    frame = few_shot_frame([*runs, *(few_shot_row(runs[0], 2, "none", e, v) for e, v in enumerate((0.1, 0.2, 0.6)))])
    found = collect(frame, None)
    curves = [make_curve(own) for own in make_episodes(frame, found, find_entries(found)).values()]
    assert sorted(curve[0][0] for curve in curves) == pytest.approx([0.25, 0.3])


def test_a_table_without_a_number_has_no_scores() -> None:
    assert scores_of([]) == {}
    assert scores_of([{**run_row("margin", 0, 0, "recall_at_1", None), "status": "failed", "metric": None}]) == {}
