"""Arrays of every kind, and what is said about bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oodml.errors import DatasetError, UnknownNameError, UsageError
from oodml.evaluation import evaluate, evaluate_embeddings

RNG = np.random.default_rng(1)
WHOLE = RNG.integers(-9, 10, size=(60, 6))  # exact in every type below
WHOLE[~WHOLE.any(axis=1)] = 1
LABELS = RNG.integers(0, 6, 60)
METRICS = ["recall_at_1", "map", "nmi", "intra", "rho_1", "uniformity", "opis"]
PAIR: list[list[float]] = [[1.0, 0.0], [0.0, 1.0]]


def scores(rows: Any, labels: Any = LABELS, **options: Any) -> dict[str, float]:
    return evaluate_embeddings(rows, labels, metrics=METRICS, **options)


def as_wide() -> Any:
    wide = np.zeros((120, 12))
    wide[::2, ::2] = WHOLE
    return wide


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_any_real_type_and_layout_gives_the_same_scores(distance: str) -> None:
    expected = scores(WHOLE.astype(np.float64), distance=distance)
    frozen = WHOLE.astype(np.float32)
    frozen.setflags(write=False)
    same = {
        "int64": WHOLE,
        "int8": WHOLE.astype(np.int8),
        "float16": WHOLE.astype(np.float16),
        "longdouble": WHOLE.astype(np.longdouble),
        "big endian": WHOLE.astype(">f4"),
        "Fortran": np.asfortranarray(WHOLE),
        "strided": as_wide()[::2, ::2],
        "reversed": WHOLE[::-1].copy()[::-1],
        "read-only": frozen,
        "list": WHOLE.tolist(),
        "tensor": torch.tensor(WHOLE, dtype=torch.float32, requires_grad=True),
        "parameter": torch.nn.Parameter(torch.tensor(WHOLE, dtype=torch.float64)),
        "huge": WHOLE * 2.0**1000,
        "tiny": WHOLE * 2.0**-1050,
    }
    for name, rows in same.items():
        assert scores(rows, distance=distance) == expected, name


def test_labels_of_any_kind_give_the_same_scores() -> None:
    expected = scores(WHOLE)
    names = [f"class {label}" for label in LABELS]
    objects = np.array(names, dtype=object)  # as pandas has them
    kinds = (torch.tensor(LABELS), LABELS * 1.0, LABELS.astype(np.uint8), names, objects, np.array(names, dtype=bytes))
    for labels in (LABELS.tolist(), *kinds):
        assert scores(WHOLE, labels) == expected
    assert scores(WHOLE, -7 * LABELS) == pytest.approx(expected, abs=1e-6)  # the sums run in another order


def test_bits_count_as_zero_and_one() -> None:
    bits = WHOLE > 0
    bits[~bits.any(axis=1)] = True
    assert scores(bits) == scores(bits.astype(np.float64))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_mapped_files_give_the_same_scores(tmp_path: Path, distance: str) -> None:
    np.save(tmp_path / "rows.npy", WHOLE.astype(np.float32))
    raw = np.memmap(tmp_path / "raw", np.float16, "w+", shape=WHOLE.shape)
    raw[:] = WHOLE
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    expected = scores(WHOLE, distance=distance)
    assert scores(mapped, distance=distance) == scores(raw, distance=distance) == expected


def test_inputs_are_left_as_they_were() -> None:
    rows, gallery = RNG.normal(size=(2, 60, 6))
    rows[0, 0], gallery[0, 0] = -0.0, -0.0
    given = (rows, LABELS.copy(), gallery, LABELS.copy())
    before = [array.tobytes() for array in given]
    for distance in ("cosine", "euclidean"):
        evaluate_embeddings(*given[:2], metrics="all", distance=distance)
        evaluate_embeddings(*given[:2], gallery=given[2], gallery_labels=given[3], distance=distance)
    assert [array.tobytes() for array in given] == before


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        ([[1.0, np.nan], [1, 0]], [0, 0], "row 0 has a value that is not finite"),
        ([[1.0, 0], [1, 0], [np.inf, 0], [-np.inf, 1]], [0] * 4, r"row 2 .* \(2 such rows\)"),
        ([[1.0, 0], [0, 0]], [0, 0], "row 1 is all zeros"),
        (PAIR, [0, 0, 0], "2 rows, labels of shape"),
        (PAIR, [[0], [0]], "one per row"),
        ([[1.0, 0]], [0], "at least 2 rows"),
        (np.empty((0, 3)), [], "at least 2 rows"),
        ([1.0, 0], [0, 0], r"shape \(rows, dimensions\), got \(2,\)"),
        ([[], []], [0, 0], r"got \(2, 0\)"),
        (PAIR, [0, 1], "none of the 2 classes has two rows"),
        ([["a"], ["b"]], [0, 0], "real numbers"),
        ([[1j], [1]], [0, 0], "real numbers"),
        ([[1.0, 0], [1]], [0, 0], "embeddings cannot be read"),
        (PAIR, [0.0, np.nan], "label of row 1 is missing"),
        (PAIR, [None, "a"], r"label of row 0 is missing \(None\)"),
        (PAIR, np.array(["a", np.nan], dtype=object), r"label of row 1 is missing \(nan\)"),
        (PAIR, np.array(["a", 1], dtype=object), "all integers or all names"),
    ],
)
def test_bad_input_is_explained(embeddings: Any, labels: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        evaluate_embeddings(embeddings, labels)


@pytest.mark.parametrize("distance", ["cosine", "euclidean", lambda x, y: -torch.cdist(x, y)])
@pytest.mark.parametrize("metric", ["recall_at_1", "nmi", "intra", "alignment", "rho_1", "uniformity", "opis"])
def test_a_value_that_is_not_finite_is_named_whatever_is_asked_for(metric: str, distance: Any) -> None:
    rows = RNG.normal(size=(2500, 3)).astype(np.float32)
    rows[2300, 1] = np.nan  # beyond the first chunk
    labels = np.arange(2500) % 50
    with pytest.raises(DatasetError, match="embedding row 2300 has a value that is not finite"):
        evaluate_embeddings(rows, labels, metrics=metric, distance=distance)
    chosen = np.arange(2499, -1, -2) - 1  # even rows, the last first
    with pytest.raises(DatasetError, match="embedding row 2300 has a value that is not finite"):
        evaluate(rows, labels[chosen], rows=chosen, metrics=metric, distance=distance)


@pytest.mark.parametrize("metric", ["recall_at_1", "nmi", "intra", "alignment", "rho_1", "uniformity", "opis"])
def test_a_row_of_zeros_is_named_where_its_direction_is_needed(metric: str) -> None:
    rows = RNG.normal(size=(1500, 3))
    rows[1400] = 0
    labels = np.arange(1500) % 30
    message = "embedding row 1400 is all zeros"
    with pytest.raises(DatasetError, match=message):
        evaluate_embeddings(rows, labels, metrics=metric)
    if metric in ("recall_at_1", "nmi", "rho_1"):
        assert 0 <= evaluate_embeddings(rows, labels, metrics=metric, distance="euclidean")[metric] <= 1
    else:
        with pytest.raises(DatasetError, match=message):
            evaluate_embeddings(rows, labels, metrics=metric, distance="euclidean")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gallery": PAIR}, "gallery and gallery_labels belong together"),
        ({"gallery_labels": [0, 1]}, "gallery and gallery_labels belong together"),
        ({"gallery": [[1.0], [2]], "gallery_labels": [0, 1]}, "queries have 2 dimensions, the gallery 1"),
        ({"gallery": PAIR, "gallery_labels": [0]}, "gallery_labels must be one per row: 2 rows"),
        ({"gallery": PAIR, "gallery_labels": [7, 8]}, "the gallery holds no class of the queries"),
        ({"gallery": np.empty((0, 2)), "gallery_labels": []}, "needs queries and a gallery, got 2 and 0 rows"),
        (
            {"gallery": [[1.0, 0], [0, np.inf]], "gallery_labels": [0, 1]},
            "gallery row 1 has a value that is not finite",
        ),
        ({"gallery": [[0.0, 0], [0, 1]], "gallery_labels": [0, 1]}, "gallery row 0 is all zeros"),
        ({"gallery": PAIR, "gallery_labels": ["0", "1"]}, "give both the same kind"),
        ({"gallery": PAIR, "gallery_labels": [0, None]}, "gallery_labels: the label of row 1 is missing"),
    ],
)
def test_a_bad_gallery_is_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        evaluate_embeddings(PAIR, [0, 1], **options)


@pytest.mark.parametrize(
    ("rows", "message"),
    [([0, 2], "between 0 and 1"), ([-1, 0], "between 0 and 1"), ([0.0, 1], "row numbers"), ([[0], [1]], "row numbers")],
)
def test_bad_row_numbers_are_explained(rows: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        evaluate(PAIR, [0, 0], rows=rows)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metrics": "recal_at_1"}, UnknownNameError, "unknown metric"),
        ({"metrics": ["recall_at_1", "nope"]}, UnknownNameError, "unknown metric 'nope'"),
        ({"distance": "cosin"}, UnknownNameError, "unknown distance 'cosin'; did you mean 'cosine'"),
        ({"memory_gib": 0}, UsageError, "memory_gib must be a positive number, got 0"),
        ({"memory_gib": -1.0}, UsageError, "memory_gib"),
        ({"memory_gib": float("nan")}, UsageError, "memory_gib"),
        ({"memory_gib": float("inf")}, UsageError, "memory_gib"),
        ({"metrics": "nmi_paper"}, UsageError, "nmi_paper needs the number of training classes, got None"),
        ({"metrics": "f1_paper", "num_train_classes": 0}, UsageError, "number of training classes, got 0"),
        ({"metrics": "f1_paper", "num_train_classes": 61}, DatasetError, "60 rows cannot form 61 clusters"),
        ({"metrics": "nmi", "memory_gib": 1e-9}, DatasetError, "k-means of 60 rows of 6 numbers"),
        ({"metrics": "rho_1", "memory_gib": 1e-9}, DatasetError, "spectrum of 60 rows of 6 numbers"),
    ],
)
def test_bad_options_are_explained(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate_embeddings(WHOLE, LABELS, **options)


def test_recall_beyond_the_gallery_is_one() -> None:
    found = evaluate_embeddings([[1, 0], [0, 1], [1, 1]], [0, 0, 1], metrics=["recall_at_500"])
    assert found["recall_at_500"] == 1.0
    found = evaluate_embeddings(PAIR, [0, 9], gallery=PAIR, gallery_labels=[1, 0], metrics=["recall_at_2", "map_at_99"])
    assert found == {"recall_at_2": 1.0, "map_at_99": 0.5, "num_queries": 1.0, "num_lone": 1.0, "num_classes": 2.0}


def test_tensors_of_short_floats_are_read() -> None:
    rows, labels = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).bfloat16(), [0, 1, 2] * 10
    assert scores(rows, labels) == scores(rows.float(), labels)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_explained() -> None:
    with pytest.raises(UsageError, match="finds no GPU"):
        evaluate_embeddings(np.eye(4), [0, 0, 1, 1], device="cuda")
