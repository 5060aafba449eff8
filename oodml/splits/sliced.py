"""The sliced Wasserstein distance between two sides: optimal transport along random directions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from oodml.seeds import numpy_generator
from oodml.splits.points import Points, Rows, as_pair

DIRECTIONS = 256


@lru_cache(maxsize=4)
def directions(dimension: int, count: int = DIRECTIONS) -> Points:
    """Random unit vectors, the same for every call, shape (d, count)."""
    vectors = numpy_generator("sliced directions", dimension).normal(size=(dimension, count))
    vectors /= np.linalg.norm(vectors, axis=0)
    vectors.setflags(write=False)
    return vectors


def sliced_wasserstein(x: ArrayLike, y: ArrayLike) -> float:
    """Squared sliced 2-Wasserstein distance: the mean over 256 fixed directions of that of the projections.

    In one dimension the distance is exact, the integral of (F^-1(t) - G^-1(t))^2 over t in [0, 1] of the empirical
    quantile functions, also for sides of different sizes. A difference delta of the means alone gives about
    ||delta||^2 / d. Two samples of one distribution lie about 1/n apart, so it has a bias, a smaller one than the
    Frechet distance.

    Bonneel et al., "Sliced and Radon Wasserstein barycenters of measures" (2015), equation 9.

    Args:
        x: Rows of one side, shape (n, d), n >= 2.
        y: Rows of the other side, shape (m, d), m >= 2.

    Returns:
        Distance in squared feature units, >= 0, symmetric in x and y.

    Raises:
        LadderError: If the dimensions differ, a side has fewer than two rows or a value is not finite.

    Example:
        >>> round(sliced_wasserstein([[0.0], [2.0]], [[3.0], [5.0]]), 6)
        9.0
    """
    left, right = as_pair(x, y)
    along = directions(left.shape[1])
    return transport_cost(np.sort(left @ along, axis=0).T, np.sort(right @ along, axis=0).T)


def transport_cost(x: Points, y: Points) -> float:
    """Mean over rows of the squared 2-Wasserstein distance of sorted samples, shapes (directions, n) and (.., m)."""
    if x.shape == y.shape:
        return float(np.mean((x - y) ** 2))
    at_x, at_y, weights = couple(x.shape[1], y.shape[1])
    return float(np.mean((x[:, at_x] - y[:, at_y]) ** 2 @ weights))


def couple(n: int, m: int) -> tuple[Rows, Rows, Points]:
    """Which order statistics of n and of m values are transported onto each other, and how much of the mass.

    Example:
        >>> [part.tolist() for part in couple(1, 2)]
        [[0, 0], [0, 1], [0.5, 0.5]]
    """
    breaks = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)  # in units of 1 / (n m), so that they are exact
    return breaks[:-1] // m, breaks[:-1] // n, np.diff(breaks) / (n * m)
