"""Embeddings and labels as given by a user, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodml.errors import DatasetError
from oodml.ranking.search import Side

MISSING = ("None", "nan", "<NA>", "NaT")  # how missing values of Python, NumPy and pandas print


def check_sides(
    embeddings: ArrayLike,
    labels: ArrayLike,
    gallery: ArrayLike | None,
    gallery_labels: ArrayLike | None,
    rows: ArrayLike | None = None,
) -> tuple[Side, Side | None, NDArray[Any]]:
    """Queries, gallery (None: the queries are their own) and the label of every class number.

    Values are not read: arrays that are mapped from a file stay there.

    Raises:
        DatasetError: If types, shapes or lengths do not fit.
    """
    values = _embeddings(embeddings, "embeddings")
    numbers = _rows(rows, len(values))
    names = _labels(labels, "labels", len(numbers) if rows is not None else len(values))
    if gallery is None and gallery_labels is None:
        if len(numbers) < 2:
            raise DatasetError(f"retrieval needs at least 2 rows, got {len(numbers)}")
        known, classes = _numbered(names)
        return Side(values, numbers, classes), None, known
    if gallery is None or gallery_labels is None:
        raise DatasetError("gallery and gallery_labels belong together: give both or neither")
    stored = _embeddings(gallery, "gallery")
    if stored.shape[1] != values.shape[1]:
        raise DatasetError(f"queries have {values.shape[1]} dimensions, the gallery {stored.shape[1]}")
    if not len(numbers) or not len(stored):
        raise DatasetError(f"retrieval needs queries and a gallery, got {len(numbers)} and {len(stored)} rows")
    stored_names = _labels(gallery_labels, "gallery_labels", len(stored))
    if (names.dtype.kind in "US") != (stored_names.dtype.kind in "US"):
        raise DatasetError(f"labels are {names.dtype} and gallery_labels {stored_names.dtype}: give both the same kind")
    known, classes = _numbered(np.concatenate([names, stored_names]))
    queries = Side(values, numbers, classes[: len(names)])
    return queries, Side(stored, np.arange(len(stored)), classes[len(names) :]), known


def _embeddings(given: ArrayLike, what: str) -> NDArray[Any]:
    values = _array(given, what)
    if values.dtype.kind not in "fiub":
        raise DatasetError(f"{what} must be real numbers, got {values.dtype}")
    if values.ndim != 2 or values.shape[1] == 0:
        raise DatasetError(f"{what} must have the shape (rows, dimensions), got {values.shape}")
    return values


def _rows(rows: ArrayLike | None, count: int) -> NDArray[np.int64]:
    if rows is None:
        return np.arange(count)
    chosen = _array(rows, "rows")
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise DatasetError(f"rows must be row numbers of shape (n,), got {chosen.dtype} of shape {chosen.shape}")
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < count):
        raise DatasetError(f"rows must lie between 0 and {count - 1}, got {chosen.min()} to {chosen.max()}")
    return chosen.astype(np.int64)


def _labels(given: ArrayLike, what: str, count: int) -> NDArray[Any]:
    names = _array(given, what)
    if names.shape != (count,):
        raise DatasetError(f"{what} must be one per row: {count} rows, {what} of shape {names.shape}")
    if names.dtype.kind == "f":
        missing = np.flatnonzero(np.isnan(names)).tolist()
    elif names.dtype.kind == "O":
        missing = [i for i, name in enumerate(names) if not isinstance(name, str) and str(name) in MISSING]
    else:
        return names
    if missing:
        raise DatasetError(f"{what}: the label of row {missing[0]} is missing ({names[missing[0]]})")
    return names.astype(str) if names.dtype.kind == "O" and all(isinstance(name, str) for name in names) else names


def _numbered(names: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    try:
        known, classes = np.unique(names, return_inverse=True)
    except TypeError as error:
        raise DatasetError(f"labels must be all integers or all names: {error}") from error
    return known, classes.astype(np.int64)


def _array(values: ArrayLike, what: str) -> NDArray[Any]:
    try:
        if hasattr(values, "detach"):  # a torch tensor, which may need gradients or lie on a GPU
            tensor: Any = values.detach().cpu()
            values = tensor.float() if "bfloat16" in str(tensor.dtype) else tensor  # NumPy has no such type
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{what} cannot be read as an array: {error}") from error
