"""Intervals, areas and lines: numbers of small samples of runs. Ranks are in `oodml.ranks`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from oodml.errors import UsageError
from oodml.multiplicity import ALPHA
from oodml.ranks import ROUNDING, rank_range, rank_range_summary

__all__ = [
    "ALPHA",
    "OVER_SEEDS",
    "ROUNDING",
    "Estimate",
    "ags",
    "check_confidence",
    "fit_line",
    "mean_estimate",
    "rank_range",
    "rank_range_summary",
    "slope_interval",
    "t_interval",
]

OVER_SEEDS = "over seeds"


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, and how that was made.

    Attributes:
        value: The number; nan if there is nothing to compute it from.
        low: Lower end of the interval; nan without one.
        high: Upper end.
        n: Number of values behind it; of what, `made` says.
        made: How the interval was made, such as "over seeds"; "" without an interval.
    """

    value: float
    low: float
    high: float
    n: int
    made: str


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
    check_confidence(confidence)
    x = np.asarray(values, dtype=np.float64).ravel().tolist()  # a handful: sums of arrays take ten times as long
    n = len(x)
    mean = math.fsum(x) / n if n else np.nan
    if n < 2:
        return mean, np.nan, np.nan, np.nan
    std = (math.fsum((value - mean) ** 2 for value in x) / (n - 1)) ** 0.5
    half = _t_quantile(n - 1, (1 + confidence) / 2) * std / n**0.5
    return mean, std, mean - half, mean + half


@cache
def _t_quantile(freedom: int, p: float) -> float:
    return float(stdtrit(freedom, p))


def check_confidence(confidence: float) -> None:
    """Raises UsageError unless the coverage of an interval lies in (0, 1)."""
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must lie between 0 and 1, got {confidence}")


def mean_estimate(values: ArrayLike, made: str = OVER_SEEDS, confidence: float = 0.95) -> Estimate:
    """Mean and `t_interval` of independent values as an `Estimate`; `made` says what they are."""
    x = np.asarray(values, dtype=np.float64).ravel()
    mean, _, low, high = t_interval(x, confidence)
    return Estimate(mean, low, high, len(x), made if len(x) > 1 else "")


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
