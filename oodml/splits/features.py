"""Feature rows found by class: one row a class (class means) or many (images), in memory or memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oodml.errors import LadderError
from oodml.seeds import numpy_generator
from oodml.splits.points import Points, Rows

CHUNK = 4096


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Rows of features by class.

    Attributes:
        values: All rows, shape (n, d), any real type, possibly memory-mapped; only parts of it are ever converted.
        order: Row numbers, those of a class one after the other.
        starts: Where each class starts in `order`, with a last entry for the end, shape (C + 1,).
        origin: Subtracted from every row that is read, shape (d,): sums of squares keep their digits.
    """

    values: NDArray[np.generic]
    order: Rows
    starts: Rows
    origin: Points | float = 0.0

    @classmethod
    def of_classes(cls, means: NDArray[np.generic], order: Rows | None = None) -> FeatureTable:
        """One row a class, in the given order."""
        rows = np.arange(len(means)) if order is None else order
        return cls(means, rows, np.arange(len(rows) + 1))

    @classmethod
    def of_images(
        cls, features: NDArray[np.generic], labels: NDArray[np.int64], class_names: Sequence[str]
    ) -> FeatureTable:
        """Image features with a label each, an index into `class_names`; classes by name, images in their order.

        Raises:
            LadderError: If shapes do not fit, a class has no row, or a value is not finite.
        """
        if features.ndim != 2 or labels.shape != features.shape[:1]:
            raise LadderError(f"features {features.shape} and labels {labels.shape} should be (n, d) and (n,)")
        known = labels.min(initial=0) >= 0 and labels.max(initial=0) < len(class_names)
        if not known or len(np.unique(labels)) < len(class_names):
            raise LadderError(f"features need a row of each of the {len(class_names)} classes and of no other")
        place = np.empty(len(class_names), dtype=np.int64)
        place[sorted(range(len(class_names)), key=class_names.__getitem__)] = np.arange(len(class_names))
        owner = place[labels]
        starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(class_names)))])
        table = cls(features, np.argsort(owner, kind="stable"), starts)
        bad = np.flatnonzero(~np.isfinite(table.sums).all(axis=1))
        if bad.size:
            name = sorted(class_names)[bad[0]]
            raise LadderError(f"features hold NaN or infinity, first in a row of class {name!r}; remove such rows")
        return replace(table, origin=table.sums.sum(axis=0) / len(features))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def dimension(self) -> int:
        """Numbers in a row."""
        return int(self.values.shape[1])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Rows of every class, shape (C,)."""
        return np.diff(self.starts)

    @cached_property
    def sums(self) -> Points:
        """Sum of the rows of every class, less the origin, shape (C, d)."""
        if len(self.order) == len(self):  # class means: no second copy where they are in order
            ordered = np.array_equal(self.order, np.arange(len(self)))
            rows = np.asarray(self.values if ordered else self.values[self.order], dtype=np.float64)
            return rows - self.origin if np.any(self.origin) else rows
        totals = np.zeros((len(self), self.dimension))
        for owner, chunk in self.read(np.arange(len(self))):
            first = np.flatnonzero(np.diff(owner, prepend=-1))
            totals[owner[first]] += np.add.reduceat(chunk, first, axis=0)
        return totals

    def read(self, classes: Rows) -> Iterator[tuple[Rows, Points]]:
        """The rows of some classes in parts: (class of every row, rows less the origin), both in class order."""
        sizes = self.counts[classes]
        owner = np.repeat(classes, sizes)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = self.order[np.repeat(self.starts[classes], sizes) + within]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            yield owner[start : start + CHUNK], np.asarray(self.values[part], dtype=np.float64) - self.origin

    def scatter(self, classes: Rows) -> Points:
        """Sum of the outer products of the rows of some classes, less the origin, shape (d, d)."""
        products = (chunk.T @ chunk for _, chunk in self.read(classes))
        total: Points | None = next(products, None)
        if total is None:
            return np.zeros((self.dimension, self.dimension))
        for product in products:
            total += product
        return total

    def thinned(self, most_rows: int, most_classes: int) -> tuple[FeatureTable, Rows]:
        """A sub-sample: some classes (random), of each some rows (evenly spaced), and which classes these are.

        Args:
            most_rows: Rows to keep about.
            most_classes: Classes to keep at most.

        Returns:
            The table, and the class numbers that its rows stand for.
        """
        classes = np.arange(len(self))
        if len(self) > most_classes:
            draw = numpy_generator("thinned classes", len(self), most_classes)
            classes = np.sort(draw.choice(len(self), most_classes, replace=False))
        each = max(1, most_rows // len(classes))
        if len(classes) == len(self) and self.counts.max() <= each:
            return self, classes
        picked = []
        for number in classes:
            have = int(self.counts[number])
            places = np.arange(have) if have <= each else np.linspace(0, have - 1, each).round().astype(np.int64)
            picked.append(self.order[self.starts[number] + places])
        starts = np.concatenate([[0], np.cumsum([len(part) for part in picked])])
        return replace(self, order=np.concatenate(picked), starts=starts), classes
