"""Uncertainty of a retrieval metric without training again: the classes are resampled with replacement.

Queries of a class share what makes the class easy or hard, so they are no independent sample; classes are. The
intervals are percentile intervals of the cluster bootstrap (Davison and Hinkley 1997, Bootstrap Methods and their
Application, sections 3.8 and 5.3). They tell how the metric would move with other classes of the same kind, not with
another seed of training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodml.errors import UsageError
from oodml.seeds import numpy_generator

WEIGHT_VALUES = 2**22  # class weights held at a time: 32 MiB of float64
ROUNDING = 1e-12  # a difference smaller than this comes from the order of additions only


@dataclass(frozen=True)
class PairedDifferences:
    """How much higher the second of two embeddings scores on the same queries; float64 arrays, shape (m,).

    Attributes:
        difference: Metric of the second less metric of the first, in the unit of the metric; nan if no query counts.
        low: Lower bound of its interval; nan with fewer than two classes that count.
        high: Upper bound.
        p: Two-sided p-value of no difference, in (0, 1]; nan with fewer than two classes that count.
    """

    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p: NDArray[np.float64]


def class_intervals(
    values: NDArray[np.generic],
    classes: NDArray[np.generic],
    *,
    macro: bool = False,
    draws: int = 1000,
    confidence: float = 0.95,
) -> NDArray[np.float64]:
    """Interval of every metric over resampled classes.

    A draw takes as many classes as there are, with replacement, each with all its queries. Draws in which no query
    counts for a metric are left out of its interval.

    Args:
        values: One value per query and metric, shape (q, m); not finite where a query does not count for a metric.
        classes: Class of every query, any integers, shape (q,).
        macro: The metric is the mean over classes of the mean of their queries that count; else the mean over these
            queries.
        draws: Number of draws, at least 1.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        Lower and upper bound in the unit of the values, shape (m, 2); nan for a metric that fewer than two classes
        count for, since there is nothing to resample.

    Raises:
        UsageError: If shapes do not match, or draws or confidence are out of range.
    """
    _check(values, values, classes, draws, confidence)
    return _bounds(_draws(*_parts(values, classes, macro), draws), confidence)


def paired_differences(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    classes: NDArray[np.generic],
    *,
    macro: bool = False,
    draws: int = 1000,
    confidence: float = 0.95,
) -> PairedDifferences:
    """Difference of every metric between two embeddings, with both scored on the same resampled classes.

    p is twice the share of draws on the other side of zero (those at zero lie on both sides), with one more draw
    counted on either side, so that it never falls below 2 / (1 + draws) (Davison and Hinkley 1997, section 4.2).
    Equal values give difference 0 and p 1.

    Args:
        first: One value per query and metric of the first embedding, shape (q, m). A query that is not finite in one
            of the two counts for neither.
        second: The same of the second embedding, for the same queries in the same order.
        classes: Class of every query, any integers, shape (q,).
        macro: As for `class_intervals`.
        draws: Number of draws, at least 1.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        UsageError: If shapes do not match, or draws or confidence are out of range.
    """
    _check(first, second, classes, draws, confidence)
    # Metrics are linear in the values: one mean of differences is exact where the values are equal.
    with np.errstate(invalid="ignore"):
        gap = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    total, count = _parts(gap, classes, macro)
    drawn = _draws(total, count, draws)
    drawn[np.abs(drawn) < ROUNDING] = 0.0
    low, high = _bounds(drawn, confidence).T
    kept = np.count_nonzero(~np.isnan(drawn), axis=0)
    tail = np.minimum(np.count_nonzero(drawn <= 0, axis=0), np.count_nonzero(drawn >= 0, axis=0))
    p = np.where(kept > 0, np.minimum(1.0, 2 * (1 + tail) / (1 + kept)), np.nan)
    return PairedDifferences(_ratio(total.sum(axis=0), count.sum(axis=0)), low, high, p)


def _check(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    classes: NDArray[np.generic],
    draws: int,
    confidence: float,
) -> None:
    if first.ndim != 2 or first.shape != second.shape or classes.shape != first.shape[:1]:
        shapes = ", ".join(str(a.shape) for a in (first, second, classes))
        raise UsageError(f"resampling needs values (queries, metrics) and one class per query, got shapes {shapes}")
    if draws < 1:
        raise UsageError(f"draws must be at least 1, got {draws}")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must lie between 0 and 1, got {confidence}")


def _parts(
    values: NDArray[np.generic], classes: NDArray[np.generic], macro: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What every class adds to numerator and denominator of every metric, each of shape (c, m)."""
    x = np.asarray(values, dtype=np.float64)
    order = np.argsort(classes, kind="stable")
    starts = np.unique(classes[order], return_index=True)[1]
    if not len(starts):
        return np.zeros((0, x.shape[1])), np.zeros((0, x.shape[1]))
    finite = np.isfinite(x)
    total = np.add.reduceat(np.where(finite, x, 0.0)[order], starts, axis=0)
    count = np.add.reduceat(finite[order], starts, axis=0, dtype=np.float64)
    return (total / np.maximum(count, 1), np.minimum(count, 1)) if macro else (total, count)


def _draws(total: NDArray[np.float64], count: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Metrics of every draw of classes, shape (draws, m); nan where no query counts or one class alone does."""
    c, m = total.shape
    parts = np.concatenate([total, count], axis=1)
    drawn = np.full((draws, m), np.nan)
    generator = numpy_generator("bootstrap", draws, c)
    step = max(1, WEIGHT_VALUES // max(1, c))
    for start in range(0, draws if c > 1 else 0, step):
        weights = np.empty((min(step, draws - start), c))
        for row in weights:  # counted picks are multinomial, and five times faster than a draw per class for many
            row[:] = np.bincount(generator.integers(c, size=c), minlength=c)
        sums = weights @ parts
        drawn[start : start + step] = _ratio(sums[:, :m], sums[:, m:])
    drawn[:, np.count_nonzero(count, axis=0) < 2] = np.nan
    return drawn


def _ratio(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _bounds(drawn: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
    bounds = np.full((drawn.shape[1], 2), np.nan)
    for metric, column in enumerate(drawn.T):
        kept = column[~np.isnan(column)]
        if len(kept):
            bounds[metric] = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return bounds
