"""Moving the two sides of a division apart or together: swapping of classes, then removal.

The generator of the ooDML benchmark (Milbich et al., NeurIPS 2021) with its defects mended: a class is one
row number that stands for name and mean together, the history holds classes, swaps that are undone leave
none, the final state is kept too, and a walk that cannot go on stops and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from oodml.splits.distances import ClassSpace, Points, Rows

REMOVAL_RULES = ("saturated", "published")
MIN_SIDE = 8
Tick = Callable[[], None]
Pair = tuple[int, int]


@dataclass(frozen=True)
class State:
    """A division that the generator visited.

    Attributes:
        origin: "default", "swap +12" (12 pairs exchanged to part the sides), "swap -8" (to mix them) or
            "removal 22" (22 pairs picked after the hardest swap, each exchanged or removed).
        train: Sorted names of the training classes.
        test: Sorted names of the test classes.
        shift: Distance between the two sides.
    """

    origin: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    shift: float


@dataclass(frozen=True)
class Steps:
    """How a stage proceeds.

    Attributes:
        swaps: Pairs of classes picked in an iteration.
        iterations: Iterations, each of which gives a state.
        history: Exchanges during which a class that moved stays where it is.
    """

    swaps: int
    iterations: int
    history: int


@dataclass(frozen=True)
class Walk:
    """The states of one stage, first the one it started from, and why it ended early ("" if it did not)."""

    states: tuple[State, ...]
    stopped: str = ""

    @property
    def hardest(self) -> State:
        """The state with the largest shift, the first of equals."""
        return max(self.states, key=lambda state: state.shift)


def _state(space: ClassSpace, origin: str, train: Rows, test: Rows) -> State:
    return State(origin, space.names_of(train), space.names_of(test), space.shift(train, test))


def _ranking(points: Points, own: Rows, other: Rows, harder: bool) -> list[int]:
    """The rows of a side, first those most like the other side (harder) or most like their own (easier)."""
    centre, away = points[own].mean(axis=0), points[other].mean(axis=0)
    lean = np.linalg.norm(points[own] - away, axis=1) - np.linalg.norm(points[own] - centre, axis=1)
    return [int(own[place]) for place in np.argsort(lean if harder else -lean, kind="stable")]


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
    rankings = _ranking(space.points, train, test, harder), _ranking(space.points, test, train, harder)
    pairs: list[Pair] = []
    for k in range(count):
        recent = [*moved, *pairs][-history:] if history else []
        blocked = {row for pair in recent + pairs for row in pair}
        leaving, arriving = (next((row for row in rank[k:] if row not in blocked), None) for rank in rankings)
        if leaving is None or arriving is None:
            break
        pairs.append((leaving, arriving))
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


def swap(space: ClassSpace, start: State, steps: Steps, *, harder: bool = True, tick: Tick = lambda: None) -> Walk:
    """Exchanges classes step by step so that the sides part (harder) or mix (easier); sizes stay as they are.

    Stops when as many pairs were exchanged as the smaller side has classes.

    Args:
        space: The class means.
        start: The default division.
        steps: How to proceed.
        harder: Direction.
        tick: Called after every iteration.
    """
    train, test = space.rows(start.train), space.rows(start.test)
    most = min(len(train), len(test))
    states, moved = [start], list[Pair]()
    for _ in range(steps.iterations):
        count = min(steps.swaps, most - len(moved))
        if count == 0:  # up to here both sides have classes that never moved, so the history leaves a pair
            return Walk(tuple(states), f"stopped at {most} swaps, all classes of a side")
        pairs = pick_pairs(space, train, test, count, moved, steps.history, harder)
        train, test = exchange(train, test, pairs)
        moved += pairs
        states.append(_state(space, f"swap {'+' if harder else '-'}{len(moved)}", train, test))
        tick()
    return Walk(tuple(states))


def remove(
    space: ClassSpace,
    start: State,
    steps: Steps,
    *,
    rule: str = "saturated",
    floors: tuple[int, int] = (MIN_SIDE, MIN_SIDE),
    tick: Tick = lambda: None,
) -> Walk:
    """Goes on from the hardest swapped division: pairs are exchanged on trial, and kept or taken out.

    Rule "saturated" keeps an exchange while it raises the shift and otherwise undoes it and removes the
    picked classes. Rule "published" has the sign of the original generator: it keeps an exchange that lowers
    the shift and removes the picked classes where the exchange would not have lowered it.

    Args:
        space: The class means.
        start: Division to start from.
        steps: How to proceed; the history starts empty.
        rule: "saturated" or "published".
        floors: Fewest training and test classes that removal may leave. Retrieval among fewer test classes is
            an easier problem, which would hide the effect of the shift.
        tick: Called after every iteration.
    """
    train, test = space.rows(start.train), space.rows(start.test)
    states, moved, tried = [start], list[Pair](), 0
    for _ in range(steps.iterations):
        pairs = pick_pairs(space, train, test, steps.swaps, moved, steps.history)
        if not pairs:
            reason = f"stopped at {tried} pairs, every class moved in the last {steps.history} swaps"
            return Walk(tuple(states), reason)
        tried += len(pairs)
        sides, before = exchange(train, test, pairs), states[-1].shift
        state = _state(space, f"removal {tried}", *sides)
        if state.shift > before if rule == "saturated" else state.shift < before:
            moved += pairs
        else:
            sides = take_out(train, test, pairs)
            if len(sides[0]) < floors[0] or len(sides[1]) < floors[1]:
                return Walk(tuple(states), f"stopped, because {floors[0]} + {floors[1]} classes must stay")
            state = _state(space, f"removal {tried}", *sides)
        train, test = sides
        states.append(state)
        tick()
    return Walk(tuple(states))
