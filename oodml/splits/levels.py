"""From visited states to levels: which states are kept, and how large the distance is without any shift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oodml.splits.distances import ClassSpace, Rows
from oodml.splits.swaps import State


def distinct_states(states: Sequence[State]) -> list[State]:
    """States by strictly rising shift; of those that share one the default or else the first visited."""
    ranked = sorted(enumerate(states), key=lambda item: (item[1].shift, item[0]))
    kept: list[State] = []
    for _, state in ranked:
        if not kept or state.shift - kept[-1].shift > 1e-9 * max(state.shift, 1e-300):
            kept.append(state)
        elif state.origin == "default":
            kept[-1] = state
    return kept


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


def null_shift(
    space: ClassSpace, classes: Rows, num_train: int, draws: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Mean and standard deviation (ddof 1) of the distance between two random sides of the same sizes.

    With a hundred class means in two thousand dimensions most of a Frechet distance is the bias of its
    estimator: this is what a division scores whose sides do not differ.

    Args:
        space: The class means.
        classes: Rows of all classes of the level.
        num_train: Size of the first side.
        draws: Number of random divisions, at least 2.
        generator: Source of the draws.
    """
    values = np.empty(draws)
    for draw in range(draws):
        order = generator.permutation(classes)
        values[draw] = space.shift(order[:num_train], order[num_train:])
    return float(values.mean()), float(values.std(ddof=1))
