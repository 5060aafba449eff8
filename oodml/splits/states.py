"""A division of the classes with its shift, and the choice of levels among many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from oodml.errors import LadderError
from oodml.splits.points import Rows
from oodml.splits.space import ClassSpace

ROUNDING = 1e-6  # of a shift: square roots of rounded zeros reach 1e-8 where a side has fewer rows than dimensions


@dataclass(frozen=True)
class State:
    """A division that the generator visited.

    Attributes:
        origin: "default", "swap +12" (12 pairs exchanged to part the sides), "swap -8" (to mix them),
            "removal 22" (22 pairs picked after the hardest swap, each exchanged or removed), "search +12" (12
            classes of either side exchanged against the default, to part the sides), "random 4", "superclass 5".
        train: Sorted names of the training classes.
        test: Sorted names of the test classes.
        shift: Distance between the two sides.
    """

    origin: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    shift: float


def measure_state(space: ClassSpace, origin: str, train: Rows, test: Rows) -> State:
    """The division with its shift."""
    return State(origin, space.names_of(train), space.names_of(test), space.shift(train, test))


def distinct_states(states: Sequence[State]) -> list[State]:
    """States by strictly rising shift; of those that share one, but for rounding, the default or else the first."""
    ranked = sorted(enumerate(states), key=lambda item: (item[1].shift, item[0]))
    kept: list[tuple[int, State]] = []
    for place, state in ranked:
        if not kept or state.shift - kept[-1][1].shift > ROUNDING * max(abs(state.shift), 1e-300):
            kept.append((place, state))
        else:
            kept[-1] = min(kept[-1], (place, state), key=lambda item: (item[1].origin != "default", item[0]))
    return [state for _, state in kept]


def spread_evenly(shifts: Sequence[float], count: int, must: int) -> list[int]:
    """Which of the rising shifts lie most evenly between the first and the last.

    Minimises the sum of squared distances to `count` evenly spaced targets over all rising choices that
    contain `must` (dynamic programming).

    Args:
        shifts: Rising, at least `count` of them.
        count: How many to choose, at least 1.
        must: Index that is always chosen.

    Returns:
        Rising indices.

    Example:
        >>> spread_evenly([0.0, 1.0, 4.0, 5.0, 9.0, 10.0], 3, must=1)
        [1, 3, 5]
    """
    values = np.asarray(shifts, dtype=np.float64)
    targets = np.linspace(values[0], values[-1], count)
    costs = ((values - targets[:, None]) / max(values[-1] - values[0], 1e-300)) ** 2
    costs[:, must] -= 2.0 * count  # more than evenness can ever cost, so that every best choice contains it
    best = np.full_like(costs, np.inf)
    best[0] = costs[0]
    for rank in range(1, count):
        best[rank, 1:] = costs[rank, 1:] + np.minimum.accumulate(best[rank - 1])[:-1]
    chosen: list[int] = []
    end = len(values)
    for rank in range(count - 1, -1, -1):
        end = int(np.argmin(best[rank, :end]))
        chosen.append(end)
    return chosen[::-1]


def nearest_to(states: Sequence[State], targets: Sequence[float]) -> list[State]:
    """For every target the state of the nearest shift, by rising target.

    Args:
        states: By rising shift.
        targets: Shifts asked for.

    Raises:
        LadderError: If a target lies outside what the states reach, or two have the same nearest state.
    """
    check_reachable(states, targets)
    shifts = np.array([state.shift for state in states])
    chosen = [int(np.argmin(np.abs(shifts - target))) for target in sorted(targets)]
    twice = [place for place, after in pairwise(chosen) if place == after]
    if twice:
        raise LadderError(
            f"two targets are nearest to the same division, of shift {shifts[twice[0]]:.4g}; space them further apart, "
            "or use --generator search, which goes to every target"
        )
    return [states[place] for place in chosen]


def check_reachable(states: Sequence[State], targets: Sequence[float]) -> None:
    """Raises LadderError if a target lies outside the shifts of the states, rising; names their range."""
    low, high = states[0].shift, states[-1].shift
    slack = 0.005 * (high - low)
    outside = [target for target in targets if not low - slack <= target <= high + slack]
    if outside:
        raise LadderError(
            f"the target shift {outside[0]:g} is out of reach: this generator reaches {low:.4g} to {high:.4g} here; "
            "choose targets between, or another generator"
        )
