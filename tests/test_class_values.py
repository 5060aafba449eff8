"""What the runs of a sweep keep of every test class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_ladder import ladder_of, scaled

import oodml
from oodml import schema, store
from oodml.class_values import STORED, class_columns
from oodml.datasets import load_dataset
from oodml.evaluation import evaluate
from oodml.records import Ladder
from oodml.results import to_frame, write_run

LONE = "class 03"


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """Vectors whose classes stand in the file in another order than their names, one of them with a single row.

    The test classes of the levels are in an order of their own.
    """
    rng = np.random.default_rng(4)
    names = rng.permutation([f"class {number:02d}" for number in range(12)])
    labels = np.repeat(np.arange(12), np.where(names == LONE, 1, 6 + np.arange(12) % 3))
    vectors = 0.9 * rng.normal(size=(12, 5))[labels] + rng.normal(size=(len(labels), 5))
    path = tmp_path_factory.mktemp("shuffled") / "vectors.npz"
    np.savez(path, embeddings=vectors.astype(np.float32), labels=labels, class_names=names)
    made = ladder_of(f"embeddings:{path}")
    levels = []
    for level in made.levels:
        test = [name for name in level.test if name != LONE] + [LONE]
        levels.append(
            replace(
                level,
                test=tuple(rng.permutation(test).tolist()),
                train=tuple(name for name in level.train if name != LONE),
                val=(),
            )
        )
    return replace(made, levels=scaled(levels))


@pytest.fixture(scope="module")
def swept(ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sweep")
    train = {"steps": 2, "batch_size": 8, "per_class": 2, "embedding_dim": 4}
    oodml.run_sweep(ladder, out=out, methods=["frozen"], seeds=[0], workers=1, settings={"train": train})
    return out


def nearest_hits(ladder: Ladder, level: int, k: int) -> dict[str, list[bool]]:
    """Test class to whether the k nearest other test rows hold its own, query by query, in loops."""
    data = load_dataset(ladder.dataset)
    assert data.vectors is not None
    rows = data.rows_of(ladder.levels[level].test)
    owners = [data.class_names[data.labels[row]] for row in rows]
    units = [data.vectors[row].astype(float) / np.linalg.norm(data.vectors[row].astype(float)) for row in rows]
    hits: dict[str, list[bool]] = {name: [] for name in owners}
    for i, owner in enumerate(owners):
        if owners.count(owner) > 1:
            near = sorted((j for j in range(len(rows)) if j != i), key=lambda j: -float(units[i] @ units[j]))[:k]
            hits[owner].append(owner in [owners[j] for j in near])
    return hits


@pytest.mark.parametrize(("metric", "k"), [("recall_at_1", 1), ("recall_at_4", 4)])
def test_values_stand_in_the_order_of_the_levels_test_classes(ladder: Ladder, swept: Path, metric: str, k: int) -> None:
    runs = oodml.read_runs(swept)
    labels = load_dataset(ladder.dataset).class_names
    for level in ladder.levels:
        assert list(level.test) not in (sorted(level.test), [name for name in labels if name in level.test])
        row = runs[(runs["level"] == level.index) & (runs["metric"] == metric)].iloc[0]
        hits = nearest_hits(ladder, level.index, k)
        expected = [float(np.mean(hits[name])) if hits[name] else np.nan for name in level.test]
        assert len(set(expected)) > 3
        np.testing.assert_allclose(row["class_values"], expected, rtol=1e-6)
        assert row["class_queries"].tolist() == [len(hits[name]) for name in level.test]


def test_weighted_by_their_queries_the_values_are_the_metric(swept: Path) -> None:
    runs = oodml.read_runs(swept)
    kept = runs[runs["class_values"].notna()]
    assert set(kept["metric"]) == set(STORED)
    for row in kept.to_dict("records"):
        asked = row["class_queries"] > 0
        mean = np.average(row["class_values"][asked].astype(float), weights=row["class_queries"][asked])
        assert mean == pytest.approx(row["value"], abs=1e-6)
        assert row["class_queries"].sum() == row["num_queries"]
    assert (runs["class_queries"].notna() == runs["class_values"].notna()).all()
    assert {"map", "nmi", "recall_at_1_macro"} <= set(runs.loc[runs["class_values"].isna(), "metric"])


def test_packing_and_copying_as_rows_keep_the_values(swept: Path, tmp_path: Path) -> None:
    before = oodml.read_runs(swept)
    for file in sorted((swept / "runs").iterdir()):
        rows = store.read_table(file, schema.RUN).to_pylist()
        write_run(tmp_path / "runs" / file.name, rows)
    pd.testing.assert_frame_equal(oodml.read_runs(tmp_path), before)
    oodml.compact(tmp_path)
    assert not list((tmp_path / "runs").iterdir())
    packed = oodml.read_runs(tmp_path)
    key = ["run_id", "metric"]
    pd.testing.assert_frame_equal(
        packed.sort_values(key, ignore_index=True), before.sort_values(key, ignore_index=True)
    )


def old_file(path: Path, rows: list[dict[str, Any]]) -> None:
    """A run file of the first version, which has no columns of classes."""
    kept = [field for field in schema.RUN if field.name not in schema.ADDED["run"]]
    old = pa.schema(kept, metadata={"oodml_kind": "run", "oodml_schema": "1"})
    store.write_table(path, schema.table(old, {name: [row.get(name) for row in rows] for name in old.names}))


def test_files_of_the_first_version_are_read_beside_new_ones(tmp_path: Path) -> None:
    def row(run_id: str) -> dict[str, Any]:
        return {"run_id": run_id, "status": "done", "metric": "recall_at_1", "value": 0.5, "setting": "zero_shot"}

    old_file(tmp_path / "old" / "runs" / "a.parquet", [row("a")])
    write_run(
        tmp_path / "new" / "runs" / "b.parquet", [{**row("b"), "class_values": [0.5, None], "class_queries": [4, 0]}]
    )
    old, new = (oodml.read_runs(tmp_path / name) for name in ("old", "new"))
    assert old["class_values"].tolist() == old["class_queries"].tolist() == [None]
    joined = pd.concat([old, new], ignore_index=True)
    assert joined["class_values"].iloc[0] is None
    np.testing.assert_array_equal(joined["class_values"].iloc[1], [0.5, np.nan])
    assert list(joined.columns) == schema.RUN.names
    old_file(tmp_path / "both" / "runs" / "a.parquet", [row("a")])
    (tmp_path / "both" / "runs" / "b.parquet").write_bytes((tmp_path / "new" / "runs" / "b.parquet").read_bytes())
    oodml.compact(tmp_path / "both")
    pd.testing.assert_frame_equal(oodml.read_runs(tmp_path / "both"), joined)


def test_a_class_without_rows_has_no_queries() -> None:
    found = evaluate([[1, 0], [2, 0], [0, 1], [1, 9]], [7, 7, 2, 2], metrics=["map_at_r", "map"])
    columns = class_columns(found, [7, 5, 2])
    assert columns == {"map_at_r": {"class_values": [1.0, None, 1.0], "class_queries": [2, 0, 2]}}
    table = schema.table(schema.RUN, {name: [values] for name, values in columns["map_at_r"].items()})
    assert to_frame(table)["class_queries"].iloc[0].dtype == np.int32
