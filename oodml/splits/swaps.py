"""Moving the two sides of a division apart or together: swapping of classes, then removal.

The generator of the ooDML benchmark (Milbich et al., NeurIPS 2021) with its defects mended: a class is one
row number that stands for name and mean together, the history holds classes, swaps that are undone leave
none, the final state is kept too, and a walk that cannot go on stops and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oodml.splits.exchanges import Pair, exchange, pick_pairs, take_out
from oodml.splits.space import ClassSpace
from oodml.splits.states import State, measure_state

REMOVAL_RULES = ("saturated", "published")
MIN_SIDE = 8
Tick = Callable[[], None]


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
        states.append(measure_state(space, f"swap {'+' if harder else '-'}{len(moved)}", train, test))
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
        state = measure_state(space, f"removal {tried}", *sides)
        if state.shift > before if rule == "saturated" else state.shift < before:
            moved += pairs
        else:
            sides = take_out(train, test, pairs)
            if len(sides[0]) < floors[0] or len(sides[1]) < floors[1]:
                return Walk(tuple(states), f"stopped, because {floors[0]} + {floors[1]} classes must stay")
            state = measure_state(space, f"removal {tried}", *sides)
        train, test = sides
        states.append(state)
        tick()
    return Walk(tuple(states))
