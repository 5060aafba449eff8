from __future__ import annotations

import sys
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from oodml.clusters import kmeans
from oodml.errors import DatasetError, MissingPackageError


def blobs(n: int = 400, k: int = 8) -> NDArray[np.float32]:
    rng = np.random.default_rng(k)
    return (rng.normal(size=(k, 6))[rng.integers(0, k, n)] * 2 + rng.normal(size=(n, 6))).astype(np.float32)


def by_faiss(rows: Any, k: int, max_points: int = 10**9) -> list[int]:
    """As the study calls it: nothing is sampled, 20 iterations, the seed that faiss comes with."""
    options = {"min_points_per_centroid": 1, "max_points_per_centroid": max_points}
    direct = faiss.Kmeans(rows.shape[1], k, niter=20, seed=1234, **options)
    direct.train(rows)
    found: list[int] = direct.index.search(rows, 1)[1][:, 0].tolist()
    return found


@pytest.mark.parametrize("k", [1, 8, 37])
def test_clusters_are_those_of_faiss(k: int) -> None:
    rows = blobs()
    assert kmeans(rows, k).tolist() == by_faiss(rows, k)


def test_the_seed_is_that_faiss_comes_with() -> None:
    assert faiss.ClusteringParameters().seed == 1234


def test_the_same_rows_give_the_same_clusters() -> None:
    rows = blobs()
    first = kmeans(rows, 20)
    assert first.tolist() == kmeans(rows.copy(), 20).tolist()
    assert first.dtype == np.int64
    assert len(np.unique(first)) == 20


def test_every_row_is_used_where_faiss_would_sample() -> None:
    rows = np.random.default_rng(3).normal(size=(3000, 4)).astype(np.float32)
    found = kmeans(rows, 8).tolist()
    assert found == by_faiss(rows, 8)
    assert found != by_faiss(rows, 8, max_points=256)  # its default


def test_as_many_clusters_as_rows_are_one_each_and_more_are_refused() -> None:
    rows = blobs(12)
    assert sorted(kmeans(rows, 12).tolist()) == list(range(12))
    with pytest.raises(DatasetError, match="12 rows cannot form 13 clusters"):
        kmeans(rows, 13)


def test_threads_of_faiss_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(2)
        kmeans(blobs(), 3)
        assert faiss.omp_get_max_threads() == 2
        with pytest.raises(RuntimeError):
            kmeans(np.full((5, 2), np.nan, np.float32), 2)
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)


def test_a_missing_faiss_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingPackageError, match="pip install faiss-cpu"):
        kmeans(blobs(), 3)
