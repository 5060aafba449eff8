"""Rows that have exact copies: one similarity for all copies of a row, so that their ties are exact."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.ranking.rows import Rows
from oodml.ranking.space import Block


class Twins:
    """The places of a gallery that hold copies.

    A matrix product may round equal columns differently, by where they stand. So the similarities of one copy of each
    are computed in one product, and written over those of all.

    Args:
        gallery: The gallery.
        copies: For every place the first with an equal row (`Rows.first_copies`); None if all rows differ.
    """

    def __init__(self, gallery: Rows, copies: NDArray[np.int64] | None) -> None:
        self._gallery = gallery
        owners = np.empty(0, np.int64) if copies is None else copies
        self._originals, slot, sizes = np.unique(owners, return_inverse=True, return_counts=True)
        several = sizes > 1
        self._originals = self._originals[several]
        self._places = np.flatnonzero(several[slot]) if len(owners) else owners
        self._slot = (np.cumsum(several) - 1)[slot[self._places]] if len(owners) else owners

    def __len__(self) -> int:
        return len(self._originals)

    def similarities(self, queries: Block) -> Tensor:
        """Of queries with one copy of each, shape (b, number of rows that have copies)."""
        if not len(self):
            return queries.rows[:, :0]
        return self._gallery.space.similarity(queries, self._gallery.at(self._originals))

    def write(self, similar: Tensor, known: Tensor, low: int, high: int) -> None:
        """Writes known similarities (b, number of rows that have copies) over those of the places low to high."""
        a, b = np.searchsorted(self._places, [low, high])
        if a < b:
            to = torch.from_numpy(self._places[a:b] - low).to(similar.device)
            similar[:, to] = known[:, torch.from_numpy(self._slot[a:b]).to(similar.device)]
