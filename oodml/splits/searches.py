"""The generators that search: divisions of any shift, also of test sides that stay as hard as the default one's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oodml.errors import LadderError
from oodml.splits.difficulty import Difficulty, SameDifficulty
from oodml.splits.points import Rows
from oodml.splits.search import CLOSE, Search
from oodml.splits.states import State, check_reachable, distinct_states, measure_state
from oodml.splits.swaps import swap
from oodml.splits.task import Course, Task

RESTARTS = 3  # unconstrained divisions that meet the condition, from which a matched search starts as well


def search(task: Task) -> Course:
    """Divisions that hit every target: the shift is maximised and minimised, then approached from the nearest one."""
    with task.stage("searching") as tick:
        found = Search(task.space, task.start, tick=tick)
        _explore(task, found)
        return _aim(task, found)


def matched(task: Task) -> Course:
    """As `search`, but the test side's recall@1 under the untrained embedder stays that of the default division.

    Raises:
        LadderError: If the features of the images are missing, or no other division is as hard.
    """
    if task.images is None:
        raise LadderError("the generator 'matched' needs the features of the images: pass features and labels")
    difficulty = Difficulty(task.images)
    target, tolerance = difficulty.recall(task.space.rows(task.start.test)), task.plan.match_tolerance
    if np.isnan(target):
        raise LadderError("no test class of the default division has two images: there is no recall to hold constant")
    with task.stage("searching") as tick:
        free = Search(task.space, task.start, tick=tick)
        _explore(task, free)
    limit = SameDifficulty(difficulty, target, tolerance)
    fit = [state for state in free.visited if limit.holds(*_rows(task, state))]
    with task.stage("matching") as tick:
        found = Search(task.space, task.start, "matched", limit, tick)
        found.climb(task.start, harder=False)
        found.climb(task.start)
        for state in sorted(fit, key=lambda state: state.shift)[-RESTARTS:]:
            found.add(state)  # nothing that the limit allows may improve it
            found.climb(state)
        if not found.visited:
            raise LadderError(
                f"no exchange of classes keeps recall@1 of the test side within {tolerance:g} of {target:.3f}; "
                "raise match_tolerance, or use more classes"
            )
        course = _aim(task, found)
    reached = [state.shift for state in (task.start, *found.visited)]
    task.notes.append(
        f"recall@1 of the untrained embedder on the test side stays within {tolerance:g} of {target:.3f} while the "
        f"shift goes from {min(reached):.4g} to {max(reached):.4g}; without this condition it reaches "
        f"{max(reached + [state.shift for state in free.visited]):.4g}"
    )
    return course


def _rows(task: Task, state: State) -> tuple[Rows, Rows]:
    return task.space.rows(state.train), task.space.rows(state.test)


def _explore(task: Task, found: Search) -> None:
    """Goes to the largest and the smallest shift, also from where the published rule and the main axis lead."""
    harder = swap(task.space, task.start, task.plan.harder)
    easier = swap(task.space, task.start, task.plan.easier, harder=False)
    axis = _along_main_axis(task)
    for state in (*harder.states[1:], *easier.states[1:], axis):
        found.add(state)
    for state in (task.start, harder.hardest, axis):
        found.climb(state)
    found.climb(min(easier.states, key=lambda state: state.shift), harder=False)


def _along_main_axis(task: Task) -> State:
    """The classes divided by their place on the first principal axis, the side that trains nearer to the default's."""
    points, train = task.space.points, task.space.rows(task.start.train)
    axis = np.linalg.eigh(points.T @ points)[1][:, -1]
    order = np.argsort(points @ axis, kind="stable")
    ends = [(order[: len(train)], order[len(train) :]), (order[-len(train) :], order[: -len(train)])]
    near = max(ends, key=lambda sides: len(np.intersect1d(sides[0], train)))
    return measure_state(task.space, "main axis", np.sort(near[0]), np.sort(near[1]))


def _aim(task: Task, found: Search) -> Course:
    """Evenly spaced levels, of which the nearest gives way to the default, or the targets that the user named."""
    reached = task.distinct([task.start, *found.visited])
    low, high = reached[0].shift, reached[-1].shift
    if task.targets:
        check_reachable(reached, task.targets)
    targets = sorted(task.targets) or np.linspace(low, high, task.levels).tolist()
    kept = [_hit(found, [task.start, *found.visited], target, CLOSE * (high - low)) for target in targets]
    if not task.targets and task.start not in kept:
        kept[min(range(len(kept)), key=lambda place: abs(kept[place].shift - task.start.shift))] = task.start
    visited = [task.start, *found.visited]
    distinct = distinct_states(kept)
    if len(distinct) < 2:
        raise LadderError("all targets lead to the same division; space them further apart")
    if len(distinct) < len(targets):
        task.notes.append(f"{len(targets)} levels were asked for, only {len(distinct)} distinct divisions were reached")
    return Course(visited, distinct)


def _hit(found: Search, visited: Sequence[State], target: float, close: float) -> State:
    nearest = min(visited, key=lambda state: abs(state.shift - target))
    return found.approach(nearest, target, close)
