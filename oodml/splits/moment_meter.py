"""Frechet distance from moments that follow the exchanges: many classes, or every image."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from oodml.splits.features import FeatureTable
from oodml.splits.frechet import from_moments
from oodml.splits.moments import Moments
from oodml.splits.points import Points, Rows

REMEMBERED = 4  # scatters of d x d that are kept to start from


class MomentMeter:
    """Frechet distance from the count, sum and scatter of either side.

    A side that differs from a known one in few classes is updated by these alone, and the test side is what the
    training side leaves of all classes. So a walk reads every row once, and then those that move.

    Args:
        table: Rows by class; one each (class means) or many (images).
    """

    note = ""

    def __init__(self, table: FeatureTable) -> None:
        self.table = table
        self._known: deque[tuple[NDArray[np.bool_], Points]] = deque(maxlen=REMEMBERED)

    def shift(self, train: Rows, test: Rows) -> float:
        """Distance between the rows of two sides."""
        return from_moments(*self._sides(train, test))

    def _sides(self, train: Rows, test: Rows) -> tuple[Moments, Moments]:
        everything = self._scatter(np.concatenate([train, test]))
        own = self._scatter(train)
        return self._moments(train, own), self._moments(test, everything - own)

    def _moments(self, classes: Rows, scatter: Points) -> Moments:
        count = int(self.table.counts[classes].sum())
        mean = self.table.sums[classes].sum(axis=0) / count
        return Moments(count, mean, scatter - count * np.outer(mean, mean))

    def _scatter(self, classes: Rows) -> Points:
        """Sum of outer products about the table's origin."""
        wanted = np.zeros(len(self.table), dtype=bool)
        wanted[classes] = True
        near = min(self._known, key=lambda known: np.count_nonzero(known[0] ^ wanted), default=None)
        if near is None or 2 * np.count_nonzero(near[0] ^ wanted) > len(classes):
            total = self.table.scatter(np.flatnonzero(wanted))
        else:
            more, less = np.flatnonzero(wanted & ~near[0]), np.flatnonzero(near[0] & ~wanted)
            if not len(more) + len(less):
                return near[1]
            total = near[1] + self.table.scatter(more) - self.table.scatter(less)
        self._known.append((wanted, total))
        return total
