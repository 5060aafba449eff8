"""Intervals over test classes, and over seeds and classes, for all rows of a leaderboard at once. Free of torch.

The numbers are those of `oodml.resampling.class_interval` and `both_interval`. Methods at a level have the same test
classes with the same numbers of queries, so they share the draws of classes, and one matrix product serves them all.

The area under a curve (AGS) is a weighted sum of its levels, A = sum over levels l of w_l m_l, where w_l follows from
the trapezoids and m_l = sum_c n_lc v_lc / N_l is the mean over the N_l queries of a level (n_lc of class c, with mean
v_lc). Levels share test classes, so a class that is drawn must count at all of them. With u classes at all levels
together, every class gets the value

    z_c = A + sum over l of w_l (u n_lc / N_l) (v_lc - m_l),

A plus u times the empirical influence of the class on A, each m_l being a ratio of sums over classes (Davison and
Hinkley 1997, Bootstrap Methods and their Application, sections 2.7.2 and 3.2.1). The mean of z over the classes is A,
and its mean over drawn classes is, but for terms of second order in the numbers of queries drawn, the area that they
give. So an area is treated as a metric whose classes have the values z and one query each.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oodml.resampling import class_draws
from oodml.run_scores import Scores

REPLICATES, SEED, CONFIDENCE = 2000, 0, 0.95
AT_ONCE = 1000  # rows whose draws are held at a time: 16 MB
DECIMALS = 9  # beyond these a matrix product differs between machines
BY_CLASS = "by_class"  # under this key a row holds its ClassMeans, if it has any

Floats = NDArray[np.float64]


class ClassMeans(NamedTuple):
    """Values by class of one metric, averaged over seeds.

    Attributes:
        means: Mean of every class, shape (c,); nan without queries.
        counts: Number of queries behind it, shape (c,).
    """

    means: Floats
    counts: NDArray[np.int64]


def add_class_intervals(rows: Iterable[dict[str, Any]]) -> None:
    """Fills `class_low`, `class_high`, `both_low` and `both_high` of the rows that have values by class.

    Args:
        rows: Rows of a leaderboard, with ClassMeans under BY_CLASS. `mean`, `ci_low` and `ci_high` are known; the
            latter are over seeds, nan for a single one.
    """
    groups: dict[bytes, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row.get(BY_CLASS) is not None:
            groups[row[BY_CLASS].counts.tobytes()].append(row)
    for members in groups.values():
        for start in range(0, len(members), AT_ONCE):
            _fill(members[start : start + AT_ONCE])


def _fill(rows: Sequence[dict[str, Any]]) -> None:
    """Fills rows that have the same numbers of queries."""
    means = np.stack([row[BY_CLASS].means for row in rows])
    for row, (low, high) in zip(rows, class_bounds(means, rows[0][BY_CLASS].counts).tolist(), strict=True):
        mean = row["mean"]
        below, above = math.hypot(mean - low, mean - row["ci_low"]), math.hypot(high - mean, row["ci_high"] - mean)
        bounds = {"class_low": low, "class_high": high, "both_low": mean - below, "both_high": mean + above}
        row.update({name: round(bound, DECIMALS) for name, bound in bounds.items()})


def class_bounds(means: Floats, counts: NDArray[np.int64]) -> Floats:
    """Ends of the percentile intervals of metrics over resampled classes, the same draws for all.

    Args:
        means: Mean of every class, shape (m, c), one row per metric; nan where no query counts.
        counts: Number of queries of every class, shape (c,), the same for all rows.

    Returns:
        Lower and upper end, shape (m, 2); nan with fewer than two classes that have queries.
    """
    counted = counts > 0
    drawn = class_draws(means[:, counted], counts[counted].astype(np.float64), REPLICATES, SEED)
    return np.asarray(np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)).T


def seeds_by_class(seeds: Mapping[int, Scores]) -> ClassMeans | None:
    """Values by class, mean over the seeds; None unless all seeds have them for the same queries."""
    runs = [seeds[seed] for seed in sorted(seeds)]
    counts = [run.class_queries for run in runs if run.class_queries is not None]
    means = [run.class_values for run in runs if run.class_values is not None]
    if not runs or not len(counts) == len(means) == len(runs):
        return None
    if any(not np.array_equal(other, counts[0]) for other in counts[1:]) or not counts[0].any():
        return None
    return ClassMeans(np.mean(np.stack(means).astype(np.float64), axis=0), counts[0].astype(np.int64))


def area_by_class(
    levels: Sequence[ClassMeans | None], tests: Sequence[Sequence[str] | None], weights: Sequence[float]
) -> ClassMeans | None:
    """The values z of the classes for an area, see the top of this file.

    Args:
        levels: Values by class at every level.
        tests: Names of the test classes of every level, in the order of the values.
        weights: Weight of every level in the area.

    Returns:
        One value and one query for every class that has queries at some level; None where values or names are missing.
    """
    known = [(level, names) for level, names in zip(levels, tests, strict=True) if level is not None and names]
    if len(known) < len(levels) or any(len(level.counts) != len(names) for level, names in known):
        return None
    asked = {name for level, names in known for name, n in zip(names, level.counts.tolist(), strict=True) if n}
    place = {name: number for number, name in enumerate(sorted(asked))}
    u = len(place)
    area, influence = 0.0, np.zeros(u)
    for (level, names), weight in zip(known, weights, strict=True):
        counted = level.counts > 0
        n, v = level.counts[counted].astype(np.float64), level.means[counted]
        own = [place[name] for name, count in zip(names, counted.tolist(), strict=True) if count]
        mean = float(n @ v / n.sum())
        area += weight * mean
        influence[own] += weight * u * n / n.sum() * (v - mean)
    return ClassMeans(area + influence, np.ones(u, dtype=np.int64))
