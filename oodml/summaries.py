"""What one reading of the rows says about their spread and spectrum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from oodml.directions import CHUNK, unit_rows
from oodml.errors import DatasetError
from oodml.metrics.spread import Spread
from oodml.ranking.layout import by_class
from oodml.ranking.rows import survey
from oodml.ranking.search import Side

Floats = NDArray[np.float64]


def class_spread(side: Side) -> Spread:
    """The spread of the classes on the sphere, read in order of class."""
    layout, _ = by_class(side.classes)
    spread = Spread()
    d = side.values.shape[1]
    carried = np.zeros(d + 1)  # sum of the class that goes on, and of its squared lengths
    for start in range(0, len(layout.order), CHUNK):
        numbers = side.numbers[layout.order[start : start + CHUNK]]
        unit = unit_rows(side.values[numbers], numbers).astype(np.float64)
        table = np.concatenate([unit, np.einsum("nd,nd->n", unit, unit)[:, None]], axis=1)
        group = layout.group[start : start + CHUNK]
        firsts = np.flatnonzero(np.diff(group, prepend=-1))
        sums = np.add.reduceat(table, firsts, axis=0)
        sums[0] += carried
        ends = layout.starts[group[firsts] + 1]
        closed = ends <= start + len(group)
        carried = np.zeros(d + 1) if closed[-1] else sums[-1]
        spread.add(sums[closed, :d], sums[closed, d], layout.sizes[group[firsts]][closed])
    return spread


def gram(side: Side, unit: bool, budget: int) -> Floats:
    """X^T X of the rows, or X X^T where that is smaller, in double precision; shape (min(n, d),) * 2.

    Args:
        side: The rows.
        unit: Whether they are scaled to length 1 first.
        budget: Bytes that it may take.

    Raises:
        DatasetError: If it does not fit.
    """
    n, d = len(side.numbers), side.values.shape[1]
    needed = 8 * (3 * min(n, d) ** 2 + (2 * n * d if n <= d else 0))
    if needed > budget:
        raise DatasetError(
            f"the spectrum of {n} rows of {d} numbers needs {needed / 2**30:.1f} GiB; "
            "allow more memory or leave the rho metrics out"
        )
    if n <= d:
        whole = torch.from_numpy(np.concatenate(list(double_blocks(side, unit))))
        return (whole @ whole.t()).numpy()
    total = torch.zeros((d, d), dtype=torch.float64)
    for rows in double_blocks(side, unit):
        block = torch.from_numpy(rows)
        total.addmm_(block.t(), block)
    return total.numpy()


def double_blocks(side: Side, unit: bool) -> Iterator[Floats]:
    """All rows in order, in double precision: of length 1, or all divided by one power of two, so that squares fit.

    Raises:
        DatasetError: If a value is not finite, or a row that should have length 1 is all zeros.
    """
    exponent = 0 if unit else survey({"embedding": side.table}, "euclidean").exponent
    for start in range(0, len(side.numbers), CHUNK):
        numbers = side.numbers[start : start + CHUNK]
        rows = side.values[numbers]
        yield unit_rows(rows, numbers).astype(np.float64) if unit else np.ldexp(rows.astype(np.float64), -exponent)
