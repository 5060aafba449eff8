"""Agreement with pytorch-metric-learning, scikit-learn, and values of the published implementation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.metrics import average_precision_score

from oodml.clusters import kmeans
from oodml.evaluation import evaluate, evaluate_embeddings
from oodml.metrics.clustering import nmi, pair_f1

GOLDEN = Path(__file__).parent / "golden" / "metrics_reference.npz"
FIXTURE = Path(__file__).parents[2] / "shared" / "reference" / "fixtures" / "reference_values.npz"
"""Golden: the keys "metrics/..." of the fixture that are not about `embeddings_big`, without that prefix."""


def blobs(n: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 30, n)
    labels[:3] = [100, 101, 102]  # lone rows, which pytorch-metric-learning leaves out as well
    rows = (rng.normal(size=(103, 16))[labels] + 1.5 * rng.normal(size=(n, 16))).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def by_pml(rows: Any, labels: Any, k: int | None, gallery: Any = None, stored: Any = None) -> dict[str, float]:
    def clusters(x: torch.Tensor, count: int) -> torch.Tensor:
        return torch.from_numpy(kmeans(x.numpy(), count))

    calculator = AccuracyCalculator(k=k, device=torch.device("cpu"), kmeans_func=clusters)
    other = () if gallery is None else (torch.tensor(gallery), torch.tensor(stored))
    found: dict[str, float] = calculator.get_accuracy(torch.tensor(rows), torch.tensor(labels), *other)
    return found


PAIRS = {"recall_at_1": "precision_at_1", "map_at_r": "mean_average_precision_at_r", "nmi": "NMI", "ami": "AMI"}


@pytest.mark.parametrize("n", [50, 400])
def test_pytorch_metric_learning_finds_the_same(n: int) -> None:
    rows, labels = blobs(n, seed=n)
    found = evaluate_embeddings(rows, labels, metrics=[*PAIRS, "map"])
    theirs = by_pml(rows, labels, None)
    for ours, name in PAIRS.items():
        assert found[ours] == pytest.approx(theirs[name], abs=1e-6), name
    whole = by_pml(rows, labels, n - 1)
    assert found["map"] == pytest.approx(whole["mean_average_precision"], abs=1e-6)


def test_pytorch_metric_learning_finds_the_same_in_a_gallery() -> None:
    rows, labels = blobs(300, seed=1)
    found = evaluate_embeddings(
        rows[:90],
        labels[:90],
        gallery=rows[90:],
        gallery_labels=labels[90:],
        metrics=["recall_at_1", "map_at_r", "map"],
    )
    theirs = by_pml(rows[:90], labels[:90], None, rows[90:], labels[90:])
    whole = by_pml(rows[:90], labels[:90], 210, rows[90:], labels[90:])
    assert found["recall_at_1"] == pytest.approx(theirs["precision_at_1"], abs=1e-6)
    assert found["map_at_r"] == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)
    assert found["map"] == pytest.approx(whole["mean_average_precision"], abs=1e-6)


def test_average_precision_is_that_of_scikit_learn() -> None:
    rows, labels = blobs(120, seed=2)
    found = evaluate(rows, labels, metrics=["map"])
    similar = rows.astype(np.float64) @ rows.T.astype(np.float64)
    for query, value in enumerate(found.values[:, 0]):
        others = np.arange(120) != query
        hits = (labels == labels[query])[others]
        if hits.any():
            assert value == pytest.approx(average_precision_score(hits, similar[query, others]), abs=1e-9)
        else:
            assert np.isnan(value)


def test_a_distance_of_pytorch_metric_learning_can_be_used() -> None:
    from pytorch_metric_learning.distances import LpDistance

    rows, labels = blobs(150, seed=4)
    distance = LpDistance(p=1, normalize_embeddings=False)
    found = evaluate_embeddings(
        rows, labels, metrics=["recall_at_1", "map_at_r"], distance=lambda x, y: -distance(x, y)
    )
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"),
        device=torch.device("cpu"),
        knn_func=CustomKNN(distance),
    )
    theirs = calculator.get_accuracy(torch.tensor(rows), torch.tensor(labels))
    assert found["recall_at_1"] == pytest.approx(theirs["precision_at_1"], abs=1e-6)
    assert found["map_at_r"] == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)


def test_published_values_are_reproduced() -> None:
    golden = np.load(GOLDEN)
    names = ["map_at_c_paper", "intra", "inter", "intra_over_inter", "rho_1", "rho_2", "rho_10", "rho_minus_1"]
    recalls = [f"recall_at_{k}" for k in (1, 2, 4, 8)]
    found = evaluate_embeddings(golden["embeddings"], golden["labels"], metrics=[*names, *recalls])
    for name in names:
        assert found[name] == pytest.approx(float(golden[name]), abs=1e-5), name
    share = found["num_queries"] / len(golden["labels"])  # the published recall keeps lone queries as misses
    for name in recalls:
        assert found[name] * share == pytest.approx(float(golden[name]), abs=1e-12), name


def test_published_agreement_of_given_clusters_is_reproduced() -> None:
    golden = np.load(GOLDEN)
    assert nmi(golden["labels"], golden["clusters"]) == pytest.approx(float(golden["nmi_given_clusters"]), abs=1e-9)
    assert pair_f1(golden["labels"], golden["clusters"]) == pytest.approx(float(golden["f1_given_clusters"]), abs=1e-9)


def test_published_values_of_large_classes_are_reproduced_and_the_golden_file_is_a_copy() -> None:
    if not FIXTURE.exists():
        pytest.skip("needs ../shared/reference")
    fixture, golden = np.load(FIXTURE), np.load(GOLDEN)
    for name in set(golden.files) - {"source"}:
        np.testing.assert_array_equal(golden[name], fixture[f"metrics/{name}"])
    found = evaluate_embeddings(
        fixture["metrics/embeddings_big"], fixture["metrics/labels_big"], metrics="map_at_1000_paper"
    )
    assert found["map_at_1000_paper"] == pytest.approx(float(fixture["metrics/map_at_1000_paper_big"]), abs=1e-5)
