"""Rows of numbers as unit vectors, and which of them are equal: what cosine similarity and its ties stand on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oodml.errors import DatasetError
from oodml.seeds import numpy_generator

CHUNK = 1024  # rows that are prepared or compared at a time: their float64 copy stays in the caches
TINY, HUGE = 1e-200, 1e200


def unit_rows(rows: NDArray[np.generic], numbers: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Rows scaled to length 1 in double precision (no overflow at any scale), rounded to float32.

    Args:
        rows: Real numbers, shape (n, d).
        numbers: What the rows are called in messages, shape (n,); 0, 1, ... by default.

    Raises:
        DatasetError: If a row is not finite, or all zeros, so that it has no direction.
    """
    double = rows.astype(np.float64)
    squared = np.einsum("nd,nd->n", double, double)
    if not (squared.min(initial=1) > TINY and squared.max(initial=1) < HUGE):  # squares may not show every digit
        peak = np.abs(double).max(axis=1, keepdims=True)
        if len(bad := np.flatnonzero(~((peak > 0) & (peak < np.inf)))):
            row = int(bad[0] if numbers is None else numbers[bad[0]])
            fault = "is all zeros and has no direction" if peak[bad[0]] == 0 else "has a value that is not finite"
            raise DatasetError(f"embedding row {row} {fault}; leave it out")
        double /= peak
        squared = np.einsum("nd,nd->n", double, double)
    unit: NDArray[np.float32] = np.divide(double, np.sqrt(squared)[:, None], dtype=np.float64).astype(np.float32)
    unit += 0.0  # -0 becomes 0, so that equal rows have equal bytes
    return unit


def fingerprints(rows: NDArray[np.float32]) -> NDArray[np.uint64]:
    """A number per row, shape (n,): equal for equal rows, and for different ones different almost always."""
    weights = numpy_generator("fingerprints").integers(2**64, size=rows.shape[1], dtype=np.uint64) | np.uint64(1)
    found: NDArray[np.uint64] = (np.ascontiguousarray(rows).view(np.uint32) * weights).sum(axis=1, dtype=np.uint64)
    return found


def first_copies(
    prints: NDArray[np.uint64], rows_at: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.int64] | None:
    """For every row the first row equal to it; None if all rows differ.

    A matrix product may round equal columns differently (kernels treat the last columns apart), which would order
    exact duplicates by chance; whoever knows the copies can keep their ties exact.

    Args:
        prints: Fingerprints of all rows, shape (n,).
        rows_at: The rows with the given numbers, free of -0.

    Returns:
        Row numbers, shape (n,), or None.
    """
    _, group, sizes = np.unique(prints, return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(sizes[group] > 1)
    owner = np.arange(len(prints))
    first: dict[bytes, int] = {}
    for start in range(0, len(suspects), CHUNK):
        chunk = suspects[start : start + CHUNK]
        for number, row in zip(chunk.tolist(), rows_at(chunk), strict=True):
            owner[number] = first.setdefault(row.tobytes(), number)
    return owner if len(first) < len(suspects) else None
