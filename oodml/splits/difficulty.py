"""How hard a test side is for the untrained embedder, for any choice of test classes, from one pass over the images."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodml.directions import fingerprints, first_copies, unit_rows
from oodml.errors import DatasetError, LadderError
from oodml.splits.features import FeatureTable
from oodml.splits.points import Rows

BLOCK_VALUES = 2**23  # similarities held at a time: 32 MiB of float32
FEW = 16  # exchanged classes up to which counts are updated


class Difficulty:
    """Recall@1 of any set of test classes.

    An image is a hit unless another class of the set holds an image that is more similar to it than the most similar
    one of its own class. Which classes do, its impostors, depends on the image alone: they are listed once, and the
    recall of a set of classes is a product with this sparse table. Similarity is the cosine, ties go to the lower row,
    images without another of their class are no queries: as in the metric recall_at_1.

    Args:
        images: Features of all images by class.

    Raises:
        LadderError: If an image has features of length 0, or no class has two images.
    """

    def __init__(self, images: FeatureTable) -> None:
        self.counts = images.counts
        self.owner = np.repeat(np.arange(len(images)), images.counts)
        self.asks = np.repeat(images.counts > 1, images.counts)
        if not self.asks.any():
            raise LadderError("no class has two images, so there is no retrieval quality to hold constant")
        self._unit = _unit_rows(images)
        self._row = images.order
        self._starts = images.starts
        self._copy_of = first_copies(fingerprints(self._unit), self._unit.__getitem__)
        self._base = np.zeros(len(images), dtype=bool), np.zeros(len(self._unit), dtype=np.int32)

    @cached_property
    def impostors(self) -> Any:
        """Sparse table (images, classes): 1 where a class holds an image nearer than the nearest own one."""
        from scipy.sparse import csr_matrix, vstack

        step = max(1, BLOCK_VALUES // len(self._unit))
        parts = [csr_matrix(self._nearer(start, start + step)) for start in range(0, len(self._unit), step)]
        return vstack(parts, format="csr", dtype=np.int32)

    def _nearer(self, start: int, end: int) -> NDArray[np.bool_]:
        """Classes with an image nearer than the nearest own one, for images of places start to end."""
        similar = self._unit[start:end] @ self._unit.T
        if self._copy_of is not None:
            similar = similar[:, self._copy_of]
        places = np.arange(start, start + len(similar))
        own = self.owner[places, None] == self.owner[None]
        own[np.arange(len(places)), places] = False
        best = np.where(own, similar, -np.inf).max(axis=1, keepdims=True)
        tied_own = np.where(own & (similar == best), self._row, np.iinfo(np.int64).max).min(axis=1, keepdims=True)
        nearer = (similar > best) | ((similar == best) & (self._row < tied_own))
        nearer[self.owner[places, None] == self.owner[None]] = False
        found: NDArray[np.bool_] = np.logical_or.reduceat(nearer, self._starts[:-1], axis=1)
        found[~self.asks[places]] = False
        return found

    def recall(self, test: Rows) -> float:
        """Recall@1 among the images of the given classes; NaN if none of them has two images."""
        chosen = self._chosen(test)
        queries = chosen[self.owner] & self.asks
        hits = queries & (self._against(chosen) == 0)
        return float(hits.sum() / queries.sum()) if queries.any() else float("nan")

    def after_exchange(self, test: Rows, leaving: Rows, arriving: Rows) -> NDArray[np.float64]:
        """About the recall@1 after each exchange: exact but for images that both classes bear on.

        Args:
            test: Test classes.
            leaving: Training classes that would become test classes, shape (p,).
            arriving: Test classes that would train instead, shape (q,).

        Returns:
            Recalls, shape (p, q).
        """
        chosen = self._chosen(test)
        against = self._against(chosen)
        self._base = chosen, against
        queries = chosen[self.owner] & self.asks
        table = self.impostors.T
        freed = table @ (queries & (against == 1)).astype(np.int32)  # hits if one class goes
        blocked = table @ (queries & (against == 0)).astype(np.int32)  # misses if one class comes
        classes = len(self.counts)
        own_hits = np.bincount(self.owner[self.asks & (against == 0)], minlength=classes)
        own_queries = np.bincount(self.owner[self.asks], minlength=classes)
        hits = int((queries & (against == 0)).sum())
        gained = hits + (own_hits - blocked)[leaving][:, None] + (freed - own_hits)[arriving]
        asked = queries.sum() + own_queries[leaving][:, None] - own_queries[arriving]
        recalls: NDArray[np.float64] = gained / np.maximum(asked, 1)
        return recalls

    def _chosen(self, classes: Rows) -> NDArray[np.bool_]:
        chosen = np.zeros(len(self.counts), dtype=bool)
        chosen[classes] = True
        return chosen

    def _against(self, chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Impostor classes among the chosen, for every image; a few exchanges only change what they touch."""
        base, known = self._base
        moved = np.flatnonzero(base ^ chosen)
        if len(moved) > FEW:
            counted: NDArray[np.int32] = self.impostors @ chosen.astype(np.int32)
            return counted
        against = known.copy()
        columns = self._by_class
        for number in moved:
            against[columns.indices[columns.indptr[number] : columns.indptr[number + 1]]] += 1 if chosen[number] else -1
        return against

    @cached_property
    def _by_class(self) -> Any:
        """The table of impostors by class."""
        return self.impostors.tocsc()


class SameDifficulty:
    """The condition of a search: the test side stays as hard as the default one.

    Args:
        difficulty: Of the dataset.
        target: Recall@1 to hold.
        tolerance: By how much it may differ.
    """

    def __init__(self, difficulty: Difficulty, target: float, tolerance: float) -> None:
        self.difficulty, self.target, self.tolerance = difficulty, target, tolerance

    def holds(self, train: Rows, test: Rows) -> bool:
        """Whether the recall of the test side is within the tolerance."""
        return abs(self.difficulty.recall(test) - self.target) <= self.tolerance

    def allows(self, test: Rows, leaving: Rows, arriving: Rows, times: int) -> NDArray[np.bool_]:
        """Which exchanges probably keep it there, also if `times` like them are made at once."""
        now = self.difficulty.recall(test)
        change = self.difficulty.after_exchange(test, leaving, arriving) - now
        allowed: NDArray[np.bool_] = np.abs(now + times * change - self.target) <= self.tolerance
        return allowed


def _unit_rows(images: FeatureTable) -> NDArray[np.float32]:
    """All rows by class, not less the origin, scaled to length 1 as the metric scales them."""
    unit = np.empty((len(images.order), images.dimension), dtype=np.float32)
    start = 0
    for _, rows in replace(images, origin=0.0).read(np.arange(len(images))):
        try:
            unit[start : start + len(rows)] = unit_rows(rows)
        except DatasetError as error:
            raise LadderError("an image has features of length 0 and no direction; leave it out") from error
        start += len(rows)
    return unit
