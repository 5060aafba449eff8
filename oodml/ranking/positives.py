"""The positives of queries: their similarities as thresholds, and from the counts above them their ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BAND = 256  # queries whose positives are looked up at a time
BAND_VALUES = 2**21  # similarities that this may take
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Targets:
    """What queries look for: rows of a gallery in which every class's rows lie side by side, by rising row number.

    Attributes:
        first: First place of the query's class, shape (q,), never falling.
        relevant: Positives, shape (q,), never falling, so that a large class widens only its own blocks.
        own: The query's own place, shape (q,), which is none of them; None if queries are not in the gallery.
    """

    first: Ints
    relevant: Ints
    own: Ints | None

    @property
    def end(self) -> Ints:
        """First place behind the query's class, shape (q,)."""
        return self.first + self.relevant + (0 if self.own is None else 1)

    def part(self, start: int, end: int) -> Targets:
        """Those of the queries start to end."""
        own = None if self.own is None else self.own[start:end]
        return Targets(self.first[start:end], self.relevant[start:end], own)


@dataclass
class Positives:
    """The positives of b queries, nearest first, ties by row number.

    Attributes:
        relevant: Positives per query, shape (b,).
        threshold: Their similarities, shape (b, m) with the largest m, falling; +inf beyond a query's own.
        number: Their row numbers, shape (b, m).
        above: Counted others that come before each, shape (b, m).
    """

    relevant: Ints
    threshold: Tensor
    number: Tensor
    above: Tensor

    @property
    def width(self) -> int:
        """Largest number of positives."""
        return int(self.threshold.shape[1])

    def ranks(self) -> Ints:
        """Ranks from 1 of the positives among all others, rising; shape (b, m), meaningless beyond `relevant`."""
        ranks: Ints = self.above.cpu().numpy().astype(np.int64) + np.arange(1, self.width + 1)
        return ranks


def find_positives(targets: Targets, number: Tensor, similarity: Callable[[slice, slice], Tensor]) -> Positives:
    """The positives of queries, none of the others counted yet.

    Args:
        targets: What they look for.
        number: Row number at every place of the gallery, shape (g,).
        similarity: Of some of the queries with some places: neighbouring queries have neighbouring positives.
    """
    m = int(targets.relevant.max(initial=0))
    shape = (len(targets.relevant), m)
    threshold = torch.full(shape, torch.inf, device=number.device)
    numbers = torch.zeros(shape, dtype=torch.int64, device=number.device)
    for start, end in _bands(targets):
        few = targets.part(start, end)
        places, counted = columns_of(few)
        if not counted.any():
            continue
        low, high = int(few.first[0]), int(few.end[-1])
        similar = similarity(slice(start, end), slice(low, high))
        keep = torch.from_numpy(counted).to(similar.device)
        at = torch.from_numpy(np.where(counted, places, low)).to(similar.device)
        values = similar.gather(1, at - low).masked_fill_(~keep, -torch.inf)
        ordered, order = values.sort(dim=1, descending=True, stable=True)
        width = at.shape[1]
        threshold[start:end, :width] = ordered.masked_fill_(~keep, torch.inf)  # what does not count lies at the end
        numbers[start:end, :width] = number[at].gather(1, order)
    return Positives(targets.relevant, threshold, numbers, torch.zeros(shape, dtype=torch.int32, device=number.device))


def columns_of(targets: Targets) -> tuple[Ints, NDArray[np.bool_]]:
    """Places of the positives of every query by rising row number, and which of them count; shapes (b, m)."""
    step = np.arange(targets.relevant.max(initial=0))
    places = targets.first[:, None] + step
    if targets.own is not None:
        places += places >= targets.own[:, None]
    return places, step < targets.relevant[:, None]


def _bands(targets: Targets) -> Iterator[tuple[int, int]]:
    """Runs of queries whose positives span few enough places."""
    start, total = 0, len(targets.first)
    ends = targets.end
    while start < total:
        spans = ends[start : start + BAND] - targets.first[start]
        fits = int(np.searchsorted(spans * np.arange(1, len(spans) + 1), BAND_VALUES, side="right"))
        yield start, start + max(1, fits)
        start += max(1, fits)
