"""Whole superclasses change sides: no class of the test side has a sibling that trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from oodml.errors import LadderError
from oodml.seeds import numpy_generator
from oodml.splits.division import MIN_PER_SIDE
from oodml.splits.points import Rows
from oodml.splits.space import ClassSpace
from oodml.splits.states import State
from oodml.splits.task import Course, Task

STARTS = 4
SLACK = 0.1  # of all classes: how far the size of the training side may be from what was asked for
FEWEST = 4
SPREAD = 500  # divisions of which levels are chosen

Assignment = tuple[bool, ...]
"""Of every superclass, by name, whether it trains."""


def superclass(task: Task) -> Course:
    """From a few random divisions of the superclasses to the largest and the smallest shift, one move at a time.

    A move takes a superclass to the other side or exchanges two; the number of training classes stays within a
    tenth of what was asked for.

    Raises:
        LadderError: If superclasses are unknown or fewer than 4.
    """
    groups = _groups(task.space, task.superclasses)
    with task.stage("superclasses") as tick:
        walk = _Walk(task, groups, tick)
        starts = [walk.balanced(number) for number in range(STARTS)]
        for start in starts:
            walk.climb(start, 1.0)
            walk.climb(start, -1.0)
    others = [trains for trains in walk.spread() if trains != starts[0]]
    visited = [walk.state(starts[0], "default"), *map(walk.state, others)]
    kept = task.choose(visited)
    return Course([state for state in visited if state in kept or state.origin == "default"], kept)


def _groups(space: ClassSpace, superclasses: Mapping[str, str]) -> list[Rows]:
    """Rows of every superclass, by name."""
    missing = [name for name in space.names if name not in superclasses]
    if missing:
        raise LadderError(
            f"the generator 'superclass' needs a superclass of every class; {missing[0]!r} has none "
            f"({len(missing)} of {len(space)}): name them with --superclasses FILE.csv (columns class, superclass)"
        )
    owner = np.array([superclasses[name] for name in space.names])
    groups = [np.flatnonzero(owner == name) for name in np.unique(owner)]
    if len(groups) < FEWEST:
        raise LadderError(f"the generator 'superclass' needs at least {FEWEST} superclasses, got {len(groups)}")
    return groups


class _Walk:
    """Local search over the sides of superclasses."""

    def __init__(self, task: Task, groups: Sequence[Rows], tick: Callable[[], None]) -> None:
        self.task, self.groups, self.tick = task, groups, tick
        self.sizes = np.array([len(group) for group in groups])
        self.wanted = task.share * self.sizes.sum()
        self.slack = SLACK * self.sizes.sum()
        self.known: dict[Assignment, float] = {}

    def balanced(self, number: int) -> Assignment:
        """Superclasses in random order join the training side while that brings it nearer to its size.

        Raises:
            LadderError: If that leaves a side with too few classes.
        """
        order = numpy_generator(*self.task.seed_parts, "superclasses", number).permutation(len(self.groups))
        trains, size, most = np.zeros(len(self.groups), dtype=bool), 0, int(self.sizes.sum()) - MIN_PER_SIDE
        for group in order:
            grown = size + int(self.sizes[group])
            nearer = abs(grown - self.wanted) < abs(size - self.wanted)
            if grown <= most and (nearer or size < MIN_PER_SIDE):
                trains[group], size = True, grown
        if size < MIN_PER_SIDE:
            raise LadderError(
                f"whole superclasses do not leave {MIN_PER_SIDE} classes on both sides: the largest holds "
                f"{self.sizes.max()} of {self.sizes.sum()}"
            )
        self.slack = max(self.slack, abs(size - self.wanted))
        return tuple(trains.tolist())

    def sides(self, trains: Assignment) -> tuple[Rows, Rows]:
        """Rows of both sides."""
        rows, owner = np.concatenate(self.groups), np.repeat(trains, self.sizes)
        return np.sort(rows[owner]), np.sort(rows[~owner])

    def shift(self, trains: Assignment) -> float:
        """The shift of an assignment, measured once."""
        if trains not in self.known:
            self.known[trains] = self.task.space.shift(*self.sides(trains))
            self.tick()
        return self.known[trains]

    def rank(self, trains: Assignment) -> float:
        """The shift to six digits: rounding must not decide between an assignment and its mirror image."""
        return float(f"{self.shift(trains):.6g}")

    def state(self, trains: Assignment, origin: str = "") -> State:
        """The division that an assignment stands for; its origin tells how many superclasses train."""
        names = [self.task.space.names_of(side) for side in self.sides(trains)]
        return State(origin or f"superclass {sum(trains)}", names[0], names[1], self.shift(trains))

    def spread(self) -> list[Assignment]:
        """Some of the known assignments, evenly over the reached shifts."""
        ranked = sorted(self.known, key=lambda trains: (self.rank(trains), trains))
        shifts = np.array([self.rank(trains) for trains in ranked])
        grid = np.linspace(shifts[0], shifts[-1], SPREAD)
        return [ranked[place] for place in np.unique(np.searchsorted(shifts, grid).clip(max=len(ranked) - 1))]

    def climb(self, trains: Assignment, sign: float) -> None:
        """The best move again and again, while one raises (1) or lowers (-1) the shift."""
        while True:
            best = max(self._moves(trains), key=lambda move: sign * self.rank(move), default=trains)
            if sign * self.rank(best) <= sign * self.rank(trains):
                return
            trains = best

    def _moves(self, trains: Assignment) -> Iterator[Assignment]:
        changes = [{group} for group in range(len(trains))]
        changes += [{a, b} for a in range(len(trains)) for b in range(a) if trains[a] is not trains[b]]
        for change in changes:
            moved = tuple(side ^ (group in change) for group, side in enumerate(trains))
            size = int(self.sizes[np.array(moved)].sum())
            smaller = min(size, int(self.sizes.sum()) - size)
            if abs(size - self.wanted) <= self.slack and smaller >= MIN_PER_SIDE and any(moved) and not all(moved):
                yield moved
