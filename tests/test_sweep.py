"""Sweeps: what is done, done again, not repeated, recorded and refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import oodml
from oodml import model, registry, schema, store, training
from oodml.datasets import load_dataset
from oodml.errors import (
    DatasetError,
    LadderError,
    NewerFileError,
    ResultsError,
    StorageError,
    UnknownNameError,
)
from oodml.make_splits import ladder_from_dataset
from oodml.methods.cards import CARDS, MethodInfo
from oodml.metrics import metric_info, metric_names
from oodml.records import Ladder
from oodml.results import read_plan
from oodml.sweep import SweepResult

KEY = ["run_id", "metric"]
TRAIN = {"steps": 4, "batch_size": 16, "per_class": 4, "embedding_dim": 6}


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=3, episodes=1, null_draws=5)


def sweep(ladder: Ladder, out: Path, **options: Any) -> SweepResult:
    settings = {"train": TRAIN, **options.pop("settings", {})}
    chosen = {"methods": ["frozen", "margin"], "seeds": [0, 1], "workers": 1, **options}
    return oodml.run_sweep(ladder, out=out, settings=settings, **chosen)


def scores(out: Path) -> pd.DataFrame:
    return oodml.read_runs(out).sort_values(KEY)[[*KEY, "method", "level", "seed", "value"]].reset_index(drop=True)


def test_every_run_has_its_rows_and_a_second_start_does_nothing(ladder: Ladder, tmp_path: Path) -> None:
    first = sweep(ladder, tmp_path)
    levels = len(ladder.levels)
    assert first.planned == levels * (1 + 2)  # frozen vectors need one seed
    assert first.outcomes == {"done": first.planned} and not first.failures
    runs = oodml.read_runs(tmp_path)
    names = set(metric_names("default", num_classes=2))
    for method, own in runs.groupby("method"):  # six dimensions of the heads have no tenth singular value
        assert set(own["metric"]) == (names if method == "frozen" else names - {"rho_10"})
        assert len(own) == own["run_id"].nunique() * own["metric"].nunique()
    for metric, value in zip(runs["metric"], runs["value"], strict=True):
        low, high = metric_info(metric).bounds
        assert low <= value <= high, metric
    assert (runs["num_queries"] > 0).all() and (runs["num_lone"] == 0).all()
    trained = runs[runs["method"] == "margin"]
    assert (trained[["train_s", "eval_s", "peak_memory_mb"]] > 0).all(axis=None)
    assert set(trained["embedding_dim"]) == {6}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    second = sweep(ladder, tmp_path)
    assert second.already == second.planned and not second.outcomes
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}


def test_values_do_not_depend_on_folder_order_or_number_of_workers(ladder: Ladder, tmp_path: Path) -> None:
    sweep(ladder, tmp_path / "one")
    sweep(ladder, tmp_path / "two", methods=["margin", "frozen"], workers=2)
    pd.testing.assert_frame_equal(scores(tmp_path / "one"), scores(tmp_path / "two"))


def test_a_sweep_can_grow(ladder: Ladder, tmp_path: Path) -> None:
    sweep(ladder, tmp_path, seeds=[0], methods=["margin"])
    grown = sweep(ladder, tmp_path, seeds=[0, 1], methods=["margin", "triplet"])
    assert grown.already == len(ladder.levels)
    assert len(read_plan(tmp_path)) == grown.planned == 4 * len(ladder.levels)


def test_a_run_that_diverges_is_recorded_while_the_others_go_on(ladder: Ladder, tmp_path: Path) -> None:
    result = sweep(ladder, tmp_path, methods=["frozen", "margin"], settings={"margin": {"beta": 3e38}})
    assert result.outcomes["done"] == len(ladder.levels)
    assert result.outcomes["diverged"] == 2 * len(ladder.levels) == len(result.failures)
    row = oodml.read_runs(tmp_path).query("status == 'diverged'").iloc[0]
    assert "not finite" in row["error"] and pd.isna(row["value"])
    again = sweep(ladder, tmp_path, methods=["frozen", "margin"], settings={"margin": {"beta": 3e38}})
    assert not again.outcomes and len(again.failures) == len(result.failures)


def test_the_metrics_of_a_run_are_those_asked_for(ladder: Ladder, tmp_path: Path) -> None:
    asked = ["recall_at_3", "nmi_paper", "nmi"]
    sweep(ladder, tmp_path, methods=["frozen"], metrics=asked, levels=[0])
    runs = oodml.read_runs(tmp_path)
    assert runs["metric"].tolist() == asked
    level = ladder.levels[0]
    data = load_dataset(ladder.dataset)
    rows = data.rows_of(level.test)
    assert data.vectors is not None
    expected = oodml.evaluate_embeddings(
        data.vectors[rows], data.labels[rows], metrics=asked, num_train_classes=len(level.train)
    )
    assert dict(zip(runs["metric"], runs["value"], strict=True)) == {name: expected[name] for name in asked}
    assert (runs["eval_s"] > 0).all() and (runs["peak_memory_mb"] > 1).all()
    with pytest.raises(UnknownNameError, match="unknown metric 'recal_at_1'"):
        sweep(ladder, tmp_path / "other", metrics=["recal_at_1"])
    assert not (tmp_path / "other").exists()


def test_a_method_may_bring_its_own_distance(ladder: Ladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cosine = sweep(ladder, tmp_path / "cosine", methods=["frozen"], levels=[0], metrics=["map"])
    method = registry.resolve(CARDS["frozen"].target)
    first = lambda queries, gallery: -(queries[:, None, 0] - gallery[None, :, 0]).abs()  # noqa: E731 - one coordinate
    monkeypatch.setattr(method, "distance", staticmethod(first))
    sweep(ladder, tmp_path / "own", methods=["frozen"], levels=[0], metrics=["map"])
    data = load_dataset(ladder.dataset)
    rows = data.rows_of(ladder.levels[0].test)
    assert data.vectors is not None and not cosine.failures
    embeddings = data.vectors[rows] / np.linalg.norm(data.vectors[rows], axis=1, keepdims=True)
    expected = oodml.evaluate_embeddings(embeddings[:, :1], data.labels[rows], metrics="map", distance="euclidean")
    own, other = (oodml.read_runs(tmp_path / name)["value"].item() for name in ("own", "cosine"))
    assert own == pytest.approx(expected["map"], abs=1e-6) != other


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bool]]:
    """A registered method that fails while mood["bad"]."""
    mood = {"bad": True}

    def build(context: Any, options: Any) -> Any:
        if mood["bad"]:
            raise RuntimeError("bad mood")
        return registry.resolve(CARDS["triplet"].target)(context, {"margin": 0.2})

    monkeypatch.setattr("oodml.methods.triplet.moody", build, raising=False)
    card = MethodInfo("moody", "oodml.methods.triplet:moody", "Fails.", "-", "triplets")
    monkeypatch.setitem(CARDS, "moody", card)
    registry.targets.cache_clear()
    yield mood
    registry.targets.cache_clear()


def test_a_failed_run_keeps_its_error_and_is_repeated_on_request_only(
    ladder: Ladder, tmp_path: Path, moody: dict[str, bool]
) -> None:
    failed = sweep(ladder, tmp_path, methods=["moody", "margin"], seeds=[0])
    assert failed.outcomes == {"failed": 3, "done": 3}
    name, error = failed.failures[0]
    assert name == "moody, level 0, seed 0: failed" and error.startswith("RuntimeError: bad mood; see logs/")
    assert "in build" in (tmp_path / error.partition("see ")[2]).read_text()
    moody["bad"] = False
    assert not sweep(ladder, tmp_path, methods=["moody", "margin"], seeds=[0]).outcomes
    retried = sweep(ladder, tmp_path, methods=["moody", "margin"], seeds=[0], retry_failed=True)
    assert retried.outcomes == {"done": 3} and not retried.failures


@pytest.mark.parametrize("selection", ["val", "oracle"])
def test_selection_is_a_column_and_another_run(ladder: Ladder, tmp_path: Path, selection: str) -> None:
    sweep(ladder, tmp_path, methods=["margin"], seeds=[0])
    sweep(ladder, tmp_path, methods=["margin"], seeds=[0], selection=selection)
    runs = oodml.read_runs(tmp_path)
    assert set(runs["selection"]) == {"last", selection}
    assert runs.groupby("selection")["run_id"].nunique().tolist() == [3, 3]


@pytest.mark.parametrize(("selection", "held_out"), [("last", False), ("val", True), ("oracle", False)])
def test_only_val_holds_classes_out_and_only_oracle_looks_at_the_test_side(
    ladder: Ladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, selection: str, held_out: bool
) -> None:
    data = load_dataset(ladder.dataset)
    trained: list[set[str]] = []
    scored: list[set[str]] = []

    def train(network: Any, source: Any, rows: Any, *args: Any, **kwargs: Any) -> None:
        trained.append({data.class_names[label] for label in data.labels[rows]})
        training.train(network, source, rows, *args, **kwargs)

    def embed(network: Any, source: Any, rows: Any) -> Any:
        scored.append({data.class_names[label] for label in data.labels[rows]})
        return model.embed(network, source, rows)

    monkeypatch.setattr("oodml.runner.train", train)
    monkeypatch.setattr("oodml.runner.embed", embed)
    sweep(ladder, tmp_path, methods=["margin"], seeds=[0], levels=[0], selection=selection)
    level = ladder.levels[0]
    assert trained == [set(level.train) - (set(level.val) if held_out else set())]
    chosen_on = {"last": [], "val": [set(level.val)] * 4, "oracle": [set(level.test)] * 4}[selection]
    assert scored == [*chosen_on, set(level.test)]


def test_a_second_sweep_on_the_folder_is_refused_and_loses_nothing(ladder: Ladder, tmp_path: Path) -> None:
    sweep(ladder, tmp_path, seeds=[0])
    with FileLock(tmp_path / "sweep.lock"), pytest.raises(ResultsError, match="another sweep is writing to"):
        sweep(ladder, tmp_path, seeds=[0, 1])
    assert sweep(ladder, tmp_path, seeds=[0, 1]).outcomes == {"done": len(ladder.levels)}


def test_a_folder_of_another_ladder_is_refused(ladder: Ladder, tmp_path: Path) -> None:
    sweep(ladder, tmp_path, seeds=[0])
    level = replace(ladder.levels[0], val=ladder.levels[0].val[1:])
    other = replace(ladder, levels=(level, *ladder.levels[1:]))
    with pytest.raises(LadderError, match=r"holds results of ladder .* choose another folder with --out"):
        sweep(other, tmp_path, seeds=[0])


def test_other_data_than_the_ladders_is_refused(ladder: Ladder, tmp_path: Path) -> None:
    with pytest.raises(LadderError, match="was made from other data"):
        sweep(replace(ladder, dataset_hash="0" * 16), tmp_path)
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_ends_the_sweep_with_what_is_finished_kept(
    ladder: Ladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, calls = os.fsync, {"left": 0}

    def full(handle: int) -> None:
        calls["left"] -= 1
        if calls["left"] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    sweep(ladder, tmp_path, methods=["frozen"], seeds=[0])  # ladder and plan are there
    calls["left"] = 3  # the plan and two runs
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left while writing"):
        sweep(ladder, tmp_path)
    monkeypatch.undo()
    assert len(list((tmp_path / "runs").iterdir())) == len(ladder.levels) + 2
    assert not list(tmp_path.rglob(f"*{store.TEMPORARY_SUFFIX}"))
    assert not sweep(ladder, tmp_path).failures
    sweep(ladder, tmp_path / "calm")
    pd.testing.assert_frame_equal(scores(tmp_path), scores(tmp_path / "calm"))


def test_a_truncated_run_file_is_made_again(ladder: Ladder, tmp_path: Path) -> None:
    sweep(ladder, tmp_path, seeds=[0])
    before = scores(tmp_path)
    file = sorted((tmp_path / "runs").iterdir())[0]
    file.write_bytes(file.read_bytes()[:-20])
    assert sum(sweep(ladder, tmp_path, seeds=[0]).outcomes.values()) == 1
    pd.testing.assert_frame_equal(before, scores(tmp_path))


def test_a_run_file_of_a_newer_version_is_refused_and_kept(ladder: Ladder, tmp_path: Path) -> None:
    sweep(ladder, tmp_path, seeds=[0])
    file = sorted((tmp_path / "runs").iterdir())[0]
    newer = {"oodml_kind": "run", "oodml_schema": str(schema.VERSIONS["run"] + 1)}
    store.write_table(file, store.read_table(file, schema.RUN).replace_schema_metadata(newer))
    before = file.read_bytes()
    with pytest.raises(NewerFileError, match=f"{file.name} has schema version"):
        sweep(ladder, tmp_path, seeds=[0])
    assert file.read_bytes() == before


def test_data_that_moved_is_asked_for(ladder: Ladder, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="name it with --dataset"):
        sweep(replace(ladder, dataset="embeddings:gone.npz"), tmp_path)
    assert not sweep(replace(ladder, dataset="embeddings:gone.npz"), tmp_path, dataset=ladder.dataset).failures


def test_a_file_where_the_folder_should_be_is_named(ladder: Ladder, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match=r"taken.*choose another"):
        sweep(ladder, tmp_path / "taken")
