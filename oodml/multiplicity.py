"""Correction for many comparisons (Holm 1979, A simple sequentially rejective multiple test procedure)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05


def holm_adjusted(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's adjusted p-values: reject all that are at most alpha, and at most alpha of such families err.

    Args:
        p: p-values of one family of tests, any shape; nan where there was no test.

    Returns:
        Adjusted p-values in [0, 1], never below the plain ones, same shape; nan stays, and counts as no test.

    Example:
        >>> holm_adjusted([0.01, 0.03, 0.02]).tolist()
        [0.03, 0.04, 0.04]
    """
    plain = np.asarray(p, dtype=np.float64)
    adjusted = np.full(plain.size, np.nan)
    tested = np.flatnonzero(~np.isnan(plain.ravel()))
    order = tested[np.argsort(plain.ravel()[tested], kind="stable")]
    scaled = plain.ravel()[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted.reshape(plain.shape)


def holm(p: NDArray[np.float64], alpha: float = ALPHA) -> NDArray[np.bool_]:
    """Which pairs of a symmetric matrix of p-values differ after Holm's correction; nan is no test."""
    i, j = np.triu_indices(len(p), k=1)
    different = np.zeros(p.shape, dtype=bool)
    different[i, j] = different[j, i] = holm_adjusted(p[i, j]) <= alpha
    return different
