"""From embeddings to ranks: which way of ranking fits the data and the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodml.ranking.layout import Layout, by_class
from oodml.ranking.positives import Positives, Targets
from oodml.ranking.rows import Rows, Values, survey
from oodml.ranking.rowwise import Rowwise
from oodml.ranking.space import Distance, Space
from oodml.ranking.symmetric import SymmetricRanks
from oodml.ranking.tiles import Watch
from oodml.ranking.workers import num_workers

Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]
MAX_TILE = {"cpu": 1500, "cuda": 8000}
POSITIVE_BYTES = 24  # threshold, row number, rank, and the copies of a part of them


@dataclass(frozen=True)
class Ranks:
    """Ranks of the positives of some queries.

    Attributes:
        queries: Which queries: positions among the query rows, shape (b,).
        ranks: From 1, rising along each query's own, shape (b, m).
        relevant: Number of positives, shape (b,), each at least 1; meaningless beyond it in `ranks`.
    """

    queries: Ints
    ranks: Ints
    relevant: Ints


@dataclass(frozen=True)
class Side:
    """Queries or gallery: an array, the numbers of its rows that take part, and their classes (n,)."""

    values: Values
    numbers: Ints
    classes: Ints

    @property
    def table(self) -> tuple[Values, Ints]:
        """What a survey reads."""
        return self.values, self.numbers


@dataclass(frozen=True)
class Engine:
    """How similarities are computed.

    Attributes:
        distance: "cosine", "euclidean", or a similarity of two blocks of rows.
        device: "cpu" or "cuda".
        budget: Bytes to work in, above the input.
    """

    distance: Distance = "cosine"
    device: str = "cpu"
    budget: int = 2**30

    def within(
        self, side: Side, watch: Watch | None = None, progress: Progress | None = None, only: Ints | None = None
    ) -> Iterator[Ranks]:
        """Ranks of every row with a positive among all other rows, block by block.

        Args:
            side: The rows; each is query and gallery.
            watch: Sees every tile of similarities, see `SymmetricRanks`; its places are those of `by_class`.
            progress: Called with steps done and in all.
            only: Rows that are queries, shape (q,); None for all.
        """
        space = survey({"embedding": side.table}, self.distance)
        layout, _ = by_class(side.classes)
        rows = self._rows(side, layout.order, space)
        copies = rows.first_copies()
        tile = self._tile(len(rows))
        if only is None and space.symmetric and copies is None and self._positives_fit(layout, tile):
            for part, found in SymmetricRanks(rows, layout, tile, watch).run(progress):
                yield from _some(layout.order[part], found)
            return
        places = np.arange(len(rows)) if only is None else np.flatnonzero(np.isin(layout.order, only))
        asked = (
            rows if only is None else Rows(side.values, side.numbers[layout.order[places]], space, self.device, False)
        )
        group = layout.group[places]
        targets = Targets(layout.starts[group], layout.sizes[group] - 1, places)
        for part, found in Rowwise(asked, rows, targets, self.budget // 2, copies, watch).run(progress):
            yield from _some(layout.order[places[part]], found)

    def between(self, queries: Side, gallery: Side, progress: Progress | None = None) -> Iterator[Ranks]:
        """Ranks of the positives of queries in a gallery that they are not part of; classes are numbered alike."""
        space = survey({"embedding": queries.table, "gallery": gallery.table}, self.distance)
        layout, new = by_class(gallery.classes)
        known = np.append(new, -1)[np.minimum(queries.classes, len(new))]  # -1 for classes beyond the gallery's
        order = np.argsort(known, kind="stable")[np.count_nonzero(known < 0) :]
        stored = self._rows(gallery, layout.order, space)
        asked = Rows(queries.values, queries.numbers[order], space, self.device, keep=False)
        targets = Targets(layout.starts[known[order]], layout.sizes[known[order]], None)
        for part, found in Rowwise(asked, stored, targets, self.budget // 2, stored.first_copies()).run(progress):
            yield from _some(order[part], found)

    def watch_pairs(self, side: Side, watch: Watch) -> None:
        """Shows every tile of similarities within a set, at the places of `by_class`, without ranking."""
        space = survey({"embedding": side.table}, self.distance)
        layout, _ = by_class(side.classes)
        rows = self._rows(side, layout.order, space)
        list(SymmetricRanks(rows, layout, self._tile(len(rows)), watch, rank=False).run())

    def _rows(self, side: Side, order: Ints, space: Space) -> Rows:
        keep = 4 * len(order) * side.values.shape[1] <= self.budget // 2
        return Rows(side.values, side.numbers[order], space, self.device, keep)

    def _tile(self, rows: int) -> int:
        fits = int((self.budget / 4 / 16 / num_workers(self.device)) ** 0.5)  # a tile, its ordered copy, masks
        return max(1, min(MAX_TILE.get(self.device.partition(":")[0], 1500), fits, rows))

    def _positives_fit(self, layout: Layout, tile: int) -> bool:
        """Whether the positives of all rows can wait until all tiles are counted; blocks have their largest width."""
        sizes = layout.sizes[layout.group]
        padded = int(sizes[np.minimum(np.arange(len(sizes)) // tile * tile + tile, len(sizes)) - 1].sum())
        return POSITIVE_BYTES * padded <= self.budget // 4


def _some(queries: Ints, found: Positives) -> Iterator[Ranks]:
    """The queries that have a positive."""
    asks = found.relevant > 0
    if asks.any():
        yield Ranks(queries[asks], found.ranks()[asks], found.relevant[asks])
