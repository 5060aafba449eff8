"""How far apart two sides lie when nothing but chance divides the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oodml.splits.points import Points, Rows
from oodml.splits.space import ClassSpace

ROUNDING = 1e-7  # by which two computations of one shift may differ, relative


@dataclass(frozen=True, eq=False)
class NullShift:
    """Shifts of random divisions.

    Attributes:
        values: One per draw, shape (draws,), draws >= 2.
    """

    values: Points

    @property
    def mean(self) -> float:
        """The bias of the measure: what a division scores whose sides do not differ."""
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the draws (ddof 1)."""
        return float(self.values.std(ddof=1))

    def p_value(self, shift: float) -> float:
        """Share of random divisions, the observed one counted among them, that lie at least as far apart.

        One-sided and exact under exchangeable classes (Phipson and Smyth 2010, "Permutation p-values should never be
        zero"); at least 1 / (draws + 1). Shifts count as equal up to rounding: of few classes the observed division is
        itself drawn, in this order or mirrored.

        Example:
            >>> NullShift(np.array([1.0, 2.0, 3.0])).p_value(2.5)
            0.5
        """
        least = shift - ROUNDING * abs(shift) if np.isfinite(shift) else shift
        return float((1 + np.count_nonzero(self.values >= least)) / (1 + len(self.values)))


def null_shift(
    space: ClassSpace, classes: Rows, num_train: int, draws: int, generator: np.random.Generator
) -> NullShift:
    """The measure under random relabelling of whole classes, sides of the same sizes.

    With a hundred class means in two thousand dimensions most of a Frechet distance is the bias of its estimator:
    this is what a division scores whose sides do not differ.

    Args:
        space: The class means and their meter.
        classes: Rows of all classes of the level.
        num_train: Size of the first side.
        draws: Number of random divisions, at least 2.
        generator: Source of the draws.
    """
    values = np.empty(draws)
    for draw in range(draws):
        order = generator.permutation(classes)
        values[draw] = space.shift(np.sort(order[:num_train]), np.sort(order[num_train:]))
    return NullShift(values)
