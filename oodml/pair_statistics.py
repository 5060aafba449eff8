"""Statistics over all pairs of rows, gathered from tiles of their cosines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from oodml.errors import DatasetError
from oodml.metrics.verification import COARSE_STEPS, FINE_STEPS, PairCounts
from oodml.ranking.layout import Layout

ROWS, COLUMNS = 256, 4096  # the part of a tile that is looked at at a time
SHIFT = (FINE_STEPS // COARSE_STEPS).bit_length() - 1


def _parts(similar: Tensor, rows: slice, columns: slice) -> Iterator[tuple[Tensor, int, int]]:
    """Parts of a tile, each with the places of its first row and column."""
    for row, band in enumerate(similar.split(ROWS)):
        for column, part in enumerate(band.split(COLUMNS, dim=1)):
            yield part, rows.start + row * ROWS, columns.start + column * COLUMNS


class Uniformity:
    """log of the mean of exp(-2 |x - y|^2) over pairs of unit rows (Wang and Isola 2020, arXiv:2005.10242)."""

    def __init__(self) -> None:
        self._parts: list[tuple[float, int]] = []  # tiles come in any order, from several threads

    def see(self, similar: Tensor, rows: slice, columns: slice, mirrored: bool) -> None:
        """Adds a tile of cosines; |x - y|^2 = 2 - 2 cos."""
        times = 2 if mirrored else 1
        for part, row, column in _parts(similar, rows, columns):
            potential = part.mul(4).sub_(4).exp_()
            own = potential.diagonal(row - column) if not mirrored else potential[:0, 0]
            own.zero_()
            total = times * float(potential.sum(dim=1).sum(dtype=torch.float64))
            self._parts.append((total, times * (potential.numel() - len(own))))

    def value(self) -> float:
        """In [-8, 0]; NaN without a pair."""
        pairs = sum(count for _, count in self._parts)
        total = math.fsum(part for part, _ in self._parts)
        return max(-8.0, min(0.0, math.log(total / pairs))) if pairs else math.nan


class Verification:
    """Counts of pairs by step of cosine, see `PairCounts`.

    Args:
        layout: Classes of the places that the tiles are made of.
        budget: Bytes that the counts by class may take.

    Raises:
        DatasetError: If they would take more.
    """

    def __init__(self, layout: Layout, budget: int = 2**30) -> None:
        needed = 8 * len(layout.sizes) * COARSE_STEPS
        if needed > budget:
            raise DatasetError(
                f"verification of {len(layout.sizes)} classes needs {needed / 2**30:.1f} GiB; "
                "allow more memory or leave opis and fnmr out"
            )
        self._lock = Lock()
        self._group = torch.from_numpy(layout.group)
        self._fine = torch.zeros((2, FINE_STEPS), dtype=torch.int64)  # impostors, genuine
        self._coarse = np.zeros((2, len(layout.sizes), COARSE_STEPS), dtype=np.int32)

    def see(self, similar: Tensor, rows: slice, columns: slice, mirrored: bool) -> None:
        """Adds a tile of cosines."""
        half = FINE_STEPS // 2
        for tile, row, column in _parts(similar, rows, columns):
            part = tile.cpu()
            row_group = self._group[row : row + len(part), None]
            column_group = self._group[column : column + part.shape[1]]
            genuine = (row_group == column_group).int()
            # scaled before shifted: adding 1 first would round cosines just below a border onto it
            step = part.mul(half).floor_().clamp_(-half, half - 1).int().add_(half)
            fine = _counts(genuine * FINE_STEPS + step, 2 * FINE_STEPS).view(2, -1)
            with self._lock:
                self._fine += (2 if mirrored else 1) * fine
            coarse = step >> SHIFT
            self._by_class(row_group, coarse, genuine)
            if mirrored:
                self._by_class(column_group, coarse, genuine)
            else:
                self._leave_out(step.diagonal(row - column), max(row, column))

    def counts(self) -> PairCounts:
        """What was seen."""
        impostor, genuine = self._fine.numpy()
        return PairCounts(genuine, impostor, self._coarse[1], self._coarse[0])

    def _by_class(self, group: Tensor, step: Tensor, genuine: Tensor) -> None:
        low, high = int(group.min()), int(group.max()) + 1
        keys = genuine * ((high - low) * COARSE_STEPS) + ((group - low) * COARSE_STEPS).int() + step
        found = _counts(keys, 2 * (high - low) * COARSE_STEPS).view(2, high - low, COARSE_STEPS)
        with self._lock:
            self._coarse[:, low:high] += found.numpy()

    def _leave_out(self, step: Tensor, first: int) -> None:
        """Takes back the pairs of rows with themselves: their steps, and the place of the first."""
        classes = self._group[first : first + len(step)].numpy()
        with self._lock:
            self._fine[1] -= _counts(step, FINE_STEPS)
            np.subtract.at(self._coarse[1], (classes, (step >> SHIFT).numpy()), 1)


def _counts(keys: Tensor, size: int) -> Tensor:
    return torch.bincount(keys.reshape(-1), minlength=size)
