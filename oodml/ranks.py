"""Ranks of methods, and the ranks that a significance test leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from oodml.errors import UsageError
from oodml.multiplicity import holm

ROUNDING = 1e-12  # values closer than this differ by the order of additions only


class Lent(NamedTuple):
    """The spread that methods with one value are tested with.

    Attributes:
        std: The largest standard deviation among the methods with several values.
        freedom: Degrees of freedom of all of these methods together.
    """

    std: float
    freedom: int


@dataclass(frozen=True)
class Ranks:
    """Ranks of m methods in their order; integers, shape (m,).

    Attributes:
        rank: 1 is the best mean; equal means share the better rank.
        low: 1 + the number of significantly better methods.
        high: m less the number of significantly worse methods.
        lent: The spread lent to methods with one value; None if there is no such method, or nobody to lend it.
    """

    rank: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    lent: Lent | None


def rank_range(groups: Mapping[str, ArrayLike], *, higher_is_better: bool = True) -> dict[str, tuple[int, int, int]]:
    """Rank of every method by its mean, and the ranks that a significance test leaves open.

    The test is that of `rank_range_summary`, which also says whether a spread was lent.

    Args:
        groups: Method to its values, one per seed, at least one each.
        higher_is_better: Direction of the metric.

    Returns:
        Method to (rank, low, high), as in `Ranks`.

    Raises:
        UsageError: If a method has no value.
    """
    samples = [np.asarray(values, dtype=np.float64).ravel() for values in groups.values()]
    empty = [name for name, x in zip(groups, samples, strict=True) if not len(x)]
    if empty:
        raise UsageError(f"method {empty[0]!r} has no value to rank it by")
    found = rank_range_summary(
        [x.mean() for x in samples],
        [x.std(ddof=1) if len(x) > 1 else np.nan for x in samples],
        [len(x) for x in samples],
        higher_is_better=higher_is_better,
    )
    parts = (found.rank.tolist(), found.low.tolist(), found.high.tolist())
    return dict(zip(groups, zip(*parts, strict=True), strict=True))


def rank_range_summary(mean: ArrayLike, std: ArrayLike, n: ArrayLike, *, higher_is_better: bool = True) -> Ranks:
    """Ranks from means, standard deviations and numbers of values, as a leaderboard holds them.

    All pairs are compared by Welch's two-sided t-test, with Holm's correction at 0.05. Two methods without any
    spread differ if their values do. A method with one value shows no spread; it is lent the largest one of the
    others (`lend_spread`), or never differs from any if there is none to lend.

    Args:
        mean: Mean of every method, shape (m,).
        std: Standard deviation of its values (ddof=1), shape (m,); not read where n is 1.
        n: Number of its values, at least 1, shape (m,).
        higher_is_better: Direction of the metric.

    Raises:
        UsageError: If shapes differ, a method has no value or mean, or one with several has no spread.
    """
    at, spread = (np.asarray(a, dtype=np.float64) for a in (mean, std))
    number = np.asarray(n, dtype=np.int64)
    if at.ndim != 1 or not at.shape == spread.shape == number.shape:
        raise UsageError(
            f"ranks need mean, std and n of every method, got shapes {at.shape, spread.shape, number.shape}"
        )
    if (number < 1).any() or np.isnan(at).any():
        raise UsageError("a method without a value has no rank: leave it out")
    if not (spread[number > 1] >= 0).all():
        raise UsageError("a method with several values needs their standard deviation to be ranked")
    lent = lend_spread(spread, number)
    gap = np.subtract.outer(at, at) * (1 if higher_is_better else -1)
    better = gap > ROUNDING  # better[i, j]: method i beats method j
    surely = better & holm(welch(at, spread, number, lent))
    return Ranks(1 + better.sum(axis=0), 1 + surely.sum(axis=0), len(at) - surely.sum(axis=1), lent)


def lend_spread(std: NDArray[np.float64], n: NDArray[np.int64]) -> Lent | None:
    """The spread that methods with one value are tested with: the largest of those with several.

    The mean variance would assume that all methods spread alike. They do not: where standard deviations vary by a
    factor of 1.5 around their median, tests with the mean variance call equal methods different in up to one table of
    six instead of one of twenty; with the largest variance they stay below one of twenty. What remains assumed is that
    a method with one value is no less steady than the least steady of the others.

    Args:
        std: Standard deviations, shape (m,); not read where n is 1.
        n: Numbers of values, shape (m,).

    Returns:
        The spread; None if every method has several values, or fewer than two of those with several vary at all
        (methods that train nothing give the same value for every seed and say nothing about the others).
    """
    known = std[(n > 1) & (std > ROUNDING)]
    if (n > 1).all() or len(known) < 2:
        return None
    return Lent(float(known.max()), int((n - 1)[(n > 1) & (std > ROUNDING)].sum()))


def welch(
    mean: NDArray[np.float64], std: NDArray[np.float64], n: NDArray[np.int64], lent: Lent | None = None
) -> NDArray[np.float64]:
    """Two-sided p-values of Welch's t-test of all pairs (degrees of freedom by Welch and Satterthwaite).

    Args:
        mean: Means, shape (m,).
        std: Standard deviations (ddof=1), shape (m,); not read where n is 1.
        n: Numbers of values, shape (m,).
        lent: Spread of methods with one value. It is one estimate, however many use it, so that a pair of them has
            its degrees of freedom and not twice as many.

    Returns:
        p-values, shape (m, m); nan where a method has one value and is lent no spread.
    """
    single = n == 1
    part = np.where(single | (std <= ROUNDING), 0.0, std**2 / n)  # equal values, whose mean was rounded, have none
    borrowed = np.where(np.add.outer(single, single), np.nan if lent is None else lent.std**2, 0.0)
    borrowed *= np.add.outer(single.astype(np.float64), single)
    total = np.add.outer(part, part) + borrowed
    weight = part**2 / np.maximum(n - 1, 1)
    gap = np.abs(np.subtract.outer(mean, mean))
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = total**2 / (np.add.outer(weight, weight) + borrowed**2 / (lent.freedom if lent else 1))
        p = 2 * stdtr(freedom, -gap / np.sqrt(total))
    return np.where(total == 0, np.where(gap > ROUNDING, 0.0, 1.0), p)


def midranks(values: NDArray[np.float64], *, higher_is_better: bool = True) -> NDArray[np.float64]:
    """Ranks within the last axis; 1 is the best, and values that are equal up to rounding share their mean rank.

    Args:
        values: Any shape (..., n), without nan.
        higher_is_better: Whether rank 1 is the largest value.

    Example:
        >>> midranks(np.array([0.5, 0.9, 0.5, 0.1])).tolist()
        [2.5, 1.0, 2.5, 4.0]
    """
    x = np.asarray(values, dtype=np.float64) * (1 if higher_is_better else -1)
    gap = x[..., None, :] - x[..., :, None]  # how much better the others are
    better, equal = gap > ROUNDING, np.abs(gap) <= ROUNDING
    return 0.5 + np.asarray(better.sum(axis=-1) + 0.5 * equal.sum(axis=-1), dtype=np.float64)
