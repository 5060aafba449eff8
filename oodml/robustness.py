"""How methods hold up along a ladder: slopes, falls, residuals, correlations between levels, bands of controls.

Values are of one metric; missing ones are nan. What is computed from several levels takes only seeds or methods that
have all of them: nothing is averaged over a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, stdtrit

from oodml.errors import UsageError
from oodml.rank_correlation import correlate_ranks, spearman
from oodml.statistics import (
    OVER_SEEDS,
    Estimate,
    check_confidence,
    fit_line,
    mean_estimate,
    slope_interval,
    t_interval,
)

OVER_LEVELS = "residuals over levels"
PREDICTION = "prediction of one more"
LEAST_METHODS = 3  # two always lie on a line, and in one order or its reverse


@dataclass(frozen=True)
class EffectiveRobustness:
    """What methods score at a level beyond what their value at the default level lets expect.

    Attributes:
        residual: Value at the level less the one on the line, in the unit of the metric, shape (m,); nan for methods
            that lack a value, and for all if the values at the default level do not vary.
        intercept: Of the line; in logits if the fit was.
        slope: Of the line.
        n: Number of methods that the line is fitted to.
    """

    residual: NDArray[np.float64]
    intercept: float
    slope: float
    n: int


@dataclass(frozen=True)
class MeasureCorrelation:
    """Rank correlation over methods between a measure of the embedding space and quality; one entry per level.

    Attributes:
        correlation: Spearman's, in [-1, 1]; nan with fewer than three methods or where one side does not vary.
        p: Two-sided p-value, not corrected for the number of levels and measures.
        n: Methods that have both values.
    """

    correlation: NDArray[np.float64]
    p: NDArray[np.float64]
    n: NDArray[np.int64]


def degradation_slope(
    shift: ArrayLike, values: ArrayLike, *, reference: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """Slope of the least-squares line of a metric on the shift.

    Args:
        shift: Shift of the levels, plain or scaled to [0, 1], shape (l,). With the scaled one the slope is the change
            over the whole ladder.
        values: Metric by seed and level, shape (s, l), or (l,) for one seed. Seeds with a gap are left out.
        reference: What the untrained embedder scores at the levels, shape (l,): the slope is then that of the metric
            less the reference, which levels that are harder for everyone do not tilt.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The mean slope. With two seeds or more, `made` is "over seeds": Student's t interval of their slopes, n of them.
        With one it is "residuals over levels" (n - 2 degrees of freedom): how far the curve is from a line, which says
        nothing about other seeds; n is then 1. Two levels and one seed have no interval. The value is nan without a
        seed that has all levels, or where the shift does not vary.

    Raises:
        UsageError: If shapes do not match or confidence is out of range.
    """
    check_confidence(confidence)
    at, table = _curves(shift, values, reference)
    complete = table[~np.isnan(table).any(axis=1)]
    if len(complete) != 1:
        return mean_estimate([fit_line(at, row)[1] for row in complete], OVER_SEEDS, confidence)
    slope, low, high = slope_interval(at, complete[0], confidence)
    return Estimate(slope, low, high, 1, "" if np.isnan(low) else OVER_LEVELS)


def fall_interval(
    shift: ArrayLike, values: ArrayLike, *, reference: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """Value at the hardest level less that at the easiest, seed by seed, with Student's t interval.

    On a ladder whose levels are matched in difficulty this fall needs no reference.

    Args:
        shift: Shift of the levels, shape (l,); the first of equal ones counts.
        values: Metric by seed and level, shape (s, l), or (l,) for one seed. Seeds without one of the two ends are left
            out.
        reference: As for `degradation_slope`.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The mean difference, n seeds; without interval for one seed, nan for none.

    Raises:
        UsageError: If shapes do not match or confidence is out of range.
    """
    at, table = _curves(shift, values, reference)
    falls = table[:, np.argmax(at)] - table[:, np.argmin(at)]
    return mean_estimate(falls[~np.isnan(falls)], OVER_SEEDS, confidence)


def _curves(
    shift: ArrayLike, values: ArrayLike, reference: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = np.asarray(shift, dtype=np.float64)
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    base = np.zeros(at.shape) if reference is None else np.asarray(reference, dtype=np.float64)
    if at.ndim != 1 or len(at) < 2 or table.ndim != 2 or table.shape[1:] != at.shape or base.shape != at.shape:
        raise UsageError(
            "a curve needs at least two levels, and shift, values and reference at each of them, "
            f"got shapes {at.shape}, {table.shape} and {base.shape}"
        )
    return at, table - base


def effective_robustness(
    values_first: ArrayLike, values_level: ArrayLike, *, in_logits: bool = False
) -> EffectiveRobustness:
    """Residual of every method at a level after regressing, over methods, on its value at the default level.

    After Taori et al. 2020 (arXiv:2007.00644), where the line is fitted to standard models; here it is
    fitted to the methods given, so that a residual says how a method does among these.

    Args:
        values_first: Metric at the default level, shape (m,).
        values_level: Metric at the level, shape (m,).
        in_logits: Fit the line to log(v / (1 - v)) of both, as fits a metric that comes near 0 or 1; residuals stay in
            the unit of the metric.

    Raises:
        UsageError: If shapes differ, fewer than three methods have both values, or logits are asked for and a value
            lies outside (0, 1).
    """
    first, level = (np.asarray(a, dtype=np.float64) for a in (values_first, values_level))
    if first.ndim != 1 or first.shape != level.shape:
        raise UsageError(f"effective robustness needs two values per method, got shapes {first.shape, level.shape}")
    both = ~np.isnan(first + level)
    if both.sum() < LEAST_METHODS:
        raise UsageError(f"effective robustness needs {LEAST_METHODS} methods that have both levels, got {both.sum()}")
    x, y = first[both], level[both]
    if in_logits and not ((x > 0) & (x < 1) & (y > 0) & (y < 1)).all():
        raise UsageError("logits need values between 0 and 1, ends excluded; fit the plain values instead")
    intercept, slope = fit_line(logit(x), logit(y)) if in_logits else fit_line(x, y)
    expected = expit(intercept + slope * logit(x)) if in_logits else intercept + slope * x
    residual = np.full(first.shape, np.nan)
    residual[both] = y - expected
    return EffectiveRobustness(residual, intercept, slope, int(both.sum()))


def level_rank_correlation(values: ArrayLike, *, kind: str = "spearman") -> NDArray[np.float64]:
    """Rank correlation between levels over methods: does a ranking at one level say anything about another?

    Args:
        values: Metric by method and level, shape (m, l). Methods with a gap are left out, so that all entries compare
            the same methods.
        kind: "spearman" or "kendall" (tau-b).

    Returns:
        Matrix in [-1, 1] with ones on the diagonal, shape (l, l); nan beside a level where all methods tie, and
        everywhere with fewer than three methods.

    Raises:
        UsageError: If the values are no table, or the kind is another one.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise UsageError(f"a correlation between levels needs values (methods, levels), got shape {table.shape}")
    complete = table[~np.isnan(table).any(axis=1)]
    found = correlate_ranks(complete.T, kind=kind)
    return found if len(complete) >= LEAST_METHODS else np.full_like(found, np.nan)


