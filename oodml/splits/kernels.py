"""Kernel distances between two sides: squared maximum mean discrepancies without the bias of small samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodml.errors import LadderError
from oodml.splits.points import Points, as_pair

BLOCK = 2048
SAMPLE = 2000  # rows that the median distance is taken of at most
Kernel = Callable[[Points, Points, Points], Points]
"""Values of a kernel from inner products (a, b), squared lengths (a, 1) and squared lengths (1, b)."""


def cubic_kernel(dimension: int) -> Kernel:
    """k(x, y) = (x . y / d + 1)^3, the kernel of KID."""

    def kernel(products: Points, _x: Points, _y: Points) -> Points:
        base = products / dimension + 1.0
        return base * base * base

    return kernel


def gaussian_kernel(bandwidth: float) -> Kernel:
    """k(x, y) = exp(-||x - y||^2 / (2 bandwidth^2))."""

    def kernel(products: Points, x: Points, y: Points) -> Points:
        return np.exp(np.minimum(2.0 * products - x - y, 0.0) / (2.0 * bandwidth**2))

    return kernel


def kid(x: ArrayLike, y: ArrayLike) -> float:
    """Kernel inception distance: the unbiased squared MMD with the kernel (x . y / d + 1)^3.

    mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean of k(x_i, y_j). It has no bias: over
    random relabellings its mean is 0 whatever the number of rows, so it can be negative. It depends on the origin and
    the scale of the features; a cubic kernel sees differences of the first three moments only.

    Binkowski et al., "Demystifying MMD GANs" (ICLR 2018), sections 2 and 4; Gretton et al. (JMLR 2012), equation 3.

    Args:
        x: Rows of one side, shape (n, d), n >= 2.
        y: Rows of the other side, shape (m, d), m >= 2.

    Returns:
        The estimate, in units of the kernel (a pure number); 0 expected when nothing differs.

    Raises:
        LadderError: If the dimensions differ, a side has fewer than two rows or a value is not finite.

    Example:
        >>> kid([[0.0], [1.0]], [[0.0], [1.0]])
        -3.5
    """
    left, right = as_pair(x, y)
    return _unbiased(left, right, cubic_kernel(left.shape[1]))


def mmd(x: ArrayLike, y: ArrayLike, bandwidth: float | None = None) -> float:
    """The unbiased squared MMD with a Gaussian kernel, the distance of CMMD.

    As `kid` with k(x, y) = exp(-||x - y||^2 / (2 bandwidth^2)), which is characteristic: it is 0 in expectation only
    if the distributions are equal.

    Jayasumana et al., "Rethinking FID" (CVPR 2024), section 4: bandwidth 10 for CLIP embeddings; Gretton et al. (JMLR
    2012), equation 3. Features of other networks have other scales, hence the median here.

    Args:
        x: Rows of one side, shape (n, d), n >= 2.
        y: Rows of the other side, shape (m, d), m >= 2.
        bandwidth: In feature units; None takes the median distance of all rows (Gretton et al., section 8).

    Returns:
        The estimate, at most 2; 0 expected when nothing differs, so it can be negative.

    Raises:
        LadderError: If the dimensions differ, a side has fewer than two rows, a value is not finite or the bandwidth
            is not above 0.

    Example:
        >>> round(mmd([[0.0], [1.0]], [[5.0], [6.0]], bandwidth=1.0), 4)
        1.2129
    """
    left, right = as_pair(x, y)
    width = median_distance(np.concatenate([left, right])) if bandwidth is None else bandwidth
    if not width > 0:
        raise LadderError(f"the bandwidth of mmd must be above 0, got {width}")
    return _unbiased(left, right, gaussian_kernel(width))


def median_distance(rows: Points) -> float:
    """Median Euclidean distance of different rows, of an evenly spaced 2000 of them if there are more.

    1 if it is 0: where most rows are equal, rounding alone would set the width.
    """
    if len(rows) > SAMPLE:
        rows = rows[np.linspace(0, len(rows) - 1, SAMPLE).round().astype(np.int64)]
    squares = np.einsum("ij,ij->i", rows, rows)
    squared = squares[:, None] + squares - 2.0 * rows @ rows.T
    middle = float(np.median(np.sqrt(np.maximum(squared[np.triu_indices(len(rows), 1)], 0.0))))
    rounding = 4 * rows.shape[1] * np.finfo(np.float64).eps * float(squares.max())
    return middle if middle**2 > rounding else 1.0


def blocks(x: Points, y: Points, kernel: Kernel) -> Iterator[tuple[int, int, Points]]:
    """Kernel values in parts of at most 2048 x 2048: (first row of x, first row of y, values)."""
    lengths_x, lengths_y = (np.einsum("ij,ij->i", z, z) for z in (x, y))
    for i in range(0, len(x), BLOCK):
        for j in range(0, len(y), BLOCK):
            rows, columns = slice(i, i + BLOCK), slice(j, j + BLOCK)
            yield i, j, kernel(x[rows] @ y[columns].T, lengths_x[rows, None], lengths_y[None, columns])


def diagonal(x: Points, kernel: Kernel) -> Points:
    """k(x_i, x_i), shape (n,)."""
    lengths = np.einsum("ij,ij->i", x, x)
    return kernel(lengths, lengths, lengths)


def unbiased(within: NDArray[np.float64], counts: NDArray[np.generic], across: NDArray[np.float64]) -> Points:
    """The estimate from sums of kernel values.

    Args:
        within: Sums over pairs of different rows of a side, shape (2, ...).
        counts: Rows of the sides, shape (2, ...).
        across: Sum over pairs from both sides, shape (...).
    """
    size = np.asarray(counts, dtype=np.float64)
    inside = within / (size * (size - 1))
    estimate: Points = inside[0] + inside[1] - 2.0 * across / (size[0] * size[1])
    return estimate


def _unbiased(x: Points, y: Points, kernel: Kernel) -> float:
    within = [sum(float(part.sum()) for *_, part in blocks(z, z, kernel)) - diagonal(z, kernel).sum() for z in (x, y)]
    across = sum(float(part.sum()) for *_, part in blocks(x, y, kernel))
    return float(unbiased(np.array(within), np.array([len(x), len(y)]), np.array(across)))
