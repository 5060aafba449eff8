"""Intervals, areas and ranks: numbers of small samples of runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from oodml.errors import UsageError

ALPHA = 0.05
ROUNDING = 1e-12  # values closer than this differ by the order of additions only


def t_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float, float]:
    """Mean, standard deviation (ddof=1) and Student's t interval of the mean.

    Args:
        values: Independent values, n of them.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        mean, std, low, high; std, low and high are nan for n = 1, all four for n = 0.

    Example:
        >>> mean, std, low, high = t_interval(range(10))
        >>> mean, round(high - mean, 3)
        (4.5, 2.166)
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must lie between 0 and 1, got {confidence}")
    x = np.asarray(values, dtype=np.float64).ravel()
    mean = float(x.mean()) if len(x) else np.nan
    if len(x) < 2:
        return mean, np.nan, np.nan, np.nan
    std = float(x.std(ddof=1))
    half = float(stdtrit(len(x) - 1, (1 + confidence) / 2)) * std / len(x) ** 0.5
    return mean, std, mean - half, mean + half


def ags(shift_scaled: ArrayLike, values: ArrayLike) -> float:
    """Aggregated generalisation score (arXiv:2107.09562): area under metric against shift, by trapezoids.

    Args:
        shift_scaled: Shift of every level scaled to [0, 1] over the ladder, shape (n,), n >= 2, any order.
        values: Metric at the levels, shape (n,).

    Returns:
        The area, in the unit of the metric; a constant metric is its own score.

    Raises:
        UsageError: If shapes differ, there are fewer than two levels, or the shift does not span [0, 1].
    """
    x, v = (np.asarray(a, dtype=np.float64) for a in (shift_scaled, values))
    if x.ndim != 1 or x.shape != v.shape or len(x) < 2:
        raise UsageError(f"AGS needs one value for each of at least two levels, got shapes {x.shape} and {v.shape}")
    order = np.argsort(x, kind="stable")
    x, v = x[order], v[order]
    if not np.allclose(x[[0, -1]], (0, 1), rtol=0, atol=1e-9):
        raise UsageError(f"AGS needs the shift scaled to [0, 1] over the ladder, got {x[0]:g} to {x[-1]:g}")
    return float(np.sum(np.diff(x) * (v[1:] + v[:-1]) / 2))


def fit_line(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Intercept and slope of the least-squares line; nan where x does not vary.

    Args:
        x: Positions, shape (n,).
        y: Values at them, shape (n,).
    """
    at, values = (np.asarray(a, dtype=np.float64) for a in (x, y))
    away = at - at.mean() if len(at) else at
    spread = float(away @ away)
    if spread == 0:
        return np.nan, np.nan
    slope = float(away @ values) / spread
    return float(values.mean() - slope * at.mean()), slope


def slope_interval(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Slope of the least-squares line with Student's t interval from its residuals, n - 2 degrees of freedom.

    Args:
        x: Positions, shape (n,).
        y: Values at them, shape (n,).
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        slope, low, high; the ends are nan for n < 3.
    """
    at, values = (np.asarray(a, dtype=np.float64) for a in (x, y))
    intercept, slope = fit_line(at, values)
    if len(at) < 3 or np.isnan(slope):
        return slope, np.nan, np.nan
    residuals = values - intercept - slope * at
    error = (residuals @ residuals / (len(at) - 2) / ((at - at.mean()) @ (at - at.mean()))) ** 0.5
    half = float(stdtrit(len(at) - 2, (1 + confidence) / 2) * error)
    return slope, slope - half, slope + half


def rank_range(groups: Mapping[str, ArrayLike], *, higher_is_better: bool = True) -> dict[str, tuple[int, int, int]]:
    """Rank of every method by its mean, and the ranks that a significance test leaves open.

    All pairs are compared by Welch's two-sided t-test, with Holm's correction at 0.05. A method with one
    value is never significantly better or worse than another. Two methods without any spread differ if their
    values do.

    Args:
        groups: Method to its values, one per seed, at least one each.
        higher_is_better: Direction of the metric.

    Returns:
        Method to (rank, low, high): rank 1 is the best mean and equal means share the better rank; low is 1
        + the number of significantly better methods, high is the number of methods less the significantly
        worse ones.
    """
    samples = [np.asarray(values, dtype=np.float64).ravel() for values in groups.values()]
    empty = [name for name, x in zip(groups, samples, strict=True) if not len(x)]
    if empty:
        raise UsageError(f"method {empty[0]!r} has no value to rank it by")
    mean = np.array([x.mean() for x in samples]) * (1 if higher_is_better else -1)
    better = np.subtract.outer(mean, mean) > ROUNDING  # better[i, j]: method i beats method j
    surely = better & holm(welch(samples))
    rank, low = 1 + better.sum(axis=0), 1 + surely.sum(axis=0)
    high = len(samples) - surely.sum(axis=1)
    return {name: (int(rank[i]), int(low[i]), int(high[i])) for i, name in enumerate(groups)}


def welch(samples: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Two-sided p-values of Welch's t-test of all pairs, shape (m, m); nan where a sample has one value."""
    n = np.array([len(x) for x in samples])
    mean = np.array([x.mean() for x in samples])
    part = np.array([x.var(ddof=1) / len(x) if len(x) > 1 else np.nan for x in samples])
    part[part < ROUNDING**2] = 0.0  # equal values whose mean was rounded
    gap = np.abs(np.subtract.outer(mean, mean))
    total = np.add.outer(part, part)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = total**2 / np.add.outer(part**2 / (n - 1), part**2 / (n - 1))
        p = 2 * stdtr(freedom, -gap / np.sqrt(total))
    return np.where(total == 0, np.where(gap > ROUNDING, 0.0, 1.0), p)


def holm(p: NDArray[np.float64], alpha: float = ALPHA) -> NDArray[np.bool_]:
    """Which pairs of a symmetric matrix of p-values differ after Holm's correction; nan is no test."""
    i, j = np.triu_indices(len(p), k=1)
    tested = np.flatnonzero(~np.isnan(p[i, j]))
    order = tested[np.argsort(p[i, j][tested], kind="stable")]
    passed = p[i, j][order] <= alpha / np.arange(len(order), 0, -1)
    order = order[np.cumprod(passed, dtype=bool)]
    different = np.zeros(p.shape, dtype=bool)
    different[i[order], j[order]] = different[j[order], i[order]] = True
    return different
