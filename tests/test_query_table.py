"""An evaluation query by query: the table, its file, intervals and the comparison of two embeddings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from oodml.errors import DatasetError, StorageError, UsageError
from oodml.evaluation import Evaluation, evaluate
from oodml.metrics.bootstrap import class_intervals, paired_differences
from oodml.query_table import COMPARISON, compare_evaluations, query_table, score_intervals, write_query_table

METRICS = ["recall_at_1_macro", "recall_at_1", "map_at_r", "map_at_1000_paper", "map_at_r_macro", "intra"]
LABELS = np.array([f"kind {number}" for number in [*np.repeat(np.arange(9), [2, 3, 4, 5, 6, 7, 2, 3, 4]), 20, 21]])
IDS = [f"img{row}" for row in range(len(LABELS))]


def vectors(noise: float, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(30, 6))
    numbers = [int(name.split()[1]) for name in LABELS]
    return (centres[numbers] + noise * rng.normal(size=(len(LABELS), 6))).astype(np.float32)


def evaluated(noise: float = 1.0, labels: NDArray[Any] = LABELS, metrics: list[str] = METRICS) -> Evaluation:
    return evaluate(vectors(noise)[: len(labels)], labels, metrics=metrics)


def test_the_table_has_the_ids_classes_and_ranks_of_every_row() -> None:
    # One line: rows a0 and a1 at 0 and 1, b0 at 3, b1 at 9, and c alone at 20. The nearest of a0 is a1; of a1 a0; of b0
    # it is a1 (2 away), then a0 (3), then b1 (6); of b1 it is b0 (6).
    points = np.array([[0.0], [1.0], [3.0], [9.0], [20.0]])
    found = evaluate(points, ["a", "a", "b", "b", "c"], metrics=["recall_at_1", "map_at_r"], distance="euclidean")
    table = query_table(found, ["p", "q", "r", "s", "t"])
    assert list(table.columns) == ["row", "id", "class", "first_hit", "recall_at_1", "map_at_r"]
    assert table["row"].tolist() == [0, 1, 2, 3, 4] and table["row"].dtype == np.int64
    assert table["id"].tolist() == ["p", "q", "r", "s", "t"]
    assert table["class"].tolist() == ["a", "a", "b", "b", "c"]
    assert table["first_hit"].dtype == "Int64" and table["first_hit"].tolist()[:4] == [1, 1, 3, 1]
    assert table["first_hit"].isna().tolist() == [False] * 4 + [True]
    assert table["recall_at_1"].tolist()[:4] == [1, 1, 0, 1] and math.isnan(table["recall_at_1"][4])


def test_means_of_the_columns_are_the_scores() -> None:
    found = evaluated()
    table = query_table(found, IDS)
    assert [name for name in table.columns if "_macro" in name or name == "intra"] == []
    for name in ("recall_at_1", "map_at_r", "map_at_1000_paper"):
        assert table[name].mean() == pytest.approx(found.scores[name], rel=1e-12)
        assert table[name].dtype == np.float64
    assert table["map_at_r"].count() == len(LABELS) - 2
    assert table["map_at_1000_paper"].tolist()[-2:] == [0.0, 0.0]  # the study counted lone rows as failures
    macro = table.groupby("class")["map_at_r"].mean().mean()
    assert macro == pytest.approx(found.scores["map_at_r_macro"], rel=1e-12)


def test_numbers_as_labels_become_text() -> None:
    found = evaluate(vectors(1.0)[:9], np.repeat([7, 3, 5], 3), metrics="recall_at_1")
    assert query_table(found, IDS[:9])["class"].tolist() == ["7"] * 3 + ["3"] * 3 + ["5"] * 3


def test_a_table_of_other_ids_is_refused() -> None:
    with pytest.raises(UsageError, match="38 rows, 37 ids"):
        query_table(evaluated(), IDS[1:])


def test_the_file_holds_the_table_with_nulls_and_its_kind(tmp_path: Path) -> None:
    table = query_table(evaluated(), IDS)
    path = tmp_path / "new" / "queries.parquet"
    write_query_table(table, path)
    schema = pq.read_schema(path)
    assert schema.metadata == {b"oodml_kind": b"queries", b"oodml_schema": b"1"}
    types = {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    assert types == {
        "row": "int64",
        "id": "string",
        "class": "string",
        "first_hit": "int64",
        **dict.fromkeys(("recall_at_1", "map_at_r", "map_at_1000_paper"), "double"),
    }
    raw = pq.read_table(path)
    assert raw["first_hit"].null_count == raw["map_at_r"].null_count == 2
    assert raw["map_at_1000_paper"].null_count == 0
    again = pd.read_parquet(path)
    pd.testing.assert_frame_equal(again.astype({"first_hit": "Int64"}), table, check_exact=True)
    first = path.read_bytes()
    write_query_table(table, path)
    assert path.read_bytes() == first and [file.name for file in path.parent.iterdir()] == ["queries.parquet"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        write_query_table(query_table(evaluated(), IDS), tmp_path / "file" / "queries.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_intervals_are_those_of_each_metrics_own_average() -> None:
    found = evaluated()
    intervals = score_intervals(found, draws=200, confidence=0.8)
    assert list(intervals) == METRICS[:-1]
    for column, metric in enumerate(found.retrieval):
        column_values = found.values[:, [column]]
        own = class_intervals(column_values, found.classes, macro=metric.macro, draws=200, confidence=0.8)
        assert intervals[metric.name] == pytest.approx(tuple(own[0]), rel=1e-12)
        low, high = intervals[metric.name]
        assert low < found.scores[metric.name] < high
    assert intervals["map_at_r"] != intervals["map_at_r_macro"]
    wide = score_intervals(found)["map_at_r"]
    assert wide[0] < intervals["map_at_r"][0] and intervals["map_at_r"][1] < wide[1]


def test_one_class_has_no_interval_and_other_metrics_none_at_all() -> None:
    alone = evaluate(vectors(1.0)[:3], ["a", "a", "a"], metrics="map_at_r")
    assert np.isnan(score_intervals(alone)["map_at_r"]).all()
    none = evaluated(metrics=["intra"])
    assert score_intervals(none) == {}
    assert compare_evaluations(none, none).empty
    with pytest.raises(UsageError, match="needs a retrieval metric"):
        query_table(none, IDS)


def test_a_comparison_has_both_scores_and_the_paired_difference() -> None:
    first, second = evaluated(1.5), evaluated(0.3)
    table = compare_evaluations(first, second, draws=300)
    assert tuple(table.columns) == COMPARISON and table["metric"].tolist() == METRICS[:-1]
    for row, metric in zip(table.to_dict("records"), first.retrieval, strict=True):
        column = first.retrieval.index(metric)
        pair = (first.values[:, [column]], second.values[:, [column]])
        own = paired_differences(*pair, first.classes, macro=metric.macro, draws=300)
        assert row["first"] == first.scores[metric.name] and row["second"] == second.scores[metric.name]
        assert row["difference"] == pytest.approx(row["second"] - row["first"], abs=1e-12)
        assert (row["low"], row["high"], row["p"]) == pytest.approx((own.low[0], own.high[0], own.p[0]), abs=1e-12)
    assert (table["difference"] > 0).all() and (table["p"] < 0.05).all()


def test_the_same_embedding_differs_in_nothing_and_the_other_way_round_in_sign() -> None:
    first, second = evaluated(1.5), evaluated(1.2)
    same = compare_evaluations(first, first)
    assert (same[["difference", "low", "high"]] == 0).all(axis=None) and (same["p"] == 1).all()
    there, back = compare_evaluations(first, second), compare_evaluations(second, first)
    assert there["difference"].to_numpy() == pytest.approx(-back["difference"].to_numpy())
    assert there["low"].to_numpy() == pytest.approx(-back["high"].to_numpy())
    assert there["p"].tolist() == back["p"].tolist()


def test_other_queries_are_refused_with_the_first_row_that_differs() -> None:
    with pytest.raises(DatasetError, match="38 rows against 30"):
        compare_evaluations(evaluated(), evaluated(labels=LABELS[:30]))
    swapped = LABELS.copy()
    swapped[[4, 5]] = swapped[[5, 4]]
    assert swapped[4] != LABELS[4]
    with pytest.raises(DatasetError, match=r"row 4 is of class 'kind 1' in the first and of 'kind 2'.*\(2 such rows\)"):
        compare_evaluations(evaluated(), evaluated(labels=swapped))


def test_the_same_class_numbers_of_other_names_are_other_queries() -> None:
    renamed = np.array([name.replace("kind", "sort") for name in LABELS])
    assert (evaluated(labels=renamed).classes == evaluated().classes).all()
    with pytest.raises(DatasetError, match="row 0 is of class 'kind 0' in the first and of 'sort 0'"):
        compare_evaluations(evaluated(), evaluated(labels=renamed))


def test_other_metrics_or_another_gallery_are_refused() -> None:
    with pytest.raises(UsageError, match="other retrieval metrics"):
        compare_evaluations(evaluated(), evaluated(metrics=["map_at_r"]))
    x = vectors(1.0)
    within = evaluate(x, LABELS, metrics="map_at_r")
    across = evaluate(x, LABELS, gallery=x[2:], gallery_labels=LABELS[2:], metrics="map_at_r")
    with pytest.raises(DatasetError, match="row 0 counts in one only; was another gallery searched"):
        compare_evaluations(within, across)
