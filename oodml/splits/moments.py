"""Count, mean and scatter of rows that may never be in memory together: streamed, added, stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from oodml.errors import LadderError
from oodml.splits.points import Points

CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Moments:
    """What a Frechet distance needs to know of a set of rows.

    Sets add up: `Moments.of(a) + Moments.of(b)` are the moments of a and b together, wherever each was computed
    (Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances").

    Attributes:
        count: Number of rows n.
        mean: Their mean, shape (d,).
        scatter: Sum of the outer products of their deviations from the mean, shape (d, d).

    Example:
        >>> a, b = Moments.of([[0.0], [2.0]]), Moments.of([[4.0]])
        >>> (a + b).count, (a + b).mean.tolist(), (a + b).scatter.tolist()
        (3, [2.0], [[8.0]])
    """

    count: int
    mean: Points
    scatter: Points

    @classmethod
    def of(cls, rows: ArrayLike) -> Moments:
        """Moments of rows in memory, shape (n, d), n >= 1.

        Raises:
            LadderError: If the rows are not a matrix of finite numbers.
        """
        try:
            matrix = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise LadderError(f"moments need rows of numbers, shape (n, d): {error}") from error
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise LadderError(f"moments need rows of numbers, shape (n, d), got shape {matrix.shape}")
        bad = np.count_nonzero(~np.isfinite(matrix).all(axis=1))
        if bad:
            raise LadderError(f"moments need finite numbers; {bad} of {len(matrix)} rows hold NaN or infinity")
        mean = matrix.mean(axis=0)
        centred = matrix - mean
        return cls(len(matrix), mean, centred.T @ centred)

    @classmethod
    def stream(cls, chunks: Iterable[ArrayLike]) -> Moments:
        """Moments of rows that come in parts: of an iterator, a memory-mapped file, several files.

        A part is read in steps of 4096 rows, so that no more than these are ever converted at once.

        Raises:
            LadderError: If there is no row, or parts differ in their dimension.
        """
        total: Moments | None = None
        for chunk in chunks:
            array = np.asanyarray(chunk)
            for start in range(0, len(array), CHUNK):
                part = cls.of(array[start : start + CHUNK])
                total = part if total is None else total + part
        if total is None:
            raise LadderError("there are no rows to take moments of")
        return total

    def __add__(self, other: Moments) -> Moments:
        if self.mean.shape != other.mean.shape:
            raise LadderError(f"moments of {len(self.mean)} and {len(other.mean)} dimensions do not add up")
        count = self.count + other.count
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        between = np.outer(gap, gap) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Points:
        """Sample covariance (ddof 1), shape (d, d).

        Raises:
            LadderError: If there are fewer than two rows.
        """
        if self.count < 2:
            raise LadderError(f"a covariance needs at least 2 rows, got {self.count}")
        return self.scatter / (self.count - 1)

    def save(self, path: Path) -> None:
        """Writes them as an .npz file."""
        from oodml import store  # needs pyarrow, which measuring does not

        with store.atomic(path) as temporary, temporary.open("wb") as file:
            np.savez(file, count=self.count, mean=self.mean, scatter=self.scatter)

    @classmethod
    def load(cls, path: Path) -> Moments:
        """Reads what `save` wrote.

        Raises:
            LadderError: If the file is missing, cut short or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(int(file["count"]), file["mean"], file["scatter"])
        except Exception as error:  # numpy raises nearly anything on files that are not its own
            raise LadderError(f"{path} holds no moments (cut short?): {error}") from error
