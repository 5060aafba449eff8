"""Class means by name: what the generators divide, and how a division is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from oodml.errors import LadderError
from oodml.splits.meters import Meter, frechet_meter
from oodml.splits.points import Points, Rows, as_points, triangular


class ClassSpace:
    """Class means by name, moved to the origin and rotated once into the space that they span.

    Distances between means and the Frechet distance of two sides change under neither, so C means in d > C
    dimensions are kept as C points of C coordinates: what is measured of a division then costs the same
    whatever d is.

    Attributes:
        names: Class names, sorted; a row number stands for the class of that name.
        points: Coordinates, shape (C, min(C, d)), float64, their mean at the origin.
        meter: Measures divisions; the Frechet distance of the class means unless another is given.
    """

    def __init__(self, class_means: ArrayLike, class_names: Sequence[str], meter: Meter | None = None) -> None:
        names = [str(name) for name in class_names]
        if not names:
            raise LadderError("there are no class names; a ladder needs the mean and the name of every class")
        means = as_points(class_means, "class_means", names)
        order = sorted(range(len(names)), key=names.__getitem__)
        self.names = tuple(names[row] for row in order)
        repeated = [name for name, after in zip(self.names, self.names[1:], strict=False) if name == after]
        if repeated:
            raise LadderError(f"the class name {repeated[0]!r} occurs twice; class names must be unique")
        centred = means[order]
        scale = max(-centred.min(), centred.max())
        centred -= centred.mean(axis=0)
        if max(-centred.min(), centred.max()) <= 1e-12 * scale:
            raise LadderError("all class means are equal (constant features); use another embedder")
        classes, dimensions = centred.shape
        self.points: Points = triangular(centred.T).T if classes < dimensions else centred
        self.meter = meter or frechet_meter(self.points)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def squares(self) -> Points:
        """Squared distance of every mean from the origin, shape (C,)."""
        squares: Points = np.einsum("ij,ij->i", self.points, self.points)
        return squares

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
        """Distance between the classes in rows `train` and those in rows `test`.

        Raises:
            LadderError: If a side has fewer than two classes.
        """
        if min(len(train), len(test)) < 2:
            raise LadderError(f"a side needs at least 2 classes to be measured, got {len(train)} and {len(test)}")
        return self.meter.shift(train, test)
