"""Spread of classes on the sphere: distances within and between them, from the sums of their unit vectors."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass
class Spread:
    """Sums over classes, added class by class in any number of steps: no table of classes x dimensions is kept.

    Attributes:
        intra_sum: Sum over classes of their mean cosine distance.
        intra_classes: Classes with at least two rows.
        cosines: Sum over ordered pairs of different rows of a class of their cosine.
        pairs: Number of these pairs.
        direction: Sum of the classes' mean directions, shape (d,).
        directions: Classes that have one.
    """

    intra_sum: float = 0.0
    intra_classes: int = 0
    cosines: float = 0.0
    pairs: int = 0
    direction: Floats = field(default_factory=lambda: np.zeros(0))
    directions: int = 0

    def add(self, sums: Floats, squares: Floats, counts: NDArray[np.int64]) -> None:
        """Adds classes.

        Args:
            sums: Sum of the unit rows of every class, shape (c, d).
            squares: Sum of their squared lengths (1 each, but for rounding), shape (c,).
            counts: Rows per class, shape (c,).
        """
        pairs = counts * (counts - 1)
        cosines = np.einsum("cd,cd->c", sums, sums) - squares
        several = pairs > 0
        self.intra_sum += float((1 - cosines[several] / pairs[several]).sum())
        self.intra_classes += int(several.sum())
        self.cosines += float(cosines[several].sum())
        self.pairs += int(pairs.sum())
        length = np.linalg.norm(sums, axis=1)
        directed = length > 1e-6 * counts  # opposite rows cancel: what is left is rounding
        total = (sums[directed] / length[directed, None]).sum(axis=0)
        self.direction = total if not len(self.direction) else self.direction + total
        self.directions += int(directed.sum())

    def intra(self) -> float:
        """Mean cosine distance 1 - cos over pairs of a class, then over classes of two or more rows; in [0, 2]."""
        return _within(0.0, self.intra_sum / self.intra_classes, 2.0) if self.intra_classes else float("nan")

    def inter(self) -> float:
        """Mean cosine distance between the mean directions of different classes; NaN for a single class."""
        n = self.directions
        if n < 2:
            return float("nan")
        return _within(0.0, 1 - (float(self.direction @ self.direction) - n) / (n * (n - 1)), 2.0)

    def intra_over_inter(self) -> float:
        """The ratio (Roth et al. 2020, arXiv:2002.08473)."""
        return self.intra() / max(self.inter(), 1e-8)

    def alignment(self) -> float:
        """Mean |x - y|^2 of unit rows over pairs of a class (Wang and Isola 2020, arXiv:2005.10242); in [0, 4]."""
        return _within(0.0, 2 - 2 * self.cosines / self.pairs, 4.0) if self.pairs else float("nan")


def _within(low: float, value: float, high: float) -> float:
    """The value without the rounding that takes it out of its bounds."""
    return min(max(low, value), high)
