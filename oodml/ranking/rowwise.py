"""Ranks of queries in any gallery: a block of queries at a time passes over the gallery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.ranking.counting import count_above
from oodml.ranking.positives import Positives, Targets, find_positives
from oodml.ranking.rows import Rows
from oodml.ranking.tiles import Watch
from oodml.ranking.twins import Twins
from oodml.ranking.workers import Buffers, num_workers, run_side_by_side

WIDTH = 4096  # places of the gallery that are compared at a time
LEAST_WIDTH = 64
MAX_QUERIES = 2000
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rowwise:
    """A search of queries in a gallery.

    Attributes:
        queries: The queries.
        gallery: The gallery, each class's rows side by side by rising row number.
        targets: What the queries look for.
        budget: Bytes to work in.
        copies: For every place of the gallery the first with an equal row (`Rows.first_copies`).
        watch: Sees every tile of similarities before anything is hidden.
    """

    queries: Rows
    gallery: Rows
    targets: Targets
    budget: int
    copies: Ints | None = None
    watch: Watch | None = None

    def run(self, progress: Callable[[int, int], None] | None = None) -> Iterator[tuple[slice, Positives]]:
        """Queries and their positives, block after block."""
        twins = Twins(self.gallery, self.copies)
        start, total = 0, len(self.queries)
        while start < total:
            part = slice(start, start + self._step(start, len(twins)))
            yield part, self._block(part, twins, progress)
            start = part.stop

    @property
    def width(self) -> int:
        """Places of the gallery that are compared at a time: their rows take at most a quarter of the budget."""
        fits = self.budget // (16 * self.gallery.dimension)
        return max(LEAST_WIDTH, min(WIDTH, fits, len(self.gallery)))

    def _step(self, start: int, num_twins: int) -> int:
        """Queries whose rows, similarities with a part of the gallery, and positives fit."""
        relevant = self.targets.relevant[start : start + MAX_QUERIES]
        each = (
            12 * self.width * num_workers(self.queries.device)
            + 4 * (num_twins + self.queries.dimension)
            + 40 * np.maximum(relevant, 1)
        )
        fits = int(np.searchsorted(np.arange(1, len(each) + 1) * each, self.budget * 3 // 4, side="right"))
        return max(1, fits)

    def _block(self, part: slice, twins: Twins, progress: Callable[[int, int], None] | None) -> Positives:
        x = self.queries.block(part.start, part.stop)
        targets, known = self.targets.part(part.start, part.stop), twins.similarities(x)
        number = torch.from_numpy(self.gallery.order).to(known.device)

        def similarity(rows: slice, places: slice) -> Tensor:
            found = self.queries.space.similarity(x.part(rows), self.gallery.block(places.start, places.stop))
            twins.write(found, known[rows], places.start, places.stop)
            return found

        found = find_positives(targets, number, similarity)
        buffers, lock = Buffers(len(x.rows) * self.width, self.queries.device), Lock()

        def count(start: int) -> None:
            places = slice(start, min(len(self.gallery), start + self.width))
            similar = similarity(slice(0, len(x.rows)), places)
            if self.watch:
                self.watch(similar, part, places, False)
            if found.width:
                _hide(similar, targets, places)
                work = buffers.get("work", *similar.shape)
                counts = count_above(similar, number[places], found.threshold, found.number, work)
                with lock:
                    found.above += counts

        starts = range(0, len(self.gallery), self.width)
        for done, _ in enumerate(run_side_by_side(count, starts, self.queries.device), start=1):
            if progress:
                progress(part.start + (part.stop - part.start) * done // len(starts), len(self.queries))
        return found


def _hide(similar: Tensor, targets: Targets, places: slice) -> None:
    """Takes the rows of a query's class, itself among them, out of what is counted."""
    if (targets.first < places.stop).any() and (targets.end > places.start).any():
        at = torch.arange(places.start, places.stop, device=similar.device)
        first, end = (torch.from_numpy(edge).to(similar.device)[:, None] for edge in (targets.first, targets.end))
        similar.masked_fill_((at >= first) & (at < end), -torch.inf)
