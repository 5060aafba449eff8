from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oodml.errors import DatasetError, UnknownNameError
from oodml.evaluation import COUNTS, evaluate_embeddings
from oodml.metrics import DEFAULT_METRICS


def blobs(n: int = 120, d: int = 16, classes: int = 12, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d)), labels


def test_default_metrics_and_counts() -> None:
    embeddings, labels = blobs()
    labels[0] = 99  # a lone row
    scores = evaluate_embeddings(embeddings, labels)
    assert list(scores) == [*DEFAULT_METRICS, *COUNTS]
    assert all(type(value) is float for value in scores.values())
    assert (scores["num_queries"], scores["num_lone"], scores["num_classes"]) == (119, 1, 13)
    recalls = [scores[f"recall_at_{k}"] for k in (1, 2, 4, 8)]
    assert recalls == sorted(recalls)
    assert 0 < scores["map_at_r"] < recalls[0] < 1


def test_agrees_with_pytorch_metric_learning() -> None:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    embeddings, labels = blobs(n=400, d=32, classes=30, seed=3)
    labels[:3] = [100, 101, 102]  # lone rows, which it leaves out as well
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"), device=torch.device("cpu")
    )
    theirs = calculator.get_accuracy(torch.tensor(unit, dtype=torch.float32), torch.tensor(labels))
    ours = evaluate_embeddings(embeddings, labels)
    assert ours["recall_at_1"] == pytest.approx(theirs["precision_at_1"], abs=1e-6)
    assert ours["map_at_r"] == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)


def test_metrics_by_name() -> None:
    embeddings, labels = blobs()
    full = evaluate_embeddings(embeddings, labels, metrics="all")
    some = evaluate_embeddings(embeddings, labels, metrics=["recall_at_16", "recall_at_1"])
    assert list(some) == ["recall_at_16", "recall_at_1", *COUNTS]
    assert some["recall_at_1"] == full["recall_at_1"]
    assert some["recall_at_16"] > full["recall_at_8"]
    assert list(evaluate_embeddings(embeddings, labels, metrics="map_at_r")) == ["map_at_r", *COUNTS]


def test_recall_beyond_the_gallery_is_one() -> None:
    scores = evaluate_embeddings([[1, 0], [0, 1], [1, 1]], [0, 0, 1], metrics=["recall_at_500"])
    assert scores["recall_at_500"] == 1.0


@pytest.mark.parametrize("metrics", ["recal_at_1", ["recall_at_1", "nope"], "recall_at_0"])
def test_unknown_metric(metrics: str | list[str]) -> None:
    with pytest.raises(UnknownNameError, match="unknown metric"):
        evaluate_embeddings(np.eye(4), [0, 0, 1, 1], metrics=metrics)


def test_any_real_type_and_layout_gives_the_same_scores() -> None:
    rng = np.random.default_rng(1)
    whole = rng.integers(-9, 10, size=(60, 6))  # exact in every type below
    labels = rng.integers(0, 6, 60)
    expected = evaluate_embeddings(whole.astype(np.float64), labels)
    wide = np.zeros((120, 12))
    wide[::2, ::2] = whole
    for same in (
        whole,
        whole.astype(np.float16),
        whole.astype(np.int8),
        np.asfortranarray(whole),
        wide[::2, ::2],
    ):
        assert evaluate_embeddings(same, labels) == expected
    assert evaluate_embeddings(whole.tolist(), [f"class {label}" for label in labels]) == expected


def test_inputs_are_left_as_they_were() -> None:
    embeddings, labels = blobs()
    before = embeddings.copy()
    evaluate_embeddings(embeddings, labels)
    np.testing.assert_array_equal(embeddings, before)


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        ([[1.0, np.nan], [1, 0]], [0, 0], "row 0 has a value that is not finite"),
        ([[1.0, 0], [1, 0], [np.inf, 0], [-np.inf, 1]], [0] * 4, r"row 2 .* \(2 such rows\)"),
        ([[1.0, 0], [0, 0]], [0, 0], "row 1 is all zeros"),
        ([[1.0, 0], [0, 1]], [0, 0, 0], "2 rows, labels of shape"),
        ([[1.0, 0], [0, 1]], [[0], [0]], "one per row"),
        ([[1.0, 0]], [0], "at least 2 rows"),
        ([1.0, 0], [0, 0], r"shape \(rows, dimensions\), got \(2,\)"),
        ([[], []], [0, 0], r"got \(2, 0\)"),
        ([[1.0, 0], [0, 1]], [0, 1], "none of the 2 classes has two rows"),
        ([["a"], ["b"]], [0, 0], "real numbers"),
        ([[1j], [1]], [0, 0], "real numbers"),
        ([[1.0, 0], [1]], [0, 0], "embeddings cannot be read"),
        ([[1.0, 0], [0, 1]], [0.0, np.nan], "label of row 1 is missing"),
        ([[1.0, 0], [0, 1]], np.array(["a", None], dtype=object), "all integers or all names"),
    ],
)
def test_bad_input_is_explained(embeddings: Any, labels: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        evaluate_embeddings(embeddings, labels)


def test_scores_and_tables_need_no_torch() -> None:
    code = "import sys, oodml.evaluation, oodml.leaderboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
