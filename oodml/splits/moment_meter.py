"""Frechet distance from moments that follow the exchanges: many classes, or every image."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

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
        self._known: deque[_Sums] = deque(maxlen=REMEMBERED)

    def shift(self, train: Rows, test: Rows) -> float:
        """Distance between the rows of two sides."""
        own = self._sums(train)
        everything = self._sums(np.concatenate([train, test]))  # from the training side where nothing is known yet
        others = everything.total - own.total, everything.scatter - own.scatter
        return from_moments(self._moments(train, own.total, own.scatter), self._moments(test, *others))

    def _moments(self, classes: Rows, total: Points, scatter: Points) -> Moments:
        count = int(self.table.counts[classes].sum())
        return Moments(count, total / count, scatter - np.outer(total, total / count))

    def _sums(self, classes: Rows) -> _Sums:
        wanted = np.zeros(len(self.table), dtype=bool)
        wanted[classes] = True
        near = min(self._known, key=lambda known: np.count_nonzero(known.classes ^ wanted), default=None)
        if near is None or 2 * np.count_nonzero(near.classes ^ wanted) > len(classes):
            found = _Sums(wanted, *self._added(np.flatnonzero(wanted)))
        elif np.array_equal(near.classes, wanted):
            return near
        else:
            more = self._added(np.flatnonzero(wanted & ~near.classes))
            less = self._added(np.flatnonzero(near.classes & ~wanted))
            found = _Sums(wanted, near.total + more[0] - less[0], near.scatter + more[1] - less[1])
        self._known.append(found)
        return found

    def _added(self, classes: Rows) -> tuple[Points, Points]:
        return self.table.sums[classes].sum(axis=0), self.table.scatter(classes)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Of a set of classes (a mask) the sum of the rows and of their outer products, both about the table's origin."""

    classes: NDArray[np.bool_]
    total: Points
    scatter: Points
