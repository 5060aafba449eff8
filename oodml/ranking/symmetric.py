"""Ranks within one set of rows: each pair's similarity is computed once and counts for both of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement, pairwise
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from oodml.ranking.counting import count_above
from oodml.ranking.layout import Layout
from oodml.ranking.positives import Positives, Targets, find_positives
from oodml.ranking.rows import Rows
from oodml.ranking.tiles import Watch
from oodml.ranking.workers import Buffers, run_side_by_side


class SymmetricRanks:
    """Ranks of the positives of all rows among all others.

    Args:
        rows: The rows in the order of the layout; no two of them equal, the distance symmetric.
        layout: Their classes.
        tile: Side of the square of similarities that is held.
        watch: Sees every tile.
        rank: Whether ranks are asked for; without, the tiles are only watched.
    """

    def __init__(self, rows: Rows, layout: Layout, tile: int, watch: Watch | None = None, *, rank: bool = True) -> None:
        self.rows, self.layout, self.watch = rows, layout, watch
        edges = np.linspace(0, len(rows), -(-len(rows) // tile) + 1).astype(int).tolist()
        self.parts = [slice(a, b) for a, b in pairwise(edges)]
        self._group = torch.from_numpy(layout.group).to(rows.device)
        self._number = torch.from_numpy(layout.order).to(rows.device)
        self._found = [self._positives(part) if rank else None for part in self.parts]
        self._buffers = Buffers(tile * tile, rows.device)
        self._lock = Lock()

    def run(self, progress: Callable[[int, int], None] | None = None) -> Iterator[tuple[slice, Positives]]:
        """Places and positives of block after block, when all are counted."""
        tiles = list(combinations_with_replacement(range(len(self.parts)), 2))
        for done, _ in enumerate(run_side_by_side(self._count, tiles, self.rows.device), start=1):
            if progress:
                progress(done, len(tiles))
        for part, found in zip(self.parts, self._found, strict=True):
            if found is not None:
                yield part, found

    def _count(self, tile: tuple[int, int]) -> None:
        i, j = tile
        a, b = self.parts[i], self.parts[j]
        x = self.rows.block(a.start, a.stop)
        y = x if i == j else self.rows.block(b.start, b.stop)
        similar = self.rows.space.similarity(x, y, self._buffers.get("tile", len(x.rows), len(y.rows)))
        if self.watch:
            self.watch(similar, a, b, i != j)
        if self._group[a.stop - 1] >= self._group[b.start]:  # a class has rows on both sides
            similar.masked_fill_(self._group[a, None] == self._group[b], -torch.inf)
        self._add(i, similar, b)
        if i != j:
            self._add(j, similar.t(), a)

    def _add(self, i: int, similar: Tensor, columns: slice) -> None:
        found = self._found[i]
        if found is not None and found.width:
            work = self._buffers.get("work", *similar.shape)
            counts = count_above(similar, self._number[columns], found.threshold, found.number, work)
            with self._lock:
                found.above += counts

    def _positives(self, part: slice) -> Positives:
        group = self.layout.group[part]
        places = np.arange(part.start, part.stop)
        targets = Targets(self.layout.starts[group], self.layout.sizes[group] - 1, places)
        x = self.rows.block(part.start, part.stop)

        def similarity(rows: slice, columns: slice) -> Tensor:
            return self.rows.space.similarity(x.part(rows), self.rows.block(columns.start, columns.stop))

        return find_positives(targets, self._number, similarity)
