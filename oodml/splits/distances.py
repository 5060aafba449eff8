"""The Frechet distance between two sets of class means, exact also with fewer classes than dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodml.errors import LadderError

Points = NDArray[np.float64]
Rows = NDArray[np.int64]


def as_points(values: ArrayLike, what: str, names: Sequence[str] = ()) -> Points:
    """A float64 array (n, d) of finite numbers with n >= 2.

    Args:
        values: The rows, one a class.
        what: Names the array in messages.
        names: Names of the rows, where they have any.

    Raises:
        LadderError: If it is anything else; the message names `what`.
    """
    try:
        points = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LadderError(f"{what} must be an array of numbers, shape (n, d): {error}") from error
    if points.ndim != 2 or points.shape[1] == 0:
        raise LadderError(f"{what} must have shape (n, d) with d >= 1, got {points.shape}")
    if len(points) < 2:
        raise LadderError(f"{what} must have at least 2 rows (one a class), got {len(points)}")
    if names and len(names) != len(points):
        raise LadderError(f"{what} has {len(points)} rows but there are {len(names)} class names")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if bad.size:
        first = f"row {bad[0]}" + (f" (class {names[bad[0]]!r})" if names else "")
        raise LadderError(f"{what} holds NaN or infinity in {bad.size} of {len(points)} rows, first in {first}")
    return points


def _factor(side: Points) -> Points:
    """A matrix F of at most d rows whose F^T F is the covariance (ddof 1) of the side."""
    centred = (side - side.mean(axis=0)) / np.sqrt(len(side) - 1)
    return _triangular(centred) if len(side) > side.shape[1] else centred


def _triangular(matrix: Points) -> Points:
    """The triangular QR factor R of a matrix M: R^T R = M^T M."""
    return np.asarray(np.linalg.qr(matrix, mode="r"), dtype=np.float64)


def _distance(x: Points, y: Points) -> float:
    a, b = _factor(x), _factor(y)
    gap = x.mean(axis=0) - y.mean(axis=0)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float(gap @ gap + (a**2).sum() + (b**2).sum() - 2 * cross))  # rounding can dip below 0


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Squared Frechet distance between the Gaussians fitted to two sets of class means ("FID").

    ||mu_x - mu_y||^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^1/2) with sample covariances (ddof 1). With centred
    sets A and B scaled by 1/sqrt(n - 1) the last trace is the nuclear norm ||A B^T||_*, which needs no square
    root of a d x d product and no regularisation. Sides with more rows than dimensions are first replaced by
    their triangular QR factors, so the cost never exceeds O(n d^2).

    Dowson and Landau, "The Frechet distance between multivariate normal distributions" (1982), equation 4.

    Args:
        x: Class means of one side, shape (n, d), n >= 2.
        y: Class means of the other side, shape (m, d), m >= 2.

    Returns:
        Distance in squared feature units, >= 0; 0 when both Gaussians agree, symmetric in x and y.

    Raises:
        LadderError: If the dimensions differ, a side has fewer than two rows or a value is not finite.

    Example:
        >>> round(frechet_distance([[0.0], [2.0]], [[3.0], [5.0]]), 6)
        9.0
    """
    left, right = as_points(x, "x"), as_points(y, "y")
    if left.shape[1] != right.shape[1]:
        raise LadderError(f"x and y must have the same dimension, got {left.shape} and {right.shape}")
    return _distance(left, right)


class ClassSpace:
    """Class means by name, rotated once into the space that they span, where divisions are measured cheaply.

    The Frechet distance and all distances between means do not change under rotation, so C means in d > C
    dimensions are kept as C points of C coordinates: measuring a division then costs O(C^3) whatever d is.
    The Gram matrix of the means would do the same, but square their condition number.

    Attributes:
        names: Class names, sorted; a row number stands for the class of that name.
        points: Coordinates, shape (C, min(C, d)), float64, their mean at the origin.
    """

    def __init__(self, class_means: ArrayLike, class_names: Sequence[str]) -> None:
        names = [str(name) for name in class_names]
        if not names:
            raise LadderError("there are no class names; a ladder needs the mean and the name of every class")
        means = as_points(class_means, "class_means", names)
        order = sorted(range(len(names)), key=names.__getitem__)
        self.names = tuple(names[row] for row in order)
        repeated = [name for name, after in zip(self.names, self.names[1:], strict=False) if name == after]
        if repeated:
            raise LadderError(f"the class name {repeated[0]!r} occurs twice; class names must be unique")
        centred = means[order] - means[order].mean(axis=0)
        if np.abs(centred).max() <= 1e-12 * np.abs(means).max():
            raise LadderError("all class means are equal (constant features); use another embedder")
        classes, dimensions = centred.shape
        self.points: Points = _triangular(centred.T).T if classes < dimensions else centred

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    def rows(self, names: Iterable[str]) -> Rows:
        """Sorted row numbers of the named classes."""
        return np.array(sorted(self._row_of[name] for name in names), dtype=np.int64)

    def names_of(self, rows: Rows) -> tuple[str, ...]:
        """Names of the classes in the given rows, in the same order."""
        return tuple(self.names[row] for row in rows)

    def shift(self, train: Rows, test: Rows) -> float:
        """Frechet distance between the classes in rows `train` and those in rows `test`."""
        return _distance(self.points[train], self.points[test])
