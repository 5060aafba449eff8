"""Arrays of points that can be measured: finite, two-dimensional, at least two rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodml.errors import LadderError

Points = NDArray[np.float64]
Rows = NDArray[np.int64]


def as_points(values: ArrayLike, what: str, names: Sequence[str] = ()) -> Points:
    """A float64 array (n, d) of finite numbers with n >= 2.

    Args:
        values: The rows.
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
        raise LadderError(f"{what} must have at least 2 rows, got {len(points)}")
    if names and len(names) != len(points):
        raise LadderError(f"{what} has {len(points)} rows but there are {len(names)} class names")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if bad.size:
        first = f"row {bad[0]}" + (f" (class {names[bad[0]]!r})" if names else "")
        raise LadderError(f"{what} holds NaN or infinity in {bad.size} of {len(points)} rows, first in {first}")
    return points


def as_pair(x: ArrayLike, y: ArrayLike) -> tuple[Points, Points]:
    """Both sides of a distance as points of the same dimension.

    Raises:
        LadderError: If they are not.
    """
    left, right = as_points(x, "x"), as_points(y, "y")
    if left.shape[1] != right.shape[1]:
        raise LadderError(f"x and y must have the same dimension, got {left.shape} and {right.shape}")
    return left, right


def triangular(matrix: Points) -> Points:
    """The triangular QR factor R of a matrix M: R^T R = M^T M."""
    return np.asarray(np.linalg.qr(matrix, mode="r"), dtype=np.float64)
