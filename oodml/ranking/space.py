"""Distances as similarities of blocks of rows: prepared once, then products of matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.directions import unit_rows
from oodml.errors import DatasetError, UnknownNameError

Similarity = Callable[[Tensor, Tensor], Tensor]
"""Of queries (q, d) and gallery (g, d), shape (q, g); the nearest have the largest."""

Distance = str | Similarity
DISTANCES = ("cosine", "euclidean")
EXACT_BITS = 22  # sums of whole numbers up to 2^22 leave room for an exact norm in float32


class Block(NamedTuple):
    """Prepared rows (b, d) and, where the distance needs it, a number per row (b,)."""

    rows: Tensor
    side: Tensor | None

    def part(self, places: slice) -> Block:
        """Some of the rows."""
        return Block(self.rows[places], None if self.side is None else self.side[places])


@dataclass(frozen=True)
class Space:
    """A distance, and what it needs to know about the data.

    Attributes:
        distance: "cosine", "euclidean", or a similarity of two blocks of rows.
        coarse: Cosine of rows with few bits: products of the rows as they are, so that equal similarities come out
            equal and tie; unit vectors would round them apart.
        centre: Subtracted before Euclidean distances, shape (d,): distances stay, rounding shrinks.
        exponent: Euclidean rows are divided by 2 to this power, so that no square overflows.
    """

    distance: Distance
    coarse: bool = False
    centre: NDArray[np.float64] | None = None
    exponent: int = 0

    @property
    def symmetric(self) -> bool:
        """Whether the similarity of two rows is known not to depend on their order."""
        return isinstance(self.distance, str)

    def prepare(self, values: NDArray[np.generic]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows (b, d) and their side numbers (b,) or (0,), float32."""
        none = np.empty(0, np.float32)
        if self.distance == "euclidean":
            assert self.centre is not None
            moved = np.ldexp(values.astype(np.float64) - self.centre, -self.exponent).astype(np.float32) + np.float32(0)
            return moved, np.einsum("nd,nd->n", moved, moved)
        if self.distance != "cosine":
            return values.astype(np.float32) + np.float32(0), none
        unit = unit_rows(values)
        if not self.coarse:
            return unit, none
        scaled = power_scaled(values).astype(np.float32) + np.float32(0)
        return scaled, (1 / np.sqrt(np.einsum("nd,nd->n", scaled, scaled, dtype=np.float64))).astype(np.float32)

    def similarity(self, x: Block, y: Block, out: Tensor | None = None) -> Tensor:
        """Similarity of every row of x with every row of y, shape (bx, by), in `out` where it is given."""
        if not isinstance(self.distance, str):
            with torch.no_grad():  # it may be a network
                found = self.distance(x.rows, y.rows)
            if not isinstance(found, Tensor):
                raise DatasetError(f"the distance should return a torch tensor, got {type(found).__name__}")
            found = found.to(torch.float32)
            finite = bool(torch.isfinite(found).all())
            if found.shape != (len(x.rows), len(y.rows)) or not finite:
                raise DatasetError(
                    f"the distance of {len(x.rows)} by {len(y.rows)} rows should be as many finite numbers, "
                    f"got the shape {tuple(found.shape)}{'' if finite else ' with values that are not finite'}"
                )
            return found if out is None else out.copy_(found)
        found = torch.mm(x.rows, y.rows.t(), out=out)
        if x.side is None or y.side is None:
            return found
        if self.distance == "euclidean":  # -|x - y|^2; one rounded sum, so that (x, y) and (y, x) agree
            return found.mul_(2).sub_(x.side[:, None] + y.side)
        return found.mul_(x.side[:, None] * y.side)


def power_scaled(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Rows divided by a power of two each, so that the largest entry lies in [1, 2): no digit changes."""
    double = values.astype(np.float64)
    exponent = np.frexp(np.abs(double).max(axis=1, keepdims=True))[1] - 1
    scaled: NDArray[np.float64] = np.ldexp(double, -exponent)
    return scaled


def has_few_bits(values: NDArray[np.generic]) -> bool:
    """Whether the products of any two of these rows, scaled by powers of two, are exact in float32."""
    bits = max(0, math.floor((EXACT_BITS - math.log2(values.shape[1])) / 2))
    steps = power_scaled(values) * 2.0 ** (bits - 1)
    return bool((steps == np.round(steps)).all())


def centre_of(total: NDArray[np.float64], count: int, peak: float, coarse: bool) -> NDArray[np.float64]:
    """The mean; where rows have few bits, in quarters of a power of two near the peak, so that they keep few bits.

    Args:
        total: Sum of the rows, shape (d,).
        count: Number of rows.
        peak: Largest absolute value.
        coarse: Whether the rows have few bits.
    """
    if not 1e-290 < peak < 1e290:  # all zeros, or where the step would vanish or the sum has overflowed
        return np.zeros_like(total)
    centre: NDArray[np.float64] = total / count
    if not coarse:
        return centre
    step = 2.0 ** (math.frexp(peak)[1] - 3)
    rounded: NDArray[np.float64] = np.round(centre / step) * step
    return rounded


def check_distance(distance: Distance) -> Distance:
    """The distance, if there is such a one.

    Raises:
        UnknownNameError: If it is a name that is not in DISTANCES.
    """
    if not callable(distance) and distance not in DISTANCES:
        raise UnknownNameError("distance", str(distance), DISTANCES)
    return distance
