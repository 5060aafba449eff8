"""Measures of shift prepared for the classes of one dataset, so that many divisions are measured cheaply."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from oodml.splits.features import FeatureTable
from oodml.splits.frechet import of_rows
from oodml.splits.kernels import BLOCK, Kernel, cubic_kernel, diagonal, gaussian_kernel, median_distance, unbiased
from oodml.splits.moment_meter import MomentMeter
from oodml.splits.points import Points, Rows
from oodml.splits.sliced import directions, transport_cost

KERNEL_ROWS, KERNEL_CLASSES = 20_000, 8192
SLICED_ROWS = 100_000


class Meter(Protocol):
    """Measures divisions of one set of classes; rows are class numbers by name, sorted."""

    @property
    def note(self) -> str:
        """What a reader of the numbers has to know, such as a sub-sample; "" if nothing."""

    def shift(self, train: Rows, test: Rows) -> float:
        """The distance between two sides."""


class RowMeter:
    """Frechet distance of class means of which the sides have no more than dimensions, shape (C, r)."""

    note = ""

    def __init__(self, points: Points) -> None:
        self.points = points

    def shift(self, train: Rows, test: Rows) -> float:
        """Distance between the class means of two sides."""
        return of_rows(self.points[train], self.points[test])


def frechet_meter(points: Points) -> Meter:
    """The Frechet distance of class means (C, r), in whichever form is cheaper."""
    classes, dimensions = points.shape
    return RowMeter(points) if classes <= 2 * dimensions else MomentMeter(FeatureTable.of_classes(points))


class KernelMeter:
    """Unbiased squared MMD from the sums of a kernel over all pairs of classes, which are computed once.

    Of more than 20,000 rows or 8192 classes a sub-sample stands for all: the estimate stays free of bias.

    Args:
        table: Rows by class.
        measure: "kid" or "mmd".
    """

    def __init__(self, table: FeatureTable, measure: str) -> None:
        thin, classes = table.thinned(KERNEL_ROWS, KERNEL_CLASSES)
        self.note = _thinning(table, thin)
        self.place = np.full(len(table), -1)
        self.place[classes] = np.arange(len(classes))
        self.counts = thin.counts
        rows = np.concatenate([chunk for _, chunk in thin.read(np.arange(len(thin)))]) + table.origin  # KID sees it
        kernel = cubic_kernel(table.dimension) if measure == "kid" else gaussian_kernel(median_distance(rows))
        starts = thin.starts[:-1]
        self.own = np.add.reduceat(diagonal(rows, kernel), starts)
        self.sums = _class_sums(rows, starts, kernel)

    def shift(self, train: Rows, test: Rows) -> float:
        """Distance between the rows of two sides."""
        sides = np.zeros((2, len(self.counts)))
        for side, classes in zip(sides, (train, test), strict=True):
            known = self.place[classes]
            side[known[known >= 0]] = 1.0
        pairs = sides @ self.sums @ sides.T
        return float(unbiased(np.diag(pairs) - sides @ self.own, sides @ self.counts, pairs[0, 1]))


def _class_sums(rows: Points, starts: Rows, kernel: Kernel) -> Points:
    """Sums of kernel values over all pairs of rows from two classes, shape (C, C)."""
    lengths = np.einsum("ij,ij->i", rows, rows)
    total = np.empty((len(starts), len(starts)))
    ends = np.append(starts[1:], len(rows))
    first = 0
    while first < len(starts):  # whole classes at a time
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + BLOCK, side="right")))
        part = slice(starts[first], ends[last - 1])
        values = kernel(rows[part] @ rows.T, lengths[part, None], lengths[None])
        by_row = np.add.reduceat(values, starts[first:last] - starts[first], axis=0)
        total[first:last] = np.add.reduceat(by_row, starts, axis=1)
        first = last
    return total


class SlicedMeter:
    """Squared sliced 2-Wasserstein distance from projections that are sorted once.

    Of more than 100,000 rows an even sub-sample of each class stands for all.

    Args:
        table: Rows by class.
    """

    def __init__(self, table: FeatureTable) -> None:
        thin, classes = table.thinned(SLICED_ROWS, SLICED_ROWS)
        self.classes = len(table)
        self.note = _thinning(table, thin)
        parts = list(thin.read(np.arange(len(thin))))
        projected = np.concatenate([chunk @ directions(table.dimension) for _, chunk in parts]).T
        order = np.argsort(projected, axis=1, kind="stable")
        self.values = np.take_along_axis(projected, order, axis=1)
        self.owner = classes[np.concatenate([owner for owner, _ in parts])][order]

    def shift(self, train: Rows, test: Rows) -> float:
        """Distance between the rows of two sides."""
        sides = np.zeros((2, self.classes), dtype=bool)
        sides[0, train] = sides[1, test] = True
        x, y = (self.values[side[self.owner]].reshape(len(self.values), -1) for side in sides)
        return transport_cost(x, y)


def _thinning(table: FeatureTable, thin: FeatureTable) -> str:
    if thin is table:
        return ""
    return (
        f"shift measured on {len(thin.order):,} of {len(table.order):,} rows, "
        f"{len(thin):,} of {len(table):,} classes (a fixed sub-sample)"
    )
