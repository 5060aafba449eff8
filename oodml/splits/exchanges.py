"""Pairs of classes that change sides: which the published rule picks, and the sides afterwards."""

from __future__ import annotations

from collections import deque

import numpy as np

from oodml.splits.points import Rows
from oodml.splits.space import ClassSpace

Pair = tuple[int, int]
"""A training class and a test class, as rows."""


def _rankings(space: ClassSpace, train: Rows, test: Rows, harder: bool) -> tuple[Rows, Rows]:
    """The rows of both sides, first those most like the other side (harder) or most like their own (easier)."""
    distances = []
    for side in (train, test):  # matrix times vector, twice: a product with two columns takes ten times as long
        weights = np.zeros(len(space))
        weights[side] = 1 / len(side)
        centre = weights @ space.points
        squared = space.squares - 2 * (space.points @ centre) + centre @ centre
        distances.append(np.sqrt(np.maximum(squared, 0.0)))
    to_train, to_test = distances
    lean = (to_test - to_train)[train], (to_train - to_test)[test]
    first, second = (np.argsort(values if harder else -values, kind="stable") for values in lean)
    return train[first], test[second]


class _Queue:
    """The classes of a side in their ranking, of which some may not move."""

    def __init__(self, ranking: Rows, classes: int) -> None:
        self.ranking = ranking
        self.place = np.full(classes, -1)
        self.place[ranking] = np.arange(len(ranking))
        self.reasons = np.zeros(len(ranking), dtype=np.int64)
        self.blocked = np.zeros(len(ranking), dtype=bool)

    def block(self, pair: Pair, by: int) -> None:
        """Counts one reason more (by=1) or less (by=-1) why the classes of a pair stay."""
        for row in pair:
            place = self.place[row]
            if place >= 0:
                self.reasons[place] += by
                self.blocked[place] = self.reasons[place] > 0

    def first_free(self, start: int) -> int | None:
        """The first class from a rank on that may move."""
        if start >= len(self.blocked):
            return None
        place = start + int(np.argmin(self.blocked[start:]))
        return None if self.blocked[place] else int(self.ranking[place])


def pick_pairs(
    space: ClassSpace,
    train: Rows,
    test: Rows,
    count: int,
    moved: list[Pair],
    history: int,
    harder: bool = True,
) -> list[Pair]:
    """Up to `count` pairs (training class, test class) to exchange, ranked once.

    Harder picks the most test-like training class and the most train-like test class, easier the most typical
    ones. A class that took part in one of the last `history` exchanges, or in this round, does not move. The
    search for pair k starts at rank k.

    Args:
        space: The class means.
        train: Rows of the training classes.
        test: Rows of the test classes.
        count: Pairs wanted.
        moved: Earlier exchanges, oldest first.
        history: How many of them block their classes.
        harder: Direction.
    """
    queues = [_Queue(ranking, len(space)) for ranking in _rankings(space, train, test, harder)]
    recent = deque(moved[-history:] if history else [])
    for queue in queues:
        for pair in recent:
            queue.block(pair, 1)
    pairs: list[Pair] = []
    for k in range(count):
        leaving, arriving = (queue.first_free(k) for queue in queues)
        if leaving is None or arriving is None:
            break
        pairs.append((leaving, arriving))
        expired = [recent.popleft()] if recent and len(recent) + len(pairs) > history else []
        for queue in queues:
            queue.block(pairs[-1], 1)
            for pair in expired:
                queue.block(pair, -1)
    return pairs


def exchange(train: Rows, test: Rows, pairs: list[Pair]) -> tuple[Rows, Rows]:
    """Both sides after the pairs have changed places, sorted."""
    leaving, arriving = np.array(pairs, dtype=np.int64).T
    return (
        np.sort(np.concatenate([np.setdiff1d(train, leaving), arriving])),
        np.sort(np.concatenate([np.setdiff1d(test, arriving), leaving])),
    )


def take_out(train: Rows, test: Rows, pairs: list[Pair]) -> tuple[Rows, Rows]:
    """Both sides without the classes of the pairs, sorted."""
    leaving, arriving = np.array(pairs, dtype=np.int64).T
    return np.setdiff1d(train, leaving), np.setdiff1d(test, arriving)
