"""The Frechet distance between two sides ("FID"), exact with fewer rows than dimensions and with more."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from oodml.errors import LadderError
from oodml.splits.moments import Moments
from oodml.splits.points import Points, as_pair, triangular


def frechet_distance(x: ArrayLike | Moments, y: ArrayLike | Moments) -> float:
    """Squared Frechet distance between the Gaussians fitted to two sets of rows.

    ||mu_x - mu_y||^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^1/2) with sample covariances (ddof 1). The last trace is
    computed exactly and without a matrix square root: where a side has no more rows than dimensions as the nuclear
    norm ||A B^T||_* of the centred sets A and B scaled by 1/sqrt(n - 1), else as the sum of the square roots of the
    eigenvalues of L^T S_y L with the Cholesky factor L of S_x.

    Dowson and Landau, "The Frechet distance between multivariate normal distributions" (1982), equation 4; of class
    means in Milbich et al., NeurIPS 2021; of images in Heusel et al., NeurIPS 2017. Its estimate from few rows is
    far too large: two samples of n rows from one distribution in d >> n dimensions lie about 2 tr(S) apart.

    Args:
        x: Rows of one side, shape (n, d), n >= 2, or their moments.
        y: Rows of the other side, shape (m, d), m >= 2, or their moments.

    Returns:
        Distance in squared feature units, >= 0; 0 when both Gaussians agree, symmetric in x and y.

    Raises:
        LadderError: If the dimensions differ, a side has fewer than two rows or a value is not finite.

    Example:
        >>> round(frechet_distance([[0.0], [2.0]], [[3.0], [5.0]]), 6)
        9.0
    """
    if isinstance(x, Moments) or isinstance(y, Moments):
        return from_moments(*(z if isinstance(z, Moments) else Moments.of(z) for z in (x, y)))
    left, right = as_pair(x, y)
    if min(len(left), len(right)) <= left.shape[1]:
        return of_rows(left, right)
    return from_moments(Moments.of(left), Moments.of(right))


def of_rows(x: Points, y: Points) -> float:
    """The distance by the nuclear norm; cheap where one side has fewer rows than dimensions."""
    a, b = _factor(x), _factor(y)
    gap = x.mean(axis=0) - y.mean(axis=0)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return _not_negative(gap @ gap + (a**2).sum() + (b**2).sum() - 2 * cross)


def from_moments(x: Moments, y: Moments) -> float:
    """The distance by Cholesky and eigenvalues, from moments of at least two rows each."""
    if x.mean.shape != y.mean.shape:
        raise LadderError(f"x and y must have the same dimension, got {len(x.mean)} and {len(y.mean)}")
    gap = x.mean - y.mean
    first, second = x.covariance, y.covariance
    traces = np.trace(first) + np.trace(second)
    larger, smaller = (first, second) if x.count >= y.count else (second, first)
    return _not_negative(gap @ gap + traces - 2 * fidelity(larger, smaller, min(x.count, y.count) - 1))


def fidelity(first: Points, second: Points, rank: int) -> float:
    """tr((S_1 S_2)^1/2) of two covariances, shape (d, d) each, the first better the one of full rank.

    Args:
        first: The covariance that is factored.
        second: The other one.
        rank: Largest possible rank of the product: eigenvalues beyond it are rounding, whose roots would show.
    """
    from scipy.linalg import blas, eigvalsh, lapack

    lower, info = lapack.dpotrf(first.T, lower=1)  # symmetric: the transpose is in the order that LAPACK wants
    if info == 0:
        right = blas.dtrmm(1.0, lower, second.T, side=1, lower=1)
        product = blas.dtrmm(1.0, lower, right, lower=1, trans_a=1, overwrite_b=1)
    else:  # not of full rank: the factor from the eigenvectors needs no inverse
        root = symmetric_factor(first)
        product = root.T @ second @ root
    values = eigvalsh(product, lower=True, check_finite=False, overwrite_a=True)
    return float(np.sqrt(np.maximum(values[-rank:], 0.0)).sum())


def symmetric_factor(covariance: Points) -> Points:
    """F with F F^T = S, shape (d, rank)."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    root: Points = vectors[:, kept] * np.sqrt(values[kept])
    return root


def _factor(side: Points) -> Points:
    """A matrix F of at most d rows whose F^T F is the covariance (ddof 1) of the side."""
    centred = (side - side.mean(axis=0)) / np.sqrt(len(side) - 1)
    return triangular(centred) if len(side) > side.shape[1] else centred


def _not_negative(value: float) -> float:
    return max(0.0, float(value))  # rounding can dip below 0
