"""Scores of a set of embeddings: names of metrics in, one number each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodml.errors import DatasetError
from oodml.metrics import DEFAULT_METRICS, METRICS, metric_info
from oodml.metrics.retrieval import map_at_r, query_scores, recall_at

COUNTS = ("num_queries", "num_lone", "num_classes")


def evaluate_embeddings(
    embeddings: ArrayLike, labels: ArrayLike, *, metrics: str | Sequence[str] = "default"
) -> dict[str, float]:
    """Retrieval quality of embeddings: every row is searched among all others by cosine similarity.

    A row is never its own neighbour, equally similar rows are ordered by row number, and rows without
    another row of their class are no queries (they stay in the gallery and are counted).

    Args:
        embeddings: Numbers of any real type, shape (n, d), n >= 2.
        labels: Class of every row, shape (n,), integers or names.
        metrics: "default", "all", a name or a list of names; "recall_at_<k>" works for every k >= 1.

    Returns:
        The metrics by name in [0, 1], and the COUNTS: queries, rows without another of their class, and
        classes.

    Raises:
        UnknownNameError: If there is no such metric.
        DatasetError: If shapes do not fit, a value is not finite, a row is all zeros, or no class has two
            rows.

    Example:
        >>> evaluate_embeddings([[1, 0], [2, 0], [0, 1], [1, 9]], ["a", "a", "b", "b"], metrics=["map_at_r"])
        {'map_at_r': 1.0, 'num_queries': 4.0, 'num_lone': 0.0, 'num_classes': 2.0}
    """
    infos = [metric_info(name) for name in _names(metrics)]
    rows, classes = _check(embeddings, labels)
    scores = query_scores(rows, classes, depth=max((info.k or 1 for info in infos), default=1))
    if not len(scores.queries):
        raise DatasetError(f"none of the {scores.num_classes} classes has two rows: there is nothing to find")
    values = {info.name: recall_at(scores, info.k) if info.k else map_at_r(scores) for info in infos}
    counts = (len(scores.queries), scores.num_lone, scores.num_classes)
    return values | dict(zip(COUNTS, map(float, counts), strict=True))


def _names(metrics: str | Sequence[str]) -> Sequence[str]:
    if isinstance(metrics, str):
        return {"default": DEFAULT_METRICS, "all": tuple(METRICS)}.get(metrics, (metrics,))
    return metrics


def _check(embeddings: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both as arrays that `query_scores` takes; labels become integers."""
    rows, names = _array(embeddings, "embeddings"), _array(labels, "labels")
    if rows.dtype.kind not in "fiub":
        raise DatasetError(f"embeddings must be real numbers, got {rows.dtype}")
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise DatasetError(f"embeddings must have the shape (rows, dimensions), got {rows.shape}")
    if names.shape != rows.shape[:1]:
        raise DatasetError(f"labels must be one per row: {len(rows)} rows, labels of shape {names.shape}")
    if len(rows) < 2:
        raise DatasetError(f"retrieval needs at least 2 rows, got {len(rows)}")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise DatasetError(f"embedding row {bad[0]} has a value that is not finite ({len(bad)} such rows)")
    if names.dtype.kind == "f" and np.isnan(names).any():
        raise DatasetError(f"the label of row {int(np.flatnonzero(np.isnan(names))[0])} is missing (nan)")
    try:
        return rows, np.unique(names, return_inverse=True)[1]
    except TypeError as error:
        raise DatasetError(f"labels must be all integers or all names: {error}") from error


def _array(values: ArrayLike, what: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{what} cannot be read as an array: {error}") from error
