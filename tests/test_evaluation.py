"""What an evaluation returns, against metrics in loops, and what changes must not change it."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import cosines, euclidean, naive_f1, naive_hits, naive_other, naive_retrieval
from numpy.typing import NDArray

from oodml.clusters import kmeans
from oodml.evaluation import COUNTS, evaluate, evaluate_embeddings
from oodml.metrics import METRICS, metric_info, metric_names
from oodml.metrics.clustering import ami, nmi, pair_f1

EXTRA = ["recall_at_16", "map_at_3", "map_macro", "map_at_1000_paper_macro", "map_at_c_paper_macro", "rho_3"]
NAMES = [name for name in (*metric_names("all", 1), *EXTRA) if metric_info(name).family != "verification"]


def blobs(n: int = 60, d: int = 8, classes: int = 9, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d)), labels


def assert_same(found: dict[str, float], expected: dict[str, float], tolerance: float = 1e-6) -> None:
    assert list(found) == list(expected)
    for name, value in found.items():
        assert value == pytest.approx(expected[name], abs=tolerance, nan_ok=True), name


@pytest.mark.parametrize("memory_gib", [1.0, 1e-5])
@pytest.mark.parametrize(("distance", "naive"), [("cosine", cosines), ("euclidean", euclidean)])
def test_every_metric_equals_the_naive_one(distance: str, naive: Any, memory_gib: float) -> None:
    rows, labels = blobs()
    labels[[3, 40]] = [77, -5]  # lone rows
    found = evaluate_embeddings(rows, labels, metrics=NAMES, distance=distance, memory_gib=memory_gib)
    hits = naive_hits(naive(rows), labels.tolist())
    for name in NAMES:
        if metric_info(name).family == "clustering":
            continue  # see below
        expected = (
            naive_retrieval(name, hits, labels.tolist())
            if metric_info(name).family == "retrieval"
            else naive_other(name, rows, labels.tolist(), raw=distance == "euclidean")
        )
        assert found[name] == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True), name


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_clusters_are_as_many_as_classes_or_as_training_classes(distance: str) -> None:
    rows, labels = blobs(n=200)
    names = ["nmi", "ami", "f1", "nmi_paper", "f1_paper"]
    found = evaluate_embeddings(rows, labels + 3, metrics=names, distance=distance, num_train_classes=14)
    seen = rows if distance == "euclidean" else rows / np.linalg.norm(rows, axis=1, keepdims=True)
    few, many = (kmeans(seen.astype(np.float32), k) for k in (9, 14))
    expected = [nmi(labels, few), ami(labels, few), naive_f1(labels.tolist(), few.tolist())]
    assert list(found.values())[:5] == pytest.approx([*expected, nmi(labels, many), pair_f1(labels, many)], abs=1e-12)
    assert found == evaluate_embeddings(rows, labels, metrics=names, distance=distance, num_train_classes=14)


@pytest.mark.parametrize("distance", ["cosine", "euclidean", lambda x, y: -torch.cdist(x, y, p=1)])
def test_a_gallery_is_searched_instead(distance: Any) -> None:
    rows, labels = blobs(n=80)
    labels[:2], labels[30] = [200, 4], 300  # a query and a stored row without the other side
    names = ["recall_at_1", "map_at_r", "map", "map_at_3", "map_at_1000_paper", "map_at_c_paper_macro", "intra"]
    found = evaluate_embeddings(
        rows[:30], labels[:30], gallery=rows[30:], gallery_labels=labels[30:], metrics=names, distance=distance
    )
    naive = {"cosine": cosines, "euclidean": euclidean}.get(
        distance, lambda a, b: -np.abs(np.asarray(a)[:, None] - b).sum(axis=2)
    )
    asked, stored = labels[:30].tolist(), labels[30:].tolist()
    hits = naive_hits(naive(rows[:30], rows[30:]), asked, stored)
    for name in names[:-1]:
        assert found[name] == pytest.approx(naive_retrieval(name, hits, asked), abs=1e-9), name
    assert found["intra"] == pytest.approx(naive_other("intra", rows[:30], asked), abs=1e-6)
    lone = sum(not any(own) for own in hits)
    assert lone >= 1
    assert [found[name] for name in COUNTS] == [30 - lone, lone, len(set(asked))]


def test_order_and_counts() -> None:
    rows, labels = blobs()
    labels[0] = 99
    found = evaluate_embeddings(rows, labels)
    assert list(found) == [*metric_names("default", 10), *COUNTS]
    assert all(type(value) is float for value in found.values())
    assert [found[name] for name in COUNTS] == [59, 1, 10]
    assert list(evaluate_embeddings(rows, labels, metrics="map_at_r")) == ["map_at_r", *COUNTS]
    mixed = evaluate_embeddings(rows, labels, metrics=["intra", "recall_at_3", "intra", "opis", "recall_at_1"])
    assert list(mixed) == ["intra", "recall_at_3", "opis", "recall_at_1", *COUNTS]
    assert evaluate_embeddings(rows, labels, metrics=[]) == dict(zip(COUNTS, [59.0, 1.0, 10.0], strict=True))


def test_default_clusters_up_to_2000_classes_and_beyond_only_when_asked() -> None:
    rows = np.random.default_rng(0).normal(size=(4002, 2)).astype(np.float32)
    many = evaluate_embeddings(rows, np.arange(4002) // 2)
    assert many["num_classes"] == 2001
    assert "nmi" not in many and "f1" not in many
    few = evaluate_embeddings(rows[:60], np.arange(60) // 2)
    assert 0 < few["nmi"] < 1
    named = evaluate_embeddings(rows[:300], np.arange(300) // 2, metrics=["f1"])
    assert named["num_classes"] == 150 and named["f1"] < 1


EXTREMES: dict[str, tuple[Any, Any]] = {
    "two rows": ([[1.0, 2], [2, 1]], [0, 0]),
    "equal rows": (np.full((7, 5), 0.3), [0, 0, 0, 1, 1, 1, 1]),
    "opposite rows": ([[0.1, 0.7], [-0.1, -0.7]] * 3, [0, 1] * 3),
    "one class": (blobs(20)[0], [5] * 20),
    "classes of one and one pair": (blobs(20)[0], [0, *range(19)]),
    "one dimension": (blobs(20, d=1)[0], [0, 1, 2, 3] * 5),
    "bits": (blobs(40)[0] > 0.5, [0, 1, 2, 3] * 10),
    "tiny": (blobs(20)[0] * 1e-300, [0, 1, 2, 3] * 5),
    "huge": (blobs(20)[0] * 1e300, [0, 1, 2, 3] * 5),
    "wide": (blobs(9, d=50)[0], [0, 1, 2] * 3),
}


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("case", EXTREMES)
def test_every_registered_metric_is_computed_and_stays_within_its_bounds(case: str, distance: str) -> None:
    rows, labels = (np.asarray(part) for part in EXTREMES[case])
    if rows.dtype == bool:
        rows[~rows.any(axis=1)] = True
    found = evaluate_embeddings(
        rows, labels, metrics=[*METRICS, *EXTRA], distance=distance, num_train_classes=min(3, len(rows))
    )
    assert list(found) == [*METRICS, *EXTRA, *COUNTS]
    for name in (*METRICS, *EXTRA):
        low, high = metric_info(name).bounds
        assert low <= found[name] <= high or math.isnan(found[name]), (name, found[name])
        assert not (math.isnan(found[name]) and metric_info(name).family in ("retrieval", "clustering"))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rows_may_be_permuted(seed: int) -> None:
    rows, labels = blobs(40, d=4, seed=seed)
    order = np.random.default_rng(seed).permutation(40)
    names = [name for name in NAMES if metric_info(name).family != "clustering"]  # k-means starts from a sample of rows
    found = evaluate_embeddings(rows[order], labels[order], metrics=[*names, "opis"])
    assert_same(found, evaluate_embeddings(rows, labels, metrics=[*names, "opis"]))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-60, 60))
def test_vectors_may_be_scaled_under_cosine_one_by_one(seed: int, power: int) -> None:
    rows, labels = blobs(40, d=4, seed=seed)
    scales = 2.0 ** np.random.default_rng(seed).integers(min(power, 0), max(power, 0) + 1, (40, 1))
    names = [name for name in NAMES if metric_info(name).family != "clustering"]
    found, plain = (evaluate_embeddings(x, labels, metrics=names) for x in (rows * scales, rows))
    assert_same(found, plain, tolerance=0)


def test_values_of_every_query_have_the_scores_as_means() -> None:
    rows, labels = blobs()
    names = np.array([f"class {label}" for label in labels])
    names[5] = "alone"
    found = evaluate(rows, names, metrics=["recall_at_2", "intra", "map_at_c_paper", "map_at_r_macro"])
    assert [metric.name for metric in found.retrieval] == ["recall_at_2", "map_at_c_paper", "map_at_r_macro"]
    assert found.class_names[found.classes].tolist() == names.tolist()
    assert np.isnan(found.values[5]).tolist() == [True, False, True]
    assert found.scores["recall_at_2"] == np.nanmean(found.values[:, 0])
    assert found.scores["map_at_c_paper"] == pytest.approx(found.values[:, 1].mean())
    hits = naive_hits(cosines(rows), names.tolist())
    assert found.first_hit.tolist() == [own.index(True) + 1 if any(own) else 0 for own in hits]
    assert set(found.seconds) >= {"search", "spread"}


def test_only_chosen_rows_take_part() -> None:
    rows, labels = blobs()
    chosen = np.random.default_rng(1).permutation(60)[:33]
    rest = np.setdiff1d(np.arange(60), chosen)
    broken = rows.copy()
    broken[rest] = np.nan
    found = evaluate(broken, labels[chosen], rows=chosen, metrics="all")
    assert_same(found.scores, evaluate_embeddings(rows[chosen], labels[chosen], metrics="all"), tolerance=0)
    galleried = evaluate(
        broken, labels[chosen], rows=chosen, gallery=rows, gallery_labels=labels, metrics=["map", "intra"]
    )
    expected = evaluate(rows[chosen], labels[chosen], gallery=rows, gallery_labels=labels, metrics=["map", "intra"])
    assert galleried.scores == expected.scores


def test_progress_reaches_the_end() -> None:
    steps: list[tuple[int, int]] = []
    rows, labels = blobs()
    evaluate(rows, labels, memory_gib=1e-5, metrics="map", progress=lambda done, total: steps.append((done, total)))
    assert len(steps) > 1 and steps[-1][0] == steps[-1][1]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_gpu_gives_the_same_numbers(distance: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    for rows, labels in (blobs(3000, classes=70), (np.sign(blobs(3000)[0]), blobs(3000)[1])):
        names = [name for name in NAMES if metric_info(name).family != "clustering"]
        on_gpu = evaluate_embeddings(rows, labels, metrics=names, distance=distance, device="cuda")
        assert_same(on_gpu, evaluate_embeddings(rows, labels, metrics=names, distance=distance), 1e-5)


def test_scores_and_tables_need_no_torch() -> None:
    code = "import sys, oodml.evaluation, oodml.leaderboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
