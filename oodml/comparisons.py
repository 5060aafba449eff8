"""Methods compared with each other: paired differences, and mean ranks with their critical difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, stdtr, stdtrit

from oodml.errors import UsageError
from oodml.multiplicity import ALPHA, holm_adjusted
from oodml.ranks import ROUNDING, midranks
from oodml.statistics import check_confidence


@dataclass(frozen=True)
class MethodDifferences:
    """How much better or worse the second method of every pair scores; one entry per pair, in the unit of the metric.

    Attributes:
        first: Names of the first methods.
        second: Names of the second methods.
        difference: Mean of second less first; nan without a block that both have, or with a level that lacks one.
        low: Lower end of Student's t interval of the difference; nan where nothing is left to estimate a spread from.
        high: Upper end.
        p: Two-sided p-value of no difference (paired t-test); nan where there is no interval.
        p_holm: p corrected for all pairs that were tested (Holm).
        n: Number of blocks that both have.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p: NDArray[np.float64]
    p_holm: NDArray[np.float64]
    n: NDArray[np.int64]


@dataclass(frozen=True)
class CriticalDifference:
    """Mean ranks of methods, and by how much they have to differ (Demsar 2006, section 3.2.2).

    Attributes:
        methods: Names, best mean rank first; equal ones by name.
        mean_ranks: Their mean ranks over the blocks; 1 is the best.
        cd: Mean ranks at least this far apart differ (Nemenyi's test).
        groups: First and last position, both included, of the longest runs of two methods or more that are not told
            apart; runs may overlap.
        n: Number of blocks.
        p: p-value of Friedman's test that all methods rank alike, corrected for ties; 1 if all tie everywhere. Groups
            say little where it is large.
    """

    methods: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    cd: float
    groups: tuple[tuple[int, int], ...]
    n: int
    p: float


def paired_differences(
    values: ArrayLike, names: Sequence[str], *, levels: ArrayLike | None = None, confidence: float = 0.95
) -> MethodDifferences:
    """Differences of all pairs of methods over the blocks that both have.

    Blocks of one level (seeds) are independent; a paired t-test compares their differences. Blocks of several levels
    are not: methods differ more at some levels than at others, for every seed. With `levels` the difference is
    therefore the mean of those at the levels, and its spread that between the seeds of a level, pooled over levels
    (b - l degrees of freedom for b blocks and l levels). The ladder is taken as it is: the interval says what other
    seeds would change, not other ladders. Levels without a second seed add no degree of freedom.

    Args:
        values: One value per method and block, shape (m, b); nan where a method lacks the block.
        names: Names of the methods, shape (m,).
        levels: Level of every block, shape (b,); without it all blocks are of one level (also right for one AGS
            per seed).
        confidence: Coverage of the intervals, in (0, 1).

    Returns:
        The pairs in the order of the names: (0, 1), (0, 2), ..., (1, 2), ... A difference that is the same in all
        blocks up to rounding has p 0, or 1 if it is none.

    Raises:
        UsageError: If shapes do not match or confidence is out of range.
    """
    check_confidence(confidence)
    x, strata = _blocks(values, names, levels)
    i, j = np.triu_indices(len(x), k=1)
    gap = x[j] - x[i]
    both = np.isfinite(gap)
    member = np.equal.outer(strata, np.unique(strata)).astype(np.float64)
    n = both @ member  # (pairs, levels), as all that follows
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(both, gap, 0.0) @ member / n
        residual = np.where(both, gap - (np.nan_to_num(mean) @ member.T), 0.0)
        freedom = (n - 1).sum(axis=1)
        variance = (residual**2).sum(axis=1)
        variance = np.where(variance <= ROUNDING**2, 0.0, variance) / freedom
        error = np.sqrt(variance * (1 / n).sum(axis=1)) / n.shape[1]
        difference = mean.mean(axis=1)
        p = 2 * stdtr(freedom, -np.abs(difference) / error)
        half = stdtrit(freedom, (1 + confidence) / 2) * error
    known = ~np.isnan(difference) & (freedom > 0)
    p = np.where(error == 0, np.where(np.abs(difference) > ROUNDING, 0.0, 1.0), p)
    p, half = np.where(known, p, np.nan), np.where(known, half, np.nan)
    first, second = (tuple(names[k] for k in side.tolist()) for side in (i, j))
    ends = (difference - half, difference + half)
    return MethodDifferences(first, second, difference, *ends, p, holm_adjusted(p), both.sum(axis=1))


