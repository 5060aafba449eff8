"""Rows grouped by class, small classes first: the positives of a query lie side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Places of the rows, by class.

    Attributes:
        order: Row number at every place: by size of class, class, row number.
        group: Class at every place, counted in this order, so that it never falls.
        starts: First place of every class and the end, shape (classes + 1,).
    """

    order: Ints
    group: Ints
    starts: Ints

    @property
    def sizes(self) -> Ints:
        """Rows per class."""
        return np.diff(self.starts)


def by_class(classes: Ints, num_classes: int = 0) -> tuple[Layout, Ints]:
    """The layout of rows of classes 0, 1, ..., and the new number of every old class (-1 without a row).

    Args:
        classes: Class of every row, shape (n,).
        num_classes: Classes to number at least, where some have no row.
    """
    sizes = np.bincount(classes, minlength=num_classes)
    new = np.full(len(sizes), -1)
    present = np.flatnonzero(sizes)
    present = present[np.argsort(sizes[present], kind="stable")]
    new[present] = np.arange(len(present))
    order = np.argsort(new[classes], kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes[present])])
    return Layout(order, new[classes][order], starts), new
