"""Local search over divisions: exchanges that raise the shift, lower it, or bring it to a target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oodml.seeds import numpy_generator
from oodml.splits.exchanges import Pair, exchange
from oodml.splits.points import Points, Rows
from oodml.splits.space import ClassSpace
from oodml.splits.states import State

MOST_CANDIDATES = 1000  # classes of a side that are considered at a time
TRIES = 48  # exchanges that are measured in a step
LAST_TRIES = 8  # times as many before a search gives up, and as many again at random
SINGLES = 8  # of the exchanges that improve: how many compete with all of them together
LARGE = 4000  # classes from which a measurement is dear, and a quarter of these are made
STEPS = 400
CLOSE = 1e-3  # of the reached range: how near to a target is near enough


Found = tuple[Rows, Rows, float]
"""Both sides of a division and its shift."""


class Limit(Protocol):
    """A condition that every division of a search has to meet."""

    def holds(self, train: Rows, test: Rows) -> bool:
        """Whether a division meets it."""

    def allows(self, test: Rows, leaving: Rows, arriving: Rows, times: int) -> NDArray[np.bool_]:
        """Which exchanges probably keep it, also if `times` like them are made at once, shape (leaving, arriving)."""


class NoLimit:
    """Every division will do."""

    def holds(self, train: Rows, test: Rows) -> bool:
        """Always."""
        return True

    def allows(self, test: Rows, leaving: Rows, arriving: Rows, times: int) -> NDArray[np.bool_]:
        """All of them."""
        return np.ones((len(leaving), len(arriving)), dtype=bool)


def gap_change(space: ClassSpace, train: Rows, test: Rows, leaving: Rows, arriving: Rows) -> Points:
    """Change of the squared distance between the means of the two sides for every exchange, exact.

    It is the part of every measure of shift that an exchange moves most, and costs one product: it ranks the
    candidates of which the best are then measured.

    Args:
        space: The class means.
        train: Training classes, shape (n,).
        test: Test classes, shape (m,).
        leaving: Training classes that may leave, shape (p,).
        arriving: Test classes that may take their place, shape (q,).

    Returns:
        Changes in squared feature units, shape (p, q).
    """
    gap = space.points[train].mean(axis=0) - space.points[test].mean(axis=0)
    step = 1 / len(train) + 1 / len(test)
    p, s = space.points[leaving], space.points[arriving]
    moved = space.squares[leaving][:, None] + space.squares[arriving] - 2 * p @ s.T
    change: Points = 2 * step * (s @ gap - (p @ gap)[:, None]) + step**2 * moved
    return change


@dataclass
class Search:
    """Divisions visited from a default one.

    Attributes:
        space: The class means and their meter.
        start: The default division.
        name: First word of the origins, "search" or "matched".
        limit: What every division has to meet.
        tick: Called after every step.
        visited: All divisions that were kept, in order, `start` not among them.
    """

    space: ClassSpace
    start: State
    name: str = "search"
    limit: Limit = field(default_factory=NoLimit)
    tick: Callable[[], None] = lambda: None
    visited: list[State] = field(default_factory=list)

    def climb(self, start: State, *, harder: bool = True) -> State:
        """Exchanges classes while that raises the shift (harder) or lowers it; large steps first.

        Every step measures the exchanges that move the means most and makes those that improve the shift; the search
        ends at a division that none of the hundreds of most promising exchanges improves, nor as many random ones.

        Returns:
            The last division.
        """
        sign = 1.0 if harder else -1.0
        train, test, shift = self.space.rows(start.train), self.space.rows(start.test), start.shift
        state, most = start, max(1, min(len(train), len(test)) // 6)
        batch = most
        for _ in range(STEPS):
            leaving, arriving, change = self._candidates(train, test)
            found = None
            while found is None and batch > 1:
                allowed = self._allowed(sign * change, test, leaving, arriving, batch)
                pairs = [(int(leaving[i]), int(arriving[j])) for i, j in _disjoint(allowed, batch)]
                found = self._better(train, test, [pairs], sign, shift) if pairs else None
                batch = batch if found else batch // 2
            if found is None:
                singles = self._singles(train, test, leaving, arriving, sign * change)
                tried = (self._best_few(train, test, ranked, sign, shift) for ranked in singles)
                found = next((few for few in tried if few is not None), None)
            batch = min(2 * batch, most)
            if found is None:
                break
            train, test, shift = found
            state = self._keep(train, test, shift)
        return state

    def approach(self, start: State, target: float, close: float) -> State:
        """Exchanges classes until the shift lies within `close` of a target, or no exchange brings it nearer."""
        train, test, shift = self.space.rows(start.train), self.space.rows(start.test), start.shift
        slope, state = 1.5, start  # of the shift over the gap: an exchange moves the covariances as well
        for _ in range(STEPS):
            if abs(shift - target) <= close:
                break
            leaving, arriving, change = self._candidates(train, test)
            miss = np.abs(shift + slope * change - target)
            miss[~self.limit.allows(test, leaving, arriving, 1)] = np.inf
            found = None
            for pair in _top(-miss, TRIES // 3):
                sides = exchange(train, test, [(int(leaving[pair[0]]), int(arriving[pair[1]]))])
                value = self.space.shift(*sides)
                if change[pair]:
                    slope = 0.9 * slope + 0.1 * float(np.clip((value - shift) / change[pair], 0.5, 4.0))
                best = found[2] if found else shift
                if abs(value - target) < abs(best - target) and self.limit.holds(*sides):
                    found = (*sides, value)
            if found is None:
                break
            train, test, shift = found
            state = self._keep(train, test, shift, count=False)
        if state is not start:
            self.visited.append(state)
        return state

    def add(self, state: State) -> None:
        """Counts a division that was found elsewhere as visited."""
        self._keep(self.space.rows(state.train), self.space.rows(state.test), state.shift)

    def _allowed(self, gain: Points, test: Rows, leaving: Rows, arriving: Rows, times: int) -> Points:
        return np.where(self.limit.allows(test, leaving, arriving, times), gain, -np.inf)

    def _candidates(self, train: Rows, test: Rows) -> tuple[Rows, Rows, Points]:
        """Classes that may leave and arrive, those that lean most to either side, and the change of each exchange."""
        gap = self.space.points[train].mean(axis=0) - self.space.points[test].mean(axis=0)
        leaving, arriving = (_extremes(side, self.space.points[side] @ gap) for side in (train, test))
        return leaving, arriving, gap_change(self.space, train, test, leaving, arriving)

    def _singles(self, train: Rows, test: Rows, leaving: Rows, arriving: Rows, gain: Points) -> Iterator[list[Pair]]:
        """Exchanges to measure one by one: the most promising ones, more of them, and some at random."""
        tries = TRIES if len(self.space) < LARGE else TRIES // 4
        gain = self._allowed(gain, test, leaving, arriving, 1)
        ranked = [(int(leaving[i]), int(arriving[j])) for i, j in _top(gain, LAST_TRIES * tries)]
        yield ranked[:tries]
        yield ranked[tries:]
        allowed = np.argwhere(np.isfinite(gain))
        draw = numpy_generator("search", len(self.visited), int(train[0]), int(test[0]))
        chosen = allowed[draw.permutation(len(allowed))[: LAST_TRIES * tries]]
        yield [(int(leaving[i]), int(arriving[j])) for i, j in chosen]

    def _best_few(self, train: Rows, test: Rows, ranked: list[Pair], sign: float, shift: float) -> Found | None:
        """The exchanges that improve the shift each for itself, together or the best of them, whatever is better."""
        gains = [sign * (self.space.shift(*exchange(train, test, [pair])) - shift) for pair in ranked]
        improving = [ranked[place] for place in np.argsort(gains)[::-1] if gains[place] > 0]
        moved, chosen = set[int](), list[Pair]()
        for pair in improving:
            if moved.isdisjoint(pair):
                moved.update(pair)
                chosen.append(pair)
        fit = (pair for pair in improving if self.limit.holds(*exchange(train, test, [pair])))
        moves = [[pair] for pair in islice(fit, SINGLES)]
        while len(chosen) > 1:
            moves.append(chosen)
            chosen = chosen[: len(chosen) // 2]
        return self._better(train, test, moves, sign, shift)

    def _better(self, train: Rows, test: Rows, moves: list[list[Pair]], sign: float, shift: float) -> Found | None:
        """The best of some moves, if it improves the shift."""
        found = None
        for pairs in moves:
            sides = exchange(train, test, pairs)
            value = self.space.shift(*sides)
            best = found[2] if found else shift
            if sign * (value - best) > 1e-9 * abs(best) and self.limit.holds(*sides):
                found = (*sides, value)
        return found

    def _keep(self, train: Rows, test: Rows, shift: float, count: bool = True) -> State:
        names = self.space.names_of(train), self.space.names_of(test)
        exchanged = len(set(names[0]).difference(self.start.train))
        sign = "+" if shift >= self.start.shift else "-"
        state = State(f"{self.name} {sign}{exchanged}", *names, shift)
        if count:
            self.visited.append(state)
            self.tick()
        return state


def _extremes(side: Rows, lean: Points) -> Rows:
    if len(side) <= MOST_CANDIDATES:
        return side
    order = np.argsort(lean, kind="stable")
    half = MOST_CANDIDATES // 2
    return np.sort(side[np.concatenate([order[:half], order[-half:]])])


def _top(values: Points, count: int) -> list[tuple[int, int]]:
    """Places of the largest finite values, first the largest."""
    flat = values.ravel()
    count = min(count, int(np.isfinite(flat).sum()))
    if count == 0:
        return []
    chosen = np.argpartition(-flat, count - 1)[:count]
    chosen = chosen[np.lexsort((chosen, -flat[chosen]))]
    return [divmod(int(place), values.shape[1]) for place in chosen]


def _disjoint(gain: Points, count: int) -> list[tuple[int, int]]:
    """Up to `count` pairs without a common class: the rows of the largest gains, each with its best free column."""
    gain = gain.copy()
    pairs = []
    for row in np.argsort(-gain.max(axis=1), kind="stable")[:count]:
        column = int(np.argmax(gain[row]))
        if gain[row, column] > -np.inf:
            pairs.append((int(row), column))
            gain[:, column] = -np.inf
    return pairs