def differences_by_level(
    values: ArrayLike, names: Sequence[str], levels: ArrayLike, *, confidence: float = 0.95
) -> dict[int, MethodDifferences]:
    """`paired_differences` level by level; p_holm is corrected for all pairs at all levels.

    Args:
        values: One value per method and block, shape (m, b); nan where a method lacks the block.
        names: Names of the methods, shape (m,).
        levels: Level of every block, integers, shape (b,).
        confidence: Coverage of the intervals, in (0, 1).

    Returns:
        Level to its differences, by rising level.

    Raises:
        UsageError: If shapes do not match or confidence is out of range.
    """
    x, strata = _blocks(values, names, levels)
    present = np.unique(strata).tolist()
    found = [paired_differences(x[:, strata == level], names, confidence=confidence) for level in present]
    adjusted = holm_adjusted([one.p for one in found])
    return {int(level): replace(one, p_holm=p) for level, one, p in zip(present, found, adjusted, strict=True)}


def _blocks(
    values: ArrayLike, names: Sequence[str], levels: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    x = np.asarray(values, dtype=np.float64)
    blocks = x.shape[1] if x.ndim == 2 else 0
    strata = np.zeros(blocks, dtype=np.int64) if levels is None else np.asarray(levels, dtype=np.int64)
    if blocks < 1 or len(x) != len(names) or strata.shape != (blocks,):
        raise UsageError(
            "a comparison needs values (methods, blocks), a name per method and a level per block, "
            f"got shapes {x.shape}, ({len(names)},) and {strata.shape}"
        )
    return x, strata


def critical_difference(
    values: ArrayLike, methods: Sequence[str], *, higher_is_better: bool = True, alpha: float = ALPHA
) -> CriticalDifference:
    """Mean ranks over blocks with Friedman's and Nemenyi's tests (Demsar 2006, JMLR 7, Statistical Comparisons).

    The critical difference is q sqrt(k (k + 1) / (6 n)) for k methods and n blocks, with q the quantile of the
    studentized range for k groups and infinite degrees of freedom, divided by sqrt 2. The tests take blocks as
    independent. Levels of one ladder share classes, so that with few datasets they are optimistic.

    Args:
        values: One value per block (level of a dataset, mean over seeds) and method, shape (n, k), without gaps: a
            method that lacks a block has no mean rank and has to be left out before.
        methods: Names, shape (k,).
        higher_is_better: Direction of the metric.
        alpha: Share of tables of equal methods in which some are told apart, in (0, 1).

    Raises:
        UsageError: If there are fewer than two blocks or methods, a value is missing, or shapes do not match.
    """
    from scipy.stats import studentized_range

    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != len(methods) or min(x.shape) < 2:
        raise UsageError(
            "a critical difference needs at least two blocks and two methods, "
            f"got values of shape {x.shape} for {len(methods)} methods"
        )
    if not np.isfinite(x).all():
        lacking = methods[int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])]
        raise UsageError(f"method {lacking!r} lacks a value in a block; leave it out of the critical difference")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha must lie between 0 and 1, got {alpha}")
    n, k = x.shape
    ranks = midranks(x, higher_is_better=higher_is_better)
    mean = ranks.mean(axis=0)
    order = sorted(range(k), key=lambda m: (round(mean[m], 9), methods[m]))
    cd = float(studentized_range.ppf(1 - alpha, k, np.inf) / 2**0.5 * (k * (k + 1) / (6 * n)) ** 0.5)
    best = tuple(float(mean[m]) for m in order)
    return CriticalDifference(tuple(methods[m] for m in order), best, cd, _groups(best, cd), n, _friedman(ranks))


def _groups(mean_ranks: Sequence[float], cd: float) -> tuple[tuple[int, int], ...]:
    """Longest runs of ascending mean ranks whose ends are less than cd apart."""
    groups: list[tuple[int, int]] = []
    for first, rank in enumerate(mean_ranks):
        last = max(m for m, other in enumerate(mean_ranks) if other - rank < cd)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return tuple(groups)


def _friedman(ranks: NDArray[np.float64]) -> float:
    """p-value of Friedman's chi-squared test with the correction for ties (Conover 1999, section 5.8)."""
    n, k = ranks.shape
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())
    if spread == 0:
        return 1.0
    away = float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    return float(chdtrc(k - 1, (k - 1) * away / spread))