def measure_correlation(quality: ArrayLike, measures: Mapping[str, ArrayLike]) -> dict[str, MeasureCorrelation]:
    """Which measures of the embedding space go with quality, level by level (as in the study, arXiv:2107.09562).

    Args:
        quality: Metric by method and level, shape (m, l).
        measures: Name of a measure (such as "rho_spectrum@1", "uniformity", "intra_over_inter") to its values, shape
            (m, l). At every level the methods count that have both.

    Returns:
        Name to its correlations, in the order given.

    Raises:
        UsageError: If shapes differ.
    """
    y = np.asarray(quality, dtype=np.float64)
    found: dict[str, MeasureCorrelation] = {}
    for name, values in measures.items():
        x = np.asarray(values, dtype=np.float64)
        if y.ndim != 2 or x.shape != y.shape:
            raise UsageError(f"measure {name!r} needs a value per method and level, {y.shape}, got shape {x.shape}")
        both = ~np.isnan(x + y)
        pairs = [spearman(x[kept, level], y[kept, level]) for level, kept in enumerate(both.T)]
        table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        found[name] = MeasureCorrelation(table[:, 0], table[:, 1], both.sum(axis=0))
    return found


def control_band(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Where a metric of one further random division of the classes would lie, from those of several.

    A level outside the band differs from what chance alone does to a division.

    Args:
        values: Metric of the control divisions, shape (c,); nan ones are left out.
        confidence: Coverage of the band, in (0, 1).

    Returns:
        Mean and Student's t prediction interval, mean -+ t(c - 1) s sqrt(1 + 1 / c), for c divisions; no interval for
        one, nan for none.

    Raises:
        UsageError: If confidence is out of range.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    x = x[~np.isnan(x)]
    mean, std, _, _ = t_interval(x, confidence)
    if len(x) < 2:
        return Estimate(mean, np.nan, np.nan, len(x), "")
    half = float(stdtrit(len(x) - 1, (1 + confidence) / 2)) * std * (1 + 1 / len(x)) ** 0.5
    return Estimate(mean, mean - half, mean + half, len(x), PREDICTION)
