"""Rank correlations with p-values that also hold for a handful of methods."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from oodml.errors import UsageError
from oodml.ranks import ROUNDING, midranks

EXACT = 8  # values up to which all orders are counted: 8! = 40,320


def correlate_ranks(values: ArrayLike, *, kind: str = "spearman") -> NDArray[np.float64]:
    """Rank correlation of all pairs of rows.

    Args:
        values: Rows of n values each, without nan, shape (r, n).
        kind: "spearman", the correlation of mid-ranks, or "kendall", tau-b.

    Returns:
        Symmetric matrix in [-1, 1], shape (r, r); nan beside a row whose values are all equal.

    Raises:
        UsageError: If the kind is another one.
    """
    x = np.asarray(values, dtype=np.float64)
    if kind == "spearman":
        parts = midranks(x) - (x.shape[1] + 1) / 2
    elif kind == "kendall":
        i, j = np.triu_indices(x.shape[1], k=1)
        gap = x[:, i] - x[:, j]
        parts = np.where(np.abs(gap) > ROUNDING, np.sign(gap), 0.0)
    else:
        raise UsageError(f"unknown rank correlation {kind!r}; known: spearman, kendall")
    products = parts @ parts.T
    length = np.sqrt(np.diag(products))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.clip(products / np.outer(length, length), -1.0, 1.0), dtype=np.float64)


def spearman(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Spearman's rank correlation with its two-sided p-value.

    For at most 8 values p is the share of all orders that correlate as much or more (exact, also with ties), beyond
    that it comes from Student's t with n - 2 degrees of freedom, which for few values is far too small: a perfect
    order of 4 has p 1/12, not 0.

    Args:
        x: Values, shape (n,), without nan.
        y: Values, shape (n,), without nan.

    Returns:
        Correlation in [-1, 1] and p; nan both with fewer than three values or if one side does not vary.

    Example:
        >>> [round(number, 4) for number in spearman([1, 2, 3, 4], [1, 3, 8, 9])]
        [1.0, 0.0833]
    """
    pair = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
    n = pair.shape[1]
    if n < 3:
        return np.nan, np.nan
    found = float(correlate_ranks(pair)[0, 1])
    if np.isnan(found):
        return np.nan, np.nan
    if n > EXACT:
        left = (1 - found) * (1 + found)
        p = 2 * float(stdtr(n - 2, -abs(found) * ((n - 2) / left) ** 0.5)) if left > 0 else 0.0
        return found, p
    one, other = midranks(pair) - (n + 1) / 2
    every = other[_orders(n)] @ one
    return found, float(np.mean(np.abs(every) >= abs(one @ other) - 1e-9))


@lru_cache(maxsize=EXACT)
def _orders(n: int) -> NDArray[np.int8]:
    return np.array(list(itertools.permutations(range(n))), dtype=np.int8)
