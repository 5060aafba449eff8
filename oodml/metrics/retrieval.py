"""Retrieval: every query's rank of the first hit and average precision, in one pass over blocks of queries.

Every row is a query and all other rows are its gallery. Neighbours are ordered by cosine similarity, ties by
row number; a query is never its own neighbour. A row whose class has no other row is no query (a lone query).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodml.errors import DatasetError

BLOCK_VALUES = 2**23  # similarities held at a time: 32 MiB of float32


@dataclass(frozen=True)
class QueryScores:
    """What the retrieval metrics are means of; arrays of shape (q,), one value per query, by row.

    Attributes:
        queries: Row numbers.
        first_hit: Rank of the nearest row of the same class, from 1; the number of rows if it lies too deep.
        average_precision: Average precision among the R nearest, in [0, 1], R = size of the class - 1.
        num_lone: Rows that are no queries.
        num_classes: Distinct labels, those of lone rows included.
    """

    queries: NDArray[np.int64]
    first_hit: NDArray[np.int64]
    average_precision: NDArray[np.float64]
    num_lone: int
    num_classes: int


def recall_at(scores: QueryScores, k: int) -> float:
    """Share of queries with a row of their class among the k nearest; k up to the depth of the scores."""
    return float(np.mean(scores.first_hit <= k))


def map_at_r(scores: QueryScores) -> float:
    """Mean average precision at R (Musgrave, Belongie and Lim 2020, arXiv:2003.08505)."""
    return float(np.mean(scores.average_precision))


def query_scores(embeddings: NDArray[np.generic], labels: NDArray[np.generic], depth: int = 8) -> QueryScores:
    """Scores every query against all other rows.

    Args:
        embeddings: Finite real numbers, shape (n, d), n >= 2; scaled to unit length here.
        labels: Class of every row, shape (n,).
        depth: Largest k that `recall_at` will be asked for.

    Raises:
        DatasetError: If a row is all zeros, so that it has no direction.
    """
    unit = unit_rows(embeddings)
    n = len(unit)
    classes, label, counts = np.unique(labels, return_inverse=True, return_counts=True)
    relevant = counts[label] - 1
    queries = np.flatnonzero(relevant)
    first_hit = np.zeros(n, dtype=np.int64)
    precision = np.zeros(n)
    by_size = queries[np.argsort(relevant[queries], kind="stable")]  # a large class deepens only its own blocks
    owner = _first_copies(unit)
    step = max(1, BLOCK_VALUES // n)
    for start in range(0, len(by_size), step):
        block = by_size[start : start + step]
        near = _nearest(unit, owner, block, min(n - 1, max(depth, int(relevant[block[-1]]))))
        hits = label[near] == label[block, None]
        first_hit[block] = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, n)
        precision[block] = _average_precision(hits, relevant[block])
    return QueryScores(queries, first_hit[queries], precision[queries], n - len(queries), len(classes))


def unit_rows(embeddings: NDArray[np.generic], chunk: int = 4096) -> NDArray[np.float32]:
    """Rows scaled to length 1 in double precision (no overflow at any scale), rounded to float32.

    Raises:
        DatasetError: If a row is all zeros.
    """
    unit = np.empty(embeddings.shape, dtype=np.float32)
    for start in range(0, len(embeddings), chunk):
        rows = embeddings[start : start + chunk].astype(np.float64)
        peak = np.abs(rows).max(axis=1, keepdims=True)
        if not peak.all():
            row = start + int(np.argmin(peak))
            raise DatasetError(f"embedding row {row} is all zeros and has no direction; leave it out")
        rows /= peak
        unit[start : start + chunk] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    unit += 0.0  # -0 becomes 0, so that equal rows have equal bytes
    return unit


def _first_copies(unit: NDArray[np.float32]) -> NDArray[np.int64] | None:
    """For every row the first row equal to it; None if all rows differ.

    A matrix product may round equal columns differently (kernels treat the last columns apart), which would
    order exact duplicates by chance. Copying the similarity of the first duplicate keeps their ties exact.
    """
    first: dict[bytes, int] = {}
    owner = np.array([first.setdefault(row.tobytes(), index) for index, row in enumerate(unit)])
    return None if len(first) == len(unit) else owner


def _nearest(
    unit: NDArray[np.float32], owner: NDArray[np.int64] | None, block: NDArray[np.int64], k: int
) -> NDArray[np.int64]:
    """The k nearest other rows of every row in block, shape (b, k), by (-similarity, row number); k < n."""
    n = len(unit)
    similarity = unit[block] @ unit.T
    if owner is not None:
        similarity = similarity[:, owner]
    similarity[np.arange(len(block)), block] = -np.inf
    kth = np.partition(similarity, n - k, axis=1)[:, n - k, None]
    keep = similarity >= kth
    crowded = np.flatnonzero(np.count_nonzero(keep, axis=1) > k)
    if len(crowded):  # more ties at the k-th value than places: the lowest row numbers stay
        tied = similarity[crowded] == kth[crowded]
        places = k - np.count_nonzero(similarity[crowded] > kth[crowded], axis=1, keepdims=True)
        keep[crowded] &= ~tied | (np.cumsum(tied, axis=1, dtype=np.int32) <= places)
    columns = np.flatnonzero(keep).reshape(len(block), k) % n
    order = np.argsort(-np.take_along_axis(similarity, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _average_precision(hits: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    rank = np.arange(1, hits.shape[1] + 1)
    hits = hits & (rank <= relevant[:, None])
    summed: NDArray[np.float64] = (hits * np.cumsum(hits, axis=1) / rank).sum(axis=1)
    return summed / relevant
